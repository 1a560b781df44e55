//! What loads and what does not, and what an operator is told.

use std::fs;

use proptest::prelude::*;
use rstest::rstest;

use super::limits::{DOCUMENT_BYTES, PATHS};
use super::*;
use crate::clock::Timestamp;
use crate::identity::PolicyName;

const FILE: &str = "sys/policies/acl/p.hcl";

fn told<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    AclDocuments::from_sources(sources).map(|_| ()).unwrap_err().to_string()
}

fn warned(text: &str) -> Vec<String> {
    AclDocuments::from_sources([(FILE, text)]).unwrap().warnings().iter().map(ToString::to_string).collect()
}

#[rstest]
#[case::syntax("path \"a\" {", "1:10: this `{` is never closed")]
#[case::unknown_at_the_top("paths \"a\" {}", "1:1: there is no `paths` here")]
#[case::unknown_field("path \"a\" {\n  é = 1\n}", "2:3: a name, such as `path` is expected here, not `é`")]
#[case::unknown_field("path \"ä\" { capability = [\"read\"] }", "1:12: there is no field `capability`")]
#[case::unknown_capability(
    "path \"a\" { capabilities = [\"read\", \"write\"] }",
    "1:36: there is no capability `write`"
)]
#[case::capabilities_of_another_kind(
    "path \"a\" { capabilities = \"read\" }",
    "1:27: a string where a list is expected"
)]
#[case::capability_of_another_kind("path \"a\" { capabilities = [1] }", "1:28: a number where a string is expected")]
#[case::field_twice(
    "path \"a\" { comment = \"x\"\n comment = \"y\" }",
    "2:2: the field `comment` is already there, in line 1"
)]
#[case::older_word(
    "path \"a\" { policy = \"root\" }",
    "1:21: `policy` is one of deny, read, write, sudo; `capabilities` say more"
)]
#[case::a_path_that_is_none("path = \"a\"", "1:8: a string where an object is expected")]
#[case::a_body_that_is_none("path = { \"a\" = [\"read\"] }", "1:16: a list where an object is expected")]
#[case::star_within(
    "path \"a/*/b\" {}",
    "1:6: `*` stands at the end of a path, for whatever follows, and nowhere else; `+` stands for a segment"
)]
#[case::plus_within("path \"a/b+\" {}", "1:6: `+` is a whole segment, as in `secret/+/db`")]
#[case::identity(
    "path \"a/{{identity.entity.id}}\" {}",
    "1:6: `{{..}}` is filled in from OpenBao's identities, which cambio does not have: write the path out, or leave it to a policy's name"
)]
#[case::template(
    "path \"a/${env}\" {}",
    "1:6: a template is `${hex(\"text\")}`, and nothing else; write `$${` where it is meant literally"
)]
#[case::expiration(
    "path \"a\" { expiration = \"tomorrow\" }",
    "1:25: an expiration is a moment as in RFC 3339, such as `2027-01-31T12:00:00Z`"
)]
#[case::expiration_in_seconds(
    "path \"a\" { expiration = \"1800000000\" }",
    "1:25: an expiration is a moment as in RFC 3339, such as `2027-01-31T12:00:00Z`"
)]
#[case::expiration_without_zone(
    "path \"a\" { expiration = \"2027-01-31T12:00:00\" }",
    "1:25: an expiration is a moment as in RFC 3339, such as `2027-01-31T12:00:00Z`"
)]
#[case::parameters("path \"a\" { allowed_parameters = [\"x\"] }", "1:33: a list where an object of lists is expected")]
#[case::parameter_values(
    "path \"a\" { denied_parameters = { \"x\" = \"y\" } }",
    "1:40: a string where a list is expected"
)]
#[case::parameter_value(
    "path \"a\" { denied_parameters = { \"x\" = [[]] } }",
    "1:41: a parameter is compared with strings, numbers, bools and null only"
)]
#[case::parameter_twice(
    "path \"a\" { denied_parameters = { \"x\" = [], \"X\" = [] } }",
    "1:44: the parameter `X` is already there"
)]
#[case::ttl(
    "path \"a\" { max_wrapping_ttl = \"soon\" }",
    "1:31: a ttl is a length of time such as `90s`, or a whole number of seconds, at most a year"
)]
#[case::ttls(
    "path \"a\" { max_wrapping_ttl = 1 min_wrapping_ttl = 2 }",
    "1:12: `max_wrapping_ttl` is less than `min_wrapping_ttl`"
)]
#[case::pages(
    "path \"a\" { pagination_limit = 10 }",
    "1:12: `pagination_limit` can't be kept: lists are not given out in pages"
)]
#[case::filter(
    "path \"a\" { list_scan_response_keys_filter_path = \"x\" }",
    "1:12: `list_scan_response_keys_filter_path` can't be kept: lists are not filtered by what the caller may read"
)]
#[case::mfa(
    "path \"a\" { mfa_methods = [] }",
    "1:12: `mfa_methods` can't be kept: there is no second factor for a workload"
)]
#[case::control_group(
    "path \"a\" { control_group = {} }",
    "1:12: `control_group` can't be kept: there is nobody to ask for approval"
)]
#[case::another_name("name = \"q\"", "1:8: the policy's name is `p`, by where its document stands")]
#[case::a_body_of_the_api(
    "{\"policy\": \"path \\\"a\\\" {}\"}",
    "1:2: this is the body of an API call, not a document"
)]
#[case::twice_in_json("{\"path\": {\"a\": {},\n \"a\": {}}}", "2:2: the path `a` is already there, in line 1")]
#[case::twice_in_json("{\"path\": {},\n \"pa\\u0074h\": {}}", "2:2: the setting `path` is already there, in line 1")]
#[case::field_twice_in_json(
    "{\"path\": {\"a\": {\"comment\": \"\",\n \"comment\": \"\"}}}",
    "2:2: the field `comment` is already there, in line 1"
)]
#[case::no_object("{\"path\": 1}", "1:10: a number where an object is expected")]
fn a_fault_is_told_with_its_place(#[case] text: &str, #[case] message: &str) {
    assert_eq!(told([(FILE, text)]), format!("{FILE}:{message}"));
}

#[test]
fn every_fault_of_every_document_is_told_at_once() {
    let errors = told([
        ("b.hcl", ""),
        ("ns/sys/policies/acl/x.hcl", "path \"a*b\" { mfa_methods = [] }\npath \"c\" { capabilities = [\"red\"] }"),
        ("ns/sys/policies/acl/Y.json", "{}"),
        ("sys/policies/acl.json", "{\"path\": {}}"),
        ("sys/policies/acl/fine.hcl", "path \"a\" { capabilities = [\"read\"] }"),
    ]);
    let lines: Vec<_> = errors.lines().map(|line| line.split_once(": ").unwrap().0).collect();
    assert_eq!(
        lines,
        [
            "b.hcl",
            "ns/sys/policies/acl/Y.json",
            "ns/sys/policies/acl/x.hcl:1:6",
            "ns/sys/policies/acl/x.hcl:1:14",
            "ns/sys/policies/acl/x.hcl:2:28",
            "sys/policies/acl.json:1:2",
        ]
    );
}

#[rstest]
#[case::two_languages(
    "ns/sys/policies/acl/p.hcl",
    "",
    "ns/sys/policies/acl/p.json",
    "{}",
    "ns/sys/policies/acl/p.json:1:1",
    "ns/sys/policies/acl/p.hcl:1:1"
)]
#[case::one_of_many(
    "ns/sys/policies/acl.hcl",
    "\n policy \"p\" {}",
    "ns/sys/policies/acl/p.hcl",
    "",
    "ns/sys/policies/acl/p.hcl:1:1",
    "ns/sys/policies/acl.hcl:2:9"
)]
fn a_policy_is_written_once(
    #[case] one: &str,
    #[case] text: &str,
    #[case] other: &str,
    #[case] other_text: &str,
    #[case] at: &str,
    #[case] first: &str,
) {
    let expected = format!("{at}: there is already a policy `p` of this namespace, at {first}");
    assert_eq!(told([(one, text), (other, other_text)]), expected);
    assert!(AclDocuments::from_sources([(one, text), (&other.replace("ns/", ""), other_text)]).is_ok());
}

#[rstest]
#[case(
    "policy \"p\" {}\npolicy \"p\" {}",
    "2:8: there is already a policy `p` of this namespace, at sys/policies/acl.hcl:1:8"
)]
#[case(
    "policy \"a/${hex(\"x\")}\" {}\npolicy \"a/78\" {}",
    "2:8: there is already a policy `a/78` of this namespace, at sys/policies/acl.hcl:1:8"
)]
#[case(
    "{\"policy\": {\"p\": {},\n\"p\": {}}}",
    "2:1: there is already a policy `p` of this namespace, at sys/policies/acl.hcl:1:13"
)]
#[case(
    "policy \"P\" {}",
    "1:8: policy names are lower-case, as OpenBao makes them: write `p`, or `${hex(\"..\")}` for a name whose case counts"
)]
#[case("policy \"root\" {}", "1:8: `root` is no policy name: `root` cannot be granted")]
#[case("path \"a\" {}", "1:1: there is no `path` here")]
#[case("policy \"p\" \"q\" {}", "1:12: there is no `q` here")]
fn a_document_of_several_policies_names_each_once(#[case] text: &str, #[case] message: &str) {
    assert_eq!(told([("sys/policies/acl.hcl", text)]), format!("sys/policies/acl.hcl:{message}"));
}

#[test]
fn both_languages_and_both_places_say_the_same() {
    let one = r#"path "kv/data/${hex("É")}/$${x}" { capabilities = ["read"] }"#;
    let many = format!("policy \"env/${{hex(\"É\")}}\" {{ {one} }}");
    let json = r#"{"path": {"kv/data/${hex(\"É\")}/$${x}": {"capabilities": ["read"]}}}"#;
    let list = r#"{"path": [{"kv/data/${hex(\"\u00c9\")}/$${x}": {"capabilities": ["read"]}}]}"#;
    let name = PolicyName::new("env/c389").unwrap();
    for (file, text) in [
        ("sys/policies/acl/env/c389.hcl", one.to_owned()),
        ("sys/policies/acl/env/c389.hcl", json.to_owned()),
        ("sys/policies/acl/env/c389.json", json.to_owned()),
        ("sys/policies/acl/env/c389.json", list.to_owned()),
        ("sys/policies/acl.hcl", many),
        ("sys/policies/acl.json", format!("{{\"policy\": {{\"env/${{hex(\\\"É\\\")}}\": {json}}}}}")),
    ] {
        let documents = AclDocuments::from_sources([(file, text)]).unwrap();
        let names = [name.clone()];
        let acl = documents.of(None, &names);
        assert!(acl.check("kv/data/c389/${x}", Capability::Read, Timestamp::from_secs(0)).is_ok(), "{file}");
        assert!(acl.check("kv/data/É/${x}", Capability::Read, Timestamp::from_secs(0)).is_err());
    }
}

#[rstest]
#[case("path \"a\" { capabilities = [\"deny\", \"read\"] }", &["1:27: warning: beside `deny`, no other capability counts"])]
#[case("path \"a\" { capabilities = [] }", &["1:27: warning: the path is granted nothing, and patterns that match it as well don't count any more"])]
#[case("path \"a\" { capabilities = [\"read\"] }\npath \"a\" { capabilities = [\"deny\"] }", &["1:6: warning: this never counts: line 2 denies the same path"])]
#[case("path \"a\" { capabilities = [\"read\"] }\npath \"a\" { capabilities = [\"list\"] }", &[])]
#[case("path \"a\" { capabilities = [\"deny\"] }", &[])]
fn what_never_counts_is_warned_of(#[case] text: &str, #[case] expected: &[&str]) {
    let expected: Vec<_> = expected.iter().map(|warning| format!("{FILE}:{warning}")).collect();
    assert_eq!(warned(text), expected);
}

#[test]
fn the_digest_is_that_of_names_and_texts() {
    let of = |sources: &[(&str, &str)]| AclDocuments::from_sources(sources.iter().copied()).unwrap().digest();
    let (a, b) = (("sys/policies/acl/a.hcl", "# a"), ("sys/policies/acl/b.hcl", "# b"));
    assert_eq!(of(&[a, b]), of(&[b, a]));
    assert_ne!(of(&[a]), of(&[a, b]));
    assert_ne!(of(&[a]), of(&[(a.0, b.1)]));
    assert_ne!(of(&[a]), of(&[(b.0, a.1)]));
    assert_eq!(of(&[]), AclDocuments::empty().digest());
    assert_eq!(of(&[a, ("target.yaml", "x")]), of(&[a]));
}

#[test]
fn a_document_has_a_largest_size() {
    let comment = |bytes: usize| format!("#{}", "x".repeat(bytes - 1));
    assert!(AclDocuments::from_sources([(FILE, comment(DOCUMENT_BYTES))]).is_ok());
    let error = AclDocuments::from_sources([(FILE, comment(DOCUMENT_BYTES + 1))]).unwrap_err();
    assert_eq!(error.to_string(), format!("{FILE}: the file has more than 262144 bytes"));

    let paths = |count: usize| (0..count).map(|at| format!("path \"{at}\" {{}}\n")).collect::<String>();
    assert!(AclDocuments::from_sources([(FILE, paths(PATHS))]).is_ok());
    assert_eq!(told([(FILE, paths(PATHS + 1).as_str())]), format!("{FILE}:1:1: more than 10000 paths"));
}

#[test]
fn a_directory_is_read_as_it_is_mounted() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    // A ConfigMap: links into a hidden directory.
    fs::create_dir_all(at("ns/sys/policies/..data")).unwrap();
    fs::write(at("ns/sys/policies/..data/acl.hcl"), "policy \"linked\" {}").unwrap();
    fs::create_dir_all(at("ns/sys/policies/acl/env")).unwrap();
    fs::write(at("ns/sys/policies/acl/env/x.json"), "{\"path\": {}}").unwrap();
    fs::write(at("ns/sys/policies/acl/.x.hcl.swp"), "unfinished {").unwrap();
    fs::write(at("target.yaml"), "target: x").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("..data/acl.hcl", at("ns/sys/policies/acl.hcl")).unwrap();
    let documents = AclDocuments::load(dir.path()).unwrap();
    assert_eq!(documents.len(), 2);

    fs::write(at("ns/sys/policies/acl/env/y.hcl"), b"\xff").unwrap();
    fs::write(at("ns/sys/policies/acl/README.md"), "").unwrap();
    let errors = AclDocuments::load(dir.path()).unwrap_err();
    let files: Vec<_> = errors.errors().iter().map(|error| error.file.to_string()).collect();
    assert_eq!(files, ["ns/sys/policies/acl/README.md", "ns/sys/policies/acl/env/y.hcl"]);
    assert!(AclDocuments::load(&at("missing")).is_err());
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_back_up_ends() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("up")).unwrap();
    let errors = AclDocuments::load(dir.path()).unwrap_err().to_string();
    assert!(errors.ends_with("more than 32 levels of directories"), "{errors}");
}

#[rstest]
#[case("hcl", "group_1/sys/policies/acl.hcl", 2)]
#[case("json", "group_1/sys/policies/acl.json", 1)]
fn what_the_operators_page_shows_loads(#[case] language: &str, #[case] file: &str, #[case] policies: usize) {
    let page = include_str!("../../../docs/acl.md");
    let example = page.split(&format!("```{language}\n")).nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(AclDocuments::from_sources([(file, example)]).unwrap().len(), policies);
}

proptest! {
    #[test]
    fn any_text_loads_or_is_refused(text in ".{0,200}") {
        let _ = AclDocuments::from_sources([(FILE, text.clone())]);
        let _ = AclDocuments::from_sources([("sys/policies/acl.json", text)]);
    }

    #[test]
    fn pieces_of_documents_load_or_are_refused(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "path", "policy", "\"a/*\"", "\"+\"", "{", "}", "[", "]", "=", ",", "\"", "\\", "${hex(\"x\")}", "capabilities",
                "\"read\"", "\"deny\"", "\n", "/*", "*/", "#", "1", "true", "allowed_parameters", ":", "é", "$${",
            ]),
            0..40,
        ),
    ) {
        let text = pieces.join(" ");
        let hcl = AclDocuments::from_sources([(FILE, text.clone())]);
        if let Err(errors) = hcl {
            let lines = text.lines().count().max(1);
            for error in errors.errors() {
                let place = error.place.unwrap();
                prop_assert!(place.offset as usize <= text.len() && place.line as usize <= lines + 1);
            }
        }
        let _ = AclDocuments::from_sources([("sys/policies/acl.hcl", text)]);
    }

    #[test]
    fn a_written_policy_is_read_as_it_was_meant(name in "[a-z]{1,3}", path in "[a-z]{1,5}(/[a-zé]{1,5}){0,2}") {
        let text = serde_json::json!({"path": {path.clone(): {"capabilities": ["read"]}}}).to_string();
        let documents = AclDocuments::from_sources([(format!("sys/policies/acl/{name}.json"), text)]).unwrap();
        let names = [PolicyName::new(&name).unwrap()];
        let acl = documents.of(None, &names);
        prop_assert_eq!(acl.capabilities(&path, Timestamp::from_secs(0)), [Capability::Read]);
        let longer = format!("{path}x");
        prop_assert_eq!(acl.capabilities(&longer, Timestamp::from_secs(0)), [Capability::Deny]);
    }
}
