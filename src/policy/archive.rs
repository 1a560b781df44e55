//! The policy sets that went live, kept by their digests, so that a decision can be explained by the rules of its time.
//!
//! Decides which sets are kept: the last [`KEPT`], each at most [`MOST`] bytes. Nothing of an exchange rests on it: a set
//! that can't be kept is a line in the log. Refuses to hand out a set whose texts are not what its digest says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::catalog::Catalog;
use super::load::rehearse;
use super::problem::LoadErrors;
use super::rehearsal::Rehearsal;
use super::sources::Sources;
use crate::jose::Sha256;
use crate::state::{PrivateDir, StateError};

/// How many sets are kept.
pub const KEPT: usize = 20;
/// The most bytes of the files of a set that is kept.
pub const MOST: usize = 16 * 1024 * 1024;
/// Where, below the data directory.
const DIRECTORY: &str = "policy-sets";

/// The sets that are kept below a data directory.
#[derive(Clone, Debug)]
pub struct Archive(PrivateDir);

/// Why a set is not kept, or not found again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The disk.
    #[error(transparent)]
    State(#[from] StateError),
    /// The files can't be read.
    #[error("{0}")]
    Files(#[from] LoadErrors),
    /// Larger than 16 MiB.
    #[error("the policy files have more than {MOST} bytes together")]
    TooLarge,
    /// The files are not, or no longer, those of the digest.
    #[error("the files are not those of the policy set {0}")]
    Another(String),
}

/// A set on disk.
#[derive(Serialize, Deserialize)]
struct Kept {
    v: u32,
    files: BTreeMap<String, String>,
}

impl Archive {
    /// Opens the archive below `data`, made with mode 0700 if it is missing.
    ///
    /// # Errors
    /// [`ArchiveError::State`].
    pub fn open(data: &PrivateDir) -> Result<Self, ArchiveError> {
        Ok(Self(PrivateDir::open(&data.join(DIRECTORY))?))
    }

    /// The archive below `data`, if there is one: for who only looks.
    ///
    /// # Errors
    /// [`ArchiveError::State`].
    pub fn existing(data: &Path) -> Result<Option<Self>, ArchiveError> {
        let path = data.join(DIRECTORY);
        if path.is_dir() { Ok(Some(Self(PrivateDir::open(&path)?))) } else { Ok(None) }
    }

    /// Keeps the files below `directory` as the set of that digest, and lets go of the oldest beyond [`KEPT`].
    ///
    /// # Errors
    /// [`ArchiveError`]; what was kept before stays.
    pub fn keep(&self, directory: &Path, digest: Sha256) -> Result<(), ArchiveError> {
        let mut kept = Kept { v: 1, files: BTreeMap::new() };
        let mut bytes = 0;
        let sources = Sources::find(directory)?;
        for (name, source) in sources.single() {
            let text = source.text().map_err(|_| ArchiveError::Another(digest.to_string()))?;
            bytes += name.len() + text.len();
            if bytes > MOST {
                return Err(ArchiveError::TooLarge);
            }
            kept.files.insert(name.to_string(), text.into_owned());
        }
        if Sources::of(kept.files.iter().map(|(name, text)| (name, text.as_str()))).digest() != digest {
            return Err(ArchiveError::Another(digest.to_string()));
        }
        let text = serde_json::to_vec(&kept).map_err(|_| ArchiveError::TooLarge)?;
        self.0.write(&file(&digest.to_string()), &text)?;
        self.prune()
    }

    /// The set of that digest (64 hex digits), with its cases, for the issuers of `catalog`; nothing where it is not kept.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn set(&self, digest: &str, catalog: &Catalog) -> Result<Option<Rehearsal>, ArchiveError> {
        let another = || ArchiveError::Another(digest.to_owned());
        if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(another());
        }
        // JSON writes a byte of text as six at most.
        let Some(text) = self.0.read(&file(digest), MOST * 6)? else { return Ok(None) };
        let kept: Kept = serde_json::from_slice(&text).map_err(|_| another())?;
        let sources = Sources::of(kept.files);
        if sources.digest().to_string() != digest {
            return Err(another());
        }
        Ok(Some(rehearse(&sources, catalog)?))
    }

    /// The newest by the time of their files.
    fn prune(&self) -> Result<(), ArchiveError> {
        let mut sets = vec![];
        for name in self.0.names()? {
            if name.ends_with(".json")
                && !name.starts_with('.')
                && let Ok(written) = fs::metadata(self.0.join(&name)).and_then(|found| found.modified())
            {
                sets.push((written, name));
            }
        }
        sets.sort_unstable();
        let beyond = sets.len().saturating_sub(KEPT);
        for (_, name) in sets.iter().take(beyond) {
            self.0.remove(name)?;
        }
        Ok(())
    }
}

fn file(digest: &str) -> String {
    format!("{}.json", digest.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::identity::IssuerName;
    use crate::policy::PolicySet;

    const FILE: &str = "target: t
rules:
  - name: r
    issuer: gitlab
    require: [{that: 'claims.a == \"x\"', message: m}]
    grant: {policies: ['\"p\"']}
cases:
  - {name: a, issuer: gitlab, claims: {a: y}, deny: m}
";

    fn catalog() -> Catalog {
        Catalog::of_names([IssuerName::new("gitlab").unwrap()])
    }

    /// A data directory with an archive, and a directory of policies.
    fn place() -> (tempfile::TempDir, Archive, std::path::PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let data = PrivateDir::open(&home.path().join("data")).unwrap();
        let policies = home.path().join("policies");
        fs::create_dir(&policies).unwrap();
        fs::write(policies.join("t.yaml"), FILE).unwrap();
        let archive = Archive::open(&data).unwrap();
        (home, archive, policies)
    }

    #[test]
    fn a_set_that_went_live_is_found_by_its_digest_and_is_nobody_elses_to_read() {
        let (home, archive, policies) = place();
        let digest = PolicySet::load(&policies, &catalog()).unwrap().digest();
        archive.keep(&policies, digest).unwrap();
        fs::write(policies.join("t.yaml"), FILE.replace("'\"p\"'", "'\"q\"'")).unwrap();
        let archive = Archive::existing(&home.path().join("data")).unwrap().unwrap();
        let found = archive.set(&digest.to_string(), &catalog()).unwrap().unwrap();
        assert_eq!(found.built().unwrap().digest(), digest);
        let kept = home.path().join("data/policy-sets").join(format!("{digest}.json"));
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(kept.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        let changed = fs::read_to_string(&kept).unwrap().replace("claims.a ==", "claims.a !=");
        fs::write(&kept, changed).unwrap();
        assert!(matches!(archive.set(&digest.to_string(), &catalog()), Err(ArchiveError::Another(_))));
    }

    #[test]
    fn files_that_changed_since_they_were_loaded_are_not_kept_under_the_old_digest() {
        let (_home, archive, policies) = place();
        let digest = PolicySet::load(&policies, &catalog()).unwrap().digest();
        fs::write(policies.join("t.yaml"), format!("{FILE}\n# more")).unwrap();
        assert!(matches!(archive.keep(&policies, digest), Err(ArchiveError::Another(_))));
        assert!(archive.set(&digest.to_string(), &catalog()).unwrap().is_none());
        assert!(matches!(archive.set("../../etc/passwd", &catalog()), Err(ArchiveError::Another(_))));
    }

    #[test]
    fn only_the_last_sets_are_kept() {
        let (home, archive, policies) = place();
        let mut digests = vec![];
        for round in 0..KEPT + 2 {
            fs::write(policies.join("t.yaml"), format!("{FILE}# {round}\n")).unwrap();
            let digest = PolicySet::load(&policies, &catalog()).unwrap().digest();
            archive.keep(&policies, digest).unwrap();
            digests.push(digest.to_string());
        }
        assert_eq!(fs::read_dir(home.path().join("data/policy-sets")).unwrap().count(), KEPT);
        assert!(archive.set(&digests[0], &catalog()).unwrap().is_none());
        assert!(archive.set(&digests[KEPT + 1], &catalog()).unwrap().is_some());
    }

    #[test]
    fn looking_makes_nothing() {
        let home = tempfile::tempdir().unwrap();
        assert!(Archive::existing(home.path()).unwrap().is_none());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
