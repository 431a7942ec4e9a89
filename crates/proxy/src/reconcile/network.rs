//! Finds the pod networks by name or pattern. A renamed network is still used; Services of a missing network wait.

use hcn::schema::{Network as Document, Policy};
use hcn::{Class, Client, Guid, Kind};

use super::AuditError;
use super::environment::Environment;
use crate::network::{HostCondition, Network, NetworkIndex};
use crate::network_pattern::{is_pattern, matches};
use crate::settings::{Host, Settings};
use crate::source_vip::SourceVip;

/// What reading the networks has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct NetworkChange {
    /// Whether a network was removed, added again, or modified.
    pub(super) changed: bool,
    /// Whether a known network was deleted, or has another id: its endpoints and load balancers were deleted with it.
    pub(super) objects_lost: bool,
    /// Whether a document was read, and with it the subnets of other nodes.
    pub(super) read: bool,
}

/// What HNS shows of a configured network.
enum Found {
    Listed(Document),
    /// The list lacks it, but it can be read by its id: a list that succeeds can be incomplete. If the network counted as absent, its backends
    /// would be removed.
    Unlisted(Document),
    /// It is listed with an invalid document. What is known of it stays.
    Unreadable,
    Absent,
    /// Several networks match its pattern.
    Ambiguous,
}

impl NetworkChange {
    fn merge(&mut self, other: Self) {
        self.changed |= other.changed;
        self.objects_lost |= other.objects_lost;
        self.read |= other.read;
    }
}

impl Environment {
    /// Finds the networks. A single one is found by its name; several, and patterns, are searched for in the v1 list of all networks, which is
    /// one call and has their documents. `subnets_due`: also read the subnets of other nodes, which change without a change of id.
    ///
    /// If one of several networks is missing or cannot be used, the others are programmed without it.
    ///
    /// # Errors
    /// If HNS is unavailable, or no network can be used. In this case nothing is changed.
    pub(super) fn find_networks(&mut self, client: &Client, subnets_due: bool) -> Result<NetworkChange, AuditError> {
        let names = &self.settings.network_names;
        let is_by_name = names.len() < 2 && !names.iter().any(|name| is_pattern(name));
        if is_by_name { self.find_by_name(client, subnets_due) } else { self.find_in_list(client) }
    }

    fn find_by_name(&mut self, client: &Client, subnets_due: bool) -> Result<NetworkChange, AuditError> {
        let name = self.settings.network_names.first().cloned().unwrap_or_default();
        // The first time, the document is needed: type, subnets and remote subnets.
        let Some(known) = self.networks.known(NetworkIndex::FIRST).map(|network| network.id) else {
            return self.read_network(client, name);
        };
        match client.network_id(&name)? {
            // The usual case, one call: the id is the known one, so nothing but subnets of other nodes can have changed.
            Some(id) if id == known && !subnets_due && self.are_networks_usable() => {
                if let Some(named) = self.networks.named_mut(NetworkIndex::FIRST) {
                    named
                        .host_conditions
                        .retain(|condition| !matches!(condition, HostCondition::NetworkRenamed { .. }));
                }
                Ok(NetworkChange::default())
            }
            // Another id: the network was created again. Or the subnets are due, which only the document has.
            Some(_) => self.read_network(client, name),
            // No network has the name. If the known id still exists, the network was renamed, and the pods are still in it.
            None => match unlisted(client, known)? {
                Some(document) => self.update_network(NetworkIndex::FIRST, &document, client),
                None => Err(absent(name, client)),
            },
        }
    }

    /// Whether all networks can be programmed with the current addresses of the host, which may have changed since the networks were read.
    pub(super) fn are_networks_usable(&self) -> bool {
        let several = self.networks.len() > 1;
        let known = self.networks.iter().filter_map(|named| named.network.as_ref());
        known
            .into_iter()
            .all(|network| missing_for_overlay(network, several, false, &self.settings, &self.host).is_none())
    }

    fn read_network(&mut self, client: &Client, name: String) -> Result<NetworkChange, AuditError> {
        let Some(document) = client.network(&name)? else { return Err(absent(name, client)) };
        self.update_network(NetworkIndex::FIRST, &document, client)
    }

    fn find_in_list(&mut self, client: &Client) -> Result<NetworkChange, AuditError> {
        let listed = client.networks_from_v1_list()?;
        // An invalid document says nothing about whether the network is still usable.
        let unreadable: Vec<Guid> =
            listed.iter().filter(|one| !matches!(one.document, Some(Ok(_)))).map(|one| one.id).collect();
        let documents: Vec<Document> =
            listed.into_iter().filter_map(|one| Some(Document { id: Some(one.id), ..one.document?.ok()? })).collect();
        let names = self.settings.network_names.clone();
        // HNS is assumed to compare network names without regard to case.
        let has = |document: &Document, name: &String| document.name.eq_ignore_ascii_case(name);
        let (mut found, mut taken) = (Vec::with_capacity(names.len()), Vec::with_capacity(names.len()));
        for (index, name) in self.networks.indices().zip(&names) {
            let known = self.networks.known(index).map(|network| network.id);
            // A network that has the name of another configured network is that network, even if its id is the known id
            // of this one.
            let renamed = |document: &&Document| {
                known.is_some() && document.id == known && !names.iter().any(|name| has(document, name))
            };
            let candidates = if is_pattern(name) { candidates(name, &names, &taken, &documents) } else { Vec::new() };
            let listed = documents.iter().find(|d| has(d, name)).or_else(|| documents.iter().find(renamed));
            let one = match listed {
                Some(document) => Found::Listed(document.clone()),
                None if known.is_some_and(|id| unreadable.contains(&id)) => Found::Unreadable,
                None => {
                    let is_listed = |id: &Guid| documents.iter().any(|document| document.id == Some(*id));
                    let id = self.networks.present(index).map(|network| network.id).filter(|id| !is_listed(id));
                    match id.map(|id| unlisted(client, id)).transpose()?.flatten() {
                        Some(document) => Found::Unlisted(document),
                        None => self.choose(index, &candidates),
                    }
                }
            };
            if let Found::Listed(Document { id: Some(id), .. }) = &one {
                taken.push(*id);
            }
            found.push((index, name, candidates.iter().map(|document| document.name.clone()).collect::<Vec<_>>(), one));
        }
        // Updated after all reads: if a read fails, nothing may change, since the error returns no change to the caller.
        let (mut change, mut errors) = (NetworkChange::default(), Vec::new());
        for (index, name, candidates, one) in found {
            if let Some(named) = self.networks.named_mut(index) {
                named.candidates.clone_from(&candidates);
            }
            let result = match one {
                Found::Listed(document) => self.update_network(index, &document, client),
                Found::Unlisted(document) => {
                    let result = self.update_network(index, &document, client);
                    if let Some(named) = self.networks.named_mut(index) {
                        named.host_conditions.push(HostCondition::ListIncomplete { kind: Kind::Network });
                    }
                    result
                }
                Found::Unreadable => Ok(NetworkChange::default()),
                Found::Absent => Err(AuditError::NetworkAbsent { name: name.clone(), known: names_of(&documents) }),
                Found::Ambiguous => Err(AuditError::NetworkAmbiguous { name: name.clone(), candidates }),
            };
            match result {
                Ok(one) => change.merge(one),
                Err(error) => errors.push((index, error)),
            }
        }
        // Without any network there is nothing to program.
        if errors.len() == names.len()
            && let Some((_, error)) = errors.first()
        {
            return Err(error.clone());
        }
        // The others are programmed: Services in one network do not depend on another.
        for (index, error) in errors {
            change.merge(self.mark_missing(index, &error, client));
        }
        Ok(change)
    }

    /// The network that a pattern means, if the one that was last used does not exist: the one with its name, else the only candidate.
    fn choose(&self, index: NetworkIndex, candidates: &[&Document]) -> Found {
        let last = self.networks.named(index).filter(|named| named.network.is_some()).map(|named| &named.name);
        let is_last = |document: &&&Document| last.is_some_and(|last| document.name.eq_ignore_ascii_case(last));
        match candidates {
            [] => Found::Absent,
            [only] => Found::Listed((*only).clone()),
            // HNS has created it again, with the same name.
            several => several.iter().find(is_last).map_or(Found::Ambiguous, |same| Found::Listed((*same).clone())),
        }
    }

    /// Applies the document of a network.
    ///
    /// # Errors
    /// If the network cannot be used. In this case nothing is changed.
    pub(super) fn update_network(
        &mut self,
        index: NetworkIndex,
        document: &Document,
        client: &Client,
    ) -> Result<NetworkChange, AuditError> {
        let several = self.networks.len() > 1;
        let second_overlay = self.networks.overlay().is_some_and(|overlay| overlay != index);
        let Some(named) = self.networks.named_mut(index) else { return Ok(NetworkChange::default()) };
        let is_by_pattern = self.settings.network_names.get(index.position()).is_some_and(|name| is_pattern(name));
        let name = if is_by_pattern { document.name.clone() } else { named.name.clone() };
        let Some(id) = document.id else { return Err(AuditError::NetworkWithoutId { name }) };
        let mut conditions = Vec::new();
        // Reported, since the next start would not find the network by the configured name.
        if !document.name.eq_ignore_ascii_case(&name) {
            conditions.push(HostCondition::NetworkRenamed { from: name.clone(), to: document.name.clone() });
        }
        let subnets = readable(document.prefixes(), &name, &mut conditions);
        let remote_subnets = document.policies.iter().filter_map(Policy::as_remote_subnet);
        let remote_subnets = readable(remote_subnets, &name, &mut conditions);
        let network = Network { id, overlay: document.kind.is_overlay(), subnets, remote_subnets };
        // Checked before anything is stored: a network that cannot be used must not replace one that can.
        if let Some(needs) = missing_for_overlay(&network, several, second_overlay, &self.settings, &self.host) {
            return Err(AuditError::OverlayNeeds { name, needs });
        }
        named.host_conditions = conditions;
        named.name = name;
        let mut change = NetworkChange { read: true, ..NetworkChange::default() };
        // Equal content means that every planned document stays the same, so nothing becomes dirty.
        if named.present && named.network.as_ref() == Some(&network) {
            return Ok(change);
        }
        named.present = true;
        change.changed = true;
        // HNS deletes the endpoints and load balancers of a network with it.
        if let Some(old) = named.network.replace(network).filter(|old| old.id != id) {
            client.release_network(old.id);
            change.objects_lost = true;
        }
        Ok(change)
    }

    /// Marks one of several networks as missing. Its last known state is kept, and its backends wait, because its
    /// endpoints may return with the network.
    fn mark_missing(&mut self, index: NetworkIndex, error: &AuditError, client: &Client) -> NetworkChange {
        let Some(named) = self.networks.named_mut(index) else { return NetworkChange::default() };
        named.host_conditions = vec![HostCondition::NetworkMissing { reason: error.to_string() }];
        // It was already missing: its objects were removed from the observed state then.
        if !std::mem::replace(&mut named.present, false) {
            return NetworkChange::default();
        }
        if let Some(network) = &named.network {
            client.release_network(network.id);
        }
        NetworkChange { changed: true, objects_lost: true, read: false }
    }
}

/// The networks that match a pattern, sorted by name: without those that the settings name, and those that are taken by earlier patterns.
fn candidates<'a>(pattern: &str, names: &[String], taken: &[Guid], documents: &'a [Document]) -> Vec<&'a Document> {
    let is_taken = |document: &Document| document.id.is_some_and(|id| taken.contains(&id));
    let is_named = |document: &Document| names.iter().any(|name| document.name.eq_ignore_ascii_case(name));
    let mut candidates: Vec<&Document> = documents
        .iter()
        .filter(|document| matches(pattern, document) && !is_named(document) && !is_taken(document))
        .collect();
    candidates.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    candidates
}

/// Reads a network that a list lacks. `None` if HNS does not have it. A failed read is not an absent network.
///
/// # Errors
/// The error of HNS, if it is not known whether HNS has the network.
fn unlisted(client: &Client, id: Guid) -> Result<Option<Document>, hcn::Error> {
    match client.network_of(id) {
        Ok(document) => Ok(Some(document)),
        Err(error) if error.class() == Class::Absent => Ok(None),
        // In the HNS v1 API, older builds report an absent object without a code. A second list is the only other source.
        Err(error @ hcn::Error::Envelope { .. }) => {
            let is_listed = client.networks_from_v1_list()?.iter().any(|listed| listed.id == id);
            if is_listed { Err(error) } else { Ok(None) }
        }
        Err(error) => Err(error),
    }
}

/// The error of a network that HNS does not have, with the names of the networks that it has. If their list fails, there are no names.
fn absent(name: String, client: &Client) -> AuditError {
    let listed = client.networks_from_v1_list().unwrap_or_default();
    let documents: Vec<Document> = listed.into_iter().filter_map(|one| one.document?.ok()).collect();
    AuditError::NetworkAbsent { name, known: names_of(&documents) }
}

/// The names of networks, in order.
fn names_of(documents: &[Document]) -> Vec<String> {
    let mut names: Vec<_> =
        documents.iter().map(|document| document.name.clone()).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names
}

/// The valid subnets. An invalid one is reported, and does not prevent the use of the others.
fn readable<T>(
    subnets: impl Iterator<Item = Result<T, String>>,
    network: &str,
    conditions: &mut Vec<HostCondition>,
) -> Vec<T> {
    let unreadable = |reason| HostCondition::SubnetUnreadable { network: network.to_owned(), reason };
    subnets.filter_map(|subnet| subnet.map_err(|reason| conditions.push(unreadable(reason))).ok()).collect()
}

/// What is missing to program an overlay network. There is one source VIP: of several networks, only the one that contains it can be
/// an overlay network.
fn missing_for_overlay(
    network: &Network,
    several: bool,
    second_overlay: bool,
    settings: &Settings,
    host: &Host,
) -> Option<&'static str> {
    let has_source_vip = match &settings.source_vip {
        None => false,
        Some(SourceVip::Address(address)) => !several || network.subnets.iter().any(|subnet| subnet.contains(address)),
        // Whether it has the endpoint is known after the list of endpoints.
        Some(SourceVip::Endpoints(_) | SourceVip::Auto) => !second_overlay,
    };
    // Other types reach pods without encapsulation and use no source VIP. Objects are removed without one.
    if !network.overlay || settings.cleanup {
        None
    } else if !has_source_vip {
        Some("--source-vip, an unused address of its pod subnet")
    } else if host.mac.is_none() {
        // Endpoints of Service addresses have the MAC address of this host.
        Some("the MAC address of the network adapter with the node IP")
    } else if host.node_ips.is_empty() {
        // The same endpoints have the node's address as provider address.
        Some("the node IP")
    } else {
        None
    }
}
