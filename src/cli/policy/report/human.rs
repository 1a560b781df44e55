//! For a person at a terminal, as a compiler would: the line, what is meant underlined, why, and what to do.
//!
//! `annotate-snippets` draws it: it knows tabs, wide and combining characters, and cuts long lines around what is meant.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::super::super::text::{count, lines_shown};
use super::Report;
use crate::policy::{Finding, Severity};

impl Report {
    /// Every finding that counts, and those that the files accept where `accepted` says so.
    pub(in crate::cli::policy) fn told(&self, accepted: bool, coloured: bool) -> String {
        let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for finding in self.findings.iter().filter(|finding| accepted || finding.counts()) {
            let _ = writeln!(text, "{}\n", renderer.render(&[self.group(finding)]));
        }
        text
    }

    /// `2 errors, 1 warning, 1 accepted`, or that there is nothing.
    pub(in crate::cli::policy) fn counted(&self) -> String {
        let number = |number: usize, one: &str, many: &str| (number > 0).then(|| count(number, one, many));
        let parts = [
            number(self.counting(Severity::Error), "error", "errors"),
            number(self.counting(Severity::Warning), "warning", "warnings"),
            number(self.accepted(), "finding accepted", "findings accepted"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "no findings".to_owned() } else { parts.join(", ") }
    }

    fn group<'a>(&'a self, finding: &'a Finding) -> Group<'a> {
        let level = match (finding.severity, finding.counts()) {
            (Severity::Error, _) => Level::ERROR,
            (Severity::Warning, true) => Level::WARNING,
            (Severity::Warning, false) => Level::NOTE.with_name("accepted"),
        };
        // Messages quote the file, which others may have written.
        let mut group =
            level.primary_title(lines_shown(&finding.message)).id(finding.code.id()).element(self.shown(finding));
        if let Some(because) = &finding.accepted {
            group = group.element(Level::NOTE.with_name("because").message(lines_shown(because)));
        }
        if let Some(help) = &finding.help {
            group = group.element(Level::HELP.message(lines_shown(help)));
        }
        group.element(Level::NOTE.with_name("page").message(finding.code.page()))
    }

    /// The lines of the file, or only its name.
    fn shown<'a>(&'a self, finding: &'a Finding) -> annotate_snippets::Element<'a> {
        let path = self.path(finding);
        let Some((text, spot)) = self.spot(finding) else {
            let origin = annotate_snippets::Origin::path(path);
            let line = usize::try_from(finding.place.line).unwrap_or_default();
            return if line == 0 { origin.into() } else { origin.line(line).into() };
        };
        // Only the lines that are meant: the renderer need not walk through the rest.
        let from = text.get(..spot.range.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let until =
            text.get(spot.range.end..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| spot.range.end + at);
        let lines = text.get(from..until).unwrap_or_default().trim_end_matches('\r');
        let span = spot.range.start - from..spot.range.end - from;
        let label = finding.label.as_deref().map(|label| lines_shown(label).replace('\n', " "));
        let annotation = AnnotationKind::Primary.span(span).label(label);
        Snippet::source(lines).line_start(spot.start.line).path(path).annotation(annotation).into()
    }
}
