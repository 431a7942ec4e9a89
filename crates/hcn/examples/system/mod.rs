//! Runs an example with the HNS of this system, and reports its error.

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;

use hcn::Hcn;

/// Any implementation of [`Hcn`] will do for an example, so that a program like it can be tested without HNS.
#[cfg(windows)]
pub(crate) fn with_hns<E: Display>(example: impl FnOnce(Arc<dyn Hcn>) -> Result<(), E>) -> ExitCode {
    match example(Arc::new(hcn::Windows::new())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(windows))]
pub(crate) fn with_hns<E: Display>(_: impl FnOnce(Arc<dyn Hcn>) -> Result<(), E>) -> ExitCode {
    eprintln!("error: HNS is part of Windows");
    ExitCode::FAILURE
}
