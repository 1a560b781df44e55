//! The one name of an account among all of them.

use std::fmt;

use crate::identity::{AccountName, Namespace};

/// An account's name with its namespace before it: `group_1/ci`, and `ci` in the root. No two accounts have the same, as a name
/// has no slash: the last one ends the namespace. It is the subject of the account's tokens, so that what is counted, recorded
/// or decided for one tenant's `ci` is never another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullName {
    /// The namespace; none for the root.
    pub namespace: Option<Namespace>,
    /// The name in it.
    pub name: AccountName,
}

impl FullName {
    /// Reads what [`Display`](fmt::Display) writes; none where `text` names no account that there could be.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = match text.rsplit_once('/') {
            Some((namespace, name)) => (Some(Namespace::new(namespace).ok()?), name),
            None => (None, text),
        };
        Some(Self { namespace, name: AccountName::new(name).ok()? })
    }
}

impl fmt::Display for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(self.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::root("ci", None)]
    #[case::namespace("group_1/ci", Some("group_1"))]
    #[case::deep("group_1/ci/ci", Some("group_1/ci"))]
    fn a_full_name_is_read_as_it_is_written(#[case] text: &str, #[case] namespace: Option<&str>) {
        let read = FullName::parse(text).unwrap();
        assert_eq!((read.namespace.as_ref().map(Namespace::as_str), read.name.as_str()), (namespace, "ci"));
        assert_eq!(read.to_string(), text);
    }

    #[rstest]
    #[case::nothing("")]
    #[case::no_name("group_1/")]
    #[case::no_namespace("/ci")]
    #[case::the_roots_word("@root/ci")]
    #[case::not_a_name("group_1/CI")]
    #[case::above("../ci")]
    fn what_names_no_account_is_refused(#[case] text: &str) {
        assert_eq!(FullName::parse(text), None);
    }
}
