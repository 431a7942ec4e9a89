//! The version of the program.

use serde::Serialize;

use super::{Layout, columns};
use crate::config::KUBERNETES_VERSION;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    pub version: &'static str,
    /// The version of the kube-proxy that this program replaces.
    pub kubernetes_version: &'static str,
    /// The Cargo features of the build.
    pub features: Vec<&'static str>,
    /// The target triple of the build.
    pub target: &'static str,
}

impl Version {
    pub fn of_this_program() -> Self {
        let features = [("emulator", cfg!(feature = "emulator")), ("fuzzing", cfg!(feature = "fuzzing"))];
        Self {
            version: env!("CARGO_PKG_VERSION"),
            kubernetes_version: KUBERNETES_VERSION,
            features: features.into_iter().filter_map(|(name, has)| has.then_some(name)).collect(),
            target: env!("TARGET"),
        }
    }
}

pub fn version(version: &Version, layout: Layout) -> String {
    let features = if version.features.is_empty() { "none".to_owned() } else { version.features.join(",") };
    let row = [version.version.to_owned(), version.kubernetes_version.to_owned(), features, version.target.to_owned()];
    columns(layout, 4, ["VERSION", "KUBERNETES", "FEATURES", "TARGET"], [row]) + "\n"
}
