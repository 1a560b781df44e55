//! Where a secret lives within its mount. Decides which texts are paths; refuses everything that two readers could take for
//! two different places.

use std::fmt;

/// The longest path within a mount, in bytes.
pub const MAX_PATH_BYTES: usize = 1024;

/// A secret's path within its mount, e.g. `app/db`: segments between single slashes, none of them empty, `.` or `..`, no
/// control characters, no `%`, `\`, `?`, `#`, `*` or `+`, at most [`MAX_PATH_BYTES`]. Case counts. It is the decoded path:
/// whoever decodes, decodes once, so a `%2e` that is left is refused by its `%`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretPath(Box<str>);

/// A folder within a mount: empty for the mount itself, or a [`SecretPath`] with a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderPath(Box<str>);

/// Why a text is no path. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing there.
    #[error("the path is empty")]
    Empty,
    /// Longer than [`MAX_PATH_BYTES`].
    #[error("the path is longer than 1024 bytes")]
    TooLong,
    /// An empty, `.` or `..` segment, or a slash at an end.
    #[error("empty, `.` and `..` segments are not allowed in a path")]
    Segment,
    /// A character that means something else to somebody, or that nobody sees.
    #[error(
        "a path has no control or formatting characters, no spaces at the ends of a segment, and none of `%\\?#*+`"
    )]
    Character,
}

impl SecretPath {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`PathError`] names the first fault.
    pub fn new(text: &str) -> Result<Self, PathError> {
        check(text)?;
        Ok(Self(Box::from(text)))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FolderPath {
    /// Checks `text`; a slash at the end may be missing.
    ///
    /// # Errors
    /// [`PathError`] names the first fault.
    pub fn new(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Ok(Self(Box::from("")));
        }
        let path = text.strip_suffix('/').unwrap_or(text);
        check(path)?;
        Ok(Self([path, "/"].concat().into_boxed_str()))
    }

    /// The folder as text, with its slash, or empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(text: &str) -> Result<(), PathError> {
    if text.is_empty() {
        return Err(PathError::Empty);
    }
    if text.len() > MAX_PATH_BYTES {
        return Err(PathError::TooLong);
    }
    for segment in text.split('/') {
        if matches!(segment, "" | "." | "..") {
            return Err(PathError::Segment);
        }
        if segment.trim() != segment || segment.chars().any(is_unfit) {
            return Err(PathError::Character);
        }
    }
    Ok(())
}

/// Controls, and what changes how a text looks without being seen (bidirectional marks, zero-width characters): a path in
/// an access document must be what an operator sees.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || "%\\?#*+".contains(c)
        || matches!(c, '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for FolderPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("db")]
    #[case("app/db")]
    #[case("App/DB.v1/~x @y")]
    #[case("grün/schlüssel")]
    #[case("a/...")]
    fn a_path_is_taken_as_it_is(#[case] text: &str) {
        assert_eq!(SecretPath::new(text).unwrap().as_str(), text);
        assert_eq!(FolderPath::new(text).unwrap().as_str(), format!("{text}/"));
        assert_eq!(FolderPath::new(&format!("{text}/")).unwrap().as_str(), format!("{text}/"));
    }

    #[rstest]
    #[case("", PathError::Empty)]
    #[case("/a", PathError::Segment)]
    #[case("a/", PathError::Segment)]
    #[case("a//b", PathError::Segment)]
    #[case("a/./b", PathError::Segment)]
    #[case("a/../b", PathError::Segment)]
    #[case("..", PathError::Segment)]
    #[case("a/%2e%2e/b", PathError::Character)]
    #[case("a\\b", PathError::Character)]
    #[case("a\0b", PathError::Character)]
    #[case("a\nb", PathError::Character)]
    #[case("a /b", PathError::Character)]
    #[case("a/\u{202e}b", PathError::Character)]
    #[case("a\u{200b}b", PathError::Character)]
    #[case("a?b", PathError::Character)]
    #[case("a/*", PathError::Character)]
    #[case("+/a", PathError::Character)]
    fn what_could_be_two_places_is_refused(#[case] text: &str, #[case] error: PathError) {
        assert_eq!(SecretPath::new(text), Err(error));
    }

    #[test]
    fn a_path_has_a_longest_length() {
        assert!(SecretPath::new(&"a".repeat(MAX_PATH_BYTES)).is_ok());
        assert_eq!(SecretPath::new(&"a".repeat(MAX_PATH_BYTES + 1)), Err(PathError::TooLong));
    }

    #[test]
    fn the_folder_of_a_mount_is_empty() {
        assert_eq!(FolderPath::new("").unwrap().as_str(), "");
        assert!(FolderPath::new("/").is_err());
    }
}
