//! Why a role's program granted nothing, in cambio's words and in OpenBao's.
//!
//! Decides what may be kept: a message that stands in the program is policy text; one that the program made at run time
//! may hold claims, and is told only to whoever asked for the login. Refuses to be printed with it.

use std::fmt;

use crate::policy::fault::Fault;

/// Why a program granted nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The token is not meant for any of `bound_audiences`.
    #[error("the token is not meant for any of the role's `bound_audiences`")]
    Audience,
    /// The program answered `false`.
    #[error("the program answered `false`")]
    False,
    /// The program answered with a message.
    #[error("{0}")]
    Message(Said),
    /// The program answered with something that is no answer, `true` included.
    #[error("the program answered with a value of type `{cel}`, which is none of `false`, a message and `pb.Auth`")]
    Unexpected {
        /// CEL's name of the type.
        cel: Box<str>,
        /// Go's.
        go: &'static str,
    },
    /// An expression failed.
    #[error("{0}")]
    Failed(Fault),
    /// `lease_options` without an `issue_time`: OpenBao can't convert it.
    #[error("`lease_options` has no `issue_time`")]
    NoIssueTime,
    /// `root` among the policies.
    #[error("`root` cannot be granted")]
    Root,
    /// A field whose value nobody can act on.
    #[error("`{field}`: {why}")]
    Unusable {
        /// The field of `pb.Auth`.
        field: &'static str,
        /// Why.
        why: &'static str,
    },
    /// What the program asks for binds a token in a way that this surface does not hold.
    #[error("`{0}` asks for what this surface does not hold")]
    Unheld(&'static str),
}

/// A program's message.
#[derive(Clone, PartialEq, Eq)]
pub struct Said {
    text: Box<str>,
    is_literal: bool,
}

impl Said {
    pub(in crate::policy) fn new(text: &str, is_literal: bool) -> Self {
        Self { text: Box::from(text), is_literal }
    }

    /// The message. Only for whoever presented the token, unless it is a literal.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it stands in the program as it is, so that it holds no claims.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.is_literal
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_literal { &self.text } else { "a message that the program made from claims" })
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Said({self})")
    }
}

impl Refusal {
    /// A stable word, in snake case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Audience => "audience_not_bound",
            Self::False | Self::Message(_) => "role_denied",
            Self::Unexpected { .. } => "unexpected_result",
            Self::Failed(_) => "evaluation_error",
            Self::NoIssueTime | Self::Root | Self::Unusable { .. } | Self::Unheld(_) => "unusable_grant",
        }
    }

    /// The text with which OpenBao refuses the login. May hold claims: it is for whoever presented the token.
    #[must_use]
    pub fn login_error(&self, role: &str) -> String {
        match self {
            Self::Audience => {
                "error validating token: invalid audience (aud) claim: audience claim does not match any \
                               expected audience"
                    .to_owned()
            }
            Self::False => {
                format!(
                    "error executing cel program: CEL role '{role}' blocked authorization with boolean false return"
                )
            }
            Self::Message(said) => format!(
                "error executing cel program: CEL role '{role}' blocked authorization with message: {}",
                said.text()
            ),
            Self::Unexpected { go, .. } => {
                format!("error executing cel program: CEL program '{role}' returned unexpected type: {go}")
            }
            Self::Failed(fault) => format!("error executing cel program: CEL role auth program failed: {fault}"),
            Self::NoIssueTime => "error converting proto auth: proto: invalid nil Timestamp".to_owned(),
            Self::Root => "auth methods cannot create root tokens".to_owned(),
            Self::Unusable { .. } | Self::Unheld(_) => format!("error converting proto auth: {self}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(Refusal::False, "error executing cel program: CEL role 'r' blocked authorization with boolean false return")]
    #[case(
        Refusal::Message(Said::new("missing subject", true)),
        "error executing cel program: CEL role 'r' blocked authorization with message: missing subject"
    )]
    #[case(
        Refusal::Unexpected { cel: "bool".into(), go: "types.Bool" },
        "error executing cel program: CEL program 'r' returned unexpected type: types.Bool"
    )]
    #[case(
        Refusal::Audience,
        "error validating token: invalid audience (aud) claim: audience claim does not match any expected audience"
    )]
    fn a_login_is_refused_in_openbaos_words(#[case] refusal: Refusal, #[case] expected: &str) {
        assert_eq!(refusal.login_error("r"), expected);
    }

    #[test]
    fn a_message_with_claims_is_not_printed() {
        let refusal = Refusal::Message(Said::new("no access for alice", false));
        assert!(!format!("{refusal} {refusal:?}").contains("alice"));
        assert!(refusal.login_error("r").ends_with("no access for alice"));
    }
}
