//! The login with a token of our own that was made for it (`secrets_manager/access_token`): it becomes a secrets token that
//! says the same and ends when it does.
//!
//! Decides whether it may still: nothing else that is ours is ever an identity here. Refuses to decide anew what it may do:
//! the rule that granted it has to stand unchanged, as for any token of ours.

use super::bearer::NotGood;
use super::counter::Counter;
use super::outcome::{LoginRole, Refused};
use super::stop::Stop;
use super::walk::Walk;
use crate::audit::Outcome;
use crate::identity::DecisionId;
use crate::jose::{CompactJws, sha256};
use crate::limits::State;
use crate::mint::{IssuedToken, LOGIN_MEDIA_TYPE, LoginToken};
use crate::oauth::SubjectToken;

/// The mount and the role of such logins (GitLab API, `secrets_manager/access_token`).
pub const LOGIN_MOUNT: &str = "api_jwt";
/// As [`LOGIN_MOUNT`].
pub const LOGIN_ROLE: &str = "all_api";

/// A login that was allowed.
#[derive(Debug)]
pub struct Session {
    /// The decision's id.
    pub decision: DecisionId,
    /// The token.
    pub token: IssuedToken,
    /// The token that it was made of.
    pub login: LoginToken,
    /// The budget that has the smallest part left; none where there are no limits.
    pub budget: Option<State>,
}

impl Counter {
    /// Whether a token says that it is one of ours to log in with. Nothing about it is verified.
    #[must_use]
    pub fn claims_to_be_for_login(&self, token: &SubjectToken) -> bool {
        let jws = CompactJws::parse(token.copy_for_review());
        jws.is_ok_and(|jws| jws.unverified_media_type() == Some(LOGIN_MEDIA_TYPE))
    }
}

impl Walk<'_> {
    /// The login: verify, look whether it still stands, mint, record.
    ///
    /// # Errors
    /// [`Refused`] says as much as the caller may learn.
    pub async fn open_session(mut self, token: SubjectToken, asked: LoginRole) -> Result<Session, Refused> {
        self.now = self.counter.clock().now();
        match self.session_steps(&token, asked).await {
            Ok((token, login)) => {
                self.counter.tally().issued(self.issuer.as_ref());
                let (decision, took) = (self.id, self.took());
                let budget = self.passage.tightest();
                self.trail.close(Outcome::Issued(&token), took);
                Ok(Session { decision, token, login, budget })
            }
            Err(stop) => Err(self.stop(&stop)),
        }
    }

    async fn session_steps(
        &mut self,
        token: &SubjectToken,
        asked: LoginRole,
    ) -> Result<(IssuedToken, LoginToken), Stop> {
        let rules = self.counter.rules();
        self.trail.policy_set(rules.policies.digest());
        self.trail.worthwhile()?;
        self.trail.claimed(Some(self.counter.issuer().as_str()), None, sha256(token.as_bytes()));
        let text = token.copy_for_review();
        self.counter.worth_reading(&mut self.passage, &text, self.now).await?;
        let login = self.counter.own_tokens().login(&text, self.now).map_err(Stop::Login)?;
        let own = login.token();
        self.trusts(own.issuer());
        self.counter.limiter().verified(&mut self.passage, own.subject(), self.now).await?;
        self.counter.limiter().counted(&mut self.passage, Some(own.issuer()), Some(own.target()), self.now).await?;
        self.trail.subject(own.subject());
        self.trail.presented(own.jti(), Some(own.decision()));
        self.trail.asked(own.target().as_str());
        self.trail.policies(own.policies());
        let here = asked.mount == LOGIN_MOUNT && asked.cel && asked.role.as_deref() == Some(LOGIN_ROLE);
        if !here || asked.namespace.as_ref() != own.namespace() {
            return Err(Stop::LoginElsewhere);
        }
        if self.counter.is_blind() {
            return Err(NotGood::RevocationsUnknown.into());
        }
        if self.counter.revocations().is_revoked(own.jti(), self.now) {
            return Err(Stop::LoginEnded);
        }
        match self.counter.stands(own).await {
            Ok(()) => {}
            Err(not_good) if not_good.may_pass() => return Err(not_good.into()),
            Err(_) => return Err(Stop::LoginEnded),
        }
        self.trail.admit()?;
        Ok((self.counter.minter().session(&login, self.id, self.now)?, login))
    }
}
