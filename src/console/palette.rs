//! A colour for each process type, and the colours that programs leave switched on.

/// As the original has them: cyan, yellow, green, magenta, red, blue, then the same in bold.
const COLORS: [&str; 12] = [
    "\x1b[36m",
    "\x1b[33m",
    "\x1b[32m",
    "\x1b[35m",
    "\x1b[31m",
    "\x1b[34m",
    "\x1b[1;36m",
    "\x1b[1;33m",
    "\x1b[1;32m",
    "\x1b[1;35m",
    "\x1b[1;31m",
    "\x1b[1;34m",
];

/// Switches off colours and bold alike.
pub(super) const RESET: &[u8] = b"\x1b[0m";

/// Colours in the order in which process types first appear, from the start again after twelve.
#[derive(Debug, Default)]
pub(super) struct Palette {
    /// One entry a process type: bounded by the jobs ever shown.
    labels: Vec<Box<str>>,
}

impl Palette {
    pub(super) fn color(&mut self, label: &str) -> &'static str {
        let place = self.labels.iter().position(|known| &**known == label).unwrap_or_else(|| {
            self.labels.push(label.into());
            self.labels.len() - 1
        });
        COLORS[place % COLORS.len()]
    }
}

/// The colours ("graphic rendition") that a stream has switched on and not off again.
#[derive(Debug, Default)]
pub(super) struct Rendition {
    /// The sequences since the last reset, one after the other.
    on: Vec<u8>,
}

/// More than this is forgotten: the lines after it lose their colour, and nothing else.
const LONGEST: usize = 128;

impl Rendition {
    /// What switches them on again; empty if none is on.
    pub(super) fn sequences(&self) -> &[u8] {
        &self.on
    }

    /// Follows the sequences `ESC [ numbers m` in `text`.
    pub(super) fn follow(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some(start) = rest.iter().position(|&b| b == 0x1b) {
            rest = &rest[start..];
            let Some(parameters) = rest.strip_prefix(b"\x1b[") else {
                rest = &rest[1..];
                continue;
            };
            let length = parameters.iter().take_while(|b| b"0123456789;:".contains(b)).count();
            if parameters.get(length) == Some(&b'm') {
                let (parameters, sequence) = (&parameters[..length], &rest[..length + 3]);
                // An empty number is 0, which resets (ECMA-48, 8.3.117); what follows it counts.
                if parameters.is_empty() || parameters.starts_with(b"0") || parameters.starts_with(b";") {
                    self.on.clear();
                }
                let resets = parameters.split(|b| *b == b';').all(|n| n.iter().all(|b| *b == b'0'));
                if !resets {
                    if self.on.len() + sequence.len() > LONGEST {
                        self.on.clear();
                    }
                    if sequence.len() <= LONGEST {
                        self.on.extend_from_slice(sequence);
                    }
                }
            }
            rest = &rest[2..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_colors_in_turn() {
        let mut palette = Palette::default();
        let labels: Vec<String> = (0..13).map(|n| format!("p{n}")).collect();
        let colors: Vec<&str> = labels.iter().map(|label| palette.color(label)).collect();
        assert_eq!((colors[0], colors[6], colors[12]), ("\x1b[36m", "\x1b[1;36m", "\x1b[36m"));
        assert_eq!(palette.color("p1"), "\x1b[33m");
    }

    #[test]
    fn follows_colors() {
        for (text, want) in [
            ("plain", ""),
            ("\x1b[31mred", "\x1b[31m"),
            ("\x1b[31mred\x1b[0m", ""),
            ("\x1b[31mred\x1b[m", ""),
            ("\x1b[1m\x1b[31mboth", "\x1b[1m\x1b[31m"),
            ("\x1b[1m\x1b[0;32mgreen", "\x1b[0;32m"),
            ("\x1b[38:5:208mrange", "\x1b[38:5:208m"),
            ("\x1b[2K\x1b[1Aother sequences\x1b", ""),
            ("\x1b[31", ""),
            ("\x1b[", ""),
        ] {
            let mut rendition = Rendition::default();
            rendition.follow(text.as_bytes());
            assert_eq!(rendition.sequences(), want.as_bytes(), "{text:?}");
        }
        let mut rendition = Rendition::default();
        for _ in 0..1000 {
            rendition.follow(b"\x1b[38;5;208m");
            assert!(rendition.sequences().len() <= LONGEST);
        }
        rendition.follow(format!("\x1b[1{}m", ";1".repeat(500)).as_bytes());
        assert!(rendition.sequences().len() <= LONGEST);
    }
}
