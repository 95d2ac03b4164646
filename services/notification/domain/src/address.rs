//! Whom we never call: whoever registers an endpoint must not reach our own network through us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a public address: {1}")]
pub struct Refusal(pub IpAddr, pub &'static str);

type Block4 = (Ipv4Addr, u32, &'static str);
type Block6 = (Ipv6Addr, u32, &'static str);

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u32, why: &'static str) -> Block4 {
    (Ipv4Addr::new(a, b, c, d), bits, why)
}

const fn v6(a: u16, b: u16, c: u16, bits: u32, why: &'static str) -> Block6 {
    (Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits, why)
}

/// IANA's special-purpose registry of IPv4, as far as a caller must stay out of it.
const NOT_PUBLIC_4: [Block4; 16] = [
    v4(0, 0, 0, 0, 8, "this network"),
    v4(10, 0, 0, 0, 8, "private"),
    v4(100, 64, 0, 0, 10, "shared by carriers"),
    v4(127, 0, 0, 0, 8, "loopback"),
    v4(169, 254, 0, 0, 16, "link-local"),
    v4(172, 16, 0, 0, 12, "private"),
    v4(192, 0, 0, 0, 24, "protocol assignments"),
    v4(192, 0, 2, 0, 24, "documentation"),
    v4(192, 31, 196, 0, 24, "special purpose"),
    v4(192, 88, 99, 0, 24, "relay anycast"),
    v4(192, 168, 0, 0, 16, "private"),
    v4(198, 18, 0, 0, 15, "benchmarking"),
    v4(198, 51, 100, 0, 24, "documentation"),
    v4(203, 0, 113, 0, 24, "documentation"),
    v4(224, 0, 0, 0, 4, "multicast"),
    v4(240, 0, 0, 0, 4, "reserved"),
];

/// The same of IPv6. What lies outside `2000::/3` is never public.
const NOT_PUBLIC_6: [Block6; 5] = [
    v6(0x2001, 0, 0, 23, "protocol assignments"),
    v6(0x2001, 0x0db8, 0, 32, "documentation"),
    v6(0x2002, 0, 0, 16, "6to4: it hides an IPv4 address"),
    v6(0x3fff, 0, 0, 20, "documentation"),
    v6(0x5f00, 0, 0, 16, "segment routing"),
];

/// Why `address` is not called; none when it is public.
#[must_use]
pub fn refusal(address: IpAddr) -> Option<Refusal> {
    let why = match address {
        IpAddr::V4(v4) => refused_4(v4),
        IpAddr::V6(v6) => refused_6(v6),
    };
    why.map(|why| Refusal(address, why))
}

fn refused_4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = u32::from(address);
    let inside = |(net, length, _): &&Block4| {
        let shift = 32_u32.saturating_sub(*length);
        bits.checked_shr(shift) == u32::from(*net).checked_shr(shift)
    };
    NOT_PUBLIC_4.iter().find(inside).map(|(_, _, why)| *why)
}

fn refused_6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_loopback() {
        return Some("loopback");
    }
    // `::ffff:a.b.c.d`, `::a.b.c.d` and `64:ff9b::a.b.c.d` reach the IPv4 address they hold.
    if let Some(hidden) = embedded(address) {
        return refused_4(hidden);
    }
    let bits = u128::from(address);
    if bits >> 125 != 1 {
        return Some(beyond(address));
    }
    let inside = |(net, length, _): &&Block6| {
        let shift = 128_u32.saturating_sub(*length);
        bits.checked_shr(shift) == u128::from(*net).checked_shr(shift)
    };
    NOT_PUBLIC_6.iter().find(inside).map(|(_, _, why)| *why)
}

fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let hidden = match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => [g, h],
        _ => return None,
    };
    let [g, h] = hidden.map(u16::to_be_bytes);
    Some(Ipv4Addr::new(g[0], g[1], h[0], h[1]))
}

/// What lies outside `2000::/3`.
fn beyond(address: Ipv6Addr) -> &'static str {
    if address.is_multicast() {
        "multicast"
    } else if address.is_unicast_link_local() {
        "link-local"
    } else if address.is_unique_local() {
        "unique local"
    } else {
        "not global"
    }
}
