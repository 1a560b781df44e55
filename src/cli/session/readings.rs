//! One round of reading: several references, each secret once. Decides nothing about what is read.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{Place, SecretValue, Session, Stop};
use crate::secrets::SecretPath;

/// What was read in this round.
#[derive(Default)]
pub(in crate::cli) struct Readings {
    read: BTreeMap<SecretPath, Result<SecretValue, Stop>>,
    /// Why nothing more is asked: a server that is not there is waited for once, not once for each secret.
    unreachable: Option<Stop>,
}

impl Readings {
    /// The value of a place that names a field.
    pub(in crate::cli) async fn value(
        &mut self,
        session: &mut Session<'_>,
        place: &Place,
    ) -> Result<Zeroizing<String>, Stop> {
        if !self.read.contains_key(&place.path) {
            let read = match &self.unreachable {
                Some(stop) => Err(stop.clone()),
                None => session.read(&place.path, None).await,
            };
            if let Err(stop @ Stop::Failed(_)) = &read {
                self.unreachable = Some(stop.clone());
            }
            self.read.insert(place.path.clone(), read);
        }
        let Some(read) = self.read.get(&place.path) else {
            return Err(Stop::Failed("it was not read".to_owned()));
        };
        let value = read.as_ref().map_err(Clone::clone)?;
        let field = place.field.as_deref().unwrap_or_default();
        value.field(field).ok_or_else(|| Stop::No(format!("the secret has no field `{field}`")))
    }
}
