//! Which protocol a connection without TLS speaks: read from its first bytes, which hyper then reads again.
//!
//! hyper-util can find that out too, but has no time for it: whoever never sends a byte, or `PRI * HTT`, would stay.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.0 and HTTP/1.1.
    Http1,
    /// HTTP/2, its preface still to be read.
    Http2,
}

/// How HTTP/2 begins (RFC 9113 section 3.4). No method of HTTP/1 does.
const PREFACE: [u8; 4] = *b"PRI ";

/// A connection of which the first bytes were read, and are read again.
pub(super) struct Begun<S> {
    first: [u8; PREFACE.len()],
    /// Which of them are still to be read again.
    left: std::ops::Range<usize>,
    stream: S,
}

impl<S: AsyncRead + Unpin> Begun<S> {
    /// Reads until the protocol is clear: at most four bytes. As long as the other side takes; the caller has the clock.
    ///
    /// # Errors
    /// The connection breaks or ends first.
    pub(super) async fn read(mut stream: S) -> io::Result<(Self, Protocol)> {
        let mut first = [0; PREFACE.len()];
        let mut count = 0;
        while let Some(rest) = first.get_mut(count..).filter(|rest| !rest.is_empty()) {
            match stream.read(rest).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => count += more,
            }
            if first.get(..count) != PREFACE.get(..count) {
                return Ok((Self { first, left: 0..count, stream }, Protocol::Http1));
            }
        }
        Ok((Self { first, left: 0..count, stream }, Protocol::Http2))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let end = self.left.end.min(self.left.start + buffer.remaining());
        if let Some(again) = self.first.get(self.left.start..end) {
            buffer.put_slice(again);
        }
        self.left.start = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Begun<TcpStream> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use tokio::io::AsyncWriteExt as _;

    #[rstest]
    #[case("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Protocol::Http2)]
    #[case("POST / HTTP/1.1\r\n\r\n", Protocol::Http1)]
    #[case("PROPFIND / HTTP/1.1\r\n\r\n", Protocol::Http1)]
    #[case("GET / HTTP/1.1\r\n\r\n", Protocol::Http1)]
    #[case("\r\n", Protocol::Http1)]
    #[tokio::test]
    async fn the_protocol_is_read_byte_by_byte_and_no_byte_is_lost(#[case] sent: &str, #[case] protocol: Protocol) {
        let (mut far, near) = tokio::io::duplex(1);
        let text = sent.to_owned();
        let writer = tokio::spawn(async move { far.write_all(text.as_bytes()).await });
        let (mut begun, found) = Begun::read(near).await.unwrap();
        assert_eq!(found, protocol);
        let mut all = String::new();
        begun.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, sent);
        writer.await.unwrap().unwrap();
    }

    #[rstest]
    #[case("")]
    #[case("P")]
    #[case("PRI")]
    #[tokio::test]
    async fn a_connection_that_ends_before_it_is_clear_has_no_protocol(#[case] sent: &str) {
        assert!(Begun::read(sent.as_bytes()).await.is_err());
    }
}
