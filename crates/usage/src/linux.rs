//! Linux: the files of `/proc`, whose forms are part of the kernel's interface.

use super::Usage;

/// The kernel shows times in hundredths of a second to all programs, whatever it counts in.
const TICKS_A_SECOND: f64 = 100.0;

#[cfg(target_os = "linux")]
pub(crate) fn now() -> Usage {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    // The list is read by a file that is open meanwhile.
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count().saturating_sub(1));
    Usage {
        open_files: u64::try_from(open).ok().filter(|open| *open > 0),
        ..of(&read("/proc/self/stat"), &read("/proc/self/status"), &read("/proc/self/limits"), &read("/proc/stat"))
    }
}

/// What the files say.
fn of(stat: &str, status: &str, limits: &str, system: &str) -> Usage {
    // The second field is the program's name, which may have blanks: fields are counted from behind it, the state being the third.
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap_or_default();
    let seconds = |field: usize| Some(fields.split(' ').nth(field - 3)?.parse::<f64>().ok()? / TICKS_A_SECOND);
    let bytes = |name| Some(number_after(status, name)? * 1024);
    #[allow(clippy::cast_precision_loss, reason = "seconds of Unix time")]
    let booted = number_after(system, "btime ").map(|seconds| seconds as f64);
    Usage {
        cpu_seconds: seconds(14).zip(seconds(15)).map(|(user, system)| user + system),
        open_files: None,
        open_files_limit: number_after(limits, "Max open files"),
        resident_bytes: bytes("VmRSS:"),
        virtual_bytes: bytes("VmSize:"),
        started: booted.zip(seconds(22)).map(|(booted, after)| booted + after),
    }
}

/// The number at the beginning of what follows a name at the beginning of a line.
fn number_after(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 99 0 0 0 150 50 0 0 20 0 3 0 250 1000 50 1844 0 0\n";
        let status = "Name:\ta\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n";
        let expected = Usage {
            cpu_seconds: Some(2.0),
            open_files: None,
            open_files_limit: Some(1024),
            resident_bytes: Some(1 << 20),
            virtual_bytes: Some(2 << 20),
            started: Some(1002.5),
        };
        assert_eq!(of(stat, status, limits, "cpu 1 2\nbtime 1000\n"), expected);
        assert_eq!(of("", "", "Max open files unlimited", ""), Usage::default());
    }
}
