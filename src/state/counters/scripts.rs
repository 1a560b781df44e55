//! The scripts that run in the server: each operation is one of them, so that it is one round trip and one moment.

use redis::Script;

const REMEMBER: &str = include_str!("remember.lua");
const BUCKETS: &str = include_str!("buckets.lua");
const GREET: &str = include_str!("greet.lua");

/// The scripts, with their digests. The server is given them when it is greeted, and once more where it lost them.
pub(super) struct Scripts {
    pub(super) remember: Script,
    pub(super) buckets: Script,
    pub(super) greet: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self { remember: Script::new(REMEMBER), buckets: Script::new(BUCKETS), greet: Script::new(GREET) }
    }
}

impl Scripts {
    /// Their texts.
    pub(super) fn all(&self) -> [&'static str; 3] {
        [REMEMBER, BUCKETS, GREET]
    }
}
