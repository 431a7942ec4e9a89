//! The node of the lab: hnsproxy, the emulated HNS, the switch, the pods and the clients.

use std::net::IpAddr;

use anyhow::{Context, Result};
use hcn::Kind;
use serde_json::{Value, json};
use vswitch::assumptions::RemovedBackend;
use vswitch::{Assumptions, Node};
use vswitch_lab::tun::{Attached, Driver, Namespace};
use vswitch_lab::{Host, Place};

use super::cluster::{self, CLIENT_OUTSIDE, CLIENT_POD, CLUSTER_IP, EXTERNAL_IP, NODE_ADDRESS, NODE_PORT};
use super::pod::{Phase, Pod};
use super::requests::Target;
use super::rollout::Step;
use crate::rig::{NETWORK, Profile, Rig};

/// The changes of HNS that may wait for the switch.
const MAX_CHANGES: usize = 65_536;

pub(super) struct World {
    /// The oldest one is first.
    pods: Vec<Pod>,
    pub(super) driver: Driver,
    pub(super) rig: Rig,
    /// The number of pods so far.
    count: u8,
}

/// The hosts that send requests.
pub(super) struct Clients {
    pod: Attached,
    outside: Attached,
}

/// Starts everything, and waits until HNS is in sync.
pub(super) fn start() -> Result<(World, Clients)> {
    let mut rig = Rig::of_profile(Profile::Debug, "15.5", cluster::cluster(), &[])?;
    let node = Node { addresses: vec![NODE_ADDRESS], host_endpoints: Vec::new() };
    let driver = Driver::start(node, assumptions(), rig.emulator().follow(MAX_CHANGES))?;
    rig.emulator().add_local_endpoint(NETWORK, "client", &[CLIENT_POD]);
    let client = |address: IpAddr, place| driver.attach(Host::new(address, place, &[]));
    let clients = Clients { pod: client(CLIENT_POD, Place::Pod)?, outside: client(CLIENT_OUTSIDE, Place::Outside)? };
    let mut pods = Vec::new();
    for (number, is_local) in [(1, true), (2, true), (3, false)] {
        pods.push(Pod::start(number, is_local, &driver, rig.emulator())?);
    }
    rig.api.put(slice(&pods))?;
    rig.start()?;
    Ok((World { count: 3, pods, driver, rig }, clients))
}

impl Clients {
    /// The addresses that clients request, with the namespace of the client.
    pub(super) fn targets(&self) -> Vec<(Target, &Namespace)> {
        let Self { pod, outside } = self;
        let cluster_ip = format!("http://{CLUSTER_IP}/");
        let node_port = format!("http://{NODE_ADDRESS}:{NODE_PORT}/");
        let external_ip = format!("http://{EXTERNAL_IP}/");
        // A cluster IP is for pods and nodes only.
        [
            ("pod", pod, "cluster IP", cluster_ip),
            ("pod", pod, "node port", node_port.clone()),
            ("pod", pod, "external IP", external_ip.clone()),
            ("outside", outside, "node port", node_port),
            ("outside", outside, "external IP", external_ip),
        ]
        .map(|(client, host, kind, url)| (Target { client, kind, url }, host.namespace()))
        .into()
    }
}

impl World {
    /// Carries out a step, and returns what it was.
    pub(super) fn step(&mut self, step: Step) -> Result<String> {
        let oldest = self.pods.first_mut().context("no pod is left")?;
        let done = match step {
            Step::Create => {
                self.count += 1;
                let is_local = oldest.is_local;
                let pod = Pod::start(self.count, is_local, &self.driver, self.rig.emulator())?;
                let place = if is_local { "on this node" } else { "on another node" };
                let done = format!("pod {} ({}, {place}) is ready", pod.name, pod.address());
                self.pods.push(pod);
                done
            }
            Step::Terminate => {
                oldest.phase = Phase::Terminating;
                format!("pod {} ({}) is terminating", oldest.name, oldest.address())
            }
            Step::Remove => {
                let pod = self.pods.remove(0);
                let done = format!("pod {} ({}) was removed", pod.name, pod.address());
                pod.end(self.rig.emulator());
                done
            }
        };
        self.rig.api.put(slice(&self.pods))?;
        Ok(done)
    }

    /// Whether a load balancer has the oldest pod as a backend.
    pub(super) fn oldest_is_backend(&self) -> bool {
        let Some(address) = self.pods.first().map(|pod| pod.address().to_string()) else { return false };
        let emulator = self.rig.emulator();
        let endpoints = emulator.documents(Kind::Endpoint);
        let has_address =
            |endpoint: &&Value| endpoint.pointer("/IpConfigurations/0/IpAddress") == Some(&json!(address));
        let ids: Vec<&Value> = endpoints.iter().filter(has_address).filter_map(|endpoint| endpoint.get("ID")).collect();
        let balancers = emulator.documents(Kind::LoadBalancer);
        let mut backends =
            balancers.iter().filter_map(|balancer| balancer.get("HostComputeEndpoints")?.as_array()).flatten();
        backends.any(|backend| ids.contains(&backend))
    }

    /// The names of the pods that exist.
    pub(super) fn pods(&self) -> impl Iterator<Item = &str> {
        self.pods.iter().map(|pod| pod.name.as_str())
    }
}

fn slice(pods: &[Pod]) -> Value {
    cluster::slice(&pods.iter().map(Pod::record).collect::<Vec<_>>())
}

/// What the lab assumes of VFP.
pub(super) fn assumptions() -> Assumptions {
    // With the default, a request that is open when its backend is removed breaks, whatever a proxy does. Some runs would fail at random.
    Assumptions { removed_backend: RemovedBackend::Stays, ..Assumptions::default() }
}
