//! TLS over a socket that never blocks, for a loop that is told what is ready.
//!
//! It looks like the socket, with three differences. What was taken by [`write`](Session::write) may be [pending](Session::is_pending) here, at most
//! 64 KiB of it. Until the [handshake](Session::is_handshaking) is over, only reading goes on. And nothing that has been decrypted stays here: a read
//! stops while there is room for another record, so that a poller, which sees the socket only, knows all there is to know.

// Either side alone has no use for what is the other's.
#![cfg_attr(not(all(feature = "server", feature = "client")), allow(dead_code))]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection};

/// The longest record is 16 KiB and 2053 bytes (RFC 8446 section 5.2, RFC 5246 section 6.2.3).
const ROOM: usize = 20 << 10;

/// Reads of the socket in one read: records may be empty, and a client could send such for ever.
const MAX_STEPS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has come.
    Fresh,
    Tls,
    /// It began as HTTP does: it is answered in clear text.
    Plain,
    /// The rules were broken, of which the owner has yet to be told.
    Broken,
    /// What still comes is thrown away.
    Failed,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Session {
    tcp: TcpStream,
    tls: Connection,
    state: State,
    said_goodbye: bool,
}

impl Session {
    /// The server's side of a connection, whose socket does not block.
    pub(crate) fn accepted(tcp: TcpStream, server: &super::Server) -> io::Result<Self> {
        let tls = Connection::Server(server.connection()?);
        Ok(Self { tcp, tls, state: State::Fresh, said_goodbye: false })
    }

    /// The client's side of a connection, whose socket does not block, to who must be of this name or address.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: nobody can be called so.
    pub(crate) fn connected(tcp: TcpStream, client: &super::Client, host: &str) -> io::Result<Self> {
        let unnamed = |_| io::Error::new(io::ErrorKind::InvalidInput, format!("no certificate can be for {host:?}"));
        let name = ServerName::try_from(host.to_owned()).map_err(unnamed)?;
        let tls = ClientConnection::new(Arc::clone(&client.config), name).map_err(io::Error::other)?;
        Ok(Self { tcp, tls: Connection::Client(tls), state: State::Tls, said_goodbye: false })
    }

    /// Goes on with the handshake to its end.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: something has to come first, or to be sent if something is [pending](Self::is_pending). Everything else is as for
    /// [`read`](Self::read).
    pub(crate) fn shake(&mut self) -> io::Result<()> {
        while self.tls.is_handshaking() {
            self.push()?;
            if self.tls.is_handshaking() && self.tls.read_tls(&mut self.tcp)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Err(e) = self.tls.process_new_packets() {
                // The alert; if it is lost, the end tells enough.
                let _ = self.push();
                return Err(io::Error::new(io::ErrorKind::InvalidData, e));
            }
        }
        self.push().map(drop)
    }

    /// The socket itself, to be asked how it is.
    pub(crate) const fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self.state, State::Fresh | State::Tls) && self.tls.is_handshaking()
    }

    /// Whether something is to be sent that `write` has taken, or that the protocol wants sent.
    pub(crate) fn is_pending(&self) -> bool {
        self.state == State::Tls && self.tls.wants_write()
    }

    /// Reads what there is, as far as there is room.
    ///
    /// # Errors
    ///
    /// `Unsupported`: the client speaks HTTP without TLS, and from now on so does this. `InvalidData`: it breaks the rules or is not trusted; it was
    /// told so, and everything that comes will be zeros. Those of the socket.
    pub(crate) fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self.state {
            State::Fresh => self.begin()?,
            State::Tls => {}
            State::Plain | State::Failed => return self.tcp.read(to),
            State::Broken => {
                self.state = State::Failed;
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        let mut filled = 0;
        for _ in 0..MAX_STEPS {
            while filled < to.len() {
                match self.tls.reader().read(&mut to[filled..]) {
                    // The end, with a farewell or without: whether everything is there, HTTP knows.
                    Ok(0) => return Ok(filled),
                    Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(filled),
                    Ok(n) => filled += n,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e),
                }
            }
            if filled > 0 && to.len() - filled < ROOM {
                return Ok(filled);
            }
            match self.tls.read_tls(&mut self.tcp) {
                Ok(0) if self.tls.is_handshaking() => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                // What is wrong with the socket will be so the next time too.
                Err(_) if filled > 0 => return Ok(filled),
                Err(e) => return Err(e),
            }
            if let Err(e) = self.tls.process_new_packets() {
                // The alert. It, and nothing else, may be lost: the client will see the end.
                let _ = self.push();
                let _ = self.tcp.shutdown(Shutdown::Write);
                self.state = if filled > 0 { State::Broken } else { State::Failed };
                return if filled > 0 { Ok(filled) } else { Err(io::Error::new(io::ErrorKind::InvalidData, e)) };
            }
            self.push()?;
        }
        if filled > 0 { Ok(filled) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    /// Looks at the first byte: no handshake begins with a letter (RFC 8446 section 5.1), and every HTTP method does.
    fn begin(&mut self) -> io::Result<()> {
        let mut first = [0];
        if self.tcp.peek(&mut first)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[0].is_ascii_uppercase() {
            self.state = State::Plain;
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.state = State::Tls;
        Ok(())
    }

    /// Takes what can be sent, and perhaps 64 KiB more. Nothing at all is taken while something is [pending](Self::is_pending) that the socket does not take.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.state {
            State::Fresh => return Err(io::ErrorKind::WouldBlock.into()),
            State::Tls => {}
            State::Plain => return self.tcp.write(bytes),
            State::Broken | State::Failed => return Err(io::ErrorKind::BrokenPipe.into()),
        }
        let (mut taken, mut moved) = (0, false);
        loop {
            moved |= self.push()?;
            if taken == bytes.len() {
                break;
            }
            if self.tls.wants_write() || self.tls.is_handshaking() {
                break;
            }
            taken += self.tls.writer().write(&bytes[taken..])?;
        }
        if taken == 0 && !moved && (!bytes.is_empty() || self.tls.wants_write()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(taken)
    }

    /// Sends what is pending, as far as it goes; whether anything went.
    fn push(&mut self) -> io::Result<bool> {
        let mut moved = false;
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.tcp) {
                Ok(_) => moved = true,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(moved)
    }

    /// Tells the client that what it got is all there is, as far as that can be told without waiting.
    pub(crate) fn say_goodbye(&mut self) {
        if self.state == State::Tls && !self.tls.is_handshaking() && !self.said_goodbye {
            self.said_goodbye = true;
            self.tls.send_close_notify();
            // A client that is gone needs none.
            let _ = self.push();
        }
    }

    /// Ends our side.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.say_goodbye();
        self.tcp.shutdown(Shutdown::Write)
    }
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}
