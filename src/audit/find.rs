//! A record, found again by its id.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use super::file_names::rotated;
use super::record::Record;
use crate::identity::DecisionId;

/// Finds the record of the decision `id` in the journal at `path` and in the full files beside it. Reads only files that
/// end after the decision began. Lines that are no records, such as one that a crash cut off, are passed over.
///
/// # Errors
/// The system's, where a file cannot be read.
pub fn find(path: &Path, id: DecisionId) -> io::Result<Option<Record>> {
    let files = rotated(path)?.into_iter().filter(|(end, _)| *end >= id_millis(id)).map(|(_, file)| file);
    for file in files.chain([path.to_owned()]) {
        if let Some(record) = find_in(&file, id)? {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// Gives every record of the journal at `path` and of the full files beside it to `take`, oldest file first. Lines that are
/// no records are passed over.
///
/// # Errors
/// The system's, where a file cannot be read.
pub fn each(path: &Path, mut take: impl FnMut(Record)) -> io::Result<()> {
    let files = rotated(path)?.into_iter().map(|(_, file)| file);
    for file in files.chain([path.to_owned()]) {
        let mut lines = match File::open(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => BufReader::with_capacity(256 * 1024, file?),
        };
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            if let Ok(record) = serde_json::from_slice::<Record>(&line) {
                take(record);
            }
            line.clear();
        }
    }
    Ok(())
}

fn find_in(path: &Path, id: DecisionId) -> io::Result<Option<Record>> {
    let mut lines = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => BufReader::with_capacity(256 * 1024, file?),
    };
    let id = id.to_string();
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        // The id stands near the front of its own record; a text elsewhere could quote it.
        let head = line.get(..64).unwrap_or(&line);
        if head.windows(id.len()).any(|window| window == id.as_bytes())
            && let Ok(record) = serde_json::from_slice::<Record>(&line)
            && record.id == id
        {
            return Ok(Some(record));
        }
        line.clear();
    }
    Ok(None)
}

/// The moment in the id (RFC 9562 section 5.7).
fn id_millis(id: DecisionId) -> i64 {
    let text = id.to_string().replace('-', "");
    text.get(..12).and_then(|hex| i64::from_str_radix(hex, 16).ok()).unwrap_or(0)
}
