//! The metrics of the process.

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::catalog::*;
use super::sample::{Sample, count};

/// The limit of handles of a Windows process, which is fixed.
const WINDOWS_HANDLES: usize = 16 << 20;

/// Values that the system does not have are left out.
pub(crate) fn now() -> Vec<Sample> {
    let Ok(own) = sysinfo::get_current_pid() else { return Vec::new() };
    let mut system = System::new();
    let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, kind);
    let Some(process) = system.process(own) else { return Vec::new() };
    let number = |value: Option<usize>| value.and_then(|value| u64::try_from(value).ok()).map(count);
    let values = [
        (&PROCESS_CPU, Some(count(process.accumulated_cpu_time()) / 1000.0)),
        (&PROCESS_OPEN_FDS, number(process.open_files())),
        (&PROCESS_MAX_FDS, number(if cfg!(windows) { Some(WINDOWS_HANDLES) } else { process.open_files_limit() })),
        (&PROCESS_RESIDENT, Some(count(process.memory()))),
        (&PROCESS_VIRTUAL, Some(count(process.virtual_memory()))),
        (&PROCESS_START, Some(count(process.start_time()))),
    ];
    values.into_iter().filter_map(|(descriptor, value)| Some(Sample::new(descriptor, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_plausible() {
        let samples = now();
        let value = |of: &Descriptor| samples.iter().find(|sample| sample.descriptor.name == of.name).unwrap().value;
        assert!(value(&PROCESS_CPU) < 3600.0);
        assert!(value(&PROCESS_OPEN_FDS) > 0.0 && value(&PROCESS_OPEN_FDS) < value(&PROCESS_MAX_FDS));
        assert!(value(&PROCESS_RESIDENT) > 65536.0 && value(&PROCESS_RESIDENT) <= value(&PROCESS_VIRTUAL));
        #[allow(clippy::disallowed_methods, reason = "compared with what the system says of the process")]
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - value(&PROCESS_START);
        assert!((-2.0..3600.0).contains(&age), "{age}");
    }
}
