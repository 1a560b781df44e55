//! The files of one role: its document, its mount's configuration and its cases.
//!
//! Decides that a role has the configuration without which nobody would know whose tokens it is for. Refuses to know what
//! the files say beyond their shape.

use std::sync::Arc;

use super::document::{CasesDocument, ConfigDocument, RoleDocument};
use super::path::{self, RolePath};
use crate::policy::document::{Place, read};
use crate::policy::problem::{Faults, Problem};
use crate::policy::sources::{RoleSource, Source};

/// A role's files, once they are read.
#[derive(Debug)]
pub(in crate::policy) struct Documents {
    pub(in crate::policy) path: RolePath,
    /// The text of the role, for places inside of expressions.
    pub(in crate::policy) text: String,
    pub(in crate::policy) role: RoleDocument,
    pub(in crate::policy) config: ConfigDocument,
    pub(in crate::policy) config_file: Arc<str>,
    pub(in crate::policy) cases: CasesDocument,
    /// The file of the cases; the role's own where there are none.
    pub(in crate::policy) cases_file: Arc<str>,
}

impl Documents {
    /// Reads the files of the role in `file`. Gives every text with its file's name to `see`, for the digest of the set.
    pub(in crate::policy) fn read(
        file: &Arc<str>,
        source: &RoleSource,
        faults: &mut Faults,
        mut see: impl FnMut(&Arc<str>, &str),
    ) -> Option<Self> {
        let mut text = |file: &Arc<str>, source: &Source, faults: &mut Faults| match source.text() {
            Ok(text) => {
                see(file, &text);
                Some(text.into_owned())
            }
            Err(problem) => {
                faults.append(file, Place::default(), problem);
                None
            }
        };
        let path = match RolePath::of(file) {
            Ok(path) => Some(path),
            Err(error) => {
                let message = format!("the path is not `<namespace>/auth/<mount>/cel/role/<name>.json`: {error}");
                faults.add(Place::default(), Problem::Shape(message));
                None
            }
        };
        let written = text(file, &source.role, faults);
        let role = written.and_then(|text| match RoleDocument::parse(&text) {
            Ok(role) => Some((text, role)),
            Err((message, place)) => {
                faults.add(place, Problem::Shape(message));
                None
            }
        });
        let config = match &source.config {
            Some((file, source)) => text(file, source, faults).and_then(|text| match ConfigDocument::parse(&text) {
                Ok(config) => Some((Arc::clone(file), config)),
                Err((message, place)) => {
                    faults.append(file, place, Problem::Shape(message));
                    None
                }
            }),
            None => {
                let missing = path::config_of(file).unwrap_or_default();
                let message = format!(
                    "`{missing}` is missing: the mount's `config` document, whose `bound_issuer` says whose tokens the \
                     role is for"
                );
                faults.add(Place::default(), Problem::Shape(message));
                None
            }
        };
        let cases = match &source.cases {
            Some((file, source)) => text(file, source, faults).and_then(|text| match read::<CasesDocument>(&text) {
                Ok(cases) => Some((Arc::clone(file), cases)),
                Err((message, place)) => {
                    faults.append(file, place, Problem::Shape(message));
                    None
                }
            }),
            None => Some((Arc::clone(file), CasesDocument::default())),
        };
        let ((text, role), (config_file, config), (cases_file, cases)) = (role?, config?, cases?);
        Some(Self { path: path?, text, role, config, config_file, cases, cases_file })
    }
}
