//! The token of a service account takes a new one in its own place: whoever has it may have the next one, and needs nothing else.
//!
//! Decides in this order: is the token good, can it be recorded, can it be rotated. No access document is asked.

use std::time::Instant;

use super::bearer::{AccountBearer, Bearer, NotGood};
use super::counter::Counter;
use super::outcome::{Recorded, Source};
use crate::accounts::{AccountError, RotateWish, RotatedAccountToken};
use crate::audit::{AuditUnavailable, Outcome, Trail};
use crate::identity::Namespace;
use crate::limits::{Limited, Passage, State};

/// A rotation that did not happen.
#[derive(Debug)]
pub struct NotRotated {
    /// The decision, and how the caller's budgets stand.
    pub recorded: Recorded,
    /// Why, as far as it is told.
    pub class: NotRotatedClass,
}

/// As much as a caller may learn.
#[derive(Debug)]
pub enum NotRotatedClass {
    /// The token is no service account's, or not good.
    Token,
    /// A budget is empty.
    TooMany(State),
    /// Nobody can tell at the moment, or nothing can be recorded.
    Unavailable,
    /// The registry of accounts said no.
    Account(AccountError),
}

#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Limited(#[from] Limited),
    #[error(transparent)]
    Token(#[from] NotGood),
    #[error("the token is not that of a service account")]
    NotAnAccount,
    #[error(transparent)]
    Audit(#[from] AuditUnavailable),
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl Counter {
    /// Has the token that is presented rotated. Whatever becomes of it, it leaves one record, with the token as it was and is.
    ///
    /// # Errors
    /// [`NotRotated`].
    #[allow(clippy::disallowed_methods, reason = "measures latency; decides nothing")]
    pub async fn rotate_own(
        &self,
        source: Source,
        token: &str,
        wish: RotateWish,
    ) -> Result<(Recorded, RotatedAccountToken), NotRotated> {
        let (now, began) = (self.clock().now(), Instant::now());
        let decision = self.decision_id(now);
        let mut trail = Trail::begin(self.journal(), decision, now, source.surface, Some(source.address));
        let mut passage = Passage::from(source.address);
        let rotated = self.rotated(&mut trail, &mut passage, token, wish).await;
        let recorded = Recorded { decision, budget: passage.tightest() };
        let stop = match rotated {
            Ok(made) => {
                trail.close(Outcome::Done, began.elapsed());
                return Ok((recorded, made));
            }
            Err(stop) => stop,
        };
        if let Stop::Limited(limited) = &stop {
            self.record_limited(trail, limited, now, began.elapsed());
            return Err(NotRotated { recorded, class: stop.class() });
        }
        let (reason, detail) = (stop.code(), Some(stop.to_string()));
        let class = stop.class();
        let outcome = match &class {
            NotRotatedClass::Unavailable => Outcome::Failed { reason, detail },
            _ => Outcome::Denied { reason, detail },
        };
        trail.close(outcome, began.elapsed());
        Err(NotRotated { recorded, class })
    }

    async fn rotated(
        &self,
        trail: &mut Trail,
        passage: &mut Passage,
        token: &str,
        wish: RotateWish,
    ) -> Result<RotatedAccountToken, Stop> {
        let now = self.clock().now();
        let bearer = self.bearer_within_budgets(passage, trail, token, now).await??;
        bearer.note(trail);
        let Bearer::Account(AccountBearer { acting, .. }) = bearer else { return Err(Stop::NotAnAccount) };
        trail.namespace(acting.namespace().map_or("", Namespace::as_str));
        let object = acting.token_id().map_or_else(String::new, |id| format!("tokens/{id}"));
        trail.acts("token.rotate_self", &object);
        trail.admit()?;
        let accounts = self.service_accounts()?;
        let made = accounts.rotate_self(&acting, wish, now).await?;
        trail.changed(Some(&made.old.described(now)), Some(&made.new.info.described(now)));
        Ok(made)
    }
}

impl Stop {
    fn code(&self) -> &'static str {
        match self {
            Self::Limited(limited) => limited.reason(),
            Self::Token(not_good) => not_good.code(),
            Self::NotAnAccount => "token_not_an_accounts",
            Self::Audit(_) => "audit_unavailable",
            Self::Account(error) => error.code(),
        }
    }

    fn class(self) -> NotRotatedClass {
        match self {
            Self::Limited(limited) => NotRotatedClass::TooMany(limited.state),
            Self::Token(not_good) if not_good.may_pass() => NotRotatedClass::Unavailable,
            Self::Token(_) | Self::NotAnAccount => NotRotatedClass::Token,
            Self::Audit(_) | Self::Account(AccountError::Database(_)) => NotRotatedClass::Unavailable,
            Self::Account(error) => NotRotatedClass::Account(error),
        }
    }
}
