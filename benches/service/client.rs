//! A keep-alive connection that waits for its answer: the load has a thread for each, so that late answers hold nobody up.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

pub struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.body))
    }

    /// The body of a request that has to succeed.
    pub fn good(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self.json()
    }
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    pub fn json(&mut self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        self.ask(&request(method, path, &format!("authorization: Bearer {token}\r\n"), "application/json", body))
    }

    /// Sends a whole request; status 0 where no answer came.
    pub fn ask(&mut self, request: &[u8]) -> Answer {
        match self.exchange(request) {
            Ok(answer) => answer,
            Err(error) => {
                self.stream = None;
                Answer { status: 0, body: error.to_string() }
            }
        }
    }

    fn exchange(&mut self, request: &[u8]) -> std::io::Result<Answer> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(std::time::Duration::from_secs(30)))?;
            self.stream = Some(stream);
        }
        let stream = self.stream.as_mut().expect("connected");
        stream.write_all(request)?;
        let mut received = Vec::with_capacity(4096);
        let mut chunk = [0; 16_384];
        loop {
            let read = stream.read(&mut chunk)?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            received.extend_from_slice(&chunk[..read]);
            let Some(head) = received.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let header = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
            let length = header.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().expect("length"));
            if received.len() >= head + 4 + length {
                let status = header[9..12].parse().expect("status");
                if header.contains("connection: close") {
                    self.stream = None;
                }
                return Ok(Answer { status, body: String::from_utf8_lossy(&received[head + 4..]).into_owned() });
            }
        }
    }
}

pub fn request(method: &str, path: &str, headers: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}content-type: {content_type}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
