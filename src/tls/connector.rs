//! TLS for requests of ureq.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::{Client, Files};

/// Puts TLS over a connection where the URL is `https`.
#[derive(Debug, Default)]
pub(crate) struct TlsConnector {
    /// What was given, or what the system has, read when it is needed first.
    client: OnceLock<Client>,
}

impl From<Client> for TlsConnector {
    fn from(client: Client) -> Self {
        Self { client: client.into() }
    }
}

impl TlsConnector {
    fn client(&self) -> io::Result<Client> {
        match self.client.get() {
            Some(client) => Ok(client.clone()),
            None => {
                let client = Client::load(&Files::default()).map_err(|e| io::Error::other(e.to_string()))?;
                Ok(self.client.get_or_init(|| client).clone())
            }
        }
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(&self, details: &ConnectionDetails<'_>, below: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(below) = below else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(below)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("no certificate can be for {host:?}")))?;
        let config = Arc::clone(&self.client()?.config);
        let mut tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut below = TransportAdapter::new(below.boxed(), details.current_time.clone());
        below.set_timeout(details.timeout);
        while tls.is_handshaking() {
            match tls.complete_io(&mut below) {
                Ok((0, 0)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(_) => {}
                Err(e) => {
                    // It has sent one record, and the alert, by which the server knows why, is the second.
                    while tls.wants_write() && tls.write_tls(&mut below).is_ok_and(|n| n > 0) {}
                    return Err(e.into());
                }
            }
        }
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { stream: StreamOwned::new(tls, below), buffers })))
    }
}

/// A connection under TLS.
pub(crate) struct TlsTransport {
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    buffers: LazyBuffers,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(self.stream.flush()?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = match self.stream.read(self.buffers.input_append_buf()) {
            // No farewell: whether everything is there, HTTP knows.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => 0,
            read => read?,
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}
