//! Help, written from the tables that parse.

use super::command::Spec;
use super::opt::{Opt, Takes};

/// The width of the help, in columns.
const WIDTH: usize = 80;

/// Where the texts of options start, unless a name is so long that its text goes below it.
const TEXTS: usize = 30;

/// The help of one command, written as `path`.
pub(super) fn command(path: &str, spec: &Spec) -> String {
    let mut out = format!("{}\n\nUsage: {path} [OPTIONS]", spec.summary);
    if !spec.words.is_empty() {
        out.push(' ');
        out.push_str(spec.words);
    }
    out.push('\n');
    if !spec.aliases.is_empty() {
        out.push_str(&format!("Also known as: {}\n", spec.aliases.join(", ")));
    }
    if !spec.words.is_empty() {
        out.push_str("\nArguments:\n");
        row(&mut out, spec.words, spec.words_help);
    }
    out.push_str("\nOptions:\n");
    for option in &spec.options {
        row(&mut out, &left(option), &right(option));
    }
    row(&mut out, "-h, --help", "Print this help.");
    row(&mut out, "    --version", "Print the version.");
    if !spec.details.is_empty() {
        out.push('\n');
        out.push_str(spec.details.trim_end());
        out.push('\n');
    }
    out
}

/// The help of a program with sub-commands.
pub(super) fn program<'a>(name: &str, summary: &str, commands: impl Iterator<Item = &'a Spec>) -> String {
    let mut out = format!("{summary}\n\nUsage: {name} COMMAND [OPTIONS] [ARGUMENTS]\n\nCommands:\n");
    for spec in commands {
        row(&mut out, spec.name, spec.summary);
    }
    row(&mut out, "help [COMMAND]", "Print this help, or that of a command.");
    out.push_str("\nOptions:\n");
    row(&mut out, "-h, --help", "Print this help, or that of a command.");
    row(&mut out, "    --version", "Print the version.");
    out.push_str(&format!(
        "\nThe options of a command, which `{name} help COMMAND` lists,\nmay stand before its name as well.\n"
    ));
    out
}

/// `-p, --port PORT`.
fn left(option: &Opt) -> String {
    let short = option.short.map_or("    ".to_owned(), |short| format!("-{short}, "));
    let value = match option.takes {
        Takes::Nothing => String::new(),
        Takes::Value(name) => format!(" {name}"),
        Takes::Maybe(name) => format!("[={name}]"),
    };
    format!("{short}--{}{value}", option.long)
}

fn right(option: &Opt) -> String {
    let mut text = option.help.to_owned();
    if !option.default.is_empty() {
        text.push_str(&format!(" [default: {}]", option.default));
    }
    if !option.aliases.is_empty() {
        let dashes = |name: &&str| if name.len() == 1 { format!("-{name}") } else { format!("--{name}") };
        let names: Vec<String> = option.aliases.iter().map(dashes).collect();
        text.push_str(&format!(" [also: {}]", names.join(", ")));
    }
    text
}

fn row(out: &mut String, left: &str, text: &str) {
    out.push_str("  ");
    out.push_str(left);
    let mut column = 2 + left.chars().count();
    if column + 2 > TEXTS {
        out.push('\n');
        column = 0;
    }
    let mut first = true;
    for word in text.split_whitespace() {
        if !first && column + 1 + word.chars().count() > WIDTH {
            out.push('\n');
            column = 0;
        }
        let gap = if column < TEXTS { TEXTS - column } else { 1 };
        out.extend(std::iter::repeat_n(' ', gap));
        out.push_str(word);
        column += gap + word.chars().count();
        first = false;
    }
    out.push('\n');
}
