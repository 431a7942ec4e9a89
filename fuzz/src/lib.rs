//! The fuzz targets, and the limits that hold for each input.
//!
//! A target is a function of any bytes, which panics if something is wrong. `cargo xtask fuzz` calls it with the inputs of libFuzzer, and
//! the tests call it with the files of `seeds` and `regressions`.

mod hcn_documents;
mod hns_v1_documents;
mod replies;

use std::time::Duration;

use cluster_source::fuzzing as cluster_source;
use hcn_emulator::fuzzing as emulator;
use hnsproxy::fuzzing as hnsproxy;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The memory in bytes that an input of up to 64 KiB, the maximum of `cargo xtask fuzz`, may need at any moment, in addition to what was in use before.
pub const MAX_MEMORY: usize = 64 << 20;
/// The processor time for an input in an optimised program.
pub const MAX_TIME: Duration = Duration::from_secs(1);

/// A target: its name, which is also that of its folders, and its function.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 15] = [
    ("certificates", cluster_source::certificates),
    ("configuration", hnsproxy::configuration),
    ("emulator-frames", emulator::frames),
    ("environment", cluster_source::environment),
    ("flags", hnsproxy::flags),
    ("hcn-documents", hcn_documents::check),
    ("hns-dump", hnsproxy::hns_dump),
    ("hns-v1-documents", hns_v1_documents::check),
    ("kubeconfig", cluster_source::kubeconfig),
    ("list", cluster_source::list),
    ("manifests", cluster_source::manifests),
    ("packets", vswitch::fuzzing::packets),
    ("plugin-answer", cluster_source::plugin_answer),
    ("recording", emulator::recording),
    ("watch", cluster_source::watch),
];

/// The target with a name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|(known, _)| *known == name)
}

/// Calls a target with an input, and checks its memory and its processor time.
///
/// # Panics
/// If the target does, or the input exceeds a limit.
pub fn check((_, run): Target, input: &[u8], max_time: Duration) {
    ALLOCATOR.reset_peak_usage();
    let (memory, start) = (ALLOCATOR.current_usage(), processor_time());
    run(input);
    let (memory, time) = (ALLOCATOR.peak_usage() - memory, processor_time().saturating_sub(start));
    assert!(memory <= MAX_MEMORY, "{memory} bytes of memory for an input of {} bytes", input.len());
    assert!(time <= max_time, "{time:?} for an input of {} bytes", input.len());
}

/// The processor time of this process: time in which other processes run does not count.
#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.try_into().unwrap_or_default()
}

#[cfg(not(unix))]
fn processor_time() -> Duration {
    Duration::ZERO
}
