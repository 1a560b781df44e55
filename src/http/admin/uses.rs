//! Every use of a service account's token: of itself, and of the tokens that it was exchanged for.
//!
//! Decides by what records say of each other: a use of an exchanged token names the decision by which that was issued
//! (`exchange`), and the record of that decision names the token. So a page needs no more than itself, however far back the
//! exchange lies, and no more than a page is held at a time.

use std::collections::HashMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::decisions::{told_of, unreachable};
use super::refusal::Refusal;
use super::{Ended, told};
use crate::accounts::{AccountError, AccountTokenId};
use crate::audit::{Cursor, Decision, DecisionFilter, Decisions, MAX_PAGE, Record};
use crate::exchange::Permitted;
use crate::identity::{DecisionId, IssuerName};
use crate::state::database::DatabaseError;

/// How many pages of the store are looked through for one page of uses.
const MOST_PAGES: usize = 50;
/// How many tokens lie between a use and the service account's token at most: one to log in with, and what it became.
const MOST_STEPS: usize = 4;

/// Which uses.
pub(super) struct Sought {
    pub(super) filter: DecisionFilter,
    pub(super) after: Option<Cursor>,
    pub(super) limit: u32,
}

/// Uses of the token of that id, newest first, a page at a time. A page may have few, or none, and still a next one: `complete`
/// says whether there is none.
pub(super) async fn uses(permitted: Permitted<'_>, decisions: &Decisions, sought: Sought, token: &str) -> Ended {
    let Some(accounts) = permitted.accounts() else { return Err(Refusal::off(permitted)) };
    let found = match AccountTokenId::parse(token) {
        Some(id) => accounts.token_digest(id).await,
        None => Err(AccountError::NotFound("token")),
    };
    let (info, digest) = match found {
        Ok(found) => found,
        Err(error) => return Err(Refusal::account(permitted, &error)),
    };
    let Sought { mut filter, after, limit } = sought;
    filter.issuer = Some(IssuerName::SERVICE_ACCOUNTS.to_owned());
    filter.since = Some(filter.since.map_or(info.created, |since| since.max(info.created)));
    let origins = Origins { decisions, id: info.id.to_string(), digest: digest.to_string(), known: HashMap::new() };
    let Ok((found, next)) = origins.page(&filter, after, limit).await else { return Err(unreachable(permitted)) };
    let rules = permitted.counter().rules();
    let uses: Vec<Value> = found.iter().map(|one| told_of(one, &rules)).collect();
    let next = next.map(|next| next.to_string());
    let body = json!({"decisions": uses, "next_cursor": next, "complete": next.is_none()});
    Ok(told(permitted.done(None, None), StatusCode::OK, &body))
}

/// Which decisions lead to the token.
struct Origins<'a> {
    decisions: &'a Decisions,
    id: String,
    digest: String,
    /// Of exchanges that were looked at.
    known: HashMap<String, bool>,
}

impl Origins<'_> {
    async fn page(
        mut self,
        filter: &DecisionFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<(Vec<Decision>, Option<Cursor>), DatabaseError> {
        let (mut uses, mut next) = (vec![], after);
        for _ in 0..MOST_PAGES {
            let page = self.decisions.page(filter, next, MAX_PAGE).await?;
            for decision in page.decisions {
                if !self.is_use(&decision.record).await? {
                    continue;
                }
                let here = Cursor::of(&decision);
                uses.push(decision);
                if u32::try_from(uses.len()).is_ok_and(|count| count >= limit) {
                    return Ok((uses, Some(here)));
                }
            }
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        Ok((uses, next))
    }

    async fn is_use(&mut self, record: &Record) -> Result<bool, DatabaseError> {
        if self.is_own(record) {
            return Ok(true);
        }
        let (mut exchange, mut passed, mut leads) = (record.exchange.clone(), vec![], false);
        while let Some(id) = exchange.take().filter(|_| passed.len() < MOST_STEPS) {
            if let Some(known) = self.known.get(&id) {
                leads = *known;
                break;
            }
            let found = match DecisionId::parse(&id) {
                Some(id) => self.decisions.find(id).await?,
                None => None,
            };
            passed.push(id);
            let Some(found) = found else { break };
            leads = self.is_own(&found.record);
            exchange = found.record.exchange.filter(|_| !leads);
        }
        self.known.extend(passed.into_iter().map(|id| (id, leads)));
        Ok(leads)
    }

    /// Whether the token itself was presented.
    fn is_own(&self, record: &Record) -> bool {
        record.token.as_ref() == Some(&self.digest) || record.jti.as_ref() == Some(&self.id)
    }
}
