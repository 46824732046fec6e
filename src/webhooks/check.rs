//! What a hook may be.

use ureq::http::Uri;

use crate::process::FIRST_WORDS;
use crate::{Error, ErrorKind, Result, suggest};

/// The longest URL and the longest pattern, in bytes.
const MAX: usize = 2048;

/// Refuses a URL that cannot be posted to.
///
/// # Errors
///
/// [`Unsupported`](ErrorKind::Unsupported) for `https` in a build without the feature `tls`; [`Invalid`](ErrorKind::Invalid) for what is no
/// `http://HOST[:PORT][/PATH]` or `https://HOST[:PORT][/PATH]`.
pub fn check_url(url: &str) -> Result<()> {
    let bad = |why: &str| {
        let what = format!(
            "the URL {:?} cannot be posted to: {why}; expected http://HOST[:PORT]/PATH or https://…",
            shown(url)
        );
        Err(Error::new(ErrorKind::Invalid, what))
    };
    if url.len() > MAX {
        return bad(&format!("it has more than {MAX} bytes"));
    }
    let Ok(uri) = url.parse::<Uri>() else { return bad("it is no URL") };
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") if cfg!(feature = "tls") => {}
        Some("https") => {
            let what = format!("{}: this build has no TLS; use http", shown(url));
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        Some(other) => return bad(&format!("its scheme is {other}")),
        None => return bad("it has no scheme"),
    }
    if url.contains('#') { bad("a fragment is never sent") } else { Ok(()) }
}

/// Refuses a pattern that no event could match.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid), with the nearest event there is.
pub fn check_event(pattern: &str) -> Result<()> {
    let bad = |why: String| Err(Error::new(ErrorKind::Invalid, format!("the event {pattern:?}: {why}")));
    if pattern == "." {
        return Ok(());
    }
    if pattern.len() > MAX {
        return Err(Error::new(ErrorKind::Invalid, format!("the pattern of an event has more than {MAX} bytes")));
    }
    let words = pattern.strip_suffix('.').unwrap_or(pattern);
    if words.split('.').any(|word| word.is_empty() || word.contains(|c: char| c.is_whitespace() || c.is_control())) {
        return bad("expected `.` or words with dots between them, such as `exit` or `proc.web`".to_owned());
    }
    let first = words.split('.').next().unwrap_or_default();
    if FIRST_WORDS.contains(&first) {
        return Ok(());
    }
    bad(format!("there is no such event{}", suggest::hint(first, FIRST_WORDS.iter().copied())))
}

/// A URL for logs: who has logged in and the query, which may hold a token, are left out.
pub(super) fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for good in ["http://a", "http://a:1/x?y=z", "http://[::1]:80/", "http://u:p@h/x"] {
            check_url(good).expect(good);
        }
        for bad in ["", "a", "/x", "ftp://a/", "http://", "http://a b/", "http://a/\n", "http://a/#x", "unix:/x"] {
            assert_eq!(check_url(bad).expect_err(bad).kind(), ErrorKind::Invalid, "{bad}");
        }
        assert_eq!(check_url(&format!("http://a/{}", "x".repeat(MAX))).expect_err("long").kind(), ErrorKind::Invalid);
        let secure = check_url("https://a/");
        assert_eq!(
            secure.map_err(|e| e.kind()),
            if cfg!(feature = "tls") { Ok(()) } else { Err(ErrorKind::Unsupported) }
        );
        assert_eq!(shown("http://u:p@h:1/x?token=1#y"), "http://h:1/x");
        assert_eq!(shown("http://h?token"), "http://h");
        assert_eq!(shown("nonsense"), "nonsense");
    }

    #[test]
    fn patterns() {
        for good in [".", "exit", "exit.", "proc.web", "proc.*.exit", "*", "job.default.web.load", "unload"] {
            check_event(good).expect(good);
        }
        for bad in ["", "..", "proc..web", ".exit", "proc. web", "exti"] {
            assert_eq!(check_event(bad).expect_err(bad).kind(), ErrorKind::Invalid, "{bad}");
        }
        let e = check_event("exti").expect_err("unknown").to_string();
        assert!(e.contains("did you mean `exit`"), "{e}");
    }
}
