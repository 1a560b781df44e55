//! What is asked of the store finds what a look at every row would find, over both databases.

use std::time::Duration;

use rstest::rstest;

use crate::audit::decisions::{Cursor, DecisionFilter, Decisions};
use crate::clock::Timestamp;
use crate::identity::DecisionId;
use crate::jose::random;
use crate::state::PrivateDir;
use crate::state::database::{Database, DatabaseError, DecisionRow, HeadRow, MOST_SCANNED, Scope};
use crate::state::real_postgres::Postgres;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

fn row(nth: u64) -> DecisionRow {
    let id = DecisionId::new(NOW.plus(Duration::from_millis(nth)), random().unwrap());
    let of = |names: &[&str], by: u64| names[usize::try_from(nth / by).unwrap() % names.len()].to_owned();
    let (outcome, issuer) = (of(&["issued", "denied"], 1), of(&["gitlab", "github", "cluster"], 2));
    let reason = (outcome == "denied").then(|| of(&["conditions_not_met", "token_expired"], 4));
    let record = serde_json::json!({
        "v": 1, "id": id.to_string(), "time": id.moment().to_string(), "surface": "oauth", "outcome": outcome, "seq": nth,
    });
    DecisionRow {
        id,
        outcome,
        surface: "oauth".to_owned(),
        issuer: Some(issuer),
        subject: Some(of(&["a", "b", "c", "d", "e"], 3)),
        target: (!nth.is_multiple_of(7)).then(|| of(&["prod", "test"], 5)),
        namespace: None,
        reason,
        policy_set: None,
        chain: "c".to_owned(),
        seq: nth,
        record: record.to_string(),
    }
}

/// This file is two modules: one over a file, one over a PostgreSQL.
fn server() -> Option<Postgres> {
    module_path!().ends_with("on_postgres").then(Postgres::start).flatten()
}

async fn filled(rows: &[DecisionRow]) -> ((tempfile::TempDir, Option<Postgres>), Decisions) {
    let (home, server) = (tempfile::tempdir().unwrap(), server());
    let database = match &server {
        Some(server) => Database::connect(&server.database_url(), NOW).await.unwrap(),
        None => Database::open(&PrivateDir::open(&home.path().join("data")).unwrap(), NOW).await.unwrap(),
    };
    let mut write = database.write(Scope::Decisions).await.unwrap();
    write.insert_decisions(rows).await.unwrap();
    write.commit().await.unwrap();
    ((home, server), Decisions::new(database))
}

/// All pages, one after the other.
async fn all(decisions: &Decisions, filter: &DecisionFilter, limit: u32) -> Vec<u64> {
    let (mut after, mut found) = (None, vec![]);
    loop {
        let page = decisions.page(filter, after, limit).await.unwrap();
        assert!(page.decisions.len() <= usize::try_from(limit).unwrap());
        found.extend(page.decisions.iter().map(|decision| decision.seq));
        match page.next {
            // As a caller gives it back.
            Some(next) => after = Some(Cursor::parse(&next.to_string()).unwrap()),
            None => return found,
        }
    }
}

#[tokio::test]
async fn every_filter_finds_what_a_look_at_each_row_finds_newest_first_and_once() {
    let rows: Vec<DecisionRow> = (0..500).map(row).collect();
    let (_home, decisions) = filled(&rows).await;
    let text = |value: &str| Some(value.to_owned());
    for asked in 0..128_u32 {
        let is_given = |bit: u32| asked & (1 << bit) != 0;
        let given = |bit, value| text(value).filter(|_| is_given(bit));
        let filter = DecisionFilter {
            outcome: given(0, "denied"),
            issuer: given(1, "github"),
            subject: given(2, "b"),
            target: given(3, "prod"),
            reason: given(4, "token_expired"),
            since: Some(NOW.plus(Duration::from_millis(100))).filter(|_| is_given(5)),
            until: Some(NOW.plus(Duration::from_millis(400))).filter(|_| is_given(6)),
        };
        let equal = |wanted: &Option<String>, is: Option<&String>| wanted.is_none() || wanted.as_ref() == is;
        let mut expected: Vec<u64> = rows
            .iter()
            .filter(|row| equal(&filter.outcome, Some(&row.outcome)) && equal(&filter.issuer, row.issuer.as_ref()))
            .filter(|row| equal(&filter.subject, row.subject.as_ref()))
            .filter(|row| equal(&filter.target, row.target.as_ref()))
            .filter(|row| equal(&filter.reason, row.reason.as_ref()))
            .filter(|row| filter.since.is_none_or(|since| row.id.moment() >= since))
            .filter(|row| filter.until.is_none_or(|until| row.id.moment() < until))
            .map(|row| row.seq)
            .collect();
        expected.reverse();
        for limit in [1 + asked % 9, 200] {
            assert_eq!(all(&decisions, &filter, limit).await, expected, "{filter:?} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_search_that_hardly_finds_anything_goes_on_where_it_ended() {
    let most = u64::from(MOST_SCANNED);
    let mut rows: Vec<DecisionRow> = (0..most + 50).map(row).collect();
    for row in &mut rows {
        (row.subject, row.reason) = (Some("busy".to_owned()), None);
    }
    rows[3].reason = Some("rare".to_owned());
    let (_home, decisions) = filled(&rows).await;
    let filter = DecisionFilter {
        subject: Some("busy".to_owned()),
        reason: Some("rare".to_owned()),
        ..DecisionFilter::default()
    };
    let first = decisions.page(&filter, None, 10).await.unwrap();
    assert!(first.decisions.is_empty());
    let second = decisions.page(&filter, first.next, 10).await.unwrap();
    assert_eq!(second.decisions.iter().map(|one| one.seq).collect::<Vec<_>>(), [3]);
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn a_decision_is_found_by_its_id_and_kept_once() {
    let rows = [row(1), row(2)];
    let (_home, decisions) = filled(&rows).await;
    let found = decisions.find(rows[1].id).await.unwrap().unwrap();
    assert_eq!((found.seq, found.record.id), (2, rows[1].id.to_string()));
    assert!(decisions.find(row(2).id).await.unwrap().is_none());
    let mut write = decisions.0.write(Scope::Decisions).await.unwrap();
    let other = DecisionRow { outcome: "other".to_owned(), ..rows[1].clone() };
    write.insert_decisions(&[other]).await.unwrap();
    write.commit().await.unwrap();
    let filter = DecisionFilter { outcome: Some("other".to_owned()), ..DecisionFilter::default() };
    assert!(decisions.page(&filter, None, 10).await.unwrap().decisions.is_empty());
}

#[rstest]
#[case::none(0)]
#[case::fewer_than_a_statement_has(15)]
#[case::a_statement(16)]
#[case::more(50)]
#[tokio::test]
async fn as_many_as_are_given_are_kept_whole(#[case] count: u64) {
    let rows: Vec<DecisionRow> = (1..=count).map(row).collect();
    let (_home, decisions) = filled(&rows).await;
    for row in &rows {
        let found = decisions.find(row.id).await.unwrap().unwrap();
        assert_eq!((found.seq, found.record.id), (row.seq, row.id.to_string()));
    }
    let newest: Vec<u64> = (1..=count).rev().collect();
    assert_eq!(all(&decisions, &DecisionFilter::default(), 200).await, newest);
}

#[tokio::test]
async fn a_text_that_one_engine_does_not_take_is_taken_by_neither_and_sought_as_it_is_kept() {
    let kept = DecisionRow { target: Some("a\u{fffd}b".to_owned()), ..row(1) };
    let (_home, decisions) = filled(&[kept]).await;
    let mut write = decisions.0.write(Scope::Decisions).await.unwrap();
    let odd = DecisionRow { target: Some("a\0b".to_owned()), ..row(2) };
    let refused = write.insert_decisions(&[odd]).await;
    assert!(matches!(refused, Err(DatabaseError::Failed(_))), "{refused:?}");
    drop(write);
    let filter = DecisionFilter { target: Some("a\0b".to_owned()), ..DecisionFilter::default() };
    assert_eq!(all(&decisions, &filter, 10).await, [1]);
}

#[rstest]
#[case(1, 499, 499)]
#[case(500, 0, 500)]
#[tokio::test]
async fn what_is_old_or_too_many_is_forgotten_oldest_first(#[case] end: u64, #[case] newer: u64, #[case] kept: usize) {
    let rows: Vec<DecisionRow> = (0..500).map(row).collect();
    let (_home, decisions) = filled(&rows).await;
    let database = &decisions.0;
    assert_eq!(
        database.decision_with_newer(newer).await.unwrap(),
        Some(rows[usize::try_from(499 - newer).unwrap()].id)
    );
    assert_eq!(database.decision_with_newer(500).await.unwrap(), None);
    let mut write = database.write(Scope::Decisions).await.unwrap();
    let gone = write.forget_decisions(rows[usize::try_from(end % 500).unwrap()].id, 300).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(gone, end % 500);
    assert_eq!(all(&decisions, &DecisionFilter::default(), 200).await.len(), kept);
}

#[test]
fn only_what_a_cursor_prints_is_read_as_one() {
    let cursor = Cursor(DecisionId::new(NOW, [7; 10]));
    assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
    assert_eq!(Cursor::parse(""), None);
    assert_eq!(Cursor::parse("' OR 1=1"), None);
}

#[tokio::test]
async fn of_every_segment_the_newest_head_is_kept_and_of_every_chain_the_last_for_good() {
    let (_home, Decisions(database)) = filled(&[]).await;
    let head = |chain: &str, segment: u64, seq: u64| HeadRow {
        chain: chain.to_owned(),
        segment,
        seq,
        at: NOW.plus(Duration::from_secs(seq)),
        head: format!("{chain}.{seq}"),
    };
    let mut write = database.write(Scope::Decisions).await.unwrap();
    for row in [head("a", 1, 5), head("a", 1, 9), head("a", 1, 7), head("a", 2, 12), head("b", 1, 3)] {
        write.put_audit_head(&row).await.unwrap();
    }
    write.commit().await.unwrap();
    let kept = database.audit_heads(10).await.unwrap();
    assert_eq!(kept, [head("a", 2, 12), head("a", 1, 9), head("b", 1, 3)]);
    let mut write = database.write(Scope::Decisions).await.unwrap();
    assert_eq!(write.forget_audit_heads(NOW.plus(Duration::from_secs(100))).await.unwrap(), 1);
    write.commit().await.unwrap();
    assert_eq!(database.audit_heads(10).await.unwrap(), [head("a", 2, 12), head("b", 1, 3)]);
}
