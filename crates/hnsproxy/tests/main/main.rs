//! The program as a whole: what it programs, answers and leaves behind. Tests wait on state; only `messages` compares wording.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "test code, helpers included: a panic is a failed test"
)]

mod ask;
mod commands;
mod configuration;
mod doctor;
mod dumps;
mod emulator;
mod explain;
mod files;
mod hns;
mod live;
mod log_file;
mod messages;
#[cfg(unix)]
mod monitoring;
mod networks;
mod packets;
mod probe;
mod reported;
mod serve;
mod slow_hns;
mod source_vip;
#[path = "../support/mod.rs"]
mod support;
#[cfg(target_os = "linux")]
mod ui;
mod writers;
