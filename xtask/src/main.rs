//! Tasks of this workspace that need more than a shell line. `cargo xtask help` lists them.
//!
//! Progress goes to stderr, results to stdout. The exit code is 0 for success, that of the program for `wine`, and 1 for any failure.
#![allow(clippy::disallowed_methods, reason = "tasks measure times and wait for programs")]

mod bench;
mod folder;
mod http;
mod lint;
mod process;
mod system;
mod test;
mod windows;
mod wine;
mod wine_bench;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build for Windows (x86_64-pc-windows-gnu), on any system with mingw-w64; prints the paths of what was built.
    Windows(windows::Arguments),
    /// Run a Windows program under Wine, in a prefix of its own.
    Wine(wine::Arguments),
    /// Show hnsproxy.exe at work under Wine, on stand-in DLLs and an emulated HNS.
    WineBench(wine_bench::Arguments),
    /// Measure how long things take, under Wine too; prints tables and writes JSON to target/bench.
    Bench(bench::Arguments),
    /// Run all tests: unit and integration tests, and those in documentation.
    Test(test::Arguments),
    /// Check what neither the compiler nor clippy does: module cycles, files outside of the module tree, pages of docs.
    Lint,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Windows(arguments) => windows::run(&arguments),
        Task::Wine(arguments) => wine::run(&arguments),
        Task::WineBench(arguments) => wine_bench::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Lint => lint::run(),
    };
    result.unwrap_or_else(|error| {
        process::say(format_args!("error: {error:#}"));
        ExitCode::FAILURE
    })
}
