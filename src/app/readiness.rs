//! Whether the counter can do its work, part by part.

use crate::exchange::{Counter, Rules};
use crate::http::ops::{Check, Readiness};
use crate::state::SharedRevocations;
use crate::state::counters::CountersStatus;

/// The check of our own keys.
const SIGNING_KEYS: &str = "signing keys";
/// By how much the clock of the shared counters may differ from ours before that is told.
const CLOCKS_MAY_DIFFER_MS: i64 = 1000;

/// Ready: records can be kept, and the published keys are known to be all that sign. An issuer without keys denies its own tokens and no others, so it is told and not fatal. So are
/// shared counters that are down: single-use tokens are denied, on every replica alike, so that taking one out helps nobody.
pub(super) fn of(counter: &Counter) -> Readiness {
    let audit = counter.journal().healthy();
    let rules = counter.rules();
    let now = counter.clock().now();
    let part = |name: &str, ok: bool, detail: String| Check { name: name.to_owned(), ok, detail };
    let mut checks = vec![
        part("audit", audit, if audit { String::new() } else { "the journal takes no records".to_owned() }),
        policies(counter, &rules),
        limits(counter),
        own_keys(counter),
    ];
    let keys = checks.iter().all(|check| check.name != SIGNING_KEYS || check.ok);
    let outlets = counter.journal().outlets();
    for outlet in &outlets {
        let detail = match (outlet.blocking, outlet.failing, outlet.counters.dropped) {
            (true, ..) => "takes no records, and must have all: nothing is minted".to_owned(),
            (_, true, dropped) => format!("takes no records; {dropped} dropped"),
            (_, false, dropped) if dropped > 0 => format!("{dropped} dropped since the start"),
            _ => String::new(),
        };
        checks.push(part(&format!("audit sink {}", outlet.name), !outlet.failing && !outlet.blocking, detail));
    }
    let audit = audit && !outlets.iter().any(|outlet| outlet.blocking);
    checks.extend(counter.revocations().shared(now).map(database));
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
    checks.extend(counter.counters().map(|counters| shared(&counters.status())));
    Readiness { ready: audit && keys, checks }
}

/// Whether what is published is all that other replicas sign with: unknown once the database could not be read for longer
/// than a key is published ahead of use.
fn own_keys(counter: &Counter) -> Check {
    let name = SIGNING_KEYS.to_owned();
    match counter.keys().reading() {
        None => Check { name, ok: true, detail: "kept on this machine".to_owned() },
        Some(reading) => {
            let ok = reading.is_current(counter.clock().now());
            let detail = if ok { "last read from the database at" } else { "not read from the database since" };
            Check { name, ok, detail: format!("{detail} {}", reading.read) }
        }
    }
}

/// Whether the database that replicas share answers. Not fatal: exchanges go on without it, on every replica alike.
fn database(shared: SharedRevocations) -> Check {
    let SharedRevocations { read, blind, error } = shared;
    let ok = error.is_none() && !blind;
    let detail = match (error, blind) {
        (None, _) => format!("revocations were read at {read}"),
        (Some(error), false) => format!("revocations were last read at {read}: {error}"),
        (Some(error), true) => format!("no token of ours is good, revocations were last read at {read}: {error}"),
    };
    Check { name: "database".to_owned(), ok, detail }
}

/// Whether the counters that replicas share are there, and remember.
fn shared(status: &CountersStatus) -> Check {
    let since = status.since.map(|since| format!("no token is forgotten since {since}"));
    let error = status.error.as_ref().map(|error| format!("single-use tokens are denied: {error}"));
    let ahead = status.clock_ahead_ms;
    let clock = (ahead.abs() > CLOCKS_MAY_DIFFER_MS).then(|| format!("its clock is ahead of ours by {ahead}ms"));
    let detail = [since, error, clock].into_iter().flatten().collect::<Vec<_>>().join("; ");
    Check { name: "shared counters".to_owned(), ok: status.up && status.error.is_none(), detail }
}

/// Whether replicas share their limits, where they are to: if not, each has its part of them.
fn limits(counter: &Counter) -> Check {
    let status = counter.limiter().status();
    let detail = match (status.shared, status.fallen) {
        (false, _) => "kept by this replica",
        (true, false) => "shared by all replicas",
        (true, true) => "not shared now: this replica keeps its part of each limit",
    };
    Check { name: "limits".to_owned(), ok: !status.fallen, detail: detail.to_owned() }
}

/// Which policies decide, and whether they are those that are written: if not, the ones from before still decide.
fn policies(counter: &Counter, rules: &Rules) -> Check {
    let (digest, targets, loaded) = (rules.policies.digest().to_string(), rules.policies.targets().len(), rules.loaded);
    let short = digest.get(..12).unwrap_or(&digest);
    let warnings = match rules.warnings {
        0 => String::new(),
        some => format!(", {some} warnings"),
    };
    let failure = counter.reloads().failure();
    let last = failure.as_ref().map_or_else(String::new, |failure| format!("; last reload {failure}"));
    let detail = format!("set {short}, {targets} targets, loaded at {loaded}{warnings}{last}");
    Check { name: "policies".to_owned(), ok: failure.is_none(), detail }
}
