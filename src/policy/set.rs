//! All policies of one cambio.
//!
//! Decides which target a requested name means, and, for a verified token, what is granted: [`PolicySet::decide`] is the
//! only way to a [`Permit`]. A set is complete or does not exist: one fault in one file, or one case that comes out
//! otherwise, and nothing of it is used.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::cases::CaseOutcome;
use super::catalog::Catalog;
use super::decision::{Denial, Permit, Reason};
use super::evaluate::{Evaluation, evaluate};
use super::inspection::Inspection;
use super::language::Language;
use super::load::{Loaded, load};
use super::problem::LoadErrors;
use super::role::{Mounts, NoRole, Refusal, RoleGrant};
use super::rule::Target;
use super::sources::Sources;
use crate::clock::Timestamp;
use crate::identity::{IssuerName, Namespace};
use crate::jose::Sha256;
use crate::verify::VerifiedToken;

/// All policies, compiled. Cheap to share: it never changes.
pub struct PolicySet {
    pub(super) language: Language,
    pub(super) targets: Vec<Target>,
    /// Names and aliases.
    pub(super) index: HashMap<Arc<str>, u32>,
    /// The mounts of OpenBao's roles.
    pub(super) mounts: Mounts,
    pub(super) digest: Sha256,
}

impl PolicySet {
    /// Reads all policy files below `directory` (`*.yaml`, `*.yml`, in order of their paths; `*.cases.yaml` belong to
    /// role documents), for the issuers of `catalog`, and runs their cases.
    ///
    /// # Errors
    /// [`LoadErrors`] with every fault of every file, cases that came out otherwise included.
    pub fn load(directory: &Path, catalog: &Catalog) -> Result<Self, LoadErrors> {
        load(&Sources::find(directory)?, catalog)?.into_set()
    }

    /// The same from names and texts, in order of the names.
    ///
    /// # Errors
    /// As [`PolicySet::load`].
    pub fn from_sources<N, T>(sources: impl IntoIterator<Item = (N, T)>, catalog: &Catalog) -> Result<Self, LoadErrors>
    where
        N: AsRef<str>,
        T: Into<String>,
    {
        load(&Sources::of(sources), catalog)?.into_set()
    }

    /// Runs all cases of the files below `directory`, and reports each.
    ///
    /// # Errors
    /// [`LoadErrors`] where a file is out of order; a case that comes out otherwise is no error here.
    pub fn run_cases(directory: &Path, catalog: &Catalog) -> Result<Vec<CaseOutcome>, LoadErrors> {
        load(&Sources::find(directory)?, catalog)?.into_outcomes()
    }

    /// Everything that can be said of the files below `directory`: findings, cases, and the set where it would load.
    ///
    /// # Errors
    /// [`LoadErrors`] where the directory can't be read.
    pub fn inspect(directory: &Path, catalog: &Catalog) -> Result<Inspection, LoadErrors> {
        load(&Sources::find(directory)?, catalog).map(Loaded::into_inspection)
    }

    /// The same from names and texts, in order of the names.
    ///
    /// # Errors
    /// [`LoadErrors`] where the machinery failed.
    pub fn inspect_sources<N, T>(
        sources: impl IntoIterator<Item = (N, T)>,
        catalog: &Catalog,
    ) -> Result<Inspection, LoadErrors>
    where
        N: AsRef<str>,
        T: Into<String>,
    {
        load(&Sources::of(sources), catalog).map(Loaded::into_inspection)
    }

    /// The digest of all files, by name and content.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// The target that an `audience`, `resource` or role names, by its name or an alias, byte for byte.
    #[must_use]
    pub fn target(&self, requested: &str) -> Option<&Target> {
        self.index.get(requested).and_then(|index| self.targets.get(*index as usize))
    }

    /// The target of an OpenBao role: in a namespace (none is the root), of a mount, by the name that a login gives, in any
    /// case, or the mount's default where it gives none.
    ///
    /// # Errors
    /// [`NoRole`], whose text is OpenBao's.
    pub fn role(&self, namespace: Option<&Namespace>, mount: &str, role: Option<&str>) -> Result<&Target, NoRole> {
        let name = self.mounts.resolve(namespace, mount, role)?;
        self.target(&name.target()).ok_or_else(|| name.not_found())
    }

    /// All targets, in order of their files.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Decides what `target` grants to `token` at `now`, and takes the token into the permit.
    ///
    /// # Errors
    /// A [`Denial`], which is a decision and no failure.
    pub fn decide(&self, token: VerifiedToken, target: &Target, now: Timestamp) -> Result<Permit, Denial> {
        let (grant, trace) = self.evaluate(token.issuer(), token.claims(), target, now).into_result()?;
        // Whoever hands out the token for a role whose grant binds it has to hold it to that; nobody does yet.
        if let Some(field) = grant.role_grant().and_then(RoleGrant::binding) {
            let rule = Arc::clone(&grant.rule);
            return Err(Denial::new(Reason::Refused { rule, refusal: Refusal::Unheld(field) }, trace));
        }
        Ok(Permit { token, target: target.name.clone(), namespace: target.namespace.clone(), grant, trace })
    }

    /// What `target` would say to these claims. Proves nothing about them: for tools and tests.
    #[must_use]
    pub fn evaluate(
        &self,
        issuer: &IssuerName,
        claims: &Map<String, Value>,
        target: &Target,
        now: Timestamp,
    ) -> Evaluation {
        evaluate(&self.language, target, issuer, claims, now)
    }

    /// Whether `target` still has the rule `rule` with that digest (64 hex digits): whether a token that names them is
    /// still backed by what granted it.
    #[must_use]
    pub fn rule_is_current(&self, target: &str, rule: &str, digest: &str) -> bool {
        let named = self.target(target).filter(|found| found.name.as_str() == target);
        let found = named.and_then(|target| target.rules.iter().find(|known| *known.name == *rule));
        found.is_some_and(|rule| rule.digest.to_string() == digest)
    }
}

impl std::fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicySet").field("targets", &self.targets.len()).field("digest", &self.digest).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::policy::{End, Part, Problem, Reason};

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    const TARGET: &str = r#"
target: vault
aliases: ["https://vault.example", "//cambio.example/vault"]
namespace: group_1
rules:
  - name: strict
    issuer: gitlab
    require:
      - {that: 'claims.kind == "admin"', message: not an administrator}
      - {that: 'claims.level > 3', message: level too low}
    grant:
      policies: ['"admin"', 'claims.groups.map(g, "groups/" + g)']
      ttl: 1h
      outlive_subject: true
      scopes: [read, write]
      metadata: {who: claims.sub}
  - name: lax
    issuer: [gitlab, github]
    let:
      name: '"user/" + claims.sub'
      unused: claims.nowhere
    require:
      - {that: 'claims.kind != ""', message: no kind}
    grant:
      policies:
        - name
        - {when: has(claims.extra), policy: 'claims.extra'}
      scopes: [read]
"#;

    fn issuers() -> Catalog {
        Catalog::of_names(["gitlab", "github"].map(|name| IssuerName::new(name).unwrap()))
    }

    fn set(text: &str) -> PolicySet {
        PolicySet::from_sources([("t.yaml", text)], &issuers()).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn token(issuer: &str, claims: Value) -> VerifiedToken {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        VerifiedToken::for_tests(issuer, "alice", claims, NOW.plus(Duration::from_secs(300)))
    }

    fn decide(issuer: &str, claims: Value) -> Result<Permit, Denial> {
        let set = set(TARGET);
        set.decide(token(issuer, claims), set.target("vault").unwrap(), NOW)
    }

    #[test]
    fn the_first_rule_whose_conditions_hold_decides() {
        let claims = json!({"sub": "alice", "kind": "admin", "level": 4, "groups": ["a", "b", "a"]});
        let permit = decide("gitlab", claims).unwrap();
        let policies: Vec<&str> = permit.policies().iter().map(|policy| policy.as_str()).collect();
        assert_eq!(policies, ["admin", "groups/a", "groups/b"]);
        assert_eq!(permit.rule(), "strict");
        assert_eq!(permit.target().as_str(), "vault");
        assert_eq!(permit.namespace().unwrap().as_str(), "group_1");
        assert_eq!(permit.ttl(), Some(Duration::from_secs(3600)));
        assert!(permit.outlive_subject());
        assert_eq!(permit.scopes().collect::<Vec<_>>(), ["read", "write"]);
        assert_eq!(permit.metadata().collect::<Vec<_>>(), [("who", "alice")]);
        assert_eq!(permit.token().subject(), "alice");
        assert_eq!(permit.trace().rules().len(), 1);
    }

    #[test]
    fn a_condition_that_is_false_leads_to_the_next_rule() {
        let permit = decide("gitlab", json!({"sub": "alice", "kind": "admin", "level": 3, "groups": []})).unwrap();
        assert_eq!((permit.rule(), permit.policies().len()), ("lax", 1));
        assert_eq!((permit.ttl(), permit.outlive_subject()), (None, false));
        let ends: Vec<End> = permit.trace().rules().iter().map(|tried| tried.end).collect();
        assert_eq!(ends, [End::Unmet { condition: 1 }, End::Granted]);
    }

    #[rstest]
    #[case::an_error_never_falls_through(
        json!({"sub": "alice", "kind": "admin"}), "evaluation_error", Part::Condition(1))]
    #[case::nor_does_another_type(
        json!({"sub": "alice", "kind": "admin", "level": "4"}), "evaluation_error", Part::Condition(1))]
    #[case::an_element_that_is_no_text(
        json!({"sub": "alice", "kind": "admin", "level": 4, "groups": [1]}), "evaluation_error", Part::Policy(1))]
    #[case::a_claim_that_walks(
        json!({"sub": "alice", "kind": "admin", "level": 4, "groups": ["../x"]}), "bad_policy_name", Part::Policy(1))]
    #[case::an_empty_claim(
        json!({"sub": "alice", "kind": "admin", "level": 4, "groups": [""]}), "bad_policy_name", Part::Policy(1))]
    #[case::too_many(
        json!({"sub": "alice", "kind": "admin", "level": 4, "groups": (0..64).map(|n| n.to_string()).collect::<Vec<_>>()}),
        "too_many_policies", Part::Grant)]
    #[case::metadata_too_long(
        json!({"sub": "a".repeat(513), "kind": "admin", "level": 4, "groups": []}), "metadata_too_long", Part::Metadata(0))]
    #[case::metadata_of_another_type(
        json!({"sub": 1, "kind": "admin", "level": 4, "groups": []}), "wrong_type", Part::Metadata(0))]
    #[case::a_variable_that_fails(json!({"kind": "x"}), "evaluation_error", Part::Let(0))]
    #[case::a_policy_of_another_type(
        json!({"sub": "alice", "kind": "x", "extra": 1}), "wrong_type", Part::Policy(1))]
    #[case::root(json!({"sub": "alice", "kind": "x", "extra": "root"}), "bad_policy_name", Part::Policy(1))]
    fn whatever_goes_wrong_denies_and_says_where(#[case] claims: Value, #[case] code: &str, #[case] at: Part) {
        let denial = decide("gitlab", claims).unwrap_err();
        assert_eq!(denial.reason_code(), code);
        assert_eq!(denial.trace().rules().last().unwrap().end, End::Failed { at });
    }

    #[test]
    fn only_rules_of_the_tokens_issuer_run() {
        let permit = decide("github", json!({"sub": "alice", "kind": "admin"})).unwrap();
        assert_eq!((permit.rule(), permit.trace().rules().len()), ("lax", 1));
        let only = TARGET.replace("[gitlab, github]", "gitlab");
        let set = set(&only);
        let denial = set.decide(token("github", json!({})), &set.targets()[0], NOW).unwrap_err();
        assert_eq!(denial.reason(), &Reason::NoRuleForIssuer);
        assert!(denial.trace().rules().is_empty());
    }

    #[test]
    fn a_denial_tells_of_the_rule_that_came_furthest() {
        let text = TARGET.replace("'claims.kind != \"\"'", "'claims.kind == \"user\"'");
        let set = set(&text);
        let denial = set.decide(token("gitlab", json!({"kind": "admin", "level": 1})), &set.targets()[0], NOW);
        let denial = denial.unwrap_err();
        assert_eq!(denial.reason().to_string(), "rule `strict`, require[1]: level too low");
        assert_eq!(denial.trace().rules().len(), 2);
    }

    #[test]
    fn a_grant_without_policies_is_a_denial() {
        let text = TARGET.replace("['\"admin\"', 'claims.groups", "['claims.groups");
        let set = set(&text);
        let claims = json!({"sub": "alice", "kind": "admin", "level": 4, "groups": []});
        let denial = set.decide(token("gitlab", claims), &set.targets()[0], NOW).unwrap_err();
        assert_eq!(denial.reason_code(), "no_policies");
    }

    #[test]
    fn a_target_is_found_by_its_name_and_aliases_byte_for_byte() {
        let set = set(TARGET);
        for name in ["vault", "https://vault.example", "//cambio.example/vault"] {
            assert_eq!(set.target(name).unwrap().name().as_str(), "vault");
        }
        for name in ["", "Vault", "vault ", "https://vault.example/", "t.yaml"] {
            assert!(set.target(name).is_none(), "{name}");
        }
        assert_eq!(set.targets()[0].scopes().collect::<Vec<_>>(), ["read", "write"]);
    }

    #[test]
    fn a_rule_is_current_until_what_it_says_changes() {
        let before = set(TARGET);
        let digest = before.targets()[0].rules()[0].digest().to_string();
        let current = |text: &str| set(text).rule_is_current("vault", "strict", &digest);
        assert!(current(TARGET));
        assert!(current(&TARGET.replace("not an administrator", "no admin")));
        assert!(current(&TARGET.replace(
            "- {that: 'claims.kind == \"admin\"', message",
            "# a comment\n      - {that: 'claims.kind == \"admin\"', message"
        )));
        for (from, to) in [
            ("level > 3", "level > 2"),
            ("target: vault", "target: vaults"),
            ("namespace: group_1", "namespace: group_2"),
            ("name: strict", "name: stricter"),
            ("'\"admin\"'", "'\"admins\"'"),
            ("ttl: 1h", "ttl: 2h"),
            ("outlive_subject: true", "outlive_subject: false"),
            ("[read, write]", "[write, read]"),
            ("who: claims.sub", "who: claims.kind"),
        ] {
            assert!(!current(&TARGET.replacen(from, to, 1)), "{to}");
        }
        assert!(!before.rule_is_current("https://vault.example", "strict", &digest));
        assert!(!before.rule_is_current("vault", "lax", &digest));
        assert!(!before.rule_is_current("vault", "strict", ""));
    }

    #[test]
    fn the_digest_of_a_set_changes_with_any_name_and_text() {
        let digest = |name: &str, text: &str| PolicySet::from_sources([(name, text)], &issuers()).unwrap().digest();
        let first = digest("a.yaml", TARGET);
        assert_eq!(first, digest("a.yaml", TARGET));
        assert_ne!(first, digest("b.yaml", TARGET));
        assert_ne!(first, digest("a.yaml", &format!("{TARGET}# more\n")));
    }

    /// One good file, one change.
    #[rstest]
    #[case::not_yaml("target: vault", "target: [", "")]
    #[case::an_unknown_key("target: vault", "targets: vault", "unknown field")]
    #[case::an_unknown_key_in_a_rule("ttl: 1h", "tll: 1h", "unknown field")]
    #[case::a_key_twice("ttl: 1h", "ttl: 1h\n      ttl: 2h", "stands twice")]
    #[case::an_anchor("target: vault", "target: &name vault", "")]
    #[case::a_target_outside_the_grammar("target: vault", "target: va ult", "not allowed")]
    #[case::an_alias_with_a_space("//cambio.example/vault", "//cambio example", "is no name of a target")]
    #[case::an_alias_that_is_the_name("https://vault.example", "vault", "already asks for")]
    #[case::a_namespace_that_walks("namespace: group_1", "namespace: ../x", "segments")]
    #[case::a_rule_twice("name: lax", "name: strict", "already a rule")]
    #[case::a_rule_with_capitals("name: lax", "name: Lax", "is no name of a rule")]
    #[case::an_issuer_that_is_not_configured("github]", "jenkins]", "no issuer `jenkins` is configured")]
    #[case::an_issuer_twice("[gitlab, github]", "[gitlab, gitlab]", "already in this list")]
    #[case::no_issuer("[gitlab, github]", "[]", "at least one issuer")]
    #[case::no_conditions(
        "      - {that: 'claims.kind != \"\"', message: no kind}\n",
        "      []\n",
        "at least one condition"
    )]
    #[case::an_empty_message("message: no kind", "message: ''", "needs a message")]
    #[case::a_ttl_too_short("ttl: 1h", "ttl: 59s", "between 60 s and 24 h")]
    #[case::a_ttl_too_long("ttl: 1h", "ttl: 25h", "between 60 s and 24 h")]
    #[case::a_ttl_with_an_odd_unit("ttl: 1h", "ttl: 1w", "")]
    #[case::a_ttl_below_its_bound_without_a_unit("ttl: 1h", "ttl: 59", "between 60 s and 24 h")]
    #[case::a_scope_with_a_space("[read, write]", "[read all]", "is no name of a scope")]
    #[case::a_scope_twice("[read, write]", "[read, read]", "already a scope")]
    #[case::a_let_that_hides_claims("name: '\"user", "claims: '\"user", "is no name of a variable")]
    #[case::a_let_used_before_it_is_there("name: '\"user/\" + claims.sub'", "name: unused", "no variable `unused`")]
    #[case::an_expression_that_is_none("claims.level > 3", "claims.level >", "no CEL")]
    #[case::a_function_that_is_none("claims.level > 3", "level(claims)", "no function `level`")]
    fn a_file_with_one_fault_does_not_load(#[case] from: &str, #[case] to: &str, #[case] message: &str) {
        assert!(TARGET.contains(from));
        let text = TARGET.replacen(from, to, 1);
        let errors = PolicySet::from_sources([("t.yaml", text)], &issuers()).map(|_| ()).unwrap_err();
        assert!(errors.to_string().contains(message), "{errors}");
        assert!(errors.errors().iter().all(|error| error.place.is_some()), "{errors}");
    }

    #[test]
    fn a_fault_points_at_its_line_and_column() {
        let text = TARGET.replace("claims.level > 3", "claims.level > level");
        let errors = PolicySet::from_sources([("t.yaml", text.as_str())], &issuers()).unwrap_err();
        let line = errors.to_string();
        assert!(line.starts_with("t.yaml:10:32: rule `strict`, require[1]: no variable `level`"), "{line}");
        let place = errors.errors()[0].place.unwrap();
        let span = text.get(place.offset as usize..(place.offset + place.len) as usize).unwrap();
        assert_eq!(span, "level");
    }

    #[test]
    fn files_of_several_batches_come_out_as_if_each_were_alone() {
        let file = |at: usize| {
            let text = TARGET.replace("target: vault", &format!("target: vault-{at}"));
            let text = text.replace("https://vault.example", &format!("https://vault-{at}.example"));
            (format!("{at:03}.yaml"), text.replace("//cambio.example/vault", &format!("//cambio.example/vault-{at}")))
        };
        let mut files: Vec<(String, String)> = (0..200).map(file).collect();
        let set = PolicySet::from_sources(files.clone(), &issuers()).unwrap();
        for (at, target) in set.targets().iter().enumerate() {
            assert_eq!((target.name().as_str(), target.file()), (&*format!("vault-{at}"), &*format!("{at:03}.yaml")));
            assert_eq!(set.target(&format!("https://vault-{at}.example")).unwrap().name(), target.name());
        }
        let (first, last) = (files[0].1.clone(), &mut files[199].1);
        *last = first;
        let errors = PolicySet::from_sources(files, &issuers()).unwrap_err();
        assert!(errors.to_string().starts_with("199.yaml"), "{errors}");
    }

    #[test]
    fn every_fault_of_every_file_is_reported() {
        let one = TARGET.replace("claims.level > 3", "nothing").replace("name: lax", "name: strict");
        let two = TARGET.replace("ttl: 1h", "ttl: 1s");
        let errors = PolicySet::from_sources([("b.yaml", two), ("a.yaml", one)], &issuers()).unwrap_err();
        let kinds: Vec<&str> = errors
            .errors()
            .iter()
            .map(|error| match &error.problem {
                Problem::Expression { .. } => "expression",
                Problem::Duplicate { .. } => "duplicate",
                Problem::Ttl => "ttl",
                Problem::TakenTarget { .. } => "taken",
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(kinds, ["expression", "duplicate", "taken", "taken", "taken", "ttl"]);
    }

    #[rstest]
    #[case::kept("permit: {policies: [user/a], rule: lax, scopes: [read]}", None)]
    #[case::another_order("permit: {policies: [user/a, user/a]}", None)]
    #[case::other_policies(
        "permit: {policies: [user/b]}",
        Some("expected permit of [\"user/b\"], got permit of [\"user/a\"]")
    )]
    #[case::more_policies("permit: {policies: [user/a, admin]}", Some("expected permit"))]
    #[case::another_rule("permit: {policies: [user/a], rule: strict}", Some("by rule `lax`"))]
    #[case::another_ttl("permit: {policies: [user/a], ttl: 5m}", Some("ttl 300 s, got"))]
    #[case::other_scopes("permit: {policies: [user/a], scopes: []}", Some("scopes [], got"))]
    #[case::other_metadata("permit: {policies: [user/a], metadata: {x: y}}", Some("metadata {\"x\":\"y\"}, got"))]
    #[case::a_denial("deny: no kind", Some("expected denial with `no kind`, got permit of [\"user/a\"]"))]
    #[case::both("permit: {policies: [user/a]}\n    deny: no kind", Some("either `permit` or `deny`"))]
    #[case::neither("at: 2026-11-18T11:06:40Z", Some("either `permit` or `deny`"))]
    #[case::a_moment_that_is_none("at: yesterday\n    permit: {policies: []}", Some("is no moment"))]
    #[case::like_a_later_case("like: other\n    permit: {policies: []}", Some("no earlier case `other`"))]
    fn a_case_is_kept_or_the_file_does_not_load(#[case] says: &str, #[case] fault: Option<&str>) {
        let text =
            format!("{TARGET}\ncases:\n  - name: c\n    issuer: gitlab\n    claims: {{sub: a, kind: x}}\n    {says}\n");
        match (PolicySet::from_sources([("t.yaml", text)], &issuers()), fault) {
            (Ok(_), None) => {}
            (Err(errors), Some(fault)) => assert!(errors.to_string().contains(fault), "{errors}"),
            (Ok(_), Some(fault)) => panic!("loaded in spite of: {fault}"),
            (Err(errors), None) => panic!("{errors}"),
        }
    }

    #[rstest]
    #[case::with("with: {kind: ''}\n    deny: not an administrator", None)]
    #[case::merged("with: {nested: {b: 3}}\n    permit: {policies: [user/a, n1b3]}", None)]
    #[case::without("without: [extra]\n    permit: {policies: [user/a]}", None)]
    #[case::without_a_member("without: [/nested/b]\n    deny: evaluation_error", None)]
    #[case::without_what_is_not_there("without: [nowhere]\n    deny: no kind", Some("no claim `nowhere`"))]
    #[case::null_is_a_value("with: {kind: null}\n    permit: {policies: [user/a, n1b2]}", None)]
    #[case::its_own_claims("claims: {}\n    deny: no kind", Some("not both"))]
    #[case::another_issuer("issuer: github\n    permit: {policies: [user/a, n1b2]}", None)]
    #[case::a_rule_that_was_tried("with: {kind: ''}\n    deny: {rule: strict, reason: not an administrator}", None)]
    #[case::a_rule_that_was_not(
        "with: {kind: ''}\n    deny: {rule: other, reason: no kind}",
        Some("expected denial by rule `other`")
    )]
    fn a_case_is_like_another_but_for_what_it_says(#[case] says: &str, #[case] fault: Option<&str>) {
        let claims = "{sub: a, kind: x, extra: 1, nested: {a: 1, b: 2}}";
        let policy = "'\"n\" + string(claims.nested.a) + \"b\" + string(claims.nested.b)'";
        let text = TARGET.replace("policy: 'claims.extra'", &format!("policy: {policy}"));
        let text = format!(
            "{text}\ncases:\n  - name: first\n    issuer: gitlab\n    claims: {claims}\n    permit: {{policies: [user/a, n1b2]}}\n  \
             - name: second\n    like: first\n    {says}\n"
        );
        match (PolicySet::from_sources([("t.yaml", text)], &issuers()), fault) {
            (Ok(_), None) => {}
            (Err(errors), Some(fault)) => assert!(errors.to_string().contains(fault), "{errors}"),
            (Ok(_), Some(fault)) => panic!("loaded in spite of: {fault}"),
            (Err(errors), None) => panic!("{errors}"),
        }
    }

    #[test]
    fn a_directory_is_read_in_order_without_what_does_not_belong() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let named = |name: &str| {
            TARGET
                .replace("target: vault", &format!("target: {name}"))
                .replace("vault\"", &format!("{name}\""))
                .replace("vault.example", &format!("{name}.example"))
        };
        write("b.yaml", &named("second"));
        write("a/deep/x.yml", &named("first"));
        write("role.cases.yaml", "nonsense: true");
        write("role.json", "{}");
        write("README.md", "nonsense");
        write("..data/hidden.yaml", "nonsense: true");
        let set = PolicySet::load(directory.path(), &issuers()).unwrap_or_else(|errors| panic!("{errors}"));
        let files: Vec<&str> = set.targets().iter().map(Target::file).collect();
        assert_eq!(files, ["a/deep/x.yml", "b.yaml"]);
        write("c.yaml", &"#".repeat(300 * 1024));
        let errors = PolicySet::load(directory.path(), &issuers()).unwrap_err();
        assert_eq!(errors.to_string(), "c.yaml: the file has more than 262144 bytes");
        let errors = PolicySet::load(&directory.path().join("nowhere"), &issuers()).unwrap_err();
        assert!(errors.to_string().starts_with("policies: unreadable"), "{errors}");
    }

    #[test]
    fn an_empty_set_has_no_targets_and_a_digest() {
        let set = PolicySet::from_sources(Vec::<(&str, &str)>::new(), &issuers()).unwrap();
        assert!(set.targets().is_empty() && set.target("vault").is_none());
    }

    #[test]
    fn rules_of_one_issuer_share_one_budget() {
        let rule = |name: &str| {
            format!(
                "  - name: {name}\n    issuer: gitlab\n    require:\n      - {{that: 'claims.l.exists(x, x == \"y\") || \
                 claims.l.exists(x, x == \"z\")', message: m}}\n    grant: {{policies: ['\"p\"']}}\n"
            )
        };
        let file = |rules: usize| {
            format!("target: t\nrules:\n{}", (0..rules).map(|n| rule(&format!("r{n}"))).collect::<String>())
        };
        assert!(PolicySet::from_sources([("t.yaml", file(2))], &issuers()).is_ok());
        let errors = PolicySet::from_sources([("t.yaml", file(12))], &issuers()).unwrap_err();
        assert!(errors.to_string().contains("could take"), "{errors}");
    }
}
