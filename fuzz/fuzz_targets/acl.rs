//! Access documents of any bytes, in both languages and both places: refused or loaded, never a panic or an overflow; what loads
//! answers for odd paths too, and a `deny` is never granted.
#![no_main]

use cambio::clock::Timestamp;
use cambio::identity::PolicyName;
use cambio::secrets::acl::{AclDocuments, Capability};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const FILES: [&str; 4] =
    ["sys/policies/acl/p.hcl", "sys/policies/acl/p.json", "sys/policies/acl.hcl", "sys/policies/acl.json"];
const PATHS: [&str; 8] = ["", "/", "a", "a/", "a/b/c", "secret/data/app/db", "secret/metadata/", "é/../%2e//"];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let names = ["p", "pipelines/protected/global"].map(|name| PolicyName::new(name).unwrap());
    let now = Timestamp::from_secs(1_800_000_000);
    let body = json!({"data": {"x": 1}, "Options": "x", "n": 1e300});
    for file in FILES {
        let documents = match AclDocuments::from_sources([(file, text)]) {
            Ok(documents) => documents,
            Err(errors) => {
                assert!(
                    errors.errors().iter().all(|error| error.place.unwrap_or_default().offset as usize <= text.len())
                );
                continue;
            }
        };
        let acl = documents.of(None, &names);
        for path in PATHS {
            let told = acl.capabilities(path, now);
            for capability in Capability::ALL {
                if let Ok(granted) = acl.check(path, capability, now) {
                    // A folder's capabilities are told as for its list, which may be written without the slash.
                    let lists = matches!(capability, Capability::List | Capability::Scan);
                    assert!(capability != Capability::Deny);
                    assert!(told.contains(&capability) || (path.ends_with('/') && !lists));
                    let _ = granted.parameters(body.as_object().unwrap());
                }
            }
            assert!(told == [Capability::Deny] || acl.sees_any_below(path.trim_start_matches('/'), now));
        }
    }
});
