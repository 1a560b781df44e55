//! The use case: a platform's token in, a secrets token out. [`Walk::exchange`] is the whole of it, top to bottom.
//!
//! Decides the order of the steps. Refuses to know any protocol. On the way nothing is written to disk, no lock is held
//! across a wait, nothing is compiled and no key is parsed.

mod access;
mod administration;
mod bearer;
mod budgets;
mod counter;
mod logins;
mod naming;
mod outcome;
mod places;
mod presented;
mod reloads;
mod revoking;
mod rules;
mod self_rotation;
mod session;
mod stop;
mod tally;
mod tenants;
mod tokens;
mod upstream_tokens;
mod walk;

pub use access::{Access, Ask, NotServed, NotServedClass, Served, ServedAnswer};
pub use administration::{
    ADMIN_PATHS, Action, Administration, Administrator, NotPermitted, NotPermittedClass, Permitted, ROOT,
};
pub use bearer::{AccountBearer, Bearer, NotGood, Standing};
pub use budgets::Visit;
pub use counter::{Counter, CounterParts};
pub use logins::{LoginMount, LoginMounts};
pub use naming::Naming;
pub use outcome::{Exchanged, LoginRole, Presentation, Recorded, Refused, RefusedClass, Source, Wanted};
pub use reloads::{FailedReload, Reloads};
pub use revoking::RevokeError;
pub use rules::{NoSuchDefault, Rules};
pub use self_rotation::{NotRotated, NotRotatedClass};
pub use session::{LOGIN_MOUNT, LOGIN_ROLE, Session};
pub use tally::{LATENCY_BOUNDS_US, Outcome, SECRET_OPERATIONS, SECRET_OUTCOMES, Tally};
pub use tenants::{NoSuchTarget, Tenant, TenantFault, TenantKind, Tenants};
pub use walk::Walk;
