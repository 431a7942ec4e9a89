//! The source of the book: the pages that `docs/SUMMARY.md` lists and their pictures, at the same paths as in the repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::links;

/// The table of contents, in which mdbook finds the pages.
const SUMMARY: &str = "docs/SUMMARY.md";
/// Where links to files that are not in the book lead.
const REPOSITORY: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main");

/// Copies the pages of a repository to a folder.
///
/// # Errors
/// If a page does not exist, or a page of `docs` is not listed.
pub(super) fn copy(repository: &Path, to: &Path) -> Result<()> {
    let read = |page: &Path| {
        let file = repository.join(page);
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
    };
    let summary = Path::new(SUMMARY);
    let contents = read(summary)?;
    let pages: BTreeSet<PathBuf> = links::targets(summary, &contents).into_iter().collect();
    let missing: Vec<String> = unlisted(repository, &pages)?;
    ensure!(missing.is_empty(), "pages that {SUMMARY} does not list: {}", missing.join(", "));
    write(&to.join("SUMMARY.md"), links::rewrite(summary, &contents, |page| Some(page.display().to_string())))?;
    for page in &pages {
        let text = read(page)?;
        let pictures = links::targets(page, &text).into_iter().filter(|file| is_picture(file));
        for picture in pictures {
            let content = fs::read(repository.join(&picture)).with_context(|| picture.display().to_string())?;
            write(&to.join(&picture), content)?;
        }
        write(&to.join(page), links::rewrite(page, &text, |file| outside(repository, file, &pages)))?;
    }
    Ok(())
}

/// The address of a file that is not in the book. A missing one stays a relative link, which the check of links finds.
fn outside(repository: &Path, file: &Path, pages: &BTreeSet<PathBuf>) -> Option<String> {
    let is_outside = !pages.contains(file) && !is_picture(file) && repository.join(file).exists();
    is_outside.then(|| format!("{REPOSITORY}/{}", file.display()))
}

/// The pages of `docs` that are not in the table of contents.
fn unlisted(repository: &Path, pages: &BTreeSet<PathBuf>) -> Result<Vec<String>> {
    let mut unlisted = Vec::new();
    for folder in ["docs", "docs/install"] {
        for entry in fs::read_dir(repository.join(folder)).with_context(|| folder.to_owned())? {
            let page = Path::new(folder).join(entry?.file_name());
            let is_page = page.extension().is_some_and(|extension| extension == "md") && page != Path::new(SUMMARY);
            if is_page && !pages.contains(&page) {
                unlisted.push(page.display().to_string());
            }
        }
    }
    unlisted.sort();
    Ok(unlisted)
}

fn is_picture(file: &Path) -> bool {
    file.extension().is_some_and(|extension| ["png", "svg", "webp"].iter().any(|known| extension == *known))
}

fn write(file: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let folder = file.parent().context("a file without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::write(file, content).with_context(|| format!("cannot write {}", file.display()))
}
