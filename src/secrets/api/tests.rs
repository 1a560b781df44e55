use rstest::rstest;

use super::*;

fn call<'a>(verb: Verb, path: &'a str, body: &'a str) -> ApiCall<'a> {
    ApiCall { verb, path, version: None, depth: None, body: body.as_bytes() }
}

fn v2(verb: Verb, path: &str, body: &str) -> Result<KvCall, ApiFault> {
    KvCall::read(KvVersion::V2, call(verb, path, body))
}

#[rstest]
#[case(Verb::Read, "data/app/db", "", "read", "data/app/db", Needs::One(Capability::Read))]
#[case(Verb::Read, "subkeys/app/db", "", "read_subkeys", "subkeys/app/db", Needs::One(Capability::Read))]
#[case(Verb::Read, "metadata/app/db", "", "read_metadata", "metadata/app/db", Needs::One(Capability::Read))]
#[case(Verb::List, "metadata/app", "", "list", "metadata/app/", Needs::One(Capability::List))]
#[case(Verb::List, "metadata/app/", "", "list", "metadata/app/", Needs::One(Capability::List))]
#[case(Verb::List, "metadata", "", "list", "metadata/", Needs::One(Capability::List))]
#[case(Verb::Write, "data/a", r#"{"data":{"k":"v"}}"#, "write", "data/a", Needs::CreateOrUpdate)]
#[case(Verb::Patch, "data/a", r#"{"data":{"k":null}}"#, "patch", "data/a", Needs::One(Capability::Patch))]
#[case(Verb::Delete, "data/a", "", "delete", "data/a", Needs::One(Capability::Delete))]
#[case(Verb::Write, "delete/a", r#"{"versions":[1,2]}"#, "delete", "delete/a", Needs::One(Capability::Update))]
#[case(Verb::Write, "undelete/a", r#"{"versions":["1"]}"#, "undelete", "undelete/a", Needs::One(Capability::Update))]
#[case(Verb::Write, "destroy/a", r#"{"versions":[3]}"#, "destroy", "destroy/a", Needs::One(Capability::Update))]
#[case(Verb::Write, "metadata/a", "{}", "write_metadata", "metadata/a", Needs::CreateOrUpdate)]
#[case(Verb::Patch, "metadata/a", "{}", "patch_metadata", "metadata/a", Needs::One(Capability::Patch))]
#[case(Verb::Delete, "metadata/a", "", "delete_all", "metadata/a", Needs::One(Capability::Delete))]
fn a_call_of_version_2_means_one_thing(
    #[case] verb: Verb,
    #[case] path: &str,
    #[case] body: &str,
    #[case] operation: &str,
    #[case] needs_on: &str,
    #[case] needs: Needs,
) {
    let call = v2(verb, path, body).unwrap();
    assert_eq!((call.operation(), call.path.as_str(), call.needs), (operation, needs_on, needs));
}

#[rstest]
#[case(Verb::Read, "", ApiFault::Path)]
#[case(Verb::Read, "app/db", ApiFault::Path)]
#[case(Verb::Read, "DATA/a", ApiFault::Path)]
#[case(Verb::Read, "data", ApiFault::BadPath(PathError::Empty))]
#[case(Verb::Read, "data/", ApiFault::BadPath(PathError::Empty))]
#[case(Verb::Read, "data/a/", ApiFault::BadPath(PathError::Segment))]
#[case(Verb::Read, "data//a", ApiFault::BadPath(PathError::Segment))]
#[case(Verb::Read, "data/../metadata/a", ApiFault::BadPath(PathError::Segment))]
#[case(Verb::Read, "data/a%2fb", ApiFault::BadPath(PathError::Character))]
#[case(Verb::List, "metadata//", ApiFault::BadPath(PathError::Empty))]
#[case(Verb::List, "data/a", ApiFault::Operation)]
#[case(Verb::Scan, "metadata/a", ApiFault::Operation)]
#[case(Verb::Patch, "destroy/a", ApiFault::Operation)]
#[case(Verb::Read, "undelete/a", ApiFault::Operation)]
fn what_the_api_does_not_have_is_refused(#[case] verb: Verb, #[case] path: &str, #[case] fault: ApiFault) {
    assert_eq!(v2(verb, path, "").unwrap_err(), fault);
}

#[rstest]
#[case("", "no data provided")]
#[case("[]", "the body is not a JSON object")]
#[case("{", "the body is not a JSON object")]
#[case("{}", "no data provided")]
#[case(r#"{"data":1}"#, "a secret is a JSON object")]
#[case(r#"{"data":{},"options":{"cas":"x"}}"#, "`cas` is a version number")]
#[case(r#"{"data":{},"options":{"cas":-1}}"#, "`cas` is a version number")]
#[case(r#"{"data":{},"options":[]}"#, "the body is not a JSON object")]
fn a_body_that_writes_nothing_is_refused(#[case] body: &str, #[case] said: &str) {
    assert_eq!(v2(Verb::Write, "data/a", body).unwrap_err().to_string(), said);
}

#[test]
fn a_value_is_kept_in_the_bytes_that_were_sent() {
    let call = v2(Verb::Write, "data/a", r#" {"options":{"cas":0}, "data": {"b": 1.0, "a":"\u00e9"} } "#).unwrap();
    let KvRequest::Secret(_, KvMethod::Write { data, cas }) = call.request else { panic!("a write") };
    assert_eq!((data.as_json(), cas), (br#"{"b": 1.0, "a":"\u00e9"}"#.as_slice(), Some(0)));
}

#[test]
fn members_that_mean_nothing_are_named_and_never_quoted() {
    let call = v2(Verb::Write, "data/a", r#"{"data":{},"dta":1,"hunter2 is my pass":2}"#).unwrap();
    assert_eq!(call.ignored, ["dta", "…"]);
}

#[rstest]
#[case(r#"{"max_versions":5,"cas_required":true,"delete_version_after":"1h","custom_metadata":{"a":"b"}}"#, true)]
#[case(r#"{"max_versions":"5"}"#, true)]
#[case(r#"{"custom_metadata":null}"#, true)]
#[case(r#"{"max_versions":1001}"#, false)]
#[case(r#"{"max_versions":-1}"#, false)]
#[case(r#"{"cas_required":"yes"}"#, false)]
#[case(r#"{"delete_version_after":"soon"}"#, false)]
#[case(r#"{"custom_metadata":{"a":1}}"#, false)]
#[case(r#"{"custom_metadata":{"":"x"}}"#, false)]
#[case(r#"{"custom_metadata":{"a":"x\n"}}"#, false)]
fn metadata_is_what_the_api_says(#[case] body: &str, #[case] good: bool) {
    assert_eq!(v2(Verb::Write, "metadata/a", body).is_ok(), good);
}

#[rstest]
#[case("[]")]
#[case("[0]")]
#[case("[-1]")]
#[case("[\"x\"]")]
#[case("1")]
fn versions_are_numbers_from_1(#[case] versions: &str) {
    assert!(v2(Verb::Write, "destroy/a", &format!(r#"{{"versions":{versions}}}"#)).is_err());
}

#[rstest]
#[case(Some("2"), Ok(Some(2)))]
#[case(Some("0"), Ok(None))]
#[case(Some(""), Ok(None))]
#[case(None, Ok(None))]
#[case(Some("latest"), Err(ApiFault::Query("version")))]
#[case(Some("-1"), Err(ApiFault::Query("version")))]
#[case(Some("+1"), Err(ApiFault::Query("version")))]
#[case(Some("99999999999999999999"), Err(ApiFault::Query("version")))]
fn a_version_is_a_number(#[case] text: Option<&str>, #[case] expected: Result<Option<u64>, ApiFault>) {
    let read = KvCall::read(KvVersion::V2, ApiCall { version: text, ..call(Verb::Read, "data/a", "") });
    let version = read.map(|call| match call.request {
        KvRequest::Secret(_, KvMethod::Read { version }) => version,
        _ => panic!("a read"),
    });
    assert_eq!(version, expected);
}

#[rstest]
#[case(Verb::Read, "app/db", "", "read", "app/db")]
#[case(Verb::List, "app", "", "list", "app/")]
#[case(Verb::List, "", "", "list", "")]
#[case(Verb::Write, "app/db", r#"{"k":"v"}"#, "write", "app/db")]
#[case(Verb::Delete, "app/db", "", "delete_all", "app/db")]
fn a_call_of_version_1_means_one_thing(
    #[case] verb: Verb,
    #[case] path: &str,
    #[case] body: &str,
    #[case] operation: &str,
    #[case] needs_on: &str,
) {
    let call = KvCall::read(KvVersion::V1, call(verb, path, body)).unwrap();
    assert_eq!((call.operation(), call.path.as_str(), call.shape), (operation, needs_on, Shape::V1));
}
