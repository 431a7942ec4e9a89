//! Reads the cluster, and queries the API server.

use std::collections::BTreeSet;

use cluster_source::cluster::{Access, CredentialKind, CredentialLifetime};
use cluster_source::{Catalog, error_chain};
use jiff::Timestamp;

use super::super::super::{read_cluster, unhandled};
use super::super::api_server::{self, Answers};
use super::super::facts::{ApiServerFacts, Expiry, Source};
use super::Inputs;
use crate::environment;
use crate::hns::Hns;
use crate::source;

pub(super) const FROM_FILES: &str = "the cluster is read from files";

/// `hns` provides the name of an emulated node.
pub(super) fn read(inputs: &Inputs, hns: &Hns) -> (Source<Catalog>, Source<ApiServerFacts>) {
    let Inputs { args, config } = inputs;
    let catalog = read_cluster(args, config, hns, &unhandled()).map_err(|error| error_chain(&error));
    if args.source.from.is_some() {
        return (catalog, Err(FROM_FILES.to_owned()));
    }
    let name = environment::node_name(config, hns).ok();
    let has_no_node = catalog.as_ref().is_ok_and(|catalog| catalog.nodes.is_empty());
    let (Answers { reviews, clock_ahead_seconds }, expiries) = match source::open_access(args, config) {
        Ok(access) => {
            let answers = api_server::ask(access.clone(), name.clone());
            (answers, Ok(expiries(&access, Timestamp::now())))
        }
        Err(error) => (Answers::unknown(&error_chain(&error)), Err(error_chain(&error))),
    };
    let error = catalog.as_ref().err().cloned();
    let missing_node = name.filter(|_| has_no_node);
    (catalog, Ok(ApiServerFacts { error, missing_node, reviews, clock_ahead_seconds, expiries }))
}

/// The expiry times of the credentials that were used for the API server.
fn expiries(access: &Access, now: Timestamp) -> Vec<Expiry> {
    let expiry = |lifetime: CredentialLifetime| Expiry {
        is_certificate: lifetime.kind == CredentialKind::ClientCertificate,
        seconds_left: lifetime.expires.duration_since(now).as_secs(),
        lifetime_seconds: lifetime.issued.map(|issued| lifetime.expires.duration_since(issued).as_secs()),
    };
    access.credential_lifetimes().into_iter().map(expiry).collect()
}

/// The facts if the API server does not respond in time.
pub(super) fn unavailable(inputs: &Inputs, reason: String) -> Source<ApiServerFacts> {
    if inputs.args.source.from.is_some() {
        return Err(FROM_FILES.to_owned());
    }
    let Answers { reviews, clock_ahead_seconds } = Answers::unknown(&reason);
    let expiries = Err(reason.clone());
    Ok(ApiServerFacts { error: Some(reason), missing_node: None, reviews, clock_ahead_seconds, expiries })
}

pub(super) fn node_ports(catalog: &Catalog) -> BTreeSet<u16> {
    catalog.services.values().flat_map(|service| &service.ports).filter_map(|port| port.node_port).collect()
}
