//! What the store makes of a Secret; `tests/real_kubernetes_secrets.rs` reads them from a real API server.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

/// A store whose API server is not there.
async fn store(more: &str) -> Arc<KubernetesStore> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    let kubeconfig = "{current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}], users: [{name: u, user: {token: abc}}]}";
    std::fs::write(&file, kubeconfig).unwrap();
    let text = format!("{{name: main, kubeconfig: '{}'{more}}}", file.display());
    Arc::new(KubernetesStore::new(serde_saphyr::from_str(&text).unwrap()).await.unwrap())
}

fn object(data: &[(&str, &[u8])]) -> Object {
    Object {
        uid: "u".to_owned(),
        version: Some(42),
        created: NOW,
        kind: "Opaque".to_owned(),
        labels: [("app".to_owned(), "db".to_owned())].into(),
        values: data.iter().map(|(key, value)| ((*key).to_owned(), Zeroizing::new(value.to_vec()))).collect(),
    }
}

fn read(path: &str, version: Option<u64>) -> KvRequest {
    KvRequest::Secret(SecretPath::new(path).unwrap(), KvMethod::Read { version })
}

#[rstest]
#[case(Keys::All, json!({"password": "hunter\"2\u{e9}", "user": "app"}), Some("blob"))]
#[case(Keys::Only(["user", "absent"].into()), json!({"user": "app"}), None)]
#[case(Keys::Only(["user", "blob"].into()), json!({"user": "app"}), Some("blob"))]
#[case(Keys::Only(["blob"].into()), json!({}), Some("blob"))]
fn a_caller_sees_its_keys_as_text(#[case] keys: Keys<'_>, #[case] expected: Value, #[case] left_out: Option<&str>) {
    let object = object(&[("password", "hunter\"2\u{e9}".as_bytes()), ("user", b"app"), ("blob", &[0xff])]);
    let answer = Readable { object, keys }.answer().unwrap();
    let KvAnswer::Version { data: Some(data), metadata, custom_metadata } = answer else { panic!("{answer:?}") };
    assert_eq!(serde_json::from_slice::<Value>(data.as_json()).unwrap(), expected);
    assert_eq!((metadata.version, metadata.created, metadata.destroyed), (42, NOW, false));
    let named = custom_metadata.as_ref().and_then(|words| words.get(NOT_TEXT));
    assert_eq!(named.map(String::as_str), left_out);
}

#[test]
fn a_secret_without_a_key_of_the_callers_is_not_there() {
    let keys = Keys::Only(["other"].into());
    let answer = Readable { object: object(&[("user", b"app")]), keys }.answer();
    assert!(matches!(answer, Err(KvError::NotFound)));
}

#[test]
fn metadata_has_labels_and_no_values() {
    let metadata = about(object(&[("user", b"app")]));
    assert_eq!((metadata.current_version, metadata.oldest_version, metadata.versions.len()), (42, 42, 1));
    assert_eq!(metadata.custom_metadata.unwrap()["app"], "db");
}

#[test]
fn a_value_that_grows_too_large_as_json_is_refused() {
    let large = "\u{1}".repeat(MAX_DATA_BYTES / 4); // six bytes each as JSON
    assert!(matches!(data(&[("a", large.as_str())].into()), Err(KvError::Invalid(_))));
    let fits = "x".repeat(MAX_DATA_BYTES - 8);
    assert_eq!(data(&[("a", fits.as_str())].into()).unwrap().as_json().len(), MAX_DATA_BYTES);
}

const LISTED: &str = ", secrets: [{secret: team-a/db, tenants: ['']}, {secret: shared/db, tenants: ['']}]";

#[rstest]
#[case("", "team-a/db", Ok("team-a/db"))]
#[case("", "db", Err("none is configured"))]
#[case(", namespace: shared", "db", Ok("shared/db"))]
#[case(", namespace: shared", "team-a/db", Ok("team-a/db"))]
#[case(", namespace: shared", "shared/db", Err("by its name alone"))]
#[case("", "team-a/db/x", Err("nothing at that path"))]
#[case("", "team-a/DB", Err("nothing at that path"))]
#[tokio::test]
async fn a_secret_has_one_path(#[case] namespace: &str, #[case] path: &str, #[case] expected: Result<&str, &str>) {
    let store = store(&format!("{LISTED}{namespace}")).await;
    let found = store.secret_at(&SecretPath::new(path).unwrap());
    match (&found, expected) {
        (Ok(secret), Ok(expected)) => assert_eq!(secret.to_string(), expected),
        (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{error}"),
        _ => panic!("{found:?}"),
    }
}

#[tokio::test]
async fn an_outage_fails_closed_and_what_is_not_assigned_asks_nobody() {
    let store = store(LISTED).await;
    let answer = |namespace: Option<Namespace>, request: KvRequest| {
        let store = Arc::clone(&store);
        async move { store.run(namespace.as_ref(), &request, NOW).await.unwrap_err() }
    };
    assert!(matches!(answer(None, read("team-a/db", None)).await, KvError::Unavailable(_)));
    let other = Namespace::new("other").ok();
    assert!(matches!(answer(other, read("team-a/db", None)).await, KvError::Refused(_)));
    assert!(matches!(answer(None, read("team-a/unlisted", None)).await, KvError::Refused(_)));
    let list = KvRequest::List(crate::secrets::FolderPath::new("team-a").unwrap());
    assert!(matches!(answer(None, list).await, KvError::Unsupported));
    let delete = KvRequest::Secret(SecretPath::new("team-a/db").unwrap(), KvMethod::DeleteAll);
    assert!(matches!(answer(None, delete).await, KvError::Unsupported));
    assert!(!format!("{store:?}").contains("abc"));
}

#[rstest]
#[case("k8s://team-a/db/key", true)]
#[case("k8s://db/key", false)]
#[case("bao://team-a/db#/key", false)]
#[tokio::test]
async fn a_verifier_reads_a_secret_of_the_store(#[case] reference: &str, #[case] good: bool) {
    let store = store(LISTED).await;
    let verifier = store.verifier(&Reference::parse(reference).unwrap(), None, READ);
    assert_eq!(verifier.is_ok(), good);
    if let Ok(verifier) = verifier {
        let accepted = verifier.accepts(|_| true, NOW).await;
        assert!(matches!(accepted, Err(KvError::Unavailable(_))));
    }
}
