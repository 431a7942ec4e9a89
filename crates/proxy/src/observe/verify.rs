//! The slow pass over the contents of all objects of ours: what others have changed in place is found too.

use hcn::{Client, Error, Guid};

use super::drift::{Cause, Found};
use super::look::look;
use super::{HeldEndpoint, HeldLoadBalancer, Observed, Owner};
use crate::plan::Subject;
use crate::settings::Capabilities;

/// An object of ours whose content is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Object {
    Endpoint(Guid),
    LoadBalancer(Guid),
}

impl Observed {
    /// Reads the contents of the next `budget` objects of ours, two calls each. When all were read it begins anew.
    ///
    /// A difference counts only after another object of the kind was read just as it was written: else it may be the way in which HNS
    /// tells what it holds.
    ///
    /// # Errors
    /// HNS's, if it could not be asked. What was learned until then stays; the object is read next time.
    pub fn verify(
        &mut self,
        client: &Client,
        network: Guid,
        capabilities: &Capabilities,
        budget: usize,
        found: &mut Found,
    ) -> Result<(), Error> {
        if self.to_verify.is_empty() {
            let endpoints = self.endpoints.iter().filter(|(_, held)| held.owner == Owner::Us && held.remote);
            self.to_verify.extend(endpoints.map(|(id, _)| Object::Endpoint(*id)));
            let load_balancers = self.load_balancers.iter().filter(|(_, held)| held.owner == Owner::Us);
            self.to_verify.extend(load_balancers.map(|(id, _)| Object::LoadBalancer(*id)));
            // Load balancers are read first: they are the last.
            self.to_verify.sort_unstable();
        }
        for _ in 0..budget {
            let Some(object) = self.to_verify.last().copied() else { break };
            match object {
                Object::Endpoint(id) => self.verify_endpoint(client, network, id, found)?,
                Object::LoadBalancer(id) => self.verify_load_balancer(client, capabilities, id, found)?,
            }
            self.to_verify.pop();
        }
        Ok(())
    }

    fn verify_endpoint(&mut self, client: &Client, network: Guid, id: Guid, found: &mut Found) -> Result<(), Error> {
        let Some(known) = self.endpoints.get(&id) else { return Ok(()) };
        let subjects: Vec<_> = known.addresses.iter().map(|address| Subject::Address(*address)).collect();
        match look(client.endpoint(id))? {
            None => {
                found.note(Cause::EndpointLost, subjects);
                self.remove_endpoint(id, &mut found.dirty);
            }
            Some(Ok(document)) => {
                let held = HeldEndpoint::of(network, &document, Owner::Us);
                if held.content == known.content {
                    self.read_as_written.0 = true;
                } else if self.read_as_written.0 {
                    found.note(Cause::EndpointChanged, subjects);
                    self.insert_endpoint(id, held, &mut found.dirty);
                    self.distrust_id(id);
                }
            }
            // Others' nonsense is for the next look to report.
            Some(Err(_)) => {}
        }
        Ok(())
    }

    fn verify_load_balancer(
        &mut self,
        client: &Client,
        capabilities: &Capabilities,
        id: Guid,
        found: &mut Found,
    ) -> Result<(), Error> {
        let Some(known) = self.load_balancers.get(&id) else { return Ok(()) };
        let subjects: Vec<_> = known.frontends.iter().map(|frontend| Subject::Frontend(*frontend)).collect();
        match look(client.load_balancer(id))? {
            None => {
                found.note(Cause::LoadBalancerLost, subjects);
                self.remove_load_balancer(id, &mut found.dirty);
            }
            Some(Ok(document)) => {
                let held = HeldLoadBalancer::of(&document, capabilities, Owner::Us);
                if held.content == known.content {
                    self.read_as_written.1 = true;
                } else if self.read_as_written.1 {
                    found.note(Cause::LoadBalancerChanged, subjects);
                    self.insert_load_balancer(id, held, &mut found.dirty);
                    self.distrust_id(id);
                }
            }
            Some(Err(_)) => {}
        }
        Ok(())
    }
}
