//! Lines of output as a log file has them.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::manager::StreamOrigin;
use crate::process::LogFormat;
use crate::proto::lines::Line;

/// Writing into a `Vec` never fails.
const INFALLIBLE: &str = "a Vec takes everything";

/// What stands in each line of one stream between the time and the text.
#[derive(Debug)]
pub(super) enum Head {
    Prefix(String),
    Json(Vec<u8>),
}

impl Head {
    /// None where lines are not touched.
    pub(super) fn new(format: LogFormat, origin: &StreamOrigin) -> Option<Self> {
        let name = format!("{}.{}", origin.name.short(), origin.instance);
        match format {
            LogFormat::Raw => None,
            LogFormat::Prefix => {
                let stream = if origin.fd == 2 { "err" } else { "out" };
                Some(Self::Prefix(format!(" {name}[{}] {stream} ", origin.os_pid)))
            }
            LogFormat::Json => {
                let mut head = b",\"name\":".to_vec();
                string(&mut head, &name);
                write!(head, ",\"pid\":{},\"os_pid\":{},\"stream\":", origin.pid, origin.os_pid).expect(INFALLIBLE);
                string(&mut head, &origin.label);
                Some(Self::Json(head))
            }
        }
    }

    /// Adds one line, with its end.
    pub(super) fn line(&self, out: &mut Vec<u8>, stamp: &Stamp, line: Line<'_>) {
        match self {
            Self::Prefix(head) => {
                // That a line has ended, whose last piece was full, is seen from the next.
                if line.continues && line.bytes.is_empty() {
                    return;
                }
                out.extend_from_slice(&stamp.text);
                out.extend_from_slice(head.as_bytes());
                out.extend_from_slice(if line.continues { b"+ " } else { b"| " });
                out.extend_from_slice(line.bytes);
                out.push(b'\n');
            }
            Self::Json(head) => {
                out.extend_from_slice(&stamp.json);
                out.extend_from_slice(head);
                text(out, line.bytes);
                if line.continues {
                    out.extend_from_slice(b",\"continues\":true");
                }
                out.extend_from_slice(line.end.json().as_bytes());
            }
        }
    }
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            out.extend_from_slice(b",\"text\":");
            string(out, text);
        }
        Err(_) => {
            out.extend_from_slice(b",\"base64\":\"");
            base64(out, bytes);
            out.push(b'"');
        }
    }
}

/// `"text"`, escaped as RFC 8259 section 7 wants it; U+007F and above stand as they are.
fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    // Without a way out of the loop the compiler looks at many bytes at once.
    if rest.iter().fold(true, |plain, &b| plain & (b >= 0x20) & (b != b'"') & (b != b'\\')) {
        out.extend_from_slice(rest);
        return out.push(b'"');
    }
    while let Some(at) = rest.iter().position(|b| *b < 0x20 || matches!(b, b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => write!(out, "\\u{byte:04x}").expect(INFALLIBLE),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// RFC 4648 section 4, with padding.
fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) as usize & 63;
            out.push(if digit <= group.len() { DIGITS[value] } else { b'=' });
        }
    }
}

/// A moment, as both formats write it.
#[derive(Debug)]
pub(super) struct Stamp {
    /// Seconds and microseconds since 1970.
    unix: (u64, u32),
    /// `2026-11-21T12:00:00.123Z` (RFC 3339).
    text: [u8; 24],
    /// The start of an object.
    json: Vec<u8>,
}

/// The last second that four digits of a year can tell.
const LAST: u64 = 253_402_300_799;

impl Stamp {
    pub(super) const START: Self = Self { unix: (0, 0), text: *b"1970-01-01T00:00:00.000Z", json: Vec::new() };

    /// Moves to this time; the date is worked out once a second. A clock beyond the years 1970 to 9999 is wrong
    /// anyway.
    pub(super) fn set(&mut self, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, micros) = (since.as_secs().min(LAST), since.subsec_micros());
        let mut digits = |at: usize, n: usize, value: u64| {
            let mut value = value;
            for place in (at..at + n).rev() {
                self.text[place] = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        if seconds != self.unix.0 {
            let (year, month, day) = civil(seconds / 86_400);
            let second = seconds % 86_400;
            digits(0, 4, year);
            digits(5, 2, month);
            digits(8, 2, day);
            digits(11, 2, second / 3600);
            digits(14, 2, second / 60 % 60);
            digits(17, 2, second % 60);
        }
        digits(20, 3, (micros / 1000).into());
        self.unix = (seconds, micros);
        self.json.clear();
        write!(self.json, "{{\"time\":{seconds}.{micros:06}").expect(INFALLIBLE);
    }
}

/// The year, the month from 1 and the day of a number of days since 1970: years are counted from March, so that a
/// leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::process::{OsPid, Pid};
    use crate::proto::lines::Lines;

    fn at(micros: u64) -> Stamp {
        let mut stamp = Stamp::START;
        stamp.set(UNIX_EPOCH + Duration::from_micros(micros));
        stamp
    }

    fn origin(fd: i32, label: &str) -> StreamOrigin {
        let name = Arc::new("web".parse().expect("a name"));
        StreamOrigin { name, pid: Pid(7), os_pid: OsPid(4711), instance: 2, label: label.into(), fd }
    }

    fn written(format: LogFormat, origin: &StreamOrigin, bytes: &[u8]) -> String {
        let (head, stamp) = (Head::new(format, origin).expect("a head"), at(1_795_262_400_123_456));
        let (mut out, mut lines) = (Vec::new(), Lines::new(8));
        lines.feed(bytes, &mut |line| head.line(&mut out, &stamp, line));
        lines.flush(&mut |line| head.line(&mut out, &stamp, line));
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn times() {
        let text = |seconds: u64| String::from_utf8(at(seconds * 1_000_000 + 999_999).text.to_vec()).expect("ASCII");
        assert_eq!(text(0), "1970-01-01T00:00:00.999Z");
        assert_eq!(text(951_782_399), "2000-02-28T23:59:59.999Z");
        assert_eq!(text(951_782_400), "2000-02-29T00:00:00.999Z");
        assert_eq!(text(951_868_800), "2000-03-01T00:00:00.999Z");
        assert_eq!(text(4_107_542_399), "2100-02-28T23:59:59.999Z");
        assert_eq!(text(4_107_542_400), "2100-03-01T00:00:00.999Z");
        assert_eq!(text(u64::MAX / 2_000_000), text(LAST), "a wrong clock");
        let mut stamp = at(61_000_000);
        stamp.set(UNIX_EPOCH + Duration::from_millis(1_001));
        assert_eq!(&stamp.text, b"1970-01-01T00:00:01.001Z", "clocks are set back");
    }

    #[test]
    fn prefix() {
        let text = written(LogFormat::Prefix, &origin(1, "x"), b"a b\r\n12345678");
        let head = "2026-11-21T12:00:00.123Z web.2[4711] out";
        assert_eq!(text, format!("{head} | a b\n{head} | 12345678\n"));
        let text = written(LogFormat::Prefix, &origin(2, "x"), b"123456789\n12345678\n");
        let head = "2026-11-21T12:00:00.123Z web.2[4711] err";
        assert_eq!(text, format!("{head} | 12345678\n{head} + 9\n{head} | 12345678\n"));
    }

    #[test]
    fn json() {
        let head = r#"{"time":1795262400.123456,"name":"web.2","pid":7,"os_pid":4711,"stream":"l\"1""#;
        let check = |bytes: &[u8], want: &str| {
            assert_eq!(written(LogFormat::Json, &origin(1, "l\"1"), bytes), format!("{head},{want}}}\n"));
        };
        check(b"\"\\\x01\t\x1b\n", r#""text":"\"\\\u0001\t\u001b""#);
        check("\u{e9}\u{7f}\r\n".as_bytes(), "\"text\":\"\u{e9}\u{7f}\",\"end\":\"crlf\"");
        check(b"x", r#""text":"x","end":"partial""#);
        for (bytes, want) in
            [(&b"\xff\n"[..], "/w=="), (b"\xff\xfe\n", "//4="), (b"\xff\xfea\n", "//5h"), (b"\xff123\n", "/zEyMw==")]
        {
            check(bytes, &format!("\"base64\":\"{want}\""));
        }
    }
}
