//! The steps of a replacement, a rollback and a restore, as values. Each step can be repeated, and a restore depends only on the files and on
//! the record, so it works after any step.

use super::record::{Kept, Record};
use super::step::Step;

/// The program is copied and staged while the service runs, so that it is stopped only briefly. `is_upgrade` is whether the original is kept already.
pub(in super::super) fn replace(is_upgrade: bool) -> Vec<Step> {
    let keep = if is_upgrade { Step::KeepPrevious } else { Step::KeepOriginal };
    vec![keep, Step::Stage, Step::Stop, Step::Swap, Step::Start, Step::AwaitReady, Step::Complete]
}

/// The steps that bring back what ran before, after a replacement has failed at a step.
pub(super) fn roll_back(failed: Step, is_upgrade: bool, was_running: bool) -> Vec<Step> {
    let put_back = if is_upgrade { Step::PutBackPrevious } else { Step::PutBackOriginal };
    let end = if is_upgrade { Step::Complete } else { Step::RemoveFiles };
    let start = was_running.then_some(Step::Start);
    match failed {
        // Nothing but the files beside the program has changed.
        Step::KeepOriginal | Step::KeepPrevious | Step::Stage => vec![end],
        // The program is as it was: a rename that failed has changed nothing.
        Step::Stop | Step::Swap => start.into_iter().chain([end]).collect(),
        _ => [Step::Stop, put_back].into_iter().chain(start).chain([end]).collect(),
    }
}

/// The state before a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct RestoreState {
    /// None if the file does not exist.
    pub(in super::super) program_sha256: Option<String>,
    /// None if the file does not exist.
    pub(in super::super) previous_sha256: Option<String>,
    /// None if the file does not exist.
    pub(in super::super) original_sha256: Option<String>,
    pub(in super::super) is_running: bool,
    /// Whether the program is hnsproxy, of any version.
    pub(in super::super) is_hnsproxy: bool,
}

/// Why the original cannot be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Blocked {
    OriginalMissing,
    OriginalDamaged,
    /// The installer has put another program there since.
    ProgramChanged,
}

/// The steps that restore the original, or the version before an interrupted upgrade, after any step of a replacement.
pub(in super::super) fn restore(record: &Record, found: &RestoreState) -> Result<Vec<Step>, Blocked> {
    // An interrupted replacement may have stopped the service, and an operator stops it to remove the objects of hnsproxy: both leave a node
    // without a Service proxy unless the original starts.
    let starts = record.was_running || (record.step.is_none() && found.is_running);
    let start = starts.then_some(Step::Start);
    let is_there = |kept: &Kept| found.program_sha256.as_ref() == Some(&kept.sha256);
    let previous = record.previous.as_ref().filter(|_| record.step.is_some());
    let end = if previous.is_some_and(is_there) { Step::Complete } else { Step::RemoveFiles };
    if end == Step::Complete || is_there(&record.original) {
        return Ok(start.filter(|_| !found.is_running).into_iter().chain([end]).collect());
    }
    let is_changed = found.program_sha256.as_ref().is_some_and(|program| *program != record.replacement_sha256);
    if is_changed && !found.is_hnsproxy {
        return Err(Blocked::ProgramChanged);
    }
    // The version before an interrupted upgrade was ready, so it is preferred to the original.
    if previous.is_some_and(|previous| found.previous_sha256.as_ref() == Some(&previous.sha256)) {
        return Ok([Step::Stop, Step::PutBackPrevious].into_iter().chain(start).chain([Step::Complete]).collect());
    }
    match &found.original_sha256 {
        None => Err(Blocked::OriginalMissing),
        Some(sha256) if *sha256 != record.original.sha256 => Err(Blocked::OriginalDamaged),
        Some(_) => {
            Ok([Step::Stop, Step::PutBackOriginal].into_iter().chain(start).chain([Step::RemoveFiles]).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Step::{Complete, PutBackOriginal, PutBackPrevious, RemoveFiles, Start, Stop};
    use super::*;

    fn record(step: Option<Step>, was_running: bool) -> Record {
        let original = Kept { description: "kube-proxy".into(), is_kube_proxy: true, sha256: "original".into() };
        let (service, replacement_sha256) = ("kube-proxy".into(), "new".into());
        Record { service, original, previous: None, was_running, replacement_sha256, step }
    }

    fn found(program: &str, original: Option<&str>, is_running: bool) -> RestoreState {
        RestoreState {
            program_sha256: (program != "missing").then(|| program.into()),
            previous_sha256: None,
            original_sha256: original.map(Into::into),
            is_running,
            is_hnsproxy: program == "new" || program == "newer",
        }
    }

    #[test]
    fn the_way_back_depends_on_the_files_and_the_record() {
        let kept = Some("original");
        let table = [
            // Complete: back, and running if it runs or ran before.
            ((None, true), found("new", kept, true), Ok(vec![Stop, PutBackOriginal, Start, RemoveFiles])),
            ((None, true), found("new", kept, false), Ok(vec![Stop, PutBackOriginal, Start, RemoveFiles])),
            ((None, false), found("new", kept, false), Ok(vec![Stop, PutBackOriginal, RemoveFiles])),
            ((None, false), found("newer", kept, true), Ok(vec![Stop, PutBackOriginal, Start, RemoveFiles])),
            // Interrupted before the swap: only started, if it ran.
            ((Some(Step::KeepOriginal), true), found("original", None, true), Ok(vec![RemoveFiles])),
            ((Some(Step::Swap), true), found("original", kept, false), Ok(vec![Start, RemoveFiles])),
            ((Some(Step::Swap), false), found("original", kept, false), Ok(vec![RemoveFiles])),
            // Interrupted after it.
            ((Some(Step::Start), true), found("new", kept, false), Ok(vec![Stop, PutBackOriginal, Start, RemoveFiles])),
            ((Some(Step::Start), false), found("new", kept, false), Ok(vec![Stop, PutBackOriginal, RemoveFiles])),
            // Quarantined.
            ((None, true), found("missing", kept, false), Ok(vec![Stop, PutBackOriginal, Start, RemoveFiles])),
            ((None, true), found("missing", None, false), Err(Blocked::OriginalMissing)),
            // Nothing is overwritten that cannot be put back, or that another program has installed.
            ((None, true), found("new", None, true), Err(Blocked::OriginalMissing)),
            ((None, true), found("new", Some("damaged"), true), Err(Blocked::OriginalDamaged)),
            ((None, true), found("kube-proxy 1.37", kept, true), Err(Blocked::ProgramChanged)),
        ];
        for ((step, was_running), found, expected) in table {
            assert_eq!(restore(&record(step, was_running), &found), expected, "{step:?} {was_running} {found:?}");
        }
    }

    #[test]
    fn an_interrupted_upgrade_goes_back_to_the_version_before() {
        let previous = Kept { description: "hnsproxy".into(), is_kube_proxy: false, sha256: "old".into() };
        let record = |step| Record { previous: Some(previous.clone()), ..record(Some(step), true) };
        let found = |program: &str, previous: Option<&str>, is_running| RestoreState {
            previous_sha256: previous.map(Into::into),
            ..found(program, Some("original"), is_running)
        };
        let old = Some("old");
        let table = [
            (Step::KeepPrevious, found("old", None, true), vec![Complete]),
            (Step::Swap, found("old", old, false), vec![Start, Complete]),
            (Step::AwaitReady, found("new", old, true), vec![Stop, PutBackPrevious, Start, Complete]),
            (Step::Swap, found("missing", old, false), vec![Stop, PutBackPrevious, Start, Complete]),
            // What is left is the original.
            (Step::AwaitReady, found("new", None, true), vec![Stop, PutBackOriginal, Start, RemoveFiles]),
            (Step::AwaitReady, found("new", Some("damaged"), true), vec![Stop, PutBackOriginal, Start, RemoveFiles]),
        ];
        for (step, found, expected) in table {
            assert_eq!(restore(&record(step), &found), Ok(expected), "{step:?} {found:?}");
        }
    }

    #[test]
    fn a_failed_replacement_goes_back_to_what_ran_before() {
        assert_eq!(roll_back(Step::Stage, false, true), [RemoveFiles]);
        assert_eq!(roll_back(Step::Stop, false, true), [Start, RemoveFiles]);
        assert_eq!(roll_back(Step::Swap, false, true), [Start, RemoveFiles]);
        assert_eq!(roll_back(Step::Start, false, true), [Stop, PutBackOriginal, Start, RemoveFiles]);
        assert_eq!(roll_back(Step::AwaitReady, false, false), [Stop, PutBackOriginal, RemoveFiles]);
        assert_eq!(roll_back(Step::AwaitReady, true, true), [Stop, PutBackPrevious, Start, Complete]);
    }
}
