//! What the threads of a switch share: the switch with its hosts, and their devices.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant as SystemTime;

use hcn_emulator::feed::What;
use tun_rs::SyncDevice;
use vswitch::Instant;

use super::TunError;
use crate::history::{self, instant};
use crate::network::{Arrival, Network};
use crate::setup::Host;
use crate::tally::Packets;

/// After this number of packets, expired flows are removed, so that memory does not grow.
const EXPIRY_INTERVAL: u64 = 4096;

pub(super) struct Shared {
    state: Mutex<State>,
    begin: SystemTime,
}

struct State {
    network: Network,
    devices: BTreeMap<IpAddr, Arc<SyncDevice>>,
    /// The first one.
    error: Option<TunError>,
}

impl Shared {
    #[allow(clippy::disallowed_methods, reason = "real programs live in real time")]
    pub(super) fn new(network: Network) -> Self {
        let state = State { network, devices: BTreeMap::new(), error: None };
        Self { state: Mutex::new(state), begin: SystemTime::now() }
    }

    /// What became of the packets until now.
    pub(super) fn packets(&self) -> Packets {
        self.state().network.packets.clone()
    }

    pub(super) fn take_error(&self) -> Option<TunError> {
        self.state().error.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn apply(&self, what: &What) -> Result<(), TunError> {
        if let Some(change) = history::change(what)? {
            self.state().network.apply(change);
        }
        Ok(())
    }

    pub(super) fn fail(&self, error: TunError) {
        self.state().error.get_or_insert(error);
    }

    pub(super) fn add(&self, host: Host, device: Arc<SyncDevice>) {
        let mut state = self.state();
        state.devices.insert(host.address, device);
        state.network.hosts.add(host);
    }

    pub(super) fn remove(&self, host: IpAddr) {
        let mut state = self.state();
        state.devices.remove(&host);
        state.network.hosts.remove(host);
    }

    /// Forwards a packet of a host.
    pub(super) fn forward(&self, from: IpAddr, packet: &[u8]) {
        let mut state = self.state();
        // Read under the lock: the time of the switch must not decrease.
        let now = self.now();
        let Some(Arrival { host, packet, .. }) = state.network.send(from, packet.to_vec(), now) else { return };
        if state.network.packets.entered.is_multiple_of(EXPIRY_INTERVAL) {
            state.network.expire(now);
        }
        let device = state.devices.get(&host).cloned();
        drop(state);
        // The packet is lost if its host is being removed, as in a physical network.
        let _ = device.map(|device| device.send(&packet));
    }

    fn now(&self) -> Instant {
        instant(self.begin.elapsed())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
