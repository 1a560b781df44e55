//! Heads that were kept elsewhere, once everything that is here was seen.

use std::collections::BTreeMap;

use super::{ChainReport, Head, Place, Seen, Verifier};
use crate::clock::Timestamp;

/// The heads of a chain that is not here.
#[derive(Default)]
struct Missing {
    heads: u64,
    /// The newest of them that a key of this journal signed: the line that it covers, and when.
    ours: Option<(Timestamp, u64)>,
}

impl Verifier {
    /// Judges them: of a chain that is here they must be borne out; a chain that is not here may be another replica's, or
    /// have been removed, but not one that a key of this journal signed and of which no line says that it was removed.
    pub(super) fn judge_heads(&mut self, chains: &[ChainReport]) {
        let heads = std::mem::take(&mut self.heads);
        let mut missing: BTreeMap<&str, Missing> = BTreeMap::new();
        for (head, seen) in &heads {
            if let Some(chain) = chains.iter().find(|chain| chain.chain == head.claims.chain) {
                self.judge_head(head, *seen, chain);
                continue;
            }
            let of = missing.entry(&head.claims.chain).or_default();
            of.heads += 1;
            let signed = Timestamp::parse(&head.claims.time).filter(|_| self.is_of_this_journal(head, chains));
            of.ours = of.ours.max(signed.map(|time| (time, head.claims.seq)));
        }
        let removed_until = self.removed_until(chains);
        for (chain, Missing { heads, ours }) in missing {
            match ours {
                Some((time, seq)) if removed_until.is_none_or(|end| time > end) => {
                    let what = format!(
                        "chain {chain} is missing: line {seq} of it was signed at {time} by a key of this journal, and no line \
                         says that it was removed"
                    );
                    self.fault_at(Place::default(), Some(seq), &what);
                }
                Some(_) => self.notes.push(format!("{heads} heads of chain {chain}, which was removed")),
                None => self
                    .notes
                    .push(format!("{heads} heads of chain {chain}, which is not here; another replica's, or removed")),
            }
        }
        self.heads = heads;
    }

    /// Whether a head says that whoever wrote this journal wrote another chain too, which is not here. Where a key is known
    /// by no more than its thumbprint, its name alone counts: a false alarm is better than a journal that is gone.
    fn is_of_this_journal(&self, head: &Head, chains: &[ChainReport]) -> bool {
        let Some(key_id) = head.key_id() else { return false };
        // A stream begins a chain with every start, and what was collected of it may begin anywhere.
        if !chains.is_empty() && chains.iter().all(|chain| chain.stream) {
            return false;
        }
        let signs_here = chains.iter().any(|chain| !chain.stream && chain.keys.iter().any(|key| key == key_id));
        let known = self.keys.get(key_id);
        (signs_here || self.pinned.iter().any(|pin| pin == key_id)) && known.is_none_or(|key| head.is_signed_by(key))
    }

    /// The moment before which a chain may have been removed: what is oldest here begins then, and a line says that what was
    /// before it is gone.
    fn removed_until(&self, chains: &[ChainReport]) -> Option<Timestamp> {
        let told = chains.iter().filter(|chain| self.oldest.contains_key(&chain.chain));
        told.filter_map(|chain| Timestamp::parse(&chain.begins)).max()
    }

    fn judge_head(&mut self, head: &Head, seen: Seen, chain: &ChainReport) {
        let claims = &head.claims;
        let place = Place { file: chain.last_file.clone(), line: 0 };
        let ours = head.key_id().and_then(|key| self.keys.get(key)).is_some_and(|key| head.is_signed_by(key));
        if !ours {
            let what = "a head from elsewhere names this chain and is signed by none of its keys";
            self.fault_at(place, Some(claims.seq), what);
        } else if seen == Seen::Other {
            self.fault_at(place, Some(claims.seq), "the line is another than the head from elsewhere covers");
        } else if seen == Seen::NotYet && claims.seq > chain.last_seq {
            self.fault_at(
                place,
                Some(chain.last_seq),
                &format!(
                    "cut at the end: line {} was signed at {}, and the last line here is {}",
                    claims.seq, claims.time, chain.last_seq
                ),
            );
        }
    }
}
