//! The object that changed last, as far as a reflector knows. It shows whether the server still has the history that the reflector knows.
//!
//! An etcd that was restored from a backup may have passed the last known resource version since. It then accepts a watch from there, but what the
//! backup lacked, and what has changed up to that version, is not sent. The object that changed last is the one that most probably differs.

use super::super::object::{Identity, Object};
use super::super::resource_version::is_older;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Newest {
    identity: Identity,
    is_deleted: bool,
}

impl Newest {
    pub(super) fn applied(identity: &Identity) -> Self {
        Self { identity: identity.clone(), is_deleted: false }
    }

    pub(super) fn deleted(identity: &Identity) -> Self {
        Self { identity: identity.clone(), is_deleted: true }
    }

    /// Whether an object of the same list is older.
    pub(super) fn is_newer_than(&self, identity: &Identity) -> bool {
        !is_older(&self.identity.resource_version, &identity.resource_version)
    }

    pub(super) fn is_of(&self, identity: &Identity) -> bool {
        self.identity.namespace == identity.namespace && self.identity.name == identity.name
    }

    /// The namespace and name, if a URL can contain them as they are.
    pub(super) fn name(&self) -> Option<(String, String)> {
        let is_plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        let Identity { namespace, name, .. } = &self.identity;
        let is_name = |text: &str| !text.is_empty() && is_plain(text) && !text.starts_with('.');
        (is_name(namespace) && is_name(name)).then(|| (namespace.clone(), name.clone()))
    }

    /// Whether the server has another history than the one up to `version`, from a list of this object. False if that cannot be known.
    pub(super) fn contradicts<T>(&self, listed: &[Object<T>], version: &str) -> bool {
        match listed.iter().find(|object| self.is_of(&object.identity)) {
            Some(object) => {
                let found = &object.identity.resource_version;
                // Up to the version, each change of the object is known.
                let is_known = is_older(found, version) || found == version;
                is_known && (self.is_deleted || *found != self.identity.resource_version)
            }
            // The object may have been deleted since, which the watch would show. Nothing tells which, and a list is right for both. A
            // server that ignores the name lists others.
            None => !self.is_deleted && listed.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: &str, version: &str) -> Identity {
        Identity { namespace: "ns".into(), name: name.into(), resource_version: version.into() }
    }

    #[test]
    fn an_object_that_has_changed_up_to_the_known_version_contradicts() {
        let [applied, deleted] = [Newest::applied, Newest::deleted].map(|newest| newest(&identity("a", "7")));
        let contradict = |listed: &[(&str, &str)]| {
            let object = |(name, version): &(&str, &str)| Object::<()> {
                identity: identity(name, version),
                item: None,
                problems: Vec::new(),
                bytes: 0,
            };
            let listed: Vec<_> = listed.iter().map(object).collect();
            [&applied, &deleted].map(|newest| newest.contradicts(&listed, "9"))
        };
        assert_eq!(contradict(&[("a", "7")]), [false, true]);
        assert_eq!(contradict(&[("a", "5")]), [true, true]);
        assert_eq!(contradict(&[("a", "9")]), [true, true]);
        assert_eq!(contradict(&[("a", "10")]), [false, false], "the watch shows this change");
        assert_eq!(contradict(&[("a", "odd")]), [false, false], "its order is not known");
        assert_eq!(contradict(&[]), [true, false]);
        assert_eq!(contradict(&[("b", "5")]), [false, false], "the server ignores the name");
    }

    #[test]
    fn unusual_names_are_not_requested() {
        let name = |namespace: &str, name: &str| {
            let identity = Identity { namespace: namespace.into(), name: name.into(), ..Identity::default() };
            Newest::applied(&identity).name().is_some()
        };
        assert!(name("ns", "a-1.b"));
        for (namespace, unusual) in [("", "a"), ("ns", ""), ("..", "a"), ("ns/b", "a"), ("ns", "a,b=c"), ("ns", "ä")] {
            assert!(!name(namespace, unusual), "{namespace} {unusual}");
        }
    }
}
