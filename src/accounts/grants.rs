//! What an account may do: permissions over secrets, and access documents by name. Decides whether one set of grants is wider
//! than another, which is what a second person has to approve.

use serde::{Deserialize, Serialize};

use super::pattern::SecretsPattern;
use crate::identity::PolicyName;

/// The most permissions of an account.
const PERMISSIONS: usize = 64;
/// The most access documents of an account.
const POLICIES: usize = 16;

/// The most that both have together, in bytes of JSON: what an account is granted, and what it shall be, is on record whole
/// (`before` and `after` of a record have 24 KiB each), or a grant that was taken back again would leave no trace.
const BYTES: usize = 6 * 1024;

/// What may be done with secrets. The three are apart: whoever may write need not be able to read what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretAccess {
    /// Read values, and what is known about them.
    #[default]
    Read,
    /// List names.
    List,
    /// Write values, change them in part, delete and undelete versions. Not: destroy a version, or a secret with its history.
    Write,
}

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// For which secrets.
    pub secrets: SecretsPattern,
    /// For what; reading where nothing is said.
    #[serde(default)]
    pub access: SecretAccess,
}

/// What an account may do: the permissions add up, each where its pattern says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// Permissions over secrets, at most 64.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// Access documents of the account's namespace, by name, at most 16: for what permissions cannot say.
    #[serde(default)]
    pub policies: Vec<PolicyName>,
}

/// Why grants are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantsFault {
    /// More than 64 permissions.
    #[error("an account has at most 64 permissions")]
    Permissions,
    /// More than 16 policies.
    #[error("an account has at most 16 policies")]
    Policies,
    /// More than 6 KiB of both.
    #[error("the permissions and policies of an account have at most {BYTES} bytes together, as JSON")]
    Bytes,
    /// An account that acts as another.
    #[error("an account does not act as another one: `service-accounts/..` cannot be among its policies")]
    Account,
}

impl Grants {
    /// The same, each thing once and in order.
    ///
    /// # Errors
    /// [`GrantsFault`].
    pub fn checked(mut self) -> Result<Self, GrantsFault> {
        self.permissions.sort();
        self.permissions.dedup();
        self.policies.sort();
        self.policies.dedup();
        if self.permissions.len() > PERMISSIONS {
            return Err(GrantsFault::Permissions);
        }
        if self.policies.len() > POLICIES {
            return Err(GrantsFault::Policies);
        }
        if self.policies.iter().any(PolicyName::is_of_account) {
            return Err(GrantsFault::Account);
        }
        if serde_json::to_string(&self).is_ok_and(|json| json.len() > BYTES) {
            return Err(GrantsFault::Bytes);
        }
        Ok(self)
    }

    /// What may be done at every path that `pattern` stands for: the permissions of all patterns that cover it.
    pub fn accesses_of<'g>(&'g self, pattern: &'g SecretsPattern) -> impl Iterator<Item = SecretAccess> + 'g {
        let covering = self.permissions.iter().filter(move |one| one.secrets.covers(pattern));
        covering.map(|permission| permission.access)
    }

    /// Whether these grants could allow anything that `before` does not. Says yes when in doubt: any change of access
    /// documents counts, as one of them may deny, and so does a pattern with `+` that goes away, as it may hide a wider one.
    /// Beside access documents any change of permissions counts too: of the rules for a path the most specific one counts alone,
    /// so that a narrow permission may beat a document's `deny`, or hide what a document opens.
    #[must_use]
    pub fn widen(&self, before: &Self) -> bool {
        let new = |one: &Permission| !before.accesses_of(&one.secrets).any(|access| access == one.access);
        let gone = |one: &Permission| one.secrets.has_plus() && !self.permissions.contains(one);
        let has_documents = !self.policies.is_empty() || !before.policies.is_empty();
        self.policies != before.policies
            || (has_documents && self.permissions != before.permissions)
            || self.permissions.iter().any(new)
            || before.permissions.iter().any(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn grants(written: &Value) -> Grants {
        serde_json::from_value::<Grants>(written.clone()).unwrap().checked().unwrap()
    }

    fn permissions(texts: &[&str]) -> Grants {
        let one = |text: &&str| {
            let (secrets, access) = text.split_once(' ').unwrap_or((text, "read"));
            json!({"secrets": secrets, "access": access})
        };
        grants(&json!({"permissions": texts.iter().map(one).collect::<Vec<_>>()}))
    }

    #[test]
    fn a_permission_reads_where_it_says_nothing() {
        let read = grants(&json!({"permissions": [{"secrets": "secret/a"}]}));
        assert_eq!(read.permissions[0].access, SecretAccess::Read);
        assert_eq!(serde_json::to_value(&read).unwrap()["permissions"][0]["access"], "read");
    }

    #[rstest]
    #[case(json!({"permissions": [{"secrets": "secret/a", "access": "admin"}]}))]
    #[case(json!({"permissions": [{"secrets": "secret/../a"}]}))]
    #[case(json!({"permissions": [{"secret": "secret/a"}]}))]
    #[case(json!({"permission": []}))]
    #[case(json!({"policies": ["root"]}))]
    fn what_is_no_grant_is_refused(#[case] written: Value) {
        assert!(serde_json::from_value::<Grants>(written).is_err());
    }

    #[test]
    fn grants_fit_into_a_record_or_are_refused() {
        let filled = |length: usize| Grants {
            permissions: (0..12)
                .map(|n| Permission {
                    secrets: SecretsPattern::new(&format!("secret/{n:0length$}")).unwrap(),
                    access: SecretAccess::Write,
                })
                .collect(),
            policies: vec![],
        };
        assert!(filled(460).checked().is_ok());
        assert_eq!(filled(490).checked(), Err(GrantsFault::Bytes));
        let policies = (0..16).map(|n| PolicyName::new(&format!("p/{n:0400}")).unwrap()).collect();
        assert_eq!(Grants { permissions: vec![], policies }.checked(), Err(GrantsFault::Bytes));
    }

    #[test]
    fn an_account_never_acts_as_another() {
        let written: Grants = serde_json::from_value(json!({"policies": ["service-accounts/admin"]})).unwrap();
        assert_eq!(written.checked(), Err(GrantsFault::Account));
    }

    #[rstest]
    #[case::same(&["secret/a"], &["secret/a"], false)]
    #[case::fewer(&["secret/a", "secret/b"], &["secret/a"], false)]
    #[case::none(&["secret/a"], &[], false)]
    #[case::within(&["secret/a/*"], &["secret/a/b", "secret/a/c/*"], false)]
    #[case::another(&["secret/a"], &["secret/b"], true)]
    #[case::wider(&["secret/a/b"], &["secret/a/*"], true)]
    #[case::to_write(&["secret/a"], &["secret/a write"], true)]
    #[case::also_write(&["secret/a"], &["secret/a", "secret/a write"], true)]
    #[case::write_is_not_read(&["secret/a write"], &["secret/a"], true)]
    #[case::a_pattern_that_hid_another(&["secret/*", "secret/+/a list"], &["secret/*"], true)]
    fn what_a_second_person_has_to_look_at(#[case] before: &[&str], #[case] after: &[&str], #[case] widens: bool) {
        assert_eq!(permissions(after).widen(&permissions(before)), widens);
    }

    #[rstest]
    #[case::covered_by_another(&["secret/*"], &["secret/*", "secret/app/db"])]
    #[case::narrower(&["secret/*"], &["secret/app/db"])]
    #[case::fewer(&["secret/*", "secret/app/db"], &["secret/*"])]
    fn beside_access_documents_any_change_of_permissions_may_widen(#[case] before: &[&str], #[case] after: &[&str]) {
        let [alone, changed] = [permissions(before), permissions(after)];
        assert!(!changed.widen(&alone));
        let with = |one: &Grants| Grants { policies: vec![PolicyName::new("deny-some").unwrap()], ..one.clone() };
        assert!(with(&changed).widen(&with(&alone)) && !with(&alone).widen(&with(&alone)));
        assert!(changed.widen(&with(&alone)) && with(&changed).widen(&alone));
    }

    #[test]
    fn any_change_of_access_documents_may_widen() {
        let [one, two] = [json!({"policies": ["a"]}), json!({"policies": ["a", "deny-some"]})].map(|one| grants(&one));
        assert!(two.widen(&one) && one.widen(&two) && !two.widen(&two));
    }
}
