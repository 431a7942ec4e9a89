//! Tests the file `hnsproxy.exe`: its size, the DLLs it needs, and that it lacks the emulator.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use crate::process::output;
use crate::wine::Prefix;

/// The limit for a release, in bytes.
const MAX_SIZE: u64 = 12 << 20;
/// The objdump of mingw-w64.
const OBJDUMP: &str = "x86_64-w64-mingw32-objdump";
/// DLLs that the linker may add and Windows lacks.
const NOT_OF_WINDOWS: [&str; 3] = ["libgcc", "libwinpthread", "libstdc++"];

/// The file is stripped. At its start it loads neither DLLs that Windows lacks nor the DLLs of HNS, which a system may lack.
pub(super) fn is_one_small_file(program: &Path) -> Result<()> {
    let size = std::fs::metadata(program)?.len();
    ensure!(size < MAX_SIZE, "{size} bytes: the limit is {MAX_SIZE}");
    let headers = output(Command::new(OBJDUMP).arg("-p").arg(program))?;
    let dlls: Vec<&str> = headers.lines().filter_map(|line| line.trim().strip_prefix("DLL Name: ")).collect();
    ensure!(!dlls.is_empty(), "objdump lists no DLLs");
    let foreign = |dll: &&&str| NOT_OF_WINDOWS.iter().any(|prefix| dll.starts_with(prefix));
    let of_hns = |dll: &&&str| super::DLLS.iter().any(|name| dll.eq_ignore_ascii_case(name));
    let wrong: Vec<_> = dlls.iter().filter(|dll| foreign(dll) || of_hns(dll)).collect();
    ensure!(wrong.is_empty(), "the program needs {wrong:?} at its start");
    let symbols = output(Command::new(OBJDUMP).arg("-t").arg(program))?;
    ensure!(symbols.contains("no symbols"), "the program is not stripped");
    Ok(())
}

/// Options for emulators are rejected.
pub(super) fn has_no_emulator(program: &Path, prefix: &Prefix) -> Result<()> {
    for hns in ["emulated", "tcp://127.0.0.1:1"] {
        let result = prefix.command().arg(program).args(["state", "--hns", hns]).stdin(Stdio::null()).output()?;
        let log = String::from_utf8_lossy(&result.stderr);
        ensure!(result.status.code() == Some(1), "--hns {hns}: {}: {log}", result.status);
        ensure!(log.contains("this build has no emulated HNS"), "--hns {hns}: {log}");
    }
    let result = prefix.command().arg(program).arg("emulator").stdin(Stdio::null()).output()?;
    ensure!(result.status.code() == Some(1), "emulator: {}", result.status);
    Ok(())
}
