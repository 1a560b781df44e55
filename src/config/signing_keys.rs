//! `tokens`: where signing keys are, and how they are kept.

use std::path::Path;
use std::time::Duration;

use super::Problem;
use super::file::{KeyPlace, TokensFile};
use crate::mint::{KeySettings, KeySource};

pub(super) fn of(tokens: TokensFile, data: &Path, base: &Path, problems: &mut Vec<Problem>) -> KeySettings {
    if !tokens.signing_key_files.is_empty() {
        if tokens.keys == KeyPlace::Database {
            let fix = "remove one of them: the files are yours to give to every replica";
            problems.push(Problem::new("tokens.keys", "`database` and `signing_key_files` exclude each other", fix));
        }
        let files = tokens.signing_key_files.iter().map(|file| base.join(file)).collect();
        return KeySettings::new(KeySource::Files(files));
    }
    let rotate_every = Some(tokens.rotate_every.duration()).filter(|span| *span > Duration::ZERO);
    let (data_dir, algorithm) = (data.to_owned(), tokens.algorithm);
    KeySettings::new(match tokens.keys {
        KeyPlace::Directory => KeySource::Managed { data_dir, algorithm, rotate_every },
        KeyPlace::Database => KeySource::Database { data_dir, algorithm, rotate_every },
    })
}
