//! Splitting, joining, plainness and substitution of commands.

use gaffer::substitute::substitute;
use gaffer::words::{is_plain, join, split};

/// Joined words split into themselves, a plain command splits, and `$$` is all that substitution undoes.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let words = split(&text);
    if let Ok(words) = &words {
        assert_eq!(&split(&join(words)).expect("joined words split"), words);
    }
    assert!(!is_plain(&text) || words.is_ok_and(|words| !words.is_empty() && !text.contains('$')));
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!(split(&join(&lines)).expect("joined words split"), lines);

    let _ = substitute(&text, |name| (name.len() % 2 == 0).then_some("$x"));
    let doubled = text.replace('$', "$$");
    assert_eq!(substitute(&doubled, |_| None::<&str>).expect("nothing but $$"), text);
}
