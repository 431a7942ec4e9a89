//! What others have changed in place: ids do not tell it, the lists of the first generation do, as far as that can say it.
//!
//! A list only arouses suspicion; an object that it shows otherwise than written is read, and what it says itself counts. And none of
//! this counts unless another object of the kind is listed just as it was written: else it may be the way in which HNS lists.

use hcn::client::Listed;
use hcn::{Client, Error, Guid};

use super::drift::{Cause, Found};
use super::look::{ListedEndpoint, look};
use super::{HeldEndpoint, HeldLoadBalancer, Observed, Owner};
use crate::dirty::Subject;
use crate::settings::Capabilities;

impl Observed {
    /// Reads those of our remote endpoints that a list with documents shows otherwise than they were written, two calls each.
    pub(super) fn verify_endpoints(
        &mut self,
        client: &Client,
        listed: &[ListedEndpoint],
        found: &mut Found,
    ) -> Result<(), Error> {
        let held = |id: &Guid| self.endpoints.get(id).filter(|held| held.owner == Owner::Us && held.remote);
        let is_as_written = |id: &Guid, listed: Option<&HeldEndpoint>| {
            let held = held(id)?;
            Some(listed.is_some_and(|listed| held.content == listed.content))
        };
        let suspects = self.suspects(listed.iter().map(|(_, listed)| listed), is_as_written);
        for id in suspects {
            let Some(known) = self.endpoints.get(&id) else { continue };
            let subjects: Vec<_> = known.addresses.iter().map(|address| Subject::Address(*address)).collect();
            match look(client.endpoint(id))? {
                None => {
                    found.note(Cause::EndpointLost, subjects);
                    self.remove_endpoint(id, &mut found.dirty);
                }
                Some(Ok(document)) => {
                    let held = HeldEndpoint::of(known.network, &document, Owner::Us);
                    if held.content == known.content {
                        self.listed_otherwise.insert(id);
                    } else {
                        found.note(Cause::EndpointChanged, subjects);
                        self.insert_endpoint(id, held, &mut found.dirty);
                        self.distrust_id(id);
                    }
                }
                // Others' nonsense is for the next look to report.
                Some(Err(_)) => {}
            }
        }
        Ok(())
    }

    /// Reads those of our load balancers that the list of the first generation shows otherwise than they were written, two calls each.
    pub(super) fn verify_load_balancers(
        &mut self,
        client: &Client,
        capabilities: &Capabilities,
        listed: &[Listed<HeldLoadBalancer>],
        found: &mut Found,
    ) -> Result<(), Error> {
        let held = |id: &Guid| self.load_balancers.get(id).filter(|held| held.owner == Owner::Us);
        let is_as_written = |id: &Guid, listed: Option<&HeldLoadBalancer>| {
            let held = held(id)?;
            Some(listed.is_some_and(|listed| held.is_listed_as(listed)))
        };
        let suspects = self.suspects(listed, is_as_written);
        for id in suspects {
            let Some(known) = self.load_balancers.get(&id) else { continue };
            let subjects: Vec<_> = known.frontends.iter().map(|frontend| Subject::Frontend(*frontend)).collect();
            match look(client.load_balancer(id))? {
                None => {
                    found.note(Cause::LoadBalancerLost, subjects);
                    self.remove_load_balancer(id, &mut found.dirty);
                }
                Some(Ok(document)) => {
                    let held = HeldLoadBalancer::of(&document, capabilities, Owner::Us);
                    if held.content == known.content {
                        self.listed_otherwise.insert(id);
                    } else {
                        found.note(Cause::LoadBalancerChanged, subjects);
                        self.insert_load_balancer(id, held, &mut found.dirty);
                        self.distrust_id(id);
                    }
                }
                Some(Err(_)) => {}
            }
        }
        Ok(())
    }

    /// The objects that are listed otherwise than written; none, if none is listed as written.
    fn suspects<'a, T: 'a>(
        &self,
        listed: impl IntoIterator<Item = &'a Listed<T>>,
        is_as_written: impl Fn(&Guid, Option<&T>) -> Option<bool>,
    ) -> Vec<Guid> {
        let (mut suspects, mut any_as_written) = (Vec::new(), false);
        for Listed { id, document } in listed {
            let Some(document) = document else { continue };
            match is_as_written(id, document.as_ref().ok()) {
                Some(true) => any_as_written = true,
                Some(false) if !self.listed_otherwise.contains(id) => suspects.push(*id),
                _ => {}
            }
        }
        if any_as_written { suspects } else { Vec::new() }
    }
}
