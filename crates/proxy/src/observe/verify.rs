//! Detects objects of ours that another program modified in place. Ids do not show it; the v1 lists do, if they have
//! the modified field.
//!
//! An entry of a v1 list that differs is only a hint: v1 documents lack fields of v2, and HNS builds differ in what
//! they write there. So the object is read on its own, and its document is compared. If the entry of every object of a
//! kind differs, none is read, because this build probably lists them differently.

use hcn::client::Listed;
use hcn::{Client, Error, Guid};

use super::drift::{Cause, Findings};
use super::lists::{ListedEndpoint, readable_or_absent};
use super::{Observed, ObservedEndpoint, ObservedLoadBalancer, Owner};
use crate::dirty::Subject;
use crate::settings::Capabilities;

impl Observed {
    /// Reads our remote endpoints whose list entry differs from what was written: two calls for each.
    pub(super) fn verify_endpoints(
        &mut self,
        client: &Client,
        listed: &[ListedEndpoint],
        findings: &mut Findings,
    ) -> Result<(), Error> {
        // Local endpoints belong to the CNI, which may modify them.
        let ours = |id: &Guid| self.endpoints.get(id).filter(|known| known.owner == Owner::Us && known.remote);
        let is_as_written = |id: &Guid, listed: Option<&ObservedEndpoint>| {
            let known = ours(id)?;
            Some(listed.is_some_and(|listed| known.content == listed.content))
        };
        let suspects = self.suspects(listed.iter().map(|(_, listed)| listed), is_as_written);
        for id in suspects {
            let Some(known) = self.endpoints.get(&id) else { continue };
            let subjects: Vec<_> = known.addresses.iter().map(|address| Subject::Address(*address)).collect();
            match readable_or_absent(client.endpoint(id))? {
                // It was deleted between the list and the read.
                None => {
                    findings.add_drift(Cause::EndpointLost, subjects);
                    self.remove_endpoint(id, &mut findings.dirty);
                }
                Some(Ok(document)) => {
                    let observed = ObservedEndpoint::of(known.network, &document, Owner::Us);
                    if observed.content == known.content {
                        // The list shows this object incorrectly. Without this mark, each such audit would read it
                        // again.
                        self.misrepresented.insert(id);
                    } else {
                        // Its id still has the old content, so the id is no longer trusted.
                        findings.add_drift(Cause::EndpointChanged, subjects);
                        self.insert_endpoint(id, observed, &mut findings.dirty);
                        self.mark_id_untrusted(id);
                    }
                }
                // An invalid document says nothing about the content. The next such audit reads it again.
                Some(Err(_)) => {}
            }
        }
        Ok(())
    }

    /// Reads our load balancers whose entry in the v1 list differs from what was written: two calls for each.
    pub(super) fn verify_load_balancers(
        &mut self,
        client: &Client,
        capabilities: &Capabilities,
        listed: &[Listed<ObservedLoadBalancer>],
        findings: &mut Findings,
    ) -> Result<(), Error> {
        let ours = |id: &Guid| self.load_balancers.get(id).filter(|known| known.owner == Owner::Us);
        let is_as_written = |id: &Guid, listed: Option<&ObservedLoadBalancer>| {
            let known = ours(id)?;
            Some(listed.is_some_and(|listed| known.matches_v1_list(listed)))
        };
        let suspects = self.suspects(listed, is_as_written);
        for id in suspects {
            let Some(known) = self.load_balancers.get(&id) else { continue };
            let subjects: Vec<_> = known.frontends.iter().map(|frontend| Subject::Frontend(*frontend)).collect();
            match readable_or_absent(client.load_balancer(id))? {
                // It was deleted between the list and the read.
                None => {
                    findings.add_drift(Cause::LoadBalancerLost, subjects);
                    self.remove_load_balancer(id, &mut findings.dirty);
                }
                Some(Ok(document)) => {
                    let observed = ObservedLoadBalancer::of(&document, capabilities, Owner::Us);
                    if observed.content == known.content {
                        // As for endpoints: the list shows this object incorrectly.
                        self.misrepresented.insert(id);
                    } else {
                        // Its id still has the old content, so the id is no longer trusted.
                        findings.add_drift(Cause::LoadBalancerChanged, subjects);
                        self.insert_load_balancer(id, observed, &mut findings.dirty);
                        self.mark_id_untrusted(id);
                    }
                }
                // As for endpoints: an invalid document says nothing about the content.
                Some(Err(_)) => {}
            }
        }
        Ok(())
    }

    /// The objects whose list entry differs from what was written. `is_as_written` returns `None` for objects that are
    /// not verified.
    fn suspects<'a, T: 'a>(
        &self,
        listed: impl IntoIterator<Item = &'a Listed<T>>,
        is_as_written: impl Fn(&Guid, Option<&T>) -> Option<bool>,
    ) -> Vec<Guid> {
        let (mut suspects, mut any_as_written) = (Vec::new(), false);
        for Listed { id, document } in listed {
            // A list of ids shows no content.
            let Some(document) = document else { continue };
            match is_as_written(id, document.as_ref().ok()) {
                Some(true) => any_as_written = true,
                Some(false) if !self.misrepresented.contains(id) => suspects.push(*id),
                _ => {}
            }
        }
        // Reading every object for a list that shows none of them correctly would cost two calls for each, at each
        // such audit.
        if any_as_written { suspects } else { Vec::new() }
    }
}
