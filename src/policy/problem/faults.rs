//! The faults of one file, while it is read. Decides nothing.

use std::sync::Arc;

use super::{LoadError, Problem};
use crate::policy::document::Place;

/// The faults of one file, as they are found.
#[derive(Debug)]
pub(in crate::policy) struct Faults {
    file: Arc<str>,
    found: Vec<LoadError>,
}

impl Faults {
    pub(in crate::policy) fn of(file: &Arc<str>) -> Self {
        Self { file: Arc::clone(file), found: vec![] }
    }

    pub(in crate::policy) fn add(&mut self, place: Place, problem: Problem) {
        let place = (place.line > 0).then_some(place);
        self.found.push(LoadError { file: Arc::clone(&self.file), place, problem, help: None });
    }

    /// The same, with what to do about it.
    pub(in crate::policy) fn add_advised(&mut self, place: Place, problem: Problem, help: Option<String>) {
        self.add(place, problem);
        if let Some(last) = self.found.last_mut() {
            last.help = help;
        }
    }

    /// Adds a fault of a file that belongs to this one.
    pub(in crate::policy) fn append(&mut self, file: &Arc<str>, place: Place, problem: Problem) {
        let place = (place.line > 0).then_some(place);
        self.found.push(LoadError { file: Arc::clone(file), place, problem, help: None });
    }

    /// Checks a count, and says so where it is over.
    pub(in crate::policy) fn at_most(&mut self, place: Place, what: &'static str, count: usize, most: usize) {
        if count > most {
            self.add(place, Problem::TooMany { what, most });
        }
    }

    /// Adds the faults of a file that belongs to this one.
    pub(in crate::policy) fn extend(&mut self, other: Self) {
        self.found.extend(other.found);
    }

    pub(in crate::policy) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(in crate::policy) fn into_inner(self) -> Vec<LoadError> {
        self.found
    }
}
