//! What planning depends on besides the cluster and the objects in HNS: settings, host, node, networks, and capabilities of HNS.

use std::net::IpAddr;

use hcn::{Client, Kind, Version};

use super::source_vip::SourceVipSearch;
use crate::desire::{Context, Desired};
use crate::model::Family;
use crate::network::{HostCondition, Network, Networks};
use crate::observe::{Observed, ObservedEndpoint, Owner};
use crate::plan::{Constraints, Planner, source_vip_content};
use crate::settings::{Capabilities, Host, Node, Settings};
use crate::source_vip::{SourceVip, SourceVipAbsent, SourceVipRequest};

#[derive(Debug)]
pub(super) struct Environment {
    pub(super) settings: Settings,
    pub(super) host: Host,
    pub(super) node: Node,
    pub(super) networks: Networks,
    pub(super) source_vip_search: SourceVipSearch,
    /// `None` until the first audit, as for `capabilities`.
    pub(super) version: Option<Version>,
    pub(super) capabilities: Option<Capabilities>,
    /// Whether a modify in place was seen to take effect. HNS 15.4 reports success and changes nothing (kubernetes
    /// issue 131466), so modifications are read back until one of them is seen to work.
    pub(super) modify_verified: bool,
    /// The kinds whose objects HNS does not create with the requested ids.
    pub(super) ids_not_honoured: Vec<Kind>,
}

impl Environment {
    pub(super) fn new(settings: Settings, host: Host) -> Self {
        let node = Node { name: settings.node_name.clone(), zone: None };
        let networks = Networks::new(&settings.network_names, host.primary_family());
        Self {
            settings,
            host,
            node,
            networks,
            source_vip_search: SourceVipSearch::default(),
            version: None,
            capabilities: None,
            modify_verified: false,
            ids_not_honoured: Vec::new(),
        }
    }

    /// Asks HNS for its version: one call, at the first audit only. The version of HNS changes only with a Windows
    /// update, which requires a reboot.
    pub(super) fn read_version(&mut self, client: &Client) -> Result<(), hcn::Error> {
        if self.capabilities.is_none() {
            let version = client.version()?;
            self.version = Some(version);
            self.capabilities = Some(Capabilities::of(version, client.api_version()));
        }
        Ok(())
    }

    /// Takes over what the client has seen of ids.
    pub(super) fn note_ids(&mut self, client: &Client) {
        let kinds = [Kind::Endpoint, Kind::LoadBalancer].into_iter();
        self.ids_not_honoured = kinds.filter(|kind| client.honours_ids(*kind) == Some(false)).collect();
    }

    /// What the desired state of a Service is computed from; `None` before a network was found.
    pub(super) fn context(&self) -> Option<Context<'_>> {
        let Self { settings, host, node, networks, capabilities, .. } = self;
        // Without a network nothing can be planned: its type and subnets decide ids, provider addresses and families.
        let capabilities = capabilities.as_ref().filter(|_| networks.any_known())?;
        Some(Context { settings, source_vip: self.source_vip(), host, node, networks, capabilities })
    }

    /// `None` before a network was found.
    pub(super) fn planner<'a>(
        &'a self,
        desired: &'a Desired,
        observed: &'a Observed,
        constraints: &'a Constraints,
    ) -> Option<Planner<'a>> {
        let Context { settings, host, networks, capabilities, .. } = self.context()?;
        Some(Planner { desired, observed, settings, host, networks, capabilities, constraints })
    }

    /// The families that are programmed; the node's primary one before a network was found.
    pub(super) fn families(&self) -> Vec<Family> {
        let Some(context) = self.context() else { return vec![self.host.primary_family()] };
        Family::ALL.into_iter().filter(|family| context.has_family(*family)).collect()
    }

    /// The source address of translated traffic in the overlay network. `None` if the settings have none, or if its endpoint was not found.
    pub(super) fn source_vip(&self) -> Option<IpAddr> {
        match self.settings.source_vip.as_ref()? {
            SourceVip::Address(address) => Some(*address),
            SourceVip::Endpoints(_) | SourceVip::Auto => self.source_vip_search.address(),
        }
    }

    /// The source VIP, if hnsproxy creates its endpoint: in an overlay network, unless the CNI has created one.
    pub(super) fn own_source_vip(&self) -> Option<IpAddr> {
        self.networks.overlay()?;
        match self.settings.source_vip.as_ref()? {
            SourceVip::Address(address) => Some(*address),
            SourceVip::Endpoints(_) | SourceVip::Auto => self.source_vip_search.reserved(),
        }
    }

    /// What to reserve, if the source VIP is neither the address of an endpoint nor reserved.
    pub(super) fn source_vip_request(&self, observed: &Observed) -> Option<SourceVipRequest> {
        let is_needed = self.settings.source_vip == Some(SourceVip::Auto) && self.source_vip().is_none();
        self.source_vip_absent().filter(|_| is_needed)?;
        let network = self.networks.present(self.networks.overlay()?)?;
        let taken = observed.in_network(network.id).flat_map(|endpoint| {
            let addresses = endpoint.addresses.iter().copied();
            addresses.filter(|address| !is_of_source_vip(endpoint, *address, network, &self.host))
        });
        let family = self.host.primary_family();
        let subnets = network.subnets.iter().filter(|subnet| Family::of(subnet.addr()) == family).copied().collect();
        let name = self.networks.named(self.networks.overlay()?)?.name.clone();
        Some(SourceVipRequest { network: name, subnets, taken: taken.collect() })
    }

    /// Takes the address that was reserved in the overlay network, or why there is none.
    pub(super) fn set_reserved_source_vip(&mut self, reserved: Result<IpAddr, String>) {
        let overlay = self.networks.overlay().and_then(|index| self.networks.present(index)).map(|network| network.id);
        if let Some(overlay) = overlay {
            self.source_vip_search.set_reserved(overlay, reserved);
        }
    }

    /// The overlay network and the source VIP, if it is reserved.
    pub(super) fn reserved_source_vip(&self) -> Option<(&str, IpAddr)> {
        let network = self.networks.named(self.networks.overlay()?)?;
        Some((&network.name, self.source_vip_search.reserved()?))
    }

    /// What is missing, if none of the named endpoints exists, even if an earlier address stays in use.
    pub(super) fn source_vip_absent(&self) -> Option<&SourceVipAbsent> {
        self.source_vip_search.absent()
    }

    /// Looks for the endpoints that the settings name as source VIP. Returns whether its address has changed.
    pub(super) fn find_source_vip(&mut self, observed: &Observed) -> bool {
        let before = self.source_vip();
        let Some(names) = self.settings.source_vip.as_ref().and_then(SourceVip::endpoints) else { return false };
        let overlay = self.networks.overlay().and_then(|index| self.networks.named(index));
        let overlay = overlay.filter(|named| named.present);
        let network = overlay.and_then(|named| named.network.as_ref());
        let is_taken = |address| {
            let is_other = |endpoint, network: &Network| !is_of_source_vip(endpoint, address, network, &self.host);
            network.is_some_and(|network| {
                let mut endpoints = observed.at(address).filter(|(_, endpoint)| endpoint.network == network.id);
                endpoints.any(|(_, endpoint)| is_other(endpoint, network))
            })
        };
        let overlay = overlay.zip(network).map(|(named, network)| (network.id, named.name.as_str()));
        self.source_vip_search.search(names, overlay, self.host.primary_family(), observed, is_taken);
        self.source_vip() != before
    }

    /// The conditions of the host and its networks, sorted.
    pub(super) fn conditions(&self, observed: &Observed) -> Vec<HostCondition> {
        let networks = self.networks.iter().flat_map(|named| named.host_conditions.iter().cloned());
        // Programming still works then, but each start has to read documents instead of ids only.
        let ids = self.ids_not_honoured.iter().map(|kind| HostCondition::IdsNotHonoured { kind: *kind });
        let skipped =
            observed.skipped().map(|(id, reason)| HostCondition::ObjectSkipped { id, reason: reason.to_owned() });
        let distrusted = observed.v1_lists().distrusted();
        let distrusted =
            distrusted.map(|(kind, contradiction)| HostCondition::V1ListDistrusted { kind, contradiction });
        let incomplete = observed.incomplete_lists().map(|kind| HostCondition::ListIncomplete { kind });
        // While none was ever found, the audit fails with the same text.
        let source_vip = self.source_vip_absent().filter(|absent| absent.in_use.is_some());
        let source_vip = source_vip.cloned().map(HostCondition::SourceVipAbsent);
        let mut conditions: Vec<HostCondition> =
            networks.chain(source_vip).chain(ids).chain(skipped).chain(distrusted).chain(incomplete).collect();
        conditions.sort();
        conditions
    }
}

/// Whether an endpoint is that of a source VIP, of hnsproxy or of kube-proxy, and not that of a pod. HNS gives all endpoints without a name the
/// same one.
fn is_of_source_vip(endpoint: &ObservedEndpoint, address: IpAddr, network: &Network, host: &Host) -> bool {
    let has_form = || endpoint.content == source_vip_content(address, network, host);
    !endpoint.remote && (endpoint.owner == Owner::Us || has_form())
}
