//! Files that fetching needs: certificates, bearer tokens, key sets. Read anew each time, because all of them rotate, and
//! never beyond a bound.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio::io::AsyncReadExt as _;
use url::Origin;
use zeroize::Zeroizing;

use super::fetch_error::FetchError;

/// A bearer token in a file, and the only origin that it is sent to.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    pub(super) file: PathBuf,
    pub(super) origin: Origin,
}

impl Bearer {
    /// The value of the header `Authorization`.
    pub(super) async fn header(&self) -> Result<Zeroizing<String>, FetchError> {
        let unusable = |fault: &str| error(&self.file, fault);
        let text = Zeroizing::new(read(&self.file, 64 * 1024).await?);
        let token = std::str::from_utf8(&text).map_err(|_| unusable("it is not text"))?.trim();
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(unusable("it holds no bearer token"));
        }
        Ok(Zeroizing::new(format!("Bearer {token}")))
    }
}

/// When a file last changed, as far as its metadata tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

/// The stamp of the file that the path leads to now: a projected volume is swapped under its symbolic link.
pub(super) async fn stamp(path: &Path) -> Result<Stamp, FetchError> {
    let metadata = tokio::fs::metadata(path).await.map_err(|fault| error(path, fault))?;
    Ok(Stamp { modified: metadata.modified().ok(), bytes: metadata.len() })
}

/// The whole file, if it has at most `most` bytes.
pub(super) async fn read(path: &Path, most: usize) -> Result<Vec<u8>, FetchError> {
    let file = tokio::fs::File::open(path).await.map_err(|fault| error(path, fault))?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).await.map_err(|fault| error(path, fault))?;
    if bytes.len() > most {
        return Err(error(path, format_args!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

/// A fault of the file, for the operator.
pub(super) fn error(path: &Path, fault: impl ToString) -> FetchError {
    FetchError::File { path: path.display().to_string(), fault: fault.to_string() }
}
