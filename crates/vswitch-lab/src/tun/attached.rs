//! A host that is attached to the switch: its namespace, its TUN device, and the thread that reads the device.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use tun_rs::{DeviceBuilder, InterruptEvent, SyncDevice};

use super::shared::Shared;
use super::{Namespace, TunError};
use crate::setup::Host;

/// The name of the device in its namespace.
const DEVICE: &str = "tun0";
/// The longest IP packet.
const MAX_PACKET: usize = 65_536;

/// A host in a network namespace. Dropping it detaches the host.
pub struct Attached {
    shared: Arc<Shared>,
    address: IpAddr,
    namespace: Namespace,
    stop: Arc<InterruptEvent>,
    reader: Option<JoinHandle<()>>,
}

impl Attached {
    pub(super) fn new(shared: Arc<Shared>, host: Host) -> Result<Self, TunError> {
        let address = host.address;
        let namespace = Namespace::new()?;
        let device = Arc::new(device(&namespace, address)?);
        let stop = Arc::new(InterruptEvent::new().map_err(TunError::Device)?);
        shared.add(host, device.clone());
        let reader = {
            let (shared, stop) = (shared.clone(), stop.clone());
            std::thread::spawn(move || read(&shared, address, &device, &stop))
        };
        Ok(Self { shared, address, namespace, stop, reader: Some(reader) })
    }

    pub fn address(&self) -> IpAddr {
        self.address
    }

    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.shared.remove(self.address);
        // If it fails, the thread ends with the process.
        if self.stop.trigger().is_ok() {
            // A panic of the thread was reported by the thread.
            let _ = self.reader.take().map(JoinHandle::join);
        }
    }
}

/// Creates a device with an address and the default route.
pub(super) fn device(namespace: &Namespace, address: IpAddr) -> Result<SyncDevice, TunError> {
    let build = || DeviceBuilder::new().name(DEVICE).inherit_enable_state().build_sync();
    let device = namespace.run(build)?.map_err(TunError::Device)?;
    let (family, length) = if address.is_ipv4() { (4, 32) } else { (6, 128) };
    for arguments in [
        "link set lo up".to_owned(),
        // Without a link-local address, the kernel does not look for routers.
        format!("link set {DEVICE} addrgenmode none"),
        format!("address add {address}/{length} dev {DEVICE}"),
        format!("link set {DEVICE} up"),
        format!("-{family} route add default dev {DEVICE}"),
    ] {
        namespace.ip(&arguments)?;
    }
    Ok(device)
}

/// Forwards the packets of a device until it is stopped.
fn read(shared: &Shared, host: IpAddr, device: &SyncDevice, stop: &InterruptEvent) {
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        match device.recv_intr(&mut buffer, stop) {
            Ok(length) => shared.forward(host, buffer.get(..length).unwrap_or_default()),
            Err(_) if stop.is_trigger() => return,
            // A signal.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return shared.fail(TunError::Read { host, error }),
        }
    }
}
