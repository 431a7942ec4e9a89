//! Lists that a run makes between two audits, because a plan or a refusal says that the observed state is out of date.

use hcn::Client;

use super::super::Reconciler;
use super::Pause;
use crate::frontend::EndpointPurpose;
use crate::observe::{Findings, ListDetail};
use crate::plan::{Action, Plan};

impl Reconciler {
    /// Reads information that a plan needs, if it was not read since the cluster changed: subnets of other nodes,
    /// endpoints of local backends. Returns whether to plan again.
    pub(in super::super) fn recheck_before(&mut self, plan: &Plan, client: &Client) -> bool {
        self.recheck_subnets(plan, client).unwrap_or_else(|| self.recheck_endpoints(plan, client))
    }

    /// The endpoint of a backend on another node contains the provider address of that node, which is in the remote
    /// subnets of the overlay network. A new node has pods as soon as its subnet is added. HNS shows that
    /// only in the document of the network, and not in a list of ids. `None` if the subnets need not be read.
    fn recheck_subnets(&mut self, plan: &Plan, client: &Client) -> Option<bool> {
        let networks = &self.environment.networks;
        let index = networks.overlay()?;
        let id = networks.present(index)?.id;
        let creates_backend =
            |action: &Action| matches!(action, Action::CreateEndpoint { purpose: EndpointPurpose::Backend, .. });
        // A wrong provider address would send the traffic of the new node's pods to this node (kube-proxy reads the
        // network before each endpoint it creates).
        if self.audit.subnets_current || !plan.steps.iter().any(|step| creates_backend(&step.action)) {
            return None;
        }
        // Recorded before the call: if it fails, one attempt is enough until the cluster changes again.
        self.audit.record_subnets_read();
        let document = match client.network_of(id) {
            Ok(document) => Some(document),
            // The plan is applied with the known subnets, unless HNS is unavailable.
            Err(error) => {
                self.audit.record_failed_read(error);
                None
            }
        };
        let change = document.and_then(|document| self.environment.update_network(index, &document, client).ok());
        let change = change.unwrap_or_default();
        self.apply_network_change(change);
        Some(change.changed)
    }

    /// The CNI may have created the endpoint of a new local backend since the last list.
    fn recheck_endpoints(&mut self, plan: &Plan, client: &Client) -> bool {
        // One list for each change of the cluster is enough: after that, the backoff of missing endpoints decides.
        if self.audit.endpoints_current || plan.report.missing_local.is_empty() {
            return false;
        }
        // Even if the list fails: a second attempt in the same run would probably fail too.
        self.audit.endpoints_current = true;
        let mut findings = Findings::default();
        let listed = self.list_endpoints(client, ListDetail::Ids);
        // What is not read now is read by the next audit.
        let reads = self.deferrable_reads(Pause::Allowed);
        let result =
            listed.and_then(|listed| self.refresh_endpoints(client, listed, ListDetail::Ids, reads, &mut findings));
        let changed = !findings.dirty.is_empty();
        self.apply_findings(findings);
        if let Err(error) = result {
            self.audit.record_failed_read(error);
        }
        // What was read before an error is dirty, and the current plan does not cover it.
        changed
    }

    /// Lists everything after a refusal which shows that HNS has other objects than observed: a frontend is in use, an id exists, an object
    /// is missing.
    pub(in super::super) fn recheck_after_refusal(&mut self, client: &Client) {
        let mut findings = Findings::default();
        let reads = self.deferrable_reads(Pause::Allowed);
        let result = self
            .list_endpoints(client, ListDetail::Ids)
            .and_then(|listed| self.refresh_endpoints(client, listed, ListDetail::Ids, reads, &mut findings))
            .and_then(|_| self.refresh_load_balancers(client, ListDetail::Ids, reads, &mut findings));
        self.apply_findings(findings);
        // If a list fails, nothing changes; what was refused is retried when it is due.
        if let Err(error) = result {
            self.audit.record_failed_read(error);
        }
    }
}
