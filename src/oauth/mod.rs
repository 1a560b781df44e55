//! OAuth words.
