//! A pod of the lab: a network namespace with an HTTP server, and on this node an endpoint in HNS.

use std::net::IpAddr;

use anyhow::Result;
use hcn::{Guid, Kind};
use hcn_emulator::Emulator;
use serde_json::{Value, json};
use vswitch_lab::tun::{Attached, Driver};
use vswitch_lab::{Host, Place};

use super::cluster::{NAMESPACE, TARGET_PORT};
use super::server::Server;
use crate::cluster::NODE;
use crate::rig::NETWORK;

pub(super) struct Pod {
    pub(super) name: String,
    pub(super) is_local: bool,
    pub(super) phase: Phase,
    host: Attached,
    server: Server,
    /// Its endpoint, if it is on this node.
    endpoint: Option<Guid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Ready,
    /// It still serves.
    Terminating,
}

impl Pod {
    /// Starts the pod of a number, as kubelet and a CNI plugin do.
    pub(super) fn start(number: u8, is_local: bool, driver: &Driver, emulator: &Emulator) -> Result<Self> {
        let name = format!("web-{number}");
        let subnet = if is_local { 1 } else { 2 };
        let address = IpAddr::from([10, 244, subnet, 10 + number]);
        let endpoint = is_local.then(|| emulator.add_local_endpoint(NETWORK, &name, &[address]));
        let place = if is_local { Place::Pod } else { Place::Outside };
        let host = driver.attach(Host::new(address, place, &[TARGET_PORT]))?;
        let server = Server::start(host.namespace(), &name)?;
        Ok(Self { name, is_local, phase: Phase::Ready, host, server, endpoint })
    }

    /// Its record in the EndpointSlice.
    pub(super) fn record(&self) -> Value {
        let is_ready = self.phase == Phase::Ready;
        json!({
            "addresses": [self.address()], "nodeName": if self.is_local { NODE } else { "there" },
            "conditions": {"ready": is_ready, "serving": true, "terminating": !is_ready},
            "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": self.name},
        })
    }

    pub(super) fn address(&self) -> IpAddr {
        self.host.address()
    }

    /// Ends the pod: first its server, then its endpoint and its network.
    pub(super) fn end(self, emulator: &Emulator) {
        self.server.stop(self.host.namespace());
        if let Some(endpoint) = self.endpoint {
            emulator.remove(Kind::Endpoint, endpoint);
        }
    }
}
