//! A sink that cannot be cut: a pipe, a device, standard output. What it took, it took.

use std::fs::File;
use std::io::{self, Write as _};

/// Takes whole chunks of lines, each byte once: where the receiver takes a part and then refuses, the next try goes on from
/// there. To begin again would repeat records, and run the first into the half of one.
pub(super) struct Stream {
    file: File,
    /// How much of the chunk at hand was taken.
    taken: usize,
    /// The last chunk was given up in the middle of a line.
    torn: bool,
}

impl Stream {
    pub(super) fn new(file: File) -> Self {
        Self { file, taken: 0, torn: false }
    }

    /// Writes what is left of `lines`, the same at each try until one succeeds or [`Self::give_up`].
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        while let Some(left) = lines.get(self.taken..).filter(|left| !left.is_empty()) {
            match self.file.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => self.taken += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.taken = 0;
        Ok(())
    }

    /// Leaves the rest of the chunk; whatever comes next begins on a line of its own.
    pub(super) fn give_up(&mut self, lines: &[u8]) {
        self.torn |= lines.get(..self.taken).and_then(<[u8]>::last).is_some_and(|last| *last != b'\n');
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    /// A receiver that takes what its buffer holds, and refuses the rest until somebody reads.
    fn narrow() -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        (Stream::new(File::from(OwnedFd::from(ours))), theirs)
    }

    fn read(theirs: &mut UnixStream) -> String {
        let mut text = Vec::new();
        let _ = theirs.read_to_end(&mut text); // ends with `WouldBlock`
        String::from_utf8(text).unwrap()
    }

    fn lines() -> String {
        (0..200_000).map(|n| format!("{n}\n")).collect()
    }

    #[test]
    fn a_receiver_that_takes_a_part_gets_every_line_once() {
        let (mut stream, mut theirs) = narrow();
        let (lines, mut text, mut tries) = (lines(), String::new(), 0);
        while stream.write(lines.as_bytes()).is_err() {
            text += &read(&mut theirs);
            tries += 1;
        }
        stream.write(b"next\n").unwrap();
        text += &read(&mut theirs);
        assert!(tries > 0);
        assert!(text == lines + "next\n");
    }

    #[test]
    fn what_follows_a_chunk_that_was_given_up_begins_on_its_own_line() {
        let (mut stream, mut theirs) = narrow();
        let long = "x".repeat(1 << 22);
        stream.write(long.as_bytes()).unwrap_err();
        stream.give_up(long.as_bytes());
        let mut text = read(&mut theirs);
        stream.write(b"next\n").unwrap();
        text += &read(&mut theirs);
        assert!(text.ends_with("x\nnext\n") && text.len() < long.len());
    }
}
