//! Panics: where, and never what.

use std::panic::{PanicHookInfo, set_hook};

/// From now on a panic is logged as the place in our source at which it happened. What it says is not: it may quote what
/// it could not cope with, a claim's value or half of a token, and standard error goes where logs go.
pub fn quiet_panics() {
    set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked; what it says is not shown, for it may hold what nobody may see");
    }));
}
