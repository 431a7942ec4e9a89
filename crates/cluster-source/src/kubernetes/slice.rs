//! Converts an EndpointSlice of the API to a slice of the model.

use jiff::Timestamp;
use proxy::model::{Family, ServiceName, Slice, SliceBackend, SliceName, SlicePort};
use smol_str::SmolStr;

use super::object::{self, Metadata, Named};
use super::service::protocol;
use super::{ConvertError, Converted, Problems, Skip, address};

pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The annotation with the time of the change that caused the last update of the slice. The network programming latency starts then.
pub(crate) const TRIGGERED: &str = "endpoints.kubernetes.io/last-change-trigger-time";
const HEADLESS: &str = "service.kubernetes.io/headless";

/// # Errors
/// If it has no namespace, name or Service, or its address type is unknown.
pub fn convert(object: &object::EndpointSlice) -> Result<Converted<Slice>, ConvertError> {
    let metadata = &object.metadata;
    let missing = |field| ConvertError::Missing { field };
    if metadata.namespace.is_empty() {
        return Err(missing("metadata.namespace"));
    }
    if metadata.name.is_empty() {
        return Err(missing("metadata.name"));
    }
    let skipped = |skip| Ok(Converted { outcome: Err(skip), problems: Vec::new() });
    if metadata.labels.contains_key(HEADLESS) {
        return skipped(Skip::Headless);
    }
    let family = match object.address_type.as_str() {
        "IPv4" => Family::V4,
        "IPv6" => Family::V6,
        "FQDN" => return skipped(Skip::DnsNames),
        other => {
            let (value, expected) = (other.to_owned(), "IPv4, IPv6, FQDN");
            return Err(ConvertError::Unknown { field: "addressType", value, expected });
        }
    };
    let service = metadata.labels.get(SERVICE_NAME).filter(|name| !name.is_empty());
    let service = service.ok_or(missing("metadata.labels[\"kubernetes.io/service-name\"]"))?;
    let name = SliceName { namespace: SmolStr::new(&metadata.namespace), name: SmolStr::new(&metadata.name) };
    let subject = format!("EndpointSlice {name}");
    let mut problems = Problems::of(&subject);
    let slice = Slice {
        service: ServiceName::new(&metadata.namespace, service),
        family,
        ports: object
            .ports
            .iter()
            .enumerate()
            .filter_map(|(index, port)| convert_port(index, port, &mut problems))
            .collect(),
        backends: object
            .endpoints
            .iter()
            .enumerate()
            .filter_map(|(index, endpoint)| convert_backend(index, endpoint, family, &mut problems))
            .collect(),
        triggered: triggered(metadata, &mut problems),
        name,
    };
    Ok(Converted { outcome: Ok(slice), problems: problems.into_vec() })
}

fn triggered(metadata: &Metadata, problems: &mut Problems<'_>) -> Option<i64> {
    let text = metadata.annotations.get(TRIGGERED)?;
    let at = text.parse::<Timestamp>().ok().and_then(|at| i64::try_from(at.as_nanosecond()).ok());
    if at.is_none() {
        problems.add(format!("metadata.annotations[{TRIGGERED:?}]"), format!("invalid RFC 3339 time {text:?}"));
    }
    at
}

fn convert_port(index: usize, port: &object::SlicePort, problems: &mut Problems<'_>) -> Option<SlicePort> {
    let field = format!("ports[{index}]");
    let Some(name) = &port.name else {
        problems.add(format!("{field}.name"), r#"missing; set it to "" for an unnamed port"#);
        return None;
    };
    let Some(number) = port.port else {
        problems.add(format!("{field}.port"), "missing; a slice for all ports is unsupported");
        return None;
    };
    let protocol = protocol(port.protocol.as_deref(), &field, problems)?;
    let port = problems.port(format!("{field}.port"), number)?;
    Some(SlicePort { name: name.as_str().into(), protocol, port })
}

fn convert_backend(
    index: usize,
    endpoint: &object::SliceEndpoint,
    family: Family,
    problems: &mut Problems<'_>,
) -> Option<SliceBackend> {
    // The API defines no meaning for further addresses, and kube-proxy ignores them.
    let Some(text) = endpoint.addresses.first() else {
        problems.add(format!("endpoints[{index}].addresses"), "empty");
        return None;
    };
    let field = || format!("endpoints[{index}].addresses[0]");
    let Some(address) = address::parse(text) else {
        problems.add(field(), format!("invalid IP address {text:?}"));
        return None;
    };
    if Family::of(address) != family {
        problems.add(field(), format!("address {text} does not match addressType {family}"));
        return None;
    }
    let conditions = &endpoint.conditions;
    Some(SliceBackend {
        address,
        node: endpoint.node_name.as_deref().filter(|node| !node.is_empty()).map(SmolStr::new),
        zone: endpoint.zone.as_deref().filter(|zone| !zone.is_empty()).map(SmolStr::new),
        // The API documents these defaults for absent conditions.
        ready: conditions.ready.unwrap_or(true),
        serving: conditions.serving.unwrap_or(true),
        terminating: conditions.terminating.unwrap_or(false),
        for_zones: names(&endpoint.hints.for_zones),
        for_nodes: names(&endpoint.hints.for_nodes),
    })
}

fn names(list: &[Named]) -> Vec<SmolStr> {
    list.iter().map(|named| SmolStr::new(&named.name)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn converted(change: impl FnOnce(&mut Value)) -> Result<Converted<Slice>, ConvertError> {
        let mut whole = json!({
            "metadata": {"namespace": "ns", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "ports": [{"name": "", "port": 8080}],
            "endpoints": [{"addresses": ["10.0.0.1"]}],
        });
        change(&mut whole);
        convert(&serde_json::from_value(whole).unwrap())
    }

    #[test]
    fn absent_fields_have_their_defaults() {
        let slice = converted(|_| ()).unwrap().outcome.unwrap();
        assert_eq!(slice.service, ServiceName::new("ns", "web"));
        let backend = &slice.backends[0];
        assert_eq!((backend.ready, backend.serving, backend.terminating, &backend.node), (true, true, false, &None));
        assert_eq!(slice.ports[0].port, 8080);
    }

    #[test]
    fn hints_conditions_and_node_are_kept() {
        let slice = converted(|slice| {
            slice["endpoints"][0] = json!({
                "addresses": ["10.0.0.1", "10.0.0.9"], "nodeName": "win-1", "conditions": {"ready": false, "terminating": true},
                "hints": {"forZones": [{"name": "a"}], "forNodes": [{"name": "win-1"}]},
            });
        });
        let backend = slice.unwrap().outcome.unwrap().backends.remove(0);
        assert_eq!((backend.ready, backend.serving, backend.terminating), (false, true, true));
        assert_eq!((backend.node.as_deref(), backend.for_zones.len(), backend.for_nodes.len()), (Some("win-1"), 1, 1));
    }

    #[test]
    fn the_time_of_the_trigger_is_kept() {
        let triggered =
            |text: &str| converted(|slice| slice["metadata"]["annotations"] = json!({TRIGGERED: text})).unwrap();
        let slice = triggered("2026-01-01T00:00:01.000000002Z").outcome.unwrap();
        assert_eq!(slice.triggered, Some(1_767_225_601_000_000_002));
        let odd = triggered("soon");
        assert_eq!((odd.outcome.unwrap().triggered, odd.problems.len()), (None, 1));
    }

    #[test]
    fn slices_that_do_not_concern_the_proxy_are_skipped() {
        assert_eq!(converted(|slice| slice["addressType"] = json!("FQDN")).unwrap().outcome, Err(Skip::DnsNames));
        let headless = converted(|slice| slice["metadata"]["labels"][HEADLESS] = json!(""));
        assert_eq!(headless.unwrap().outcome, Err(Skip::Headless));
    }

    #[test]
    fn a_slice_without_a_service_or_with_an_unknown_address_type_is_invalid() {
        let text = |result: Result<Converted<Slice>, ConvertError>| result.unwrap_err().to_string();
        let orphan = converted(|slice| slice["metadata"]["labels"] = Value::Null);
        assert_eq!(text(orphan), r#"missing metadata.labels["kubernetes.io/service-name"]"#);
        let odd = converted(|slice| slice["addressType"] = json!("IPX"));
        assert_eq!(text(odd), r#"unknown addressType "IPX" (known: IPv4, IPv6, FQDN)"#);
    }

    #[test]
    fn invalid_backends_and_ports_are_left_out_one_by_one() {
        let converted = converted(|slice| {
            slice["ports"] = json!([{"port": 1}, {"name": "a"}, {"name": "b", "port": 65536}, {"name": "c", "port": 65535}]);
            slice["endpoints"] = json!([
                {"addresses": []}, {"addresses": ["fd00::1"]}, {"addresses": ["web"]}, {"addresses": ["::ffff:10.0.0.2"]},
            ]);
        })
        .unwrap();
        let slice = converted.outcome.unwrap();
        assert_eq!((slice.ports.len(), slice.ports[0].port), (1, 65535));
        assert_eq!((slice.backends.len(), slice.backends[0].address.to_string()), (1, "10.0.0.2".to_owned()));
        let problems: Vec<_> =
            converted.problems.iter().map(|problem| format!("{}: {}", problem.field, problem.what)).collect();
        assert_eq!(
            problems,
            [
                r#"ports[0].name: missing; set it to "" for an unnamed port"#,
                "ports[1].port: missing; a slice for all ports is unsupported",
                "ports[2].port: invalid port 65536: expected 1 to 65535",
                "endpoints[0].addresses: empty",
                "endpoints[1].addresses[0]: address fd00::1 does not match addressType IPv4",
                r#"endpoints[2].addresses[0]: invalid IP address "web""#,
            ]
        );
    }
}
