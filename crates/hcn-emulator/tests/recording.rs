//! Recordings of changes: what is recorded is read again, and what cannot be read is named.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;

use hcn::Kind;
use hcn_emulator::recording::{self, Header, ReadError, Reader, RecordError, Writer};
use hcn_emulator::{Change, ChangeFeed, Emulator, Host, testing};
use serde_json::json;

const FACTS: &str = "recording of a test";

fn facts() -> Host {
    testing::host("15.5", &["L2Bridge"])
}

fn header() -> Header {
    Header::new(FACTS, &facts())
}

/// What two equal subscriptions to a small history receive.
fn history(capacity: usize) -> (Vec<Change>, ChangeFeed) {
    let emulator = Emulator::from_host(&facts()).unwrap();
    let (first, second) = (emulator.follow(100), emulator.follow(capacity));
    let pod = emulator.add_local_endpoint(testing::NETWORKS[0], "pod", &["10.244.1.7".parse().unwrap()]);
    emulator.replace(Kind::Endpoint, pod, json!({"Name": "größer\n", "Health": {"Extra": 1.5}}));
    emulator.stop(&[Kind::Endpoint]);
    emulator.start();
    drop(emulator);
    (std::iter::from_fn(|| first.recv().ok()).collect(), second)
}

fn recorded(folder: &Path, name: &str) -> (Vec<Change>, Vec<u8>) {
    let path = folder.join(name);
    let (changes, feed) = history(100);
    Writer::create(&path, &header()).unwrap().record(&feed).unwrap();
    let reader = recording::open(&path).unwrap();
    assert_eq!(reader.header(), &Header::new(FACTS, &Host { objects: vec![], ..facts() }));
    let mut read: Vec<Change> = reader.map(Result::unwrap).collect();
    // Two histories have different times and ids.
    assert!(read.is_sorted_by_key(|change| change.at));
    for (one, expected) in read.iter_mut().zip(&changes) {
        one.at = expected.at;
    }
    assert_eq!(read.len(), changes.len());
    (read, fs::read(path).unwrap())
}

#[test]
fn what_is_recorded_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, text) = recorded(folder.path(), "recording.jsonl");
    let (compressed, bytes) = recorded(folder.path(), "recording.jsonl.GZ");
    assert_eq!(plain.len(), compressed.len());
    assert!(
        bytes.len() < text.len()
            && text.starts_with(br#"{"recording":1,"about":"recording of a test","host":{"hnsVersion":"15.5""#)
    );
    // The content decides, not the name.
    let renamed = folder.path().join("renamed");
    fs::write(&renamed, bytes).unwrap();
    assert_eq!(recording::open(&renamed).unwrap().filter(Result::is_ok).count(), compressed.len());
}

#[test]
fn each_change_is_one_line() {
    let line = |change: &Change| serde_json::to_string(change).unwrap();
    let (changes, _) = history(100);
    let mut written = Writer::new(Vec::new(), &header()).unwrap();
    changes.iter().for_each(|change| written.write(change).unwrap());
    let text = String::from_utf8(written.into_inner()).unwrap();
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), changes.iter().map(line).collect::<Vec<_>>());
    let read: Vec<Change> = Reader::new(text.as_bytes()).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, changes);
    let at = changes[1].at.as_micros();
    assert_eq!(line(&changes[1]), format!(r#"{{"at":{at},"change":"initialStateEnd"}}"#));
}

#[test]
fn a_recording_with_missing_changes_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording");
    let (_, feed) = history(1);
    let recorded = Writer::create(&path, &header()).unwrap().record(&feed);
    assert!(matches!(recorded, Err(RecordError::Incomplete(_))), "{recorded:?}");
    assert_eq!(recording::open(&path).unwrap().filter(Result::is_ok).count(), 3);
}

#[test]
fn bad_lines_are_named_and_the_others_are_read() {
    let header = serde_json::to_string(&header()).unwrap();
    let lines = [
        header.as_str(),
        r#"{"at":5,"change":"serviceStopped"}"#,
        r#"{"at":4,"change":"serviceStarted"}"#,
        "",
        r#"{"at":6,"change":"removed","kind":"Endpoint","id":"7"}"#,
        r#"{"at":-1,"change":"serviceStarted"}"#,
        r#"{"at":6,"change":"other"}"#,
        r#"{"at":6,"change":"serviceStarted"}"#,
        r#"{"at":7,"change":"serv"#,
    ];
    let text = lines.join("\n");
    let read: Vec<Result<u128, u64>> = Reader::new(text.as_bytes())
        .unwrap()
        .map(|change| match change {
            Ok(change) => Ok(change.at.as_micros()),
            Err(ReadError::Line { line, .. }) => Err(line),
            Err(other) => panic!("{other}"),
        })
        .collect();
    assert_eq!(read, [Ok(5), Err(3), Err(4), Err(5), Err(6), Err(7), Ok(6), Err(9)]);
}

#[test]
fn what_is_not_a_recording_is_rejected() {
    let error = |text: &str| Reader::new(text.as_bytes()).map(drop).unwrap_err();
    assert!(matches!(error(""), ReadError::Header(_)));
    assert!(matches!(error("{}"), ReadError::Header(_)));
    assert!(matches!(error(r#"{"recording":1}"#), ReadError::Header(_)));
    assert!(matches!(error(r#"{"recording":2,"other":[]}"#), ReadError::Version(2)));
    let missing = recording::open(Path::new("missing/recording")).map(drop);
    assert!(matches!(missing, Err(ReadError::Io(_))));
}

#[test]
fn a_compressed_recording_that_is_cut_ends_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (_, bytes) = recorded(folder.path(), "recording.gz");
    let path = folder.path().join("cut.gz");
    fs::write(&path, &bytes[..bytes.len() - 10]).unwrap();
    let read: Vec<_> = recording::open(&path).unwrap().collect();
    assert!(matches!(read.last(), Some(Err(ReadError::Io(_)))), "{read:?}");
    assert_eq!(read.iter().filter(|line| matches!(line, Err(ReadError::Io(_)))).count(), 1);
}
