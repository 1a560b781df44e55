//! Whose bucket it is, in 17 bytes that say nothing secret.

use std::net::{IpAddr, Ipv6Addr};

use crate::identity::{IssuerName, TargetName};
use crate::jose::sha256;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Budget {
    /// Requests of an address whose tokens are good.
    Source,
    /// Refused requests of an address.
    Failures,
    /// Refused requests whose tokens claim an issuer.
    IssuerFailures,
    /// Requests whose tokens are of an issuer.
    Issuer,
    /// Requests of one subject of one issuer.
    Subject,
    /// Requests for a target.
    Target,
    /// Signatures that are checked for an address that has no failures left, of tokens of nobody known there.
    Strangers,
    /// The same, of tokens that claim to be of somebody who was there before.
    Met,
    /// Requests of an address of whose tokens nobody can tell at the moment whether they are good.
    Unsettled,
}

impl Budget {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Source,
        Self::Failures,
        Self::IssuerFailures,
        Self::Issuer,
        Self::Subject,
        Self::Target,
        Self::Strangers,
        Self::Met,
        Self::Unsettled,
    ];

    /// As callers and metrics name it. Whose failures, and what is left without any, is nobody's business outside.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Failures | Self::IssuerFailures | Self::Strangers | Self::Met | Self::Unsettled => "failures",
            Self::Issuer => "issuer",
            Self::Subject => "subject",
            Self::Target => "target",
        }
    }

    /// As the audit records name a refusal by it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Source => "limit_source",
            Self::Failures | Self::IssuerFailures | Self::Strangers | Self::Met | Self::Unsettled => "limit_failures",
            Self::Issuer => "limit_issuer",
            Self::Subject => "limit_subject",
            Self::Target => "limit_target",
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// A bucket's name. Names that a caller chooses are digests: nobody finds two that share a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) budget: Budget,
    id: [u8; 16],
}

impl Key {
    /// Of an address: one host has a /64 of IPv6 and takes any address of it.
    pub(super) fn source(address: IpAddr) -> Self {
        let bits = match address.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => Ipv6Addr::to_bits(address) & (u128::MAX << 64),
        };
        Self { budget: Budget::Source, id: bits.to_be_bytes() }
    }

    pub(super) fn issuer(issuer: &IssuerName) -> Self {
        Self::digested(Budget::Issuer, &[issuer.as_str().as_bytes()])
    }

    pub(super) fn target(target: &TargetName) -> Self {
        Self::digested(Budget::Target, &[target.as_str().as_bytes()])
    }

    /// Of a subject, with its issuer's name before it, as [`crate::verify::VerifiedToken::subject`] has it.
    pub(super) fn subject(subject: &str) -> Self {
        Self::digested(Budget::Subject, &[subject.as_bytes()])
    }

    /// Of this address together with a subject, or with the digest of a token.
    pub(super) fn met(self, who: &[u8]) -> Self {
        Self::digested(Budget::Met, &[&self.id, who])
    }

    /// The same name under another budget.
    pub(super) fn under(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// As it stands in a memory that replicas share.
    pub(super) fn shared(&self) -> String {
        let kind = match self.budget {
            Budget::IssuerFailures => "issuer-failures",
            other => other.name(),
        };
        format!("{kind}:{:032x}", u128::from_be_bytes(self.id))
    }

    pub(super) const fn id(&self) -> u128 {
        u128::from_be_bytes(self.id)
    }

    /// The first part has a fixed length, or is the only one: no two lists of parts are the same bytes.
    fn digested(budget: Budget, parts: &[&[u8]]) -> Self {
        let digest = sha256(&parts.concat());
        let mut id = [0; 16];
        id.iter_mut().zip(digest.bytes()).for_each(|(to, from)| *to = *from);
        Self { budget, id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::the_same("192.0.2.1", "192.0.2.1", true)]
    #[case::mapped("192.0.2.1", "::ffff:192.0.2.1", true)]
    #[case::another("192.0.2.1", "192.0.2.2", false)]
    #[case::one_network("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true)]
    #[case::another_network("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    fn an_address_is_a_host(#[case] a: IpAddr, #[case] b: IpAddr, #[case] same: bool) {
        assert_eq!(Key::source(a) == Key::source(b), same);
    }

    #[test]
    fn one_name_has_a_bucket_for_each_budget() {
        let source = Key::source("192.0.2.1".parse().unwrap());
        assert_ne!(source, source.under(Budget::Failures));
        assert_ne!(source.shared(), source.under(Budget::Failures).shared());
        assert_ne!(source.met(b"a:s"), Key::source("192.0.2.2".parse().unwrap()).met(b"a:s"));
    }

    #[test]
    fn each_budget_has_a_place_of_its_own() {
        assert!(Budget::ALL.iter().enumerate().all(|(index, budget)| budget.index() == index));
    }
}
