//! How a request names a namespace. Decides whether the path that it asks for lies in the one that its token opens, and
//! where in it; a token opens no other.

use crate::identity::Namespace;

/// How the namespace that a request names beside its path is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The request may name it there, in the path, half here and half there, or not at all, as clients of the Vault API do.
    Loose,
    /// It is the whole of it, and the root's where it is empty: the path has no part of it.
    Exact,
    /// It stands for a place that there is none of.
    Unknown,
}

impl Naming {
    /// The path in the namespace `own` that a request for `path` means; none where it means one elsewhere.
    pub(super) fn path(self, own: Option<&Namespace>, named: &str, path: &str) -> Option<String> {
        match self {
            Self::Loose => within(own, named, path),
            Self::Exact => (own.map_or("", Namespace::as_str) == named).then(|| path.to_owned()),
            Self::Unknown => None,
        }
    }
}

/// As one text, for the record.
pub(super) fn joined(namespace: &str, path: &str) -> String {
    if namespace.is_empty() { path.to_owned() } else { [namespace, "/", path].concat() }
}

/// The path within the token's namespace: of a request that names this namespace, beside the path, in it, or half here and
/// half there; or that names none at all.
fn within(own: Option<&Namespace>, named: &str, path: &str) -> Option<String> {
    let whole = joined(named, path);
    let Some(own) = own else { return named.is_empty().then_some(whole) };
    match whole.strip_prefix(own.as_str()).and_then(|rest| rest.strip_prefix('/')) {
        Some(rest) => Some(rest.to_owned()),
        None => named.is_empty().then_some(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, "", "secret/data/a", Some("secret/data/a"))]
    #[case(None, "n", "secret/data/a", None)]
    #[case(Some("n/m"), "", "secret/data/a", Some("secret/data/a"))]
    #[case(Some("n/m"), "n/m", "secret/data/a", Some("secret/data/a"))]
    #[case(Some("n/m"), "n", "m/secret/data/a", Some("secret/data/a"))]
    #[case(Some("n/m"), "", "n/m/secret/data/a", Some("secret/data/a"))]
    #[case(Some("n/m"), "n", "secret/data/a", None)]
    #[case(Some("n/m"), "n/o", "secret/data/a", None)]
    #[case(Some("n/m"), "n/mm", "secret/data/a", None)]
    #[case(Some("n/m"), "n/m/o", "secret/data/a", Some("o/secret/data/a"))]
    #[case(Some("n/m"), "N/M", "secret/data/a", None)]
    fn a_token_opens_no_namespace_but_its_own(
        #[case] own: Option<&str>,
        #[case] named: &str,
        #[case] path: &str,
        #[case] expected: Option<&str>,
    ) {
        let own = own.map(|own| Namespace::new(own).unwrap());
        assert_eq!(within(own.as_ref(), named, path).as_deref(), expected);
    }

    #[rstest]
    #[case(Some("n/m"), "n/m", Some("secret/data/a"))]
    #[case(Some("n/m"), "", None)]
    #[case(Some("n/m"), "n", None)]
    #[case(Some("n/m"), "n/m/o", None)]
    #[case(None, "", Some("secret/data/a"))]
    #[case(None, "n/m", None)]
    fn a_namespace_that_is_named_exactly_is_the_tokens_or_none(
        #[case] own: Option<&str>,
        #[case] named: &str,
        #[case] expected: Option<&str>,
    ) {
        let own = own.map(|own| Namespace::new(own).unwrap());
        assert_eq!(Naming::Exact.path(own.as_ref(), named, "secret/data/a").as_deref(), expected);
        assert_eq!(Naming::Unknown.path(own.as_ref(), named, "secret/data/a"), None);
    }

    #[test]
    fn a_path_that_begins_like_the_namespace_is_not_shortened_where_it_is_named_exactly() {
        let own = Namespace::new("n").unwrap();
        assert_eq!(Naming::Exact.path(Some(&own), "n", "n/data/a").as_deref(), Some("n/data/a"));
    }
}
