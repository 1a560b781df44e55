//! Which target a Vault login means. Decides by namespace, mount and role; refuses to know how a login is written.
//!
//! Two kinds answer: OpenBao's role documents, by their place in the API, and targets, by their names, at the mounts that
//! the operator named (`jwt` and `kubernetes` where none are). A login that names a namespace reaches the targets of that
//! namespace and no other; one that names none reaches any target by its name, as clients that cannot name one do.

use super::outcome::LoginRole;
use super::stop::TargetFault;
use crate::identity::{IssuerName, Namespace, TargetName};
use crate::policy::{PolicySet, Target};

/// The mounts at which targets answer logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginMounts(Vec<LoginMount>);

/// One mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginMount {
    /// Its path, e.g. `kubernetes`.
    pub mount: String,
    /// The one namespace that it is in; none for every one.
    pub namespace: Option<Namespace>,
    /// The one issuer whose tokens it takes; none for every one.
    pub issuer: Option<IssuerName>,
    /// The target of logins that name no role; none for the default target.
    pub default_role: Option<TargetName>,
}

impl Default for LoginMounts {
    fn default() -> Self {
        let mount = |mount: &str| LoginMount { mount: mount.to_owned(), ..LoginMount::default() };
        Self(vec![mount("jwt"), mount("kubernetes")])
    }
}

impl LoginMounts {
    /// Those, in the order in which they are looked through.
    #[must_use]
    pub fn new(mounts: Vec<LoginMount>) -> Self {
        Self(mounts)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &LoginMount> {
        self.0.iter()
    }

    /// The mount that a login means.
    pub(super) fn of(&self, asked: &LoginRole) -> Option<&LoginMount> {
        self.0.iter().find(|known| {
            let here = known.namespace.is_none() || asked.namespace.is_none() || known.namespace == asked.namespace;
            known.mount == asked.mount && here
        })
    }

    /// The target that a login means.
    pub(super) fn target<'p>(
        &self,
        policies: &'p PolicySet,
        asked: &LoginRole,
        default: Option<&TargetName>,
    ) -> Result<&'p Target, TargetFault> {
        if let Ok(target) = policies.role(asked.namespace.as_ref(), &asked.mount, asked.role.as_deref()) {
            return Ok(target);
        }
        if asked.cel {
            return Err(TargetFault::Unknown);
        }
        let mount = self.of(asked).ok_or(TargetFault::Unknown)?;
        let default = mount.default_role.as_ref().or(default).map(TargetName::as_str);
        let role = asked.role.as_deref().filter(|role| !role.is_empty()).or(default).ok_or(TargetFault::Missing)?;
        let target = policies.target(role).filter(|target| target.role().is_none()).ok_or(TargetFault::Unknown)?;
        let named = [&asked.namespace, &mount.namespace];
        let elsewhere = named.into_iter().flatten().any(|namespace| Some(namespace) != target.namespace());
        if elsewhere { Err(TargetFault::Unknown) } else { Ok(target) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Catalog, IssuerFacts};
    use rstest::rstest;

    fn policies() -> PolicySet {
        let target = |name: &str, namespace: &str| {
            format!(
                "target: {name}\n{namespace}rules:\n  - name: r\n    issuer: a\n    require: [{{that: claims.sub == \"s\", \
                 message: m}}]\n    grant: {{policies: ['\"p\"']}}\n"
            )
        };
        let mut catalog = Catalog::default();
        catalog.insert(
            IssuerName::new("a").unwrap(),
            IssuerFacts { url: Some("https://a.example.com".to_owned()), ..IssuerFacts::default() },
        );
        let files = [
            ("root.yaml", target("root", "")),
            ("one.yaml", target("one", "namespace: n/1\n")),
            ("two.yaml", target("two", "namespace: n/2\n")),
            ("n/1/auth/jwt/config.json", r#"{"bound_issuer": "https://a.example.com"}"#.to_owned()),
            (
                "n/1/auth/jwt/cel/role/cel.json",
                r#"{"cel_program": {"expression": "pb.Auth{policies: ['p']}"}, "bound_audiences": ["x"]}"#.to_owned(),
            ),
        ];
        PolicySet::from_sources(files, &catalog).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn asked(path: &str, role: Option<&str>) -> LoginRole {
        let (namespace, mount) = path.rsplit_once(':').unwrap();
        let namespace = (!namespace.is_empty()).then(|| Namespace::new(namespace).unwrap());
        let (mount, cel) = mount.strip_suffix("+cel").map_or((mount, false), |mount| (mount, true));
        LoginRole { namespace, mount: mount.to_owned(), cel, role: role.map(str::to_owned) }
    }

    #[rstest]
    #[case::by_its_name(":jwt", Some("root"), Ok("root"))]
    #[case::a_client_that_names_no_namespace(":kubernetes", Some("one"), Ok("one"))]
    #[case::in_its_namespace("n/1:jwt", Some("one"), Ok("one"))]
    #[case::not_in_a_sibling("n/2:jwt", Some("one"), Err(TargetFault::Unknown))]
    #[case::not_in_the_parent("n:jwt", Some("one"), Err(TargetFault::Unknown))]
    #[case::not_of_the_root("n/1:jwt", Some("root"), Err(TargetFault::Unknown))]
    #[case::the_default(":jwt", None, Ok("root"))]
    #[case::an_empty_role_is_none(":jwt", Some(""), Ok("root"))]
    #[case::the_default_is_elsewhere("n/1:jwt", None, Err(TargetFault::Unknown))]
    #[case::another_mount(":oidc", Some("root"), Err(TargetFault::Unknown))]
    #[case::a_mount_with_an_issuer("n/2:team", None, Ok("two"))]
    #[case::a_mount_of_another_namespace("n/1:team", Some("one"), Err(TargetFault::Unknown))]
    #[case::a_mount_holds_its_namespace(":team", Some("one"), Err(TargetFault::Unknown))]
    #[case::a_role_document("n/1:jwt+cel", Some("CEL"), Ok("n/1/auth/jwt/cel/role/cel"))]
    #[case::a_role_document_by_plain_login("n/1:jwt", Some("cel"), Ok("n/1/auth/jwt/cel/role/cel"))]
    #[case::no_target_by_cel_login("n/1:jwt+cel", Some("one"), Err(TargetFault::Unknown))]
    #[case::no_role_document_of_another_namespace("n/2:jwt+cel", Some("cel"), Err(TargetFault::Unknown))]
    #[case::no_role_document_by_its_target(":jwt", Some("n/1/auth/jwt/cel/role/cel"), Err(TargetFault::Unknown))]
    fn a_login_means_one_target(
        #[case] path: &str,
        #[case] role: Option<&str>,
        #[case] expected: Result<&str, TargetFault>,
    ) {
        let mut mounts = LoginMounts::default().0;
        mounts.push(LoginMount {
            mount: "team".to_owned(),
            namespace: Some(Namespace::new("n/2").unwrap()),
            issuer: None,
            default_role: Some(TargetName::new("two").unwrap()),
        });
        let (policies, default) = (policies(), TargetName::new("root").unwrap());
        let found = LoginMounts(mounts).target(&policies, &asked(path, role), Some(&default));
        assert_eq!(found.map(|target| target.name().as_str()), expected);
    }
}
