//! A request of any bytes, as a form and as JSON: never a panic; texts for callers stay within RFC 6749 section 5.2.
#![no_main]

use cambio::jose::parse_object;
use cambio::oauth::{GrantRequest, Parameters};
use libfuzzer_sys::fuzz_target;

fn sayable(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

fuzz_target!(|data: &[u8]| {
    let form = Parameters::from_form(data);
    let json = parse_object(data).ok().and_then(|object| Parameters::from_json(object).ok());
    for parameters in form.into_iter().chain(json) {
        if let Err(error) = GrantRequest::read(&parameters) {
            assert!(sayable(&error.to_string()));
        }
    }
});
