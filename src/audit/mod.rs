//! Trail (facts so far) -> one record per decision, whatever the outcome.
//!
//! Decides what an operator can know afterwards about an exchange, and that it is known: a [`Trail`] that is dropped
//! writes its record all the same, and nothing is minted while records cannot be kept ([`Trail::admit`]). Refuses to
//! know tokens and secrets: it is never given one, and what looks like one in any text is struck out on the way.
//!
//! # The record
//! One line of JSON, at most 128 KiB; members that do not apply are absent. `v` is the version of this list; new members
//! may be added within a version.
//!
//! | member | what |
//! |---|---|
//! | `v` | 1 |
//! | `id` | the decision's id, a UUID version 7: the caller has it too |
//! | `time` | when the exchange began, RFC 3339 |
//! | `surface` | `oauth`, `vault`, `rest`, `admin`, `cli` |
//! | `remote` | the caller's address |
//! | `outcome` | `issued`, `served` (a secret was read or changed), `done` (an administrator's action), `denied` (by a check or by policy), `failed` (our fault), `aborted` (never finished) |
//! | `reason`, `detail` | a stable code, and a text for the operator |
//! | `claimed_issuer`, `key_id` | what the token said of itself before anybody had verified it |
//! | `token` | SHA-256 of the subject token, hex |
//! | `issuer`, `subject` | the operator's name of the issuer, and the verified `sub` |
//! | `claims` | a list of names (where nothing was issued) or an object, by [`ClaimDetail`] |
//! | `target` | what was asked for |
//! | `policy_set` | SHA-256 of the policy set that decided, hex |
//! | `rule`, `rule_digest`, `policies` | what decided, and what it granted |
//! | `metadata` | what the rule's `metadata` came to: the operator chose which claims stand here |
//! | `trace` | the conditions and what became of them, as the policy module writes it |
//! | `operation`, `path` | what was to be done to which secret: namespace, mount and path, never a value |
//! | `jti`, `expires`, `lifetime_s` | the issued token; `jti` alone: the token that a secret was asked for with |
//! | `latency_us` | from the first byte of the request to the decision |
//! | `namespace` | whose secrets it is about |
//! | `account`, `family` | the service account that acts; the family of its token, where that was revoked or came back |
//! | `exchange` | the decision by which the secrets token that was presented was issued |
//! | `action`, `object` | what an administrator did, and to what |
//! | `before`, `after` | what it was, and what it is |

mod audit_key;
mod begin;
mod chain;
#[cfg(test)]
mod chain_tests;
mod decisions;
#[cfg(test)]
mod decisions_tests;
#[cfg(test)]
#[path = "decisions_tests.rs"]
#[allow(clippy::duplicate_mod, reason = "the same tests over another engine")]
mod decisions_tests_on_postgres;
#[cfg(test)]
mod disk_tests;
mod escape;
mod facts;
mod fault;
mod file_names;
mod find;
mod head;
mod journal;
mod lines;
#[cfg(test)]
mod outlet_tests;
mod outlets;
mod record;
mod resume;
mod segments;
mod settings;
mod sink;
mod stream;
mod syncing;
#[cfg(test)]
mod tests;
mod trail;
mod verify;
mod writer;

pub use audit_key::{KnownKey, known_key, prepare_key};
pub use decisions::{Cursor, Decision, DecisionFilter, Decisions, MAX_PAGE, Page};
pub use facts::{ClaimDetail, Surface};
pub use fault::{AuditError, AuditUnavailable, Counters};
pub use find::{each, find};
pub use journal::Journal;
pub use outlets::store::DecisionRetention;
pub use outlets::{
    BearerSource, Facility, OutletCounters, OutletKind, OutletSettings, OutletStatus, SyslogAddress, SyslogSettings,
    WebhookSettings,
};
pub use record::Record;
pub use settings::{JournalSettings, OnFailure, Sink};
pub use trail::{Outcome, Trail};
pub use verify::{ChainReport, CoveredBy, Fault, Report, Verifier, thumbprint};
