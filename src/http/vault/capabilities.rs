//! `sys/capabilities-self` (OpenBao API): what the token may do at some paths.

use serde_json::{Map, Value, json};

use super::Vault;
use super::bodies::Members;
use super::envelope::Refusal;
use super::sys::standing;
use crate::exchange::Bearer;

/// The most paths that are asked about at once.
const MAX_PATHS: usize = 256;

pub(super) async fn of(vault: &Vault, token: &Bearer, mut members: Members) -> Result<Value, Refusal> {
    let mut paths = members.texts("paths")?;
    paths.extend(members.text("path")?);
    if paths.is_empty() || paths.len() > MAX_PATHS {
        return Err(Refusal::bad_request("`paths` names 1 to 256 paths"));
    }
    let (rules, standing) = (vault.counter.rules(), standing(vault, token).await?);
    let acl = standing.acl(&rules);
    let now = vault.counter.clock().now();
    let mut told = Map::new();
    for path in &paths {
        let names: Vec<String> =
            acl.capabilities(path.trim_start_matches('/'), now).iter().map(ToString::to_string).collect();
        told.insert(path.clone(), json!(names));
    }
    if let [path] = paths.as_slice()
        && let Some(names) = told.get(path).cloned()
    {
        told.insert("capabilities".to_owned(), names);
    }
    Ok(Value::Object(told))
}
