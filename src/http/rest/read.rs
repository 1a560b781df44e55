//! One read of a secret, recorded like any other.

use crate::exchange::{Ask, Counter, Served, ServedAnswer, Source};
use crate::secrets::{ApiCall, Verb};

use super::answer::Decided;
use super::problem::Problem;
use super::request::Place;

/// Reads or lists what is at `place`, with `token`; the decision, and what came of it.
pub(super) async fn read(
    counter: &Counter,
    source: Source,
    token: &str,
    verb: Verb,
    place: &Place,
    version: Option<&str>,
) -> (Decided, Result<ServedAnswer, Problem>) {
    let query = version.map_or_else(String::new, |version| format!("version={version}"));
    let ask = Ask {
        token,
        namespace: &place.namespace,
        naming: place.naming,
        path: &place.path,
        call: ApiCall { verb, path: "", version, depth: None, body: &[] },
        query: &query,
    };
    match counter.access(source).serve(ask).await {
        Ok(Served { decision: id, answer, budget, .. }) => (Decided { id, budget }, Ok(answer)),
        Err(not_served) => (
            Decided { id: not_served.decision, budget: not_served.budget },
            Err(Problem::of(not_served, !token.is_empty())),
        ),
    }
}
