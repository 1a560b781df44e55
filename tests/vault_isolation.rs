//! Who may not see what: a token of one namespace, target or plane opens no other, however it is asked; what is denied and
//! what is missing can't be told apart; and a value is nowhere but in the answer to whoever may read it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs
)]

mod support;
mod vault;
mod vault_support;

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cambio::clock::Clock;
use rstest::rstest;
use serde_json::{Value, json};
use support::http::reqwest_client;
use support::{Answer, Issuer, Stand, exchange};
use vault::document;
use vault_support::serving::Serving;
use vault_support::{NAMESPACE, PLANES, counter, get_raw, login, plant, policy, prepare, send, send_to};

/// The value of a plane's secret: no other text has it.
fn planted(namespace: &str) -> String {
    format!(
        "planted-in-{}",
        if namespace.is_empty() { "root".to_owned() } else { namespace.replace('/', "-") + "-end" }
    )
}

/// A counter in which each plane has a secret of the same path, and one that nobody but its administrator may read.
async fn planes() -> Stand {
    let stand = counter().await;
    for (namespace, _) in PLANES {
        plant(&stand, namespace, "secret/data/app/db", &json!({"value": planted(namespace)})).await;
        let closed = json!({"value": format!("closed-{}", planted(namespace))});
        plant(&stand, namespace, "secret/data/closed/db", &closed).await;
    }
    stand
}

/// Ways to name a namespace: by path, by header, half and half, and both at once.
fn addresses(namespace: &str, path: &str) -> Vec<(String, Option<String>)> {
    let mut ways = vec![(path.to_owned(), Some(namespace.to_owned()))];
    if namespace.is_empty() {
        ways.push((path.to_owned(), None));
        ways.push((path.to_owned(), Some("root".to_owned())));
        return ways;
    }
    ways.push((format!("{namespace}/{path}"), None));
    ways.push((format!("{namespace}/{path}"), Some(namespace.to_owned())));
    ways.push((format!("{namespace}/{path}"), Some("root".to_owned())));
    ways.push((path.to_owned(), Some(format!("/{namespace}/"))));
    for (at, _) in namespace.match_indices('/') {
        ways.push((format!("{}/{path}", &namespace[at + 1..]), Some(namespace[..at].to_owned())));
    }
    ways
}

fn headers<'h>(token: &'h str, namespace: Option<&'h str>) -> Vec<(&'h str, &'h str)> {
    let mut headers = vec![("x-vault-token", token)];
    headers.extend(namespace.map(|namespace| ("x-vault-namespace", namespace)));
    headers
}

#[tokio::test]
async fn a_token_opens_its_own_plane_and_no_other() {
    let stand = planes().await;
    let mut opened = 0;
    for (own, target) in PLANES {
        let token = login(&stand, target).await;
        for (other, _) in PLANES {
            for (path, named) in addresses(other, "secret/data/app/db") {
                let headers = headers(&token, named.as_deref());
                let answer = send(&stand, "GET", &path, &headers, None).await;
                let place = format!("token of `{own}`, {path}, header {named:?}: {} {}", answer.status, answer.text);
                for (namespace, _) in PLANES.iter().filter(|(namespace, _)| *namespace != own) {
                    assert!(!answer.text.contains(&planted(namespace)), "{place}");
                }
                // Without a namespace in it, a request means the token's own.
                let means = match named.as_deref() {
                    None | Some("" | "root") if path == "secret/data/app/db" => own,
                    _ => other,
                };
                let doubled = named
                    .as_deref()
                    .is_some_and(|named| named != "root" && path == format!("{named}/secret/data/app/db"));
                if means == own && !doubled {
                    assert_eq!(answer.status, 200, "{place}");
                    assert!(answer.text.contains(&planted(own)), "{place}");
                    opened += 1;
                } else {
                    assert_eq!((answer.status, answer.text.as_str()), (404, r#"{"errors":[]}"#), "{place}");
                }
                // Nor does it change anything there.
                if means != own {
                    let body = json!({"data": {"value": "overwritten"}});
                    for (method, body) in [("PUT", Some(&body)), ("PATCH", Some(&body)), ("DELETE", None)] {
                        let refused = send(&stand, method, &path, &headers, body).await;
                        assert_eq!(refused.status, 403, "{method} {place}: {}", refused.text);
                    }
                }
            }
        }
    }
    assert!(opened >= PLANES.len() * 4, "{opened}");
    for (namespace, target) in PLANES {
        let token = login(&stand, target).await;
        let answer = send(&stand, "GET", "secret/data/app/db", &headers(&token, None), None).await;
        assert!(answer.text.contains(&planted(namespace)), "{}", answer.text);
    }
}

#[tokio::test]
async fn calls_about_tokens_and_mounts_stay_in_their_plane_too() {
    let stand = planes().await;
    for (own, target) in PLANES {
        let token = login(&stand, target).await;
        for (other, _) in PLANES.iter().filter(|(other, _)| !other.is_empty() && *other != own) {
            for call in ["auth/token/lookup-self", "sys/internal/ui/mounts/secret", "sys/mounts", "sys/mounts/secret"] {
                for (path, named) in [(format!("{other}/{call}"), None), (call.to_owned(), Some(*other))] {
                    let answer = send(&stand, "GET", &path, &headers(&token, named), None).await;
                    assert_eq!(answer.status, 403, "token of `{own}`, {path}, header {named:?}: {}", answer.text);
                }
            }
        }
    }
    // An accessor of another plane is none here, though the caller may look after tokens.
    policy(&stand, "group_100/group_300", "sibling-service", "app", "revocable: true");
    let mut stand = stand;
    stand.restart().await;
    stand.settled().await;
    let body = json!({"role": "sibling-service", "jwt": stand.token().sign()});
    let theirs = send(&stand, "PUT", "auth/jwt/login", &[], Some(&body)).await.json()["auth"].clone();
    let ops = login(&stand, "ops").await;
    let accessor = json!({"accessor": theirs["accessor"]});
    let token = json!({"token": theirs["client_token"]});
    for (call, body) in
        [("lookup-accessor", &accessor), ("revoke-accessor", &accessor), ("lookup", &token), ("revoke", &token)]
    {
        let answer = send(&stand, "POST", &format!("auth/token/{call}"), &headers(&ops, None), Some(body)).await;
        assert_eq!(answer.status, 403, "{call}: {}", answer.text);
    }
    let still = theirs["client_token"].as_str().unwrap();
    let answer = send(&stand, "GET", "auth/token/lookup-self", &headers(still, None), None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// Ways to write a path that some reader takes for `TO` below `FROM`.
fn disguises(from: &str, to: &str) -> Vec<String> {
    let mut targets: Vec<String> = [
        "../",
        "%2e%2e/",
        "%2E%2E/",
        ".%2e/",
        "%2e./",
        "..%2f",
        "%2e%2e%2f",
        "%252e%252e/",
        "..;/",
        "..\\",
        "..%5c",
        "./../",
        "/../",
        "//../",
        "%00../",
        "..%00/",
        "\u{ff0e}\u{ff0e}/",
        "%c0%ae%c0%ae/",
        "%e2%80%a5/",
        "..%20/",
        "..%09/",
    ]
    .iter()
    .flat_map(|up| (1..=4).map(move |count| format!("{from}{}{to}", up.repeat(count))))
    .collect();
    let upper = to.to_uppercase();
    targets.extend([
        to.to_owned(),
        format!("/{to}"),
        format!("//{to}"),
        format!("./{to}"),
        to.replace('/', "//"),
        to.replace('/', "%2f"),
        to.replace('/', "%2F"),
        to.replace('/', "%252f"),
        to.replace('/', "\\"),
        to.replace('/', "%5c"),
        to.replace('/', "/./"),
        to.replace('/', "/%2e/"),
        to.replace('/', "\u{2215}"),
        to.replace('/', "%e2%88%95"),
        to.replace('o', "%6f"),
        to.replace('o', "%6F"),
        to.replace('o', "%256f"),
        to.replace("group", "Group"),
        to.replace("group", "g\u{200b}roup"),
        to.replace('o', "\u{ff4f}"),
        to.replace('o', "\u{43e}"),
        upper,
        format!("{to}/"),
        format!("{to}//"),
        format!("{to}/."),
        format!("{to}%00"),
        format!("{to}%20"),
        format!("{to};x=y"),
        format!("{to}#x"),
        format!("{to}?"),
        format!("{to}?version=0&version=1"),
        format!("%20{to}"),
    ]);
    targets
}

#[rstest]
#[case::another_namespace("group_100/group_300/secret/data/app/db", "group_100-group_300-end")]
#[case::the_parent("group_100/secret/data/app/db", "group_100-end")]
#[case::the_child("group_100/group_200/team/secret/data/app/db", "team-end")]
#[case::a_closed_folder("secret/data/closed/db", "closed-planted")]
#[tokio::test]
async fn a_disguised_path_opens_nothing_more(#[case] to: &str, #[case] value: &str) {
    let stand = planes().await;
    let token = login(&stand, "app").await;
    let mut asked = 0;
    for from in
        ["", "secret/data/app/", "secret/data/app/db/", "group_100/group_200/", "group_100/group_200/secret/data/app/"]
    {
        for path in disguises(from, to) {
            for named in [None, Some(NAMESPACE), Some("group_100")] {
                let answer = get_raw(&stand, &format!("/v1/{path}"), &headers(&token, named)).await;
                let place = format!("{path:?}, header {named:?}: {} {}", answer.status, answer.body);
                assert!(!answer.body.contains(value), "{place}");
                assert!((400..500).contains(&answer.status) || answer.body.contains(&planted(NAMESPACE)), "{place}");
                asked += 1;
            }
        }
    }
    println!("{asked} requests");
    assert!(asked > 500);
}

#[rstest]
#[case::another("group_100/group_300")]
#[case::up("group_100/group_200/../group_300")]
#[case::up_encoded("group_100/group_200/%2e%2e/group_300")]
#[case::encoded("group_100%2fgroup_300")]
#[case::doubled("group_100//group_300")]
#[case::dot("group_100/./group_300")]
#[case::case("Group_100/group_300")]
#[case::backslash("group_100\\group_300")]
#[case::list("group_100/group_200,group_100/group_300")]
#[case::query("group_100/group_300?x")]
#[case::spaces("group_100/group_200 group_100/group_300")]
#[case::unicode("group_100/group\u{ff3f}300")]
#[case::parent("group_100")]
#[case::child("group_100/group_200/team")]
#[tokio::test]
async fn a_disguised_header_opens_nothing_more(#[case] named: &str) {
    let stand = planes().await;
    let token = login(&stand, "app").await;
    for path in ["secret/data/app/db", "group_300/secret/data/app/db", "/secret/data/app/db", "team/secret/data/app/db"]
    {
        let answer = get_raw(&stand, &format!("/v1/{path}"), &headers(&token, Some(named))).await;
        assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.body);
        assert!(!answer.body.contains("planted"), "{path}: {}", answer.body);
    }
    // Said twice, in either order, it is refused.
    for (first, second) in [(named, NAMESPACE), (NAMESPACE, named)] {
        let headers = [("x-vault-token", token.as_str()), ("x-vault-namespace", first), ("x-vault-namespace", second)];
        let answer = get_raw(&stand, "/v1/secret/data/app/db", &headers).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
}

#[tokio::test]
async fn only_a_secrets_token_of_this_counter_opens_anything() {
    let stand = planes().await;
    let elsewhere = planes().await;
    let subject = stand.token().sign();
    let good = login(&stand, "app").await;
    let exchanged = stand.exchange(&stand.token().sign()).await.token();
    let body = json!({"role": "app", "jwt": stand.token().sign()});
    let wrapped = send(&stand, "PUT", "auth/jwt/login", &[("x-vault-wrap-ttl", "60s")], Some(&body)).await;
    let wrapping = wrapped.json()["wrap_info"]["token"].as_str().unwrap().to_owned();
    let body = json!({"role": "ops", "jwt": stand.token().sign()});
    let service = send(&stand, "PUT", "auth/jwt/login", &[], Some(&body)).await.json()["auth"].clone();
    let accessor = service["accessor"].as_str().unwrap().to_owned();
    let (head, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    claims["policies"] = json!(["admin"]);
    let forged = format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let unsigned = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    for (name, token) in [
        ("a platform's token", subject.clone()),
        ("another counter's token", login(&elsewhere, "app").await),
        ("a wrapping token", wrapping),
        ("an accessor", accessor),
        ("other claims", forged),
        ("no signature", unsigned),
        ("a cut token", good[..good.len() - 1].to_owned()),
        ("root", "root".to_owned()),
        ("Vault's own form", "hvs.CAESIJ0000000000000000000000000000000000000000000000000000000000".to_owned()),
    ] {
        for path in ["secret/data/app/db", "secret/data/closed/db", "auth/token/lookup-self", "sys/mounts"] {
            let answer = send(&stand, "GET", path, &headers(&token, None), None).await;
            assert_eq!(
                (answer.status, answer.text.as_str()),
                (403, r#"{"errors":["permission denied"]}"#),
                "{name}: {path}"
            );
        }
    }
    // A target's token has that target's policies, whatever its namespace: this one's policy has no document here.
    for path in ["secret/data/app/db", "secret/data/closed/db"] {
        let answer = send(&stand, "GET", path, &headers(&exchanged, None), None).await;
        assert_eq!((answer.status, answer.text.as_str()), (404, r#"{"errors":[]}"#));
    }
    // Two tokens at once are not a choice.
    let bearer = format!("Bearer {exchanged}");
    let both = [("x-vault-token", good.as_str()), ("authorization", bearer.as_str())];
    assert_eq!(send(&stand, "GET", "secret/data/app/db", &both, None).await.status, 400);
    let answer = send(&stand, "GET", "secret/data/app/db", &headers(&good, None), None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// Reads that are denied, each with one that is missing.
const LOOKALIKES: [(&str, &str, &str); 8] = [
    ("GET", "secret/data/closed/db", "secret/data/app/missing"),
    ("GET", "secret/data/closed/missing", "secret/data/app/missing"),
    ("GET", "secret/data/closed/db?version=1", "secret/data/app/missing?version=1"),
    ("GET", "secret/metadata/closed/db", "secret/metadata/app/missing"),
    ("GET", "secret/subkeys/closed/db", "secret/subkeys/app/missing"),
    ("LIST", "secret/metadata/closed", "secret/metadata/app/missing"),
    ("GET", "secret/metadata/?list=true", "secret/metadata/app/missing/?list=true"),
    ("GET", "kv1/closed/one", "kv1/app/missing"),
];

#[tokio::test]
async fn what_is_denied_looks_like_what_is_missing() {
    let stand = planes().await;
    plant(&stand, NAMESPACE, "kv1/closed/one", &json!({"value": "closed"})).await;
    let token = login(&stand, "app").await;
    let strange = headers(&token, None);
    for (method, denied, missing) in LOOKALIKES {
        let denied = (denied, send(&stand, method, denied, &strange, None).await);
        let missing = (missing, send(&stand, method, missing, &strange, None).await);
        assert_eq!((denied.1.status, denied.1.text.as_str()), (404, r#"{"errors":[]}"#), "{method} {}", denied.0);
        assert_eq!((denied.1.status, &denied.1.text), (missing.1.status, &missing.1.text), "{method} {}", denied.0);
        // All but the id of the decision and the time.
        let told = |answer: &Answer| -> Vec<(String, String)> {
            let named = |name: &str| !matches!(name, "cambio-decision" | "date");
            let kept = answer.headers.iter().filter(|(name, _)| named(name.as_str()));
            kept.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
        };
        assert_eq!(told(&denied.1), told(&missing.1), "{method} {}", denied.0);
        assert_eq!(denied.1.decision().len(), missing.1.decision().len());
        // The operator sees what the caller does not.
        assert_eq!(stand.record(&denied.1).reason.as_deref(), Some("acl_denied"), "{method} {}", denied.0);
        assert_eq!(stand.record(&missing.1).reason.as_deref(), Some("secret_missing"), "{method} {}", missing.0);
    }
}

/// How long requests take, the middle one, when two kinds take turns.
async fn medians(stand: &Stand, token: &str, paths: [(&str, &str); 2]) -> [Duration; 2] {
    const ROUNDS: usize = 300;
    let mut took = [Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS)];
    for round in 0..ROUNDS + 20 {
        for which in [round % 2, 1 - round % 2] {
            let (method, path) = paths[which];
            let began = Instant::now();
            let answer = send(stand, method, path, &headers(token, None), None).await;
            let elapsed = began.elapsed();
            assert_eq!(answer.status, 404, "{path}");
            if round >= 20 {
                took[which].push(elapsed);
            }
        }
    }
    took.map(|mut took| {
        took.sort_unstable();
        took[ROUNDS / 2]
    })
}

#[rstest]
#[case::small("GET", "secret/data/closed/db", "secret/data/app/missing")]
#[case::large("GET", "secret/data/closed/large", "secret/data/app/missing")]
#[case::nothing("GET", "secret/data/closed/missing", "secret/data/app/missing")]
#[case::metadata("GET", "secret/metadata/closed/large", "secret/metadata/app/missing")]
#[case::subkeys("GET", "secret/subkeys/closed/large", "secret/subkeys/app/missing")]
#[case::a_full_folder("LIST", "secret/metadata/closed", "secret/metadata/app/missing")]
#[case::version_1("GET", "kv1/closed/large", "kv1/app/missing")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_denied_takes_as_long_as_what_is_missing(
    #[case] method: &str,
    #[case] denied: &str,
    #[case] missing: &str,
) {
    let stand = planes().await;
    // As large as a value may be, more or less: what is opened for nobody would be seen in the time.
    let large = json!({"value": "x".repeat(500_000)});
    plant(&stand, NAMESPACE, "secret/data/closed/large", &large).await;
    plant(&stand, NAMESPACE, "kv1/closed/large", &large).await;
    for number in 0..100 {
        plant(&stand, NAMESPACE, &format!("secret/data/closed/many-{number}"), &json!({"a": "b"})).await;
    }
    let token = login(&stand, "app").await;
    let [first, second] = medians(&stand, &token, [(method, denied), (method, missing)]).await;
    let ratio = first.as_secs_f64() / second.as_secs_f64();
    println!("{method} {denied}: {first:?}; {missing}: {second:?}; ratio {ratio:.2}");
    assert!((0.5..2.0).contains(&ratio), "{denied} takes {first:?}, {missing} {second:?}");
}

/// In a value.
const VALUE: &str = "planted-secret-value-Zq7";
/// The name of a member of a value.
const NAME: &str = "planted_member_name_Zq7";

/// What may not be found anywhere, in the forms in which it could be written.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    // Base64 of what stands anywhere in a longer text: the inner characters, at each of three offsets.
    let encoded = (0..3).map(|offset| {
        let text = STANDARD.encode(format!("{}{secret}", "x".repeat(offset)));
        text[4..text.len() - 4].to_owned()
    });
    let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    encoded.chain([secret.to_owned(), secret.to_uppercase(), hex]).map(String::into_bytes).collect()
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    forms(secret).iter().any(|form| bytes.windows(form.len()).any(|window| window == form.as_slice()))
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = vec![];
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_is_nowhere_but_in_the_answer_to_who_may_read_it() {
    let stand = prepare(Issuer::start().await, "log: {level: trace, format: json}").await;
    let creates = r#"path "secret/data/app/*" { capabilities = ["create"] }"#;
    policy(&stand, NAMESPACE, "creator", "creator", "");
    document(&stand, NAMESPACE, "creator", creates);
    let serving = Serving::start(&stand.path("cambio.yaml"));
    let client = reqwest_client(None);
    let jwt = || stand.issuer.token(Clock::System.now()).sign();
    let ask = async |method: &str, path: &str, token: &str, body: String| {
        send_to(&client, &serving.url, method, path, &[("x-vault-token", token)], body).await
    };
    let login = async |role: &str| {
        let body = json!({"role": role, "jwt": jwt()}).to_string();
        let answer = send_to(&client, &serving.url, "PUT", "auth/jwt/login", &[], body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["auth"]["client_token"].as_str().unwrap().to_owned()
    };
    let (token, creator) = (login("app").await, login("creator").await);
    let secret = json!({NAME: VALUE, "deep": {NAME: [VALUE]}});
    let data = json!({"data": secret}).to_string();
    let mut others = vec![];

    // Written in every way, and read by who may: the value is in these answers.
    others.push(ask("PUT", "secret/data/app/db", &token, data.clone()).await);
    others.push(ask("PATCH", "secret/data/app/db", &token, json!({"data": {"more": VALUE}}).to_string()).await);
    others.push(ask("PUT", "kv1/app/one", &token, secret.to_string()).await);
    for path in ["secret/data/app/db", "secret/data/app/db?version=1", "kv1/app/one"] {
        let read = ask("GET", path, &token, String::new()).await;
        assert!(read.status == 200 && read.text.contains(VALUE) && read.text.contains(NAME), "{path}: {}", read.text);
    }
    let subkeys = ask("GET", "secret/subkeys/app/db", &token, String::new()).await;
    assert!(subkeys.text.contains(NAME) && !subkeys.text.contains(VALUE), "{}", subkeys.text);
    let inline = |key: &str, value: &str| URL_SAFE_NO_PAD.encode(json!({"key": key, "value": value}).to_string());
    let (inline_jwt, inline_role) = (inline("jwt", &jwt()), inline("role", "app"));
    let headers = [
        ("x-vault-inline-auth-path", "auth/jwt/login"),
        ("x-vault-inline-auth-parameter-1", inline_jwt.as_str()),
        ("x-vault-inline-auth-parameter-2", inline_role.as_str()),
    ];
    let read = send_to(&client, &serving.url, "GET", "secret/data/app/db", &headers, String::new()).await;
    assert!(read.text.contains(VALUE), "{}", read.text);

    // Refused in every way: among them a value of a little more than 1 MiB.
    for (method, path, token, body) in [
        ("PUT", "secret/data/closed/db", token.as_str(), data.clone()),
        ("PUT", "secret/data/app/fixed", &token, data.clone()),
        ("PUT", "secret/data/app/db", &creator, data.clone()),
        ("PUT", "secret/data/app/db", "nobody", data.clone()),
        ("PUT", "secret/data/app/db", &token, json!({"data": secret, "options": {"cas": 7}}).to_string()),
        ("PUT", "secret/data/app/db", &token, json!({"data": secret, "options": {"cas": VALUE}}).to_string()),
        ("PUT", "secret/data/app/db", &token, json!({"data": VALUE}).to_string()),
        ("PUT", "secret/data/app/db", &token, json!({"data": [VALUE]}).to_string()),
        ("PUT", "secret/data/app/db", &token, json!({"daten": secret}).to_string()),
        ("PUT", "secret/data/app/db", &token, json!(VALUE).to_string()),
        ("PUT", "secret/data/app/db", &token, format!("{{\"data\": {{\"{NAME}\": \"{VALUE}\"")),
        ("PUT", "secret/data/app/db", &token, format!("{NAME}={VALUE}")),
        ("PUT", "secret/data/app/db", &token, json!({"data": {NAME: VALUE.repeat(43_700)}}).to_string()),
        ("PATCH", "secret/data/app/db", &token, json!({"data": VALUE}).to_string()),
        ("PATCH", "secret/data/app/none", &token, data.clone()),
        ("PUT", "kv1/app/one", &token, json!(VALUE).to_string()),
        ("PUT", "kv1/closed/one", &token, secret.to_string()),
        ("PUT", "secret/undelete/app/db", &token, json!({"versions": [VALUE]}).to_string()),
        ("PUT", "secret/metadata/app/db", &token, json!({"max_versions": VALUE}).to_string()),
        ("PUT", "auth/jwt/login", "", json!({"role": {NAME: VALUE}, "jwt": [VALUE]}).to_string()),
        ("PUT", "auth/jwt/login", "", format!("{{\"role\": \"app\", \"jwt\": \"{VALUE}\"")),
        ("PUT", "sys/capabilities-self", &token, json!({"paths": {NAME: VALUE}}).to_string()),
        ("PUT", "sys/wrapping/unwrap", "", json!({"token": VALUE}).to_string()),
        ("POST", "auth/token/lookup", &token, json!({"token": VALUE}).to_string()),
        ("POST", "auth/token/revoke-accessor", &token, json!({"accessor": VALUE}).to_string()),
        ("GET", "secret/data/app/db", VALUE, String::new()),
    ] {
        let answer = ask(method, path, token, body).await;
        assert!((400..500).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.text);
        others.push(answer);
    }
    // What tells about a secret and is not its value.
    for (method, path) in [
        ("GET", "secret/metadata/app/db"),
        ("LIST", "secret/metadata/app"),
        ("GET", "auth/token/lookup-self"),
        ("GET", "secret/data/closed/db"),
        ("DELETE", "secret/data/app/db"),
        ("GET", "secret/data/app/db"),
    ] {
        others.push(ask(method, path, &token, String::new()).await);
    }
    let destroyed = json!({"versions": [1]}).to_string();
    others.push(ask("PUT", "secret/destroy/app/db", &token, destroyed).await);
    assert_eq!(ask("PUT", "secret/undelete/app/db", &token, json!({"versions": [2]}).to_string()).await.status, 204);
    for page in ["metrics", "readyz", "livez"] {
        others.push(Answer::of(client.get(format!("{}/{page}", serving.ops)).send().await.unwrap()).await);
    }
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(exchange(VALUE)).finish();
    let request = client.post(format!("{}/oauth2/token", serving.url)).body(form);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    others.push(Answer::of(request.send().await.unwrap()).await);

    for answer in &others {
        let text = format!("{} {:?}", answer.text, answer.headers);
        assert!(!holds(text.as_bytes(), VALUE) && !holds(text.as_bytes(), NAME), "{text}");
    }
    // While it runs, with its write-ahead log, and after.
    let data = stand.path("cambio-data");
    let running = files(&data);
    let log = serving.stop();
    let journal = std::fs::read_to_string(data.join("audit/decisions.jsonl")).unwrap();
    assert!(journal.lines().count() > others.len() / 2 && log.contains("TRACE"), "there is something to look at");
    assert!(!log.contains("panicked"), "{log}");
    assert!(running.iter().any(|(_, bytes)| bytes.windows(6).any(|window| window == b"SQLite")), "there is a database");
    let token_parts: Vec<&str> = [&token, &creator].iter().flat_map(|token| token.split('.').skip(1)).collect();
    for (place, bytes) in running.iter().chain(&files(&data)) {
        assert!(!holds(bytes, VALUE) && !holds(bytes, NAME), "in {place}");
        assert!(
            token_parts.iter().all(|part| !bytes.windows(part.len()).any(|window| window == part.as_bytes())),
            "{place}"
        );
    }
    for line in log.lines() {
        assert!(!holds(line.as_bytes(), VALUE) && !holds(line.as_bytes(), NAME), "{line}");
        assert!(token_parts.iter().all(|part| !line.contains(part)), "{line}");
    }
    // What is looked for can be found where it may stand.
    assert!(journal.contains("group_100/group_200/secret/data/app/db"));
    assert!(
        holds(secret.to_string().as_bytes(), VALUE) && holds(STANDARD.encode(format!("ab{NAME}cd")).as_bytes(), NAME)
    );
}
