//! Access documents: who may do what with which path, by policy name, in OpenBao's own grammar (HCL or JSON).
//!
//! Decides whether a path of the API is open to a token's policies: a [`Granted`], which only a check can make, or a
//! [`Denied`] that says to the operator why. Refuses to know how a token came by its policies, what lies at a path, and what
//! a caller is told. What a document says and cambio can't keep is refused when it is loaded: a rule that is not enforced is
//! a hole, and nobody sees it.
//!
//! ```text
//! sources    a directory -> the documents in it, by where they stand in OpenBao's API
//! hcl, json  text -> a tree with the place of everything; template: `${hex("production")}` in names and paths
//! document   a tree -> policies with their rules, or every fault with its place
//! policy     a policy's rules, so that the rules for a path are found without a walk through all
//! check      a token's policies on one path: the one rule that counts -> Granted | Denied
//! ```

mod account;
mod capability;
mod check;
mod document;
mod documents;
mod fault;
mod fields;
mod file_path;
mod hcl;
mod json;
pub mod limits;
mod node;
mod parameters;
mod pattern;
mod policy;
mod rule;
mod sources;
mod template;

#[cfg(test)]
mod document_tests;
#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod tests;

pub use account::AccountRules;
pub use capability::Capability;
pub use check::{Acl, Denied, Granted};
pub use documents::AclDocuments;
pub use fault::{AclErrors, AclWarning};
pub use parameters::ParameterDenied;
