//! What a service account may do, as rules.
//!
//! Decides which paths of the API a permission opens, by the mounts as they are: `secret/app/*` for reading is
//! `secret/data/app/*`, `secret/metadata/app/*` and `secret/subkeys/app/*` where the mount speaks version 2. Refuses to know who
//! acts as the account.
//!
//! Permissions add up: what a wider pattern allows, a narrower one beside it does not take away. Access documents have it
//! otherwise (the pattern of the highest priority counts alone), so each pattern is given what all those that cover it say.

use std::collections::BTreeSet;

use super::capability::{Capabilities, Capability};
use super::check::Acl;
use super::pattern::Pattern;
use super::policy::Policy;
use super::rule::Rule;
use crate::accounts::{Grants, SecretAccess, SecretsPattern};
use crate::identity::{AccountName, Namespace, PolicyName};
use crate::secrets::{KvVersion, Mounts};

/// What a service account may do.
#[derive(Debug)]
pub struct AccountRules(Policy);

impl AccountRules {
    /// What `grants` come to for an account in that namespace. A permission for a path in no mount opens nothing.
    #[must_use]
    pub fn new(name: &AccountName, namespace: Option<&Namespace>, grants: &Grants, mounts: &Mounts) -> Self {
        let patterns: BTreeSet<&SecretsPattern> = grants.permissions.iter().map(|one| &one.secrets).collect();
        let mut rules = vec![];
        for pattern in patterns {
            let Some((mount, rest)) = mounts.find(namespace, pattern.as_str()) else { continue };
            let accesses: Vec<SecretAccess> = grants.accesses_of(pattern).collect();
            for (endpoint, capabilities) in opened(mount.version, &accesses, rest) {
                let path = [mount.path.as_str(), endpoint, rest].concat();
                // A pattern that access documents do not take opens nothing.
                if let Ok(pattern) = Pattern::new(&path) {
                    rules.push((pattern, Rule { capabilities, ..Rule::default() }));
                }
            }
        }
        Self(Policy::new(&PolicyName::of_account(name), rules))
    }
}

impl<'a> Acl<'a> {
    /// The same, and what these service accounts may do.
    #[must_use]
    pub fn and(mut self, accounts: &'a [AccountRules]) -> Self {
        self.policies.extend(accounts.iter().map(|rules| &rules.0));
        self
    }
}

/// The endpoints of a mount that are opened, each between the mount's path and the secret's, and for what.
fn opened(version: KvVersion, accesses: &[SecretAccess], rest: &str) -> Vec<(&'static str, Capabilities)> {
    use Capability::{Create, Delete, List, Patch, Read, Scan, Update};
    let some = |wanted: SecretAccess, capabilities: &[Capability]| {
        let granted = if accesses.contains(&wanted) { capabilities } else { &[] };
        granted.iter().copied().collect::<Capabilities>()
    };
    let (read, list, write) = (SecretAccess::Read, SecretAccess::List, SecretAccess::Write);
    // A scan tells all that is below a folder: no less than a pattern for all of it allows that.
    let listed = some(list, if rest.ends_with('*') { &[List, Scan] } else { &[List] });
    let all = match version {
        KvVersion::V1 => vec![("/", some(read, &[Read]).and(listed).and(some(write, &[Create, Update, Delete])))],
        KvVersion::V2 => vec![
            ("/data/", some(read, &[Read]).and(some(write, &[Create, Update, Patch, Delete]))),
            ("/metadata/", some(read, &[Read]).and(listed)),
            ("/subkeys/", some(read, &[Read])),
            ("/delete/", some(write, &[Update])),
            ("/undelete/", some(write, &[Update])),
        ],
    };
    all.into_iter().filter(|(_, capabilities)| !capabilities.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::secrets::acl::AclDocuments;
    use crate::secrets::{Mount, MountPath, Reach, Store};
    use crate::trust::Fetcher;
    use rstest::rstest;
    use serde_json::{Value, json};
    use std::sync::Arc;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    /// What answers does not matter here, only where.
    fn mounts() -> Mounts {
        let settings = serde_json::from_value(json!({"name": "bao", "address": "http://127.0.0.1:1"})).unwrap();
        let store = Arc::new(crate::secrets::openbao::OpenBaoStore::new(settings, Fetcher::new()).unwrap());
        let mount = |path: &str, reach: Reach, version| Mount {
            path: MountPath::new(path).unwrap(),
            reach,
            version,
            store: Store::OpenBao(Arc::clone(&store)),
        };
        let elsewhere = Reach::Only(Some(Namespace::new("other").unwrap()));
        Mounts::new(vec![
            mount("secret", Reach::Every, KvVersion::V2),
            mount("kv", Reach::Every, KvVersion::V1),
            mount("secrets/kv", Reach::Every, KvVersion::V2),
            mount("theirs", elsewhere, KvVersion::V2),
        ])
        .unwrap()
    }

    fn allows(permissions: &[&str], path: &str, capability: Capability) -> bool {
        let one = |text: &&str| {
            let (secrets, access) = text.split_once(' ').unwrap_or((text, "read"));
            json!({"secrets": secrets, "access": access})
        };
        let permissions: Vec<Value> = permissions.iter().map(one).collect();
        let grants: Grants = serde_json::from_value(json!({"permissions": permissions})).unwrap();
        let namespace = Namespace::new("group_1").unwrap();
        let rules = [AccountRules::new(&AccountName::new("a").unwrap(), Some(&namespace), &grants, &mounts())];
        let documents = AclDocuments::empty();
        documents.of(Some(&namespace), &[]).and(&rules).check(path, capability, NOW).is_ok()
    }

    #[rstest]
    #[case::value(&["secret/app/*"], "secret/data/app/db", Capability::Read, true)]
    #[case::metadata(&["secret/app/*"], "secret/metadata/app/db", Capability::Read, true)]
    #[case::subkeys(&["secret/app/*"], "secret/subkeys/app/db", Capability::Read, true)]
    #[case::sibling(&["secret/app/*"], "secret/data/apple", Capability::Read, false)]
    #[case::above(&["secret/app/*"], "secret/data/app", Capability::Read, false)]
    #[case::reading_lists_nothing(&["secret/app/*"], "secret/metadata/app/", Capability::List, false)]
    #[case::reading_writes_nothing(&["secret/app/*"], "secret/data/app/db", Capability::Update, false)]
    #[case::reading_deletes_nothing(&["secret/app/*"], "secret/data/app/db", Capability::Delete, false)]
    #[case::reading_undeletes_nothing(&["secret/app/*"], "secret/undelete/app/db", Capability::Update, false)]
    #[case::list(&["secret/app/* list"], "secret/metadata/app/", Capability::List, true)]
    #[case::scan(&["secret/app/* list"], "secret/metadata/app/", Capability::Scan, true)]
    #[case::no_scan_of_one(&["secret/app list"], "secret/metadata/app/", Capability::Scan, false)]
    #[case::listing_reads_nothing(&["secret/app/* list"], "secret/data/app/db", Capability::Read, false)]
    #[case::listing_reads_no_metadata(&["secret/app/* list"], "secret/metadata/app/db", Capability::Read, false)]
    #[case::write(&["secret/app/* write"], "secret/data/app/db", Capability::Create, true)]
    #[case::patch(&["secret/app/* write"], "secret/data/app/db", Capability::Patch, true)]
    #[case::delete(&["secret/app/* write"], "secret/data/app/db", Capability::Delete, true)]
    #[case::undelete(&["secret/app/* write"], "secret/undelete/app/db", Capability::Update, true)]
    #[case::writing_reads_nothing(&["secret/app/* write"], "secret/data/app/db", Capability::Read, false)]
    #[case::writing_destroys_nothing(&["secret/app/* write"], "secret/destroy/app/db", Capability::Update, false)]
    #[case::writing_keeps_history(&["secret/app/* write"], "secret/metadata/app/db", Capability::Delete, false)]
    #[case::first_version(&["kv/app/*"], "kv/app/db", Capability::Read, true)]
    #[case::first_version_written(&["kv/app/* write"], "kv/app/db", Capability::Delete, true)]
    #[case::first_version_listed(&["kv/* list"], "kv/", Capability::List, true)]
    #[case::deep_mount(&["secrets/kv/app/*"], "secrets/kv/data/app/db", Capability::Read, true)]
    #[case::half_a_mount(&["secrets/*"], "secrets/kv/data/app/db", Capability::Read, false)]
    #[case::segment(&["secret/+/db"], "secret/data/app/db", Capability::Read, true)]
    #[case::one(&["secret/app/db"], "secret/data/app/db", Capability::Read, true)]
    #[case::one_and_no_more(&["secret/app/db"], "secret/data/app/db2", Capability::Read, false)]
    #[case::another_namespaces_mount(&["theirs/*"], "theirs/data/x", Capability::Read, false)]
    #[case::no_mount(&["nowhere/*"], "nowhere/data/x", Capability::Read, false)]
    #[case::endpoint_in_the_pattern(&["secret/data/app/*"], "secret/data/app/db", Capability::Read, false)]
    #[case::system(&["sys/*", "auth/*"], "sys/mounts", Capability::Read, false)]
    fn what_a_permission_opens(
        #[case] permissions: &[&str],
        #[case] path: &str,
        #[case] capability: Capability,
        #[case] expected: bool,
    ) {
        assert_eq!(allows(permissions, path, capability), expected);
    }

    #[test]
    fn a_narrower_permission_takes_nothing_away() {
        let both = ["secret/* list", "secret/app/* read", "secret/app/db write"];
        for (path, capability) in [
            ("secret/metadata/", Capability::List),
            ("secret/metadata/app/", Capability::List),
            ("secret/data/app/x", Capability::Read),
            ("secret/data/app/db", Capability::Read),
            ("secret/data/app/db", Capability::Update),
        ] {
            assert!(allows(&both, path, capability), "{capability} of {path}");
        }
        assert!(!allows(&both, "secret/data/app/x", Capability::Update));
    }
}
