//! Two replicas, each with connections of its own, over one PostgreSQL; and databases of earlier releases.

#![allow(clippy::disallowed_methods, reason = "how long replicas take is what is asked")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rstest::rstest;
use zeroize::Zeroizing;

use super::*;
use crate::secrets::{MetadataUpdate, SecretPath};
use crate::state::PrivateDir;
use crate::state::database::Scope;
use crate::state::real_postgres::Postgres;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

fn master() -> MasterKeys {
    let key = MasterKey::from_text(&format!("01{}", "aa".repeat(31))).unwrap();
    MasterKeys::new(key, Vec::new()).unwrap()
}

async fn replica(server: &Postgres) -> Arc<LocalStore> {
    let database = Database::connect(&server.database_url(), NOW).await.unwrap();
    Arc::new(LocalStore::open(database, master(), LocalLimits::default()).await.unwrap())
}

async fn replicas() -> Option<(Postgres, [Arc<LocalStore>; 2])> {
    let server = Postgres::start()?;
    let both = [replica(&server).await, replica(&server).await];
    Some((server, both))
}

async fn ask(store: &LocalStore, namespace: &str, path: &str, method: KvMethod) -> Result<KvAnswer, KvError> {
    let namespace = Some(namespace).filter(|name| !name.is_empty()).map(|name| Namespace::new(name).unwrap());
    let request = KvRequest::Secret(SecretPath::new(path).unwrap(), method);
    store.run(namespace.as_ref(), "kv", KvVersion::V2, &request, NOW).await
}

async fn put(store: &LocalStore, namespace: &str, path: &str, value: &str, cas: Option<u64>) -> Result<u64, KvError> {
    let json = format!(r#"{{"v":"{value}"}}"#);
    let data = SecretData::new(Zeroizing::new(json.into_bytes())).unwrap();
    match ask(store, namespace, path, KvMethod::Write { data, cas }).await? {
        KvAnswer::Written { metadata, .. } => Ok(metadata.version),
        other => panic!("{other:?}"),
    }
}

async fn value(store: &LocalStore, namespace: &str, path: &str, version: Option<u64>) -> String {
    match ask(store, namespace, path, KvMethod::Read { version }).await.unwrap() {
        KvAnswer::Version { data, .. } => String::from_utf8(data.unwrap().as_json().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_version_number_is_given_twice_and_no_write_is_lost() {
    let Some((server, stores)) = replicas().await else { return };
    let keep = MetadataUpdate { max_versions: Some(500), ..MetadataUpdate::default() };
    ask(&stores[0], "", "a", KvMethod::WriteMetadata(keep)).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for worker in 0..6 {
        let store = Arc::clone(&stores[worker % 2]);
        writers.spawn(async move {
            let mut written = Vec::new();
            for n in 0..20 {
                let value = format!("{worker}-{n}");
                written.push((put(&store, "", "a", &value, None).await.unwrap(), value));
            }
            written
        });
    }
    let written: Vec<(u64, String)> = writers.join_all().await.into_iter().flatten().collect();
    let numbers: BTreeSet<u64> = written.iter().map(|(version, _)| *version).collect();
    assert_eq!(numbers, (1..=120).collect());
    let fresh = replica(&server).await;
    for (version, expected) in written {
        assert_eq!(value(&fresh, "", "a", Some(version)).await, format!(r#"{{"v":"{expected}"}}"#));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_that_check_and_set_one_wins() {
    let Some((_server, stores)) = replicas().await else { return };
    for round in 0..30 {
        let mut writers = tokio::task::JoinSet::new();
        for worker in 0..4 {
            let store = Arc::clone(&stores[worker % 2]);
            writers.spawn(async move { put(&store, "", "a", &worker.to_string(), Some(round)).await });
        }
        let answers = writers.join_all().await;
        assert_eq!(answers.iter().filter(|answer| **answer == Ok(round + 1)).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| **answer == Err(KvError::CasMismatch)).count(), 3, "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_keys_that_both_rotate_under_writers_open_everything() {
    let Some((server, stores)) = replicas().await else { return };
    put(&stores[0], "", "first", "0", None).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for (worker, store) in stores.iter().enumerate() {
        let (writer, rotator) = (Arc::clone(store), Arc::clone(store));
        tasks.spawn(async move {
            for n in 0..30 {
                let (path, text) = (format!("w{worker}/{n}"), format!("{worker}-{n}"));
                // A write that finds another key five times over is told to come again.
                let mut answer = put(&writer, "", &path, &text, None).await;
                while matches!(answer, Err(KvError::Unavailable(_))) {
                    answer = put(&writer, "", &path, &text, None).await;
                }
                assert_eq!(answer, Ok(1), "what was refused was not written");
            }
        });
        tasks.spawn(async move {
            for _ in 0..10 {
                rotator.rotate_data_key(None, NOW).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let generations = server.ask("SELECT count(*), count(DISTINCT wrapped), max(generation) FROM data_keys");
    let [count, distinct, newest] = generations.split('|').collect::<Vec<_>>()[..] else { panic!("{generations}") };
    assert!(count == distinct && count == newest, "{generations}");
    assert!(count.parse::<u64>().unwrap() >= 11, "{generations}");
    let fresh = replica(&server).await;
    for store in stores.iter().chain([&fresh]) {
        for worker in 0..2 {
            for n in 0..30 {
                let read = value(store, "", &format!("w{worker}/{n}"), None).await;
                assert_eq!(read, format!(r#"{{"v":"{worker}-{n}"}}"#));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_both_begin_at_once_is_one() {
    let Some((server, stores)) = replicas().await else { return };
    for round in 0..20 {
        let mut writers = tokio::task::JoinSet::new();
        for worker in 0..4 {
            let store = Arc::clone(&stores[worker % 2]);
            writers.spawn(async move {
                put(&store, &format!("n{round}"), &format!("s{worker}"), &worker.to_string(), None).await
            });
        }
        assert_eq!(writers.join_all().await, [Ok(1), Ok(1), Ok(1), Ok(1)]);
        for worker in 0..4 {
            let read = value(&stores[0], &format!("n{round}"), &format!("s{worker}"), None).await;
            assert_eq!(read, format!(r#"{{"v":"{worker}"}}"#));
        }
    }
    assert_eq!(server.ask("SELECT count(*), min(secrets), max(secrets) FROM secret_namespaces"), "20|4|4");
    assert_eq!(server.ask("SELECT count(*) FROM data_keys"), "20");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_stops_in_the_middle_holds_up_its_namespace_for_ten_seconds_and_no_other() {
    let Some((_server, stores)) = replicas().await else { return };
    put(&stores[0], "", "a", "1", None).await.unwrap();
    let stopped = stores[0].database.write(Scope::Secrets("")).await.unwrap();
    let began = Instant::now();
    put(&stores[1], "n", "a", "1", None).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(value(&stores[1], "", "a", None).await, r#"{"v":"1"}"#, "readers do not wait");
    let refused = put(&stores[1], "", "a", "2", None).await;
    assert!(matches!(refused, Err(KvError::Unavailable(_))), "{refused:?}");
    while put(&stores[1], "", "a", "2", None).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(stopped.commit().await.is_err(), "the server has given up on it");
    assert_eq!(value(&stores[0], "", "a", None).await, r#"{"v":"2"}"#);
}

/// A database of layout 1 with secrets in it, in the words of an engine.
fn layout_1(engine: &str) -> String {
    let text = include_str!("../../state/database/fixtures/layout-1.sql");
    let words = match engine {
        "sqlite" => [("TEXT_C", "TEXT"), ("BYTES", "BLOB"), (" ID,", " INTEGER PRIMARY KEY,"), ("X(", "x'")],
        _ => [
            ("TEXT_C", "TEXT COLLATE \"C\""),
            ("BYTES", "BYTEA"),
            (" ID,", " BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,"),
            ("X(", "'\\x"),
        ],
    };
    let text: String = text.lines().filter(|line| !line.starts_with("--")).map(|line| format!("{line}\n")).collect();
    words.iter().fold(text, |text, (word, spelt)| text.replace(word, spelt)).replace(")X", "'")
}

#[rstest]
#[case("sqlite")]
#[case("postgres")]
#[tokio::test]
async fn a_database_of_layout_1_is_brought_forward_and_its_secrets_are_read(#[case] engine: &str) {
    let home = tempfile::tempdir().unwrap();
    let dir = PrivateDir::open(&home.path().join("data")).unwrap();
    let server = if engine == "postgres" {
        let Some(server) = Postgres::start() else { return };
        server.ask(&layout_1(engine));
        Some(server)
    } else {
        Database::make_file(&dir, &layout_1(engine)).await;
        None
    };
    for _ in 0..2 {
        let database = match &server {
            Some(server) => Database::connect(&server.database_url(), NOW).await.unwrap(),
            None => Database::open(&dir, NOW).await.unwrap(),
        };
        assert!(database.lease("none").await.unwrap().is_none(), "the tables of later layouts are there");
        let store = LocalStore::open(database.clone(), master(), LocalLimits::default()).await.unwrap();
        assert_eq!(value(&store, "", "app/db", Some(1)).await, r#"{"v":"one"}"#);
        assert_eq!(value(&store, "", "app/db", Some(2)).await, r#"{"v":"two"}"#);
        assert_eq!(value(&store, "team", "app/db", None).await, r#"{"v":"theirs"}"#);
        match ask(&store, "", "app/db", KvMethod::ReadMetadata).await.unwrap() {
            KvAnswer::Metadata(metadata) => {
                assert_eq!(metadata.custom_metadata.unwrap()["owner"], "payments");
            }
            other => panic!("{other:?}"),
        }
        let next = put(&store, "", &format!("new/{}", database.masters().await.unwrap().len()), "new", None).await;
        assert!(next.is_ok(), "{next:?}");
        database.check().await.unwrap();
        database.close().await;
    }
}
