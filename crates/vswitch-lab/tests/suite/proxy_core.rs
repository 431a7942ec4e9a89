//! What the core of hnsproxy breaks, under each assumption.

use vswitch::Assumptions;
use vswitch::assumptions::ServiceDown;
use vswitch_lab::run;
use vswitch_lab::timeline::{self, Load, Timeline};

use crate::node;

const LOAD: Load = Load { held: 40, new_per_second: 30 };

#[test]
fn restarts_failed_lists_and_edits_of_other_frontends_break_no_connection() {
    const HARMLESS: [&str; 6] = [
        "proxy restart",
        "HNS restart",
        "one failed list of networks",
        "port added",
        "external IP added",
        "external IP moved",
    ];
    let timelines: Vec<Timeline> =
        timeline::all().into_iter().filter(|timeline| HARMLESS.contains(&timeline.name)).collect();
    assert_eq!(timelines.len(), HARMLESS.len());
    for timeline in timelines {
        let (name, setup) = (timeline.name, timeline.setup(node::play(&timeline), LOAD));
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
