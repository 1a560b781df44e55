//! What goes in at the counter and what comes out of it, whatever the surface.

use std::net::IpAddr;
use std::time::Duration;

use crate::audit::Surface;
use crate::identity::{DecisionId, IssuerName};
use crate::mint::IssuedToken;
use crate::oauth::{Scope, SubjectToken};

/// What a caller hands over.
#[derive(Debug)]
pub struct Presentation {
    /// The token of its platform.
    pub subject_token: SubjectToken,
    /// What it asks for: names or aliases that must all select one target. None: the default target, if there is one.
    pub targets: Vec<String>,
    /// The trusted issuer that it names, where several share one issuer string.
    pub issuer: Option<IssuerName>,
    /// The scope that it asks for.
    pub scope: Option<Scope>,
    /// The lifetime that it asks for.
    pub lifetime: Option<Duration>,
}

/// Where a request came in, and from whom.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The surface.
    pub surface: Surface,
    /// The peer's address.
    pub address: IpAddr,
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
}

/// An exchange that was not allowed. The reason is in the audit record; the caller learns the class and the id.
#[derive(Debug)]
pub struct Refused {
    /// The decision's id.
    pub decision: DecisionId,
    /// The class.
    pub class: RefusedClass,
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
    /// cambio cannot decide right now. Worth another try after that time.
    Unavailable(Duration),
    /// A fault of cambio's own.
    Fault,
}
