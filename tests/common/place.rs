//! Where tests put what they make.

use std::path::PathBuf;

/// The longest path of a folder in which the names of ours still make paths of sockets (unix(7): 107 bytes, elsewhere 103).
const LONGEST: usize = 50;

/// The folder for temporary files, or `/tmp` where sockets would have too long a path there, or the scripts of tests would read it as
/// more than one word.
pub(crate) fn place() -> PathBuf {
    let given = std::env::temp_dir();
    let plain = |text: &str| text.len() <= LONGEST && text.chars().all(|c| c.is_alphanumeric() || "/._-+".contains(c));
    if given.to_str().is_some_and(plain) { given } else { PathBuf::from("/tmp") }
}
