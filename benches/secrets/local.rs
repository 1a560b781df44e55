//! The local store: sealing, queries, reads and writes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use cambio::clock::Timestamp;
use cambio::jose::SealingKey;
use cambio::secrets::local::{KvVersion, LocalLimits, LocalStore, MasterKey, MasterKeys};
use cambio::secrets::{FolderPath, KvAnswer, KvMethod, KvRequest, SecretData, SecretPath};
use cambio::state::PrivateDir;
use cambio::state::database::{Database, Place};

use crate::report::Report;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const SECRETS: usize = 10_000;
const RUNS: usize = 5;

/// A JSON object of `bytes` bytes.
fn value(bytes: usize) -> SecretData {
    let json = format!(r#"{{"value":"{}"}}"#, "x".repeat(bytes - 12));
    SecretData::new(json.into_bytes().into()).unwrap()
}

fn micros(began: Instant, count: usize) -> f64 {
    began.elapsed().as_secs_f64() * 1e6 / count as f64
}

fn best(mut run: impl FnMut() -> f64) -> f64 {
    (0..RUNS).map(|_| run()).fold(f64::INFINITY, f64::min)
}

pub fn sealing(report: &mut Report) {
    let key = SealingKey::new(&[7; 32]).unwrap();
    let place = [1; 120];
    for (name, bytes, count) in [("200 B", 200, 100_000), ("1 MiB", 1 << 20, 100)] {
        let plain = vec![b'x'; bytes];
        let sealed = key.seal(&place, &plain).unwrap();
        let seal = || {
            let began = Instant::now();
            (0..count).for_each(|_| drop(black_box(key.seal(&place, &plain).unwrap())));
            micros(began, count)
        };
        report.row(&format!("seal {name}"), best(seal), "us");
        let open = || {
            let began = Instant::now();
            (0..count).for_each(|_| drop(black_box(key.open(&place, sealed.clone()).unwrap())));
            micros(began, count)
        };
        report.row(&format!("open {name}"), best(open), "us");
    }
}

/// Answers what one read costs, in microseconds.
pub fn reads_and_writes(report: &mut Report) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let home = tempfile::tempdir().unwrap();
    let (database, store) = runtime.block_on(filled(&home.path().join("data")));
    let read_at =
        |number: usize| KvRequest::Secret(SecretPath::new(&path(number)).unwrap(), KvMethod::Read { version: None });
    let reads: Arc<Vec<KvRequest>> = Arc::new((0..SECRETS).map(|number| read_at(number * 7919 % SECRETS)).collect());

    let query = || {
        runtime.block_on(async {
            let began = Instant::now();
            for number in 0..SECRETS {
                let path = path(number * 7919 % SECRETS);
                let place = Place { namespace: "", mount: "kv", path: &path };
                black_box(database.value(place, None).await.unwrap().unwrap());
            }
            micros(began, SECRETS)
        })
    };
    report.row("one query, 200 B, one after the other", best(query), "us");
    let one = || runtime.block_on(async { read_all(&store, &reads, SECRETS).await });
    let read_us = best(one);
    report.row("one read, 200 B, one after the other", read_us, "us");
    for tasks in [4, 32] {
        let many = || {
            runtime.block_on(async {
                let began = Instant::now();
                let running: Vec<_> = (0..tasks)
                    .map(|_| {
                        let (store, reads) = (Arc::clone(&store), Arc::clone(&reads));
                        tokio::spawn(async move { read_all(&store, &reads, SECRETS / tasks).await })
                    })
                    .collect();
                for task in running {
                    task.await.unwrap();
                }
                micros(began, SECRETS / tasks * tasks)
            })
        };
        report.row(&format!("one read, 200 B, {tasks} at the same time"), best(many), "us");
    }
    let missing = KvRequest::Secret(SecretPath::new("team/none").unwrap(), KvMethod::Read { version: None });
    let absent = || {
        runtime.block_on(async {
            let began = Instant::now();
            for _ in 0..SECRETS {
                black_box(store.run(None, "kv", KvVersion::V2, &missing, NOW).await.unwrap_err());
            }
            micros(began, SECRETS)
        })
    };
    report.row("one read of what is missing", best(absent), "us");
    let probe = || {
        runtime.block_on(async {
            let began = Instant::now();
            for read in reads.iter() {
                store.probe(None, "kv", read).await;
            }
            micros(began, SECRETS)
        })
    };
    report.row("one probe, for a caller who is refused", best(probe), "us");
    let folder = KvRequest::List(FolderPath::new("team7").unwrap());
    let list = || {
        runtime.block_on(async {
            let began = Instant::now();
            for _ in 0..100 {
                black_box(store.run(None, "kv", KvVersion::V2, &folder, NOW).await.unwrap());
            }
            micros(began, 100)
        })
    };
    report.row("one list of 1000 names", best(list), "us");
    let write = || {
        runtime.block_on(async {
            let began = Instant::now();
            for number in 0..100 {
                write(&store, number).await;
            }
            micros(began, 100)
        })
    };
    report.row("one write, 200 B, the disk waited for", best(write), "us");
    read_us
}

fn path(number: usize) -> String {
    format!("team{}/service-{number}", number % 10)
}

async fn filled(data: &std::path::Path) -> (Database, Arc<LocalStore>) {
    let database = Database::open(&PrivateDir::open(data).unwrap(), NOW).await.unwrap();
    let master = MasterKey::from_text(&"0123456789abcdef".repeat(4)).unwrap();
    let master = MasterKeys::new(master, Vec::new()).unwrap();
    let store = Arc::new(LocalStore::open(database.clone(), master, LocalLimits::default()).await.unwrap());
    for number in 0..SECRETS {
        write(&store, number).await;
    }
    (database, store)
}

async fn write(store: &LocalStore, number: usize) {
    let method = KvMethod::Write { data: value(200), cas: None };
    let request = KvRequest::Secret(SecretPath::new(&path(number)).unwrap(), method);
    store.run(None, "kv", KvVersion::V2, &request, NOW).await.unwrap();
}

async fn read_all(store: &LocalStore, reads: &[KvRequest], count: usize) -> f64 {
    let began = Instant::now();
    for read in reads.iter().take(count) {
        match store.run(None, "kv", KvVersion::V2, read, NOW).await.unwrap() {
            KvAnswer::Version { data: Some(data), .. } => drop(black_box(data)),
            other => panic!("{other:?}"),
        }
    }
    micros(began, count)
}
