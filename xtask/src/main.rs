//! Tasks of this workspace. `cargo xtask help` lists them.
//!
//! Progress goes to stderr, results to stdout. The exit code is 0 for success and 1 for a failure; for `wine`, it is that of the program.
#![allow(clippy::disallowed_methods, reason = "tasks measure times and wait for programs")]

mod archive;
mod bench;
mod book;
mod cargo_tools;
mod chaos;
mod chart;
mod cluster;
mod folder;
mod fuzz;
mod hash;
mod http;
mod image;
mod instructions;
#[cfg(target_os = "linux")]
mod lab;
mod lint;
mod load_config;
mod mutants;
mod outage;
mod process;
mod program;
mod python;
mod record;
mod release;
mod reproducible;
mod rig;
mod soak;
mod source;
mod system;
mod test;
mod tools;
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
    /// Build for Windows (x86_64-pc-windows-gnu) with mingw-w64, and print the paths of programs and DLLs.
    Windows(windows::Arguments),
    /// Build the container images for HostProcess containers, as an OCI layout.
    Image(image::Arguments),
    /// Check the Helm chart, and the manifests of deploy/kubernetes that are rendered from it.
    Chart(chart::Arguments),
    /// Build all files of a release: zip, installer, images, bill of materials, checksums, signatures.
    Release(release::Arguments),
    /// Run a Windows program under Wine, in a prefix of the workspace.
    Wine(wine::Arguments),
    /// Test hnsproxy.exe under Wine, with the emulator's DLLs.
    WineBench(wine_bench::Arguments),
    /// Run benchmarks; print tables and write JSON to target/bench.
    Bench(bench::Arguments),
    /// Count the instructions and allocations of a fixed workload, and compare them with the stored figures.
    Instructions(instructions::Arguments),
    /// Run random worlds with faults of every kind, and judge each write to HNS.
    Chaos(chaos::Arguments),
    /// Fuzz everything that comes from outside: files, API server, flags, HNS, emulator.
    Fuzz(fuzz::Arguments),
    /// Change the code in many small ways, and report the changes that no test detects.
    Mutants(mutants::Arguments),
    /// Run hnsproxy for a long time with changes and faults, and check memory, readiness and HNS.
    Soak(soak::Arguments),
    /// Record what a Service proxy changes in an emulated HNS, for `bench connections`.
    Record(record::Arguments),
    /// Reach a Service with curl through a model of the virtual switch, while pods are replaced. Needs Linux, and root or user namespaces.
    #[cfg(target_os = "linux")]
    Lab(lab::Arguments),
    /// Run unit, integration and documentation tests.
    Test(test::Arguments),
    /// Build the book of docs/ as a website, and check its links.
    Book,
    /// Check module cycles, files outside of the module tree, file headers, and pages of docs.
    Lint,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Windows(arguments) => windows::run(&arguments),
        Task::Image(arguments) => image::run(&arguments),
        Task::Chart(arguments) => chart::run(&arguments),
        Task::Release(arguments) => release::run(&arguments),
        Task::Wine(arguments) => wine::run(&arguments),
        Task::WineBench(arguments) => wine_bench::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Instructions(arguments) => instructions::run(&arguments),
        Task::Chaos(arguments) => chaos::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Mutants(arguments) => mutants::run(&arguments),
        Task::Soak(arguments) => soak::run(&arguments),
        Task::Record(arguments) => record::run(&arguments),
        #[cfg(target_os = "linux")]
        Task::Lab(arguments) => lab::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Book => book::run(),
        Task::Lint => lint::run(),
    };
    result.unwrap_or_else(|error| {
        process::say(format_args!("error: {error:#}"));
        ExitCode::FAILURE
    })
}
