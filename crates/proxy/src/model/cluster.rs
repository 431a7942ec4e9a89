//! The known Services and EndpointSlices. Each change returns the affected Services.

use rustc_hash::FxHashMap;

use super::{Service, ServiceName, Slice, SliceName};

/// A Service with its slices. Either may arrive before the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceEntry {
    /// None while only its slices are known.
    pub service: Option<Service>,
    pub slices: Slices,
}

/// The slices of a Service, sorted by name. A vector without spare capacity: there may be tens of thousands of Services, most with one
/// slice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slices(Vec<Slice>);

impl Slices {
    /// Sorted by name.
    pub fn values(&self) -> std::slice::Iter<'_, Slice> {
        self.0.iter()
    }

    pub fn get(&self, name: &SliceName) -> Option<&Slice> {
        self.position(name).ok().and_then(|index| self.0.get(index))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The index of a slice, or where it would be inserted.
    fn position(&self, name: &SliceName) -> Result<usize, usize> {
        self.0.binary_search_by(|slice| slice.name.cmp(name))
    }

    /// Adds or replaces a slice. Returns whether anything changed.
    fn insert(&mut self, slice: Slice) -> bool {
        match self.position(&slice.name) {
            Ok(index) => self.0.get_mut(index).is_some_and(|old| {
                *old != slice && {
                    *old = slice;
                    true
                }
            }),
            Err(index) => {
                self.0.reserve_exact(1);
                self.0.insert(index, slice);
                true
            }
        }
    }

    fn remove(&mut self, name: &SliceName) {
        if let Ok(index) = self.position(name) {
            self.0.remove(index);
        }
    }
}

impl ServiceEntry {
    fn is_empty(&self) -> bool {
        self.service.is_none() && self.slices.is_empty()
    }
}

impl FromIterator<Slice> for Slices {
    fn from_iter<T: IntoIterator<Item = Slice>>(slices: T) -> Self {
        let mut all = Self::default();
        for slice in slices {
            all.insert(slice);
        }
        all
    }
}

/// The known state of the cluster. Each change returns the Services that it affects: none if nothing changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    entries: FxHashMap<ServiceName, ServiceEntry>,
    slice_owner: FxHashMap<SliceName, ServiceName>,
}

impl Cluster {
    pub fn get(&self, name: &ServiceName) -> Option<&ServiceEntry> {
        self.entries.get(name)
    }

    /// In arbitrary order. Includes Services that are known only from their slices.
    pub fn iter(&self) -> impl Iterator<Item = (&ServiceName, &ServiceEntry)> {
        self.entries.iter()
    }

    pub fn apply_service(&mut self, service: Service) -> Option<ServiceName> {
        let name = service.name.clone();
        let entry = self.entries.entry(name.clone()).or_default();
        if entry.service.as_ref() == Some(&service) {
            return None;
        }
        entry.service = Some(service);
        Some(name)
    }

    /// Removes a Service. Its slices stay until they are removed themselves.
    pub fn delete_service(&mut self, name: &ServiceName) -> Option<ServiceName> {
        let entry = self.entries.get_mut(name)?;
        entry.service.take()?;
        if entry.is_empty() {
            self.entries.remove(name);
        }
        Some(name.clone())
    }

    /// Adds or replaces a slice. Two Services are affected if the slice has moved from one to the other.
    pub fn apply_slice(&mut self, slice: Slice) -> Vec<ServiceName> {
        let mut affected = Vec::new();
        let owner = slice.service.clone();
        if self.slice_owner.get(&slice.name).is_some_and(|old| *old != owner) {
            affected.extend(self.delete_slice(&slice.name));
        }
        let entry = self.entries.entry(owner.clone()).or_default();
        let name = slice.name.clone();
        if entry.slices.insert(slice) {
            self.slice_owner.insert(name, owner.clone());
            affected.push(owner);
        }
        affected
    }

    pub fn delete_slice(&mut self, name: &SliceName) -> Option<ServiceName> {
        let owner = self.slice_owner.remove(name)?;
        if let Some(entry) = self.entries.get_mut(&owner) {
            entry.slices.remove(name);
            if entry.is_empty() {
                self.entries.remove(&owner);
            }
        }
        Some(owner)
    }

    /// Replaces all Services by those of a new complete list.
    pub fn reset_services(&mut self, services: Vec<Service>) -> Vec<ServiceName> {
        let mut gone: FxHashMap<ServiceName, ()> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.service.is_some())
            .map(|(name, _)| (name.clone(), ()))
            .collect();
        let mut affected = Vec::new();
        for service in services {
            gone.remove(&service.name);
            affected.extend(self.apply_service(service));
        }
        affected.extend(gone.into_keys().filter_map(|name| self.delete_service(&name)));
        affected
    }

    /// Replaces all slices by those of a new complete list.
    pub fn reset_slices(&mut self, slices: Vec<Slice>) -> Vec<ServiceName> {
        let mut gone: FxHashMap<SliceName, ()> = self.slice_owner.keys().map(|name| (name.clone(), ())).collect();
        let mut affected = Vec::new();
        for slice in slices {
            gone.remove(&slice.name);
            affected.extend(self.apply_slice(slice));
        }
        affected.extend(gone.into_keys().filter_map(|name| self.delete_slice(&name)));
        affected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{backend, service, slice};

    #[test]
    fn only_changes_affect_a_service() {
        let mut cluster = Cluster::default();
        let web = service("ns/web").cluster_ip("10.96.0.1").port(80).build();
        assert_eq!(cluster.apply_service(web.clone()), Some(web.name.clone()));
        assert_eq!(cluster.apply_service(web.clone()), None);
        let one = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.0.0.1")).build();
        assert_eq!(cluster.apply_slice(one.clone()), vec![web.name.clone()]);
        assert_eq!(cluster.apply_slice(one.clone()), vec![]);
        assert_eq!(cluster.delete_slice(&one.name), Some(web.name.clone()));
        assert_eq!(cluster.delete_slice(&one.name), None);
        assert_eq!(cluster.delete_service(&web.name), Some(web.name.clone()));
        assert_eq!(cluster, Cluster::default());
    }

    #[test]
    fn a_slice_that_moves_affects_both_services() {
        let mut cluster = Cluster::default();
        let before = slice("ns/s", "ns/a").port(80).build();
        let after = slice("ns/s", "ns/b").port(80).build();
        cluster.apply_slice(before.clone());
        assert_eq!(cluster.apply_slice(after.clone()), vec![before.service, after.service]);
        assert_eq!(cluster.iter().count(), 1);
    }

    #[test]
    fn a_complete_list_removes_objects_that_are_not_in_it() {
        let mut cluster = Cluster::default();
        let (a, b) = (service("ns/a").build(), service("ns/b").build());
        cluster.reset_services(vec![a.clone(), b.clone()]);
        assert_eq!(cluster.reset_services(vec![b]), vec![a.name]);
        let one = slice("ns/s", "ns/c").port(80).build();
        assert_eq!(cluster.reset_slices(vec![one.clone()]), vec![one.service.clone()]);
        assert_eq!(cluster.reset_slices(vec![]), vec![one.service]);
    }
}
