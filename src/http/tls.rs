//! TLS for our own listener, with a certificate that is read anew when its file changes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::first_bytes::Protocol;
use crate::state::{StateError, read_private_file};

/// Most bytes of a private key's file.
const MAX_KEY_BYTES: usize = 64 * 1024;
/// The widest mode of a private key's file: Kubernetes gives the group of the pod's files read access.
const WIDEST: u32 = 0o640;

/// Where the certificate chain and its key stand, both PEM.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The private key, unencrypted.
    pub key: PathBuf,
}

/// A TLS acceptor whose certificate can be changed under it.
pub struct Tls {
    settings: TlsSettings,
    acceptor: TlsAcceptor,
    current: Arc<Current>,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("cannot read `{0}`: {1}")]
    Read(PathBuf, io::Error),
    /// The key's file can't be read, or others may read it too.
    #[error(transparent)]
    Key(#[from] StateError),
    /// A file without the PEM that it should hold.
    #[error("`{0}` holds no usable PEM {1}")]
    Pem(PathBuf, &'static str),
    /// Certificate and key do not go together, or the library has no use for them.
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn open(settings: TlsSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(provider());
        let current = Arc::new(Current(ArcSwap::from_pointee(certified(&settings, &provider)?)));
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { settings, acceptor: TlsAcceptor::from(Arc::new(config)), current })
    }

    /// Reads certificate and key again; new connections get them. On an error the old ones stay.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.0.store(Arc::new(certified(&self.settings, &provider())?));
        Ok(())
    }

    /// The files, so that whoever watches them knows where they are.
    pub fn files(&self) -> [&Path; 2] {
        [&self.settings.certificate, &self.settings.key]
    }

    /// The handshake. It says which protocol follows (RFC 7301), so that nobody has to wait for bytes to find out.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Protocol)> {
        let stream = self.acceptor.accept(stream).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((stream, if http2 { Protocol::Http2 } else { Protocol::Http1 }))
    }
}

struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Current([redacted])")
    }
}

fn certified(settings: &TlsSettings, provider: &rustls::crypto::CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let read = |path: &Path| fs::read(path).map_err(|error| TlsError::Read(path.to_owned(), error));
    let chain = read(&settings.certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let no_chain = || TlsError::Pem(settings.certificate.clone(), "certificate chain");
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(no_chain)?;
    let key = read_private_file(&settings.key, MAX_KEY_BYTES, WIDEST)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| TlsError::Pem(settings.key.clone(), "private key"))?;
    Ok(CertifiedKey::from_der(chain, key, provider)?)
}

#[cfg(feature = "aws-lc")]
fn provider() -> rustls::crypto::CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
fn provider() -> rustls::crypto::CryptoProvider {
    rustls::crypto::ring::default_provider()
}
