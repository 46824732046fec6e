//! Ini files, as they are written.

use gaffer::config::ini::Ini;

/// Sections and keys differ, and what was read can be written and read again.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(ini) = Ini::parse(&text, "x.ini") else { return };
    let lines = text.split('\n').count();
    for (nth, section) in ini.sections.iter().enumerate() {
        assert!(ini.sections[..nth].iter().all(|other| other.name != section.name && other.line < section.line));
        assert!(section.line <= lines);
        for (nth, entry) in section.entries.iter().enumerate() {
            assert!(section.entries[..nth].iter().all(|other| other.key != entry.key));
            assert!(!entry.key.is_empty() && entry.line <= lines && entry.column < entry.value_column);
        }
    }
    let again = Ini::parse(&ini.to_string(), "again").expect("what was read can be written");
    let flat = |ini: &Ini| {
        let entries = |s: &gaffer::config::ini::Section| {
            s.entries.iter().map(|e| (e.key.clone(), e.value.clone())).collect::<Vec<_>>()
        };
        ini.sections.iter().map(|s| (s.name.clone(), entries(s))).collect::<Vec<_>>()
    };
    assert_eq!(flat(&again), flat(&ini));
}
