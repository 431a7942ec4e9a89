//! Looking at HNS: version, networks, endpoints and load balancers, and what is found not to be as believed.

use hcn::client::Listed;

use super::*;
use crate::network::NamedNetwork;
use crate::observe::{Cause, Found, HeldEndpoint, HeldLoadBalancer, ListedEndpoint, Owner, Scrutiny, owner_of};
use crate::plan::ExpectedEndpoint;

/// In so many looks, each of these has its turn once: at audits of 5 s, once a minute.
const ROUND: u32 = 12;
/// Whose turn it is to look whether networks have their names still. Endpoints are not listed then: they name their network by its id,
/// and so tell at every other look that it is there.
const NETWORK: u32 = 0;
/// Whose turn it is to look at what endpoints say.
const ENDPOINTS: u32 = 4;
/// Whose turn it is to look at what load balancers say.
const LOAD_BALANCERS: u32 = 8;

/// How much of a look is made at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Both,
    /// Networks and endpoints.
    First,
    /// Load balancers.
    Second,
}

impl Reconciler {
    /// Looks at HNS: version and networks, then the ids of endpoints and load balancers, then what is unknown among these. What is
    /// not as believed becomes dirty. The first look makes six calls and two more for each unknown object; a look that finds nothing makes
    /// two, or three where the network has no endpoint, or is an overlay network and its turn has come. With several networks, n of them,
    /// the first look makes n + 3 calls, one that finds nothing n + 1, and one more where a network is missing, has no endpoint, or is an
    /// overlay network and its turn has come.
    ///
    /// # Errors
    /// Where HNS could not be asked, or lacks all networks. What was believed then stays.
    pub fn observe(&mut self, client: &Client) -> Result<Observation, ObserveError> {
        self.observe_and_tell(client, Part::Both)
    }

    /// As [`observe`](Self::observe), but where all is well only a part at a time, so that what changes need not wait for the whole; the
    /// observation says whether the other part is still to come.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub fn observe_part(&mut self, client: &Client) -> Result<Observation, ObserveError> {
        let part = match (self.looked && !self.suspended, self.half_looked) {
            (false, _) => Part::Both,
            (true, false) => Part::First,
            (true, true) => Part::Second,
        };
        self.observe_and_tell(client, part)
    }

    /// Looks, and hands over what drift there was until now.
    fn observe_and_tell(&mut self, client: &Client, part: Part) -> Result<Observation, ObserveError> {
        let result = self.try_observe(client, part);
        let drift = std::mem::take(&mut self.drift);
        result.map(|observation| Observation { drift, ..observation })
    }

    pub(super) fn try_observe(&mut self, client: &Client, part: Part) -> Result<Observation, ObserveError> {
        let result = self.observe_now(client, part);
        self.half_looked = result.as_ref().is_ok_and(|observation| observation.half);
        self.suspended = result.is_err();
        self.health.note(result.as_ref().map(drop));
        self.honours_ids = client.honours_ids();
        result
    }

    fn observe_now(&mut self, client: &Client, part: Part) -> Result<Observation, ObserveError> {
        if self.capabilities.is_none() {
            let version = client.version()?;
            self.version = Some(version);
            self.capabilities = Some(Capabilities::of(version, client.api_version()));
        }
        if part != Part::Second {
            self.looks = self.looks.wrapping_add(1);
            if self.looks.is_multiple_of(ROUND) {
                self.observed.forget_skipped();
            }
        }
        let turn = self.looks % ROUND;
        let mut found = Found::default();
        let (result, network_changed, half) = match self.look_around(client, turn, part, &mut found) {
            Ok((network_changed, half)) => (Ok(()), network_changed, half),
            Err(error) => (Err(error), false, false),
        };
        let (frontends, addresses) = (found.dirty.frontends.len(), found.dirty.addresses.len());
        self.absorb(found);
        result?;
        (self.endpoints_fresh, self.looked) = (true, true);
        Ok(Observation { frontends, addresses, network_changed, half, drift: Vec::new() })
    }

    /// Looks at the networks where that is called for, then at endpoints and load balancers. Answers whether a network changed, and whether
    /// load balancers are still to be looked at: not where endpoints are not as believed, which concerns them.
    fn look_around(
        &mut self,
        client: &Client,
        turn: u32,
        part: Part,
        found: &mut Found,
    ) -> Result<(bool, bool), ObserveError> {
        let changed =
            if part == Part::Second { false } else { self.look_at_networks_and_endpoints(client, turn, found)? };
        if part == Part::First && !changed && found.is_empty() {
            return Ok((false, true));
        }
        let own_turn = turn == LOAD_BALANCERS;
        let scrutiny = if own_turn { Scrutiny::of(self.observed.load_balancer_count()) } else { Scrutiny::Ids };
        self.look_at_load_balancers(client, scrutiny, found)?;
        Ok((changed, false))
    }

    fn look_at_networks_and_endpoints(
        &mut self,
        client: &Client,
        turn: u32,
        found: &mut Found,
    ) -> Result<bool, ObserveError> {
        let is_seen = |named: &NamedNetwork| {
            named.present && named.network.as_ref().is_some_and(|network| self.observed.has_endpoints(network.id))
        };
        let is_sure = !self.suspended && self.networks.iter().all(is_seen);
        let mut changed = false;
        if !is_sure || turn == NETWORK || self.subnets_are_due() {
            changed = self.find_networks(client)?;
        }
        self.refresh_wishes();
        if !is_sure || turn != NETWORK || changed {
            let scrutiny = if turn == ENDPOINTS { Scrutiny::of(self.observed.endpoint_count()) } else { Scrutiny::Ids };
            let mut listed = self.list_endpoints(client, scrutiny)?;
            if is_sure && !changed && self.observed.lacks_endpoints(&listed) {
                // They may have gone with their network.
                changed = self.find_networks(client)?;
                if changed {
                    self.refresh_wishes();
                    listed = self.list_endpoints(client, Scrutiny::Ids)?;
                }
            }
            self.look_at_endpoints(client, listed, found)?;
        }
        Ok(changed)
    }

    fn look_at_load_balancers(
        &mut self,
        client: &Client,
        scrutiny: Scrutiny,
        found: &mut Found,
    ) -> Result<(), hcn::Error> {
        let Some(capabilities) = &self.capabilities else { return Ok(()) };
        let (desired, settings, host, networks) = (&self.desired, &self.settings, &self.host, &self.networks);
        let expected = |observed: &Observed| {
            let restraint = &Restraint::default();
            let planner = Planner { desired, observed, settings, host, networks, capabilities, restraint };
            let expected = desired.iter().filter_map(|owned| planner.expected_load_balancer(owned));
            expected.map(|(id, document)| (id, HeldLoadBalancer::of(&document, capabilities, Owner::Us))).collect()
        };
        self.observed.look_at_load_balancers(client, capabilities, scrutiny, expected, found)
    }

    /// The endpoints of all networks; with their documents where contents are asked for and HNS has that list.
    fn list_endpoints(&self, client: &Client, scrutiny: Scrutiny) -> Result<Vec<ListedEndpoint>, hcn::Error> {
        let networks = self.networks.present_ids();
        let record = |network, listed: Listed<Endpoint>| {
            (network, listed.and_then(|id, document| Ok(HeldEndpoint::of(network, &document, owner_of(id)))))
        };
        if scrutiny == Scrutiny::Contents
            && let Ok(listed) = client.endpoints_from_v1_list(|listed| {
                let network = match &listed.document {
                    Some(Ok(document)) => document.host_compute_network.filter(|id| networks.contains(id)),
                    // What it says is not known, so neither is its network.
                    _ => networks.first().copied(),
                };
                Some(record(network?, listed))
            })
        {
            return Ok(listed);
        }
        let mut listed = Vec::new();
        for network in networks {
            listed.extend(client.endpoints(network, |listed| Some(record(network, listed)))?);
        }
        Ok(listed)
    }

    fn look_at_endpoints(
        &mut self,
        client: &Client,
        listed: Vec<ListedEndpoint>,
        found: &mut Found,
    ) -> Result<(), hcn::Error> {
        let Some(capabilities) = &self.capabilities else { return Ok(()) };
        let (desired, settings, host, networks) = (&self.desired, &self.settings, &self.host, &self.networks);
        let expected = || {
            let (observed, restraint) = (&Observed::default(), &Restraint::default());
            let planner = Planner { desired, observed, settings, host, networks, capabilities, restraint };
            let endpoint = |address| {
                let ExpectedEndpoint { network, id, document, .. } = planner.expected_endpoint(address)?;
                Some((id, HeldEndpoint::of(network, &document, Owner::Us)))
            };
            desired.addresses().into_iter().filter_map(endpoint).collect()
        };
        self.observed.look_at_endpoints(client, listed, expected, found)
    }

    /// What was found not to be as believed concerns its users too. What none of our own doing explains, and concerns us, is drift.
    fn absorb(&mut self, found: Found) {
        let Found { dirty, mut drift } = found;
        for address in &dirty.addresses {
            self.dirty.frontends.extend(self.desired.users_of(*address));
        }
        let root = self.observed.named(&self.settings.root_endpoint_name);
        if self.root != root {
            self.root = root;
            self.dirty.frontends.extend(self.desired.users(Target::Root));
            let own = self.host.node_ips.iter().map(|address| Target::Address { address: *address, local: true });
            self.dirty.frontends.extend(own.flat_map(|target| self.desired.users(target)));
        }
        self.dirty.merge(dirty);
        if !self.looked {
            // At a first look nothing was believed.
            return;
        }
        let is_owned = |subject| matches!(subject, Subject::Frontend(f) if self.desired.owned(f).is_some());
        drift.retain(|drift| drift.cause != Cause::FrontendTaken || is_owned(drift.subject));
        self.health.note_drift(&drift, self.observed.has_load_balancers_of_ours());
        // It may not be others' doing: HNS may have stopped to make the changes that it says it makes.
        self.modify_verified &= !drift.iter().any(|drift| drift.cause == Cause::LoadBalancerChanged);
        self.rewrite_users_of_lost_endpoints(&drift);
        self.drift.extend(drift);
    }

    /// A load balancer whose backend was lost may not serve it when it is there again, under the same id or not: it is written again,
    /// where that takes nothing away.
    fn rewrite_users_of_lost_endpoints(&mut self, drift: &[Drift]) {
        if !self.capabilities.is_some_and(|capabilities| capabilities.modify) {
            return;
        }
        let lost = drift.iter().filter(|drift| drift.cause == Cause::EndpointLost);
        for address in lost.filter_map(|drift| drift.subject.address()) {
            for frontend in self.desired.users_of(address).collect::<Vec<_>>() {
                let ours = self.observed.on(frontend).filter(|(_, held)| held.owner == Owner::Us);
                for (id, held) in ours.map(|(id, held)| (id, held.clone())).collect::<Vec<_>>() {
                    self.observed.doubt_load_balancer(id, &held);
                    self.dirty.frontends.insert(frontend);
                }
            }
        }
    }

    /// Looks at everything after a refusal that says that HNS holds something else than believed.
    pub(super) fn look_again(&mut self, client: &Client) {
        let mut found = Found::default();
        // Where HNS can't be asked, nothing is learned; what failed is tried again when it is due.
        let _ = self
            .list_endpoints(client, Scrutiny::Ids)
            .and_then(|listed| self.look_at_endpoints(client, listed, &mut found))
            .and_then(|()| self.look_at_load_balancers(client, Scrutiny::Ids, &mut found));
        self.absorb(found);
    }

    /// Looks again at what a plan found missing, if it was not looked at since the cluster changed: endpoints of local backends, and
    /// subnets of overlay networks. Answers whether to plan anew.
    pub(super) fn look_before(&mut self, plan: &Plan, client: &Client) -> bool {
        let on_other_node =
            |action: &Action| matches!(action, Action::CreateEndpoint { purpose: EndpointPurpose::Backend, .. });
        let overlay = self.networks.overlay().and_then(|place| Some((place, self.networks.present(place)?.id)));
        if let Some((place, id)) = overlay.filter(|_| !self.network_fresh)
            && plan.steps.iter().any(|step| on_other_node(&step.action))
        {
            self.network_fresh = true;
            // An error here changes nothing: the plan goes on with the subnets that are known.
            let document = client.network_of(id).ok();
            return document.is_some_and(|document| self.take_network(place, &document, client).unwrap_or(false));
        }
        if !self.endpoints_fresh && !plan.awaited.is_empty() {
            self.endpoints_fresh = true;
            let mut found = Found::default();
            let listed = self.list_endpoints(client, Scrutiny::Ids);
            let result = listed.and_then(|listed| self.look_at_endpoints(client, listed, &mut found));
            let changed = !found.dirty.is_empty();
            self.absorb(found);
            return result.is_ok() && changed;
        }
        false
    }
}
