//! The right side of an assignment: quotes, escapes, variables.

use super::{Expand, MAX_VALUE, Parser};
use crate::Result;
use crate::config::{Position, is_blank};
use crate::substitute::name_len;

/// How deep `${A:-${B:-…}}` may go.
const MAX_DEPTH: usize = 16;

impl Parser<'_> {
    /// The value after the `=`, up to the comment or the line end.
    pub(super) fn value(&mut self) -> Result<String> {
        let blanks = self.take(is_blank);
        let quote = match self.peek() {
            Some(quote @ ('\'' | '"')) => quote,
            first => return if first == Some('#') && !blanks.is_empty() { Ok(String::new()) } else { self.unquoted() },
        };
        let value = if quote == '"' { self.double_quoted()? } else { self.single_quoted()? };
        self.take(is_blank);
        if !matches!(self.peek(), None | Some('#' | '\n')) {
            return self.error(self.position(), "expected the end of the line after the closing quote");
        }
        Ok(value)
    }

    fn unquoted(&mut self) -> Result<String> {
        let mut value = String::new();
        // How much of the value stands when blanks at its end are cut.
        let mut solid = 0;
        while let Some(c) = self.peek() {
            match c {
                '\n' => break,
                '#' if value.len() > solid => break,
                '$' => self.dollar(&mut value, 0)?,
                '\\' => self.escape(&mut value, &['$']),
                c => {
                    self.next();
                    value.push(c);
                    if is_blank(c) {
                        continue;
                    }
                }
            }
            solid = value.len();
            self.check_length(&value)?;
        }
        value.truncate(solid);
        Ok(value)
    }

    fn single_quoted(&mut self) -> Result<String> {
        let open = self.position();
        self.next();
        let mut value = String::new();
        let mut escapes = false;
        loop {
            match self.next() {
                Some('\'') => return Ok(value),
                Some('\\') if self.peek() == Some('\'') => {
                    // A shell ends the value here. Where it cannot end here, or did not before, python-dotenv's `\'` is meant.
                    let after = self.rest()[1..].trim_start_matches(is_blank);
                    escapes |= !(after.is_empty() || after.starts_with(['#', '\n']));
                    if escapes {
                        self.next();
                    }
                    value.push(if escapes { '\'' } else { '\\' });
                }
                Some(c) => value.push(c),
                None => return self.error(open, "this single quote is never closed"),
            }
            self.check_length(&value)?;
        }
    }

    fn double_quoted(&mut self) -> Result<String> {
        let open = self.position();
        self.next();
        let mut value = String::new();
        loop {
            match self.peek() {
                Some('"') => {
                    self.next();
                    return Ok(value);
                }
                Some('$') => self.dollar(&mut value, 0)?,
                Some('\\') => self.escape(&mut value, &['n', 't', '"', '\\', '$']),
                Some(c) => {
                    self.next();
                    value.push(c);
                }
                None => return self.error(open, "this double quote is never closed"),
            }
            self.check_length(&value)?;
        }
    }

    /// A backslash, which stands for itself unless one of `known` follows.
    fn escape(&mut self, value: &mut String, known: &[char]) {
        self.next();
        match self.peek() {
            // Where a dollar is nothing special, it needs no escape either.
            Some('$') if matches!(self.expand, Expand::Off) => value.push('\\'),
            Some(c) if known.contains(&c) => {
                self.next();
                value.push(match c {
                    'n' => '\n',
                    't' => '\t',
                    c => c,
                });
            }
            _ => value.push('\\'),
        }
    }

    /// A `$` and what it begins, if it begins anything.
    fn dollar(&mut self, value: &mut String, depth: usize) -> Result<()> {
        let at = self.position();
        self.next();
        if matches!(self.expand, Expand::Off) {
            value.push('$');
            return Ok(());
        }
        let rest = self.rest();
        if rest.starts_with('$') {
            self.next();
            value.push_str("$$");
        } else if rest.starts_with('{') {
            self.next();
            value.push_str(&self.braced(at, depth)?);
        } else if name_len(rest) > 0 {
            let name = &rest[..name_len(rest)];
            self.at += name.len();
            value.push_str(&self.variable(name, at));
        } else {
            value.push('$');
        }
        Ok(())
    }

    /// `NAME}`, `NAME:-default}` or `NAME-default}`.
    fn braced(&mut self, at: Position<'_>, depth: usize) -> Result<String> {
        let rest = self.rest();
        let name = &rest[..name_len(rest)];
        self.at += name.len();
        let after = self.rest();
        let operator = [":-", "-", "}"].into_iter().find(|operator| after.starts_with(operator));
        let Some(operator) = operator.filter(|_| !name.is_empty()) else {
            let what =
                "expected ${NAME}, ${NAME:-default} or ${NAME-default}; write \\${ or use single quotes for a plain ${";
            return self.error(at, what);
        };
        self.at += operator.len();
        if operator == "}" {
            return Ok(self.variable(name, at));
        }
        if depth == MAX_DEPTH {
            return self.error(at, &format!("${{NAME:-default}} is nested more than {MAX_DEPTH} deep"));
        }
        let set = self.lookup(name).filter(|value| operator == "-" || !value.is_empty());
        let (kept, more) = (self.warnings.kept.len(), self.warnings.more);
        let mut default = String::new();
        loop {
            match self.peek() {
                Some('}') => break,
                Some('$') => self.dollar(&mut default, depth + 1)?,
                Some('\\') => self.escape(&mut default, &['}', '$', '"', '\\']),
                Some(c) if c != '\n' && c != '"' => {
                    self.next();
                    default.push(c);
                }
                _ => return self.error(at, "this ${ is never closed by a }"),
            }
            self.check_length(&default)?;
        }
        self.next();
        if set.is_some() {
            // Nothing is amiss with a default that is not used.
            self.warnings.kept.truncate(kept);
            self.warnings.more = more;
        }
        Ok(set.unwrap_or(default))
    }

    fn variable(&mut self, name: &str, at: Position<'_>) -> String {
        self.lookup(name).unwrap_or_else(|| {
            self.warnings.push(at, &format!("the variable {name} is not set: nothing is put in its place"));
            String::new()
        })
    }

    fn lookup(&self, name: &str) -> Option<String> {
        let file = || self.index.get(name).map(|&index| self.vars[index].1.clone());
        match self.expand {
            Expand::Off => None,
            Expand::FileFirst(environment) => file().or_else(|| environment(name)),
            Expand::EnvironmentFirst(environment) => environment(name).or_else(file),
        }
    }

    fn check_length(&self, value: &str) -> Result<()> {
        if value.len() > MAX_VALUE {
            return self.error(self.position(), &format!("the value is longer than {MAX_VALUE} bytes"));
        }
        Ok(())
    }
}
