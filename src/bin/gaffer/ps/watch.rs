//! `gaffer ps --watch`.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use gaffer::cli::{self, Code, Failure};
use gaffer::sys::tty;

use super::Ps;
use super::view::View;

/// Shows what `look` sees again and again, until it fails or a signal ends us: there is nothing to put in order then.
pub(super) fn watch(
    asked: &Ps,
    interval: Duration,
    mut look: impl FnMut() -> Result<View, Failure>,
) -> Result<Code, Failure> {
    let terminal = !asked.remote.node.json && io::stdout().is_terminal();
    let color = asked.remote.node.colors();
    let mut first = true;
    loop {
        let view = look()?;
        let text = if asked.remote.node.json {
            format!("{}\n", view.json())
        } else if terminal {
            let rows = tty::window_size(io::stdout().as_fd()).map(|(rows, columns)| (rows.into(), columns.into()));
            screen(&view.text(color), first, rows)
        } else {
            format!("{}{}", if first { "" } else { "\n" }, view.text(color))
        };
        cli::print(text)?;
        first = false;
        thread::sleep(interval);
    }
}

/// The text in place of what is on the screen; what has no room there is cut off (ECMA-48: CUP, EL, ED).
fn screen(text: &str, first: bool, size: Option<(usize, usize)>) -> String {
    let (rows, columns) = size.unwrap_or((usize::MAX, usize::MAX));
    let lines: Vec<&str> = text.lines().collect();
    let shown = if lines.len() < rows { lines.len() } else { rows.saturating_sub(2) };
    let mut out = if first { "\x1b[2J\x1b[H".to_owned() } else { "\x1b[H".to_owned() };
    for line in &lines[..shown] {
        out.push_str(&cut(line, columns));
        out.push_str("\x1b[K\n");
    }
    if lines.len() > shown {
        out.push_str(&format!("... {} more lines\x1b[K\n", lines.len() - shown));
    }
    out.push_str("\x1b[J");
    out
}

/// As much of a line as has room: a longer one would take two. Colours have no width.
fn cut(line: &str, columns: usize) -> String {
    let (mut out, mut width, mut escape) = (String::new(), 0, false);
    for c in line.chars() {
        if c == '\x1b' {
            escape = true;
        }
        width += usize::from(!escape);
        if width <= columns || escape {
            out.push(c);
        }
        if escape && c.is_ascii_alphabetic() {
            escape = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_cut() {
        let text = "one\ntwo\nthree\nfour\n";
        assert_eq!(screen(text, true, None).matches("\x1b[K\n").count(), 4);
        assert!(screen(text, true, None).starts_with("\x1b[2J\x1b[Hone"));
        let small = screen(text, false, Some((4, 3)));
        assert_eq!(small, "\x1b[Hone\x1b[K\ntwo\x1b[K\n... 2 more lines\x1b[K\n\x1b[J");
        assert_eq!(cut("\x1b[36mabcdef\x1b[0m", 3), "\x1b[36mabc\x1b[0m");
        assert_eq!(screen(text, false, Some((5, 80))).matches('\n').count(), 4);
    }
}
