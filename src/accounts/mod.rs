//! Service accounts and their tokens: for what has no platform identity.
//!
//! Decides who a token of an account belongs to and whether it is good, which accounts can be acted as, and what may be changed
//! about them: nothing is without an owner and an end, and nothing of a token is kept but a keyed digest. Refuses to know what
//! a secret is: a permission is a pattern and a word here, and `secrets` says what they open.
//!
//! ```text
//! text of a token -> AccountToken (its form, offline) -> ActingAccount (its digest is on record, and all is in order)
//! an account's name, by a rule's grant               -> ActingAccount
//! ```
//!
//! # How soon a change is seen
//! By the replica that makes it at once, by every other within [`FRESH`]: what was read from the database counts for that
//! long, and then not without it. A database that is down makes tokens good for no longer than that.

mod account;
mod acting;
mod approve;
mod authenticate;
mod change;
mod error;
mod full_name;
mod grants;
mod ids;
mod issue;
mod manage;
mod many;
mod memory;
mod pattern;
mod refusal;
mod revoke;
mod rotate;
mod settings;
mod token_info;
mod token_text;
mod uses;

pub use account::{Account, AccountStatus, Wanted};
pub use acting::ActingAccount;
pub use authenticate::{Accounts, TokenKey};
pub use change::Changed;
pub use error::AccountError;
pub use full_name::FullName;
pub use grants::{Grants, GrantsFault, Permission, SecretAccess};
pub use ids::{AccountId, AccountTokenId};
pub use issue::{IssuedAccountToken, NewAccountToken};
pub use manage::{AccountChange, NewAccount};
pub use memory::FRESH;
pub use pattern::{PatternFault, SecretsPattern};
pub use refusal::AccountRefusal;
pub use rotate::{RotateWish, RotatedAccountToken};
pub use settings::{AccountSettings, Approval};
pub use token_info::{TokenInfo, TokenState};
pub use token_text::{AccountToken, TOKEN_BYTES, TOKEN_PREFIX, TokenFault};
pub use uses::EVERY as USES_WRITTEN_EVERY;

#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "the same tests over another engine")]
mod tests;
#[cfg(test)]
#[allow(clippy::duplicate_mod, reason = "the same tests over another engine")]
#[path = "tests.rs"]
mod tests_on_postgres;
