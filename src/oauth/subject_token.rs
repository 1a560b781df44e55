//! The token that a caller hands over, before anybody looked into it.

use std::fmt;

use zeroize::Zeroizing;

/// What the caller says that its token is (RFC 8693 section 3): it selects the validator, nothing is tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeclaredType {
    /// `urn:ietf:params:oauth:token-type:jwt`, and every surface that has no word for it: an id token or plain JWT.
    Jwt,
    /// `urn:ietf:params:oauth:token-type:id_token`.
    IdToken,
    /// `urn:ietf:params:oauth:token-type:access_token`: a JWT access token (RFC 9068), where the issuer is allowed to.
    AccessToken,
    /// The assertion of an RFC 7523 authorization grant.
    Assertion,
}

impl DeclaredType {
    /// Reads a `subject_token_type`; `None` for types that are not accepted (SAML, refresh tokens, unknown).
    #[must_use]
    pub fn parse(urn: &str) -> Option<Self> {
        match urn.strip_prefix("urn:ietf:params:oauth:token-type:")? {
            "jwt" => Some(Self::Jwt),
            "id_token" => Some(Self::IdToken),
            "access_token" => Some(Self::AccessToken),
            _ => None,
        }
    }
}

/// A token as it was handed over. Zeroed when dropped, printed as `[redacted]`.
pub struct SubjectToken {
    text: Zeroizing<String>,
    declared: DeclaredType,
}

impl SubjectToken {
    /// Takes the text of a token, without the one line end that it may close with: google-auth and others send the file
    /// that they were given as it is.
    #[must_use]
    pub fn new(text: &str, declared: DeclaredType) -> Self {
        let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        Self { text: Zeroizing::new(line.to_owned()), declared }
    }

    /// What the caller says that it is.
    #[must_use]
    pub fn declared(&self) -> DeclaredType {
        self.declared
    }

    /// The bytes, for a digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// A copy of the text, for an issuer that is asked about its tokens. Zeroed when dropped.
    #[must_use]
    pub fn copy_for_review(&self) -> Zeroizing<String> {
        self.text.clone()
    }

    /// Gives the text up to whoever parses it.
    #[must_use]
    pub fn into_text(self) -> Zeroizing<String> {
        self.text
    }
}

impl fmt::Debug for SubjectToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectToken({:?}, [redacted])", self.declared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed() {
        let token = SubjectToken::new("secret", DeclaredType::Jwt);
        assert_eq!(format!("{token:?}"), "SubjectToken(Jwt, [redacted])");
    }

    #[test]
    fn one_line_end_is_taken_off_and_nothing_else() {
        let text = |given: &str| SubjectToken::new(given, DeclaredType::Jwt).into_text().to_string();
        assert_eq!(text("a.b.c\n"), "a.b.c");
        assert_eq!(text("a.b.c\r\n"), "a.b.c");
        assert_eq!(text("a.b.c\n\n"), "a.b.c\n");
        assert_eq!(text(" a.b.c"), " a.b.c");
    }

    #[test]
    fn only_types_with_a_validator_are_read() {
        let urn = |kind: &str| DeclaredType::parse(&format!("urn:ietf:params:oauth:token-type:{kind}"));
        assert_eq!(urn("jwt"), Some(DeclaredType::Jwt));
        assert_eq!(urn("id_token"), Some(DeclaredType::IdToken));
        assert_eq!(urn("access_token"), Some(DeclaredType::AccessToken));
        assert!(["refresh_token", "saml2", "saml1", "txn_token", "JWT", ""].iter().all(|kind| urn(kind).is_none()));
        assert_eq!(DeclaredType::parse("jwt"), None);
    }
}
