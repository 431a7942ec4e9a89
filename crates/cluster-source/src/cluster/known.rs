//! Decides whether a list is believed at once, or requested again first, because it lacks much of what is known.
//!
//! A successful response can be wrong: a proxy or a cache may answer for the API server, and etcd may have been restored. What a wrong list
//! lacks would be removed from HNS while it serves. So a list that lacks most of the known objects is believed only if another request
//! lacks them too.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::resource_version::is_older;

/// A name as its hash: names of 50 000 objects would take megabytes. If two names collide, the number of missing objects is
/// wrong by one.
type NameHash = u64;

/// The objects of a kind that were emitted and not deleted since.
#[derive(Debug, Default)]
pub(super) struct Known {
    names: HashSet<NameHash>,
    /// The newest resource version; empty before the first list that was believed.
    version: String,
    /// Of the known objects, those that all lists contained since the last one that was believed. `None` if there was no such list.
    confirmed: Option<HashSet<NameHash>>,
}

impl Known {
    pub(super) fn add(&mut self, name: &str) {
        self.names.insert(hash(name));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.names.remove(&hash(name));
    }

    pub(super) fn reach(&mut self, version: &str) {
        version.clone_into(&mut self.version);
    }

    /// Whether the last list is not believed yet.
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.confirmed.is_some()
    }

    /// Decides on a complete list. If it is believed, its objects are known.
    pub(super) fn believes<'a>(&mut self, listed: impl Iterator<Item = &'a str>, version: &str) -> bool {
        let listed: HashSet<_> = listed.map(hash).collect();
        let before = self.confirmed.as_ref().unwrap_or(&self.names);
        let lost = before.difference(&listed).count();
        // Each further list has to contain most of what the lists before it contained, so the number of lists is at most logarithmic.
        let lacks_most = lost * 2 > before.len();
        // A cluster has the Service default/kubernetes with a slice, and this Node. After a restart, HNS has objects of Services that are
        // not known here, so the first list is confirmed if it is empty.
        let is_empty = self.confirmed.is_none() && self.version.is_empty() && listed.is_empty();
        // The server was restored from a backup, or another one has answered.
        let went_back = self.confirmed.is_none() && is_older(version, &self.version);
        if lacks_most || is_empty || went_back {
            self.confirmed = Some(before.intersection(&listed).copied().collect());
            return false;
        }
        *self = Self { names: listed, version: version.to_owned(), confirmed: None };
        true
    }
}

fn hash(name: &str) -> NameHash {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows a, b, c and d at version 5.
    fn known() -> Known {
        let mut known = Known::default();
        assert!(known.believes(["a", "b", "c", "d"].into_iter(), "5"));
        known
    }

    fn believes(known: &mut Known, listed: &str, version: &str) -> bool {
        known.believes(listed.split_whitespace(), version)
    }

    #[test]
    fn a_list_with_half_of_the_known_objects_is_believed() {
        for list in ["a b c d", "a b", "a b e f", "e a f b"] {
            assert!(believes(&mut known(), list, "6"), "{list}");
        }
    }

    #[test]
    fn a_list_that_lacks_most_is_believed_after_another_that_lacks_them() {
        for list in ["", "a", "e f g h"] {
            let mut known = known();
            assert!(!believes(&mut known, list, "6") && known.is_unconfirmed(), "{list}");
            assert!(believes(&mut known, list, "6") && !known.is_unconfirmed(), "{list}");
        }
    }

    #[test]
    fn a_second_list_that_lacks_even_more_is_not_believed() {
        let mut known = known();
        assert!(!believes(&mut known, "a", "6"));
        assert!(!believes(&mut known, "", "6"));
        assert!(believes(&mut known, "", "6"));
    }

    #[test]
    fn a_complete_list_after_a_wrong_one_is_believed() {
        let mut known = known();
        assert!(!believes(&mut known, "", "6"));
        assert!(believes(&mut known, "a b c d e", "6"));
        assert!(!believes(&mut known, "", "7"), "the first list is forgotten");
    }

    #[test]
    fn an_empty_first_list_is_listed_again() {
        let mut known = Known::default();
        assert!(!believes(&mut known, "", "5"));
        assert!(believes(&mut known, "", "5"));
        assert!(believes(&mut known, "", "6"), "nothing was lost since");
    }

    #[test]
    fn a_list_of_an_older_version_is_listed_again() {
        let mut known = known();
        known.reach("9");
        assert!(!believes(&mut known, "a b c d", "8"));
        assert!(believes(&mut known, "a b c d", "8"));
        assert!(believes(&mut known, "a b c d", "8"), "8 is the known version now");
    }

    #[test]
    fn objects_that_were_added_or_deleted_since_are_taken_into_account() {
        let mut known = known();
        ["a", "b", "c"].into_iter().for_each(|name| known.remove(name));
        assert!(believes(&mut known, "d", "6"));
        known.add("e");
        known.add("f");
        assert!(!believes(&mut known, "d", "7"));
    }
}
