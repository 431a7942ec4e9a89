//! Links between pages: those to files that are not in the book lead to the repository.

use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag};

/// Replaces the target of each link to a file with the result of `change`, which gets the path of the file in the repository. `page` is the path
/// of the page in the repository. The part after `#` stays.
pub(super) fn rewrite(page: &Path, text: &str, change: impl Fn(&Path) -> Option<String>) -> String {
    let folder = page.parent().unwrap_or(Path::new(""));
    let mut result = text.to_owned();
    // From the last to the first, so that positions stay valid.
    for Link { range, target } in links(text).into_iter().rev() {
        let (path, fragment) = target.split_once('#').unwrap_or((&target, ""));
        let Some(changed) = resolve(folder, path).and_then(|file| change(&file)) else { continue };
        let separator = if fragment.is_empty() { "" } else { "#" };
        result.replace_range(range, &format!("{changed}{separator}{fragment}"));
    }
    result
}

/// The files of the repository to which a page has links.
pub(super) fn targets(page: &Path, text: &str) -> Vec<PathBuf> {
    let folder = page.parent().unwrap_or(Path::new(""));
    let path = |link: &Link| resolve(folder, link.target.split('#').next().unwrap_or_default());
    links(text).iter().filter_map(path).collect()
}

struct Link {
    /// The bytes of the target in the text.
    range: Range<usize>,
    target: String,
}

/// The links in parentheses, in the order of the text, without those to other websites and inside of the page.
fn links(text: &str) -> Vec<Link> {
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES);
    let links = parser.into_offset_iter().filter_map(|(event, range)| {
        let (Event::Start(Tag::Link { link_type: LinkType::Inline, dest_url, .. })
        | Event::Start(Tag::Image { link_type: LinkType::Inline, dest_url, .. })) = event
        else {
            return None;
        };
        let target = dest_url.into_string();
        if target.contains("://") || target.starts_with(['#', '/']) || target.starts_with("mailto:") {
            return None;
        }
        // The text of the link can contain the target, too.
        let start = range.start + text.get(range.clone())?.rfind(&format!("]({target}"))? + 2;
        Some(Link { range: start..start + target.len(), target })
    });
    links.collect()
}

/// A path relative to a folder, without `.` and `..`. Nothing if it leaves the repository.
fn resolve(folder: &Path, path: &str) -> Option<PathBuf> {
    let mut result = folder.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !result.pop() {
                    return None;
                }
            }
            Component::Normal(name) => result.push(name),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(result)
}
