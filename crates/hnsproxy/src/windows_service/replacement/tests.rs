//! Replacements with a service manager that fails on purpose, and with processes that end at any step.

use std::cell::{Cell, RefCell};

use super::*;

const ORIGINAL: &[u8] = b"kube-proxy";
const OWN: &[u8] = b"hnsproxy";
const NEWER: &[u8] = b"hnsproxy, newer";
const TIMEOUT: Duration = Duration::from_secs(120);

/// What goes wrong with a program that is not the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    StartFails,
    EndsAtItsStart,
    NeverReady,
    /// Another process answers at /readyz. The program ends with the answer.
    EndsWhileReady,
    /// It ends and is started again before it is ready.
    Restarts,
    /// Its stop takes longer than the limit.
    StopsSlowly,
}

/// A call of the service, before which a test may change the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Stop,
    Start,
    Pause,
}

struct Fake {
    hook: Cell<fn(&Fake, Call)>,
    directory: tempfile::TempDir,
    fault: Cell<Fault>,
    /// The content of the program that runs.
    running: RefCell<Option<Vec<u8>>>,
    process_id: Cell<u32>,
    /// The time of the end of a stop that was requested.
    stopping: Cell<Option<u64>>,
    time: Cell<u64>,
}

impl Fake {
    fn new(fault: Fault, is_running: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("kube-proxy.exe"), ORIGINAL).unwrap();
        fs::write(directory.path().join("own.exe"), OWN).unwrap();
        let running = RefCell::new(is_running.then(|| ORIGINAL.to_vec()));
        Self {
            hook: Cell::new(|_, _| {}),
            directory,
            fault: Cell::new(fault),
            running,
            process_id: Cell::new(1),
            stopping: Cell::new(None),
            time: Cell::new(0),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn content(&self) -> Vec<u8> {
        fs::read(self.path("kube-proxy.exe")).unwrap()
    }

    /// The files of the folder, without this program and the lock.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "own.exe" && name != "kube-proxy.exe.lock").collect();
        names.sort();
        names
    }

    fn current(&self) -> Kept {
        let is_kube_proxy = self.content() == ORIGINAL;
        Kept { description: "program".into(), is_kube_proxy, sha256: sha256(&self.content()) }
    }

    fn replacement<'a>(&'a self, own: &'a Path) -> Replacement<'a> {
        let program = self.path("kube-proxy.exe");
        Replacement::new("kube-proxy", self, &program, self.current(), own, TIMEOUT).unwrap()
    }

    /// Replaces the program by a file. Returns the error.
    fn replace(&self, own: &str) -> Option<ReplaceError> {
        self.replacement(&self.path(own)).run().err()
    }

    /// None if there is nothing to restore.
    fn restore(&self) -> Option<Result<(), ReplaceError>> {
        let program = self.path("kube-proxy.exe");
        let restoration = Restoration::new(self, &program).unwrap();
        let is_hnsproxy = fs::read(&program).is_ok_and(|content| content.starts_with(OWN));
        restoration.map(|mut restoration| restoration.run(is_hnsproxy).map(drop))
    }

    /// As before any replacement.
    #[track_caller]
    fn assert_original(&self, is_running: bool) {
        assert_eq!(self.content(), ORIGINAL);
        assert_eq!(self.running.borrow().as_deref(), is_running.then_some(ORIGINAL));
        assert_eq!(self.files(), ["kube-proxy.exe"]);
    }
}

impl Service for Fake {
    fn status(&self) -> Result<Status, ServiceError> {
        if self.stopping.get().is_some_and(|end| self.time.get() >= end) {
            self.stopping.set(None);
            self.running.replace(None);
        }
        let state = match (self.stopping.get(), &*self.running.borrow()) {
            (Some(_), _) => State::StopPending,
            (None, Some(_)) => State::Running,
            (None, None) => State::Stopped,
        };
        Ok(Status { state, process_id: (state == State::Running).then(|| self.process_id.get()) })
    }

    fn stop(&self) -> Result<(), ServiceError> {
        self.hook.get()(self, Call::Stop);
        if self.fault.get() == Fault::StopsSlowly {
            self.stopping.set(Some(self.time.get() + 30));
            return Err(ServiceError::NotFound("on purpose".into()));
        }
        self.running.replace(None);
        Ok(())
    }

    fn start(&self) -> Result<(), ServiceError> {
        self.hook.get()(self, Call::Start);
        if self.stopping.get().is_some() {
            return Err(ServiceError::NotFound("on purpose".into()));
        }
        let content = self.content();
        let is_original = content == ORIGINAL;
        self.process_id.set(self.process_id.get() + 1);
        match self.fault.get() {
            Fault::StartFails if !is_original => return Err(ServiceError::NotFound("on purpose".into())),
            Fault::EndsAtItsStart if !is_original => {}
            _ => *self.running.borrow_mut() = Some(content),
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        let is_hnsproxy = self.running.borrow().as_ref().is_some_and(|content| content.starts_with(OWN));
        match self.fault.get() {
            Fault::EndsWhileReady => {
                self.running.replace(None);
                return true;
            }
            Fault::Restarts => self.process_id.set(self.process_id.get() + 1),
            _ => {}
        }
        is_hnsproxy && self.fault.get() != Fault::NeverReady && self.time.get() > 3
    }

    fn now(&self) -> Duration {
        Duration::from_secs(self.time.get())
    }

    fn pause(&self) {
        self.hook.get()(self, Call::Pause);
        self.time.set(self.time.get() + 1);
    }

    fn print_line(&self, _: &str) {}
}

#[test]
fn a_program_is_replaced_and_restored() {
    for was_running in [true, false] {
        let fake = Fake::new(Fault::None, was_running);
        assert!(fake.replace("own.exe").is_none());
        assert_eq!((fake.content(), fake.running.borrow().clone()), (OWN.to_vec(), Some(OWN.to_vec())));
        assert_eq!(fake.files(), ["kube-proxy.exe", "kube-proxy.exe.hnsproxy.json", "kube-proxy.exe.original"]);
        assert_eq!(fs::read(fake.path("kube-proxy.exe.original")).unwrap(), ORIGINAL);
        fake.restore().unwrap().unwrap();
        fake.assert_original(true);
        assert!(fake.restore().is_none());
    }
}

#[test]
fn the_original_starts_again_if_the_service_was_stopped_before_the_restore() {
    let fake = Fake::new(Fault::None, true);
    assert!(fake.replace("own.exe").is_none());
    fake.stop().unwrap();
    fake.restore().unwrap().unwrap();
    fake.assert_original(true);
}

#[test]
fn a_replacement_that_fails_is_rolled_back() {
    let faults = [
        Fault::StartFails,
        Fault::EndsAtItsStart,
        Fault::NeverReady,
        Fault::EndsWhileReady,
        Fault::Restarts,
        Fault::StopsSlowly,
    ];
    for fault in faults {
        for was_running in [true, false] {
            let fake = Fake::new(fault, was_running);
            let error = fake.replace("own.exe").unwrap();
            assert!(matches!(error, ReplaceError::RolledBack { .. }), "{fault:?}: {error}");
            fake.assert_original(was_running);
        }
    }
}

#[test]
fn a_program_that_cannot_be_replaced_starts_again() {
    let fake = Fake::new(Fault::None, true);
    // The rename fails, as over a program in use on Windows.
    fake.hook.set(|fake, call| {
        let staged = fake.path("kube-proxy.exe.staged");
        match call {
            Call::Stop => {
                fs::remove_file(&staged).unwrap();
                fs::create_dir(&staged).unwrap();
            }
            Call::Start => fs::remove_dir(&staged).unwrap(),
            Call::Pause => {}
        }
    });
    let error = fake.replace("own.exe").unwrap();
    assert!(matches!(error, ReplaceError::RolledBack { .. }), "{error}");
    fake.assert_original(true);
}

#[test]
fn a_restore_is_refused_while_a_replacement_waits() {
    let fake = Fake::new(Fault::NeverReady, true);
    fake.hook.set(|fake, call| {
        if call == Call::Pause {
            let error = fake.restore().unwrap().unwrap_err();
            assert!(matches!(error, ReplaceError::Locked(_)), "{error}");
        }
    });
    let error = fake.replace("own.exe").unwrap();
    assert!(matches!(error, ReplaceError::RolledBack { .. }), "{error}");
    fake.assert_original(true);
}

#[test]
fn a_rollback_starts_the_service_even_if_the_original_cannot_be_put_back() {
    let fake = Fake::new(Fault::NeverReady, true);
    fake.hook.set(|fake, call| {
        if call == Call::Pause {
            let _ = fs::remove_file(fake.path("kube-proxy.exe.original"));
        }
    });
    let error = fake.replace("own.exe").unwrap();
    assert!(matches!(error, ReplaceError::NotRolledBack { .. }), "{error}");
    assert_eq!((fake.content(), fake.running.borrow().clone()), (OWN.to_vec(), Some(OWN.to_vec())));
}

#[test]
fn an_original_that_is_back_already_is_not_put_back_again() {
    let fake = Fake::new(Fault::NeverReady, true);
    fake.hook.set(|fake, call| {
        let original = fake.path("kube-proxy.exe.original");
        if call == Call::Pause && original.exists() {
            fs::rename(original, fake.path("kube-proxy.exe")).unwrap();
        }
    });
    let error = fake.replace("own.exe").unwrap();
    assert!(matches!(error, ReplaceError::RolledBack { .. }), "{error}");
    fake.assert_original(true);
}

#[test]
fn readiness_is_awaited_until_the_timeout() {
    let fake = Fake::new(Fault::NeverReady, true);
    let reason = error_chain(&fake.replace("own.exe").unwrap());
    assert!(reason.contains("within 120 s"), "{reason}");
    assert_eq!(fake.now(), TIMEOUT);
}

#[test]
fn a_file_that_cannot_be_kept_leaves_everything_as_it_was() {
    let fake = Fake::new(Fault::None, true);
    fs::create_dir(fake.path("kube-proxy.exe.original")).unwrap();
    let error = fake.replace("own.exe").unwrap();
    assert!(matches!(error, ReplaceError::RolledBack { .. }), "{error}");
    fs::remove_dir(fake.path("kube-proxy.exe.original")).unwrap();
    fake.assert_original(true);
}

#[test]
fn a_process_that_ends_at_any_step_of_a_replacement_leaves_a_way_back() {
    for was_running in [true, false] {
        let fake = Fake::new(Fault::None, was_running);
        let count = fake.replacement(&fake.path("own.exe")).steps().len();
        for (done, recorded) in (0..count).flat_map(|done| [(done, false), (done, true)]) {
            let fake = Fake::new(Fault::None, was_running);
            let own = fake.path("own.exe");
            let mut replacement = fake.replacement(&own);
            let steps = replacement.steps();
            steps[..done].iter().for_each(|step| replacement.take(*step).unwrap());
            if recorded {
                replacement.announce(steps[done]).unwrap();
            }
            if done > 0 || recorded {
                // Not over the traces of the interrupted one.
                let error =
                    Replacement::new("kube-proxy", &fake, &fake.path("kube-proxy.exe"), fake.current(), &own, TIMEOUT);
                assert!(matches!(error.err(), Some(ReplaceError::Interrupted(_))));
                fake.restore().unwrap().unwrap();
            }
            fake.assert_original(was_running);
        }
    }
}

#[test]
fn a_process_that_ends_at_any_step_of_the_way_back_leaves_it_open() {
    for (done, recorded) in (0..4).flat_map(|done| [(done, false), (done, true)]) {
        let fake = Fake::new(Fault::None, true);
        assert!(fake.replace("own.exe").is_none());
        let program = fake.path("kube-proxy.exe");
        let mut restoration = Restoration::new(&fake, &program).unwrap().unwrap();
        let steps = restoration.steps(true).unwrap();
        restoration.0.roll_back(&steps[..done]).unwrap();
        if recorded {
            restoration.0.announce(steps[done]).unwrap();
        }
        fake.restore().unwrap().unwrap();
        fake.assert_original(true);
    }
}

#[test]
fn an_upgrade_keeps_the_original_and_goes_back_to_the_version_before() {
    let fake = Fake::new(Fault::None, true);
    assert!(fake.replace("own.exe").is_none());
    fs::write(fake.path("newer.exe"), NEWER).unwrap();
    fake.fault.set(Fault::NeverReady);
    assert!(matches!(fake.replace("newer.exe"), Some(ReplaceError::RolledBack { .. })));
    assert_eq!((fake.content(), fake.running.borrow().clone()), (OWN.to_vec(), Some(OWN.to_vec())));
    fake.fault.set(Fault::None);
    assert!(fake.replace("newer.exe").is_none());
    assert_eq!((fake.content(), fake.running.borrow().clone()), (NEWER.to_vec(), Some(NEWER.to_vec())));
    fs::remove_file(fake.path("newer.exe")).unwrap();
    fake.restore().unwrap().unwrap();
    fake.assert_original(true);
}

#[test]
fn of_two_replacements_at_once_the_second_changes_nothing() {
    let fake = Fake::new(Fault::None, true);
    let own = fake.path("own.exe");
    // It has inspected the program and found no record.
    let mut second = fake.replacement(&own);
    assert!(fake.replace("own.exe").is_none());
    let error = second.run().unwrap_err();
    assert!(matches!(error, ReplaceError::Changed(_)), "{error}");
    assert_eq!(fs::read(fake.path("kube-proxy.exe.original")).unwrap(), ORIGINAL);
    fake.restore().unwrap().unwrap();
    fake.assert_original(true);
}

#[test]
fn an_original_without_a_record_is_neither_overwritten_nor_removed() {
    let fake = Fake::new(Fault::None, true);
    fs::rename(fake.path("kube-proxy.exe"), fake.path("kube-proxy.exe.original")).unwrap();
    fs::write(fake.path("kube-proxy.exe"), OWN).unwrap();
    fs::write(fake.path("newer.exe"), NEWER).unwrap();
    let error = fake.replace("newer.exe").unwrap();
    assert!(matches!(error, ReplaceError::RolledBack { .. }), "{error}");
    assert_eq!((fake.content(), fake.files().len()), (OWN.to_vec(), 3));
    assert_eq!(fs::read(fake.path("kube-proxy.exe.original")).unwrap(), ORIGINAL);
}

#[test]
fn a_copy_that_differs_does_not_replace_a_file() {
    let fake = Fake::new(Fault::None, true);
    let [from, to] = [fake.path("own.exe"), fake.path("kube-proxy.exe")];
    assert!(matches!(copy(&from, &to, "another hash"), Err(ReplaceError::CopyDiffers(_))));
    fake.assert_original(true);
    copy(&from, &to, &sha256(OWN)).unwrap();
    assert_eq!((fake.content(), fake.files()), (OWN.to_vec(), vec!["kube-proxy.exe".to_owned()]));
}

#[cfg(unix)]
#[test]
fn a_copy_is_not_written_to_a_file_that_exists_in_its_place() {
    let fake = Fake::new(Fault::None, true);
    let prepared = fs::File::create(fake.path("prepared")).unwrap();
    std::os::unix::fs::symlink(fake.path("prepared"), fake.path("kube-proxy.exe.staged")).unwrap();
    assert!(fake.replace("own.exe").is_none());
    assert_eq!((fake.content(), prepared.metadata().unwrap().len()), (OWN.to_vec(), 0));
    assert!(!fs::symlink_metadata(fake.path("kube-proxy.exe")).unwrap().is_symlink());
}

#[test]
fn an_upgrade_that_is_interrupted_at_any_step_goes_back_to_the_version_before() {
    for (done, recorded) in (0..7).flat_map(|done| [(done, false), (done, true)]).skip(1) {
        let fake = Fake::new(Fault::None, true);
        assert!(fake.replace("own.exe").is_none());
        let newer = fake.path("newer.exe");
        fs::write(&newer, NEWER).unwrap();
        let mut upgrade = fake.replacement(&newer);
        let steps = upgrade.steps();
        steps[..done].iter().for_each(|step| upgrade.take(*step).unwrap());
        if recorded {
            upgrade.announce(steps[done]).unwrap();
        }
        fs::remove_file(&newer).unwrap();
        fake.restore().unwrap().unwrap();
        assert_eq!((fake.content(), fake.running.borrow().clone()), (OWN.to_vec(), Some(OWN.to_vec())), "{done}");
        assert_eq!(fake.files(), ["kube-proxy.exe", "kube-proxy.exe.hnsproxy.json", "kube-proxy.exe.original"]);
        fake.restore().unwrap().unwrap();
        fake.assert_original(true);
    }
}

#[test]
fn a_program_that_is_missing_is_restored() {
    let fake = Fake::new(Fault::None, true);
    assert!(fake.replace("own.exe").is_none());
    fs::remove_file(fake.path("kube-proxy.exe")).unwrap();
    fake.stop().unwrap();
    fake.restore().unwrap().unwrap();
    fake.assert_original(true);
}

#[test]
fn a_file_that_cannot_be_removed_does_not_roll_back_a_ready_upgrade() {
    let fake = Fake::new(Fault::None, true);
    assert!(fake.replace("own.exe").is_none());
    fs::write(fake.path("newer.exe"), NEWER).unwrap();
    fake.time.set(0);
    let previous = "kube-proxy.exe.previous";
    fake.hook.set(|fake, call| {
        let previous = fake.path("kube-proxy.exe.previous");
        if call == Call::Pause && previous.is_file() {
            fs::remove_file(&previous).unwrap();
            fs::create_dir(&previous).unwrap();
        }
    });
    assert!(fake.replace("newer.exe").is_none());
    assert_eq!((fake.content(), fake.running.borrow().clone()), (NEWER.to_vec(), Some(NEWER.to_vec())));
    // The record stays with the folder, so that a later restore removes it.
    fake.restore().unwrap().unwrap();
    assert_eq!(fake.files(), ["kube-proxy.exe", "kube-proxy.exe.hnsproxy.json", previous, "newer.exe"]);
    fs::remove_dir(fake.path(previous)).unwrap();
    fs::remove_file(fake.path("newer.exe")).unwrap();
    fake.restore().unwrap().unwrap();
    fake.assert_original(true);
}

#[test]
fn a_program_that_its_installer_has_put_back_is_not_overwritten() {
    let fake = Fake::new(Fault::None, true);
    assert!(fake.replace("own.exe").is_none());
    fs::write(fake.path("kube-proxy.exe"), "another release").unwrap();
    assert!(matches!(fake.restore(), Some(Err(ReplaceError::ProgramChanged { .. }))));
    assert_eq!(fake.content(), b"another release");
}
