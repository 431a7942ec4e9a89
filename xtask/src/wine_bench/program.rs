//! Tests the file `hnsproxy.exe`: its size, the imported DLLs, where Windows searches for them, and that the emulator is not part of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use crate::load_config::imports_from_system32;
use crate::process::output;
use crate::wine::Prefix;

/// The limit for a release, in bytes.
const MAX_SIZE: u64 = 12 << 20;
/// The objdump of mingw-w64.
const OBJDUMP: &str = "x86_64-w64-mingw32-objdump";
/// The DLLs that are loaded at the start, in lower case. Windows loads most of them from System32 in any case (KnownDLLs).
const DLLS: [&str; 15] = [
    "advapi32.dll",
    "api-ms-win-core-synch-l1-2-0.dll",
    "bcryptprimitives.dll",
    "combase.dll",
    "crypt32.dll",
    "iphlpapi.dll",
    "kernel32.dll",
    "msvcrt.dll",
    "ntdll.dll",
    "oleaut32.dll",
    "pdh.dll",
    "powrprof.dll",
    "psapi.dll",
    "shell32.dll",
    "ws2_32.dll",
];

/// Checks that the file is stripped, and that it imports only these DLLs, only from System32: a DLL in the folder of the program must not
/// run as LocalSystem.
pub(super) fn is_one_small_file(program: &Path) -> Result<()> {
    let size = std::fs::metadata(program)?.len();
    ensure!(size < MAX_SIZE, "{size} bytes: the limit is {MAX_SIZE}");
    let headers = output(Command::new(OBJDUMP).arg("-p").arg(program))?;
    let dlls: Vec<&str> = headers.lines().filter_map(|line| line.trim().strip_prefix("DLL Name: ")).collect();
    let dlls: BTreeSet<_> = dlls.iter().map(|name| name.to_ascii_lowercase()).collect();
    let expected = BTreeSet::from(DLLS.map(str::to_owned));
    ensure!(dlls == expected, "the program needs {dlls:?} at its start, not {expected:?}");
    ensure!(imports_from_system32(&std::fs::read(program)?)?, "DLLs are not restricted to System32");
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
