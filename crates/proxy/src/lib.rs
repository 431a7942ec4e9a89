//! The proxy: from Services and EndpointSlices to the load balancers and endpoints that HNS should hold.
//!
//! Values in, calls out: nothing here waits, reads a clock or knows a Kubernetes client. Data flows one way:
//!
//! ```text
//! model::Cluster ─ dirty Services ─→ select → desire ─ dirty frontends ─→ plan → apply → HNS
//! HNS ─→ observe ────────────────────────────────────────────────────────↗
//! ```
#![forbid(unsafe_code)]

pub mod model;
#[cfg(any(test, feature = "testing"))]
#[allow(clippy::expect_used, reason = "test code: a bad literal should stop the test")]
pub mod testing;
