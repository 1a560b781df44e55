//! OpenBao's CEL roles as they are.
//!
//! Decides what a role document at its API path below the policy directory grants: a target of its own, whose one rule is
//! the role's program, evaluated as OpenBao evaluates it. Refuses to know logins: which surface asks for a role, and in
//! what envelope the answer goes out. `docs/openbao-roles.md` is the operator's page.
//!
//! ```text
//! path       a file's name -> namespace, mount, role
//! document   JSON -> a role, a mount's configuration
//! documents  the files of one role
//! issuer     a mount's issuer -> the configured issuers
//! chain      an expression -> its questions and answers
//! messages   pb.Auth, pb.LeaseOptions, logical.Alias
//! build      documents -> a target
//! program    a token's claims -> a grant or a refusal
//! check      what is odd about a role
//! denied     grants that nobody ever gets
//! mounts     which role a login means
//! import     a role -> a policy of cambio's own
//! ```

mod build;
mod chain;
mod check;
mod denied;
mod document;
mod documents;
mod grant;
mod import;
mod issuer;
mod messages;
mod mounts;
pub(super) mod path;
mod program;
mod refusal;
#[cfg(test)]
mod tests;
mod text;

use cel::DeclarationError;

pub(super) use build::target;
pub(super) use check::judge;
pub(super) use document::RoleDocument;
pub(super) use documents::Documents;
pub use grant::{Alias, RoleGrant, TokenType};
pub use import::{Imported, RoleFiles, import_role};
pub(super) use messages::{AUTH, fields as of_message};
pub(super) use mounts::Mounts;
pub use mounts::NoRole;
pub use path::RolePath;
pub(super) use program::Program;
pub use refusal::{Refusal, Said};
pub(super) use text::negated;

use super::language::{Dialect, Language};

/// The language of programs: CEL with OpenBao's extensions and messages.
///
/// # Errors
/// Only if `cel` comes to declare one of our names itself.
pub(super) fn language() -> Result<Language, DeclarationError> {
    Language::with(Dialect::Role, messages::declare)
}
