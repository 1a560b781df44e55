//! `tokens`: where signing keys are, and how they are kept.

use std::path::Path;
use std::time::Duration;

use super::Problem;
use super::file::{KeyPlace, TokensFile};
use crate::mint::{KeySettings, KeySource};

/// `shared`: whether replicas share the database. They share the keys then, unless the operator says otherwise: one that had keys
/// of its own would refuse the tokens of the others.
pub(super) fn of(
    tokens: TokensFile,
    data: &Path,
    base: &Path,
    shared: bool,
    problems: &mut Vec<Problem>,
) -> KeySettings {
    if !tokens.signing_key_files.is_empty() {
        if tokens.keys == Some(KeyPlace::Database) {
            let fix = "remove one of them: the files are yours to give to every replica";
            problems.push(Problem::new("tokens.keys", "`database` and `signing_key_files` exclude each other", fix));
        }
        let files = tokens.signing_key_files.iter().map(|file| base.join(file)).collect();
        return KeySettings::new(KeySource::Files(files));
    }
    let rotate_every = Some(tokens.rotate_every.duration()).filter(|span| *span > Duration::ZERO);
    let (data_dir, algorithm) = (data.to_owned(), tokens.algorithm);
    KeySettings::new(match tokens.keys.unwrap_or(if shared { KeyPlace::Database } else { KeyPlace::Directory }) {
        KeyPlace::Directory => KeySource::Managed { data_dir, algorithm, rotate_every },
        KeyPlace::Database => KeySource::Database { data_dir, algorithm, rotate_every },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::one_replica("{}", false, "directory")]
    #[case::replicas("{}", true, "database")]
    #[case::one_that_wants_them_sealed("{keys: database}", false, "database")]
    #[case::keys_of_its_own_beside_a_database("{keys: directory}", true, "directory")]
    #[case::files("{signing_key_files: [a.pem]}", true, "files")]
    fn keys_are_where_all_who_need_them_reach_them(#[case] yaml: &str, #[case] shared: bool, #[case] expected: &str) {
        let mut problems = Vec::new();
        let tokens: TokensFile = serde_saphyr::from_str(yaml).unwrap();
        let keys = of(tokens, Path::new("/data"), Path::new("/etc"), shared, &mut problems);
        let place = match keys.source {
            KeySource::Managed { .. } => "directory",
            KeySource::Database { .. } => "database",
            KeySource::Files(_) => "files",
        };
        assert_eq!((place, problems.len()), (expected, 0));
    }
}
