//! Policies: who gets what, as the operator wrote it.
//!
//! Decides, for a verified token and a target, which policies are granted: a [`Permit`], or a [`Denial`] with its
//! reason. The only module that knows CEL. Refuses to know how a token was verified, how a permit becomes a token, and
//! what a caller is told.
//!
//! A policy file is YAML, one target each, with ordered rules and with cases that have to come out as they say. From
//! text to decision:
//!
//! ```text
//! document   the shape of a file, with the place of every expression
//! compile    text -> syntax tree -> expand (macros) -> guard (judged) -> rewrite -> cost (bounded)
//! check      types and lints over a file's expressions -> findings with codes and places
//! build      a file's names and expressions -> a target with its rules
//! load       a directory -> all targets, all cases run -> PolicySet, or every fault
//! role       OpenBao's role documents: a file, a mount, a program -> a target with one rule
//! evaluate   the rules of one target on one token's claims, in a scope of lazily converted claims
//! decision   Permit and Denial; trace: which rules were tried; fault: errors without claims in them
//! ```
//!
//! # Expressions
//!
//! CEL as `cel` implements it, with the optional syntax, with the extensions for strings, lists, math, sets, encoders and
//! regular expressions, with comprehensions over two variables and `cel.bind`, and with `hex(text)`, `text.fullMatch("..")`
//! and `text.glob("..")` of our own: `docs/cel.md` has all of it, with costs. In two dialects ([`Dialect`]): policies, whose
//! expressions see `claims`, `now`, `issuer` and the rule's `let` variables above, and OpenBao's role programs.
//!
//! - A claim that is absent is an error where it is read, and an error denies. `has(claims.x)` and `claims.?x` ask first.
//!   `null` is present.
//! - `a || b` is true where either is, even if the other fails; `a && b` is false where either is. So says CEL; it is why
//!   unknown names are refused when a file is loaded.
//! - `matches` finds its pattern anywhere in the text; `fullMatch` and `glob` want the whole text.
//! - `split` makes as many parts as a claim has bytes; to look at each of them, say how many at most: `split("/", 8)`.
//! - In a glob, `*` is any run of characters without `/`, `**` any run, `?` one character other than `/`.

mod archive;
mod build;
mod cases;
mod catalog;
mod check;
mod claims;
mod claims_file;
mod code;
mod compare;
mod compile;
mod comprehension;
mod cost;
mod coverage;
mod decision;
mod demand;
mod digest;
mod document;
mod evaluate;
mod expand;
mod expression;
mod fault;
mod finding;
mod guard;
mod inspection;
mod language;
mod layout;
pub mod limits;
mod load;
mod observe;
mod pattern;
mod problem;
mod rehearsal;
mod rewrite;
mod role;
mod rule;
mod scope;
#[cfg(test)]
mod service_account_tests;
mod set;
mod sources;
mod steps;
mod trace;
mod unparse;
mod who_can;

pub use archive::{Archive, ArchiveError, KEPT as KEPT_SETS};
pub use cases::{CaseFailure, CaseOutcome};
pub use catalog::{Catalog, IssuerFacts};
pub use claims::ClaimsFault;
pub use claims_file::read_claims;
pub use code::Code;
pub use compare::{Change, ChangeKind, Question, Verdict};
pub use compile::CompileError;
pub use coverage::{FileCoverage, Goal, Want};
pub use decision::{Denial, Grant, Permit, Reason};
pub use document::Place;
pub use evaluate::Evaluation;
#[doc(hidden)]
pub use expression::Expression;
pub use fault::Fault;
pub use finding::{Finding, Severity};
pub use inspection::Inspection;
pub use language::Dialect;
pub use layout::{LayoutFault, layout, policy_files};
pub use pattern::PatternError;
pub use problem::{LoadError, LoadErrors, Problem};
pub use rehearsal::{Rehearsal, RehearsedCase};
pub use role::{Alias, Imported, NoRole, Refusal, RoleFiles, RoleGrant, RolePath, Said, TokenType, import_role};
pub use rule::{Rule, Target};
pub use set::PolicySet;
pub use sources::is_policy_file;
pub use steps::{Fate, Note, RuleSteps, Seen, Step, Steps};
pub use trace::{End, Part, Trace, Tried};
pub use who_can::{Example, Needed, Way, Yield};
