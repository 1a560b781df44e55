//! Who may have how many of the places for connections. An attacker with one address must not get all of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections by address.
#[derive(Clone)]
pub(super) struct Shares {
    most: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection's part of its address's share; dropping it gives it back.
pub(super) struct Share {
    shares: Shares,
    address: IpAddr,
}

impl Shares {
    /// At most this many for each address.
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// A place for a connection from `address`, if it has not all of its share.
    pub(super) fn take(&self, address: IpAddr) -> Option<Share> {
        let address = neighbourhood(address);
        let mut taken = self.taken();
        let count = taken.entry(address).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Share { shares: self.clone(), address })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.taken();
        if let Some(count) = taken.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            // What is not counted any more is not remembered: addresses are as many as the attacker likes.
            if *count == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

/// Whose address it is: one host has a /64 of IPv6 and takes any address of it.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_no_more_until_it_gives_some_back() {
        let shares = Shares::new(2);
        let first = shares.take(address("192.0.2.1"));
        let second = shares.take(address("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(shares.take(address("192.0.2.1")).is_none());
        assert!(shares.take(address("192.0.2.2")).is_some());
        drop(first);
        assert!(shares.take(address("192.0.2.1")).is_some());
        drop(second);
        assert!(shares.taken().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let shares = Shares::new(1);
        let first = shares.take(address("2001:db8:1:2::1"));
        assert!(first.is_some());
        assert!(shares.take(address("2001:db8:1:2:3:4:5:6")).is_none());
        assert!(shares.take(address("2001:db8:1:3::1")).is_some());
    }
}
