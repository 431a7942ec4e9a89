//! What the core of hnsproxy breaks, under each assumption.

use vswitch::Assumptions;
use vswitch::assumptions::ServiceDown;
use vswitch_lab::run;

use crate::rows::{self, Load, Row};

const LOAD: Load = Load { held: 40, new_per_second: 30 };

#[test]
fn restarts_failed_lists_and_edits_of_other_ports_break_no_connection() {
    const HARMLESS: [&str; 5] =
        ["proxy restart", "HNS restart", "one failed list of networks", "port added", "external IP added"];
    let rows: Vec<Row> = rows::all(LOAD).into_iter().filter(|row| HARMLESS.contains(&row.name)).collect();
    assert_eq!(rows.len(), HARMLESS.len());
    for Row { name, setup } in rows {
        for assumptions in Assumptions::variations() {
            // Then HNS itself has no rules for a second.
            if name == "HNS restart" && assumptions.service_down == ServiceDown::RulesLost {
                continue;
            }
            let tally = run(&setup, assumptions, 1).unwrap();
            let broken = (tally.new.slow, tally.new.failed, tally.held.broken, tally.held.ended);
            assert_eq!(broken, (0, 0, 0, 0), "{name}, {assumptions}: {tally:?}");
            assert_eq!((tally.held.kept, tally.held.unopened), (40, 0), "{name}, {assumptions}: {tally:?}");
        }
    }
}
