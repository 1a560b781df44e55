//! Where accounts are: behind a server's administration, or in the store itself. Both answer alike.

use std::path::Path;

use serde_json::{Value, json};

use super::local::Local;
use crate::cli::session::{Session, Stop};
use crate::trust::Method;

/// The path of the administration.
pub(in crate::cli) const BASE: [&str; 3] = ["api", "admin", "v1"];

pub(in crate::cli) enum Registry<'a> {
    Remote(Box<Session<'a>>),
    Local(Box<Local>),
}

impl Registry<'_> {
    pub(in crate::cli) async fn local(config: &Path) -> Result<Self, Stop> {
        Ok(Self::Local(Box::new(Local::open(config).await?)))
    }

    pub(super) async fn create(&mut self, body: &Value) -> Result<Value, Stop> {
        match self {
            Self::Remote(session) => ask(session, Method::Post, &[], &[], Some(body)).await,
            Self::Local(local) => local.create(body).await,
        }
    }

    pub(super) async fn list(
        &mut self,
        within: Option<&str>,
        pending: bool,
        cursor: Option<&str>,
    ) -> Result<Value, Stop> {
        match self {
            Self::Remote(session) => {
                let query: Vec<(&str, &str)> = [("namespace", within), ("cursor", cursor)]
                    .into_iter()
                    .filter_map(|(k, v)| Some((k, v?)))
                    .collect();
                let path = [BASE.as_slice(), &[if pending { "grants" } else { "service-accounts" }]].concat();
                session.api(Method::Get, &path, &query, None).await
            }
            Self::Local(local) => local.list(within, pending, cursor).await,
        }
    }

    pub(super) async fn show(&mut self, account: &str) -> Result<Value, Stop> {
        match self {
            Self::Remote(session) => ask(session, Method::Get, &[account], &[], None).await,
            Self::Local(local) => local.show(account).await,
        }
    }

    pub(super) async fn update(&mut self, account: &str, body: &Value) -> Result<Value, Stop> {
        match self {
            Self::Remote(session) => ask(session, Method::Patch, &[account], &[], Some(body)).await,
            Self::Local(local) => local.update(account, body).await,
        }
    }

    pub(super) async fn switch(&mut self, account: &str, off: bool) -> Result<Value, Stop> {
        match self {
            Self::Remote(session) => {
                ask(session, Method::Post, &[account, if off { "disable" } else { "enable" }], &[], None).await
            }
            Self::Local(local) => local.switch(account, off).await,
        }
    }

    pub(super) async fn delete(&mut self, account: &str) -> Result<Value, Stop> {
        match self {
            Self::Remote(session) => ask(session, Method::Delete, &[account], &[], None).await,
            Self::Local(local) => local.delete(account).await,
        }
    }

    pub(super) async fn approve(&mut self, account: &str, revision: u64) -> Result<Value, Stop> {
        match self {
            Self::Remote(session) => {
                let body = json!({"revision": revision});
                ask(session, Method::Post, &[account, "approve"], &[], Some(&body)).await
            }
            Self::Local(local) => local.approve(account, revision).await,
        }
    }

    pub(super) async fn issue(&mut self, account: &str, body: &Value) -> Result<Value, Stop> {
        match self {
            Self::Remote(session) => ask(session, Method::Post, &[account, "tokens"], &[], Some(body)).await,
            Self::Local(local) => local.issue(account, body).await,
        }
    }

    pub(super) async fn tokens(&mut self, account: &str, cursor: Option<&str>) -> Result<Value, Stop> {
        match self {
            Self::Remote(session) => {
                let query: Vec<(&str, &str)> = cursor.map(|cursor| ("cursor", cursor)).into_iter().collect();
                ask(session, Method::Get, &[account, "tokens"], &query, None).await
            }
            Self::Local(local) => local.tokens(account, cursor).await,
        }
    }

    pub(super) async fn rotate(&mut self, account: &str, token: &str, body: &Value) -> Result<Value, Stop> {
        match self {
            Self::Remote(session) => {
                ask(session, Method::Post, &[account, "tokens", token, "rotate"], &[], Some(body)).await
            }
            Self::Local(local) => local.rotate(account, token, body).await,
        }
    }

    pub(super) async fn revoke(&mut self, account: &str, token: &str) -> Result<Value, Stop> {
        match self {
            Self::Remote(session) => ask(session, Method::Delete, &[account, "tokens", token], &[], None).await,
            Self::Local(local) => local.revoke(account, token).await,
        }
    }

    pub(super) async fn find(&mut self, text: &str, revoke: bool) -> Result<Value, Stop> {
        match self {
            Self::Remote(session) => {
                let body = json!({"token": text, "revoke": revoke});
                session.api(Method::Post, &[BASE.as_slice(), &["tokens", "search"]].concat(), &[], Some(&body)).await
            }
            Self::Local(local) => local.find(text, revoke).await,
        }
    }
}

async fn ask(
    session: &mut Session<'_>,
    method: Method,
    below: &[&str],
    query: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Value, Stop> {
    let path = [BASE.as_slice(), &["service-accounts"], below].concat();
    session.api(method, &path, query, body).await
}

/// An object with one more member.
pub(super) fn with(mut object: Value, name: &str, value: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    object
}
