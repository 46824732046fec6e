//! How a program has ended.

use std::fmt;
use std::time::Duration;

/// How a program has ended, and what it has said.
pub(crate) struct Done {
    /// As a shell counts it: 128 + n for a signal.
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
    /// How long it took, since its start or since it was told to end.
    pub(crate) took: Duration,
}

impl Done {
    /// Panics if the exit code is another one.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "the exit code\n{self}");
        self
    }

    /// Panics if it has said anything on standard error.
    #[track_caller]
    pub(crate) fn quietly(self) -> Self {
        assert_eq!(self.err, "", "nothing on standard error\n{self}");
        self
    }

    /// Standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Panics unless `text` is on standard output.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.text().contains(text), "`{text}` is missing\n{self}");
        self
    }

    /// Panics unless standard error begins with `text`, and standard output is empty.
    #[track_caller]
    pub(crate) fn complains(self, text: &str) -> Self {
        assert!(self.err.starts_with(text), "`{text}` is missing\n{self}");
        assert_eq!(self.text(), "", "nothing on standard output\n{self}");
        self
    }

    /// What stands behind the first `|` of each line.
    pub(crate) fn of_all(&self) -> Vec<String> {
        let text = self.text();
        text.lines().filter_map(|line| line.split_once("| ")).map(|(_, rest)| rest.to_owned()).collect()
    }

    /// What stands behind `name |` at the start of lines, without timestamps.
    pub(crate) fn of(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let rest = |line: &str| {
            let (before, rest) = line.split_once("| ").or_else(|| Some((line.strip_suffix('|')?, "")))?;
            (before.trim_end() == name).then(|| rest.to_owned())
        };
        text.lines().filter_map(rest).collect()
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, err, took, .. } = self;
        let out = self.text();
        let cut = out.char_indices().nth(20_000).map_or(out.len(), |(at, _)| at);
        write!(f, "code {code} after {took:?}\n-- standard output\n{}\n-- standard error\n{err}", &out[..cut])
    }
}
