//! What is read of a dump, and what is named and left out.

use std::fs;

use serde_json::json;

use super::document::{Form, form};
use super::*;

const ID: &str = "B0000010-0000-4000-8000-000000000010";

/// Reads a directory with these files.
fn read_files(files: &[(&str, &str)]) -> Dump {
    let directory = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| fs::write(directory.path().join(name), text).unwrap());
    match read(directory.path()).unwrap() {
        Content::Dump(dump) => dump,
        Content::Host(host) => panic!("a host document: {host:?}"),
    }
}

fn left_out(dump: &Dump) -> Vec<String> {
    dump.left_out.iter().map(ToString::to_string).collect()
}

fn ids(dump: &Dump) -> Vec<(Kind, &str)> {
    dump.objects.iter().map(|(kind, document)| (*kind, document["Name"].as_str().unwrap_or_default())).collect()
}

#[test]
fn what_cannot_be_read_is_named_and_left_out() {
    let network = json!({"ID": ID, "Name": "cbr0", "Type": "L2Bridge", "Subnets": [{"AddressPrefix": "10.0.0.0/24"}]});
    let endpoints = "[\n{\"IPAddress\": \"10.0.0.1\", \"Name\": \"a\"},\n\
        {\"IPAddress\": \"10.0.0.2\", \"Name\": \"b\", \"ID\": \"B0000011-0000-4000-8000-000000000011\"},\n\
        {\"IPAddress\": \"10.0.0.3\", \"Name\": \"c\", \"ID\": 7},\n\
        {\"IPAddress\": \"10.0.0.4\", \"Name\": \"d\", \"ID\": \"B0000011-0000-4000-8000-000000000011\"},\n\
        {\"some\": \"thing\"},\n\
        {\"IPAddress\": \"10.0.0.5\", \"Na";
    let policies = json!([
        {"ID": "B0000012-0000-4000-8000-000000000012", "References": [], "Policies": ["@{Type=ELB; VIPs=System.Object[]}"]},
        {"ID": "B0000013-0000-4000-8000-000000000013", "References": [], "Policies": [{"Type": "ROUTE"}]},
    ]);
    let dump = read_files(&[
        ("a.txt", "[ { \"ID\" ]\n"),
        ("endpoint.txt", endpoints),
        ("network.txt", &network.to_string()),
        ("policy.txt", &policies.to_string()),
        ("ports.txt", "{\"port\": 1}\n"),
    ]);
    assert_eq!(ids(&dump), [(Kind::Endpoint, "b"), (Kind::Network, "cbr0")]);
    assert_eq!(
        left_out(&dump),
        [
            "a.txt, line 1: expected `:`",
            "endpoint.txt, line 2 (a): missing ID",
            "endpoint.txt, line 4 (c): invalid ID 7",
            "endpoint.txt, line 5 (d): duplicate ID b0000011-0000-4000-8000-000000000011",
            "endpoint.txt, line 6: not a network, an endpoint or a load balancer of HNS",
            "endpoint.txt, line 7: EOF while parsing a string",
            "policy.txt, line 1 (B0000012-0000-4000-8000-000000000012): Policies is cut off: collect it with ConvertTo-Json -Depth 20",
            "policy.txt, line 1 (B0000012-0000-4000-8000-000000000012): expected an object, found a string",
        ]
    );
}

#[test]
fn the_facts_of_the_host_are_those_of_its_objects_or_of_a_host_document() {
    let network =
        |version: u64| json!({"ID": ID, "Name": "n", "Subnets": [], "ManagementIP": "10.1.0.5", "Version": version});
    let host = |files: &[(&str, &str)]| {
        let dump = read_files(files);
        (dump.host, dump.version_is_assumed)
    };
    let of = |version: &str, node: &str, ip: &str| Host {
        hns_version: version.to_owned(),
        node: node.to_owned(),
        node_ips: vec![ip.parse().unwrap()],
        ..Host::default()
    };
    let (new, without) = (network(38_654_705_669).to_string(), network(0).to_string());
    assert_eq!(host(&[("n.json", &new)]), (of("9.5", "", "10.1.0.5"), false));
    assert_eq!(host(&[("n.json", &without)]), (of("15.5", "", "10.1.0.5"), true));
    let facts = r#"{"hnsVersion": "server2022", "node": "win-1"}"#;
    assert_eq!(host(&[("n.json", &new), ("host.json", facts)]), (of("server2022", "win-1", "10.1.0.5"), false));
    let inside = json!({"hnsVersion": "9.3", "nodeIPs": ["10.1.0.6"], "networks": [network(0)]}).to_string();
    assert_eq!(host(&[("all.json", &inside)]), (of("9.3", "", "10.1.0.6"), false));
}

#[test]
fn documents_of_the_v2_schema_are_kept_whole() {
    let documents = [
        (Kind::Network, json!({"ID": ID, "Ipams": [{"Subnets": [{"IpAddressPrefix": "10.0.0.0/24"}]}], "Extra": 1})),
        (Kind::Endpoint, json!({"ID": ID, "HostComputeNetwork": ID, "IpConfigurations": [{"IpAddress": "10.0.0.1"}]})),
        (
            Kind::LoadBalancer,
            json!({"ID": ID, "HostComputeEndpoints": [], "HostComputeNetwork": ID, "PortMappings": []}),
        ),
    ];
    let texts = documents.clone().map(|(kind, document)| (format!("{kind:?}.json"), document.to_string()));
    let files: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let mut objects = read_files(&files).objects;
    objects.sort_by_key(|(kind, _)| documents.iter().position(|(of, _)| of == kind));
    assert_eq!(objects, documents);
}

#[test]
fn a_dump_without_an_object_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let reason = |text: &str| {
        fs::write(directory.path().join("n.json"), text).unwrap();
        match read(&directory.path().join("n.json")) {
            Err(HnsError::InvalidHost { reason, .. }) => reason,
            _ => panic!("{text}"),
        }
    };
    assert_eq!(reason("Name Type\n"), "no network, endpoint or load balancer of HNS found");
    assert_eq!(reason("[{\"Subnets\": []}]"), "n.json, line 1: missing ID");
    assert_eq!(reason("{\"hnsVersion\": "), "n.json, line 1: EOF while parsing a value");
    assert_eq!(reason("{\"objects\": []}"), "missing field `hnsVersion` at line 1 column 15");
}

#[test]
fn each_document_of_a_real_node_is_recognized_also_with_the_compartment_of_an_endpoint() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hcn/tests/corpus");
    for (folder, expected) in [
        ("network", Form::V1(Kind::Network)),
        ("endpoint", Form::V1(Kind::Endpoint)),
        ("policylist", Form::V1(Kind::LoadBalancer)),
        ("loadbalancer", Form::V2(Kind::LoadBalancer)),
        ("namespace", Form::Unused),
    ] {
        for file in fs::read_dir(corpus.join(folder)).unwrap().map(|entry| entry.unwrap().path()) {
            if file.to_string_lossy().ends_with(".expected.json") {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let mut members: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
            members.insert("CompartmentId".into(), json!(1));
            assert_eq!(form(&members), Some(expected), "{}", file.display());
        }
    }
}

#[test]
fn a_route_is_not_used() {
    for route in [json!({"HostComputeEndpoints": [], "Setting": []}), json!({"HostComputeEndpoints": [], "Routes": []})]
    {
        assert_eq!(form(route.as_object().unwrap()), Some(Form::Unused), "{route}");
    }
}
