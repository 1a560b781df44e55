//! Whether the counter can do its work, part by part.

use crate::exchange::Counter;
use crate::http::ops::{Check, Readiness};

/// Ready: records can be kept. An issuer without keys denies its own tokens and no others, so it is told and not fatal.
pub(super) fn of(counter: &Counter) -> Readiness {
    let audit = counter.journal().healthy();
    let rules = counter.rules();
    let now = counter.clock().now();
    let part = |name: &str, ok: bool, detail: String| Check { name: name.to_owned(), ok, detail };
    let mut checks = vec![
        part("audit", audit, if audit { String::new() } else { "the journal takes no records".to_owned() }),
        part("policies", true, format!("set {}, {} targets", rules.policies.digest(), rules.policies.targets().len())),
    ];
    for issuer in rules.issuers.iter() {
        let status = issuer.keys().status();
        let usable = issuer.keys().current(now).is_ok();
        let detail = match (&status.last_error, usable) {
            (Some(error), true) => format!("{} keys; the last fetch failed: {error}", status.keys),
            (Some(error), false) => format!("no usable keys: {error}"),
            (None, true) => format!("{} keys", status.keys),
            (None, false) => "no keys were fetched yet".to_owned(),
        };
        checks.push(part(&format!("issuer {}", issuer.name()), usable, detail));
    }
    Readiness { ready: audit, checks }
}
