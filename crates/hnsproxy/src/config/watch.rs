//! Says when the configuration file has changed: to another valid configuration, or to something that is none.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use super::{Config, ConfigError, Flags};
use crate::source;
use crate::sync::chain;

/// After the first notice of a change, how long more are awaited: programs write a file in pieces.
const SETTLE: Duration = Duration::from_millis(200);

/// What became of the configuration file.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It asks for something else.
    Valid(Box<Config>),
    /// It can't be used, for this reason. What was asked for before stays true.
    Invalid(String),
    /// It was invalid, and asks again for what is in use.
    Resolved,
}

/// What is known of the file: the configuration in use, and what is wrong with the file since then.
#[derive(Debug)]
struct Known {
    config: Config,
    error: Option<String>,
}

impl Known {
    /// What a look at the file changes. A look that finds what is known already changes nothing.
    fn look(&mut self, found: Result<Config, ConfigError>) -> Option<Change> {
        match found {
            Ok(config) => {
                let error = self.error.take();
                if config == self.config {
                    return error.map(|_| Change::Resolved);
                }
                self.config = config.clone();
                Some(Change::Valid(Box::new(config)))
            }
            Err(error) => {
                let error = chain(&error);
                (self.error.as_ref() != Some(&error)).then(|| {
                    self.error = Some(error.clone());
                    Change::Invalid(error)
                })
            }
        }
    }
}

/// Watches as long as it is kept.
pub struct ChangeWatcher {
    _watcher: notify::RecommendedWatcher,
}

/// Follows the file that `--config` names, and calls `told` with each change, on a thread of its own. Without such a file there is nothing
/// to follow.
///
/// # Errors
/// Where the system can't watch the file.
pub fn watch(
    flags: Flags,
    config: Config,
    told: impl FnMut(Change) + Send + 'static,
) -> notify::Result<Option<ChangeWatcher>> {
    let Some(path) = flags.text("config").map(str::to_owned) else { return Ok(None) };
    let (notices, noticed) = mpsc::channel();
    let watcher = source::watch(Path::new(&path), move || {
        // The thread is gone only when nobody wants to be told.
        let _ = notices.send(());
    })?;
    std::thread::spawn(move || follow(&flags, config, &noticed, told));
    Ok(Some(ChangeWatcher { _watcher: watcher }))
}

/// Looks at the file after each notice, until there can be no more.
fn follow(flags: &Flags, config: Config, noticed: &Receiver<()>, mut told: impl FnMut(Change)) {
    let mut known = Known { config, error: None };
    // The file may have changed between its first reading and the watch.
    loop {
        if let Some(change) = known.look(Config::resolve(flags)) {
            told(change);
        }
        if noticed.recv().is_err() {
            return;
        }
        loop {
            match noticed.recv_timeout(SETTLE) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::{file, flags};
    use super::*;

    const BOUND: Duration = Duration::from_secs(30);

    fn config(text: &str) -> Result<Config, ConfigError> {
        Config::from_file(&flags(&["--config=c.yaml"]), Path::new("c.yaml"), &file(text))
    }

    #[test]
    fn only_what_differs_is_a_change_and_an_error_keeps_the_old() {
        let mut known = Known { config: config("").unwrap(), error: None };
        assert_eq!(known.look(config("")), None);
        assert_eq!(known.look(config("winkernel: {}")), None, "another text for the same");
        let Some(Change::Invalid(error)) = known.look(config("mode: ipvs")) else { panic!("{known:?}") };
        assert!(error.contains("Mode.ProxyMode"), "{error}");
        assert_eq!(known.look(config("mode: ipvs")), None, "said once");
        assert_eq!(known.look(config("")), Some(Change::Resolved), "back to what is in use");
        assert!(matches!(known.look(config("mode: ipvs")), Some(Change::Invalid(_))), "said again after it was right");
        let other = config("winkernel: {enableDSR: true}").unwrap();
        assert_eq!(known.look(Ok(other.clone())), Some(Change::Valid(Box::new(other.clone()))));
        assert_eq!(known.look(Ok(other)), None);
    }

    #[test]
    fn a_file_is_followed_through_replacement_and_mistakes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        fs::write(&path, file("")).unwrap();
        let flags = flags(&[&format!("--config={}", path.display())]);
        let config = Config::resolve(&flags).unwrap();
        let (tell, told) = mpsc::channel();
        let watcher = watch(flags, config, move |change| tell.send(change).unwrap()).unwrap();
        assert!(watcher.is_some());
        fs::write(&path, "kind: [").unwrap();
        assert!(matches!(told.recv_timeout(BOUND).unwrap(), Change::Invalid(_)));
        let new = directory.path().join("new");
        fs::write(&new, file("winkernel: {networkName: other}")).unwrap();
        fs::rename(&new, &path).unwrap();
        let Change::Valid(config) = told.recv_timeout(BOUND).unwrap() else { panic!("the new file is valid") };
        assert_eq!(config.winkernel.network_name.as_deref(), Some("other"));
    }
}
