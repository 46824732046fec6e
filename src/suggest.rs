//! Did you mean …?
#![forbid(unsafe_code)]

/// The longest word that is compared; nobody mistypes longer ones.
const LONGEST: usize = 64;

/// The candidate that `word` was most probably meant to be, if one is near enough.
///
/// Near is a [Damerau-Levenshtein] distance (one insertion, deletion, substitution, or swap of neighbours counts 1) of
/// at most a third of the longer word's length, and at least 1; another case counts nothing. Of equally near ones
/// the first is taken. Words of more than 64 characters have no neighbours.
///
/// [Damerau-Levenshtein]: https://en.wikipedia.org/wiki/Damerau%E2%80%93Levenshtein_distance
///
/// ```
/// use gaffer::suggest::nearest;
///
/// assert_eq!(nearest("wokrer", ["web", "worker"]), Some("worker"));
/// assert_eq!(nearest("database", ["web", "worker"]), None);
/// ```
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = folded(word)?;
    let mut best = None;
    for candidate in candidates {
        let Some(other) = folded(candidate) else { continue };
        let limit = (word.len().max(other.len()) / 3).max(1);
        let distance = distance(&word, &other);
        // Two words of one letter share nothing after one substitution.
        if distance <= limit && distance < word.len().max(other.len()) && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// ``; did you mean `x`?`` to be put at the end of a message, or nothing.
#[must_use]
pub fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|found| format!("; did you mean `{found}`?")).unwrap_or_default()
}

fn folded(word: &str) -> Option<Vec<char>> {
    let chars: Vec<char> = word.chars().take(LONGEST + 1).map(|c| c.to_ascii_lowercase()).collect();
    (chars.len() <= LONGEST).then_some(chars)
}

/// The optimal string alignment distance, over three rows of the table.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let substituted = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = substituted.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// A text as a message shows it: quoted, escaped, and cut after 40 characters.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((cut, _)) => format!("{:?}…", &text[..cut]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, want) in [("", "", 0), ("abc", "abc", 0), ("abc", "acb", 1), ("kitten", "sitting", 3), ("", "ab", 2)]
        {
            let chars = |s: &str| s.chars().collect::<Vec<_>>();
            assert_eq!(distance(&chars(a), &chars(b)), want, "{a} {b}");
            assert_eq!(distance(&chars(b), &chars(a)), want, "{b} {a}");
        }
    }

    #[test]
    fn suggests_what_was_meant_and_nothing_else() {
        let jobs = ["web", "worker", "clock", "release"];
        for (word, want) in [
            ("wbe", Some("web")),
            ("WEB", Some("web")),
            ("worke", Some("worker")),
            ("clocks", Some("clock")),
            ("relaese", Some("release")),
            ("", None),
            ("x", None),
            ("database", None),
            ("wx", None),
        ] {
            assert_eq!(nearest(word, jobs), want, "{word}");
        }
        assert_eq!(nearest(&"w".repeat(65), jobs), None);
        assert_eq!(nearest("a", ["b"]), None);
        assert_eq!(hint("wep", jobs), "; did you mean `web`?");
        assert_eq!(hint("nothing", jobs), "");
    }
}
