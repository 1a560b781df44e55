//! What External Secrets Operator asks, replayed over HTTP: its Vault provider step by step as its source has it (2.9.0,
//! `providers/v1/vault`), with the Go client's reading of answers (vault/api 1.20) and its assertions about their types.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;
mod vault;
mod vault_support;

use rstest::rstest;
use serde_json::{Map, Value, json};
use support::{Answer, Issuer, Stand};
use vault::{document, enveloped};
use vault_support::gitlab::{PROJECT, gitlab_token, with_roles};
use vault_support::{NAMESPACE, counter, plant, policy, prepare, send};

const MANAGED_BY: &str = "external-secrets";

/// A SecretStore, and the token that its provider holds between two steps.
struct Eso<'s> {
    stand: &'s Stand,
    /// `auth.jwt.path`, or `auth.kubernetes.mountPath`.
    auth: &'static str,
    role: &'static str,
    /// `path`; none where the store has none.
    mount: Option<&'static str>,
    namespace: Option<&'static str>,
    /// `headers` and what `readYourWrites` adds.
    headers: Vec<(&'static str, &'static str)>,
    token: Option<String>,
}

/// What the Go client makes of an answer.
#[derive(Debug, PartialEq)]
enum Go {
    /// `*Secret`.
    Secret(Value),
    /// `nil, nil`: nothing there.
    Nothing,
    /// `*ResponseError`.
    Error(u16, Vec<String>),
}

impl<'s> Eso<'s> {
    fn store(stand: &'s Stand) -> Self {
        let (auth, role, mount) = ("jwt", "app", Some("secret"));
        Self { stand, auth, role, mount, namespace: None, headers: vec![], token: None }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let mut headers = vec![("x-vault-request", "true")];
        headers.extend(self.token.as_deref().map(|token| ("x-vault-token", token)));
        headers.extend(self.namespace.map(|namespace| ("x-vault-namespace", namespace)));
        headers.extend(&self.headers);
        send(self.stand, method, path, &headers, body).await
    }

    /// Asks as the Go client does: 200 to 399 is success, and a 404 is an error only in its own way.
    async fn go(&self, method: &str, path: &str, body: Option<&Value>) -> Go {
        let answer = self.ask(method, path, body).await;
        match answer.status {
            204 => Go::Nothing,
            200..=399 => Go::Secret(enveloped(&answer)),
            404 if answer.text.is_empty() => Go::Nothing,
            404 => {
                let body = answer.json();
                let tells = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
                if tells("data") || tells("warnings") { Go::Secret(body) } else { Go::Nothing }
            }
            status => {
                let errors = answer.json()["errors"].as_array().expect("`errors`").clone();
                Go::Error(status, errors.iter().map(|error| error.as_str().unwrap().to_owned()).collect())
            }
        }
    }

    /// 1 and 1': `PUT auth/<path>/login`.
    async fn login(&mut self) -> Result<(), Go> {
        let jwt = self.stand.token().sign();
        self.login_with(&jwt).await
    }

    async fn login_with(&mut self, jwt: &str) -> Result<(), Go> {
        let body = json!({"role": self.role, "jwt": jwt});
        match self.go("PUT", &format!("auth/{}/login", self.auth), Some(&body)).await {
            Go::Secret(secret) => {
                self.token = Some(secret["auth"]["client_token"].as_str().expect("a token").to_owned());
                Ok(())
            }
            other => Err(other),
        }
    }

    /// `buildPath`, of version 2.
    fn data_path(&self, key: &str) -> String {
        match self.mount {
            Some(mount) => {
                let rest = key.strip_prefix(&format!("{mount}/"));
                let rest = rest.map_or(key, |rest| rest.strip_prefix("data/").unwrap_or(rest));
                format!("{mount}/data/{rest}")
            }
            None if key.contains("/data/") => key.to_owned(),
            None => {
                let (mount, rest) = key.split_once('/').unwrap();
                format!("{mount}/data/{rest}")
            }
        }
    }

    /// `buildMetadataPath`: the mount is not cut off.
    fn metadata_path(&self, key: &str) -> String {
        match self.mount {
            Some(mount) => format!("{mount}/metadata/{key}"),
            None => key.replacen("data", "metadata", 1),
        }
    }

    /// 2: the value, or that there is none.
    async fn read(&self, key: &str, version: Option<&str>) -> Result<Option<Value>, Go> {
        let query = version.map_or_else(String::new, |version| format!("?version={version}"));
        match self.go("GET", &format!("{}{query}", self.data_path(key)), None).await {
            Go::Nothing => Ok(None),
            Go::Secret(secret) => {
                let data = secret["data"].get("data").expect("failed to find data field");
                assert!(data.is_null() || data.is_object(), "{data}");
                Ok(Some(data.clone()).filter(|data| !data.is_null()))
            }
            error => Err(error),
        }
    }

    /// 3: `custom_metadata`; that there is none is an error here.
    async fn metadata(&self, key: &str) -> Result<Map<String, Value>, String> {
        match self.go("GET", &self.metadata_path(key), None).await {
            Go::Secret(secret) => Ok(secret["data"]["custom_metadata"].as_object().cloned().unwrap_or_default()),
            Go::Nothing => Err("secret not found".to_owned()),
            Go::Error(status, errors) => Err(format!("{status} {errors:?}")),
        }
    }

    /// 4: every name below a folder that ends in `/`.
    async fn list(&self, folder: &str) -> Vec<String> {
        let (mut waiting, mut found) = (vec![folder.to_owned()], vec![]);
        while let Some(folder) = waiting.pop() {
            let listed = match self.go("GET", &format!("{}?list=true", self.metadata_path(&folder)), None).await {
                Go::Secret(secret) => secret["data"]["keys"].as_array().expect("`keys`").clone(),
                Go::Nothing => continue,
                error => panic!("{error:?}"),
            };
            for key in listed {
                let path = format!("{folder}{}", key.as_str().expect("a text"));
                if path.ends_with('/') { waiting.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        found
    }

    /// 5: writes a secret that is its own.
    async fn push(&self, key: &str, data: &Value, checks: bool) -> Result<&'static str, String> {
        let there = self.read(key, None).await.map_err(|error| format!("{error:?}"))?;
        if there.is_some() && self.metadata(key).await?.get("managed-by") != Some(&json!(MANAGED_BY)) {
            return Err("secret not managed by external-secrets".to_owned());
        }
        if there.as_ref() == Some(data) {
            return Ok("equal");
        }
        let mut body = json!({"data": data});
        if checks {
            let current = match self.go("GET", &self.metadata_path(key), None).await {
                Go::Secret(secret) if there.is_some() => secret["data"]["current_version"].as_u64().unwrap(),
                _ => 0,
            };
            body["options"] = json!({"cas": current});
        }
        let described = json!({"custom_metadata": {"managed-by": MANAGED_BY}});
        for (path, body) in [(self.metadata_path(key), described), (self.data_path(key), body)] {
            if let Go::Error(status, errors) = self.go("PUT", &path, Some(&body)).await {
                return Err(format!("{path}: {status} {errors:?}"));
            }
        }
        Ok(if there.is_some() { "updated" } else { "created" })
    }

    /// 6: deletes a secret that is its own.
    async fn delete(&self, key: &str) -> Result<(), String> {
        if self.read(key, None).await.map_err(|error| format!("{error:?}"))?.is_none() {
            return Ok(());
        }
        if self.metadata(key).await?.get("managed-by") != Some(&json!(MANAGED_BY)) {
            return Ok(());
        }
        for path in [self.data_path(key), self.metadata_path(key)] {
            if let Go::Error(status, errors) = self.go("DELETE", &path, None).await {
                return Err(format!("{path}: {status} {errors:?}"));
            }
        }
        Ok(())
    }

    /// 7: `checkToken`. What is a panic there is one here.
    async fn is_valid(&self) -> bool {
        let Go::Secret(secret) = self.go("GET", "auth/token/lookup-self", None).await else {
            panic!("cannot look the token up")
        };
        let data = &secret["data"];
        let kind = data["type"].as_str().expect("`type` is a text");
        if kind == "batch" {
            return false;
        }
        let ttl = data["ttl"].as_number().expect("`ttl` is a number").as_i64().expect("an integer");
        let expires = data.get("expire_time").expect("`expire_time` is there");
        assert!(expires.is_null() || expires.is_string());
        ttl >= 60 || expires.is_null()
    }

    /// 7: `Close`; whether the token was revoked.
    async fn close(&self) -> bool {
        let valid = self.is_valid().await;
        if valid {
            assert_eq!(self.go("PUT", "auth/token/revoke-self", None).await, Go::Nothing);
        }
        valid
    }
}

/// A counter with three secrets of different depths.
async fn with_secrets() -> Stand {
    let stand = counter().await;
    for password in ["first", "second"] {
        plant(&stand, NAMESPACE, "secret/data/app/db", &json!({"password": password})).await;
    }
    for path in ["app/deep/one", "app/deep/er/two"] {
        plant(&stand, NAMESPACE, &format!("secret/data/{path}"), &json!({"path": path})).await;
    }
    stand
}

#[rstest]
#[case::jwt("jwt", None)]
#[case::kubernetes("kubernetes", None)]
#[case::with_a_namespace("jwt", Some(NAMESPACE))]
#[tokio::test]
async fn a_reconcile_logs_in_reads_and_closes(#[case] auth: &'static str, #[case] namespace: Option<&'static str>) {
    let stand = with_secrets().await;
    let mut eso = Eso { auth, namespace, ..Eso::store(&stand) };
    eso.headers =
        vec![("x-vault-inconsistent", "forward-active-node"), ("x-vault-index", "v1:abc"), ("x-team", "shop")];
    eso.login().await.unwrap();
    assert_eq!(eso.read("app/db", None).await, Ok(Some(json!({"password": "second"}))));
    assert_eq!(eso.read("app/db", Some("1")).await, Ok(Some(json!({"password": "first"}))));
    assert_eq!(eso.metadata("app/db").await, Ok(Map::new()));
    assert_eq!(eso.read("app/nothing", None).await, Ok(None));
    assert_eq!(eso.metadata("app/nothing").await, Err("secret not found".to_owned()));
    assert_eq!(eso.read("closed/db", None).await, Ok(None));
    // A stateless token says that it is one: nobody has to come back to revoke it.
    assert!(!eso.close().await);
}

#[tokio::test]
async fn the_answers_have_every_member_that_was_recorded() {
    let stand = with_secrets().await;
    let mut eso = Eso::store(&stand);
    let body = json!({"role": "app", "jwt": stand.token().sign()});
    let login = enveloped(&eso.ask("PUT", "auth/jwt/login", Some(&body)).await);
    let token = login["auth"]["client_token"].as_str().unwrap().to_owned();
    let auth = json!({
        "client_token": token, "accessor": "", "policies": ["app"], "token_policies": ["app"], "identity_policies": null,
        "metadata": {"role": "app"}, "lease_duration": 600, "renewable": false, "entity_id": "", "token_type": "batch",
        "orphan": true, "mfa_requirement": null, "num_uses": 0,
    });
    let envelope = |answer: &Value, data: Value, auth: Value| {
        json!({
            "request_id": answer["request_id"], "lease_id": "", "renewable": false, "lease_duration": 0, "data": data,
            "wrap_info": null, "warnings": null, "auth": auth,
        })
    };
    assert_eq!(login, envelope(&login, Value::Null, auth));
    assert_eq!(login["request_id"].as_str().map(str::len), Some(36));

    eso.token = Some(token.clone());
    let read = enveloped(&eso.ask("GET", "secret/data/app/db", None).await);
    let created = &read["data"]["metadata"]["created_time"];
    let metadata = json!({
        "created_time": created, "custom_metadata": null, "deletion_time": "", "destroyed": false, "version": 2,
    });
    assert_eq!(read, envelope(&read, json!({"data": {"password": "second"}, "metadata": metadata}), Value::Null));
    assert!(created.as_str().unwrap().contains('T') && created.as_str().unwrap().ends_with('Z'), "{created}");

    let metadata = enveloped(&eso.ask("GET", "secret/metadata/app/db", None).await);
    let said = metadata["data"].clone();
    let version = |number: &str| {
        let created = said["versions"][number]["created_time"].as_str().expect("a time");
        json!({"created_time": created, "deletion_time": "", "destroyed": false})
    };
    let expected = json!({
        "cas_required": false, "created_time": said["created_time"].as_str().unwrap(), "current_version": 2,
        "custom_metadata": null, "delete_version_after": "0s", "max_versions": 0, "oldest_version": 0,
        "updated_time": said["updated_time"].as_str().unwrap(),
        "versions": {"1": version("1"), "2": version("2")},
    });
    assert_eq!(metadata, envelope(&metadata, expected, Value::Null));

    let list = enveloped(&eso.ask("GET", "secret/metadata/app/?list=true", None).await);
    assert_eq!(list, envelope(&list, json!({"keys": ["db", "deep/"]}), Value::Null));

    let lookup = enveloped(&eso.ask("GET", "auth/token/lookup-self", None).await);
    let said = lookup["data"].clone();
    let now = stand.now().as_secs();
    let expected = json!({
        "accessor": "", "creation_time": now, "creation_ttl": 600, "display_name": "workloads:job-17", "entity_id": "",
        "expire_time": said["expire_time"].as_str().unwrap(), "explicit_max_ttl": 0, "id": token,
        "issue_time": said["issue_time"].as_str().unwrap(), "meta": {"role": "app", "subject": "workloads:job-17"},
        "namespace_path": "group_100/group_200/", "num_uses": 0, "orphan": true, "path": said["path"].as_str().unwrap(),
        "policies": ["app"], "renewable": false, "ttl": 600, "type": "batch",
    });
    assert_eq!(lookup, envelope(&lookup, expected, Value::Null));

    let revoked = eso.ask("PUT", "auth/token/revoke-self", None).await;
    assert_eq!((revoked.status, revoked.text.as_str()), (204, ""));
    assert_eq!(eso.go("GET", "secret/data/app/db", None).await, Go::Error(403, vec!["permission denied".to_owned()]));
}

#[tokio::test]
async fn a_revocable_token_is_revoked_at_the_end_unless_it_ends_anyway() {
    let stand = prepare(Issuer::start().await, "").await;
    policy(&stand, NAMESPACE, "app", "app", "revocable: true");
    let mut stand = stand;
    stand.start().await;
    stand.settled().await;
    let mut eso = Eso::store(&stand);
    eso.login().await.unwrap();
    assert!(eso.close().await);
    assert_eq!(
        eso.go("GET", "auth/token/lookup-self", None).await,
        Go::Error(403, vec!["permission denied".to_owned()]),
        "`cannot revoke` would be said"
    );
    // With less than a minute left nobody revokes it.
    eso.login().await.unwrap();
    stand.advance(541);
    assert!(!eso.close().await);
}

#[rstest]
#[case::plain(Some("secret"), "app/db")]
#[case::with_the_mount(Some("secret"), "secret/app/db")]
#[case::with_mount_and_data(Some("secret"), "secret/data/app/db")]
#[case::no_mount_in_the_store(None, "secret/app/db")]
#[case::no_mount_and_data(None, "secret/data/app/db")]
#[tokio::test]
async fn every_form_of_a_key_reads_the_same(#[case] mount: Option<&'static str>, #[case] key: &str) {
    let stand = with_secrets().await;
    let mut eso = Eso { mount, ..Eso::store(&stand) };
    eso.login().await.unwrap();
    assert_eq!(eso.data_path(key), "secret/data/app/db");
    assert_eq!(eso.read(key, None).await, Ok(Some(json!({"password": "second"}))));
}

#[tokio::test]
async fn names_are_found_through_folders() {
    let stand = with_secrets().await;
    let mut eso = Eso::store(&stand);
    eso.login().await.unwrap();
    assert_eq!(eso.list("app/").await, ["app/db", "app/deep/er/two", "app/deep/one"]);
    assert_eq!(eso.list("nothing/").await, [""; 0]);
    assert_eq!(eso.list("closed/").await, [""; 0]);
    for path in eso.list("app/deep/").await {
        assert_eq!(eso.read(&path, None).await, Ok(Some(json!({"path": path}))));
    }
}

#[rstest]
#[tokio::test]
async fn a_pushed_secret_is_created_updated_left_alone_and_deleted(#[values(false, true)] checks: bool) {
    let stand = with_secrets().await;
    let mut eso = Eso::store(&stand);
    eso.login().await.unwrap();
    let (first, second) = (json!({"user": "shop", "password": "one"}), json!({"user": "shop", "password": "two"}));
    // Its metadata is written first: then there is a secret without a version, and the check for a new one still holds.
    assert_eq!(eso.push("app/pushed", &first, checks).await, Ok("created"));
    assert_eq!(eso.metadata("app/pushed").await.unwrap()["managed-by"], MANAGED_BY);
    assert_eq!(eso.push("app/pushed", &first, checks).await, Ok("equal"));
    assert_eq!(eso.push("app/pushed", &second, checks).await, Ok("updated"));
    assert_eq!(eso.read("app/pushed", None).await, Ok(Some(second.clone())));
    assert_eq!(eso.read("app/pushed", Some("1")).await, Ok(Some(first.clone())));
    assert_eq!(eso.delete("app/pushed").await, Ok(()));
    assert_eq!(eso.read("app/pushed", None).await, Ok(None));
    assert_eq!(eso.metadata("app/pushed").await, Err("secret not found".to_owned()));
    assert_eq!(eso.push("app/pushed", &first, checks).await, Ok("created"), "and made anew");

    // What somebody else wrote is not its to change.
    let refused = Err("secret not managed by external-secrets".to_owned());
    assert_eq!(eso.push("app/db", &first, checks).await, refused);
    assert_eq!(eso.delete("app/db").await, Ok(()));
    assert_eq!(eso.read("app/db", None).await, Ok(Some(json!({"password": "second"}))));
}

#[tokio::test]
async fn a_secret_without_a_version_is_described_and_not_read() {
    let stand = with_secrets().await;
    let mut eso = Eso::store(&stand);
    eso.login().await.unwrap();
    let described = json!({"custom_metadata": {"managed-by": MANAGED_BY}});
    assert_eq!(eso.go("PUT", "secret/metadata/app/new", Some(&described)).await, Go::Nothing);
    let Go::Secret(metadata) = eso.go("GET", "secret/metadata/app/new", None).await else { panic!("no metadata") };
    assert_eq!((&metadata["data"]["current_version"], &metadata["data"]["versions"]), (&json!(0), &json!({})));
    assert_eq!(eso.read("app/new", None).await, Ok(None));
}

/// OpenChoreo's keys begin with the mount, which is cut off for the value and not for what describes it.
#[tokio::test]
async fn a_key_with_the_mount_has_its_metadata_elsewhere() {
    let mut stand = prepare(Issuer::start().await, "").await;
    let writer = |paths: &[&str]| {
        paths
            .iter()
            .map(|path| {
                format!("path \"{path}\" {{ capabilities = [\"create\", \"read\", \"update\", \"delete\"] }}\n")
            })
            .collect::<String>()
    };
    let (data, metadata) = ("secret/data/ns-a/*", "secret/metadata/secret/ns-a/*");
    policy(&stand, NAMESPACE, "both", "both", "");
    policy(&stand, NAMESPACE, "half", "half", "");
    document(&stand, NAMESPACE, "both", &writer(&[data, metadata]));
    document(&stand, NAMESPACE, "half", &writer(&[data, "secret/metadata/ns-a/*"]));
    stand.start().await;
    stand.settled().await;
    let key = "secret/ns-a/generic/db";
    let (first, second) = (json!({"a": "1"}), json!({"a": "2"}));

    let mut half = Eso { role: "half", ..Eso::store(&stand) };
    half.login().await.unwrap();
    assert_eq!(
        half.push(key, &first, false).await,
        Err(r#"secret/metadata/secret/ns-a/generic/db: 403 ["permission denied"]"#.to_owned())
    );
    assert_eq!(half.read(key, None).await, Ok(None), "metadata is written before the value");

    let mut both = Eso { role: "both", ..Eso::store(&stand) };
    both.login().await.unwrap();
    assert_eq!(both.data_path(key), "secret/data/ns-a/generic/db");
    assert_eq!(both.push(key, &first, false).await, Ok("created"));
    assert_eq!(both.push(key, &second, false).await, Ok("updated"));
    assert_eq!(both.read(key, None).await, Ok(Some(second)));
    assert_eq!(both.delete(key).await, Ok(()));
    assert_eq!(both.read(key, None).await, Ok(None));
}

#[rstest]
#[case::no_such_role("nobody", "the role is not available")]
#[case::no_role_and_no_default("", "the role is not available")]
#[tokio::test]
async fn a_refused_login_is_a_bad_request(#[case] role: &'static str, #[case] error: &str) {
    let stand = counter().await;
    let mut eso = Eso { role, ..Eso::store(&stand) };
    let Err(Go::Error(400, errors)) = eso.login().await else { panic!("no bad request") };
    assert!(errors.len() == 1 && errors[0].starts_with(error), "{errors:?}");
}

#[tokio::test]
async fn a_login_without_a_role_falls_to_the_mounts_default() {
    let logins = "vault: {logins: [{mount: jwt}, {mount: eso, default_role: app}]}";
    let mut stand = prepare(Issuer::start().await, logins).await;
    stand.start().await;
    stand.settled().await;
    let mut eso = Eso { auth: "eso", role: "", ..Eso::store(&stand) };
    eso.login().await.unwrap();
    assert_eq!(eso.read("app/nothing", None).await, Ok(None));
}

/// GitLab documents `auth.jwt.path: api_jwt/cel`: the operator needs no change for OpenBao's CEL logins.
#[rstest]
#[case::in_a_header("api_jwt/cel", Some(PROJECT), "auth/api_jwt/cel/login")]
#[case::in_the_path("api_jwt/cel", None, "group_100/project_300/auth/api_jwt/cel/login")]
#[tokio::test]
async fn a_login_reaches_a_role_document(
    #[case] auth: &'static str,
    #[case] namespace: Option<&'static str>,
    #[case] path: &str,
) {
    let stand = with_roles("api_jwt", "all_api", "api/users/roles/20").await;
    let mut eso = Eso { auth, role: "all_api", namespace, ..Eso::store(&stand) };
    if namespace.is_some() {
        eso.login_with(&gitlab_token(&stand, "api")).await.unwrap();
    } else {
        let body = json!({"role": "all_api", "jwt": gitlab_token(&stand, "api")});
        let Go::Secret(secret) = eso.go("PUT", path, Some(&body)).await else { panic!("no login") };
        assert!(secret["auth"]["policies"].as_array().unwrap().contains(&json!("api/users/roles/20")));
        eso.token = secret["auth"]["client_token"].as_str().map(str::to_owned);
    }
    assert_eq!(eso.push("explicit/token", &json!({"value": "v"}), true).await, Ok("created"));
    assert_eq!(eso.read("explicit/token", None).await, Ok(Some(json!({"value": "v"}))));
    let denied = eso.login_with(&gitlab_token(&stand, "pipeline")).await;
    assert!(matches!(denied, Err(Go::Error(400, _))), "{denied:?}");
}
