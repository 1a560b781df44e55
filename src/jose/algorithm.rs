//! The signature algorithms that exist (RFC 7518 section 3.1, RFC 8037, RFC 9864): all asymmetric.

use std::fmt;

/// A signature algorithm. There is no value for `none` or for HMAC, so no token can select them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is its RFC 7518 name")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    /// Ed25519, by either of its names: `EdDSA` (RFC 8037) or `Ed25519` (RFC 9864).
    EdDSA,
}

impl Algorithm {
    /// Every algorithm, in the order in which they are listed to operators.
    pub const ALL: [Self; 10] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
    ];

    /// The algorithm of that name, compared exactly: `rs256` is not `RS256` (RFC 7515 section 4.1.1).
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDSA);
        }
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
        }
    }

    /// Whether it needs an RSA key.
    #[must_use]
    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512)
    }

    /// Whether this build's cryptographic library has it: ring has no ES512.
    #[must_use]
    pub const fn is_available(self) -> bool {
        !matches!(self, Self::ES512) || cfg!(feature = "aws-lc")
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<String> for Algorithm {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::parse(&name).ok_or_else(|| {
            let all = Self::ALL.map(Self::name).join(", ");
            format!("`{name}` is not one of {all}")
        })
    }
}

impl<'de> serde::Deserialize<'de> for Algorithm {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for Algorithm {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("none")]
    #[case("None")]
    #[case("nOnE")]
    #[case("HS256")]
    #[case("HS512")]
    #[case("rs256")]
    #[case("RS256 ")]
    #[case("ES256K")]
    #[case("ML-DSA-44")]
    #[case("")]
    fn what_must_not_exist_has_no_value(#[case] name: &str) {
        assert_eq!(Algorithm::parse(name), None);
    }

    #[test]
    fn every_algorithm_reads_its_own_name() {
        assert!(Algorithm::ALL.iter().all(|a| Algorithm::parse(a.name()) == Some(*a)));
        assert_eq!(Algorithm::parse("Ed25519"), Some(Algorithm::EdDSA));
    }
}
