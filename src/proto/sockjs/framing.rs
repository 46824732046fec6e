//! What a transport makes of a frame.

use super::json::{escape, quote};

/// Bytes before the first frame of `xhr_streaming`, for browsers that show nothing of less.
const PRELUDE: usize = 2048;

/// Bytes that the head of `htmlfile` has at least, for the same reason.
const MIN_HEAD: usize = 1024;

/// A transport that carries frames to the client in the content of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// `xhr`: one frame a response.
    Xhr,
    /// `xhr_streaming`: lines.
    XhrStreaming,
    /// `eventsource`: server-sent events.
    EventSource,
    /// `htmlfile`: a page of scripts.
    HtmlFile(Callback),
    /// `jsonp`: one script a response.
    Jsonp(Callback),
}

/// The name of a function that a script of ours is to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback(String);

impl Callback {
    /// The most bytes of a name.
    pub const MAX: usize = 128;

    /// A name of letters, digits, `_`, `-` and `.`, such as `_jp.a1b2`; anything else could be a script of somebody's own.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let valid = !name.is_empty() && name.len() <= Self::MAX && name.bytes().all(good);
        valid.then(|| Self(name.to_owned()))
    }
}

impl Framing {
    /// The media type of the response.
    #[must_use]
    pub const fn media_type(&self) -> &'static str {
        match self {
            Self::Xhr | Self::XhrStreaming | Self::Jsonp(_) => "application/javascript; charset=UTF-8",
            Self::EventSource => "text/event-stream; charset=UTF-8",
            Self::HtmlFile(_) => "text/html; charset=UTF-8",
        }
    }

    /// Whether a response takes more than one frame.
    #[must_use]
    pub const fn is_streaming(&self) -> bool {
        !matches!(self, Self::Xhr | Self::Jsonp(_))
    }

    /// Appends what comes before the first frame of a response.
    pub fn prelude(&self, out: &mut Vec<u8>) {
        match self {
            Self::Xhr | Self::Jsonp(_) => {}
            Self::XhrStreaming => {
                out.resize(out.len() + PRELUDE, b'h');
                out.push(b'\n');
            }
            // For Opera, which lost the first line.
            Self::EventSource => out.extend_from_slice(b"\r\n"),
            Self::HtmlFile(Callback(callback)) => {
                let start = out.len();
                out.extend_from_slice(HEAD[0].as_bytes());
                out.extend_from_slice(callback.as_bytes());
                out.extend_from_slice(HEAD[1].as_bytes());
                out.resize(out.len().max(start + MIN_HEAD), b' ');
                out.extend_from_slice(b"\r\n\r\n");
            }
        }
    }

    /// Appends one frame, as [`frame`](super::frame) writes them: without line ends.
    pub fn frame(&self, frame: &str, out: &mut Vec<u8>) {
        match self {
            Self::Xhr | Self::XhrStreaming => {
                out.extend_from_slice(frame.as_bytes());
                out.push(b'\n');
            }
            Self::EventSource => {
                out.extend_from_slice(b"data: ");
                // The protocol's text has no word of it, but its client decodes what comes as a URI.
                for (at, piece) in frame.split('%').enumerate() {
                    if at > 0 {
                        out.extend_from_slice(b"%25");
                    }
                    out.extend_from_slice(piece.as_bytes());
                }
                out.extend_from_slice(b"\r\n\r\n");
            }
            Self::HtmlFile(_) => {
                out.extend_from_slice(b"<script>\np(");
                let mut quoted = Vec::new();
                quote(frame, &mut quoted);
                for &byte in &quoted {
                    // A message with `</script>` in it must not end ours.
                    if byte == b'<' { escape(u32::from(byte), out) } else { out.push(byte) }
                }
                out.extend_from_slice(b");\n</script>\r\n");
            }
            Self::Jsonp(Callback(callback)) => {
                out.extend_from_slice(callback.as_bytes());
                out.push(b'(');
                quote(frame, out);
                out.extend_from_slice(b");\r\n");
            }
        }
    }
}

/// The head of `htmlfile`, before and after the callback.
const HEAD: [&str; 2] = [
    r#"<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent."#,
    r#";
    c.start();
    function p(d) {c.message(d);};
    window.onload = function() {c.stop();};
  </script>
"#,
];
