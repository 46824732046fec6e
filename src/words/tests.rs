use super::*;
use std::process::Command;

/// SplitMix64: good enough to mix test inputs, and a case is named by one number.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Up to `max` pieces, each one of `pieces`.
    pub(crate) fn text(&mut self, pieces: &[&str], max: usize) -> String {
        (0..self.below(max + 1)).map(|_| pieces[self.below(pieces.len())]).collect()
    }

    /// Up to `max` random bytes, made text as a lenient reader would.
    pub(crate) fn garbage(&mut self, max: usize) -> String {
        let bytes: Vec<u8> = (0..self.below(max + 1)).map(|_| self.next() as u8).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

const PIECES: &[&str] =
    &["a", "b c", " ", "\t", "\n", "'", "\"", "\\", "$", "`", "é", "#", "=", "\\\n", "''", "\"\"", "x'y z'", "|", "~"];

#[test]
fn splits_as_documented() {
    for (text, words) in [
        ("", &[][..]),
        (" \t\n ", &[]),
        ("a  b\tc\nd", &["a", "b", "c", "d"]),
        ("''", &[""]),
        ("a'' ''b \"\"", &["a", "b", ""]),
        (r#"a'b c'"d e"\ f"#, &["ab cd e f"]),
        (r#"'a\b' "a\b" a\b"#, &[r"a\b", r"a\b", "ab"]),
        (r#""\$ \` \" \\ \n""#, &[r#"$ ` " \ \n"#]),
        ("a\\\nb \\\n c \"d\\\ne\"", &["ab", "c", "de"]),
        ("redis-server # no comment", &["redis-server", "#", "no", "comment"]),
        ("é'ü'", &["éü"]),
    ] {
        assert_eq!(split(text).expect(text), words, "{text}");
    }
}

#[test]
fn shown_words_are_on_one_line() {
    for (word, want) in [
        ("plain-1.2/x", "plain-1.2/x"),
        ("", "''"),
        ("two words", "'two words'"),
        ("a\nb\t'\\", r"$'a\nb\t\'\\'"),
        ("\x1b[31m1\x7f", r"$'\033[31m1\177'"),
        ("\u{9b}1m", r"$'\302\2331m'"),
    ] {
        assert_eq!(show(word), want, "{word:?}");
    }
}

#[test]
fn names_the_column_of_what_is_open() {
    for (text, message) in [
        ("é 'a", "column 3: this single quote is never closed"),
        ("a b\"c", "column 4: this double quote is never closed"),
        ("a \"b\\", "column 3: this double quote is never closed"),
        ("a b\\", "column 4: nothing follows this backslash"),
    ] {
        let e = split(text).expect_err(text);
        assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::Invalid, message));
    }
}

#[test]
fn joined_words_split_again() {
    for seed in 0..50_000 {
        let mut rng = Rng(seed);
        let words: Vec<String> = (0..rng.below(5)).map(|_| rng.text(PIECES, 4)).collect();
        assert_eq!(split(&join(&words)).expect("joined words split"), words, "seed {seed}");
        let text = rng.text(PIECES, 12);
        if let Ok(words) = split(&text) {
            assert_eq!(split(&join(&words)).expect("joined words split"), words, "seed {seed}: {text:?}");
        }
    }
}

#[test]
fn survives_anything() {
    for seed in 0..200_000 {
        let text = Rng(seed).garbage(48);
        let split = split(&text);
        assert!(!is_plain(&text) || split.is_ok_and(|w| !w.is_empty()), "seed {seed}: plain, but cannot be split");
    }
}

/// Lets `/bin/sh` itself split `line`; none where it refuses.
fn split_by_sh(line: &str) -> Option<Vec<String>> {
    let out = Command::new("/bin/sh").arg("-c").arg(format!("printf '%s\\0' . {line}")).output().expect("/bin/sh runs");
    let text = String::from_utf8(out.stdout).expect("words of UTF-8 are UTF-8");
    out.status.success().then(|| text.split_terminator('\0').skip(1).map(str::to_owned).collect())
}

#[test]
fn agrees_with_the_shell() {
    // Nothing here has a meaning to the shell beyond quoting; a line end would begin the next command.
    let quoting = &[
        "a", "b c", " ", "\t", "'", "\"", "'d e'", "\"f g\"", "\\a", "\\ ", "\\\"", "\\'", "\\\\", "\\\n", "é", "=",
        "''",
    ];
    let mut compared = 0;
    for seed in 0..600 {
        let line = Rng(seed).text(quoting, 10);
        // `dash` reads a trailing backslash as itself, `bash` too; we refuse it on purpose.
        if let Ok(words) = split(&line) {
            assert_eq!(split_by_sh(&line).expect("the shell accepts what we split"), words, "seed {seed}: {line:?}");
            compared += 1;
        }
    }
    assert!(compared > 200, "only {compared} lines were worth comparing");
}

#[test]
fn plain_commands_mean_the_same_to_the_shell() {
    let pieces = &[
        "a", " ", "'b c'", "\"d e\"", "\\ ", "\\*", "'$'", "\"$\"", "*", "~", "$HOME", "{a,b}", "#", "%", "=", "!",
        "^", "é", "\"\\d\"", "-", "`", ";", "'`;|&'", "\"`\"",
    ];
    let mut compared = 0;
    for seed in 0..3_000 {
        let arguments = Rng(seed).text(pieces, 6);
        if is_plain(&format!("true {arguments}")) && compared < 300 {
            let words = split(&arguments).expect("a plain command splits");
            assert_eq!(split_by_sh(&arguments).expect("a plain command runs"), words, "seed {seed}: {arguments:?}");
            compared += 1;
        }
    }
    assert!(compared > 100, "only {compared} plain lines");
}

#[test]
fn knows_what_needs_a_shell() {
    for plain in [
        "web",
        "bin/web",
        "./a --b=c -d",
        "psql -c \"select 1::int\"",
        "python3 -c 'print(1); print(2)'",
        "env A=1 B=2 cmd",
        "echo hi",
        "  java -jar a.jar  ",
        r"cat a\ b",
        "časovač --teď",
    ] {
        assert!(is_plain(plain), "{plain}");
    }
    for shell in [
        "",
        "   ",
        "A=1 cmd",
        "a=b",
        "cmd $PORT",
        "cmd '$PORT'",
        r"cmd \$PORT",
        r#"cmd "\$PORT""#,
        "cmd ${PORT}",
        "cmd `date`",
        "cmd \"`date`\"",
        "cmd > f",
        "cmd < f",
        "cmd 2>&1",
        "a | b",
        "a && b",
        "a &",
        "a; b",
        "(a)",
        "{ a; }",
        "cmd *.c",
        "cmd file?",
        "cmd [ab]",
        "cmd ~/x",
        "~/bin/x",
        "cmd a#b",
        "cmd # comment",
        "cmd {a,b}",
        "cd /tmp",
        "exec cmd",
        "export A",
        "source f",
        ". f",
        ": x",
        "[ -f x ]",
        "[[ -f x ]]",
        "! cmd",
        "if true",
        "while true",
        "time cmd",
        "%1",
        "echo 'a\\nb'",
        "'my prog' x",
        "cmd 'open",
        "cmd \\",
        "a\nb",
    ] {
        assert!(!is_plain(shell), "{shell}");
    }
}
