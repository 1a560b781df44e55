//! Every bound of an access document, in one place. Decides nothing.

/// Most bytes of one document.
pub const DOCUMENT_BYTES: usize = 256 * 1024;
/// Most bytes of all documents together: 256 MiB.
pub const TOTAL_BYTES: usize = 256 * 1024 * 1024;
/// Most documents in one directory tree.
pub const DOCUMENTS: usize = 100_000;
/// Most levels of directories: a namespace, `sys/policies/acl`, and the segments of a policy's name.
pub const DIRECTORY_DEPTH: usize = 32;
/// Most paths in one document.
pub const PATHS: usize = 10_000;
/// Most bytes of one path pattern, templates expanded.
pub const PATTERN_BYTES: usize = 1_200;
/// Most levels of blocks, objects and lists in one document. A reader recurses, and so does whoever drops what it read.
pub const NESTING: usize = 16;
/// Most parameters that one path names, and most values of one parameter.
pub const PARAMETERS: usize = 256;
