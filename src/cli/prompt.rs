//! Questions.

use std::io::{self, BufRead, IsTerminal, Write};

use super::{Code, Failure};

/// Asks on standard error for a yes or no, which is read from standard input: `question [y]|n: `. Enter is yes.
///
/// Where standard input is no terminal nobody is asked, and the answer is yes as well.
///
/// # Errors
///
/// The input ends without an answer, or cannot be read.
pub fn confirm(question: &str) -> Result<bool, Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Ok(true);
    }
    ask(question, &mut stdin.lock(), &mut io::stderr())
}

fn ask(question: &str, input: &mut impl BufRead, output: &mut impl Write) -> Result<bool, Failure> {
    let mut line = String::new();
    loop {
        // Who has closed standard error knows what is asked.
        write!(output, "{question} [y]|n: ").and_then(|()| output.flush()).unwrap_or(());
        line.clear();
        let failed = |why: String| Failure::new(Code::Failed, format!("no answer: {why} (--no-input asks nothing)"));
        if input.read_line(&mut line).map_err(|e| failed(e.to_string()))? == 0 {
            return Err(failed("the input has ended".to_owned()));
        }
        match line.trim().to_ascii_lowercase().as_str() {
            "" | "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => writeln!(output, "please enter y or n.").unwrap_or(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, want: Option<bool>, said: &str) {
        let mut output = Vec::new();
        assert_eq!(ask("Go?", &mut input.as_bytes(), &mut output).ok(), want, "{input:?}");
        assert_eq!(String::from_utf8(output).expect("text"), said, "{input:?}");
    }

    #[test]
    fn answers() {
        check("\n", Some(true), "Go? [y]|n: ");
        check("Y\n", Some(true), "Go? [y]|n: ");
        check("no\n", Some(false), "Go? [y]|n: ");
        check("what\nn\n", Some(false), "Go? [y]|n: please enter y or n.\nGo? [y]|n: ");
        check("", None, "Go? [y]|n: ");
    }
}
