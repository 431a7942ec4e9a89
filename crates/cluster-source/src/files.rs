//! The cluster from files: one file, or all YAML and JSON files below a directory, in the order of their paths.
//!
//! The last content of a file stays valid while the file cannot be read, is empty, or is cut, so that a partly saved file does not delete Services. That of
//! all files stays valid while the directory has no files. Of a file that has changed, only the documents and list items that have changed are parsed again.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalog::{Catalog, CatalogBuilder};
use crate::document::{self, Part, SyntaxError};
use crate::file_list::{self, ListError, extension};
use crate::file_text::read_text;
use crate::loaded::Loaded;

/// Why cluster files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("invalid YAML or JSON in {}: {error}", path.display())]
    Syntax { path: PathBuf, error: SyntaxError },
    /// It had objects before.
    #[error("no objects in {}: the file is empty", path.display())]
    Emptied { path: PathBuf },
    /// Its text is the begin of the text that it had, and ends inside a line of it.
    #[error("the end of {} is missing: the file ends inside a line that was longer", path.display())]
    Cut { path: PathBuf },
    #[error("no cluster files in {}: expected names that end in .yaml, .yml or .json", path.display())]
    Empty { path: PathBuf },
}

/// A text that is the begin of the text that the file had, and ends between two lines, is used after this time. It may be cut: a program that
/// writes a file truncates it first, and writes the rest at once.
pub(crate) const CUT_CONFIRMATION: Duration = Duration::from_secs(2);

/// The files below a path, each with the content that was last read successfully.
#[derive(Debug, Default)]
pub struct Files {
    root: PathBuf,
    contents: BTreeMap<PathBuf, Content>,
    /// The files that may be cut.
    unconfirmed: BTreeMap<PathBuf, Unconfirmed>,
    parsed: Parsed,
}

#[derive(Debug, Default)]
struct Content {
    /// Empty if it is JSON: JSON that is cut is invalid.
    yaml: String,
    documents: Vec<Document>,
    /// Whether an item of a YAML List is invalid on its own, so that the documents are whole.
    is_whole: bool,
}

/// A text that may be cut.
#[derive(Debug)]
struct Unconfirmed {
    /// In bytes. With the text that it is the begin of, it identifies the text.
    length: usize,
    since: Instant,
}

/// How much was parsed since the files were opened. Text that has not changed is not parsed again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Documents, and items of Lists.
    pub documents: u64,
    pub bytes: u64,
}

/// A document of a file, or an item of a List in it.
#[derive(Debug, Clone)]
struct Document {
    /// Of its text.
    hash: u64,
    objects: Arc<[Loaded]>,
}

impl Files {
    /// Reads all files. Of a directory, a file that cannot be read is left out, and its error is returned.
    ///
    /// # Errors
    /// If no file can be read, or there is no file.
    pub fn open(root: &Path) -> Result<(Self, Vec<FileError>), FileError> {
        let mut files = Self { root: root.to_owned(), ..Self::default() };
        let mut errors = files.refresh(now());
        if !files.contents.is_empty() {
            return Ok((files, errors));
        }
        Err(if errors.is_empty() { FileError::Empty { path: root.to_owned() } } else { errors.swap_remove(0) })
    }

    /// Reads all files again. A file that cannot be read keeps its last content, and so do all files of a directory that has none any more. The
    /// errors are returned.
    pub fn refresh(&mut self, now: Instant) -> Vec<FileError> {
        let mut errors = Vec::new();
        let paths = match file_list::list(&self.root) {
            Ok(paths) => paths,
            Err(ListError { path, source }) => return vec![FileError::Unreadable { path, source }],
        };
        // An unmounted share and a swapped mount show an empty directory, too. It says nothing of what the cluster has.
        if paths.is_empty() && !self.contents.is_empty() {
            return vec![FileError::Empty { path: self.root.clone() }];
        }
        self.contents.retain(|path, _| paths.contains(path));
        self.unconfirmed.retain(|path, _| paths.contains(path));
        for path in paths {
            let none = Content::default();
            let known = self.contents.get(&path).unwrap_or(&none);
            let unconfirmed = self.unconfirmed.remove(&path);
            let read = read_text(&path).map_err(unreadable(&path));
            match read.and_then(|text| content(&path, text, known, unconfirmed, now, &mut self.parsed)) {
                Ok(Read::Content(content)) => drop(self.contents.insert(path, content)),
                Ok(Read::Unconfirmed(text)) => drop(self.unconfirmed.insert(path, text)),
                Err(error) => errors.push(error),
            }
        }
        errors
    }

    /// Whether a file may be cut, and has to be read again after [`CUT_CONFIRMATION`].
    pub(crate) fn has_unconfirmed(&self) -> bool {
        !self.unconfirmed.is_empty()
    }

    /// The cluster of all files together.
    pub fn catalog(&self) -> Catalog {
        let names: Vec<_> = self.contents.keys().map(|path| path.display().to_string()).collect();
        let mut catalog = CatalogBuilder::default();
        for (name, content) in names.iter().zip(self.contents.values()) {
            let objects = content.documents.iter().flat_map(|document| document.objects.iter());
            objects.enumerate().for_each(|(index, object)| catalog.add(object, index + 1, name));
        }
        catalog.finish()
    }

    pub fn parsed(&self) -> Parsed {
        self.parsed
    }
}

impl Files {
    /// Creates a catalog of one file from its text. The path is used in messages, and its extension determines the syntax.
    ///
    /// # Errors
    /// If the text is invalid.
    pub fn of_text(path: &Path, text: &str) -> Result<Self, FileError> {
        let mut files = Self::default();
        files.refresh_text(path, text).map(|()| files)
    }

    /// Replaces the text of the file, as a refresh does.
    pub(crate) fn refresh_text(&mut self, path: &Path, text: &str) -> Result<(), FileError> {
        let none = Content::default();
        let known = self.contents.get(path).unwrap_or(&none);
        if let Read::Content(content) = content(path, text.to_owned(), known, None, now(), &mut self.parsed)? {
            self.contents.insert(path.to_owned(), content);
        }
        Ok(())
    }
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> FileError {
    let path = path.to_owned();
    |source| FileError::Unreadable { path, source }
}

#[allow(clippy::disallowed_methods, reason = "the time of the file system, not of the core")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

enum Read {
    Content(Content),
    Unconfirmed(Unconfirmed),
}

/// Parses the parts of the text of a file that are not in `known`.
fn content(
    path: &Path,
    text: String,
    known: &Content,
    unconfirmed: Option<Unconfirmed>,
    now: Instant,
    parsed: &mut Parsed,
) -> Result<Read, FileError> {
    let syntax = |error| FileError::Syntax { path: path.to_owned(), error };
    let parts = document::parts(&text, extension(path) == "json").map_err(syntax)?;
    let is_yaml = parts.iter().any(Part::is_yaml);
    let had_objects = known.documents.iter().any(|document| !document.objects.is_empty());
    let of_hash: HashMap<u64, &Document> = known.documents.iter().map(|document| (document.hash, document)).collect();
    let whole = || document::documents(&text);
    // Without this, the invalid item would be parsed again each time.
    let is_known = known.is_whole && whole().iter().all(|document| of_hash.contains_key(&document.hash()));
    let split = if is_known { None } else { Some(parse(&parts, &of_hash, parsed)) };
    let (is_whole, documents) = match split {
        None => (true, parse(&whole(), &of_hash, parsed)),
        // The text of a YAML item is not a whole one, for example if it has an alias of an anchor in another item.
        Some(Err(_)) if parts.iter().any(Part::is_yaml_item) => (true, parse(&whole(), &of_hash, parsed)),
        Some(documents) => (false, documents),
    };
    let documents = documents.map_err(syntax)?;
    // A program that writes a file truncates it first, and may fail then.
    if had_objects && documents.iter().all(|document| document.objects.is_empty()) {
        return Err(FileError::Emptied { path: path.to_owned() });
    }
    if had_objects
        && is_yaml
        && let Some(rest) = missing_end(&known.yaml, &text)
    {
        // Nobody removes the end of a line and all that follows. It is cut.
        if !text.ends_with('\n') && !rest.starts_with(['\r', '\n']) {
            return Err(FileError::Cut { path: path.to_owned() });
        }
        let length = text.len();
        let unconfirmed = unconfirmed.filter(|known| known.length == length);
        let since = unconfirmed.map_or(now, |known| known.since);
        if now.saturating_duration_since(since) < CUT_CONFIRMATION {
            return Ok(Read::Unconfirmed(Unconfirmed { length, since }));
        }
    }
    Ok(Read::Content(Content { yaml: if is_yaml { text } else { String::new() }, documents, is_whole }))
}

/// What a text lacks at its end, compared with the text before. None if they differ in anything else than white space at the end.
fn missing_end<'a>(before: &'a str, text: &str) -> Option<&'a str> {
    before.strip_prefix(text).filter(|rest| !rest.trim().is_empty())
}

fn parse(
    parts: &[Part<'_>],
    known: &HashMap<u64, &Document>,
    parsed: &mut Parsed,
) -> Result<Vec<Document>, SyntaxError> {
    let parse = |part: &Part<'_>| {
        let hash = part.hash();
        if let Some(known) = known.get(&hash) {
            return Ok(Document::clone(known));
        }
        parsed.documents += 1;
        parsed.bytes += part.len() as u64;
        Ok(Document { hash, objects: part.parse()?.into_iter().map(Loaded::new).collect() })
    };
    parts.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SERVICE: &str =
        "apiVersion: v1\nkind: Service\nmetadata: {namespace: ns, name: NAME}\nspec: {clusterIP: 10.0.0.1}\n";

    fn names(files: &Files) -> Vec<String> {
        files.catalog().services.keys().map(|name| name.name.to_string()).collect()
    }

    fn open(root: &Path) -> Files {
        let (files, errors) = Files::open(root).unwrap();
        assert!(errors.is_empty(), "{errors:?}");
        files
    }

    /// The documents that a refresh parses.
    fn parsed_again(files: &mut Files) -> u64 {
        let before = files.parsed().documents;
        assert!(files.refresh(now()).is_empty());
        files.parsed().documents - before
    }

    #[test]
    fn a_directory_is_read_recursively_and_in_order() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("b")).unwrap();
        for (path, name) in [("b/x.yml", "two"), ("a.YAML", "one"), ("c.txt", "no"), (".d.yaml", "no")] {
            fs::write(directory.path().join(path), SERVICE.replace("NAME", name)).unwrap();
        }
        assert_eq!(names(&open(directory.path())), ["one", "two"]);
    }

    #[test]
    fn a_file_that_becomes_invalid_keeps_its_last_content() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("1.yaml"), directory.path().join("2.yaml"));
        fs::write(&one, SERVICE.replace("NAME", "one")).unwrap();
        fs::write(&two, SERVICE.replace("NAME", "two")).unwrap();
        let mut files = open(directory.path());
        fs::write(&one, "kind: [").unwrap();
        fs::remove_file(&two).unwrap();
        let errors = files.refresh(now());
        assert_eq!(errors.len(), 1);
        assert!(errors[0].to_string().contains("1.yaml: line "), "{}", errors[0]);
        assert_eq!(names(&files), ["one"]);
        fs::write(&one, SERVICE.replace("NAME", "three")).unwrap();
        assert!(files.refresh(now()).is_empty());
        assert_eq!(names(&files), ["three"]);
    }

    #[test]
    fn a_file_that_becomes_empty_keeps_its_last_content() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        for text in ["", " \n\n", "---\n# nothing\n---\n", "apiVersion: v1\nkind: List\nitems:\n"] {
            fs::write(&file, SERVICE).unwrap();
            let mut files = open(&file);
            fs::write(&file, text).unwrap();
            assert!(
                matches!(files.refresh(now()).as_slice(), [FileError::Emptied { path }] if *path == file),
                "{text:?}"
            );
            assert_eq!(names(&files), ["NAME"], "{text:?}");
        }
    }

    #[test]
    fn a_text_that_ends_inside_a_line_of_the_text_before_is_cut() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        let whole = format!("{SERVICE}---\n{}", SERVICE.replace("NAME", "two"));
        fs::write(&file, &whole).unwrap();
        let mut files = open(&file);
        // In the second document, within `namespace`.
        fs::write(&file, &whole[..whole.rfind("space: ns").unwrap()]).unwrap();
        assert!(!files.refresh(now()).is_empty());
        // In the first document, which stays valid.
        fs::write(&file, &whole[..SERVICE.find("Service").unwrap() + 4]).unwrap();
        for at in [now(), now() + CUT_CONFIRMATION] {
            assert!(matches!(files.refresh(at).as_slice(), [FileError::Cut { path }] if *path == file));
        }
        assert_eq!(names(&files), ["NAME", "two"]);
        fs::write(&file, whole.trim_end()).unwrap();
        assert!(files.refresh(now()).is_empty(), "only the line end is missing");
    }

    #[test]
    fn a_text_that_ends_between_lines_of_the_text_before_is_used_after_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        let whole = ["one", "two", "three"].map(|name| SERVICE.replace("NAME", name)).join("---\n");
        let begin = now();
        for end in [
            "---\napiVersion: v1\nkind: Service\nmetadata: {namespace: ns, name: three}",
            "apiVersion: v1\nkind: Service\nmetadata: {namespace: ns, name: three}",
        ] {
            fs::write(&file, &whole).unwrap();
            let mut files = open(&file);
            fs::write(&file, &whole[..whole.find(end).unwrap()]).unwrap();
            for at in [begin, begin + CUT_CONFIRMATION / 2] {
                assert!(files.refresh(at).is_empty());
                assert_eq!((names(&files).len(), files.has_unconfirmed()), (3, true));
            }
            assert!(files.refresh(begin + CUT_CONFIRMATION).is_empty());
            assert_eq!((names(&files).len(), files.has_unconfirmed()), (2, false));
        }
    }

    #[test]
    fn a_file_that_is_written_on_within_the_time_is_never_used_half() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        let documents = ["one", "two", "three"].map(|name| SERVICE.replace("NAME", name));
        fs::write(&file, documents.join("---\n")).unwrap();
        let mut files = open(&file);
        let begin = now();
        for (count, seconds) in [(1, 0), (2, 2), (3, 4)] {
            fs::write(&file, documents[..count].join("---\n")).unwrap();
            assert!(files.refresh(begin + Duration::from_secs(seconds)).is_empty());
            assert_eq!(names(&files).len(), 3);
        }
        assert!(!files.has_unconfirmed());
    }

    #[test]
    fn a_file_of_a_directory_that_cannot_be_read_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.yaml"), "{{ if .Values.x }}\n").unwrap();
        fs::write(directory.path().join("b.yaml"), SERVICE).unwrap();
        let (files, errors) = Files::open(directory.path()).unwrap();
        assert!(matches!(errors.as_slice(), [FileError::Syntax { .. }]), "{errors:?}");
        assert_eq!(names(&files), ["NAME"]);
    }

    #[test]
    fn a_directory_that_loses_all_files_keeps_their_content_until_it_has_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| directory.path().join(format!("{name}.yaml")));
        fs::write(&one, SERVICE.replace("NAME", "one")).unwrap();
        fs::write(&two, SERVICE.replace("NAME", "two")).unwrap();
        let mut files = open(directory.path());
        [&one, &two].into_iter().for_each(|path| fs::remove_file(path).unwrap());
        let errors = files.refresh(now());
        assert!(matches!(errors.as_slice(), [FileError::Empty { path }] if path == directory.path()), "{errors:?}");
        assert_eq!(names(&files), ["one", "two"]);
        // A file without objects says that there are none.
        fs::write(directory.path().join("none.yaml"), "").unwrap();
        assert!(files.refresh(now()).is_empty());
        assert_eq!(names(&files), [""; 0]);
    }

    #[test]
    fn a_missing_file_or_an_empty_directory_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let error = Files::open(directory.path()).unwrap_err();
        assert!(matches!(error, FileError::Empty { .. }), "{error}");
        let error = Files::open(&directory.path().join("none.yaml")).unwrap_err();
        assert!(matches!(error, FileError::Unreadable { .. }), "{error}");
    }

    #[test]
    fn only_the_documents_of_an_edited_file_are_parsed() {
        let directory = tempfile::tempdir().unwrap();
        for (file, names) in [("a.yaml", ["a", "b"]), ("b.yaml", ["c", "d"])] {
            let text = names.map(|name| SERVICE.replace("NAME", name)).join("---\n");
            fs::write(directory.path().join(file), text).unwrap();
        }
        let mut files = open(directory.path());
        assert_eq!(files.parsed().documents, 4);
        assert_eq!(parsed_again(&mut files), 0);
        let edited = SERVICE.replace("NAME", "e") + "---\n" + &SERVICE.replace("NAME", "f");
        fs::write(directory.path().join("b.yaml"), &edited).unwrap();
        assert_eq!((parsed_again(&mut files), names(&files).join(" ").as_str()), (2, "a b e f"));
        // A file that moves within the order is the same text, but another file.
        fs::remove_file(directory.path().join("a.yaml")).unwrap();
        assert_eq!((parsed_again(&mut files), names(&files).join(" ").as_str()), (0, "e f"));
    }

    #[test]
    fn only_the_edited_documents_of_a_file_are_parsed() {
        let directory = tempfile::tempdir().unwrap();
        let all = ["a", "b", "c", "d"];
        let yaml = |names: &[&str]| {
            let documents: Vec<_> =
                names.iter().map(|name| format!("---\n{}", SERVICE.replace("NAME", name))).collect();
            documents.concat()
        };
        let yaml_list = |names: &[&str]| {
            let item = |name: &&str| format!("- {}", SERVICE.replace("NAME", name).trim_end().replace('\n', "\n  "));
            format!("apiVersion: v1\nitems:\n{}\nkind: List\n", names.iter().map(item).collect::<Vec<_>>().join("\n"))
        };
        let json_list = |names: &[&str]| {
            let item = |name: &&str| {
                serde_json::json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"namespace": "ns", "name": name}, "spec": {"clusterIP": "10.0.0.1"}})
            };
            serde_json::json!({"kind": "List", "items": names.iter().map(item).collect::<Vec<_>>()}).to_string()
        };
        type Form<'a> = &'a dyn Fn(&[&str]) -> String;
        let forms: [(&str, Form<'_>); 3] = [("a.yaml", &yaml), ("b.yaml", &yaml_list), ("c.json", &json_list)];
        for (name, form) in forms {
            let file = directory.path().join(name);
            fs::write(&file, form(&all)).unwrap();
            let mut files = open(&file);
            assert_eq!(files.parsed().documents, 4, "{name}");
            // An edit, an addition, and a removal at the start, which moves all others.
            for (edited, expected) in
                [(&["a", "x", "c", "d"][..], 1), (&["a", "x", "c", "d", "y"], 1), (&["x", "c"], 0)]
            {
                fs::write(&file, form(edited)).unwrap();
                assert_eq!(parsed_again(&mut files), expected, "{name}: {edited:?}");
                let mut edited = edited.to_vec();
                edited.sort();
                assert_eq!(names(&files), edited, "{name}");
            }
        }
    }

    #[test]
    fn an_item_with_an_alias_of_another_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        let text = "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {namespace: ns, name: a}\n  spec: &spec\n    clusterIP: 10.0.0.1\n\
            - metadata: {namespace: ns, name: b}\n  spec: *spec\n";
        fs::write(&file, text).unwrap();
        let mut files = open(&file);
        assert_eq!((names(&files), parsed_again(&mut files)), (vec!["a".to_owned(), "b".to_owned()], 0));
        fs::write(&file, text.replace(" b}", " c}")).unwrap();
        // The two items up to the invalid one, and the whole document.
        assert_eq!((parsed_again(&mut files), names(&files)), (3, vec!["a".to_owned(), "c".to_owned()]));
        fs::write(&file, text.replace("*spec", "{clusterIP: 10.0.0.2}")).unwrap();
        assert_eq!((parsed_again(&mut files), names(&files)), (2, vec!["a".to_owned(), "b".to_owned()]));
    }
}
