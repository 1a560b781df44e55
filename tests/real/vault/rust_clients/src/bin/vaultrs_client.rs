//! `vaultrs_client BASE NAMESPACE|- SUBJECT_TOKEN_FILE`: vaultrs as it is, through everything that a workload does with it.
//! Prints one line of JSON, the same members as the other clients of `tests/real/vault` (see `README.md` there).

use std::collections::HashMap;

use serde_json::{Value, json};
use vault_rust_clients::{Arguments, Report};
use vaultrs::api::kv2::requests::{SetSecretMetadataRequest, SetSecretRequestOptions};
use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};
use vaultrs::error::ClientError;
use vaultrs::{kv1, kv2, token};

type Texts = HashMap<String, String>;

fn client(arguments: &Arguments, token: &str) -> VaultClient {
    let mut settings = VaultClientSettingsBuilder::default();
    settings.address(&arguments.base).token(token);
    if let Some(namespace) = &arguments.namespace {
        settings.set_namespace(namespace.clone());
    }
    VaultClient::new(settings.build().unwrap()).unwrap()
}

fn refused(error: ClientError) -> Value {
    match error {
        ClientError::APIError { code, errors } => json!({"error": "APIError", "status": code, "errors": errors}),
        // An answer that is no error in Vault's words.
        ClientError::RestClientError { source: rustify::errors::ClientError::ServerResponseError { code, .. } } => {
            json!({"error": "RestClientError", "status": code})
        }
        other => json!({"error": format!("{other:?}")}),
    }
}

fn tried<T: Into<Value>>(result: Result<T, ClientError>) -> Value {
    result.map_or_else(refused, Into::into)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments = Arguments::read();
    let mut said = Report::of("vaultrs");
    let nobody = client(&arguments, "");
    let login =
        async |role: &str, jwt: &str| vaultrs::auth::oidc::login(&nobody, "jwt", jwt, Some(role.to_owned())).await;
    let policies = |result: Result<vaultrs::api::AuthInfo, ClientError>| tried(result.map(|auth| json!(auth.policies)));
    said.say("wrong_role", policies(login("nobody", &arguments.jwt).await));
    said.say("bad_token", policies(login("app", &arguments.bad_jwt()).await));
    said.say("without_token", tried(kv2::read::<Value>(&nobody, "secret", "app/db").await));

    let auth = login("app", &arguments.jwt).await.unwrap();
    said.say(
        "login",
        json!({"policies": auth.policies, "lease_duration": auth.lease_duration, "renewable": auth.renewable,
               "token_type": auth.token_type, "accessor": auth.accessor, "metadata": auth.metadata}),
    );
    let vault = client(&arguments, &auth.client_token);

    let metadata = kv2::read_metadata(&vault, "secret", "app/db").await.unwrap();
    let data = kv2::read::<Texts>(&vault, "secret", "app/db").await.unwrap();
    said.say(
        "read",
        json!({"data": data, "version": metadata.current_version, "custom_metadata": metadata.custom_metadata}),
    );
    said.say("read_first", json!(kv2::read_version::<Texts>(&vault, "secret", "app/db", 1).await.unwrap()));
    said.say("list", kv2::list(&vault, "secret", "app").await.unwrap());
    let mut versions: Vec<_> = metadata.versions.keys().cloned().collect();
    versions.sort();
    said.say(
        "metadata",
        json!({"current_version": metadata.current_version, "oldest_version": metadata.oldest_version,
               "custom_metadata": metadata.custom_metadata, "cas_required": metadata.cas_required,
               "max_versions": metadata.max_versions, "delete_version_after": metadata.delete_version_after,
               "versions": versions}),
    );

    let own = "app/vaultrs";
    let write = async |value: &str, cas: u32| {
        let options = SetSecretRequestOptions { cas };
        let written = kv2::set_with_options(&vault, "secret", own, &HashMap::from([("a", value)]), options).await;
        tried(written.map(|metadata| metadata.version))
    };
    said.say("created", write("1", 0).await);
    said.say("cas_refused", write("0", 0).await);
    said.say("updated", write("2", 1).await);
    let written = kv2::set(&vault, "secret", own, &HashMap::from([("a", "2"), ("b", "3")])).await;
    said.say("written", written.unwrap().version);
    kv2::delete_latest(&vault, "secret", own).await.unwrap();
    said.say("read_deleted", tried(kv2::read::<Value>(&vault, "secret", own).await));
    kv2::undelete_versions(&vault, "secret", own, vec![3]).await.unwrap();
    said.say("read_undeleted", json!(kv2::read::<Texts>(&vault, "secret", own).await.unwrap()));
    kv2::delete_versions(&vault, "secret", own, vec![1]).await.unwrap();
    kv2::destroy_versions(&vault, "secret", own, vec![3]).await.unwrap();
    said.say("read_destroyed", tried(kv2::read::<Value>(&vault, "secret", own).await));
    let mut described = SetSecretMetadataRequest::builder();
    described.custom_metadata(HashMap::from([("owner".to_owned(), "shop".to_owned())]));
    kv2::set_metadata(&vault, "secret", own, Some(&mut described)).await.unwrap();
    let described = kv2::read_metadata(&vault, "secret", own).await.unwrap();
    said.say("read_described", json!(described.custom_metadata));
    kv2::delete_metadata(&vault, "secret", own).await.unwrap();
    said.say("read_forgotten", tried(kv2::read::<Value>(&vault, "secret", own).await));

    kv1::set(&vault, "kv1", "app/one", &HashMap::from([("c", "4")])).await.unwrap();
    said.say("kv1_read", json!(kv1::get::<Texts>(&vault, "kv1", "app/one").await.unwrap()));
    said.say("kv1_list", json!(kv1::list(&vault, "kv1", "app").await.unwrap().data.keys));

    said.say("missing", tried(kv2::read::<Value>(&vault, "secret", "app/missing").await));
    said.say("missing_list", tried(kv2::list(&vault, "secret", "app/missing").await));
    said.say("denied", tried(kv2::read::<Value>(&vault, "secret", "closed/db").await));
    said.say("denied_list", tried(kv2::list(&vault, "secret", "closed").await));
    let closed = kv2::read_metadata(&vault, "secret", "closed/db").await;
    said.say("denied_metadata", tried(closed.map(|metadata| metadata.current_version)));
    let fixed = kv2::set(&vault, "secret", "app/fixed", &HashMap::from([("a", "1")])).await;
    said.say("denied_write", tried(fixed.map(|metadata| metadata.version)));

    let about = token::lookup_self(&vault).await.unwrap();
    said.say(
        "lookup",
        json!({"policies": about.policies, "creation_ttl": about.creation_ttl, "renewable": about.renewable,
               "num_uses": about.num_uses, "orphan": about.orphan, "ttl_is_number": about.ttl > 0,
               "is_this_token": about.id == auth.client_token}),
    );
    said.say("renewed", policies(token::renew_self(&vault, Some("30s")).await));
    said.say("revoked", tried(token::revoke_self(&vault).await.map(|()| 204)));
    said.say("read_revoked", tried(kv2::read::<Value>(&vault, "secret", "app/db").await));

    let kubernetes = vaultrs::auth::kubernetes::login(&nobody, "kubernetes", "app", &arguments.jwt).await;
    said.say("kubernetes", policies(kubernetes));
    said.print();
}
