//! `POST /oauth2/token`: RFC 8693 token exchange and RFC 7523 JWT bearer.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Response;

use super::form::{FORM, is_media_type};
use super::{OAuth, answer};
use crate::audit::Surface;
use crate::exchange::{Presentation, Source, Walk, Wanted};
use crate::http::body;
use crate::identity::IssuerName;
use crate::jose;
use crate::oauth::{ErrorCode, GrantRequest, ParameterError, Parameters, RequestError};

pub(super) async fn exchange(
    State(oauth): State<OAuth>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let walk = oauth.counter.begin(Source { surface: Surface::OAuth, address: peer.ip() });
    let (head, body) = request.into_parts();
    let named = match named_issuer(head.uri.query()) {
        Ok(named) => named,
        Err(error) => return malformed(walk, error),
    };
    let bytes = match body::read(body).await {
        Ok(bytes) => bytes,
        Err(error) => return answer::unread(error, &walk.malformed("body_unreadable", answer::of_body(error).2)),
    };
    let parameters = if is_media_type(&head.headers, FORM) {
        Parameters::from_form(&bytes)
    } else if is_media_type(&head.headers, "application/json") {
        jose::parse_object(&bytes).map_err(|_| ParameterError::Json).and_then(Parameters::from_json)
    } else {
        let text = "the body must be application/x-www-form-urlencoded";
        return answer::malformed(ErrorCode::InvalidRequest, text, &walk.malformed("content_type", text));
    };
    let request = match parameters.as_ref().map(GrantRequest::read) {
        Ok(Ok(request)) => request,
        Ok(Err(error)) => return malformed(walk, error),
        Err(error) => {
            let refused = walk.malformed("parameters_malformed", error);
            return answer::malformed(ErrorCode::InvalidRequest, &error.to_string(), &refused);
        }
    };
    let (grant, issued) = (request.grant, request.issued_token_type);
    match walk.exchange(presentation(request, named)).await {
        Ok(exchanged) => answer::exchanged(&exchanged, issued),
        Err(refused) => answer::refused(&refused, grant, None),
    }
}

fn malformed(walk: Walk<'_>, error: RequestError) -> Response<Body> {
    let reason =
        if error.code() == ErrorCode::UnsupportedGrantType { "grant_unsupported" } else { "request_malformed" };
    answer::malformed(error.code(), &error.to_string(), &walk.malformed(reason, error))
}

fn presentation(request: GrantRequest, named: Option<IssuerName>) -> Presentation {
    if request.ignored_parameters > 0 {
        tracing::debug!(count = request.ignored_parameters, "unknown parameters ignored");
    }
    Presentation {
        subject_token: request.subject_token,
        wanted: Wanted::Targets(request.targets),
        issuer: request.subject_issuer.or(named),
        scope: request.scope,
        lifetime: request.lifetime,
    }
}

/// The query of a token endpoint may name the issuer (RFC 6749 section 3.2 lets an endpoint have a query): some clients,
/// google-auth among them, can add no parameter of their own. Tokens are never read from it (RFC 6750 section 2.3).
fn named_issuer(query: Option<&str>) -> Result<Option<IssuerName>, RequestError> {
    let mut named = None;
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if name == "subject_issuer" && !value.is_empty() {
            if named.is_some() {
                return Err(RequestError::SubjectIssuer);
            }
            named = Some(IssuerName::new(&value).map_err(|_| RequestError::SubjectIssuer)?);
        }
    }
    Ok(named)
}
