//! The head of a request that was taken.

use std::fmt;

use super::fields::{Headers, Span};

/// A request method. Others are refused with 501.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "RFC 9110 section 9.3 and RFC 5789 say what they mean")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Patch,
}

impl Method {
    /// As it stands on the request line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
        }
    }

    /// The method of this name; names are case-sensitive (RFC 9110 section 9.1).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            "PATCH" => Self::Patch,
            _ => return None,
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Version {
    Http10,
    Http11,
}

/// How the end of the content is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no content, and nothing was said about its length.
    Empty,
    /// A `Content-Length`, in bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// What of a request its answer depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange {
    /// The version of the request: 1.0 knows no chunks.
    pub version: Version,
    /// Whether the request was a `HEAD`, whose answer has no content.
    pub head: bool,
    /// Whether the connection stays open after the answer.
    pub keep_alive: bool,
}

impl Exchange {
    /// For the answer to a request that could not be read: the connection closes after it.
    pub const REFUSED: Self = Self { version: Version::Http11, head: false, keep_alive: false };

    /// The same, but the connection closes after the answer.
    #[must_use]
    pub const fn close(mut self) -> Self {
        self.keep_alive = false;
        self
    }
}

/// The head of a request that was taken: every rule about its framing was checked.
#[derive(Clone)]
pub struct RequestHead {
    pub(super) headers: Headers,
    pub(super) target: Place,
    pub(super) path: Place,
    pub(super) query: Option<Place>,
    pub(super) host: Option<Place>,
    pub(super) method: Method,
    pub(super) framing: Framing,
    pub(super) version: Version,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    pub(super) expects_continue: bool,
}

/// Text of the head, or of no head where the target leaves it out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    In(Span),
    Root,
    Server,
}

impl PartialEq for RequestHead {
    /// Everything else follows from these.
    fn eq(&self, other: &Self) -> bool {
        (self.method, self.target(), self.version) == (other.method, other.target(), other.version)
            && self.headers == other.headers
    }
}

impl Eq for RequestHead {}

impl RequestHead {
    /// The method.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The target as it was sent.
    #[must_use]
    pub fn target(&self) -> &str {
        self.place(self.target)
    }

    /// The path of the target, still percent-encoded: starts with `/`, or is `*` for `OPTIONS`. Of an
    /// absolute target it is what follows the authority. See [`path_segments`](super::path_segments).
    #[must_use]
    pub fn path(&self) -> &str {
        self.place(self.path)
    }

    /// What follows the `?` of the target, still percent-encoded. See [`Query`](super::Query).
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.map(|place| self.place(place))
    }

    /// Whom the request is for, with the port if one was written: the authority of an absolute target,
    /// else the `Host` field, which may be empty. `None` only where HTTP/1.0 left it out.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.map(|place| self.place(place))
    }

    /// The header fields.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// How the end of the content is found.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the client would use the connection again: RFC 9112 section 9.3.
    #[must_use]
    pub const fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the client waits for a `100 Continue` before it sends the content. When it should be sent,
    /// [`Decoder::take_continue`](super::Decoder::take_continue) says.
    #[must_use]
    pub const fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// Whether an upgrade to this protocol is asked for, by `Upgrade` and `Connection` and in HTTP/1.1.
    #[must_use]
    pub fn upgrades_to(&self, protocol: &str) -> bool {
        self.upgrades().any(|p| p.eq_ignore_ascii_case(protocol))
    }

    /// The protocols an upgrade is asked for, most wanted first.
    pub fn upgrades(&self) -> impl Iterator<Item = &str> {
        self.headers.tokens("upgrade").filter(|_| self.upgrade)
    }

    /// What the answer depends on.
    #[must_use]
    pub const fn exchange(&self) -> Exchange {
        Exchange { version: self.version, head: matches!(self.method, Method::Head), keep_alive: self.keep_alive }
    }

    fn place(&self, place: Place) -> &str {
        match place {
            Place::In(span) => self.headers.text.ascii(span),
            Place::Root => "/",
            Place::Server => "*",
        }
    }
}

impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("target", &self.target())
            .field("version", &self.version)
            .field("framing", &self.framing)
            .field("keep_alive", &self.keep_alive)
            .field("headers", &self.headers)
            .finish()
    }
}
