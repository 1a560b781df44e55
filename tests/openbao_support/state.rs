//! What the server of recorded shapes keeps: namespaces, mounts, roles, policies, tokens, values.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use cambio::clock::{Clock, Timestamp};
use cambio::identity::IssuerName;
use cambio::policy::{Catalog, PolicySet};
use serde_json::{Map, Value, json};

use super::recorded::{Heard, OPERATOR};

const OF_ACCOUNTS: &str = "service-accounts/";
const RENAMED: &str = "renamed-service-accounts/";

#[derive(Default)]
pub struct State {
    namespaces: BTreeSet<String>,
    /// By namespace and path: documents as they were posted, and lists of mounts.
    documents: BTreeMap<(String, String), Value>,
    /// The keys of a mount, by namespace and path of its configuration.
    keys: BTreeMap<(String, String), Value>,
    tokens: BTreeMap<String, Token>,
    /// By namespace and path: versions; null where one is deleted.
    values: BTreeMap<(String, String), Vec<Value>>,
    serial: u64,
}

struct Token {
    namespace: String,
    policies: Vec<String>,
    expires: Timestamp,
}

type Answer = (u16, Value);

fn error(status: u16, text: &str) -> Answer {
    (status, json!({"errors": [text]}))
}

fn nothing() -> Answer {
    (404, json!({"errors": []}))
}

fn data(data: Value) -> Value {
    json!({"request_id": "0f0e", "lease_id": "", "renewable": false, "lease_duration": 0, "data": data, "wrap_info": null,
        "warnings": null, "auth": null})
}

impl State {
    pub fn configure(&mut self, heard: &Heard, keys: Value) -> Answer {
        let mount = heard.path.trim_end_matches("/config").trim_start_matches("auth/");
        if heard.token != OPERATOR {
            return error(403, "permission denied");
        }
        if !self.is_mounted(&heard.namespace, "sys/auth", mount) {
            return error(404, &format!("no handler for route \"{}\". route entry not found.", heard.path));
        }
        let place = (heard.namespace.clone(), heard.path.clone());
        self.keys.insert(place.clone(), keys);
        self.documents.insert(place, heard.body.clone());
        (204, Value::Null)
    }

    pub fn answer(&mut self, heard: &Heard) -> Answer {
        if !heard.namespace.is_empty() && !self.namespaces.contains(&heard.namespace) {
            return nothing();
        }
        if let Some(mount) = heard.path.strip_suffix("/cel/login").and_then(|path| path.strip_prefix("auth/")) {
            return self.login(heard, mount);
        }
        if heard.path == "auth/token/revoke-self" && self.tokens.remove(&heard.token).is_some() {
            return (204, Value::Null);
        }
        if heard.token == OPERATOR {
            return if heard.path.starts_with("sys/") || heard.path.starts_with("auth/") {
                self.operate(heard)
            } else {
                self.value(heard)
            };
        }
        if !self.allows(heard) {
            return error(403, "1 error occurred:\n\t* permission denied\n\n");
        }
        self.value(heard)
    }

    fn is_mounted(&self, namespace: &str, list: &str, mount: &str) -> bool {
        let list = self.documents.get(&(namespace.to_owned(), list.to_owned()));
        list.is_some_and(|list| list.get(format!("{mount}/")).is_some())
    }

    /// What an operator may do.
    fn operate(&mut self, heard: &Heard) -> Answer {
        let place = (heard.namespace.clone(), heard.path.clone());
        let list = ["sys/auth", "sys/mounts"].into_iter().find(|list| heard.path.starts_with(list));
        match (heard.method.as_str(), list) {
            ("POST", Some(list)) => {
                let mount = heard.path.strip_prefix(list).unwrap().trim_matches('/').to_owned();
                if self.is_mounted(&heard.namespace, list, &mount) {
                    return error(400, &format!("path is already in use at {mount}/"));
                }
                let all = self.documents.entry((heard.namespace.clone(), list.to_owned())).or_insert_with(|| json!({}));
                all[format!("{mount}/")] = heard.body.clone();
                (204, Value::Null)
            }
            ("GET", Some(list)) => {
                let all = self.documents.get(&(heard.namespace.clone(), list.to_owned()));
                (200, data(all.cloned().unwrap_or_else(|| json!({}))))
            }
            ("POST", None) => {
                if let Some(name) = heard.path.strip_prefix("sys/namespaces/") {
                    let whole = [heard.namespace.as_str(), name].join("/");
                    self.namespaces.insert(whole.trim_matches('/').to_owned());
                }
                if heard.path.contains("/cel/role/")
                    && let Err(why) = program(&heard.path, &heard.body)
                {
                    return error(400, &why);
                }
                self.documents.insert(place, heard.body.clone());
                (204, Value::Null)
            }
            ("GET", None) => self.documents.get(&place).map_or_else(nothing, |document| (200, data(document.clone()))),
            _ => error(405, "unsupported operation"),
        }
    }

    fn login(&mut self, heard: &Heard, mount: &str) -> Answer {
        let config = (heard.namespace.clone(), format!("auth/{mount}/config"));
        let (Some(keys), Some(document)) = (self.keys.get(&config), self.documents.get(&config)) else {
            return if self.is_mounted(&heard.namespace, "sys/auth", mount) {
                error(400, "could not load configuration")
            } else {
                error(403, "permission denied")
            };
        };
        let name = heard.body["role"].as_str().or(document["default_role"].as_str()).unwrap_or_default().to_lowercase();
        let role = (heard.namespace.clone(), format!("auth/{mount}/cel/role/{name}"));
        let Some(role) = self.documents.get(&role) else {
            return error(400, &format!("role \"{name}\" could not be found"));
        };
        let now = Clock::System.now();
        let claims = match verified(heard.body["jwt"].as_str().unwrap_or_default(), keys, document, role) {
            Ok(claims) => claims,
            Err(why) => return error(400, &format!("error validating token: {why}")),
        };
        // cambio's own reader of roles, which stands in for OpenBao's here, lets no role grant the policy of a service account.
        let claims = match claims.get("policies").map(Value::to_string) {
            Some(text) => {
                let renamed = serde_json::from_str(&text.replace(OF_ACCOUNTS, RENAMED)).unwrap();
                claims.into_iter().chain([("policies".to_owned(), renamed)]).collect()
            }
            None => claims,
        };
        let set = match program(&heard.path, role) {
            Ok(set) => set,
            Err(why) => return error(400, &why),
        };
        let issuer = IssuerName::new("cambio").unwrap();
        let evaluation = set.evaluate(&issuer, &claims, &set.targets()[0], now);
        let grant = match evaluation.outcome {
            Ok(grant) => grant,
            Err(reason) => return error(400, &reason.to_string()),
        };
        self.serial += 1;
        let token = format!("s.recorded-{}", self.serial);
        let ttl = grant.ttl().unwrap();
        let names = grant.policies().iter().map(ToString::to_string);
        let policies: Vec<String> = names.map(|name| name.replace(RENAMED, OF_ACCOUNTS)).collect();
        let metadata: Map<String, Value> =
            grant.metadata().map(|(name, value)| (name.to_owned(), value.into())).collect();
        self.tokens.insert(
            token.clone(),
            Token { namespace: heard.namespace.clone(), policies: policies.clone(), expires: now.plus(ttl) },
        );
        let auth = json!({"client_token": token, "accessor": format!("acc-{}", self.serial), "policies": policies,
            "token_policies": policies, "identity_policies": null, "metadata": metadata, "lease_duration": ttl.as_secs(),
            "renewable": false, "entity_id": "", "token_type": "service", "orphan": true, "mfa_requirement": null, "num_uses": 0});
        let mut answer = data(Value::Null);
        answer["auth"] = auth;
        (200, answer)
    }

    /// Default deny; an exact path, else the longest prefix; a token counts in its own namespace.
    fn allows(&self, heard: &Heard) -> bool {
        let Some(token) = self.tokens.get(&heard.token).filter(|token| Clock::System.now() < token.expires) else {
            return false;
        };
        if token.namespace != heard.namespace {
            return false;
        }
        let needed = match heard.method.as_str() {
            "GET" if heard.query.contains("list=true") => "list",
            "GET" => "read",
            "DELETE" => "delete",
            "PATCH" => "patch",
            _ => "update",
        };
        let mut best: Option<(usize, bool)> = None;
        for name in &token.policies {
            let place = (heard.namespace.clone(), format!("sys/policies/acl/{name}"));
            let Some(text) = self.documents.get(&place).and_then(|document| document["policy"].as_str()) else {
                continue;
            };
            for rule in text.split("path \"").skip(1) {
                let (pattern, rest) = rule.split_once('"').unwrap();
                let capabilities = rest.split_once(']').unwrap().0;
                let has = |name: &str| capabilities.contains(&format!("\"{name}\""));
                let (fits, weight) = match pattern.strip_suffix('*') {
                    Some(prefix) => (heard.path.starts_with(prefix), prefix.len()),
                    None => (heard.path == pattern, usize::MAX),
                };
                if fits && best.is_none_or(|(other, _)| weight >= other) {
                    best = Some((weight, has(needed) && !has("deny")));
                }
            }
        }
        best.is_some_and(|(_, allowed)| allowed)
    }

    fn value(&mut self, heard: &Heard) -> Answer {
        let mount = heard.path.split('/').next().unwrap();
        if !self.is_mounted(&heard.namespace, "sys/mounts", mount) {
            return nothing();
        }
        let rest = heard.path.strip_prefix(mount).unwrap().trim_start_matches('/');
        let (kind, path) = rest.split_once('/').unwrap_or((rest, ""));
        let place = (heard.namespace.clone(), format!("{mount}/{path}"));
        let metadata = |version: usize, deleted: bool| {
            json!({"created_time": "2026-11-27T12:00:00.000000000Z", "custom_metadata": null,
                "deletion_time": if deleted { "2026-11-27T12:00:01.000000000Z" } else { "" }, "destroyed": false, "version": version})
        };
        match (heard.method.as_str(), kind) {
            ("GET", "metadata") if heard.query.contains("list=true") => {
                let folder = format!("{}/", place.1.trim_end_matches('/'));
                let below = self.values.keys().filter(|(namespace, _)| *namespace == heard.namespace);
                let keys: BTreeSet<String> = below
                    .filter_map(|(_, path)| path.strip_prefix(&folder))
                    .map(|rest| rest.split_once('/').map_or_else(|| rest.to_owned(), |(first, _)| format!("{first}/")))
                    .collect();
                if keys.is_empty() { nothing() } else { (200, data(json!({ "keys": keys }))) }
            }
            ("GET", "data") => {
                let Some(versions) = self.values.get(&place) else { return nothing() };
                let asked = heard.query.split('&').find_map(|pair| pair.strip_prefix("version="));
                let version =
                    asked.and_then(|text| usize::from_str(text).ok()).filter(|n| *n > 0).unwrap_or(versions.len());
                match versions.get(version - 1) {
                    None => nothing(),
                    Some(Value::Null) => (404, data(json!({"data": null, "metadata": metadata(version, true)}))),
                    Some(value) => (200, data(json!({"data": value, "metadata": metadata(version, false)}))),
                }
            }
            ("POST", "data") => {
                let versions = self.values.entry(place).or_default();
                let cas = heard.body.pointer("/options/cas").and_then(Value::as_u64);
                if cas.is_some_and(|cas| cas != versions.len() as u64) {
                    return error(400, "check-and-set parameter did not match the current version");
                }
                versions.push(heard.body["data"].clone());
                (200, data(metadata(versions.len(), false)))
            }
            ("DELETE", "data") => {
                if let Some(last) = self.values.get_mut(&place).and_then(|versions| versions.last_mut()) {
                    *last = Value::Null;
                }
                (204, Value::Null)
            }
            (_, "data" | "metadata") => error(405, "1 error occurred:\n\t* unsupported operation\n\n"),
            _ => error(404, "1 error occurred:\n\t* unsupported path\n\n"),
        }
    }
}

/// The program of a role, as cambio's own reader of OpenBao's roles takes it.
pub fn program(path: &str, role: &Value) -> Result<PolicySet, String> {
    let below = "ns/auth/mount";
    let config = json!({"bound_issuer": "https://issuer.example", "oidc_discovery_url": "https://issuer.example"});
    let sources = [
        (format!("{below}/config.json"), config.to_string()),
        (format!("{below}/cel/role/role.json"), role.to_string()),
    ];
    let catalog = Catalog::of_names([IssuerName::new("cambio").unwrap()]);
    PolicySet::from_sources(sources, &catalog).map_err(|errors| format!("{path}: {errors}"))
}

/// The claims of a token that holds, as another implementation of JWT sees it.
fn verified(token: &str, keys: &Value, config: &Value, role: &Value) -> Result<Map<String, Value>, String> {
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(keys.clone()).unwrap();
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    let allowed = config["jwt_supported_algs"].as_array().unwrap();
    if !allowed.contains(&json!(format!("{:?}", header.alg))) {
        return Err("unexpected signature algorithm".to_owned());
    }
    let key =
        header.kid.as_deref().and_then(|kid| keys.find(kid)).ok_or("error verifying token signature: no known key")?;
    let mut validation = jsonwebtoken::Validation::new(header.alg);
    validation.set_audience(
        &role["bound_audiences"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect::<Vec<_>>(),
    );
    validation.set_issuer(&[config["bound_issuer"].as_str().unwrap()]);
    validation.leeway = 60;
    let decoding = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
    let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &decoding, &validation);
    decoded.map(|decoded| decoded.claims).map_err(|error| error.to_string())
}
