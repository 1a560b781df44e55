//! What a `pb.Auth` grants.
//!
//! Decides what of OpenBao's message counts here: policies as OpenBao sanitises them, the lifetime within cambio's bounds,
//! metadata within theirs. Refuses what it can't represent: an unusable grant is a denial, never a smaller grant. The rest,
//! which a login's envelope tells, is kept as [`RoleGrant`].

use std::sync::Arc;
use std::time::Duration;

use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelString, CelStruct, CelUInt};
use cel::common::value::Val;

use super::refusal::Refusal;
use crate::policy::limits::{METADATA, METADATA_BYTES, POLICIES, TTL_MOST, TTL_UNSAID};

/// What a role grants besides policies, lifetime and metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleGrant {
    /// The name that people see; a login prefixes it with its mount.
    pub display_name: Option<String>,
    /// Who it is, so that two logins of one workload are known as one.
    pub alias: Option<Alias>,
    /// Names of groups that it is a member of.
    pub group_aliases: Vec<String>,
    /// What kind of token is asked for.
    pub token_type: TokenType,
    /// Whether the token may be renewed.
    pub renewable: bool,
    /// For how long each renewal is good; none where there is no period.
    pub period: Option<Duration>,
    /// How many requests the token is good for; none where they are not counted.
    pub num_uses: Option<u64>,
    /// The addresses that the token is bound to.
    pub bound_cidrs: Vec<String>,
    /// What the mount is to remember with the token, JSON as the program wrote it.
    pub internal_data: Option<String>,
}

/// `logical.Alias`, as far as a login's envelope tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alias {
    /// The name, unique in the mount.
    pub name: String,
    /// What is known of it, by name.
    pub metadata: Vec<(String, String)>,
}

/// `token_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenType {
    /// What the mount gives.
    #[default]
    Default,
    /// Stored and revocable.
    Service,
    /// Self-contained.
    Batch,
}

impl RoleGrant {
    /// What binds the token and has to be held by whoever hands it out, by the name of its field; none where nothing does.
    #[must_use]
    pub fn binding(&self) -> Option<&'static str> {
        match (self.bound_cidrs.is_empty(), self.num_uses) {
            (false, _) => Some("bound_cidrs"),
            (true, Some(_)) => Some("num_uses"),
            (true, None) => None,
        }
    }
}

/// A `pb.Auth`, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Auth {
    /// Sanitised, but not yet names.
    pub(super) policies: Vec<String>,
    /// The longest that the token may live, where the program says so.
    pub(super) ttl: Option<Duration>,
    /// Whether it says how long, and does not only cap it.
    pub(super) outlives: bool,
    pub(super) metadata: Vec<(Arc<str>, String)>,
    pub(super) rest: RoleGrant,
}

impl Auth {
    /// Reads a message whose fields are of their types.
    ///
    /// # Errors
    /// A [`Refusal`] where it can't be granted as it is.
    pub(super) fn of(message: &CelStruct<'_>, role: &str) -> Result<Self, Refusal> {
        let fields = Fields(message);
        let lease = fields.message("lease_options");
        if lease.is_some_and(|lease| lease.0.field_value("issue_time").is_none()) {
            return Err(Refusal::NoIssueTime);
        }
        let period = fields.span("period")?;
        let lease_ttl = lease.map_or(Ok(None), |lease| lease.span("TTL"))?;
        let most = lease.map_or(Ok(None), |lease| lease.span("MaxTTL"))?;
        let explicit = fields.span("explicit_max_ttl")?;
        // A periodic token lives for its period, whatever its lease.
        let says = period.or(lease_ttl);
        let caps = [most, explicit, Some(TTL_MOST)].into_iter().flatten();
        // A cap alone asks for nothing: it only shortens what a program that says nothing gets.
        let ttl = caps.chain([says.unwrap_or(TTL_UNSAID)]).min();
        let token_type = match fields.uint("token_type") {
            0 => TokenType::Default,
            1 => TokenType::Service,
            2 => TokenType::Batch,
            _ => return Err(Refusal::Unusable { field: "token_type", why: "neither 0, 1 nor 2" }),
        };
        let num_uses = u64::try_from(fields.int("num_uses"))
            .map_err(|_| Refusal::Unusable { field: "num_uses", why: "less than none" })?;
        let rest = RoleGrant {
            display_name: fields.text("display_name"),
            alias: fields.message("alias").map(Fields::alias),
            group_aliases: fields.messages("group_aliases").filter_map(|alias| alias.text("name")).collect(),
            token_type,
            renewable: lease.is_some_and(|lease| lease.bool("renewable")),
            period,
            num_uses: (num_uses > 0).then_some(num_uses),
            bound_cidrs: fields.texts("bound_cidrs"),
            internal_data: fields.text("internal_data"),
        };
        Ok(Self {
            policies: sanitised(&fields.texts("policies"), fields.bool("no_default_policy"))?,
            ttl: ttl.filter(|ttl| says.is_some() || *ttl < TTL_UNSAID),
            outlives: says.is_some(),
            metadata: metadata(fields.entries("metadata"), role)?,
            rest,
        })
    }
}

/// Policies as OpenBao takes them: without spaces around, in lower case, each once, none empty, and `default`.
fn sanitised(policies: &[String], no_default: bool) -> Result<Vec<String>, Refusal> {
    let mut names: Vec<String> = vec![];
    let default = (!no_default).then_some("default");
    for name in policies.iter().map(|name| name.trim().to_lowercase()).chain(default.map(str::to_owned)) {
        if name == "root" {
            return Err(Refusal::Root);
        }
        if !name.is_empty() && !names.contains(&name) {
            if names.len() == POLICIES {
                return Err(Refusal::Unusable { field: "policies", why: "more than 64 policies" });
            }
            names.push(name);
        }
    }
    Ok(names)
}

/// The program's metadata in order of its names, and the role's name.
fn metadata(entries: Vec<(String, String)>, role: &str) -> Result<Vec<(Arc<str>, String)>, Refusal> {
    const FIELD: &str = "metadata";
    if entries.len() > METADATA {
        return Err(Refusal::Unusable { field: FIELD, why: "more than 16 entries" });
    }
    let mut metadata: Vec<(Arc<str>, String)> = vec![];
    for (name, value) in entries.into_iter().filter(|(name, _)| name != ROLE) {
        if value.len() > METADATA_BYTES {
            return Err(Refusal::Unusable { field: FIELD, why: "a value of more than 512 bytes" });
        }
        if !(1..=63).contains(&name.len()) || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Refusal::Unusable { field: FIELD, why: "a name that is not 1 to 63 bytes of visible ASCII" });
        }
        metadata.push((Arc::from(name), value));
    }
    metadata.push((Arc::from(ROLE), role.to_owned()));
    metadata.sort();
    Ok(metadata)
}

/// The metadata that says which role it was; a program can't set it.
const ROLE: &str = "role";

/// A message whose fields are of their types; what is not set is empty, as protobuf has it.
#[derive(Clone, Copy)]
struct Fields<'a, 'v>(&'a CelStruct<'v>);

impl<'a, 'v> Fields<'a, 'v> {
    fn text(self, name: &str) -> Option<String> {
        text(self.0.field_value(name)?).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn bool(self, name: &str) -> bool {
        let value = self.0.field_value(name).and_then(|value| value.downcast_ref::<CelBool>());
        value.is_some_and(|value| *value.inner())
    }

    fn int(self, name: &str) -> i64 {
        let value = self.0.field_value(name).and_then(|value| value.downcast_ref::<CelInt>());
        value.map_or(0, |value| *value.inner())
    }

    fn uint(self, name: &str) -> u64 {
        let value = self.0.field_value(name).and_then(|value| value.downcast_ref::<CelUInt>());
        value.map_or(0, |value| *value.inner())
    }

    /// A span in nanoseconds; none where it is 0.
    fn span(self, name: &'static str) -> Result<Option<Duration>, Refusal> {
        match u64::try_from(self.int(name)) {
            Err(_) => Err(Refusal::Unusable { field: name, why: "a negative span of time" }),
            Ok(0) => Ok(None),
            Ok(nanos) if nanos < 1_000_000_000 => {
                Err(Refusal::Unusable { field: name, why: "less than a second: it counts nanoseconds" })
            }
            Ok(nanos) => Ok(Some(Duration::from_nanos(nanos))),
        }
    }

    fn texts(self, name: &str) -> Vec<String> {
        let list = self.0.field_value(name).and_then(|value| value.downcast_ref::<CelList<'_>>());
        let items = list.map_or(&[][..], CelList::inner);
        items.iter().filter_map(|item| text(item.as_ref())).map(str::to_owned).collect()
    }

    fn entries(self, name: &str) -> Vec<(String, String)> {
        let map = self.0.field_value(name).and_then(|value| value.downcast_ref::<CelMap<'_>>());
        let entries = map.into_iter().flat_map(|map| map.inner());
        let mut entries: Vec<(String, String)> = entries
            .filter_map(|(key, value)| Some((text(key.inner())?.to_owned(), text(value.as_ref())?.to_owned())))
            .collect();
        entries.sort();
        entries
    }

    fn message(self, name: &str) -> Option<Fields<'a, 'v>> {
        self.0.field_value(name)?.downcast_ref::<CelStruct<'_>>().map(Fields)
    }

    fn messages(self, name: &str) -> impl Iterator<Item = Fields<'a, 'v>> {
        let list = self.0.field_value(name).and_then(|value| value.downcast_ref::<CelList<'_>>());
        let items = list.map_or(&[][..], CelList::inner);
        items.iter().filter_map(|item| item.downcast_ref::<CelStruct<'_>>().map(Fields))
    }

    fn alias(self) -> Alias {
        Alias { name: self.text("name").unwrap_or_default(), metadata: self.entries("metadata") }
    }
}

fn text(value: &dyn Val) -> Option<&str> {
    value.downcast_ref::<CelString<'_>>().map(|text| text.inner())
}
