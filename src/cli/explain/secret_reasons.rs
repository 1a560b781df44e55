//! What each reason means where a secret was asked for.

/// What happened, and the next thing to check.
pub(super) fn meaning(reason: &str) -> Option<(&'static str, &'static str)> {
    Some(match reason {
        "token_not_good" => (
            "the token is none of ours, has ended, was revoked, or the rule that granted it is gone",
            "let the workload log in anew; a token names its rule, and a changed rule ends what it granted",
        ),
        "revocations_unknown" => (
            "this replica could not read for a minute what others revoked, so it held no token for good; the caller got 503",
            "is the database there for every replica? `/readyz` says since when it is not; `docs/state.md` has the table of outages",
        ),
        "acl_denied" => (
            "the token's policies do not allow that at that path; the caller got what it gets where nothing is",
            "`detail` names the pattern that decided; the documents are below `policies/<namespace>/sys/policies/acl`",
        ),
        "secret_missing" => (
            "the caller may do it, and there is nothing at that path, or not in that version",
            "compare `path` above with `cambio secret list`; case counts",
        ),
        "mount_unknown" => (
            "no mount of the token's namespace has that path",
            "compare `path` above with `secrets.mounts` in the configuration",
        ),
        "token_for_administrators" => (
            "the secret is in an OpenBao, which is asked with the caller's token, and an administrator's token goes nowhere",
            "log in for the target that the secrets are for; that of `admin.target` is for the administration alone",
        ),
        "namespace_not_the_tokens" => (
            "the request names another namespace than the token opens",
            "a token opens the namespace of its target; log in for a target of the other one",
        ),
        "store_refused" => (
            "the store's own rules keep it from this caller: another tenant, or only creating or only updating is allowed",
            "`detail` says which; for Kubernetes look at `secrets.kubernetes` and the Secret's labels",
        ),
        "call_malformed" => (
            "the path, the query or the body is not one that the API has",
            "`detail` says what; a path has no `..`, no empty segments and nothing that is encoded twice",
        ),
        "operation_unsupported" => (
            "the store does not do that: a cluster's Secrets are only read",
            "write it where it lives, or use another store for that mount",
        ),
        "secret_changed" => (
            "somebody else wrote in between, or the secret wants check-and-set with every write",
            "read the current version and write with `cas` set to it",
        ),
        "store_unavailable" => (
            "the store could not be reached or had no room",
            "look at its disk or its server; nothing is answered from anywhere else meanwhile",
        ),
        "store_damaged" => (
            "what is stored does not open: it was changed outside of cambio, or is damaged",
            "compare with a backup; docs/local-store.md says what can be brought back",
        ),
        "upstream_login_refused" => (
            "the OpenBao does not take the token of this caller",
            "compare its JWT mount and role with `cambio openbao setup`; its own audit log has the reason",
        ),
        "upstream_place_refused" => (
            "the caller's namespace or path is none that is asked of that OpenBao",
            "`detail` says which; look at `secrets.openbao` in the configuration",
        ),
        "upstream_over_quota" => {
            ("the OpenBao has had enough requests for now", "look at its quotas; callers were told when to come again")
        }
        "upstream_unavailable" => (
            "the OpenBao could not be reached, or is in trouble",
            "`curl` its `/v1/sys/health` from here; `detail` has what came of the last try",
        ),
        "upstream_paused" => (
            "the OpenBao failed several times in a row and is left alone for a moment",
            "the records before this one have the failures; `breaker` says how many and for how long",
        ),
        "upstream_unreadable" => (
            "the OpenBao's answer is none of its API",
            "is something else listening at that address, such as a proxy's page?",
        ),
        "login_malformed" => (
            "the login has no `jwt`, or says `role` or `jwt` in another type than text",
            "a login is a JSON object with `role` and `jwt`",
        ),
        "token_gone" => (
            "the token's cluster says that its pod or service account is gone",
            "that is what `token_review` is for; a pod that runs again has a token of its own",
        ),
        "token_review_mismatch" => (
            "the token's cluster takes it for another subject or another audience",
            "are the issuer's keys and its API server those of one cluster?",
        ),
        "token_review_unavailable" => (
            "the token's cluster could not be asked, and without an answer nothing is granted",
            "can the server be reached, and may the service account of `token_file` create `tokenreviews`?",
        ),
        _ => return None,
    })
}
