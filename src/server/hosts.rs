//! Who may ask: the names of the server, and the origins of pages.

use std::net::IpAddr;

use super::call::Refusal;
use crate::proto::h1::{Method, RequestHead, ResponseHead, split_authority};

/// What a preflight allows (spec section 5).
const METHODS: &str = "POST, GET, PUT, DELETE, OPTIONS";
const FIELDS: &str =
    "X-Requested-With, X-HTTP-Method-Override, Content-Type, Accept, Authorization, X-Api-Key, Last-Event-ID";

/// The rules.
#[derive(Debug, Default)]
pub(super) struct Access {
    hosts: Vec<String>,
    origins: Vec<String>,
    any_origin: bool,
}

/// What an `Origin` is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin<'a> {
    /// None was told, or it is our own: no page of others.
    Own,
    /// A page that may.
    Allowed(&'a str),
    /// Any page may.
    Any,
    /// A page that may not.
    Foreign(&'a str),
}

impl Access {
    pub(super) fn new(hosts: Vec<String>, origins: Vec<String>) -> Self {
        let any_origin = origins.iter().any(|origin| origin == "*");
        let origins = origins.into_iter().map(|origin| origin.trim_end_matches('/').to_owned()).collect();
        Self { hosts, origins, any_origin }
    }

    pub(super) fn add_host(&mut self, host: &str) {
        self.hosts.push(host.to_owned());
    }

    /// Against DNS rebinding: a page of `evil.example` whose name suddenly means 127.0.0.1 still says `Host: evil.example`.
    pub(super) fn check_host(&self, head: &RequestHead) -> Result<(), Refusal> {
        // Only HTTP/1.0 may leave it out, and no browser does.
        let Some(authority) = head.host().filter(|authority| !authority.is_empty()) else { return Ok(()) };
        let (host, _) = split_authority(authority);
        let host = host.strip_suffix('.').unwrap_or(host);
        let known = host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok()
            || self.hosts.iter().any(|name| name.eq_ignore_ascii_case(host));
        if known {
            return Ok(());
        }
        let reason = format!("this server is not '{host}'; a name it should answer to must be allowed (allow_hosts)");
        Err(Refusal::new(421, "misdirected_request", reason))
    }

    /// Whether any page may.
    pub(super) const fn is_open(&self) -> bool {
        self.any_origin
    }

    /// The pages that may.
    pub(super) fn origins(&self) -> impl Iterator<Item = &str> {
        self.origins.iter().map(String::as_str)
    }

    pub(super) fn origin<'a>(&self, head: &'a RequestHead) -> Origin<'a> {
        let Some(value) = head.headers().get("origin") else { return Origin::Own };
        let Ok(origin) = std::str::from_utf8(value) else { return Origin::Foreign("(not text)") };
        self.judge(origin, head)
    }

    /// What a page of this origin is to the server that a request was for.
    pub(super) fn judge<'a>(&self, origin: &'a str, head: &RequestHead) -> Origin<'a> {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if authority.is_some() && authority == head.host() {
            Origin::Own
        } else if self.any_origin {
            Origin::Any
        } else if self.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)) {
            Origin::Allowed(origin)
        } else {
            Origin::Foreign(origin)
        }
    }

    /// A page of a foreign origin cannot read answers, which its browser sees to. But it can send, so what changes something
    /// (and a websocket, for which browsers ask nobody) is refused here.
    pub(super) fn check_origin(&self, head: &RequestHead) -> Result<(), Refusal> {
        let safe = matches!(head.method(), Method::Get | Method::Head | Method::Options);
        match self.origin(head) {
            Origin::Foreign(origin) if !safe || head.upgrades_to("websocket") => {
                let reason = format!("pages of {origin} may not use this server (allow_origins)");
                Err(Refusal::new(403, "forbidden_origin", reason))
            }
            _ => Ok(()),
        }
    }

    /// The fields by which a browser lets a page see the answer. No credentials: keys travel in fields of their own.
    pub(super) fn describe(&self, head: &RequestHead, response: &mut ResponseHead) {
        let allowed = match self.origin(head) {
            Origin::Allowed(origin) => origin,
            Origin::Any => "*",
            Origin::Own | Origin::Foreign(_) => {
                if !self.origins.is_empty() && !self.any_origin {
                    add(response, "Vary", "Origin");
                }
                return;
            }
        };
        add(response, "Access-Control-Allow-Origin", allowed);
        if allowed != "*" {
            add(response, "Vary", "Origin");
        }
        if head.method() == Method::Options && head.headers().get("access-control-request-method").is_some() {
            add(response, "Access-Control-Allow-Methods", METHODS);
            add(response, "Access-Control-Allow-Headers", FIELDS);
            add(response, "Access-Control-Max-Age", "86400");
        } else {
            add(response, "Access-Control-Expose-Headers", "ETag, Location");
        }
    }
}

fn add(response: &mut ResponseHead, name: &str, value: &str) {
    response.field(name, value).expect("the value was a field before, or is fixed");
}
