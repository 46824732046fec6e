//! A session played by bytes, and the messages in them.

use std::time::{Duration, Instant};

use gaffer::proto::sockjs::{
    Attached, Callback, Frame, Framing, Session, Settings, Timeout, frame, parse_messages, parse_websocket, quote,
};

/// What is sent is read once and in order whatever carries it, nothing goes beyond its bound, and what is understood can be written and understood again.
///
/// Each pair of bytes is a step and its argument; the whole is also read as messages.
pub fn run(data: &[u8]) {
    messages(data);
    let mut settings = Settings::default();
    settings.unsent = 4096;
    settings.response_limit = data.first().map_or(64, |&b| usize::from(b) + 1);
    let mut now = Instant::now();
    let mut session = Session::new(settings, now);
    let mut reader = Reader::default();
    let mut sent = Vec::new();
    for step in data.chunks_exact(2) {
        let (argument, mut out) = (step[1], Vec::new());
        let becomes = match step[0] % 6 {
            0 => {
                let text = String::from_utf8_lossy(&data[..usize::from(argument).min(data.len())]).into_owned();
                if session.send(text.clone()) {
                    sent.push(text);
                }
                assert!(session.unsent() <= 4096);
                None
            }
            1 if !session.is_attached() => {
                reader.framing = framing(argument);
                Some(session.attach(framing(argument), now, &mut out))
            }
            1 => {
                assert_eq!(session.attach(framing(argument), now, &mut out), Attached::Done);
                out.clear();
                None
            }
            2 => {
                now += Duration::from_millis(u64::from(argument) * 100);
                match session.timeout(now, &mut out) {
                    Timeout::Heartbeat(becomes) => Some(becomes),
                    Timeout::Nothing => None,
                    Timeout::Gone => return,
                }
            }
            3 if argument == 0 => {
                session.close(3000, "Go away!");
                None
            }
            4 if argument == 0 => return session.interrupt(now),
            _ => None,
        };
        let becomes = if session.is_attached() { Some(session.pump(now, &mut out)) } else { becomes };
        reader.body.extend_from_slice(&out);
        assert_eq!(becomes.is_some_and(|becomes| becomes == Attached::Held), session.is_attached());
        if becomes == Some(Attached::Done) {
            reader.end();
        }
    }
    if session.is_attached() {
        return;
    }
    session.close(1000, "done");
    for _ in 0..sent.len() + 3 {
        reader.framing = framing(0);
        let _ = session.attach(framing(0), now, &mut reader.body);
        reader.end();
    }
    assert!(matches!(reader.closed, Some(1000 | 1008 | 3000)), "{:?}", reader.closed);
    if reader.closed != Some(1008) {
        assert_eq!(reader.messages, sent);
    }
}

fn framing(choice: u8) -> Framing {
    let callback = || Callback::new("cb").expect("a name");
    match choice % 5 {
        0 => Framing::Xhr,
        1 => Framing::XhrStreaming,
        2 => Framing::EventSource,
        3 => Framing::HtmlFile(callback()),
        _ => Framing::Jsonp(callback()),
    }
}

/// What a client makes of responses.
struct Reader {
    framing: Framing,
    body: Vec<u8>,
    messages: Vec<String>,
    closed: Option<u16>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { framing: Framing::Xhr, body: Vec::new(), messages: Vec::new(), closed: None }
    }
}

impl Reader {
    fn end(&mut self) {
        let mut prelude = Vec::new();
        self.framing.prelude(&mut prelude);
        let body = String::from_utf8(std::mem::take(&mut self.body)).expect("text");
        let body = body.strip_prefix(std::str::from_utf8(&prelude).expect("text")).expect("the prelude");
        let (before, after) = match self.framing {
            Framing::EventSource => ("data: ", "\r\n\r\n"),
            Framing::HtmlFile(_) => ("<script>\np(", ");\n</script>\r\n"),
            Framing::Jsonp(_) => ("cb(", ");\r\n"),
            _ => ("", "\n"),
        };
        for piece in body.split_terminator(after) {
            let piece = piece.strip_prefix(before).expect("a frame");
            let quoted = matches!(self.framing, Framing::HtmlFile(_) | Framing::Jsonp(_));
            let frame = match self.framing {
                _ if quoted => parse_websocket(piece).expect("a string").remove(0),
                Framing::EventSource => piece.replace("%25", "%"),
                _ => piece.to_owned(),
            };
            assert!(self.closed.is_none() || frame.starts_with('c'), "{frame} after the end");
            match Frame::parse(&frame).expect("a frame") {
                Frame::Messages(messages) => self.messages.extend(messages),
                Frame::Close(code, _) => self.closed = Some(code),
                Frame::Open | Frame::Heartbeat => {}
            }
        }
    }
}

fn messages(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = parse_websocket(text);
        let _ = Frame::parse(text);
        let mut quoted = Vec::new();
        quote(text, &mut quoted);
        assert!(quoted.iter().all(|&b| b >= 0x20), "no line ends");
        let quoted = String::from_utf8(quoted).expect("text");
        assert_eq!(parse_websocket(&quoted), Ok(vec![text.to_owned()]));
    }
    if let Ok(messages) = parse_messages(data) {
        let again = frame::messages(messages.iter().map(String::as_str));
        assert_eq!(Frame::parse(&again), Some(Frame::Messages(messages)));
    }
}
