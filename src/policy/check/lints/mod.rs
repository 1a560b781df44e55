//! Habits that let people in.
//!
//! Decides which rules rest on less than they seem to. Each lint is a function of what a rule's conditions demand
//! ([`demand`](crate::policy::demand)) and of what the platform's file says about its claims; none knows a platform by
//! name. A lint speaks only where it can say who gets in and what to write instead; what it can't read it leaves alone.

mod caller;
mod cases;
mod exposure;
mod identity;
mod lifetime;
mod naming;
mod pattern;
mod protection;
mod shadow;
mod vacuous;
mod view;
mod wide;

use self::view::{Trees, View};
use super::Subject;
use crate::policy::finding::Finding;

/// The lints of a file.
pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = vec![];
    cases::check(subject, &mut findings);
    let trees: Option<Vec<Trees>> = subject.document.rules.iter().map(|rule| Trees::of(subject, rule)).collect();
    let Some(trees) = trees else { return findings };
    let lets: Vec<_> = trees.iter().zip(&subject.document.rules).map(|(trees, rule)| trees.lets(rule)).collect();
    let rules = subject.target.rules.iter().zip(&subject.document.rules);
    let views = rules.zip(trees.iter().zip(&lets)).map(|(rule, (trees, lets))| View::new(subject, rule, trees, lets));
    let views: Vec<View<'_>> = views.collect();
    for view in &views {
        vacuous::check(view, &mut findings);
        pattern::check(view, &mut findings);
        wide::check(view, &mut findings);
        if !identity::check(view, &mut findings) {
            exposure::check(view, &mut findings);
        }
        caller::check(view, &mut findings);
        protection::check(view, &mut findings);
        naming::check(view, &mut findings);
        lifetime::check(view, &mut findings);
    }
    shadow::check(&views, &mut findings);
    once(findings)
}

/// The same text and the same code once: a claim that is tested twice is one mistake, of several issuers as well.
fn once(mut findings: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = vec![];
    for finding in findings.drain(..) {
        let same =
            |known: &Finding| known.code == finding.code && known.place == finding.place && known.rule == finding.rule;
        if !kept.iter().any(same) {
            kept.push(finding);
        }
    }
    kept
}

#[cfg(test)]
pub(in crate::policy) mod tests;
