//! Emits a cluster from files as changes: completely at the start, and again whenever the files have changed.

use std::path::Path;

use tracing::{info, warn};

use crate::batch::{Batch, PendingBatch, Snapshot};
use crate::change::Change;
use crate::error_chain;
use crate::file_watch::{self, FileWatch};
use crate::files::{FileError, Files};

/// Reads files again whenever they change, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct FileSource {
    _watch: FileWatch,
}

impl FileSource {
    /// Reads the cluster, and returns it as changes for the proxy of a node. After each change of the files, another thread calls `emit`,
    /// unless a batch is still pending: that batch gets the new content instead.
    ///
    /// # Errors
    /// If a file cannot be read now, or the files cannot be watched. A file that cannot be read later is an outage; its last content stays
    /// valid.
    pub fn start(
        root: &Path,
        node_name: &str,
        emit: impl Fn(Batch) + Send + 'static,
    ) -> Result<(Self, Vec<Change>), FileError> {
        let mut reader = Reader { files: Files::open(root)?, node_name: node_name.to_owned(), ..Reader::default() };
        let (watch, changes) = file_watch::watch(root)?;
        let pending = PendingBatch::default();
        pending.put(reader.read());
        let initial = pending.take();
        std::thread::spawn(move || {
            while changes.wait() {
                if pending.put(reader.refresh()) {
                    emit(Batch::Pending(pending.clone()));
                }
            }
        });
        Ok((Self { _watch: watch }, initial))
    }
}

/// The files, and what was logged of their errors.
#[derive(Debug, Default)]
struct Reader {
    files: Files,
    node_name: String,
    unreadable: Vec<String>,
}

impl Reader {
    fn refresh(&mut self) -> Snapshot {
        let errors = self.files.refresh();
        self.log_errors(&errors);
        self.read()
    }

    fn read(&self) -> Snapshot {
        let catalog = self.files.catalog();
        info!("{}", catalog.describe());
        Snapshot {
            cluster: catalog.changes(&self.node_name),
            problems: catalog.problems,
            outage: (!self.unreadable.is_empty()).then(|| self.unreadable.join("; ")),
        }
    }

    /// Logs each file that begins to be unreadable, and when all can be read again.
    fn log_errors(&mut self, errors: &[FileError]) {
        let texts: Vec<String> = errors.iter().map(|error| error_chain(error)).collect();
        texts
            .iter()
            .filter(|text| !self.unreadable.contains(text))
            .for_each(|text| warn!("{text}; keeping its last content"));
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
    use std::time::Duration;

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
    }

    impl Read {
        fn open(root: &Path) -> Self {
            let reader = Reader { files: Files::open(root).unwrap(), node_name: "n".into(), ..Reader::default() };
            let pending = PendingBatch::default();
            pending.put(reader.read());
            Self { reader, pending }
        }

        fn refresh(&mut self) -> Vec<Change> {
            self.pending.put(self.reader.refresh());
            self.pending.take()
        }
    }

    /// The Services, and the changes other than objects.
    fn split(changes: Vec<Change>) -> (Vec<String>, Vec<Change>) {
        let mut catalog = Catalog::default();
        changes.iter().cloned().for_each(|change| catalog.apply(change));
        let rest = changes.into_iter().filter(|change| matches!(change, Change::Problems(_) | Change::Outage(_)));
        (catalog.services.keys().map(ToString::to_string).collect(), rest.collect())
    }

    #[test]
    fn a_reload_emits_the_whole_cluster_and_its_problems_if_they_changed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        let odd = format!("{}---\nkind: Odd\n", service("web"));
        fs::write(&file, &odd).unwrap();
        let mut reader = Read::open(&file);
        let (services, rest) = split(reader.pending.take());
        assert!(matches!(rest.as_slice(), [Change::Problems(problems)] if problems.len() == 1), "{rest:?}");
        assert_eq!(services, ["ns/web"]);
        assert_eq!(split(reader.refresh()), (services, vec![]), "the same problems are not emitted twice");
        fs::write(&file, service("api")).unwrap();
        assert_eq!(split(reader.refresh()), (vec!["ns/api".to_owned()], vec![Change::Problems(vec![])]));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_outage_that_keeps_its_content() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, service("web")).unwrap();
        let mut reader = Read::open(&file);
        reader.pending.take();
        fs::write(&file, "kind: [").unwrap();
        let (services, rest) = split(reader.refresh());
        assert_eq!(services, ["ns/web"]);
        assert!(matches!(rest.as_slice(), [Change::Outage(Some(why))] if why.contains("a.yaml")), "{rest:?}");
        assert_eq!(split(reader.refresh()).1, vec![], "an outage is emitted once");
        fs::write(&file, service("web")).unwrap();
        assert_eq!(split(reader.refresh()).1, vec![Change::Outage(None)]);
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
        assert_eq!(reader.refresh()[0], Change::Node(None));
    }

    #[test]
    fn a_source_returns_the_first_cluster_and_emits_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, service("web")).unwrap();
        let (sender, emitted) = channel();
        let (source, initial) = FileSource::start(&file, "n", move |batch| drop(sender.send(batch))).unwrap();
        assert_eq!(split(initial).0, ["ns/web"]);
        fs::write(&file, service("api")).unwrap();
        // The file may be read while it is empty.
        while split(emitted.recv_timeout(BOUND).unwrap().into_changes()).0 != ["ns/api"] {}
        drop(source);
        assert!(emitted.iter().count() < 3, "the thread ends with its source");
    }

    #[test]
    fn a_pending_batch_has_the_latest_content_of_the_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, service("web")).unwrap();
        let (sender, emitted) = channel();
        let (_source, _) = FileSource::start(&file, "n", move |batch| drop(sender.send(batch))).unwrap();
        fs::write(&file, service("api")).unwrap();
        let batch = emitted.recv_timeout(BOUND).unwrap();
        let Batch::Pending(pending) = &batch else { panic!("{batch:?}") };
        let last = || split(pending.cluster()).0;
        for name in ["one", "two"] {
            fs::write(&file, service(name)).unwrap();
            while last() != [format!("ns/{name}")] {
                assert!(emitted.recv_timeout(Duration::from_millis(10)).is_err(), "no other batch is emitted");
            }
        }
        assert_eq!(split(batch.into_changes()).0, ["ns/two"]);
        fs::write(&file, service("three")).unwrap();
        while split(emitted.recv_timeout(BOUND).unwrap().into_changes()).0 != ["ns/three"] {}
    }

    #[test]
    fn a_problem_and_an_outage_that_came_and_went_unseen_are_not_emitted() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, service("web")).unwrap();
        let mut reader = Read::open(&file);
        reader.pending.take();
        for text in ["kind: Odd", "kind: [", &service("api")] {
            fs::write(&file, text).unwrap();
            reader.pending.put(reader.reader.refresh());
        }
        assert_eq!(split(reader.pending.take()), (vec!["ns/api".to_owned()], vec![]));
    }
}
