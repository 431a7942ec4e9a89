//! Emits the cluster of files as changes: all of it at first, and again whenever the files have changed.

use std::path::Path;

use tracing::{info, warn};

use crate::change::Change;
use crate::error_chain;
use crate::file_watch::{self, FileWatch};
use crate::files::{FileError, Files};
use crate::kubernetes::Problem;

/// Reads files again whenever they change, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct FileSource {
    _watch: FileWatch,
}

impl FileSource {
    /// Reads the cluster that the proxy of a node serves, and returns it as changes. It is emitted on another thread after each change of
    /// the files.
    ///
    /// # Errors
    /// If a file cannot be read now, or changes cannot be noticed. A file that cannot be read later is an outage: its last content stays.
    pub fn start(
        root: &Path,
        node_name: &str,
        emit: impl Fn(Vec<Change>) + Send + 'static,
    ) -> Result<(Self, Vec<Change>), FileError> {
        let mut reader = Reader { files: Files::open(root)?, node_name: node_name.to_owned(), ..Reader::default() };
        let (watch, changes) = file_watch::watch(root)?;
        let initial = reader.changes();
        std::thread::spawn(move || {
            while changes.wait() {
                emit(reader.refresh());
            }
        });
        Ok((Self { _watch: watch }, initial))
    }
}

/// The files, and what was emitted of their mistakes.
#[derive(Debug, Default)]
struct Reader {
    files: Files,
    node_name: String,
    problems: Vec<Problem>,
    unreadable: Vec<String>,
}

impl Reader {
    fn refresh(&mut self) -> Vec<Change> {
        let errors = self.files.refresh();
        let mut changes: Vec<_> = self.outage(&errors).into_iter().collect();
        changes.extend(self.changes());
        changes
    }

    /// The whole cluster, and its problems if they are others than before.
    fn changes(&mut self) -> Vec<Change> {
        let catalog = self.files.catalog();
        info!("{}", catalog.describe());
        let mut changes = catalog.changes(&self.node_name);
        if catalog.problems != self.problems {
            self.problems.clone_from(&catalog.problems);
            changes.push(Change::Problems(catalog.problems));
        }
        changes
    }

    /// Logs each file that begins to be unreadable, and when all can be read again. A change if these files are others than before.
    fn outage(&mut self, errors: &[FileError]) -> Option<Change> {
        let texts: Vec<String> = errors.iter().map(|error| error_chain(error)).collect();
        if texts == self.unreadable {
            return None;
        }
        texts
            .iter()
            .filter(|text| !self.unreadable.contains(text))
            .for_each(|text| warn!("{text}; keeping its last content"));
        let outage = (!texts.is_empty()).then(|| texts.join("; "));
        if outage.is_none() {
            info!("cannot read cluster files: resolved");
        }
        self.unreadable = texts;
        Some(Change::Outage(outage))
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

    fn reader(root: &Path) -> Reader {
        Reader { files: Files::open(root).unwrap(), node_name: "n".into(), ..Reader::default() }
    }

    /// The Services, and the other changes but that of the Node and the slices.
    fn told(changes: Vec<Change>) -> (Vec<String>, Vec<Change>) {
        let mut catalog = Catalog::default();
        changes.iter().cloned().for_each(|change| catalog.apply(change));
        let rest = changes.into_iter().filter(|change| matches!(change, Change::Problems(_) | Change::Outage(_)));
        (catalog.services.keys().map(ToString::to_string).collect(), rest.collect())
    }

    #[test]
    fn a_reload_is_the_whole_cluster_and_what_has_changed_of_its_problems() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        let odd = format!("{}---\nkind: Odd\n", service("web"));
        fs::write(&file, &odd).unwrap();
        let mut reader = reader(&file);
        let (services, rest) = told(reader.changes());
        assert!(matches!(rest.as_slice(), [Change::Problems(problems)] if problems.len() == 1), "{rest:?}");
        assert_eq!(services, ["ns/web"]);
        assert_eq!(told(reader.refresh()), (services, vec![]), "the same problems are not emitted twice");
        fs::write(&file, service("api")).unwrap();
        assert_eq!(told(reader.refresh()), (vec!["ns/api".to_owned()], vec![Change::Problems(vec![])]));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_outage_that_keeps_its_content() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, service("web")).unwrap();
        let mut reader = reader(&file);
        reader.changes();
        fs::write(&file, "kind: [").unwrap();
        let (services, rest) = told(reader.refresh());
        assert_eq!(services, ["ns/web"]);
        assert!(matches!(rest.as_slice(), [Change::Outage(Some(why))] if why.contains("a.yaml")), "{rest:?}");
        assert_eq!(told(reader.refresh()).1, vec![], "an outage is emitted once");
        fs::write(&file, service("web")).unwrap();
        assert_eq!(told(reader.refresh()).1, vec![Change::Outage(None)]);
    }

    #[test]
    fn a_node_that_the_files_do_not_have_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        let node = "apiVersion: v1\nkind: Node\nmetadata: {name: n}\nspec: {}\n";
        fs::write(&file, node).unwrap();
        let mut reader = reader(&file);
        assert!(matches!(reader.changes()[0], Change::Node(Some(_))));
        fs::write(&file, service("web")).unwrap();
        assert_eq!(reader.refresh()[0], Change::Node(None));
    }

    #[test]
    fn a_source_returns_the_first_cluster_and_emits_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, service("web")).unwrap();
        let (sender, emitted) = channel();
        let (source, initial) = FileSource::start(&file, "n", move |changes| drop(sender.send(changes))).unwrap();
        assert_eq!(told(initial).0, ["ns/web"]);
        fs::write(&file, service("api")).unwrap();
        // The file may be read while it is empty.
        while told(emitted.recv_timeout(BOUND).unwrap()).0 != ["ns/api"] {}
        drop(source);
        assert!(emitted.iter().count() < 3, "the thread ends with its source");
    }
}
