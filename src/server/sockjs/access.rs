//! Which pages may use a service.

use crate::proto::h1::RequestHead;
use crate::server::call::Refusal;
use crate::server::hosts::{Access, Origin};

/// The origin in a `Referer`.
fn origin_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}

/// Whether the page that asks may.
///
/// `Origin` comes with everything that sends, and with what scripts read; a script or frame of a page, which is what `jsonp` and `htmlfile` are, comes
/// without, so there it is told by `Referer` and `Sec-Fetch-Site`. Clients that are no browsers send none of them.
pub(super) fn check(access: &Access, head: &RequestHead) -> Result<(), Refusal> {
    let refused = |page: &str| {
        let reason = format!("pages of {page} may not use this server (allow_origins)");
        Err(Refusal::new(403, "forbidden_origin", reason))
    };
    let fields = head.headers();
    if fields.get("origin").is_some() {
        return match access.origin(head) {
            Origin::Foreign(origin) => refused(origin),
            _ => Ok(()),
        };
    }
    let site = fields.text("sec-fetch-site").unwrap_or("none");
    if site == "same-origin" {
        return Ok(());
    }
    match fields.text("referer").map(origin_of) {
        Some(origin) => match access.judge(origin, head) {
            Origin::Foreign(origin) => refused(origin),
            _ => Ok(()),
        },
        None if matches!(site, "cross-site" | "same-site") && !access.is_open() => refused("another site"),
        None => Ok(()),
    }
}

/// Who may embed a page of ours: `Content-Security-Policy`.
pub(super) fn ancestors(access: &Access) -> Option<String> {
    if access.is_open() {
        return None;
    }
    let mut policy = "frame-ancestors 'self'".to_owned();
    // What could not stand in the field would let its neighbours in or out.
    let plain = |origin: &&str| origin.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b';' | b','));
    for origin in access.origins().filter(plain) {
        policy.push(' ');
        policy.push_str(origin);
    }
    Some(policy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::h1::{Decoder, Event, Limits};

    fn ask(origins: &[&str], fields: &str) -> bool {
        let access = Access::new(Vec::new(), origins.iter().map(|&origin| origin.to_owned()).collect());
        let request = format!("GET /channel/0/a/jsonp?c=f HTTP/1.1\r\nHost: localhost:5000\r\n{fields}\r\n");
        let mut decoder = Decoder::new(Limits::default());
        let Event::Head(head) = decoder.feed(request.as_bytes()).event else { panic!("a head") };
        check(&access, &head).is_ok()
    }

    #[test]
    fn pages_are_known_by_whatever_tells_them() {
        let page = &["http://page.example"][..];
        for (origins, fields, want) in [
            (page, "", true),
            (page, "Origin: http://page.example\r\n", true),
            (page, "Origin: http://localhost:5000\r\n", true),
            (page, "Origin: http://evil.example\r\n", false),
            (page, "Origin: null\r\n", false),
            (page, "Origin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n", false),
            (page, "Referer: http://page.example/x?y\r\nSec-Fetch-Site: cross-site\r\n", true),
            (page, "Referer: http://evil.example/\r\nSec-Fetch-Site: cross-site\r\n", false),
            (page, "Referer: http://evil.example\r\n", false),
            (page, "Referer: http://page.example.evil.example/\r\n", false),
            (page, "Sec-Fetch-Site: cross-site\r\n", false),
            (page, "Sec-Fetch-Site: same-site\r\n", false),
            (page, "Sec-Fetch-Site: none\r\n", true),
            (page, "Sec-Fetch-Site: same-origin\r\n", true),
            (page, "Referer: http://localhost:5000/channel/iframe.html\r\nSec-Fetch-Site: same-origin\r\n", true),
            (&["*"], "Sec-Fetch-Site: cross-site\r\n", true),
            (&["*"], "Origin: null\r\n", true),
        ] {
            assert_eq!(ask(origins, fields), want, "{origins:?} {fields}");
        }
    }

    #[test]
    fn only_allowed_pages_embed() {
        let of = |origins: &[&str]| {
            ancestors(&Access::new(Vec::new(), origins.iter().map(|&origin| origin.to_owned()).collect()))
        };
        assert_eq!(of(&[]).as_deref(), Some("frame-ancestors 'self'"));
        let want = "frame-ancestors 'self' http://a.example https://b.example:1";
        assert_eq!(of(&["http://a.example/", "https://b.example:1", "x; y"]).as_deref(), Some(want));
        assert_eq!(of(&["*"]), None);
    }
}
