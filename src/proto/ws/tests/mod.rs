//! Whole conversations, tables and properties.
