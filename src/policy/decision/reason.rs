//! Why a request was denied.
//!
//! Decides the words for the operator, which hold nothing of a claim, and the code of each.

use std::sync::Arc;

use crate::identity::PolicyNameError;
use crate::policy::claims::ClaimsFault;
use crate::policy::fault::Fault;
use crate::policy::limits;
use crate::policy::role::Refusal;
use crate::policy::trace::Part;

/// Why a request was denied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The target has no rule for the token's issuer.
    #[error("the target has no rule for this issuer")]
    NoRuleForIssuer,
    /// No rule applied. Tells of the one that came furthest; the first of them where several did.
    #[error("rule `{rule}`, require[{condition}]: {message}")]
    ConditionsNotMet {
        /// The rule that came furthest.
        rule: Arc<str>,
        /// Its condition that did not hold, by index from 0.
        condition: u16,
        /// That condition's message.
        message: Arc<str>,
    },
    /// An expression failed.
    #[error("rule `{rule}`, {at}: {fault}")]
    EvaluationError {
        /// The rule.
        rule: Arc<str>,
        /// The expression.
        at: Part,
        /// What went wrong.
        fault: Fault,
    },
    /// An expression's value is of another type.
    #[error("rule `{rule}`, {at}: the value is of type `{got}`, not {expected}")]
    WrongType {
        /// The rule.
        rule: Arc<str>,
        /// The expression.
        at: Part,
        /// What was expected.
        expected: &'static str,
        /// The CEL type of the value.
        got: Box<str>,
    },
    /// A granted name is no policy name: a claim's value that was put into it has a character that names don't have.
    #[error("rule `{rule}`, {at}: {error}")]
    BadPolicyName {
        /// The rule.
        rule: Arc<str>,
        /// The expression.
        at: Part,
        /// Why.
        error: PolicyNameError,
    },
    /// All entries of the grant came out empty.
    #[error("rule `{rule}` granted no policies")]
    NoPolicies {
        /// The rule.
        rule: Arc<str>,
    },
    /// More policies than a token carries.
    #[error("rule `{rule}` granted more than {} policies", limits::POLICIES)]
    TooManyPolicies {
        /// The rule.
        rule: Arc<str>,
    },
    /// A metadata value longer than its bound.
    #[error("rule `{rule}`, {at}: the value has more than {} bytes", limits::METADATA_BYTES)]
    MetadataTooLong {
        /// The rule.
        rule: Arc<str>,
        /// The expression.
        at: Part,
    },
    /// The program of an OpenBao role granted nothing.
    #[error("role `{rule}`: {refusal}")]
    Refused {
        /// The role.
        rule: Arc<str>,
        /// Why.
        refusal: Refusal,
    },
    /// The claims exceed the bounds that costs are computed from.
    #[error("{0}")]
    ClaimsOutOfBounds(ClaimsFault),
}

impl Reason {
    /// A stable word, in snake case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoRuleForIssuer => "no_rule_for_issuer",
            Self::ConditionsNotMet { .. } => "conditions_not_met",
            Self::EvaluationError { .. } => "evaluation_error",
            Self::WrongType { .. } => "wrong_type",
            Self::BadPolicyName { .. } => "bad_policy_name",
            Self::NoPolicies { .. } => "no_policies",
            Self::TooManyPolicies { .. } => "too_many_policies",
            Self::MetadataTooLong { .. } => "metadata_too_long",
            Self::Refused { refusal, .. } => refusal.code(),
            Self::ClaimsOutOfBounds(_) => "claims_out_of_bounds",
        }
    }

    /// The text with which OpenBao refuses a login for this reason. May hold claims: it is for whoever presented the token.
    #[must_use]
    pub fn login_error(&self) -> String {
        match self {
            Self::Refused { rule, refusal } => refusal.login_error(rule),
            Self::EvaluationError { rule, fault, .. } => Refusal::Failed(fault.clone()).login_error(rule),
            other => format!("error executing cel program: {other}"),
        }
    }
}
