//! Keeps the policy set that goes live, for `cambio explain`.
//!
//! Decides nothing, and holds nothing up: it happens on a thread of its own, and what goes wrong is a line in the log.

use std::path::Path;
use std::thread;

use crate::jose::Sha256;
use crate::policy::Archive;
use crate::state::PrivateDir;

/// Keeps the files below `directory` as the set of that digest.
pub(super) fn keep(data: &PrivateDir, directory: &Path, digest: Sha256) {
    let (data, directory) = (data.clone(), directory.to_owned());
    let kept = move || {
        if let Err(error) = Archive::open(&data).and_then(|archive| archive.keep(&directory, digest)) {
            tracing::warn!(policy_set = %digest, %error, "the policy set is not kept; its decisions are explained without it");
        }
    };
    if let Err(error) = thread::Builder::new().name("policy-archive".to_owned()).spawn(kept) {
        tracing::warn!(policy_set = %digest, %error, "the policy set is not kept");
    }
}
