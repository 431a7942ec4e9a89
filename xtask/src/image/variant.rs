//! The variants of the image: their files and their entry points.

use super::hive;
use super::layer::{File, Layer};

/// containerd replaces this variable with the root of the image in a HostProcess container.
const ROOT: &str = "CONTAINER_SANDBOX_MOUNT_POINT";
const START_SCRIPT: &str = include_str!("../../../packaging/image/start.ps1");

/// A variant of the image, for all architectures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    Hnsproxy,
    /// Replaces `sigwindowstools/kube-proxy`, and works with the manifests of that image.
    SigWindowsTools,
}

impl Variant {
    pub(super) const ALL: [Self; 2] = [Self::Hnsproxy, Self::SigWindowsTools];

    /// The tag of a version.
    pub(super) fn tag(self, version: &str) -> String {
        match self {
            Self::Hnsproxy => version.to_owned(),
            Self::SigWindowsTools => format!("{version}-sigwindowstools"),
        }
    }

    pub(super) fn entry_point(self) -> Vec<String> {
        match self {
            Self::Hnsproxy => vec![format!(r"%{ROOT}%\hnsproxy.exe")],
            Self::SigWindowsTools => vec!["PowerShell".to_owned()],
        }
    }

    /// The arguments of the entry point, unless the pod has its own.
    pub(super) fn arguments(self) -> Vec<String> {
        match self {
            Self::Hnsproxy => Vec::new(),
            // The Calico manifest passes this argument. The flannel manifest passes none, so it is the default.
            Self::SigWindowsTools => vec![format!("$env:{ROOT}/kube-proxy/start.ps1")],
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Hnsproxy => "hnsproxy.exe",
            Self::SigWindowsTools => "kube-proxy/kube-proxy.exe",
        }
    }

    /// The files that the image adds to the base layer.
    pub(super) fn files(self, program: &[u8]) -> Vec<File> {
        let mut files = vec![File::new(self.program(), program)];
        if self == Self::SigWindowsTools {
            files.push(File::new("kube-proxy/start.ps1", START_SCRIPT));
        }
        files
    }
}

/// The base layer of each image. It contains only the files that Windows requires.
pub(super) fn base() -> anyhow::Result<Layer> {
    let hives = hive::NAMES.map(|name| File::new(format!("Windows/System32/config/{name}"), hive::empty(name)));
    Layer::base(&hives)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every node must download a changed base layer, so its digest may change only on purpose.
    #[test]
    fn the_base_layer_has_a_fixed_digest() {
        assert_eq!(
            base().unwrap().diff_id.to_string(),
            "sha256:f22d4250bc992ee9f24584ab3ac0cc012e91978d67bda4821bef70aa9348df4c"
        );
    }

    #[test]
    fn the_start_script_of_sig_windows_tools_removes_no_load_balancers() {
        let lines = START_SCRIPT.lines().filter(|line| !line.trim_start().starts_with('#'));
        let removing: Vec<_> = lines.filter(|line| line.contains("Remove-") || line.contains("Hns")).collect();
        assert_eq!(removing, [""; 0]);
    }
}
