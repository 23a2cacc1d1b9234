//! Listeners: several on one address, one for each hit thread.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::limits::BACKLOG;

/// Binds `count` listeners to `address`, among which the kernel spreads
/// connections (`SO_REUSEPORT`). Port 0 takes one free port for all.
///
/// The first is bound without sharing, so that a second server on the same
/// address fails instead of taking half of the connections.
pub fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    // A probe that shares nothing: it fails if anybody listens here.
    let probe = socket(address)?;
    probe.bind(&address.into())?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    let mut listeners = Vec::with_capacity(count.max(1));
    for _ in 0..count.max(1) {
        let socket = socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        listeners.push(socket.into());
    }
    // Until here it held the port, so that nobody could be given it in between.
    drop(probe);
    Ok(listeners)
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_zero_gives_one_port_to_all_and_a_second_server_fails() {
        let listeners = bind(SocketAddr::from(([127, 0, 0, 1], 0)), 3).expect("binds");
        let address = listeners[0].local_addr().expect("address");
        assert_eq!(listeners.len(), 3);
        assert!(listeners.iter().all(|listener| listener.local_addr().ok() == Some(address)));
        assert_eq!(bind(address, 1).err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
    }
}
