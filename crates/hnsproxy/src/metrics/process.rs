//! What the system knows of the process, as metrics.

use usage::Usage;

use super::catalog::*;
use super::sample::{Sample, count};

/// What the process takes. What the system does not tell is left out.
pub(crate) fn of(usage: Usage) -> Vec<Sample> {
    let Usage { cpu_seconds, open_files, open_files_limit, resident_bytes, virtual_bytes, started } = usage;
    let values = [
        (&PROCESS_CPU, cpu_seconds),
        (&PROCESS_OPEN_FDS, open_files.map(count)),
        (&PROCESS_MAX_FDS, open_files_limit.map(count)),
        (&PROCESS_RESIDENT, resident_bytes.map(count)),
        (&PROCESS_VIRTUAL, virtual_bytes.map(count)),
        (&PROCESS_START, started),
    ];
    values.into_iter().filter_map(|(descriptor, value)| Some(Sample::new(descriptor, value?))).collect()
}
