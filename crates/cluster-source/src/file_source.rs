//! Emits a cluster from files as changes: completely at the start, and then the objects that have changed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use crate::batch::{Batch, PendingBatch, Reload};
use crate::catalog::Catalog;
use crate::change::Change;
use crate::error_chain;
use crate::file_watch::{self, FileWatch, Wake};
use crate::files::{CUT_CONFIRMATION, FileError, Files, now};

/// Reads files again whenever they change, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct FileSource {
    _watch: FileWatch,
    reads: Arc<AtomicU64>,
}

impl FileSource {
    /// Reads the cluster, and returns it as changes for the proxy of a node. After each change of the files, another thread calls `emit`,
    /// unless a batch is still pending: that batch gets the new changes instead.
    ///
    /// # Errors
    /// If no file can be read now. A file that cannot be read is an outage; its last content stays valid.
    pub fn start(
        root: &Path,
        node_name: &str,
        emit: impl Fn(Batch) + Send + 'static,
    ) -> Result<(Self, Vec<Change>), FileError> {
        // A file that changes between the two is read again.
        let (watch, mut changes) = file_watch::watch(root);
        let mut reader = Reader::open(root, node_name)?;
        let pending = PendingBatch::default();
        pending.put(reader.initial());
        let initial = pending.take();
        let reads = Arc::<AtomicU64>::default();
        let counted = reads.clone();
        std::thread::spawn(move || {
            while changes.wait(reader.next_refresh()) != Wake::Ended {
                counted.fetch_add(1, Ordering::Relaxed);
                if pending.put(reader.refresh(now())) {
                    emit(Batch::Pending(pending.clone()));
                }
            }
        });
        Ok((Self { _watch: watch, reads }, initial))
    }

    /// How often the files were read again.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

/// The files, and what was logged of their errors.
#[derive(Debug)]
struct Reader {
    files: Files,
    node_name: String,
    /// The cluster as it was last read.
    catalog: Catalog,
    unreadable: Vec<String>,
    missing_node: Option<String>,
}

impl Reader {
    fn open(root: &Path, node_name: &str) -> Result<Self, FileError> {
        let (files, errors) = Files::open(root)?;
        let node_name = node_name.to_owned();
        let mut reader =
            Self { files, node_name, catalog: Catalog::default(), unreadable: Vec::new(), missing_node: None };
        reader.log_errors(&errors, "leaving it out");
        Ok(reader)
    }

    /// The whole cluster.
    fn initial(&mut self) -> Reload {
        self.catalog = self.files.catalog();
        let changes = self.catalog.changes(&self.node_name);
        self.reload(changes)
    }

    /// When the files have to be read again, even if they do not change.
    fn next_refresh(&self) -> Option<Duration> {
        self.files.has_unconfirmed().then_some(CUT_CONFIRMATION)
    }

    /// Reads the files again.
    fn refresh(&mut self, now: Instant) -> Reload {
        let errors = self.files.refresh(now);
        self.log_errors(&errors, "keeping its last content");
        let before = std::mem::replace(&mut self.catalog, self.files.catalog());
        let changes = self.catalog.changes_since(&before, &self.node_name);
        self.reload(changes)
    }

    fn reload(&mut self, changes: Vec<Change>) -> Reload {
        self.log_missing_node();
        let (parsed, total) = (self.files.parsed(), changes.len());
        info!("{}", self.catalog.describe());
        debug!(documents = parsed.documents, bytes = parsed.bytes, changes = total, "read cluster files");
        Reload {
            changes,
            problems: self.catalog.problems.clone(),
            outage: (!self.unreadable.is_empty()).then(|| self.unreadable.join("; ")),
        }
    }

    /// Logs when the Node of this proxy begins to be missing, and when it is found.
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

    /// A reader, and what its consumer takes.
    struct Read {
        reader: Reader,
        pending: PendingBatch,
        /// The cluster of the consumer.
        cluster: Catalog,
    }

    impl Read {
        fn open(root: &Path) -> Self {
            let mut reader = Reader::open(root, "n").unwrap();
            let pending = PendingBatch::default();
            pending.put(reader.initial());
            Self { reader, pending, cluster: Catalog::default() }
        }

        /// Reads the files again, and takes the changes.
        fn refresh(&mut self) -> (Vec<String>, Vec<Change>) {
            self.pending.put(self.reader.refresh(now()));
            self.take()
        }

        /// The Services of the consumer after it has taken the changes, and the changes other than objects.
        fn take(&mut self) -> (Vec<String>, Vec<Change>) {
            let changes = self.pending.take();
            changes.iter().cloned().for_each(|change| self.cluster.apply(change));
            let rest = changes.into_iter().filter(|change| matches!(change, Change::Problems(_) | Change::Outage(_)));
            (self.cluster.services.keys().map(ToString::to_string).collect(), rest.collect())
        }
    }

    #[test]
    fn a_reload_emits_what_has_changed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        let odd = format!("{}---\n{}---\nkind: Odd\n", service("web"), service("api"));
        fs::write(&file, &odd).unwrap();
        let mut reader = Read::open(&file);
        let (services, rest) = reader.take();
        assert!(matches!(rest.as_slice(), [Change::Problems(problems)] if problems.len() == 1), "{rest:?}");
        assert_eq!(services, ["ns/api", "ns/web"]);
        assert!(!reader.pending.put(reader.reader.refresh(now())), "unchanged files cause no batch");
        fs::write(&file, service("web")).unwrap();
        let at = now();
        assert!(!reader.pending.put(reader.reader.refresh(at)), "the file may be cut");
        assert_eq!(reader.reader.next_refresh(), Some(CUT_CONFIRMATION));
        reader.pending.put(reader.reader.refresh(at + CUT_CONFIRMATION));
        assert_eq!(reader.reader.next_refresh(), None);
        assert!(matches!(reader.pending.pending().as_slice(), [Change::DeleteService(name)] if &*name.name == "api"));
        assert_eq!(reader.take(), (vec!["ns/web".to_owned()], vec![Change::Problems(vec![])]));
    }

    #[test]
    fn the_last_pending_change_of_an_object_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, service("web")).unwrap();
        let mut reader = Read::open(&file);
        reader.take();
        for names in [&["web", "api"][..], &["api", "one"], &["one", "two"], &["two", "web"]] {
            fs::write(&file, names.iter().map(|name| service(name)).collect::<Vec<_>>().join("---\n")).unwrap();
            reader.pending.put(reader.reader.refresh(now()));
        }
        assert_eq!(reader.pending.pending().len(), 4, "one for each Service");
        assert_eq!(reader.take().0, ["ns/two", "ns/web"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_outage_that_keeps_its_content() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, service("web")).unwrap();
        let mut reader = Read::open(&file);
        reader.take();
        fs::write(&file, "kind: [").unwrap();
        let (services, rest) = reader.refresh();
        assert_eq!(services, ["ns/web"]);
        assert!(matches!(rest.as_slice(), [Change::Outage(Some(why))] if why.contains("a.yaml")), "{rest:?}");
        assert_eq!(reader.refresh().1, vec![], "an outage is emitted once");
        fs::write(&file, service("web")).unwrap();
        assert_eq!(reader.refresh().1, vec![Change::Outage(None)]);
    }

    #[test]
    fn a_node_that_the_files_do_not_have_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        let node = "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nspec: {}\n";
        fs::write(&file, node).unwrap();
        let mut reader = Read::open(&file);
        assert!(matches!(reader.pending.take()[0], Change::Node(Some(_))));
        fs::write(&file, service("web")).unwrap();
        reader.pending.put(reader.reader.refresh(now()));
        assert_eq!(reader.pending.take()[0], Change::Node(None));
    }

    #[test]
    fn a_source_returns_the_first_cluster_and_emits_its_changes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, service("web")).unwrap();
        let (sender, emitted) = channel();
        let (source, initial) = FileSource::start(&file, "n", move |batch| drop(sender.send(batch))).unwrap();
        let mut cluster = Catalog::default();
        initial.into_iter().for_each(|change| cluster.apply(change));
        fs::write(&file, service("api")).unwrap();
        // The file may be read while it is empty.
        while cluster.services.keys().map(ToString::to_string).collect::<Vec<_>>() != ["ns/api"] {
            let batch = emitted.recv_timeout(BOUND).unwrap();
            batch.into_changes().into_iter().for_each(|change| cluster.apply(change));
        }
        drop(source);
        assert!(emitted.iter().count() < 3, "the thread ends with its source");
    }

    #[test]
    fn a_pending_batch_has_the_latest_changes_of_the_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, service("web")).unwrap();
        let (sender, emitted) = channel();
        let (_source, _) = FileSource::start(&file, "n", move |batch| drop(sender.send(batch))).unwrap();
        fs::write(&file, service("api")).unwrap();
        // The first batch is for the file while it was empty, or with the Service.
        let batch = emitted.recv_timeout(BOUND).unwrap();
        let Batch::Pending(pending) = &batch else { panic!("{batch:?}") };
        let has = |name: &str| {
            let is_it =
                |change: &Change| matches!(change, Change::ApplyService(service) if &*service.name.name == name);
            pending.pending().iter().any(is_it)
        };
        for name in ["one", "two"] {
            fs::write(&file, service(name)).unwrap();
            while !has(name) {
                assert!(emitted.recv_timeout(Duration::from_millis(10)).is_err(), "no other batch is emitted");
            }
        }
        let mut cluster = Catalog::default();
        batch.into_changes().into_iter().for_each(|change| cluster.apply(change));
        assert_eq!(cluster.services.len(), 1);
        fs::write(&file, service("three")).unwrap();
        while !emitted
            .recv_timeout(BOUND)
            .unwrap()
            .into_changes()
            .iter()
            .any(|change| matches!(change, Change::ApplyService(service) if &*service.name.name == "three"))
        {}
    }

    #[test]
    fn a_problem_and_an_outage_that_came_and_went_unseen_are_not_emitted() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, service("web")).unwrap();
        let mut reader = Read::open(&file);
        reader.take();
        for text in ["kind: Odd", "kind: [", &service("api")] {
            fs::write(&file, text).unwrap();
            reader.pending.put(reader.reader.refresh(now()));
        }
        assert_eq!(reader.take(), (vec!["ns/api".to_owned()], vec![]));
    }
}
