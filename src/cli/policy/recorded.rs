//! Recorded decisions, as questions that can be put again.
//!
//! Decides which can: those that policies were asked for, with all claims by value. Two that differ only in what belongs to
//! one token are one question.

use std::collections::HashMap;
use std::path::Path;

use serde_json::json;

use super::super::CliError;
use super::super::explain::rules::values;
use crate::audit::{Record, each};
use crate::clock::Timestamp;
use crate::identity::IssuerName;
use crate::policy::{PolicySet, Question};

/// The most recorded decisions that differ in more than their time and token which are asked.
const DECISIONS: usize = 200_000;
/// Claims in which two decisions may differ and still be the same question, unless a policy mentions them.
const OF_ONE_TOKEN: [&str; 4] = ["jti", "iat", "nbf", "exp"];

/// A question with where it is from.
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) origin: Origin,
}

/// Where a question is from.
pub(super) enum Origin {
    Case { file: String, line: u32, name: String },
    Decision { id: String, time: String, alike: usize },
}

/// The recorded decisions.
#[derive(Default)]
pub(super) struct Recorded {
    pub(super) asked: Vec<Asked>,
    known: HashMap<String, usize>,
    pub(super) replayed: usize,
    pub(super) without_values: usize,
    pub(super) beyond: usize,
}

impl Recorded {
    /// The journal at `path` and the full files beside it. Claims of one token are told apart only where a policy of `sets`
    /// mentions them.
    pub(super) fn read(path: &Path, sets: [&PolicySet; 2]) -> Result<Self, CliError> {
        let failed = |error| CliError::new(format!("cannot read the journal `{}`: {error}", path.display()));
        if !path.try_exists().map_err(failed)? {
            return Err(CliError::new(format!("there is no journal `{}`", path.display())));
        }
        let mentioned = |claim: &str| {
            let mut rules = sets.into_iter().flat_map(PolicySet::targets).flat_map(|target| target.rules());
            rules.any(|rule| rule.claims().any(|known| known == claim))
        };
        let ignored: Vec<&str> = OF_ONE_TOKEN.into_iter().filter(|claim| !mentioned(claim)).collect();
        let mut recorded = Self::default();
        each(path, |record| recorded.add(record, &ignored)).map_err(failed)?;
        Ok(recorded)
    }

    /// Only decisions that policies were asked for.
    fn add(&mut self, record: Record, ignored: &[&str]) {
        let (Some(issuer), Some(target), true) = (&record.issuer, &record.target, record.trace.is_some()) else {
            return;
        };
        let (Some(claims), Ok(issuer), Some(at)) =
            (values(&record), IssuerName::new(issuer), Timestamp::parse(&record.time))
        else {
            self.without_values += 1;
            return;
        };
        self.replayed += 1;
        let mut same = claims.clone();
        same.retain(|name, _| !ignored.contains(&name.as_str()));
        let key = json!([target, issuer.as_str(), same]).to_string();
        if let Some(Asked { origin: Origin::Decision { alike, .. }, .. }) =
            self.known.get(&key).and_then(|index| self.asked.get_mut(*index))
        {
            *alike += 1;
        } else if self.asked.len() == DECISIONS {
            self.beyond += 1;
        } else {
            self.known.insert(key, self.asked.len());
            let question = Question { target: target.clone(), issuer, claims: claims.clone(), at };
            let origin = Origin::Decision { id: record.id.clone(), time: record.time.clone(), alike: 0 };
            self.asked.push(Asked { question, origin });
        }
    }
}
