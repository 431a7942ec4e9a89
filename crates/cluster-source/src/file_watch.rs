//! Says when files change. What changed is found by reading; a notice is a hint, and many at once are one.

use std::path::Path;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// Calls `changed` after each change at or below a path, until the answer is dropped.
///
/// The directory of a file is watched, since editors and `kubectl` replace files instead of writing into them.
///
/// # Errors
/// Where the system can't watch the path.
pub fn watch(path: &Path, changed: impl Fn() + Send + 'static) -> notify::Result<RecommendedWatcher> {
    let handler = move |event: notify::Result<notify::Event>| {
        // Reading makes notices of its own kind; an error may hide a change.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            changed();
        }
    };
    let mut watcher = notify::recommended_watcher(handler)?;
    let (root, mode) = if path.is_dir() {
        (path, RecursiveMode::Recursive)
    } else {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        (parent.unwrap_or(Path::new(".")), RecursiveMode::NonRecursive)
    };
    watcher.watch(root, mode)?;
    Ok(watcher)
}
