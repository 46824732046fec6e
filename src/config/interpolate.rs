//! `%(name)s` and `${NAME}` in the values of an ini file.

use super::ini::Section;
use crate::substitute::name_len;

/// The longest value after replacement, in bytes.
pub(super) const MAX_VALUE: usize = 64 * 1024;

/// So many replacements in one value, those within replaced text included.
const MAX_REPLACEMENTS: usize = 1000;

/// So deep may a value refer to a value that refers to another (as Python's `MAX_INTERPOLATION_DEPTH`).
const MAX_DEPTH: usize = 10;

/// What a value may refer to.
pub(super) struct Scope<'a> {
    pub(super) section: &'a Section,
    /// The folder of the file.
    pub(super) here: &'a str,
    /// The variables of the environment; none where `${` stays as it is.
    pub(super) environment: Option<&'a dyn Fn(&str) -> Option<String>>,
}

impl Scope<'_> {
    /// Replaces `%(here)s`, `%(key)s` (a key of the same section) and `${NAME}`; `%%` stands for `%` and `$${` for `${`.
    ///
    /// The values of keys are replaced in turn, those of variables are not looked at. Or says what is wrong.
    pub(super) fn expand(&self, value: &str) -> Result<String, String> {
        let mut out = String::new();
        self.append(&mut out, value, MAX_DEPTH, &mut 0)?;
        Ok(out)
    }

    fn append(&self, out: &mut String, value: &str, depth: usize, replaced: &mut usize) -> Result<(), String> {
        let mut rest = value;
        while let Some(at) = rest.find(['%', '$']) {
            out.push_str(&rest[..at]);
            let mark = &rest[at..];
            *replaced += 1;
            if out.len() > MAX_VALUE || *replaced > MAX_REPLACEMENTS {
                break;
            }
            if let Some(after) = mark.strip_prefix("%%") {
                out.push('%');
                rest = after;
            } else if mark.starts_with('%') {
                let expected = "expected %(name)s, or %% for a percent sign";
                let (name, after) = mark.strip_prefix("%(").and_then(|name| name.split_once(")s")).ok_or(expected)?;
                rest = after;
                let key = self.section.entries.iter().find(|e| e.key.eq_ignore_ascii_case(name));
                match key {
                    Some(_) if depth == 0 => return Err(format!("%({name})s refers to itself, or to too many others")),
                    Some(entry) => self.append(out, &entry.value, depth - 1, replaced)?,
                    None if name == "here" => out.push_str(self.here),
                    None => {
                        let known = self.section.entries.iter().map(|e| e.key.as_str()).chain(["here"]);
                        let hint = crate::suggest::hint(name, known);
                        return Err(format!("%({name})s: the section has no key `{name}`{hint}"));
                    }
                }
            } else if let Some(environment) = self.environment {
                if let Some(after) = mark.strip_prefix("$${") {
                    out.push_str("${");
                    rest = after;
                } else if let Some(start) = mark.strip_prefix("${") {
                    let (name, after) = start.split_at(name_len(start));
                    rest = after
                        .strip_prefix('}')
                        .filter(|_| !name.is_empty())
                        .ok_or("expected ${NAME}, or $${ for ${")?;
                    let value = environment(name)
                        .ok_or_else(|| format!("the variable {name} is not set in the environment of gafferd"))?;
                    out.push_str(&value);
                } else {
                    out.push('$');
                    rest = &mark[1..];
                }
            } else {
                out.push('$');
                rest = &mark[1..];
            }
        }
        if *replaced <= MAX_REPLACEMENTS {
            out.push_str(rest);
        }
        if out.len() > MAX_VALUE || *replaced > MAX_REPLACEMENTS {
            let what = format!("the value is too long: at most {MAX_VALUE} bytes and {MAX_REPLACEMENTS} replacements");
            return Err(what);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::ini::Ini;
    use super::*;
    use crate::words::tests::Rng;

    fn environment(name: &str) -> Option<String> {
        [("HOME", "/h%(x)s${HOME}"), ("_e9", "")].iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    }

    fn expand(text: &str, key: &str, with_environment: bool) -> Result<String, String> {
        let ini = Ini::parse(text, "f").expect(text);
        let section = &ini.sections[0];
        let environment = with_environment.then_some(&environment as &dyn Fn(&str) -> Option<String>);
        let value = &section.entries.iter().find(|e| e.key == key).expect("the key").value;
        Scope { section, here: "/etc/%", environment }.expand(value)
    }

    #[test]
    fn replaces() {
        for (value, want) in [
            ("plain $a $$ $1 $", "plain $a $$ $1 $"),
            ("%(here)s/x", "/etc/%/x"),
            ("100%% %(y)s-%(Y)s", "100% v-v"),
            ("%(two)s", "<v>"),
            ("${HOME}/x${_e9}", "/h%(x)s${HOME}/x"),
            ("$${HOME} $$$${x}", "${HOME} $$${x}"),
        ] {
            let text = format!("[a]\nx = {value}\ny = v\ntwo = <%(y)s>\n");
            assert_eq!(expand(&text, "x", true).as_deref(), Ok(want), "{value}");
        }
        assert_eq!(expand("[a]\nx = ${A} %% $${B}", "x", false).as_deref(), Ok("${A} % $${B}"));
        assert_eq!(expand("[a]\nhere = mine\nx = %(here)s", "x", true).as_deref(), Ok("mine"));
    }

    #[test]
    fn refuses() {
        let form = "expected %(name)s, or %% for a percent sign";
        for (value, want) in [
            ("5%", form),
            ("%d", form),
            ("%(y)", form),
            ("%(y", form),
            ("%(yy)s", "%(yy)s: the section has no key `yy`; did you mean `y`?"),
            ("%(x)s", "%(x)s refers to itself, or to too many others"),
            ("${NOPE}", "the variable NOPE is not set in the environment of gafferd"),
            ("${}", "expected ${NAME}, or $${ for ${"),
            ("${A:-x}", "expected ${NAME}, or $${ for ${"),
        ] {
            let text = format!("[a]\nx = {value}\ny = v\n");
            assert_eq!(expand(&text, "x", true).expect_err(value), want);
        }
        let long = "the value is too long: at most 65536 bytes and 1000 replacements";
        // A billion laughs, with and without anything to say.
        for last in ["lol", ""] {
            let mut text = format!("[a]\nx9 = {last}\n");
            for n in 0..9 {
                text += &format!("x{n} = {}\n", format!("%(x{})s", n + 1).repeat(10));
            }
            assert_eq!(expand(&text, "x0", true).expect_err("too long"), long);
        }
        let text = format!("[a]\ny = {}\nx = %(y)s%(y)s", "z".repeat(MAX_VALUE));
        assert_eq!(expand(&text, "x", true).expect_err("too long"), long);
    }

    #[test]
    fn survives_anything() {
        let pieces = &["%", "(", ")s", "a", "b", "%(a)s", "%(b)s", "$", "{", "}", "${HOME}", "é", "\n"];
        for seed in 0..100_000 {
            let mut rng = Rng(seed);
            let text = format!(
                "[s]\na = {}\nb = {}",
                rng.text(pieces, 8).replace('\n', ""),
                rng.text(pieces, 8).replace('\n', "\n ")
            );
            if let Ok(value) = expand(&text, "a", seed % 2 == 0) {
                assert!(value.len() <= MAX_VALUE, "seed {seed}");
            }
        }
    }
}
