//! What Windows says about itself: build, revision, and the state of the HNS service.

use std::path::Path;
use std::process::Command;

use crate::survey::HostFacts;

impl HostFacts {
    /// On other systems than Windows, nothing but the version of HNS is known.
    pub fn read(hns_version: Option<String>) -> Self {
        let unknown = Self { hns_version, ..Self::default() };
        if !cfg!(windows) {
            return unknown;
        }
        let version = output("reg.exe", &["query", r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion"]);
        let version = version.unwrap_or_default();
        Self {
            windows_edition: value(&version, "EditionID").map(str::to_owned),
            windows_build: value(&version, "CurrentBuildNumber").and_then(number),
            windows_revision: value(&version, "UBR").and_then(number),
            hns_service: output("sc.exe", &["query", "hns"]).and_then(|text| state(&text)),
            ..unknown
        }
    }
}

/// Returns the output of a Windows program; `None` if it cannot be started. Calling the Windows API instead would require unsafe code.
pub fn output(program: &str, arguments: &[&str]) -> Option<String> {
    // Uses the full path, because Windows would prefer a program of this name in the folder of hnsproxy.
    let windows = std::env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());
    let program = Path::new(&windows).join("System32").join(program);
    let output = Command::new(program).args(arguments).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The data of a value that `reg query` prints: name, type and data, separated by blanks.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix(name)?;
        let (kind, data) = rest.strip_prefix(char::is_whitespace)?.trim_start().split_once(char::is_whitespace)?;
        kind.starts_with("REG_").then(|| data.trim())
    })
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The state that `sc query` prints, by its number: the words are in the language of Windows.
fn state(text: &str) -> Option<String> {
    // The lines are TYPE, STATE and others. Both numbers of the service follow a colon, and only that of the state is at most 7.
    let numbers = text.lines().filter_map(|line| {
        let (_, after) = line.split_once(':')?;
        after.split_whitespace().next()?.parse::<u32>().ok()
    });
    let name = match numbers.skip(1).find(|number| (1..=7).contains(number))? {
        1 => "stopped",
        2 => "start pending",
        3 => "stop pending",
        4 => "running",
        5 => "continue pending",
        6 => "pause pending",
        _ => "paused",
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_and_revision_are_read_from_the_registry() {
        let text = "\r\nHKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\r\n    CurrentBuild    REG_SZ    20348\r\n    \
                    CurrentBuildNumber    REG_SZ    20348\r\n    EditionID    REG_SZ    ServerDatacenter\r\n    UBR    REG_DWORD    0x9c4\r\n";
        assert_eq!(value(text, "CurrentBuildNumber").and_then(number), Some(20348));
        assert_eq!(value(text, "UBR").and_then(number), Some(2500));
        assert_eq!(value(text, "EditionID"), Some("ServerDatacenter"));
        assert_eq!(value(text, "ReleaseId"), None);
    }

    #[test]
    fn the_state_of_the_service_is_read_in_any_language() {
        let german = "\r\nSERVICE_NAME: hns \r\n        TYP                : 30  WIN32  \r\n        STATUS             : 4  RUNNING \r\n";
        assert_eq!(state(german).as_deref(), Some("running"));
        let english = "SERVICE_NAME: hns\r\n TYPE : 20 WIN32_SHARE_PROCESS\r\n STATE : 1 STOPPED\r\n WIN32_EXIT_CODE : 0 (0x0)\r\n";
        assert_eq!(state(english).as_deref(), Some("stopped"));
        assert_eq!(state("[SC] EnumQueryServicesStatus:OpenService FAILED 1060:\r\n"), None);
    }
}
