//! The store against a server that says what a test tells it to: what is asked, how often, and what comes of the answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::clock::Span;
use crate::secrets::Verb;

const START: Timestamp = Timestamp::from_secs(1_795_000_000);
const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJl";

/// A server of canned answers; the last one is said for ever.
struct Server {
    address: String,
    heard: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone)]
enum Say {
    Answer(u16, &'static str, String),
    Hang,
    Close,
}

fn status(status: u16) -> Say {
    Say::Answer(status, "", json!({"errors": ["1 error occurred"]}).to_string())
}

fn value() -> Say {
    Say::Answer(200, "", json!({"data": {"data": {"password": "hunter2"}}}).to_string())
}

fn login_of(token: &str, lease: u64) -> Say {
    let auth = json!({"client_token": token, "accessor": "a", "policies": ["default"], "lease_duration": lease});
    Say::Answer(200, "", json!({ "auth": auth }).to_string())
}

fn login() -> Say {
    login_of("s.bao", 300)
}

impl Server {
    async fn start(says: Vec<Say>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(vec![]));
        let (says, all) = (Arc::new(Mutex::new(says)), Arc::clone(&heard));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&says), Arc::clone(&all)));
            }
        });
        Self { address, heard }
    }

    /// The first line of every request.
    fn lines(&self) -> Vec<String> {
        let first = |request: &String| request.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
        self.heard.lock().unwrap().iter().map(first).collect()
    }

    fn request(&self, index: usize) -> String {
        self.heard.lock().unwrap()[index].clone()
    }

    fn store(&self, yaml: &str) -> OpenBaoStore {
        let text = format!("name: bao\naddress: {}\n{yaml}", self.address);
        OpenBaoStore::new(serde_saphyr::from_str(&text).unwrap(), Fetcher::new()).unwrap()
    }
}

async fn serve(mut stream: TcpStream, says: Arc<Mutex<Vec<Say>>>, heard: Arc<Mutex<Vec<String>>>) {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            request.push(byte);
        }
        let head = String::from_utf8(request.clone()).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        request.extend(body);
        heard.lock().unwrap().push(String::from_utf8(request).unwrap());
        let say = {
            let mut says = says.lock().unwrap();
            if says.len() > 1 { says.remove(0) } else { says[0].clone() }
        };
        let (status, headers, body) = match say {
            Say::Answer(status, headers, body) => (status, headers, body),
            Say::Hang => return std::future::pending().await,
            Say::Close => return,
        };
        let answer = format!("HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn caller() -> Caller<'static> {
    Caller { token: TOKEN, token_id: "jti", expires: START.plus(Duration::from_secs(600)), namespace: None }
}

fn read() -> Upstream<'static> {
    Upstream { verb: Verb::Read, mount: "secret", path: "data/app/db", query: "", body: b"" }
}

fn write() -> Upstream<'static> {
    Upstream { verb: Verb::Write, body: br#"{"data":{"a":"b"}}"#, ..read() }
}

fn later(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

#[tokio::test]
async fn a_caller_logs_in_with_its_own_token_and_asks_with_what_it_gets() {
    let server = Server::start(vec![login(), value()]).await;
    let store = server.store("namespace: team");
    let namespace = Namespace::new("group_1/a").unwrap();
    let caller = Caller { namespace: Some(&namespace), ..caller() };
    let answer = store.forward(caller, Upstream { query: "version=2", ..read() }, START).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(String::from_utf8_lossy(&answer.body).contains("hunter2"));
    assert_eq!(server.lines(), ["POST /v1/auth/cambio/cel/login", "GET /v1/secret/data/app/db?version=2"]);
    let (login, asked) = (server.request(0), server.request(1));
    assert!(login.ends_with(&format!(r#"{{"role":"cambio","jwt":"{TOKEN}"}}"#)), "{login}");
    assert!(!login.contains("x-vault-token") && !asked.contains(TOKEN));
    for request in [&login, &asked] {
        assert!(request.contains("x-vault-namespace: team/group_1/a\r\n"), "{request}");
        assert!(request.contains("x-vault-request: true\r\n"), "{request}");
    }
    assert!(asked.contains("x-vault-token: s.bao\r\n"), "{asked}");
}

#[rstest]
#[case("auth_namespace: root", "POST /v1/auth/cambio/cel/login", false)]
#[case("auth_mount: a/b\nrole: r", "POST /v1/auth/a/b/cel/login", true)]
#[case("role_type: jwt", "POST /v1/auth/cambio/login", true)]
#[tokio::test]
async fn a_login_goes_where_the_settings_say(#[case] yaml: &str, #[case] line: &str, #[case] namespaced: bool) {
    let server = Server::start(vec![login(), value()]).await;
    let namespace = Namespace::new("n").unwrap();
    let caller = Caller { namespace: Some(&namespace), ..caller() };
    server.store(yaml).forward(caller, read(), START).await.unwrap();
    assert_eq!(server.lines()[0], line);
    assert_eq!(server.request(0).contains("x-vault-namespace"), namespaced);
    assert!(server.request(1).contains("x-vault-namespace: n\r\n"));
}

#[tokio::test]
async fn a_login_is_made_once_and_used_until_its_lease_ends() {
    let server = Server::start(vec![login(), value(), value(), login_of("s.two", 300), value()]).await;
    let store = server.store("");
    for seconds in [0, 200, 299] {
        store.forward(caller(), read(), later(seconds)).await.unwrap();
    }
    let lines = server.lines();
    assert_eq!(lines.iter().filter(|line| line.starts_with("POST")).count(), 2, "{lines:?}");
    assert!(server.request(4).contains("x-vault-token: s.two"));
}

#[tokio::test]
async fn callers_that_come_at_once_log_in_once() {
    let server = Server::start(vec![login(), value()]).await;
    let store = server.store("");
    let ask = || store.forward(caller(), read(), START);
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(server.lines().iter().filter(|line| line.starts_with("POST")).count(), 1);
}

#[rstest]
#[case::young(5, 2)]
#[case::old(30, 4)]
#[tokio::test]
async fn a_session_that_is_refused_is_replaced_once_if_it_is_not_young(#[case] seconds: u64, #[case] more: usize) {
    let server = Server::start(vec![login(), value(), status(403), login_of("s.two", 300), status(403)]).await;
    let store = server.store("");
    store.forward(caller(), read(), START).await.unwrap();
    assert_eq!(store.forward(caller(), read(), later(seconds)).await.unwrap().status, 403);
    // One refused, and for an old one a login and a second try; and no third.
    assert_eq!(server.lines().len(), if more == 2 { 3 } else { 5 });
}

#[tokio::test]
async fn a_session_that_openbao_lost_is_made_again_without_the_callers_knowing() {
    let server = Server::start(vec![login(), value(), status(403), login_of("s.two", 300), value()]).await;
    let store = server.store("");
    store.forward(caller(), read(), START).await.unwrap();
    assert_eq!(store.forward(caller(), read(), later(30)).await.unwrap().status, 200);
    assert!(server.request(4).contains("x-vault-token: s.two"));
}

#[rstest]
#[case(200)]
#[case(204)]
#[case(400)]
#[case(403)]
#[case(404)]
#[case(405)]
#[case(412)]
#[tokio::test]
async fn what_openbao_decides_is_passed_on_as_it_is(#[case] code: u16) {
    let body = if code == 204 { "" } else { r#"{"errors":[],"data":{"metadata":{"destroyed":true}}}"# };
    let server = Server::start(vec![login(), Say::Answer(code, "", body.to_owned())]).await;
    let answer = server.store("").forward(caller(), read(), START).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (code, body.as_bytes()));
    assert!(!format!("{answer:?}").contains("destroyed"));
}

#[rstest]
#[case::full(status(503), read(), 3, "upstream_unavailable", Some((false, None)))]
#[case::broken(status(500), read(), 3, "upstream_unavailable", Some((false, None)))]
#[case::unwilling(status(501), read(), 1, "upstream_unavailable", Some((false, None)))]
#[case::gone(Say::Close, read(), 3, "upstream_unavailable", Some((false, None)))]
#[case::a_write_is_not_said_twice(status(503), write(), 1, "upstream_unavailable", Some((false, None)))]
#[case::redirects(Say::Answer(307, "location: http://127.0.0.1:1/\r\n", String::new()), read(), 1, "upstream_unavailable", Some((false, None)))]
#[case::over_quota(status(429), read(), 1, "upstream_over_quota", Some((true, None)))]
#[case::over_quota_for_long(
    Say::Answer(429, "retry-after: 60\r\n", String::new()), read(), 1, "upstream_over_quota",
    Some((true, Some(Duration::from_secs(60))))
)]
#[tokio::test]
async fn what_openbao_cannot_do_is_told_as_its_trouble(
    #[case] say: Say,
    #[case] request: Upstream<'static>,
    #[case] tries: usize,
    #[case] code: &str,
    #[case] wait: Option<(bool, Option<Duration>)>,
) {
    let server = Server::start(vec![login(), say]).await;
    let error = server.store("").forward(caller(), request, START).await.unwrap_err();
    assert_eq!((error.code(), error.retry_after()), (code, wait), "{error}");
    // A connection that was kept and is closed counts as one more, which the client makes up for by itself.
    let asked = server.lines().len() - 1;
    assert!(asked == tries || (code == "upstream_unavailable" && asked == tries + 1), "{asked}");
}

#[tokio::test]
async fn a_read_is_tried_again_and_a_quota_is_waited_for_while_there_is_time() {
    let over = Say::Answer(429, "retry-after: 0\r\n", String::new());
    let server = Server::start(vec![status(503), login(), status(502), over, value()]).await;
    assert_eq!(server.store("").forward(caller(), read(), START).await.unwrap().status, 200);
    assert_eq!(server.lines().len(), 5);
}

#[rstest]
#[case::when_logging_in(vec![Say::Hang])]
#[case::when_reading(vec![login(), Say::Hang])]
#[tokio::test]
async fn one_that_does_not_answer_is_waited_for_no_longer_than_its_time(#[case] says: Vec<Say>) {
    let server = Server::start(says).await;
    let error = server.store("timeout: 200ms").forward(caller(), read(), START).await.unwrap_err();
    assert_eq!(error.code(), "upstream_unavailable");
}

#[tokio::test]
async fn one_that_fails_again_and_again_is_left_alone_and_then_tried_by_one() {
    let server = Server::start(vec![status(503), status(503), login(), value()]).await;
    let store = server.store("retries: 0\nbreaker: {failures: 2, pause: 10s}");
    for _ in 0..2 {
        assert_eq!(store.forward(caller(), read(), START).await.unwrap_err().code(), "upstream_unavailable");
    }
    let paused = store.forward(caller(), read(), later(4)).await.unwrap_err();
    assert_eq!(paused, UpstreamError::Paused(Duration::from_secs(6)));
    assert_eq!(server.lines().len(), 2);
    assert_eq!(store.forward(caller(), read(), later(10)).await.unwrap().status, 200);
}

#[rstest]
#[case(400, "error validating token: invalid audience (aud) claim")]
#[case(403, "permission denied")]
#[tokio::test]
async fn a_login_that_is_refused_is_a_denial_in_openbaos_words(#[case] code: u16, #[case] said: &str) {
    let server = Server::start(vec![Say::Answer(code, "", json!({"errors": [said]}).to_string())]).await;
    let store = server.store("");
    let error = store.forward(caller(), read(), START).await.unwrap_err();
    assert_eq!(error, UpstreamError::LoginRefused { status: code, said: said.to_owned() });
    assert_eq!((error.code(), error.retry_after()), ("upstream_login_refused", None));
    // It counts as an answer: one caller's bad token does not take the store from the others.
    for _ in 0..20 {
        assert_eq!(store.forward(caller(), read(), START).await.unwrap_err(), error);
    }
}

#[tokio::test]
async fn in_direct_mode_each_login_is_its_callers_own() {
    let server = Server::start(vec![login(), login_of("s.two", 60)]).await;
    let store = server.store("");
    let (one, two) = (store.login(caller(), START).await.unwrap(), store.login(caller(), START).await.unwrap());
    assert_eq!((one.client_token.as_str(), two.client_token.as_str()), ("s.bao", "s.two"));
    assert_eq!((one.lease, two.lease), (Duration::from_secs(300), Duration::from_secs(60)));
}

#[tokio::test]
async fn a_token_that_has_ended_goes_nowhere() {
    let server = Server::start(vec![login(), value()]).await;
    let error = server.store("").forward(caller(), read(), later(600)).await.unwrap_err();
    assert_eq!(error, UpstreamError::Ended);
    assert!(server.lines().is_empty());
}

#[rstest]
#[case("data/../../../sys/mounts", None)]
#[case("data/a", Some("n/sys"))]
#[tokio::test]
async fn what_would_leave_the_mount_goes_nowhere(#[case] path: &'static str, #[case] namespace: Option<&str>) {
    let server = Server::start(vec![login(), value()]).await;
    let namespace = namespace.map(|namespace| Namespace::new(namespace).unwrap());
    let caller = Caller { namespace: namespace.as_ref(), ..caller() };
    let error = server.store("").forward(caller, Upstream { path, ..read() }, START).await.unwrap_err();
    assert_eq!((error.code(), error.retry_after()), ("upstream_place_refused", None));
    assert!(server.lines().is_empty());
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let large = Say::Answer(200, "", "x".repeat(MAX_ANSWER_BYTES + 1));
    let server = Server::start(vec![login(), large]).await;
    let error = server.store("retries: 0").forward(caller(), read(), START).await.unwrap_err();
    assert_eq!(error.code(), "upstream_unavailable");
}

#[tokio::test]
async fn no_error_and_nothing_that_prints_holds_a_token() {
    let quoting = json!({"errors": [format!("error validating token: {TOKEN}")]}).to_string();
    let server = Server::start(vec![Say::Answer(400, "", quoting)]).await;
    let store = server.store("");
    let error = store.forward(caller(), read(), START).await.unwrap_err();
    for text in [format!("{error} {error:?}"), format!("{:?} {:?} {store:?}", caller(), write())] {
        assert!(TOKEN.split('.').all(|part| !text.contains(part)) && !text.contains("password"), "{text}");
    }
}

#[test]
fn settings_that_are_not_good_make_no_store() {
    let settings = OpenBaoSettings {
        timeout: Span::from_secs(3600),
        ..serde_saphyr::from_str("name: a\naddress: https://b").unwrap()
    };
    assert!(OpenBaoStore::new(settings, Fetcher::new()).is_err());
}
