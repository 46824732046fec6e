//! `/watch`: events, as they happen.

use super::params::{bad, feed, heartbeat};
use crate::process::DEFAULT_SESSION;
use crate::server::{Call, FeedSource, FeedSpec, Refusal, Reply};

/// A pattern of more segments than any topic has matches nothing.
const MAX_SEGMENTS: usize = 16;

pub(super) fn watch(call: &mut Call<'_, '_>) -> Result<Reply, Refusal> {
    let mode = feed(call, "longpoll", false)?;
    let source = FeedSource::Events { pattern: pattern(call.param("pattern"))? };
    let heartbeat = heartbeat(call)?;
    mode.map(|mode| Reply::Feed(FeedSpec { source, mode, heartbeat })).ok_or_else(|| bad("a feed has no normal form"))
}

/// A pattern of the emitter from a path: `proc/shop:web/exit` is `proc.shop.web.exit`. Events of a job of the default
/// session are published under its label alone, so where that session is written out it is left out.
fn pattern(path: &str) -> Result<String, Refusal> {
    let mut parts = Vec::new();
    for (i, part) in path.split('/').enumerate() {
        let own = if i == 1 && parts == ["proc"] { part.strip_prefix(DEFAULT_SESSION) } else { None };
        let part = own.and_then(|rest| rest.strip_prefix([':', '.'])).unwrap_or(part);
        parts.extend(part.split([':', '.']).filter(|segment| !segment.is_empty()));
    }
    match parts.len() {
        0 => Ok(".".to_owned()),
        1..=MAX_SEGMENTS => Ok(parts.join(".")),
        n => Err(bad(format!("a pattern of {n} segments: the most is {MAX_SEGMENTS}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let cases = [
            ("", "."),
            (".", "."),
            ("exit", "exit"),
            ("proc/web", "proc.web"),
            ("proc/shop:web/exit", "proc.shop.web.exit"),
            ("proc/shop.web/exit", "proc.shop.web.exit"),
            ("proc/default:web/exit", "proc.web.exit"),
            ("proc/default/exit", "proc.default.exit"),
            ("proc/*/exit", "proc.*.exit"),
            ("job/default.web/spawn", "job.default.web.spawn"),
        ];
        for (path, want) in cases {
            assert_eq!(pattern(path).expect(path), want, "{path}");
        }
        assert_eq!(pattern(&"a/".repeat(17)).expect_err("too long").status, 400);
    }
}
