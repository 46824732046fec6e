//! What is the operating system's.

#[cfg(feature = "console")]
pub(crate) mod clock;
#[cfg(feature = "console")]
pub(crate) mod writable;
