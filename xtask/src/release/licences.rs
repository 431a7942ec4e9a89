//! The licences of the packages in the program, as one text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::bill::Package;

/// The prefixes of file names of licences and notices.
const FILE_NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
/// The parts of the program that are not Cargo packages.
const RUNTIME: &str = "\
The program also has parts of the Rust standard library (MIT OR Apache-2.0, https://github.com/rust-lang/rust),
and start code of mingw-w64 (public domain and ZPL-2.1, https://www.mingw-w64.org) and of GCC (GPL-3.0 with the
GCC Runtime Library Exception 3.1).
";

/// Lists the packages, then each text once with the packages that have it.
pub(super) fn text(packages: &[Package]) -> Result<String> {
    let mut list = String::new();
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages {
        let title = format!("{} {}", package.name.name, package.name.version);
        let texts = texts(&package.folder)?;
        let mut about = format!("{title}: {}", package.license);
        if texts.is_empty() && !package.authors.is_empty() {
            write!(about, ", by {}", package.authors.join(", "))?;
        }
        writeln!(list, "{about}")?;
        for (file, text) in texts {
            users.entry(text).or_default().push(format!("{title} ({file})"));
        }
    }
    let mut result = format!("Licences of the packages in hnsproxy.exe\n\n{RUNTIME}\n{list}");
    for (text, users) in users {
        write!(result, "\n{}\n{}\n\n{text}\n", "=".repeat(78), users.join("\n"))?;
    }
    Ok(result)
}

/// The names and contents of the files with licences of a package, sorted.
fn texts(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let upper = name.to_uppercase();
        if path.is_file() && FILE_NAMES.iter().any(|begin| upper.starts_with(begin)) {
            let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let text = String::from_utf8_lossy(&text).replace("\r\n", "\n");
            texts.insert(name, text.trim_end().to_owned());
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::bill::Name;
    use super::*;

    #[test]
    fn a_text_of_several_packages_is_printed_once() {
        let folder = tempfile::tempdir().unwrap();
        let package = |name: &str, licence: Option<&str>| {
            let folder = folder.path().join(name);
            fs::create_dir_all(&folder).unwrap();
            if let Some(licence) = licence {
                fs::write(folder.join("LICENSE-MIT"), licence).unwrap();
            }
            Package {
                name: Name { name: name.to_owned(), version: "1.0.0".to_owned() },
                license: "MIT".to_owned(),
                authors: vec!["Someone".to_owned()],
                repository: None,
                checksum: None,
                folder,
                uses: BTreeSet::new(),
            }
        };
        let packages = [package("a", Some("free\r\n")), package("b", Some("free\n")), package("c", None)];
        let expected = format!(
            "Licences of the packages in hnsproxy.exe\n\n{RUNTIME}\n\
            a 1.0.0: MIT\nb 1.0.0: MIT\nc 1.0.0: MIT, by Someone\n\n{}\n\
            a 1.0.0 (LICENSE-MIT)\nb 1.0.0 (LICENSE-MIT)\n\nfree\n",
            "=".repeat(78)
        );
        assert_eq!(text(&packages).unwrap(), expected);
    }
}
