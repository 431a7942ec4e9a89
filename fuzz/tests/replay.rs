//! Calls each fuzz target with the files of its folders `seeds` and `regressions`: one test for each file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use fuzz::{TARGETS, Target, check};
use libtest_mimic::{Arguments, Trial};

/// Ten times that of an optimised program.
const MAX_TIME: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let mut trials: Vec<_> = TARGETS.into_iter().flat_map(replays).collect();
    trials.push(Trial::test("each_target_has_seeds_and_each_folder_a_target", || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let known: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names(&root.join("seeds")), known);
        assert!(names(&root.join("regressions")).iter().all(|name| known.contains(name)));
        Ok(())
    }));
    // The memory is that of the process, so one file at a time.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn replays(target: Target) -> impl Iterator<Item = Trial> {
    let (name, _) = target;
    ["seeds", "regressions"].into_iter().flat_map(move |folder| {
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name)).into_iter().map(move |file| {
            let test = format!("{name}::{folder}::{}", file.file_name().unwrap_or_default().display());
            Trial::test(test, move || {
                check(target, &fs::read(&file)?, MAX_TIME);
                Ok(())
            })
        })
    })
}

/// The names of the folders and files in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    files(folder).iter().map(|path| path.file_name().unwrap_or_default().display().to_string()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}
