//! The networks that the pods are in: found by name, followed when renamed, waited for when gone.

use std::net::IpAddr;

use hcn::schema::{Network as Document, Policy};
use hcn::{Class, Client, Guid};

use super::{ObserveError, Reconciler};
use crate::network::Network;
use crate::notice::Remark;
use crate::settings::{Host, Settings};

/// On an overlay network, every how many looks the subnets of other nodes are read again: at audits of 5 s, every 30 s.
const SUBNETS_EVERY: u32 = 6;

impl Reconciler {
    /// Finds the networks, and answers whether any is another than before. One is asked for by its name; several are looked for in the
    /// list of all, which is one call and has their documents.
    ///
    /// Where one of several is missing or can't be used, the others go on without it.
    pub(super) fn find_networks(&mut self, client: &Client) -> Result<bool, ObserveError> {
        if self.networks.len() > 1 { self.find_in_list(client) } else { self.find_by_name(client) }
    }

    /// Whether the subnets of other nodes are to be read again: they change without notice, and ids do not tell.
    pub(super) fn subnets_are_due(&self) -> bool {
        self.networks.overlay().is_some() && self.looks.is_multiple_of(SUBNETS_EVERY)
    }

    fn find_by_name(&mut self, client: &Client) -> Result<bool, ObserveError> {
        let name = self.settings.network_names.first().cloned().unwrap_or_default();
        let Some(known) = self.networks.known(0).map(|network| network.id) else {
            return self.read_network(client, name);
        };
        match client.network_id(&name)? {
            Some(id) if id == known && !self.subnets_are_due() => {
                if let Some(named) = self.networks.named_mut(0) {
                    named.remarks.retain(|remark| !matches!(remark, Remark::NetworkRenamed { .. }));
                }
                Ok(false)
            }
            Some(_) => self.read_network(client, name),
            // Nothing has the name. If our network is still there, it has another name now; pods are in it all the same.
            None => match client.network_of(known) {
                Ok(document) => self.take_network(0, &document, client),
                Err(error) if error.class() == Class::Absent => Err(ObserveError::NetworkAbsent { name }),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Reads the network's document, and answers whether it says something else than before.
    fn read_network(&mut self, client: &Client, name: String) -> Result<bool, ObserveError> {
        let Some(document) = client.network(&name)? else { return Err(ObserveError::NetworkAbsent { name }) };
        self.take_network(0, &document, client)
    }

    fn find_in_list(&mut self, client: &Client) -> Result<bool, ObserveError> {
        let listed = client.networks_from_v1_list()?;
        let unreadable: Vec<Guid> =
            listed.iter().filter(|one| !matches!(one.document, Some(Ok(_)))).map(|one| one.id).collect();
        let documents: Vec<Document> =
            listed.into_iter().filter_map(|one| Some(Document { id: Some(one.id), ..one.document?.ok()? })).collect();
        let names = self.settings.network_names.clone();
        let has = |document: &Document, name: &String| document.name.eq_ignore_ascii_case(name);
        let (mut changed, mut troubles) = (false, Vec::new());
        for (place, name) in names.iter().enumerate() {
            let known = self.networks.known(place).map(|network| network.id);
            let renamed = |document: &&Document| {
                known.is_some() && document.id == known && !names.iter().any(|name| has(document, name))
            };
            let found = documents.iter().find(|d| has(d, name)).or_else(|| documents.iter().find(renamed));
            match found.map(|document| self.take_network(place, document, client)) {
                Some(Ok(new)) => changed |= new,
                Some(Err(trouble)) => troubles.push((place, trouble)),
                // It is there; what it says now is not known.
                None if known.is_some_and(|id| unreadable.contains(&id)) => {}
                None => troubles.push((place, ObserveError::NetworkAbsent { name: name.clone() })),
            }
        }
        if troubles.len() == names.len()
            && let Some((_, trouble)) = troubles.first()
        {
            return Err(trouble.clone());
        }
        for (place, trouble) in troubles {
            changed |= self.miss_network(place, &trouble, client);
        }
        Ok(changed)
    }

    /// Takes what HNS says of a network, and answers whether that is something else than before.
    pub(super) fn take_network(
        &mut self,
        place: usize,
        document: &Document,
        client: &Client,
    ) -> Result<bool, ObserveError> {
        let several = self.networks.len() > 1;
        let Some(named) = self.networks.named_mut(place) else { return Ok(false) };
        let name = named.name.clone();
        let Some(id) = document.id else { return Err(ObserveError::NetworkWithoutId { name }) };
        let mut remarks = Vec::new();
        if !document.name.eq_ignore_ascii_case(&name) {
            remarks.push(Remark::NetworkRenamed { from: name.clone(), to: document.name.clone() });
        }
        let subnets = readable(document.prefixes(), &name, &mut remarks);
        let remote_subnets = document.policies.iter().filter_map(Policy::as_remote_subnet);
        let remote_subnets = readable(remote_subnets, &name, &mut remarks);
        let network = Network { id, overlay: document.kind.is_overlay(), subnets, remote_subnets };
        if let Some(needs) = needs(&network, several, &self.settings, &self.host) {
            return Err(ObserveError::OverlayNeeds { name, needs });
        }
        named.remarks = remarks;
        self.network_fresh = true;
        if named.present && named.network.as_ref() == Some(&network) {
            return Ok(false);
        }
        named.present = true;
        if let Some(old) = named.network.replace(network).filter(|old| old.id != id) {
            client.release_network(old.id);
            // All that was there went with the old network: it is no drift.
            self.looked = false;
        }
        self.concern_networks();
        Ok(true)
    }

    /// One of several networks is missing, or can't be used: what is known of it stays, and its Services wait.
    fn miss_network(&mut self, place: usize, trouble: &ObserveError, client: &Client) -> bool {
        let Some(named) = self.networks.named_mut(place) else { return false };
        named.remarks = vec![Remark::NetworkMissing { reason: trouble.to_string() }];
        let was_present = std::mem::replace(&mut named.present, false);
        if was_present {
            if let Some(network) = &named.network {
                client.release_network(network.id);
            }
            // All that was there went with the network: it is no drift.
            self.looked = false;
            self.concern_networks();
        }
        was_present
    }

    /// The networks are not what they were.
    fn concern_networks(&mut self) {
        let source_vip = self.settings.source_vip.filter(|_| self.networks.overlay().is_some());
        self.desired.set_source_vip(source_vip, &mut self.dirty);
        self.reconsider_all();
    }

    /// Sets what the host knows of itself, where that has changed.
    pub fn set_host(&mut self, host: Host) {
        if self.host != host {
            self.networks.set_primary_family(host.primary_family());
            self.host = host;
            self.reconsider_all();
        }
    }

    /// Which network an address belongs to, ids and documents of endpoints, and what Services wish, depend on the networks and the host.
    fn reconsider_all(&mut self) {
        self.dirty.addresses.extend(self.desired.addresses());
        self.dirty.frontends.extend(self.desired.iter().map(|owned| owned.spec.frontend));
        self.concern_all();
    }

    /// What an operator should know of the host, beside what concerns one Service.
    pub fn remarks(&self) -> Vec<Remark> {
        let networks = self.networks.iter().flat_map(|named| named.remarks.iter().cloned());
        let ids = (self.honours_ids == Some(false)).then_some(Remark::IdsNotHonoured);
        let skipped =
            self.observed.skipped().map(|(id, reason)| Remark::ObjectSkipped { id, reason: reason.to_owned() });
        let mut remarks: Vec<Remark> = networks.chain(ids).chain(skipped).collect();
        remarks.sort();
        remarks
    }
}

/// What can be read. A subnet that can't is left out, and said.
fn readable<T>(subnets: impl Iterator<Item = Result<T, String>>, network: &str, remarks: &mut Vec<Remark>) -> Vec<T> {
    let unreadable = |reason| Remark::SubnetUnreadable { network: network.to_owned(), reason };
    subnets.filter_map(|subnet| subnet.map_err(|reason| remarks.push(unreadable(reason))).ok()).collect()
}

/// What an overlay network lacks. There is one source address: of several networks only the one that it is in can be an overlay network.
fn needs(network: &Network, several: bool, settings: &Settings, host: &Host) -> Option<&'static str> {
    let is_in = |source_vip: &IpAddr| !several || network.subnets.iter().any(|subnet| subnet.contains(source_vip));
    if !network.overlay {
        None
    } else if settings.source_vip.as_ref().is_none_or(|source_vip| !is_in(source_vip)) {
        Some("--source-vip, an address of its pod subnet that no pod has")
    } else if host.mac.is_none() {
        Some("the MAC address of the adapter that has the node's address; no adapter was found")
    } else if host.node_ips.is_empty() {
        Some("the node's address")
    } else {
        None
    }
}
