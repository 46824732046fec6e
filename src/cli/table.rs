//! Tables for people.

use crate::process::{Health, JobState};

/// Rows under a header, in columns as wide as they must be.
///
/// ```
/// use gaffer::cli::table::Table;
///
/// let mut table = Table::new(&["NAME", ">PORT"], false);
/// table.row(["web".into(), 80.into()]);
/// assert_eq!(table.text(), "NAME  PORT\nweb     80\n");
/// ```
#[derive(Debug)]
pub struct Table {
    /// The names of the columns; a `>` before one aligns it to the right.
    header: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
    color: bool,
}

/// Text, and the number of its colour if it has one (ECMA-48, SGR).
#[derive(Debug)]
pub struct Cell(String, u8);

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self(text.to_string(), 0)
    }
}

/// How a job is, in the colour of a traffic light.
#[must_use]
pub fn health(health: Health) -> Cell {
    let color = match health {
        Health::Active | Health::Finished => 32,
        Health::BackingOff | Health::Flapping => 33,
        _ => 31,
    };
    Cell(health.as_str().to_owned(), color)
}

/// `active`, `flapping` or `stopped`.
#[must_use]
pub const fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Active => "active",
        JobState::Flapping => "flapping",
        _ => "stopped",
    }
}

impl Cell {
    /// The text alone, coloured if asked.
    #[must_use]
    pub fn text(&self, color: bool) -> String {
        self.painted(&self.0, color)
    }

    fn painted(&self, text: &str, color: bool) -> String {
        if color && self.1 != 0 { format!("\x1b[{}m{text}\x1b[0m", self.1) } else { text.to_owned() }
    }
}

impl Table {
    /// An empty one with these columns; a `>` before a name aligns its column to the right. `color` allows colours.
    #[must_use]
    pub const fn new(header: &'static [&'static str], color: bool) -> Self {
        Self { header, rows: Vec::new(), color }
    }

    /// Adds a row; it has as many cells as there are columns.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines.
    #[must_use]
    pub fn text(&self) -> String {
        let mut rows = vec![self.header.iter().map(|name| Cell::from(name.trim_start_matches('>'))).collect()];
        rows.extend(
            self.rows.iter().map(|row| row.iter().map(|cell| Cell(cell.0.clone(), cell.1)).collect::<Vec<_>>()),
        );
        let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.0.chars().count()).max();
        let widths: Vec<usize> = (0..self.header.len()).map(|column| width(column).unwrap_or(0)).collect();
        let mut out = String::new();
        for row in &rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let blanks = " ".repeat(widths[column].saturating_sub(cell.0.chars().count()));
                let text = cell.painted(&cell.0, self.color);
                let gap = if column == 0 { "" } else { "  " };
                let right = self.header[column].starts_with('>');
                line.push_str(&if right { format!("{gap}{blanks}{text}") } else { format!("{gap}{text}{blanks}") });
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        let mut table = Table::new(&["NAME", "STATE", ">RUNNING"], false);
        table.row(["web".into(), health(Health::Active), 12.into()]);
        table.row(["a-longer-name".into(), health(Health::Stopped), 0.into()]);
        assert_eq!(
            table.text(),
            "NAME           STATE    RUNNING\nweb            active        12\na-longer-name  stopped        0\n"
        );
        table.color = true;
        let text = table.text();
        assert!(text.contains("\x1b[32mactive\x1b[0m        12"), "{text:?}");
        assert_eq!(health(Health::Flapping).text(true), "\x1b[33mflapping\x1b[0m");
        assert_eq!(Table::new(&["NAME"], true).text(), "NAME\n");
    }
}
