//! Names and who bears them: issuers, subjects, targets, policies, namespaces, decisions.
//!
//! Decides what a well-formed name is, once, so that nothing further up compares strings that were never checked.
//! Refuses to know what a name is good for.

mod decision_id;
mod issuer_url;
mod names;
mod policy_name;
mod spiffe;

pub use decision_id::DecisionId;
pub use issuer_url::{IssuerUrl, IssuerUrlError};
pub use names::{AccountName, IssuerName, NameError, Namespace, TargetName};
pub use policy_name::{PolicyName, PolicyNameError};
pub use spiffe::SpiffeTrustDomain;
