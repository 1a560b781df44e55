//! Shared keys, over a file and over a PostgreSQL.

use super::*;
use crate::secrets::local::MasterKey;
use crate::state::PrivateDir;
use crate::state::real_postgres::Postgres;
use rstest::rstest;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

/// This file is two modules: one over a file, one over a PostgreSQL.
async fn database() -> ((tempfile::TempDir, Option<Postgres>), Database) {
    let home = tempfile::tempdir().unwrap();
    let server = module_path!().ends_with("on_postgres").then(Postgres::start).flatten();
    let database = match &server {
        Some(server) => Database::connect(&server.database_url(), NOW).await.unwrap(),
        None => Database::open(&PrivateDir::open(&home.path().join("data")).unwrap(), NOW).await.unwrap(),
    };
    ((home, server), database)
}

fn master(byte: u8) -> MasterKey {
    MasterKey::from_text(&format!("{}{}", "00".repeat(31), hex(byte))).unwrap()
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}")
}

async fn keys(database: &Database, first: u8, others: &[u8]) -> Result<WrappedKeys, LocalError> {
    let others = others.iter().map(|byte| master(*byte)).collect();
    WrappedKeys::open(database.clone(), MasterKeys::new(master(first), others).unwrap()).await
}

#[tokio::test]
async fn a_name_has_one_key_which_stays_and_is_nobody_elses() {
    let (_home, database) = database().await;
    let shared = keys(&database, 1, &[]).await.unwrap();
    let one = shared.obtain("one", NOW).await.unwrap();
    assert_eq!(*shared.obtain("one", NOW.plus(std::time::Duration::from_secs(9))).await.unwrap(), *one);
    assert_eq!(*keys(&database, 1, &[]).await.unwrap().obtain("one", NOW).await.unwrap(), *one);
    assert_ne!(*shared.obtain("two", NOW).await.unwrap(), *one);
    let row = database.wrapped_key("one").await.unwrap().unwrap();
    assert!(!row.wrapped.windows(16).any(|part| part == &one[..16]), "it is wrapped");
    assert_eq!(row.created, NOW);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_at_once_for_the_first_time_get_the_same_key() {
    let (_home, database) = database().await;
    for round in 0..5 {
        let asking = (0..16).map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                let shared = keys(&database, 1, &[]).await.unwrap();
                *shared.obtain(&format!("round {round}"), NOW).await.unwrap()
            })
        });
        let mut got = Vec::new();
        for asking in asking.collect::<Vec<_>>() {
            got.push(asking.await.unwrap());
        }
        got.dedup();
        assert_eq!(got.len(), 1, "round {round}");
    }
}

#[rstest]
#[case::swapped(
    "UPDATE wrapped_keys SET wrapped = (SELECT wrapped FROM wrapped_keys WHERE name = 'two') WHERE name = 'one'"
)]
#[case::renamed("DELETE FROM wrapped_keys WHERE name = 'one'; UPDATE wrapped_keys SET name = 'one' WHERE name = 'two'")]
#[case::edited("UPDATE wrapped_keys SET wrapped = master WHERE name = 'one'")]
#[case::of_another_master("UPDATE wrapped_keys SET master = wrapped WHERE name = 'one'")]
#[tokio::test]
async fn a_row_that_was_tampered_with_is_refused_and_not_replaced(#[case] sql: &'static str) {
    let (_home, database) = database().await;
    let shared = keys(&database, 1, &[]).await.unwrap();
    shared.obtain("one", NOW).await.unwrap();
    let two = shared.obtain("two", NOW).await.unwrap();
    database.tamper(sql).await;
    for _ in 0..2 {
        let error = shared.obtain("one", NOW).await.unwrap_err();
        assert!(
            matches!(&error, LocalError::WrappedKey(name) if name == "one")
                || matches!(&error, LocalError::UnknownMasterKey { .. }),
            "{error}"
        );
    }
    if !sql.contains("SET name") {
        assert_eq!(*shared.obtain("two", NOW).await.unwrap(), *two);
    }
}

#[tokio::test]
async fn another_master_key_wraps_the_same_keys_anew() {
    let (_home, database) = database().await;
    let before = keys(&database, 1, &[]).await.unwrap();
    let one = before.obtain("one", NOW).await.unwrap();
    assert_eq!(before.rewrap().await.unwrap(), 0);

    let error = keys(&database, 2, &[]).await.unwrap_err();
    assert!(matches!(error, LocalError::UnknownMasterKey { count: 1, missing, .. } if missing == master(1).id()));

    let both = keys(&database, 2, &[1]).await.unwrap();
    assert_eq!((both.rewrap().await.unwrap(), both.rewrap().await.unwrap()), (1, 0));
    assert_eq!(*both.obtain("one", NOW).await.unwrap(), *one);
    assert_eq!(*keys(&database, 2, &[]).await.unwrap().obtain("one", NOW).await.unwrap(), *one);
    // A replica that was started with the old key alone says what it lacks, and makes no second key.
    assert!(matches!(before.obtain("one", NOW).await, Err(LocalError::UnknownMasterKey { .. })));
    assert_eq!(database.masters().await.unwrap(), [(master(2).id().bytes().to_vec(), 1)]);
}
