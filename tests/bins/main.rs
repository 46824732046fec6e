//! `gaffer` as its users run it: the real binary, real programs, signals, pipes and terminals.
//!
//! Each test has a [`Room`](support::Room) of its own: a folder, and a mark in the environment of everything that is
//! started in it, by which it is found in `/proc` if it should outlive the test. So the tests need Linux.
#![allow(clippy::print_stderr)]
#![cfg(target_os = "linux")]

mod support;

mod application;
mod attach;
mod check;
mod color;
mod crowd;
#[path = "../common/descriptors.rs"]
mod descriptors;
mod examples;
mod exits;
mod export;
mod first;
mod flow;
mod help;
mod json;
mod lines;
mod respawn;
mod run;
mod signals;
mod surroundings;
mod terminal;
mod tty;
