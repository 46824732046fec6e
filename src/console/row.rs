//! How lines come to stand on the screen, one behind the other.

use std::time::SystemTime;

use super::clock::Clock;
use super::palette::{Palette, RESET, Rendition};
use super::{Options, json};
use crate::process::Pid;
use crate::proto::lines::{Line, LineEnd};

/// A stream: the process and the place among its streams.
pub(super) type Key = (Pid, usize);

/// What the lines of all streams share.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) options: Options,
    pub(super) out: Vec<u8>,
    pub(super) clock: Clock,
    pub(super) palette: Palette,
    /// The columns of the longest name so far.
    pub(super) width: usize,
    /// The stream whose unfinished line is the last thing written.
    pub(super) open: Option<Key>,
    /// Whether colours must be switched off where that line ends.
    open_colored: bool,
    /// The start of a JSON object, and the time it was made for.
    json_start: (Option<SystemTime>, Vec<u8>),
}

impl Screen {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            out: Vec::new(),
            clock: Clock::new(),
            palette: Palette::default(),
            width: 0,
            open: None,
            open_colored: false,
            json_start: (None, Vec::new()),
        }
    }

    /// Ends the row of an unfinished line.
    pub(super) fn close(&mut self) {
        if self.open.take().is_some() {
            if self.open_colored {
                self.out.extend_from_slice(RESET);
            }
            self.out.push(b'\n');
        }
    }

    /// `HH:MM:SS name   | `, in colour where there are any.
    pub(super) fn prefix(&self, time: [u8; 8], name: &str, color: &str, out: &mut Vec<u8>) {
        self.prefix_start(time, name, color, out);
        if self.options.color && !color.is_empty() {
            out.extend_from_slice(RESET);
        }
        out.push(b' ');
    }

    fn prefix_start(&self, time: [u8; 8], name: &str, color: &str, out: &mut Vec<u8>) {
        if self.options.color {
            out.extend_from_slice(color.as_bytes());
        }
        if self.options.timestamp {
            out.extend_from_slice(&time);
            out.push(b' ');
        }
        out.extend_from_slice(name.as_bytes());
        out.resize(out.len() + self.width.saturating_sub(columns(name)) + 1, b' ');
        out.push(b'|');
    }

    /// A row of the manager's own words, all of it in colour.
    pub(super) fn words(&mut self, time: SystemTime, name: &str, color: &str, words: &str) {
        self.close();
        let time = self.clock.text(time);
        let mut out = std::mem::take(&mut self.out);
        self.prefix_start(time, name, color, &mut out);
        out.push(b' ');
        out.extend_from_slice(words.as_bytes());
        if self.options.color && !color.is_empty() {
            out.extend_from_slice(RESET);
        }
        out.push(b'\n');
        self.out = out;
    }
}

/// How many columns a name takes. Names are ASCII; others are counted by character.
pub(super) fn columns(name: &str) -> usize {
    name.chars().count()
}

/// Where the lines of one stream go for the time of one call.
pub(super) struct Row<'a> {
    pub(super) screen: &'a mut Screen,
    pub(super) key: Key,
    /// The prefix, or in JSON what stands between the time and the text.
    pub(super) head: &'a [u8],
    pub(super) rendition: &'a mut Rendition,
    /// Whether escape sequences may be in the lines.
    pub(super) escape: bool,
    pub(super) wall: SystemTime,
    /// Whether any line was put.
    pub(super) any: bool,
}

impl Row<'_> {
    pub(super) fn put(&mut self, line: Line<'_>) {
        self.any = true;
        if self.screen.options.json {
            let (made_for, start) = &mut self.screen.json_start;
            if *made_for != Some(self.wall) {
                start.clear();
                json::time(start, self.wall);
                *made_for = Some(self.wall);
            }
            self.screen.out.extend_from_slice(start);
            self.screen.out.extend_from_slice(self.head);
            json::line(&mut self.screen.out, line);
        } else if line.end == LineEnd::Newline && !line.continues && !self.escape && self.screen.open.is_none() {
            let out = &mut self.screen.out;
            out.reserve(self.head.len() + line.bytes.len() + 1);
            out.extend_from_slice(self.head);
            out.extend_from_slice(line.bytes);
            out.push(b'\n');
        } else {
            self.text(line);
        }
    }

    fn text(&mut self, line: Line<'_>) {
        let goes_on = line.continues && self.screen.open == Some(self.key);
        if !goes_on {
            if line.continues && line.bytes.is_empty() {
                // It was closed when somebody else wrote.
                return;
            }
            self.screen.close();
            self.screen.out.extend_from_slice(self.head);
            self.screen.out.extend_from_slice(self.rendition.sequences());
        }
        self.screen.out.extend_from_slice(line.bytes);
        if self.escape {
            self.rendition.follow(line.bytes);
        }
        let colored = !self.rendition.sequences().is_empty();
        self.screen.open = Some(self.key);
        self.screen.open_colored = colored;
        if line.end.is_complete() {
            self.screen.close();
        }
    }
}
