//! A path of any bytes: what is accepted means one place only, to whoever reads it.
#![no_main]

use cambio::secrets::{FolderPath, MAX_PATH_BYTES, SecretPath};
use libfuzzer_sys::fuzz_target;

fn one_place(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= MAX_PATH_BYTES
        && path.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
        && !path.contains(|c: char| c.is_control() || "%\\?#*+".contains(c))
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let secret = SecretPath::new(text);
    if let Ok(path) = &secret {
        assert_eq!(path.as_str(), text);
        assert!(one_place(text));
    }
    if let Ok(folder) = FolderPath::new(text) {
        assert!(folder.as_str().is_empty() == text.is_empty());
        assert!(text.is_empty() || folder.as_str().strip_suffix('/').is_some_and(one_place));
        assert_eq!(FolderPath::new(folder.as_str()).as_ref(), Ok(&folder));
    }
    // A folder and a secret may have the same name.
    assert!(secret.is_err() || FolderPath::new(text).is_ok());
});
