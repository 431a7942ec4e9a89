//! Builds the book: `docs/` and the pages beside it, as a website with a search, and checks its links.

mod links;
mod pages;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::process::{print, run as run_command};
use crate::{cargo_tools, folder, tools};

/// What builds the website. Newer releases can have other texts and paths.
const MDBOOK: &str = "0.5.4";
const FIRST_PAGE: &str = "index.html";

pub(crate) fn run() -> Result<ExitCode> {
    let mdbook = install()?;
    tools::BOOK.need()?;
    let folder = folder::target()?.join("book");
    write_source(&folder)?;
    check_links(&mdbook, &folder)?;
    let website = folder.join("html");
    build(&mdbook, &folder, &website)?;
    print(format_args!("{}", website.join(FIRST_PAGE).display()))?;
    Ok(ExitCode::SUCCESS)
}

/// In CI, and where its tools are installed. The result says whether it was built.
pub(crate) fn test() -> Result<bool> {
    let is_possible = crate::process::is_in_ci() || cargo_tools::find("mdbook")?.is_some() && tools::BOOK.are_here();
    if is_possible {
        run()?;
    }
    Ok(is_possible)
}

/// Writes the pages and the settings of mdbook to a folder, which is emptied first.
fn write_source(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    pages::copy(&folder::root()?, &folder.join("src"))?;
    fs::copy(folder::root()?.join("docs/book.toml"), folder.join("book.toml")).context("cannot copy docs/book.toml")?;
    Ok(())
}

fn build(mdbook: &Path, source: &Path, website: &Path) -> Result<()> {
    run_command(Command::new(mdbook).arg("build").arg(source).arg("--dest-dir").arg(website))
}

/// Checks that each link inside of the website has a target. Links to other websites are not followed.
fn check_links(mdbook: &Path, source: &Path) -> Result<()> {
    // linkchecker that root runs reads files as nobody, who may not read the target folder everywhere.
    let mut folder = tempfile::Builder::new();
    #[cfg(unix)]
    folder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755));
    let folder = folder.tempdir().context("cannot create a temporary folder")?;
    build(mdbook, source, folder.path())?;
    let mut command = Command::new("linkchecker");
    command.arg(format!("--config={}", folder::root()?.join("docs/linkchecker.ini").display()));
    // The page for printing repeats all others.
    command.args(["--no-status", "--ignore-url=print.html$"]).arg(folder.path().join(FIRST_PAGE));
    run_command(&mut command).context("the book has broken links")
}

fn install() -> Result<PathBuf> {
    if let Some(program) = cargo_tools::find("mdbook")? {
        return Ok(program);
    }
    // Without optimization: building the book takes seconds, and building mdbook takes minutes.
    let options = ["--debug", "--no-default-features", "--features", "search", "--version", MDBOOK];
    cargo_tools::install("mdbook", &options)?;
    cargo_tools::find("mdbook")?.context("mdbook was installed and is not found")
}
