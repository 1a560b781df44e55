//! Any text as a reference: refused, or one place that reads back as itself, with nothing in it that a server would decode.
#![no_main]

use cambio::secrets::kubernetes::SecretName;
use cambio::secrets::reference::{MAX_REFERENCE_BYTES, Reference};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let value = Reference::of_value(text);
    match Reference::parse(text) {
        Ok(reference) => {
            assert!(text.len() <= MAX_REFERENCE_BYTES);
            assert_eq!(value.as_ref(), Ok(&Some(reference.clone())));
            assert_eq!(Reference::parse(&reference.to_string()), Ok(reference.clone()));
            let location = reference.location("kubernetes");
            let path = location.path.as_str();
            assert!(path.split('/').all(|segment| !matches!(segment, "" | "." | "..")));
            assert!(
                path.bytes().chain(location.field.bytes()).all(|b| b.is_ascii_alphanumeric() || b"-._~/".contains(&b))
            );
            assert_eq!(location.mount.is_some(), reference.is_kubernetes());
            if reference.is_kubernetes() {
                assert!(SecretName::parse(path).is_ok() || SecretName::new("namespace", path).is_ok());
            }
        }
        // A value that does not parse is either no reference to anybody, or an error.
        Err(error) => assert!(value == Ok(None) || value == Err(error)),
    }
});
