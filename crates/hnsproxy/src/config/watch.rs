//! Watches the configuration file, and reports each other configuration that it has, and that it has become invalid.

use std::path::Path;

use cluster_source::error_chain;
use cluster_source::file_watch::{self, FileChanges, FileWatch, Wake};

use super::key::flag;
use super::{Config, ConfigError, Flags};

/// What the configuration file has changed to. Whether it is the configuration in use, only the consumer knows.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Valid(Box<Config>),
    /// The file is invalid, for this reason.
    Invalid(String),
}

impl From<Result<Config, ConfigError>> for Change {
    fn from(read: Result<Config, ConfigError>) -> Self {
        match read {
            Ok(config) => Self::Valid(Box::new(config)),
            Err(error) => Self::Invalid(error_chain(&error)),
        }
    }
}

/// The file as it was last read.
#[derive(Debug)]
struct Known(Change);

impl Known {
    /// Compares the file, as just read, with what is known. Returns the change, if there is one.
    fn update(&mut self, read: Result<Config, ConfigError>) -> Option<Change> {
        let now = Change::from(read);
        (now != self.0).then(|| {
            self.0 = now.clone();
            now
        })
    }
}

/// Watches the file that `--config` names, and calls `on_change` with each change, on a thread of its own. Returns None without `--config`.
pub fn watch(flags: Flags, config: Config, on_change: impl FnMut(Change) + Send + 'static) -> Option<FileWatch> {
    let path = flags.text(flag::CONFIG)?.to_owned();
    let (watch, mut changes) = file_watch::watch(Path::new(&path));
    std::thread::spawn(move || follow(&flags, config, &mut changes, on_change));
    Some(watch)
}

/// Reads the file after each change, until the watch is dropped.
fn follow(flags: &Flags, config: Config, changes: &mut FileChanges, mut on_change: impl FnMut(Change)) {
    let mut known = Known(Change::Valid(Box::new(config)));
    // Read before the first event: the file may have changed between its first reading and the start of the watch.
    loop {
        if let Some(change) = known.update(Config::resolve(flags)) {
            on_change(change);
        }
        if changes.wait(None) == Wake::Ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::super::tests::{file, flags};
    use super::*;

    const BOUND: Duration = Duration::from_secs(30);

    fn config(text: &str) -> Result<Config, ConfigError> {
        Config::from_file(&flags(&["--config=c.yaml"]), Path::new("c.yaml"), &file(text))
    }

    #[test]
    fn only_differences_are_changes() {
        let mut known = Known(config("").into());
        assert_eq!(known.update(config("")), None);
        assert_eq!(known.update(config("winkernel: {}")), None, "another text of the same configuration");
        let Some(Change::Invalid(error)) = known.update(config("mode: userspace")) else { panic!("{known:?}") };
        assert!(error.contains("Mode.ProxyMode"), "{error}");
        assert_eq!(known.update(config("mode: userspace")), None, "reported once");
        assert_eq!(known.update(config("")), Some(config("").into()), "reported again after it was invalid");
        assert!(
            matches!(known.update(config("mode: userspace")), Some(Change::Invalid(_))),
            "reported again after it was valid"
        );
        let other = config("winkernel: {enableDSR: true}").unwrap();
        assert_eq!(known.update(Ok(other.clone())), Some(Change::Valid(Box::new(other.clone()))));
        assert_eq!(known.update(Ok(other)), None);
    }

    #[test]
    fn replaced_and_invalid_files_are_reported() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        fs::write(&path, file("")).unwrap();
        let flags = flags(&[&format!("--config={}", path.display())]);
        let config = Config::resolve(&flags).unwrap();
        let (sender, changes) = mpsc::channel();
        let watcher = watch(flags, config, move |change| sender.send(change).unwrap());
        assert!(watcher.is_some());
        fs::write(&path, "kind: [").unwrap();
        assert!(matches!(changes.recv_timeout(BOUND).unwrap(), Change::Invalid(_)));
        let new = directory.path().join("new");
        fs::write(&new, file("winkernel: {networkName: other}")).unwrap();
        fs::rename(&new, &path).unwrap();
        let Change::Valid(config) = changes.recv_timeout(BOUND).unwrap() else { panic!("the new file is valid") };
        assert_eq!(config.winkernel.network_name.as_deref(), Some("other"));
    }
}
