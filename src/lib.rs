//! Control, watch and launch applications and jobs: a process supervisor as a library, and the tools
//! on top of it.
//!
//! # What it is for
//!
//! - Keep the processes of a *job* alive: as many as wanted, restarted when they end, paced when they
//!   crash, stopped whole, grandchildren included.
//! - Tell what happens, to listeners in the loop and to other threads, in a documented order.
//! - Carry bytes to and from children without losing any and without a thread a child.
//! - Live inside a program that has a life of its own: no async runtime, no global state, no handler of
//!   `SIGCHLD`, no wait for a child it did not start, one thread, which sleeps while nothing happens.
//!
//! # What it is not
//!
//! Not an init system, a container or a scheduler: it isolates nothing and knows one machine. Not an
//! async framework: callbacks run in the loop and must not block.
//!
//! # Quick start
//!
//! ```
//! use gaffer::Manager;
//! use gaffer::process::{JobConfig, Scale};
//!
//! let mut manager = Manager::new()?;
//! manager.load(JobConfig::new("web", "sh -c 'echo serving; exec sleep 100'")?.redirect_output(["out"]), true)?;
//! manager.scale("web", Scale::To(2))?;
//!
//! manager.cx().on("proc.web", |_cx, topic, event| println!("{topic}: {event:?}"));
//! manager.cx().once("spawn", |cx, _topic, _event| cx.stop());
//! manager.run()?; // until somebody stops it and the last child is gone
//! # Ok::<(), gaffer::Error>(())
//! ```
//!
//! Other threads use a [`Handle`](manager::Handle); programs with a loop of their own poll the
//! manager's descriptor and call [`Manager::turn`]; what should live in the loop is an
//! [`App`](manager::App). The folder `examples/` has one program for each.
//!
//! # Features
//!
//! | feature | adds | crates of its own |
//! |---|---|---|
//! | (core) | [`manager`], [`table`], [`event_loop`], [`events`], [`sys`] | libc, polling |
//! | `signals` | [`signals`]: signals as an app; [`reaper`]: orphans, for process 1 | signal-hook |
//! | `procfile` | [`config`]: Procfile and .env | |
//! | `config` | [`config`]: `gafferd.ini`, its JSON twin, jobs as JSON; [`controller`]: commands and topics as JSON | serde_json |
//! | `console` | [`console`]: program output on a terminal or as JSON lines | serde_json, base64 |
//! | `log` | [`log`]: log lines, and what happens as such | serde_json |
//! | `access` | [`access`]: keys, users and their rights | argon2, hmac-sha256, serde_json |
//! | `cli` | [`cli`]: what the binaries share | lexopt |
//! | `server` | `server`: the manager over HTTP; `plugins`; `history`, the last output of programs | serde_json, httparse, sha1_smol, base64 |
//! | `client` | `client`: a blocking client of a node; `config` with it | ureq, serde_json, base64, httparse, sha1_smol |
//! | `webhooks` | `webhooks`: events posted to URLs | ureq, hmac-sha256, serde_json |
//! | `lookup` | [`lookup`]: which node has which job; the server, and the node's side | those of `server` |
//! | `etcd` | `lookup::etcd`: lookup servers that share what they know | ureq |
//! | `tls` | `tls`: TLS for the server, the client and webhooks, where these are | rustls (with ring), rustls-native-certs |
//! | `gaffer` | the Procfile tool | |
//! | `gafferd` | the daemon | |
//! | `gaffer_lookupd` | the lookup server | |
//!
//! All are on by default; a library user turns them off and gets the core alone.
//!
//! # Apps
//!
//! What the original ships as applications of its manager has its names here too, as [`App`](manager::App)s: `signals::SigHandler`,
//! `console::ConsoleOutput`, `webhooks::WebHooks`, `server::HttpServer` (also called `HttpHandler`) and `plugins::Plugins`.
//! `controller::Controller` is none: it needs no place in the loop and works through a [`Handle`](manager::Handle).
//!
//! # Theory of operation
//!
//! Four parts, none of which knows another's business, and one that puts them to work:
//!
//! - The [`table`] decides. It is a pure state machine: commands, exits and the time go in, actions
//!   (spawn, signal, reap) and events come out. It never does I/O nor reads a clock, so a million
//!   random steps are a test of seconds.
//! - The [`event_loop`] tells what is ready, and calls nobody.
//! - [`events`] delivers to those who subscribed, by a trie of dotted topics.
//! - [`sys`] is the operating system: starting a process without copying the parent, watching for its
//!   exit, its pipes, users and figures.
//! - The [`manager`] owns all of them and takes turns: wait, route what is ready, run the calls of other
//!   threads, let the table act, carry its actions out, publish what happened. Its state is lent for
//!   the turn, as [`Cx`](manager::Cx), to whoever is called.
//!
//! A process, as the table sees it:
//!
//! ```text
//!              spawned                stop, reap              exited
//!  Starting ────────────▶ Running ───────────────▶ Stopping ──────────┐
//!     │                      │        stop signal      │ graceful      ▼
//!     │ spawn_failed         │ exited                  │ timeout     Exited ──▶ (gone)
//!     ▼                      └─────────────────────────┼──────────────▲   its group is empty
//!   (gone)                                             ▼ SIGKILL      │   or killed
//!                                                   Stopping ─────────┘
//! ```
//!
//! and a job:
//!
//! ```text
//!          load            start_job                    crashes too often
//!  (none) ─────▶ Stopped ────────────▶ Active ────────────────────────────▶ Flapping
//!                   ▲  ▲                │  ▲ ▲                                 │  │
//!                   │  └────────────────┘  │ └─────────────────────────────────┘  │
//!                   │       stop_job       │        retry_in has passed           │
//!                   │                      └─ a process ended: a new one          │
//!                   └─────────────────────────────────────────────────────────────┘
//!                              max_retry tries were in vain, or stop_job
//! ```
//!
//! When a process ends, its status is only *looked at*; while the zombie is there, its number and that
//! of its process group cannot be given to anybody else. What it left in its group is asked to end,
//! then the zombie is reaped, and once the group is empty a replacement may start: its port is free.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[macro_use]
mod setters;

#[cfg(feature = "access")]
pub mod access;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(any(feature = "procfile", feature = "config"))]
pub mod config;
#[cfg(feature = "console")]
pub mod console;
#[cfg(feature = "config")]
pub mod controller;
mod error;
pub mod event_loop;
pub mod events;
#[cfg(feature = "server")]
pub mod history;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "lookup")]
pub mod lookup;
pub mod manager;
#[cfg(feature = "server")]
pub mod plugins;
pub mod process;
pub mod proto;
#[cfg(feature = "signals")]
pub mod reaper;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "signals")]
pub mod signals;
#[cfg(feature = "server")]
mod stream;
pub mod substitute;
pub mod suggest;
pub mod sys;
pub mod table;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "webhooks")]
pub mod webhooks;
pub mod words;

pub use error::{Error, ErrorKind, Result};
pub use manager::Manager;
