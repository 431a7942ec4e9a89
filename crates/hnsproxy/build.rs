//! Tells the program for which target it is built.

#![allow(clippy::print_stdout, reason = "the output of a build script is read by Cargo")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
