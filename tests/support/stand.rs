//! A counter that listens, the issuer that it trusts, and the questions that every test asks.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cambio::app::{App, Running};
use cambio::audit::Record;
use cambio::clock::{Clock, ManualClock, Timestamp};
use cambio::config::Config;
use cambio::exchange::Outcome;
use serde_json::Value;

use super::http::{exchange, reqwest_client};
use super::key::Token;
use super::{Answer, Issuer};

/// The audience of tokens for the counter.
pub const AUDIENCE: &str = "https://cambio.example.com";
/// What is in the file `rs.secret`, for a resource server.
pub const CLIENT_SECRET: &str = "a secret of 24 characters";

/// Two targets for jobs of the issuer `workloads`.
pub const POLICY: &str = r#"
target: vault
aliases: [https://vault.example.com, vault-too]
namespace: group_100/group_200
rules:
  - name: job
    issuer: [workloads, others]
    require:
      - that: 'claims.sub.startsWith("job-")'
        message: this is no job
      - that: '!has(claims.repository) || claims.repository == "acme/shop"'
        message: this is another repository
      - that: '!has(claims.run) || claims.run == 9007199254740993'
        message: this is another run
    grant:
      policies: ['"jobs/global"']
      ttl: 10m
      scopes: [read, list]
  - name: admin
    issuer: [workloads, others]
    require:
      - that: 'claims.sub.startsWith("admin-")'
        message: this is no administrator
    grant:
      policies: ['"jobs/admin"']
      scopes: [read, admin]
"#;

/// A running counter.
pub struct Stand {
    pub issuer: Issuer,
    pub clock: ManualClock,
    running: Option<Running>,
    directory: tempfile::TempDir,
    client: reqwest::Client,
    scheme: &'static str,
    permitted: AtomicU64,
}

impl Stand {
    /// One that trusts one issuer, `workloads`, whose tokens may be presented again.
    pub async fn open() -> Self {
        Self::open_with("replay: reusable", "").await
    }

    /// The same, with lines of the issuer's entry, and sections of the configuration.
    pub async fn open_with(issuer_lines: &str, sections: &str) -> Self {
        Self::open_by(Issuer::start().await, issuer_lines, sections).await
    }

    /// The same, for this issuer.
    pub async fn open_by(issuer: Issuer, issuer_lines: &str, sections: &str) -> Self {
        let entry = entry("workloads", issuer.name(), issuer_lines);
        Self::open_for(issuer, &entry, sections).await
    }

    /// One with these entries under `issuers:`; `issuer` is the one whose tokens are presented.
    pub async fn open_for(issuer: Issuer, entries: &str, sections: &str) -> Self {
        let mut stand = Self::prepare(issuer, entries, sections);
        stand.start().await;
        stand
    }

    /// One that is written and not started; it has the policies above only if it has the issuer that they are for.
    pub fn prepare(issuer: Issuer, entries: &str, sections: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("policies")).unwrap();
        let clock = ManualClock::new(Timestamp::from_secs(Clock::System.now().as_secs()));
        let client = reqwest_client(None);
        let stand =
            Self { issuer, clock, running: None, directory, client, scheme: "http", permitted: AtomicU64::new(0) };
        // A policy may only name issuers that there are.
        let others = if entries.contains("name: others") { ", others" } else { "" };
        let policy = POLICY.replace(", others", others);
        let (head, rules) = policy.split_once("namespace:").unwrap();
        if entries.contains("name: workloads") {
            stand.write("policies/vault.yaml", &format!("{head}namespace:{rules}"));
            stand.write("policies/deploy.yaml", &format!("target: deploy\nnamespace:{rules}"));
        }
        stand.write_private("rs.secret", &format!("{CLIENT_SECRET}\n"));
        stand.write("cambio.yaml", &configuration(entries, sections));
        stand
    }

    /// Trusts the certificates in this file, and speaks TLS from now on.
    pub fn speaks_tls(&mut self, ca: &str) {
        self.client = reqwest_client(Some(ca));
        self.scheme = "https";
    }

    /// Writes a file into the directory of the configuration.
    pub fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(path);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The same, for nobody else to read.
    pub fn write_private(&self, path: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.write(path, text);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Starts over with what is written now, on the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        self.permitted.store(0, Ordering::Relaxed);
    }

    pub async fn start(&mut self) {
        let config = Config::load(&self.path("cambio.yaml")).unwrap();
        let app = App::open(config, Clock::Manual(self.clock.clone())).await.unwrap();
        self.running = Some(app.listen().await.unwrap());
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub fn now(&self) -> Timestamp {
        Clock::Manual(self.clock.clone()).now()
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Moves the clock to the machine's, if that is ahead: real issuers say when a token was issued.
    pub fn keeps_up(&self) {
        self.clock.set(self.now().max(Clock::System.now()));
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.running().address())
    }

    /// A good token of the issuer, not signed yet.
    pub fn token(&self) -> Token {
        self.issuer.token(self.now())
    }

    /// Waits until the keys of every issuer were fetched once, so that later fetches are the test's own doing.
    pub async fn settled(&self) {
        let rules = self.running().counter().rules();
        for issuer in rules.issuers.iter() {
            eventually("keys were fetched", || issuer.keys().current(self.now()).is_ok()).await;
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(self.url(path)).send().await.unwrap()).await
    }

    /// What the platform team's listener answers.
    pub async fn ops(&self, path: &str) -> Answer {
        let url = format!("http://{}{path}", self.running().ops_address());
        Answer::of(self.client.get(url).send().await.unwrap()).await
    }

    pub fn request(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(self.url(path))
    }

    /// Posts a form.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.send(self.request(path).header("content-type", "application/x-www-form-urlencoded").body(body)).await
    }

    /// Sends a request; a permit is noted, so that [`Self::refused`] knows what the counter should have counted.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = Answer::of(request.send().await.unwrap()).await;
        if answer.status == 200 && answer.text.contains("\"access_token\"") {
            self.permitted.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// Exchanges a token (RFC 8693) for the target `vault`.
    pub async fn exchange(&self, token: &str) -> Answer {
        self.post("/oauth2/token", &exchange(token)).await
    }

    /// The record of a decision. There is exactly one.
    pub fn record(&self, answer: &Answer) -> Record {
        let id = answer.decision();
        assert_eq!(id.len(), 36, "no decision id: {answer:?}");
        let mut records = self.records();
        records.retain(|record| record.id == id);
        assert_eq!(records.len(), 1, "{id} has {} records", records.len());
        records.remove(0)
    }

    /// All records, oldest first.
    pub fn records(&self) -> Vec<Record> {
        assert!(self.running().counter().journal().flush(Duration::from_secs(10)));
        let text = std::fs::read_to_string(self.path("cambio-data/audit/decisions.jsonl")).unwrap();
        // Other lines are the chain's own.
        let records = text.lines().filter(|line| line.starts_with("{\"v\":1,\"id\":"));
        records.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A refusal: its status, its code, constant text, one record with the precise reason, and nothing minted.
    #[track_caller]
    pub fn refused(&self, answer: &Answer, status: u16, code: &str, reason: &str) -> Record {
        let json = answer.json();
        let record = self.record(answer);
        assert_eq!(
            (answer.status, json["error"].as_str(), record.reason.as_deref()),
            (status, Some(code), Some(reason)),
            "{} {:?}",
            answer.text,
            record.detail
        );
        assert_eq!(json["decision_id"].as_str(), Some(answer.decision()));
        assert!(json.get("access_token").is_none() && record.jti.is_none(), "something was minted: {json} {record:?}");
        assert_eq!(record.outcome, if status >= 500 { "failed" } else { "denied" });
        assert_eq!(self.allowed(), self.permitted.load(Ordering::Relaxed), "the counter counted a permit");
        assert_uncached(answer);
        let described = json["error_description"].as_str().unwrap();
        assert!(described.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{described}");
        record
    }

    /// A permit: its record, with what was issued.
    #[track_caller]
    pub fn permitted(&self, answer: &Answer) -> Record {
        let record = self.record(answer);
        assert_eq!(answer.status, 200, "{} {:?} {:?}", answer.text, record.reason, record.detail);
        assert_eq!(record.outcome, "issued");
        assert!(record.jti.is_some() && record.reason.is_none(), "{record:?}");
        assert_uncached(answer);
        record
    }

    /// Exchanges that the engine counted as allowed.
    pub fn allowed(&self) -> u64 {
        let tally = self.running().counter().tally();
        tally.exchanges().filter(|(_, outcome, _)| *outcome == Outcome::Issued).map(|(_, _, count)| count).sum()
    }

    /// Hits and misses of the cache of verified tokens.
    pub fn cache(&self) -> (u64, u64) {
        self.running().counter().tally().cache_use()
    }

    /// What one of the counter's own tokens says, as an independent implementation reads it.
    pub async fn verified(&self, token: &str) -> jsonwebtoken::TokenData<Value> {
        let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&self.get("/oauth2/jwks").await.text).unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        let jwk = jwks.find(header.kid.as_deref().unwrap()).expect("the key is published");
        let mut validation = jsonwebtoken::Validation::new(header.alg);
        validation.validate_aud = false;
        validation.validate_exp = false; // time is the test's own
        jsonwebtoken::decode(token, &jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap(), &validation).unwrap()
    }
}

/// One entry of `issuers:`.
pub fn entry(name: &str, issuer: &str, lines: &str) -> String {
    let platform = if lines.contains("platform:") { "" } else { "platform: generic" };
    format!(
        "  - name: {name}\n    issuer: {issuer}\n    audiences: [{AUDIENCE}]\n    insecure_http: true\n    {platform}\n    {}\n",
        lines.replace('\n', "\n    ")
    )
}

/// The text of a configuration.
pub fn configuration(entries: &str, sections: &str) -> String {
    let issuer = if sections.lines().any(|line| line.starts_with("issuer:")) {
        ""
    } else {
        "issuer: https://cambio.example.com\n"
    };
    let listen = if sections.contains("listen:") { "" } else { "listen: 127.0.0.1:0\n" };
    // Time stands still in most tests, so that no budget would ever fill again: limits are for those that name them.
    let limits = if sections.contains("rate_limits:") {
        ""
    } else {
        "rate_limits: {source: 'off', subject: 'off', failures: 'off'}\n"
    };
    format!("{issuer}{listen}{limits}ops_listen: 127.0.0.1:0\n{sections}\nissuers:\n{entries}")
}

/// Waits for what happens beside the requests; at most ten seconds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within ten seconds: {what}");
}

fn assert_uncached(answer: &Answer) {
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    assert_eq!(answer.header("content-type"), "application/json");
}
