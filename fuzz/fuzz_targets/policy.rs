//! A policy file of any bytes: refused or loaded, never a panic or an overflow; what loads decides on odd claims too.
#![no_main]

use cambio::clock::Timestamp;
use cambio::identity::IssuerName;
use cambio::policy::{Catalog, PolicySet};
use cambio::trust::Platforms;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let issuers = ["gitlab", "github", "prod-cluster"].map(|name| IssuerName::new(name).unwrap());
    let platforms = Platforms::embedded();
    let mut catalog = Catalog::default();
    for (name, platform) in issuers.iter().zip(["gitlab", "github", "kubernetes"]) {
        catalog.add(name.clone(), platforms.find(platform));
    }
    let Ok(set) = PolicySet::from_sources([("fuzz.yaml", text)], &catalog) else { return };
    let claims = json!({"sub": "a", "project_group_ids": ["200", "é"], "ref_protected": "true", "environment": "p/../x",
        "runner_id": 1, "kubernetes.io": {"namespace": "a"}, "x": [[1.5, null], {"y": false}]});
    let claims = claims.as_object().unwrap();
    for target in set.targets() {
        for issuer in &issuers {
            let _ = set.evaluate(issuer, claims, target, Timestamp::from_secs(1_795_000_000));
        }
    }
});
