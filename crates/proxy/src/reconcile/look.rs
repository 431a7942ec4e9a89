//! Looking at HNS: version, network, endpoints and load balancers, and what is found not to be as believed.

use super::*;

/// On overlay networks, every how many looks the subnets of other nodes are read again: at audits of 5 s, every 30 s.
const SUBNETS_EVERY: u32 = 6;

impl Reconciler {
    /// Looks at HNS: version and network, then the ids of endpoints and load balancers, then what is unknown among these. What is
    /// not as believed becomes dirty. The first look makes six calls and two more for each unknown object.
    ///
    /// # Errors
    /// Where HNS could not be asked, or lacks the network. What was believed then stays.
    pub fn observe(&mut self, client: &Client) -> Result<Observation, ObserveError> {
        let result = self.observe_now(client);
        self.suspended = result.is_err();
        result
    }

    fn observe_now(&mut self, client: &Client) -> Result<Observation, ObserveError> {
        if self.capabilities.is_none() {
            let version = client.version()?;
            self.version = Some(version);
            self.capabilities = Some(Capabilities::of(version, client.generation()));
        }
        let network_changed = self.find_network(client)?;
        self.refresh_wishes();

        let mut found = Dirty::default();
        let result = self.look(client, &mut found);
        let observation =
            Observation { frontends: found.frontends.len(), addresses: found.addresses.len(), network_changed };
        self.absorb(found);
        result?;
        self.endpoints_fresh = true;
        Ok(observation)
    }

    /// Looks at endpoints and load balancers, where the network was found.
    fn look(&mut self, client: &Client, found: &mut Dirty) -> Result<(), hcn::Error> {
        self.look_at_endpoints(client, found)?;
        let (Some(network), Some(capabilities)) = (&self.network, &self.capabilities) else { return Ok(()) };
        let (desired, settings, host) = (&self.desired, &self.settings, &self.host);
        let expected = |observed: &Observed| {
            let blocked = FxHashSet::default();
            let planner = Planner { desired, observed, settings, host, network, capabilities, blocked: &blocked };
            desired.iter().filter_map(|owned| planner.expected_load_balancer(owned)).collect()
        };
        self.observed.look_at_load_balancers(client, capabilities, expected, found)
    }

    fn look_at_endpoints(&mut self, client: &Client, found: &mut Dirty) -> Result<(), hcn::Error> {
        let (Some(network), Some(capabilities)) = (&self.network, &self.capabilities) else { return Ok(()) };
        let (desired, settings, host) = (&self.desired, &self.settings, &self.host);
        let expected = || {
            let (observed, blocked) = (&Observed::default(), &FxHashSet::default());
            let planner = Planner { desired, observed, settings, host, network, capabilities, blocked };
            let endpoint = |address| planner.expected_endpoint(address).map(|(id, _, document)| (id, document));
            desired.addresses().into_iter().filter_map(endpoint).collect::<FxHashMap<Guid, Endpoint>>()
        };
        self.observed.look_at_endpoints(client, network.id, expected, found)
    }

    /// What was found not to be as believed concerns its users too.
    fn absorb(&mut self, found: Dirty) {
        for address in &found.addresses {
            self.dirty.frontends.extend(self.desired.users_of(*address));
        }
        let root = self.observed.named(&self.settings.root_endpoint_name);
        if self.root != root {
            self.root = root;
            self.dirty.frontends.extend(self.desired.users(Target::Root));
            let own = self.host.node_ips.iter().map(|address| Target::Address { address: *address, local: true });
            self.dirty.frontends.extend(own.flat_map(|target| self.desired.users(target)));
        }
        self.dirty.merge(found);
    }

    /// Finds the network, and answers whether it is another than before.
    fn find_network(&mut self, client: &Client) -> Result<bool, ObserveError> {
        let name = &self.settings.network_name;
        self.looks = self.looks.wrapping_add(1);
        // The subnets of other nodes change without notice, and ids do not tell: they are read again once in a while.
        let reread =
            self.network.as_ref().is_some_and(|network| network.overlay) && self.looks.is_multiple_of(SUBNETS_EVERY);
        if let Some(known) = self.network.as_ref().filter(|_| !reread) {
            match client.network_id(name)? {
                Some(id) if id == known.id => return Ok(false),
                Some(_) => {}
                None => return Err(ObserveError::NetworkAbsent { name: name.clone() }),
            }
        }
        self.read_network(client)
    }

    /// Reads the network's document, and answers whether it says something else than before.
    fn read_network(&mut self, client: &Client) -> Result<bool, ObserveError> {
        let name = self.settings.network_name.clone();
        let Some(document) = client.network(&name)? else { return Err(ObserveError::NetworkAbsent { name }) };
        self.take_network(name, document)
    }

    fn take_network(&mut self, name: String, document: hcn::schema::Network) -> Result<bool, ObserveError> {
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
        // A subnet that can't be read is left out; the addresses behind it count as outside the cluster.
        let subnets = document.policies.iter().filter_map(|policy| policy.as_remote_subnet()?.ok());
        let network = Network { id, overlay, remote_subnets: subnets.collect() };
        self.network_fresh = true;
        if self.network.as_ref() == Some(&network) {
            return Ok(false);
        }
        let source_vip = self.settings.source_vip.filter(|_| overlay);
        self.network = Some(network);
        self.desired.set_source_vip(source_vip, &mut self.dirty);
        // Ids and documents of endpoints depend on the network.
        self.dirty.addresses.extend(self.desired.addresses());
        self.dirty.frontends.extend(self.desired.iter().map(|owned| owned.spec.frontend));
        self.concern_all();
        Ok(true)
    }

    /// Looks at everything after a refusal that says that HNS holds something else than believed.
    pub(super) fn look_again(&mut self, client: &Client) {
        let mut found = Dirty::default();
        // Where HNS can't be asked, nothing is learned; what failed is tried again when it is due.
        let _ = self.look(client, &mut found);
        self.absorb(found);
    }

    /// Looks again at what a plan found missing, if it was not looked at since the cluster changed: endpoints of local backends, and
    /// subnets of overlay networks. Answers whether to plan anew.
    pub(super) fn look_before(&mut self, plan: &Plan, client: &Client) -> bool {
        let on_other_node =
            |action: &Action| matches!(action, Action::CreateEndpoint { purpose: EndpointPurpose::Backend, .. });
        let overlay = self.network.as_ref().filter(|network| network.overlay).map(|network| network.id);
        if let Some(id) = overlay.filter(|_| !self.network_fresh)
            && plan.steps.iter().any(|step| on_other_node(&step.action))
        {
            self.network_fresh = true;
            let name = self.settings.network_name.clone();
            // An error here changes nothing: the plan goes on with the subnets that are known.
            return client.network_of(id).is_ok_and(|document| self.take_network(name, document).unwrap_or(false));
        }
        if !self.endpoints_fresh && !plan.awaited.is_empty() {
            self.endpoints_fresh = true;
            let mut found = Dirty::default();
            let result = self.look_at_endpoints(client, &mut found);
            let changed = !found.is_empty();
            self.absorb(found);
            return result.is_ok() && changed;
        }
        false
    }
}
