//! How a journal begins: by going on with the chain that is there, or by a new one that says why.

use std::io;
use std::sync::Arc;

use super::AuditError;
use super::audit_key::AuditKeys;
use super::chain::Chain;
use super::head::AuditPublicKey;
use super::lines::FoundBefore;
use super::resume::{Continued, Resumed, look};
use super::sink::{LogFile, OpenSink};
use crate::clock::Timestamp;
use crate::jose::SigningKey;

/// A chain, and the lines that it begins with, which nobody has written yet.
pub(super) struct Begun {
    pub(super) chain: Chain,
    pub(super) keys: AuditKeys,
    pub(super) lines: Vec<u8>,
    /// The last line of the chain that was there before.
    pub(super) from: u64,
}

/// Looks at what is there.
pub(super) fn begin(sink: &mut OpenSink, keys: AuditKeys, now: Timestamp) -> Result<Begun, AuditError> {
    let key = keys.current()?;
    let mut lines = Vec::with_capacity(4096);
    let mut chain = match sink {
        OpenSink::File(file) => in_file(file, &keys, key, &mut lines, now)?,
        OpenSink::Stream(_) => {
            let mut chain = Chain::begin(key, true)?;
            chain.open_segment(&mut lines, now, None);
            chain
        }
    };
    chain.sign(&mut lines, now)?;
    let added = lines.iter().filter(|b| **b == b'\n').count();
    let from = chain.last.seq.saturating_sub(u64::try_from(added).unwrap_or_default());
    Ok(Begun { chain, keys, lines, from })
}

fn in_file(
    file: &mut LogFile,
    keys: &AuditKeys,
    key: Arc<SigningKey>,
    lines: &mut Vec<u8>,
    now: Timestamp,
) -> Result<Chain, AuditError> {
    // One that waits may have begun to sign already, and a crash came before it took the other's place.
    let next = keys.next()?;
    let ours = [Some(&key), next.as_ref()].into_iter().flatten();
    let public: Vec<AuditPublicKey> = ours.filter_map(|key| AuditPublicKey::read(key.public_jwk())).collect();
    let newest = file.newest().map_err(AuditError::Look)?;
    let in_use = newest.as_ref().is_some_and(|(_, in_use)| *in_use);
    let kept = keys.head()?;
    let path = newest.as_ref().map(|(path, _)| path.as_path());
    let found = match look(path, kept.as_deref(), &public).map_err(AuditError::Look)? {
        Resumed::Nothing => None,
        Resumed::Chain(there) => {
            let signs = if there.key == key.key_id() {
                Ok(key.clone())
            } else {
                next.filter(|next| next.key_id() == there.key).ok_or("the key that signed it is gone")
            };
            match signs {
                Ok(signs) if in_use || there.torn.is_none() => {
                    return going_on(file, signs, *there, in_use, (lines, now)).map_err(AuditError::Look);
                }
                Ok(_) => Some(not_whole(path, "a file that was closed ends with a torn line")),
                Err(what) => Some(not_whole(path, what)),
            }
        }
        Resumed::Broken(found) => Some(found),
    };
    let mut chain = Chain::begin(key, false)?;
    let found = found.map(|found| set_aside(file, in_use, found, now)).transpose().map_err(AuditError::Look)?;
    // The head that is kept stays until one of this chain is on the disk: whoever stops this process before then must not
    // make the next one forget what was found. The header names it, by which the next start knows that one follows the other.
    let found = found.map(|found| FoundBefore { head: kept, ..found });
    if let Some(found) = &found {
        let (file, what) = (&found.file, &found.what);
        if found.unchained {
            tracing::warn!(file, chain = &*chain.id, "the audit journal had no chain yet; a chain begins after it");
        } else {
            tracing::error!(file, what, chain = &*chain.id, "the audit journal does not verify; a new chain begins");
        }
    }
    chain.open_segment(lines, now, found);
    Ok(chain)
}

fn going_on(
    file: &mut LogFile,
    key: Arc<SigningKey>,
    there: Continued,
    in_use: bool,
    (lines, now): (&mut Vec<u8>, Timestamp),
) -> io::Result<Chain> {
    let Continued { id, segment, last, unsigned, torn, .. } = there;
    let mut chain = Chain { id: id.into(), segment, last, unsigned, head: None, key, stream: false };
    file.end_torn_line()?;
    if let Some((bytes, digest)) = torn {
        tracing::warn!(bytes, "the last line of the audit journal was cut off, as by a crash; it stays, and is named");
        chain.torn(lines, bytes, digest, now);
    }
    if !in_use {
        chain.segment += 1;
        chain.open_segment(lines, now, None);
    }
    Ok(chain)
}

fn not_whole(path: Option<&std::path::Path>, what: &str) -> FoundBefore {
    let file = path.and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
    FoundBefore {
        what: what.to_owned(),
        unchained: false,
        file: file.unwrap_or_default(),
        bytes: 0,
        last_line: crate::jose::Sha256::NONE,
        head: None,
    }
}

/// Nothing is written to a file that does not verify: it stays as it was found.
fn set_aside(file: &mut LogFile, in_use: bool, found: FoundBefore, now: Timestamp) -> io::Result<FoundBefore> {
    if !in_use {
        return Ok(found);
    }
    let name = file.rotate(now)?;
    let name = name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(FoundBefore { file: name, ..found })
}
