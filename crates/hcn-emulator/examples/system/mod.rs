//! The HNS that an example speaks to: a service over TCP if one is named, else that of this system.

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
    Err("HNS is a part of Windows; here, name an emulator's service as HOST:PORT".into())
}
