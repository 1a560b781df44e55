//! Secrets that an OpenBao keeps.
//!
//! cambio is an OIDC issuer that a JWT mount of OpenBao trusts. For each caller it logs in there with that caller's own
//! secrets token, and asks with the OpenBao token that it gets: OpenBao holds the caller to its own policies and writes its
//! own audit, and cambio has no credential for it that could be stolen. Decides how long a login is used, what is tried
//! again, and when OpenBao is left alone. Refuses to decide what a caller may read, and to keep what it read.
//!
//! ```text
//! Caller, Upstream -> Sessions (one login per token) -> Breaker -> tries -> UpstreamAnswer | UpstreamError
//! ```
//!
//! Cache: the logins ([`OpenBaoStore`]: at most 4096 sessions, each until its lease or its token ends).

mod breaker;
mod error;
mod login;
mod request;
mod sessions;
mod settings;
pub mod setup;
mod tries;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;
use url::Url;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::identity::Namespace;
use crate::trust::{Fetcher, Method};
use breaker::Breaker;
pub use error::UpstreamError;
pub use login::Login;
pub use request::{Caller, Upstream, UpstreamAnswer};
use request::{Spoken, at};
use sessions::{Session, Sessions};
pub use settings::{AuthNamespace, BreakerSettings, OpenBaoFault, OpenBaoSettings, RoleType};

/// The most that is read of an answer, in bytes: a value of 1 MiB, escaped, with its envelope.
pub const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;

/// One OpenBao.
pub struct OpenBaoStore {
    settings: OpenBaoSettings,
    base: Url,
    fetcher: Fetcher,
    sessions: Sessions,
    breaker: Breaker,
}

/// Where and how a caller logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginPlace {
    /// The base URL.
    pub address: String,
    /// The namespace of the secrets; empty for the root.
    pub namespace: String,
    /// The namespace of the login.
    pub login_namespace: String,
    /// The path of the login, without `auth/` and `/login`.
    pub path: String,
    /// The role.
    pub role: String,
}

/// What a login sends. Its bytes are zeroed with the body that they are written to.
#[derive(Serialize)]
struct LoginBody<'a> {
    role: &'a str,
    jwt: &'a str,
}

impl OpenBaoStore {
    /// The OpenBao of `settings`, which is not asked anything yet.
    ///
    /// # Errors
    /// [`OpenBaoFault`], as [`OpenBaoSettings::check`] has it.
    pub fn new(settings: OpenBaoSettings, fetcher: Fetcher) -> Result<Self, OpenBaoFault> {
        settings.check()?;
        let (base, breaker) = (settings.base()?, Breaker::new(settings.breaker));
        Ok(Self { settings, base, fetcher, sessions: Sessions::new(), breaker })
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Where and how a caller whose secrets are in `namespace` logs in by itself.
    ///
    /// # Errors
    /// [`OpenBaoFault::Namespace`].
    pub fn login_place(&self, namespace: Option<&Namespace>) -> Result<LoginPlace, OpenBaoFault> {
        let settings = &self.settings;
        let cel = if settings.role_type == RoleType::Cel { "/cel" } else { "" };
        Ok(LoginPlace {
            address: settings.address.trim_end_matches('/').to_owned(),
            namespace: settings.whole(namespace)?,
            login_namespace: settings.login_namespace(namespace)?,
            path: format!("{}{cel}", settings.auth_mount),
            role: settings.role.clone(),
        })
    }

    /// Asks what `request` asks, as `caller`. OpenBao decides whether it may.
    ///
    /// A session that is refused and no longer young is replaced once: OpenBao may have revoked it, or lost it.
    ///
    /// # Errors
    /// [`UpstreamError`]. What OpenBao refuses to this caller (`403`, `404`, `400`) is an answer, and no error.
    pub async fn forward(
        &self,
        caller: Caller<'_>,
        request: Upstream<'_>,
        now: Timestamp,
    ) -> Result<UpstreamAnswer, UpstreamError> {
        let spoken = request.spoken(&self.base)?;
        let namespace = self.namespace(caller.namespace)?;
        let session = self.session(&caller, now).await?;
        let answer = self.ask(&spoken, &namespace, Some(&session.token), now).await?;
        if answer.status != 403 || !session.is_doubtful(now) {
            return Ok(answer);
        }
        self.sessions.forget(&caller, &session);
        let session = self.session(&caller, now).await?;
        self.ask(&spoken, &namespace, Some(&session.token), now).await
    }

    /// Logs in as `caller`, for itself: the OpenBao token is the caller's, and is not kept here.
    ///
    /// # Errors
    /// [`UpstreamError`]; [`UpstreamError::LoginRefused`] is a denial.
    pub async fn login(&self, caller: Caller<'_>, now: Timestamp) -> Result<Login, UpstreamError> {
        if now >= caller.expires {
            return Err(UpstreamError::Ended);
        }
        let settings = &self.settings;
        let namespace = settings.login_namespace(caller.namespace);
        let namespace = namespace.map_err(|fault| UpstreamError::Place(fault.to_string()))?;
        let path: &[&str] = match settings.role_type {
            RoleType::Cel => &["auth", &settings.auth_mount, "cel/login"],
            RoleType::Jwt => &["auth", &settings.auth_mount, "login"],
        };
        let mut body = Zeroizing::new(Vec::with_capacity(caller.token.len() + 256));
        let written = serde_json::to_writer(&mut *body, &LoginBody { role: &settings.role, jwt: caller.token });
        written.map_err(|_| UpstreamError::Place("the login can't be written".to_owned()))?;
        // A login changes nothing that a second one would not change as well.
        let spoken = Spoken {
            method: Method::Post,
            url: at(&self.base, path)?,
            body: Some(("application/json", &body)),
            repeatable: true,
        };
        let answer = self.ask(&spoken, &namespace, None, now).await?;
        match answer.status {
            200..=299 => Login::read(&answer.body),
            status => Err(UpstreamError::LoginRefused { status, said: error::said(&answer.body, caller.token) }),
        }
    }

    async fn session(&self, caller: &Caller<'_>, now: Timestamp) -> Result<std::sync::Arc<Session>, UpstreamError> {
        let login = || async { Ok(Session::of(self.login(*caller, now).await?, caller, now)) };
        self.sessions.session(caller, now, login).await
    }

    fn namespace(&self, namespace: Option<&Namespace>) -> Result<String, UpstreamError> {
        self.settings.whole(namespace).map_err(|fault| UpstreamError::Place(fault.to_string()))
    }
}

impl fmt::Debug for OpenBaoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenBaoStore({})", self.settings.name)
    }
}
