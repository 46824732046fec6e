//! What a path below the prefix means.

use crate::proto::h1::{Method, percent_decode};

/// The longest name of a session, in bytes; clients draw eight.
const MAX_NAME: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Greeting,
    Info,
    Iframe,
    ChunkingTest,
    RawWebSocket,
    /// The name of the session, and how it is used.
    Session(String, Transport),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    WebSocket,
    Xhr,
    XhrStreaming,
    XhrSend,
    EventSource,
    HtmlFile,
    Jsonp,
    JsonpSend,
}

impl Place {
    /// From what follows the prefix, still percent-encoded; `None` if there is nothing.
    pub(super) fn parse(rest: &str) -> Option<Self> {
        if matches!(rest, "" | "/") {
            return Some(Self::Greeting);
        }
        let rest = rest.strip_prefix('/')?;
        let segments: Vec<_> = rest.strip_suffix('/').unwrap_or(rest).split('/').map(percent_decode).collect();
        let mut segments = segments.into_iter().map(|segment| segment.ok().filter(|segment| !segment.is_empty()));
        let first = segments.next()??;
        let (Some(second), third) = (segments.next(), segments.next()) else {
            return match &*first {
                "info" => Some(Self::Info),
                "chunking_test" => Some(Self::ChunkingTest),
                "websocket" => Some(Self::RawWebSocket),
                name => is_iframe(name).then_some(Self::Iframe),
            };
        };
        let (session, transport) = (second?, third??);
        // Which of several servers it is on is for a balancer in front of us.
        if first.contains('.') || session.contains('.') || session.len() > MAX_NAME || segments.next().is_some() {
            return None;
        }
        let transport = match &*transport {
            "websocket" => Transport::WebSocket,
            "xhr" => Transport::Xhr,
            "xhr_streaming" => Transport::XhrStreaming,
            "xhr_send" => Transport::XhrSend,
            "eventsource" => Transport::EventSource,
            "htmlfile" => Transport::HtmlFile,
            "jsonp" => Transport::Jsonp,
            "jsonp_send" => Transport::JsonpSend,
            _ => return None,
        };
        Some(Self::Session(session.into_owned(), transport))
    }

    /// The method it is used with.
    pub(super) const fn method(&self) -> Method {
        match self {
            Self::Greeting | Self::Info | Self::Iframe | Self::RawWebSocket => Method::Get,
            Self::ChunkingTest => Method::Post,
            Self::Session(_, transport) => match transport {
                Transport::WebSocket | Transport::EventSource | Transport::HtmlFile | Transport::Jsonp => Method::Get,
                Transport::Xhr | Transport::XhrStreaming | Transport::XhrSend | Transport::JsonpSend => Method::Post,
            },
        }
    }
}

/// `iframe.html`, or with a version: `iframe-1.6.1.html`.
fn is_iframe(name: &str) -> bool {
    let version = name.strip_prefix("iframe").and_then(|rest| rest.strip_suffix(".html"));
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_');
    version.is_some_and(|version| version.bytes().all(good))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_protocols_test() {
        for path in [
            "/a",
            "/a.html",
            "//",
            "///",
            "/a/a",
            "/a/a/",
            "/a/",
            "/iframe.htm",
            "/iframe",
            "/IFRAME.HTML",
            "/IFRAME",
            "/iframe.HTML",
            "/iframe.xml",
            "/iframe-/.html",
            "///xhr",
            "/a./a/xhr",
            "/a/a./xhr",
            "/././/xhr",
            "/./xhr",
            "//xhr",
            "////xhr",
            "/a/b/c/xhr",
            "/a/b/xhr/c",
            "/a/%/xhr",
            "x",
        ] {
            assert_eq!(Place::parse(path), None, "{path}");
        }
        for path in [
            "/iframe.html",
            "/iframe-a.html",
            "/iframe-.html",
            "/iframe-0.1.2.html",
            "/iframe-0.1.2abc-dirty.2144.html",
        ] {
            assert_eq!(Place::parse(path), Some(Place::Iframe), "{path}");
        }
        for (path, want) in [("", Place::Greeting), ("/", Place::Greeting), ("/info", Place::Info)] {
            assert_eq!(Place::parse(path), Some(want), "{path}");
        }
        assert_eq!(Place::parse("/websocket"), Some(Place::RawWebSocket));
        for (path, name) in
            [("/a/a/xhr", "a"), ("/_/_/xhr", "_"), ("/1/1/xhr", "1"), ("/abc_i-j%20/abc_i-j%20/xhr", "abc_i-j ")]
        {
            let want = Place::Session(name.to_owned(), Transport::Xhr);
            assert_eq!(Place::parse(path), Some(want), "{path}");
        }
    }
}
