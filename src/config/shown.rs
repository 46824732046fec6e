//! Values that are lent, on their way to JSON: most definitions are written many more times than they are read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

/// A value of a definition.
#[derive(Debug)]
pub(super) enum Shown<'a> {
    Text(Cow<'a, str>),
    Texts(&'a [String]),
    Number(u64),
    Variables(&'a BTreeMap<String, String>),
    Value(Value),
}

impl Shown<'_> {
    /// Appends it as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let written = match self {
            Self::Text(text) => serde_json::to_writer(out, text),
            Self::Number(number) => serde_json::to_writer(out, number),
            Self::Texts(texts) => serde_json::to_writer(out, texts),
            Self::Variables(variables) => serde_json::to_writer(out, variables),
            Self::Value(value) => serde_json::to_writer(out, value),
        };
        written.expect("memory takes everything, and all names are text");
    }
}

/// A list, unless it is empty.
pub(super) fn texts(texts: &[String]) -> Option<Shown<'_>> {
    (!texts.is_empty()).then_some(Shown::Texts(texts))
}

/// `value` unless it is the default.
pub(super) fn unless<T: PartialEq + Into<Value>>(value: T, default: T) -> Option<Shown<'static>> {
    (value != default).then(|| Shown::Value(value.into()))
}

/// The name of a choice unless it is the default.
pub(super) fn choice<T: PartialEq>(names: &[(&'static str, T)], value: T, default: T) -> Option<Shown<'static>> {
    let named = names.iter().find(|(_, choice)| *choice == value).filter(|_| value != default);
    named.map(|(name, _)| (*name).into())
}

impl<'a> From<&'a str> for Shown<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<Cow<'a, str>> for Shown<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }
}

impl From<Value> for Shown<'_> {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

impl From<Shown<'_>> for Value {
    fn from(shown: Shown<'_>) -> Self {
        match shown {
            Shown::Text(text) => text.into(),
            Shown::Texts(texts) => texts.into(),
            Shown::Number(number) => number.into(),
            Shown::Variables(variables) => {
                variables.iter().map(|(name, value)| (name.clone(), value.as_str())).collect()
            }
            Shown::Value(value) => value,
        }
    }
}
