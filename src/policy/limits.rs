//! Every bound of a policy, in one place. Decides nothing.
//!
//! `cel` has no cost limit, no depth limit and no way to stop an evaluation that has begun (a thread can't be killed), so
//! whatever could run long or grow large is refused before it runs: documents and expressions at load by the bounds
//! here, claims before the first expression sees them.

use std::time::Duration;

/// Most bytes of one policy file.
pub const FILE_BYTES: usize = 256 * 1024;
/// Most policy files in one directory tree, and most targets in one set.
pub const FILES: usize = 100_000;
/// Most levels of directories below the policy directory.
pub const DIRECTORY_DEPTH: usize = 16;

/// Most bytes of one CEL expression.
pub const SOURCE_BYTES: usize = 4 * 1024;
/// Most levels that the parser descends, which bounds its stack.
pub const PARSER_DEPTH: u16 = 32;
/// Most levels of a syntax tree. Evaluation recurses, and a chain of `+` is as deep as it is long. A level takes up to
/// 2 KiB of stack, but 35 KiB in an unoptimised build, where tokio's 2 MiB have to do as well.
pub const TREE_DEPTH: usize = 40;
/// Most nodes of a syntax tree, after macros are expanded.
pub const TREE_NODES: usize = 1_000;
/// Most comprehensions (`exists`, `all`, `map`, `filter`) inside one another.
pub const COMPREHENSION_DEPTH: usize = 2;
/// Bytes of stack of the thread that parses and compiles. Tokio's workers have 2 MiB, which `cel` overruns.
pub const COMPILER_STACK: usize = 16 * 1024 * 1024;

/// Most bytes of one regular expression or glob.
pub const PATTERN_BYTES: usize = 512;
/// Most bytes of one compiled regular expression.
pub const PATTERN_COMPILED: usize = 64 * 1024;
/// Most bytes of an automaton that counts as small. A pattern with a larger one is dear to search for.
pub const PATTERN_AUTOMATON: usize = 64 * 1024;
/// Most groups inside one another in a regular expression.
pub const PATTERN_NESTING: u32 = 32;
/// Most bytes of the text that a pattern is matched against. A longer text is an error, which denies.
pub const SUBJECT_BYTES: usize = 2 * 1024;

/// Most bytes of the text that every match of a pattern is looked for in (`regex.replace`, `regex.extractAll`).
pub const SEARCHED_BYTES: usize = 512;

/// Most elements of a `lists.range`, and most levels of a `flatten`.
pub const RANGE_ITEMS: i64 = 512;
/// Most bytes that the values of one `format` may come to: the hex of all claims together. More is an error, which
/// denies.
pub const FORMAT_BYTES: usize = 40 * 1024;

/// Most bytes of the claims together, names included.
pub const CLAIM_BYTES: usize = 16 * 1024;
/// Most values in the claims together, at any depth.
pub const CLAIM_NODES: usize = 2_048;
/// Most elements of one array, and members of one object, in the claims.
pub const CLAIM_ITEMS: usize = 512;
/// Most levels of arrays and objects in the claims.
pub const CLAIM_DEPTH: usize = 16;

/// Most bytes that any intermediate value may grow to in the worst case.
pub const VALUE_BYTES: u64 = 256 * 1024;
/// Most bytes that a message of a role's program may grow to in the worst case, all its fields together.
pub const MESSAGE_BYTES: u64 = 1024 * 1024;
/// Most steps that the rules of one target for one issuer may take together in the worst case. A step is the evaluation
/// of one node of a syntax tree, measured at 20 to 60 ns.
pub const STEPS: u64 = 100_000;

/// Most steps that the program of an OpenBao role may take in the worst case: all its variables are evaluated, whatever is
/// asked. GitLab's programs for users come to 101,300, most of them for the list of groups.
pub const ROLE_STEPS: u64 = 200_000;

/// Most rules in a file.
pub const RULES: usize = 64;
/// Most `let` variables in a rule.
pub const LETS: usize = 32;
/// Most conditions in a rule.
pub const CONDITIONS: usize = 64;
/// Most entries of a grant's `policies`.
pub const GRANT_ITEMS: usize = 64;
/// Most policies that a permit carries.
pub const POLICIES: usize = 64;
/// Most entries of a grant's `scopes`.
pub const SCOPES: usize = 32;
/// Most entries of a grant's `metadata`.
pub const METADATA: usize = 16;
/// Most bytes of one metadata value.
pub const METADATA_BYTES: usize = 512;
/// Most aliases of a target.
pub const ALIASES: usize = 16;
/// Most bytes of a condition's message, a description or a case's name.
pub const TEXT_BYTES: usize = 1_024;
/// Most cases in a file.
pub const CASES: usize = 1_024;

/// The shortest `ttl` that a rule may grant: 60 s.
pub const TTL_LEAST: Duration = Duration::from_secs(60);
/// The longest `ttl` that a rule may grant: 24 h.
pub const TTL_MOST: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a token lives whose rule does not say: 10 minutes.
pub const TTL_UNSAID: Duration = Duration::from_secs(600);
