//! Whose a Secret is. Decides by the server's configuration, and where that is silent and trusts them, by the Secret's own
//! labels; by nothing that the caller says.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{SecretName, is_label_value};
use super::settings::{KubernetesSettings, LabelNames};
use crate::identity::Namespace;
use crate::secrets::KvError;

/// What the configuration says about a Secret and a caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Assigned<'s> {
    /// The caller's: these keys.
    Own(Keys<'s>),
    /// Nothing; the labels decide.
    ByLabels(&'s LabelNames),
}

/// Keys of a Secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Keys<'s> {
    All,
    Only(BTreeSet<&'s str>),
}

impl Keys<'_> {
    pub(super) fn contain(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(keys) => keys.contains(key),
        }
    }
}

/// What the configuration says. A Secret that it lists is not judged by labels: whoever may label it gains nothing.
pub(super) fn configured<'s>(
    settings: &'s KubernetesSettings,
    secret: &SecretName,
    caller: Option<&Namespace>,
    purpose: &str,
) -> Result<Assigned<'s>, KvError> {
    let mut listed = settings.secrets.iter().filter(|assigned| assigned.secret == *secret).peekable();
    if listed.peek().is_none() {
        let labels = settings.labels.as_ref();
        return labels.map(Assigned::ByLabels).ok_or(KvError::Refused("the configuration does not list the Secret"));
    }
    let mut of_caller =
        listed.filter(|assigned| assigned.tenants.iter().any(|tenant| tenant.0.as_ref() == caller)).peekable();
    if of_caller.peek().is_none() {
        return Err(KvError::Refused("the Secret is not of the caller's namespace"));
    }
    let mut keys = None;
    for assigned in of_caller.filter(|assigned| assigned.purposes.contains(purpose)) {
        match (&assigned.keys, keys.get_or_insert_with(|| Keys::Only(BTreeSet::new()))) {
            (None, keys) => *keys = Keys::All,
            (Some(more), Keys::Only(keys)) => keys.extend(more.iter().map(String::as_str)),
            (Some(_), Keys::All) => {}
        }
    }
    keys.map(Assigned::Own).ok_or(KvError::Refused("the Secret is there for another purpose"))
}

/// What the Secret's labels say. Both must be there.
pub(super) fn labelled(
    names: &LabelNames,
    labels: &BTreeMap<String, String>,
    caller: Option<&Namespace>,
    purpose: &str,
) -> Result<(), KvError> {
    let Some(caller) = caller else {
        return Err(KvError::Refused("no label assigns a Secret to the root namespace; list it in the configuration"));
    };
    let Some(own) = as_label(caller) else {
        return Err(KvError::Refused(
            "the caller's namespace cannot be told in a label; list its Secrets in the configuration",
        ));
    };
    if labels.get(&names.tenant) != Some(&own) {
        return Err(KvError::Refused("the Secret's label does not name the caller's namespace"));
    }
    if labels.get(&names.purpose).map(String::as_str) != Some(purpose) {
        return Err(KvError::Refused("the Secret's label does not name the purpose"));
    }
    Ok(())
}

/// A namespace as the value of a label, which has no `/`: it is written `.`. A namespace with a `.` of its own could be
/// taken for another, so it has no such form; nor has one that Kubernetes would refuse.
fn as_label(namespace: &Namespace) -> Option<String> {
    let text = namespace.as_str();
    let value = text.replace('/', ".");
    (!text.contains('.') && is_label_value(&value)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const SETTINGS: &str = "
name: main
secrets:
  - {secret: team-a/db, keys: [password], tenants: [a]}
  - {secret: team-a/db, keys: [user], tenants: [a, b/c]}
  - {secret: team-a/db, tenants: ['']}
  - {secret: team-a/hmac, keys: [key], tenants: [a], purposes: [hmac]}
";

    fn decided<'s>(
        settings: &'s KubernetesSettings,
        secret: &str,
        caller: &str,
        purpose: &str,
    ) -> Result<Assigned<'s>, KvError> {
        let caller = (!caller.is_empty()).then(|| Namespace::new(caller).unwrap());
        configured(settings, &SecretName::parse(secret).unwrap(), caller.as_ref(), purpose)
    }

    #[test]
    fn the_configuration_assigns_keys_to_namespaces() {
        let settings: KubernetesSettings = serde_saphyr::from_str(SETTINGS).unwrap();
        let only = |keys: &[&'static str]| Ok(Assigned::Own(Keys::Only(keys.iter().copied().collect())));
        assert_eq!(decided(&settings, "team-a/db", "a", "read"), only(&["password", "user"]));
        assert_eq!(decided(&settings, "team-a/db", "b/c", "read"), only(&["user"]));
        assert_eq!(decided(&settings, "team-a/db", "", "read"), Ok(Assigned::Own(Keys::All)));
        assert_eq!(decided(&settings, "team-a/hmac", "a", "hmac"), only(&["key"]));
    }

    #[rstest]
    #[case("team-a/db", "b", "read")] // a part of a namespace
    #[case("team-a/db", "b/c/d", "read")]
    #[case("team-a/db", "A", "read")]
    #[case("team-a/db", "a", "hmac")]
    #[case("team-a/db", "", "hmac")]
    #[case("team-a/hmac", "a", "read")]
    #[case("team-a/hmac", "", "hmac")]
    #[case("team-b/db", "a", "read")]
    #[case("team-a/other", "a", "read")]
    fn nothing_else_is_anybodys(#[case] secret: &str, #[case] caller: &str, #[case] purpose: &str) {
        let settings: KubernetesSettings = serde_saphyr::from_str(SETTINGS).unwrap();
        assert!(matches!(decided(&settings, secret, caller, purpose), Err(KvError::Refused(_))));
    }

    #[test]
    fn labels_never_widen_what_the_configuration_says() {
        let settings: KubernetesSettings = serde_saphyr::from_str(&format!("{SETTINGS}labels: {{}}\n")).unwrap();
        assert!(matches!(decided(&settings, "team-a/db", "z", "read"), Err(KvError::Refused(_))));
        assert!(matches!(decided(&settings, "team-a/other", "z", "read"), Ok(Assigned::ByLabels(_))));
    }

    #[rstest]
    #[case("group_100/group_200", "group_100.group_200", "read", true)]
    #[case("a", "a", "read", true)]
    #[case("a", "a", "hmac", false)]
    #[case("a", "b", "read", false)]
    #[case("a", "", "read", false)]
    #[case("", "", "read", false)] // an empty label is mostly a template that went wrong
    #[case("a.b", "a.b", "read", false)] // or is that `a/b`?
    #[case("a/b.c", "a.b.c", "read", false)]
    #[case("_a", "_a", "read", false)] // no label is like that
    fn labels_assign_a_secret_to_one_namespace(
        #[case] caller: &str,
        #[case] tenant: &str,
        #[case] purpose: &str,
        #[case] own: bool,
    ) {
        let names = LabelNames::default();
        let labels = [(names.tenant.clone(), tenant.to_owned()), (names.purpose.clone(), purpose.to_owned())].into();
        let caller = (!caller.is_empty()).then(|| Namespace::new(caller).unwrap());
        assert_eq!(labelled(&names, &labels, caller.as_ref(), "read").is_ok(), own);
    }

    #[rstest]
    #[case("cambio.dev/tenant")]
    #[case("cambio.dev/purpose")]
    fn a_missing_label_assigns_to_nobody(#[case] missing: &str) {
        let names = LabelNames::default();
        let mut labels: BTreeMap<String, String> =
            [(names.tenant.clone(), "a".to_owned()), (names.purpose.clone(), "read".to_owned())].into();
        let caller = Namespace::new("a").unwrap();
        assert_eq!(labelled(&names, &labels, Some(&caller), "read"), Ok(()));
        labels.remove(missing);
        assert!(labelled(&names, &labels, Some(&caller), "read").is_err());
    }

    proptest! {
        #[test]
        fn no_two_namespaces_have_one_label(one in "[a-b./]{1,6}", other in "[a-b./]{1,6}") {
            let label = |text: &str| Namespace::new(text).ok().as_ref().and_then(as_label);
            if let (Some(its), Some(others)) = (label(&one), label(&other)) {
                prop_assert_eq!(one == other, its == others);
            }
        }
    }
}
