//! Secrets are planted, then looked for: whatever becomes of an exchange, no token, no secret and no claim's value is in
//! the records, the logs, the metrics or an answer. The program itself runs, and logs all that it can.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod accounts;
mod support;
mod vault;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use cambio::clock::Clock;
use serde_json::{Value, json};
use support::http::reqwest_client;
use support::stand::CLIENT_SECRET;
use support::{Answer, Stand, bearer, exchange};

/// In a claim's value, where nothing but the policy may read it.
const CLAIM: &str = "planted-claim-value";
/// In a wrong place of a request.
const STRAY: &str = "planted-stray-secret";
const WRONG_SECRET: &str = "planted wrong client secret";

const SECTIONS: &str = "log: {level: trace, format: json}
clients: [{id: rs, secret_file: rs.secret, targets: [vault]}]";

/// `cambio serve` as a process; all that it writes to standard error is kept.
struct Serving {
    child: Process,
    log: JoinHandle<String>,
    url: String,
    ops: String,
}

/// Ends with the test, whatever becomes of it.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Serving {
    fn start(config: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cambio"));
        command.args(["serve", "--config", config.to_str().unwrap()]).stderr(Stdio::piped());
        let mut child = Process(command.spawn().unwrap());
        let mut errors = BufReader::new(child.0.stderr.take().unwrap());
        let mut log = String::new();
        loop {
            let start = log.len();
            assert_ne!(errors.read_line(&mut log).unwrap(), 0, "it ended: {log}");
            let line: Value = serde_json::from_str(&log[start..]).unwrap_or_default();
            if line["message"] == "cambio is listening" {
                let url = |name: &str| format!("http://{}", line[name].as_str().unwrap());
                let (url, ops) = (url("address"), url("ops"));
                // Read beside the requests: a full pipe would stop whoever logs.
                let rest = move || errors.read_to_string(&mut log).map(|_| log).unwrap();
                return Self { child, url, ops, log: std::thread::spawn(rest) };
            }
        }
    }

    /// Ends it in good order; what it logged.
    fn stop(mut self) -> String {
        let told = Command::new("kill").arg(self.child.0.id().to_string()).status().unwrap();
        assert!(told.success() && self.child.0.wait().unwrap().success());
        self.log.join().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_records_logs_metrics_or_answers() {
    let mut stand = Stand::open_with("replay: reusable", SECTIONS).await;
    let (_, account_token) = accounts::token(&stand, "planted", &["secret/app/*"]).await;
    let account_token = account_token.token.text();
    stand.stop().await;
    // The journal names what is looked for; beginning anew, nothing but the process has written it.
    std::fs::remove_dir_all(stand.path("cambio-data/audit")).unwrap();
    let serving = Serving::start(&stand.path("cambio.yaml"));
    let client = reqwest_client(None);
    let post = async |path: &str, form: &[(&str, &str)]| {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = client.post(format!("{}{path}", serving.url)).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        Answer::of(request.send().await.unwrap()).await
    };
    let good = || stand.issuer.token(Clock::System.now()).claim("weather", CLAIM);
    let (mut secrets, mut answers, mut issued) = (Vec::new(), Vec::new(), Vec::new());

    // Permitted, twice (the second time from the cache), and used.
    let token = good().sign();
    for form in [exchange(&token), exchange(&token), bearer(&token)] {
        issued.push(post("/oauth2/token", &form).await.token());
    }
    let introspection = [("token", issued[0].as_str()), ("client_id", "rs"), ("client_secret", CLIENT_SECRET)];
    assert_eq!(post("/oauth2/introspect", &introspection).await.json()["active"], true);
    assert_eq!(post("/oauth2/revoke", &[("token", &issued[1])]).await.status, 200);
    let wrong = [("token", issued[0].as_str()), ("client_id", "rs"), ("client_secret", WRONG_SECRET)];
    answers.push(post("/oauth2/introspect", &wrong).await);
    answers.push(post("/oauth2/revoke", &[("token", &issued[0]), ("token_type_hint", "refresh_token")]).await);

    // Refused by a check, denied by policy, not evaluable.
    let refused = [
        good().claim("exp", 1).sign(),
        good().claim("aud", CLAIM).sign(),
        good().claim("sub", format!("user-{CLAIM}")).sign(),
        good().claim("repository", CLAIM).sign(),
        good().claim("run", json!({"a": CLAIM})).sign(),
        good().claim("jti", json!([CLAIM])).sign(),
        good().header("kid", json!("nobody")).sign(),
        good().header("typ", json!("logout+jwt")).sign(),
        good().header("jwk", json!({"d": STRAY})).sign(),
        format!("{}A", good().sign()),
        format!("{}=", good().sign()),
        STRAY.to_owned(),
    ];
    for token in &refused {
        answers.push(post("/oauth2/token", &exchange(token)).await);
        answers.push(post("/oauth2/token", &bearer(token)).await);
    }
    // The token of a service account: exchanged, used as it is, misdeclared, mistyped.
    issued.push(post("/oauth2/token", &accounts::form(account_token)).await.token());
    let mistyped = format!("{}{}", &account_token[..58], if account_token.ends_with('0') { "1" } else { "0" });
    answers.push(post("/oauth2/token", &accounts::form(&mistyped)).await);
    answers.push(post("/oauth2/token", &exchange(account_token)).await);
    answers.push(post("/oauth2/token", &bearer(account_token)).await);
    for path in ["secret/data/app/none", "secret/data/other", "auth/token/lookup", "sys/nothing"] {
        for token in [account_token, &mistyped] {
            let request = client.get(format!("{}/v1/{path}", serving.url)).header("x-vault-token", token);
            answers.push(Answer::of(request.send().await.unwrap()).await);
        }
    }
    secrets.extend([account_token[10..53].to_owned(), mistyped]);
    // A good token, or another secret, in a wrong place.
    for (name, value) in [
        ("grant_type", STRAY),
        ("scope", STRAY),
        ("scope", &token),
        ("audience", &token),
        ("subject_issuer", STRAY),
        ("subject_issuer", &token),
        ("actor_token", &token),
        ("expiration", STRAY),
        ("subject_token_type", &token),
        ("requested_token_type", &token),
        ("client_secret", STRAY),
        ("made_up", &token),
    ] {
        let mut form = exchange(&token);
        form.retain(|(known, _)| *known != name);
        form.push((name, value));
        answers.push(post("/oauth2/token", &form).await);
    }
    for path in [
        format!("/oauth2/token?subject_token={token}"),
        format!("/oauth2/{STRAY}"),
        format!("/{token}"),
        format!("/oauth2/token?subject_issuer={STRAY}"),
    ] {
        answers.push(post(&path, &[("grant_type", STRAY)]).await);
    }
    for body in [format!("{{\"subject_token\": \"{token}\", \"x\": {{}}}}"), format!("{{{token}")] {
        let request = client.post(format!("{}/oauth2/token", serving.url)).header("content-type", "application/json");
        answers.push(Answer::of(request.bearer_auth(&token).body(body).send().await.unwrap()).await);
    }
    answers.retain(|answer| answer.status != 200);
    assert!(answers.len() >= 40, "{}", answers.len());
    let metrics = Answer::of(client.get(format!("{}/metrics", serving.ops)).send().await.unwrap()).await;
    let ready = Answer::of(client.get(format!("{}/readyz", serving.ops)).send().await.unwrap()).await;

    let log = serving.stop();
    let journal = std::fs::read_to_string(stand.path("cambio-data/audit/decisions.jsonl")).unwrap();
    assert!(journal.lines().count() >= answers.len() && log.contains("TRACE"), "there is something to look at");

    for token in issued.iter().chain(&refused).chain([&token]).filter(|token| token.contains('.')) {
        secrets.push(token.clone());
        // A part is as much of a secret: the signature makes it a token, the payload has the claims.
        secrets.extend(token.split('.').skip(1).filter(|part| part.len() > 20).map(str::to_owned));
    }
    secrets.extend([CLIENT_SECRET, WRONG_SECRET, CLAIM, STRAY].map(str::to_owned));
    secrets.extend(private_keys(&stand.path("cambio-data")));
    for secret in &secrets {
        for (place, text) in [("log", &log), ("metrics", &metrics.text), ("readiness", &ready.text)] {
            assert!(!text.contains(secret.as_str()), "in the {place}: {secret}\n{}", around(text, secret));
        }
        for answer in &answers {
            let headers = format!("{:?}", answer.headers);
            assert!(
                !answer.text.contains(secret.as_str()) && !headers.contains(secret.as_str()),
                "{secret} in {answer:?}"
            );
        }
        // What names the caller and what it asked for is recorded: its subject, and a target that does not exist.
        for line in journal.lines() {
            let mut record: Value = serde_json::from_str(line).unwrap();
            record["subject"].take();
            assert!(!record.to_string().contains(secret.as_str()), "{secret} in {line}");
        }
    }
    // What is looked for can be found where it may stand.
    assert!(journal.contains(&format!("user-{CLAIM}")));
    assert!(!log.contains("panicked"), "{log}");
}

/// The text of every private key that the counter made for itself.
fn private_keys(data: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            lines.extend(private_keys(&path));
        } else if let Ok(text) = std::fs::read_to_string(&path)
            && text.contains("PRIVATE KEY")
        {
            lines.extend(text.lines().filter(|line| line.len() > 20 && !line.contains("-----")).map(str::to_owned));
        }
    }
    lines
}

fn around(text: &str, secret: &str) -> String {
    text.lines().find(|line| line.contains(secret)).unwrap_or_default().chars().take(2000).collect()
}
