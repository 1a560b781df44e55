//! Reading a request body: bounded in size, in time, and in how many are waited for at once.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use http_body_util::BodyExt as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The largest body that is read on a token surface, in bytes: the longest token, escaped, and the rest of a form.
pub(super) const MAX_BODY_BYTES: usize = 32 * 1024;
/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// How many bodies are waited for at once. Whoever has connections and streams enough, and no token at all, could have us
/// hold the first half of a body on each of them: this many times [`MAX_BODY_BYTES`] is all that they get.
const BODIES_AT_ONCE: usize = 1024;

static PLACES: Semaphore = Semaphore::const_new(BODIES_AT_ONCE);

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// Larger than [`MAX_BODY_BYTES`].
    TooLarge,
    /// Did not arrive in time.
    Slow,
    /// The connection broke.
    Broken,
    /// Not there yet, and as many as may be are waited for.
    Busy,
}

/// The largest body that holds a secret's value, in bytes: the value and what is written around it.
pub(super) const MAX_VALUE_BODY_BYTES: usize = crate::secrets::MAX_DATA_BYTES + 4096;
/// How many of those are waited for at once: only callers with a good token get here.
const VALUES_AT_ONCE: usize = 64;

static VALUE_PLACES: Semaphore = Semaphore::const_new(VALUES_AT_ONCE);

/// Reads the whole body.
pub(super) async fn read(body: Body) -> Result<Bytes, BodyError> {
    read_within(body, &PLACES, MAX_BODY_BYTES).await
}

/// Reads the whole body of a request that writes a secret.
pub(super) async fn read_value(body: Body) -> Result<Bytes, BodyError> {
    read_within(body, &VALUE_PLACES, MAX_VALUE_BODY_BYTES).await
}

/// Reads on what is not wanted, up to the largest body that could have been, and keeps nothing of it: a client that still
/// sends would find its connection closed, and never see why it was refused.
pub(super) async fn discard(mut body: Body) {
    let Ok(_place) = PLACES.try_acquire() else { return };
    let rest = async {
        let mut left = MAX_VALUE_BODY_BYTES * 2;
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, Bytes::len);
            let Some(after) = left.checked_sub(read) else { return };
            left = after;
        }
    };
    let _ = timeout(BODY_PATIENCE, rest).await;
}

/// A body that is there as a whole needs neither place nor timer: those who hold all places by dawdling shut out nobody
/// who does not, and the usual request pays for neither.
async fn read_within(body: Body, places: &Semaphore, most: usize) -> Result<Bytes, BodyError> {
    let mut whole = pin!(collect(body, most));
    if let Poll::Ready(read) = poll_fn(|cx| Poll::Ready(whole.as_mut().poll(cx))).await {
        return read;
    }
    let _place = places.try_acquire().map_err(|_| BodyError::Busy)?;
    timeout(BODY_PATIENCE, whole).await.unwrap_or(Err(BodyError::Slow))
}

/// One piece is taken as it is, several are copied together as they come: a piece of one byte holds on to much more.
async fn collect(mut body: Body, most: usize) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > most as u64 {
        return Err(BodyError::TooLarge);
    }
    let mut first = Bytes::new();
    let mut joined = Vec::new();
    while let Some(frame) = body.frame().await {
        // Trailers mean nothing here.
        let Ok(piece) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        if first.len().max(joined.len()).saturating_add(piece.len()) > most {
            return Err(BodyError::TooLarge);
        }
        if first.is_empty() && joined.is_empty() {
            first = piece;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&piece);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if joined.is_empty() { first } else { Bytes::from(joined) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::Context;

    use hyper::body::Frame;

    /// A body that comes piece by piece, and then ends or does not.
    struct Pieces(VecDeque<Vec<u8>>, bool);

    impl axum::body::HttpBody for Pieces {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            match self.0.pop_front() {
                Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece.into())))),
                None if self.1 => Poll::Ready(None),
                None => Poll::Pending,
            }
        }
    }

    fn body(sizes: &[usize], ends: bool) -> Body {
        Body::new(Pieces(sizes.iter().map(|size| vec![b'x'; *size]).collect(), ends))
    }

    async fn size(body: Body, places: usize) -> Result<usize, BodyError> {
        read_within(body, &Semaphore::new(places), MAX_BODY_BYTES).await.map(|bytes| bytes.len())
    }

    #[tokio::test]
    async fn a_body_of_the_largest_size_is_read_and_one_byte_more_is_not() {
        let half = MAX_BODY_BYTES / 2;
        assert_eq!(size(body(&[MAX_BODY_BYTES], true), 1).await, Ok(MAX_BODY_BYTES));
        assert_eq!(size(body(&[half, half], true), 1).await, Ok(MAX_BODY_BYTES));
        assert_eq!(size(body(&[1, half, half], false), 1).await, Err(BodyError::TooLarge));
        assert_eq!(size(body(&[MAX_BODY_BYTES + 1], false), 1).await, Err(BodyError::TooLarge));
        assert_eq!(size(Body::from(vec![b'x'; MAX_BODY_BYTES + 1]), 1).await, Err(BodyError::TooLarge));
    }

    #[tokio::test]
    async fn pieces_are_joined_in_their_order() {
        let pieces = ["", "ab", "", "c", "de"].map(|piece| piece.as_bytes().to_vec());
        let read = read_within(Body::new(Pieces(pieces.into(), true)), &Semaphore::new(0), MAX_BODY_BYTES).await;
        assert_eq!(read.unwrap(), "abcde");
        assert_eq!(size(Body::empty(), 0).await, Ok(0));
    }

    #[tokio::test]
    async fn a_body_that_has_to_be_waited_for_needs_a_place_and_one_that_is_there_needs_none() {
        let places = Semaphore::new(1);
        let slow = read_within(body(&[10], false), &places, MAX_BODY_BYTES);
        let mut slow = pin!(slow);
        assert!(timeout(Duration::ZERO, slow.as_mut()).await.is_err());
        assert_eq!(read_within(body(&[10], false), &places, MAX_BODY_BYTES).await, Err(BodyError::Busy));
        assert_eq!(read_within(body(&[10], true), &places, MAX_BODY_BYTES).await.map(|bytes| bytes.len()), Ok(10));
        assert!(timeout(Duration::ZERO, slow).await.is_err());
    }

    #[tokio::test]
    async fn a_place_is_given_back_by_whoever_gives_up() {
        let places = Semaphore::new(1);
        let gives_up = timeout(Duration::from_millis(5), read_within(body(&[1], false), &places, MAX_BODY_BYTES));
        assert!(gives_up.await.is_err());
        assert_eq!(places.available_permits(), 1);
    }
}
