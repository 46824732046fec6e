//! HTTP/1.1, the side of the server: requests from bytes, and bytes from answers.
//!
//! [`Decoder`] reads the requests of one connection, [`ResponseHead`] and [`BodyWriter`] write the answers. They know no
//! socket and no clock. The grammar is httparse's; what a request means, and which ones are refused, is decided here:
//! whatever two readers could take for two different requests is refused (RFC 9112 section 11.2), with the
//! [status](Refusal::status) that fits, and nothing more is read from that connection.
//!
//! # States
//!
//! ```text
//!            empty line                  no content, or its end
//!   Idle ─▶ Head ─────────▶ Event::Head ───────────────────────▶ Event::End ─▶ Idle
//!    ▲       │ bad, or too      │ content                 ▲        │
//!    │       │ large            ▼                         │        │ not keep-alive
//!    │       │              Event::Body ──┐ length        │        ▼
//!    │       │                │ ▲ └───────┤ used up, or   │      Closed: the rest is dropped
//!    │       │    too large,  │ └─ more   │ last chunk and│
//!    │       ▼    bad chunk   │           └─ trailers ────┘
//!    │    Event::Refused ◀────┘
//!    └ first byte
//! ```
//!
//! # A conversation
//!
//! Bytes may come in any pieces; the events are the same.
//!
//! ```
//! use std::time::SystemTime;
//! use gaffer::proto::h1::{Body, CONTINUE, Decoder, Event, Exchange, HttpDate, Limits, Method, ResponseHead};
//!
//! let mut decoder = Decoder::new(Limits::default());
//! let (date, mut sent) = (HttpDate::new(SystemTime::UNIX_EPOCH), Vec::new());
//!
//! // The client asks before it sends a body.
//! let input = b"POST /jobs?x=1 HTTP/1.1\r\nHost: localhost:5000\r\n\
//!     Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n";
//! let fed = decoder.feed(input);
//! assert_eq!(fed.used, input.len());
//! let Event::Head(head) = fed.event else { panic!("a head") };
//! assert_eq!((head.method(), head.path(), head.query()), (Method::Post, "/jobs", Some("x=1")));
//! assert_eq!(head.host(), Some("localhost:5000"));
//! assert_eq!(decoder.feed(b"").event, Event::More);
//! assert!(decoder.take_continue());
//! sent.extend_from_slice(CONTINUE);
//!
//! // It sends the body and, before an answer has come, the next request.
//! let mut input = &b"2\r\n{}\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n"[..];
//! let (mut requests, mut content) = (vec![head], Vec::new());
//! loop {
//!     let fed = decoder.feed(input);
//!     input = &input[fed.used..];
//!     match fed.event {
//!         Event::More => break,
//!         Event::Head(head) => requests.push(head),
//!         Event::Body(bytes) => content.extend_from_slice(bytes),
//!         Event::End(_trailers) => {
//!             let exchange = requests[requests.len() - 1].exchange();
//!             let mut response = ResponseHead::new(200);
//!             response.field("Content-Type", "application/json")?;
//!             let mut body = response.encode(exchange, Body::Length(content.len() as u64), &date, &mut sent);
//!             body.write(&content, &mut sent)?;
//!             assert_eq!(body.finish(&mut sent)?, exchange.keep_alive);
//!             content.clear();
//!         }
//!         Event::Refused(why) => panic!("{} {why}", why.status()),
//!         _ => unreachable!("there are no other events"),
//!     }
//! }
//! assert_eq!(
//!     String::from_utf8_lossy(&sent),
//!     "HTTP/1.1 100 Continue\r\n\r\n\
//!      HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: application/json\r\n\
//!      Content-Length: 2\r\n\r\n{}\
//!      HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: application/json\r\n\
//!      Content-Length: 0\r\nConnection: close\r\n\r\n"
//! );
//!
//! // What is not HTTP is refused as soon as it shows; the answer closes the connection.
//! let fed = Decoder::new(Limits::default()).feed(b"GET / HTTP/1.1\n");
//! let Event::Refused(why) = fed.event else { panic!("a bare line feed") };
//! let _body = ResponseHead::new(why.status()).encode(Exchange::REFUSED, Body::Length(0), &date, &mut sent);
//! assert_eq!((why.status(), why.to_string().as_str()), (400, "a line ends in a bare line feed"));
//! # Ok::<(), gaffer::Error>(())
//! ```

mod block;
mod chunked;
mod conditional;
mod date;
mod decoder;
mod fields;
mod fixed;
mod head;
mod limits;
mod media;
mod parse;
mod response;
mod target;
#[cfg(test)]
mod tests;

pub use chunked::Chunked;
pub use conditional::{EntityTag, Range, if_none_match, if_range};
pub use date::HttpDate;
pub use decoder::{Decoder, Event, Fed, Phase};
pub use fields::Headers;
pub use fixed::FixedField;
pub use head::{Exchange, Framing, Method, RequestHead, Version};
pub use limits::{Limits, Refusal};
pub use media::{charset, file_type, is_media_type, quality};
pub use response::{Body, BodyWriter, CONTINUE, ResponseHead, reason};
pub use target::{Query, path_segments, percent_decode, split_authority};
