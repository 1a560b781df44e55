//! All access documents of a policy directory, as one set.
//!
//! Decides that a set is complete or does not exist, and that no policy of a namespace is written twice. Refuses to know who
//! bears a policy.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;

use super::check::Acl;
use super::document::{self, Written};
use super::fault::{AclErrors, AclWarning, Findings, of_file};
use super::file_path::FileKind;
use super::policy::Policy;
use super::sources::{Source, Sources};
use crate::identity::{Namespace, PolicyName};
use crate::jose::{Sha256, sha256};
use crate::policy::{LoadError, Place, Problem};

/// The access documents. They can't change: a reload makes another set.
#[derive(Debug)]
pub struct AclDocuments {
    /// By namespace, the root namespace by the empty text; then by name.
    namespaces: HashMap<Box<str>, HashMap<PolicyName, Policy>>,
    warnings: Vec<AclWarning>,
    digest: Sha256,
}

impl AclDocuments {
    /// No documents: nothing is granted to anybody.
    #[must_use]
    pub fn empty() -> Self {
        Self { namespaces: HashMap::new(), warnings: vec![], digest: digest(&[]) }
    }

    /// Reads all documents below a policy directory: `<namespace>/sys/policies/acl/<policy>.hcl` or `.json`, and
    /// `<namespace>/sys/policies/acl.hcl` or `.json` with several. Bounds are in [`limits`](super::limits). Blocks on the disk.
    ///
    /// # Errors
    /// [`AclErrors`] with every fault of every document.
    pub fn load(directory: &Path) -> Result<Self, AclErrors> {
        Self::of_sources(Sources::find(directory))
    }

    /// The same, of names (with `/`, relative to the policy directory) and texts. Names of other files are passed over.
    ///
    /// # Errors
    /// [`AclErrors`] with every fault of every document.
    pub fn from_sources<N: AsRef<str>, T: Into<String>>(
        sources: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self, AclErrors> {
        Self::of_sources(Sources::of(sources))
    }

    fn of_sources(sources: Sources) -> Result<Self, AclErrors> {
        let Sources { documents, mut faults, .. } = sources;
        let mut set = Self { digest: digest(&documents), ..Self::empty() };
        let mut places: HashMap<(Box<str>, PolicyName), (Arc<str>, Place)> = HashMap::new();
        for source in &documents {
            let mut findings = Findings::of(&source.file, &source.text);
            let written = document::read(source, &mut findings);
            faults.append(&mut findings.faults);
            set.warnings.append(&mut findings.warnings);
            for policy in written {
                let namespace = namespace_key(source);
                match places.entry((namespace.clone(), policy.name.clone())) {
                    Entry::Occupied(first) => faults.push(twice(source, &policy, first.get())),
                    Entry::Vacant(free) => {
                        free.insert((Arc::clone(&source.file), policy.place));
                        let compiled = Policy::new(&policy.name, policy.rules);
                        set.namespaces.entry(namespace).or_default().insert(policy.name, compiled);
                    }
                }
            }
        }
        AclErrors::of(faults).map(|()| set)
    }

    /// What those policies of a namespace allow; no namespace: the root namespace. A policy without a document grants nothing.
    #[must_use]
    pub fn of(&self, namespace: Option<&Namespace>, policies: &[PolicyName]) -> Acl<'_> {
        let known = self.namespaces.get(namespace.map_or("", Namespace::as_str));
        Acl::new(known.map_or_else(Vec::new, |known| policies.iter().filter_map(|name| known.get(name)).collect()))
    }

    /// Whether a policy has a document.
    #[must_use]
    pub fn knows(&self, namespace: Option<&Namespace>, policy: &PolicyName) -> bool {
        let known = self.namespaces.get(namespace.map_or("", Namespace::as_str));
        known.is_some_and(|known| known.contains_key(policy))
    }

    /// What is odd about the documents, and likely a mistake.
    #[must_use]
    pub fn warnings(&self) -> &[AclWarning] {
        &self.warnings
    }

    /// The digest of names and texts: the same for the same documents.
    #[must_use]
    pub const fn digest(&self) -> Sha256 {
        self.digest
    }

    /// How many policies there are, in all namespaces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.namespaces.values().map(HashMap::len).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.namespaces.is_empty()
    }
}

fn namespace_key(source: &Source) -> Box<str> {
    let namespace = match &source.kind {
        FileKind::One(namespace, _) | FileKind::Many(namespace) => namespace.as_ref(),
        FileKind::Stray(_) | FileKind::Other => None,
    };
    Box::from(namespace.map_or("", Namespace::as_str))
}

/// The fault of a policy that is written a second time.
fn twice(source: &Source, policy: &Written, (file, place): &(Arc<str>, Place)) -> LoadError {
    let message = format!(
        "there is already a policy `{}` of this namespace, at {file}:{}:{}",
        policy.name, place.line, place.column
    );
    let help = "write a policy in one place, with all its paths";
    LoadError { place: Some(policy.place), ..of_file(&source.file, Problem::Shape(message), Some(help)) }
}

/// The documents in order of their names.
fn digest(documents: &[Source]) -> Sha256 {
    let mut text = b"cambio access documents 1\0".to_vec();
    for source in documents {
        text.extend_from_slice(&(source.file.len() as u64).to_be_bytes());
        text.extend_from_slice(source.file.as_bytes());
        text.extend_from_slice(sha256(source.text.as_bytes()).bytes());
    }
    sha256(&text)
}
