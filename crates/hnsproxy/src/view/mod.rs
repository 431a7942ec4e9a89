//! The output of commands: the state of HNS, plans, explanations and the pages of a running process, as text and as JSON.

mod columns;
mod explain;
mod history;
mod packet;
mod plan;
mod services;
mod snapshot;
mod status;
mod table;
mod top;
mod version;

pub use columns::{Layout, columns};
pub use explain::explanation;
pub use history::{HistoryView, history, history_lines};
pub use packet::packet;
pub use plan::{PlanView, plan};
pub use services::{ServicesView, services};
pub use snapshot::{EndpointState, LoadBalancerState, Snapshot, read};
pub use status::{StatusView, status};
pub use table::table;
pub use top::{TopView, top};
pub use version::{Version, version};

/// A duration with its unit.
fn seconds(seconds: f64) -> String {
    let millis = seconds * 1000.0;
    match millis {
        ..1.0 => format!("{millis:.1} ms"),
        1.0..1000.0 => format!("{millis:.0} ms"),
        _ => format!("{seconds:.1} s"),
    }
}

/// A number with its noun, in the singular or plural.
fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_two_digits_or_more() {
        let texts = [0.0002, 0.011, 0.9, 1.26, 70.0].map(seconds);
        assert_eq!(texts, ["0.2 ms", "11 ms", "900 ms", "1.3 s", "70.0 s"]);
    }
}
