//! The names of policies that a secrets token carries, e.g. `pipelines/protected/env/70726f64756374696f6e`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::AccountName;

/// What the name of a service account's policy begins with. No document and no rule may write such a name: whoever acts as an
/// account does so because a rule says `service_account`, or because it has the account's token.
const OF_ACCOUNTS: &str = "service-accounts/";

/// A policy name: segments of lower-case letters, digits, `_`, `-` and `.` between single slashes, 1 to 640 bytes:
/// room for the hex of GitLab's longest environment name, 255 characters.
///
/// OpenBao lower-cases policy names, so upper case is refused instead of silently changed; `root` is refused as OpenBao
/// refuses it. The grammar is checked after evaluation: a claim that holds `/` or `..` could otherwise walk the path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicyName(Box<str>);

/// Why a text is no policy name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyNameError {
    /// Nothing there: an empty claim was templated into it.
    #[error("a policy name may not be empty")]
    Empty,
    /// More than 640 bytes.
    #[error("a policy name has at most 640 bytes")]
    TooLong,
    /// Outside the grammar.
    #[error("a policy name has only lower-case letters, digits, `_`, `-`, `.` and single `/` between segments")]
    Character,
    /// An empty, `.` or `..` segment.
    #[error("a policy name has no empty, `.` or `..` segment")]
    Segment,
    /// The name of OpenBao's superuser policy.
    #[error("`root` cannot be granted")]
    Root,
    /// The name of a service account's policy.
    #[error("`service-accounts/` begins the policies of service accounts: a rule grants one with `service_account`")]
    Reserved,
}

impl PolicyName {
    /// Checks `text`, as an operator or a claim has it, against the grammar.
    ///
    /// # Errors
    /// [`PolicyNameError`] names the first fault; it never quotes the text, which may hold a claim.
    pub fn new(text: &str) -> Result<Self, PolicyNameError> {
        if text.starts_with(OF_ACCOUNTS) {
            return Err(PolicyNameError::Reserved);
        }
        Self::checked(text)
    }

    /// The policy that stands for what a service account may do.
    #[must_use]
    pub fn of_account(account: &AccountName) -> Self {
        Self([OF_ACCOUNTS, account.as_str()].concat().into_boxed_str())
    }

    /// The service account that it stands for, if it does.
    #[must_use]
    pub fn account(&self) -> Option<AccountName> {
        AccountName::new(self.0.strip_prefix(OF_ACCOUNTS)?).ok()
    }

    /// Whether it stands for what a service account may do.
    #[must_use]
    pub fn is_of_account(&self) -> bool {
        self.0.starts_with(OF_ACCOUNTS)
    }

    fn checked(text: &str) -> Result<Self, PolicyNameError> {
        if text.is_empty() {
            return Err(PolicyNameError::Empty);
        }
        if text.len() > 640 {
            return Err(PolicyNameError::TooLong);
        }
        if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-./".contains(&b)) {
            return Err(PolicyNameError::Character);
        }
        if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(PolicyNameError::Segment);
        }
        if text == "root" {
            return Err(PolicyNameError::Root);
        }
        Ok(Self(Box::from(text)))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads back what was written here: the policies of our own tokens, those of service accounts among them.
impl TryFrom<String> for PolicyName {
    type Error = PolicyNameError;
    fn try_from(text: String) -> Result<Self, PolicyNameError> {
        Self::checked(&text)
    }
}

impl From<PolicyName> for String {
    fn from(name: PolicyName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("pipelines/protected/env/70726f64756374696f6e", Ok(()))]
    #[case("default", Ok(()))]
    #[case("", Err(PolicyNameError::Empty))]
    #[case("root", Err(PolicyNameError::Root))]
    #[case("service-accounts/reports", Err(PolicyNameError::Reserved))]
    #[case("service-accounts/", Err(PolicyNameError::Reserved))]
    #[case("service-accounts", Ok(()))]
    #[case("teams/service-accounts/reports", Ok(()))]
    #[case("env/../admin", Err(PolicyNameError::Segment))]
    #[case("env//x", Err(PolicyNameError::Segment))]
    #[case("env/", Err(PolicyNameError::Segment))]
    #[case("env/Production", Err(PolicyNameError::Character))]
    #[case("env/*", Err(PolicyNameError::Character))]
    #[case("env/é", Err(PolicyNameError::Character))]
    #[case("env/a b", Err(PolicyNameError::Character))]
    fn a_policy_name_keeps_its_grammar(#[case] text: &str, #[case] expected: Result<(), PolicyNameError>) {
        assert_eq!(PolicyName::new(text).map(|_| ()), expected);
    }

    #[test]
    fn the_policy_of_an_account_is_read_back_from_our_own_tokens() {
        let account = AccountName::new("reports").unwrap();
        let policy = PolicyName::of_account(&account);
        assert_eq!((policy.as_str(), policy.account()), ("service-accounts/reports", Some(account)));
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<PolicyName>(&text).unwrap(), policy);
        assert_eq!(PolicyName::new("pipelines/global").unwrap().account(), None);
    }
}
