//! "Did you mean ...?"

#![forbid(unsafe_code)]

/// The candidate that `word` was most likely meant to be, if one is near enough: one mistake in
/// short words, one in three letters in long ones. Of equally near ones the first.
///
/// ```
/// use gaffer::suggest::nearest;
///
/// assert_eq!(nearest("strat", ["run", "start", "check"]), Some("start"));
/// assert_eq!(nearest("banana", ["run", "start", "check"]), None);
/// ```
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
            let allowed = (letters.len().max(other.len()) / 3).max(1);
            let distance = distance(&letters, &other);
            // A word of one letter is one mistake away from every other.
            (distance <= allowed && distance < letters.len().max(other.len())).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far() {
        let words = ["start", "stop", "run", "check", "help", "concurrency"];
        for (word, want) in [
            ("strat", Some("start")),
            ("stp", Some("stop")),
            ("RUN", Some("run")),
            ("chekc", Some("check")),
            ("concurency", Some("concurrency")),
            ("xyzzy", None),
            ("", None),
            ("r", None),
        ] {
            assert_eq!(nearest(word, words), want, "{word}");
        }
    }
}
