//! Metrics in the OpenMetrics text format, collected when they are asked for: the engine counts in plain atomics, and
//! nothing here is touched while an exchange runs. Labels are issuers, outcomes and reasons, all from closed sets.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::exchange::{Counter, LATENCY_BOUNDS_US, Outcome};
use crate::state::counters::{COUNTERS_LATENCY_BOUNDS_US, COUNTERS_RESULTS};

/// Writes all metrics of an engine.
#[must_use]
pub fn render(counter: &Arc<Counter>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Engine(Arc::clone(counter))));
    let mut out = String::new();
    match text::encode(&mut out, &registry) {
        Ok(()) => out,
        Err(fmt::Error) => String::from("# EOF\n"),
    }
}

struct Engine(Arc<Counter>);

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

impl Collector for Engine {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counter = &self.0;
        exchanges(counter, &mut encoder)?;
        secrets(counter, &mut encoder)?;
        latency(counter, &mut encoder)?;
        cache(counter, &mut encoder)?;
        keys(counter, &mut encoder)?;
        audit(counter, &mut encoder)?;
        policies(counter, &mut encoder)?;
        shared(counter, &mut encoder)?;
        limits(counter, &mut encoder)?;
        accounts(counter, &mut encoder)?;
        information(&mut encoder)
    }
}

fn exchanges(counter: &Counter, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Exchanges by issuer and outcome; the issuer is empty where none was trusted";
    let mut family = encoder.encode_descriptor("cambio_exchanges", help, None, MetricType::Counter)?;
    for (issuer, outcome, count) in counter.tally().exchanges() {
        let outcome = match outcome {
            Outcome::Issued => "issued",
            Outcome::Denied => "denied",
            Outcome::Failed => "failed",
        };
        let issuer = issuer.as_ref().map_or("", |name| name.as_str());
        one(&mut family, &[("issuer", issuer), ("outcome", outcome)], count)?;
    }
    let help = "Refused and denied exchanges by reason";
    let mut family = encoder.encode_descriptor("cambio_refusals", help, None, MetricType::Counter)?;
    for (reason, count) in counter.tally().reasons() {
        one(&mut family, &[("reason", reason)], count)?;
    }
    Ok(())
}

fn secrets(counter: &Counter, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Requests for secrets by operation and outcome";
    let mut family = encoder.encode_descriptor("cambio_secret_requests", help, None, MetricType::Counter)?;
    for (operation, outcome, count) in counter.tally().secrets() {
        one(&mut family, &[("operation", operation), ("outcome", outcome)], count)?;
    }
    Ok(())
}

fn accounts(counter: &Counter, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let Some(accounts) = counter.accounts() else { return Ok(()) };
    let help = "Rotated tokens of service accounts that came back after their overlap, each of which ended its family";
    let name = "cambio_service_account_token_reuses";
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    ConstCounter::new(accounts.reuses()).encode(metric)
}

fn latency(counter: &Counter, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let (counts, sum) = counter.tally().latency();
    let bounds = LATENCY_BOUNDS_US.iter().map(|micros| seconds(*micros)).chain([f64::MAX]);
    let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
    let help = "Time from the start of an exchange to its decision";
    let mut metric =
        encoder.encode_descriptor("cambio_exchange_duration_seconds", help, None, MetricType::Histogram)?;
    metric.encode_histogram::<NoLabelSet>(sum.as_secs_f64(), counts.iter().sum(), &buckets, None)
}

fn cache(counter: &Counter, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let (hits, misses) = counter.tally().cache_use();
    let help = "Look-ups in the cache of verified tokens";
    let mut family =
        encoder.encode_descriptor("cambio_verified_token_cache_lookups", help, None, MetricType::Counter)?;
    one(&mut family, &[("result", "hit")], hits)?;
    one(&mut family, &[("result", "miss")], misses)
}

fn keys(counter: &Counter, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let rules = counter.rules();
    let now = counter.clock().now();
    let statuses: Vec<_> = rules.issuers.iter().map(|issuer| (issuer.name(), issuer.keys().status())).collect();
    let help = "Time since an issuer's keys were last fetched with success";
    let mut family = encoder.encode_descriptor("cambio_jwks_age_seconds", help, None, MetricType::Gauge)?;
    for (name, status) in &statuses {
        if let Some(at) = status.fetched {
            let age = ConstGauge::new(now.since(at).as_secs_f64());
            age.encode(family.encode_family(&[("issuer", name.as_str())])?)?;
        }
    }
    let help = "Usable keys of an issuer";
    let mut family = encoder.encode_descriptor("cambio_jwks_keys", help, None, MetricType::Gauge)?;
    for (name, status) in &statuses {
        let usable = ConstGauge::new(number(status.keys));
        usable.encode(family.encode_family(&[("issuer", name.as_str())])?)?;
    }
    let help = "Fetches of an issuer's keys by result";
    let mut family = encoder.encode_descriptor("cambio_jwks_fetches", help, None, MetricType::Counter)?;
    for (name, status) in &statuses {
        one(&mut family, &[("issuer", name.as_str()), ("result", "ok")], status.fetches - status.failures)?;
        one(&mut family, &[("issuer", name.as_str()), ("result", "failed")], status.failures)?;
    }
    Ok(())
}

fn audit(counter: &Counter, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let journal = counter.journal();
    let help = "Audit records by result";
    let mut family = encoder.encode_descriptor("cambio_audit_records", help, None, MetricType::Counter)?;
    one(&mut family, &[("result", "written")], journal.counters().written)?;
    one(&mut family, &[("result", "lost")], journal.counters().lost)?;
    let help = "Whether the audit journal takes records";
    let family = encoder.encode_descriptor("cambio_audit_healthy", help, None, MetricType::Gauge)?;
    ConstGauge::new(i64::from(journal.healthy())).encode(family)?;
    let outlets = journal.outlets();
    let help = "Audit records for sinks besides the file by result";
    let mut family = encoder.encode_descriptor("cambio_audit_sink_records", help, None, MetricType::Counter)?;
    for outlet in &outlets {
        one(&mut family, &[("sink", &outlet.name), ("result", "delivered")], outlet.counters.delivered)?;
        one(&mut family, &[("sink", &outlet.name), ("result", "dropped")], outlet.counters.dropped)?;
    }
    let help = "Times that a sink refused audit records";
    let mut family = encoder.encode_descriptor("cambio_audit_sink_failures", help, None, MetricType::Counter)?;
    for outlet in &outlets {
        one(&mut family, &[("sink", &outlet.name)], outlet.counters.failures)?;
    }
    let help = "Bytes of audit records that wait for a sink";
    let mut family = encoder.encode_descriptor("cambio_audit_sink_waiting_bytes", help, None, MetricType::Gauge)?;
    for outlet in &outlets {
        let waiting = ConstGauge::new(i64::try_from(outlet.counters.waiting_bytes).unwrap_or(i64::MAX));
        waiting.encode(family.encode_family(&[("sink", outlet.name.as_str())])?)?;
    }
    Ok(())
}

fn policies(counter: &Counter, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let (rules, reloads) = (counter.rules(), counter.reloads());
    let help = "The digest of the policy set that decides";
    let mut family = encoder.encode_descriptor("cambio_policy_set_info", help, None, MetricType::Gauge)?;
    let digest = rules.policies.digest().to_string();
    ConstGauge::new(1_i64).encode(family.encode_family(&[("digest", digest.as_str())])?)?;
    let help = "Policies and issuers read again by result";
    let mut family = encoder.encode_descriptor("cambio_policy_reload", help, None, MetricType::Counter)?;
    for (result, count) in reloads.counts() {
        one(&mut family, &[("result", result)], count)?;
    }
    let gauges = [
        (
            "cambio_policy_last_reload_success_timestamp_seconds",
            "When policies and issuers were last read and found good",
            reloads.last_success().as_secs(),
        ),
        (
            "cambio_policy_reload_ok",
            "Whether the policies and issuers that are written are those that decide",
            i64::from(reloads.failure().is_none()),
        ),
        ("cambio_policy_targets", "Targets of the policy set", number(rules.policies.targets().len())),
        ("cambio_policy_rules", "Rules of the policy set", number(rules.rule_count())),
        ("cambio_policy_warnings", "Warnings of the policy set that no file accepts", number(rules.warnings)),
        ("cambio_issuers", "Trusted issuers", number(rules.issuers.len())),
    ];
    for (name, help, value) in gauges {
        ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
    }
    Ok(())
}

/// The counters that replicas share, where they do.
fn shared(counter: &Counter, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let Some(status) = counter.counters().map(|counters| counters.status()) else { return Ok(()) };
    let help = "Whether the shared counters take commands";
    let family = encoder.encode_descriptor("cambio_shared_counters_up", help, None, MetricType::Gauge)?;
    ConstGauge::new(i64::from(status.up)).encode(family)?;
    let help = "Whether the shared counters remember single-use tokens";
    let family = encoder.encode_descriptor("cambio_shared_counters_remember", help, None, MetricType::Gauge)?;
    ConstGauge::new(i64::from(status.up && status.error.is_none())).encode(family)?;
    let help = "Connections that were made to the shared counters";
    let family = encoder.encode_descriptor("cambio_shared_counters_connections", help, None, MetricType::Counter)?;
    ConstCounter::new(status.tally.connections).encode(family)?;
    let help = "Commands to the shared counters by result; `down` was not sent";
    let mut family = encoder.encode_descriptor("cambio_shared_counters_commands", help, None, MetricType::Counter)?;
    for (result, count) in COUNTERS_RESULTS.iter().zip(status.tally.results) {
        one(&mut family, &[("result", *result)], count)?;
    }
    let counts = status.tally.buckets;
    let bounds = COUNTERS_LATENCY_BOUNDS_US.iter().map(|micros| seconds(*micros)).chain([f64::MAX]);
    let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
    let help = "Time that a command to the shared counters took";
    let name = "cambio_shared_counters_command_duration_seconds";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    metric.encode_histogram::<NoLabelSet>(status.tally.sum.as_secs_f64(), counts.iter().sum(), &buckets, None)
}

fn limits(counter: &Counter, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Questions to budgets by name and answer";
    let mut family = encoder.encode_descriptor("cambio_limit_checks", help, None, MetricType::Counter)?;
    for (name, allowed, refused) in counter.limiter().tally().rows() {
        one(&mut family, &[("limit", name), ("result", "allowed")], allowed)?;
        one(&mut family, &[("limit", name), ("result", "refused")], refused)?;
    }
    let status = counter.limiter().status();
    let counters = [
        ("cambio_limit_evictions", "Buckets that went, with something in them, for others", status.evicted),
        ("cambio_limit_crowded", "Questions that had no bucket of their own", status.shared_buckets),
        ("cambio_limit_fallbacks", "Times that limits ceased to be shared", status.falls),
    ];
    for (name, help, count) in counters {
        ConstCounter::new(count).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
    }
    let gauges = [
        ("cambio_limit_keys", "Buckets that are kept", number(status.keys)),
        ("cambio_limit_keys_max", "Buckets that may be kept", number(status.max_keys)),
        ("cambio_limit_shared", "Whether limits are shared now", i64::from(status.shared && !status.fallen)),
    ];
    for (name, help, value) in gauges {
        ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
    }
    Ok(())
}

fn information(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "The version that runs";
    let mut family = encoder.encode_descriptor("cambio_build", help, None, MetricType::Gauge)?;
    ConstGauge::new(1_i64).encode(family.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?)
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn one(family: &mut MetricEncoder<'_>, labels: &[(&str, &str)], count: u64) -> fmt::Result {
    ConstCounter::new(count).encode(family.encode_family(&labels)?)
}

#[allow(clippy::cast_precision_loss, reason = "bucket bounds are far below 2^53")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
