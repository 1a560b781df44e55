//! Why nothing was fetched. The texts are for the operator: hosts and paths are those of the configuration, and no token.

/// Why nothing was fetched. Never holds a token; hosts and paths are those of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Plain HTTP without `insecure_http`.
    #[error("`{0}` is not https; `insecure_http: true` allows it, for tests")]
    Scheme(String),
    /// A private address without the operator's leave.
    #[error("`{0}` has a private address; `private_addresses: true` allows it")]
    PrivateAddress(String),
    /// A link-local, multicast or metadata address.
    #[error("`{0}` has an address that is never an issuer's")]
    ForbiddenAddress(String),
    /// No connection, no TLS, or a broken answer.
    #[error("`{host}` cannot be reached: {fault}")]
    Unreachable {
        /// The server.
        host: String,
        /// What the connection says.
        fault: String,
    },
    /// Longer than the timeout, in all.
    #[error("`{0}` did not answer within the timeout")]
    Timeout(String),
    /// A redirect, which is never followed.
    #[error("`{0}` answered with a redirect, which is never followed; configure the place that it points to")]
    Redirect(String),
    /// Another status than 200.
    #[error("`{host}` answered with status {status}{}", hint(*.status))]
    Status {
        /// The server.
        host: String,
        /// Its answer.
        status: u16,
    },
    /// A body beyond 256 KiB.
    #[error("the answer of `{0}` is larger than 256 KiB")]
    TooLarge(String),
    /// A file with certificates or a token cannot be used.
    #[error("`{path}` cannot be used: {fault}")]
    File {
        /// Which.
        path: String,
        /// Why.
        fault: String,
    },
}

const fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "; a cluster serves its keys to authenticated callers: `keys: {cluster: ...}`",
        _ => "",
    }
}
