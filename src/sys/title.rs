//! What `ps` and `top` call this program.

use std::ffi::CString;
use std::io;

/// Sets the name of this process, as `ps -o comm` and `/proc/self/comm` show it: 15 bytes on Linux, the rest is
/// cut. Elsewhere nothing happens.
///
/// To be called by the main thread: on Linux the name of a process is that of its first thread.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidInput`] if there is a NUL in it.
pub fn set(name: &str) -> io::Result<()> {
    let name = CString::new(name).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    #[cfg(target_os = "linux")]
    // SAFETY: the kernel copies at most 16 bytes of a string that ends with NUL (prctl(2), PR_SET_NAME).
    super::cvt(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) })?;
    #[cfg(not(target_os = "linux"))]
    drop(name);
    Ok(())
}
