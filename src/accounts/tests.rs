//! Accounts and their tokens: who is let in, for how long, and what becomes of tokens that others have kept.

use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::clock::{Span, Timestamp};
use crate::identity::{AccountName, Namespace, PolicyName};
use crate::state::PrivateDir;
use crate::state::database::Database;
use crate::state::real_postgres::Postgres;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const ADMIN: &str = "corp:ada";

/// This file is two modules: one over a file, one over a PostgreSQL.
fn server() -> Option<Postgres> {
    module_path!().ends_with("on_postgres").then(Postgres::start).flatten()
}

struct Home {
    _dir: tempfile::TempDir,
    _server: Option<Postgres>,
    database: Database,
    accounts: Arc<Accounts>,
}

impl Home {
    async fn with(settings: AccountSettings) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(&temporary.path().join("data")).unwrap();
        let server = server();
        let database = match &server {
            Some(server) => Database::connect(&server.database_url(), NOW).await.unwrap(),
            None => Database::open(&dir, NOW).await.unwrap(),
        };
        let accounts = Arc::new(Accounts::open(database.clone(), TokenKey::new(&[7; 32]), settings));
        Self { _dir: temporary, _server: server, database, accounts }
    }

    async fn new() -> Self {
        Self::with(AccountSettings::default()).await
    }

    /// Another replica over the same database, with the same key.
    fn replica(&self) -> Accounts {
        Accounts::open(self.database.clone(), TokenKey::new(&[7; 32]), AccountSettings::default())
    }

    async fn account(&self, name: &str) -> Account {
        self.accounts.create(wanted(name), ADMIN, NOW).await.unwrap().after.unwrap()
    }

    async fn token(&self, account: &Account) -> IssuedAccountToken {
        self.accounts.issue(account.id, token_for(30 * DAY), ADMIN, NOW).await.unwrap()
    }
}

fn wanted(name: &str) -> NewAccount {
    NewAccount {
        namespace: Some(Namespace::new("group_1").unwrap()),
        name: AccountName::new(name).unwrap(),
        owner: "team-a@example.org".to_owned(),
        description: "nightly reports".to_owned(),
        grants: grants(&["secret/reports/*"]),
        expires: NOW.plus(90 * DAY),
    }
}

fn grants(patterns: &[&str]) -> Grants {
    let permissions: Vec<Value> = patterns.iter().map(|pattern| json!({"secrets": pattern})).collect();
    serde_json::from_value(json!({"permissions": permissions})).unwrap()
}

fn token_for(lifetime: Duration) -> NewAccountToken {
    NewAccountToken { name: "laptop".to_owned(), expires: NOW.plus(lifetime) }
}

fn later(span: Duration) -> Timestamp {
    NOW.plus(span)
}

#[tokio::test]
async fn a_token_authenticates_its_account_and_nothing_else_does() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let issued = home.token(&account).await;
    let acting = home.accounts.authenticate(issued.token.text(), NOW).await.unwrap();
    assert_eq!((acting.id(), acting.name().as_str()), (account.id, "reports"));
    assert_eq!(acting.namespace().map(Namespace::as_str), Some("group_1"));
    assert_eq!(acting.token_id(), Some(issued.info.id));
    assert_eq!(acting.expires(), issued.info.expires);
    assert_eq!(acting.policy().as_str(), "service-accounts/reports");

    let other = AccountToken::new().unwrap();
    assert_eq!(home.accounts.authenticate(other.text(), NOW).await.unwrap_err(), AccountRefusal::Unknown);
    let cut = &issued.token.text()[..58];
    let refusal = home.accounts.authenticate(cut, NOW).await.unwrap_err();
    assert_eq!(refusal, AccountRefusal::Malformed(TokenFault::Length));
}

#[tokio::test]
async fn another_key_makes_every_token_unknown() {
    let home = Home::new().await;
    let issued = home.token(&home.account("reports").await).await;
    let other = Accounts::open(home.database.clone(), TokenKey::new(&[8; 32]), AccountSettings::default());
    assert_eq!(other.authenticate(issued.token.text(), NOW).await.unwrap_err(), AccountRefusal::Unknown);
}

#[tokio::test]
async fn nothing_of_a_token_is_in_the_database_or_in_what_is_printed() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let issued = home.token(&account).await;
    let secret = &issued.token.text()[10..53];
    let printed =
        format!("{issued:?} {:?} {:?}", home.accounts, home.accounts.authenticate(issued.token.text(), NOW).await);
    assert!(!printed.contains(secret), "{printed}");
    assert!(printed.contains("[redacted]"));
    for name in std::fs::read_dir(home._dir.path().join("data")).unwrap() {
        let bytes = std::fs::read(name.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
    assert!(!issued.info.described(NOW).to_string().contains(secret));
}

#[rstest]
#[case::just_before(30 * DAY - Duration::from_secs(1), true)]
#[case::at_its_end(30 * DAY, false)]
#[tokio::test]
async fn a_token_ends_when_it_says(#[case] after: Duration, #[case] good: bool) {
    let home = Home::new().await;
    let issued = home.token(&home.account("reports").await).await;
    let answer = home.accounts.authenticate(issued.token.text(), later(after)).await;
    assert_eq!(answer.map(drop), if good { Ok(()) } else { Err(AccountRefusal::Expired) });
}

#[tokio::test]
async fn an_account_that_is_over_ends_its_tokens_and_its_bindings() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let change = AccountChange { expires: Some(later(DAY)), ..AccountChange::default() };
    let issued = home.token(&account).await;
    home.accounts.update(account.id, change, ADMIN, NOW).await.unwrap();
    let acting = home.accounts.authenticate(issued.token.text(), NOW).await.unwrap();
    assert_eq!(acting.expires(), later(DAY), "the account's end comes first");
    let refusal = home.accounts.authenticate(issued.token.text(), later(DAY)).await.unwrap_err();
    assert_eq!(refusal, AccountRefusal::AccountExpired);
    let refusal = home.accounts.acting(account.namespace.as_ref(), &account.name, later(DAY)).await.unwrap_err();
    assert_eq!(refusal, AccountRefusal::AccountExpired);
}

#[tokio::test]
async fn a_change_is_seen_at_once_here_and_within_two_seconds_elsewhere() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let issued = home.token(&account).await;
    let elsewhere = home.replica();
    let (namespace, name) = (account.namespace.as_ref(), &account.name);
    for accounts in [&*home.accounts, &elsewhere] {
        drop(accounts.authenticate(issued.token.text(), NOW).await.unwrap());
        drop(accounts.acting(namespace, name, NOW).await.unwrap());
    }
    let change = AccountChange { disabled: Some(true), ..AccountChange::default() };
    home.accounts.update(account.id, change, ADMIN, NOW).await.unwrap();
    let refused = Err(AccountRefusal::Disabled);
    assert_eq!(home.accounts.authenticate(issued.token.text(), NOW).await.map(drop), refused);
    assert_eq!(home.accounts.acting(namespace, name, NOW).await.map(drop), refused);
    assert!(elsewhere.authenticate(issued.token.text(), later(FRESH - Duration::from_millis(1))).await.is_ok());
    assert_eq!(elsewhere.authenticate(issued.token.text(), later(FRESH)).await.map(drop), refused);
    assert_eq!(elsewhere.acting(namespace, name, later(FRESH)).await.map(drop), refused);
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_nothing_fresh_again() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let issued = home.token(&account).await;
    let elsewhere = home.replica();
    drop(elsewhere.authenticate(issued.token.text(), later(HOUR)).await.unwrap());
    home.accounts.revoke(issued.info.id, NOW).await.unwrap();
    assert_eq!(elsewhere.authenticate(issued.token.text(), NOW).await.unwrap_err(), AccountRefusal::Revoked);
}

#[tokio::test]
async fn a_deleted_account_is_gone_with_its_tokens_and_its_name_is_another_one() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let issued = home.token(&account).await;
    let before = home.accounts.acting(account.namespace.as_ref(), &account.name, NOW).await.unwrap().digest();
    let changed = home.accounts.delete(account.id, None).await.unwrap();
    assert_eq!((changed.before.map(|before| before.id), changed.after), (Some(account.id), None));
    assert_eq!(home.accounts.authenticate(issued.token.text(), NOW).await.unwrap_err(), AccountRefusal::Unknown);
    let again = home.account("reports").await;
    assert_ne!(again.id, account.id);
    assert_eq!(home.accounts.authenticate(issued.token.text(), NOW).await.unwrap_err(), AccountRefusal::Unknown);
    let after = home.accounts.acting(again.namespace.as_ref(), &again.name, NOW).await.unwrap().digest();
    assert_ne!(before, after, "what was minted for the one is not good for the other");
}

#[tokio::test]
async fn a_name_is_unique_in_its_namespace_and_lists_go_on_where_they_stopped() {
    let home = Home::new().await;
    for name in ["c", "a", "b"] {
        home.account(name).await;
    }
    assert!(matches!(home.accounts.create(wanted("a"), ADMIN, NOW).await, Err(AccountError::NameTaken)));
    let root = NewAccount { namespace: None, ..wanted("a") };
    home.accounts.create(root, ADMIN, NOW).await.unwrap();
    let namespace = Namespace::new("group_1").unwrap();
    let names = |page: Vec<Account>| page.into_iter().map(|account| account.name.to_string()).collect::<Vec<_>>();
    let first = home.accounts.list(Some(&namespace), None, 2).await.unwrap();
    let rest = home.accounts.list(Some(&namespace), first.last().map(|last| &last.name), 2).await.unwrap();
    assert_eq!((names(first), names(rest)), (vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()]));
    assert_eq!(names(home.accounts.list(None, None, 9).await.unwrap()), ["a"]);
    let first = home.accounts.list_all(None, 3).await.unwrap();
    let last = first.last().unwrap().full_name();
    assert_eq!(last.to_string(), "group_1/b");
    // It goes on behind a place, where nobody is any more.
    home.accounts.delete(first.last().unwrap().id, None).await.unwrap();
    let rest = home.accounts.list_all(Some(&last), 3).await.unwrap();
    assert_eq!((names(first).len(), names(rest)), (3, vec!["c".to_owned()]));
}

#[rstest]
#[case::owner(|new: &mut NewAccount| new.owner = "  ".to_owned(), "owner")]
#[case::long_owner(|new: &mut NewAccount| new.owner = "x".repeat(201), "owner")]
#[case::line_end(|new: &mut NewAccount| new.owner = "a\nb".to_owned(), "owner")]
#[case::description(|new: &mut NewAccount| new.description = String::new(), "description")]
#[case::over(|new: &mut NewAccount| new.expires = NOW, "expires_at")]
#[case::far(|new: &mut NewAccount| new.expires = NOW.plus(366 * DAY), "expires_at")]
#[tokio::test]
async fn an_account_has_an_owner_a_purpose_and_an_end(#[case] change: fn(&mut NewAccount), #[case] expected: &str) {
    let home = Home::new().await;
    let mut new = wanted("reports");
    change(&mut new);
    match home.accounts.create(new, ADMIN, NOW).await {
        Err(AccountError::Invalid { field, .. }) => assert_eq!(field, expected),
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case::over(Duration::ZERO)]
#[case::beyond_what_is_allowed(91 * DAY)]
#[tokio::test]
async fn a_token_has_an_end_within_its_bounds(#[case] lifetime: Duration) {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let answer = home.accounts.issue(account.id, token_for(lifetime), ADMIN, NOW).await;
    assert!(matches!(answer, Err(AccountError::Invalid { field: "expires_at", .. })));
}

#[tokio::test]
async fn a_token_does_not_outlive_its_account() {
    let home = Home::new().await;
    let new = NewAccount { expires: later(DAY), ..wanted("short") };
    let account = home.accounts.create(new, ADMIN, NOW).await.unwrap().after.unwrap();
    assert!(home.accounts.issue(account.id, token_for(2 * DAY), ADMIN, NOW).await.is_err());
    assert!(home.accounts.issue(account.id, token_for(DAY), ADMIN, NOW).await.is_ok());
}

#[tokio::test]
async fn a_rotated_token_is_good_until_its_overlap_is_over_and_then_ends_its_family_once() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let first = home.token(&account).await;
    let bystander = home.token(&account).await;
    let wish = RotateWish { overlap: Some(HOUR), ..RotateWish::default() };
    let rotated = home.accounts.rotate(first.info.id, wish, ADMIN, NOW).await.unwrap();
    let second = rotated.new;
    assert_eq!(second.info.family, first.info.id);
    assert_ne!(second.token.text(), first.token.text());
    assert_eq!(second.info.expires, first.info.expires, "as long as the old one was made for");

    let just_before = later(HOUR - Duration::from_millis(1));
    for token in [&first, &second] {
        assert!(home.accounts.authenticate(token.token.text(), just_before).await.is_ok());
    }
    let epoch = home.accounts.show(account.id).await.unwrap().epoch;
    let refusals = [later(HOUR), later(HOUR)].map(|now| home.accounts.authenticate(first.token.text(), now));
    let [one, other] = refusals;
    let refusals = [one.await.unwrap_err(), other.await.unwrap_err()];
    assert_eq!(refusals, [AccountRefusal::Reused, AccountRefusal::Revoked], "loud once");
    assert_eq!(home.accounts.reuses(), 1);
    assert_eq!(
        home.accounts.authenticate(second.token.text(), later(HOUR)).await.unwrap_err(),
        AccountRefusal::Revoked
    );
    assert!(home.accounts.authenticate(bystander.token.text(), later(HOUR)).await.is_ok(), "another family");
    assert_eq!(home.accounts.show(account.id).await.unwrap().epoch, epoch + 1, "what was minted ends too");
    let kept = home.replica();
    assert_eq!(kept.authenticate(second.token.text(), later(HOUR)).await.unwrap_err(), AccountRefusal::Revoked);
}

#[tokio::test]
async fn a_copy_gives_itself_away_after_its_own_end_too() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let first = home.token(&account).await;
    let wish = RotateWish { expires: Some(later(60 * DAY)), overlap: None };
    let second = home.accounts.rotate(first.info.id, wish, ADMIN, NOW).await.unwrap().new;
    let late = later(31 * DAY);
    assert_eq!(home.accounts.authenticate(first.token.text(), late).await.unwrap_err(), AccountRefusal::Reused);
    assert_eq!(home.accounts.authenticate(second.token.text(), late).await.unwrap_err(), AccountRefusal::Revoked);
}

#[tokio::test]
async fn without_an_overlap_the_old_token_is_good_no_more() {
    let home = Home::new().await;
    let first = home.token(&home.account("reports").await).await;
    let wish = RotateWish { overlap: Some(Duration::ZERO), ..RotateWish::default() };
    home.accounts.rotate(first.info.id, wish, ADMIN, NOW).await.unwrap();
    assert_eq!(home.accounts.authenticate(first.token.text(), NOW).await.unwrap_err(), AccountRefusal::Reused);
}

#[tokio::test]
async fn an_overlap_has_its_bounds() {
    let home = Home::new().await;
    let first = home.token(&home.account("reports").await).await;
    let wish = |overlap| RotateWish { overlap: Some(overlap), ..RotateWish::default() };
    let answer = home.accounts.rotate(first.info.id, wish(DAY + Duration::from_secs(1)), ADMIN, NOW).await;
    assert!(matches!(answer, Err(AccountError::Invalid { field: "overlap", .. })));
    let near_its_end = first.info.expires.minus(HOUR);
    let rotated = home.accounts.rotate(first.info.id, wish(DAY), ADMIN, near_its_end).await.unwrap();
    assert_eq!(rotated.old.rotated.map(|(_, until, _)| until), Some(first.info.expires), "not beyond its own end");
}

#[tokio::test]
async fn of_many_rotations_at_once_exactly_one_is_done() {
    let home = Home::new().await;
    let first = home.token(&home.account("reports").await).await;
    let other = Arc::new(home.replica());
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let accounts = if n % 2 == 0 { Arc::clone(&home.accounts) } else { Arc::clone(&other) };
            let id = first.info.id;
            tokio::spawn(async move { accounts.rotate(id, RotateWish::default(), ADMIN, NOW).await })
        })
        .collect();
    let (mut done, mut told) = (vec![], vec![]);
    for task in tasks {
        match task.await.unwrap() {
            Ok(rotated) => done.push(rotated.new),
            Err(AccountError::Rotated(successor)) => told.push(successor),
            Err(other) => panic!("{other:?}"),
        }
    }
    let [winner] = done.as_slice() else { panic!("{} rotations were done", done.len()) };
    assert_eq!(told, vec![winner.info.id.to_string(); 15]);
    assert_eq!(home.accounts.tokens(winner.account.id, None, 99).await.unwrap().len(), 2);
    assert!(home.accounts.authenticate(winner.token.text(), NOW).await.is_ok());
}

#[tokio::test]
async fn whoever_has_a_token_rotates_it_and_no_other() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let first = home.token(&account).await;
    let acting = home.accounts.authenticate(first.token.text(), NOW).await.unwrap();
    let rotated = home.accounts.rotate_self(&acting, RotateWish::default(), NOW).await.unwrap();
    assert_eq!(rotated.old.id, first.info.id);
    assert_eq!(rotated.new.info.created_by, "service-accounts:group_1/reports");
    let by_rule = home.accounts.acting(account.namespace.as_ref(), &account.name, NOW).await.unwrap();
    assert!(home.accounts.rotate_self(&by_rule, RotateWish::default(), NOW).await.is_err());
}

#[tokio::test]
async fn a_revoked_token_is_refused_and_cannot_be_rotated() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let first = home.token(&account).await;
    let before = home.accounts.authenticate(first.token.text(), NOW).await.unwrap().digest();
    let (was, is) = home.accounts.revoke(first.info.id, NOW).await.unwrap();
    assert_eq!((was.state(NOW), is.state(NOW)), (TokenState::Active, TokenState::Revoked));
    assert_eq!(home.accounts.authenticate(first.token.text(), NOW).await.unwrap_err(), AccountRefusal::Revoked);
    let answer = home.accounts.rotate(first.info.id, RotateWish::default(), ADMIN, NOW).await;
    assert!(matches!(answer, Err(AccountError::NotGood(AccountRefusal::Revoked))));
    let after = home.accounts.acting(account.namespace.as_ref(), &account.name, NOW).await.unwrap().digest();
    assert_ne!(before, after, "what was minted for the token ends with it");
}

#[rstest]
#[case::within_the_overlap(Duration::from_secs(30))]
#[case::after_it(Duration::from_secs(90))]
#[tokio::test]
async fn revoking_a_rotated_token_ends_its_family(#[case] after: Duration) {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let first = home.token(&account).await;
    let bystander = home.token(&account).await;
    let wish = RotateWish { overlap: Some(Duration::from_secs(60)), ..RotateWish::default() };
    let second = home.accounts.rotate(first.info.id, wish, ADMIN, NOW).await.unwrap().new;
    let third = home.accounts.rotate(second.info.id, wish, ADMIN, NOW).await.unwrap().new;
    let (was, is) = home.accounts.revoke(first.info.id, later(after)).await.unwrap();
    assert_eq!((was.revoked, is.revoked.map(|(at, _)| at)), (None, Some(later(after))));
    for token in [&first, &second, &third] {
        let refusal = home.accounts.authenticate(token.token.text(), later(after)).await.unwrap_err();
        assert_eq!(refusal, AccountRefusal::Revoked);
    }
    assert!(home.accounts.authenticate(bystander.token.text(), later(after)).await.is_ok(), "another family");
}

#[tokio::test]
async fn revoking_a_successor_takes_nothing_from_what_a_kept_copy_gives_away() {
    let home = Home::new().await;
    let first = home.token(&home.account("reports").await).await;
    let wish = RotateWish { overlap: Some(HOUR), ..RotateWish::default() };
    let second = home.accounts.rotate(first.info.id, wish, ADMIN, NOW).await.unwrap().new;
    home.accounts.revoke(second.info.id, NOW).await.unwrap();
    assert!(home.accounts.authenticate(first.token.text(), NOW).await.is_ok(), "it was not rotated itself");
    let late = home.accounts.authenticate(first.token.text(), later(HOUR)).await.unwrap_err();
    assert_eq!(late, AccountRefusal::Reused);
}

/// As a row of before, or of somebody's hand in the database, would have it.
#[tokio::test]
async fn a_rotated_token_that_is_revoked_itself_gives_itself_away_as_long_as_one_of_its_family_is_not() {
    let home = Home::new().await;
    let first = home.token(&home.account("reports").await).await;
    let wish = RotateWish { overlap: Some(HOUR), ..RotateWish::default() };
    let second = home.accounts.rotate(first.info.id, wish, ADMIN, NOW).await.unwrap().new;
    let mut transaction = home.database.write(crate::state::database::Scope::Accounts).await.unwrap();
    assert!(transaction.revoke_account_token(&first.info.id.to_string(), NOW, "revoked").await.unwrap());
    transaction.commit().await.unwrap();
    let refused = async |token: &IssuedAccountToken, after| {
        home.accounts.authenticate(token.token.text(), later(after)).await.map(drop)
    };
    assert_eq!(refused(&first, HOUR / 2).await, Err(AccountRefusal::Revoked));
    assert_eq!(refused(&second, HOUR / 2).await, Ok(()), "within the overlap it may be the owner");
    assert_eq!(refused(&first, HOUR).await, Err(AccountRefusal::Reused));
    assert_eq!(refused(&second, HOUR).await, Err(AccountRefusal::Revoked));
    assert_eq!((refused(&first, HOUR).await, home.accounts.reuses()), (Err(AccountRefusal::Revoked), 1));
}

#[tokio::test]
async fn whoever_rotates_its_own_token_makes_it_live_no_longer_than_it_was_made_to() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let first = home.accounts.issue(account.id, token_for(DAY), ADMIN, NOW).await.unwrap();
    let noon = later(DAY / 2);
    let acting = home.accounts.authenticate(first.token.text(), noon).await.unwrap();
    let until = |expires| RotateWish { expires: Some(expires), ..RotateWish::default() };
    for expires in [later(80 * DAY), noon.plus(DAY + Duration::from_millis(1))] {
        let answer = home.accounts.rotate_self(&acting, until(expires), noon).await;
        assert!(matches!(answer, Err(AccountError::Invalid { field: "expires_at", .. })), "{answer:?}");
    }
    let second = home.accounts.rotate_self(&acting, until(noon.plus(DAY)), noon).await.unwrap().new;
    assert_eq!(second.info.expires, noon.plus(DAY));
    // Whoever may rotate tokens of the account decides what they are for.
    let third = home.accounts.rotate(second.info.id, until(later(80 * DAY)), ADMIN, noon).await.unwrap().new;
    assert_eq!(third.info.expires, later(80 * DAY));
}

#[tokio::test]
async fn an_accounts_first_documents_end_the_tokens_that_it_had_without_any() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let first = home.token(&account).await;
    let second = home.accounts.rotate(first.info.id, RotateWish::default(), ADMIN, NOW).await.unwrap().new;
    drop(home.accounts.authenticate(second.token.text(), NOW).await.unwrap());
    let with = |policies: &[&str]| {
        let grants = serde_json::from_value(json!({"policies": policies})).unwrap();
        AccountChange { grants: Some(grants), ..AccountChange::default() }
    };
    let change = home.accounts.update(account.id, with(&["admin/all"]), "corp:bob", NOW).await.unwrap();
    assert_eq!((change.tokens_revoked, change.after.as_ref().map(|after| after.epoch)), (2, Some(2)));
    assert_eq!(home.accounts.show(account.id).await.unwrap(), change.after.clone().unwrap());
    let [before, after] = change.described(NOW).map(Option::unwrap);
    assert_eq!((before.get("tokens_revoked"), &after["tokens_revoked"]), (None, &json!(2)));
    for token in [&first, &second] {
        let refusal = home.accounts.authenticate(token.token.text(), NOW).await.unwrap_err();
        assert_eq!(refusal, AccountRefusal::Revoked);
    }
    // Those that it gets from now on were made for what it may do.
    let third = home.token(&account).await;
    let change = home.accounts.update(account.id, with(&["admin/all", "more"]), "corp:bob", NOW).await.unwrap();
    assert_eq!((change.tokens_revoked, change.described(NOW)[1].as_ref().unwrap().get("tokens_revoked")), (0, None));
    assert!(home.accounts.authenticate(third.token.text(), NOW).await.is_ok());
}

#[tokio::test]
async fn a_token_is_made_of_an_account_as_it_was_looked_at_and_of_no_other() {
    let home = Home::new().await;
    let seen = home.account("reports").await;
    assert!(home.accounts.issue_as_seen(&seen, token_for(DAY), ADMIN, NOW).await.is_ok());
    let grants = serde_json::from_value(json!({"policies": ["admin/all"]})).unwrap();
    let change = AccountChange { grants: Some(grants), ..AccountChange::default() };
    home.accounts.update(seen.id, change, "corp:bob", NOW).await.unwrap();
    let answer = home.accounts.issue_as_seen(&seen, token_for(DAY), ADMIN, NOW).await;
    assert!(matches!(answer, Err(AccountError::Changed)));
}

#[tokio::test]
async fn accounts_of_one_name_have_other_subjects_in_other_namespaces() {
    let home = Home::new().await;
    let mut subjects = std::collections::BTreeSet::new();
    for namespace in [None, Some("group_1"), Some("group_2"), Some("group_1/ci")] {
        let namespace = namespace.map(|namespace| Namespace::new(namespace).unwrap());
        let account = home.accounts.create(NewAccount { namespace, ..wanted("ci") }, ADMIN, NOW).await.unwrap();
        let account = account.after.unwrap();
        let issued = home.token(&account).await;
        let subject = home.accounts.authenticate(issued.token.text(), NOW).await.unwrap().subject();
        assert_eq!(FullName::parse(&subject), Some(account.full_name()));
        subjects.insert(subject);
    }
    assert_eq!(subjects.into_iter().collect::<Vec<_>>(), ["ci", "group_1/ci", "group_1/ci/ci", "group_2/ci"]);
}

/// A request counts from when it came in: one that came later may have been answered before.
#[tokio::test]
async fn a_change_is_seen_at_once_by_whoever_came_after_it_began() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let issued = home.token(&account).await;
    let soon = later(FRESH / 2);
    let acting = async || home.accounts.acting(account.namespace.as_ref(), &account.name, soon).await.unwrap();
    let before = acting().await.digest();
    home.accounts.revoke(issued.info.id, NOW).await.unwrap();
    assert_ne!(acting().await.digest(), before, "what was minted for the token ends with it");
}

#[tokio::test]
async fn a_token_that_was_found_somewhere_is_identified_and_revoked_with_its_family() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let first = home.token(&account).await;
    let second = home.accounts.rotate(first.info.id, RotateWish::default(), ADMIN, NOW).await.unwrap().new;
    let (token, of) = home.accounts.identify(first.token.text()).await.unwrap().unwrap();
    assert_eq!((token.id, of.id), (first.info.id, account.id));
    let (_, _, count) = home.accounts.revoke_leaked(first.token.text(), NOW).await.unwrap().unwrap();
    assert_eq!(count, 2);
    assert_eq!(home.accounts.authenticate(second.token.text(), NOW).await.unwrap_err(), AccountRefusal::Revoked);
    assert!(home.accounts.identify(AccountToken::new().unwrap().text()).await.unwrap().is_none());
}

#[tokio::test]
async fn the_last_use_is_written_later_and_coarsely() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let issued = home.token(&account).await;
    let used = async || home.accounts.token(issued.info.id).await.unwrap().used;
    drop(home.accounts.authenticate(issued.token.text(), NOW).await.unwrap());
    assert_eq!(used().await, None, "a request writes nothing");
    home.accounts.maintain(NOW).await.unwrap();
    assert_eq!(used().await, Some(NOW));
    assert_eq!(home.accounts.show(account.id).await.unwrap().used, Some(NOW));
    for (after, expected) in [(9 * 60, NOW), (10 * 60, later(Duration::from_secs(600)))] {
        drop(home.accounts.authenticate(issued.token.text(), later(Duration::from_secs(after))).await.unwrap());
        home.accounts.maintain(later(Duration::from_secs(after))).await.unwrap();
        assert_eq!(used().await, Some(expected), "after {after} s");
    }
}

#[tokio::test]
async fn tokens_that_ended_long_ago_are_removed_and_younger_ones_are_kept() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let issued = home.token(&account).await;
    home.accounts.maintain(later(119 * DAY)).await.unwrap();
    assert!(home.accounts.token(issued.info.id).await.is_ok());
    home.accounts.maintain(later(121 * DAY)).await.unwrap();
    assert!(matches!(home.accounts.token(issued.info.id).await, Err(AccountError::NotFound("token"))));
}

#[tokio::test]
async fn without_the_database_a_token_is_good_for_two_seconds_more_and_then_not() {
    let home = Home::new().await;
    let issued = home.token(&home.account("reports").await).await;
    drop(home.accounts.authenticate(issued.token.text(), NOW).await.unwrap());
    home.database.close().await;
    assert!(home.accounts.authenticate(issued.token.text(), later(FRESH - Duration::from_millis(1))).await.is_ok());
    let refusal = home.accounts.authenticate(issued.token.text(), later(FRESH)).await.unwrap_err();
    assert_eq!((refusal, refusal.may_pass()), (AccountRefusal::Unavailable, true));
}

fn second_person() -> AccountSettings {
    AccountSettings { approval: Approval::SecondPerson, ..AccountSettings::default() }
}

#[tokio::test]
async fn a_new_account_waits_for_a_second_person() {
    let home = Home::with(second_person()).await;
    let account = home.account("reports").await;
    assert_eq!(account.status(NOW), AccountStatus::Pending);
    let issued = home.token(&account).await;
    assert_eq!(home.accounts.authenticate(issued.token.text(), NOW).await.unwrap_err(), AccountRefusal::Pending);
    let alone = home.accounts.approve(account.id, account.revision, ADMIN, NOW).await;
    assert!(matches!(alone, Err(AccountError::SamePerson)));
    let approved = home.accounts.approve(account.id, account.revision, "corp:bob", NOW).await.unwrap().after.unwrap();
    assert_eq!((approved.granted, approved.wanted), (grants(&["secret/reports/*"]), None));
    assert!(home.accounts.authenticate(issued.token.text(), NOW).await.is_ok());
}

#[tokio::test]
async fn wider_grants_wait_and_narrower_ones_do_not() {
    let home = Home::with(second_person()).await;
    let account = home.account("reports").await;
    let account = home.accounts.approve(account.id, 1, "corp:bob", NOW).await.unwrap().after.unwrap();
    let change = |patterns: &[&str]| AccountChange { grants: Some(grants(patterns)), ..AccountChange::default() };
    let narrow = home.accounts.update(account.id, change(&["secret/reports/a"]), ADMIN, NOW).await.unwrap();
    assert_eq!(narrow.after.unwrap().granted, grants(&["secret/reports/a"]));
    let wide = home.accounts.update(account.id, change(&["secret/*"]), ADMIN, NOW).await.unwrap().after.unwrap();
    assert_eq!(wide.granted, grants(&["secret/reports/a"]), "as it was");
    assert_eq!(wide.status(NOW), AccountStatus::Active, "what was approved goes on");
    assert_eq!(wide.wanted.as_ref().map(|wanted| &wanted.grants), Some(&grants(&["secret/*"])));
    // Changed between the look and the word.
    home.accounts.update(account.id, change(&["secret/*", "kv/*"]), ADMIN, NOW).await.unwrap();
    let stale = home.accounts.approve(account.id, wide.revision, "corp:bob", NOW).await;
    assert!(matches!(stale, Err(AccountError::Changed)));
    let refused = home.accounts.refuse(account.id, wide.revision + 1, "corp:bob", NOW).await.unwrap().after.unwrap();
    assert_eq!((refused.granted, refused.wanted), (grants(&["secret/reports/a"]), None));
}

#[rstest]
#[case::refused(None)]
#[case::emptied(Some(grants(&[])))]
#[tokio::test]
async fn an_account_that_nobody_has_approved_waits_whatever_becomes_of_what_was_asked(#[case] other: Option<Grants>) {
    let home = Home::with(second_person()).await;
    let account = home.account("reports").await;
    let issued = home.token(&account).await;
    let changed = match other {
        None => home.accounts.refuse(account.id, 1, ADMIN, NOW).await.unwrap(),
        Some(grants) => {
            let change = AccountChange { grants: Some(grants), ..AccountChange::default() };
            home.accounts.update(account.id, change, ADMIN, NOW).await.unwrap()
        }
    };
    assert_eq!(changed.after.unwrap().status(NOW), AccountStatus::Pending);
    assert_eq!(home.accounts.authenticate(issued.token.text(), NOW).await.unwrap_err(), AccountRefusal::Pending);
    let by_rule = home.accounts.acting(account.namespace.as_ref(), &account.name, NOW).await.unwrap_err();
    assert_eq!(by_rule, AccountRefusal::Pending);
    // It is asked for again, and approved by another.
    let change = AccountChange { grants: Some(grants(&["secret/reports/*"])), ..AccountChange::default() };
    let asked = home.accounts.update(account.id, change, ADMIN, NOW).await.unwrap().after.unwrap();
    assert_eq!((asked.status(NOW), asked.wanted.is_some()), (AccountStatus::Pending, true));
    assert!(matches!(
        home.accounts.approve(account.id, asked.revision, ADMIN, NOW).await,
        Err(AccountError::SamePerson)
    ));
    home.accounts.approve(account.id, asked.revision, "corp:bob", NOW).await.unwrap();
    assert!(home.accounts.authenticate(issued.token.text(), NOW).await.is_ok());
    // From now on it stands, and what it may do is taken from it at once.
    let change = AccountChange { grants: Some(Grants::default()), ..AccountChange::default() };
    let emptied = home.accounts.update(account.id, change, ADMIN, NOW).await.unwrap().after.unwrap();
    assert_eq!((emptied.status(NOW), emptied.granted), (AccountStatus::Active, Grants::default()));
}

#[tokio::test]
async fn an_account_that_was_made_without_approval_stands_when_approvals_are_asked_for_later() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let issued = home.token(&account).await;
    let later = Accounts::open(home.database.clone(), TokenKey::new(&[7; 32]), second_person());
    assert!(later.authenticate(issued.token.text(), NOW).await.is_ok());
    let change = AccountChange { grants: Some(grants(&["secret/*"])), ..AccountChange::default() };
    let wider = later.update(account.id, change, ADMIN, NOW).await.unwrap().after.unwrap();
    assert_eq!((wider.status(NOW), wider.wanted.is_some()), (AccountStatus::Active, true));
}

#[tokio::test]
async fn none_of_those_who_asked_for_a_part_approves_the_whole() {
    let home = Home::with(second_person()).await;
    let account = home.account("reports").await;
    let change = |policies: &[&str], pattern: &str| {
        let grants = json!({"permissions": [{"secrets": pattern}], "policies": policies});
        AccountChange { grants: Some(serde_json::from_value(grants).unwrap()), ..AccountChange::default() }
    };
    let one = change(&["prod-read"], "secret/reports/*");
    home.accounts.update(account.id, one, "corp:carl", NOW).await.unwrap();
    let other = change(&["prod-read"], "secret/reports/a");
    let asked = home.accounts.update(account.id, other, "corp:bob", NOW).await.unwrap().after.unwrap();
    assert_eq!(asked.wanted.as_ref().unwrap().by, [ADMIN, "corp:carl", "corp:bob"]);
    assert_eq!(asked.described(NOW)["pending"]["requested_by"], json!([ADMIN, "corp:carl", "corp:bob"]));
    assert_eq!(home.accounts.show(account.id).await.unwrap(), asked);
    for asker in [ADMIN, "corp:carl", "corp:bob"] {
        let answer = home.accounts.approve(account.id, asked.revision, asker, NOW).await;
        assert!(matches!(answer, Err(AccountError::SamePerson)), "{asker}");
    }
    let approved = home.accounts.approve(account.id, asked.revision, "corp:dora", NOW).await.unwrap();
    assert_eq!(approved.after.unwrap().approved_by.as_deref(), Some("corp:dora"));
}

#[rstest]
#[case::short_names(16, 2)]
#[case::the_longest_names(3, 1024)]
#[tokio::test]
async fn what_waits_has_as_many_askers_as_a_record_can_tell(#[case] most: usize, #[case] length: usize) {
    let home = Home::with(second_person()).await;
    let account = home.account("reports").await;
    let change = || AccountChange { grants: Some(grants(&["secret/*"])), ..AccountChange::default() };
    let name = |asker: usize| format!("corp:{asker:0length$}");
    for asker in 1..most {
        home.accounts.update(account.id, change(), &name(asker), NOW).await.unwrap();
    }
    let answer = home.accounts.update(account.id, change(), &name(most), NOW).await;
    assert!(matches!(answer, Err(AccountError::Invalid { field: "permissions", .. })), "{answer:?}");
    assert!(home.accounts.update(account.id, change(), &name(1), NOW).await.is_ok(), "one of them may go on");
}

#[tokio::test]
async fn a_permission_within_another_waits_where_a_document_may_deny_it() {
    let home = Home::with(second_person()).await;
    let account = home.account("reports").await;
    let with = |patterns: &[&str]| {
        let mut grants = grants(patterns);
        grants.policies = vec![PolicyName::new("deny-app").unwrap()];
        AccountChange { grants: Some(grants), ..AccountChange::default() }
    };
    let asked = home.accounts.update(account.id, with(&["secret/*"]), ADMIN, NOW).await.unwrap().after.unwrap();
    home.accounts.approve(account.id, asked.revision, "corp:bob", NOW).await.unwrap();
    let narrow = with(&["secret/*", "secret/app/db"]);
    let asked = home.accounts.update(account.id, narrow, ADMIN, NOW).await.unwrap().after.unwrap();
    assert_eq!(asked.granted.permissions.len(), 1, "the exact path would beat the document's `deny`");
    assert_eq!(asked.wanted.unwrap().grants.permissions.len(), 2);
}

#[tokio::test]
async fn every_change_says_what_was_and_what_is_and_a_stale_one_is_refused() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    let change = AccountChange { owner: Some("team-b".to_owned()), revision: Some(1), ..AccountChange::default() };
    let changed = home.accounts.update(account.id, change.clone(), "corp:bob", later(HOUR)).await.unwrap();
    let (before, after) = (changed.before.unwrap(), changed.after.unwrap());
    assert_eq!((before.owner.as_str(), after.owner.as_str()), ("team-a@example.org", "team-b"));
    assert_eq!((after.updated, after.updated_by.as_str(), after.revision), (later(HOUR), "corp:bob", 2));
    assert_eq!(home.accounts.show(account.id).await.unwrap(), after, "what is told is what is on record");
    assert!(matches!(home.accounts.update(account.id, change, ADMIN, NOW).await, Err(AccountError::Changed)));
    assert!(matches!(home.accounts.delete(account.id, Some(1)).await, Err(AccountError::Changed)));
}

#[tokio::test]
async fn an_account_has_a_hundred_good_tokens_at_most() {
    let home = Home::new().await;
    let account = home.account("reports").await;
    for _ in 0..100 {
        home.token(&account).await;
    }
    let answer = home.accounts.issue(account.id, token_for(DAY), ADMIN, NOW).await;
    assert!(matches!(answer, Err(AccountError::TooManyTokens(100))));
}

#[tokio::test]
async fn many_accounts_are_made_at_once_or_none_of_them() {
    let home = Home::new().await;
    let new = |names: &[&str]| names.iter().map(|name| (wanted(name), vec![token_for(DAY), token_for(DAY)])).collect();
    let made = home.accounts.create_many(new(&["a", "b"]), ADMIN, NOW).await.unwrap();
    assert_eq!(made.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    let acting = home.accounts.authenticate(made[1][0].token.text(), NOW).await.unwrap();
    assert_eq!(acting.name().as_str(), "b");
    assert!(matches!(home.accounts.create_many(new(&["c", "a"]), ADMIN, NOW).await, Err(AccountError::NameTaken)));
    assert_eq!(home.accounts.list_all(None, 9).await.unwrap().len(), 2, "`c` was not made either");
}

#[test]
fn settings_are_read_with_their_defaults() {
    let read: AccountSettings = serde_json::from_value(json!({"approval": "second_person"})).unwrap();
    assert_eq!(read, second_person());
    assert_eq!(read.max_token_lifetime, Span::from_secs(90 * 86_400));
    assert!(serde_json::from_value::<AccountSettings>(json!({"max_life": "1d"})).is_err());
}
