//! Requests of administrators are carried out to their end, whatever becomes of whoever asked.
//!
//! The future of an answer is dropped where the client hangs up. A change that was on its way to the database by then would
//! happen, and this replica would neither forget what it had known nor have on record what was changed.

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};

/// The same routes, each request in a task of its own.
pub(super) fn to_their_end<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.layer(middleware::from_fn(to_its_end))
}

async fn to_its_end(request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The process is going down.
            Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;
    use tokio::sync::Notify;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn what_is_begun_ends_when_the_client_hangs_up() {
        let (begun, go_on, ended) =
            (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let (b, g, e) = (Arc::clone(&begun), Arc::clone(&go_on), Arc::clone(&ended));
        let handler = async move || {
            b.notify_one();
            g.notified().await;
            e.store(true, Ordering::SeqCst);
        };
        let router: Router = to_their_end(Router::new().route("/", get(handler)));
        let mut answer = Box::pin(router.oneshot(Request::new(Body::empty())));
        tokio::select! {
            _ = &mut answer => panic!("nobody let it go on"),
            () = begun.notified() => {}
        }
        drop(answer);
        go_on.notify_one();
        tokio::time::timeout(Duration::from_secs(5), async {
            while !ended.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }
}
