//! What an administrator is told where nothing was done, once for every reason.

use std::time::Duration;

use axum::body::Body;
use axum::http::Response;

use crate::accounts::AccountError;
use crate::exchange::{NotPermitted, NotPermittedClass, Permitted};
use crate::http::rest::answer::Decided;
use crate::http::rest::problem::{Kind, Problem};

pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A refusal that is on record.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) decision: Decided,
    pub(super) problem: Problem,
}

impl Refusal {
    /// Of an action that is not allowed.
    pub(super) fn not_permitted(refused: NotPermitted, had_token: bool) -> Self {
        let problem = match refused.class {
            NotPermittedClass::Token if !had_token => Kind::NoToken.into(),
            NotPermittedClass::Token => Kind::BadToken.into(),
            NotPermittedClass::Forbidden => Kind::Forbidden.into(),
            NotPermittedClass::TooMany(state) => Kind::TooMany(state.retry_after).into(),
            NotPermittedClass::Unavailable => Kind::Unavailable(RETRY_AFTER).into(),
        };
        Self { decision: refused.recorded.into(), problem }
    }

    /// Of an action that is allowed and can't be done.
    pub(super) fn of(permitted: Permitted<'_>, reason: &'static str, problem: Problem) -> Self {
        let detail = problem.detail.clone().unwrap_or_default();
        let failed = matches!(problem.kind, Kind::Unavailable(_) | Kind::Fault);
        Self { decision: permitted.not_done(reason, detail, failed).into(), problem }
    }

    /// Of an action that the registry of accounts did not carry out.
    pub(super) fn account(permitted: Permitted<'_>, error: &AccountError) -> Self {
        let (code, problem) = (error.code(), problem_of(error));
        let failed = matches!(problem.kind, Kind::Unavailable(_) | Kind::Fault);
        Self { decision: permitted.not_done(code, error, failed).into(), problem }
    }

    /// Of an action for which cambio has not what it takes.
    pub(super) fn off(permitted: Permitted<'_>) -> Self {
        let detail = "there are no service accounts here: no database is configured for them";
        Self::of(permitted, "service_accounts_off", Problem { kind: Kind::NotFound, detail: Some(detail.into()) })
    }

    pub(super) fn response(self) -> Response<Body> {
        self.problem.response(self.decision)
    }
}

impl From<NotPermitted> for Refusal {
    fn from(refused: NotPermitted) -> Self {
        Self::not_permitted(refused, true)
    }
}

/// What is wrong, for whoever manages accounts: the registry's own words, which quote nothing secret.
pub(super) fn problem_of(error: &AccountError) -> Problem {
    let kind = match error {
        AccountError::NotFound(_) => Kind::NotFound,
        AccountError::NameTaken
        | AccountError::Changed
        | AccountError::Rotated(_)
        | AccountError::NotGood(_)
        | AccountError::TooManyTokens(_)
        | AccountError::NothingPending => Kind::Conflict,
        AccountError::SamePerson => Kind::Forbidden,
        AccountError::Invalid { .. } | AccountError::Grants(_) => Kind::BadRequest,
        AccountError::Randomness(_) => Kind::Fault,
        AccountError::Database(_) => Kind::Unavailable(RETRY_AFTER),
    };
    match error {
        AccountError::Randomness(_) | AccountError::Database(_) => kind.into(),
        told => Problem { kind, detail: Some(told.to_string().into()) },
    }
}
