//! Exchanges for a target whose OpenBao gives its own token in place of ours.

use super::{Stop, Walk};
use crate::mint::{Granted, IssuedToken, Usage};
use crate::policy::Target;
use crate::secrets::openbao::{Caller, Login, UpstreamError};

impl Walk<'_> {
    /// Takes room for the record, and before that, where an OpenBao will be waited for with that room, a place among those who wait.
    pub(super) fn admit(&mut self, target: &Target) -> Result<(), Stop> {
        let counter = self.counter;
        if let Some(store) = counter.direct(target.name()).filter(|_| self.usage == Usage::Access) {
            self.place = Some(counter.places().at_openbao(store).map_err(UpstreamError::from)?);
        }
        Ok(self.trail.admit()?)
    }

    /// The token of the OpenBao that the target is for, in place of ours, where the operator says so: values never pass
    /// through here then. It is the caller's own login, made with the token that was just minted.
    pub(super) async fn upstream(
        &mut self,
        token: &IssuedToken,
        granted: &Granted,
    ) -> Result<Option<Login>, UpstreamError> {
        let Some(store) = self.counter.direct(&granted.target).filter(|_| self.usage == Usage::Access) else {
            return Ok(None);
        };
        let (namespace, expires) = (granted.namespace.as_ref(), token.expires_at());
        let caller = Caller { token: token.token(), token_id: token.jti(), expires, namespace };
        store.login(caller, self.now).await.map(Some)
    }
}
