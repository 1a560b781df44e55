//! A configuration or platform file of any bytes: refused with words, never a panic.
#![no_main]

use std::path::Path;

use cambio::config::Config;
use cambio::trust::Platform;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = Config::parse(text, Path::new("/nonexistent")) {
        assert!(!error.to_string().is_empty());
    }
    let _ = Platform::parse(text);
});
