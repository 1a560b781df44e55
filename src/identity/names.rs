//! The operator's names: issuers, targets, namespaces. ASCII, bounded, comparable byte by byte.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("a name may not be empty")]
    Empty,
    /// Longer than the bound of its kind.
    #[error("the name is {0} bytes long, at most {1} are allowed")]
    TooLong(usize, usize),
    /// A character outside the grammar of its kind.
    #[error("the character {0:?} is not allowed in {1}")]
    Character(char, &'static str),
    /// An empty, `.` or `..` segment between slashes.
    #[error("empty, `.` and `..` segments are not allowed")]
    Segment,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` against the grammar of this kind of name.
            ///
            /// # Errors
            /// [`NameError`] names the first fault.
            pub fn new(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(Arc::from(text)))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The operator's name of a trusted issuer: lower-case letters, digits and `-`, 1 to 63 bytes (as a DNS-1123 label).
    /// It prefixes every subject that the issuer vouches for, so it never contains a `:`.
    IssuerName, check_label
}

name! {
    /// What a token is asked for (RFC 8693 `audience`, the role of a Vault login): letters, digits and `-._~/:`, 1 to
    /// 255 bytes, no empty, `.` or `..` segment.
    TargetName, check_target
}

name! {
    /// Where a target's secrets live, e.g. `group_100/group_200`: segments of letters, digits, `_`, `-` and `.`, 1 to
    /// 255 bytes, no empty, `.` or `..` segment.
    Namespace, check_namespace
}

name! {
    /// The name of a service account, unique in its namespace: lower-case letters, digits and `-`, 1 to 63 bytes, with a
    /// letter or digit at both ends (a DNS-1123 label). It is the last segment of a policy's name, and the subject of tokens.
    AccountName, check_account
}

impl IssuerName {
    /// The name under which service accounts vouch for themselves. No issuer of the configuration can have it.
    pub const SERVICE_ACCOUNTS: &str = "service-accounts";

    /// [`Self::SERVICE_ACCOUNTS`].
    #[must_use]
    pub fn of_service_accounts() -> Self {
        Self(Arc::from(Self::SERVICE_ACCOUNTS))
    }

    /// Whether service accounts vouch for themselves.
    #[must_use]
    pub fn is_of_service_accounts(&self) -> bool {
        &*self.0 == Self::SERVICE_ACCOUNTS
    }
}

fn check_label(text: &str) -> Result<(), NameError> {
    label(text, "an issuer name (lower-case letters, digits, `-`)")
}

fn check_account(text: &str) -> Result<(), NameError> {
    let kind = "a service account's name (lower-case letters, digits, and `-` between them)";
    label(text, kind)?;
    if text.starts_with('-') || text.ends_with('-') { Err(NameError::Character('-', kind)) } else { Ok(()) }
}

fn label(text: &str, kind: &'static str) -> Result<(), NameError> {
    bounded(text, 63)?;
    characters(text, kind, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn check_target(text: &str) -> Result<(), NameError> {
    bounded(text, 255)?;
    characters(text, "a target name (letters, digits, `-._~/:`)", |c| {
        c.is_ascii_alphanumeric() || "-._~/:".contains(c)
    })?;
    segments(text)
}

fn check_namespace(text: &str) -> Result<(), NameError> {
    bounded(text, 255)?;
    characters(text, "a namespace (letters, digits, `_-.` and `/` between segments)", |c| {
        c.is_ascii_alphanumeric() || "_-./".contains(c)
    })?;
    segments(text)
}

fn bounded(text: &str, most: usize) -> Result<(), NameError> {
    match text.len() {
        0 => Err(NameError::Empty),
        long if long > most => Err(NameError::TooLong(long, most)),
        _ => Ok(()),
    }
}

fn characters(text: &str, kind: &'static str, allowed: impl Fn(char) -> bool) -> Result<(), NameError> {
    match text.chars().find(|c| !allowed(*c)) {
        Some(odd) => Err(NameError::Character(odd, kind)),
        None => Ok(()),
    }
}

fn segments(text: &str) -> Result<(), NameError> {
    if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(NameError::Segment);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("prod-eu-1")]
    #[case("a")]
    fn an_issuer_name_is_a_dns_label(#[case] text: &str) {
        assert_eq!(IssuerName::new(text).unwrap().as_str(), text);
    }

    #[rstest]
    #[case("", NameError::Empty)]
    #[case("Prod", NameError::Character('P', "an issuer name (lower-case letters, digits, `-`)"))]
    #[case("a:b", NameError::Character(':', "an issuer name (lower-case letters, digits, `-`)"))]
    fn an_issuer_name_outside_the_grammar_is_refused(#[case] text: &str, #[case] error: NameError) {
        assert_eq!(IssuerName::new(text).unwrap_err(), error);
    }

    #[rstest]
    #[case("reports", true)]
    #[case("a-1", true)]
    #[case("", false)]
    #[case("-a", false)]
    #[case("a-", false)]
    #[case("Reports", false)]
    #[case("a/b", false)]
    #[case("a.b", false)]
    #[case("a:b", false)]
    fn a_service_account_has_the_name_of_a_dns_label(#[case] text: &str, #[case] fine: bool) {
        assert_eq!(AccountName::new(text).is_ok(), fine);
        assert!(AccountName::new(&"a".repeat(64)).is_err());
    }

    #[rstest]
    #[case("group_100/group_200", true)]
    #[case("group_100//x", false)]
    #[case("../x", false)]
    #[case("/x", false)]
    #[case("x/", false)]
    fn a_namespace_has_no_odd_segments(#[case] text: &str, #[case] fine: bool) {
        assert_eq!(Namespace::new(text).is_ok(), fine);
    }
}
