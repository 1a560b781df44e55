//! The load: 32 keep-alive connections on one thread that polls them, closed loop or at a fixed rate.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 32;
const WARM_UP: Duration = Duration::from_secs(1);
const RUN: Duration = Duration::from_secs(4);

#[derive(Clone, Copy)]
pub enum Rate {
    /// As many as the server answers.
    Full,
    /// On a schedule; a late answer counts from when its request was due (no coordinated omission).
    PerSecond(u32),
}

/// What a run showed.
#[derive(Clone, Copy)]
pub struct Measured {
    pub per_second: f64,
    /// All answers, those of the warm-up too.
    pub answers: u32,
    pub p50_us: f64,
    pub p99_us: f64,
}

pub struct Load<'a> {
    connections: Vec<Connection>,
    requests: &'a [Vec<u8>],
    next: usize,
}

struct Connection {
    stream: TcpStream,
    due: Option<Instant>,
    received: Vec<u8>,
}

impl<'a> Load<'a> {
    pub fn new(address: SocketAddr, requests: &'a [Vec<u8>]) -> Self {
        let connections = (0..CONNECTIONS).map(|_| {
            let stream = TcpStream::connect(address).expect("connect");
            stream.set_nodelay(true).expect("nodelay");
            stream.set_nonblocking(true).expect("nonblocking");
            Connection { stream, due: None, received: Vec::with_capacity(4096) }
        });
        Self { connections: connections.collect(), requests, next: 0 }
    }

    pub fn run(mut self, rate: Rate) -> Measured {
        let start = Instant::now();
        let mut latencies: Vec<f64> = Vec::with_capacity(200_000);
        let mut sent = 0_u32;
        loop {
            let now = Instant::now();
            let elapsed = now - start;
            if elapsed > WARM_UP + RUN {
                break;
            }
            for connection in &mut self.connections {
                if let Some(due) = connection.due {
                    if !connection.answered() {
                        continue;
                    }
                    if elapsed > WARM_UP {
                        latencies.push((Instant::now() - due).as_secs_f64() * 1e6);
                    }
                    connection.due = None;
                }
                let due = match rate {
                    Rate::Full => Instant::now(),
                    Rate::PerSecond(rate) => {
                        let due = start + Duration::from_secs_f64(f64::from(sent) / f64::from(rate));
                        if due > Instant::now() {
                            continue;
                        }
                        due
                    }
                };
                connection.send(&self.requests[self.next % self.requests.len()], due);
                self.next += 1;
                sent += 1;
            }
        }
        latencies.sort_by(f64::total_cmp);
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
        Measured {
            answers: sent,
            per_second: latencies.len() as f64 / RUN.as_secs_f64(),
            p50_us: at(0.5),
            p99_us: at(0.99),
        }
    }
}

impl Connection {
    fn send(&mut self, request: &[u8], due: Instant) {
        let mut rest = request;
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                Err(error) => panic!("send: {error}"),
            }
        }
        self.due = Some(due);
        self.received.clear();
    }

    /// Whether the whole answer is here; it must be a 200.
    fn answered(&mut self) -> bool {
        let mut chunk = [0; 8192];
        match self.stream.read(&mut chunk) {
            Ok(0) => panic!("the server closed the connection"),
            Ok(read) => self.received.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => panic!("receive: {error}"),
        }
        let Some(head) = self.received.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
        let header = std::str::from_utf8(&self.received[..head]).expect("header");
        assert!(header.starts_with("HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.received));
        let length = header
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
            .expect("content-length");
        self.received.len() >= head + 4 + length.parse::<usize>().expect("length")
    }
}
