//! Connections by unix sockets, and names looked up without a thread, as ureq's own parts do not have them.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport,
};

use crate::sys::socket;

/// Connects to one socket, whatever the host of the request.
#[derive(Debug)]
pub(super) struct UnixConnector(pub(super) PathBuf);

impl Connector for UnixConnector {
    type Out = UnixTransport;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<UnixTransport>, ureq::Error> {
        socket::check_path(&self.0)?;
        let stream = Arc::new(Socket(UnixStream::connect(&self.0)?));
        let weak = Arc::downgrade(&stream);
        (details.register_shutdown)(weak)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(UnixTransport { stream, buffers }))
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct UnixTransport {
    stream: Arc<Socket>,
    buffers: LazyBuffers,
}

#[derive(Debug)]
struct Socket(UnixStream);

impl ShutdownHandle for Socket {
    fn shutdown(&self) {
        // It fails where the other side was quicker.
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

/// A time-out of a socket shows as `EAGAIN` (socket(7), SO_RCVTIMEO).
fn or_timeout(error: io::Error, timeout: NextTimeout) -> ureq::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
        _ => ureq::Error::Io(error),
    }
}

impl Transport for UnixTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        let mut stream = &self.stream.0;
        stream.set_write_timeout(timeout.not_zero().map(|after| *after))?;
        let output = &self.buffers.output()[..amount];
        stream.write_all(output).map_err(|e| or_timeout(e, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = timeout.for_read();
        let mut stream = &self.stream.0;
        stream.set_read_timeout(timeout.not_zero().map(|after| *after))?;
        let input = self.buffers.input_append_buf();
        let amount = loop {
            match stream.read(input) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(or_timeout(e, timeout)),
                Ok(amount) => break amount,
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// An idle connection has nothing to read; the end, or bytes that nobody asked for, make it useless.
    fn is_open(&mut self) -> bool {
        let mut stream = &self.stream.0;
        let idle = stream.set_nonblocking(true).is_ok()
            && matches!(stream.read(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock);
        idle && stream.set_nonblocking(false).is_ok()
    }
}

/// A socket has no address to look up.
#[derive(Debug)]
pub(super) struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        // One is demanded; the connector does not look at it.
        addresses.push(([127, 0, 0, 1], 0).into());
        Ok(addresses)
    }
}

/// Looks names up in the calling thread. The system's resolver has time-outs of its own (resolv.conf(5)), and most
/// nodes are named by their numbers; a thread for each request would cost more than it saves.
#[derive(Debug)]
pub(super) struct PlainResolver;

impl Resolver for PlainResolver {
    fn resolve(&self, uri: &Uri, config: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        DefaultResolver::default().resolve(uri, config, NextTimeout::default())
    }
}
