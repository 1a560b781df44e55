//! Which addresses an issuer's servers may have. A key set is fetched from where the configuration, or a document behind
//! it, points: without this, a changed DNS record or document makes us ask the cloud's metadata service (CVE-2026-41413).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

/// What may be reached at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Anybody's.
    Public,
    /// Of this machine or network: only where the operator wrote it.
    Private,
    /// Never an issuer's: link-local addresses (cloud metadata among them), multicast, none.
    Never,
}

/// What may be reached at `address`; one that carries another inside (mapped, NAT64, 6to4) is judged by that other.
pub(super) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => reach_v6(v6),
    }
}

/// Whether the operator, by writing this host, has said that it is private.
pub(super) fn is_written_as_private(host: Option<Host<&str>>) -> bool {
    match host {
        Some(Host::Ipv4(v4)) => reach_v4(v4) == Reach::Private,
        Some(Host::Ipv6(v6)) => reach_v6(v6) == Reach::Private,
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Names of private networks, as nobody's public DNS has them (RFC 6761, RFC 6762, RFC 9476, Kubernetes).
const PRIVATE_NAMES: [&str; 7] = [".localhost", ".local", ".internal", ".test", ".svc", ".cluster.local", ".home.arpa"];

/// Whether `url` is one that only this machine or a private network reaches, as far as its host tells: a private address,
/// a name without a dot, or one below a name that is never public.
#[must_use]
pub fn is_reached_privately(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    let private_name = |name: &str| !name.contains('.') || PRIVATE_NAMES.iter().any(|end| name.ends_with(end));
    is_written_as_private(url.host()) || matches!(url.host(), Some(Host::Domain(name)) if private_name(name))
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, d] = address.octets();
    match (a, b, c) {
        // The metadata services of Alibaba Cloud and of Azure, which are not link-local.
        (100, 100, 100) if d == 200 => Reach::Never,
        (168, 63, 129) if d == 16 => Reach::Never,
        (0, ..) | (169, 254, _) | (224..=255, ..) => Reach::Never,
        (10 | 127, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Reach::Private,
        (192, 0, 0 | 2) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => Reach::Private,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let [first, second, third, fourth, .., high, low] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        reach_v4(Ipv4Addr::new(a, b, c, d))
    };
    if let Some(mapped) = address.to_ipv4_mapped() {
        return reach_v4(mapped);
    }
    match (first, second) {
        _ if address.is_loopback() => Reach::Private,
        _ if address.is_unspecified() => Reach::Never,
        (0, 0) if third == 0 && fourth == 0 => embedded(high, low).max_strict(),
        (0x64, 0xff9b) if third == 0 => embedded(high, low),
        (0x64, 0xff9b) => Reach::Private,
        (0x2002, _) => embedded(second, third),
        (0xfd00, 0x0ec2) => Reach::Never,
        (0xfe80..=0xfebf | 0xff00..=0xffff, _) => Reach::Never,
        (0xfc00..=0xfdff | 0xfec0..=0xfeff, _) | (0x2001, 0..=0x01ff | 0x0db8) => Reach::Private,
        (0x2000..=0x3fff, _) => Reach::Public,
        _ => Reach::Never,
    }
}

impl Reach {
    /// For the outdated forms that carry an IPv4 address and nothing else uses: never better than private.
    fn max_strict(self) -> Self {
        if self == Self::Public { Self::Private } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("8.8.8.8", Reach::Public)]
    #[case("172.32.0.1", Reach::Public)]
    #[case("2606:4700::1111", Reach::Public)]
    #[case("64:ff9b::808:808", Reach::Public)]
    #[case("10.0.0.1", Reach::Private)]
    #[case("172.16.0.1", Reach::Private)]
    #[case("192.168.1.1", Reach::Private)]
    #[case("100.64.0.1", Reach::Private)]
    #[case("127.0.0.1", Reach::Private)]
    #[case("::1", Reach::Private)]
    #[case("fd12::1", Reach::Private)]
    #[case("::ffff:10.0.0.1", Reach::Private)]
    #[case("::ffff:127.0.0.1", Reach::Private)]
    #[case("::10.0.0.1", Reach::Private)]
    #[case("64:ff9b::a00:1", Reach::Private)]
    #[case("2002:a00:1::", Reach::Private)]
    #[case("169.254.169.254", Reach::Never)]
    #[case("::ffff:169.254.169.254", Reach::Never)]
    #[case("64:ff9b::a9fe:a9fe", Reach::Never)]
    #[case("100.100.100.200", Reach::Never)]
    #[case("168.63.129.16", Reach::Never)]
    #[case("fe80::1", Reach::Never)]
    #[case("fd00:ec2::254", Reach::Never)]
    #[case("0.0.0.0", Reach::Never)]
    #[case("::", Reach::Never)]
    #[case("224.0.0.1", Reach::Never)]
    #[case("255.255.255.255", Reach::Never)]
    #[case("ff02::1", Reach::Never)]
    fn an_address_is_judged(#[case] address: &str, #[case] expected: Reach) {
        assert_eq!(reach(address.parse().unwrap()), expected);
    }

    #[rstest]
    #[case("http://127.0.0.1:1", true)]
    #[case("http://0x7f.1", true)] // the URL standard reads this as 127.0.0.1
    #[case("http://[::1]", true)]
    #[case("http://localhost", true)]
    #[case("http://169.254.169.254", false)]
    #[case("http://vault.internal", false)]
    #[case("http://8.8.8.8", false)]
    fn a_private_address_is_allowed_by_writing_it(#[case] url: &str, #[case] written: bool) {
        assert_eq!(is_written_as_private(url::Url::parse(url).unwrap().host()), written);
    }
}
