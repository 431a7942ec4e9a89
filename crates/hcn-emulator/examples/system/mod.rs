//! The HNS of an example: a service over TCP if an address is given, else that of this system.

use std::sync::Arc;

use hcn::Hcn;
use hcn_emulator::Remote;

/// The service at `HOST:PORT`, or HNS behind the DLLs of Windows.
pub(crate) fn hns(address: Option<String>) -> Result<Arc<dyn Hcn>, String> {
    match address {
        Some(address) => Ok(Arc::new(Remote::connect_lazily(address))),
        None => of_this_system(),
    }
}

#[cfg(windows)]
fn of_this_system() -> Result<Arc<dyn Hcn>, String> {
    Ok(Arc::new(hcn::Windows::new()))
}

#[cfg(not(windows))]
fn of_this_system() -> Result<Arc<dyn Hcn>, String> {
    Err("HNS is part of Windows: give the HOST:PORT of an emulator's service".into())
}
