//! Creates and deletes the local endpoints of pods in HNS, somewhat later than EndpointSlices name them, as a CNI plugin does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use fastrand::Rng;
use hcn::{Guid, Kind};
use hcn_emulator::Emulator;

use crate::rig::NETWORK;

/// The longest delay.
const LATEST_MS: u64 = 3000;

#[derive(Debug)]
pub(super) struct Cni {
    random: Rng,
    /// The addresses that an endpoint is created or deleted for, and when.
    due: BTreeMap<Ipv4Addr, Duration>,
}

impl Cni {
    pub(super) fn new(random: Rng) -> Self {
        Self { random, due: BTreeMap::new() }
    }

    /// Creates missing endpoints of pods, and deletes those of pods that are gone, when they are due.
    pub(super) fn step(
        &mut self,
        now: Duration,
        pods: &BTreeSet<Ipv4Addr>,
        local: &BTreeMap<Ipv4Addr, Guid>,
        emulator: &Emulator,
    ) {
        let differs = |address: &Ipv4Addr| pods.contains(address) != local.contains_key(address);
        self.due.retain(|address, _| differs(address));
        for address in pods.iter().chain(local.keys()).filter(|address| differs(address)) {
            let delay = Duration::from_millis(self.random.u64(..LATEST_MS));
            let due = *self.due.entry(*address).or_insert(now + delay);
            if due > now {
                continue;
            }
            match local.get(address) {
                Some(id) => emulator.remove(Kind::Endpoint, *id),
                None => {
                    emulator.add_local_endpoint(NETWORK, &format!("pod-{address}"), &[(*address).into()]);
                }
            }
        }
    }
}
