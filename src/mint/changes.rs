//! What a step changes: the next manifest, the private halves that it needs, and those that it ends. Pure but for the making
//! of keys, and the same for every store; a store makes a change happen as a whole, or not at all.

use zeroize::Zeroizing;

use super::MEDIA_TYPE;
use super::key_error::KeyError;
use super::key_settings::KeyInfo;
use super::manifest::{Entry, KeyState, Manifest, Rotation, Rules, Step};
use crate::clock::Timestamp;
use crate::jose::{Algorithm, SigningKey};

/// What is to be written.
pub(super) struct Change {
    pub(super) manifest: Manifest,
    /// Private halves that were made for it.
    pub(super) made: Vec<PrivateHalf>,
    /// Keys that stand in it no more, and whose private halves may still exist.
    pub(super) dropped: Vec<Box<str>>,
}

/// A private half, in PEM, and whose it is.
pub(super) struct PrivateHalf {
    pub(super) kid: Box<str>,
    pub(super) pem: Zeroizing<String>,
}

impl Change {
    /// Only what is said about the keys changes.
    pub(super) const fn of(manifest: Manifest) -> Self {
        Self { manifest, made: Vec::new(), dropped: Vec::new() }
    }

    /// The keys whose private halves nobody needs after the change.
    pub(super) fn unneeded(&self) -> impl Iterator<Item = &str> {
        let retired = self.manifest.keys.iter().filter(|entry| !entry.state.needs_private()).map(|entry| &*entry.kid);
        retired.chain(self.dropped.iter().map(|kid| &**kid))
    }
}

/// Every step that is due; none if none is.
pub(super) fn advanced(before: &Manifest, rules: &Rules, now: Timestamp) -> Result<Option<Change>, KeyError> {
    let mut change = Change::of(before.clone());
    let mut changed = false;
    while let Some(step) = change.manifest.next(rules, now) {
        let state = match &step {
            Step::Begin => Some(KeyState::Active { since: now.as_secs() }),
            Step::Prepare => Some(KeyState::Prepared { published: None }),
            Step::Discard(kid) | Step::Forget(kid) => {
                change.dropped.push(kid.clone());
                None
            }
            Step::Activate(_) => None,
        };
        let new = state.map(|state| make(&mut change.made, rules.algorithm, state, now)).transpose()?;
        change.manifest.take(&step, new, rules, now);
        changed = true;
    }
    Ok(changed.then_some(change))
}

/// A rotation by command, and which key comes next. No change where the next key is prepared already.
pub(super) fn rotated(
    before: &Manifest,
    how: Rotation,
    rules: &Rules,
    now: Timestamp,
) -> Result<(Option<Change>, KeyInfo), KeyError> {
    // Where there is nothing to replace, the first key is the new one.
    let mut change = match before.active() {
        Some(_) => Change::of(before.clone()),
        None => advanced(before, rules, now)?.unwrap_or_else(|| Change::of(before.clone())),
    };
    let state = match (how, change.manifest.prepared()) {
        (Rotation::Ahead, Some(prepared)) => return Ok((None, prepared.info())),
        (Rotation::Ahead, None) => KeyState::Prepared { published: None },
        (Rotation::Immediately, _) => KeyState::Active { since: now.as_secs() },
    };
    let next = make(&mut change.made, rules.algorithm, state, now)?;
    let info = next.info();
    match how {
        Rotation::Ahead => change.manifest.keys.push(next),
        Rotation::Immediately => change.manifest.replace_all(next, rules, now),
    }
    Ok((Some(change), info))
}

fn make(made: &mut Vec<PrivateHalf>, algorithm: Algorithm, state: KeyState, now: Timestamp) -> Result<Entry, KeyError> {
    let fault = |error| KeyError::Key { name: "new".to_owned(), error };
    let pem = SigningKey::generate(algorithm).map_err(fault)?;
    let key = SigningKey::from_pem(algorithm, &pem, MEDIA_TYPE).map_err(fault)?;
    let kid: Box<str> = Box::from(key.key_id());
    made.push(PrivateHalf { kid: kid.clone(), pem });
    Ok(Entry { kid, algorithm, created: now.as_secs(), state, public: key.public_jwk().clone() })
}
