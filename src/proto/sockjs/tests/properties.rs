//! Random plays of a session against a client that reads what comes.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::proto::sockjs::{
    Attached, Callback, Frame, Framing, Session, Settings, Timeout, parse_messages, parse_websocket, quote,
};

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn text(&mut self) -> String {
        const ODD: &[char] =
            &['"', '\\', '\n', '\r', '\0', '<', '/', '\u{2028}', '\u{ffff}', '\u{feff}', '%', 'é', '😀', 'x'];
        let length = self.below(20);
        (0..length)
            .map(|_| match self.below(3) {
                0 => char::from_u32(self.next() as u32 & 0x1f_ffff).unwrap_or('?'),
                _ => ODD[self.below(ODD.len() as u64) as usize],
            })
            .collect()
    }

    fn framing(&mut self) -> Framing {
        let callback = Callback::new("_jp.x").expect("a name");
        match self.below(5) {
            0 => Framing::Xhr,
            1 => Framing::XhrStreaming,
            2 => Framing::EventSource,
            3 => Framing::HtmlFile(callback),
            _ => Framing::Jsonp(callback),
        }
    }
}

#[track_caller]
fn each(test: impl Fn(&mut Random)) {
    let seed = RandomState::new().hash_one(0);
    for n in 0..400 {
        let seed = seed.wrapping_add(n);
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&mut Random(seed))));
        assert!(played.is_ok(), "seed {seed}");
    }
}

/// The frames in what a response has brought after its prelude.
fn frames(framing: &Framing, body: &str) -> Vec<Frame> {
    let unquote = |text: &str| parse_websocket(text).expect(text).remove(0);
    let bare: Vec<String> = match framing {
        Framing::Xhr | Framing::XhrStreaming => body.split_terminator('\n').map(str::to_owned).collect(),
        Framing::EventSource => body
            .split_terminator("\r\n\r\n")
            .map(|event| event.strip_prefix("data: ").expect(event).replace("%25", "%"))
            .collect(),
        Framing::HtmlFile(_) => body
            .split_terminator("</script>\r\n")
            .map(|script| script.strip_prefix("<script>\np(").and_then(|s| s.strip_suffix(");\n")).expect(script))
            .map(unquote)
            .collect(),
        Framing::Jsonp(_) => body
            .split_terminator(");\r\n")
            .map(|script| unquote(script.strip_prefix("_jp.x(").expect(script)))
            .collect(),
    };
    bare.iter().map(|frame| Frame::parse(frame).unwrap_or_else(|| panic!("no frame: {frame:?}"))).collect()
}

/// A client that has one request open at most.
struct Client {
    session: Session,
    now: Instant,
    framing: Framing,
    body: String,
    open: bool,
    seen: Vec<Frame>,
}

impl Client {
    fn take(&mut self, bytes: Vec<u8>, becomes: Attached) {
        self.body.push_str(&String::from_utf8(bytes).expect("text"));
        self.open = becomes == Attached::Held;
        assert_eq!(self.open, self.session.is_attached());
        if !self.open {
            let mut prelude = Vec::new();
            self.framing.prelude(&mut prelude);
            let body = self.body.split_off(prelude.len());
            assert_eq!(self.body.as_bytes(), prelude);
            let frames = frames(&self.framing, &body);
            assert!(!frames.is_empty(), "a response ends with a frame");
            assert!(self.framing.is_streaming() || frames.len() == 1, "{frames:?}");
            self.seen.extend(frames);
            self.body.clear();
        }
    }

    fn attach(&mut self, framing: Framing) {
        self.framing = framing.clone();
        let mut out = Vec::new();
        let becomes = self.session.attach(framing, self.now, &mut out);
        self.take(out, becomes);
    }

    fn pump(&mut self) {
        if self.open {
            let mut out = Vec::new();
            let becomes = self.session.pump(self.now, &mut out);
            self.take(out, becomes);
        }
    }
}

/// However requests come and go, the client reads `o`, every message once and in order, and then the end.
#[test]
fn nothing_is_lost_doubled_or_reordered() {
    each(|random| {
        let settings = Settings { response_limit: 1 + random.below(300) as usize, ..Settings::default() };
        let now = Instant::now();
        let session = Session::new(settings, now);
        let mut client =
            Client { session, now, framing: Framing::Xhr, body: String::new(), open: false, seen: Vec::new() };
        let mut sent = Vec::new();
        for _ in 0..random.below(100) {
            match random.below(5) {
                0 | 1 => {
                    let text = random.text();
                    assert!(client.session.send(text.clone()));
                    sent.push(text);
                    if random.below(2) == 0 {
                        client.pump();
                    }
                }
                2 if !client.open => client.attach(random.framing()),
                2 => {
                    let mut out = Vec::new();
                    assert_eq!(client.session.attach(Framing::Xhr, client.now, &mut out), Attached::Done);
                    assert_eq!(out, b"c[2010,\"Another connection still open\"]\n");
                }
                3 => client.now += Duration::from_millis(random.below(4000)),
                _ => {
                    // Whoever owns it asks at each deadline.
                    let mut out = Vec::new();
                    match client.session.timeout(client.now, &mut out) {
                        Timeout::Nothing => assert!(out.is_empty() && client.session.deadline() > client.now),
                        Timeout::Heartbeat(becomes) => client.take(out, becomes),
                        Timeout::Gone => return,
                    }
                }
            }
            client.pump();
        }
        client.session.close(1000, "done");
        client.pump();
        let mut polls = 0;
        while !matches!(client.seen.last(), Some(Frame::Close(1000, _))) {
            client.attach(random.framing());
            polls += 1;
            assert!(polls <= sent.len() + 2, "it comes to an end: {:?}", client.seen);
        }
        assert_eq!(client.session.unsent(), 0);
        let mut got = Vec::new();
        for (at, frame) in client.seen.iter().enumerate() {
            match frame {
                Frame::Open => assert_eq!(at, 0),
                Frame::Messages(messages) => got.extend(messages.iter().cloned()),
                Frame::Heartbeat => {}
                Frame::Close(..) => assert_eq!(at, client.seen.len() - 1),
            }
        }
        assert_eq!(client.seen[0], Frame::Open);
        assert_eq!(got, sent);
    });
}

/// A response is no longer than its limit and one frame, and a frame no longer than the limit and one message.
#[test]
fn responses_are_bounded() {
    each(|random| {
        let limit = 64 + random.below(500) as usize;
        let settings = Settings { response_limit: limit, ..Settings::default() };
        let now = Instant::now();
        let mut session = Session::new(settings, now);
        for _ in 0..200 {
            session.send("x".repeat(random.below(50) as usize));
        }
        loop {
            let mut out = Vec::new();
            if session.attach(Framing::EventSource, now, &mut out) == Attached::Held {
                break;
            }
            assert!(out.len() <= 2 + limit + limit + 50 + 20, "{} of {limit}", out.len());
        }
        assert_eq!(session.unsent(), 0);
    });
}

/// Nothing grows by time passing or by asking.
#[test]
fn no_growth_without_input() {
    let now = Instant::now();
    let mut session = Session::new(Settings::default(), now);
    let mut out = Vec::new();
    assert_eq!(session.attach(Framing::XhrStreaming, now, &mut out), Attached::Held);
    out.clear();
    for _ in 0..1000 {
        assert_eq!(session.pump(now, &mut out), Attached::Held);
        assert_eq!(session.timeout(now, &mut out), Timeout::Nothing);
    }
    assert!(out.is_empty());
}

#[test]
fn texts_survive() {
    each(|random| {
        let all: Vec<String> = (0..random.below(5)).map(|_| random.text()).collect();
        let mut json = b"[".to_vec();
        for (at, text) in all.iter().enumerate() {
            if at > 0 {
                json.push(b',');
            }
            quote(text, &mut json);
        }
        json.push(b']');
        assert_eq!(parse_messages(&json).as_ref(), Ok(&all));
        // Another parser reads the same, and ours reads what another one writes.
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&json).expect("JSON"), serde_json::json!(all));
        assert_eq!(parse_messages(serde_json::json!(all).to_string().as_bytes()), Ok(all));
    });
}
