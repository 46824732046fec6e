//! Whether to use colours.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, IsTerminal};
use std::str::FromStr;

/// When to use colours: `auto`, `always` or `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ColorChoice {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// Whether standard output gets colours, by [`decide`](Self::decide).
    #[must_use]
    pub fn for_stdout(self) -> bool {
        self.decide(|name| std::env::var_os(name), io::stdout().is_terminal())
    }

    /// Whether to use colours, in this order: what the user chose; `NO_COLOR`, if not empty, is no
    /// (<https://no-color.org>); `CLICOLOR_FORCE`, if not empty nor 0, is yes; `CLICOLOR=0` is no
    /// (<https://bixense.com/clicolors>); `TERM=dumb` is no; a terminal is yes.
    #[must_use]
    pub fn decide(self, var: impl Fn(&str) -> Option<OsString>, terminal: bool) -> bool {
        let is = |name, value: &str| var(name).as_deref() == Some(OsStr::new(value));
        let set = |name| var(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if set("NO_COLOR") => false,
            Self::Auto if set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") => true,
            Self::Auto => terminal && !is("CLICOLOR", "0") && !is("TERM", "dumb"),
        }
    }
}

impl FromStr for ColorChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err("expected auto, always or never"),
        }
    }
}

impl fmt::Display for ColorChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(choice: ColorChoice, vars: &[(&str, &str)], terminal: bool, want: bool) {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).into());
        assert_eq!(choice.decide(var, terminal), want);
    }

    #[test]
    fn the_user_the_environment_the_terminal() {
        use ColorChoice::*;
        check(Auto, &[], true, true);
        check(Auto, &[], false, false);
        check(Auto, &[("NO_COLOR", "1")], true, false);
        check(Auto, &[("NO_COLOR", "")], true, true);
        check(Auto, &[("CLICOLOR_FORCE", "1")], false, true);
        check(Auto, &[("CLICOLOR_FORCE", "0")], false, false);
        check(Auto, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true, false);
        check(Auto, &[("CLICOLOR", "0")], true, false);
        check(Auto, &[("TERM", "dumb")], true, false);
        check(Always, &[("NO_COLOR", "1"), ("TERM", "dumb")], false, true);
        check(Never, &[("CLICOLOR_FORCE", "1")], true, false);
    }

    #[test]
    fn reads_what_it_writes() {
        for choice in [ColorChoice::Auto, ColorChoice::Always, ColorChoice::Never] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert!("yes".parse::<ColorChoice>().is_err());
    }
}
