//! The two grants, read from parameters: token exchange (RFC 8693 section 2.1) and JWT bearer (RFC 7523 section 2.1).

use std::time::Duration;

use url::Url;

use super::{DeclaredType, ErrorCode, Parameters, Scope, SubjectToken};
use crate::identity::IssuerName;

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const KNOWN: [&str; 15] = [
    "grant_type",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "assertion",
    "audience",
    "resource",
    "scope",
    "expiration",
    "subject_issuer",
    "client_id",
    "client_secret",
    "options",
];

/// Which grant was asked for. It decides the error code of a token that is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grant {
    /// RFC 8693.
    TokenExchange,
    /// RFC 7523.
    JwtBearer,
}

impl Grant {
    /// The registered grant type.
    #[must_use]
    pub const fn urn(self) -> &'static str {
        match self {
            Self::TokenExchange => TOKEN_EXCHANGE,
            Self::JwtBearer => JWT_BEARER,
        }
    }

    /// The code for a token that is invalid or not acceptable: `invalid_request` (RFC 8693 section 2.2.2) or
    /// `invalid_grant` (RFC 7523 section 3.1).
    #[must_use]
    pub const fn token_refused(self) -> ErrorCode {
        match self {
            Self::TokenExchange => ErrorCode::InvalidRequest,
            Self::JwtBearer => ErrorCode::InvalidGrant,
        }
    }
}

/// What an issued token is called (RFC 8693 section 2.2.1). What we issue is both; the caller's word is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IssuedTokenType {
    /// An access token.
    #[default]
    AccessToken,
    /// A JWT.
    Jwt,
}

impl IssuedTokenType {
    /// The registered URN.
    #[must_use]
    pub const fn urn(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }

    fn requested(urn: Option<&str>) -> Result<Self, RequestError> {
        let all = [Self::AccessToken, Self::Jwt];
        let Some(urn) = urn else { return Ok(Self::default()) };
        all.into_iter().find(|one| one.urn() == urn).ok_or(RequestError::RequestedTokenType)
    }
}

/// A well-formed request for a token.
#[derive(Debug)]
pub struct GrantRequest {
    /// The grant.
    pub grant: Grant,
    /// The token that was handed over.
    pub subject_token: SubjectToken,
    /// `audience` and `resource` values, in that order; all must select the same target.
    pub targets: Vec<String>,
    /// The scope that was asked for.
    pub scope: Option<Scope>,
    /// The trusted issuer that the caller names, where several share one issuer string. The parameter's name is that of
    /// Keycloak's token exchange.
    pub subject_issuer: Option<IssuerName>,
    /// The lifetime that was asked for (`expiration`, in seconds, an extension that Pulumi's clients send).
    pub lifetime: Option<Duration>,
    /// What the caller wants an issued token to be called.
    pub issued_token_type: IssuedTokenType,
    /// How many parameters were ignored.
    pub ignored_parameters: usize,
}

/// Why a request is not well-formed. The text goes to the caller: it names parameters, never values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A parameter that must be there is not.
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    /// A grant type that is not offered.
    #[error("grant_type must be token-exchange (RFC 8693) or jwt-bearer (RFC 7523)")]
    GrantType,
    /// A subject token type without a validator.
    #[error("subject_token_type must be the URN of jwt, id_token or access_token")]
    SubjectTokenType,
    /// A requested token type that is not issued.
    #[error("requested_token_type must be the URN of access_token or jwt")]
    RequestedTokenType,
    /// `actor_token`: delegation is not offered.
    #[error("actor_token is not supported")]
    Actor,
    /// `actor_token_type` without `actor_token` (RFC 8693 section 2.1).
    #[error("actor_token_type must not occur without actor_token")]
    ActorType,
    /// An `audience` that has control characters: nothing that anybody could have meant, and not to be kept or shown.
    #[error("audience must not have control characters")]
    Audience,
    /// A `resource` that is relative or has a fragment (RFC 8707 section 2).
    #[error("resource must be an absolute URI without a fragment")]
    Resource,
    /// A malformed scope.
    #[error("scope is malformed")]
    Scope,
    /// A malformed issuer name.
    #[error("subject_issuer is not the name of an issuer")]
    SubjectIssuer,
    /// A lifetime that is no number of seconds.
    #[error("expiration is not a number of seconds")]
    Expiration,
}

impl RequestError {
    /// The registered code.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::GrantType => ErrorCode::UnsupportedGrantType,
            Self::Resource => ErrorCode::InvalidTarget,
            Self::Scope => ErrorCode::InvalidScope,
            _ => ErrorCode::InvalidRequest,
        }
    }
}

impl GrantRequest {
    /// Reads a request; unknown parameters are ignored and counted.
    ///
    /// # Errors
    /// [`RequestError`] names the first fault.
    pub fn read(parameters: &Parameters<'_>) -> Result<Self, RequestError> {
        let grant = match parameters.value("grant_type").ok_or(RequestError::Missing("grant_type"))? {
            TOKEN_EXCHANGE => Grant::TokenExchange,
            JWT_BEARER => Grant::JwtBearer,
            _ => return Err(RequestError::GrantType),
        };
        let subject_token = match grant {
            Grant::TokenExchange => exchanged(parameters)?,
            Grant::JwtBearer => {
                let assertion = parameters.value("assertion").ok_or(RequestError::Missing("assertion"))?;
                SubjectToken::new(assertion, DeclaredType::Assertion)
            }
        };
        let expiration = parameters.value("expiration").map(str::parse).transpose();
        let name = parameters.value("subject_issuer").map(IssuerName::new).transpose();
        Ok(Self {
            grant,
            subject_token,
            targets: targets(parameters)?,
            scope: match parameters.value("scope") {
                Some(text) => Some(Scope::parse(text).ok_or(RequestError::Scope)?),
                None => None,
            },
            subject_issuer: name.map_err(|_| RequestError::SubjectIssuer)?,
            lifetime: expiration.map_err(|_| RequestError::Expiration)?.map(Duration::from_secs),
            issued_token_type: IssuedTokenType::requested(parameters.value("requested_token_type"))?,
            ignored_parameters: parameters.unknown(&KNOWN),
        })
    }
}

fn exchanged(parameters: &Parameters<'_>) -> Result<SubjectToken, RequestError> {
    let token = parameters.value("subject_token").ok_or(RequestError::Missing("subject_token"))?;
    let declared = parameters.value("subject_token_type").ok_or(RequestError::Missing("subject_token_type"))?;
    let declared = DeclaredType::parse(declared).ok_or(RequestError::SubjectTokenType)?;
    if parameters.value("actor_token").is_some() {
        return Err(RequestError::Actor);
    }
    if parameters.value("actor_token_type").is_some() {
        return Err(RequestError::ActorType);
    }
    Ok(SubjectToken::new(token, declared))
}

fn targets(parameters: &Parameters<'_>) -> Result<Vec<String>, RequestError> {
    let resources = parameters.values("resource").map(|resource| {
        // The parser drops or encodes what no URI has (RFC 3986 section 2).
        let plain = !resource.contains(char::is_control);
        let absolute = plain && Url::parse(resource).is_ok_and(|url| url.fragment().is_none());
        if absolute { Ok(resource.to_owned()) } else { Err(RequestError::Resource) }
    });
    let audiences = parameters.values("audience").map(|audience| {
        if audience.contains(char::is_control) { Err(RequestError::Audience) } else { Ok(audience.to_owned()) }
    });
    audiences.chain(resources).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const GOOD: [(&str, &str); 4] = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token", "a.b.c"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("audience", "vault"),
    ];

    fn form(pairs: &[(&str, &str)]) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    fn read(pairs: &[(&str, &str)]) -> Result<GrantRequest, RequestError> {
        GrantRequest::read(&Parameters::from_form(form(pairs).as_bytes()).unwrap())
    }

    fn with(change: (&'static str, &'static str)) -> Vec<(&'static str, &'static str)> {
        let mut pairs: Vec<_> = GOOD.iter().copied().filter(|(name, _)| *name != change.0).collect();
        pairs.push(change);
        pairs
    }

    #[test]
    fn the_good_request_is_read() {
        let request = read(&GOOD).unwrap();
        assert_eq!(request.grant, Grant::TokenExchange);
        assert_eq!(request.targets, ["vault"]);
        assert_eq!(request.subject_token.declared(), DeclaredType::Jwt);
        assert_eq!(request.ignored_parameters, 0);
    }

    #[rstest]
    #[case(("grant_type", ""), RequestError::Missing("grant_type"))]
    #[case(("grant_type", "password"), RequestError::GrantType)]
    #[case(("grant_type", "client_credentials"), RequestError::GrantType)]
    #[case(("subject_token", ""), RequestError::Missing("subject_token"))]
    #[case(("subject_token_type", ""), RequestError::Missing("subject_token_type"))]
    #[case(("subject_token_type", "urn:ietf:params:oauth:token-type:saml2"), RequestError::SubjectTokenType)]
    #[case(("actor_token", "x"), RequestError::Actor)]
    #[case(("actor_token_type", "urn:ietf:params:oauth:token-type:jwt"), RequestError::ActorType)]
    #[case(("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), RequestError::RequestedTokenType)]
    #[case(("requested_token_type", "jwt"), RequestError::RequestedTokenType)]
    #[case(("resource", "/relative"), RequestError::Resource)]
    #[case(("resource", "https://x.example/#f"), RequestError::Resource)]
    #[case(("resource", "https://x.example/\0"), RequestError::Resource)]
    #[case(("resource", "https://x.example/\n"), RequestError::Resource)]
    #[case(("audience", "\0"), RequestError::Audience)]
    #[case(("audience", "vault\u{9b}"), RequestError::Audience)]
    #[case(("scope", "a  b"), RequestError::Scope)]
    #[case(("subject_issuer", "No Name"), RequestError::SubjectIssuer)]
    #[case(("expiration", "-1"), RequestError::Expiration)]
    fn one_change_is_refused(#[case] change: (&'static str, &'static str), #[case] error: RequestError) {
        assert_eq!(read(&with(change)).unwrap_err(), error);
    }

    #[test]
    fn an_unknown_parameter_is_ignored_and_counted() {
        assert_eq!(read(&with(("made_up", "1"))).unwrap().ignored_parameters, 1);
    }

    #[test]
    fn a_bearer_assertion_is_its_own_grant() {
        let request = read(&[("grant_type", JWT_BEARER), ("assertion", "a.b.c")]).unwrap();
        assert_eq!(request.grant.token_refused(), ErrorCode::InvalidGrant);
        assert_eq!(request.subject_token.declared(), DeclaredType::Assertion);
        assert_eq!(read(&[("grant_type", JWT_BEARER)]).unwrap_err(), RequestError::Missing("assertion"));
    }
}
