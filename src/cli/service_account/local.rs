//! Accounts in the store itself: for the first one, and for the day on which no administrator's token is left. Whoever can read
//! the configuration and the master key needs no token.
//!
//! Every change leaves a record in the journal of this configuration, as one over HTTP does, before it is told.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::registry::with;
use crate::accounts::{
    Account, AccountChange, AccountError, AccountId, AccountTokenId, Accounts, Changed, FullName, Grants, NewAccount,
    NewAccountToken, RotateWish,
};
use crate::app::service_accounts;
use crate::audit::{Journal, Outcome, Surface, Trail};
use crate::cli::session::Stop;
use crate::cli::{CliError, environment};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::exchange::ROOT;
use crate::identity::{AccountName, DecisionId, Namespace};
use crate::jose;

/// As many of a page.
const PAGE: u32 = 200;
const PATIENCE: Duration = Duration::from_secs(5);

pub(in crate::cli) struct Local {
    accounts: Accounts,
    journal: Arc<Journal>,
    by: String,
}

impl Local {
    pub(super) async fn open(config: &Path) -> Result<Self, Stop> {
        let config = Config::load(config).map_err(CliError::new)?;
        let accounts = service_accounts(&config, Clock::System.now()).await.map_err(|error| {
            CliError::new(format!(
                "{error}\n  over SQLite a server has the store to itself: stop it, or ask it (`--url`)"
            ))
        })?;
        let journal = Journal::open(config.audit).map_err(CliError::new)?;
        let user = environment::variable("USER").unwrap_or_else(|| "unknown".to_owned());
        Ok(Self { accounts, journal, by: format!("cli:{user}") })
    }

    pub(super) async fn create(&self, body: &Value) -> Result<Value, Stop> {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let new = NewAccount {
            namespace: namespace(&text("namespace"))?,
            name: AccountName::new(&text("name")).map_err(CliError::new)?,
            owner: text("owner"),
            description: text("description"),
            grants: Grants { permissions: read(&body["permissions"])?, policies: read(&body["policies"])? },
            expires: moment(&body["expires_at"])?,
        };
        let now = Clock::System.now();
        let made = self.accounts.create(new, &self.by, now).await;
        self.changed("service_account.create", made, now)
    }

    pub(super) async fn list(&self, within: Option<&str>, pending: bool, cursor: Option<&str>) -> Result<Value, Stop> {
        let place = |text| FullName::parse(text).ok_or_else(|| Stop::Failed("the cursor is none of a list".to_owned()));
        let after = cursor.map(place).transpose()?;
        let found = match within {
            Some(within) => {
                let after = after.as_ref().map(|last| &last.name);
                self.accounts.list(namespace(within)?.as_ref(), after, PAGE).await
            }
            None => self.accounts.list_all(after.as_ref(), PAGE).await,
        };
        let (found, now) = (found.map_err(|error| told(&error))?, Clock::System.now());
        let next = found.last().filter(|_| found.len() >= PAGE as usize).map(|last| last.full_name().to_string());
        let shown = found.iter().filter(|account| !pending || account.wanted.is_some());
        let shown: Vec<Value> = shown.map(|account| account.described(now)).collect();
        Ok(json!({"service_accounts": shown, "next_cursor": next}))
    }

    pub(super) async fn show(&self, named: &str) -> Result<Value, Stop> {
        Ok(self.found(named).await?.described(Clock::System.now()))
    }

    pub(super) async fn update(&self, named: &str, body: &Value) -> Result<Value, Stop> {
        let account = self.found(named).await?;
        let standing = account.wanted.as_ref().map_or(&account.granted, |wanted| &wanted.grants).clone();
        let (permissions, policies) = (body.get("permissions"), body.get("policies"));
        let grants = if permissions.is_some() || policies.is_some() {
            Some(Grants {
                permissions: permissions.map(read).transpose()?.unwrap_or(standing.permissions),
                policies: policies.map(read).transpose()?.unwrap_or(standing.policies),
            })
        } else {
            None
        };
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let change = AccountChange {
            revision: Some(account.revision),
            owner: text("owner"),
            description: text("description"),
            grants,
            expires: body.get("expires_at").map(moment).transpose()?,
            disabled: None,
        };
        let now = Clock::System.now();
        let made = self.accounts.update(account.id, change, &self.by, now).await;
        self.changed("service_account.update", made, now)
    }

    pub(super) async fn switch(&self, named: &str, off: bool) -> Result<Value, Stop> {
        let (account, now) = (self.found(named).await?, Clock::System.now());
        let change = AccountChange { disabled: Some(off), ..AccountChange::default() };
        let made = self.accounts.update(account.id, change, &self.by, now).await;
        self.changed(if off { "service_account.disable" } else { "service_account.enable" }, made, now)
    }

    pub(super) async fn delete(&self, named: &str) -> Result<Value, Stop> {
        let account = self.found(named).await?;
        let made = self.accounts.delete(account.id, None).await;
        self.changed("service_account.delete", made, Clock::System.now())
    }

    pub(super) async fn approve(&self, named: &str, revision: u64) -> Result<Value, Stop> {
        let (account, now) = (self.found(named).await?, Clock::System.now());
        let made = self.accounts.approve(account.id, revision, &self.by, now).await;
        self.changed("grant.approve", made, now)
    }

    pub(super) async fn issue(&self, named: &str, body: &Value) -> Result<Value, Stop> {
        let (account, now) = (self.found(named).await?, Clock::System.now());
        let name = body["name"].as_str().unwrap_or_default().to_owned();
        let new = NewAccountToken { name, expires: moment(&body["expires_at"])? };
        let made = self.accounts.issue(account.id, new, &self.by, now).await.map_err(|error| told(&error))?;
        let described = made.info.described(now);
        self.recorded("token.issue", &made.info.id.to_string(), None, Some(&described))?;
        Ok(with(described, "token", made.token.text().into()))
    }

    pub(super) async fn tokens(&self, named: &str, cursor: Option<&str>) -> Result<Value, Stop> {
        let (account, now) = (self.found(named).await?, Clock::System.now());
        let after = cursor.map(token_id).transpose()?;
        let found = self.accounts.tokens(account.id, after, PAGE).await.map_err(|error| told(&error))?;
        let next = found.last().filter(|_| found.len() >= PAGE as usize).map(|last| last.id);
        let shown: Vec<Value> = found.iter().map(|token| token.described(now)).collect();
        Ok(json!({"tokens": shown, "next_cursor": next}))
    }

    pub(super) async fn rotate(&self, named: &str, token: &str, body: &Value) -> Result<Value, Stop> {
        let (id, now) = (self.token_of(named, token).await?, Clock::System.now());
        let wish = RotateWish {
            expires: body.get("expires_at").map(moment).transpose()?,
            overlap: body.get("overlap").and_then(Value::as_u64).map(Duration::from_secs),
        };
        let made = self.accounts.rotate(id, wish, &self.by, now).await.map_err(|error| told(&error))?;
        let described = made.new.info.described(now);
        self.recorded("token.rotate", token, Some(&made.old.described(now)), Some(&described))?;
        Ok(with(described, "token", made.new.token.text().into()))
    }

    pub(super) async fn revoke(&self, named: &str, token: &str) -> Result<Value, Stop> {
        let (id, now) = (self.token_of(named, token).await?, Clock::System.now());
        let (before, after) = self.accounts.revoke(id, now).await.map_err(|error| told(&error))?;
        self.recorded("token.revoke", token, Some(&before.described(now)), Some(&after.described(now)))?;
        Ok(Value::Null)
    }

    pub(super) async fn find(&self, text: &str, revoke: bool) -> Result<Value, Stop> {
        let now = Clock::System.now();
        let found = self.accounts.identify(text).await.map_err(|error| told(&error))?;
        let Some((token, account)) = found else {
            return Err(Stop::No("no service account has that token".to_owned()));
        };
        let (after, count) = if revoke {
            let (after, count) = self.accounts.revoke_family(&token, now).await.map_err(|error| told(&error))?;
            let [was, is] = [&token, &after].map(|token| token.described(now));
            self.recorded("token.revoke_leaked", &token.id.to_string(), Some(&was), Some(&is))?;
            (after, Some(count))
        } else {
            (token, None)
        };
        Ok(json!({"token": after.described(now), "service_account": account.described(now), "revoked_now": count}))
    }

    async fn token_of(&self, named: &str, token: &str) -> Result<AccountTokenId, Stop> {
        let (account, id) = (self.found(named).await?, token_id(token)?);
        let found = self.accounts.token(id).await.map_err(|error| told(&error))?;
        let is_its = found.account == account.id;
        is_its.then_some(id).ok_or_else(|| Stop::No("the account has no such token".to_owned()))
    }

    /// By its id, or by namespace and name.
    async fn found(&self, named: &str) -> Result<Account, Stop> {
        let found = match AccountId::parse(named) {
            Some(id) => self.accounts.show(id).await,
            None => {
                let (within, name) = named.rsplit_once('/').unwrap_or((ROOT, named));
                let name = AccountName::new(name).map_err(CliError::new)?;
                self.accounts.show_named(namespace(within)?.as_ref(), &name).await
            }
        };
        found.map_err(|error| told(&error))
    }

    fn changed(
        &self,
        action: &'static str,
        made: Result<Changed, AccountError>,
        now: Timestamp,
    ) -> Result<Value, Stop> {
        let made = made.map_err(|error| told(&error))?;
        let id =
            made.after.as_ref().or(made.before.as_ref()).map_or_else(String::new, |account| account.id.to_string());
        let [before, after] = made.described(now);
        self.recorded(action, &id, before.as_ref(), after.as_ref())?;
        Ok(after.unwrap_or_default())
    }

    /// The record is on its disk when this returns.
    #[allow(clippy::disallowed_methods, reason = "measures latency; decides nothing")]
    fn recorded(
        &self,
        action: &'static str,
        object: &str,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<(), Stop> {
        let now = Clock::System.now();
        let id = DecisionId::new(now, jose::random().unwrap_or_default());
        let mut trail = Trail::begin(&self.journal, id, now, Surface::Cli, None);
        trail.subject(&self.by);
        trail.acts(action, object);
        trail.changed(before, after);
        trail.close(Outcome::Done, Duration::ZERO);
        let is_kept = self.journal.flush(PATIENCE);
        is_kept.then_some(()).ok_or_else(|| Stop::Failed("it was done, and could not be put on record".to_owned()))
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.journal.shutdown();
    }
}

fn namespace(text: &str) -> Result<Option<Namespace>, Stop> {
    match text.trim_matches('/') {
        "" | ROOT => Ok(None),
        name => Ok(Some(Namespace::new(name).map_err(CliError::new)?)),
    }
}

fn moment(value: &Value) -> Result<Timestamp, Stop> {
    let text = value.as_str().unwrap_or_default();
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Timestamp::parse(&whole).ok_or_else(|| Stop::Failed("the end is no moment (RFC 3339) and no day".to_owned()))
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Stop> {
    Ok(serde_json::from_value(value.clone()).map_err(CliError::new)?)
}

fn token_id(text: &str) -> Result<AccountTokenId, Stop> {
    AccountTokenId::parse(text)
        .ok_or_else(|| Stop::Failed("a token is named by its id here, as `list` prints it".to_owned()))
}

fn told(error: &AccountError) -> Stop {
    match error {
        AccountError::Database(_) | AccountError::Randomness(_) => Stop::Failed(error.to_string()),
        error => Stop::No(error.to_string()),
    }
}
