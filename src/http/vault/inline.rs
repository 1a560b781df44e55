//! Authentication in headers (OpenBao 2.4, inline authentication): a login and one read in a single request. The token that
//! comes of it is used for this request and told to nobody.

use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::Vault;
use super::bodies::Members;
use super::envelope::Refusal;
use super::login::{Asked, log_in};
use super::request::{VaultRequest, single};
use crate::audit::Surface;
use crate::exchange::Source;
use crate::identity::Namespace;

const PATH: &str = "x-vault-inline-auth-path";
const OPERATION: &str = "x-vault-inline-auth-operation";
const NAMESPACE: &str = "x-vault-inline-auth-namespace";
const PARAMETER: &str = "x-vault-inline-auth-parameter-";
/// Any header of this kind: one that we do not know may restrict what we would allow.
const FAMILY: &str = "x-vault-inline-auth-";
/// The most parameters; a login has two.
const MAX_PARAMETERS: usize = 8;

/// One parameter, as its header's value holds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameter {
    key: String,
    value: Value,
}

/// Whether the request brings its authentication in headers.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with(FAMILY))
}

/// The token of the login in the headers.
pub(super) async fn authenticate(
    vault: &Vault,
    request: &VaultRequest,
    headers: &HeaderMap,
) -> Result<Zeroizing<String>, Refusal> {
    let failed = |refusal: Refusal| Refusal { inline: true, ..refusal };
    if request.token.is_some() {
        return Err(failed(Refusal::bad_request("a token and inline authentication cannot be combined")));
    }
    if request.wrap.is_some() {
        return Err(failed(Refusal::bad_request("an answer to inline authentication cannot be wrapped")));
    }
    let asked = asked(request, headers).map_err(failed)?;
    let members = parameters(headers).map_err(failed)?;
    let walk = vault.counter.begin(Source { surface: Surface::Vault, address: request.peer });
    let logged_in = log_in(vault, walk, asked, members).await.map_err(failed)?;
    Ok(Zeroizing::new(logged_in.token().to_owned()))
}

/// Where the login is made: a path as it follows `/v1/`, with the namespace in it or in a header.
fn asked(request: &VaultRequest, headers: &HeaderMap) -> Result<Asked, Refusal> {
    let malformed = |what: &str| Refusal::bad_request(format!("`X-Vault-Inline-Auth-{what}` is malformed"));
    // Only what a login is: other operations reached what was never meant to be reached without a token (GHSA-rh46-vc3j-w2w3).
    if single(headers, OPERATION)?.is_some_and(|operation| operation != "update") {
        return Err(Refusal::bad_request("`X-Vault-Inline-Auth-Operation` can only be `update`"));
    }
    let path = single(headers, PATH)?.ok_or_else(|| malformed("Path"))?.trim_matches('/');
    let path = path.strip_prefix("v1/").unwrap_or(path);
    let (prefix, rest) = match path.strip_prefix("auth/") {
        Some(rest) => ("", rest),
        None => path.split_once("/auth/").ok_or_else(|| malformed("Path"))?,
    };
    let mount = rest.strip_suffix("/login").ok_or_else(|| malformed("Path"))?;
    let (mount, cel) = mount.strip_suffix("/cel").map_or((mount, false), |mount| (mount, true));
    if mount.is_empty() || mount == "token" || mount.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(malformed("Path"));
    }
    let named = single(headers, NAMESPACE)?.map_or(request.named.as_str(), |named| named.trim_matches('/'));
    let named = if named == "root" { "" } else { named };
    let whole = [named, prefix].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    let namespace =
        if whole.is_empty() { None } else { Some(Namespace::new(&whole).map_err(|_| malformed("Namespace"))?) };
    Ok(Asked { namespace, mount: mount.to_owned(), cel })
}

fn parameters(headers: &HeaderMap) -> Result<Members, Refusal> {
    let mut members = Map::new();
    for name in headers.keys() {
        let known = [PATH, OPERATION, NAMESPACE].contains(&name.as_str());
        match (known, name.as_str().starts_with(PARAMETER), name.as_str().starts_with(FAMILY)) {
            (true, ..) | (false, false, false) => {}
            (false, true, _) => {
                let Parameter { key, value } = parameter(headers, name)?;
                if members.len() == MAX_PARAMETERS || members.insert(key, value).is_some() {
                    return Err(Refusal::bad_request("too many parameters of inline authentication, or one twice"));
                }
            }
            (false, false, true) => {
                return Err(Refusal::bad_request("a header of inline authentication that is not known"));
            }
        }
    }
    Ok(Members::of(members))
}

fn parameter(headers: &HeaderMap, name: &HeaderName) -> Result<Parameter, Refusal> {
    let malformed =
        || Refusal::bad_request("`X-Vault-Inline-Auth-Parameter-…` is base64url of {\"key\", \"value\"}, unpadded");
    let text = single(headers, name.as_str())?.ok_or_else(malformed)?;
    let json = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed())?);
    serde_json::from_slice(&json).map_err(|_| malformed())
}
