//! A model of the virtual switch of a Windows node (VFP). It forwards packets by the objects that HNS has.
//!
//! It is a model, not VFP: `docs/packets.md` says what of it is documented, seen on nodes, or assumed. What is assumed is data,
//! [`Assumptions`].
//!
//! ```text
//! HNS ── Change ──→ Switch::apply ──→ rules, ports
//!                                        │
//! packet ──→ Switch::process(port, packet, now) ──→ flow table ──→ Verdict, Trace
//!                                        └── miss, or policy changed ──→ layers ──┘
//! ```
//!
//! The crate has no clock, no I/O and no random numbers: the same changes and packets give the same verdicts. Packets are IP packets
//! without a link layer.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod assumptions;
mod change;
mod flows;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hash;
mod instant;
mod layers;
mod node;
mod objects;
mod packet;
mod policy;
mod port;
mod rules;
mod switch;
#[cfg(feature = "testing")]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a bad packet should stop the test"
)]
pub mod testing;
pub mod trace;
mod verdict;

pub use assumptions::{Assumptions, Evidence};
pub use change::{Change, InvalidChange};
pub use instant::Instant;
pub use node::Node;
pub use packet::Tuple;
pub use port::PortId;
pub use rules::Backend;
pub use switch::{Explanation, SOURCE_PORTS, Switch};
pub use trace::Trace;
pub use verdict::{Delivery, DropReason, Encapsulation, Verdict};
