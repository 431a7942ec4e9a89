//! Emits a cluster from files as changes: completely at the start, and then the objects that have changed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use crate::catalog::Catalog;
use crate::change::Change;
use crate::error_chain;
use crate::file_watch::{self, FileWatch, Wake};
use crate::files::{CUT_CONFIRMATION, FileError, Files, now};
use crate::kubernetes::Problem;

/// After this time, files that cannot be read are read again, since the end of a sharing violation or of a network error changes no file.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Reads files again whenever they change, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct FileSource {
    _watch: FileWatch,
    reads: Arc<AtomicU64>,
}

impl FileSource {
    /// Reads the cluster for the proxy of a node and calls `emit` with all of it. After each change of the files, another thread calls `emit` with
    /// what has changed.
    ///
    /// # Errors
    /// If no file can be read now. A file that cannot be read is an outage; its last content stays valid.
    pub fn start(root: &Path, node_name: &str, emit: impl Fn(Vec<Change>) + Send + 'static) -> Result<Self, FileError> {
        // A file that changes between the two is read again.
        let (watch, mut changes) = file_watch::watch(root);
        let mut reader = Reader::open(root, node_name)?;
        emit(reader.initial());
        let reads = Arc::<AtomicU64>::default();
        let counted = reads.clone();
        std::thread::spawn(move || {
            while changes.wait(reader.next_refresh()) != Wake::Ended {
                counted.fetch_add(1, Ordering::Relaxed);
                let changes = reader.refresh(now());
                if !changes.is_empty() {
                    emit(changes);
                }
            }
        });
        Ok(Self { _watch: watch, reads })
    }

    /// How often the files were read again.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

/// The files, and what was emitted of them.
#[derive(Debug)]
struct Reader {
    files: Files,
    node_name: String,
    /// The cluster as it was last read.
    catalog: Catalog,
    /// Why files cannot be read, as last logged.
    unreadable: Vec<String>,
    outage: Option<String>,
    problems: Vec<Problem>,
    missing_node: Option<String>,
}

impl Reader {
    fn open(root: &Path, node_name: &str) -> Result<Self, FileError> {
        let (files, errors) = Files::open(root)?;
        let node_name = node_name.to_owned();
        let mut reader = Self {
            files,
            node_name,
            catalog: Catalog::default(),
            unreadable: Vec::new(),
            outage: None,
            problems: Vec::new(),
            missing_node: None,
        };
        reader.log_errors(&errors, "leaving it out");
        Ok(reader)
    }

    /// The whole cluster.
    fn initial(&mut self) -> Vec<Change> {
        self.catalog = self.files.catalog();
        let objects = self.catalog.changes(&self.node_name);
        self.changes(objects)
    }

    /// When the files have to be read again, even if they do not change.
    fn next_refresh(&self) -> Option<Duration> {
        let retry = (!self.unreadable.is_empty()).then_some(RETRY_AFTER);
        self.files.has_unconfirmed().then_some(CUT_CONFIRMATION).or(retry)
    }

    /// Reads the files again, and returns what has changed.
    fn refresh(&mut self, now: Instant) -> Vec<Change> {
        let errors = self.files.refresh(now);
        self.log_errors(&errors, "keeping its last content");
        let before = std::mem::replace(&mut self.catalog, self.files.catalog());
        let objects = self.catalog.changes_since(&before, &self.node_name);
        self.changes(objects)
    }

    /// The changes of objects, and the outage and the problems if they have changed.
    fn changes(&mut self, objects: Vec<Change>) -> Vec<Change> {
        self.log_missing_node();
        let (parsed, total) = (self.files.parsed(), objects.len());
        if !objects.is_empty() {
            info!("{}", self.catalog.describe());
        }
        debug!(documents = parsed.documents, bytes = parsed.bytes, changes = total, "read cluster files");
        let mut changes = Vec::new();
        let outage = (!self.unreadable.is_empty()).then(|| self.unreadable.join("; "));
        if outage != self.outage {
            self.outage.clone_from(&outage);
            changes.push(Change::Outage(outage));
        }
        changes.extend(objects);
        if self.catalog.problems != self.problems {
            self.problems.clone_from(&self.catalog.problems);
            changes.push(Change::ResetProblems(self.problems.clone()));
        }
        changes
    }

    /// Logs that the Node of this proxy is missing, and that this is resolved.
    fn log_missing_node(&mut self) {
        let missing = self.catalog.missing_node(&self.node_name);
        if missing != self.missing_node {
            match &missing {
                Some(missing) => warn!("{missing}"),
                None => info!("Node {} not found: resolved", self.node_name),
            }
            self.missing_node = missing;
        }
    }

    /// Logs each file that begins to be unreadable, and when all can be read again.
    fn log_errors(&mut self, errors: &[FileError], consequence: &str) {
        let texts: Vec<String> = errors.iter().map(|error| error_chain(error)).collect();
        texts.iter().filter(|text| !self.unreadable.contains(text)).for_each(|text| warn!("{text}; {consequence}"));
        if texts.is_empty() && !self.unreadable.is_empty() {
            info!("cannot read cluster files: resolved");
        }
        self.unreadable = texts;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::Catalog;

    const BOUND: Duration = Duration::from_secs(30);

    fn service(name: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{namespace: ns, name: {name}}}\nspec: {{clusterIP: 10.0.0.1}}\n"
        )
    }

    /// A reader, and the cluster of its consumer.
    struct Read {
        reader: Reader,
        cluster: Catalog,
    }

    impl Read {
        /// A reader, and its first changes, which are already taken.
        fn open(root: &Path) -> (Self, Vec<Change>) {
            let mut read = Self { reader: Reader::open(root, "n").unwrap(), cluster: Catalog::default() };
            let changes = read.reader.initial();
            read.take(&changes);
            (read, changes)
        }

        fn refresh(&mut self, now: Instant) -> Vec<Change> {
            let changes = self.reader.refresh(now);
            self.take(&changes);
            changes
        }

        fn take(&mut self, changes: &[Change]) {
            changes.iter().cloned().for_each(|change| self.cluster.apply(change));
        }

        fn services(&self) -> Vec<String> {
            self.cluster.services.keys().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn a_refresh_returns_what_has_changed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        let odd = format!("{}---\n{}---\nkind: Odd\n", service("web"), service("api"));
        fs::write(&file, &odd).unwrap();
        let (mut read, changes) = Read::open(&file);
        assert!(matches!(changes.last(), Some(Change::ResetProblems(problems)) if problems.len() == 1), "{changes:?}");
        assert_eq!(read.services(), ["ns/api", "ns/web"]);
        assert_eq!(read.refresh(now()), [], "the file is unchanged");
        fs::write(&file, service("web")).unwrap();
        let at = now();
        assert_eq!(read.refresh(at), [], "the file may be cut");
        assert_eq!(read.reader.next_refresh(), Some(CUT_CONFIRMATION));
        let deleted = Change::DeleteService(proxy::model::ServiceName::new("ns", "api"));
        assert_eq!(read.refresh(at + CUT_CONFIRMATION), [deleted, Change::ResetProblems(vec![])]);
        assert_eq!(read.reader.next_refresh(), None);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_outage_that_keeps_its_content() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, service("web")).unwrap();
        let (mut read, _) = Read::open(&file);
        fs::write(&file, "kind: [").unwrap();
        let changes = read.refresh(now());
        assert!(matches!(changes.as_slice(), [Change::Outage(Some(why))] if why.contains("a.yaml")), "{changes:?}");
        assert_eq!(read.services(), ["ns/web"]);
        assert_eq!(read.refresh(now()), [], "an outage is emitted once");
        assert_eq!(read.reader.next_refresh(), Some(RETRY_AFTER));
        fs::write(&file, service("web")).unwrap();
        assert_eq!(read.refresh(now()), [Change::Outage(None)]);
        assert_eq!(read.reader.next_refresh(), None);
    }

    #[test]
    fn a_node_that_the_files_do_not_have_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        let node = "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nspec: {}\n";
        fs::write(&file, node).unwrap();
        let (mut read, changes) = Read::open(&file);
        assert!(matches!(changes.first(), Some(Change::Node(Some(_)))), "{changes:?}");
        fs::write(&file, service("web")).unwrap();
        assert_eq!(read.refresh(now()).first(), Some(&Change::Node(None)));
    }

    #[test]
    fn a_source_emits_the_cluster_and_then_its_changes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, service("web")).unwrap();
        let (sender, emitted) = channel();
        let source = FileSource::start(&file, "n", move |changes| drop(sender.send(changes))).unwrap();
        let mut cluster = Catalog::default();
        for name in ["web", "api", "one"] {
            fs::write(&file, service(name)).unwrap();
            // The file may be read while it is empty.
            while cluster.services.keys().map(ToString::to_string).collect::<Vec<_>>() != [format!("ns/{name}")] {
                let changes = emitted.recv_timeout(BOUND).unwrap();
                changes.into_iter().for_each(|change| cluster.apply(change));
            }
        }
        drop(source);
        assert!(emitted.iter().count() < 3, "the thread ends with its source");
    }
}
