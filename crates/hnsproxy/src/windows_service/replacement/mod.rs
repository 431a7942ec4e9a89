//! Replaces the program of a service by this one, and goes back: carries out the steps of [`steps`], and keeps the [`record`].
#![cfg_attr(not(windows), allow(dead_code, reason = "only Windows has services"))]

mod lock;
mod record;
mod service;
mod step;
mod steps;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster_source::error_chain;

use super::ServiceError;
use super::program::sha256;
use lock::lock;
pub(super) use record::{Files, Kept, Record};
#[cfg(any(windows, test))]
pub(super) use service::Status;
pub(super) use service::{Service, State};
pub(super) use step::Step;
use steps::{Blocked, RestoreState, replace, restore, roll_back};

/// How long a file may be in use after its service has stopped: its process ends a moment later.
const IN_USE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a service may take to leave a pending state.
const PENDING_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a replacement was not made.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    #[error("cannot {step}")]
    Step {
        step: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("service ended at its start")]
    Ended,
    #[error("process of the service ended before /readyz answered 200, and another one was started")]
    Restarted,
    #[error("/readyz did not answer 200 within {} s", .0.as_secs())]
    NotReady(Duration),
    #[error("{}: the hash of the copy differs", .0.display())]
    CopyDiffers(PathBuf),
    #[error("cannot read {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot keep the program: {} exists, and no record says what it is; move it away", .0.display())]
    OriginalExists(PathBuf),
    #[error("original {} not found; install kube-proxy again, then remove {}", original.display(), record.display())]
    OriginalMissing { original: PathBuf, record: PathBuf },
    #[error("hash of the original {} differs from the recorded one; install kube-proxy again, then remove {}", original.display(), record.display())]
    OriginalDamaged { original: PathBuf, record: PathBuf },
    #[error("cannot restore {}: it is neither kube-proxy nor hnsproxy", .0.display())]
    KeptForeign(PathBuf),
    #[error("cannot restore {}: another program has changed it; if it is kube-proxy, remove {}", program.display(), record.display())]
    ProgramChanged { program: PathBuf, record: PathBuf },
    #[error("service {service} was rolled back: {reason}")]
    RolledBack { service: String, reason: String },
    #[error("service {service} was not rolled back: {reason}; retry with `hnsproxy service restore`")]
    NotRolledBack { service: String, reason: String },
    #[error("a replacement of service {0} was interrupted; run `hnsproxy service restore` first")]
    Interrupted(String),
    #[error("cannot change {}: another `hnsproxy service` command is changing it; wait for its end", .0.display())]
    Locked(PathBuf),
    #[error("cannot change {}: another program has just changed it or its record; retry", .0.display())]
    Changed(PathBuf),
    #[error(transparent)]
    Service(Box<ServiceError>),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<ServiceError> for ReplaceError {
    fn from(error: ServiceError) -> Self {
        Self::Service(Box::new(error))
    }
}

/// A replacement of the program of a service, before and while it is carried out.
pub(super) struct Replacement<'a> {
    service: &'a dyn Service,
    files: Files,
    /// This program.
    own: &'a Path,
    timeout: Duration,
    record: Record,
    /// What the decision to replace it is based on.
    read: Read,
}

/// The state that was read before the lock.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    record: Option<Record>,
    /// None if the program does not exist.
    program_sha256: Option<String>,
}

impl Read {
    fn again(files: &Files) -> Result<Self, ReplaceError> {
        Ok(Self { record: files.read_record()?, program_sha256: hash_if_present(&files.program)? })
    }
}

impl<'a> Replacement<'a> {
    /// `current` is the program that is replaced.
    ///
    /// # Errors
    /// If another replacement was interrupted, or its record cannot be read.
    pub(super) fn new(
        name: &str,
        service: &'a dyn Service,
        program: &Path,
        current: Kept,
        own: &'a Path,
        timeout: Duration,
    ) -> Result<Self, ReplaceError> {
        let files = Files::beside(program);
        let previous = files.read_record()?;
        if previous.as_ref().is_some_and(|record| record.step.is_some()) {
            return Err(ReplaceError::Interrupted(name.to_owned()));
        }
        let read = Read { record: previous.clone(), program_sha256: Some(current.sha256.clone()) };
        // An installer may have put another kube-proxy there since: that is the original then.
        let upgraded = previous.filter(|_| !current.is_kube_proxy);
        let was_running = service.is_running()?;
        let record = Record {
            service: name.to_owned(),
            previous: upgraded.as_ref().map(|_| current.clone()),
            original: upgraded.map_or(current, |record| record.original),
            was_running,
            replacement_sha256: hash(own)?,
            step: None,
        };
        Ok(Self { service, files, own, timeout, record, read })
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        replace(self.is_upgrade())
    }

    /// Whether the original is kept already: an earlier hnsproxy is replaced.
    fn is_upgrade(&self) -> bool {
        self.record.previous.is_some()
    }

    /// Locks the program. Fails if another command has replaced it before the lock: then it is not the program that was inspected.
    fn lock(&self) -> Result<fs::File, ReplaceError> {
        let lock = lock(&self.files)?;
        if Read::again(&self.files)? != self.read {
            return Err(ReplaceError::Changed(self.files.program.clone()));
        }
        Ok(lock)
    }

    /// Carries out all steps. If one fails, goes back to what ran before.
    ///
    /// # Errors
    /// [`ReplaceError::RolledBack`] if a step failed, and [`ReplaceError::NotRolledBack`] if the rollback failed, too.
    pub(super) fn run(&mut self) -> Result<(), ReplaceError> {
        let _lock = self.lock()?;
        for step in self.steps() {
            let Err(error) = self.take(step) else { continue };
            let reason = error_chain(&error);
            let service = self.record.service.clone();
            self.service.print_line(&format!("failed: {reason}; rolling back"));
            // A rollback starts what ran before, which need not become ready.
            let back = roll_back(step, self.is_upgrade(), self.record.was_running);
            return Err(match self.roll_back(&back) {
                Ok(()) => ReplaceError::RolledBack { service, reason },
                Err(error) => {
                    ReplaceError::NotRolledBack { service, reason: format!("{reason}; {}", error_chain(&error)) }
                }
            });
        }
        Ok(())
    }

    /// Carries out steps even if they cannot be recorded: an earlier record is enough for `service restore`. Starts the service even if a
    /// step before failed: any Service proxy is better than none.
    fn roll_back(&mut self, steps: &[Step]) -> Result<(), ReplaceError> {
        let mut failed = None;
        for step in steps {
            if failed.is_some() && step.is_last() {
                break;
            }
            let _ = self.announce(*step);
            if let Err(error) = self.perform(*step) {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Records a step, and carries it out.
    fn take(&mut self, step: Step) -> Result<(), ReplaceError> {
        self.announce(step)?;
        self.perform(step)
    }

    /// Records that the replacement is complete, and removes the other files. The program is ready, so a file that cannot be removed is no
    /// reason to roll back.
    fn complete(&self) -> Result<(), ReplaceError> {
        let Files { previous, staged, .. } = &self.files;
        // After a rollback, the program is the previous version.
        let sha256 = hash(&self.files.program)?;
        self.files.write_record(&Record {
            step: None,
            previous: None,
            replacement_sha256: sha256,
            ..self.record.clone()
        })?;
        self.remove(staged);
        self.remove(previous);
        Ok(())
    }

    /// Removes a file, and says if it cannot be removed. Returns whether it is gone.
    fn remove(&self, file: &Path) -> bool {
        let removed = remove(file);
        if let Err(error) = &removed {
            self.service.print_line(&format!("cannot remove {}: {error}", file.display()));
        }
        removed.is_ok()
    }

    fn announce(&mut self, step: Step) -> Result<(), ReplaceError> {
        self.record.step = Some(step);
        self.service.print_line(&step.to_string());
        Ok(self.files.write_record(&self.record)?)
    }

    fn perform(&self, step: Step) -> Result<(), ReplaceError> {
        let Files { program, original, previous, staged, .. } = &self.files;
        let result = match step {
            Step::KeepOriginal => self.keep_original(),
            Step::KeepPrevious => hash(program).map_err(Into::into).and_then(|hash| copy(program, previous, &hash)),
            Step::Stage => copy(self.own, staged, &self.record.replacement_sha256),
            Step::Stop => self.service.stop().map_err(Into::into),
            Step::Swap => self.rename(staged, program),
            Step::Start => self.start(),
            Step::AwaitReady => self.await_ready(),
            Step::Complete => self.complete(),
            // Renamed and not copied: a full disk does not prevent it.
            Step::PutBackOriginal => self.put_back(original, &self.record.original.sha256),
            Step::PutBackPrevious => {
                let sha256 = self.record.previous.as_ref().map(|kept| kept.sha256.as_str());
                self.put_back(previous, sha256.unwrap_or_default())
            }
            Step::RemoveFiles => self.remove_files(),
        };
        result.map_err(|error| match error {
            error @ (ReplaceError::Ended | ReplaceError::Restarted | ReplaceError::NotReady(_)) => error,
            error => ReplaceError::Step { step: step.to_string(), source: Box::new(error) },
        })
    }

    fn remove_files(&self) -> Result<(), ReplaceError> {
        let Files { program, original, previous, staged, record, .. } = &self.files;
        let sha256 = &self.record.original.sha256;
        if hash(program)? != *sha256 {
            return Err(ReplaceError::ProgramChanged { program: program.clone(), record: record.clone() });
        }
        // Any other file may be the only copy of a program.
        let is_copy = hash(original).is_ok_and(|found| found == *sha256);
        let files = [Some(staged), Some(previous), is_copy.then_some(original)];
        let left = files.into_iter().flatten().filter(|file| !self.remove(file)).count();
        // While the record exists, `service restore` removes the rest.
        if left == 0 {
            self.remove(record);
        }
        Ok(())
    }

    fn keep_original(&self) -> Result<(), ReplaceError> {
        let Files { program, original, .. } = &self.files;
        let Kept { sha256, is_kube_proxy, .. } = &self.record.original;
        if hash(original).is_ok_and(|found| found == *sha256) {
            return Ok(());
        }
        // It may be the only copy of kube-proxy, whose record was lost or never written.
        if !is_kube_proxy && fs::symlink_metadata(original).is_ok() {
            return Err(ReplaceError::OriginalExists(original.clone()));
        }
        copy(program, original, sha256)
    }

    fn put_back(&self, kept: &Path, sha256: &str) -> Result<(), ReplaceError> {
        let program = &self.files.program;
        // An earlier attempt, or an installer, has put it back.
        if hash(program).is_ok_and(|found| found == sha256) { Ok(()) } else { self.rename(kept, program) }
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), ReplaceError> {
        let start = self.service.now();
        loop {
            match fs::rename(from, to) {
                Ok(()) => return Ok(()),
                // Windows cannot replace the file of a program that runs.
                Err(error)
                    if error.kind() != io::ErrorKind::NotFound && self.service.now() - start < IN_USE_TIMEOUT =>
                {
                    self.service.pause();
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn start(&self) -> Result<(), ReplaceError> {
        // Windows refuses to start a service that is stopping: a stop can take longer than its limit.
        self.wait_while(State::StopPending)?;
        self.service.start()?;
        self.wait_while(State::StartPending)?;
        if self.service.is_running()? { Ok(()) } else { Err(ReplaceError::Ended) }
    }

    fn wait_while(&self, state: State) -> Result<(), ReplaceError> {
        let start = self.service.now();
        while self.service.status()?.state == state && self.service.now() - start < PENDING_TIMEOUT {
            self.service.pause();
        }
        Ok(())
    }

    fn await_ready(&self) -> Result<(), ReplaceError> {
        let start = self.service.now();
        let mut process = None;
        loop {
            let status = self.service.status()?;
            if matches!(status.state, State::Stopped | State::StopPending) {
                return Err(ReplaceError::Ended);
            }
            if let Some(id) = status.process_id
                && *process.get_or_insert(id) != id
            {
                return Err(ReplaceError::Restarted);
            }
            // Another process may answer at this address, so only a service that runs before and after the answer counts.
            if status.state == State::Running && self.service.is_ready() && self.service.status()? == status {
                return Ok(());
            }
            if self.service.now() - start >= self.timeout {
                return Err(ReplaceError::NotReady(self.timeout));
            }
            self.service.pause();
        }
    }
}

/// Goes back to the original program, or to the version before an interrupted upgrade, from any step of a replacement.
pub(super) struct Restoration<'a>(Replacement<'a>);

impl<'a> Restoration<'a> {
    /// None if there is nothing to restore.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub(super) fn new(service: &'a dyn Service, program: &'a Path) -> Result<Option<Self>, ReplaceError> {
        let files = Files::beside(program);
        let Some(record) = files.read_record()? else { return Ok(None) };
        let (own, timeout) = (program, Duration::ZERO);
        let read = Read { record: Some(record.clone()), program_sha256: hash_if_present(program)? };
        Ok(Some(Self(Replacement { service, files, own, timeout, record, read })))
    }

    /// `is_hnsproxy` is whether the program is hnsproxy now.
    ///
    /// # Errors
    /// If the original cannot be restored.
    pub(super) fn steps(&self, is_hnsproxy: bool) -> Result<Vec<Step>, ReplaceError> {
        let Replacement { service, files, record, .. } = &self.0;
        let found = RestoreState {
            program_sha256: hash_if_present(&files.program)?,
            // Without it, the original is what can be put back.
            previous_sha256: hash(&files.previous).ok(),
            original_sha256: hash_if_present(&files.original)?,
            is_running: service.is_running()?,
            is_hnsproxy,
        };
        restore(record, &found).map_err(|blocked| {
            let (original, program, record) = (files.original.clone(), files.program.clone(), files.record.clone());
            match blocked {
                Blocked::OriginalMissing => ReplaceError::OriginalMissing { original, record },
                Blocked::OriginalDamaged => ReplaceError::OriginalDamaged { original, record },
                Blocked::ProgramChanged => ReplaceError::ProgramChanged { program, record },
            }
        })
    }

    /// Returns the program that was restored.
    ///
    /// # Errors
    /// If a step fails. It can be repeated.
    pub(super) fn run(&mut self, is_hnsproxy: bool) -> Result<Kept, ReplaceError> {
        let _lock = self.0.lock()?;
        let steps = self.steps(is_hnsproxy)?;
        let record = &mut self.0.record;
        // If this is interrupted, the next attempt starts the service, too, and goes back to the same program.
        record.was_running = steps.contains(&Step::Start);
        if !steps.contains(&Step::Complete) {
            record.previous = None;
        }
        let kept = record.previous.as_ref().unwrap_or(&record.original).clone();
        self.0.roll_back(&steps)?;
        Ok(kept)
    }
}

/// Copies a file, and compares the copy with a hash. Only a complete copy replaces a previous one.
fn copy(from: &Path, to: &Path, sha256: &str) -> Result<(), ReplaceError> {
    let folder = to.parent().unwrap_or(to);
    // Always a new file: an existing one may belong to another user.
    let mut copy = tempfile::Builder::new().prefix(".hnsproxy-").tempfile_in(folder)?;
    io::copy(&mut fs::File::open(from)?, copy.as_file_mut())?;
    // The content must be on the disk before the rename.
    copy.as_file().sync_all()?;
    if hash(copy.path())? != sha256 {
        return Err(ReplaceError::CopyDiffers(to.to_owned()));
    }
    copy.persist(to).map_err(|error| error.error)?;
    Ok(())
}

fn hash(path: &Path) -> io::Result<String> {
    Ok(sha256(&fs::read(path)?))
}

/// None if the file does not exist.
fn hash_if_present(path: &Path) -> Result<Option<String>, ReplaceError> {
    match hash(path) {
        Ok(hash) => Ok(Some(hash)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReplaceError::Unreadable { path: path.to_owned(), source }),
    }
}

/// A file that does not exist is not an error.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
