//! One path of a document in HCL and the same in JSON: what one language says of any pattern and any word, the other says too.
#![no_main]

use cambio::clock::Timestamp;
use cambio::identity::PolicyName;
use cambio::secrets::acl::AclDocuments;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (pattern, word) = text.split_once('\n').unwrap_or((text, "read"));
    let quoted = |text: &str| {
        // HCL knows no `\b`, `\f` and `\/`; and leaves a template as it is, where JSON resolves escapes first.
        let json = serde_json::to_string(text).unwrap();
        json.replace("\\b", "\\u0008").replace("\\f", "\\u000c")
    };
    if text.contains("${") || text.contains('\\') {
        return;
    }
    let hcl = format!("path {} {{ capabilities = [{}] }}", quoted(pattern), quoted(word));
    let json = json!({"path": {pattern: {"capabilities": [word]}}}).to_string();
    let hcl = AclDocuments::from_sources([("sys/policies/acl/p.hcl", hcl)]);
    let json = AclDocuments::from_sources([("sys/policies/acl/p.json", json)]);
    assert_eq!(hcl.is_ok(), json.is_ok());
    let (Ok(hcl), Ok(json)) = (hcl, json) else { return };
    let names = [PolicyName::new("p").unwrap()];
    let (hcl, json) = (hcl.of(None, &names), json.of(None, &names));
    let now = Timestamp::from_secs(1_800_000_000);
    for path in [pattern, "a", "secret/data/app/db", pattern.trim_end_matches('*')] {
        assert_eq!(hcl.capabilities(path, now), json.capabilities(path, now));
    }
});
