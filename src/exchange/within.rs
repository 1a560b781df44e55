//! Where a path lies. Decides whether that is in the namespace of a token; refuses to know what is there.

use crate::identity::Namespace;

/// The path with its namespace before it.
pub(super) fn joined(namespace: &str, path: &str) -> String {
    if namespace.is_empty() { path.to_owned() } else { [namespace, "/", path].concat() }
}

/// The path within the token's namespace: of a request that names this namespace, beside the path, in it, or half here and
/// half there; or that names none at all.
pub(super) fn within(own: Option<&Namespace>, named: &str, path: &str) -> Option<String> {
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
}
