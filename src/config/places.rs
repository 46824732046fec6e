//! Where everything stands in a JSON text.
//!
//! `serde_json` keeps no positions and takes the last of two equal keys. So its text is walked once more, for the messages
//! and for the keys that are given twice. It has been parsed before, so it is well-formed and not nested too deep.

use std::collections::HashMap;

use super::{Origin, Position};
use crate::Result;
use crate::suggest::excerpt;

/// Deeper than this nothing of a configuration stands.
const MAX_DEPTH: usize = 6;

/// The offsets of keys and values.
pub(super) struct Places {
    text: String,
    /// By path (`jobs[2].numprocesses`): of the key, or of the value in a list, and of the value.
    by_path: HashMap<String, (usize, usize)>,
}

impl Places {
    /// Finds everything in `text`, which `serde_json` accepts.
    pub(super) fn find(text: &str, origin: Origin<'_>) -> Result<Self> {
        let mut walk = Walk { text, at: 0, origin, by_path: HashMap::new(), path: String::new(), depth: 0 };
        walk.value()?;
        let by_path = walk.by_path;
        Ok(Self { text: text.to_owned(), by_path })
    }

    /// Where the key at `path` stands.
    pub(super) fn key(&self, path: &str) -> Position<'_> {
        position(&self.text, self.by_path.get(path).map_or(0, |(key, _)| *key))
    }

    /// Where the value at `path` stands.
    pub(super) fn value(&self, path: &str) -> Position<'_> {
        position(&self.text, self.by_path.get(path).map_or(0, |(_, value)| *value))
    }
}

fn position(text: &str, offset: usize) -> Position<'_> {
    let before = &text[..offset];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    Position { line: before.matches('\n').count() + 1, before: &before[start..] }
}

/// The path of a member: `a.b`, or `a["b c"]` where the key is no simple word.
pub(super) fn member(path: &str, key: &str) -> String {
    let simple = (1..=40).contains(&key.len()) && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-*".contains(c));
    match (path.is_empty(), simple) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{}]", excerpt(key)),
    }
}

/// The path of an item of a list.
pub(super) fn item(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

struct Walk<'a> {
    text: &'a str,
    at: usize,
    origin: Origin<'a>,
    by_path: HashMap<String, (usize, usize)>,
    path: String,
    depth: usize,
}

impl<'a> Walk<'a> {
    /// The next byte that is no white space; it stays.
    fn peek(&mut self) -> u8 {
        let rest = &self.text.as_bytes()[self.at..];
        let blank = rest.iter().position(|b| !b" \t\r\n".contains(b)).unwrap_or(rest.len());
        self.at += blank;
        rest.get(blank).copied().unwrap_or(0)
    }

    fn value(&mut self) -> Result<()> {
        match self.peek() {
            b'{' => self.members(),
            b'[' => self.items(),
            b'"' => {
                self.string();
                Ok(())
            }
            _ => {
                let rest = &self.text.as_bytes()[self.at..];
                let end = rest.iter().position(|b| b",]} \t\r\n".contains(b)).unwrap_or(rest.len());
                self.at += end;
                Ok(())
            }
        }
    }

    /// Its text, escapes as they are written.
    fn string(&mut self) -> &'a str {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(&b) = bytes.get(self.at) {
            match b {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at = (self.at + 1).min(bytes.len());
        &self.text[start..self.at]
    }

    /// Goes on behind `,`; false at the end of the object or list.
    fn another(&mut self, end: u8) -> bool {
        match self.peek() {
            b',' => {
                self.at += 1;
                true
            }
            b if b == end || b == 0 => {
                self.at += 1;
                false
            }
            _ => true,
        }
    }

    fn members(&mut self) -> Result<()> {
        self.at += 1;
        let mut keys: HashMap<String, usize> = HashMap::new();
        loop {
            if (!keys.is_empty() || self.peek() == b'}') && !self.another(b'}') {
                return Ok(());
            }
            self.peek();
            let key_at = self.at;
            let key: String = serde_json::from_str(self.string()).unwrap_or_default();
            self.peek();
            self.at += 1;
            self.peek();
            let path = member(&self.path, &key);
            let shown = excerpt(&key);
            if let Some(earlier) = keys.insert(key, key_at) {
                let earlier = position(self.text, earlier).line;
                let what = format!("the key {shown} is given twice: line {earlier} has it already");
                return Err(self.origin.error(position(self.text, key_at), &what));
            }
            self.nested(path, key_at)?;
        }
    }

    fn items(&mut self) -> Result<()> {
        self.at += 1;
        let mut index = 0;
        loop {
            if (index > 0 || self.peek() == b']') && !self.another(b']') {
                return Ok(());
            }
            self.peek();
            self.nested(item(&self.path, index), self.at)?;
            index += 1;
        }
    }

    fn nested(&mut self, path: String, key_at: usize) -> Result<()> {
        if self.depth == MAX_DEPTH {
            return self.value();
        }
        self.by_path.insert(path.clone(), (key_at, self.at));
        let outer = std::mem::replace(&mut self.path, path);
        self.depth += 1;
        self.value()?;
        self.depth -= 1;
        self.path = outer;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::tests::Rng;

    #[test]
    fn finds_keys_and_values() {
        let text = "{\n \"é\": 1, \"a\": {\"b c\":[true,\n  \"x\\\"]}\", {}], \"d\" :null}, \"e\": []\n}";
        let places = Places::find(text, Origin("f")).expect("JSON");
        for (path, key, value) in [
            ("[\"é\"]", (2, 2), (2, 7)),
            ("a", (2, 10), (2, 15)),
            ("a[\"b c\"]", (2, 16), (2, 22)),
            ("a[\"b c\"][0]", (2, 23), (2, 23)),
            ("a[\"b c\"][1]", (3, 3), (3, 3)),
            ("a[\"b c\"][2]", (3, 12), (3, 12)),
            ("a.d", (3, 17), (3, 22)),
            ("e", (3, 29), (3, 34)),
        ] {
            let pair = |at: Position<'_>| (at.line, at.column());
            assert_eq!((pair(places.key(path)), pair(places.value(path))), (key, value), "{path}");
        }
        assert_eq!(places.by_path.len(), 8);
    }

    #[test]
    fn keys_differ() {
        let text = "{\"a\": {\"x\": 1},\n \"b\": {\"x\": 1,\n  \"\\u0078\": 2}}";
        let e = Places::find(text, Origin("f")).err().expect("x is given twice");
        assert_eq!(e.to_string(), "f:3:3: the key \"x\" is given twice: line 2 has it already");
    }

    #[test]
    fn follows_all_that_serde_json_accepts() {
        let pieces =
            &["{", "}", "[", "]", "\"", "\"a\"", "\"b\":", "1", ",", ":", " ", "\n", "null", "-1.5e3", "\\\"", "é"];
        let mut walked = 0;
        for seed in 0..200_000 {
            let text = Rng(seed).text(pieces, 10);
            let text = if seed % 2 == 0 { format!("{{\"a\":[{text}]}}") } else { text };
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                walked += 1;
                let _ = Places::find(&text, Origin("f"));
            }
        }
        assert!(walked > 1000, "only {walked} were JSON");
    }
}
