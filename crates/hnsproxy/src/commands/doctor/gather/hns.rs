//! Calls HNS from one thread at a time. If a call hangs, no further call is made.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use cluster_source::{Catalog, error_chain};
use hcn::schema::v1::{HnsEndpoint, HnsNetwork};
use hcn::{ApiVersion, Error, Kind};
use proxy::model::ServiceName;
use proxy::{Explanation, Host, Settings};
use serde::Deserialize;

use super::super::super::bounded::begin;
use super::super::super::probe::raw::v1_list;
use super::super::facts::{HnsFacts, Source};
use crate::cli::ProxyArgs;
use crate::hns::{Hns, objects};
use crate::host_local::HostLocal;
use crate::session::Session;

/// The time limit for one piece of work, which makes many calls on a large node. Each call has its own limit, too.
const LIMIT: Duration = Duration::from_secs(60);
/// A call counts as hung if it exceeds `--hns-call-budget` times this number: 15 s by default.
const BUDGETS: u32 = 3;

/// The opened HNS, and whether it responds.
pub(in crate::commands) struct HnsThread {
    hns: Source<Arc<Hns>>,
    /// The reason why no further call is made, after HNS has not responded.
    silent: Option<String>,
    call_limit: Duration,
}

impl HnsThread {
    pub(super) fn open(args: &ProxyArgs) -> Self {
        let call_limit = args.hns.hns_call_budget.saturating_mul(BUDGETS);
        let choice = args.hns.clone();
        let opened = begin(call_limit, move || Hns::open(&choice).map_err(|error| error_chain(&error)));
        Self { hns: opened.wait().and_then(|opened| opened), silent: None, call_limit }
    }

    /// Returns HNS for work that makes no HNS calls.
    pub(in crate::commands) fn opened(&self) -> Source<Arc<Hns>> {
        self.hns.clone()
    }

    /// Runs work that calls HNS.
    ///
    /// # Errors
    /// The reason, if HNS could not be opened, or did not respond in time to this or earlier work.
    pub(in crate::commands) fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(Arc<Hns>) -> T + Send + 'static,
    ) -> Source<T> {
        if let Some(reason) = &self.silent {
            return Err(reason.clone());
        }
        let hns = self.hns.clone()?;
        let (oldest, limit) = (hns.oldest_call(), self.call_limit);
        let hung = || {
            let call = oldest().filter(|call| call.took >= limit)?;
            Some(format!("{} has not returned after {} s", call.function, call.took.as_secs()))
        };
        let result = begin(LIMIT, move || work(hns)).wait_while(hung);
        self.silent = result.as_ref().err().cloned();
        result
    }
}

pub(super) fn read(hns: &Hns) -> Result<HnsFacts, Error> {
    let version = hns.client(ApiVersion::V1).version()?;
    let api = hns.api_version(version);
    let hcn = hns.hcn();
    let endpoints = || v1_list(&*hcn, Kind::Endpoint);
    // The HCN (v2) API does not show the state of endpoints and the management address of networks.
    let networks = v1_list(&*hcn, Kind::Network)?;
    let before = endpoints()?;
    let load_balancers = objects::load_balancers(&hns.client(api))?;
    let after = endpoints()?;
    let endpoint = |document| Some(hcn::schema::Endpoint::from(HnsEndpoint::deserialize(document).ok()?));
    let ids = before.iter().chain(&after).filter_map(|document| endpoint(document)?.id);
    Ok(HnsFacts {
        version,
        api,
        networks: networks.iter().filter_map(|one| Some(HnsNetwork::deserialize(one).ok()?.into())).collect(),
        endpoint_ids: ids.collect::<BTreeSet<_>>(),
        endpoints: after.iter().filter_map(endpoint).collect(),
        load_balancers: load_balancers.into_iter().map(|(_, document)| document).collect(),
    })
}

/// The inputs of a session in addition to HNS.
pub(in crate::commands) struct SessionInputs {
    settings: Settings,
    host: Host,
    host_local: HostLocal,
    catalog: Arc<Catalog>,
}

impl SessionInputs {
    pub(in crate::commands) fn of(args: &ProxyArgs, settings: &Settings, host: &Host, catalog: &Arc<Catalog>) -> Self {
        let host_local = HostLocal::new(args.host_local_dir.clone(), args.hns.choice()).read_only();
        Self { settings: settings.clone(), host: host.clone(), host_local, catalog: catalog.clone() }
    }

    /// A session that has compared HNS with the cluster.
    ///
    /// # Errors
    /// If the audit fails.
    pub(in crate::commands) fn session(self, hns: Arc<Hns>) -> Source<Session> {
        let Self { settings, host, host_local, catalog } = self;
        let mut session = Session::new(hns, settings, host, NonZeroUsize::MIN).with_host_local(host_local);
        session.load(&catalog);
        session.audit().map_err(|error| error_chain(&error))?;
        Ok(session)
    }
}

/// The Services on which all pods depend, compared with HNS.
pub(super) fn explain(hns: Arc<Hns>, inputs: SessionInputs) -> Source<Vec<Explanation>> {
    let catalog = inputs.catalog.clone();
    let mut session = inputs.session(hns)?;
    let is_meant = |name: &&ServiceName| name.is_dns() || name.is_api_server();
    Ok(catalog.services.keys().filter(is_meant).filter_map(|name| session.explain(name)).collect())
}
