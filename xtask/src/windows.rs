//! Builds for Windows from another system.
//!
//! The compiler is rustup's if it has the standard library of the target, else Debian's, which builds the standard library from Debian's
//! source package. The linker is mingw-w64's. The target folder is `target/windows`, so that builds for Windows and for this system do
//! not wait for each other.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::load_config;
use crate::process::{find, output, output_shown, print, say};
use crate::{folder, reproducible, system};

/// The target triple.
pub(crate) const TARGET: &str = "x86_64-pc-windows-gnu";
/// The C compiler and linker for [`TARGET`].
pub(crate) const GCC: &str = "x86_64-w64-mingw32-gcc";
/// The Debian package of [`GCC`].
pub(crate) const GCC_PACKAGE: &str = "gcc-mingw-w64-x86-64";

const RUST_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// What to build.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Only these packages, instead of the whole workspace
    #[arg(short, long = "package", value_name = "PACKAGE")]
    packages: Vec<String>,
    /// With optimization, as for a release, without the emulator in hnsproxy
    #[arg(long)]
    release: bool,
    /// Test programs and examples instead
    #[arg(long)]
    tests: bool,
    /// Examples too
    #[arg(long, conflicts_with = "tests")]
    examples: bool,
    /// Only check the code
    #[arg(long, conflicts_with = "tests")]
    check: bool,
}

impl Arguments {
    /// Programs and libraries of some packages, as for a release.
    pub(crate) fn release_of(packages: &[&str]) -> Self {
        Self {
            packages: packages.iter().map(|&package| package.to_owned()).collect(),
            release: true,
            ..Self::default()
        }
    }

    /// The test programs of some packages.
    pub(crate) fn tests_of(packages: &[String]) -> Self {
        Self { packages: packages.to_vec(), tests: true, ..Self::default() }
    }

    /// With the examples of the packages.
    pub(crate) fn with_examples(self) -> Self {
        Self { examples: true, ..self }
    }
}

/// One program or library that was built.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) file: PathBuf,
    /// The folder of the package.
    pub(crate) package: PathBuf,
    pub(crate) is_test: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    for built in build(arguments)? {
        print(format_args!("{}", built.file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds, and returns the programs and libraries.
pub(crate) fn build(arguments: &Arguments) -> Result<Vec<Built>> {
    let mut command = cargo()?;
    command.arg(match arguments {
        Arguments { tests: true, .. } => "test",
        Arguments { check: true, .. } => "check",
        _ => "build",
    });
    if arguments.release {
        // The options of reproducible builds refer to the downloaded sources of dependencies, so these must exist.
        crate::process::run(cargo()?.args(["fetch", "--quiet", "--locked", "--target", TARGET]))?;
        reproducible::apply(&mut command, TARGET)?;
        command.arg("--locked");
    }
    let debian = !rustup_has_target();
    if debian {
        command.arg("-Zbuild-std=std,panic_abort");
    }
    command.args(["--target", TARGET, "--message-format", "json-render-diagnostics"]);
    command.arg("--target-dir").arg(folder::target()?.join("windows"));
    if arguments.tests {
        command.arg("--no-run");
    }
    if arguments.check {
        command.arg("--all-targets");
    } else if arguments.examples {
        command.args(["--lib", "--bins", "--examples"]);
    }
    if arguments.release {
        // Optional features are for development: a release calls the real HNS only.
        command.args(["--release", "--no-default-features"]);
    }
    if arguments.packages.is_empty() {
        // This program is not for Windows.
        command.args(["--workspace", "--exclude", "xtask"]);
    }
    for package in &arguments.packages {
        command.args(["--package", package]);
    }
    let messages = output_shown(&mut command)?;
    let built: Vec<_> = messages.lines().filter_map(built).collect();
    if arguments.release {
        for program in built.iter().filter(|built| built.file.ends_with("hnsproxy.exe")) {
            load_config::enter(&program.file)?;
        }
    }
    Ok(built)
}

/// The cargo command to build with, without arguments.
fn cargo() -> Result<Command> {
    let root = folder::root()?;
    if rustup_has_target() {
        if find(GCC).is_none() {
            system::need_packages(&[GCC_PACKAGE], "a build for Windows")?;
        }
        let mut command = Command::new("cargo");
        command.current_dir(root);
        return Ok(command);
    }
    let packages = [&RUST_PACKAGES[..], &[GCC_PACKAGE]].concat();
    let purpose = format!("a build for Windows (without rustup's target {TARGET})");
    system::need_packages(&packages, &purpose)?;
    let version = output(Command::new("/usr/bin/rustc").arg("--version").env_remove("LD_LIBRARY_PATH"))?;
    say(format_args!("rustup lacks the target {TARGET}: building with Debian's {}", version.trim_end()));
    let mut command = Command::new("/usr/bin/cargo");
    command.current_dir(root).env("RUSTC", "/usr/bin/rustc").env("RUSTDOC", "/usr/bin/rustdoc");
    // -Zbuild-std is unstable, and a stable compiler needs this variable for it.
    command.env("RUSTC_BOOTSTRAP", "1");
    // Variables of the cargo that runs this program, which would select the libraries of its compiler.
    for name in ["CARGO", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"] {
        command.env_remove(name);
    }
    Ok(command)
}

/// Whether all tools for a build for Windows are installed.
pub(crate) fn tools_are_here() -> bool {
    find(GCC).is_some() && (rustup_has_target() || RUST_PACKAGES.iter().all(|package| system::installed(package)))
}

fn rustup_has_target() -> bool {
    output(Command::new("rustup").args(["target", "list", "--installed"]))
        .is_ok_and(|targets| targets.lines().any(|target| target == TARGET))
}

/// The program or DLL that a message of cargo reports.
fn built(message: &str) -> Option<Built> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message.get("reason")? != "compiler-artifact" {
        return None;
    }
    let package = Path::new(message.get("manifest_path")?.as_str()?).parent()?.to_owned();
    let is_test = message.get("profile")?.get("test")?.as_bool()?;
    let file = match message.get("executable")?.as_str() {
        Some(file) => PathBuf::from(file),
        None => {
            let files = message.get("filenames")?.as_array()?;
            files.iter().filter_map(Value::as_str).map(PathBuf::from).find(|file| is_windows_dll(file))?
        }
    };
    // Build scripts are programs of this system.
    let for_windows = file.components().any(|part| part.as_os_str() == TARGET);
    for_windows.then_some(Built { file, package, is_test })
}

fn is_windows_dll(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "dll")
}

/// Compiles a DLL from one C file.
pub(crate) fn compile_dll(source: &Path, dll: &Path, libraries: &[&str]) -> Result<()> {
    compile(&["-shared"], source, dll, libraries)
}

/// Compiles a program from one C file.
pub(crate) fn compile_program(source: &Path, program: &Path, libraries: &[&str]) -> Result<()> {
    compile(&[], source, program, libraries)
}

fn compile(kind: &[&str], source: &Path, result: &Path, libraries: &[&str]) -> Result<()> {
    if find(GCC).is_none() {
        system::need_packages(&[GCC_PACKAGE], "a program for Windows")?;
    }
    let mut command = Command::new(GCC);
    command.args(kind).args(["-O2", "-s", "-Wall", "-Werror", "-o"]).arg(result).arg(source);
    command.args(libraries.iter().map(|library| format!("-l{library}")));
    crate::process::run(&mut command).with_context(|| format!("cannot compile {}", source.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_dlls_and_tests_for_windows_are_results_and_nothing_else_is() {
        let message = |executable: &str, files: &str, test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/hcn/Cargo.toml","profile":{{"test":{test}}},
                "filenames":{files},"executable":{executable}}}"#
            )
        };
        let program = built(&message(r#""/t/x86_64-pc-windows-gnu/debug/a.exe""#, "[]", true)).unwrap();
        assert_eq!((program.file.to_str().unwrap(), program.is_test), ("/t/x86_64-pc-windows-gnu/debug/a.exe", true));
        assert_eq!(program.package, Path::new("/w/hcn"));
        let files = r#"["/t/x86_64-pc-windows-gnu/debug/a.dll","/t/x86_64-pc-windows-gnu/debug/liba.dll.a"]"#;
        assert!(built(&message("null", files, false)).unwrap().file.ends_with("a.dll"));
        assert!(built(&message("null", r#"["/t/x86_64-pc-windows-gnu/debug/liba.rlib"]"#, false)).is_none());
        assert!(built(&message(r#""/t/debug/build/b/build-script""#, "[]", false)).is_none());
        assert!(built(r#"{"reason":"build-finished","success":true}"#).is_none());
        assert!(built("not json").is_none());
    }
}
