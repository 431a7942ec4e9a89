//! What the system knows of this process: processor time, memory, open files.
//!
//! Linux is asked by `/proc`, Windows by its functions; other systems tell nothing. What is not told is none, never an error.
#![cfg_attr(not(windows), forbid(unsafe_code))]

#[cfg(any(target_os = "linux", test))]
mod linux;
#[cfg(windows)]
mod windows;

/// What this process has, and has had, of the system.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Seconds of processor time, of all threads, in the system too.
    pub cpu_seconds: Option<f64>,
    /// Open files; handles on Windows.
    pub open_files: Option<u64>,
    /// How many may be open.
    pub open_files_limit: Option<u64>,
    /// Bytes in memory.
    pub resident_bytes: Option<u64>,
    /// Bytes of addresses; on Windows, bytes that only this process has.
    pub virtual_bytes: Option<u64>,
    /// When it began, in seconds of Unix time.
    pub started: Option<f64>,
}

impl Usage {
    /// What it is now.
    pub fn now() -> Self {
        #[cfg(target_os = "linux")]
        return linux::now();
        #[cfg(windows)]
        return windows::now();
        #[cfg(not(any(target_os = "linux", windows)))]
        return Self::default();
    }
}

#[cfg(test)]
mod tests {
    #[cfg(any(target_os = "linux", windows))]
    #[test]
    fn everything_is_known_and_makes_sense() {
        let super::Usage { cpu_seconds, open_files, open_files_limit, resident_bytes, virtual_bytes, started } =
            super::Usage::now();
        assert!(cpu_seconds.unwrap() < 3600.0);
        assert!(open_files.unwrap() > 0 && open_files.unwrap() < open_files_limit.unwrap());
        assert!(resident_bytes.unwrap() > 1 << 16 && resident_bytes.unwrap() < 1 << 34);
        assert!(virtual_bytes.unwrap() > 1 << 16);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(now - started.unwrap() < 3600.0 && now - started.unwrap() > -2.0);
    }
}
