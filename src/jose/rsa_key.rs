//! RSA public keys: what a modulus and an exponent must keep, and the DER form that the libraries read (RFC 8017 A.1.1).

/// An RSA public key within bounds, leading zero octets stripped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RsaPublic {
    pub(super) modulus: Vec<u8>,
    pub(super) exponent: Vec<u8>,
}

/// Why an RSA key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RsaFault {
    /// Fewer than 2048 or more than 8192 bits, or an even modulus.
    Modulus,
    /// Even, below 3, or above 2^33 - 1.
    Exponent,
    /// A modulus with the structure of CVE-2017-15361 (ROCA): its private key can be computed.
    Roca,
}

impl RsaPublic {
    /// Checks the bounds. Leading zero octets are stripped first: Jenkins publishes them (RFC 7518 section 6.3.1.1
    /// forbids them, and no library here verifies with such a key).
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, RsaFault> {
        let (modulus, exponent) = (stripped(modulus), stripped(exponent));
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |b| b.leading_zeros() as usize);
        if !(2048..=8192).contains(&bits) || modulus.last().is_none_or(|b| b % 2 == 0) {
            return Err(RsaFault::Modulus);
        }
        let value = exponent.iter().fold(0_u64, |v, b| v.saturating_mul(256).saturating_add(u64::from(*b)));
        if value < 3 || value % 2 == 0 || value >= 1 << 33 {
            return Err(RsaFault::Exponent);
        }
        if is_roca(modulus) {
            return Err(RsaFault::Roca);
        }
        Ok(Self { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
    }

    /// Reads a PKCS#1 `RSAPublicKey`.
    pub(super) fn from_der(der: &[u8]) -> Option<Self> {
        let (0x30, body, []) = element(der)? else { return None };
        let (0x02, modulus, rest) = element(body)? else { return None };
        let (0x02, exponent, []) = element(rest)? else { return None };
        Self::new(modulus, exponent).ok()
    }

    /// Writes a PKCS#1 `RSAPublicKey`.
    pub(super) fn to_der(&self) -> Vec<u8> {
        let mut body = integer(&self.modulus);
        body.extend(integer(&self.exponent));
        tagged(0x30, &body)
    }
}

fn stripped(octets: &[u8]) -> &[u8] {
    let zeros = octets.iter().take_while(|b| **b == 0).count();
    octets.get(zeros..).unwrap_or_default()
}

fn integer(octets: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(octets.len() + 1);
    if octets.first().is_some_and(|b| b & 0x80 != 0) {
        value.push(0);
    }
    value.extend_from_slice(octets);
    tagged(0x02, &value)
}

/// A DER element of at most 65,535 octets; longer ones do not occur within the bounds above.
fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut out = match (high, low) {
        (0, low) if low < 0x80 => vec![tag, low],
        (0, low) => vec![tag, 0x81, low],
        (high, low) => vec![tag, 0x82, high, low],
    };
    out.extend_from_slice(value);
    out
}

/// The tag, the value and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81 => rest.split_first().map(|(low, rest)| (usize::from(*low), rest))?,
        0x82 => rest.split_first_chunk().map(|(two, rest)| (usize::from(u16::from_be_bytes(*two)), rest))?,
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((*tag, value, rest))
}

/// Whether the modulus is, modulo every small prime, a power of 65537: the fingerprint of ROCA keys. A sound key passes
/// for one with a probability below 2^-25.
fn is_roca(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 37] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
        109, 113, 127, 131, 137, 139, 149, 151, 157, 163,
    ];
    PRIMES.iter().all(|prime| {
        let rest = modulus.iter().fold(0, |rest, b| (rest * 256 + u32::from(*b)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * (65537 % prime) % prime;
            power == rest
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn modulus(bytes: usize) -> Vec<u8> {
        let mut modulus = vec![0xc5; bytes];
        modulus[bytes - 1] = 0xc7;
        modulus
    }

    #[test]
    fn a_key_survives_der_and_leading_zeros_fall_away() {
        let key = RsaPublic::new(&[vec![0, 0], modulus(256)].concat(), &[0, 1, 0, 1]).unwrap();
        assert_eq!(key.modulus, modulus(256));
        assert_eq!(key.exponent, [1, 0, 1]);
        assert_eq!(RsaPublic::from_der(&key.to_der()), Some(key));
    }

    #[rstest]
    #[case(modulus(255), vec![1, 0, 1], RsaFault::Modulus)]
    #[case(modulus(128), vec![1, 0, 1], RsaFault::Modulus)]
    #[case(modulus(1025), vec![1, 0, 1], RsaFault::Modulus)]
    #[case(modulus(2048), vec![1, 0, 1], RsaFault::Modulus)]
    #[case(vec![], vec![1, 0, 1], RsaFault::Modulus)]
    #[case(vec![0xfe; 256], vec![1, 0, 1], RsaFault::Modulus)]
    #[case(modulus(256), vec![1], RsaFault::Exponent)]
    #[case(modulus(256), vec![], RsaFault::Exponent)]
    #[case(modulus(256), vec![1, 0, 0], RsaFault::Exponent)]
    #[case(modulus(256), vec![2, 0, 0, 0, 1], RsaFault::Exponent)]
    fn a_key_outside_the_bounds_is_refused(#[case] n: Vec<u8>, #[case] e: Vec<u8>, #[case] fault: RsaFault) {
        assert_eq!(RsaPublic::new(&n, &e), Err(fault));
    }

    #[test]
    fn a_modulus_with_the_roca_structure_is_refused() {
        // 65537^n for n = 121 is a power of 65537 modulo every prime, as ROCA moduli are; 2057 bits.
        let mut power = vec![1_u8];
        for _ in 0..128 {
            let mut next = vec![0_u8; power.len() + 2];
            for (i, byte) in power.iter().enumerate() {
                for (offset, carry_in) in [(2_usize, *byte), (0, *byte)] {
                    let mut at = i + 2 - offset;
                    let mut carry = u16::from(carry_in);
                    while carry > 0 {
                        let sum = u16::from(next[at]) + carry;
                        next[at] = (sum & 0xff) as u8;
                        carry = sum >> 8;
                        at += 1;
                        if at == next.len() {
                            next.push(0);
                        }
                    }
                }
            }
            while next.last() == Some(&0) {
                next.pop();
            }
            power = next;
        }
        power.reverse();
        assert_eq!(RsaPublic::new(&power, &[1, 0, 1]), Err(RsaFault::Roca));
    }

    #[rstest]
    #[case(&[])]
    #[case(&[0x30, 0x85])]
    #[case(&[0x30, 0x03, 0x02, 0x05, 0x01])]
    #[case(&[0x30, 0x82, 0xff, 0xff, 0x02])]
    fn broken_der_is_no_key(#[case] der: &[u8]) {
        assert_eq!(RsaPublic::from_der(der), None);
    }
}
