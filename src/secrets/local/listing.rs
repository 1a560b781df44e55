//! What lies in a folder: its secrets, and the folders that have some.

use super::{KvAnswer, KvError, LocalStore};
use crate::secrets::MAX_PATH_BYTES;

/// How many rows are read at once.
const BATCH: u32 = 1000;

impl LocalStore {
    /// `folder` is empty, or ends with a slash. A folder's own rows are skipped by a new search once a batch ends within it,
    /// so that a list costs what it answers, not what lies below.
    pub(super) async fn list(&self, namespace: &str, mount: &str, folder: &str) -> Result<KvAnswer, KvError> {
        let mut names: Vec<String> = Vec::new();
        let (mut from, end) = (folder.to_owned(), end_of(folder));
        loop {
            let paths = self.database.paths(namespace, mount, &from, &end, BATCH).await?;
            for path in &paths {
                let name = path.strip_prefix(folder).unwrap_or(path);
                let name = name.split_inclusive('/').next().unwrap_or(name);
                if names.last().is_none_or(|last| last != name) {
                    names.push(name.to_owned());
                }
            }
            let full = u32::try_from(paths.len()).is_ok_and(|count| count >= BATCH);
            from = match (paths.last(), names.last()) {
                (Some(_), Some(name)) if full && name.ends_with('/') => end_of(&[folder, name].concat()),
                // The next possible path: none has a control character.
                (Some(path), _) if full => [path, "\u{1}"].concat(),
                _ => break,
            };
        }
        match names.is_empty() {
            true => Err(KvError::NotFound),
            false => Ok(KvAnswer::Keys(names)),
        }
    }
}

/// The first text after everything that lies in `folder`: `0` follows `/`. After a whole mount: more than any path.
fn end_of(folder: &str) -> String {
    match folder.strip_suffix('/') {
        Some(name) => [name, "0"].concat(),
        None => char::MAX.to_string().repeat(MAX_PATH_BYTES / char::MAX.len_utf8() + 1),
    }
}
