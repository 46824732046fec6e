//! What the protocol's test document expects, byte for byte.

use std::time::{Duration, Instant};

use crate::proto::sockjs::{
    Attached, Callback, Frame, Framing, ParseError, Session, Settings, Timeout, frame, parse_messages, parse_websocket,
    quote,
};

fn callback(name: &str) -> Callback {
    Callback::new(name).expect(name)
}

fn text(f: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    f(&mut out);
    String::from_utf8(out).expect("text")
}

fn quoted(message: &str) -> String {
    text(|out| quote(message, out))
}

#[test]
fn frames_on_each_transport() {
    let on = |framing: Framing, frame: &str| text(|out| framing.frame(frame, out));
    for (framing, want) in [
        (Framing::Xhr, "a[\"x\"]\n"),
        (Framing::XhrStreaming, "a[\"x\"]\n"),
        (Framing::EventSource, "data: a[\"x\"]\r\n\r\n"),
        (Framing::HtmlFile(callback("callback")), "<script>\np(\"a[\\\"x\\\"]\");\n</script>\r\n"),
        (Framing::Jsonp(callback("callback")), "callback(\"a[\\\"x\\\"]\");\r\n"),
    ] {
        assert_eq!(on(framing, &frame::messages(["x"])), want);
    }
    let spaces = frame::messages(["  \0\n\r "]);
    assert_eq!(on(Framing::EventSource, &spaces), "data: a[\"  \\u0000\\n\\r \"]\r\n\r\n");
    assert_eq!(on(Framing::EventSource, &frame::messages(["%41%"])), "data: a[\"%2541%25\"]\r\n\r\n");
    let html = on(Framing::HtmlFile(callback("c")), &frame::messages(["</script><!--\u{2028}"]));
    assert_eq!(html, "<script>\np(\"a[\\\"\\u003c/script>\\u003c!--\\\\u2028\\\"]\");\n</script>\r\n");
    assert_eq!(frame::close(3000, "Go away!"), "c[3000,\"Go away!\"]");
}

#[test]
fn preludes() {
    let prelude = |framing: Framing| text(|out| framing.prelude(out));
    assert_eq!(prelude(Framing::Xhr), "");
    assert_eq!(prelude(Framing::XhrStreaming), "h".repeat(2048) + "\n");
    assert_eq!(prelude(Framing::EventSource), "\r\n");
    let head = prelude(Framing::HtmlFile(callback("_jp.a1")));
    assert!(head.len() > 1024 && head.ends_with("\r\n\r\n"), "{}", head.len());
    assert!(head.starts_with("<!doctype html>\n<html><head>\n"));
    let script = "  <script>\n    document.domain = document.domain;\n    var c = parent._jp.a1;\n    c.start();\n    \
                  function p(d) {c.message(d);};\n    window.onload = function() {c.stop();};\n  </script>";
    assert!(head.trim_end().ends_with(script), "{head}");
}

#[test]
fn callbacks_are_names() {
    for good in ["callback", "_jp.abc123", "a-b", "x"] {
        assert!(Callback::new(good).is_some(), "{good}");
    }
    let long = "x".repeat(Callback::MAX + 1);
    for bad in ["", "a b", "alert(1)//", "a;b", "é", "a\n", "<", &long] {
        assert!(Callback::new(bad).is_none(), "{bad}");
    }
}

#[test]
fn what_a_server_must_escape() {
    let mut all = String::new();
    let mut want = "\"".to_owned();
    for c in (0xff..=0xffff).filter_map(char::from_u32) {
        if matches!(u32::from(c), 0x200c..=0x200f | 0x2028..=0x202f | 0x2060..=0x206f | 0xfff0..=0xffff) {
            all.push(c);
            want += &format!("\\u{:04x}", u32::from(c));
        }
    }
    assert_eq!(quoted(&all), want + "\"");
    assert_eq!(quoted("a\"\\\u{8}\u{c}\u{1f}\u{7f}é😀"), "\"a\\\"\\\\\\b\\f\\u001f\u{7f}é😀\"");
}

#[test]
fn what_a_client_sends() {
    let ok = |json: &str| parse_messages(json.as_bytes()).map_err(|e| e.to_string());
    let strings = |all: &[&str]| Ok(all.iter().map(|&s| s.to_owned()).collect::<Vec<_>>());
    assert_eq!(ok(r#"["a"]"#), strings(&["a"]));
    assert_eq!(ok(" [ \"a\" ,\r\n\t\"b\" ] "), strings(&["a", "b"]));
    assert_eq!(ok("[]"), strings(&[]));
    assert_eq!(ok(r#"["%61bc"]"#), strings(&["%61bc"]));
    assert_eq!(ok(r#"["\ud83d\ude00 \u00e9\n\/\"\\\b\f\r\t"]"#), strings(&["😀 é\n/\"\\\u{8}\u{c}\r\t"]));
    // Half a pair, of JavaScript's strings.
    assert_eq!(ok(r#"["\ud83d", "\ude00x", "\ud83d\u0041", "\ud83dA", "\ud83d\n"]"#), {
        strings(&["\u{fffd}", "\u{fffd}x", "\u{fffd}A", "\u{fffd}A", "\u{fffd}\n"])
    });
    assert_eq!(ok(""), Err("Payload expected.".to_owned()));
    let broken = [
        "[\"x",
        "[\"a\"",
        "[\"a\",]",
        "[,]",
        "\"a\"",
        "{}",
        "[1]",
        "[null]",
        "[[\"a\"]]",
        "[\"a\"]x",
        "[\"\u{1}\"]",
        "[\"\\x\"]",
        "[\"\\u12\"]",
        "[\"\\u12g4\"]",
        "[\"\\",
        "[\"\\u+123\"]",
        "x",
        "[\"\\ud83d\\u\"]",
    ];
    for broken in broken {
        assert_eq!(ok(broken), Err("Broken JSON encoding.".to_owned()), "{broken}");
    }
    assert_eq!(parse_messages(b"[\"\xff\"]"), Err(ParseError::Broken));
    assert_eq!(parse_websocket(""), Ok(vec![]));
    assert_eq!(parse_websocket("\"a\""), Ok(vec!["a".to_owned()]));
    assert_eq!(parse_websocket("[\"a\",\"b\"]"), Ok(vec!["a".to_owned(), "b".to_owned()]));
    for broken in ["[\"a", "a", " ", "\"a\"\"b\"", "1"] {
        assert_eq!(parse_websocket(broken), Err(ParseError::Broken), "{broken}");
    }
}

#[test]
fn frames_are_read_again() {
    assert_eq!(Frame::parse("o"), Some(Frame::Open));
    assert_eq!(Frame::parse("h"), Some(Frame::Heartbeat));
    assert_eq!(Frame::parse("c[1002,\"a\\\"\"]"), Some(Frame::Close(1002, "a\"".to_owned())));
    for bad in ["", "x", "oo", "a", "a\"x\"", "c[]", "c[1]", "c[70000,\"\"]", "c[1,\"\"]x", "é"] {
        assert_eq!(Frame::parse(bad), None, "{bad}");
    }
}

struct Play {
    session: Session,
    now: Instant,
}

impl Play {
    fn new(settings: Settings) -> Self {
        let now = Instant::now();
        Self { session: Session::new(settings, now), now }
    }

    #[track_caller]
    fn attach(&mut self, framing: Framing, want: &str, becomes: Attached) {
        let mut out = Vec::new();
        assert_eq!(self.session.attach(framing, self.now, &mut out), becomes);
        assert_eq!(String::from_utf8(out).expect("text"), want);
    }

    #[track_caller]
    fn pump(&mut self, want: &str, becomes: Attached) {
        let mut out = Vec::new();
        assert_eq!(self.session.pump(self.now, &mut out), becomes);
        assert_eq!(String::from_utf8(out).expect("text"), want);
    }

    #[track_caller]
    fn after(&mut self, time: Duration, want: &str, becomes: Timeout) {
        self.now += time;
        let mut out = Vec::new();
        assert_eq!(self.session.timeout(self.now, &mut out), becomes);
        assert_eq!(String::from_utf8(out).expect("text"), want);
    }
}

const STILL_OPEN: &str = "c[2010,\"Another connection still open\"]\n";
const INTERRUPTED: &str = "c[1002,\"Connection interrupted\"]\n";
const GO_AWAY: &str = "c[3000,\"Go away!\"]\n";

#[test]
fn polling() {
    let mut play = Play::new(Settings::default());
    play.attach(Framing::Xhr, "o\n", Attached::Done);
    assert!(play.session.send("x".to_owned()) && play.session.send("y".to_owned()));
    play.attach(Framing::Jsonp(callback("cb")), "cb(\"a[\\\"x\\\",\\\"y\\\"]\");\r\n", Attached::Done);
    play.attach(Framing::Xhr, "", Attached::Held);
    play.attach(Framing::Xhr, STILL_OPEN, Attached::Done);
    assert!(play.session.send("z".to_owned()));
    play.pump("a[\"z\"]\n", Attached::Done);
    play.pump("", Attached::Done);
}

#[test]
fn closing() {
    let mut play = Play::new(Settings::default());
    play.session.close(3000, "Go away!");
    assert!(!play.session.send("x".to_owned()));
    play.attach(Framing::Xhr, "o\n", Attached::Done);
    play.attach(Framing::Xhr, GO_AWAY, Attached::Done);
    play.attach(Framing::Xhr, GO_AWAY, Attached::Done);
    let prelude = "h".repeat(2048) + "\n";
    play.attach(Framing::XhrStreaming, &(prelude.clone() + GO_AWAY), Attached::Done);
    // It is said until the delay is over, and no longer.
    play.after(Duration::from_millis(4999), "", Timeout::Nothing);
    play.attach(Framing::Xhr, GO_AWAY, Attached::Done);
    play.after(Duration::from_millis(1), "", Timeout::Gone);

    let mut play = Play::new(Settings::default());
    play.session.close(3000, "Go away!");
    play.attach(Framing::XhrStreaming, &(prelude + "o\n" + GO_AWAY), Attached::Done);
    assert!(!play.session.is_attached());
}

#[test]
fn what_was_sent_before_the_end_is_delivered() {
    let mut play = Play::new(Settings::default());
    play.attach(Framing::Xhr, "o\n", Attached::Done);
    assert!(play.session.send("last words".to_owned()));
    play.session.close(1000, "done");
    play.session.close(1001, "the first one counts");
    play.attach(Framing::Xhr, "a[\"last words\"]\n", Attached::Done);
    play.attach(Framing::Xhr, "c[1000,\"done\"]\n", Attached::Done);
}

#[test]
fn interrupted() {
    let mut play = Play::new(Settings::default());
    play.attach(Framing::Xhr, "o\n", Attached::Done);
    play.attach(Framing::Xhr, "", Attached::Held);
    play.session.interrupt(play.now);
    assert!(!play.session.is_open());
    play.attach(Framing::Xhr, INTERRUPTED, Attached::Done);
    play.attach(Framing::Xhr, INTERRUPTED, Attached::Done);
    play.after(Duration::from_secs(5), "", Timeout::Gone);
}

#[test]
fn clocks() {
    let mut play = Play::new(Settings::default());
    play.attach(Framing::EventSource, "\r\ndata: o\r\n\r\n", Attached::Held);
    play.after(Duration::from_millis(24_999), "", Timeout::Nothing);
    play.after(Duration::from_millis(1), "data: h\r\n\r\n", Timeout::Heartbeat(Attached::Held));
    play.now += Duration::from_secs(20);
    assert!(play.session.send("x".to_owned()));
    play.pump("data: a[\"x\"]\r\n\r\n", Attached::Held);
    play.after(Duration::from_secs(24), "", Timeout::Nothing);
    play.after(Duration::from_secs(1), "data: h\r\n\r\n", Timeout::Heartbeat(Attached::Held));

    let mut play = Play::new(Settings::default());
    play.attach(Framing::Xhr, "o\n", Attached::Done);
    play.after(Duration::from_secs(4), "", Timeout::Nothing);
    play.attach(Framing::Xhr, "", Attached::Held);
    play.after(Duration::from_secs(25), "h\n", Timeout::Heartbeat(Attached::Done));
    play.after(Duration::from_secs(5), "", Timeout::Gone);
    assert!(!play.session.send("nobody is there".to_owned()));
}

#[test]
fn responses_end_at_their_limit() {
    let settings = Settings { response_limit: 4096, ..Settings::default() };
    let mut play = Play::new(settings);
    play.attach(Framing::XhrStreaming, &("h".repeat(2048) + "\no\n"), Attached::Held);
    let message = "x".repeat(128);
    for n in 1..=31 {
        assert!(play.session.send(message.clone()));
        let becomes = if n == 31 { Attached::Done } else { Attached::Held };
        play.pump(&format!("a[\"{message}\"]\n"), becomes);
    }
    let big = "y".repeat(4096);
    assert!(play.session.send(big.clone()) && play.session.send("next".to_owned()));
    play.attach(Framing::EventSource, &format!("\r\ndata: a[\"{big}\"]\r\n\r\n"), Attached::Done);
    play.attach(Framing::EventSource, "\r\ndata: a[\"next\"]\r\n\r\n", Attached::Held);
}

#[test]
fn too_far_behind() {
    let settings = Settings { unsent: 1000, ..Settings::default() };
    for size in [0, 100, 1001] {
        let mut play = Play::new(settings);
        play.attach(Framing::Xhr, "o\n", Attached::Done);
        let mut sent = 0;
        while play.session.send("x".repeat(size)) {
            sent += 1;
            assert!(play.session.unsent() <= 1000);
        }
        assert!(sent <= 1000 / size_of::<String>(), "{sent} of {size}");
        assert_eq!(play.session.unsent(), 0, "it is let go");
        play.attach(Framing::Xhr, "c[1008,\"Too far behind\"]\n", Attached::Done);
    }
}
