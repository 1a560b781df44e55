//! The contract with OpenBao: what `setup` makes is enough, what a login gets is what the token says, and what OpenBao
//! decides is what a caller hears. Against a real server where there is one (`CAMBIO_TEST_OPENBAO_ADDR` and
//! `CAMBIO_TEST_OPENBAO_TOKEN`, or `bao` on the PATH), else against recorded shapes; the output says which.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod openbao_support;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cambio::accounts::{AccountChange, Grants, NewAccount, NewAccountToken};
use cambio::clock::Timestamp;
use cambio::identity::{AccountName, IssuerName, Namespace, PolicyName, TargetName};
use cambio::secrets::Verb;
use cambio::secrets::openbao::setup::{Found, LoginToken, NamespaceSetup, Setup};
use cambio::secrets::openbao::{Caller, OpenBaoStore, Upstream, UpstreamError};
use cambio::trust::Fetcher;
use openbao_support::Bao;
use openbao_support::recorded::Trouble;
use rstest::rstest;
use serde_json::{Value, json};
use support::Stand;

/// The namespace of the stand's targets.
const NAMESPACE: &str = "group_100/group_200";
const POLICY: &str = r#"
path "secret/data/app/*" { capabilities = ["create", "read", "update", "delete"] }
path "secret/metadata/app/*" { capabilities = ["list", "read"] }
path "secret/data/app/closed" { capabilities = ["deny"] }
"#;
const PLANTED: &str = "planted-value-7261";

struct Contract {
    stand: Stand,
    bao: Bao,
}

impl Contract {
    /// A counter, an OpenBao that was set up for it, and a value.
    async fn open(test: &str) -> Self {
        Self::open_with(test, "").await
    }

    async fn open_with(test: &str, sections: &str) -> Self {
        let bao = Bao::start(test).await;
        let port = support::http::free_port();
        let own = format!("issuer: http://127.0.0.1:{port}\nlisten: 127.0.0.1:{port}\n");
        let sections = sections.replace("ADDRESS", &bao.address).replace("PREFIX", &bao.prefix);
        let stand = Stand::open_with("replay: reusable", &format!("{own}{sections}")).await;
        stand.settled().await;
        let this = Self { stand, bao };
        this.bao.apply(&this.setup().plan(&this.bao.settings("")).unwrap()).await;
        let body = json!({"data": {"password": PLANTED}});
        for name in ["db", "closed"] {
            let answer = this.bao.call("POST", NAMESPACE, &format!("secret/data/app/{name}"), &body).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        this
    }

    fn setup(&self) -> Setup {
        let wanted = |targets: &[&str]| NamespaceSetup {
            targets: targets.iter().map(|name| TargetName::new(name).unwrap()).collect::<BTreeSet<_>>(),
            mounts: BTreeMap::from([("secret".to_owned(), 2)]),
            policies: BTreeMap::from([(PolicyName::new("jobs/global").unwrap(), POLICY.to_owned())]),
        };
        let (own, other) = (Namespace::new(NAMESPACE).unwrap(), Namespace::new("other").unwrap());
        Setup {
            issuer: self.stand.url("").trim_end_matches('/').to_owned(),
            jwks_url: None,
            ca_pem: None,
            algorithms: vec!["ES256".to_owned()],
            token: LoginToken::Service,
            create_namespaces: true,
            // The other namespace lets in the same target: only the namespace in the token keeps it out.
            namespaces: BTreeMap::from([(Some(own), wanted(&["vault"])), (Some(other), wanted(&["vault"]))]),
        }
    }

    fn store(&self, more: &str) -> OpenBaoStore {
        OpenBaoStore::new(self.bao.settings(more), Fetcher::new()).unwrap()
    }

    /// A token of ours, for the target `vault`.
    async fn token(&self, subject: &str) -> String {
        self.stand.exchange(&self.stand.token().claim("sub", subject).sign()).await.token()
    }

    async fn ask(
        &self,
        store: &OpenBaoStore,
        token: &str,
        verb: Verb,
        path: &str,
        body: &Value,
    ) -> Result<(u16, Value), UpstreamError> {
        self.ask_in(store, token, NAMESPACE, verb, path, body).await
    }

    async fn ask_in(
        &self,
        store: &OpenBaoStore,
        token: &str,
        namespace: &str,
        verb: Verb,
        path: &str,
        body: &Value,
    ) -> Result<(u16, Value), UpstreamError> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let namespace = Namespace::new(namespace).unwrap();
        let expires = self.stand.now().plus(Duration::from_secs(600));
        let caller = Caller { token, token_id: token, expires, namespace: Some(&namespace) };
        let upstream = Upstream { verb, mount: "secret", path, query, body: body.as_bytes() };
        let answer = store.forward(caller, upstream, self.stand.now()).await?;
        Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null)))
    }
}

#[tokio::test]
async fn a_caller_reads_writes_and_lists_what_its_policies_allow_and_nothing_else() {
    let contract = Contract::open("reads").await;
    let (store, token) = (contract.store(""), contract.token("job-1").await);
    let (status, read) = contract.ask(&store, &token, Verb::Read, "data/app/db", &Value::Null).await.unwrap();
    assert_eq!((status, &read["data"]["data"]["password"]), (200, &json!(PLANTED)));
    assert_eq!(read["data"]["metadata"]["version"], 1);

    let body = json!({"data": {"password": "two"}, "options": {"cas": 1}});
    let (status, written) = contract.ask(&store, &token, Verb::Write, "data/app/db", &body).await.unwrap();
    assert_eq!((status, &written["data"]["version"]), (200, &json!(2)));
    let (status, refused) = contract.ask(&store, &token, Verb::Write, "data/app/db", &body).await.unwrap();
    assert_eq!(status, 400);
    assert!(refused["errors"][0].as_str().unwrap().contains("check-and-set"), "{refused}");
    let (_, old) = contract.ask(&store, &token, Verb::Read, "data/app/db?version=1", &Value::Null).await.unwrap();
    assert_eq!(old["data"]["data"]["password"], PLANTED);

    let (status, listed) = contract.ask(&store, &token, Verb::List, "metadata/app/", &Value::Null).await.unwrap();
    assert_eq!((status, &listed["data"]["keys"]), (200, &json!(["closed", "db"])));
    assert_eq!(contract.ask(&store, &token, Verb::Read, "data/app/none", &Value::Null).await.unwrap().0, 404);
    for path in ["data/app/closed", "data/elsewhere"] {
        assert_eq!(contract.ask(&store, &token, Verb::Read, path, &Value::Null).await.unwrap().0, 403, "{path}");
    }
    assert_eq!(contract.ask(&store, &token, Verb::Delete, "data/app/db", &Value::Null).await.unwrap().0, 204);
    let (status, deleted) = contract.ask(&store, &token, Verb::Read, "data/app/db", &Value::Null).await.unwrap();
    assert_eq!((status, &deleted["data"]["data"]), (404, &Value::Null));
    assert!(!deleted["data"]["metadata"]["deletion_time"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn a_token_gets_its_own_policies_and_opens_its_own_namespace_only() {
    let contract = Contract::open("isolation").await;
    let (store, admin) = (contract.store(""), contract.token("admin-1").await);
    // An administrator's token has another policy, which nobody has put there.
    assert_eq!(contract.ask(&store, &admin, Verb::Read, "data/app/db", &Value::Null).await.unwrap().0, 403);
    let job = contract.token("job-1").await;
    let error = contract.ask_in(&store, &job, "other", Verb::Read, "data/app/db", &Value::Null).await.unwrap_err();
    let UpstreamError::LoginRefused { status: 400, said } = &error else { panic!("{error:?}") };
    assert!(said.contains("the token is for another namespace"), "{said}");
}

#[tokio::test]
async fn a_token_of_somebody_else_is_refused_as_a_denial() {
    let contract = Contract::open("forged").await;
    let store = contract.store("");
    let platform = contract.stand.token().claim("aud", "vault").sign();
    let token = contract.token("job-1").await;
    let (head, signature) = token.rsplit_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    let subject = contract.stand.token().sign();
    let form: Vec<(&str, &str)> = support::exchange(&subject)
        .into_iter()
        .map(|(name, value)| if name == "audience" { (name, "deploy") } else { (name, value) })
        .collect();
    let other = contract.stand.post("/oauth2/token", &form).await.token();
    for bad in [platform, format!("{head}.{turned}"), other] {
        let error = contract.ask(&store, &bad, Verb::Read, "data/app/db", &Value::Null).await.unwrap_err();
        assert_eq!((error.code(), error.retry_after()), ("upstream_login_refused", None), "{error}");
        assert!(bad.split('.').all(|part| !error.to_string().contains(part)));
    }
}

#[tokio::test]
async fn a_login_lasts_no_longer_than_the_token_and_can_be_used_directly() {
    let contract = Contract::open("direct").await;
    let (store, token) = (contract.store(""), contract.token("job-1").await);
    let namespace = Namespace::new(NAMESPACE).unwrap();
    let expires = contract.stand.now().plus(Duration::from_secs(600));
    let caller = Caller { token: &token, token_id: "jti", expires, namespace: Some(&namespace) };
    let login = store.login(caller, contract.stand.now()).await.unwrap();
    assert!((1..=600).contains(&login.lease.as_secs()), "{login:?}");
    assert!(login.policies.contains(&"jobs/global".to_owned()) && !login.renewable, "{login:?}");
    assert_eq!(login.auth["metadata"]["subject"], "workloads:job-1");
    assert_eq!(login.auth["metadata"]["target"], "vault");
    let whole = contract.bao.whole(NAMESPACE);
    let read = contract.bao.call_as(&login.client_token, &whole, "GET", "secret/data/app/db", &Value::Null).await;
    assert_eq!((read.status, &read.json()["data"]["data"]["password"]), (200, &json!(PLANTED)));
}

#[tokio::test]
async fn a_session_that_was_revoked_is_replaced() {
    let contract = Contract::open("revoked").await;
    let (store, token) = (contract.store(""), contract.token("job-1").await);
    assert_eq!(contract.ask(&store, &token, Verb::Read, "data/app/db", &Value::Null).await.unwrap().0, 200);
    if let Some(recorded) = contract.bao.recorded() {
        assert_eq!(recorded.heard("POST auth/cambio/cel/login"), 1);
        let whole = contract.bao.whole(NAMESPACE);
        assert_eq!(
            contract.bao.call_as("s.recorded-1", &whole, "POST", "auth/token/revoke-self", &Value::Null).await.status,
            204
        );
        contract.stand.advance(30);
        assert_eq!(contract.ask(&store, &token, Verb::Read, "data/app/db", &Value::Null).await.unwrap().0, 200);
        assert_eq!(recorded.heard("POST auth/cambio/cel/login"), 2);
    }
}

#[tokio::test]
async fn set_up_twice_is_set_up_once() {
    let contract = Contract::open("twice").await;
    let plan = contract.setup().plan(&contract.bao.settings("")).unwrap();
    let found = contract.bao.operator().apply(&plan).await.unwrap();
    let changed: Vec<_> = plan
        .steps()
        .iter()
        .zip(&found)
        .filter(|(_, found)| **found != Found::AsWanted)
        .map(|(step, found)| (step.title(), found))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[tokio::test]
async fn an_openbao_in_trouble_is_never_a_denial() {
    let contract = Contract::open("trouble").await;
    let token = contract.token("job-1").await;
    // No real server is in trouble when it is told to.
    let Some(recorded) = contract.bao.recorded() else { return };
    let store = contract.store(r#""timeout": "300ms""#);
    recorded.troubled(Trouble::Says(503), 1);
    assert_eq!(contract.ask(&store, &token, Verb::Read, "data/app/db", &Value::Null).await.unwrap().0, 200);
    for (trouble, too_many) in
        [(Trouble::Says(429), true), (Trouble::Says(503), false), (Trouble::Slow(Duration::from_secs(1)), false)]
    {
        recorded.troubled(trouble, 3);
        let error = contract.ask(&store, &token, Verb::Read, "data/app/db", &Value::Null).await.unwrap_err();
        assert_eq!(error.retry_after().map(|(too_many, _)| too_many), Some(too_many), "{trouble:?}: {error}");
    }
    recorded.troubled(Trouble::Says(503), 0);
    assert_eq!(contract.ask(&store, &token, Verb::Read, "data/app/db", &Value::Null).await.unwrap().0, 200);
}

/// The whole way: a job exchanges its token, and reads through the Vault surface of a counter whose mount is that OpenBao.
#[tokio::test]
async fn a_job_reads_through_the_counter_what_openbao_keeps() {
    let sections = "secrets:
  mounts: [{mount: secret, namespace: \"*\", store: openbao, openbao: bao}]
  openbao: [{name: bao, address: \"ADDRESS\", namespace: PREFIX}]
";
    let contract = Contract::open_with("through", sections).await;
    let token = contract.token("job-1").await;
    let read = |path: &str| {
        let request = reqwest::Client::new().get(contract.stand.url(&format!("/v1/{path}")));
        contract.stand.send(request.header("x-vault-token", token.clone()))
    };
    let good = read("secret/data/app/db").await;
    assert_eq!((good.status, &good.json()["data"]["data"]["password"]), (200, &json!(PLANTED)));
    assert_eq!(contract.stand.record(&good).outcome, "served");
    assert_eq!(read("secret/data/app/none").await.status, 404);
    assert_eq!(read("secret/data/app/closed").await.status, 403);
    let journal = std::fs::read_to_string(contract.stand.path("cambio-data/audit/decisions.jsonl")).unwrap();
    assert!(!journal.contains(PLANTED) && !journal.contains("s.recorded"));
}

/// A service account's token is none that OpenBao knows: OpenBao is asked with one of ours, minted for the account, and only as
/// long as the account is what it was.
#[tokio::test]
async fn a_service_account_reads_through_the_counter_by_a_token_that_is_minted_for_it() {
    let sections = "default_target: vault
service_accounts: {}
secrets:
  mounts: [{mount: secret, namespace: \"*\", store: openbao, openbao: bao}]
  openbao: [{name: bao, address: \"ADDRESS\", namespace: PREFIX}]
";
    let contract = Contract::open_with("account", sections).await;
    let (stand, now) = (&contract.stand, contract.stand.now());
    let accounts = stand.running().counter().accounts().unwrap();
    let expires = now.plus(Duration::from_secs(86_400));
    let new = NewAccount {
        namespace: Some(Namespace::new(NAMESPACE).unwrap()),
        name: AccountName::new("reports").unwrap(),
        owner: "team-a".to_owned(),
        description: "reports".to_owned(),
        grants: serde_json::from_value(json!({"policies": ["jobs/global"]})).unwrap(),
        expires,
    };
    let account = accounts.create(new, "ada", now).await.unwrap().after.unwrap();
    let token = NewAccountToken { name: "laptop".to_owned(), expires };
    let issued = accounts.issue(account.id, token, "ada", now).await.unwrap();
    let read = || {
        let request = reqwest::Client::new().get(stand.url("/v1/secret/data/app/db"));
        stand.send(request.header("x-vault-token", issued.token.text()))
    };
    for _ in 0..2 {
        let good = read().await;
        assert_eq!((good.status, &good.json()["data"]["data"]["password"]), (200, &json!(PLANTED)), "{}", good.text);
    }
    if let Some(recorded) = contract.bao.recorded() {
        assert_eq!(recorded.heard("POST auth/cambio/cel/login"), 1, "one login for both");
        assert!(!recorded.everything_heard().contains("cambio_sa_"));
    }
    let change = AccountChange { grants: Some(Grants::default()), ..AccountChange::default() };
    accounts.update(account.id, change, "ada", now).await.unwrap();
    assert_eq!(read().await.status, 403, "without the policy, OpenBao lets nobody read");
}

/// An administrator's token would be good for the administration in whoever's hands it is.
#[tokio::test]
async fn no_openbao_gets_a_token_for_the_administration() {
    let sections = "default_target: deploy
admin: {target: deploy}
service_accounts: {}
secrets:
  mounts: [{mount: secret, namespace: \"*\", store: openbao, openbao: bao}]
  openbao: [{name: bao, address: \"ADDRESS\", namespace: PREFIX}]
";
    let contract = Contract::open_with("administration", sections).await;
    let (stand, now) = (&contract.stand, contract.stand.now());
    let read = |token: String| {
        let request = reqwest::Client::new().get(stand.url("/v1/secret/data/app/db"));
        stand.send(request.header("x-vault-token", token))
    };
    // The account is represented by a token for the next target of its namespace.
    let accounts = stand.running().counter().accounts().unwrap();
    let expires = now.plus(Duration::from_secs(86_400));
    let new = NewAccount {
        namespace: Some(Namespace::new(NAMESPACE).unwrap()),
        name: AccountName::new("reports").unwrap(),
        owner: "team-a".to_owned(),
        description: "reports".to_owned(),
        grants: serde_json::from_value(json!({"policies": ["jobs/global"]})).unwrap(),
        expires,
    };
    let account = accounts.create(new, "ada", now).await.unwrap().after.unwrap();
    let token = NewAccountToken { name: "laptop".to_owned(), expires };
    let issued = accounts.issue(account.id, token, "ada", now).await.unwrap();
    let good = read(issued.token.text().to_owned()).await;
    assert_eq!((good.status, &good.json()["data"]["data"]["password"]), (200, &json!(PLANTED)), "{}", good.text);
    // And an administrator reads nothing there.
    let jwt = stand.token().claim("sub", "job-1").sign();
    let mut form = support::exchange(&jwt);
    form[3].1 = "deploy";
    let own = stand.post("/oauth2/token", &form).await.token();
    let refused = read(own.clone()).await;
    assert_eq!(refused.status, 404, "{}", refused.text);
    assert_eq!(stand.record(&refused).reason.as_deref(), Some("token_for_administrators"));
    if let Some(recorded) = contract.bao.recorded() {
        assert!(!recorded.everything_heard().contains(&own));
        assert_eq!(recorded.heard("POST auth/cambio/cel/login"), 1, "the account's alone");
    }
}

const NOW: i64 = 1_795_000_000;

/// What the program of the role says to a token's claims, run by cambio's own reader of OpenBao's roles: one good token, one
/// change.
#[rstest]
#[case::good("exp", json!(NOW + 300), Ok(300))]
#[case::a_fraction_of_its_life("exp", json!(NOW + 1), Ok(1))]
#[case::ended("exp", json!(NOW), Err("the token has ended"))]
#[case::ended_within_the_leeway("exp", json!(NOW - 30), Err("the token has ended"))]
#[case::without_an_end("exp", Value::Null, Err("the token has ended"))]
#[case::of_another_namespace("namespace", json!("group_100"), Err("the token is for another namespace"))]
#[case::of_one_that_begins_alike("namespace", json!("group_100/group_2000"), Err("the token is for another namespace"))]
#[case::of_no_namespace("namespace", Value::Null, Err("the token is for another namespace"))]
#[case::without_policies("policies", json!([]), Err("the token has no policies"))]
#[case::without_a_list_of_them("policies", Value::Null, Err("the token has no policies"))]
#[case::without_a_subject("sub", Value::Null, Err("missing subject"))]
fn the_role_lets_in_what_it_should(#[case] claim: &str, #[case] value: Value, #[case] expected: Result<u64, &str>) {
    let namespace = Namespace::new(NAMESPACE).unwrap();
    let wanted =
        NamespaceSetup { targets: BTreeSet::from([TargetName::new("vault").unwrap()]), ..NamespaceSetup::default() };
    let setup = Setup {
        issuer: "https://cambio.example.com".to_owned(),
        jwks_url: None,
        ca_pem: None,
        algorithms: vec!["ES256".to_owned()],
        token: LoginToken::Batch,
        create_namespaces: false,
        namespaces: BTreeMap::from([(Some(namespace), wanted)]),
    };
    let settings = serde_json::from_value(json!({"name": "bao", "address": "https://bao.example.com"})).unwrap();
    let plan = setup.plan(&settings).unwrap();
    let set = openbao_support::state::program("role", &plan.steps().last().unwrap().body).unwrap();
    let mut claims = json!({"sub": "gitlab:a", "aud": "vault", "namespace": NAMESPACE, "policies": ["jobs/a", "jobs/b"],
        "exp": NOW + 300, "iat": NOW - 10, "txn": "t"});
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(claim);
    } else {
        claims[claim] = value;
    }
    let issuer = IssuerName::new("cambio").unwrap();
    let evaluation = set.evaluate(&issuer, claims.as_object().unwrap(), &set.targets()[0], Timestamp::from_secs(NOW));
    match (evaluation.outcome, expected) {
        (Ok(grant), Ok(seconds)) => {
            assert_eq!(grant.ttl(), Some(Duration::from_secs(seconds)));
            let policies: Vec<&str> = grant.policies().iter().map(PolicyName::as_str).collect();
            assert!(policies.starts_with(&["jobs/a", "jobs/b"]), "{policies:?}");
            assert!(grant.metadata().any(|pair| pair == ("subject", "gitlab:a")));
        }
        (Err(reason), Err(said)) => assert!(reason.to_string().contains(said), "{reason}"),
        (outcome, expected) => panic!("{outcome:?}, not {expected:?}"),
    }
}

const REST: &str = "rest:
  projects: [{id: 123, path: acme/web, namespace: group_100/group_200, folder: app, field: password, target: vault}]
";

/// The REST surface over such a mount: what OpenBao refuses is not there.
#[tokio::test]
async fn rest_tells_what_openbao_keeps_and_nothing_of_what_it_refuses() {
    let sections = "secrets:
  mounts: [{mount: secret, namespace: \"*\", store: openbao, openbao: bao}]
  openbao: [{name: bao, address: \"ADDRESS\", namespace: PREFIX}]
";
    let contract = Contract::open_with("rest", &format!("{sections}{REST}")).await;
    let token = contract.token("job-1").await;
    let read = |path: &str| {
        let request = reqwest::Client::new().get(contract.stand.url(&format!("/api/v4/projects/123/{path}")));
        contract.stand.send(request.header("authorization", format!("Bearer {token}")))
    };
    let good = read("secrets/db/value").await;
    let json = good.json();
    assert_eq!((good.status, &json["value"], &json["version"]), (200, &json!(PLANTED), &json!(1)), "{json}");
    let names = read("secrets").await.json();
    assert_eq!(names, json!([{"name": "closed", "kind": "secret"}, {"name": "db", "kind": "secret"}]));
    let (closed, none) = (read("secrets/closed/value").await, read("secrets/none/value").await);
    let plain = |answer: &support::Answer| (answer.status, answer.text.replace(answer.decision(), "ID"));
    assert_eq!(plain(&closed), plain(&none));
    assert_eq!(closed.status, 404);
}

/// The token that a client gets to log in with opens an OpenBao that `setup` made ready, by what the answer says and nothing
/// else.
#[tokio::test]
async fn a_token_to_log_in_with_opens_an_openbao_by_what_its_answer_says() {
    let sections = "secrets:
  openbao: [{name: bao, address: \"ADDRESS\", namespace: PREFIX}]
  direct: [{targets: [vault], openbao: bao}]
";
    let contract = Contract::open_with("access-token", &format!("{sections}{REST}")).await;
    let job = contract.stand.token().claim("sub", "job-1").sign();
    let request = reqwest::Client::new()
        .post(contract.stand.url("/api/v4/projects/123/secrets_manager/access_token"))
        .header("authorization", format!("Bearer {job}"));
    let answer = contract.stand.send(request).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let vault = &answer.json()["provider"]["vault"];
    let text = |pointer: &str| vault.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    assert_eq!((text("/server"), text("/namespace")), (contract.bao.address.clone(), contract.bao.whole(NAMESPACE)));
    let (path, role, jwt) = (text("/auth/jwt/path"), text("/auth/jwt/role"), text("/auth/jwt/token"));
    let body = json!({"role": role, "jwt": jwt});
    let login = contract.bao.call_as("", &text("/namespace"), "PUT", &format!("auth/{path}/login"), &body).await;
    assert_eq!(login.status, 200, "{}", login.text);
    let token = login.json()["auth"]["client_token"].as_str().unwrap().to_owned();
    let secret = format!("{}/data/{}/db", text("/path"), text("/secrets_path"));
    let read = contract.bao.call_as(&token, &text("/namespace"), "GET", &secret, &Value::Null).await;
    assert_eq!((read.status, &read.json()["data"]["data"]["password"]), (200, &json!(PLANTED)), "{}", read.text);
    // Nobody else takes it for a secrets token.
    let request = reqwest::Client::new().get(contract.stand.url("/api/v4/projects/123/secrets"));
    let answer = contract.stand.send(request.header("authorization", format!("Bearer {jwt}"))).await;
    assert_eq!(answer.status, 401);
}
