//! What a document says about one path: its fields.
//!
//! Decides which fields there are and what may stand in them. What cambio could not enforce is refused here: a limit that
//! somebody wrote and nobody keeps would be worse than none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize as _;

use super::capability::{Capabilities, Capability};
use super::fault::Findings;
use super::limits::PARAMETERS;
use super::node::{Member, Node, Value};
use super::parameters::ParameterRules;
use super::rule::{Rule, Wrapping};
use crate::clock::{Span as Length, Timestamp};
use crate::policy::Problem;

const FIELDS: &str = "the fields of a path are `capabilities`, `comment`, `expiration`, `allowed_parameters`, \
                      `denied_parameters`, `required_parameters`, `min_wrapping_ttl`, `max_wrapping_ttl` and the older `policy`";

/// Reads the rule for one path; faults go to `findings`.
pub(super) fn rule(members: &[Member], findings: &mut Findings<'_>) -> Rule {
    let mut rule = Rule::default();
    let mut parameters = ParameterRules::default();
    for member in members {
        let value = &member.value;
        match member.key.as_str() {
            "capabilities" => rule.capabilities = rule.capabilities.and(capabilities(value, findings)),
            "policy" => rule.capabilities = rule.capabilities.and(level(value, findings)),
            "comment" => drop(text(value, findings)),
            "expiration" => rule.expiration = expiration(value, findings),
            "allowed_parameters" => parameters.allowed = lists(value, findings),
            "denied_parameters" => parameters.denied = lists(value, findings),
            "required_parameters" => parameters.required = names(value, findings),
            "min_wrapping_ttl" => rule.wrapping.least = length(value, findings),
            "max_wrapping_ttl" => rule.wrapping.most = length(value, findings),
            other => match refused(other) {
                Some(why) => findings.advised(member.span, format!("`{other}` can't be kept: {why}"), "take it out"),
                None => findings.advised(member.span, format!("there is no field `{}`", other.escape_debug()), FIELDS),
            },
        }
    }
    let Wrapping { least, most } = rule.wrapping;
    if !most.is_zero() && most < least {
        let span = members.first().map(|member| member.span).unwrap_or_default();
        findings.shape(span, "`max_wrapping_ttl` is less than `min_wrapping_ttl`");
    }
    // Parameters of what is denied never matter.
    if !rule.denies() && !parameters.is_empty() {
        rule.parameters = Some(Box::new(parameters));
    }
    rule
}

/// Why a field that OpenBao has is refused.
fn refused(field: &str) -> Option<&'static str> {
    Some(match field {
        "pagination_limit" => "lists are not given out in pages",
        "list_scan_response_keys_filter_path" => "lists are not filtered by what the caller may read",
        "mfa_methods" => "there is no second factor for a workload",
        "control_group" => "there is nobody to ask for approval",
        _ => return None,
    })
}

fn capabilities(value: &Node, findings: &mut Findings<'_>) -> Capabilities {
    let capability = |item: &Node, findings: &mut Findings<'_>| {
        let name = text(item, findings)?;
        let known = Capability::named(name);
        if known.is_none() {
            let all: Vec<_> = Capability::ALL.into_iter().map(Capability::as_str).collect();
            let help = format!("the capabilities are {}", all.join(", "));
            findings.advised(item.span, format!("there is no capability `{}`", name.escape_debug()), &help);
        }
        known
    };
    let items = list(value, findings);
    let all: Capabilities = items.iter().filter_map(|item| capability(item, findings)).collect();
    if all.contains(Capability::Deny) && items.len() > 1 {
        findings.warn(value.span, "beside `deny`, no other capability counts");
    }
    if items.is_empty() && matches!(value.value, Value::List(_)) {
        findings
            .warn(value.span, "the path is granted nothing, and patterns that match it as well don't count any more");
    }
    all
}

/// The older way to say it.
fn level(value: &Node, findings: &mut Findings<'_>) -> Capabilities {
    use Capability::{Create, Delete, Deny, List, Read, Sudo, Update};
    let granted: &[Capability] = match text(value, findings) {
        None => &[],
        Some("deny") => &[Deny],
        Some("read") => &[Read, List],
        Some("write") => &[Create, Read, Update, Delete, List],
        Some("sudo") => &[Create, Read, Update, Delete, List, Sudo],
        Some(_) => {
            findings.shape(value.span, "`policy` is one of deny, read, write, sudo; `capabilities` say more");
            &[]
        }
    };
    granted.iter().copied().collect()
}

fn expiration(value: &Node, findings: &mut Findings<'_>) -> Option<Timestamp> {
    let written = text(value, findings)?;
    // The clock reads more than RFC 3339: bare seconds, names of time zones.
    let plain = written.bytes().all(|b| b.is_ascii_digit() || b"-:.+TtZz".contains(&b));
    let moment = Timestamp::parse(written).filter(|_| plain && written.contains(['T', 't']));
    if moment.is_none() {
        findings.shape(value.span, "an expiration is a moment as in RFC 3339, such as `2027-01-31T12:00:00Z`");
    }
    moment
}

/// Values by name, the names in lower case.
fn lists(value: &Node, findings: &mut Findings<'_>) -> BTreeMap<Arc<str>, Vec<serde_json::Value>> {
    let mut lists = BTreeMap::new();
    let Value::Map(members) = &value.value else {
        findings.shape(value.span, format!("{} where an object of lists is expected", value.value.kind()));
        return lists;
    };
    bounded(value, members.len(), "parameters", findings);
    for member in members {
        let items = list(&member.value, findings);
        bounded(&member.value, items.len(), "values of a parameter", findings);
        let values = items.iter().filter_map(|item| scalar(item, findings)).collect();
        if lists.insert(Arc::from(member.key.to_lowercase()), values).is_some() {
            findings.shape(member.span, format!("the parameter `{}` is already there", member.key.escape_debug()));
        }
    }
    lists
}

fn names(value: &Node, findings: &mut Findings<'_>) -> Vec<Arc<str>> {
    let items = list(value, findings);
    bounded(value, items.len(), "parameters", findings);
    items.iter().filter_map(|item| text(item, findings)).map(|name| Arc::from(name.to_lowercase())).collect()
}

fn bounded(value: &Node, count: usize, what: &'static str, findings: &mut Findings<'_>) {
    if count > PARAMETERS {
        findings.fault(value.span, Problem::TooMany { what, most: PARAMETERS }, None);
    }
}

/// A value that a parameter can be compared with.
fn scalar(value: &Node, findings: &mut Findings<'_>) -> Option<serde_json::Value> {
    Some(match &value.value {
        Value::Text(text) => serde_json::Value::String(text.clone()),
        Value::Number(number) => serde_json::Value::Number(number.clone()),
        Value::Bool(bool) => serde_json::Value::Bool(*bool),
        Value::Null => serde_json::Value::Null,
        Value::List(_) | Value::Map(_) => {
            findings.shape(value.span, "a parameter is compared with strings, numbers, bools and null only");
            return None;
        }
    })
}

/// A length of time, as `90s` or in seconds.
fn length(value: &Node, findings: &mut Findings<'_>) -> Duration {
    let written = match &value.value {
        Value::Text(text) => match text.parse::<u64>() {
            Ok(seconds) => serde_json::Value::from(seconds),
            Err(_) => serde_json::Value::String(text.clone()),
        },
        Value::Number(number) => serde_json::Value::Number(number.clone()),
        _ => serde_json::Value::Null,
    };
    Length::deserialize(written).map(Length::duration).unwrap_or_else(|_| {
        findings
            .shape(value.span, "a ttl is a length of time such as `90s`, or a whole number of seconds, at most a year");
        Duration::ZERO
    })
}

fn list<'n>(value: &'n Node, findings: &mut Findings<'_>) -> &'n [Node] {
    match &value.value {
        Value::List(items) => items,
        other => {
            findings.shape(value.span, format!("{} where a list is expected", other.kind()));
            &[]
        }
    }
}

fn text<'n>(value: &'n Node, findings: &mut Findings<'_>) -> Option<&'n str> {
    match &value.value {
        Value::Text(text) => Some(text),
        other => {
            findings.shape(value.span, format!("{} where a string is expected", other.kind()));
            None
        }
    }
}
