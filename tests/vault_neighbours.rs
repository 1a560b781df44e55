//! What neighbours of OpenBao ask of it, each its own few requests in its own words: the command line, Agents, the CSI
//! provider, runners, Terraform, Spring, the Secrets Operator, and the operator's native provider.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;
mod vault;
mod vault_support;

use rstest::rstest;
use serde_json::{Value, json};
use support::{Answer, Stand};
use vault::enveloped;
use vault_support::gitlab::{PROJECT, gitlab_token, with_roles};
use vault_support::{NAMESPACE, counter, login, plant, send};

/// A login in a client's own verb; its `auth`.
async fn auth(stand: &Stand, method: &str, path: &str, body: &Value) -> Value {
    let answer = send(stand, method, path, &[("x-vault-request", "true")], Some(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    enveloped(&answer)["auth"].clone()
}

/// A job that logged in as clients in Go do.
async fn logged_in(stand: &Stand) -> Asking<'_> {
    let body = json!({"role": "app", "jwt": stand.token().sign()});
    let auth = auth(stand, "PUT", "auth/jwt/login", &body).await;
    Asking { stand, token: auth["client_token"].as_str().unwrap().to_owned() }
}

/// Whoever asks with a token.
struct Asking<'s> {
    stand: &'s Stand,
    token: String,
}

impl Asking<'_> {
    async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        let headers = [("x-vault-request", "true"), ("x-vault-token", self.token.as_str())];
        send(self.stand, method, path, &headers, Some(&body).filter(|body| !body.is_null())).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, Value::Null).await
    }
}

/// What `kv` commands find out before anything else.
#[rstest]
#[case::a_mount("secret", "secret/", "2")]
#[case::a_path("secret/app/db", "secret/", "2")]
#[case::a_path_of_version_1("kv1/app/one", "kv1/", "1")]
#[tokio::test]
async fn the_command_line_learns_the_version_of_a_mount(
    #[case] path: &str,
    #[case] mount: &str,
    #[case] version: &str,
) {
    let stand = counter().await;
    let cli = logged_in(&stand).await;
    let told = enveloped(&cli.get(&format!("sys/internal/ui/mounts/{path}")).await)["data"].clone();
    assert_eq!((told["path"].as_str(), told["type"].as_str()), (Some(mount), Some("kv")));
    assert_eq!(told["options"]["version"], version);
    let nowhere = cli.get("sys/internal/ui/mounts/nowhere/app/db").await;
    assert_eq!(nowhere.status, 403, "404 would be taken for version 1");
    let error = nowhere.json()["errors"][0].as_str().unwrap().to_owned();
    assert!(
        error.starts_with("preflight capability check returned 403, please ensure client's policies grant"),
        "{error}"
    );
}

#[tokio::test]
async fn the_command_line_puts_gets_patches_rolls_back_and_deletes() {
    let stand = counter().await;
    let cli = logged_in(&stand).await;
    // kv put, kv put -cas
    let put = cli.ask("PUT", "secret/data/app/cli", json!({"data": {"a": "1"}, "options": {}})).await;
    assert_eq!(enveloped(&put)["data"]["version"], 1);
    let put = cli.ask("PUT", "secret/data/app/cli", json!({"data": {"a": "2"}, "options": {"cas": 1}})).await;
    assert_eq!(enveloped(&put)["data"]["version"], 2);
    // kv get, kv get -version
    assert_eq!(enveloped(&cli.get("secret/data/app/cli").await)["data"]["data"]["a"], "2");
    assert_eq!(enveloped(&cli.get("secret/data/app/cli?version=1").await)["data"]["data"]["a"], "1");
    // kv patch
    let patched = cli.ask("PATCH", "secret/data/app/cli", json!({"data": {"b": "3"}, "options": {"cas": 2}})).await;
    assert_eq!(enveloped(&patched)["data"]["version"], 3);
    // kv rollback: reads the current version for the check, the old one for its data.
    let data = enveloped(&cli.get("secret/data/app/cli?version=1").await)["data"]["data"].clone();
    let rolled = cli.ask("PUT", "secret/data/app/cli", json!({"data": data, "options": {"cas": 3}})).await;
    assert_eq!(enveloped(&rolled)["data"]["version"], 4);
    // kv list, kv metadata put, kv metadata get
    assert_eq!(enveloped(&cli.get("secret/metadata/app?list=true").await)["data"]["keys"], json!(["cli"]));
    let described = json!({"custom_metadata": {"owner": "shop"}, "max_versions": 5, "cas_required": false});
    assert_eq!(cli.ask("PUT", "secret/metadata/app/cli", described).await.status, 204);
    assert_eq!(enveloped(&cli.get("secret/metadata/app/cli").await)["data"]["max_versions"], 5);
    // kv delete, kv undelete, kv delete -versions, kv destroy: numbers as texts.
    assert_eq!(cli.ask("DELETE", "secret/data/app/cli", Value::Null).await.status, 204);
    let gone = cli.get("secret/data/app/cli").await;
    assert_eq!((gone.status, &gone.json()["data"]["data"]), (404, &Value::Null));
    assert_ne!(gone.json()["data"]["metadata"]["deletion_time"], "");
    assert_eq!(cli.ask("PUT", "secret/undelete/app/cli", json!({"versions": ["4"]})).await.status, 204);
    assert_eq!(enveloped(&cli.get("secret/data/app/cli").await)["data"]["data"], json!({"a": "1"}));
    assert_eq!(cli.ask("PUT", "secret/delete/app/cli", json!({"versions": ["1", "2"]})).await.status, 204);
    assert_eq!(cli.ask("PUT", "secret/destroy/app/cli", json!({"versions": ["4"]})).await.status, 204);
    let destroyed = cli.get("secret/data/app/cli").await;
    assert_eq!((destroyed.status, &destroyed.json()["data"]["metadata"]["destroyed"]), (404, &json!(true)));
    // kv metadata delete
    assert_eq!(cli.ask("DELETE", "secret/metadata/app/cli", Value::Null).await.status, 204);
    assert_eq!(cli.get("secret/data/app/cli").await.text, r#"{"errors":[]}"#);
    // token lookup, token revoke -self
    assert_eq!(enveloped(&cli.get("auth/token/lookup-self").await)["data"]["id"], cli.token);
    assert_eq!(cli.ask("PUT", "auth/token/revoke-self", Value::Null).await.status, 204);
}

#[tokio::test]
async fn the_command_line_looks_at_the_server() {
    let stand = counter().await;
    let status = send(&stand, "GET", "sys/seal-status", &[], None).await;
    assert_eq!(status.status, 200);
    for (name, value) in [("initialized", json!(true)), ("sealed", json!(false)), ("t", json!(1)), ("n", json!(1))] {
        assert_eq!(status.json()[name], value, "{name}");
    }
    let cli = logged_in(&stand).await;
    let told = enveloped(&cli.ask("PUT", "sys/capabilities-self", json!({"paths": ["secret/data/app/db"]})).await);
    assert_eq!(told["data"]["capabilities"], told["data"]["secret/data/app/db"]);
    let mut names: Vec<_> =
        told["data"]["capabilities"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["create", "delete", "patch", "read", "update"]);
}

/// vault agent, bao agent: a token that can't be renewed is replaced by a new login; templates ask for the mount first.
#[tokio::test]
async fn an_agent_does_not_renew() {
    let stand = counter().await;
    plant(&stand, NAMESPACE, "secret/data/app/db", &json!({"a": "1"})).await;
    let body = json!({"role": "app", "jwt": stand.token().sign()});
    let auth = auth(&stand, "PUT", "auth/kubernetes/login", &body).await;
    assert_eq!((&auth["renewable"], &auth["lease_duration"]), (&json!(false), &json!(600)));
    let agent = Asking { stand: &stand, token: auth["client_token"].as_str().unwrap().to_owned() };
    assert_eq!(enveloped(&agent.get("sys/internal/ui/mounts/secret/app/db").await)["data"]["options"]["version"], "2");
    let read = enveloped(&agent.get("secret/data/app/db").await);
    assert_eq!((&read["data"]["data"]["a"], &read["renewable"]), (&json!("1"), &json!(false)));
}

/// secrets-store-csi's provider: POST, and one login more when its token is not good any longer.
#[tokio::test]
async fn the_csi_provider_logs_in_again_at_a_403() {
    let stand = counter().await;
    plant(&stand, NAMESPACE, "secret/data/app/db", &json!({"a": "1"})).await;
    let jwt = stand.token().sign();
    let body = json!({"jwt": jwt, "role": "app"});
    let mut csi = Asking { stand: &stand, token: String::new() };
    for _ in 0..2 {
        let auth = auth(&stand, "POST", "auth/kubernetes/login", &body).await;
        csi.token = auth["client_token"].as_str().unwrap().to_owned();
        assert_eq!(enveloped(&csi.get("secret/data/app/db").await)["data"]["data"]["a"], "1");
        stand.advance(601);
        let over = csi.get("secret/data/app/db").await;
        assert_eq!((over.status, over.text.as_str()), (403, r#"{"errors":["permission denied"]}"#));
    }
}

/// vault-secrets-operator: were it told that a token is renewable, it would renew at once and fail if that fails.
#[tokio::test]
async fn the_secrets_operator_is_told_that_nothing_is_renewable() {
    let stand = counter().await;
    plant(&stand, NAMESPACE, "secret/data/app/db", &json!({"a": "1"})).await;
    let body = json!({"role": "app", "jwt": stand.token().sign()});
    let headers = [("x-vault-namespace", NAMESPACE)];
    let answer = send(&stand, "PUT", "auth/kubernetes/login", &headers, Some(&body)).await;
    let auth = enveloped(&answer)["auth"].clone();
    assert_eq!(auth["renewable"], false);
    let vso = Asking { stand: &stand, token: auth["client_token"].as_str().unwrap().to_owned() };
    assert_eq!(enveloped(&vso.get("auth/token/lookup-self").await)["data"]["renewable"], false);
    assert_eq!(enveloped(&vso.get("secret/data/app/db").await)["data"]["data"]["a"], "1");
    assert_eq!(vso.ask("PUT", "auth/token/revoke-self", Value::Null).await.status, 204);
    let revoked = vso.get("auth/token/lookup-self").await;
    assert_eq!(revoked.status, 403);
}

/// Terraform, with `skip_child_token`: tokens here have no children.
#[tokio::test]
async fn terraform_looks_its_token_up_and_asks_for_a_version() {
    let stand = counter().await;
    let terraform = logged_in(&stand).await;
    let about = enveloped(&terraform.get("auth/token/lookup-self").await)["data"].clone();
    assert!(about["policies"].is_array() && about["ttl"].is_u64(), "{about}");
    let health = terraform.get("sys/health").await;
    assert_eq!(health.status, 200);
    let version = health.json()["version"].as_str().unwrap().to_owned();
    assert!(version.split('.').count() == 3 && version.split('.').all(|part| part.parse::<u32>().is_ok()), "{version}");
    let child = json!({"ttl": "20m", "renewable": false});
    let refused = terraform.ask("PUT", "auth/token/create", child).await;
    assert_eq!((refused.status, refused.text.as_str()), (404, r#"{"errors":["unsupported path"]}"#));
}

/// Spring Vault: POST for everything that is not a read.
#[rstest]
#[case::kubernetes("auth/kubernetes/login")]
#[case::jwt("auth/jwt/login")]
#[tokio::test]
async fn spring_posts(#[case] path: &str) {
    let stand = counter().await;
    plant(&stand, NAMESPACE, "secret/data/app/db", &json!({"a": "1"})).await;
    let auth = auth(&stand, "POST", path, &json!({"role": "app", "jwt": stand.token().sign()})).await;
    let spring = Asking { stand: &stand, token: auth["client_token"].as_str().unwrap().to_owned() };
    for method in ["GET", "POST"] {
        let about = spring.ask(method, "auth/token/lookup-self", Value::Null).await;
        assert_eq!(enveloped(&about)["data"]["type"], "batch", "{method}");
    }
    assert_eq!(enveloped(&spring.get("sys/internal/ui/mounts/secret").await)["data"]["options"]["version"], "2");
    assert_eq!(enveloped(&spring.get("secret/data/app/db").await)["data"]["data"]["a"], "1");
    let renewed = spring.ask("POST", "auth/token/renew-self", json!({})).await;
    assert_eq!((renewed.status, renewed.text.as_str()), (400, r#"{"errors":["lease is not renewable"]}"#));
    assert_eq!(spring.ask("POST", "auth/token/revoke-self", json!({})).await.status, 204);
    assert_eq!(spring.get("secret/data/app/db").await.status, 403);
}

/// vault-action, and GitLab Runner's `secrets: vault:`: a failed login or a missing secret is the job's own fault.
#[rstest]
#[case::vault_action("POST")]
#[case::gitlab_runner("PUT")]
#[tokio::test]
async fn a_job_reads_a_field(#[case] method: &str) {
    let stand = counter().await;
    plant(&stand, NAMESPACE, "secret/data/app/db", &json!({"password": "p"})).await;
    plant(&stand, NAMESPACE, "kv1/app/one", &json!({"password": "q"})).await;
    let auth = auth(&stand, method, "auth/jwt/login", &json!({"role": "app", "jwt": stand.token().sign()})).await;
    let job = Asking { stand: &stand, token: auth["client_token"].as_str().unwrap().to_owned() };
    assert_eq!(enveloped(&job.get("secret/data/app/db").await)["data"]["data"]["password"], "p");
    let old = enveloped(&job.get("kv1/app/one").await);
    assert_eq!((&old["data"], &old["lease_duration"]), (&json!({"password": "q"}), &json!(2_764_800)));
    assert_eq!(job.get("secret/data/app/other").await.status, 404);
    let stranger = json!({"role": "app", "jwt": stand.token().claim("sub", "user-1").sign()});
    let refused = send(&stand, method, "auth/jwt/login", &[], Some(&stranger)).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.json()["errors"].is_array(), "{}", refused.text);
}

/// The operator's native `openbao` provider: it checks the mount, reads, lists from the mount's root; no lookup, no revoke.
#[tokio::test]
async fn the_native_provider_checks_the_mount() {
    let stand = counter().await;
    plant(&stand, NAMESPACE, "secret/data/app/db", &json!({"a": "1"})).await;
    plant(&stand, NAMESPACE, "secret/data/top", &json!({"a": "2"})).await;
    let admin = Asking { stand: &stand, token: login(&stand, "app-admin").await };
    for (mount, version) in [("secret", "2"), ("kv1", "1")] {
        let told = enveloped(&admin.get(&format!("sys/mounts/{mount}")).await)["data"].clone();
        assert_eq!((&told["type"], &told["options"]["version"]), (&json!("kv"), &json!(version)));
    }
    assert_eq!(admin.get("sys/mounts/kv").await.status, 403);
    let all = enveloped(&admin.get("secret/metadata?list=true").await);
    assert_eq!(all["data"]["keys"], json!(["app/", "top"]));
    assert_eq!(enveloped(&admin.get("secret/data/app/db").await)["data"]["data"]["a"], "1");
}

/// GitLab Runner's `gitlab_secrets_manager`: no login, no token; the field it wants is a text.
#[tokio::test]
async fn a_runner_brings_its_login_in_headers() {
    use base64::Engine as _;
    let stand = with_roles("pipeline_jwt", "all_pipelines", "pipelines/global").await;
    let parameter = |key: &str, value: &str| {
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json!({"key": key, "value": value}).to_string())
    };
    let (jwt, role) = (parameter("jwt", &gitlab_token(&stand, "pipeline")), parameter("role", "all_pipelines"));
    let path = format!("{PROJECT}/auth/pipeline_jwt/cel/login");
    let headers = [
        ("x-vault-inline-auth-path", path.as_str()),
        ("x-vault-inline-auth-parameter-1", jwt.as_str()),
        ("x-vault-inline-auth-parameter-2", role.as_str()),
    ];
    let value = json!({"data": {"value": "text"}});
    let written = send(&stand, "PUT", "secret/data/explicit/TOKEN", &headers, Some(&value)).await;
    assert_eq!(written.status, 200, "{}", written.text);
    let read = send(&stand, "GET", "secret/data/explicit/TOKEN", &headers, None).await;
    assert_eq!(enveloped(&read)["data"]["data"]["value"], "text");
    assert!(read.json()["auth"].is_null(), "the token is told to nobody");
    // What is missing is a configuration failure of the job's, never a fault of the infrastructure's.
    assert_eq!(send(&stand, "GET", "secret/data/explicit/OTHER", &headers, None).await.status, 404);
    let stranger = parameter("jwt", &gitlab_token(&stand, "api"));
    let headers = [headers[0], ("x-vault-inline-auth-parameter-1", stranger.as_str()), headers[2]];
    let refused = send(&stand, "GET", "secret/data/explicit/TOKEN", &headers, None).await;
    assert_eq!((refused.status, refused.header("x-vault-inline-auth-failed")), (400, "true"), "{}", refused.text);
}
