//! `vault_client_rs BASE NAMESPACE|- SUBJECT_TOKEN_FILE`: vault-client-rs as it is, through everything that a workload does
//! with it. Prints one line of JSON, the same members as the other clients of `tests/real/vault` (see
//! `README.md` there).

use std::collections::HashMap;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use vault_client_rs::{
    AuthInfo, K8sAuthOperations as _, Kv2Operations as _, KvMetadataParams, KvReadResponse, OidcAuthOperations as _,
    SecretString, TokenAuthOperations as _, VaultClient, VaultError,
};
use vault_rust_clients::{Arguments, Report};

type Texts = HashMap<String, String>;

fn client(arguments: &Arguments) -> VaultClient {
    let mut builder = VaultClient::builder().address(&arguments.base).cli_mode(true);
    if let Some(namespace) = &arguments.namespace {
        builder = builder.namespace(namespace);
    }
    builder.build().unwrap()
}

fn refused(error: VaultError) -> Value {
    let status = error.status_code();
    match error {
        VaultError::Api { errors, .. } => json!({"error": "Api", "status": status, "errors": errors}),
        VaultError::PermissionDenied { errors } => {
            json!({"error": "PermissionDenied", "status": status, "errors": errors})
        }
        // This client looks at nothing but the status.
        VaultError::NotFound { .. } => json!({"error": "NotFound", "status": status, "errors": []}),
        other => json!({"error": format!("{other:?}")}),
    }
}

fn tried<T: Into<Value>>(result: Result<T, VaultError>) -> Value {
    result.map_or_else(refused, Into::into)
}

fn policies(result: Result<AuthInfo, VaultError>) -> Value {
    tried(result.map(|auth| json!(auth.policies)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments = Arguments::read();
    let (jwt, bad) = (SecretString::from(arguments.jwt.clone()), SecretString::from(arguments.bad_jwt()));
    let mut said = Report::of("vault-client-rs");
    let vault = client(&arguments);
    let kv = vault.kv2("secret");
    said.say("wrong_role", policies(vault.auth().jwt().login_jwt("nobody", &jwt).await));
    said.say("bad_token", policies(vault.auth().jwt().login_jwt("app", &bad).await));
    said.say("without_token", tried(client(&arguments).kv2("secret").read_data::<Value>("app/db").await));

    // The client keeps the token of a login.
    let auth = vault.auth().jwt().login_jwt("app", &jwt).await.unwrap();
    vault.set_token(auth.client_token.clone()).unwrap();
    said.say(
        "login",
        json!({"policies": auth.policies, "lease_duration": auth.lease_duration, "renewable": auth.renewable,
               "token_type": auth.token_type, "accessor": auth.accessor, "metadata": auth.metadata}),
    );

    let db: KvReadResponse<Texts> = kv.read("app/db").await.unwrap();
    said.say(
        "read",
        json!({"data": db.data, "version": db.metadata.version, "custom_metadata": db.metadata.custom_metadata}),
    );
    said.say("read_first", json!(kv.read_version::<Texts>("app/db", 1).await.unwrap().data));
    said.say("read_field", kv.read_field("app/db", "user").await.unwrap());
    said.say("list", kv.list("app").await.unwrap());
    let metadata = kv.read_metadata("app/db").await.unwrap();
    let mut versions: Vec<_> = metadata.versions.keys().cloned().collect();
    versions.sort();
    said.say(
        "metadata",
        json!({"current_version": metadata.current_version, "oldest_version": metadata.oldest_version,
               "custom_metadata": metadata.custom_metadata, "cas_required": metadata.cas_required,
               "max_versions": metadata.max_versions, "delete_version_after": metadata.delete_version_after,
               "versions": versions}),
    );

    let own = "app/client-rs";
    let write = async |value: &str, cas: u64| {
        tried(kv.write_cas(own, &json!({"a": value}), cas).await.map(|metadata| metadata.version))
    };
    said.say("created", write("1", 0).await);
    said.say("cas_refused", write("0", 0).await);
    said.say("updated", write("2", 1).await);
    // A JSON merge patch (RFC 7396).
    said.say("patch_written", kv.patch(own, &json!({"b": "3"})).await.unwrap().version);
    said.say("patched", json!(kv.read_data::<Texts>(own).await.unwrap()));
    kv.delete(own).await.unwrap();
    said.say("read_deleted", tried(kv.read_data::<Value>(own).await));
    kv.undelete_versions(own, &[3]).await.unwrap();
    said.say("read_undeleted", json!(kv.read_data::<Texts>(own).await.unwrap()));
    kv.delete_versions(own, &[1]).await.unwrap();
    kv.destroy_versions(own, &[3]).await.unwrap();
    said.say("read_destroyed", tried(kv.read_data::<Value>(own).await));
    let custom_metadata = Some(HashMap::from([("owner".to_owned(), "shop".to_owned())]));
    let parameters = KvMetadataParams { custom_metadata, ..KvMetadataParams::default() };
    kv.write_metadata(own, &parameters).await.unwrap();
    said.say("read_described", json!(kv.read_metadata(own).await.unwrap().custom_metadata));
    kv.delete_metadata(own).await.unwrap();
    said.say("read_forgotten", tried(kv.read_data::<Value>(own).await));

    let kv1 = vault.kv1("kv1");
    kv1.write("app/one", &json!({"c": "4"})).await.unwrap();
    said.say("kv1_read", json!(kv1.read_data::<Texts>("app/one").await.unwrap()));
    said.say("kv1_list", kv1.list("app").await.unwrap());

    said.say("missing", tried(kv.read_data::<Value>("app/missing").await));
    said.say("missing_list", tried(kv.list("app/missing").await));
    said.say("denied", tried(kv.read_data::<Value>("closed/db").await));
    said.say("denied_list", tried(kv.list("closed").await));
    said.say("denied_metadata", tried(kv.read_metadata("closed/db").await.map(|metadata| metadata.current_version)));
    let fixed = kv.write("app/fixed", &json!({"a": "1"})).await;
    said.say("denied_write", tried(fixed.map(|metadata| metadata.version)));

    let about = vault.auth().token().lookup_self().await.unwrap();
    said.say(
        "lookup",
        json!({"type": about.token_type, "policies": about.policies, "creation_ttl": about.creation_ttl,
               "renewable": about.renewable, "num_uses": about.num_uses, "orphan": about.orphan,
               "ttl_is_number": about.ttl > 0,
               "is_this_token": about.id.expose_secret() == auth.client_token.expose_secret()}),
    );
    said.say("renewed", policies(vault.auth().token().renew_self(Some("30s")).await));
    said.say("revoked", tried(vault.auth().token().revoke_self().await.map(|()| 204)));
    // It forgets the token that it revoked: a client that did not is meant.
    vault.set_token(auth.client_token.clone()).unwrap();
    said.say("read_revoked", tried(kv.read_data::<Value>("app/db").await));

    said.say("kubernetes", policies(client(&arguments).auth().kubernetes().login("app", &jwt).await));
    let health = client(&arguments).sys().health().await.unwrap();
    said.say("health", json!({"initialized": health.initialized, "sealed": health.sealed, "standby": health.standby}));
    said.print();
}
