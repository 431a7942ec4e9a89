//! Kubernetes objects as the API server writes them, and their translation into [`proxy::model`].
//!
//! Pure functions of one object each. An object is used as far as it is valid: a part that is not is left out and named by a
//! [`Problem`], the rest counts. What kube-proxy does not watch, or skips, is skipped here too, with the reason as a value.

mod address;
pub mod node;
pub mod object;
mod problem;
pub mod service;
pub mod slice;

pub use problem::{Problem, ProblemKind, Problems, summary};

/// What became of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted<T> {
    /// The object of the model, or why it does not concern this proxy.
    pub outcome: Result<T, Skip>,
    /// Parts that were left out.
    pub problems: Vec<Problem>,
}

/// Why an object does not concern this proxy. None of these is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// The label `service.kubernetes.io/service-proxy-name` gives the Service to another proxy.
    OtherProxy,
    /// `clusterIP: None`, or a slice of such a Service.
    Headless,
    /// The Service has no cluster address (yet).
    NoClusterIp,
    /// The Service is an alias of a DNS name.
    ExternalName,
    /// The slice holds DNS names, not addresses.
    DnsNames,
}

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Skip::OtherProxy => "of another proxy",
            Skip::Headless => "headless",
            Skip::NoClusterIp => "without a cluster IP, which the API server assigns",
            Skip::ExternalName => "of type ExternalName",
            Skip::DnsNames => "of DNS names",
        })
    }
}

/// Why nothing of an object can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A field that the object is useless without.
    #[error("missing {field}")]
    Missing { field: &'static str },
    /// A field that everything depends on has a value of no known meaning.
    #[error("unknown {field} {value:?} (known: {expected})")]
    Unknown {
        field: &'static str,
        value: String,
        /// The known values, for the message.
        expected: &'static str,
    },
}
