//! Evaluation: whether an exchange costs the same in sets of any size, and what single programs cost.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use cambio::app::NewPolicies;
use cambio::clock::Timestamp;
use cambio::config::Config;
use cambio::exchange::Rules;
use cambio::identity::IssuerName;
use cambio::policy::{Catalog, PolicySet};
use cambio::trust::Platforms;
use serde_json::{Map, Value, json};

use crate::estate::{Cases, Estate, claims, issuer_name, issuer_url, target};
use crate::report::Report;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_100);
/// How much dearer an exchange may be in a large set.
const FLAT_PERCENT: f64 = 10.0;

struct Set {
    rules: Rules,
    requests: Vec<Request>,
}

/// What an exchange knows when policies are asked.
struct Request {
    issuer: String,
    target: String,
    claims: Map<String, Value>,
}

impl Set {
    fn new(count: usize, issuers: usize) -> Self {
        let estate = Estate::new(count, issuers, Cases::Two);
        let config = Config::load(&estate.config()).expect("configuration");
        let policies =
            NewPolicies::load(&estate.policies(), &config.catalog()).unwrap_or_else(|error| panic!("{error}"));
        let rules = policies.into_rules(config.issuers, None, config.logins, config.tenants, NOW).expect("rules");
        let requests = (0..count).map(|number| {
            let issuer = number % issuers;
            let Value::Object(claims) = claims(number, issuer) else { unreachable!("an object") };
            Request { issuer: issuer_url(issuer), target: target(number), claims }
        });
        Self { rules, requests: requests.collect() }
    }

    /// Find the issuer, find the target, evaluate.
    fn ask(&self, request: &Request) {
        let issuer = self.rules.issuers.find(&request.issuer, None).expect("issuer");
        let target = self.rules.policies.target(&request.target).expect("target");
        let evaluation = self.rules.policies.evaluate(issuer.name(), &request.claims, target, NOW);
        assert!(black_box(evaluation).outcome.is_ok(), "denied");
    }

    /// Microseconds for one request, the best of several rounds: the first again and again, or each in turn.
    fn cost(&self, turn: bool) -> f64 {
        const ROUND: usize = 10_000;
        let requests = if turn { self.requests.as_slice() } else { &self.requests[..1] };
        let rounds = (0..9).map(|_| {
            let began = Instant::now();
            requests.iter().cycle().take(ROUND).for_each(|request| self.ask(request));
            began.elapsed().as_secs_f64() * 1e6 / ROUND as f64
        });
        rounds.fold(f64::MAX, f64::min)
    }
}

pub fn flatness(report: &mut Report) {
    let mut first = None;
    for (count, issuers) in [(10, 1), (100, 1), (1_000, 1), (10_000, 1), (10_000, 100), (10_000, 1_000)] {
        eprintln!("evaluating in {count} policies of {issuers} issuers ...");
        let set = Set::new(count, issuers);
        let cost = set.cost(false);
        let bound = first.map(|first: f64| first * (1.0 + FLAT_PERCENT / 100.0));
        first.get_or_insert(cost);
        report.row(&format!("one exchange in {count} policies, {issuers} issuers"), cost, "us", bound);
        report.row("  each target in turn", set.cost(true), "us", None);
    }
}

/// What the checks cost that know the claims: a set loaded for issuers of a known platform, and for issuers of none.
pub fn check(report: &mut Report) {
    const COUNT: usize = 1_000;
    eprintln!("checking ...");
    let estate = Estate::new(COUNT, 1, Cases::Two);
    let config = Config::load(&estate.config()).expect("configuration");
    let names = Catalog::of_names([IssuerName::new(&issuer_name(0)).expect("name")]);
    let time = |catalog: &Catalog| {
        let runs = (0..5).map(|_| {
            let began = Instant::now();
            PolicySet::inspect(&estate.policies(), catalog).expect("policies");
            began.elapsed().as_secs_f64() * 1e6 / COUNT as f64
        });
        runs.fold(f64::MAX, f64::min)
    };
    let (known, unknown) = (time(&config.catalog()), time(&names));
    report.row("check by the claims' types, one policy", known - unknown, "us", None);
}

/// GitLab's two largest role programs, as OpenBao has them: those of the pipelines of a group and of a project.
pub fn roles(report: &mut Report) {
    const BOUND_US: f64 = 25.0;
    const ROUND: usize = 2_000;
    eprintln!("evaluating role programs ...");
    let mut catalog = Catalog::default();
    let issuer = IssuerName::new("gitlab").expect("name");
    catalog.add(issuer.clone(), Platforms::embedded().find("gitlab"));
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitlab-secrets-manager/policies");
    let set = PolicySet::load(&directory, &catalog).unwrap_or_else(|errors| panic!("{errors}"));
    let mut claims = claims(0, 0);
    for (name, value) in [
        ("iss", json!("https://gitlab.example.com")),
        ("aud", json!("https://openbao.example.com")),
        ("project_id", json!("300")),
        ("job_project_id", json!("300")),
        ("project_group_ids", json!(["200", "100"])),
        ("correlation_id", json!("01J0")),
    ] {
        claims[name] = value;
    }
    let Value::Object(claims) = claims else { unreachable!("an object") };
    let mut programs = 0;
    for (target, role) in set.targets().iter().filter_map(|target| Some((target, target.role()?))) {
        if role.mount() != "pipeline_jwt" {
            continue;
        }
        let rounds = (0..9).map(|_| {
            let began = Instant::now();
            for _ in 0..ROUND {
                let evaluation = black_box(set.evaluate(&issuer, &claims, target, NOW));
                assert!(evaluation.outcome.is_ok(), "{:?}", evaluation.outcome);
            }
            began.elapsed().as_secs_f64() * 1e6 / ROUND as f64
        });
        let whose = role.namespace().map_or("the root", |namespace| namespace.as_str());
        report.row(&format!("role {} of {whose}", role.role()), rounds.fold(f64::MAX, f64::min), "us", Some(BOUND_US));
        programs += 1;
    }
    assert_eq!(programs, 2);
}
