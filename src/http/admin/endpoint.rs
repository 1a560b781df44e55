//! What the administration can be asked: each endpoint once, for the router and for its description alike.

use axum::routing::{MethodRouter, delete, get, patch, post};

use super::{Admin, accounts, approvals, decisions, revocations, search, tokens, trust};

/// An endpoint.
pub(super) struct Endpoint {
    /// Below the API's path, as the router reads it.
    pub(super) path: &'static str,
    /// In small letters.
    pub(super) method: &'static str,
    /// Its name in the description.
    pub(super) id: &'static str,
    /// What it does.
    pub(super) summary: &'static str,
    /// Parameters of its query.
    pub(super) query: &'static [&'static str],
    /// The schema of its body.
    pub(super) body: Option<&'static str>,
    /// The status of a good answer, and its schema; none for no body.
    pub(super) answer: (u16, Option<&'static str>),
    /// What answers.
    pub(super) handler: MethodRouter<Admin>,
}

const PAGED: &[&str] = &["cursor", "limit"];
const ACCOUNTS: &[&str] = &["namespace", "cursor", "limit"];
const ACCOUNT: &str = "/service-accounts/{account}";

impl Endpoint {
    fn new(
        (method, path): (&'static str, &'static str),
        id: &'static str,
        summary: &'static str,
        handler: MethodRouter<Admin>,
    ) -> Self {
        Self { path, method, id, summary, query: &[], body: None, answer: (200, None), handler }
    }

    const fn query(mut self, query: &'static [&'static str]) -> Self {
        self.query = query;
        self
    }

    const fn body(mut self, schema: &'static str) -> Self {
        self.body = Some(schema);
        self
    }

    const fn answers(mut self, status: u16, schema: &'static str) -> Self {
        self.answer = (status, Some(schema));
        self
    }

    const fn no_content(mut self) -> Self {
        self.answer = (204, None);
        self
    }
}

/// All of them.
pub(super) fn all() -> Vec<Endpoint> {
    let mut all = of_accounts();
    all.extend(of_tokens());
    all.extend(of_the_rest());
    all
}

fn of_accounts() -> Vec<Endpoint> {
    let one = Endpoint::new;
    vec![
        one(("get", "/service-accounts"), "listServiceAccounts", "Lists accounts.", get(accounts::list))
            .query(ACCOUNTS)
            .answers(200, "ServiceAccountPage"),
        one(("post", "/service-accounts"), "createServiceAccount", "Makes an account.", post(accounts::create))
            .body("NewServiceAccount")
            .answers(201, "ServiceAccount"),
        one(("get", ACCOUNT), "readServiceAccount", "Shows an account.", get(accounts::show))
            .answers(200, "ServiceAccount"),
        one(("patch", ACCOUNT), "updateServiceAccount", "Changes an account.", patch(accounts::update))
            .body("ServiceAccountChange")
            .answers(200, "ServiceAccount"),
        one(("delete", ACCOUNT), "deleteServiceAccount", "Removes an account.", delete(accounts::delete))
            .query(&["revision"])
            .no_content(),
        one(
            ("post", "/service-accounts/{account}/disable"),
            "disableServiceAccount",
            "Switches an account off.",
            post(accounts::disable),
        )
        .answers(200, "ServiceAccount"),
        one(
            ("post", "/service-accounts/{account}/enable"),
            "enableServiceAccount",
            "Switches an account on again.",
            post(accounts::enable),
        )
        .answers(200, "ServiceAccount"),
        one(
            ("post", "/service-accounts/{account}/approve"),
            "approveGrants",
            "Approves what an account shall be able to do.",
            post(approvals::approve),
        )
        .body("Seen")
        .answers(200, "ServiceAccount"),
        one(
            ("post", "/service-accounts/{account}/refuse"),
            "refuseGrants",
            "Drops what waits for approval.",
            post(approvals::refuse),
        )
        .body("Seen")
        .answers(200, "ServiceAccount"),
        one(("get", "/grants"), "listPendingGrants", "Lists accounts that wait for approval.", get(accounts::pending))
            .query(ACCOUNTS)
            .answers(200, "ServiceAccountPage"),
    ]
}

fn of_tokens() -> Vec<Endpoint> {
    let one = Endpoint::new;
    vec![
        one(("get", "/service-accounts/{account}/tokens"), "listTokens", "Lists tokens.", get(tokens::list))
            .query(PAGED)
            .answers(200, "TokenPage"),
        one(
            ("post", "/service-accounts/{account}/tokens"),
            "issueToken",
            "Makes a token, and shows it once.",
            post(tokens::issue),
        )
        .body("NewToken")
        .answers(201, "IssuedToken"),
        one(
            ("get", "/service-accounts/{account}/tokens/{token}"),
            "readToken",
            "Shows what is known of a token.",
            get(tokens::show),
        )
        .answers(200, "Token"),
        one(
            ("delete", "/service-accounts/{account}/tokens/{token}"),
            "revokeToken",
            "Revokes a token.",
            delete(tokens::revoke),
        )
        .no_content(),
        one(
            ("post", "/service-accounts/{account}/tokens/{token}/rotate"),
            "rotateToken",
            "Puts a new token in the place of one, and shows it once.",
            post(tokens::rotate),
        )
        .body("Rotation")
        .answers(200, "RotatedToken"),
        one(
            ("post", "/tokens/search"),
            "searchToken",
            "Finds whose token that is, and revokes its family.",
            post(search::search),
        )
        .body("TokenSearch")
        .answers(200, "FoundToken"),
    ]
}

fn of_the_rest() -> Vec<Endpoint> {
    let one = Endpoint::new;
    vec![
        one(("get", "/bindings"), "listBindings", "Lists rules that act as accounts.", get(trust::bindings))
            .answers(200, "Bindings"),
        one(("get", "/issuers"), "listIssuers", "Lists issuers and the state of their keys.", get(trust::issuers))
            .answers(200, "Issuers"),
        one(
            ("post", "/issuers/{name}/refresh"),
            "refreshIssuer",
            "Fetches the keys of an issuer.",
            post(trust::refresh),
        )
        .answers(200, "RefreshedIssuer"),
        one(("get", "/targets"), "listTargets", "Lists targets.", get(trust::targets)).answers(200, "Targets"),
        one(("get", "/decisions"), "listDecisions", "Lists decisions, newest first.", get(decisions::list))
            .query(&decisions::KNOWN)
            .answers(200, "DecisionPage"),
        one(("get", "/decisions/{id}"), "readDecision", "Shows a decision.", get(decisions::show))
            .answers(200, "Decision"),
        one(("post", "/revocations"), "revoke", "Revokes a secrets token.", post(revocations::revoke))
            .body("Revocation")
            .answers(200, "Revoked"),
    ]
}
