//! What is known about a token: everything but the token.

use serde_json::{Value, json};

use super::ids::{AccountId, AccountTokenId};
use super::refusal::AccountRefusal;
use crate::clock::Timestamp;
use crate::state::database::{AccountTokenRow, DatabaseError};

/// A token as it is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its id.
    pub id: AccountTokenId,
    /// Whose it is.
    pub account: AccountId,
    /// The first token of the line that it is in: rotation goes on with a line.
    pub family: AccountTokenId,
    /// For people.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// By whom.
    pub created_by: String,
    /// Its end.
    pub expires: Timestamp,
    /// When it was used last, to about ten minutes.
    pub used: Option<Timestamp>,
    /// When another took its place, until when it stays good beside that one, and which one that is.
    pub rotated: Option<(Timestamp, Timestamp, Option<AccountTokenId>)>,
    /// When it was revoked, and why (a word of ours).
    pub revoked: Option<(Timestamp, String)>,
}

/// What can be said about a token in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// Good.
    Active,
    /// Good for a while, beside the one that took its place.
    Rotating,
    /// Its place was taken, and it is good no more. Whoever presents it has kept a copy.
    RotatedOut,
    /// Over.
    Expired,
    /// Revoked.
    Revoked,
}

impl TokenState {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Rotating => "rotating",
            Self::RotatedOut => "rotated_out",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl TokenInfo {
    /// What it is now.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> TokenState {
        if self.revoked.is_some() {
            return TokenState::Revoked;
        }
        // Before its end: a copy that somebody kept gives itself away however late it comes.
        if self.is_rotated_out(now) {
            return TokenState::RotatedOut;
        }
        match self.rotated {
            _ if now >= self.expires => TokenState::Expired,
            Some(_) => TokenState::Rotating,
            None => TokenState::Active,
        }
    }

    /// Whether another took its place, and it is not good beside that one any more: whoever presents it has kept a copy,
    /// whatever became of it since.
    #[must_use]
    pub(super) fn is_rotated_out(&self, now: Timestamp) -> bool {
        self.rotated.is_some_and(|(_, good_until, _)| now >= good_until)
    }

    /// All that there is to know of it, in the words of GitLab's API for tokens and ours.
    #[must_use]
    pub fn described(&self, now: Timestamp) -> Value {
        let state = self.state(now);
        json!({
            "id": self.id,
            "account_id": self.account,
            "family_id": self.family,
            "name": self.name,
            "created_at": self.created.to_string(),
            "created_by": self.created_by,
            "expires_at": self.expires.to_string(),
            "last_used_at": self.used.map(|used| used.to_string()),
            "active": matches!(state, TokenState::Active | TokenState::Rotating),
            "revoked": self.revoked.is_some(),
            "state": state.as_str(),
            "rotated_at": self.rotated.map(|(at, ..)| at.to_string()),
            "good_until": self.rotated.map(|(_, until, _)| until.to_string()),
            "successor_id": self.rotated.and_then(|(.., successor)| successor),
            "revoked_at": self.revoked.as_ref().map(|(at, _)| at.to_string()),
            "revoked_because": self.revoked.as_ref().map(|(_, why)| why),
        })
    }

    /// # Errors
    /// [`AccountRefusal`] says why it is not good; [`AccountRefusal::Reused`] where its family has to go.
    pub(super) fn stands(&self, now: Timestamp) -> Result<(), AccountRefusal> {
        match self.state(now) {
            TokenState::Active | TokenState::Rotating => Ok(()),
            TokenState::RotatedOut => Err(AccountRefusal::Reused),
            TokenState::Expired => Err(AccountRefusal::Expired),
            TokenState::Revoked => Err(AccountRefusal::Revoked),
        }
    }

    pub(super) fn of(row: AccountTokenRow) -> Result<Self, DatabaseError> {
        let damaged = || DatabaseError::Damaged("the id of a service account's token is none".to_owned());
        let id = |text: &str| AccountTokenId::parse(text).ok_or_else(damaged);
        let successor = row.successor.as_deref().map(id).transpose()?;
        Ok(Self {
            id: id(&row.id)?,
            account: AccountId::parse(&row.account).ok_or_else(damaged)?,
            family: id(&row.family)?,
            name: row.name,
            created: row.created,
            created_by: row.created_by,
            expires: row.expires,
            used: row.used,
            rotated: row.rotated.map(|(at, until)| (at, until, successor)),
            revoked: row.revoked,
        })
    }
}
