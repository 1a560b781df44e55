//! Tokens that end before their time because somebody asks for it.
//!
//! Decides what can be ended, and that it is on record: who asked, from where, and which token that was. What is begun is
//! brought to its end, record and all, also where the caller hangs up. Refuses to know who may ask: whoever holds a token may
//! end it, and of other tokens the surface has decided.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::bearer::Bearer;
use super::counter::Counter;
use super::outcome::Source;
use crate::accounts::{AccountToken, AccountTokenId, Accounts};
use crate::audit::{Outcome, Trail};
use crate::clock::Timestamp;
use crate::identity::Namespace;
use crate::mint::{AccessorClaims, OwnToken};
use crate::state::{RevocationError, Revocations};

/// What holders do, as the record has it.
const OWN: &str = "token.revoke_self";
/// What is done to another's.
const OTHERS: &str = "token.revoke";
/// The reason of a revocation that could not be kept.
const NOT_RECORDED: &str = "revocation_not_recorded";

/// Why a revocation was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The store of revocations did not take it.
    #[error(transparent)]
    NotKept(#[from] RevocationError),
    /// The database of service accounts did not take it.
    #[error("service accounts cannot be reached now")]
    Accounts,
}

/// A token that is good, and can be ended.
enum Ending {
    /// One of ours.
    Own { jti: String, expires: Timestamp },
    /// A service account's.
    Account(Arc<Accounts>, AccountTokenId),
}

impl Counter {
    /// Ends one of our tokens before its time, one to log in with as well (what was made of that goes on), or the token of a
    /// service account; for its holder, or for `by`. Says whether there was anything to end, and leaves a record where there
    /// was: a token that is not ours, or no longer good, needs no ending.
    ///
    /// # Errors
    /// [`RevokeError`] where the revocation could not be kept, on record: the token is still good.
    pub async fn revoke(&self, source: Source, by: Option<&Bearer>, token: &str) -> Result<bool, RevokeError> {
        let mut trail = self.silent_trail(source);
        let Some(ending) = self.ending(source, &mut trail, token).await? else { return Ok(false) };
        self.ended(trail, by, ending).await.map(|()| true)
    }

    /// Ends the token that an accessor names, for `by`; on record.
    ///
    /// # Errors
    /// As [`Counter::revoke`].
    pub async fn revoke_named(
        &self,
        source: Source,
        by: &Bearer,
        accessor: &AccessorClaims,
    ) -> Result<(), RevokeError> {
        let ending = Ending::Own { jti: accessor.jti().to_owned(), expires: accessor.expires_at() };
        self.ended(self.silent_trail(source), Some(by), ending).await
    }

    /// Ends a token by its `jti`, which expires then. Leaves no record of its own: for an administrator, whose request is one.
    ///
    /// # Errors
    /// As [`Counter::revoke`].
    pub async fn revoke_by_id(&self, token_id: &str, expires: Timestamp) -> Result<(), RevokeError> {
        Ok(self.revocations().revoke(token_id, expires, self.clock().now()).await?)
    }

    /// The `jti` and the end of one of our tokens, or of one to log in with: signed by a published key and in its times, revoked
    /// or not. Also where this replica is blind and calls no token good: it may reach the database again by now.
    #[must_use]
    pub fn ours(&self, token: &str) -> Option<(String, Timestamp)> {
        self.with_ours(token, |token| (token.jti().to_owned(), token.expires_at()))
    }

    fn with_ours<T>(&self, text: &str, tell: impl FnOnce(&OwnToken) -> T) -> Option<T> {
        let now = self.clock().now();
        match self.own_tokens().verify(text, now) {
            Ok(token) => Some(tell(&token)),
            Err(_) => self.own_tokens().login(text, now).ok().map(|login| tell(login.token())),
        }
    }

    /// What there is to end, and whose it is.
    async fn ending(&self, source: Source, trail: &mut Trail, text: &str) -> Result<Option<Ending>, RevokeError> {
        if !AccountToken::is_meant(text.as_bytes()) {
            let ours = self.with_ours(text, |token| {
                trail.issuer(token.issuer());
                trail.subject(token.subject());
                trail.asked(token.target().as_str());
                trail.namespace(token.namespace().map_or("", Namespace::as_str));
                trail.presented(token.jti(), Some(token.decision()));
                (token.jti().to_owned(), token.expires_at())
            });
            let known = |jti: &str| !self.is_blind() && self.revocations().is_revoked(jti, self.clock().now());
            return Ok(ours.filter(|(jti, _)| !known(jti)).map(|(jti, expires)| Ending::Own { jti, expires }));
        }
        let Some(accounts) = self.accounts() else { return Ok(None) };
        // Whoever brings one that was rotated out is on record for that.
        match self.bearer(source, text).await {
            Ok(bearer @ Bearer::Account(_)) => {
                self.note_presented(trail, text);
                bearer.note(trail);
                trail.namespace(bearer.namespace().map_or("", Namespace::as_str));
                let id = AccountTokenId::parse(bearer.token_id());
                Ok(id.map(|id| Ending::Account(Arc::clone(accounts), id)))
            }
            Err(not_good) if not_good.may_pass() => Err(RevokeError::Accounts),
            Ok(Bearer::Token(_)) | Err(_) => Ok(None),
        }
    }

    /// Ends it in a task of its own, with the record.
    #[allow(clippy::disallowed_methods, reason = "measures latency; decides nothing")]
    async fn ended(&self, mut trail: Trail, by: Option<&Bearer>, ending: Ending) -> Result<(), RevokeError> {
        let (began, now, revocations) = (Instant::now(), self.clock().now(), Arc::clone(self.revocations()));
        if let Some(by) = by {
            by.note(&mut trail);
        }
        trail.acts(if by.is_some() { OTHERS } else { OWN }, &ending.object());
        let task = tokio::spawn(async move {
            let ended = ending.run(&revocations, &mut trail, now).await;
            let outcome = match &ended {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Failed { reason: NOT_RECORDED, detail: Some(error.to_string()) },
            };
            trail.close(outcome, began.elapsed());
            ended
        });
        task.await.unwrap_or(Err(RevokeError::NotKept(RevocationError::CutOff)))
    }
}

impl Ending {
    fn object(&self) -> String {
        match self {
            Self::Own { jti, .. } => ["secrets-tokens/", jti].concat(),
            Self::Account(_, id) => format!("tokens/{id}"),
        }
    }

    async fn run(self, revocations: &Arc<Revocations>, trail: &mut Trail, now: Timestamp) -> Result<(), RevokeError> {
        match self {
            Self::Own { jti, expires } => {
                revocations.revoke(&jti, expires, now).await?;
                let state = |revoked: bool| -> Value {
                    json!({"jti": jti, "expires_at": expires.to_string(), "revoked": revoked})
                };
                trail.changed(Some(&state(false)), Some(&state(true)));
            }
            Self::Account(accounts, id) => {
                let (before, after) = accounts.revoke(id, now).await.map_err(|_| RevokeError::Accounts)?;
                trail.family(&after.family.to_string());
                trail.changed(Some(&before.described(now)), Some(&after.described(now)));
            }
        }
        Ok(())
    }
}
