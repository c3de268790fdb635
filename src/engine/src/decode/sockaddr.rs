//! Socket addresses: the hex of `saddr=` to family, address, port, path.
//!
//! auditd's own reading of it (`SADDR={…}`) is never used: whoever makes the socket chooses its bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const AF_NETLINK: u16 = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// The path; an abstract name keeps its leading NUL; unnamed is empty.
    Unix(&'a [u8]),
    V4 {
        ip: Ipv4Addr,
        port: u16,
    },
    V6 {
        ip: Ipv6Addr,
        port: u16,
    },
    Netlink {
        pid: u32,
        groups: u32,
    },
    /// A family that is not taken apart, or an address too short for its family.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sockaddr<'a> {
    pub family: u16,
    pub address: Address<'a>,
    /// The fields above say every byte.
    pub exact: bool,
}

fn u16_of(bytes: &[u8], big_endian: bool) -> Option<u16> {
    let pair = bytes.first_chunk::<2>()?;
    Some(if big_endian { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) })
}

fn u32_of(bytes: &[u8], big_endian: bool) -> Option<u32> {
    let word = bytes.first_chunk::<4>()?;
    Some(if big_endian { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) })
}

/// Reads a `struct sockaddr`; the family is in the byte order of the machine that wrote it.
pub fn parse(bytes: &[u8], big_endian: bool) -> Option<Sockaddr<'_>> {
    let family = u16_of(bytes, big_endian)?;
    let (address, exact) = match family {
        AF_UNIX => unix(&bytes[2..]),
        AF_INET => inet(&bytes[2..]),
        AF_INET6 => inet6(&bytes[2..]),
        AF_NETLINK => netlink(&bytes[2..], big_endian),
        _ => None,
    }
    .unwrap_or((Address::Other, false));
    Some(Sockaddr { family, address, exact })
}

#[allow(clippy::unnecessary_wraps)] // the same type as its siblings
fn unix(path: &[u8]) -> Option<(Address<'_>, bool)> {
    if path.first() == Some(&0) {
        // An abstract name has no end mark: every byte counts, though NULs at the end are most often only padding.
        let length = path.iter().rposition(|&b| b != 0).map_or(1, |i| i + 1);
        let exact = length == path.len();
        return Some((Address::Unix(&path[..length]), exact));
    }
    let length = memchr::memchr(0, path).unwrap_or(path.len());
    // `@` is how an abstract name is shown; a file may begin with it too.
    let exact = path.len() - length <= 1 && path.first() != Some(&b'@');
    Some((Address::Unix(&path[..length]), exact))
}

fn inet(rest: &[u8]) -> Option<(Address<'_>, bool)> {
    let port = u16_of(rest, true)?;
    let ip = Ipv4Addr::from(*rest.get(2..)?.first_chunk::<4>()?);
    let exact = rest.len() == 14 && rest[6..].iter().all(|&b| b == 0);
    Some((Address::V4 { ip, port }, exact))
}

fn inet6(rest: &[u8]) -> Option<(Address<'_>, bool)> {
    let port = u16_of(rest, true)?;
    let flow = u32_of(rest.get(2..)?, true)?;
    let ip = Ipv6Addr::from(*rest.get(6..)?.first_chunk::<16>()?);
    let scope = rest.get(22..).and_then(|scope| u32_of(scope, false));
    Some((Address::V6 { ip, port }, flow == 0 && scope == Some(0) && rest.len() == 26))
}

fn netlink(rest: &[u8], big_endian: bool) -> Option<(Address<'_>, bool)> {
    let padding = u16_of(rest, big_endian)?;
    let pid = u32_of(rest.get(2..)?, big_endian)?;
    let groups = u32_of(rest.get(6..)?, big_endian)?;
    Some((Address::Netlink { pid, groups }, padding == 0 && rest.len() == 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hex: &str) -> Sockaddr<'static> {
        let mut bytes = Vec::new();
        crate::decode::hex::decode(hex.as_bytes(), &mut bytes);
        parse(bytes.leak(), false).unwrap()
    }

    #[test]
    fn internet_addresses() {
        assert_eq!(
            of("02000050C0A800010000000000000000"),
            Sockaddr { family: 2, address: Address::V4 { ip: Ipv4Addr::new(192, 168, 0, 1), port: 80 }, exact: true }
        );
        let v6 = of("0A0001BB0000000020010DB800000000000000000000000100000000");
        assert_eq!(v6.address, Address::V6 { ip: "2001:db8::1".parse().unwrap(), port: 443 });
        assert!(v6.exact);
        assert!(!of("0A0001BB0000000120010DB800000000000000000000000100000000").exact, "flow information");
    }

    #[test]
    fn unix_addresses() {
        assert_eq!(of("01002F72756E2F782E736F636B00").address, Address::Unix(b"/run/x.sock"));
        assert_eq!(of("010000616273").address, Address::Unix(b"\0abs"));
        assert_eq!(of("0100").address, Address::Unix(b""));
        assert_eq!(of("010000"), Sockaddr { family: 1, address: Address::Unix(b"\0"), exact: true });
        assert!(!of("01000000").exact);
        assert!(!of("010040616263").exact, "a file called @abc is no abstract name");
        let hidden = of("01002F746D702F6E756C00616674657200");
        assert_eq!((hidden.address, hidden.exact), (Address::Unix(b"/tmp/nul"), false));
    }

    #[test]
    fn others() {
        assert_eq!(of("100000000500000003000000").address, Address::Netlink { pid: 5, groups: 3 });
        assert_eq!(of("02000050C0A8").address, Address::Other, "cut off");
        assert_eq!(of("28000000020000000100000000000000").family, 40);
        assert_eq!(parse(b"\x01", false), None);
    }

    #[test]
    fn the_family_has_the_byte_order_of_its_machine() {
        assert_eq!(parse(b"\x00\x02\x00\x50\x7f\x00\x00\x01\0\0\0\0\0\0\0\0", true).unwrap().family, 2);
    }
}
