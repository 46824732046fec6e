//! SHIM until branch server is merged.
#![allow(missing_docs)]
use crate::config::Address;
use crate::manager::{App, Cx};
use crate::proto::h1;
use crate::{Error, Result};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;
#[derive(Debug)]
pub enum Endpoint {
    Tcp { host: String, port: u16 },
    Unix { path: PathBuf, mode: u32 },
    Inherited(OwnedFd),
}
impl From<Address> for Endpoint {
    fn from(a: Address) -> Self {
        match a {
            Address::Tcp { host, port } => Self::Tcp { host, port },
            Address::Unix(path) => Self::Unix { path, mode: 0o600 },
        }
    }
}
#[derive(Debug, Default)]
pub struct Config {
    pub endpoints: Vec<Endpoint>,
    pub limits: h1::Limits,
    pub allow_origins: Vec<String>,
    pub allow_hosts: Vec<String>,
}
impl Config {
    pub fn endpoint(mut self, e: Endpoint) -> Self {
        self.endpoints.push(e);
        self
    }
    pub fn insecure(self, _: bool) -> Self {
        self
    }
    pub fn backlog(self, _: i32) -> Self {
        self
    }
    pub fn max_connections(self, _: usize) -> Self {
        self
    }
    pub fn head_timeout(self, _: Duration) -> Self {
        self
    }
    pub fn idle_timeout(self, _: Duration) -> Self {
        self
    }
    pub fn unsent(self, _: usize) -> Self {
        self
    }
}
#[derive(Debug)]
pub struct HttpServer {
    addrs: Vec<String>,
    _tcp: Vec<TcpListener>,
    _unix: Vec<(PathBuf, UnixListener)>,
}
impl HttpServer {
    pub fn bind(c: Config) -> Result<Self> {
        let mut s = Self { addrs: vec![], _tcp: vec![], _unix: vec![] };
        for e in c.endpoints {
            match e {
                Endpoint::Tcp { host, port } => {
                    let l = TcpListener::bind((host.as_str(), port))
                        .map_err(|e| Error::io(format!("cannot listen on {host}:{port}"), e))?;
                    s.addrs.push(l.local_addr().unwrap().to_string());
                    s._tcp.push(l);
                }
                Endpoint::Unix { path, .. } => {
                    let _ = std::fs::remove_file(&path);
                    let l = UnixListener::bind(&path).map_err(|e| Error::io("cannot listen", e))?;
                    s.addrs.push(format!("unix:{}", path.display()));
                    s._unix.push((path, l));
                }
                Endpoint::Inherited(fd) => {
                    let l = TcpListener::from(fd);
                    s.addrs.push(l.local_addr().unwrap().to_string());
                    s._tcp.push(l);
                }
            }
        }
        Ok(s)
    }
    pub fn local_addrs(&self) -> &[String] {
        &self.addrs
    }
}
impl Drop for HttpServer {
    fn drop(&mut self) {
        for (p, _) in &self._unix {
            let _ = std::fs::remove_file(p);
        }
    }
}
impl App for HttpServer {
    fn start(&mut self, _: &mut Cx<'_>) -> Result<()> {
        Ok(())
    }
}
