//! Ranges of addresses, as `10.1.0.0/16` and `2001:db8::/32`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A range of addresses. One of IPv4 is the same as what IPv6 maps it to, which is how a door that listens on both
/// sees its callers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Network {
    first: u128,
    /// How many bits all its addresses have in common.
    bits: u32,
}

/// Why a text is no [`Network`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum InvalidNetwork {
    /// It is neither an address nor an address and a length.
    #[error("no range of addresses, such as 10.1.0.0/16")]
    Malformed,
    /// It says more of an address than its length does.
    #[error("has bits behind its length: nobody can tell whether the address or the length is meant")]
    Behind,
}

impl Network {
    /// Whether an address is in it.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        (number(address) ^ self.first) & self.mask() == 0
    }

    /// Whether all of another is in it.
    pub(crate) fn contains_network(self, other: &Self) -> bool {
        self.bits <= other.bits && (other.first ^ self.first) & self.mask() == 0
    }

    /// Its first address, as a number.
    pub(crate) fn first(self) -> u128 {
        self.first
    }

    /// Larger, the earlier it ends: of those that begin together the largest is then the first.
    pub(crate) fn last_reversed(self) -> u128 {
        !(self.first | !self.mask())
    }

    fn mask(self) -> u128 {
        if self.bits == 0 { 0 } else { u128::MAX << (128 - self.bits) }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address),
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork::Malformed)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(length) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse::<u32>().map_err(|_| InvalidNetwork::Malformed)?
            }
            Some(_) => return Err(InvalidNetwork::Malformed),
            None => most,
        };
        if length > most {
            return Err(InvalidNetwork::Malformed);
        }
        let network = Self { first: number(address), bits: 128 - most + length };
        if network.first & !network.mask() == 0 { Ok(network) } else { Err(InvalidNetwork::Behind) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Ipv6Addr::from(self.first).to_ipv4_mapped() {
            Some(address) if self.bits >= 96 => write!(f, "{address}/{}", self.bits - 96),
            _ => write!(f, "{}/{}", Ipv6Addr::from(self.first), self.bits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_in_the_ranges_that_say_so() {
        for (range, address, is_in) in [
            ("10.1.0.0/16", "10.1.255.255", true),
            ("10.1.0.0/16", "10.2.0.0", false),
            ("10.1.0.0/16", "::ffff:10.1.2.3", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "10.0.0.1", true),
            ("2001:db8::/32", "2001:db8:ffff::", true),
            ("2001:db8::/32", "2001:db9::", false),
        ] {
            assert_eq!(network(range).contains(address.parse().unwrap()), is_in, "{range} {address}");
        }
    }

    #[test]
    fn what_could_mean_two_ranges_is_none() {
        assert_eq!("10.1.2.3/16".parse::<Network>(), Err(InvalidNetwork::Behind));
        for text in
            ["", "/", "10.1.0.0/", "10.1.0.0/33", "10.1.0.0/+8", "10.1/16", "::/129", "a/8", "010.1.0.0/16"]
        {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork::Malformed), "{text}");
        }
    }

    #[test]
    fn a_range_is_written_as_it_was_read() {
        for text in ["10.1.0.0/16", "0.0.0.0/0", "2001:db8::/32", "::/0", "10.1.2.3/32"] {
            assert_eq!(network(text).to_string(), text);
        }
    }

    #[test]
    fn one_range_contains_another_or_they_have_nothing_in_common() {
        let (all, outer, inner) = (network("::/0"), network("10.0.0.0/8"), network("10.1.0.0/16"));
        assert!(
            all.contains_network(&outer) && outer.contains_network(&inner) && inner.contains_network(&inner)
        );
        assert!(!inner.contains_network(&outer) && !network("11.0.0.0/8").contains_network(&inner));
        let mut sorted = [inner, network("10.0.0.0/16"), outer, all];
        sorted.sort_by_key(|network| (network.first(), network.last_reversed()));
        assert_eq!(sorted, [all, outer, network("10.0.0.0/16"), inner]);
    }
}
