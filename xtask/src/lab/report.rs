//! Counts requests, and prints them: one row for each second and address, and at the end one for each address.

use std::collections::BTreeMap;
use std::time::Duration;

use super::requests::{Answer, Outcome, Target};

/// The requests of an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counts {
    ok: u64,
    failed: u64,
    slowest: Duration,
    /// The number of answers of each pod.
    pods: BTreeMap<String, u64>,
}

impl Counts {
    fn add(&mut self, result: &Result<Answer, String>) {
        match result {
            Ok(Answer { pod, time }) => {
                self.ok += 1;
                self.slowest = self.slowest.max(*time);
                *self.pods.entry(pod.clone()).or_default() += 1;
            }
            Err(_) => self.failed += 1,
        }
    }
}

/// The requests of all addresses: of the present second, and of the whole run.
pub(super) struct Report {
    targets: Vec<Target>,
    second: Vec<Counts>,
    total: Vec<Counts>,
}

impl Report {
    pub(super) fn new(targets: &[Target]) -> Self {
        let none = || vec![Counts::default(); targets.len()];
        Self { targets: targets.to_vec(), second: none(), total: none() }
    }

    pub(super) fn add(&mut self, Outcome { target, result }: &Outcome) {
        for counts in [&mut self.second, &mut self.total] {
            if let Some(counts) = counts.get_mut(*target) {
                counts.add(result);
            }
        }
    }

    pub(super) fn target(&self, outcome: &Outcome) -> Option<&Target> {
        self.targets.get(outcome.target)
    }

    /// The rows of a second, which is over then.
    pub(super) fn take_second(&mut self, second: u32) -> String {
        let counts = std::mem::replace(&mut self.second, vec![Counts::default(); self.targets.len()]);
        self.rows(&second.to_string(), &counts)
    }

    pub(super) fn totals(&self) -> String {
        self.rows("all", &self.total)
    }

    /// The requests that were answered, and those that failed.
    pub(super) fn sums(&self) -> [u64; 2] {
        let sum = |of: fn(&Counts) -> u64| self.total.iter().map(of).sum();
        [sum(|counts| counts.ok), sum(|counts| counts.failed)]
    }

    /// The targets without an answer.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = &Target> {
        let all = self.targets.iter().zip(&self.total);
        all.filter(|(_, counts)| counts.ok == 0).map(|(target, _)| target)
    }

    /// Whether a pod has answered a request.
    pub(super) fn has_answered(&self, pod: &str) -> bool {
        self.total.iter().any(|counts| counts.pods.contains_key(pod))
    }

    fn rows(&self, first: &str, all: &[Counts]) -> String {
        let mut rows = Vec::new();
        for (Target { client, kind, url }, Counts { ok, failed, slowest, pods }) in self.targets.iter().zip(all) {
            let pods: Vec<String> = pods.iter().map(|(pod, answers)| format!("{pod} {answers}")).collect();
            let (slowest, pods) = (slowest.as_millis(), pods.join(", "));
            let row = format!("{first:>6}  {client:8} {kind:12} {url:27} {ok:>5} {failed:>7} {slowest:>8} ms  {pods}");
            rows.push(row.trim_end().to_owned());
        }
        rows.join("\n")
    }
}

/// The first row.
pub(super) fn header() -> String {
    let [second, client, address, ok, failed, slowest] = ["second", "client", "address", "ok", "failed", "slowest"];
    format!("{second:>6}  {client:8} {address:40} {ok:>5} {failed:>7} {slowest:>11}  answered by")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_a_row_for_each_address() {
        let target = |kind, url: &str| Target { client: "pod", kind, url: url.to_owned() };
        let mut report = Report::new(&[target("cluster IP", "http://10.96.0.80/"), target("node port", "http://b/")]);
        let answer = |pod: &str, millis| Ok(Answer { pod: pod.to_owned(), time: Duration::from_millis(millis) });
        report.add(&Outcome { target: 0, result: answer("web-1", 3) });
        report.add(&Outcome { target: 0, result: answer("web-2", 20) });
        report.add(&Outcome { target: 0, result: Err("timeout".to_owned()) });
        assert_eq!(
            report.take_second(7),
            "     7  pod      cluster IP   http://10.96.0.80/              2       1       20 ms  web-1 1, web-2 1
     7  pod      node port    http://b/                       0       0        0 ms"
        );
        assert_eq!(report.take_second(8).lines().filter(|row| row.contains(" 0       0        0 ms")).count(), 2);
        assert!(report.totals().contains("2       1       20 ms  web-1 1, web-2 1"), "{}", report.totals());
        assert_eq!([report.has_answered("web-2"), report.has_answered("web-3")], [true, false]);
    }
}
