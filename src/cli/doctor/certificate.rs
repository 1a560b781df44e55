//! When a certificate ends (RFC 5280 section 4.1.2.5). Reads one field of the operator's own file and decides nothing by
//! it: whether a certificate is any good is the TLS library's to say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Timestamp;

/// The end of the first certificate in `pem`.
pub(super) fn not_after(pem: &str) -> Option<Timestamp> {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let text: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let der = STANDARD.decode(text).ok()?;
    let certificate = Element::read(&der)?.0;
    let mut fields = Element::read(certificate.content)?.0.content;
    let mut next = || {
        let (element, rest) = Element::read(fields)?;
        fields = rest;
        Some(element)
    };
    let mut field = next()?;
    if field.tag == 0xa0 {
        field = next()?; // the version was explicit: this is the serial number
    }
    let (_serial, _algorithm, _issuer) = (field, next()?, next()?);
    let validity = next()?;
    let (_, end) = Element::read(validity.content)?;
    Element::read(end)?.0.time()
}

/// One DER element (X.690 section 8.1).
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

impl<'a> Element<'a> {
    /// The first element, and what comes after it.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (tag, rest) = bytes.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match *first {
            short @ 0..=0x7f => (usize::from(short), rest),
            long => {
                let (length, rest) = rest.split_at_checked(usize::from(long & 0x7f)).filter(|(l, _)| l.len() <= 4)?;
                (length.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some((Self { tag: *tag, content }, rest))
    }

    /// UTCTime (two digits of the year: 1950 to 2049) or GeneralizedTime, both in UTC to the second.
    fn time(&self) -> Option<Timestamp> {
        let text = std::str::from_utf8(self.content).ok()?.strip_suffix('Z')?;
        let (year, rest) = match self.tag {
            0x17 => {
                let (year, rest) = text.split_at_checked(2)?;
                let century = if year >= "50" { "19" } else { "20" };
                (format!("{century}{year}"), rest)
            }
            0x18 => {
                let (year, rest) = text.split_at_checked(4)?;
                (year.to_owned(), rest)
            }
            _ => return None,
        };
        let pair = |index: usize| rest.get(2 * index..2 * index + 2);
        let (month, day, hour, minute, second) = (pair(0)?, pair(1)?, pair(2)?, pair(3)?, pair(4)?);
        Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag, 0x82];
        bytes.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        bytes.extend(content);
        bytes
    }

    fn pem(version: bool, end: Vec<u8>) -> String {
        let validity = element(0x30, &[element(0x17, b"251118110640Z"), end].concat());
        let version = if version { element(0xa0, &element(2, &[2])) } else { vec![] };
        let fields = [version, element(2, &[1]), element(0x30, &[]), element(0x30, &[7; 200]), validity].concat();
        let der = element(0x30, &element(0x30, &fields));
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
    }

    #[test]
    fn the_end_is_read_in_both_forms_with_and_without_a_version() {
        let end = Some(Timestamp::from_secs(1_795_000_000));
        assert_eq!(not_after(&pem(true, element(0x17, b"261118110640Z"))), end);
        assert_eq!(not_after(&pem(false, element(0x18, b"20261118110640Z"))), end);
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let good = pem(true, element(0x17, b"261118110640Z"));
        for text in
            ["", "-----BEGIN CERTIFICATE-----", &good.replace("MI", ""), &pem(true, element(4, b"261118110640Z"))]
        {
            assert_eq!(not_after(text), None);
        }
        let der = STANDARD.decode(good.lines().nth(1).unwrap()).unwrap();
        for cut in 0..der.len() {
            let cut = STANDARD.encode(&der[..cut]);
            let _ = not_after(&format!("-----BEGIN CERTIFICATE-----\n{cut}\n-----END CERTIFICATE-----\n"));
        }
    }
}
