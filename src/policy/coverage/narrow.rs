//! Where a part of a compiled expression stands in its file.
//!
//! Decides nothing: what is evaluated has become of what was written, node by node, and kept its numbers. Where no node of
//! the text has the number, or the file does not show the text as it is, the place is that of the whole expression.

use cel::parser::Expression;

use crate::policy::check::locate::locate;
use crate::policy::check::spans::{Spans, find};
use crate::policy::compile::parse;
use crate::policy::document::Place;
use crate::policy::rule::Clause;

/// One expression, parsed once more for its places.
pub(super) struct Narrow<'c> {
    text: &'c str,
    clause: &'c Clause,
    written: Option<(Expression, Spans)>,
}

impl<'c> Narrow<'c> {
    /// The expression of `clause`, which stands in the file that has this text.
    pub(super) fn of(text: &'c str, clause: &'c Clause) -> Self {
        let source = clause.code.source();
        let written = parse(source).ok().map(|tree| (tree, Spans::of(source)));
        Self { text, clause, written }
    }

    /// The place of `node`, which is part of the compiled expression.
    pub(super) fn place(&self, node: &Expression) -> Place {
        let place = self.clause.place;
        let Some((tree, spans)) = &self.written else { return place };
        let Some(written) = find(tree, &|one| one.id == node.id) else { return place };
        locate(self.text, place, self.clause.code.source(), spans.node(written))
    }
}
