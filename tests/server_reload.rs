//! Policies, issuers and platforms change under a running counter: what is good is taken up as a whole, what is not
//! changes nothing and is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rstest::rstest;
use serde_json::{Value, json};
use support::stand::{CLIENT_SECRET, POLICY, configuration, entry, eventually};
use support::{Issuer, Stand, exchange};

const VAULT: &str = "policies/vault.yaml";

/// How often rules were taken up, were as before, were no good.
fn counts(stand: &Stand) -> [u64; 3] {
    stand.running().counter().reloads().counts().map(|(_, count)| count)
}

async fn taken_up(stand: &Stand, times: u64) {
    eventually("the rules are taken up", || counts(stand)[0] == times).await;
}

async fn kept_out(stand: &Stand, times: u64) {
    eventually("the rules are kept out", || counts(stand)[2] >= times).await;
}

fn digest(stand: &Stand) -> String {
    stand.running().counter().rules().policies.digest().to_string()
}

/// What `/metrics` says of a metric, its labels included.
async fn metric(stand: &Stand, name: &str) -> String {
    let text = stand.ops("/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}

async fn policies_check(stand: &Stand) -> Value {
    let ready = stand.ops("/readyz").await;
    assert_eq!(ready.status, 200, "{}", ready.text);
    ready.json()["checks"].as_array().unwrap().iter().find(|check| check["name"] == "policies").unwrap().clone()
}

async fn policies_of(stand: &Stand) -> Vec<String> {
    let answer = stand.exchange(&stand.token().sign()).await;
    let claims = stand.verified(&answer.token()).await.claims;
    assert_eq!(stand.record(&answer).policy_set.as_deref(), Some(digest(stand).as_str()));
    serde_json::from_value(claims["policies"].clone()).unwrap()
}

/// The policy of the stand, with another grant.
fn granting(policy: &str) -> String {
    POLICY.replace(", others", "").replace("jobs/global", policy)
}

async fn with_resource_server(issuer: Issuer) -> Stand {
    let entries = entry("workloads", issuer.name(), "replay: reusable");
    let clients = "clients: [{id: rs, secret_file: rs.secret, targets: [vault]}]";
    Stand::open_for(issuer, &entries, clients).await
}

async fn is_active(stand: &Stand, token: &str) -> bool {
    let form = [("token", token), ("client_id", "rs"), ("client_secret", CLIENT_SECRET)];
    stand.post("/oauth2/introspect", &form).await.json()["active"].as_bool().unwrap()
}

#[tokio::test]
async fn a_good_change_is_taken_up_and_told() {
    let stand = Stand::open().await;
    let (before, at) = (digest(&stand), stand.now());
    assert_eq!(policies_of(&stand).await, ["jobs/global"]);
    stand.advance(100);
    stand.write(VAULT, &granting("jobs/other"));
    taken_up(&stand, 1).await;
    assert_ne!(digest(&stand), before);
    assert_eq!(policies_of(&stand).await, ["jobs/other"]);
    let check = policies_check(&stand).await;
    let (detail, now) = (check["detail"].as_str().unwrap(), stand.now());
    assert_eq!(check["ok"], true);
    let warnings = stand.running().counter().rules().warnings;
    assert!(warnings > 1, "the policy of these tests is no model");
    assert_eq!(detail, format!("set {}, 2 targets, loaded at {now}, {warnings} warnings", &digest(&stand)[..12]));
    assert!(now > at);
    assert_eq!(metric(&stand, &format!("cambio_policy_set_info{{digest=\"{}\"}}", digest(&stand))).await, "1");
    assert_eq!(metric(&stand, "cambio_policy_reload_total{result=\"changed\"}").await, "1");
    assert_eq!(metric(&stand, "cambio_policy_last_reload_success_timestamp_seconds").await, now.as_secs().to_string());
    assert_eq!(metric(&stand, "cambio_policy_reload_ok").await, "1");
    assert_eq!(metric(&stand, "cambio_policy_targets").await, "2");
    assert_eq!(metric(&stand, "cambio_policy_rules").await, "4");
    assert_eq!(metric(&stand, "cambio_policy_warnings").await, warnings.to_string());
}

#[rstest]
#[case::no_yaml("target: [", "P0")]
#[case::a_word_that_is_none(&granting("jobs/other").replace("claims.sub", "claim.sub"), "vault.yaml:")]
#[case::an_issuer_that_is_none(&granting("jobs/other").replace("[workloads]", "[nobody]"), "vault.yaml:")]
#[case::a_name_that_is_taken(&granting("jobs/other").replace("target: vault", "target: deploy"), "")]
#[case::a_case_that_comes_out_otherwise(
    &format!("{}cases: [{{name: x, issuer: workloads, claims: {{sub: nobody}}, permit: [jobs/other]}}]\n", granting("jobs/other")),
    "vault.yaml:")]
#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_told(#[case] text: &str, #[case] place: &str) {
    let stand = Stand::open().await;
    let before = digest(&stand);
    stand.advance(100);
    stand.write(
        "policies/good.yaml",
        &granting("jobs/good").replace("target: vault", "target: good").replace("aliases", "#"),
    );
    stand.write(VAULT, text);
    kept_out(&stand, 1).await;
    assert_eq!(digest(&stand), before, "all or nothing: the good file neither");
    assert_eq!(policies_of(&stand).await, ["jobs/global"]);
    let check = policies_check(&stand).await;
    let detail = check["detail"].as_str().unwrap();
    assert_eq!(check["ok"], false);
    assert!(detail.contains(&format!("; last reload failed at {}: the policies, ", stand.now())), "{detail}");
    assert!(detail.contains(place), "{detail}");
    assert_eq!(metric(&stand, "cambio_policy_reload_total{result=\"failed\"}").await, "1");
    assert_eq!(metric(&stand, "cambio_policy_reload_ok").await, "0");
    assert_eq!(metric(&stand, &format!("cambio_policy_set_info{{digest=\"{before}\"}}")).await, "1");
    // The way back: what was before is what decides already.
    stand.write(VAULT, &POLICY.replace(", others", ""));
    fs::remove_file(stand.path("policies/good.yaml")).unwrap();
    eventually("all is as before", || counts(&stand)[1] == 1).await;
    assert_eq!(policies_check(&stand).await["ok"], true);
    assert_eq!(metric(&stand, "cambio_policy_reload_ok").await, "1");
}

/// As the kubelet does it: a new directory of files, and one rename that makes `..data` lead there.
fn swap(volume: &Path, version: &str, files: &[(&str, &str)]) {
    let directory = volume.join(format!("..{version}"));
    fs::create_dir_all(&directory).unwrap();
    for (name, text) in files {
        fs::write(directory.join(name), text).unwrap();
        if !volume.join(name).is_symlink() {
            symlink(format!("..data/{name}"), volume.join(name)).unwrap();
        }
    }
    symlink(format!("..{version}"), volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
}

#[tokio::test]
async fn a_config_map_is_swapped_as_a_whole() {
    let issuer = Issuer::start().await;
    let entries = entry("workloads", issuer.name(), "replay: reusable");
    let mut stand = Stand::prepare(issuer, &entries, "policies: mounted");
    let volume = stand.path("mounted");
    fs::create_dir(&volume).unwrap();
    swap(&volume, "1", &[("vault.yaml", &granting("jobs/one"))]);
    stand.start().await;
    assert_eq!(policies_of(&stand).await, ["jobs/one"]);
    swap(&volume, "2", &[("vault.yaml", &granting("jobs/two"))]);
    taken_up(&stand, 1).await;
    assert_eq!(policies_of(&stand).await, ["jobs/two"]);
    swap(&volume, "3", &[("vault.yaml", "target: [")]);
    kept_out(&stand, 1).await;
    assert_eq!(policies_of(&stand).await, ["jobs/two"]);
    fs::remove_dir_all(volume.join("..1")).unwrap();
    swap(&volume, "4", &[("vault.yaml", &granting("jobs/four"))]);
    taken_up(&stand, 2).await;
    assert_eq!(policies_of(&stand).await, ["jobs/four"]);
}

#[tokio::test]
async fn the_configuration_may_be_in_a_config_map_too() {
    let issuer = Issuer::start().await;
    let entries = entry("workloads", issuer.name(), "replay: reusable");
    let mut stand = Stand::prepare(issuer, &entries, "");
    let text = fs::read_to_string(stand.path("cambio.yaml")).unwrap();
    fs::remove_file(stand.path("cambio.yaml")).unwrap();
    swap(&stand.path(""), "1", &[("cambio.yaml", &text)]);
    stand.start().await;
    swap(&stand.path(""), "2", &[("cambio.yaml", &format!("default_target: vault\n{text}"))]);
    taken_up(&stand, 1).await;
    let token = stand.token().sign();
    assert_eq!(stand.post("/oauth2/token", &exchange(&token)[..3]).await.status, 200);
}

#[tokio::test]
async fn an_exchange_finishes_on_the_rules_that_it_began_with() {
    let stand = with_resource_server(Issuer::start().await).await;
    stand.settled().await;
    // The keys are too old, and the issuer takes its time: the exchange waits in its middle.
    stand.issuer.goes_down();
    stand.advance(25 * 3600);
    let held = stand.issuer.holds_back();
    let (hits, token) = (stand.issuer.hits(), stand.token().sign());
    let before = digest(&stand);
    let reloaded = async {
        eventually("the exchange waits for its issuer", || stand.issuer.hits() > hits).await;
        stand.write(VAULT, &granting("jobs/other"));
        stand.running().reload();
        taken_up(&stand, 1).await;
        drop(held);
    };
    let (answer, ()) = tokio::join!(stand.exchange(&token), reloaded);
    let record = stand.permitted(&answer);
    assert_eq!(record.policy_set.as_deref(), Some(before.as_str()));
    assert_eq!(stand.verified(&answer.token()).await.claims["policies"], json!(["jobs/global"]));
    // The rule that granted it is no more: so is what it granted.
    assert!(!is_active(&stand, &answer.token()).await);
    assert_eq!(policies_of(&stand).await, ["jobs/other"]);
}

#[tokio::test]
async fn deleting_a_rule_ends_what_it_granted() {
    let stand = with_resource_server(Issuer::start().await).await;
    let job = stand.exchange(&stand.token().sign()).await.token();
    let admin = stand.exchange(&stand.token().claim("sub", "admin-1").sign()).await.token();
    assert!(is_active(&stand, &job).await && is_active(&stand, &admin).await);
    let text = granting("jobs/global");
    let (head, _) = text.split_once("  - name: admin").unwrap();
    stand.write(VAULT, head);
    taken_up(&stand, 1).await;
    assert!(is_active(&stand, &job).await);
    assert!(!is_active(&stand, &admin).await);
    assert_eq!(stand.exchange(&stand.token().claim("sub", "admin-1").sign()).await.status, 400);
}

#[tokio::test]
async fn an_issuer_that_is_added_is_trusted_and_one_that_is_removed_is_not() {
    let other = Issuer::start().await;
    let stand = Stand::open().await;
    let workloads = entry("workloads", stand.issuer.name(), "replay: reusable");
    let others = entry("others", other.name(), "replay: reusable");
    stand.settled().await;
    let fetched = stand.issuer.key_hits();
    let foreign = other.token(stand.now()).sign();
    assert_eq!(stand.exchange(&foreign).await.status, 400);
    stand.write("cambio.yaml", &configuration(&format!("{workloads}{others}"), ""));
    stand.write(VAULT, POLICY);
    taken_up(&stand, 1).await;
    assert_eq!(stand.exchange(&foreign).await.status, 200);
    assert_eq!(stand.exchange(&stand.token().sign()).await.status, 200);
    assert_eq!(stand.issuer.key_hits(), fetched, "an issuer that did not change keeps its keys");
    assert_eq!(metric(&stand, "cambio_issuers").await, "2");
    assert_eq!(metric(&stand, "cambio_exchanges_total{issuer=\"others\",outcome=\"issued\"}").await, "1");
    // Policies that name an issuer that is gone are no good: both change together, or nothing does.
    stand.write("cambio.yaml", &configuration(&workloads, ""));
    kept_out(&stand, 1).await;
    assert_eq!(stand.exchange(&foreign).await.status, 200);
    stand.write(VAULT, &granting("jobs/global"));
    taken_up(&stand, 2).await;
    let answer = stand.exchange(&foreign).await;
    assert_eq!((answer.status, stand.record(&answer).reason.as_deref()), (400, Some("issuer_unknown")));
    assert_eq!(stand.exchange(&stand.token().sign()).await.status, 200);
    let hits = other.hits();
    stand.advance(7200);
    eventually("keys are fetched again", || stand.issuer.key_hits() > fetched).await;
    assert_eq!(other.hits(), hits, "nobody asks an issuer that is not trusted any more");
    let metrics = stand.ops("/metrics").await.text;
    assert!(!metrics.contains("issuer=\"others\""), "{metrics}");
    assert!(metrics.contains("cambio_exchanges_total{issuer=\"workloads\",outcome=\"issued\"} 2\n"), "{metrics}");
}

#[tokio::test]
async fn a_token_that_was_verified_under_other_settings_is_verified_again() {
    let stand = Stand::open().await;
    let token = stand.token().sign();
    assert_eq!(stand.exchange(&token).await.status, 200);
    assert_eq!(stand.exchange(&token).await.status, 200);
    assert_eq!(stand.cache().0, 1, "the token is remembered");
    let fetches = "cambio_jwks_fetches_total{issuer=\"workloads\",result=\"ok\"}";
    let fetched: u64 = metric(&stand, fetches).await.parse().unwrap();
    let strict = entry("workloads", stand.issuer.name(), "replay: reusable\nrequired_claims: [team]");
    stand.write("cambio.yaml", &configuration(&strict, ""));
    taken_up(&stand, 1).await;
    let answer = stand.exchange(&token).await;
    assert_eq!((answer.status, stand.record(&answer).reason.as_deref()), (400, Some("claim_missing")));
    assert_eq!(stand.cache().0, 1, "what was verified before counts for nothing");
    assert_eq!(stand.exchange(&stand.token().claim("team", "a").sign()).await.status, 200);
    assert!(metric(&stand, fetches).await.parse::<u64>().unwrap() > fetched, "its counts go on");
}

#[tokio::test]
async fn a_platform_file_is_taken_up_and_a_bad_one_kept_out() {
    let generic = include_str!("../platforms/generic.yaml").replacen("name: generic", "name: ours", 1);
    let issuer = Issuer::start().await;
    let entries = entry("workloads", issuer.name(), "replay: reusable\nplatform: ours");
    let mut stand = Stand::prepare(issuer, &entries, "platforms: platforms");
    fs::create_dir(stand.path("platforms")).unwrap();
    stand.write("platforms/ours.yaml", &generic);
    stand.start().await;
    let token = stand.token().sign();
    assert_eq!(stand.exchange(&token).await.status, 200);
    stand.write("platforms/ours.yaml", "name: ours\n");
    kept_out(&stand, 1).await;
    assert!(policies_check(&stand).await["detail"].as_str().unwrap().contains("the configuration, 2 findings"));
    assert_eq!(stand.exchange(&token).await.status, 200);
    stand.write("platforms/ours.yaml", &generic.replacen("longest: 24h", "longest: 1m", 1));
    taken_up(&stand, 1).await;
    let answer = stand.exchange(&token).await;
    assert_eq!((answer.status, stand.record(&answer).reason.as_deref()), (400, Some("token_long_lived")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_exchange_fails_while_rules_are_taken_up() {
    let stand = Arc::new(Stand::open().await);
    stand.settled().await;
    let done = Arc::new(AtomicBool::new(false));
    let callers = (0..4).map(|_| {
        let (stand, done) = (Arc::clone(&stand), Arc::clone(&done));
        tokio::spawn(async move {
            let mut answers = 0;
            while !done.load(Ordering::Relaxed) {
                let answer = stand.exchange(&stand.token().sign()).await;
                assert_eq!(answer.status, 200, "{}", answer.text);
                answers += 1;
            }
            answers
        })
    });
    let callers: Vec<_> = callers.collect();
    for version in 1..=4 {
        stand.write(VAULT, &granting(&format!("jobs/{version}")));
        stand.running().reload();
        taken_up(&stand, version).await;
    }
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
    assert_eq!(counts(&stand), [4, 0, 0]);
}

#[rstest]
#[case::a_file_is_deleted(|at: &Path| fs::remove_file(at.join("deploy.yaml")).unwrap(), 1)]
#[case::a_file_is_renamed(|at: &Path| fs::rename(at.join("deploy.yaml"), at.join("other.yaml")).unwrap(), 2)]
#[case::the_directory_is_replaced(|at: &Path| {
    let new = at.with_file_name("new");
    fs::create_dir(&new).unwrap();
    fs::rename(at.join("vault.yaml"), new.join("vault.yaml")).unwrap();
    fs::remove_dir_all(at).unwrap();
    fs::rename(new, at).unwrap();
}, 1)]
#[tokio::test]
async fn what_is_gone_does_not_decide_any_more(#[case] change: fn(&Path), #[case] targets: usize) {
    let stand = Stand::open().await;
    change(&stand.path("policies"));
    taken_up(&stand, 1).await;
    assert_eq!(stand.running().counter().rules().policies.targets().len(), targets);
    assert_eq!(policies_of(&stand).await, ["jobs/global"]);
}

#[rstest]
#[case::permission_is_lost(|at: &Path| fs::set_permissions(at, fs::Permissions::from_mode(0o000)).unwrap())]
#[case::the_directory_is_gone(|at: &Path| fs::rename(at, at.with_file_name("away")).unwrap())]
#[case::a_file_in_its_place(|at: &Path| {
    fs::rename(at, at.with_file_name("away")).unwrap();
    fs::write(at, "").unwrap();
})]
#[case::a_link_that_leads_nowhere(|at: &Path| symlink("nowhere", at.join("c.yaml")).unwrap())]
#[case::a_link_to_itself(|at: &Path| symlink("c.yaml", at.join("c.yaml")).unwrap())]
#[tokio::test]
async fn what_cannot_be_read_changes_nothing(#[case] change: fn(&Path)) {
    let stand = Stand::open().await;
    let policies = stand.path("policies");
    change(&policies);
    if fs::read_dir(&policies).is_ok() && !policies.join("c.yaml").is_symlink() {
        fs::set_permissions(&policies, fs::Permissions::from_mode(0o700)).unwrap();
        return; // Root reads whatever it likes.
    }
    kept_out(&stand, 1).await;
    assert_eq!(policies_of(&stand).await, ["jobs/global"]);
    assert_eq!(policies_check(&stand).await["ok"], false);
    // And back.
    if policies.is_dir() {
        fs::set_permissions(&policies, fs::Permissions::from_mode(0o700)).unwrap();
        let _ = fs::remove_file(policies.join("c.yaml"));
    } else {
        let _ = fs::remove_file(&policies);
        fs::rename(policies.with_file_name("away"), &policies).unwrap();
    }
    eventually("it is read again", || counts(&stand)[1] == 1).await;
    assert_eq!(policies_check(&stand).await["ok"], true);
}

#[tokio::test]
async fn a_file_that_is_written_in_parts_decides_once_it_is_whole() {
    let stand = Stand::open().await;
    let text = granting("jobs/other");
    let (half, _) = text.split_at(text.find("that: '!has(claims.run)").unwrap());
    stand.write(VAULT, half);
    kept_out(&stand, 1).await;
    assert_eq!(policies_of(&stand).await, ["jobs/global"]);
    stand.write(VAULT, &text);
    taken_up(&stand, 1).await;
    assert_eq!(policies_of(&stand).await, ["jobs/other"]);
}

#[tokio::test]
async fn our_own_tokens_are_not_trusted_whatever_the_file_calls_us_by_now() {
    let stand = Stand::open().await;
    let entries = entry("workloads", stand.issuer.name(), "replay: reusable")
        + &entry("own", "https://cambio.example.com", "keys: {jwks_url: https://cambio.example.com/jwks}");
    stand.write("cambio.yaml", &configuration(&entries, "issuer: https://other.example.com"));
    kept_out(&stand, 1).await;
    assert_eq!(stand.running().counter().rules().issuers.len(), 1);
}

#[tokio::test]
async fn asked_for_without_a_change_the_rules_are_read_and_stay() {
    let stand = Stand::open().await;
    let before = stand.running().counter().rules();
    stand.running().reload();
    eventually("the rules are read", || counts(&stand)[1] == 1).await;
    assert!(Arc::ptr_eq(&before, &stand.running().counter().rules()));
    assert_eq!(counts(&stand), [0, 1, 0]);
}
