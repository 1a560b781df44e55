//! The token of a service account, looked up for a request.
//!
//! Decides that a family of tokens which ends here is on record with the address, the account and the family: also where the
//! call leaves no record otherwise, and where the caller hangs up. Refuses to know what is asked for.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::bearer::{Bearer, NotGood};
use super::counter::Counter;
use super::outcome::Source;
use crate::accounts::{AccountRefusal, AccountToken, Accounts, ActingAccount};
use crate::audit::{Outcome, Trail};
use crate::identity::IssuerName;
use crate::jose::Sha256;

/// A call that leaves no record of its own.
pub(super) struct SilentCall {
    pub(super) trail: Trail,
    began: Instant,
}

impl SilentCall {
    /// Leaves a record all the same where a family of tokens ended by what was presented.
    pub(super) fn end(self, found: &Result<Bearer, NotGood>) {
        if let Err(not_good) = found
            && not_good.is_reuse()
        {
            self.trail.close(not_good.outcome(), self.began.elapsed());
        }
    }
}

impl Counter {
    /// Whoever presents `text` in a call that leaves no record: a token of ours, if it is good now, or the token of a service
    /// account. Where a family of tokens ends by it, that is on record all the same.
    ///
    /// # Errors
    /// [`NotGood`]; where it [`may_pass`](NotGood::may_pass), nobody can tell at the moment.
    pub async fn bearer(&self, source: Source, text: &str) -> Result<Bearer, NotGood> {
        let mut call = self.silent_call(source);
        self.note_presented(&mut call.trail, text);
        let found = self.bearer_on(&mut call.trail, text).await;
        call.end(&found);
        found
    }

    #[allow(clippy::disallowed_methods, reason = "measures latency; decides nothing")]
    pub(super) fn silent_call(&self, source: Source) -> SilentCall {
        SilentCall { trail: self.silent_trail(source), began: Instant::now() }
    }

    /// The trail of a call that leaves a record only where it is closed.
    pub(super) fn silent_trail(&self, source: Source) -> Trail {
        let now = self.clock().now();
        let trail = Trail::begin(self.journal(), self.decision_id(now), now, source.surface, Some(source.address));
        trail.only_if_closed()
    }

    /// Says in `trail` which token of a service account is presented, as soon as a text has the form of one: whether anybody
    /// has it is not known yet, and a refusal has to be found under it afterwards.
    pub(super) fn note_presented(&self, trail: &mut Trail, text: &str) {
        if let Some(digest) = self.account_token_digest(text) {
            trail.claimed(None, None, digest);
            trail.issuer(&IssuerName::of_service_accounts());
        }
    }

    /// Who acts by the token of a service account. Goes on when the caller hangs up: whoever brings back a rotated token is on
    /// record then, too.
    ///
    /// # Errors
    /// [`NotGood`]. Where that is a reuse, `trail` says of which family.
    pub(super) async fn authenticated(&self, trail: &mut Trail, text: &str) -> Result<ActingAccount, NotGood> {
        let (accounts, now) = (Arc::clone(self.service_accounts()?), self.clock().now());
        let (text, lent) = (Zeroizing::new(text.to_owned()), trail.lend());
        let (tell, told) = oneshot::channel();
        tokio::spawn(async move {
            let mut lent = lent;
            let found = accounts.authenticate(&text, now).await.map_err(NotGood::from);
            if found.as_ref().is_err_and(|not_good| not_good.is_reuse()) {
                name_family(&accounts, &text, &mut lent).await;
            }
            if let Err((Err(not_good), lent)) = tell.send((found, lent))
                && not_good.is_reuse()
            {
                lent.close(not_good.outcome(), std::time::Duration::ZERO);
            }
        });
        let Ok((found, lent)) = told.await else { return Err(AccountRefusal::Unavailable.into()) };
        *trail = lent;
        found
    }

    /// What the audit calls the token of a service account by, whether it is good or not: a keyed digest, as that of the text
    /// itself would let whoever reads the record try candidates.
    fn account_token_digest(&self, text: &str) -> Option<Sha256> {
        self.accounts().filter(|_| AccountToken::is_meant(text.as_bytes()))?.digest(text)
    }
}

/// Says which family ended. Where the database does not tell, the token's digest is there still.
async fn name_family(accounts: &Accounts, text: &str, trail: &mut Trail) {
    if let Ok(Some((token, account))) = accounts.identify(text).await {
        trail.account(&account.id.to_string());
        trail.family(&token.family.to_string());
        trail.namespace(account.namespace.as_ref().map_or("", |namespace| namespace.as_str()));
    }
}

impl NotGood {
    /// Whether a rotated token came back, and its family was revoked by it.
    pub(super) fn is_reuse(&self) -> bool {
        *self == Self::Account(AccountRefusal::Reused)
    }

    fn outcome(&self) -> Outcome<'static> {
        Outcome::Denied { reason: self.code(), detail: Some(self.to_string()) }
    }
}
