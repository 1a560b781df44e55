//! Service accounts of a running counter, made as an operator makes them.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use cambio::accounts::{Account, Accounts, IssuedAccountToken, NewAccount, NewAccountToken};
use cambio::identity::{AccountName, Namespace};
use serde_json::{Value, json};

use crate::support::{Answer, Stand};
use crate::vault::NAMESPACE;

pub const ADMIN: &str = "corp:ada";
pub const DAY: Duration = Duration::from_secs(86_400);
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

pub fn accounts(stand: &Stand) -> Arc<Accounts> {
    Arc::clone(stand.running().counter().accounts().expect("there are service accounts"))
}

/// An account in a namespace (empty for the root) with these permissions: a pattern, and a word where it is not `read`.
pub async fn account_in(stand: &Stand, namespace: &str, name: &str, permissions: &[&str]) -> Account {
    let one = |text: &&str| {
        let (secrets, access) = text.split_once(' ').unwrap_or((text, "read"));
        json!({"secrets": secrets, "access": access})
    };
    let permissions: Vec<Value> = permissions.iter().map(one).collect();
    let new = NewAccount {
        namespace: (!namespace.is_empty()).then(|| Namespace::new(namespace).unwrap()),
        name: AccountName::new(name).unwrap(),
        owner: "team-a@example.org".to_owned(),
        description: "nightly reports".to_owned(),
        grants: serde_json::from_value(json!({"permissions": permissions})).unwrap(),
        expires: stand.now().plus(90 * DAY),
    };
    accounts(stand).create(new, ADMIN, stand.now()).await.unwrap().after.unwrap()
}

/// The same, in the namespace of the targets.
pub async fn account(stand: &Stand, name: &str, permissions: &[&str]) -> Account {
    account_in(stand, NAMESPACE, name, permissions).await
}

pub async fn issue(stand: &Stand, account: &Account) -> IssuedAccountToken {
    let new = NewAccountToken { name: "laptop".to_owned(), expires: stand.now().plus(30 * DAY) };
    accounts(stand).issue(account.id, new, ADMIN, stand.now()).await.unwrap()
}

/// An account with a token.
pub async fn token(stand: &Stand, name: &str, permissions: &[&str]) -> (Account, IssuedAccountToken) {
    let account = account(stand, name, permissions).await;
    let issued = issue(stand, &account).await;
    (account, issued)
}

/// The good form for a service account's token, for the target `vault`.
pub fn form(token: &str) -> Vec<(&str, &str)> {
    let (subject, declared) = ("subject_token", "subject_token_type");
    vec![("grant_type", TOKEN_EXCHANGE), (subject, token), (declared, ACCESS_TOKEN), ("audience", "vault")]
}

pub async fn exchanged(stand: &Stand, token: &str) -> Answer {
    stand.post("/oauth2/token", &form(token)).await
}

/// The token that comes of a good exchange.
pub async fn secrets_token(stand: &Stand, token: &str) -> String {
    let answer = exchanged(stand, token).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["access_token"].as_str().unwrap().to_owned()
}
