//! Tests of the pages and links of the book.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{links, pages};

#[test]
fn links_to_files_are_changed_and_others_stay() {
    let text = "[a](../CODE.rs#part), [docs/b](b.md) and [c](https://example.com/b.md), [d](#part), ![e](e.png)\n\n    [f](b.md)\n";
    let changed = links::rewrite(Path::new("docs/page.md"), text, |file| Some(format!("<{}>", file.display())));
    assert_eq!(
        changed,
        "[a](<CODE.rs>#part), [docs/b](<docs/b.md>) and [c](https://example.com/b.md), [d](#part), ![e](<docs/e.png>)\n\n    [f](b.md)\n"
    );
}

#[test]
fn a_link_out_of_the_repository_stays() {
    let text = "[a](../../a.md)";
    assert_eq!(links::rewrite(Path::new("docs/page.md"), text, |_| Some("changed".to_owned())), text);
}

/// A repository with files of the same text.
fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let file = folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    folder
}

fn files(folder: &Path) -> BTreeSet<(PathBuf, String)> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                found.insert((path.strip_prefix(folder).unwrap().to_owned(), text));
            }
        }
    }
    found
}

#[test]
fn the_book_has_its_pages_and_pictures_and_links_to_the_repository() {
    let repository = repository(&[
        ("docs/SUMMARY.md", "- [A](a.md)\n- [Read](../README.md)\n"),
        ("docs/a.md", "[b](../README.md) [c](../src/c.rs) ![d](d.svg)"),
        ("docs/d.svg", "picture"),
        ("docs/install/page.txt", "no page"),
        ("README.md", "[a](docs/a.md)"),
        ("src/c.rs", "code"),
    ]);
    let book = tempfile::tempdir().unwrap();
    pages::copy(repository.path(), book.path()).unwrap();
    let expected = [
        ("SUMMARY.md", "- [A](docs/a.md)\n- [Read](README.md)\n"),
        ("docs/a.md", "[b](../README.md) [c](https://github.com/hnsproxy/hnsproxy/blob/main/src/c.rs) ![d](d.svg)"),
        ("docs/d.svg", "picture"),
        ("README.md", "[a](docs/a.md)"),
    ];
    let expected = expected.map(|(path, text)| (PathBuf::from(path), text.to_owned()));
    assert_eq!(files(book.path()), BTreeSet::from(expected));
}

#[test]
fn a_page_that_the_table_of_contents_lacks_is_an_error() {
    let repository = repository(&[
        ("docs/SUMMARY.md", "- [A](a.md)\n"),
        ("docs/a.md", ""),
        ("docs/b.md", ""),
        ("docs/install/c.md", ""),
    ]);
    let book = tempfile::tempdir().unwrap();
    let error = pages::copy(repository.path(), book.path()).unwrap_err();
    assert_eq!(error.to_string(), "pages that docs/SUMMARY.md does not list: docs/b.md, docs/install/c.md");
}
