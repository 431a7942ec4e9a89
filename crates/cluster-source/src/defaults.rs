//! The defaults that the API server fills in, for objects of files: nobody has filled them in there. Objects of an API server have them.

use serde_json::Value;

use crate::kubernetes::object::{EndpointSlice, Metadata, Service};

/// The namespace in which `kubectl apply` creates an object that names none.
const NAMESPACE: &str = "default";

/// An object with defaults that a Service proxy reads.
pub(crate) trait Defaults {
    fn set_defaults(&mut self);
}

impl Defaults for Service {
    fn set_defaults(&mut self) {
        self.metadata.set_defaults();
        let spec = &mut self.spec;
        if spec.cluster_ip.is_empty() {
            spec.cluster_ip = spec.cluster_ips.first().cloned().unwrap_or_default();
        }
        if spec.cluster_ips.is_empty() && !spec.cluster_ip.is_empty() {
            spec.cluster_ips.push(spec.cluster_ip.clone());
        }
        // The families of a headless Service depend on the cluster.
        if spec.ip_families.is_empty() && spec.cluster_ip != "None" {
            // Whether the rest of the address is valid is reported with the address.
            let family = |address: &String| if address.contains(':') && !is_mapped(address) { "IPv6" } else { "IPv4" };
            spec.ip_families = spec.cluster_ips.iter().map(family).map(str::to_owned).collect();
        }
    }
}

fn is_mapped(address: &str) -> bool {
    address.parse().is_ok_and(|address: std::net::Ipv6Addr| address.to_ipv4_mapped().is_some())
}

impl Defaults for EndpointSlice {
    fn set_defaults(&mut self) {
        self.metadata.set_defaults();
        for port in &mut self.ports {
            port.name.get_or_insert_default();
        }
    }
}

impl Defaults for crate::kubernetes::object::Node {
    fn set_defaults(&mut self) {}
}

impl Metadata {
    fn set_defaults(&mut self) {
        if self.namespace.is_empty() {
            NAMESPACE.clone_into(&mut self.namespace);
        }
    }
}

/// Fills in the namespace of an object of a kind that has one.
pub(crate) fn set_namespace(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let namespace = metadata.entry("namespace").or_insert(Value::Null);
    if namespace.is_null() || namespace.as_str() == Some("") {
        *namespace = NAMESPACE.into();
    }
}

/// Reads the booleans and numbers of YAML 1.1 in the fields that have these types, as kubectl does: `yes`, `off`, `8_080`. The YAML parser reads
/// them as strings, because names may be `n` or `on`.
pub(crate) fn read_yaml11(object: &mut Value) {
    for port in items(object.get_mut("ports")) {
        number(port.get_mut("port"));
    }
    for endpoint in items(object.get_mut("endpoints")) {
        let conditions = endpoint.get_mut("conditions").and_then(Value::as_object_mut);
        conditions.into_iter().flat_map(|conditions| conditions.values_mut()).for_each(boolean);
    }
    let Some(spec) = object.get_mut("spec") else { return };
    number(spec.get_mut("healthCheckNodePort"));
    for port in items(spec.get_mut("ports")) {
        number(port.get_mut("port"));
        number(port.get_mut("nodePort"));
    }
}

fn items(list: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    list.and_then(Value::as_array_mut).into_iter().flatten()
}

fn boolean(value: &mut Value) {
    match value.as_str() {
        Some("y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON") => *value = true.into(),
        Some("n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF") => *value = false.into(),
        _ => {}
    }
}

fn number(value: Option<&mut Value>) {
    let Some(value) = value else { return };
    // A quoted number is a string for kubectl too. Only a number with `_` is one that the YAML parser does not know.
    let text =
        value.as_str().filter(|text| text.contains('_') && text.starts_with(|first: char| first.is_ascii_digit()));
    if let Some(number) = text.and_then(|text| text.replace('_', "").parse::<i64>().ok()) {
        *value = number.into();
    }
}
