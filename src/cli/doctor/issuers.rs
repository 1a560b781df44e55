//! The issuers: whether their keys can be fetched now, whether their clocks go with ours, and what in their settings is
//! allowed and risky.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::finding::Finding;
use crate::cli::text::{count, shown, span};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::trust::{Issuer, Reason, Refresh};

/// How many issuers are asked at once.
const AT_ONCE: usize = 16;
/// Audiences that many services accept: a token for one of them could be presented here.
const SHARED: [&str; 7] =
    ["sts.amazonaws.com", "sigstore", "vault", "api://AzureADTokenExchange", "api", "default", "kubernetes"];
/// What a `Date` header, cut to the second, and the way of the answer make of equal clocks.
const NO_DIFFERENCE: Duration = Duration::from_secs(5);

/// What the settings alone show.
pub(super) fn settings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if config.issuers.is_empty() {
        findings.push(Finding::wrong(
            "issuers",
            "no issuer is trusted: every token is refused",
            "add one under `issuers`",
        ));
    }
    let mut same: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for issuer in config.issuers.iter() {
        same.entry(issuer.url().as_str()).or_default().push(issuer.name().as_str());
        let part = part(issuer);
        for smell in issuer.smells() {
            findings.push(Finding::warning(&part, smell, "leave the setting out, unless this is a test"));
        }
        findings.extend(issuer.audiences().iter().filter_map(|audience| odd_audience(&part, audience, config)));
    }
    for (url, names) in same.iter().filter(|(_, names)| names.len() > 1) {
        let text = format!("{} share the issuer `{url}`", names.join(", "));
        let fix =
            "their workloads have to name theirs: `--subject-issuer NAME`, or `?subject_issuer=NAME` at the endpoint";
        findings.push(Finding::warning("issuers", text, fix));
    }
    findings
}

fn odd_audience(part: &str, audience: &str, config: &Config) -> Option<Finding> {
    let own = config.issuer.as_str();
    let plain = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
    if audience != own && plain(audience) == plain(own) {
        let text = format!("the audience `{audience}` is not byte for byte our own issuer `{own}`");
        let fix = "audiences are compared byte by byte: write both alike, and in what asks for the tokens too";
        return Some(Finding::warning(part, text, fix));
    }
    let shared = SHARED.iter().any(|known| known.eq_ignore_ascii_case(audience));
    shared.then(|| {
        let text = format!(
            "tokens for the audience `{audience}` are made for other services too, which could present them here"
        );
        Finding::warning(part, text, format!("choose an audience that only cambio has, e.g. `{own}`"))
    })
}

/// What the issuers' servers answer now. In the order of the configuration.
pub(super) async fn keys(config: &Config, clock: &Clock) -> Vec<Finding> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut asked = JoinSet::new();
    for (index, issuer) in config.issuers.iter().enumerate() {
        let (issuer, clock, places) = (Arc::clone(issuer), clock.clone(), Arc::clone(&places));
        asked.spawn(async move {
            let _place = places.acquire_owned().await;
            (index, look(&issuer, &clock).await)
        });
    }
    let mut all: Vec<(usize, Vec<Finding>)> = asked.join_all().await;
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().flat_map(|(_, findings)| findings).collect()
}

async fn look(issuer: &Issuer, clock: &Clock) -> Vec<Finding> {
    let part = part(issuer);
    let refresh = issuer.keys().refresh(Reason::Missing, clock.now()).await;
    let status = issuer.keys().status();
    let mut findings = Vec::new();
    match refresh {
        Refresh::Failed(fault) => {
            let fix = format!("tokens of this issuer cannot be verified; its keys come from {}", status.source);
            findings.push(Finding::wrong(&part, fault, fix));
            return findings;
        }
        Refresh::Fetched { .. } | Refresh::TooSoon { .. } => {
            let keys = count(status.keys, "key", "keys");
            findings.push(Finding::ok(&part, format!("{keys} from {}", shown(&status.source))));
        }
    }
    for skipped in &status.skipped {
        let text = format!("key {} of its set is not used: {}", skipped.index + 1, skipped.reason);
        findings.push(Finding::warning(&part, text, "nothing to do, unless tokens are signed with it"));
    }
    if status.exposed > 0 {
        let text = format!(
            "{} with their private half: anybody can sign its tokens",
            count(status.exposed, "key is published", "keys are published")
        );
        findings.push(Finding::wrong(
            &part,
            text,
            "tell whoever runs the issuer, and remove it here until its keys are replaced",
        ));
    }
    findings.extend(skew(issuer, &part, clock).await);
    findings
}

/// The issuer's clock against ours, by the middle of the time that its answer took.
async fn skew(issuer: &Issuer, part: &str, clock: &Clock) -> Option<Finding> {
    let before = clock.now();
    let theirs = issuer.keys().server_date().await?;
    let after = clock.now();
    judged(part, theirs, before.plus(after.since(before) / 2), issuer.leeway())
}

fn judged(part: &str, theirs: Timestamp, ours: Timestamp, leeway: Duration) -> Option<Finding> {
    let (ahead, behind) = (theirs.since(ours), ours.since(theirs));
    let difference = ahead.max(behind);
    let text = || {
        let direction = if ahead > behind { "ahead of" } else { "behind" };
        format!("its clock is {} {direction} ours", span(difference))
    };
    let fix = "set the clock of this machine by NTP (`timedatectl`), or ask whoever runs the issuer";
    match difference {
        small if small <= NO_DIFFERENCE => Some(Finding::ok(part, "its clock goes with ours")),
        large if large > leeway => {
            let text = format!("{}, more than its `leeway` of {}: good tokens are refused", text(), span(leeway));
            Some(Finding::wrong(part, text, fix))
        }
        _ => Some(Finding::warning(part, text(), fix)),
    }
}

fn part(issuer: &Issuer) -> String {
    format!("issuer {}", issuer.name())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, Level::Ok)]
    #[case(5, Level::Ok)]
    #[case(-5, Level::Ok)]
    #[case(30, Level::Warning)]
    #[case(-61, Level::Wrong)]
    #[case(3600, Level::Wrong)]
    fn a_clock_is_judged_by_the_leeway(#[case] offset: i64, #[case] level: Level) {
        let ours = Timestamp::from_secs(1_795_000_000);
        let theirs = Timestamp::from_secs(ours.as_secs() + offset);
        assert_eq!(judged("issuer a", theirs, ours, Duration::from_secs(60)).unwrap().level, level);
    }
}
