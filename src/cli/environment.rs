//! The environment, as the platforms set it for the jobs that they run. Decides nothing; refuses to know what a variable is
//! for.

/// A variable that is set to something: an empty one is what CI systems make of one that was meant to be set.
#[allow(clippy::disallowed_methods, reason = "platforms hand tokens to their jobs in the environment")]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}
