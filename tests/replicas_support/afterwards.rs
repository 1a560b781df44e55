//! What is true when the killing is over: of every acknowledgement, and of both journals.

#![allow(clippy::print_stdout, reason = "what was done, and how often")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cambio::audit::Record;
use tokio::task::JoinSet;

use super::callers::{PATHS, SOON, World, version_and_value};
use super::{Call, Replica};

/// How long before a kill an answer may have come whose record is lost with the process: 10 ms, as documented, on a machine
/// that gives the journal's thread a core when it wants one; this one has others to run.
const LOST_AT_MOST: Duration = Duration::from_millis(500);

/// When a replica was killed.
pub type Kills = Vec<(usize, Instant)>;

/// Every version that was acknowledged is there with its value, no write was done twice, and no version is missing.
pub async fn every_acknowledged_version_is_there(world: &Arc<World>) {
    let mut reading = JoinSet::new();
    for number in 0..PATHS {
        let world = Arc::clone(world);
        reading.spawn(async move {
            let path = format!("app/{number}");
            let about = world.replicas.at(0, &Call::get(&world.job, format!("/v1/secret/metadata/{path}"))).await;
            let newest = about.unwrap().json()["data"]["current_version"].as_u64().unwrap();
            assert!(newest >= world.ledger.newest(&path));
            let mut values = BTreeSet::new();
            for version in 1..=newest {
                let replica = usize::try_from(version % 2).unwrap();
                let call = Call::value(&world.job, &number.to_string(), Some(version));
                let answer = world.replicas.at(replica, &call).await.unwrap();
                assert_eq!(answer.status, 200, "{path} {version}: {}", answer.text);
                let (told, value) = version_and_value(&answer);
                assert_eq!(told, version);
                world.ledger.is_right(&path, version, &value);
                assert!(values.insert(value), "{path}: what is version {version} was written twice");
            }
            newest
        });
    }
    let found: u64 = reading.join_all().await.iter().sum();
    let (written, attempted) = world.ledger.with(|entries| (entries.written.len(), entries.attempted.len()));
    println!("writes: {attempted} tried, {written} acknowledged, {found} found");
    assert!(found >= u64::try_from(written).unwrap() && found <= u64::try_from(attempted).unwrap());
}

/// Tokens of acknowledged rotations are good at both replicas, those of acknowledged revocations at neither; and none that was
/// admitted once is admitted again.
pub async fn every_token_is_what_was_said_of_it(world: &Arc<World>) {
    let (rotated, revoked, presented) = world
        .ledger
        .with(|entries| (entries.rotated.clone(), entries.revoked.clone(), std::mem::take(&mut entries.presented)));
    if let Some(last) = revoked.last() {
        tokio::time::sleep(SOON.saturating_sub(last.at.elapsed())).await;
    }
    let both = [0, 1].map(async |replica| {
        for (expected, tokens) in [(200, &rotated), (401, &revoked)] {
            for noted in tokens {
                let answer = world.replicas.at(replica, &Call::value(&noted.token, "0", None)).await.unwrap();
                assert_eq!(answer.status, expected, "{}", answer.text);
            }
        }
        for (token, _) in presented.iter().filter(|(_, admitted)| *admitted).step_by(1 + presented.len() / 200) {
            let answer = world.replicas.at(replica, &Call::exchange(token, "vault")).await.unwrap();
            assert_eq!(answer.status, 400, "{}", answer.text);
        }
    });
    let [one, other] = both;
    tokio::join!(one, other);
    let admitted = presented.iter().filter(|(_, admitted)| *admitted).count();
    println!(
        "tokens: {} of one use presented, {admitted} known to be admitted; {} rotations, {} revocations acknowledged",
        presented.len(),
        rotated.len(),
        revoked.len()
    );
    for (what, count) in [("admitted", admitted), ("rotated", rotated.len()), ("revoked", revoked.len())] {
        assert!(count >= 50, "too few were {what} to mean anything: {count}");
    }
}

/// Both journals verify, admit no token twice, serve nobody who may not read, and have a record of all that was acknowledged,
/// but for what a killed process had not handed over yet.
pub fn both_journals_are_whole(world: &World, kills: &Kills) {
    let journals: Vec<Journal> = world.replicas.both.iter().map(Journal::verified).collect();
    let all = || journals.iter().flat_map(|journal| journal.records.values());
    let mut admitted = BTreeSet::new();
    for record in all().filter(|record| record.outcome == "issued") {
        let token = record.token.as_ref().unwrap();
        assert!(admitted.insert(token), "admitted twice: {record:?}");
    }
    let served = all().filter(|record| record.outcome == "served");
    for record in served {
        let (subject, path) = (record.subject.as_deref().unwrap(), record.path.as_deref().unwrap());
        let outsider = ["workloads:outsider-1", "service-accounts:group_100/group_200/elsewhere"].contains(&subject);
        assert_eq!(outsider, path.contains("/outside/"), "{record:?}");
    }
    let acknowledged = world.ledger.with(|entries| std::mem::take(&mut entries.acknowledged));
    let (mut lost, mut oldest) = (0, Duration::ZERO);
    for done in &acknowledged {
        match journals[done.replica].records.get(&done.decision) {
            Some(record) => {
                let outcome = record.outcome.as_str();
                assert!(["issued", "served", "done"].contains(&outcome), "{}: {record:?}", done.kind);
            }
            None => {
                // The answer can have come to its caller a moment after the replica was gone.
                let of_this = kills.iter().filter(|(replica, _)| *replica == done.replica);
                let kill = of_this.map(|(_, at)| *at).find(|at| *at + LOST_AT_MOST > done.at);
                let age = kill.map(|at| at.saturating_duration_since(done.at));
                assert!(
                    age.is_some_and(|age| age < LOST_AT_MOST),
                    "no record of {done:?}, {age:?} before the next kill of that replica"
                );
                (lost, oldest) = (lost + 1, oldest.max(age.unwrap()));
            }
        }
    }
    let count = |journal: &Journal| (journal.records.len(), journal.torn);
    println!(
        "journals: {:?} and {:?} (records, torn lines); of {} acknowledged decisions {lost} went with a killed process, the \
         oldest {oldest:?} before it",
        count(&journals[0]),
        count(&journals[1]),
        acknowledged.len()
    );
    assert!(lost * 50 <= acknowledged.len(), "{lost} of {}", acknowledged.len());
}

struct Journal {
    records: BTreeMap<String, Record>,
    torn: usize,
}

impl Journal {
    /// The journal of a replica that has stopped; with the heads that lie in the database it verifies.
    fn verified(replica: &Replica) -> Self {
        let verified = replica.run(&["audit", "verify", "--heads", "store"]);
        let said = String::from_utf8_lossy(&verified.stdout).into_owned() + &String::from_utf8_lossy(&verified.stderr);
        assert!(verified.status.success() && said.ends_with("good\n"), "{}: {said}", replica.name);
        assert_eq!(said.lines().filter(|line| line.starts_with("chain ")).count(), 1, "{said}");
        let mut this = Self { records: BTreeMap::new(), torn: 0 };
        for file in fs::read_dir(replica.path("cambio-data/audit")).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            for line in String::from_utf8_lossy(&bytes).lines() {
                if line.starts_with("{\"v\":1,\"id\":") {
                    // One that was cut off is named by a line `torn`.
                    let Ok(record) = serde_json::from_str::<Record>(line) else { continue };
                    let twice = this.records.insert(record.id.clone(), record);
                    assert!(twice.is_none(), "{twice:?}");
                }
                this.torn += usize::from(line.contains("\"kind\":\"torn\""));
            }
        }
        this
    }
}
