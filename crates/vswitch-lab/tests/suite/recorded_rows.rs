//! The recordings of kube-proxy: each one is played, and its row is what it was.

use std::collections::BTreeSet;
use std::fs;

use hcn_emulator::feed::What;
use vswitch::Assumptions;
use vswitch_lab::timeline::{self, Load, Timeline};
use vswitch_lab::{Held, New, run};

use crate::recorded;

const LOAD: Load = Load { held: 40, new_per_second: 30 };

/// New connections that are ok, slow and failed, and held connections that are kept, broken and ended: with the default of each assumption.
const ROWS: [(&str, [u64; 3], [u64; 3]); 15] = [
    ("proxy restart", [573, 2, 0], [40, 0, 0]),
    ("HNS restart", [278, 0, 0], [40, 0, 0]),
    ("HNS restart, load balancers lost", [115, 0, 1223], [0, 40, 0]),
    ("all load balancers lost", [91, 0, 1216], [0, 40, 0]),
    ("one failed list of networks", [399, 316, 600], [0, 40, 0]),
    ("port added", [231, 2, 0], [40, 0, 0]),
    ("session affinity changed", [239, 2, 0], [7, 33, 0]),
    ("external IP added", [231, 2, 0], [40, 0, 0]),
    ("external IP moved", [231, 2, 0], [40, 0, 0]),
    ("rolling update of 100 pods", [442, 0, 0], [2, 0, 38]),
    ("rolling update of 100 pods, no modify", [421, 3, 0], [2, 29, 9]),
    ("backend unready", [239, 0, 0], [33, 0, 7]),
    ("backend unready, no modify", [235, 1, 0], [10, 23, 7]),
    ("node drained", [315, 0, 0], [18, 0, 22]),
    ("node drained, no modify", [318, 1, 0], [18, 0, 22]),
];

fn row(timeline: &Timeline) -> (&'static str, [u64; 3], [u64; 3]) {
    let setup = timeline.setup(recorded::changes(timeline).unwrap(), LOAD);
    let tally = run(&setup, Assumptions::default(), 1).unwrap();
    let (New { ok, slow, failed }, Held { kept, broken, ended, unopened }) = (tally.new, tally.held);
    assert_eq!(unopened, 0, "{}", timeline.name);
    (timeline.name, [ok, slow, failed], [kept, broken, ended])
}

#[test]
fn each_recording_of_kube_proxy_has_its_stored_row() {
    let rows: Vec<_> = timeline::all().iter().map(row).collect();
    assert_eq!(rows, ROWS);
}

#[test]
fn each_timeline_has_a_recording_within_its_time_and_no_recording_is_left_over() {
    let timelines = timeline::all();
    for timeline in &timelines {
        let changes = recorded::changes(timeline).unwrap();
        let begin = changes.first().unwrap().at;
        let initial: Vec<_> = changes.iter().take_while(|change| change.what != What::InitialStateEnd).collect();
        let all_at_once = initial.iter().all(|change| change.at == begin);
        let last = changes.last().unwrap().at - begin;
        assert!(initial.len() < changes.len() && all_at_once && last <= timeline.end, "{}", timeline.name);
    }
    let names: BTreeSet<String> = timelines.iter().map(Timeline::file_name).collect();
    let files =
        fs::read_dir(recorded::folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.collect::<BTreeSet<_>>(), names);
}

#[test]
fn the_page_has_a_row_of_each_timeline() {
    let page = include_str!("../../../../docs/packets.md");
    let (_, table) = page.split_once("<!-- connections: begin -->").unwrap();
    let (table, _) = table.split_once("<!-- connections: end -->").unwrap();
    let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let names: Vec<&str> = cells.filter(|name| !matches!(*name, "Event" | "")).collect();
    assert_eq!(names, timeline::all().iter().map(|timeline| timeline.name).collect::<Vec<_>>());
}
