//! The pages of `docs/findings/`, in the program: whoever meets a code at a terminal has its page there.
//!
//! Decides nothing. Tests hold the list to the codes and to the directory.

use crate::policy::Code;

/// The page of a code.
pub(super) fn of(code: Code) -> Option<&'static str> {
    PAGES.iter().find(|(id, _)| *id == code.id()).map(|(_, page)| *page)
}

const PAGES: &[(&str, &str)] = &[];
