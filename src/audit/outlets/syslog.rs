//! Syslog (RFC 5424), over UDP (RFC 5426), TCP with octet counting (RFC 6587 section 3.4.1), or the socket of the machine.
//!
//! Decides how a line becomes a message, and what becomes of one that is too long for the transport: its place in the chain
//! and its digest are sent, so that the receiver's chain has no hole that could hide something.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::Refusal;
use crate::audit::lines::Linked;
use crate::jose::sha256;

/// How long a connection, and a write, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// `info` (RFC 5424 section 6.2.1): what a decision means, the collector's rules decide.
const SEVERITY: u8 = 6;

/// Where the collector is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// UDP: nobody says whether a message arrived.
    Udp(String),
    /// TCP.
    Tcp(String),
    /// A datagram socket, such as `/dev/log`.
    Unix(PathBuf),
}

/// The facility (RFC 5424 section 6.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the RFC has the names")]
pub enum Facility {
    Daemon,
    Auth,
    #[default]
    AuthPriv,
    Local0,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

impl Facility {
    const fn number(self) -> u8 {
        match self {
            Self::Daemon => 3,
            Self::Auth => 4,
            Self::AuthPriv => 10,
            Self::Local0 => 16,
            Self::Local1 => 17,
            Self::Local2 => 18,
            Self::Local3 => 19,
            Self::Local4 => 20,
            Self::Local5 => 21,
            Self::Local6 => 22,
            Self::Local7 => 23,
        }
    }
}

/// How messages are sent.
#[derive(Clone, Debug)]
pub struct SyslogSettings {
    /// Where to.
    pub address: SyslogAddress,
    /// As what.
    pub facility: Facility,
    /// The longest message, in bytes. A receiver need not take more than 2,048 (RFC 5424 section 6.1) over UDP.
    pub max_bytes: usize,
}

pub(super) struct Syslog {
    settings: SyslogSettings,
    host: String,
    socket: Option<Socket>,
    /// How many lines of the batch at hand were sent.
    sent: usize,
}

enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Unix(UnixDatagram),
}

impl Syslog {
    pub(super) fn new(settings: SyslogSettings) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let printable = |c: &char| c.is_ascii_graphic();
        let host: String = host.trim().chars().filter(printable).take(255).collect();
        let host = if host.is_empty() { "-".to_owned() } else { host };
        Self { settings, host, socket: None, sent: 0 }
    }

    /// Sends the lines, going on where the last try of the same lines ended.
    pub(super) fn deliver(&mut self, lines: &[u8]) -> Result<(), Refusal> {
        let lines = lines.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        for line in lines.skip(self.sent) {
            let message = self.message(line);
            if let Err(error) = self.send(&message) {
                self.socket = None;
                return Err(error.into());
            }
            self.sent += 1;
        }
        self.sent = 0;
        Ok(())
    }

    pub(super) fn give_up(&mut self) {
        self.sent = 0;
    }

    fn message(&self, line: &[u8]) -> Vec<u8> {
        let linked: Option<Linked<'_>> = serde_json::from_slice(line).ok();
        let time = linked.as_ref().and_then(|linked| linked.time.as_deref()).unwrap_or("-");
        let kind = linked.as_ref().and_then(|linked| linked.kind.as_deref()).unwrap_or("decision");
        let priority = self.settings.facility.number() * 8 + SEVERITY;
        let process = std::process::id();
        let mut message = format!("<{priority}>1 {time} {} cambio {process} {kind} - ", self.host).into_bytes();
        if message.len() + line.len() <= self.settings.max_bytes {
            message.extend_from_slice(line);
        } else if let Some(linked) = linked {
            let (seq, prev, bytes, digest) = (linked.seq, linked.prev, line.len(), sha256(line));
            let short =
                format!(r#"{{"v":1,"kind":"cut","bytes":{bytes},"sha256":"{digest}","seq":{seq},"prev":"{prev}"}}"#);
            message.extend_from_slice(short.as_bytes());
        }
        message
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(Socket::open(&self.settings.address)?),
        };
        match socket {
            Socket::Udp(socket) => socket.send(message).map(drop),
            Socket::Unix(socket) => socket.send(message).map(drop),
            Socket::Tcp(stream) => {
                still_open(stream)?;
                stream.write_all(format!("{} ", message.len()).as_bytes())?;
                stream.write_all(message)
            }
        }
    }
}

/// A receiver sends nothing; the end of the stream means that it went away, which a write would not notice at once.
fn still_open(stream: &mut TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let looked = stream.read(&mut [0; 64]);
    stream.set_nonblocking(false)?;
    match looked {
        Ok(0) => Err(io::ErrorKind::ConnectionAborted.into()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}

impl Socket {
    fn open(address: &SyslogAddress) -> io::Result<Self> {
        match address {
            SyslogAddress::Udp(address) => {
                let address = resolved(address)?;
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                Ok(Self::Udp(socket))
            }
            SyslogAddress::Tcp(address) => {
                let stream = TcpStream::connect_timeout(&resolved(address)?, PATIENCE)?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Self::Tcp(stream))
            }
            SyslogAddress::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Ok(Self::Unix(socket))
            }
        }
    }
}

fn resolved(address: &str) -> io::Result<SocketAddr> {
    address.to_socket_addrs()?.next().ok_or_else(|| io::ErrorKind::NotFound.into())
}
