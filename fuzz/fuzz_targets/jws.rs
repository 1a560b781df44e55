//! A token of any bytes: never a panic; what is read keeps the bounds that policies' costs rest on.
#![no_main]

use cambio::jose::{CompactJws, MAX_TOKEN_BYTES};
use libfuzzer_sys::fuzz_target;
use zeroize::Zeroizing;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(jws) = CompactJws::parse(Zeroizing::new(text.to_owned())) {
        assert!(text.len() <= MAX_TOKEN_BYTES);
        assert_eq!(text.matches('.').count(), 2);
        assert!(jws.unverified_key_id().is_none_or(|kid| kid.len() <= 256));
    }
});
