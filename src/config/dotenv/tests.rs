use super::*;
use crate::config::MAX_WARNINGS;
use crate::words::tests::Rng;

fn environment(name: &str) -> Option<String> {
    [("HOME", "/root"), ("A", "env"), ("EMPTY", "")].iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
}

fn parse(text: &str) -> Result<Dotenv> {
    Dotenv::parse(text, ".env", Expand::FileFirst(&environment))
}

/// The value of the last variable of `text`.
#[track_caller]
fn value(text: &str) -> String {
    parse(text).expect(text).vars.pop().expect(text).1
}

#[test]
fn values() {
    for (text, want) in [
        ("X=a", "a"),
        ("X = a  b \t", "a  b"),
        ("  export  X=a", "a"),
        ("export\tX = a", "a"),
        ("export=a", "a"),
        ("X=", ""),
        ("X=   ", ""),
        ("X= # c", ""),
        ("X=#c", "#c"),
        ("X=a#c", "a#c"),
        ("X=a\t# c", "a"),
        ("X=a=b", "a=b"),
        ("X={\"a\": \"b\"}", "{\"a\": \"b\"}"),
        ("X=a\\nb", "a\\nb"),
        ("X='a $HOME \\n # b'# c", "a $HOME \\n # b"),
        ("X='a\n\nb' # c", "a\n\nb"),
        ("X='it\\'s'", "it's"),
        ("X='a\\'b\\'\nc'", "a'b'\nc"),
        ("X='C:\\'", "C:\\"),
        ("X='C:\\' # c", "C:\\"),
        ("X=\"a\\n\\t\\\"\\\\\\$\\d#\"", "a\n\t\"\\$\\d#"),
        ("X=\"a\r\nb\"\r", "a\nb"),
        ("X=\"it's\"#c", "it's"),
        ("X=`a`", "`a`"),
        ("\u{feff}X=1", "1"),
        ("X.y-Z9=1", "1"),
        ("X=é ✓", "é ✓"),
    ] {
        assert_eq!(value(text), want, "{text:?}");
    }
}

#[test]
fn expansion() {
    for (text, want) in [
        ("X=$HOME/a", "/root/a"),
        ("X=\"${HOME}a\"", "/roota"),
        ("X='$HOME'", "$HOME"),
        ("X=\\$HOME \\${HOME}", "$HOME ${HOME}"),
        ("A=file\nX=$A", "file"),
        ("X=$A", "env"),
        ("A=$A:more\nX=$A", "env:more"),
        ("Y=$LATER.\nLATER=1\nX=${Y}", "."),
        ("X=$5 $ $$ a$", "$5 $ $$ a$"),
        ("X=pa$$HOME", "pa$$HOME"),
        ("X=${NO:-a b}", "a b"),
        ("X=${NO-a}${EMPTY-b}${EMPTY:-c}${A:-d}", "acenv"),
        ("X=${NO:-${NO:-$HOME}}", "/root"),
        ("X=\"${NO:-\\\"\\}}\"", "\"}"),
        ("B='a '\nX=$B # c", "a "),
        ("B='$HOME'\nX=$B", "$HOME"),
    ] {
        assert_eq!(value(text), want, "{text:?}");
    }
    let first = Dotenv::parse("A=file\nX=$A", ".env", Expand::EnvironmentFirst(&environment)).expect("valid");
    assert_eq!(first.vars[1].1, "env");
    let off = Dotenv::parse("A=1\nX=$A${A:-\nY=\"\\$A\\n\"", ".env", Expand::Off).expect("valid");
    assert_eq!((&*off.vars[1].1, &*off.vars[2].1), ("$A${A:-", "\\$A\n"));
}

#[test]
fn the_last_line_counts_and_the_first_has_the_place() {
    let mut env = parse("A=1\nB=2\nA=3\n").expect("valid");
    env.add("C=$A\nB=4", "other.env", Expand::FileFirst(&environment)).expect("valid");
    let want = [("A", "3"), ("B", "4"), ("C", "3")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(env.vars, want);
    let before = env.clone();
    assert!(env.add("A=9\nB='", "bad.env", Expand::Off).is_err());
    assert_eq!(env, before);
}

#[test]
fn refuses_what_cannot_be_read_for_certain() {
    let form = "expected ${NAME}, ${NAME:-default} or ${NAME-default}; write \\${ or use single quotes for a plain ${";
    for (text, want) in [
        ("A=1\n X = 'a\nb", "2:6: this single quote is never closed"),
        ("é\nX=\"a\\\"", "2:3: this double quote is never closed"),
        ("X=\"a\"b # c", "1:6: expected the end of the line after the closing quote"),
        ("X='a'b", "1:6: expected the end of the line after the closing quote"),
        ("X=é${A", &format!("1:4: {form}")),
        ("X=${}", &format!("1:3: {form}")),
        ("X=${1}", &format!("1:3: {form}")),
        ("X=${A:?no}", &format!("1:3: {form}")),
        ("X=${A:-no\nY=1}", "1:3: this ${ is never closed by a }"),
        ("A=1\nX='a\0'", "2:1: the value of X has a NUL, which no environment can hold"),
    ] {
        assert_eq!(parse(text).expect_err(text).to_string(), format!(".env:{want}"));
    }
    assert!(parse(&format!("X={}1{}", "${N-".repeat(16), "}".repeat(16))).is_ok());
    let e = parse(&format!("X={}1{}", "${N-".repeat(17), "}".repeat(17))).expect_err("too deep").to_string();
    assert!(e.ends_with("nested more than 16 deep"), "{e}");
}

#[test]
fn skips_other_lines_aloud() {
    let env = parse("A=1\nVAR\nexport HOME # fine\n=x\n;B=1\nÜ=1\nC: 1\nD=$NO${NO:-$NO}${A:-$NO}\n").expect("valid");
    assert_eq!(env.vars.len(), 2);
    let skipped = |place: &str| format!(".env:{place}: expected `NAME=value`; the line is skipped");
    let unset = |place: &str| format!(".env:{place}: the variable NO is not set: nothing is put in its place");
    let want =
        [skipped("2:1"), skipped("4:1"), skipped("5:1"), skipped("6:1"), skipped("7:1"), unset("8:3"), unset("8:12")];
    assert_eq!(env.warnings, want);
    let many = parse(&"x\n".repeat(MAX_WARNINGS + 2)).expect("valid");
    assert_eq!(many.warnings.last().map(String::as_str), Some(".env: 2 more warnings"));
}

#[test]
fn values_that_multiply_are_bounded() {
    let mut text = "A=0123456789abcdef\n".to_owned();
    for _ in 0..10 {
        text.push_str(&format!("A={}\n", "$A".repeat(16)));
    }
    let e = parse(&text).expect_err("16 to the 11th bytes").to_string();
    assert!(e.contains("the value is longer than"), "{e}");
    let text: String = (0..40).map(|n| format!("B{n}={}\n", "x".repeat(100_000))).collect();
    let e = parse(&text).expect_err("4 MB").to_string();
    assert!(e.starts_with(".env:21:1: all values together are longer"), "{e}");
}

/// The line that gives `name` this value.
fn write(name: &str, value: &str, rng: &mut Rng) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('\t', "\\t");
    let escaped = if rng.below(2) == 0 && !value.contains('\r') { escaped } else { escaped.replace('\n', "\\n") };
    let single = !value.contains(['\'', '\r']) && !value.ends_with('\\') && rng.below(2) == 0;
    let quoted = if single { format!("'{value}'") } else { format!("\"{escaped}\"") };
    let [export, around, comment] = [["", "export "], ["", " "], ["", " # 'c"]].map(|choice| choice[rng.below(2)]);
    format!("{export}{name}{around}={around}{quoted}{comment}\n")
}

#[test]
fn what_is_written_is_read_again() {
    let pieces = &["a", " ", "'", "\"", "\\", "$", "${", "}", "#", "=", "\n", "\t", "\r", "é", "\\n", "A", "`", "$A"];
    for seed in 0..20_000 {
        let mut rng = Rng(seed);
        let vars: Vec<(String, String)> = (0..rng.below(4)).map(|n| (format!("V{n}"), rng.text(pieces, 8))).collect();
        let text: String = vars.iter().map(|(name, value)| write(name, value, &mut rng)).collect();
        let read = parse(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}: {text:?}"));
        assert_eq!(read.vars, vars, "seed {seed}: {text:?}");
    }
}

#[test]
fn survives_anything() {
    let pieces = &[
        "A", "B=", "=", "$", "${", "}", ":-", "-", "'", "\"", "\\", "\n", "\r\n", " ", "#", "export ", "é", "\0", "x",
        "$A", "\u{feff}",
    ];
    for seed in 0..200_000 {
        let mut rng = Rng(seed);
        let text = if seed % 2 == 0 { rng.text(pieces, 20) } else { rng.garbage(48) };
        for expand in [Expand::Off, Expand::FileFirst(&environment), Expand::EnvironmentFirst(&environment)] {
            if let Ok(env) = Dotenv::parse(&text, ".env", expand) {
                let mut names: Vec<_> = env.vars.iter().map(|(name, _)| name).collect();
                names.sort();
                names.dedup();
                assert_eq!(names.len(), env.vars.len(), "seed {seed}: a name is there twice");
                assert!(env.vars.iter().all(|(name, value)| !name.is_empty() && !value.contains('\0')), "seed {seed}");
            }
        }
    }
}
