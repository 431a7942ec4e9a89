//! The core of the proxy: from Services and EndpointSlices to load balancers and endpoints of HNS.
//!
//! The core has no Kubernetes client, no clock and no timers. Its only side effects are native calls. Data flows one
//! way:
//!
//! ```text
//! model::Cluster ─ dirty Services ─→ select → desire ─ dirty frontends ─→ plan → apply → HNS
//! HNS ─→ observe ────────────────────────────────────────────────────────↗
//! ```
#![forbid(unsafe_code)]

mod address_class;
pub mod apply;
pub mod backoff;
pub mod condition;
pub mod desire;
pub mod dirty;
pub mod explain;
pub mod foreign_writer;
pub mod frontend;
pub mod health_check;
pub mod identity;
mod mac;
pub mod model;
pub mod network;
pub mod network_pattern;
pub mod observe;
pub mod plan;
pub mod reconcile;
pub mod settings;
pub mod source_vip;

pub use condition::{Condition, Holder, ServiceCondition};
pub use explain::Explanation;
pub use foreign_writer::{ForeignWriter, RepeatedLoss, Writer};
pub use frontend::{Frontend, FrontendKind};
pub use health_check::{HealthCheck, HealthChecks};
pub use network::{Contradiction, HostCondition, Network, NetworkIndex, Networks};
pub use observe::{Cause, Drift, IdentifiedObjects};
pub use plan::{Action, FrontendStatus, Plan, Reason, Step};
pub use reconcile::{
    AuditError, AuditReport, Liveness, Next, ProgrammedFrontend, Progress, Reconciler, Report, ServiceSummary, Tally,
    Unready, Unsettled,
};
pub use settings::{Host, Settings};
pub use source_vip::{SourceVip, SourceVipAbsent, SourceVipRequest};
#[cfg(any(test, feature = "testing"))]
#[allow(clippy::expect_used, reason = "test code: a bad literal should stop the test")]
pub mod testing;
