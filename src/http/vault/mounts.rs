//! What clients ask about mounts before they read: `sys/internal/ui/mounts`, `sys/mounts` (OpenBao API).

use serde_json::{Map, Value, json};

use super::Vault;
use super::envelope::Refusal;
use super::sys::standing;
use crate::exchange::Bearer;
use crate::identity::Namespace;
use crate::secrets::acl::Acl;
use crate::secrets::{KvVersion, Mount, Reach, Store};

/// The mount that `path` lies in, for who may see something there. Elsewhere and forbidden are told alike.
pub(super) async fn one(vault: &Vault, token: &Bearer, path: &str) -> Result<Value, Refusal> {
    let path = own_path(token.namespace(), path);
    let found = vault.counter.mounts().find(token.namespace(), path);
    let (rules, standing) = (vault.counter.rules(), standing(vault, token).await?);
    let acl = standing.acl(&rules);
    match found.filter(|(mount, _)| visible(vault, &acl, mount)) {
        Some((mount, _)) => Ok(described(mount, true)),
        None => {
            let text = "preflight capability check returned 403, please ensure client's policies grant access to path";
            // Quoted as it came, up to a length: clients show it to whoever typed it.
            let path: String = path.chars().filter(|c| !c.is_control()).take(128).collect();
            Err(Refusal { errors: vec![format!("{text} \"{path}/\"")], ..Refusal::denied() })
        }
    }
}

/// All mounts that the token can see something in, by their paths.
pub(super) async fn all(vault: &Vault, token: &Bearer) -> Result<Map<String, Value>, Refusal> {
    let namespace = token.namespace();
    let (rules, standing) = (vault.counter.rules(), standing(vault, token).await?);
    let acl = standing.acl(&rules);
    let here = |mount: &&Mount| match &mount.reach {
        Reach::Every => true,
        Reach::Only(only) => only.as_ref() == namespace,
    };
    let seen = vault.counter.mounts().iter().filter(here).filter(|mount| visible(vault, &acl, mount));
    Ok(seen.map(|mount| (format!("{}/", mount.path), described(mount, false))).collect())
}

/// What an OpenBao holds, its own documents protect.
fn visible(vault: &Vault, acl: &Acl<'_>, mount: &Mount) -> bool {
    if let Store::OpenBao(_) = mount.store {
        return true;
    }
    acl.sees_any_below(&format!("{}/", mount.path), vault.counter.clock().now())
}

fn own_path<'p>(namespace: Option<&Namespace>, path: &'p str) -> &'p str {
    let own = namespace.and_then(|own| path.strip_prefix(own.as_str())).and_then(|rest| rest.strip_prefix('/'));
    own.unwrap_or(path).trim_matches('/')
}

fn described(mount: &Mount, with_path: bool) -> Value {
    let version = match mount.version {
        KvVersion::V1 => "1",
        KvVersion::V2 => "2",
    };
    let mut told = json!({
        "accessor": format!("kv_{}", mount.path.as_str().replace('/', "_")),
        "config": {"default_lease_ttl": 0, "force_no_cache": false, "max_lease_ttl": 0},
        "description": "",
        "external_entropy_access": false,
        "local": false,
        "options": {"version": version},
        "plugin_version": "",
        "running_plugin_version": "",
        "running_sha256": "",
        "seal_wrap": false,
        "type": "kv",
        "uuid": "",
    });
    if let (true, Some(members)) = (with_path, told.as_object_mut()) {
        members.insert("path".to_owned(), Value::from(format!("{}/", mount.path)));
    }
    told
}
