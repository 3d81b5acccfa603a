//! Which addresses a stranger may send us to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of network an address is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    /// The internet.
    Public,
    /// An organisation's own network.
    Private,
    /// This machine.
    Loopback,
    /// Where no registry is: link-local and metadata services, multicast, reserved ranges.
    Special,
}

/// How far a connection may go.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Reach {
    /// Anywhere, because it was configured.
    Anywhere,
    /// The internet.
    Public,
    /// The internet and private networks, because the registry itself is in one.
    Private,
    /// The internet and this machine, because the registry itself is on it.
    Loopback,
}

impl Class {
    /// The class of an address, looking through the notations that put an IPv4 address into an IPv6 one.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => match embedded(address) {
                Some(address) => of_v4(address),
                None => of_v6(address),
            },
        }
    }
}

impl Reach {
    /// How far a registry at such an address may send us: to its own kind of network, and the internet.
    pub(crate) fn of_peer(peer: Class) -> Self {
        match peer {
            Class::Private => Self::Private,
            Class::Loopback => Self::Loopback,
            Class::Public | Class::Special => Self::Public,
        }
    }

    /// Whether an address of this class is within reach.
    pub(crate) fn covers(self, class: Class) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Public => class == Class::Public,
            Self::Private => matches!(class, Class::Public | Class::Private),
            Self::Loopback => matches!(class, Class::Public | Class::Loopback),
        }
    }
}

/// Metadata services outside the link-local range: Azure, Alibaba Cloud.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200)];
/// The metadata service of AWS, in a range of private addresses.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

fn of_v4(address: Ipv4Addr) -> Class {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        _ if METADATA_V4.contains(&address) => Class::Special,
        (127, ..) => Class::Loopback,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Class::Private,
        (0 | 224..=255, ..) | (169, 254, _) | (192, 0, 0 | 2) | (198, 18 | 19, _) => Class::Special,
        (198, 51, 100) | (203, 0, 113) => Class::Special,
        _ => Class::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Class {
    match address.segments() {
        _ if address == METADATA_V6 => Class::Special,
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Loopback,
        [0xfc00..=0xfdff, ..] => Class::Private,
        [0x2001, 0xdb8, ..] => Class::Special,
        // Global unicast; everything else is link-local, multicast or reserved.
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Special,
    }
}

/// The IPv4 address that is meant by a mapped, compatible, NAT64 or 6to4 one.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(v4(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(class: Class, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(Class::of(address.parse().unwrap()), class, "{address}");
        }
    }

    #[test]
    fn addresses_have_their_class_in_every_notation() {
        check(
            Class::Public,
            &["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"],
        );
        check(Class::Loopback, &["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]);
        check(
            Class::Private,
            &[
                "10.0.0.1",
                "172.16.0.1",
                "192.168.1.1",
                "100.64.0.1",
                "fd12::1",
                "::ffff:10.0.0.1",
                "2002:a00:1::",
            ],
        );
        check(
            Class::Special,
            &[
                "169.254.169.254",
                "168.63.129.16",
                "100.100.100.200",
                "fd00:ec2::254",
                "0.0.0.0",
                "::",
                "224.0.0.1",
                "255.255.255.255",
                "fe80::1",
                "ff02::1",
                "::ffff:169.254.169.254",
                "64:ff9b::a9fe:a9fe",
            ],
        );
    }

    #[test]
    fn a_registry_may_send_us_to_its_own_kind_of_network_and_the_internet() {
        let classes = [Class::Public, Class::Private, Class::Loopback, Class::Special];
        let within = |peer| classes.map(|class| Reach::of_peer(peer).covers(class));
        assert_eq!(within(Class::Public), [true, false, false, false]);
        assert_eq!(within(Class::Private), [true, true, false, false]);
        assert_eq!(within(Class::Loopback), [true, false, true, false]);
        assert_eq!(within(Class::Special), [true, false, false, false]);
    }
}
