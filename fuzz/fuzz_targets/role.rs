//! A role document and its mount's configuration of any bytes: refused or loaded, never a panic or an overflow; what loads
//! answers odd claims too, and imports. The first line of the input is the configuration, the rest the role.
#![no_main]

use cambio::clock::Timestamp;
use cambio::identity::{IssuerName, TargetName};
use cambio::policy::{Catalog, PolicySet, RoleFiles, import_role};
use cambio::trust::Platforms;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const FILE: &str = "ns/auth/jwt/cel/role/r.json";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (config, role) = text.split_once('\n').unwrap_or((r#"{"bound_issuer": "https://gitlab.example.com"}"#, text));
    let issuer = IssuerName::new("gitlab").unwrap();
    let mut catalog = Catalog::default();
    catalog.add(issuer.clone(), Platforms::embedded().find("gitlab"));
    let sources = [(FILE, role), ("ns/auth/jwt/config.json", config)];
    let Ok(set) = PolicySet::from_sources(sources, &catalog) else { return };
    let odd = [
        json!({}),
        json!({"sub": "a", "aud": "us", "project_group_ids": ["200", "é"], "environment": "p/../x", "n": 1e300, "x": null}),
        json!({"sub": 1, "aud": ["us", 1], "project_group_ids": {"a": [[]]}, "environment": [], "n": -0.0, "x": {"y": false}}),
    ];
    for target in set.targets() {
        for claims in odd.iter().filter_map(|claims| claims.as_object()) {
            let evaluation = set.evaluate(&issuer, claims, target, Timestamp::from_secs(1_795_000_000));
            if let Err(reason) = evaluation.outcome {
                let _ = reason.login_error();
            }
        }
    }
    let files = RoleFiles { file: FILE, role, config, cases: None };
    let _ = import_role(files, &TargetName::new("imported").unwrap(), &issuer, &catalog);
});
