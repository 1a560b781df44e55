//! Where a request comes from, when a proxy brings it.
//!
//! Decides whose word counts: that of a proxy which the operator trusts, and of nobody else. What such a proxy appends stands at the
//! right end of `X-Forwarded-For` or `Forwarded` (RFC 7239); what stands left of it, anybody may have sent. So the addresses are
//! read from the right, trusted proxies are passed over, and the first that is none is the source. What can't be read on the way
//! there is not guessed at: the source is the peer, as it is without a header.
//!
//! A proxy writes one of the two headers and hands the other one on as it came. Where both are there, they must say the same.
//! `docs/decisions/0050-forwarded-addresses.md` has the attacks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::HeaderMap;
use serde::{Deserialize, Deserializer, de};

/// The most addresses that are read of one header: a chain of proxies is short.
const MAX_HOPS: usize = 32;

/// The networks whose proxies are believed. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct TrustedProxies(Vec<Network>);

/// An address and how many of its first bits count, e.g. `10.0.0.0/8`, `2001:db8::/32`; without a length one address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u32,
}

/// A text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is an address and a length, such as `10.0.0.0/8` or `2001:db8::/32`, and ends in zeros")]
pub struct NoNetwork;

impl TrustedProxies {
    /// Those.
    #[must_use]
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Where a request comes from that `peer` brings.
    pub(super) fn source(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let legacy = text(headers, "x-forwarded-for").map(|text| self.first_untrusted(elements(&text, false)?));
        let standard = text(headers, "forwarded").map(|text| self.first_untrusted(elements(&text, true)?));
        match (legacy, standard) {
            (Some(Some(source)), None) | (None, Some(Some(source))) => source,
            (Some(Some(a)), Some(Some(b))) if a == b => a,
            _ => peer,
        }
    }

    /// Of all that are trusted, the first: a client on one of our own networks.
    fn first_untrusted(&self, hops: Vec<String>) -> Option<IpAddr> {
        let mut first = None;
        for hop in hops.iter().rev().take(MAX_HOPS) {
            let address = address(hop)?;
            if !self.trusts(address) {
                return Some(address);
            }
            first = Some(address);
        }
        // Of more than are read, nobody knows the first.
        first.filter(|_| hops.len() <= MAX_HOPS)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.holds(address))
    }
}

/// The values of a header in their order, as one list (RFC 9110 section 5.3); none where it is not there.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// What a list has of clients, from left to right. An element of `Forwarded` that names none, or can't be read, is empty: it counts
/// only if it is come to.
fn elements(text: &str, standard: bool) -> Option<Vec<String>> {
    if !standard {
        return Some(text.split(',').map(|hop| hop.trim().to_owned()).collect());
    }
    let list = split(text, ',')?;
    Some(list.iter().map(|element| for_of(element).unwrap_or_default()).collect())
}

/// The `for` of an element (RFC 7239 section 4): one, and no parameter twice.
fn for_of(element: &str) -> Option<String> {
    let mut found = None;
    for pair in split(element, ';')? {
        let (name, value) = pair.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") && found.replace(unquoted(value.trim())?).is_some() {
            return None;
        }
    }
    found
}

/// The parts between separators that stand in no quotation marks; none where those do not end.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == separator && !quoted => {
                parts.push(text.get(start..at)?.trim());
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?.trim());
    (!quoted).then_some(parts)
}

/// A value without its quotation marks. No address has anything to escape.
fn unquoted(value: &str) -> Option<String> {
    let bare = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => value,
    };
    (!bare.contains(['"', '\\'])).then(|| bare.to_owned())
}

/// An address, with or without a port, of version 6 in brackets or bare. `unknown` and made-up names (RFC 7239 section 6.3) are none.
fn address(hop: &str) -> Option<IpAddr> {
    let port = |text: &str| text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok();
    let found = if let Some(rest) = hop.strip_prefix('[') {
        let (inner, after) = rest.split_once(']')?;
        let fits = after.is_empty() || after.strip_prefix(':').is_some_and(port);
        inner.parse().ok().filter(|address: &IpAddr| fits && address.is_ipv6())
    } else {
        let of_v4 = || hop.split_once(':').filter(|(_, after)| port(after)).and_then(|(v4, _)| v4.parse().ok());
        hop.parse().ok().or_else(|| of_v4().filter(IpAddr::is_ipv4))
    };
    found.map(|address| address.to_canonical())
}

impl Network {
    fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(32 - self.length).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128 - self.length).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let digits = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let length = match length {
            None => most,
            Some(text) => Some(text).filter(digits).and_then(|text| text.parse().ok()).ok_or(NoNetwork)?,
        };
        // A mapped address would never be met: sources are compared in their own version.
        if length > most || address.to_canonical() != address {
            return Err(NoNetwork);
        }
        // `10.1.2.3/8` may mean the one or the other.
        let zeros = match address {
            IpAddr::V4(address) => address.to_bits().trailing_zeros(),
            IpAddr::V6(address) => address.to_bits().trailing_zeros(),
        };
        if zeros < most - length { Err(NoNetwork) } else { Ok(Self { address, length }) }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;
    use rstest::rstest;

    fn proxies() -> TrustedProxies {
        TrustedProxies::new(["10.0.0.0/8", "2001:db8:1::/48"].map(|text| text.parse().unwrap()).to_vec())
    }

    fn source(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        proxies().source(peer.parse().unwrap(), &map).to_string()
    }

    const PROXY: &str = "10.0.0.1";

    #[rstest]
    #[case::one("192.0.2.1", "192.0.2.1")]
    #[case::a_port("192.0.2.1:4711", "192.0.2.1")]
    #[case::version_6("2001:db8:2::1", "2001:db8:2::1")]
    #[case::in_brackets("[2001:db8:2::1]", "2001:db8:2::1")]
    #[case::in_brackets_with_a_port("[2001:db8:2::1]:80", "2001:db8:2::1")]
    #[case::mapped("::ffff:192.0.2.1", "192.0.2.1")]
    #[case::past_our_own("192.0.2.1, 10.9.9.9, 2001:db8:1::5", "192.0.2.1")]
    #[case::past_a_mapped_one_of_ours("192.0.2.1, ::ffff:10.9.9.9", "192.0.2.1")]
    #[case::what_stands_left_is_not_read("unknown, 8.8.8.8, 192.0.2.1", "192.0.2.1")]
    #[case::a_client_of_our_own("10.3.3.3, 10.2.2.2", "10.3.3.3")]
    #[case::unknown("unknown", PROXY)]
    #[case::made_up("_hidden", PROXY)]
    #[case::come_to_before_an_address("192.0.2.1, unknown, 10.2.2.2", PROXY)]
    #[case::empty("", PROXY)]
    #[case::an_empty_element("192.0.2.1,", PROXY)]
    #[case::no_port("192.0.2.1:", PROXY)]
    #[case::a_large_port("192.0.2.1:65536", PROXY)]
    #[case::a_version_4_in_brackets("[192.0.2.1]", PROXY)]
    #[case::a_zone("fe80::1%eth0", PROXY)]
    #[case::no_end_of_brackets("[2001:db8:2::1", PROXY)]
    #[case::zeros_before("192.0.02.1", PROXY)]
    #[case::quoted("\"192.0.2.1\"", PROXY)]
    #[case::not_ascii("192.0.2.1\u{e4}", PROXY)]
    fn the_last_address_that_is_none_of_ours_counts(#[case] header: &str, #[case] expected: &str) {
        assert_eq!(source(PROXY, &[("x-forwarded-for", header)]), expected);
    }

    #[rstest]
    #[case::one("for=192.0.2.1", "192.0.2.1")]
    #[case::with_others("by=10.0.0.1;For=192.0.2.1;proto=http", "192.0.2.1")]
    #[case::quoted("for=\"192.0.2.1:4711\"", "192.0.2.1")]
    #[case::version_6("for=\"[2001:db8:2::1]:4711\"", "2001:db8:2::1")]
    #[case::several("for=8.8.8.8, for=192.0.2.1, for=10.2.2.2", "192.0.2.1")]
    #[case::a_comma_in_quotes("for=192.0.2.1;x=\"a, for=8.8.8.8\"", "192.0.2.1")]
    #[case::an_escape_in_quotes("for=192.0.2.1;x=\"a\\\", for=8.8.8.8\"", "192.0.2.1")]
    #[case::unknown("for=unknown", PROXY)]
    #[case::made_up("for=\"_gazonk\"", PROXY)]
    #[case::twice("for=192.0.2.1;for=192.0.2.2", PROXY)]
    #[case::none("by=192.0.2.1", PROXY)]
    #[case::not_a_pair("192.0.2.1", PROXY)]
    #[case::quotes_without_end("for=\"192.0.2.1", PROXY)]
    #[case::an_escaped_address("for=\"192.0.2.\\1\"", PROXY)]
    fn the_standard_header_is_read_alike(#[case] header: &str, #[case] expected: &str) {
        assert_eq!(source(PROXY, &[("forwarded", header)]), expected);
    }

    #[test]
    fn nobody_but_a_trusted_proxy_is_believed() {
        let headers = [("x-forwarded-for", "192.0.2.1")];
        assert_eq!(source("198.51.100.1", &headers), "198.51.100.1");
        assert_eq!(source("::ffff:198.51.100.1", &headers), "198.51.100.1");
        assert_eq!(source("::ffff:10.0.0.1", &headers), "192.0.2.1");
        assert_eq!(TrustedProxies::default().source("10.0.0.1".parse().unwrap(), &HeaderMap::new()).to_string(), PROXY);
    }

    #[test]
    fn many_headers_are_one_list_and_two_kinds_must_agree() {
        let two = [("x-forwarded-for", "8.8.8.8"), ("x-forwarded-for", "192.0.2.1, 10.2.2.2")];
        assert_eq!(source(PROXY, &two), "192.0.2.1");
        let both = |other| source(PROXY, &[("x-forwarded-for", "192.0.2.1"), ("forwarded", other)]);
        assert_eq!(both("for=192.0.2.1"), "192.0.2.1");
        assert_eq!(both("for=192.0.2.2"), PROXY);
        assert_eq!(both("for=unknown"), PROXY);
        let long = ["192.0.2.1"].into_iter().chain([PROXY; MAX_HOPS]).collect::<Vec<_>>().join(",");
        assert_eq!(source(PROXY, &[("x-forwarded-for", &long)]), PROXY);
    }

    #[rstest]
    #[case("10.0.0.0/8", "10.255.0.1", true)]
    #[case("10.0.0.0/8", "11.0.0.1", false)]
    #[case("10.0.0.0/8", "a00::", false)]
    #[case("192.0.2.1", "192.0.2.1", true)]
    #[case("192.0.2.1", "192.0.2.2", false)]
    #[case("0.0.0.0/0", "255.255.255.255", true)]
    #[case("::/0", "ffff::", true)]
    #[case("2001:db8::/33", "2001:db8:7fff::", true)]
    #[case("2001:db8::/33", "2001:db8:8000::", false)]
    fn a_network_holds_its_addresses(#[case] network: Network, #[case] address: IpAddr, #[case] holds: bool) {
        assert_eq!(network.holds(address), holds);
    }

    #[rstest]
    #[case("10.0.0.0/33")]
    #[case("10.0.0.1/8")]
    #[case("2001:db8::/129")]
    #[case("2001:db8::1/64")]
    #[case("::ffff:10.0.0.0/104")]
    #[case("10.0.0.0/")]
    #[case("10.0.0.0/+8")]
    #[case("10/8")]
    #[case("*")]
    fn what_is_no_network_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<Network>(), Err(NoNetwork));
    }

    proptest! {
        /// Whatever a client sends, the address that the proxy appends is the source.
        #[test]
        fn what_a_client_sends_changes_nothing(sent in "[ -~]{0,60}", last in any::<[u8; 4]>()) {
            let last = IpAddr::from(last).to_string();
            let expected = if last.starts_with("10.") { None } else { Some(last.clone()) };
            let header = format!("{sent}, {last}");
            if let Some(expected) = expected {
                prop_assert_eq!(source(PROXY, &[("x-forwarded-for", &header)]), expected);
            }
        }

        /// Of the standard header the same holds for whatever is in itself well-formed; of anything else it is that or the proxy.
        #[test]
        fn whatever_stands_in_the_standard_header_is_the_last_address_or_the_proxys(sent in "[ -~]{0,60}") {
            let found = source(PROXY, &[("forwarded", &format!("{sent}, for=192.0.2.1"))]);
            prop_assert!(found == "192.0.2.1" || found == PROXY, "{}", found);
        }

        /// Addresses are found again however they are written.
        #[test]
        fn an_address_is_found_as_it_was_written(bits in any::<u128>(), port in any::<u16>()) {
            let v6 = std::net::Ipv6Addr::from_bits(bits);
            let expected = Some(IpAddr::V6(v6).to_canonical());
            for text in [v6.to_string(), format!("[{v6}]"), format!("[{v6}]:{port}")] {
                prop_assert_eq!(address(&text), expected);
            }
        }

        /// No text makes the reader panic, and a network is read as it is printed.
        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,80}") {
            let _ = (address(&text), elements(&text, true), elements(&text, false));
            if let Ok(network) = text.parse::<Network>() {
                prop_assert_eq!(format!("{network:?}").parse::<Network>(), Ok(network));
            }
        }
    }
}
