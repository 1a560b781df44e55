//! Fixed JSON documents by path: what an issuer of `cambio demo` publishes. Decides nothing.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use axum::routing::get;

/// The routes of `documents`: each a path and its JSON text. Anything else is not found.
pub fn router(documents: impl IntoIterator<Item = (String, String)>) -> Router {
    documents.into_iter().fold(Router::new(), |router, (path, text)| {
        let text = Bytes::from(text);
        router.route(&path, get(move || async move { document(text) }))
    })
}

fn document(text: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}
