//! The bounds of the HTTP client, and the sources of keys that it serves: discovery, clusters, custom certificates. Each
//! refusal is looked at from both sides: what the issuer's state says, and what the servers saw.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test says so")]

mod trust_support;

use std::time::Duration;

use cambio::trust::{FetchError, Issuers, Keeper, KeyFault, Reason, Refresh};
use rstest::rstest;
use trust_support::{Answer, START, Server, after, fixture, issuers, key_file, one, tick, try_issuers};

const FETCHED: Refresh = Refresh::Fetched { changed: true };
const DISCOVERY: &str = "/.well-known/openid-configuration";

fn good() -> Answer {
    Answer::ok(fixture("hostile/j23-extra-members.json"))
}

async fn fetch(issuers: &Issuers) -> Refresh {
    issuers.iter().next().unwrap().keys().refresh(Reason::Missing, START).await
}

async fn fault(issuers: &Issuers) -> KeyFault {
    match fetch(issuers).await {
        Refresh::Failed(fault) => fault,
        other => panic!("{other:?}"),
    }
}

fn document(issuer: &str, jwks_uri: &str) -> Answer {
    Answer::ok(format!(r#"{{"issuer":"{issuer}","jwks_uri":"{jwks_uri}"}}"#))
}

/// An issuer whose document is at `server`, which says that keys are at `jwks_uri`.
fn discovered(server: &Server, jwks_uri: &str, more: &str) -> Issuers {
    let issuer = server.url("");
    server.answer(DISCOVERY, document(&issuer, jwks_uri));
    issuers(&format!(
        "- {{name: d, platform: generic, issuer: '{issuer}', audiences: [cambio], insecure_http: true{more}}}"
    ))
}

#[tokio::test]
async fn keys_are_discovered() {
    let server = Server::start().await;
    server.answer("/keys", good());
    let issuers = discovered(&server, &server.url("/keys"), "");
    assert_eq!(fetch(&issuers).await, FETCHED);
    let head = &server.seen()[0].head.to_ascii_lowercase();
    assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
    assert!(!head.contains("authorization") && !head.contains("user-agent: curl"), "{head}");
}

#[rstest]
#[case(301)]
#[case(302)]
#[case(307)]
#[case(308)]
#[tokio::test]
async fn a_redirect_is_never_followed(#[case] status: u16) {
    let (server, other) = (Server::start().await, Server::start().await);
    other.answer("/jwks", good());
    server.answer("/jwks", Answer::status(status).header(&format!("location: {}", other.url("/jwks"))));
    let fault = fault(&one(&server, "")).await;
    assert!(matches!(fault, KeyFault::Fetch(FetchError::Redirect(_))), "{fault}");
    assert!(other.seen().is_empty());
}

#[rstest]
#[case::with_its_length(Answer::ok(vec![b' '; 300 * 1024]))]
#[case::without_end(Answer::ok(vec![b' '; 64 * 1024]).endless())]
#[tokio::test]
async fn a_body_beyond_256_kib_is_not_read(#[case] answer: Answer) {
    let server = Server::start().await;
    server.answer("/jwks", answer);
    let fault = fault(&one(&server, "")).await;
    assert!(matches!(fault, KeyFault::Fetch(FetchError::TooLarge(_))), "{fault}");
}

#[rstest]
#[case::late(good().after(Duration::from_secs(60)))]
#[case::dripping(good().dripping())]
#[tokio::test]
async fn a_slow_answer_ends_with_the_timeout(#[case] answer: Answer) {
    let server = Server::start().await;
    server.answer("/jwks", answer);
    let issuers = one(&server, ", jwks: {timeout: 300ms}");
    let fault = tokio::time::timeout(Duration::from_secs(10), fault(&issuers)).await.unwrap();
    assert!(matches!(fault, KeyFault::Fetch(FetchError::Timeout(_))), "{fault}");
}

#[rstest]
#[case::private("https://10.0.0.1/keys", "private")]
#[case::loopback("https://127.0.0.2/keys", "private")]
#[case::mapped("https://[::ffff:10.0.0.1]/keys", "private")]
#[case::unique_local("https://[fd12::1]/keys", "private")]
#[case::short_form("https://0x7f.2/keys", "private")]
#[case::by_its_name("https://localhost:1/keys", "private")]
#[case::metadata("https://169.254.169.254/latest", "never")]
#[case::metadata_mapped("https://[::ffff:169.254.169.254]/latest", "never")]
#[case::nothing("https://0.0.0.0/keys", "never")]
#[tokio::test]
async fn a_document_can_not_point_to_a_private_address(#[case] jwks_uri: &str, #[case] kind: &str) {
    let server = Server::start().await;
    let fault = fault(&discovered(&server, jwks_uri, "")).await;
    let private = matches!(fault, KeyFault::Fetch(FetchError::PrivateAddress(_)));
    let never = matches!(fault, KeyFault::Fetch(FetchError::ForbiddenAddress(_)));
    assert_eq!((private, never), (kind == "private", kind == "never"), "{fault}");
}

#[rstest]
#[case("https://169.254.169.254/latest")]
#[case("https://[fd00:ec2::254]/latest")]
#[tokio::test]
async fn not_even_the_operator_makes_metadata_services_issuers(#[case] url: &str) {
    let issuers = issuers(&format!(
        "- {{name: m, platform: generic, issuer: 'https://issuer.example.com', audiences: [cambio], \
         private_addresses: true, keys: {{jwks_url: '{url}'}}}}"
    ));
    let fault = fault(&issuers).await;
    assert!(matches!(fault, KeyFault::Fetch(FetchError::ForbiddenAddress(_))), "{fault}");
}

#[tokio::test]
async fn a_private_address_behind_a_name_is_allowed_only_by_the_operator() {
    let (server, keys) = (Server::start().await, Server::start_tls().await);
    keys.answer("/keys", good());
    let uri = format!("https://localhost:{}/keys", keys.address.port());
    let refused = fault(&discovered(&server, &uri, "")).await;
    assert!(matches!(refused, KeyFault::Fetch(FetchError::PrivateAddress(_))), "{refused}");
    assert!(keys.seen().is_empty());
    let ca = key_file("ca");
    let more = format!(", private_addresses: true, ca_file: '{}'", ca.display());
    assert_eq!(fetch(&discovered(&server, &uri, &more)).await, FETCHED);
}

#[tokio::test]
async fn plain_http_is_refused_in_settings_and_behind_a_document() {
    let faults = try_issuers(
        "- {name: h, platform: generic, issuer: 'http://127.0.0.1:1', audiences: [cambio]}\n\
         - {name: j, platform: generic, issuer: 'https://a.example', audiences: [a], keys: {jwks_url: 'http://a.example/k'}}",
    );
    let faults = faults.unwrap_err();
    assert!(faults.iter().all(|fault| fault.contains("`insecure_http: true`")) && faults.len() == 2, "{faults:?}");
    let (server, other) = (Server::start_tls().await, Server::start().await);
    other.answer("/keys", good());
    let issuer = server.url("");
    server.answer(DISCOVERY, document(&issuer, &other.url("/keys")));
    let yaml = format!(
        "- {{name: d, platform: generic, issuer: '{issuer}', audiences: [cambio], ca_file: '{}'}}",
        key_file("ca").display()
    );
    let fault = fault(&issuers(&yaml)).await;
    assert!(matches!(fault, KeyFault::Discovery(_)), "{fault}");
    assert!(other.seen().is_empty());
}

#[rstest]
#[case::its_own("ca", true)]
#[case::another("other-ca", false)]
#[case::not_a_certificate("rsa-a", false)]
#[tokio::test]
async fn a_server_is_verified_by_the_certificates_of_the_settings(#[case] ca: &str, #[case] fine: bool) {
    let server = Server::start_tls().await;
    server.answer("/jwks", good());
    let issuers = one(&server, &format!(", ca_file: '{}'", key_file(ca).display()));
    assert_eq!(fetch(&issuers).await == FETCHED, fine);
    assert_eq!(server.seen().is_empty(), !fine);
}

#[tokio::test]
async fn without_a_ca_file_only_the_machines_certificates_count() {
    let server = Server::start_tls().await;
    server.answer("/jwks", good());
    let fault = fault(&one(&server, "")).await;
    assert!(matches!(fault, KeyFault::Fetch(FetchError::Unreachable { .. })), "{fault}");
    assert!(server.seen().is_empty());
}

/// A cluster whose API server is `server`, with a token file that holds `token`.
fn cluster(server: &Server, issuer: &str, token: &str) -> (Issuers, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let issuers = issuers(&format!(
        "- {{name: c, platform: kubernetes, issuer: '{issuer}', audiences: [cambio], \
         keys: {{cluster: {{server: '{}', ca_file: '{}', token_file: '{}'}}}}}}",
        server.url(""),
        key_file("ca").display(),
        file.display()
    ));
    (issuers, directory)
}

const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";

#[tokio::test]
async fn a_cluster_is_asked_with_its_certificates_and_the_token_of_the_file() {
    let (server, outside) = (Server::start_tls().await, Server::start_tls().await);
    // The address for the outside that an API server names: unreachable from a pod, and not to be asked.
    server.answer(DISCOVERY, document(CLUSTER, &outside.url("/openid/v1/jwks")));
    server.answer("/openid/v1/jwks", Answer::ok(fixture("good/kubernetes.json")));
    outside.answer("/openid/v1/jwks", Answer::ok(fixture("good/kubernetes.json")));
    let (issuers, directory) = cluster(&server, CLUSTER, "first-token");
    assert_eq!(fetch(&issuers).await, FETCHED);
    assert_eq!((server.seen().len(), outside.seen().len()), (2, 0));
    assert!(server.seen().iter().all(|one| one.head.contains("authorization: Bearer first-token\r\n")));
    std::fs::write(directory.path().join("token"), "second-token").unwrap();
    tick(&Keeper::new(), &issuers, after(3500)).await;
    assert!(server.seen()[3].head.contains("Bearer second-token\r\n"), "the token rotates");
}

#[tokio::test]
async fn another_clusters_document_is_refused() {
    let server = Server::start_tls().await;
    server.answer(DISCOVERY, document("https://kubernetes.default.svc", &server.url("/openid/v1/jwks")));
    server.answer("/openid/v1/jwks", Answer::ok(fixture("good/kubernetes.json")));
    let (issuers, _directory) = cluster(&server, CLUSTER, "token");
    let fault = fault(&issuers).await;
    assert!(matches!(fault, KeyFault::Discovery(_)), "{fault}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_token_of_a_cluster_follows_no_redirect_and_is_never_shown() {
    let (server, thief) = (Server::start_tls().await, Server::start_tls().await);
    let location = format!("location: {}", thief.url(DISCOVERY));
    server.answer(DISCOVERY, Answer::status(302).header(&location));
    let (issuers, _directory) = cluster(&server, CLUSTER, "very-secret");
    let fault = fault(&issuers).await;
    assert!(thief.seen().is_empty());
    let keys = issuers.iter().next().unwrap().keys();
    let shown = format!("{fault} {fault:?} {:?} {issuers:?}", keys.status());
    assert!(!shown.contains("very-secret"), "{shown}");
}

#[rstest]
#[case("")]
#[case("two\nlines")]
#[case("with space")]
#[tokio::test]
async fn a_file_without_a_token_ends_the_fetch_before_it_begins(#[case] token: &str) {
    let server = Server::start_tls().await;
    let (issuers, _directory) = cluster(&server, CLUSTER, token);
    let fault = fault(&issuers).await;
    assert!(matches!(fault, KeyFault::Fetch(FetchError::File { .. })), "{fault}");
    assert!(server.seen().is_empty());
}

/// Run once more by the next test, in a process whose environment names a proxy.
#[tokio::test]
async fn a_server_is_asked_itself() {
    let server = Server::start().await;
    server.answer("/jwks", good());
    assert_eq!(fetch(&one(&server, "")).await, FETCHED);
}

#[test]
fn a_proxy_of_the_environment_is_not_asked() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_server_is_asked_itself"])
        .envs(
            ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"]
                .map(|name| (name, "http://127.0.0.1:9")),
        )
        .env_remove("REQUEST_METHOD")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
