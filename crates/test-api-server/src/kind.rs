//! The kinds of objects that are served.

/// A kind of object that is listed and watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `v1`, namespaced.
    Service,
    /// `discovery.k8s.io/v1`, namespaced.
    EndpointSlice,
    /// `v1`.
    Node,
    /// `networking.k8s.io/v1`.
    ServiceCidr,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Service, Self::EndpointSlice, Self::Node, Self::ServiceCidr];

    /// As in the field `kind`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Node => "Node",
            Self::ServiceCidr => "ServiceCIDR",
        }
    }

    /// As in paths.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Service => "services",
            Self::EndpointSlice => "endpointslices",
            Self::Node => "nodes",
            Self::ServiceCidr => "servicecidrs",
        }
    }

    /// Other names that kubectl accepts.
    pub(crate) fn short_names(self) -> &'static [&'static str] {
        match self {
            Self::Service => &["svc"],
            Self::Node => &["no"],
            Self::EndpointSlice | Self::ServiceCidr => &[],
        }
    }

    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Service | Self::Node => "v1",
            Self::EndpointSlice => "discovery.k8s.io/v1",
            Self::ServiceCidr => "networking.k8s.io/v1",
        }
    }

    #[must_use]
    pub fn namespaced(self) -> bool {
        matches!(self, Self::Service | Self::EndpointSlice)
    }

    /// The path of the list over all namespaces.
    #[must_use]
    pub fn path(self) -> String {
        let root = if self.api_version() == "v1" { "/api" } else { "/apis" };
        format!("{root}/{}/{}", self.api_version(), self.plural())
    }

    /// The fields that field selectors support.
    pub(crate) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Service => &["metadata.name", "metadata.namespace", "spec.clusterIP", "spec.type"],
            Self::EndpointSlice => &["metadata.name", "metadata.namespace"],
            Self::Node => &["metadata.name", "spec.unschedulable"],
            Self::ServiceCidr => &["metadata.name"],
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
