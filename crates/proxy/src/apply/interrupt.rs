//! The reasons to end a run before its plan is carried out.

/// Why a run ends early. A job in progress is always completed, so no frontend is left between a deletion and a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// A change of the cluster waits, or the status is to be published. The run still does its first jobs, so that changes without end cannot stop the rest.
    Change,
    /// The process shuts down: no further job begins.
    Shutdown,
}

/// Called before each job, on the thread that would carry it out.
pub type Interrupt<'a> = &'a (dyn Fn() -> Option<Interruption> + Sync);

/// Never interrupts.
pub const UNINTERRUPTED: Interrupt<'static> = &|| None;
