//! Revocations that replicas share, over a real PostgreSQL; and what is the same over the embedded database.

#![allow(clippy::disallowed_methods, reason = "how long a look takes is what is asked")]

use super::*;
use crate::clock::Clock;
use crate::state::database::Scope;
use crate::state::real_postgres::Postgres;
use rstest::rstest;
use std::time::Instant;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const DAY: u64 = 86_400;

fn later(secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(secs))
}

/// A database that replicas share, or stand in for one, and a data directory.
struct Home {
    postgres: Option<Postgres>,
    file: Option<Database>,
    dir: PrivateDir,
    _home: tempfile::TempDir,
}

impl Home {
    async fn of(engine: &str) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(&home.path().join("data")).unwrap();
        let (postgres, file) = match engine {
            "sqlite" => (None, Some(Database::open(&dir, NOW).await.unwrap())),
            _ => (Some(Postgres::start()?), None),
        };
        Some(Self { postgres, file, dir, _home: home })
    }

    async fn database(&self) -> Database {
        match (&self.file, &self.postgres) {
            (Some(file), _) => file.clone(),
            (None, Some(postgres)) => Database::connect(&postgres.database_url(), NOW).await.unwrap(),
            (None, None) => unreachable!(),
        }
    }

    async fn replica(&self) -> Arc<Revocations> {
        Arc::new(Revocations::share(self.database().await, &self.dir, NOW).await.unwrap())
    }

    fn postgres(&mut self) -> &mut Postgres {
        self.postgres.as_mut().unwrap()
    }
}

#[rstest]
#[case("sqlite")]
#[case("postgres")]
#[tokio::test]
async fn what_one_replica_revokes_the_others_know_after_their_next_look(#[case] engine: &str) {
    let Some(home) = Home::of(engine).await else { return };
    let (one, other) = (home.replica().await, home.replica().await);
    for _ in 0..2 {
        one.revoke("a", later(60), NOW).await.unwrap();
    }
    assert!(one.is_revoked("a", NOW) && !other.is_revoked("a", NOW));
    // It does not know of it, and revokes it again.
    other.revoke("a", later(60), NOW).await.unwrap();
    other.revoke("b", later(60), NOW).await.unwrap();
    for replica in [&one, &other] {
        replica.look(later(1)).await.unwrap();
        assert!(replica.is_revoked("a", NOW) && replica.is_revoked("b", NOW) && !replica.is_revoked("c", NOW));
        assert_eq!(replica.len(), 2);
    }
    assert_eq!(home.replica().await.len(), 2, "a replica that starts knows them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_revocation_is_overlooked_however_many_replicas_revoke_at_once() {
    let Some(home) = Home::of("postgres").await else { return };
    let looking = home.replica().await;
    let mut revoking = Vec::new();
    for replica in 0..4 {
        let revocations = home.replica().await;
        for task in 0..3 {
            let revocations = Arc::clone(&revocations);
            revoking.push(tokio::spawn(async move {
                for number in 0..25 {
                    revocations.revoke(&format!("{replica}-{task}-{number}"), later(60), NOW).await.unwrap();
                }
            }));
        }
    }
    // Looks all the time. Were a number to become visible after a larger one, it would be behind us.
    while revoking.iter().any(|task| !task.is_finished()) {
        looking.look(NOW).await.unwrap();
    }
    for task in revoking {
        task.await.unwrap();
    }
    looking.look(NOW).await.unwrap();
    assert_eq!(looking.len(), 300);
}

#[tokio::test]
async fn a_number_is_given_only_once_all_smaller_ones_can_be_seen() {
    let Some(home) = Home::of("postgres").await else { return };
    let (database, other) = (home.database().await, home.database().await);
    let mut slow = database.write(Scope::Revocations).await.unwrap();
    slow.insert_revocation("slow", later(60)).await.unwrap();
    let fast = tokio::spawn(async move {
        let mut fast = other.write(Scope::Revocations).await.unwrap();
        fast.insert_revocation("fast", later(60)).await.unwrap();
        fast.commit().await.unwrap();
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!fast.is_finished() && database.revocations_after(0, 1).await.unwrap().newest == 0);
    slow.commit().await.unwrap();
    fast.await.unwrap();
    let rows = database.revocations_after(0, 10).await.unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.token_id.as_str()).collect::<Vec<_>>(), ["slow", "fast"]);
}

#[tokio::test]
async fn a_replica_that_cannot_read_goes_on_by_what_it_knows_for_a_minute_and_then_vouches_for_nothing() {
    let Some(mut home) = Home::of("postgres").await else { return };
    let (one, other) = (home.replica().await, home.replica().await);
    one.revoke("a", later(600), NOW).await.unwrap();
    other.look(later(1)).await.unwrap();
    home.postgres().kill();
    let began = Instant::now();
    assert!(matches!(one.revoke("b", later(600), later(2)).await, Err(RevocationError::Database(_))));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let began = Instant::now();
    assert!(one.revoke("b", later(600), later(2)).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(!one.is_revoked("b", later(2)), "what is not kept is not revoked");
    assert!(other.look(later(3)).await.is_err());
    assert!(other.is_revoked("a", later(3)) && !other.is_revoked("c", later(3)) && !other.is_blind(later(61)));
    let status = other.shared(later(3)).unwrap();
    assert!(status.read == later(1) && !status.blind && status.error.is_some(), "{status:?}");
    assert!(other.is_blind(later(62)) && other.is_revoked("c", later(62)));

    home.postgres().start_again();
    one.revoke("b", later(600), later(63)).await.unwrap_or(());
    for _ in 0..50 {
        if one.revoke("b", later(600), later(63)).await.is_ok() && other.look(later(64)).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!other.is_blind(later(64)) && !other.is_revoked("c", later(64)));
    assert!(other.is_revoked("a", later(64)) && other.is_revoked("b", later(64)));
    assert_eq!(other.shared(later(64)).unwrap().error, None);
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_make_an_old_look_young() {
    let Some(mut home) = Home::of("postgres").await else { return };
    let replica = home.replica().await;
    replica.look(later(5000)).await.unwrap();
    home.postgres().kill();
    assert!(replica.look(later(10)).await.is_err());
    assert!(!replica.is_blind(later(70)) && replica.is_blind(later(71)));
}

#[tokio::test]
async fn a_database_that_was_restored_to_before_is_read_anew() {
    let Some(home) = Home::of("postgres").await else { return };
    let (one, other) = (home.replica().await, home.replica().await);
    for id in ["a", "b", "c"] {
        one.revoke(id, later(600), NOW).await.unwrap();
    }
    other.look(NOW).await.unwrap();
    let restored =
        "DELETE FROM revocations WHERE token_id <> 'a'; ALTER TABLE revocations ALTER COLUMN id RESTART WITH 2";
    home.postgres.as_ref().unwrap().ask(restored);
    home.replica().await.revoke("d", later(600), NOW).await.unwrap();
    other.look(later(1)).await.unwrap();
    assert!(["a", "b", "c", "d"].iter().all(|id| other.is_revoked(id, NOW)), "what was known stays known");
}

#[rstest]
#[case("sqlite")]
#[case("postgres")]
#[tokio::test]
async fn what_is_long_over_is_dropped_from_memory_and_from_the_table_and_nothing_else(#[case] engine: &str) {
    let Some(home) = Home::of(engine).await else { return };
    let replica = home.replica().await;
    // By the time of the last look it is now, also by the server's clock.
    let began = Clock::System.now().minus(Duration::from_secs(1000 + DAY));
    let later = |secs| began.plus(Duration::from_secs(secs));
    replica.revoke("old", later(60), began).await.unwrap();
    replica.revoke("new", later(60 + DAY), began).await.unwrap();
    replica.revoke("over", began.minus(Duration::from_secs(DAY)), began).await.unwrap();
    replica.look(later(59 + DAY)).await.unwrap();
    assert_eq!(replica.len(), 2, "a clock may be ahead, and set right again");
    replica.look(later(1000 + DAY)).await.unwrap();
    assert!(replica.len() == 1 && replica.is_revoked("new", later(1000 + DAY)));
    let rows = home.database().await.revocations_after(0, 10).await.unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.token_id.as_str()).collect::<Vec<_>>(), ["new"]);
}

#[rstest]
#[case("sqlite")]
#[case("postgres")]
#[tokio::test]
async fn a_clock_that_is_far_behind_and_an_odd_row_stop_the_start(#[case] engine: &str) {
    let Some(home) = Home::of(engine).await else { return };
    home.replica().await.revoke("a", later(60), NOW).await.unwrap();
    let behind = Revocations::share(home.database().await, &home.dir, Timestamp::from_secs(0)).await;
    assert!(matches!(behind, Err(RevocationError::Clock { .. })), "{behind:?}");
    home.database().await.tamper("INSERT INTO revocations (token_id, expires_ms) VALUES ('a b', 1795000060000)").await;
    let odd = Revocations::share(home.database().await, &home.dir, NOW).await;
    assert!(matches!(odd, Err(RevocationError::Database(DatabaseError::Damaged(_)))), "{odd:?}");
}

#[rstest]
#[case("")]
#[case("a b")]
#[case("a\n1795000600 c")]
#[case("é")]
#[tokio::test]
async fn an_id_that_is_none_of_ours_is_refused(#[case] token_id: &str) {
    let home = Home::of("sqlite").await.unwrap();
    let shared = home.replica().await;
    let journal = Arc::new(Revocations::open(&home.dir, NOW).unwrap());
    for revocations in [shared, journal] {
        let refused = revocations.revoke(token_id, later(60), NOW).await;
        assert!(matches!(refused, Err(RevocationError::Foreign)), "{refused:?}");
    }
}

#[tokio::test]
async fn what_a_journal_holds_is_revoked_in_the_database_that_takes_its_place() {
    let home = Home::of("sqlite").await.unwrap();
    let journal = Arc::new(Revocations::open(&home.dir, NOW).unwrap());
    journal.revoke("a", later(60), NOW).await.unwrap();
    journal.revoke("over", NOW, NOW).await.unwrap();
    assert!(journal.shared(NOW).is_none() && !journal.is_blind(later(DAY)));
    drop(journal);
    for _ in 0..2 {
        let shared = Revocations::share(home.database().await, &home.dir, NOW).await.unwrap();
        assert!(shared.is_revoked("a", NOW) && shared.len() == 2);
    }
    assert!(Revocations::open(&home.dir, NOW).unwrap().is_revoked("a", NOW), "the journal stays");
}

#[tokio::test]
async fn a_table_that_somebody_else_fills_does_not_fill_the_memory() {
    let Some(home) = Home::of("postgres").await else { return };
    let fill = "INSERT INTO revocations (token_id, expires_ms) SELECT 'x' || n, 1795000060000 FROM generate_series(1, 61000) n";
    let _ = home.replica().await;
    home.postgres.as_ref().unwrap().ask(fill);
    let full = Revocations::share(home.database().await, &home.dir, NOW).await;
    assert!(matches!(full, Err(RevocationError::Full)), "{full:?}");
}
