//! The address of a `connect`, read from the bytes that its caller gave.
//!
//! Called by [`super::gate`]. Invariant: what is connected to is made of what was read here, never of the caller's memory again.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use rustix::io::Errno;

use crate::sandbox::ADDRESS;

/// What a `connect` is to lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// A port of an address.
    Internet(SocketAddr),
    /// Nothing: the socket's connection is dissolved.
    Nothing,
    /// Something of another family of addresses.
    Other,
}

impl Target {
    /// Reads an address that its caller says is `length` bytes long.
    ///
    /// # Errors
    /// `EINVAL` where it is shorter than its family has it, as the kernel answers.
    pub(super) fn read(bytes: &[u8; ADDRESS], length: usize) -> Result<Self, Errno> {
        let family = i32::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        let port = u16::from_be_bytes([bytes[2], bytes[3]]);
        if length < 2 {
            return Err(Errno::INVAL);
        }
        match family {
            libc::AF_UNSPEC => Ok(Self::Nothing),
            libc::AF_INET if length < 16 => Err(Errno::INVAL),
            libc::AF_INET => {
                let address = Ipv4Addr::from(part::<4>(bytes, 4));
                Ok(Self::Internet(SocketAddrV4::new(address, port).into()))
            }
            // Without its last field it is as the first version of the protocol had it.
            libc::AF_INET6 if length < 24 => Err(Errno::INVAL),
            libc::AF_INET6 => {
                let flow = u32::from_be_bytes(part(bytes, 4));
                let address = Ipv6Addr::from(part::<16>(bytes, 8));
                let scope = if length < ADDRESS { 0 } else { u32::from_ne_bytes(part(bytes, 24)) };
                Ok(Self::Internet(SocketAddrV6::new(address, port, flow, scope).into()))
            }
            _ => Ok(Self::Other),
        }
    }
}

fn part<const LENGTH: usize>(bytes: &[u8; ADDRESS], from: usize) -> [u8; LENGTH] {
    let mut part = [0; LENGTH];
    part.copy_from_slice(&bytes[from..from + LENGTH]);
    part
}

#[cfg(test)]
mod tests {
    use super::Target;
    use crate::sandbox::ADDRESS;

    fn read(start: &[u8], length: usize) -> Result<Target, rustix::io::Errno> {
        let mut bytes = [0; ADDRESS];
        bytes[..start.len()].copy_from_slice(start);
        Target::read(&bytes, length)
    }

    #[test]
    fn an_address_is_what_its_family_says() {
        let four = [2, 0, 0x1f, 0x90, 127, 0, 0, 1];
        assert_eq!(read(&four, 16), Ok(Target::Internet("127.0.0.1:8080".parse().unwrap())));
        let mut six = [0; ADDRESS];
        six[..4].copy_from_slice(&[10, 0, 0, 80]);
        six[23] = 1;
        six[24] = 3;
        assert_eq!(read(&six, ADDRESS), Ok(Target::Internet("[::1%3]:80".parse().unwrap())));
        assert_eq!(read(&six[..24], 24), Ok(Target::Internet("[::1]:80".parse().unwrap())));
        assert_eq!(read(&[], 16), Ok(Target::Nothing));
        assert_eq!(read(&[1, 0, b'/'], 3), Ok(Target::Other));
    }

    #[test]
    fn what_is_too_short_is_refused_as_the_kernel_does() {
        for (family, length) in [(2, 15), (2, 2), (10, 23), (1, 1), (2, 0)] {
            assert_eq!(
                read(&[family, 0], length),
                Err(rustix::io::Errno::INVAL),
                "{family} {length}"
            );
        }
    }
}
