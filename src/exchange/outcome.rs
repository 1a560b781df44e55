//! What goes in at the counter and what comes out of it, whatever the surface.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use crate::audit::Surface;
use crate::identity::{DecisionId, IssuerName, Namespace};
use crate::limits::State;
use crate::mint::{Granted, IssuedToken};
use crate::oauth::{Scope, SubjectToken};
use crate::secrets::openbao::Login;

/// What a caller hands over.
#[derive(Debug)]
pub struct Presentation {
    /// The token of its platform.
    pub subject_token: SubjectToken,
    /// What it asks for.
    pub wanted: Wanted,
    /// The trusted issuer that it names, where several share one issuer string.
    pub issuer: Option<IssuerName>,
    /// The scope that it asks for.
    pub scope: Option<Scope>,
    /// The lifetime that it asks for.
    pub lifetime: Option<Duration>,
}

/// What a token is asked for.
#[derive(Debug)]
pub enum Wanted {
    /// Names or aliases that must all select one target (RFC 8693 `audience`, `resource`). None: the default target, if
    /// there is one.
    Targets(Vec<String>),
    /// The role of a Vault login.
    Role(LoginRole),
    /// What no target is for; as the caller wrote it. Its token is verified all the same: whoever asks learns nothing.
    Nothing(String),
}

impl Wanted {
    /// As the caller wrote it, for the record.
    pub(super) fn words(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Targets(names) => names.first().map(|name| Cow::Borrowed(name.as_str())),
            Self::Nothing(asked) => Some(Cow::Borrowed(asked)),
            Self::Role(LoginRole { namespace, mount, cel, role }) => {
                let namespace = namespace.as_ref().map_or_else(String::new, |namespace| format!("{namespace}/"));
                let (cel, role) = (if *cel { "/cel" } else { "" }, role.as_deref().unwrap_or_default());
                Some(Cow::Owned(format!("{namespace}auth/{mount}{cel}/role/{role}")))
            }
        }
    }
}

/// What a Vault login asks for (OpenBao API, `auth/<mount>/login`).
#[derive(Debug)]
pub struct LoginRole {
    /// The namespace of the login; none where the request names none.
    pub namespace: Option<Namespace>,
    /// The mount, e.g. `kubernetes`.
    pub mount: String,
    /// Whether it is `cel/login`, which only OpenBao's CEL roles answer.
    pub cel: bool,
    /// The role; none for the mount's default.
    pub role: Option<String>,
}

/// Where a request came in, and from whom.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The surface.
    pub surface: Surface,
    /// The caller's address: the peer's, or what a trusted proxy says.
    pub address: IpAddr,
}

/// How a request ended, for every answer to tell.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    /// The decision's id.
    pub decision: DecisionId,
    /// The budget that has the smallest part left; none where there are no limits, or none was asked.
    pub budget: Option<State>,
}

/// An exchange that was allowed.
#[derive(Debug)]
pub struct Exchanged {
    /// The decision's id.
    pub decision: DecisionId,
    /// The token.
    pub token: IssuedToken,
    /// The granted scope, where it is not what was asked for (RFC 8693 section 2.2.1).
    pub scope: Option<Scope>,
    /// What was granted.
    pub granted: Granted,
    /// The OpenBao token that goes to the caller in place of ours, where the target asks for it.
    pub direct: Option<Login>,
    /// The budget that has the smallest part left; none where there are no limits.
    pub budget: Option<State>,
}

impl Exchanged {
    /// The token for the caller.
    #[must_use]
    pub fn bearer(&self) -> &str {
        self.direct.as_ref().map_or_else(|| self.token.token(), |login| login.client_token.as_str())
    }

    /// How long it is good for, in whole seconds.
    #[must_use]
    pub fn expires_in(&self) -> Duration {
        self.direct.as_ref().map_or_else(|| self.token.expires_in(), |login| login.lease)
    }
}

/// An exchange that was not allowed. The reason is in the audit record; the caller learns the class and the id.
#[derive(Debug)]
pub struct Refused {
    /// The decision's id.
    pub decision: DecisionId,
    /// The class.
    pub class: RefusedClass,
    /// The budget that has the smallest part left; none where there are no limits.
    pub budget: Option<State>,
}

/// As much of a refusal as a caller may learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusedClass {
    /// The request was not well-formed.
    Request,
    /// The token is not good, or not acceptable for what was asked: expired, unknown issuer, denied by policy, replayed.
    Token,
    /// There is no such target.
    Target,
    /// The scope is not available.
    Scope,
    /// A budget is empty; it says which, and when to try again.
    TooMany(State),
    /// cambio cannot decide right now. Worth another try after that time.
    Unavailable(Duration),
    /// A fault of cambio's own.
    Fault,
}
