//! The tables of the protocol's own test document, and properties.

mod properties;
mod tables;
