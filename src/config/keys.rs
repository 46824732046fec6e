//! One table of keys a section: it reads the text of an ini file and JSON alike, and writes JSON.
//!
//! A value comes as [`Given`]; the functions that make something of it say what they expected and what they found.

use std::time::Duration;

use serde_json::Value;

use crate::suggest::{excerpt, hint};
use crate::words;

/// What is wrong with a value.
pub(super) type Parsed<T> = Result<T, String>;

/// The longest duration, in seconds: three years.
const MAX_SECONDS: f64 = 1e8;

/// A key of a section whose values are gathered in a `T`.
pub(super) struct Key<T> {
    /// Its name; with a `*` at the end all names that begin so.
    pub(super) name: &'static str,
    /// Other names of the same key.
    pub(super) aliases: &'static [&'static str],
    /// Puts the value given under a name in its place.
    pub(super) set: fn(&mut T, &str, Given<'_>) -> Parsed<()>,
    /// The value as JSON; none if it is the default, or is written under another key.
    pub(super) get: fn(&T) -> Option<Value>,
}

/// What became of a key and its value.
pub(super) enum Fault {
    /// There is no such key.
    Unknown(String),
    /// The value is wrong.
    Value(String),
}

/// The key of a table that goes by `name`.
pub(super) fn find<'t, T>(table: &'t [Key<T>], name: &str) -> Option<&'t Key<T>> {
    table.iter().find(|key| match key.name.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => key.name == name || key.aliases.contains(&name),
    })
}

/// What to say of a key that is another program's.
pub(super) type Foreign = fn(&str) -> Option<String>;

/// Puts a value in its place. `owner` names the section in messages.
pub(super) fn set<T>(
    table: &[Key<T>],
    foreign: Foreign,
    target: &mut T,
    owner: &str,
    name: &str,
    given: Given<'_>,
) -> Result<(), Fault> {
    let Some(key) = find(table, name) else {
        let hint = foreign(name).unwrap_or_else(|| hint(name, table.iter().map(|key| key.name)));
        let shown = if name.len() <= 40 { format!("`{name}`") } else { excerpt(name) };
        return Err(Fault::Unknown(format!("{owner} has no key {shown}{hint}")));
    };
    // Clients in other languages send what they do not set.
    if matches!(given, Given::Json(Value::Null)) {
        return Ok(());
    }
    (key.set)(target, name, given).map_err(Fault::Value)
}

/// All of a table that is not the default, as a JSON object.
pub(super) fn write<T>(table: &'static [Key<T>], target: &T) -> serde_json::Map<String, Value> {
    table.iter().filter_map(|key| Some((key.name.to_owned(), (key.get)(target)?))).collect()
}

/// A value as it is given.
#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    /// In an ini file, without blanks around it.
    Text(&'a str),
    /// In JSON.
    Json(&'a Value),
}

impl<'a> Given<'a> {
    /// The value as messages show it.
    pub(super) fn found(self) -> String {
        match self {
            Given::Text("") => "nothing".to_owned(),
            Given::Text(text) => excerpt(text),
            Given::Json(Value::String(text)) => excerpt(text),
            Given::Json(Value::Array(_)) => "a list".to_owned(),
            Given::Json(Value::Object(_)) => "an object".to_owned(),
            Given::Json(scalar) => scalar.to_string(),
        }
    }

    pub(super) fn expected<T>(self, what: &str) -> Parsed<T> {
        // Who comes from another ini dialect writes comments there.
        let comment = match self {
            Given::Text(text) if text.contains(" ;") || text.contains(" #") => {
                "; a comment stands on a line of its own"
            }
            _ => "",
        };
        Err(format!("expected {what}, found {}{comment}", self.found()))
    }

    /// The text itself; none where there is none.
    pub(super) fn optional(self) -> Parsed<Option<&'a str>> {
        let text = match self {
            Given::Text(text) => no_nul(text)?,
            Given::Json(Value::String(text)) => no_nul(text)?,
            Given::Json(_) => return self.expected("text"),
        };
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// A text that is not empty.
    pub(super) fn text(self) -> Parsed<&'a str> {
        self.optional()?.map_or_else(|| self.expected("text"), Ok)
    }

    pub(super) fn boolean(self) -> Parsed<bool> {
        match self {
            Given::Json(Value::Bool(value)) => Ok(*value),
            Given::Json(_) => self.expected("true or false"),
            // What configparser takes.
            Given::Text(text) => match text.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => Ok(true),
                "0" | "false" | "no" | "off" => Ok(false),
                _ => self.expected("true or false (or yes, no, on, off, 1, 0)"),
            },
        }
    }

    /// A whole number from `min` to `max`.
    pub(super) fn whole(self, min: i64, max: i64) -> Parsed<i64> {
        let number = match self {
            Given::Text(text) => text.parse().ok(),
            Given::Json(Value::Number(number)) => {
                number.as_i64().map(i128::from).or_else(|| as_whole(number.as_f64()?))
            }
            Given::Json(_) => None,
        };
        match number.map(|number: i128| (number, i64::try_from(number))) {
            None => self.expected("a whole number"),
            Some((_, Ok(number))) if (min..=max).contains(&number) => Ok(number),
            Some((number, _)) if max == i64::MAX && min == 0 => {
                Err(format!("expected a number of at least 0, found {number}"))
            }
            Some((number, _)) => Err(format!("expected a number from {min} to {max}, found {number}")),
        }
    }

    /// A whole number from `min` to `max`.
    pub(super) fn number(self, min: u32, max: u32) -> Parsed<u32> {
        let number = self.whole(min.into(), max.into())?;
        Ok(u32::try_from(number).unwrap_or(max))
    }

    fn float(self) -> Option<f64> {
        match self {
            Given::Text(text) => decimal(text),
            Given::Json(value) => value.as_f64(),
        }
    }

    /// A number of seconds, fractions count.
    pub(super) fn seconds(self) -> Parsed<Duration> {
        let seconds = self.float().filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds));
        let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        duration.map_or_else(|| self.expected("a number of seconds"), Ok)
    }

    /// The same, but not 0.
    pub(super) fn some_seconds(self) -> Parsed<Duration> {
        match self.seconds()? {
            Duration::ZERO => self.expected("a number of seconds, more than 0"),
            duration => Ok(duration),
        }
    }

    /// A number of bytes: `16384`, `16k`, `16 KiB`, `1M`; `50MB` is as good as `50 MiB`, as supervisord has it.
    pub(super) fn bytes(self) -> Parsed<u64> {
        self.any_bytes()
            .filter(|bytes| (1..=1 << 40).contains(bytes))
            .map_or_else(|| self.expected("a number of bytes such as 16384, 16 KiB or 1 MiB"), Ok)
    }

    /// 0, or at least so many bytes.
    pub(super) fn bytes_or_zero(self, min: u64) -> Parsed<u64> {
        self.any_bytes().filter(|bytes| *bytes == 0 || (min..=1 << 40).contains(bytes)).map_or_else(
            || self.expected(&format!("0, or a number of bytes of at least {min} such as 10k or 50 MiB")),
            Ok,
        )
    }

    fn any_bytes(self) -> Option<u64> {
        match self {
            Given::Json(Value::Number(number)) => number.as_u64(),
            Given::Text(text) => bytes(text),
            Given::Json(value) => value.as_str().and_then(bytes),
        }
    }

    /// The same, or 0.
    pub(super) fn bytes_or_none(self) -> Parsed<u64> {
        match self {
            Given::Text("0") => Ok(0),
            Given::Json(value) if *value == 0 || *value == "0" => Ok(0),
            given => given.bytes(),
        }
    }

    /// Octal digits, at most `max`.
    pub(super) fn octal(self, max: u32) -> Parsed<u32> {
        let text = match self {
            Given::Text(text) => Some(text),
            // 18 and 022 are the same to others, so a number is not taken.
            Given::Json(value) => value.as_str(),
        };
        let digits = text.filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
        let number = digits.and_then(|text| u32::from_str_radix(text, 8).ok()).filter(|number| *number <= max);
        number.map_or_else(|| self.expected(&format!("octal digits up to \"{max:o}\", as text")), Ok)
    }

    /// Words with commas, blanks or line ends between them, or a list of texts.
    pub(super) fn list(self) -> Parsed<Vec<String>> {
        match self {
            Given::Text(text) => no_nul(text).map(split_list),
            Given::Json(Value::String(text)) => no_nul(text).map(split_list),
            Given::Json(Value::Bool(false)) => Ok(Vec::new()),
            Given::Json(Value::Array(items)) => texts(items),
            Given::Json(_) => self.expected("a list of texts"),
        }
    }

    /// A command line's words, or a list of texts.
    pub(super) fn words(self) -> Parsed<Vec<String>> {
        let text = match self {
            Given::Json(Value::Array(items)) => return texts(items),
            Given::Text(text) => text,
            Given::Json(Value::String(text)) => text,
            Given::Json(_) => return self.expected("a list of texts, or a text"),
        };
        words::split_or_fault(no_nul(text)?).map_err(|(column, what)| format!("character {column}: {what}"))
    }

    /// One of the given words.
    pub(super) fn one_of<T: Copy>(self, choices: &[(&str, T)]) -> Parsed<T> {
        let text = match self {
            Given::Text(text) => text,
            Given::Json(value) => value.as_str().unwrap_or_default(),
        };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Ok(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let (last, others) = names.split_last().map_or(("", &[][..]), |(last, others)| (*last, others));
        let or = if others.is_empty() { "" } else { " or " };
        self.expected(&format!("{}{or}{last}", others.join(", ")))
    }
}

/// The name of a choice.
pub(super) fn name_of<T: PartialEq>(choices: &[(&'static str, T)], choice: &T) -> Option<Value> {
    choices.iter().find(|(_, c)| c == choice).map(|(name, _)| (*name).into())
}

/// A JSON number, whole where it can be.
pub(super) fn number(value: f64) -> Value {
    let whole = as_whole(value).filter(|_| value.abs() < 1e15).and_then(|whole| i64::try_from(whole).ok());
    whole.map_or_else(|| value.into(), Value::from)
}

/// Seconds as a JSON number.
pub(super) fn seconds(duration: Duration) -> Value {
    number(duration.as_secs_f64())
}

/// `value` as JSON unless it is the default.
pub(super) fn unless<T: PartialEq + Clone + Into<Value>>(value: &T, default: &T) -> Option<Value> {
    (value != default).then(|| value.clone().into())
}

/// A list as JSON unless it is empty.
pub(super) fn listed<T: ToString>(list: &[T]) -> Option<Value> {
    (!list.is_empty()).then(|| list.iter().map(ToString::to_string).collect())
}

#[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is small enough")]
pub(super) fn as_whole(number: f64) -> Option<i128> {
    (number.fract() == 0.0 && number.abs() < 1e30).then_some(number as i128)
}

/// A decimal number such as `2`, `1.`, `.5`; no infinity and no name.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    text.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn split_list(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| c == ',' || c.is_whitespace());
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn texts(items: &[Value]) -> Parsed<Vec<String>> {
    let texts = items.iter().enumerate().map(|(nth, item)| match item {
        Value::String(text) => no_nul(text).map(str::to_owned).map_err(|what| format!("[{nth}]: {what}")),
        other => Err(format!("[{nth}]: expected text, found {}", Given::Json(other).found())),
    });
    texts.collect()
}

fn no_nul(text: &str) -> Parsed<&str> {
    if text.contains('\0') { Err("a NUL cannot be part of it".to_owned()) } else { Ok(text) }
}
