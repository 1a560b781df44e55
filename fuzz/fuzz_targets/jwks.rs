//! A published key set of any bytes: never a panic; every key is usable or skipped.
#![no_main]

use cambio::jose::{KeyRules, KeySet, MAX_KEYS};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(set) = KeySet::parse(data, &KeyRules::default()) {
        assert!(set.keys().len() + set.skipped().len() <= MAX_KEYS);
        for key in set.keys() {
            assert!(!key.verifies(b"message", b"no signature"));
            assert!(set.contains(key.thumbprint()));
        }
    }
});
