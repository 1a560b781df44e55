//! The JSON Schemas for editors take what the parsers take, and refuse what they refuse.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, reason = "a test says so")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cambio::config::Config;
use cambio::identity::IssuerName;
use cambio::policy::{Catalog, Code, PolicySet, Severity, limits};
use rstest::rstest;
use serde_json::Value;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn schema(kind: &str) -> Value {
    let text = fs::read_to_string(repository(&format!("schemas/{kind}.schema.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What an editor would say of `yaml`; nothing where it is fine.
fn complaint(kind: &str, yaml: &str) -> Option<String> {
    let value: Value = serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("memory:schema", schema(kind)).unwrap();
    let index = compiler.compile("memory:schema", &mut schemas).unwrap();
    schemas.validate(&value, index).err().map(|error| format!("{error:#}"))
}

/// What the parser says of a policy file's shape, by code and text.
fn policy_faults(yaml: &str) -> Vec<String> {
    let catalog = Catalog::of_names(["gitlab", "github", "prod-cluster"].map(|name| IssuerName::new(name).unwrap()));
    let inspection = PolicySet::inspect_sources([("p.yaml", yaml)], &catalog).unwrap();
    let of_shape = [Code::Shape, Code::Limit, Code::Name, Code::Duplicate, Code::Case, Code::Syntax];
    let faults = inspection.counting(Severity::Error).filter(|finding| of_shape.contains(&finding.code));
    faults.map(ToString::to_string).collect()
}

fn config_fault(yaml: &str) -> Option<String> {
    Config::parse(yaml, Path::new("/etc/cambio")).err().map(|error| error.to_string())
}

#[test]
fn the_program_prints_the_schemas_that_are_committed() {
    for kind in ["policy", "cases", "config"] {
        let out = Command::new(env!("CARGO_BIN_EXE_cambio")).args(["schema", kind]).output().unwrap();
        let committed = fs::read(repository(&format!("schemas/{kind}.schema.json"))).unwrap();
        assert!(out.stdout == committed, "{kind}");
    }
}

/// The YAML files below a directory.
fn yaml_files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository(directory)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect();
    files.sort();
    files
}

#[test]
fn every_shipped_policy_fits_and_says_where_the_schema_is() {
    let files = yaml_files("policies");
    assert!(files.len() >= 4);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(complaint("policy", &text), None, "{}", file.display());
        assert_schema_is_named(&file, &text, "policy");
    }
}

#[test]
fn the_shipped_configuration_fits_and_says_where_the_schema_is() {
    let file = repository("deploy/cambio.yaml");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(complaint("config", &text), None);
    assert_schema_is_named(&file, &text, "config");
}

/// The `.cases.yaml` files below a directory, at any depth.
fn cases_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            cases_files(&path, found);
        } else if path.to_string_lossy().ends_with(".cases.yaml") {
            found.push(path);
        }
    }
}

#[test]
fn the_cases_of_every_shipped_role_fit_and_say_where_the_schema_is() {
    let mut files = vec![];
    cases_files(&repository("examples"), &mut files);
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(complaint("cases", &text), None, "{}", file.display());
        assert_schema_is_named(&file, &text, "cases");
    }
}

/// A role's cases are written as a policy's, but that the role's own issuer vouches where they name none.
#[test]
fn the_cases_of_a_role_are_those_of_a_policy() {
    let (mut policy, cases) = (schema("policy"), schema("cases"));
    assert!(policy["definitions"]["case"]["dependencies"].as_object_mut().unwrap().remove("claims").is_some());
    for name in ["case", "accept", "ttl"] {
        assert_eq!(cases["definitions"][name], policy["definitions"][name], "{name}");
    }
    for name in ["cases", "accept"] {
        assert_eq!(cases["properties"][name], policy["properties"][name], "{name}");
    }
    assert!(complaint("cases", "case: []\n").is_some());
}

fn assert_schema_is_named(file: &Path, text: &str, kind: &str) {
    let first = text.lines().next().unwrap();
    let named = first.strip_prefix("# yaml-language-server: $schema=");
    let named = named.unwrap_or_else(|| panic!("{} does not begin with its schema", file.display()));
    let meant = file.parent().unwrap().join(named).canonicalize().unwrap();
    assert_eq!(meant, repository(&format!("schemas/{kind}.schema.json")).canonicalize().unwrap(), "{}", file.display());
}

#[test]
fn the_examples_of_the_findings_fit_where_their_shape_is_right() {
    let mut tried = 0;
    for code in Code::ALL {
        let page = fs::read_to_string(repository(&code.page())).unwrap();
        for block in page.split("```yaml ").skip(1).filter_map(|rest| rest.split("```").next()) {
            let (_, yaml) = block.split_once('\n').unwrap();
            if yaml.starts_with("target:") && policy_faults(yaml).is_empty() {
                assert_eq!(complaint("policy", yaml), None, "{code}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 6, "{tried}");
}

const POLICY: &str = r#"target: shop
aliases: [shop-production]
namespace: acme/shop
description: deployments
accept:
  - {finding: P0305, because: the name is reserved}
rules:
  - name: deploy
    issuer: gitlab
    let:
      protected: 'claims.ref_protected == "true"'
    require:
      - that: 'claims.project_id == "20"'
        message: another project
        accept:
          - {finding: wide-prefix, because: all are ours}
    grant:
      policies:
        - '"deploy/shop"'
        - {when: protected, policy: '"deploy/shop/protected"'}
      ttl: 10m
      outlive_subject: true
      scopes: [read]
      metadata: {project: claims.project_id}
cases:
  - name: a job
    issuer: gitlab
    claims: {project_id: "20", ref_protected: "true"}
    at: 2026-11-18T11:06:40Z
    permit: {rule: deploy, policies: [deploy/shop, deploy/shop/protected], ttl: 10m, outlive_subject: true, scopes: [read], metadata: {project: "20"}}
  - name: another
    like: a job
    with: {project_id: "21"}
    without: [ref_protected]
    deny: {rule: deploy, reason: another project}
"#;

#[test]
fn a_policy_with_everything_fits_both() {
    assert_eq!((complaint("policy", POLICY), policy_faults(POLICY)), (None, vec![]));
}

#[rstest]
#[case::unknown_key("namespace:", "namespaces:")]
#[case::no_target("target: shop\n", "")]
#[case::target_with_a_space("target: shop", "target: my shop")]
#[case::alias_with_a_space("[shop-production]", "[\"shop production\"]")]
#[case::namespace_with_a_space("acme/shop\n", "acme/my shop\n")]
#[case::unknown_key_of_a_rule("    let:", "    lets:")]
#[case::no_name_of_a_rule("  - name: deploy\n    issuer", "  - issuer")]
#[case::capital_in_a_rule_s_name("- name: deploy", "- name: Deploy")]
#[case::issuer_as_a_map("issuer: gitlab\n    let", "issuer: {name: gitlab}\n    let")]
#[case::issuers_none("issuer: gitlab\n    let", "issuer: []\n    let")]
#[case::issuer_twice("issuer: gitlab\n    let", "issuer: [gitlab, gitlab]\n    let")]
#[case::variable_with_a_dash("      protected: 'claims", "      is-protected: 'claims")]
#[case::variable_as_a_list("protected: 'claims.ref_protected == \"true\"'", "protected: [a]")]
#[case::no_message("        message: another project\n", "")]
#[case::empty_message("message: another project", "message: \"\"")]
#[case::condition_as_text(
    "- that: 'claims.project_id == \"20\"'\n        message: another project\n        accept:\n          - {finding: wide-prefix, because: all are ours}",
    "- 'true'"
)]
#[case::acceptance_without_a_reason(", because: all are ours", "")]
#[case::acceptance_of_a_number("finding: P0305", "finding: [305]")]
#[case::item_without_a_policy(", policy: '\"deploy/shop/protected\"'", "")]
#[case::item_with_another_key("{when: protected, policy", "{if: protected, policy")]
#[case::no_policies(
    "      policies:\n        - '\"deploy/shop\"'\n        - {when: protected, policy: '\"deploy/shop/protected\"'}\n",
    ""
)]
#[case::ttl_in_weeks("ttl: 10m\n", "ttl: 1w\n")]
#[case::ttl_without_a_unit("ttl: 10m\n", "ttl: 10\n")]
#[case::bool_as_text("outlive_subject: true\n", "outlive_subject: \"yes\"\n")]
#[case::scope_with_a_space("scopes: [read]\n      meta", "scopes: [\"read all\"]\n      meta")]
#[case::scope_twice("scopes: [read]\n      meta", "scopes: [read, read]\n      meta")]
#[case::metadata_as_a_list("metadata: {project: claims.project_id}", "metadata: [claims.project_id]")]
#[case::metadata_with_a_dash("{project: claims", "{project-id: claims")]
#[case::case_without_an_end("    deny: {rule: deploy, reason: another project}\n", "")]
#[case::case_with_two_ends("    deny:", "    permit: {policies: []}\n    deny:")]
#[case::case_with_claims_and_like("    like: a job\n", "    like: a job\n    claims: {}\n")]
#[case::case_of_nobody("    issuer: gitlab\n    claims", "    claims")]
#[case::case_that_differs_from_nothing(
    "    like: a job\n",
    "    issuer: gitlab\n    claims: {ref_protected: \"true\"}\n"
)]
#[case::claims_as_a_list("claims: {project_id: \"20\", ref_protected: \"true\"}", "claims: [a]")]
#[case::without_as_a_map("without: [ref_protected]", "without: {ref_protected: x}")]
#[case::permit_of_nothing("rule: deploy, policies: [deploy/shop, deploy/shop/protected], ", "rule: deploy, ")]
#[case::denial_without_a_reason(", reason: another project", "")]
#[case::empty_expression("that: 'claims.project_id == \"20\"'", "that: ''")]
#[case::rules_as_a_map("rules:\n  - name", "rules:\n    name")]
fn a_mistake_in_a_policy_is_refused_by_both(#[case] right: &str, #[case] wrong: &str) {
    assert!(POLICY.contains(right), "{right}");
    let text = POLICY.replacen(right, wrong, 1);
    if serde_saphyr::from_str::<Value>(&text).is_err() {
        return assert!(!policy_faults(&text).is_empty());
    }
    let (editor, parser) = (complaint("policy", &text), policy_faults(&text));
    assert!(editor.is_some() && !parser.is_empty(), "{wrong}: editor {editor:?}, parser {parser:?}");
}

#[test]
fn the_bounds_of_a_policy_are_those_of_the_parser() {
    let schema = schema("policy");
    let at = |pointer: &str| schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}")).as_u64().unwrap();
    let bounds = [
        ("/properties/aliases/maxItems", limits::ALIASES),
        ("/properties/rules/maxItems", limits::RULES),
        ("/properties/cases/maxItems", limits::CASES),
        ("/properties/description/maxLength", limits::TEXT_BYTES),
        ("/definitions/rule/properties/let/maxProperties", limits::LETS),
        ("/definitions/rule/properties/require/maxItems", limits::CONDITIONS),
        ("/definitions/condition/properties/that/maxLength", limits::SOURCE_BYTES),
        ("/definitions/grant/properties/policies/maxItems", limits::GRANT_ITEMS),
        ("/definitions/grant/properties/scopes/maxItems", limits::SCOPES),
        ("/definitions/grant/properties/metadata/maxProperties", limits::METADATA),
    ];
    for (pointer, bound) in bounds {
        assert_eq!(at(pointer), bound as u64, "{pointer}");
    }
}

/// The keys that the parser lists when it meets an unknown one.
fn expected_keys(complaint: &str) -> BTreeSet<String> {
    let (_, list) = complaint.split_once("expected ").unwrap_or_else(|| panic!("{complaint}"));
    let list = list.lines().next().unwrap().split(" at line").next().unwrap();
    let words = list.trim_start_matches("one of ").split([',', ' ']).map(|word| word.trim_matches(['`', '.', ':']));
    words.filter(|word| !word.is_empty() && *word != "or").map(str::to_owned).collect()
}

fn keys(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let properties = schema.pointer(&format!("{pointer}/properties")).unwrap_or_else(|| panic!("{pointer}"));
    properties.as_object().unwrap().keys().cloned().collect()
}

#[rstest]
#[case("", "target: shop", "zzz: 1\ntarget: shop")]
#[case("/definitions/rule", "  - name: deploy", "  - zzz: 1\n    name: deploy")]
#[case("/definitions/condition", "      - that:", "      - zzz: 1\n        that:")]
#[case("/definitions/grant", "      policies:", "      zzz: 1\n      policies:")]
#[case("/definitions/case", "  - name: another", "  - zzz: 1\n    name: another")]
#[case("/definitions/case/properties/permit", "{rule: deploy, policies", "{zzz: 1, policies")]
#[case("/definitions/accept/items", "{finding: P0305", "{zzz: 1, finding: P0305")]
fn the_keys_of_a_policy_are_those_of_the_parser(#[case] pointer: &str, #[case] at: &str, #[case] with: &str) {
    assert!(POLICY.contains(at));
    let faults = policy_faults(&POLICY.replacen(at, with, 1));
    assert_eq!(keys(&schema("policy"), pointer), expected_keys(&faults[0]), "{faults:?}");
}

const CONFIG: &str = r"issuer: https://cambio.example.com
listen: 127.0.0.1:8200
ops_listen: '[::1]:9200'
tls: {certificate: c.pem, key: k.pem}
data: data
policies: policies
default_target: shop
issuers:
  - name: gitlab
    platform: gitlab
    issuer: https://gitlab.example.com
    audiences: [https://cambio.example.com]
    audience_rule: any
    keys: {jwks_url: https://gitlab.example.com/jwks}
    ca_file: ca.pem
    private_addresses: true
    insecure_http: false
    unusual_issuer: false
    accept_platform_audience: false
    algorithms: [RS256]
    types: [JWT, absent]
    leeway: 30s
    replay: single_use
    max_token_lifetime: 1h 30m
    max_issued_ttl: 600
    required_claims: [environment, [a, b]]
    claims:
      team: {type: 'string|list<string>', kind: recyclable_name, presence: conditional, nullable: true, identified_by: [team_id], doc: a team}
      team_id: {type: map, kind: immutable_id, members: {id: {type: int, kind: immutable_id}}, unknown_members: allowed}
    jwks: {cooldown: 30s, bad_signature_cooldown: 5m, fresh_min: 60s, fresh_max: 1h, stale_for: 24h, timeout: 5s}
  - name: prod
    platform: kubernetes
    issuer: https://kubernetes.default.svc.cluster.local
    audiences: [https://cambio.example.com]
    keys: {cluster: {server: 'https://10.0.0.1:6443', ca_file: ca.crt, token_file: token}}
  - name: github
    platform: github
    audiences: [https://cambio.example.com]
    keys: discovery
tokens: {algorithm: EdDSA, rotate_every: 30d, signing_key_files: []}
verified_token_cache: 16MiB
replay: {capacity: 1000}
audit:
  file: '-'
  on_failure: drop
  claims: values
  rotate_at: 64MiB
  keep: 10
  keep_for: 90d
  sinks:
  - {kind: syslog, name: log, address: 'tcp://log.example.com:601', facility: local3, max_bytes: 8KiB, on_failure: deny}
  - {kind: webhook, url: 'https://siem.example.com/in', bearer_file: siem.token, ca_file: ca.pem, timeout: 5s}
  decisions: {keep_for: 7d, max: 1000}
clients: []
log: {level: info, format: json}
limits: {connections: 10, connections_per_address: 5, header_timeout: 10s, shutdown_grace: 20s}
state:
  counters: {url: 'redis://redis:6379/1', timeout: 100ms, prefix: 'cambio:', durable: true}
  database: {url: 'postgres://cambio@db.example.com/cambio?sslmode=verify-full'}
secrets: {master_key_file: master.key}
rest:
  mount: secret
  folder: explicit
  field: value
  projects: [{id: 123, path: acme/web, namespace: acme/web, mount: secret, folder: '', field: password, target: shop}]
  groups: [{path: acme}]
http: {trusted_proxies: [10.0.0.0/8, '2001:db8::/32', 192.0.2.1]}
rate_limits: {source: 6000 per 1m, issuer: off, subject: 10 per second, target: 5 per 1h 30m, failures: 300 per minute, replicas: 2, max_keys: 64}
";

#[test]
fn a_configuration_with_everything_fits_both() {
    assert_eq!((complaint("config", CONFIG), config_fault(CONFIG)), (None, None));
}

#[rstest]
#[case::unknown_key("data: data", "dada: data")]
#[case::a_proxy_that_is_none("192.0.2.1]", "proxy.example.com]")]
#[case::a_rate_without_a_time("issuer: off", "issuer: 600")]
#[case::a_rate_of_nothing("source: 6000 per 1m", "source: 6000 per fortnight")]
#[case::no_replicas("replicas: 2", "replicas: 0")]
#[case::too_few_keys("max_keys: 64", "max_keys: 63")]
#[case::a_budget_that_is_none("subject: 10", "subjects: 10")]
#[case::no_issuer("issuer: https://cambio.example.com\nlisten", "listen")]
#[case::issuer_without_a_scheme("issuer: https://cambio.example.com\nlisten", "issuer: cambio.example.com\nlisten")]
#[case::listen_without_a_port("127.0.0.1:8200", "127.0.0.1")]
#[case::tls_without_a_key(", key: k.pem", "")]
#[case::unknown_key_of_tls("certificate:", "cert:")]
#[case::target_with_a_space("default_target: shop", "default_target: my shop")]
#[case::issuers_as_a_map("issuers:\n  - name: gitlab\n", "issuers: {}\nx:\n  - name: gitlab\n")]
#[case::issuer_without_a_platform("    platform: gitlab\n", "")]
#[case::capital_in_an_issuer_s_name("name: gitlab", "name: GitLab")]
#[case::audiences_as_text(
    "audiences: [https://cambio.example.com]\n    audience_rule",
    "audiences: https://cambio.example.com\n    audience_rule"
)]
#[case::unknown_audience_rule("audience_rule: any", "audience_rule: all")]
#[case::unknown_keys("{jwks_url:", "{jwks_uri:")]
#[case::keys_of_two_places(
    "{jwks_url: https://gitlab.example.com/jwks}",
    "{jwks_url: https://gitlab.example.com/jwks, file: x}"
)]
#[case::keys_as_another_word("keys: discovery", "keys: discover")]
#[case::unknown_key_of_a_cluster("token_file: token", "token: token")]
#[case::bool_as_text("private_addresses: true", "private_addresses: sure")]
#[case::algorithm_in_small_letters("[RS256]", "[rs256]")]
#[case::algorithm_of_secrets("[RS256]", "[HS256]")]
#[case::types_as_text("types: [JWT, absent]", "types: JWT")]
#[case::leeway_without_a_unit("leeway: 30s", "leeway: 30 seconds")]
#[case::leeway_below_zero("leeway: 30s", "leeway: -1")]
#[case::unknown_replay("replay: single_use", "replay: once")]
#[case::claims_as_a_map("required_claims: [environment, [a, b]]", "required_claims: {a: b}")]
#[case::claim_without_a_kind("{type: int, kind: immutable_id}", "{type: int}")]
#[case::claim_of_an_unknown_kind("kind: recyclable_name", "kind: name")]
#[case::claim_of_an_unknown_presence("presence: conditional", "presence: always")]
#[case::unknown_key_of_a_claim("doc: a team", "docs: a team")]
#[case::claim_of_no_name("[environment, [a, b]]", "[[]]")]
#[case::unknown_key_of_jwks("{cooldown:", "{cool_down:")]
#[case::unknown_algorithm("algorithm: EdDSA", "algorithm: ES257")]
#[case::size_in_megabytes("16MiB", "16MB")]
#[case::capacity_as_text("capacity: 1000", "capacity: many")]
#[case::unknown_failure("on_failure: drop", "on_failure: ignore")]
#[case::unknown_detail("claims: values", "claims: all")]
#[case::sink_of_an_unknown_kind("kind: syslog", "kind: sislog")]
#[case::sink_that_fails_otherwise("on_failure: deny}", "on_failure: wait}")]
#[case::collector_without_a_scheme("'tcp://log.example.com:601'", "'log.example.com:601'")]
#[case::unknown_facility("facility: local3", "facility: local9")]
#[case::webhook_of_another_scheme("'https://siem", "'ftp://siem")]
#[case::unknown_key_of_a_sink("bearer_file: siem.token", "bearer: siem.token")]
#[case::number_of_decisions_as_text("max: 1000", "max: many")]
#[case::client_without_targets("clients: []", "clients: [{id: a}]")]
#[case::unknown_format("format: json", "format: yaml")]
#[case::unknown_limit("{connections: 10", "{conections: 10")]
#[case::unknown_key_of_the_state("  counters: {url", "  counter: {url")]
#[case::counters_elsewhere("url: 'redis://", "url: 'http://")]
#[case::counters_with_a_password("url: 'redis://redis", "url: 'redis://:hunter2@redis")]
#[case::counters_with_a_pattern("prefix: 'cambio:'", "prefix: 'cambio*'")]
#[case::a_database_elsewhere("url: 'postgres://", "url: 'mysql://")]
#[case::a_database_with_a_password("cambio@db", "cambio:hunter2@db")]
#[case::a_database_with_a_password_at_its_end("?sslmode=verify-full", "?password=hunter2")]
#[case::unknown_key_of_a_database("{url: 'postgres", "{urls: 'x', url: 'postgres")]
#[case::unknown_key_of_a_project("field: password", "fields: password")]
#[case::project_without_a_name("{path: acme}", "{namespace: acme}")]
#[case::project_with_a_number_below_zero("id: 123", "id: -1")]
#[case::project_with_an_odd_path("path: acme/web", "path: acme//web")]
#[case::group_of_no_field("field: value", "field: ''")]
fn a_mistake_in_a_configuration_is_refused_by_both(#[case] right: &str, #[case] wrong: &str) {
    assert!(CONFIG.contains(right), "{right}");
    let text = CONFIG.replacen(right, wrong, 1);
    let (editor, parser) = (complaint("config", &text), config_fault(&text));
    assert!(editor.is_some() && parser.is_some(), "{wrong}: editor {editor:?}, parser {parser:?}");
}

#[rstest]
#[case("", "data: data", "zzz: 1")]
#[case("/properties/tls", "{certificate:", "{zzz: 1, certificate:")]
#[case("/definitions/issuer", "    platform: gitlab\n", "    platform: gitlab\n    zzz: 1\n")]
#[case("/definitions/issuer/properties/jwks", "{cooldown:", "{zzz: 1, cooldown:")]
#[case("/definitions/issuer/properties/keys/oneOf/1/properties/cluster", "{server:", "{zzz: 1, server:")]
#[case("/properties/tokens", "{algorithm:", "{zzz: 1, algorithm:")]
#[case("/properties/replay", "{capacity: 1000", "{zzz: 1")]
#[case("/properties/audit", "  file: '-'", "  zzz: 1\n  file: '-'")]
#[case("/properties/audit/properties/decisions", "{keep_for: 7d", "{zzz: 1, keep_for: 7d")]
#[case("/properties/clients/items", "clients: []", "clients: [{zzz: 1}]")]
#[case("/properties/log", "{level:", "{zzz: 1, level:")]
#[case("/properties/limits", "{connections:", "{zzz: 1, connections:")]
#[case("/properties/state", "  counters: {url", "  zzz: 1\n  counters: {url")]
#[case("/properties/state/properties/counters", "{url: 'redis", "{zzz: 1, url: 'redis")]
#[case("/properties/rest", "  folder: explicit", "  zzz: 1")]
#[case("/definitions/tenant", "[{path: acme}]", "[{zzz: 1}]")]
fn the_keys_of_a_configuration_are_those_of_the_parser(#[case] pointer: &str, #[case] at: &str, #[case] with: &str) {
    assert!(CONFIG.contains(at));
    let fault = config_fault(&CONFIG.replacen(at, with, 1)).unwrap();
    assert_eq!(keys(&schema("config"), pointer), expected_keys(&fault), "{fault}");
}
