//! Clients of Vault as they are: hvac, node-vault, vaultrs and vault-client-rs, unmodified, do what a workload does with
//! its secrets. Each says what it got and which of its own errors it saw; every member of that is compared.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;
mod vault;
mod vault_support;

use rstest::rstest;
use serde_json::{Value, json};
use support::Stand;
use support::real_part::installed;
use vault_support::{NAMESPACE, client, counter, login, plant, send};

/// A client of `tests/real/vault`: its program, and how it names its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Hvac,
    NodeVault,
    Vaultrs,
    VaultClientRs,
}

use Client::{Hvac, NodeVault, VaultClientRs, Vaultrs};

impl Client {
    /// Its program, and the real part that has it.
    fn program(self) -> (&'static str, &'static str) {
        match self {
            Hvac => ("hvac_client.py", "python"),
            NodeVault => ("node_vault_client.mjs", "node"),
            Vaultrs => ("vaultrs_client", "rust"),
            VaultClientRs => ("vault_client_rs", "rust"),
        }
    }

    /// What it makes of a refusal.
    fn refused(self, status: u16, errors: &[&str]) -> Value {
        let class = |classes: [&'static str; 3]| match status {
            400 => classes[0],
            403 => classes[1],
            _ => classes[2],
        };
        match self {
            Hvac => json!({"error": class(["InvalidRequest", "Forbidden", "InvalidPath"]), "errors": errors}),
            NodeVault => json!({"error": "ApiResponseError", "status": status, "errors": errors}),
            Vaultrs => json!({"error": "APIError", "status": status, "errors": errors}),
            VaultClientRs => {
                json!({"error": class(["Api", "PermissionDenied", "NotFound"]), "status": status, "errors": errors})
            }
        }
    }

    /// What it makes of a version that was deleted: 404, and what is known of it instead of `errors`.
    fn gone(self) -> Value {
        match self {
            Hvac => json!({"error": "InvalidPath", "errors": null}),
            NodeVault => json!({"error": "ApiResponseError", "status": 404, "errors": null}),
            Vaultrs => json!({"error": "RestClientError", "status": 404}),
            VaultClientRs => self.refused(404, &[]),
        }
    }

    /// What only this client can do, and what only it leaves out.
    fn own(self, said: &mut Value) {
        let members = said.as_object_mut().unwrap();
        match self {
            Hvac => {
                let revoked = self.refused(403, &["permission denied"]);
                let unwrapped_again = self.refused(400, &["wrapping token is not valid or does not exist"]);
                let more = json!({
                    "authenticated": true, "authenticated_revoked": false, "lookup_by_token": "batch",
                    "deleted": 204, "undeleted": 204, "deleted_versions": 204, "destroyed": 204, "described": 204,
                    "forgotten": 204, "left_of_deleted": {"data": null, "version": 3, "deleted": true},
                    "service": {
                        "token_type": "service", "has_accessor": true, "revoked": 204, "lookup_revoked": revoked,
                        "by_accessor": {"type": "service", "id": "", "accessor": true},
                    },
                    "wrapped": {"auth": null, "data": null, "ttl": 60, "path": "auth/jwt/login"},
                    "unwrapped": ["app"], "unwrapped_token_reads": {"user": "shop", "password": "second"},
                    "unwrapped_again": unwrapped_again,
                });
                members.extend(more.as_object().unwrap().clone());
                members.remove("patch_written");
            }
            NodeVault => {
                let health = json!({"initialized": true, "sealed": false, "standby": false});
                members.insert("health".to_owned(), health);
                // Without a mount point it asks for `auth//login`.
                let nowhere = self.refused(404, &["unsupported path"]);
                members.insert("kubernetes_without_mount".to_owned(), nowhere);
            }
            Vaultrs => {
                members["lookup"].as_object_mut().unwrap().remove("type");
                members.remove("patch_written");
                members.remove("patched");
                members.insert("written".to_owned(), json!(3));
            }
            VaultClientRs => {
                let health = json!({"initialized": true, "sealed": false, "standby": false});
                members.insert("health".to_owned(), health);
                members.insert("read_field".to_owned(), json!("shop"));
                // To this client a folder that is not there is an empty one.
                members.extend([("missing_list".to_owned(), json!([])), ("denied_list".to_owned(), json!([]))]);
            }
        }
    }

    fn expected(self) -> Value {
        let denied = self.refused(403, &["permission denied"]);
        let missing = self.refused(404, &[]);
        let name = match self {
            Hvac => "hvac",
            NodeVault => "node-vault",
            Vaultrs => "vaultrs",
            VaultClientRs => "vault-client-rs",
        };
        let mut said = json!({
            "client": name,
            "wrong_role": self.refused(400, &["the role is not available; decision ID"]),
            "bad_token": self.refused(400, &["the token is not acceptable; decision ID"]),
            "without_token": denied,
            "login": {
                "policies": ["app"], "lease_duration": 600, "renewable": false, "token_type": "batch", "accessor": "",
                "metadata": {"role": "app"},
            },
            "read": {
                "data": {"user": "shop", "password": "second"}, "version": 2, "custom_metadata": {"owner": "payments"},
            },
            "read_first": {"user": "shop", "password": "first"},
            "list": ["db", "deep/", "fixed"],
            "metadata": {
                "current_version": 2, "oldest_version": 0, "custom_metadata": {"owner": "payments"},
                "cas_required": false, "max_versions": 0, "delete_version_after": "0s", "versions": ["1", "2"],
            },
            "created": 1,
            "cas_refused": self.refused(400, &["check-and-set parameter did not match the current version"]),
            "updated": 2,
            "patch_written": 3,
            "patched": {"a": "2", "b": "3"},
            "read_deleted": self.gone(),
            "read_undeleted": {"a": "2", "b": "3"},
            "read_destroyed": self.gone(),
            "read_described": {"owner": "shop"},
            "read_forgotten": missing,
            "kv1_read": {"c": "4"},
            "kv1_list": ["one"],
            "missing": missing,
            "missing_list": missing,
            "denied": missing,
            "denied_list": missing,
            "denied_metadata": missing,
            "denied_write": denied,
            "lookup": {
                "type": "batch", "policies": ["app"], "creation_ttl": 600, "renewable": false, "num_uses": 0,
                "orphan": true, "ttl_is_number": true, "is_this_token": true,
            },
            "renewed": self.refused(400, &["lease is not renewable"]),
            "revoked": 204,
            "read_revoked": denied,
            "kubernetes": ["app"],
        });
        self.own(&mut said);
        said
    }
}

/// A counter with the secrets that every client finds.
async fn with_secrets() -> Stand {
    let stand = counter().await;
    for password in ["first", "second"] {
        plant(&stand, NAMESPACE, "secret/data/app/db", &json!({"user": "shop", "password": password})).await;
    }
    for path in ["app/deep/nested", "app/fixed", "closed/db"] {
        plant(&stand, NAMESPACE, &format!("secret/data/{path}"), &json!({"a": "0"})).await;
    }
    let token = login(&stand, "app").await;
    let owner = json!({"custom_metadata": {"owner": "payments"}});
    let described = send(&stand, "PUT", "secret/metadata/app/db", &[("x-vault-token", &token)], Some(&owner)).await;
    assert_eq!(described.status, 204, "{}", described.text);
    stand
}

/// A refused login names its decision, which is never the same.
fn without_decisions(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((before, decision)) = text.split_once("; decision ") {
                assert_eq!(decision.len(), 36, "{text}");
                *text = format!("{before}; decision ID");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_decisions),
        Value::Object(members) => members.values_mut().for_each(without_decisions),
        _ => {}
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_does_what_workloads_do(
    #[values(Hvac, NodeVault, Vaultrs, VaultClientRs)] used: Client,
    #[values("-", NAMESPACE)] namespace: &str,
) {
    let (program, part) = used.program();
    if !installed(part) {
        return;
    }
    let stand = with_secrets().await;
    let mut said = client(program, &stand, namespace).unwrap();
    without_decisions(&mut said);
    let expected = used.expected();
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&said[name], value, "{used:?}: {name}");
    }
    assert_eq!(said, expected, "{used:?} said more");

    // None of it was a fault of the counter's, and whatever was refused left a record that says why.
    let records = stand.records();
    assert!(records.iter().all(|record| record.outcome != "failed"), "{records:?}");
    for reason in ["secret_missing", "acl_denied", "secret_changed", "token_not_good"] {
        assert!(records.iter().any(|record| record.reason.as_deref() == Some(reason)), "no {reason}: {records:?}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_names_another_namespace_gets_nothing(
    #[values(Hvac, NodeVault, Vaultrs, VaultClientRs)] used: Client,
) {
    let (program, part) = used.program();
    if !installed(part) {
        return;
    }
    let stand = with_secrets().await;
    // The role is of another namespace: there is no such login there, and the client stops where it begins.
    let stopped = client(program, &stand, "group_100/group_300");
    assert!(stopped.is_err(), "{used:?}: {stopped:?}");
    let records = stand.records();
    assert!(records.iter().any(|record| record.reason.as_deref() == Some("target_unknown")), "{records:?}");
    assert!(records.iter().all(|record| record.operation.as_deref() != Some("read") || record.outcome != "served"));
}
