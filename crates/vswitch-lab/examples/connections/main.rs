//! Prints how many connections each event breaks, with the core of hnsproxy: the range over all alternatives of one assumption at a time.
//!
//! `cargo run --release -p vswitch-lab --example connections`
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "the table is the result of this program, and its inputs are valid"
)]

mod node;
mod rows;

use vswitch::Assumptions;
use vswitch_lab::{LabError, Span, Tally, run};

use rows::{Load, Row};

const LOAD: Load = Load { held: 200, new_per_second: 200 };
const SEEDS: u64 = 3;

fn main() -> Result<(), LabError> {
    println!("{:40} {:>38}   {:>28}", "", "new connections", "held connections, broken");
    println!("{:40} {:>14} {:>11} {:>11}   {:>14} {:>13}", "", "ok", "slow", "failed", "still ready", "backend gone");
    for Row { name, setup } in rows::all(LOAD) {
        let mut tallies: Vec<Tally> = Vec::new();
        for assumptions in Assumptions::variations() {
            for seed in 0..SEEDS {
                tallies.push(run(&setup, assumptions, seed)?);
            }
        }
        let Some(span) = Span::of(&tallies) else { continue };
        println!(
            "{name:40} {:>14} {:>11} {:>11}   {:>14} {:>13}",
            span.ok, span.slow, span.failed, span.broken, span.ended
        );
    }
    Ok(())
}
