//! Converts a Service of the API to a Service of the model.

use std::net::IpAddr;

use ipnet::IpNet;
use proxy::model::{Family, Protocol, Service, ServiceKind, ServiceName, ServicePort};

use super::object::{self, Metadata, ServiceSpec};
use super::{ConvertError, Converted, Problems, Skip, address};

/// The label that assigns a Service to another proxy, whatever its value.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";
/// The annotation that requests that traffic keeps its destination address. kube-proxy on Windows reads it too.
pub(crate) const PRESERVE_DESTINATION: &str = "preserve-destination";

/// # Errors
/// If it has no namespace or no name.
pub fn convert(object: &object::Service) -> Result<Converted<Service>, ConvertError> {
    let name = name(&object.metadata)?;
    let spec = &object.spec;
    if let Some(skip) = skip(object) {
        return Ok(Converted { outcome: Err(skip), problems: Vec::new() });
    }
    let subject = format!("Service {name}");
    let mut problems = Problems::of(&subject);
    let kind = kind(spec, &mut problems);
    let external_ips = external_ips(spec, &mut problems);
    let external_local = local(spec.external_traffic_policy.as_deref(), "spec.externalTrafficPolicy", &mut problems)
        // As in Kubernetes, the policy applies only if the Service is reachable from outside the cluster.
        && (kind != ServiceKind::ClusterIp || !external_ips.is_empty());
    let service = Service {
        uid: object.metadata.uid.parse().ok(),
        created: created(&object.metadata, &mut problems),
        kind,
        cluster_ips: cluster_ips(spec, &mut problems),
        external_ips,
        ingress_ips: ingress_ips(&object.status, &mut problems),
        ports: spec
            .ports
            .iter()
            .enumerate()
            .filter_map(|(index, port)| convert_port(index, port, &mut problems))
            .collect(),
        internal_local: local(spec.internal_traffic_policy.as_deref(), "spec.internalTrafficPolicy", &mut problems),
        external_local,
        client_ip_affinity: affinity(spec, &mut problems),
        affinity_timeout: spec.session_affinity_config.client_ip.timeout_seconds.and_then(|s| u32::try_from(s).ok()),
        source_ranges: source_ranges(spec, &mut problems),
        preserve_destination: object
            .metadata
            .annotations
            .get(PRESERVE_DESTINATION)
            .is_some_and(|value| value == "true"),
        health_check_node_port: (kind == ServiceKind::LoadBalancer
            && external_local
            && spec.health_check_node_port != 0)
            .then(|| problems.port("spec.healthCheckNodePort", spec.health_check_node_port))
            .flatten(),
        name,
    };
    // Without a valid cluster IP there is no frontend, as for a Service without a cluster IP yet.
    let outcome = if service.cluster_ips.is_empty() { Err(Skip::NoClusterIp) } else { Ok(service) };
    Ok(Converted { outcome, problems: problems.into_vec() })
}

fn name(metadata: &Metadata) -> Result<ServiceName, ConvertError> {
    for (value, field) in [(&metadata.namespace, "metadata.namespace"), (&metadata.name, "metadata.name")] {
        if value.is_empty() {
            return Err(ConvertError::Missing { field });
        }
    }
    Ok(ServiceName::new(&metadata.namespace, &metadata.name))
}

fn skip(object: &object::Service) -> Option<Skip> {
    let spec = &object.spec;
    if object.metadata.labels.contains_key(OTHER_PROXY) {
        Some(Skip::OtherProxy)
    } else if spec.kind.as_deref() == Some("ExternalName") {
        Some(Skip::ExternalName)
    } else if spec.cluster_ip == "None" {
        Some(Skip::Headless)
    } else if spec.cluster_ip.is_empty() {
        Some(Skip::NoClusterIp)
    } else {
        None
    }
}

fn kind(spec: &ServiceSpec, problems: &mut Problems<'_>) -> ServiceKind {
    match spec.kind.as_deref() {
        None | Some("" | "ClusterIP") => ServiceKind::ClusterIp,
        Some("NodePort") => ServiceKind::NodePort,
        Some("LoadBalancer") => ServiceKind::LoadBalancer,
        Some(other) => {
            problems.add(
                "spec.type",
                format!(
                    "unknown type {other:?} (known: ClusterIP, NodePort, LoadBalancer, ExternalName); using ClusterIP"
                ),
            );
            ServiceKind::ClusterIp
        }
    }
}

fn local(policy: Option<&str>, field: &str, problems: &mut Problems<'_>) -> bool {
    match policy {
        Some("Local") => true,
        None | Some("" | "Cluster") => false,
        Some(other) => {
            problems.add(field, format!("unknown policy {other:?} (known: Cluster, Local); using Cluster"));
            false
        }
    }
}

fn affinity(spec: &ServiceSpec, problems: &mut Problems<'_>) -> bool {
    match spec.session_affinity.as_deref() {
        Some("ClientIP") => true,
        None | Some("" | "None") => false,
        Some(other) => {
            problems
                .add("spec.sessionAffinity", format!("unknown affinity {other:?} (known: ClientIP, None); using None"));
            false
        }
    }
}

/// Unix time in seconds. An unknown time counts as the oldest. It only decides which of two conflicting Services gets a frontend.
fn created(metadata: &Metadata, problems: &mut Problems<'_>) -> i64 {
    let Some(text) = &metadata.creation_timestamp else { return 0 };
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => time.as_second(),
        Err(_) => {
            problems.add("metadata.creationTimestamp", format!("invalid RFC 3339 time {text:?}"));
            0
        }
    }
}

/// The addresses of `clusterIPs`, each checked against the family at its index in `ipFamilies`; `clusterIP` if there are no families.
fn cluster_ips(spec: &ServiceSpec, problems: &mut Problems<'_>) -> Vec<IpAddr> {
    if spec.ip_families.is_empty() {
        return parse("spec.clusterIP", &spec.cluster_ip, problems).into_iter().collect();
    }
    // The API server always fills in the list. A file written by hand may only have `clusterIP`.
    let single = [spec.cluster_ip.clone()];
    let (list, path) = match spec.cluster_ips.as_slice() {
        [] => (single.as_slice(), "spec.clusterIP"),
        list => (list, "spec.clusterIPs"),
    };
    let mut found: Vec<IpAddr> = Vec::new();
    for (index, (text, family)) in list.iter().zip(&spec.ip_families).enumerate() {
        let field = format!("{path}[{index}]");
        let Some(address) = parse(&field, text, problems) else { continue };
        if Family::of(address).to_string() != *family {
            problems.add(field, format!("address {text} does not match family {family:?} in spec.ipFamilies[{index}]"));
        } else if found.iter().any(|other| Family::of(*other) == Family::of(address)) {
            problems.add(field, format!("second {} address {text}; using the first", Family::of(address)));
        } else {
            found.push(address);
        }
    }
    found
}

fn external_ips(spec: &ServiceSpec, problems: &mut Problems<'_>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for (index, text) in spec.external_ips.iter().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        found.extend(parse(&format!("spec.externalIPs[{index}]"), text, problems));
    }
    found
}

fn ingress_ips(status: &object::ServiceStatus, problems: &mut Problems<'_>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for (index, ingress) in status.load_balancer.ingress.iter().enumerate() {
        // An external load balancer of mode Proxy sends traffic to the node port, so its address is not a frontend here.
        let delivers_to_address = matches!(ingress.ip_mode.as_deref(), None | Some("VIP"));
        if delivers_to_address && !ingress.ip.is_empty() {
            found.extend(parse(&format!("status.loadBalancer.ingress[{index}].ip"), &ingress.ip, problems));
        }
    }
    found
}

fn source_ranges(spec: &ServiceSpec, problems: &mut Problems<'_>) -> Vec<IpNet> {
    let mut found = Vec::new();
    for (index, text) in spec.load_balancer_source_ranges.iter().enumerate() {
        match range(text.trim()) {
            Some(range) => found.push(range),
            None => problems.add(format!("spec.loadBalancerSourceRanges[{index}]"), format!("invalid CIDR {text:?}")),
        }
    }
    found
}

fn range(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    IpNet::new(address::parse(address)?, length.parse().ok()?).ok()
}

fn parse(field: &str, text: &str, problems: &mut Problems<'_>) -> Option<IpAddr> {
    let address = address::parse(text);
    if address.is_none() {
        problems.add(field, format!("invalid IP address {text:?}"));
    }
    address
}

fn convert_port(index: usize, port: &object::ServicePort, problems: &mut Problems<'_>) -> Option<ServicePort> {
    let field = format!("spec.ports[{index}]");
    let protocol = protocol(port.protocol.as_deref(), &field, problems)?;
    let number = problems.port(format!("{field}.port"), port.port)?;
    let node_port = match port.node_port {
        0 => None,
        other => problems.port(format!("{field}.nodePort"), other),
    };
    Some(ServicePort { name: port.name.as_str().into(), protocol, port: number, node_port })
}

/// Without a protocol: TCP, the default of the API server.
pub(super) fn protocol(text: Option<&str>, port: &str, problems: &mut Problems<'_>) -> Option<Protocol> {
    match text {
        None | Some("" | "TCP") => Some(Protocol::TCP),
        Some("UDP") => Some(Protocol::UDP),
        Some("SCTP") => Some(Protocol::SCTP),
        Some(other) => {
            problems.add(format!("{port}.protocol"), format!("unknown protocol {other:?} (known: TCP, UDP, SCTP)"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(spec: Value) -> object::Service {
        let whole = json!({"metadata": {"namespace": "ns", "name": "web"}, "spec": spec});
        serde_json::from_value(whole).unwrap()
    }

    fn good(spec: Value) -> Service {
        let converted = convert(&object(spec)).unwrap();
        assert_eq!(converted.problems, vec![]);
        converted.outcome.unwrap()
    }

    fn problems(spec: Value) -> (Service, Vec<String>) {
        let converted = convert(&object(spec)).unwrap();
        (converted.outcome.unwrap(), converted.problems.iter().map(ToString::to_string).collect())
    }

    fn texts(addresses: &[IpAddr]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_fields_of_a_service_are_converted() {
        let object: object::Service = serde_json::from_value(json!({
            "metadata": {"namespace": "ns", "name": "web", "creationTimestamp": "1970-01-01T00:01:40Z",
                         "annotations": {"preserve-destination": "true"}},
            "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"],
                     "ipFamilies": ["IPv4", "IPv6"], "externalIPs": ["198.51.100.7"], "externalTrafficPolicy": "Local",
                     "internalTrafficPolicy": "Cluster", "sessionAffinity": "ClientIP", "healthCheckNodePort": 32000,
                     "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
                     "loadBalancerSourceRanges": [" 192.0.2.0/24"],
                     "ports": [{"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080, "targetPort": "web"}]},
            "status": {"loadBalancer": {"ingress": [
                {"ip": "203.0.113.1"}, {"ip": "203.0.113.2", "ipMode": "Proxy"}, {"hostname": "lb.example"},
                {"ip": "203.0.113.3", "ipMode": "VIP"}]}},
        }))
        .unwrap();
        let converted = convert(&object).unwrap();
        assert_eq!(converted.problems, vec![]);
        assert_eq!(
            converted.outcome.unwrap(),
            Service {
                name: ServiceName::new("ns", "web"),
                uid: None,
                created: 100,
                kind: ServiceKind::LoadBalancer,
                cluster_ips: vec!["10.96.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
                external_ips: vec!["198.51.100.7".parse().unwrap()],
                ingress_ips: vec!["203.0.113.1".parse().unwrap(), "203.0.113.3".parse().unwrap()],
                ports: vec![ServicePort {
                    name: "http".into(),
                    protocol: Protocol::TCP,
                    port: 80,
                    node_port: Some(30080)
                }],
                internal_local: false,
                external_local: true,
                client_ip_affinity: true,
                affinity_timeout: Some(60),
                source_ranges: vec!["192.0.2.0/24".parse().unwrap()],
                preserve_destination: true,
                health_check_node_port: Some(32000),
            }
        );
    }

    #[test]
    fn services_that_do_not_concern_the_proxy_are_skipped() {
        let skip = |spec| convert(&object(spec)).unwrap().outcome.unwrap_err();
        assert_eq!(skip(json!({"clusterIP": "None"})), Skip::Headless);
        assert_eq!(skip(json!({"clusterIP": ""})), Skip::NoClusterIp);
        assert_eq!(skip(json!({})), Skip::NoClusterIp);
        assert_eq!(skip(json!({"type": "ExternalName", "clusterIP": "10.0.0.1"})), Skip::ExternalName);
        let mut other = object(json!({"clusterIP": "10.0.0.1"}));
        other.metadata.labels.insert(OTHER_PROXY.into(), String::new());
        assert_eq!(convert(&other).unwrap().outcome, Err(Skip::OtherProxy));
    }

    #[test]
    fn cluster_ips_are_checked_against_the_ip_families() {
        let of = |spec| texts(&good(spec).cluster_ips);
        assert_eq!(of(json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"]})), ["10.0.0.1"]);
        let dual = |families: [&str; 2], ips: [&str; 2]| {
            of(json!({"clusterIP": ips[0], "clusterIPs": ips, "ipFamilies": families}))
        };
        assert_eq!(dual(["IPv6", "IPv4"], ["fd00::1", "10.0.0.1"]), ["fd00::1", "10.0.0.1"]);
        assert_eq!(
            of(json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4", "IPv6"]})),
            ["10.0.0.1"]
        );
        assert_eq!(of(json!({"clusterIP": "fd00::1", "ipFamilies": ["IPv6"]})), ["fd00::1"]);
    }

    #[test]
    fn a_cluster_ip_of_another_family_is_reported() {
        let (service, problems) = problems(
            json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "10.0.0.2"], "ipFamilies": ["IPv4", "IPv6"]}),
        );
        assert_eq!(texts(&service.cluster_ips), ["10.0.0.1"]);
        assert_eq!(
            problems,
            [
                r#"Service ns/web: spec.clusterIPs[1]: address 10.0.0.2 does not match family "IPv6" in spec.ipFamilies[1]"#
            ]
        );
    }

    #[test]
    fn invalid_parts_are_left_out_one_by_one() {
        let (service, problems) = problems(json!({
            "clusterIP": "10.0.0.1", "externalIPs": ["nonsense", " ", "1.2.3.4"], "type": "Odd", "sessionAffinity": "Cookie",
            "internalTrafficPolicy": "Near",
            "ports": [
                {"name": "a", "port": 70000}, {"name": "b", "port": 0}, {"name": "c", "port": 1, "protocol": "QUIC"},
                {"name": "d", "port": 53, "protocol": "SCTP", "nodePort": -3},
            ],
        }));
        assert_eq!(texts(&service.external_ips), ["1.2.3.4"]);
        assert_eq!(service.ports.len(), 1);
        assert_eq!((service.ports[0].protocol, service.ports[0].node_port), (Protocol::SCTP, None));
        assert_eq!(
            problems,
            [
                r#"Service ns/web: spec.type: unknown type "Odd" (known: ClusterIP, NodePort, LoadBalancer, ExternalName); using ClusterIP"#,
                r#"Service ns/web: spec.externalIPs[0]: invalid IP address "nonsense""#,
                "Service ns/web: spec.ports[0].port: invalid port 70000: expected 1 to 65535",
                "Service ns/web: spec.ports[1].port: invalid port 0: expected 1 to 65535",
                r#"Service ns/web: spec.ports[2].protocol: unknown protocol "QUIC" (known: TCP, UDP, SCTP)"#,
                "Service ns/web: spec.ports[3].nodePort: invalid port -3: expected 1 to 65535",
                r#"Service ns/web: spec.internalTrafficPolicy: unknown policy "Near" (known: Cluster, Local); using Cluster"#,
                r#"Service ns/web: spec.sessionAffinity: unknown affinity "Cookie" (known: ClientIP, None); using None"#,
            ]
        );
    }

    #[test]
    fn a_health_check_node_port_requires_type_load_balancer_and_policy_local() {
        let port = |kind, policy| {
            good(json!({"clusterIP": "10.0.0.1", "type": kind, "externalTrafficPolicy": policy, "healthCheckNodePort": 345}))
                .health_check_node_port
        };
        assert_eq!(port("LoadBalancer", "Local"), Some(345));
        assert_eq!(port("LoadBalancer", "Cluster"), None);
        assert_eq!(port("NodePort", "Local"), None);
    }

    #[test]
    fn null_means_absent_and_names_are_required() {
        let service = good(json!({"clusterIP": "10.0.0.1", "ports": null, "externalIPs": null}));
        assert_eq!(service.ports, vec![]);
        let mut nameless = object(json!({"clusterIP": "10.0.0.1"}));
        nameless.metadata.namespace.clear();
        assert_eq!(convert(&nameless), Err(ConvertError::Missing { field: "metadata.namespace" }));
    }

    #[test]
    fn an_invalid_creation_time_counts_as_the_oldest() {
        let mut odd = object(json!({"clusterIP": "10.0.0.1"}));
        odd.metadata.creation_timestamp = Some("yesterday".into());
        let converted = convert(&odd).unwrap();
        assert_eq!(converted.outcome.unwrap().created, 0);
        assert_eq!(converted.problems.len(), 1);
    }
}
