//! Which claims of a token a first rule goes by.
//!
//! Decides by what the platform's file says of its claims: ids that are never given again, the names that people know the
//! same things by, what keeps others' code out, and the environment or ref where the platform vouches for it. Refuses to
//! know any platform by name.

use serde_json::{Map, Value};

use crate::trust::{Authority, Claim, ClaimKind, ClaimPath, Lookup, OutsideCode, Platform, Presence, expression};

/// What a rule goes by.
pub(super) struct Draft {
    pub(super) pins: Vec<Pin>,
    /// What the token has and the rule does not go by, with the reason.
    pub(super) left: Vec<String>,
}

/// One condition.
pub(super) struct Pin {
    pub(super) path: ClaimPath,
    /// CEL.
    pub(super) condition: String,
    pub(super) message: String,
    /// Why it is there.
    pub(super) because: String,
    /// A value of the claim that the condition keeps out.
    pub(super) other: Value,
    /// Whether tokens of the platform may lack the claim.
    pub(super) optional: bool,
}

impl Draft {
    /// Nothing where no claim says whose workload it is.
    pub(super) fn new(platform: &Platform, claims: &Map<String, Value>) -> Option<Self> {
        let mut drafting = Drafting { platform, claims, pins: vec![], left: vec![] };
        drafting.whose();
        if drafting.pins.is_empty() {
            return None;
        }
        let authority = platform.authority();
        authority.outside_code.iter().for_each(|outside| drafting.outside(outside));
        drafting.gates(authority);
        Some(Self { pins: drafting.pins, left: drafting.left })
    }
}

struct Drafting<'a> {
    platform: &'a Platform,
    claims: &'a Map<String, Value>,
    pins: Vec<Pin>,
    left: Vec<String>,
}

impl<'a> Drafting<'a> {
    /// The ids of whatever the platform always names, and those names; where it has none, the subject.
    fn whose(&mut self) {
        let platform = self.platform;
        let subject = ClaimPath::top("sub");
        let mut ids: Vec<&ClaimPath> = vec![];
        let mut names = vec![];
        for path in platform.required_claims().iter().chain([&subject]) {
            let Some(claim) = self.claim(path) else { continue };
            if *path != subject {
                match claim.kind() {
                    ClaimKind::ImmutableId => ids.push(path),
                    ClaimKind::RecyclableName => names.push(path),
                    _ => {}
                }
            }
            ids.extend(claim.identified_by());
        }
        for path in ids {
            self.pin(path, "an id, which is never given to another");
        }
        if self.pins.is_empty() {
            for owner in &platform.authority().owners {
                if self.claim(&owner.claim).is_some_and(|claim| claim.kind() == ClaimKind::ImmutableId) {
                    self.pin(&owner.claim, "an id, which is never given to another");
                }
            }
        }
        if self.pins.is_empty() {
            let kind = self.claim(&subject).map(Claim::kind);
            if !matches!(kind, Some(ClaimKind::TokenBound | ClaimKind::Secret)) {
                self.pin(&subject, "nothing in the token is an id: the whole subject has to be this one");
            }
            return;
        }
        for path in names {
            self.pin(path, "a name, for whoever reads this: the id is what counts");
        }
    }

    /// What keeps code from outside out.
    fn outside(&mut self, outside: &OutsideCode) {
        if let Some(other) = &outside.same_as {
            let (Some(claim), Some(value)) = (self.claim(&outside.claim), outside.claim.find(self.claims)) else {
                return;
            };
            let expected = other.find(self.claims).is_none_or(|other| other == value);
            if !expected {
                self.left.push(format!(
                    "Take care: `{}` and `{other}` differ in this token; {}.",
                    outside.claim, outside.because
                ));
            }
            let optional = claim.presence() != Presence::Required;
            self.pins.push(Pin {
                path: other.clone(),
                condition: outside.fix.to_string(),
                message: outside.because.to_string(),
                because: format!("keeps code from outside out: {}", outside.because),
                other: another(value, claim),
                optional,
            });
            return;
        }
        let because = format!("without it, {}", outside.because);
        let Some(value) = outside.claim.find(self.claims).and_then(Value::as_str) else { return };
        let is_outside = outside.values.iter().any(|one| one.as_ref() == value);
        let keeps_out = outside.values.iter().find(|one| one.as_ref() != value).map(|one| Value::from(&**one));
        self.pin(&outside.claim, &because);
        if is_outside {
            self.left.push(format!("Take care: `{}` is `{value}` in this token; {}.", outside.claim, outside.because));
        }
        if let (Some(other), Some(pin)) = (keeps_out, self.pins.iter_mut().find(|pin| pin.path == outside.claim)) {
            pin.other = other;
        }
    }

    /// The environment, the ref and their like, where the platform vouches for them.
    fn gates(&mut self, authority: &Authority) {
        let vouched = |path: &ClaimPath| authority.vouched.iter().find(|one| one.claim == *path);
        for path in authority.gates.iter().filter(|path| vouched(path).is_none()) {
            match path.find(self.claims) {
                Some(Value::String(value)) if value == "false" => {
                    self.left.push(format!("Not asked for: `{path}`, which is \"false\" in this token. Consider a token of something protected."));
                }
                Some(Value::String(value)) if !value.is_empty() => {
                    self.pin(path, "set by the platform");
                }
                _ => {}
            }
        }
        for one in &authority.vouched {
            if !authority.gates.contains(&one.claim) || self.is_pinned(&one.claim) {
                continue;
            }
            let Some(value) = one.claim.find(self.claims).and_then(Value::as_str).filter(|text| !text.is_empty())
            else {
                continue;
            };
            let holds = one.by.iter().find(|by| {
                let found = by.claim.find(self.claims).and_then(Value::as_str);
                self.is_pinned(&by.claim) && by.value.as_deref().is_none_or(|value| found == Some(value))
            });
            let (path, chooser) = (&one.claim, &one.chosen_by);
            match holds {
                Some(by) => {
                    self.pin(path, &format!("chosen by {chooser}; it counts because of `{}` beside it", by.claim))
                }
                None => {
                    self.left.push(format!("Not asked for: `{path}`, {value:?} in this token, is chosen by {chooser}."))
                }
            }
        }
    }

    fn is_pinned(&self, path: &ClaimPath) -> bool {
        self.pins.iter().any(|pin| pin.path == *path)
    }

    fn claim(&self, path: &ClaimPath) -> Option<&'a Claim> {
        match self.platform.schema().lookup(path) {
            Lookup::Claim(claim) => Some(claim),
            Lookup::Open | Lookup::Unknown { .. } => None,
        }
    }

    /// A condition that the claim is what it is, once, where the token has one that can be compared.
    fn pin(&mut self, path: &ClaimPath, because: &str) {
        let (Some(claim), Some(value)) = (self.claim(path), path.find(self.claims)) else { return };
        if self.is_pinned(path) || !matches!(value, Value::String(_) | Value::Number(_)) {
            return;
        }
        let guards = self.guards(path);
        let mut condition = guards.join(" && ");
        if !guards.is_empty() {
            condition.push_str(" && ");
        }
        condition.push_str(&format!("{} == {}", expression(path), literal(value)));
        self.pins.push(Pin {
            path: path.clone(),
            condition,
            message: format!("`{path}` is another one"),
            because: format!("{} ({because})", claim.doc().trim()),
            other: another(value, claim),
            optional: !guards.is_empty(),
        });
    }

    /// A question for each part of the path that a token may lack.
    fn guards(&self, path: &ClaimPath) -> Vec<String> {
        let mut guards = vec![];
        let mut inner: Option<ClaimPath> = None;
        for name in path.names() {
            let next = inner.as_ref().map_or_else(|| ClaimPath::top(name), |outer| outer.child(name));
            if self.claim(&next).is_none_or(|claim| claim.presence() != Presence::Required) {
                let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                let outer = inner.as_ref().map_or_else(|| "claims".to_owned(), expression);
                guards.push(if plain { format!("has({outer}.{name})") } else { format!("{name:?} in {outer}") });
            }
            inner = Some(next);
        }
        guards
    }
}

/// A value as JSON, CEL and YAML write it, with what a terminal would obey written out.
pub(super) fn literal(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        let odd =
            c.is_control() || matches!(u32::from(c), 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x2069 | 0xfeff);
        if odd { text.push_str(&format!("\\u{:04x}", u32::from(c))) } else { text.push(c) }
    }
    text
}

/// A value of the same kind that is not this one: the next number, another of those that exist, or another text.
fn another(value: &Value, claim: &Claim) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_i64().unwrap_or_default().saturating_add(1)),
        Value::String(text) => {
            let known = claim.values().iter().find(|one| one.as_ref() != text && !one.is_empty());
            let next =
                || text.parse::<u64>().ok().and_then(|number| number.checked_add(1)).map(|next| next.to_string());
            Value::from(known.map(ToString::to_string).or_else(next).unwrap_or_else(|| format!("{text}-of-another")))
        }
        other => other.clone(),
    }
}
