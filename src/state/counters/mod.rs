//! Counters that replicas share.

mod gcra;

pub use gcra::{Bucket, BucketAnswer, BucketAsk, MAX_LIMIT, MAX_WINDOW, take};
