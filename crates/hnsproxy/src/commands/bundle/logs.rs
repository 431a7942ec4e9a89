//! The end of the log files, the files of the history, and the event log of Windows.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hcn_survey::output;

use super::super::bounded::begin;
use super::part::Part;
use crate::cli::LogOutputArgs;
use crate::history::saved_in;
use crate::saved_file::open_regular;

/// The maximum total size of the files of one log, in bytes. The newest lines are kept.
const MAX_LOG: u64 = 10 << 20;
/// The maximum number of files of one log that are read.
const MAX_FILES: u32 = 20;
/// The time limit for reading all files of one log, or one event log.
const LIMIT: Duration = Duration::from_secs(15);

/// The event logs: the name of the part, the name of the log, and the query for its events.
const EVENT_LOGS: [(&str, &str, &str); 3] = [
    ("events/hnsproxy.txt", "Application", "/q:*[System[Provider[@Name='hnsproxy']]]"),
    ("events/hns-admin.txt", "Microsoft-Windows-Host-Network-Service-Admin", "/q:*"),
    ("events/system.txt", "System", "/q:*[System[(Level=1 or Level=2 or Level=3)]]"),
];

/// `found` are the log files of the running hnsproxy and of its service.
pub(super) fn parts(args: &LogOutputArgs, found: impl Iterator<Item = PathBuf>) -> Vec<Part> {
    let files: BTreeSet<PathBuf> = args.file().map(|file| file.path).into_iter().chain(found).collect();
    let mut parts = Vec::new();
    if files.is_empty() {
        parts.push(Part::not_applicable("log", "log file not found: if hnsproxy writes one, set --log-file"));
    }
    for (number, file) in files.into_iter().enumerate() {
        parts.extend(log(&format!("log/{number}"), &file));
    }
    parts.extend(EVENT_LOGS.map(|(name, log, query)| event_log(name, log, query)));
    parts
}

/// The files of the history in a folder: a hnsproxy that does not run has no page with it.
pub(super) fn history(folder: Option<&Path>) -> Vec<Part> {
    let files = folder.into_iter().flat_map(saved_in);
    let part = |file: PathBuf| {
        let name = format!("history/{}", file.file_name().unwrap_or_default().to_string_lossy());
        let path = file.clone();
        match begin(LIMIT, move || tail(&path, MAX_LOG)).wait() {
            Ok(Ok(Tail { text, .. })) => Part::text(name, Ok(text)),
            // The second file does not exist before the first one was full.
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Part::not_applicable(name, error.to_string()),
            Ok(Err(error)) => Part::text(name, Err(format!("cannot read {}: {error}", file.display()))),
            Err(reason) => Part::text(name, Err(format!("cannot read {}: {reason}", file.display()))),
        }
    };
    files.map(part).collect()
}

/// The files of a log, the newest first.
fn log(prefix: &str, log: &Path) -> Vec<Part> {
    let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let path = log.to_owned();
    let read = begin(LIMIT, move || tails(&path, MAX_LOG)).wait();
    let failed = |error: String| {
        vec![Part::text(format!("{prefix}/{name}"), Err(format!("cannot read {}: {error}", log.display())))]
    };
    match read {
        Ok(Ok(texts)) => {
            let named = texts.into_iter().enumerate().map(|(number, text)| {
                let suffix = if number == 0 { String::new() } else { format!(".{number}") };
                Part::text(format!("{prefix}/{name}{suffix}"), Ok(text))
            });
            named.collect()
        }
        Ok(Err(error)) => failed(error.to_string()),
        Err(reason) => failed(reason),
    }
}

/// Reads the ends of a log file and of its backups, up to a total size.
fn tails(log: &Path, max: u64) -> io::Result<Vec<String>> {
    let mut newest = tail(log, max)?;
    let (mut texts, mut left) = (Vec::new(), max);
    for number in 1..=MAX_FILES {
        let Tail { text, is_whole } = newest;
        left = left.saturating_sub(text.len() as u64);
        texts.push(text);
        let mut name = OsString::from(log);
        name.push(format!(".{number}"));
        match tail(Path::new(&name), left) {
            Ok(backup) if is_whole && left > 0 => newest = backup,
            _ => break,
        }
    }
    Ok(texts)
}

/// The last lines of a file.
struct Tail {
    text: String,
    /// Whether these are all lines.
    is_whole: bool,
}

fn tail(path: &Path, max: u64) -> io::Result<Tail> {
    let mut file = open_regular(path)?;
    let begin = file.metadata()?.len().saturating_sub(max);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // The first line is incomplete, unless it is the beginning of the file.
    let whole_lines = text.split_once('\n').filter(|_| begin > 0).map(|(_, rest)| rest.to_owned());
    Ok(Tail { text: whole_lines.unwrap_or_else(|| text.into_owned()), is_whole: begin == 0 })
}

fn event_log(name: &'static str, log: &'static str, query: &'static str) -> Part {
    if !cfg!(windows) {
        return Part::not_applicable(name, "only on Windows");
    }
    // The last 500 events, the newest first.
    let arguments = ["qe", log, query, "/c:500", "/rd:true", "/f:text"];
    let text = begin(LIMIT, move || output("wevtutil.exe", &arguments)).wait();
    Part::text(name, text.and_then(|text| text.ok_or_else(|| "cannot start wevtutil.exe".to_owned())))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::part::Content;
    use super::*;

    #[test]
    fn the_newest_lines_of_a_log_and_its_backups_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        for (name, text) in
            [("log", "five\nsix\n"), ("log.1", "three\nfour\n"), ("log.2", "one\ntwo\n"), ("log.4", "zero\n")]
        {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let texts = |max| tails(&log, max).unwrap();
        assert_eq!(texts(100), ["five\nsix\n", "three\nfour\n", "one\ntwo\n"]);
        assert_eq!(texts(16), ["five\nsix\n", "four\n"]);
        assert_eq!(texts(5), ["six\n"]);
        tails(&directory.path().join("missing"), 5).unwrap_err();
    }

    #[test]
    fn the_files_of_the_history_are_parts() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("history.jsonl"), "{}\n").unwrap();
        let names: Vec<_> = history(Some(folder.path())).into_iter().map(|part| (part.name, part.content)).collect();
        let written = |name: &str| {
            let content = names.iter().find(|(of, _)| of == name).map(|(_, content)| content);
            content.and_then(|content| match content {
                Content::Text(text) => Some(text.clone()),
                _ => None,
            })
        };
        assert_eq!(
            (names.len(), written("history/history.jsonl"), written("history/history.1.jsonl")),
            (2, Some("{}\n".to_owned()), None)
        );
        assert!(history(None).is_empty());
    }
}
