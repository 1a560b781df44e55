//! What each reason means where a service account is concerned.

/// What happened, and the next thing to check.
pub(super) fn meaning(reason: &str) -> Option<(&'static str, &'static str)> {
    Some(match reason {
        "account_token_malformed" => (
            "the text begins as a service account's token does, and is none: it was cut, or mistyped",
            "copy it again, all 59 characters; the checksum at its end finds every single wrong one",
        ),
        "account_token_misdeclared" => (
            "a service account's token was declared as a JWT, an id token or an assertion",
            "send `subject_token_type=urn:ietf:params:oauth:token-type:access_token`, or use the token as a bearer",
        ),
        "account_token_unknown" => (
            "no service account has that token: it is of another installation, or its account was deleted",
            "was it made by this cambio, over this database and under this master key?",
        ),
        "account_token_expired" => {
            ("the service account's token is over", "make a new one; rotating in time keeps both good for a while")
        }
        "account_token_revoked" => (
            "the service account's token was revoked: by somebody, or because a rotated token of its family came back",
            "the token's `revoked_because` says which; make a new one for whoever should have it",
        ),
        "account_token_reused" => (
            "a token that was rotated came back after its overlap: somebody has kept a copy. Its whole family was revoked",
            "who presented it (`remote` above)? A host that missed the rotation needs a new token; a copy is a leak",
        ),
        "service_account_unavailable" => (
            "the service account does not exist in that namespace, is disabled or over, or waits for its approval",
            "`detail` says which; a rule's `service_account` names an account of its target's namespace",
        ),
        "service_accounts_unreachable" => (
            "the database of service accounts did not answer",
            "nobody acts as an account until it does; what needs none goes on",
        ),
        "service_accounts_off" => (
            "a service account's token came, or a rule names an account, and there are none here",
            "add a section `service_accounts` to the configuration",
        ),
        _ => return None,
    })
}
