//! Keys that stand where they do not belong, for logs.

use std::borrow::Cow;

use crate::proto::h1::percent_decode;

/// So many hexadecimal digits in a row are a key.
const DIGITS: usize = 48;

/// Digits of a key by which it may be named.
const ID: usize = 16;

/// Parameters that have a secret for their value, in small letters without `-` and `_`.
const SECRET: [&str; 8] = ["key", "apikey", "xapikey", "token", "accesstoken", "authorization", "password", "secret"];

/// A target, or a sentence with one, without keys: a long row of digits is cut to an id, and the values of parameters that should not be there are
/// left out. Keys belong into a field of the request; what is in a URL is also in histories, proxies and `Referer`.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let is_secret = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        let name = percent_decode(name).map_or_else(|_| name.to_owned(), Cow::into_owned);
        let name: String = name.chars().filter(|c| !matches!(c, '-' | '_')).collect();
        pair.contains('=') && SECRET.contains(&name.to_ascii_lowercase().as_str())
    };
    let query = query.map(|query| match query.split('&').any(|pair| is_secret(&pair)) {
        false => digits(query),
        true => {
            let all = query.split('&').map(|pair| match pair.split_once('=') {
                Some((name, _)) if is_secret(&pair) => format!("{name}=***"),
                _ => digits(pair).into_owned(),
            });
            all.collect::<Vec<_>>().join("&").into()
        }
    });
    match (digits(path), query) {
        (Cow::Borrowed(_), None | Some(Cow::Borrowed(_))) => text.into(),
        (path, None) => path,
        (path, Some(query)) => format!("{path}?{query}").into(),
    }
}

/// Cuts rows of digits.
fn digits(text: &str) -> Cow<'_, str> {
    let is_digit = |c: char| c.is_ascii_hexdigit();
    let is_long = |row: &str| row.len() >= DIGITS;
    if !text.split(|c| !is_digit(c)).any(is_long) {
        return text.into();
    }
    let (mut short, mut rest) = (String::new(), text);
    while !rest.is_empty() {
        let row = rest.find(|c| !is_digit(c)).unwrap_or(rest.len());
        let (row, after) = rest.split_at(row);
        short += if is_long(row) { &row[..ID] } else { row };
        short += if is_long(row) { "***" } else { "" };
        let others = after.find(is_digit).unwrap_or(after.len());
        short += &after[..others];
        rest = &after[others..];
    }
    short.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_cut_and_everything_else_stays() {
        let key = "0123456789abcdef0123456789ABCDEF0123456789abcdef";
        for (text, want) in [
            ("/keys/KEY", "/keys/0123456789abcdef***"),
            ("/keys/KEY/x?y", "/keys/0123456789abcdef***/x?y"),
            ("/a?q=KEY&b=1", "/a?q=0123456789abcdef***&b=1"),
            ("/watch?api_key=KEY&feed=eventsource", "/watch?api_key=***&feed=eventsource"),
            ("/watch?X-Api-Key=short&%6bey=x&Token=a%20b&n=5", "/watch?X-Api-Key=***&%6bey=***&Token=***&n=5"),
            (
                "DELETE /keys/KEY: no such key \"KEY\"",
                "DELETE /keys/0123456789abcdef***: no such key \"0123456789abcdef***\"",
            ),
            ("/keys/0123456789abcdef", "/keys/0123456789abcdef"),
            ("/jobs/default/cafe?monkey=see&key", "/jobs/default/cafe?monkey=see&key"),
            ("/a%zz?%zz=1&=2&&", "/a%zz?%zz=1&=2&&"),
            ("/é?é=ü", "/é?é=ü"),
            ("", ""),
        ] {
            assert_eq!(redact(&text.replace("KEY", key)), want, "{text}");
        }
    }
}
