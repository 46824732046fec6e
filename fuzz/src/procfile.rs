//! Procfiles.

use gaffer::config::{MAX_WARNINGS, Procfile};

/// Both readings agree where the strict one accepts, and what was read can be written and read again.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let strict = Procfile::parse(&text, "Procfile");
    let Ok(lenient) = Procfile::parse_lenient(&text, "Procfile") else {
        assert!(strict.is_err());
        return;
    };
    assert!(lenient.warnings.len() <= MAX_WARNINGS + 1);
    match strict {
        Ok(strict) => assert_eq!(strict, lenient),
        Err(_) => assert!(!lenient.warnings.is_empty(), "a line is skipped in silence"),
    }
    let written: String = lenient.entries.iter().map(|e| format!("{}: {}\n", e.name, e.command)).collect();
    let again = Procfile::parse(&written, "written").expect("what was read can be written");
    let pairs = |p: &Procfile| p.entries.iter().map(|e| (e.name.clone(), e.command.clone())).collect::<Vec<_>>();
    assert_eq!(pairs(&again), pairs(&lenient));
}
