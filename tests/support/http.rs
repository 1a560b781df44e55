//! Requests: the good forms, a client that does nothing by itself, and bytes as they are.

use super::Stand;

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// The form of RFC 8693, for the target `vault`.
pub fn exchange(token: &str) -> Vec<(&str, &str)> {
    vec![("grant_type", TOKEN_EXCHANGE), ("subject_token", token), ("subject_token_type", JWT), ("audience", "vault")]
}

/// The form of RFC 7523, for the target `vault`.
pub fn bearer(token: &str) -> Vec<(&str, &str)> {
    vec![("grant_type", JWT_BEARER), ("assertion", token), ("audience", "vault")]
}

/// A client that takes no proxy and follows no redirect, and trusts only the certificates in this file.
pub fn reqwest_client(ca: Option<&str>) -> reqwest::Client {
    #[cfg(feature = "aws-lc")]
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    #[cfg(not(feature = "aws-lc"))]
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = ca.map(|ca| reqwest::Certificate::from_pem_bundle(&std::fs::read(ca).unwrap()).unwrap());
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only(ca.unwrap_or_default())
        .build()
        .unwrap()
}

/// A port that was free a moment ago, for an issuer identifier that has to be known before the counter listens.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Sends bytes as they are, and reads until the counter closes the connection.
pub async fn raw(stand: &Stand, bytes: &[u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(stand.running().address()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let mut text = Vec::new();
    // Whoever refuses need not read to the end: neither half may wait for the other.
    let (_, _) = tokio::join!(write.write_all(bytes), async {
        let mut some = [0; 4096];
        while let Ok(count @ 1..) = read.read(&mut some).await {
            text.extend_from_slice(&some[..count]);
        }
    });
    String::from_utf8_lossy(&text).into_owned()
}
