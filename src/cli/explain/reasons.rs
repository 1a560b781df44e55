//! What each reason means, in plain words, and what to look at next. `docs/audit.md` lists the reasons; a test walks them.

use super::{account_reasons, admin_reasons, secret_reasons};

/// What a reason means.
pub(super) struct Meaning {
    /// What happened.
    pub(super) says: &'static str,
    /// The next thing to check.
    pub(super) next: &'static str,
}

/// What `reason` means, if it is one that this version knows.
pub(super) fn meaning(reason: &str) -> Option<Meaning> {
    let words = requests(reason).or_else(|| tokens(reason)).or_else(|| policies(reason)).or_else(|| ours(reason));
    let words = words.or_else(|| account_reasons::meaning(reason)).or_else(|| admin_reasons::meaning(reason));
    let (says, next) = words.or_else(|| secret_reasons::meaning(reason))?;
    Some(Meaning { says, next })
}

type Words = Option<(&'static str, &'static str)>;

fn requests(reason: &str) -> Words {
    Some(match reason {
        "limit_source" | "limit_issuer" | "limit_subject" | "limit_target" => (
            "a budget was empty: so many requests came from there, or for that, that this one was to come later",
            "`detail` says which budget; does the caller keep its token until it ends? `docs/limits.md` says how to size budgets",
        ),
        "limit_failures" => (
            "so many requests from there were refused that what nobody had verified was not looked at any more",
            "look at the refusals before it: who sends what is refused? Behind a proxy, set `http.trusted_proxies`",
        ),
        "body_unreadable" => (
            "the request's body could not be read to its end: it was cut off, too large or too slow",
            "send the form again; is a proxy in between that limits bodies or time?",
        ),
        "content_type" => (
            "the request is no form",
            "send `Content-Type: application/x-www-form-urlencoded`, as RFC 8693 asks; JSON is not accepted",
        ),
        "parameters_malformed" => (
            "the form is broken, or has a parameter twice",
            "each parameter stands once and percent-encoded; `curl --data-urlencode` does that",
        ),
        "request_malformed" => (
            "a parameter is missing or says something else than RFC 8693 or RFC 7523 allow",
            "compare the request with that of `cambio exchange`, which is known to be good",
        ),
        "grant_unsupported" => (
            "the `grant_type` is none that cambio offers",
            "use `urn:ietf:params:oauth:grant-type:token-exchange`, or `urn:ietf:params:oauth:grant-type:jwt-bearer`",
        ),
        "target_missing" => (
            "the request names no target, and there is no default target",
            "name one as `audience` or `resource`, or set `default_target` in the configuration",
        ),
        "target_unknown" => (
            "no policy file has that target or alias",
            "compare `target` above with the policy files byte by byte: `cambio policy eval --target NAME` names the nearest",
        ),
        "target_several" => ("`audience` and `resource` select different targets", "name one target per request"),
        "scope_not_granted" => (
            "the rule grants none of the scope words that were asked for",
            "ask for fewer words, or add them to `grant.scopes` of the rule",
        ),
        _ => return None,
    })
}

fn tokens(reason: &str) -> Words {
    Some(match reason {
        "token_malformed" => (
            "the subject token is no signed token in its compact form",
            "is it cut off, quoted, or another kind of token? `cambio token inspect` says more about a token in a file",
        ),
        "header_refused" => (
            "the token's header has something that is refused from every issuer, such as an embedded key or `crit`",
            "is it really a token of the platform? `cambio token inspect` names the part",
        ),
        "type_refused" => (
            "the token's `typ` is not one that this issuer's identity tokens have",
            "is this an access token instead of an id token? `types` of the issuer says what is accepted",
        ),
        "algorithm_refused" => (
            "the token is signed with an algorithm that is not accepted from this issuer",
            "compare the issuer's `algorithms` with what its keys are published for",
        ),
        "issuer_missing" => (
            "the token does not say who made it",
            "is this an id token of the platform? `cambio token inspect` shows its claims",
        ),
        "issuer_unknown" => (
            "nobody trusts the issuer that the token names, or the request names one that is not configured",
            "compare `claimed issuer` with `issuer` of each configured issuer byte by byte: a slash at the end counts",
        ),
        "issuer_ambiguous" => (
            "several configured issuers have this issuer string, so that it alone does not say which one is meant",
            "the client names its own: `cambio exchange --subject-issuer NAME`",
        ),
        "issuer_not_the_named" => (
            "the request names one issuer, the token another",
            "name the issuer that made the token, or leave the name away where its string is unique",
        ),
        "keys_unavailable" => (
            "the issuer's keys could not be had, or are too old to be used; the token may be good",
            "`cambio doctor` fetches the keys of every issuer and says what is wrong",
        ),
        "key_unknown" => (
            "the issuer publishes no key of that id: the token is forged, from another instance, or the key is very new",
            "compare `key id` with the published keys: `cambio token inspect --config` lists them; try again in a minute",
        ),
        "signature_invalid" => (
            "the signature was not made by the issuer's key: the token was changed, cut, or made by somebody else",
            "get a fresh token; if it stays so, is another instance signing under this issuer's name?",
        ),
        "issuer_mismatch" => (
            "the token names another issuer than the one whose key signed it",
            "compare `claimed issuer` with the issuer's configuration byte by byte",
        ),
        "audience_missing" => (
            "the token names no audience: it could be replayed anywhere",
            "ask the platform for a token for one of the issuer's `audiences`",
        ),
        "audience_mismatch" => (
            "the token was made for somebody else",
            "the audience in the job or pod has to be one of the issuer's `audiences`; `cambio token inspect` shows the token's",
        ),
        "audience_not_single" => (
            "the token has several audiences: each of them could use it against the others",
            "ask for a token for cambio alone, or let the issuer accept several",
        ),
        "audience_of_platform" => (
            "the token was made for the platform's own API",
            "ask the platform for a token with cambio's own audience; the default token is not for handing out",
        ),
        "token_expired" => (
            "the token had expired",
            "get a fresh one: a pod reads its file anew each time, a job asks again; does the clock run right?",
        ),
        "token_not_yet_valid" => {
            ("the token is valid only later", "the clocks differ: `cambio doctor` compares ours with the issuers'")
        }
        "token_issued_in_future" => (
            "the token says that it was made later than now",
            "the clocks differ: `cambio doctor` compares ours with the issuers'",
        ),
        "token_long_lived" => (
            "the token lives longer than is accepted of this issuer",
            "ask the platform for a shorter one, or raise `max_token_lifetime` of the issuer",
        ),
        "time_malformed" => (
            "a time in the token is no number of seconds",
            "is this an id token of the platform? `cambio token inspect` shows its claims",
        ),
        "subject_malformed" => (
            "the token has no subject, or one that is empty or too long",
            "is this an id token of the platform? `cambio token inspect` shows its claims",
        ),
        "token_id_malformed" => (
            "the token's id (`jti`) is no text, or is missing where the issuer's tokens are for single use",
            "does this issuer write `jti`? If not, its tokens can't be for single use: see `replay` of the issuer",
        ),
        "claim_missing" => (
            "a claim that every token of the platform has is not there",
            "is this the right kind of token? `required_claims` of the issuer may ask for more",
        ),
        "claim_refused" => (
            "the token has a claim that only tokens of another kind have",
            "`detail` names it; the platform's file says why it is refused",
        ),
        "claim_unknown_member" => (
            "a claim has a member that the platform does not document: it may be another kind of token",
            "`detail` names it; `cambio token inspect` compares all claims with the documentation",
        ),
        "token_replayed" => (
            "the same token was presented before, and tokens of this issuer are for single use",
            "ask the platform for a new token for each exchange; if nobody of yours did it twice, somebody else has the token",
        ),
        "token_expires_too_soon" => {
            ("less than 30 seconds were left of the subject token", "exchange the token when it is fresh")
        }
        _ => return None,
    })
}

fn policies(reason: &str) -> Words {
    Some(match reason {
        "no_rule_for_issuer" => (
            "the token is good, and the target has no rule for tokens of its issuer",
            "add the issuer to a rule, if it should get something: `issuer: [..]`",
        ),
        "conditions_not_met" => (
            "the token is good, and no rule's conditions all hold for it",
            "compare the condition below with the token's claims; `cambio policy eval` shows it with the values",
        ),
        "evaluation_error" => (
            "a rule could not be evaluated for these claims, and that denies, whatever the next rule says",
            "does the expression read a claim that may be absent? Ask first: `has(claims.x)`, or `claims.?x`",
        ),
        "wrong_type" => (
            "an expression's value is not of the type that its place needs",
            "`cambio policy check` finds most of these beforehand; compare the claim's type with the platform's",
        ),
        "bad_policy_name" => (
            "what the rule grants is no policy name: a claim that was put into it has a character that names don't have",
            "write the claim as `hex(..)`, or require a narrower form of it before it is used",
        ),
        "role_denied" => (
            "the program of an OpenBao role denied: by `false`, or by a message of its own",
            "the answer is below, with its line; `cambio policy eval` shows what each variable came to",
        ),
        "audience_not_bound" => (
            "the token is for none of the role's `bound_audiences`",
            "add the audience to the role document, or have the platform issue the token for one of them",
        ),
        "unexpected_result" => (
            "the program of a role answered neither with `false`, a text nor `pb.Auth`",
            "`true` is no permit there: answer with `pb.Auth{..}`",
        ),
        "unusable_grant" => (
            "the program of a role permitted, but what it grants can't be given",
            "see `detail`, and `docs/openbao-roles.md` for what cambio does not hold yet",
        ),
        "no_policies" => (
            "the conditions hold, and the rule grants nothing to these claims",
            "should a condition have stopped them earlier? Otherwise add an entry without `when`",
        ),
        "too_many_policies" => (
            "the rule grants more policies than a token carries",
            "grant one policy that has the rights of several, or filter the list that they are made from",
        ),
        "metadata_too_long" => (
            "a metadata value made from the claims is longer than its bound",
            "cut it: `claims.x.substring(0, 100)`, or record the id instead of the name",
        ),
        "claims_out_of_bounds" => (
            "the token has more or larger claims than an evaluation is bounded for",
            "does the platform put lists into the token that nobody needs? They can often be configured away",
        ),
        _ => return None,
    })
}

fn ours(reason: &str) -> Words {
    Some(match reason {
        "replay_memory_unavailable" => (
            "the memory of used tokens is full, out of reach or younger than the token, so that a replay could not be noticed",
            "`detail` and `/readyz` say what is wrong with the data directory or with Redis; `docs/state.md` tells what follows",
        ),
        "audit_unavailable" => (
            "the decision could not be recorded, and nothing is minted that is not recorded",
            "look at the disk of the audit journal; `/readyz` tells when it is well again",
        ),
        "claims_too_long" => (
            "the token that would be minted is longer than tokens may be",
            "grant fewer or shorter policies, or less metadata",
        ),
        "mint_failed" => (
            "the token could not be signed",
            "`cambio doctor` and `cambio keys list` look at the signing keys; the log has the error",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The words in backticks in the first column of the tables of reasons.
    fn documented() -> BTreeSet<String> {
        let page = include_str!("../../../docs/audit.md");
        let tables = page.split("| reason |").skip(1);
        let rows = tables.flat_map(|table| table.lines().skip(2).take_while(|line| line.starts_with('|')));
        let cells = rows.filter_map(|row| row.split('|').nth(1).map(str::to_owned));
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn every_documented_reason_has_a_meaning_and_a_next_step() {
        let documented = documented();
        assert!(documented.len() > 40 && documented.contains("token_replayed"), "{documented:?}");
        for reason in documented {
            let meaning = meaning(&reason).unwrap_or_else(|| panic!("`{reason}` has no meaning"));
            assert!(!meaning.says.is_empty() && !meaning.next.is_empty(), "{reason}");
        }
        assert!(meaning("made_up").is_none());
    }
}
