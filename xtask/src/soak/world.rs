//! The cluster that the test changes: a fixed number of places for Services, each of which has a Service or is free.

use std::net::Ipv4Addr;

use anyhow::Result;
use fastrand::Rng;
use serde_json::{Value, json};
use test_api_server::{ApiServer, Kind};

use crate::cluster::{self, NODE};

const NAMESPACE: &str = "soak";
/// Backends of a Service at its creation.
const BACKENDS: std::ops::RangeInclusive<usize> = 1..=6;
/// Node ports of Services: one for each place, beginning here.
const FIRST_NODE_PORT: u16 = 30_000;
/// Addresses of local pods in the subnet of the network.
const LOCAL_PODS: std::ops::RangeInclusive<u8> = 10..=240;

#[derive(Debug, Clone)]
pub(super) struct World {
    places: Vec<Option<Service>>,
    /// The number of remote addresses so far. A pod gets a new address, as from a CNI plugin that does not reuse them soon.
    addresses: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) port: u16,
    pub(super) target_port: u16,
    pub(super) with_udp: bool,
    pub(super) with_node_port: bool,
    pub(super) with_external_ip: bool,
    pub(super) only_local: bool,
    pub(super) with_affinity: bool,
    /// The number of EndpointSlices.
    pub(super) slices: usize,
    pub(super) backends: Vec<Backend>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) address: Ipv4Addr,
    pub(super) local: bool,
    pub(super) state: BackendState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BackendState {
    Ready,
    Unready,
    /// Terminating and serving.
    Terminating,
}

impl World {
    pub(super) fn new(services: usize, random: &mut Rng) -> Self {
        let mut world = Self { places: vec![None; services], addresses: 0 };
        for place in 0..services {
            let service = world.new_service(random);
            world.set(place, Some(service));
        }
        world
    }

    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    pub(super) fn services(&self) -> usize {
        self.places.iter().flatten().count()
    }

    pub(super) fn service(&self, place: usize) -> Option<&Service> {
        self.places.get(place)?.as_ref()
    }

    pub(super) fn service_mut(&mut self, place: usize) -> Option<&mut Service> {
        self.places.get_mut(place)?.as_mut()
    }

    pub(super) fn set(&mut self, place: usize, service: Option<Service>) {
        if let Some(old) = self.places.get_mut(place) {
            *old = service;
        }
    }

    pub(super) fn new_service(&mut self, random: &mut Rng) -> Service {
        let backends = (0..random.usize(BACKENDS)).map(|_| self.new_remote_backend()).collect();
        Service {
            port: random.u16(80..90),
            target_port: random.u16(8080..8090),
            with_udp: random.u8(..10) == 0,
            with_node_port: random.u8(..10) == 0,
            with_external_ip: random.u8(..10) == 0,
            only_local: random.u8(..20) == 0,
            with_affinity: random.u8(..10) == 0,
            slices: if random.u8(..10) == 0 { 2 } else { 1 },
            backends,
        }
    }

    pub(super) fn new_remote_backend(&mut self) -> Backend {
        self.addresses += 1;
        let address = Ipv4Addr::from_bits(0x0b00_0000 + self.addresses);
        Backend { address, local: false, state: BackendState::Ready }
    }

    /// A local backend with a free address.
    pub(super) fn new_local_backend(&self, random: &mut Rng) -> Option<Backend> {
        let address = Ipv4Addr::new(10, 244, 1, random.u8(LOCAL_PODS));
        let is_free = self.local_addresses().all(|used| used != address);
        is_free.then_some(Backend { address, local: true, state: BackendState::Ready })
    }

    /// The addresses of local backends.
    pub(super) fn local_addresses(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        let backends = self.places.iter().flatten().flat_map(|service| &service.backends);
        backends.filter(|backend| backend.local).map(|backend| backend.address)
    }

    /// All objects of the cluster.
    pub(super) fn objects(&self) -> Vec<Value> {
        let mut objects = cluster::objects(0, 0);
        for (place, service) in self.places.iter().enumerate() {
            let Some(service) = service else { continue };
            objects.push(service_object(place, service));
            objects.extend(slice_objects(place, service));
        }
        objects
    }

    /// Writes the Service of a place to the API server, or deletes it.
    pub(super) fn put_service(&self, server: &ApiServer, place: usize) -> Result<()> {
        match self.service(place) {
            Some(service) => server.put(service_object(place, service))?,
            None => {
                server.delete(Kind::Service, NAMESPACE, &name(place));
            }
        }
        Ok(())
    }

    /// Writes the EndpointSlices of a place to the API server, and deletes those that it no longer has.
    pub(super) fn put_slices(&self, server: &ApiServer, place: usize) -> Result<()> {
        let slices = self.service(place).map(|service| slice_objects(place, service)).unwrap_or_default();
        for number in slices.len()..MAX_SLICES {
            server.delete(Kind::EndpointSlice, NAMESPACE, &slice_name(place, number));
        }
        Ok(server.load(Value::Array(slices))?)
    }
}

/// The maximum number of EndpointSlices of a Service.
const MAX_SLICES: usize = 2;

fn name(place: usize) -> String {
    format!("service-{place:05}")
}

fn slice_name(place: usize, number: usize) -> String {
    format!("{}-{number}", name(place))
}

/// An address of a place, after a first address.
fn address(first: u32, place: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(first + u32::try_from(place).unwrap_or_default())
}

fn service_object(place: usize, service: &Service) -> Value {
    let Service { port, target_port, with_udp, with_node_port, with_external_ip, only_local, with_affinity, .. } =
        service;
    let cluster_ip = address(0x0a60_0001, place);
    let port_of = |name: &str, protocol: &str| {
        let mut object = json!({"name": name, "protocol": protocol, "port": port, "targetPort": target_port});
        if *with_node_port && let (Ok(place), Some(members)) = (u16::try_from(place), object.as_object_mut()) {
            members.insert("nodePort".into(), FIRST_NODE_PORT.saturating_add(place).into());
        }
        object
    };
    let mut ports = vec![port_of("tcp", "TCP")];
    if *with_udp {
        ports.push(port_of("udp", "UDP"));
    }
    let external_ips = if *with_external_ip { vec![address(0xc633_0001, place)] } else { Vec::new() };
    let mut object = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": NAMESPACE, "name": name(place), "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "type": if *with_node_port { "NodePort" } else { "ClusterIP" },
            "clusterIP": cluster_ip, "clusterIPs": [cluster_ip], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster", "sessionAffinity": if *with_affinity { "ClientIP" } else { "None" },
            "externalIPs": external_ips, "ports": ports,
        },
        "status": {"loadBalancer": {}},
    });
    // The API server rejects the field for a Service that only has a cluster IP.
    if (*with_node_port || *with_external_ip)
        && let Some(spec) = object.pointer_mut("/spec").and_then(Value::as_object_mut)
    {
        spec.insert("externalTrafficPolicy".into(), if *only_local { "Local" } else { "Cluster" }.into());
    }
    object
}

fn slice_objects(place: usize, service: &Service) -> Vec<Value> {
    let count = service.slices.clamp(1, MAX_SLICES);
    let mut slices = Vec::new();
    for number in 0..count {
        let of_slice = service.backends.iter().skip(number).step_by(count);
        let mut ports = vec![json!({"name": "tcp", "protocol": "TCP", "port": service.target_port})];
        if service.with_udp {
            ports.push(json!({"name": "udp", "protocol": "UDP", "port": service.target_port}));
        }
        slices.push(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "namespace": NAMESPACE, "name": slice_name(place, number),
                "labels": {"kubernetes.io/service-name": name(place)},
            },
            "ports": ports, "endpoints": of_slice.map(endpoint).collect::<Vec<_>>(),
        }));
    }
    slices
}

fn endpoint(backend: &Backend) -> Value {
    let terminating = backend.state == BackendState::Terminating;
    json!({
        "addresses": [backend.address], "nodeName": if backend.local { NODE } else { "there" },
        "conditions": {
            "ready": backend.state == BackendState::Ready, "serving": backend.state != BackendState::Unready,
            "terminating": terminating,
        },
    })
}
