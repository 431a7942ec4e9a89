//! The figures of one second, and the file of all of them.

use std::fmt::Write;

/// What is measured once a second.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sample {
    /// Seconds since HNS was first in sync.
    pub(super) second: f64,
    pub(super) rss_mb: f64,
    pub(super) descriptors: usize,
    pub(super) services: usize,
    /// Native calls, and writes among them, in this second.
    pub(super) calls: u64,
    pub(super) writes: u64,
    /// The longest time from a change to HNS, of the changes that were programmed in this second; `None` if there is none.
    pub(super) latency_ms: Option<f64>,
    /// Entries of HNS that differ, and for how many seconds the oldest has differed.
    pub(super) differences: usize,
    pub(super) staleness: f64,
    /// The code of `/readyz`; `None` without an answer.
    pub(super) readyz: Option<u16>,
    pub(super) hns_fault: &'static str,
    pub(super) api_fault: &'static str,
}

const HEADER: &str =
    "second,rss_mb,descriptors,services,calls,writes,latency_ms,differences,staleness_s,readyz,hns_fault,api_fault";

/// The samples as CSV. A cell without a value is empty.
pub(super) fn csv(samples: &[Sample]) -> String {
    let mut text = format!("{HEADER}\n");
    for sample in samples {
        let Sample { second, rss_mb, descriptors, services, calls, writes, differences, staleness, .. } = sample;
        let latency = sample.latency_ms.map(|latency| format!("{latency:.0}")).unwrap_or_default();
        let readyz = sample.readyz.map(|code| code.to_string()).unwrap_or_default();
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "{second:.1},{rss_mb:.1},{descriptors},{services},{calls},{writes},{latency},{differences},{staleness:.1},{readyz},{:?},{:?}",
            sample.hns_fault, sample.api_fault
        );
    }
    text
}

/// One line of progress.
pub(super) fn line(sample: &Sample) -> String {
    let readyz = sample.readyz.map_or_else(|| "no answer".to_owned(), |code| code.to_string());
    let faults: Vec<&str> =
        [sample.hns_fault, sample.api_fault].into_iter().filter(|fault| !fault.is_empty()).collect();
    format!(
        "{:6.0} s  RSS {:5.1} MB  {:3} descriptors  {:4} Services  {:5} writes/s  {:4} differences, oldest {:5.1} s  readyz {readyz}  {}",
        sample.second,
        sample.rss_mb,
        sample.descriptors,
        sample.services,
        sample.writes,
        sample.differences,
        sample.staleness,
        faults.join(" + ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_cell_for_each_name_of_the_header() {
        let samples = [
            Sample::default(),
            Sample { latency_ms: Some(12.3), readyz: Some(200), api_fault: "garbage, twice", ..Sample::default() },
        ];
        let expected =
            [HEADER, "0.0,0.0,0,0,0,0,,0,0.0,,\"\",\"\"", "0.0,0.0,0,0,0,0,12,0,0.0,200,\"\",\"garbage, twice\""];
        assert_eq!(csv(&samples).lines().collect::<Vec<_>>(), expected);
    }
}
