//! A policy file as it is written.
//!
//! Decides the shape: which keys exist, which are required, how many of each. Refuses to know whether an expression
//! compiles. Every name and expression keeps its place in the file, so that a finding can point at it.

mod case;
mod shape;

use serde::Deserialize;
use serde_saphyr::Spanned;

pub(super) use case::{CaseDocument, ExpectDenial, ExpectPermit};
pub(super) use shape::{Entries, OneOrMany, PolicyItem, Ttl};

use crate::identity::{AccountName, IssuerName, Namespace, PolicyName, TargetName};

/// A place in a policy file. Lines and columns count from 1, in characters; the span in bytes from 0, where known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1; 0 where the place is unknown.
    pub line: u32,
    /// Column, from 1; 0 where the place is unknown.
    pub column: u32,
    /// Bytes from the start of the file.
    pub offset: u32,
    /// Bytes of the YAML node.
    pub len: u32,
}

/// One policy file: one target.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    /// What the token is asked for.
    pub(super) target: Spanned<TargetName>,
    /// Other values of `audience` and `resource` that ask for it.
    #[serde(default)]
    pub(super) aliases: Vec<Spanned<String>>,
    /// Where its secrets live.
    #[serde(default)]
    pub(super) namespace: Option<Spanned<Namespace>>,
    /// For people.
    #[serde(default)]
    pub(super) description: Option<Spanned<String>>,
    /// In the order in which they are tried.
    pub(super) rules: Vec<RuleDocument>,
    /// What the file promises about itself.
    #[serde(default)]
    pub(super) cases: Vec<CaseDocument>,
    /// Warnings that are meant to be so, anywhere in the file.
    #[serde(default)]
    pub(super) accept: Vec<AcceptDocument>,
}

/// A warning that is meant to be so.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AcceptDocument {
    /// Its code or its name.
    pub(super) finding: Spanned<String>,
    /// Why, for the next who reads the file.
    pub(super) because: Spanned<String>,
}

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleDocument {
    /// Unique in the file.
    pub(super) name: Spanned<String>,
    /// Whose tokens it judges.
    pub(super) issuer: Spanned<OneOrMany<IssuerName>>,
    /// Variables, in order.
    #[serde(default, rename = "let")]
    pub(super) lets: Entries<String>,
    /// Conditions, in order.
    pub(super) require: Vec<ConditionDocument>,
    /// What it grants where all hold.
    pub(super) grant: GrantDocument,
    /// Warnings about this rule that are meant to be so.
    #[serde(default)]
    pub(super) accept: Vec<AcceptDocument>,
}

/// One condition.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConditionDocument {
    /// CEL, a bool.
    pub(super) that: Spanned<String>,
    /// What the operator reads where it does not hold.
    pub(super) message: Spanned<String>,
    /// Warnings about this condition that are meant to be so.
    #[serde(default)]
    pub(super) accept: Vec<AcceptDocument>,
}

/// What a rule grants.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantDocument {
    /// Names of policies; that of the service account comes last.
    #[serde(default)]
    pub(super) policies: Vec<Spanned<PolicyItem>>,
    /// The service account that the caller acts as.
    #[serde(default)]
    service_account: Option<Spanned<AccountName>>,
    /// The longest that the token lives.
    #[serde(default)]
    pub(super) ttl: Option<Spanned<Ttl>>,
    /// Whether it may live longer than the subject token.
    #[serde(default)]
    pub(super) outlive_subject: bool,
    /// Whether a Vault login says `type: service`, so that clients revoke the token when they are done.
    #[serde(default)]
    pub(super) revocable: bool,
    /// Words of `scope` (RFC 6749 section 3.3).
    #[serde(default)]
    pub(super) scopes: Vec<Spanned<String>>,
    /// Values for the audit record and the token, each CEL.
    #[serde(default)]
    pub(super) metadata: Entries<String>,
}

impl GrantDocument {
    /// Whoever acts as an account bears its policy: one more name, which everything that looks at names sees.
    fn name_account(&mut self) {
        if let Some(Spanned { value: account, referenced, defined }) = self.service_account.take() {
            let policy = format!("\"{}\"", PolicyName::of_account(&account));
            self.policies.push(Spanned { value: PolicyItem::Account { account, policy }, referenced, defined });
        }
    }
}

impl Document {
    /// Reads a file's text.
    ///
    /// # Errors
    /// What the reader complains about, and where.
    pub(super) fn parse(text: &str) -> Result<Self, (String, Place)> {
        let mut document: Self = read(text)?;
        document.rules.iter_mut().for_each(|rule| rule.grant.name_account());
        Ok(document)
    }
}

/// Reads YAML as strictly as an operator's file needs it.
///
/// No anchors, aliases and merge keys: a reviewer should see a rule where it stands. No `yes` and `no` for bools: a
/// claim's value in a case is what a reader of JSON would take it for.
///
/// # Errors
/// What the reader complains about, and where.
pub(super) fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, (String, Place)> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: 32,
            flow_nesting_limit: 32,
            max_nodes: 50_000,
            max_events: 100_000,
            max_anchors: 0,
            max_aliases: 0,
            max_merge_keys: 0,
        },
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(Place::from).unwrap_or_default();
        (message(&error), place)
    })
}

impl From<serde_saphyr::Location> for Place {
    fn from(location: serde_saphyr::Location) -> Self {
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let span = location.span();
        Self {
            line: small(location.line()),
            column: small(location.column()),
            offset: small(span.byte_offset().unwrap_or_default()),
            len: small(span.byte_len().unwrap_or_default()),
        }
    }
}

/// Where a value stands.
pub(super) fn place<T>(spanned: &Spanned<T>) -> Place {
    Place::from(spanned.referenced)
}

/// The complaint without its place, which is kept apart.
fn message(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let line = text.lines().next().unwrap_or_default();
    plainly(line.rfind(" at line ").and_then(|end| line.get(..end)).unwrap_or(line))
}

/// The reader's words, where they are its own affair, in words of a policy file.
fn plainly(text: &str) -> String {
    const PLAINLY: [(&str, &str); 6] = [
        ("budget breached: Anchors", "an anchor (`&name`) is not taken: write the value out where it stands"),
        ("budget breached: Aliases", "an alias (`*name`) is not taken: write the value out where it stands"),
        ("budget breached: Documents", "a second document (`---`): a file holds one"),
        ("budget breached: Depth", "lists and maps are nested too deep"),
        ("budget breached", "the file has more in it than a policy file may have"),
        (
            "expected mapping start",
            "a map of `key: value` belongs here; a condition is `that: ..` with its `message: ..`",
        ),
    ];
    if text == "unexpected end of input" {
        return "something is missing at the end of the file, or the file is empty".to_owned();
    }
    if let Some(key) = text.strip_prefix("duplicate mapping key: ") {
        return format!("the key `{}` stands twice", key.split(", set ").next().unwrap_or(key));
    }
    let known = PLAINLY.iter().find(|(theirs, _)| text.starts_with(theirs));
    known.map_or_else(|| text.to_owned(), |(_, ours)| (*ours).to_owned())
}
