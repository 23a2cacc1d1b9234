//! [`ClientIp`]: the one type that holds a visitor's address. It can be neither
//! printed nor serialized: there is no `Debug`, `Display` or `Serialize`.

use std::net::IpAddr;

/// A client's address. IPv4 in IPv6 (`::ffff:a.b.c.d`) is held as IPv4.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClientIp(IpAddr);

impl ClientIp {
    pub fn new(address: IpAddr) -> ClientIp {
        ClientIp(address.to_canonical())
    }
}
