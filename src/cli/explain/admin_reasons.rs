//! What each reason means where the administration, REST or a token to log in with is concerned.

/// What happened, and the next thing to check.
pub(super) fn meaning(reason: &str) -> Option<(&'static str, &'static str)> {
    administration(reason).or_else(|| registry(reason)).or_else(|| rest(reason))
}

fn administration(reason: &str) -> Option<(&'static str, &'static str)> {
    Some(match reason {
        "admin_target" => (
            "the token is for another target than the administration's",
            "ask for `admin.target` as the `audience` of the exchange",
        ),
        "admin_namespace" => (
            "the token is of a service account in another namespace than the administrators'",
            "administrators' accounts are in the namespace of `admin.target`",
        ),
        "admin_target_missing" => (
            "the policies have no target of the name `admin.target` any more",
            "put the policy file back: `cambio policy check` names the target",
        ),
        "namespace_unknown" => (
            "no target of the policies has that namespace, and an account would reach nothing there",
            "compare it with `namespace` in the policy files byte by byte",
        ),
        "decision_unknown" => (
            "the store has no decision of that id",
            "is it older than `audit.decisions.keep_for`? The journal may have it still: `cambio explain ID`",
        ),
        "decisions_not_kept" => (
            "no decisions are kept in a store here, or the store did not answer",
            "is `audit.decisions.max` 0? Otherwise `/readyz` says what is wrong with the database",
        ),
        "keys_not_fetched" => (
            "the issuer's keys could not be fetched; those from before go on",
            "`detail` says why; `cambio doctor` tries each issuer",
        ),
        "keys_fetched_lately" => {
            ("the issuer's keys were fetched, or tried, a moment ago", "wait for as long as `Retry-After` says")
        }
        "revocation_not_recorded" => (
            "the revocation could not be written, so that the token is good still",
            "look at the data directory, or at the database that replicas share; then revoke again",
        ),
        "token_not_an_accounts" => (
            "a rotation was asked for with a token that is no service account's",
            "secrets tokens are not rotated: exchange the platform's token again",
        ),
        _ => return None,
    })
}

fn registry(reason: &str) -> Option<(&'static str, &'static str)> {
    Some(match reason {
        "not_found" => {
            ("there is no such service account, or no such token of it", "list them: `cambio service-account list`")
        }
        "name_taken" => {
            ("the namespace has a service account of that name", "take another name, or change that account")
        }
        "invalid" => ("a value is outside its bounds", "`detail` names it; `docs/service-accounts.md` has the bounds"),
        "changed_meanwhile" => (
            "the account was changed after the caller had looked at it",
            "look at it again, and send the `revision` that it has now",
        ),
        "already_rotated" => (
            "the token had been rotated, by an earlier request or by one at the same moment",
            "use the successor that `detail` names; if nobody has it, issue a new token",
        ),
        "too_many_tokens" => ("the account has as many good tokens as it may", "revoke those that nobody uses"),
        "nothing_pending" => ("nothing of the account waits for approval", "somebody else may have decided already"),
        "same_person" => ("whoever asked for the grants wanted to approve them", "another person has to approve"),
        "no_randomness" => ("the system gave no random bytes", "look at the machine: it can make no keys either"),
        "database" => {
            ("the database of service accounts did not answer", "`/readyz` says what is wrong; then try again")
        }
        _ => return None,
    })
}

fn rest(reason: &str) -> Option<(&'static str, &'static str)> {
    Some(match reason {
        "place_unknown" => (
            "the configuration has no project or group of that id",
            "compare it with `rest.projects` and `rest.groups`; a path is written with `%2F`",
        ),
        "path_malformed" | "name_malformed" => (
            "the path has something that no name has",
            "each part is percent-encoded once; `detail` says what was wrong",
        ),
        "query_malformed" => (
            "a parameter of the query is unknown, there twice, or out of its bounds",
            "`detail` names it; the endpoint's description is in `openapi.json`",
        ),
        "body_malformed" => (
            "the body is not what the endpoint takes",
            "`detail` says what was wrong; the endpoint's description is in `openapi.json`",
        ),
        "form_not_acceptable" => (
            "the value has no form that the caller's `Accept` allows",
            "take `application/json`; `text/plain` is for a field that is a text",
        ),
        "no_token" => ("the request brought no token", "send `Authorization: Bearer`, or `PRIVATE-TOKEN`"),
        "login_token_not_good" => (
            "a token to log in with is over, or was not signed by a key that is published",
            "ask for a new one: `POST .../secrets_manager/access_token`",
        ),
        "login_token_for_another_login" => (
            "a token to log in with was presented in another namespace, at another mount, or for another role",
            "copy `mount` and `role` of the same answer that the token came in",
        ),
        "login_token_ended" => (
            "the token to log in with was revoked, or the rule that granted it was changed or deleted",
            "ask for a new one: `POST .../secrets_manager/access_token`",
        ),
        _ => return None,
    })
}
