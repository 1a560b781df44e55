//! The bodies of the KV engine's calls. A value is never parsed into pieces that would be left behind in memory: its bytes
//! are cut out of the body as they are.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::ApiFault;
use super::duration::go_duration;
use crate::secrets::data::SecretData;
use crate::secrets::request::{KvMethod, MetadataPatch, MetadataUpdate};

const NOT_JSON: ApiFault = ApiFault::Body("the body is not a JSON object");
/// The most versions that one call names.
const MAX_VERSIONS: usize = 1000;
/// Bounds of `custom_metadata` (OpenBao API, KV version 2).
const MAX_CUSTOM: usize = 64;
const MAX_CUSTOM_NAME: usize = 128;
const MAX_CUSTOM_VALUE: usize = 512;

/// The value of a call of version 1: the body itself.
pub(super) fn whole(body: &[u8]) -> Result<KvMethod, ApiFault> {
    let data = SecretData::new(Zeroizing::new(body.to_vec()))?;
    Ok(KvMethod::Write { data, cas: None })
}

/// `POST data/<path>`.
pub(super) struct WriteBody;

/// `PATCH data/<path>`.
pub(super) struct PatchBody;

/// `POST delete|undelete|destroy/<path>`.
pub(super) struct VersionsBody;

/// `POST|PATCH metadata/<path>`.
pub(super) struct MetadataBody;

impl WriteBody {
    pub(super) fn read(body: &[u8], ignored: &mut Vec<String>) -> Result<KvMethod, ApiFault> {
        let (data, cas) = data_and_cas(body, ignored)?;
        Ok(KvMethod::Write { data, cas })
    }
}

impl PatchBody {
    pub(super) fn read(body: &[u8], ignored: &mut Vec<String>) -> Result<KvMethod, ApiFault> {
        let (data, cas) = data_and_cas(body, ignored)?;
        Ok(KvMethod::Patch { data, cas })
    }
}

impl VersionsBody {
    pub(super) fn read(body: &[u8], ignored: &mut Vec<String>) -> Result<Vec<u64>, ApiFault> {
        const FAULT: ApiFault = ApiFault::Body("`versions` is a list of 1 to 1000 version numbers from 1");
        let mut members = Members::read(body)?;
        let raw = members.take("versions").ok_or(FAULT)?;
        members.ignore_rest(ignored);
        // The command line sends texts, libraries send numbers.
        let words: Vec<NumberOrText<'_>> = serde_json::from_str(raw.get()).map_err(|_| FAULT)?;
        let versions: Option<Vec<u64>> = words.iter().map(NumberOrText::number).collect();
        let good = |versions: &Vec<u64>| {
            (1..=MAX_VERSIONS).contains(&versions.len()) && versions.iter().all(|version| *version > 0)
        };
        versions.filter(good).ok_or(FAULT)
    }
}

impl MetadataBody {
    pub(super) fn update(body: &[u8], ignored: &mut Vec<String>) -> Result<MetadataUpdate, ApiFault> {
        let mut members = Members::read(body)?;
        let custom = match members.take("custom_metadata").filter(|raw| raw.get() != "null") {
            Some(raw) => Some(custom::<String>(raw, |text| Some(text.as_str()))?),
            None => None,
        };
        let update = MetadataUpdate {
            max_versions: max_versions(&mut members)?,
            cas_required: cas_required(&mut members)?,
            delete_version_after: delete_version_after(&mut members)?,
            custom_metadata: custom,
        };
        members.ignore_rest(ignored);
        Ok(update)
    }

    pub(super) fn patch(body: &[u8], ignored: &mut Vec<String>) -> Result<MetadataPatch, ApiFault> {
        let mut members = Members::read(body)?;
        let custom_metadata = match members.take("custom_metadata") {
            Some(raw) => custom::<Option<String>>(raw, |text| text.as_deref())?,
            None => BTreeMap::new(),
        };
        let patch = MetadataPatch {
            max_versions: max_versions(&mut members)?,
            cas_required: cas_required(&mut members)?,
            delete_version_after: delete_version_after(&mut members)?,
            custom_metadata,
        };
        members.ignore_rest(ignored);
        Ok(patch)
    }
}

/// The members of a body, each as it was written.
struct Members<'a>(HashMap<Cow<'a, str>, &'a RawValue>);

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText<'a> {
    Number(u64),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

impl<'a> Members<'a> {
    fn read(body: &'a [u8]) -> Result<Self, ApiFault> {
        let text = std::str::from_utf8(body).map_err(|_| NOT_JSON)?;
        // An empty body is an empty object: `vault write -f` sends none.
        let text = if text.trim().is_empty() { "{}" } else { text };
        serde_json::from_str(text).map(Self).map_err(|_| NOT_JSON)
    }

    fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        self.0.remove(name)
    }

    /// Tells which members mean nothing here. Names only, and no longer than names are: a value may have slipped into one.
    fn ignore_rest(self, ignored: &mut Vec<String>) {
        let known = |name: &str| name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        ignored.extend(self.0.into_keys().map(|name| if known(&name) { name.into_owned() } else { "…".to_owned() }));
        ignored.sort();
        ignored.truncate(16);
    }
}

impl NumberOrText<'_> {
    fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }
}

fn data_and_cas(body: &[u8], ignored: &mut Vec<String>) -> Result<(SecretData, Option<u64>), ApiFault> {
    let mut members = Members::read(body)?;
    let data = members.take("data").ok_or(ApiFault::Body("no data provided"))?;
    let cas = match members.take("options").filter(|raw| raw.get() != "null") {
        Some(raw) => {
            let mut options = Members::read(raw.get().as_bytes())?;
            let cas = options.take("cas").filter(|raw| raw.get() != "null");
            cas.map(|raw| number(raw).ok_or(ApiFault::Body("`cas` is a version number"))).transpose()?
        }
        None => None,
    };
    members.ignore_rest(ignored);
    Ok((SecretData::new(Zeroizing::new(data.get().as_bytes().to_vec()))?, cas))
}

fn number(raw: &RawValue) -> Option<u64> {
    serde_json::from_str::<NumberOrText<'_>>(raw.get()).ok()?.number()
}

fn max_versions(members: &mut Members<'_>) -> Result<Option<u32>, ApiFault> {
    const FAULT: ApiFault = ApiFault::Body("`max_versions` is a number from 0 to 1000");
    let Some(raw) = members.take("max_versions") else { return Ok(None) };
    let number = number(raw).filter(|number| *number <= 1000).ok_or(FAULT)?;
    u32::try_from(number).map(Some).map_err(|_| FAULT)
}

fn cas_required(members: &mut Members<'_>) -> Result<Option<bool>, ApiFault> {
    let Some(raw) = members.take("cas_required") else { return Ok(None) };
    match raw.get() {
        "true" | "\"true\"" => Ok(Some(true)),
        "false" | "\"false\"" => Ok(Some(false)),
        _ => Err(ApiFault::Body("`cas_required` is true or false")),
    }
}

fn delete_version_after(members: &mut Members<'_>) -> Result<Option<Duration>, ApiFault> {
    let Some(raw) = members.take("delete_version_after") else { return Ok(None) };
    let span = match serde_json::from_str::<NumberOrText<'_>>(raw.get()) {
        Ok(NumberOrText::Number(seconds)) => Some(Duration::from_secs(seconds)),
        Ok(NumberOrText::Text(text)) => go_duration(&text),
        Err(_) => None,
    };
    span.map(Some).ok_or(ApiFault::Body("`delete_version_after` is a duration such as `72h`"))
}

fn custom<T: for<'de> Deserialize<'de>>(
    raw: &RawValue,
    text: impl Fn(&T) -> Option<&str>,
) -> Result<BTreeMap<String, T>, ApiFault> {
    let words: BTreeMap<String, T> =
        serde_json::from_str(raw.get()).map_err(|_| ApiFault::Body("`custom_metadata` is a map of texts"))?;
    let fits = |(name, value): (&String, &T)| {
        (1..=MAX_CUSTOM_NAME).contains(&name.len())
            && text(value).is_none_or(|value| value.len() <= MAX_CUSTOM_VALUE)
            && !name.chars().chain(text(value).unwrap_or_default().chars()).any(char::is_control)
    };
    if words.len() > MAX_CUSTOM || !words.iter().all(fits) {
        return Err(ApiFault::Body(
            "`custom_metadata` has at most 64 words: names of 1 to 128 bytes, values of at most 512, all printable",
        ));
    }
    Ok(words)
}
