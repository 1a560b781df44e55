//! Trust: which issuers there are, what their tokens look like, and with which keys they sign.
//!
//! Decides where keys come from and how long they are good; refuses to look at a token: that is `verify`. What
//! distinguishes one kind of issuer from another is data under `platforms/`; what distinguishes one issuer from another is
//! the operator's [`IssuerSettings`].
//!
//! ```text
//! IssuerSettings --(checks)--> Issuer --(find)--> its own KeyCache --(current)--> Snapshot --> KeySet
//! Platform (data) ----^                    Keeper --(tick)--^ |
//!                                          KeySource <--------+ Fetcher (the one HTTP client)
//! ```
//!
//! Caches here: the keys of each issuer ([`KeyCache`]: one snapshot per issuer, bounded by 100 keys and 256 KiB, good for
//! `jwks.stale_for` after the last good answer), and HTTP clients ([`Fetcher`]: at most four).

mod address;
mod audience;
mod authority;
mod cache_control;
mod claim;
mod claim_path;
mod claim_type;
mod client;
mod discovery;
mod fetch;
mod fetch_error;
mod issuer;
mod issuer_checks;
mod issuer_claims;
mod issuers;
mod keeper;
mod key_fetch;
mod key_status;
mod keys;
mod local_file;
mod media_type;
mod outbound;
mod platform;
mod platform_file;
mod platforms;
mod refresh;
mod schema;
mod schema_check;
mod settings;
mod source;
mod token_review;

pub use address::is_reached_privately;
pub use audience::AudiencePattern;
pub use authority::{Authority, Beyond, OutsideCode, OwnerClaim, VouchedClaim, Voucher, expression};
pub use claim::{Claim, ClaimKind, Presence};
pub use claim_path::ClaimPath;
pub use claim_type::ClaimType;
pub use client::{Call, Reply};
pub use discovery::DiscoveryError;
pub use fetch::Fetcher;
pub use fetch_error::FetchError;
pub use issuer::{Issuer, IssuerFault};
pub use issuers::{Issuers, Untrusted};
pub use keeper::Keeper;
pub use key_status::KeyStatus;
pub use keys::{KeyCache, KeysUnavailable, Refresh, Snapshot};
pub use media_type::MediaTypes;
pub use outbound::{Method, Outbound, OutboundError, OutboundReply};
pub use platform::{Platform, PlatformError};
pub use platform_file::{DefaultKeys, ExampleToken, IdentifyBy, RefusedClaim, ReplayRule};
pub use platforms::Platforms;
pub use refresh::{Generation, Reason};
pub use schema::{ClaimSchema, Lookup, UnknownMembers, nearest};
pub use schema_check::{SchemaFinding, SchemaProblem};
pub use settings::{AudienceRule, ClusterSettings, IssuerSettings, JwksSettings, KeysSettings, MAX_LEEWAY};
pub use source::KeyFault;
pub use token_review::{ReviewFault, TokenReview};
