//! Hosts with real TCP and UDP stacks (smoltcp) around a model of the virtual switch ([`vswitch`]), on a virtual clock.
//! With the feature `tun`, the hosts are network namespaces of Linux instead, for real programs (module `tun`).
//!
//! A [`Setup`] is a history of HNS (a change feed or a recording of one), the hosts of a cluster, and traffic. [`run`] plays it once and counts what
//! became of the connections; [`Span`] is the range of several runs, over assumptions and seeds. The same setup, assumptions and seed give
//! the same [`Tally`].
#![forbid(unsafe_code)]

mod client;
mod connection;
mod history;
mod hosts;
mod lab;
mod network;
mod packet;
mod schedule;
mod setup;
mod stack;
mod tally;
pub mod timeline;
#[cfg(all(feature = "tun", target_os = "linux"))]
pub mod tun;

pub use lab::{LabError, run};
pub use setup::{Frontend, Host, Place, Setup, Traffic, Transport};
pub use tally::{Held, New, Packets, Range, Span, Tally};
