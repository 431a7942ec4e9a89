//! Histories of one node, and what becomes of the connections.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod lab;
#[path = "../../examples/connections/node.rs"]
mod node;
mod proxy_core;
#[path = "../../examples/connections/recorded.rs"]
mod recorded;
mod recorded_rows;
#[cfg(all(feature = "tun", target_os = "linux"))]
mod tun;
