//! The calls of an audit: networks, endpoints, load balancers.

use hcn::client::Listed;
use hcn::schema::Endpoint;
use hcn::{Client, Guid};

use super::super::{AuditError, Reconciler};
use super::{Answer, AuditScope, Pause};
use crate::network::NamedNetwork;
use crate::observe::{
    DeferrableReads, Extent, Findings, ListDetail, ListedEndpoint, Observed, ObservedLoadBalancer, Owner,
    endpoint_record,
};
use crate::plan::Constraints;
use crate::reconcile::network::NetworkChange;

impl Reconciler {
    /// Begins an audit: finds the networks if one may be missing or the scope says so, then lists the endpoints.
    pub(super) fn audit_networks_and_endpoints(
        &mut self,
        client: &Client,
        pause: Pause,
        findings: &mut Findings,
    ) -> Result<Answer, AuditError> {
        self.environment.read_version(client)?;
        let continued = self.audit.part.take();
        let scope = continued.unwrap_or_else(|| self.audit.cycle.advance());
        if continued.is_none() && self.audit.cycle.is_at_start() {
            // Once a cycle, invalid documents are read again: to read them at each audit would cost two calls for
            // each.
            self.observed.read_skipped_again();
        }
        // If endpoints of a network are known, the list of endpoints shows whether the network is still there.
        let has_endpoints = |named: &NamedNetwork| {
            named.present && named.network.as_ref().is_some_and(|network| self.observed.has_endpoints(network.id))
        };
        let list_shows_networks = !self.audit.has_failed()
            && self.environment.networks.iter().all(has_endpoints)
            && self.environment.are_networks_usable();
        let mut network_changed = false;
        if !list_shows_networks || scope == AuditScope::Networks || self.subnets_are_due() {
            network_changed = self.find_networks(client)?;
        }
        self.refresh_desired();
        if list_shows_networks && scope == AuditScope::Networks && !network_changed && continued.is_none() {
            // All other audits list the endpoints; this one lists the networks instead.
            return Ok(Answer::Endpoints { scope, network_changed: false });
        }
        let detail = match scope {
            // The contents of what is known were compared in the first part.
            AuditScope::EndpointContents if continued.is_none() => {
                ListDetail::for_contents_of(self.observed.endpoint_count())
            }
            AuditScope::EndpointContents
            | AuditScope::Ids
            | AuditScope::Networks
            | AuditScope::LoadBalancerContents => ListDetail::Ids,
        };
        let mut listed = self.list_endpoints(client, detail)?;
        if list_shows_networks && !network_changed && self.observed.lacks_endpoints(&listed) {
            // Endpoints are missing, perhaps because their network was deleted or created again. In that case
            // the missing endpoints are not drift, and the list is that of a network which no longer exists.
            network_changed = self.find_networks(client)?;
            if network_changed {
                self.refresh_desired();
                listed = self.list_endpoints(client, ListDetail::Ids)?;
            }
        }
        let reads = self.deferrable_reads(pause);
        let extent = self.refresh_endpoints(client, listed, detail, reads, findings)?;
        // Load balancers without a source VIP lose packets, and all would be replaced when it is found.
        if let Some(absent) = self.environment.source_vip_absent().filter(|absent| absent.in_use.is_none()) {
            return Err(AuditError::SourceVipAbsent(absent.clone()));
        }
        // The ids of the expected load balancers contain the source VIP.
        self.refresh_desired();
        Ok(match extent {
            Extent::All => Answer::Endpoints { scope, network_changed },
            Extent::Part => {
                self.audit.part = Some(scope);
                Answer::Part { network_changed }
            }
        })
    }

    /// How many objects whose reads can wait may be read. Without an earlier state to compare with, nothing is programmed before the end of the
    /// audit, and a pause would only make it longer.
    pub(super) fn deferrable_reads(&self, pause: Pause) -> DeferrableReads {
        match pause {
            Pause::Allowed if !self.audit.state.expects_nothing() => DeferrableReads::STEP,
            _ => DeferrableReads::UNLIMITED,
        }
    }

    /// Ends an audit: lists the load balancers.
    pub(super) fn audit_load_balancers(
        &mut self,
        client: &Client,
        scope: AuditScope,
        pause: Pause,
        findings: &mut Findings,
    ) -> Result<Extent, hcn::Error> {
        let detail = match scope {
            AuditScope::LoadBalancerContents => ListDetail::for_contents_of(self.observed.load_balancer_count()),
            AuditScope::Ids | AuditScope::Networks | AuditScope::EndpointContents => ListDetail::Ids,
        };
        self.refresh_load_balancers(client, detail, self.deferrable_reads(pause), findings)
    }

    fn subnets_are_due(&self) -> bool {
        self.environment.networks.overlay().is_some() && self.audit.cycle.reads_subnets()
    }

    /// Finds the networks, and returns whether any has changed.
    fn find_networks(&mut self, client: &Client) -> Result<bool, AuditError> {
        let change = self.environment.find_networks(client, self.subnets_are_due())?;
        self.apply_network_change(change);
        Ok(change.changed)
    }

    pub(super) fn apply_network_change(&mut self, change: NetworkChange) {
        // A plan need not read the subnets again before the cluster changes.
        if change.read {
            self.audit.record_subnets_read();
        }
        if change.objects_lost {
            // They were deleted with the network, which is not drift.
            self.audit.transition(Answer::NetworkGone);
        }
        if change.changed {
            // Only overlay networks need an endpoint for the source VIP, and the network type may have changed.
            self.desired.set_source_vip(self.environment.own_source_vip(), &mut self.dirty);
            self.invalidate_all();
        }
    }

    /// Lists the endpoints of all networks: one call for each network, or one v1 list of all endpoints if contents are
    /// requested.
    pub(super) fn list_endpoints(
        &mut self,
        client: &Client,
        detail: ListDetail,
    ) -> Result<Vec<ListedEndpoint>, hcn::Error> {
        let networks = self.environment.networks.present_ids();
        if detail != ListDetail::Contents {
            return enumerate_endpoints(client, &networks);
        }
        let v1_list = || {
            client.endpoints_from_v1_list(|listed| {
                let network = match &listed.document {
                    // The v1 list has the endpoints of all networks of the host.
                    Some(Ok(document)) => document.host_compute_network.filter(|id| networks.contains(id)),
                    // Its network is unknown. Without an entry, the endpoint would count as deleted.
                    _ => networks.first().copied(),
                };
                Some(record(network?, listed))
            })
        };
        self.observed.endpoints_with_contents(client, v1_list, || enumerate_endpoints(client, &networks))
    }

    pub(super) fn refresh_endpoints(
        &mut self,
        client: &Client,
        mut listed: Vec<ListedEndpoint>,
        detail: ListDetail,
        reads: DeferrableReads,
        findings: &mut Findings,
    ) -> Result<Extent, hcn::Error> {
        let networks = self.environment.networks.present_ids();
        let list_again = || enumerate_endpoints(client, &networks);
        self.observed.confirm_absent_endpoints(client, &networks, &mut listed, list_again)?;
        let (desired, environment) = (&self.desired, &self.environment);
        let expected = || {
            // Without observed objects, the planner returns the ids of a first start, and not the alternative ids.
            let (observed, constraints) = (&Observed::default(), &Constraints::default());
            let Some(planner) = environment.planner(desired, observed, constraints) else { return Default::default() };
            let endpoint = |address| {
                let expected = planner.expected_endpoint(address)?;
                Some((planner.id_of(&expected), expected.into_observed()))
            };
            desired.addresses().into_iter().filter_map(endpoint).collect()
        };
        let extent = self.observed.refresh_endpoints(client, listed, detail, expected, reads, findings)?;
        // Before all are read, the endpoint of the source VIP can be among the rest.
        if extent == Extent::All && self.environment.find_source_vip(&self.observed) {
            self.desired.set_source_vip(self.environment.own_source_vip(), &mut self.dirty);
            self.mark_all_services();
        }
        // A plan that lacks an endpoint need not list them at once.
        self.audit.endpoints_current = true;
        Ok(extent)
    }

    pub(super) fn refresh_load_balancers(
        &mut self,
        client: &Client,
        detail: ListDetail,
        reads: DeferrableReads,
        findings: &mut Findings,
    ) -> Result<Extent, hcn::Error> {
        let (desired, environment) = (&self.desired, &self.environment);
        let Some(capabilities) = &environment.capabilities else { return Ok(Extent::All) };
        let expected = |observed: &Observed| {
            let constraints = &Constraints::default();
            let Some(planner) = environment.planner(desired, observed, constraints) else { return Default::default() };
            let expected = desired.iter().filter_map(|desired| planner.expected_load_balancer(desired));
            expected.map(|(id, document)| (id, ObservedLoadBalancer::of(&document, capabilities, Owner::Us))).collect()
        };
        self.observed.refresh_load_balancers(client, capabilities, detail, expected, reads, findings)
    }
}

/// The endpoints of all networks, one call for each. With the HCN (v2) API, their ids only.
fn enumerate_endpoints(client: &Client, networks: &[Guid]) -> Result<Vec<ListedEndpoint>, hcn::Error> {
    let mut listed = Vec::new();
    for network in networks {
        listed.extend(client.endpoints(*network, |listed| Some(record(*network, listed)))?);
    }
    Ok(listed)
}

fn record(network: Guid, listed: Listed<Endpoint>) -> ListedEndpoint {
    (network, listed.and_then(|id, document| endpoint_record(network, id, &document)))
}
