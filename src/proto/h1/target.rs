//! Paths and queries, decoded.

use std::borrow::Cow;

use super::Refusal;

/// The segments of a path, decoded one by one, so that a `%2F` in a name does not separate.
///
/// A trailing slash is the same resource, so an empty last segment is left out; others are kept. What `.` and `..`
/// mean, and that a segment may hold a `/`, is for the caller to judge: a route compares, a file server must refuse.
///
/// # Errors
///
/// [`Refusal::BadRequest`] for a bad escape, and for what is not UTF-8 or has a control character after it is decoded.
///
/// ```
/// # use gaffer::proto::h1::path_segments;
/// assert_eq!(path_segments("/jobs/default/a%20b/")?, ["jobs", "default", "a b"]);
/// # Ok::<(), gaffer::proto::h1::Refusal>(())
/// ```
pub fn path_segments(path: &str) -> Result<Vec<Cow<'_, str>>, Refusal> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let mut segments = Vec::with_capacity(4);
    // Paths are short, and nearly always there is nothing to decode.
    let (mut start, mut plain) = (0, true);
    for (at, byte) in path.bytes().enumerate() {
        if byte == b'/' {
            segments.push(segment(&path[start..at], plain)?);
            (start, plain) = (at + 1, true);
        } else {
            plain &= PLAIN[byte as usize];
        }
    }
    segments.push(segment(&path[start..], plain)?);
    Ok(segments)
}

/// What stands for itself.
static PLAIN: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], b'!');
    while byte <= b'~' {
        table[byte as usize] = byte != b'%';
        byte += 1;
    }
    table
};

fn segment(text: &str, plain: bool) -> Result<Cow<'_, str>, Refusal> {
    if plain { Ok(Cow::Borrowed(text)) } else { percent_decode(text) }
}

/// Decodes the escapes of a path segment (RFC 3986 section 2.1). A `+` stays what it is.
///
/// # Errors
///
/// As [`path_segments`].
pub fn percent_decode(text: &str) -> Result<Cow<'_, str>, Refusal> {
    if text.bytes().all(|b| PLAIN[b as usize]) {
        return Ok(Cow::Borrowed(text));
    }
    let decoded = decode(text, false)?;
    if decoded.chars().any(char::is_control) {
        return Err(Refusal::BadRequest("a path has a control character"));
    }
    Ok(decoded)
}

fn decode(text: &str, form: bool) -> Result<Cow<'_, str>, Refusal> {
    const ESCAPE: Refusal = Refusal::BadRequest("a % is not followed by two hexadecimal digits");
    if !text.bytes().any(|b| b == b'%' || (form && b == b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        decoded.push(match byte {
            b'%' => {
                let (&[high, low], after) = rest.split_first_chunk().ok_or(ESCAPE)?;
                rest = after;
                let digit = |b: u8| char::from(b).to_digit(16).ok_or(ESCAPE);
                (digit(high)? << 4 | digit(low)?) as u8
            }
            b'+' if form => b' ',
            byte => byte,
        });
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| Refusal::BadRequest("the target is not UTF-8"))
}

/// The host and the port of an authority that was checked, as [`RequestHead::host`](super::RequestHead::host) is: an IPv6 address
/// without its brackets, no port where none or an empty one was written.
///
/// ```
/// # use gaffer::proto::h1::split_authority;
/// assert_eq!(split_authority("[::1]:5000"), ("::1", Some(5000)));
/// assert_eq!(split_authority("localhost"), ("localhost", None));
/// ```
#[must_use]
pub fn split_authority(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = match authority.strip_prefix('[').and_then(|literal| literal.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    (host, port.and_then(|port| port.parse().ok()))
}

/// The parameters of a query, in order, as `application/x-www-form-urlencoded` writes them.
///
/// ```
/// # use gaffer::proto::h1::Query;
/// let query = Query::parse("feed=eventsource&heartbeat=10&x=a+b%21&flag")?;
/// assert_eq!(query.get("feed"), Some("eventsource"));
/// assert_eq!(query.get("x"), Some("a b!"));
/// assert_eq!(query.get("flag"), Some(""));
/// # Ok::<(), gaffer::proto::h1::Refusal>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// The most parameters there may be.
    pub const MAX: usize = 100;

    /// Reads a query, without its `?`. Empty parameters (`a=1&&b=2`) are passed over.
    ///
    /// # Errors
    ///
    /// [`Refusal::BadRequest`] for a bad escape, for what is not UTF-8, and for more than [`MAX`](Self::MAX) parameters.
    pub fn parse(query: &'a str) -> Result<Self, Refusal> {
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == Self::MAX {
                return Err(Refusal::BadRequest("the query has too many parameters"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(name, true)?, decode(value, true)?));
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter: the last one, if it is there several times.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(n, _)| n == name).map(|(_, value)| &**value)
    }

    /// All parameters, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments() {
        let ok = |path| path_segments(path).expect(path);
        assert!(ok("/").is_empty() && ok("").is_empty());
        assert_eq!(ok("/a"), ["a"]);
        assert_eq!(ok("/a/"), ["a"]);
        assert_eq!(ok("/a//b"), ["a", "", "b"]);
        assert_eq!(ok("/a%2Fb/c%25"), ["a/b", "c%"]);
        assert_eq!(ok("/%E2%82%AC+x"), ["€+x"]);
        assert_eq!(ok("/../%2e%2E"), ["..", ".."]);
        for bad in ["/%", "/%2", "/%zz", "/%+1", "/a%00", "/%ff", "/%0a", "/%7F", "/%C2%85"] {
            assert_eq!(path_segments(bad).expect_err(bad).status(), 400);
        }
    }

    #[test]
    fn authorities() {
        assert_eq!(split_authority("a:"), ("a", None));
        assert_eq!(split_authority("[::1]"), ("::1", None));
        assert_eq!(split_authority("10.0.0.1:80"), ("10.0.0.1", Some(80)));
        assert_eq!(split_authority(""), ("", None));
    }

    #[test]
    fn queries() {
        let query = Query::parse("a=1&a=2&&b=%26%3D&=x&c=1=2&d").expect("valid");
        let pairs: Vec<_> = query.iter().collect();
        assert_eq!(pairs, [("a", "1"), ("a", "2"), ("b", "&="), ("", "x"), ("c", "1=2"), ("d", "")]);
        assert_eq!((query.get("a"), query.get("e")), (Some("2"), None));
        assert_eq!(Query::parse("").expect("empty"), Query::default());
        assert_eq!(Query::parse("a=%f").expect_err("bad escape").status(), 400);
        assert!(Query::parse(&"a&".repeat(Query::MAX)).is_ok());
        assert_eq!(Query::parse(&"a&".repeat(Query::MAX + 1)).expect_err("too many").status(), 400);
    }
}
