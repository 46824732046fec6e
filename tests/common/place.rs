//! Where tests put what they make.

use std::path::PathBuf;

/// The longest path of a folder in which the names of ours still make paths of sockets (unix(7): 107 bytes, elsewhere 103).
const LONGEST: usize = 50;

/// The folder for temporary files, or `/tmp` where sockets would have too long a path there.
pub(crate) fn place() -> PathBuf {
    let given = std::env::temp_dir();
    if given.as_os_str().len() <= LONGEST { given } else { PathBuf::from("/tmp") }
}
