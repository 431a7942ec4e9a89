//! The core against an emulated HNS: scenarios, counts of calls, properties.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "suite/assumptions.rs"]
mod assumptions;
#[path = "suite/calls.rs"]
mod calls;
#[path = "suite/chaos/mod.rs"]
mod chaos;
#[path = "suite/churn.rs"]
mod churn;
#[path = "suite/explain.rs"]
mod explain;
#[path = "suite/faults/mod.rs"]
mod faults;
#[path = "suite/foreign.rs"]
mod foreign;
#[path = "suite/forwarding.rs"]
mod forwarding;
#[path = "suite/found.rs"]
mod found;
#[path = "suite/interruptions.rs"]
mod interruptions;
#[path = "suite/lists.rs"]
mod lists;
#[path = "suite/networks/mod.rs"]
mod networks;
#[path = "suite/oracle/mod.rs"]
mod oracle;
#[path = "suite/outages.rs"]
mod outages;
#[path = "suite/packets/mod.rs"]
mod packets;
#[path = "suite/progress.rs"]
mod progress;
#[path = "suite/properties/mod.rs"]
mod properties;
#[path = "suite/reads.rs"]
mod reads;
#[path = "suite/reference.rs"]
mod reference;
#[path = "suite/refusals.rs"]
mod refusals;
#[path = "suite/rig.rs"]
mod rig;
#[path = "suite/scenarios/mod.rs"]
mod scenarios;
#[path = "suite/service_changes.rs"]
mod service_changes;
#[path = "suite/switch.rs"]
mod switch;
#[path = "suite/truth.rs"]
mod truth;
#[path = "suite/unreadable.rs"]
mod unreadable;
#[path = "suite/updates.rs"]
mod updates;
#[path = "suite/v1_contents.rs"]
mod v1_contents;
#[path = "suite/writers.rs"]
mod writers;
