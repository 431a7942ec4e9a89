//! The network that the pods are in: found by its name, followed when it is renamed, waited for when it is gone.

use hcn::{Class, Client};

use super::{ObserveError, Reconciler};
use crate::notice::Remark;
use crate::settings::{Host, Network};

/// On overlay networks, every how many looks the subnets of other nodes are read again: at audits of 5 s, every 30 s.
const SUBNETS_EVERY: u32 = 6;

impl Reconciler {
    /// Finds the network, and answers whether it is another than before.
    pub(super) fn find_network(&mut self, client: &Client) -> Result<bool, ObserveError> {
        let Some(known) = self.network.as_ref().map(|network| network.id) else { return self.read_network(client) };
        match client.network_id(&self.settings.network_name)? {
            Some(id) => {
                self.renamed = None;
                if id == known && !self.subnets_are_due() { Ok(false) } else { self.read_network(client) }
            }
            None => self.follow_network(client, known),
        }
    }

    /// Whether the subnets of other nodes are to be read again: they change without notice, and ids do not tell.
    pub(super) fn subnets_are_due(&self) -> bool {
        self.network.as_ref().is_some_and(|network| network.overlay) && self.looks.is_multiple_of(SUBNETS_EVERY)
    }

    /// Nothing has the name. If our network is still there, it has another name now; pods are in it all the same.
    fn follow_network(&mut self, client: &Client, known: hcn::Guid) -> Result<bool, ObserveError> {
        let name = self.settings.network_name.clone();
        match client.network_of(known) {
            Ok(document) => {
                self.renamed = Some(document.name.clone());
                self.take_network(name, document)
            }
            Err(error) if error.class() == Class::Absent => Err(ObserveError::NetworkAbsent { name }),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the network's document, and answers whether it says something else than before.
    fn read_network(&mut self, client: &Client) -> Result<bool, ObserveError> {
        let name = self.settings.network_name.clone();
        let Some(document) = client.network(&name)? else { return Err(ObserveError::NetworkAbsent { name }) };
        self.take_network(name, document)
    }

    pub(super) fn take_network(&mut self, name: String, document: hcn::schema::Network) -> Result<bool, ObserveError> {
        let Some(id) = document.id else { return Err(ObserveError::NetworkWithoutId { name }) };
        let overlay = document.kind.is_overlay();
        if overlay {
            let needs = |needs| Err(ObserveError::OverlayNeeds { name: name.clone(), needs });
            if self.settings.source_vip.is_none() {
                return needs("--source-vip, an address of the pod subnet that no pod has");
            }
            if self.host.mac.is_none() {
                return needs("the MAC address of the adapter that has the node's address; no adapter was found");
            }
            if self.host.node_ips.is_empty() {
                return needs("the node's address");
            }
        }
        // A subnet that can't be read is left out, and said; the addresses behind it count as outside the cluster.
        let mut remote_subnets = Vec::new();
        self.unreadable_subnets.clear();
        for policy in &document.policies {
            match policy.as_remote_subnet() {
                Some(Ok(subnet)) => remote_subnets.push(subnet),
                Some(Err(reason)) => self.unreadable_subnets.push(reason.to_string()),
                None => {}
            }
        }
        let network = Network { id, overlay, remote_subnets };
        self.network_fresh = true;
        if self.network.as_ref() == Some(&network) {
            return Ok(false);
        }
        if self.network.as_ref().is_some_and(|old| old.id != id) {
            // All that was there went with the old network: it is no drift.
            self.looked = false;
        }
        let source_vip = self.settings.source_vip.filter(|_| overlay);
        self.network = Some(network);
        self.desired.set_source_vip(source_vip, &mut self.dirty);
        self.reconsider_all();
        Ok(true)
    }

    /// Sets what the host knows of itself, where that has changed.
    pub fn set_host(&mut self, host: Host) {
        if self.host != host {
            self.host = host;
            self.reconsider_all();
        }
    }

    /// Ids and documents of endpoints, and what Services wish, depend on the network and the host.
    fn reconsider_all(&mut self) {
        self.dirty.addresses.extend(self.desired.addresses());
        self.dirty.frontends.extend(self.desired.iter().map(|owned| owned.spec.frontend));
        self.concern_all();
    }

    /// What an operator should know of the host, beside what concerns one Service.
    pub fn remarks(&self) -> Vec<Remark> {
        let renamed = self
            .renamed
            .iter()
            .map(|to| Remark::NetworkRenamed { from: self.settings.network_name.clone(), to: to.clone() });
        let subnets = self.unreadable_subnets.iter().map(|reason| Remark::SubnetUnreadable { reason: reason.clone() });
        let ids = (self.honours_ids == Some(false)).then_some(Remark::IdsNotHonoured);
        let skipped =
            self.observed.skipped().map(|(id, reason)| Remark::ObjectSkipped { id, reason: reason.to_owned() });
        let mut remarks: Vec<Remark> = renamed.chain(subnets).chain(ids).chain(skipped).collect();
        remarks.sort();
        remarks
    }
}
