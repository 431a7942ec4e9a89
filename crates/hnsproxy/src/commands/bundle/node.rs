//! The parts that this command collects itself: HNS, the cluster, the plan, and the results of `doctor`.

use std::sync::Arc;

use cluster_source::{Catalog, error_chain};
use hcn::{ApiVersion, Error, Features, Hcn, Kind};
use proxy::{Explanation, Host, Settings};
use serde_json::{Map, Value, json};

use super::super::doctor::{Gathered, Report, SessionInputs, text};
use super::super::probe::raw::{id_of, v1_list, v2_document};
use super::part::Part;
use super::process::MAX_EXPLAINED;
use crate::bundle_file::{CLUSTER, HNS};
use crate::cli::ProxyArgs;
use crate::hns::{Hns, objects};
use crate::view::{Layout, PlanView};

/// The members of networks that only the HNS v1 schema has.
const ONLY_V1: [&str; 2] = ["ManagementIP", "State"];

pub(super) fn parts(args: &ProxyArgs, mut gathered: Gathered) -> Vec<Part> {
    let report = Report::of(&gathered.facts);
    let (plan, explained) = match planned(args, &mut gathered) {
        Ok(Planned { plan, explained }) => (Ok(plan), Ok(explained)),
        Err(reason) => (Err(reason.clone()), Err(reason)),
    };
    let dump = dump(&mut gathered);
    let (dump, v1) = match dump {
        Ok(Dump { replayed, v1 }) => (Ok(replayed), Ok(v1)),
        Err(reason) => (Err(reason.clone()), Err(reason)),
    };
    let catalog = gathered.catalog;
    vec![
        Part::text("doctor.txt", Ok(text(&report, Layout::Wide))),
        Part::document("doctor.json", Ok(report)),
        Part::document("plan.json", plan),
        Part::document("explained.json", explained),
        Part::replayed(CLUSTER, catalog.as_ref().map(|catalog| catalog.to_list()).map_err(Clone::clone)),
        Part::document("cluster-problems.json", catalog.map(|catalog| problems(&catalog))),
        Part::replayed(HNS, dump),
        Part::document("hns-v1.json", v1),
        match gathered.facts.host {
            Ok(host) => Part::document("windows.json", Ok(host)),
            Err(reason) if cfg!(windows) => Part::document("windows.json", Err::<(), _>(reason)),
            Err(reason) => Part::not_applicable("windows.json", reason),
        },
    ]
}

/// What a comparison of the cluster with HNS shows.
struct Planned {
    /// Creates the plan that a run would apply.
    plan: Value,
    /// The first Services that are not in sync or have conditions.
    explained: Value,
}

fn planned(args: &ProxyArgs, gathered: &mut Gathered) -> Result<Planned, String> {
    let (settings, host) = (gathered.settings.as_ref(), gathered.host.as_ref());
    let (inputs, services) = match (settings, host, &gathered.catalog) {
        (Ok(settings), Ok(host), Ok(catalog)) => {
            (SessionInputs::of(args, settings, host, catalog), catalog.services.keys().cloned().collect::<Vec<_>>())
        }
        (Err(error), ..) | (_, Err(error), _) => return Err(error.clone()),
        (.., Err(error)) => return Err(error.clone()),
    };
    gathered.hns.run(move |hns| {
        let mut session = inputs.session(hns)?;
        let plan = PlanView::of(&session.plan(), session.description());
        let explained = services.iter().filter_map(|service| session.explain(service));
        let explained: Vec<_> = explained.filter(has_problem).take(MAX_EXPLAINED).collect();
        let document = |value: Result<Value, serde_json::Error>| value.map_err(|error| error.to_string());
        Ok(Planned {
            plan: document(serde_json::to_value(plan))?,
            explained: document(serde_json::to_value(explained))?,
        })
    })?
}

fn has_problem(explanation: &Explanation) -> bool {
    !explanation.conditions.is_empty() || explanation.frontends.iter().any(|frontend| !frontend.in_sync)
}

/// Lists the invalid parts of Kubernetes objects, and the skipped Services.
fn problems(catalog: &Catalog) -> Value {
    let skipped: Map<_, _> = catalog.skipped_services.iter().map(|(name, why)| (name.clone(), json!(why))).collect();
    json!({"problems": catalog.problems, "skippedServices": skipped})
}

/// The objects of HNS.
struct Dump {
    /// In the form that `--hns emulated:` reads: the HNS v1 documents of endpoints, and the HCN (v2) documents of networks and load balancers.
    replayed: Value,
    /// The lists of the HNS v1 API, unchanged.
    v1: Value,
}

fn dump(gathered: &mut Gathered) -> Result<Dump, String> {
    let facts = Facts { settings: gathered.settings.clone().ok(), host: gathered.host.clone().unwrap_or_default() };
    gathered
        .hns
        .run(move |hns| read(&hns, &facts).map_err(|error| format!("cannot read HNS: {}", error_chain(&error))))?
}

/// What is known of the node.
struct Facts {
    settings: Option<Settings>,
    host: Host,
}

fn read(hns: &Arc<Hns>, Facts { settings, host }: &Facts) -> Result<Dump, Error> {
    let version = hns.client(ApiVersion::V1).version()?;
    let hcn = hns.hcn();
    let networks = v1_list(&*hcn, Kind::Network)?;
    let endpoints = v1_list(&*hcn, Kind::Endpoint)?;
    let policy_lists = v1_list(&*hcn, Kind::LoadBalancer)?;
    let load_balancers = objects::load_balancers(&hns.client(hns.api_version(version)))?;
    let has_v2 = Features::of(version).v2;
    let replayed_networks: Vec<_> =
        networks.iter().map(|v1| if has_v2 { with_v1_members(&*hcn, v1) } else { v1.clone() }).collect();
    let mut replayed = json!({
        "hnsVersion": version.to_string(),
        "node": settings.as_ref().map(|settings| settings.node_name.to_string()).unwrap_or_default(),
        "nodeIPs": host.node_ips,
        "networks": replayed_networks,
        "endpoints": endpoints,
        "loadBalancers": load_balancers.iter().map(|(_, document)| json!(document)).collect::<Vec<_>>(),
    });
    if let (Some(mac), Value::Object(members)) = (&host.mac, &mut replayed) {
        members.insert("hostMac".into(), mac.as_str().into());
    }
    let v1 = json!({"networks": networks, "endpoints": endpoints, "policyLists": policy_lists});
    Ok(Dump { replayed, v1 })
}

/// The HCN (v2) document of a network, with the members that exist only in its HNS v1 document. Returns the v1 document if the v2 document
/// cannot be read.
fn with_v1_members(hcn: &dyn Hcn, v1: &Value) -> Value {
    let document = id_of(v1).and_then(|id| v2_document(hcn, Kind::Network, id).ok());
    match document {
        // Without `Ipams`, `--hns emulated:` would not recognize the document as a network.
        Some(Value::Object(mut members)) if members.contains_key("Ipams") => {
            for name in ONLY_V1 {
                if let Some(value) = v1.get(name) {
                    members.entry(name).or_insert_with(|| value.clone());
                }
            }
            Value::Object(members)
        }
        _ => v1.clone(),
    }
}
