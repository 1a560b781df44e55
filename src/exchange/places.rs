//! How many requests may be on their way to a store at once.
//!
//! Whoever asks a store holds room for a record until it has answered: nothing is read, and no login made, that cannot be accounted
//! for. That room is everybody's. So a store that answers slowly must not be waited for by as many as there is room for, or
//! nobody's exchange could be recorded, and none would be made. Decides how much of the room one store may hold, and all of them
//! together; one request more is told that the store is not available. Refuses to know why a store is slow.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::identity::TargetName;
use crate::secrets::openbao::{OpenBaoStore, UpstreamError};
use crate::secrets::{KvError, Mounts, Store};

/// The part of the room for records that the requests of one store may hold.
const OF_ONE: usize = 8;
/// The part that those of all stores may hold.
const OF_ALL: usize = 2;
const CROWDED: &str = "as many requests wait for it as may";

/// The places of all stores.
pub(super) struct Places {
    all: Semaphore,
    /// By where a store lies in memory: several mounts may be of one.
    each: HashMap<usize, Semaphore>,
}

/// A place, until it is dropped.
#[derive(Debug)]
#[must_use = "a place that is dropped is free again"]
pub(super) struct Place<'a> {
    _permits: [SemaphorePermit<'a>; 2],
}

/// There is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crowded;

impl Places {
    /// Of these stores, where there is room for so many records.
    pub(super) fn new(mounts: &Mounts, direct: &HashMap<TargetName, Arc<OpenBaoStore>>, records: usize) -> Self {
        let stores = mounts.iter().map(|mount| address(&mount.store));
        let stores = stores.chain(direct.values().map(|store| Arc::as_ptr(store).addr()));
        let each = stores.map(|store| (store, Semaphore::new((records / OF_ONE).max(1)))).collect();
        Self { all: Semaphore::new((records / OF_ALL).max(1)), each }
    }

    /// A place at the store of a mount.
    pub(super) fn at(&self, store: &Store) -> Result<Place<'_>, Crowded> {
        self.place(address(store))
    }

    /// A place at an OpenBao that logs callers in.
    pub(super) fn at_openbao(&self, store: &Arc<OpenBaoStore>) -> Result<Place<'_>, Crowded> {
        self.place(Arc::as_ptr(store).addr())
    }

    fn place(&self, store: usize) -> Result<Place<'_>, Crowded> {
        let own = self.each.get(&store).and_then(|places| places.try_acquire().ok()).ok_or(Crowded)?;
        Ok(Place { _permits: [own, self.all.try_acquire().map_err(|_| Crowded)?] })
    }
}

fn address(store: &Store) -> usize {
    match store {
        Store::Local(store) => Arc::as_ptr(store).addr(),
        Store::OpenBao(store) => Arc::as_ptr(store).addr(),
        Store::Kubernetes(store) => Arc::as_ptr(store).addr(),
    }
}

impl From<Crowded> for KvError {
    fn from(Crowded: Crowded) -> Self {
        Self::Unavailable(CROWDED)
    }
}

impl From<Crowded> for UpstreamError {
    fn from(Crowded: Crowded) -> Self {
        Self::Unavailable { why: CROWDED.to_owned(), wait: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Fetcher;

    fn openbao(number: usize) -> Arc<OpenBaoStore> {
        let text = format!("name: bao-{number}\naddress: http://127.0.0.1:9\n");
        Arc::new(OpenBaoStore::new(serde_saphyr::from_str(&text).unwrap(), Fetcher::new()).unwrap())
    }

    #[test]
    fn one_store_has_an_eighth_of_the_room_all_have_half_and_a_place_is_free_again() {
        let stores: Vec<_> = (0..6).map(openbao).collect();
        let name = |number: usize| TargetName::new(&format!("target-{number}")).unwrap();
        // Two targets of the first store, as two mounts may be.
        let direct = (0..7).map(|number| (name(number), Arc::clone(&stores[number % 6]))).collect();
        let places = Places::new(&Mounts::default(), &direct, 16);
        let mut taken = vec![];
        for store in &stores[..4] {
            taken.push(places.at_openbao(store).unwrap());
            taken.push(places.at(&Store::OpenBao(Arc::clone(store))).unwrap());
            assert_eq!(places.at_openbao(store).unwrap_err(), Crowded);
        }
        assert_eq!(places.at_openbao(&stores[4]).unwrap_err(), Crowded, "half of it is for everybody else");
        taken.pop();
        drop(places.at_openbao(&stores[5]).unwrap());
        drop(places.at_openbao(&stores[3]).unwrap());
    }
}
