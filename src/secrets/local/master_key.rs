//! The master key: 32 bytes that the database never sees. Decides which texts and files are keys, and wraps and unwraps data
//! keys and shared keys; refuses to know what those are for.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::LocalError;
use crate::jose::{SEALING_KEY_BYTES, SealingError, SealingKey, random, sha256};
use crate::state::database::Database;
use crate::state::{PrivateDir, StateError, read_private_file};

/// How many master keys can be given.
pub const MAX_MASTER_KEYS: usize = 16;

const FILE: &str = "master.key";
const MAX_FILE_BYTES: usize = 1024;
/// As for other secrets of the operator's: the kubelet mounts a Secret for an `fsGroup` so.
const WIDEST: u32 = 0o640;

/// A key that wraps data keys. Prints as its id.
pub struct MasterKey {
    id: MasterKeyId,
    keeper: Keeper,
}

/// Who has the key. A key management service, or OpenBao's transit engine, becomes another variant: it wraps and unwraps by
/// asking, which is why both are asynchronous, and its id is the name of its key.
enum Keeper {
    Held(SealingKey),
}

/// Names a master key: the first 8 bytes of a SHA-256 over it, which says nothing about 32 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MasterKeyId([u8; 8]);

/// The master keys of a database: the first wraps, all unwrap. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MasterKeys {
    first: Arc<MasterKey>,
    others: Arc<[MasterKey]>,
}

/// Why something is no master key. Never quotes it.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file.
    #[error(transparent)]
    State(#[from] StateError),
    /// Not one of the three forms.
    #[error(
        "a master key is 32 random bytes, in hex (64 digits), in base64, or as they are: `openssl rand -base64 32`"
    )]
    Form,
    /// All bytes are equal.
    #[error("a master key of one repeated byte is a placeholder, not a key")]
    Placeholder,
    /// The file that the database's data keys need is gone.
    #[error(
        "`{path}` is missing, and the database has keys that it wrapped: restore it; without it no value can be read"
    )]
    Lost {
        /// Where it was.
        path: PathBuf,
    },
    /// The same key twice.
    #[error("the master key `{0}` is given twice")]
    Twice(MasterKeyId),
    /// Too many.
    #[error("at most 16 master keys can be given")]
    TooMany,
    /// The cryptographic library.
    #[error(transparent)]
    Library(#[from] SealingError),
}

impl MasterKey {
    /// Reads a key from text: 64 hex digits, or base64 of 32 bytes (either alphabet, with padding or without).
    ///
    /// # Errors
    /// [`MasterKeyError::Form`], [`MasterKeyError::Placeholder`].
    pub fn from_text(text: &str) -> Result<Self, MasterKeyError> {
        let mut key = Zeroizing::new([0; SEALING_KEY_BYTES]);
        let text = text.trim_ascii().as_bytes();
        if !read_hex(text, &mut key) && !read_base64(text, &mut key) {
            return Err(MasterKeyError::Form);
        }
        Self::new(&key)
    }

    /// Reads a key from a file of at most 1 KiB: as text, or the 32 bytes themselves, which are not all printable then
    /// (32 characters of text would be a key of half the strength, at best).
    ///
    /// # Errors
    /// [`MasterKeyError::State`] where the file is missing, or others may read it (more than its group: 0640);
    /// [`MasterKeyError::Form`], [`MasterKeyError::Placeholder`].
    pub fn from_file(path: &Path) -> Result<Self, MasterKeyError> {
        let content = read_private_file(path, MAX_FILE_BYTES, WIDEST)?;
        match <&[u8; SEALING_KEY_BYTES]>::try_from(content.as_slice()) {
            Ok(key) if !key.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => Self::new(key),
            _ => Self::from_text(std::str::from_utf8(&content).map_err(|_| MasterKeyError::Form)?),
        }
    }

    /// The key in `master.key` in `dir`, made (mode 0600, on the disk before this returns, never over one that is there) if
    /// it is missing and `database` has no wrapped key yet.
    ///
    /// # Errors
    /// [`MasterKeyError::Lost`]; as [`from_file`](Self::from_file), but the file is nobody else's to read (0600).
    pub async fn embedded(dir: &PrivateDir, database: &Database) -> Result<Self, LocalError> {
        let path = dir.join(FILE);
        if !path.try_exists().unwrap_or(true) {
            if !database.masters().await?.is_empty() {
                return Err(MasterKeyError::Lost { path }.into());
            }
            create(dir, &path)?;
        }
        let content = dir.read(FILE, MAX_FILE_BYTES).map_err(MasterKeyError::from)?.unwrap_or_default();
        Ok(Self::from_text(std::str::from_utf8(&content).map_err(|_| MasterKeyError::Form)?)?)
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> MasterKeyId {
        self.id
    }

    /// Wraps a data key for its place.
    pub(super) async fn wrap(&self, place: &[u8], data_key: &[u8]) -> Result<Vec<u8>, SealingError> {
        match &self.keeper {
            // Random nonces: a few wrappings per namespace and rotation are far from 2^32.
            Keeper::Held(key) => key.seal(place, data_key),
        }
    }

    /// Takes that back.
    pub(super) async fn unwrap(&self, place: &[u8], wrapped: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        match &self.keeper {
            Keeper::Held(key) => key.open(place, wrapped),
        }
    }

    fn new(key: &[u8; SEALING_KEY_BYTES]) -> Result<Self, MasterKeyError> {
        if key.iter().all(|byte| Some(byte) == key.first()) {
            return Err(MasterKeyError::Placeholder);
        }
        let mut named = Zeroizing::new(Vec::with_capacity(64));
        named.extend_from_slice(b"cambio master key id 1\0");
        named.extend_from_slice(key);
        let id = sha256(&named).bytes().first_chunk().copied().unwrap_or_default();
        Ok(Self { id: MasterKeyId(id), keeper: Keeper::Held(SealingKey::new(key)?) })
    }
}

impl MasterKeys {
    /// The key that wraps, and those that only unwrap what they wrapped before.
    ///
    /// # Errors
    /// [`MasterKeyError::Twice`], [`MasterKeyError::TooMany`].
    pub fn new(first: MasterKey, others: Vec<MasterKey>) -> Result<Self, MasterKeyError> {
        if others.len() >= MAX_MASTER_KEYS {
            return Err(MasterKeyError::TooMany);
        }
        let keys = Self { first: Arc::new(first), others: others.into() };
        let mut ids: Vec<_> = keys.all().map(MasterKey::id).collect();
        ids.sort_unstable();
        match ids.array_windows().find(|[one, next]| one == next) {
            Some([twice, _]) => Err(MasterKeyError::Twice(*twice)),
            None => Ok(keys),
        }
    }

    /// The key that wraps.
    #[must_use]
    pub fn first(&self) -> &MasterKey {
        &self.first
    }

    pub(super) fn find(&self, id: &[u8]) -> Option<&MasterKey> {
        self.all().find(|key| key.id.0 == id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&*self.first).chain(self.others.iter())
    }
}

/// A new key, whole or not at all: written beside, and linked to its name, which fails where that is taken.
fn create(dir: &PrivateDir, path: &Path) -> Result<(), MasterKeyError> {
    const DRAFT: &str = ".master.key.draft";
    let key: Zeroizing<[u8; SEALING_KEY_BYTES]> = Zeroizing::new(random().map_err(SealingError::from)?);
    let mut text = Zeroizing::new(String::with_capacity(64));
    STANDARD.encode_string(key.as_slice(), &mut text);
    text.push('\n');
    dir.write(DRAFT, text.as_bytes())?;
    let failed = |source| StateError::Io { doing: "make", path: path.to_owned(), source };
    match fs::hard_link(dir.join(DRAFT), path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error).into()),
        _ => {}
    }
    dir.remove(DRAFT)?;
    Ok(File::open(dir.path()).and_then(|dir| dir.sync_all()).map_err(failed)?)
}

fn read_hex(text: &[u8], key: &mut [u8; SEALING_KEY_BYTES]) -> bool {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_chunks::<2>();
    pairs.len() == key.len()
        && rest.is_empty()
        && key.iter_mut().zip(pairs).all(|(byte, [high, low])| match (digit(*high), digit(*low)) {
            (Some(high), Some(low)) => {
                *byte = high << 4 | low;
                true
            }
            _ => false,
        })
}

fn read_base64(text: &[u8], key: &mut [u8; SEALING_KEY_BYTES]) -> bool {
    let padded = text.ends_with(b"=");
    let plain = text.iter().any(|byte| matches!(byte, b'+' | b'/'));
    let engine = match (plain, padded) {
        (true, true) => STANDARD,
        (true, false) => STANDARD_NO_PAD,
        (false, true) => URL_SAFE,
        (false, false) => URL_SAFE_NO_PAD,
    };
    // One byte more than a key, so that a longer text does not pass for one.
    let mut decoded = Zeroizing::new([0; SEALING_KEY_BYTES + 1]);
    match engine.decode_slice(text, decoded.as_mut_slice()) {
        Ok(SEALING_KEY_BYTES) => {
            key.iter_mut().zip(decoded.iter()).for_each(|(byte, decoded)| *byte = *decoded);
            true
        }
        _ => false,
    }
}

impl MasterKeyId {
    /// The 8 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// As a row names it; what has another length is shown as zeros.
    pub(super) fn of_row(bytes: &[u8]) -> Self {
        Self(bytes.try_into().unwrap_or_default())
    }
}

impl fmt::Display for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, [redacted])", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use rstest::rstest;
    use std::os::unix::fs::PermissionsExt as _;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn bytes() -> Vec<u8> {
        (0..32).collect()
    }

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (home, path)
    }

    #[rstest]
    #[case(HEX.as_bytes().to_vec())]
    #[case(HEX.to_uppercase().into_bytes())]
    #[case(format!("{HEX}\n").into_bytes())]
    #[case(BASE64.as_bytes().to_vec())]
    #[case(format!("{BASE64}\r\n").into_bytes())]
    #[case(BASE64.trim_end_matches('=').as_bytes().to_vec())]
    #[case(bytes())]
    fn a_key_is_the_same_in_every_form(#[case] content: Vec<u8>) {
        let (_home, path) = file(&content, 0o600);
        assert_eq!(MasterKey::from_file(&path).unwrap().id(), MasterKey::from_text(HEX).unwrap().id());
    }

    #[rstest]
    #[case(b"".to_vec())]
    #[case(b"0123456789abcdef0123456789abcdef".to_vec())] // 32 characters, 16 bytes
    #[case(b"correct horse battery staple 123".to_vec())]
    #[case(HEX.as_bytes()[1..].to_vec())]
    #[case([HEX, "00"].concat().into_bytes())]
    #[case([&BASE64[..43], "AA"].concat().into_bytes())]
    #[case(BASE64.replace('A', "A ").into_bytes())]
    #[case([bytes(), b"\n".to_vec()].concat())]
    #[case(bytes()[1..].to_vec())]
    fn what_is_no_key_is_refused_and_not_quoted(#[case] content: Vec<u8>) {
        let (_home, path) = file(&content, 0o600);
        let error = MasterKey::from_file(&path).unwrap_err();
        assert!(matches!(error, MasterKeyError::Form), "{error}");
        assert!(content.len() < 10 || !error.to_string().as_bytes().windows(9).any(|part| part == &content[..9]));
    }

    #[test]
    fn a_placeholder_is_refused() {
        for text in ["00".repeat(32), "41".repeat(32)] {
            assert!(matches!(MasterKey::from_text(&text), Err(MasterKeyError::Placeholder)));
        }
    }

    #[rstest]
    #[case(0o600, true)]
    #[case(0o400, true)]
    #[case(0o440, true)]
    #[case(0o640, true)]
    #[case(0o644, false)]
    #[case(0o604, false)]
    #[case(0o660, false)]
    fn a_key_that_others_may_read_is_refused(#[case] mode: u32, #[case] good: bool) {
        let (_home, path) = file(HEX.as_bytes(), mode);
        assert_eq!(MasterKey::from_file(&path).is_ok(), good);
    }

    #[tokio::test]
    async fn the_embedded_key_is_made_once_and_is_private() {
        let home = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(&home.path().join("data")).unwrap();
        let database = Database::open(&dir, Timestamp::from_secs(1_795_000_000)).await.unwrap();
        let made = MasterKey::embedded(&dir, &database).await.unwrap().id();
        assert_eq!(MasterKey::embedded(&dir, &database).await.unwrap().id(), made);
        assert_eq!(MasterKey::from_file(&dir.join(FILE)).unwrap().id(), made);
        assert_eq!(fs::metadata(dir.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        let content = fs::read(dir.join(FILE)).unwrap();
        create(&dir, &dir.join(FILE)).unwrap();
        assert_eq!(fs::read(dir.join(FILE)).unwrap(), content, "never over one that is there");
        assert!(dir.names().unwrap().iter().all(|name| !name.contains("draft")));
    }

    #[test]
    fn keys_print_their_ids_and_come_once() {
        let key = || MasterKey::from_text(HEX).unwrap();
        assert_eq!(format!("{:?}", key()), format!("MasterKey({}, [redacted])", key().id()));
        assert_eq!(key().id().to_string().len(), 16);
        assert!(matches!(MasterKeys::new(key(), vec![key()]), Err(MasterKeyError::Twice(id)) if id == key().id()));
    }
}
