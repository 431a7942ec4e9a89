//! The cluster from files, which are followed.

use std::path::Path;
use std::time::Duration;

use notify::RecommendedWatcher;
use tracing::{info, warn};

use crate::control_loop::{Context, Event};
use crate::error::CommandError;
use crate::error_chain::chain;
use crate::kubernetes::node::Node;
use crate::problem_log::ProblemLog;
use crate::session::Session;
use crate::source;
use crate::source::files::{FileError, Files};

/// After the first notice of a change, how long more are awaited: programs write a file in pieces, and several files at a time.
const SETTLE: Duration = Duration::from_millis(100);

/// The files, until this is dropped.
pub(in crate::control_loop) struct FileFeed {
    files: Files,
    _watcher: RecommendedWatcher,
    reload_at: Option<Duration>,
    problems: ProblemLog,
    /// What was said of files that can't be read.
    complained: Vec<String>,
}

impl FileFeed {
    /// Reads the cluster, and has changes told as events.
    ///
    /// # Errors
    /// Where there is nothing to read, or it can't be read or followed.
    pub(super) fn open(root: &Path, context: &Context<'_>) -> Result<Self, CommandError> {
        let files = Files::open(root)?;
        let events = context.events.clone();
        let watcher = source::watch(files.root(), move || events.send(Event::FilesChanged))?;
        Ok(Self { files, _watcher: watcher, reload_at: None, problems: ProblemLog::default(), complained: Vec::new() })
    }

    /// A Node as it was last read.
    pub(super) fn node(&self, name: &str) -> Option<Node> {
        self.files.catalog().nodes.remove(name)
    }

    /// Hands the cluster over, and says what was read.
    pub(super) fn load(&mut self, session: &mut Session) {
        let catalog = self.files.catalog();
        session.load(&catalog);
        self.problems.log(&catalog);
    }

    /// Notes that files were changed.
    pub(in crate::control_loop) fn changed(&mut self, now: Duration) {
        self.reload_at.get_or_insert(now + SETTLE);
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Option<Duration> {
        self.reload_at
    }

    /// Reads and hands over what is due.
    pub(super) fn tick(&mut self, session: &mut Session) {
        if self.reload_at.is_some_and(|time| session.now() >= time) {
            self.reload_at = None;
            let errors = self.files.refresh();
            self.complain(&errors);
            self.load(session);
        }
    }

    /// Says which files can't be read, when that begins and when it is over.
    fn complain(&mut self, errors: &[FileError]) {
        let texts: Vec<String> = errors.iter().map(|error| chain(error)).collect();
        texts
            .iter()
            .filter(|text| !self.complained.contains(text))
            .for_each(|text| warn!("{text}; what it last said stays true"));
        if texts.is_empty() && !self.complained.is_empty() {
            info!("all files can be read again");
        }
        self.complained = texts;
    }
}
