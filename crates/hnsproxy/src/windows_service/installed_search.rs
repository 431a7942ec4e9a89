//! Finds the service that runs hnsproxy in the registry, which each user can read.

use std::path::Path;

use super::installed::{Installed, is_own};
use super::manager::own;
use super::program::{self, ProgramKind};
use super::scm::{NAMES, registered, services};
use super::search::Local;

/// The service that runs hnsproxy: one with a name of kube-proxy's service, else one that runs this program.
pub fn installed() -> Option<Installed> {
    let named = NAMES.iter().find_map(|name| {
        Installed::of(name, &registered(name)?, &Local, |path| is_own(path) || is_hnsproxy(Path::new(path)))
    });
    let by_program = || {
        let mut others =
            services().into_iter().filter(|name| !NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)));
        others.find_map(|name| Installed::of(&name, &registered(&name)?, &Local, is_own))
    };
    named.or_else(by_program)
}

/// Another file can be hnsproxy, too.
fn is_hnsproxy(path: &Path) -> bool {
    let (Ok(own), Ok(evidence)) = (own(), program::inspect(path)) else { return false };
    matches!(program::kind(&path.display().to_string(), Some(&evidence), &own), ProgramKind::Hnsproxy { .. })
}
