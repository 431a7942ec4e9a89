//! What hnsproxy had in HNS when it was last in sync, in a small file beside the instance lock. If a start finds its endpoints but
//! none of its load balancers, another program, such as a start script of kube-proxy, has removed them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use jiff::Timestamp;
use proxy::IdentifiedObjects;
use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::file_work::{FileWork, MAX_WAIT};
use crate::saved_file;

/// The file is not for what happens within minutes: audits find that.
const INTERVAL: Duration = Duration::from_secs(60);
/// A file larger than this is not that of hnsproxy.
const MAX_SIZE: u64 = 4096;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LastState {
    load_balancers: usize,
    endpoints: usize,
    /// When these numbers were seen first.
    confirmed: Timestamp,
}

/// The load balancers that were removed while hnsproxy did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedBeforeStart {
    load_balancers: usize,
    confirmed: Timestamp,
}

impl RemovedBeforeStart {
    /// The reason of the Event.
    pub const REASON: &'static str = "LoadBalancersRemoved";
}

impl fmt::Display for RemovedBeforeStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { load_balancers, confirmed } = self;
        let plural = if *load_balancers == 1 { "" } else { "s" };
        write!(
            f,
            "another program removed {load_balancers} load balancer{plural} of hnsproxy before its start (their number was the same since \
             {confirmed:.0}), and HNS did not restart; Services were interrupted; remove `Get-HnsPolicyList | Remove-HnsPolicyList` from the start script"
        )
    }
}

/// HNS loses endpoints and load balancers when it restarts, and `--cleanup` removes both.
fn removed(last: &LastState, found: IdentifiedObjects) -> Option<RemovedBeforeStart> {
    let LastState { load_balancers, endpoints, confirmed } = *last;
    let lost = load_balancers > 0 && found.load_balancers == 0;
    let kept = endpoints > 0 && found.endpoints > 0;
    (lost && kept).then_some(RemovedBeforeStart { load_balancers, confirmed })
}

/// The file, for one HNS.
#[derive(Debug, Clone, Default)]
pub struct StateFile {
    /// None for an HNS that ends with this process.
    path: Option<PathBuf>,
    is_compared: bool,
    written: Option<IdentifiedObjects>,
    writing: FileWork<(IdentifiedObjects, io::Result<()>)>,
    /// When the objects were last counted.
    counted: Option<Duration>,
}

impl StateFile {
    pub fn new(path: Option<PathBuf>) -> Self {
        Self { path, ..Self::default() }
    }

    /// Compares the file with what the first audit has found. `found` returns None if the objects show that no script has removed them. Later
    /// calls return None.
    pub fn compare(&mut self, found: impl FnOnce() -> Option<IdentifiedObjects>) -> Option<RemovedBeforeStart> {
        if std::mem::replace(&mut self.is_compared, true) {
            return None;
        }
        let (path, reading) = (self.path.clone()?, FileWork::default());
        reading.begin(move || read(&path));
        removed(&reading.take(MAX_WAIT)??, found()?)
    }

    /// Records what HNS has, at most once a minute, and only if the numbers have changed. `in_sync` returns None unless HNS is in sync. If
    /// the file cannot be written, only the comparison at the next start is missing.
    pub fn record(&mut self, now: Duration, in_sync: impl FnOnce() -> Option<IdentifiedObjects>) {
        let Some(path) = self.path.clone() else { return };
        self.take_written(Duration::ZERO);
        if self.writing.is_pending() {
            return;
        }
        if self.counted.is_some_and(|counted| now.saturating_sub(counted) < INTERVAL) {
            return;
        }
        let Some(found) = in_sync() else { return };
        self.counted = Some(now);
        if self.written == Some(found) {
            return;
        }
        let IdentifiedObjects { load_balancers, endpoints } = found;
        let state = LastState { load_balancers, endpoints, confirmed: Timestamp::now() };
        self.writing.begin(move || (found, write(&path, &state)));
        self.take_written(MAX_WAIT);
    }

    fn take_written(&mut self, limit: Duration) {
        match self.writing.take(limit) {
            Some((found, Ok(()))) => self.written = Some(found),
            Some((_, Err(error))) => debug!(%error, "cannot write the last state"),
            None => {}
        }
    }
}

fn read(path: &Path) -> Option<LastState> {
    let file = saved_file::open_regular(path).ok()?;
    if file.metadata().ok()?.len() > MAX_SIZE {
        return None;
    }
    serde_json::from_reader(file).ok()
}

fn write(path: &Path, state: &LastState) -> io::Result<()> {
    if let Ok(metadata) = fs::metadata(path) {
        saved_file::check_regular(&metadata)?;
    }
    saved_file::save(path, &serde_json::to_vec(state)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNED: IdentifiedObjects = IdentifiedObjects { load_balancers: 3, endpoints: 2 };
    const WIPED: IdentifiedObjects = IdentifiedObjects { load_balancers: 0, endpoints: 2 };
    const NOTHING: IdentifiedObjects = IdentifiedObjects { load_balancers: 0, endpoints: 0 };

    #[test]
    fn load_balancers_that_are_gone_without_the_endpoints_were_removed() {
        let last = |IdentifiedObjects { load_balancers, endpoints }| {
            let confirmed = Timestamp::UNIX_EPOCH;
            LastState { load_balancers, endpoints, confirmed }
        };
        let removed_all = Some(RemovedBeforeStart { load_balancers: 3, confirmed: Timestamp::UNIX_EPOCH });
        assert_eq!(removed(&last(OWNED), WIPED), removed_all);
        // A restart of HNS, or --cleanup.
        assert_eq!(removed(&last(OWNED), NOTHING), None);
        assert_eq!(removed(&last(OWNED), OWNED), None);
        assert_eq!(removed(&last(OWNED), IdentifiedObjects { load_balancers: 1, endpoints: 2 }), None);
        // There were none.
        assert_eq!(removed(&last(WIPED), WIPED), None);
        // Without remote endpoints, a restart of HNS looks the same.
        assert_eq!(removed(&last(IdentifiedObjects { load_balancers: 3, endpoints: 0 }), NOTHING), None);
    }

    #[test]
    fn the_message_names_the_remedy() {
        let removed = RemovedBeforeStart { load_balancers: 1, confirmed: Timestamp::UNIX_EPOCH };
        assert_eq!(
            removed.to_string(),
            "another program removed 1 load balancer of hnsproxy before its start (their number was the same since \
             1970-01-01T00:00:00Z), and HNS did not restart; Services were interrupted; remove `Get-HnsPolicyList | Remove-HnsPolicyList` from the start script"
        );
    }

    #[test]
    fn a_state_is_written_when_it_changes_and_compared_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hns.state.json");
        let start = || StateFile::new(Some(path.clone()));
        let mut first = start();
        assert_eq!(first.compare(|| unreachable!()), None);
        first.record(Duration::ZERO, || None);
        first.record(Duration::ZERO, || Some(OWNED));
        assert!(start().compare(|| Some(WIPED)).is_some());
        assert_eq!(start().compare(|| None), None);
        // Within the interval, nothing is counted.
        first.record(INTERVAL - Duration::from_secs(1), || unreachable!());
        first.record(INTERVAL, || Some(NOTHING));
        let mut second = start();
        assert_eq!(second.compare(|| Some(WIPED)), None);
        assert_eq!(second.compare(|| unreachable!()), None);
        std::fs::write(&path, "damaged").unwrap();
        assert_eq!(start().compare(|| unreachable!()), None);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_left() {
        let mut file = StateFile::new(Some(std::path::Path::new("missing").join("state.json")));
        file.record(Duration::ZERO, || Some(OWNED));
        assert_eq!(file.written, None);
        StateFile::default().record(Duration::ZERO, || unreachable!());
    }
}
