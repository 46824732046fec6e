//! Media types: of content, of files, and those a client accepts.

use super::fields::trim;

/// Whether a `Content-Type` names this type and subtype, whatever its parameters (RFC 9110 section 8.3.1).
///
/// ```
/// # use gaffer::proto::h1::is_media_type;
/// assert!(is_media_type(b"Application/JSON; charset=utf-8", "application/json"));
/// ```
#[must_use]
pub fn is_media_type(value: &[u8], essence: &str) -> bool {
    let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
    value[..end].trim_ascii().eq_ignore_ascii_case(essence.as_bytes())
}

/// The `charset` of a `Content-Type`, without quotes. `None` if it names none or is not UTF-8.
#[must_use]
pub fn charset(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    text.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        trim(name).eq_ignore_ascii_case("charset").then(|| trim(value).trim_matches('"'))
    })
}

/// How much a client likes a media type, from 0 (not at all) to 1000, by its `Accept` fields (RFC 9110 section 12.5.1).
///
/// The most specific range counts. Without a field everything is accepted. A member that is malformed counts for nothing;
/// parameters other than `q` are not compared.
///
/// ```
/// # use gaffer::proto::h1::quality;
/// let accept = b"text/event-stream, application/json;q=0.5, */*;q=0.1";
/// assert_eq!(quality([&accept[..]], "application/json"), 500);
/// assert_eq!(quality([&accept[..]], "text/plain"), 100);
/// ```
#[must_use]
pub fn quality<'a>(values: impl IntoIterator<Item = &'a [u8]>, media_type: &str) -> u16 {
    let main = media_type.split('/').next().unwrap_or_default();
    let (mut best, mut members) = ((0, 0), 0);
    let fields = values.into_iter().filter_map(|value| std::str::from_utf8(value).ok());
    for member in fields.flat_map(|value| value.split(',')).filter(|member| !trim(member).is_empty()) {
        members += 1;
        let mut parts = member.split(';').map(trim);
        let range = parts.next().unwrap_or_default();
        let specific = match range.split_once('/') {
            Some(_) if range.eq_ignore_ascii_case(media_type) => 3,
            Some((r, "*")) if r.eq_ignore_ascii_case(main) => 2,
            Some(("*", "*")) => 1,
            _ => continue,
        };
        let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        if let Some(q) = q.map_or(Some(1000), thousandths) {
            best = best.max((specific, q));
        }
    }
    if members == 0 { 1000 } else { best.1 }
}

/// RFC 9110 section 12.4.2: `0.` or `1.` and up to three digits, in thousandths.
fn thousandths(q: &str) -> Option<u16> {
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.bytes().chain(*b"000").take(3).fold(0, |n, b| n * 10 + u16::from(b - b'0'));
    match (whole, fraction) {
        ("0", fraction) => Some(fraction),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

/// The media type of a file, by the extension of its name; `application/octet-stream` for others. Text is UTF-8.
#[must_use]
pub fn file_type(name: &str) -> &'static str {
    const TYPES: &[(&str, &str)] = &[
        ("avif", "image/avif"),
        ("css", "text/css; charset=utf-8"),
        ("csv", "text/csv; charset=utf-8"),
        ("gif", "image/gif"),
        ("gz", "application/gzip"),
        ("htm", "text/html; charset=utf-8"),
        ("html", "text/html; charset=utf-8"),
        ("ico", "image/vnd.microsoft.icon"),
        ("jpeg", "image/jpeg"),
        ("jpg", "image/jpeg"),
        ("js", "text/javascript; charset=utf-8"),
        ("json", "application/json"),
        ("map", "application/json"),
        ("md", "text/markdown; charset=utf-8"),
        ("mjs", "text/javascript; charset=utf-8"),
        ("mp3", "audio/mpeg"),
        ("mp4", "video/mp4"),
        ("otf", "font/otf"),
        ("pdf", "application/pdf"),
        ("png", "image/png"),
        ("svg", "image/svg+xml"),
        ("ttf", "font/ttf"),
        ("txt", "text/plain; charset=utf-8"),
        ("wasm", "application/wasm"),
        ("webm", "video/webm"),
        ("webmanifest", "application/manifest+json"),
        ("webp", "image/webp"),
        ("woff", "font/woff"),
        ("woff2", "font/woff2"),
        ("xml", "application/xml"),
        ("zip", "application/zip"),
    ];
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    TYPES.iter().find(|(e, _)| extension.eq_ignore_ascii_case(e)).map_or("application/octet-stream", |(_, t)| t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        assert!(is_media_type(b"application/json", "application/json"));
        assert!(is_media_type(b" application/json ;a=b", "application/json"));
        assert!(!is_media_type(b"application/json+x", "application/json"));
        assert!(!is_media_type(b"", "application/json"));
        assert_eq!(charset(b"text/html; Charset=\"UTF-8\""), Some("UTF-8"));
        assert_eq!(charset(b"text/html;a=b; charset=latin1"), Some("latin1"));
        assert_eq!(charset(b"text/html"), None);
    }

    #[test]
    fn accepted() {
        for (accept, media_type, want) in [
            ("", "a/b", 1000),
            ("*/*", "a/b", 1000),
            ("a/*;q=0.3, */*", "a/b", 300),
            ("*/*, a/b;q=0", "a/b", 0),
            ("A/B;Q=0.25", "a/b", 250),
            ("a/b;level=1;q=0.125", "a/b", 125),
            ("text/html", "a/b", 0),
            ("a/b;q=2, */*;q=0.1", "a/b", 100),
            ("a/b;q=1.001", "a/b", 0),
            ("a/b;q=0.1234", "a/b", 0),
            ("a/b;q=1.000", "a/b", 1000),
            ("a/b;q=", "a/b", 0),
            ("a, */b", "a/b", 0),
        ] {
            assert_eq!(quality([accept.as_bytes()], media_type), want, "{accept}");
        }
        assert_eq!(quality([], "a/b"), 1000);
        assert_eq!(quality([&b"x/y"[..], b"a/b;q=0.7"], "a/b"), 700);
    }

    #[test]
    fn files() {
        assert_eq!(file_type("index.HTML"), "text/html; charset=utf-8");
        assert_eq!(file_type("a.tar.gz"), "application/gzip");
        for name in ["", "Makefile", "a.", "a.unknown", ".html.bak"] {
            assert_eq!(file_type(name), "application/octet-stream");
        }
    }
}
