//! Kubernetes objects as the API server writes them, and their translation into [`proxy::model`].
//!
//! Pure functions of one object each. The valid parts of an object are used. An invalid part is left out and reported as a [`Problem`].
//! Objects that kube-proxy does not watch, or skips, are skipped here too, with the reason as a value.

mod address;
pub mod node;
pub mod object;
mod problem;
pub mod service;
pub mod slice;
pub(crate) mod type_error;

pub use problem::{Problem, ProblemKind, Problems, summary};

/// The result of a successful conversion.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted<T> {
    /// The object of the model, or why it does not concern this proxy.
    pub outcome: Result<T, Skip>,
    pub problems: Vec<Problem>,
}

/// Why an object does not concern this proxy. Not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// The label `service.kubernetes.io/service-proxy-name` assigns the Service to another proxy.
    OtherProxy,
    /// `clusterIP: None`, or a slice of such a Service.
    Headless,
    /// The Service has no cluster address (yet).
    NoClusterIp,
    ExternalName,
    /// A slice of address type FQDN.
    DnsNames,
}

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Skip::OtherProxy => "for another proxy",
            Skip::Headless => "headless",
            Skip::NoClusterIp => "without a cluster IP",
            Skip::ExternalName => "of type ExternalName",
            Skip::DnsNames => "with DNS names",
        })
    }
}

/// Why no part of an object can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A required field.
    #[error("missing {field}")]
    Missing { field: &'static str },
    /// A required field has an unknown value.
    #[error("unknown {field} {value:?} (known: {expected})")]
    Unknown {
        field: &'static str,
        value: String,
        /// The known values, for the message.
        expected: &'static str,
    },
}
