//! What a call costs, by its [`Effect`].
//!
//! Decides steps and the size of the result. Where the cost grows faster than the text or the list, it is reckoned with
//! the largest possible element, not with its share (`Size::most`, `Size::items`): the worst list has everything in one.

use cel::common::ast::{CallExpr, Expr, LiteralValue};
use cel::parser::Expression;

use super::super::compile::CompileError;
use super::super::guard::{qualified, string};
use super::super::language::{Effect, function};
use super::super::limits::{CLAIM_ITEMS, CLAIM_NODES, FORMAT_BYTES, SEARCHED_BYTES, SUBJECT_BYTES};
use super::super::pattern::Pattern;
use super::{BYTES_PER_STEP, Bound, Estimate, SMALL, Size};

/// A moment or a duration as text.
const TEXT_BYTES: usize = 64;
/// A number that `string` or `%s` writes out: up to 309 digits, a sign, a point and what a `double` has after it.
const NUMBER_BYTES: usize = 330;

impl<'a> Estimate<'a> {
    pub(super) fn call(&mut self, call: &'a CallExpr) -> Result<Bound, CompileError> {
        let name = call.target.as_ref().and_then(|target| qualified(target, &call.func_name));
        let member = call.target.is_some() && name.is_none();
        let name = name.as_deref().unwrap_or(&call.func_name);
        let effect = function(self.code.dialect(), name, member, call.args.len()).map_or(Effect::Copy, |f| f.effect);
        let target = call.target.as_deref().filter(|_| member);
        let mut steps = 2_u64;
        let mut parts = Vec::with_capacity(call.args.len() + 1);
        for part in target.into_iter().chain(&call.args) {
            let part = self.of(part)?;
            steps = steps.saturating_add(part.steps);
            parts.push(part.size);
        }
        let (extra, size) = self.effect(effect, call, &parts);
        Ok(Bound { steps: steps.saturating_add(extra), size })
    }

    /// The steps of the call itself, and the size of its value. `parts` are the sizes of its operands.
    fn effect(&self, effect: Effect, call: &CallExpr, parts: &[Size]) -> (u64, Size) {
        let whole = parts.iter().fold(Size::default(), |sum, part| sum.and(*part));
        let most = parts.iter().fold(Size::default(), |largest, part| largest.or(*part));
        let part = |at: usize| parts.get(at).copied().unwrap_or_default();
        let items = parts.iter().map(|part| part.items).max().unwrap_or_default();
        let scanned = whole.bytes / BYTES_PER_STEP;
        match effect {
            Effect::Small => (scanned, SMALL),
            Effect::Parse => (scanned.saturating_mul(8), SMALL),
            Effect::Find => {
                (scanned.saturating_add(part(0).bytes.saturating_mul(part(1).most) / BYTES_PER_STEP), SMALL)
            }
            Effect::Copy => (scanned, whole.and(Size::of_text(TEXT_BYTES))),
            Effect::Text => {
                // A list of nothing but the longest doubles is not worth refusing lists of names: what is searched and
                // split is reckoned with all digits, what is copied with the usual ones.
                let text = Size { most: NUMBER_BYTES as u64, ..Size::of_text(TEXT_BYTES) };
                (scanned.saturating_add(1), whole.and(text))
            }
            Effect::Same => (0, most),
            Effect::Part => (most.copy(), most),
            Effect::Hex => (scanned.saturating_mul(8), Size { items: 0, ..whole.times(2) }),
            Effect::Quote => (scanned.saturating_mul(8), Size { items: 0, ..whole.times(2).and(SMALL) }),
            Effect::Encode => (scanned.saturating_mul(4), Size { items: 0, ..whole.times(2).and(SMALL) }),
            Effect::Replace => {
                let times = part(2).most.saturating_add(1);
                let size = Size { items: 0, ..part(0).times(times).and(part(2)) };
                (size.copy().saturating_add(scanned), size)
            }
            Effect::Split => split(call, whole, scanned),
            Effect::Join => {
                let between = Size { bytes: part(1).most, most: part(1).most, ..SMALL }.times(part(0).items);
                let size = whole.and(between);
                let steps = whole.nodes.saturating_add(size.bytes / BYTES_PER_STEP);
                (steps, Size { nodes: 1, items: 0, ..size })
            }
            Effect::Pattern => (self.search(call, whole.bytes), SMALL),
            Effect::PatternPart => {
                let groups = part(0).bytes.min(SUBJECT_BYTES as u64).saturating_mul(self.weight(call).1);
                (self.search(call, part(0).bytes).saturating_add(groups), Size { items: 0, ..part(0) })
            }
            Effect::PatternParts => {
                let found = part(0).most.min(SEARCHED_BYTES as u64).saturating_add(1);
                let size = Size { bytes: found, most: found, nodes: found, items: found };
                (self.searches(call, part(0).most).saturating_add(found), size)
            }
            Effect::PatternReplace => {
                let text = part(0).most.min(SEARCHED_BYTES as u64).saturating_add(1);
                // Two bytes of it may stand for a group, which is at most all of a match.
                let bytes = text.saturating_mul(part(2).most.saturating_mul(2).saturating_add(2));
                let size = Size { bytes, most: bytes, nodes: 1, items: 0 };
                (self.searches(call, part(0).most).saturating_add(size.copy()), size)
            }
            Effect::Product => {
                let (left, right) = (part(0), part(1));
                let pairs = left.items.saturating_mul(right.items);
                let compared = left.items.saturating_mul(right.copy()).min(right.items.saturating_mul(left.copy()));
                (pairs.saturating_add(compared).saturating_mul(2), SMALL)
            }
            Effect::Distinct => (items.saturating_mul(items.saturating_add(whole.copy())) / 2, whole),
            Effect::Sort => {
                let levels = u64::from(items.checked_ilog2().unwrap_or_default()).saturating_add(2);
                (whole.copy().saturating_mul(levels).saturating_mul(2), whole)
            }
            Effect::Elements => (whole.copy(), whole),
            Effect::Flatten => (whole.copy(), Size { items: whole.nodes.max(whole.items), ..whole }),
            Effect::Range => {
                let count = call.args.first().and_then(count).unwrap_or(u64::MAX);
                (count, Size { bytes: count.saturating_mul(8), most: 8, nodes: count, items: count })
            }
            Effect::Format => {
                let (steps, bytes) = formatted(call, part(1));
                let size = part(0).and(Size::of_text(bytes));
                let copied = whole.copy().saturating_mul(2).saturating_add(size.copy().saturating_mul(8));
                (copied.saturating_add(steps), Size { items: 0, ..size })
            }
            Effect::ToJson => {
                let bytes = whole.bytes.saturating_mul(6).saturating_add(whole.nodes.saturating_mul(32));
                let size = Size { bytes, most: bytes, nodes: 1, items: 0 };
                (whole.copy().saturating_mul(2).saturating_add(size.copy().saturating_mul(2)), size)
            }
            Effect::OfJson => {
                let limited = |bytes: u64, most: usize| bytes.saturating_add(1).min(most as u64);
                let nodes = limited(whole.bytes, CLAIM_NODES);
                let items = limited(whole.most, CLAIM_ITEMS);
                (scanned.saturating_add(nodes.saturating_mul(4)), Size { nodes, items, ..whole })
            }
            Effect::Entries => {
                let size = whole.and(Size { bytes: 8, most: 8, nodes: 2, items: 0 }.times(items));
                (size.copy(), Size { items, ..size })
            }
        }
    }

    /// Quarters of a step for each byte to search for the call's pattern, and steps to find its groups.
    fn weight(&self, call: &CallExpr) -> (u64, u64) {
        let pattern = call.args.iter().find_map(|arg| match &arg.expr {
            Expr::Ident(name) => self.code.patterns().iter().find(|pattern| pattern.name() == name),
            _ => None,
        });
        let weight = pattern.map(Pattern::weight);
        weight.map_or((u64::MAX, u64::MAX), |weight| (weight.search, weight.groups))
    }

    /// One search of a pattern.
    fn search(&self, call: &CallExpr, bytes: u64) -> u64 {
        8_u64.saturating_add(bytes.min(SUBJECT_BYTES as u64).saturating_mul(self.weight(call).0) / 4)
    }

    /// A search from each place of a text, and the groups of all matches, which are beside one another.
    fn searches(&self, call: &CallExpr, bytes: u64) -> u64 {
        let bytes = bytes.min(SEARCHED_BYTES as u64);
        let groups = bytes.saturating_mul(self.weight(call).1);
        self.search(call, bytes).saturating_mul(bytes.saturating_add(1)).saturating_add(groups)
    }
}

/// What a format makes of its values: the steps to write them, and most bytes of the text, by its clauses where they
/// are known. To write a large `double` out takes long: its digits are computed from a big number.
fn formatted(call: &CallExpr, values: Size) -> (u64, usize) {
    // As many doubles as fit into the bytes, at 350 each.
    const MOST_STEPS: u64 = 10_000;
    let Some(text) = call.target.as_deref().and_then(string) else { return (MOST_STEPS, FORMAT_BYTES) };
    let text = text.replace("%%", "");
    let (mut steps, mut written) = (0_u64, values.bytes.saturating_mul(3));
    for clause in text.split('%').skip(1) {
        let verb = clause.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit()).chars().next();
        let (takes, bytes) = match verb {
            Some('x' | 'X' | 'o' | 'b') => (8, 66),
            Some('s') => (values.nodes.saturating_mul(64), values.nodes.saturating_mul(NUMBER_BYTES as u64)),
            _ => (256, 420),
        };
        steps = steps.saturating_add(takes.min(MOST_STEPS));
        written = written.saturating_add(bytes);
    }
    (steps, usize::try_from(written).unwrap_or(FORMAT_BYTES).min(FORMAT_BYTES))
}

fn split(call: &CallExpr, whole: Size, scanned: u64) -> (u64, Size) {
    let most = call.args.get(1).and_then(count).unwrap_or(u64::MAX);
    let items = whole.most.saturating_add(1).min(most);
    let nodes = whole.bytes.saturating_add(1).min(items);
    (nodes.saturating_add(scanned), Size { nodes, items, ..whole })
}

/// A literal number; of `split`'s, a negative one asks for all.
fn count(node: &Expression) -> Option<u64> {
    match &node.expr {
        Expr::Literal(LiteralValue::Int(number)) => u64::try_from(*number.inner()).ok(),
        _ => None,
    }
}
