//! What sealed bytes are bound to. Every part has its length before it, so that no two places have one text.

use super::master_key::MasterKeyId;
use crate::clock::Timestamp;
use crate::state::database::Place;

const DATA_KEY: &[u8] = b"cambio data key 1";
const WRAPPED_KEY: &[u8] = b"cambio wrapped key 1";
const VALUE: &[u8] = b"cambio secret value 1";
const CUSTOM: &[u8] = b"cambio custom metadata 1";

/// A wrapped data key: whose it is, which one, and by which master key.
pub(super) fn of_data_key(namespace: &str, generation: u64, master: &MasterKeyId) -> Vec<u8> {
    bound(DATA_KEY, [namespace, "", ""], &[generation, u64::from_be_bytes(*master.bytes())])
}

/// A wrapped key that replicas share: its name, and by which master key.
pub(super) fn of_wrapped_key(name: &str, master: &MasterKeyId) -> Vec<u8> {
    bound(WRAPPED_KEY, [name, "", ""], &[u64::from_be_bytes(*master.bytes())])
}

/// A value: its secret, which version, when it was written, and under which data key.
pub(super) fn of_value(place: Place<'_>, data_key: u64, version: u64, created: Timestamp) -> Vec<u8> {
    let numbers = [data_key, version, created.as_millis().cast_unsigned()];
    bound(VALUE, [place.namespace, place.mount, place.path], &numbers)
}

/// A secret's custom metadata: its secret, and under which data key.
pub(super) fn of_custom_metadata(place: Place<'_>, data_key: u64) -> Vec<u8> {
    bound(CUSTOM, [place.namespace, place.mount, place.path], &[data_key])
}

fn bound(purpose: &[u8], texts: [&str; 3], numbers: &[u64]) -> Vec<u8> {
    let length = texts.iter().map(|text| text.len() + 8).sum::<usize>();
    let mut bound = Vec::with_capacity(purpose.len() + 1 + length + 8 * numbers.len());
    bound.extend_from_slice(purpose);
    bound.push(0);
    for text in texts {
        bound.extend_from_slice(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        bound.extend_from_slice(text.as_bytes());
    }
    for number in numbers {
        bound.extend_from_slice(&number.to_be_bytes());
    }
    bound
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_places_are_bound_alike() {
        let now = Timestamp::from_secs(1_795_000_000);
        let names = ["", "a", "b", "ab", "a/b"];
        let mut seen = BTreeSet::new();
        for namespace in names {
            for mount in names {
                for path in names {
                    let place = Place { namespace, mount, path };
                    for (key, version, created) in
                        [(1, 1, now), (2, 1, now), (1, 2, now), (1, 1, Timestamp::from_secs(0))]
                    {
                        assert!(seen.insert(of_value(place, key, version, created)), "{place:?} {key} {version}");
                    }
                    assert!(seen.insert(of_custom_metadata(place, 1)) && seen.insert(of_custom_metadata(place, 2)));
                }
            }
        }
    }
}
