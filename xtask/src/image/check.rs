//! Tests images with external programs: skopeo, umoci, hivex and a registry.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use super::tests::small;
use super::{hive, variant};
use crate::process::{Guarded, output, run};
use crate::tools::IMAGE;

const TAG: &str = "1.2.3";

#[test]
fn windows_programs_read_the_hives() {
    if !IMAGE.found_for_test() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in hive::NAMES {
        let file = folder.path().join(name);
        fs::write(&file, hive::empty(name)).unwrap();
        let xml = output(Command::new("hivexml").arg(&file)).unwrap();
        assert!(xml.contains(&format!(r#"<node name="{name}" root="1">"#)), "{xml}");
    }
}

#[test]
fn other_programs_unpack_the_image() {
    if !IMAGE.found_for_test() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    small().layout.write(&layout).unwrap();
    let image = format!("{}:{TAG}-sigwindowstools", layout.display());
    let stat = output(Command::new("umoci").args(["stat", "--json", "--image", &image])).unwrap();
    let stat: serde_json::Value = serde_json::from_str(&stat).unwrap();
    assert_eq!(stat["history"].as_array().unwrap().len(), 2);
    let root = folder.path().join("root");
    run(Command::new("umoci").args(["raw", "unpack", "--rootless", "--image", &image]).arg(&root)).unwrap();
    let files = root.join("Files");
    assert_eq!(fs::read(files.join("kube-proxy/kube-proxy.exe")).unwrap(), b"MZ");
    assert!(files.join("kube-proxy/start.ps1").is_file());
    assert_eq!(fs::read(files.join("Windows/System32/config/SYSTEM")).unwrap(), hive::empty("SYSTEM"));
}

#[test]
fn a_registry_gives_back_the_same_image() {
    if !IMAGE.found_for_test() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (pushed, pulled) = (folder.path().join("pushed"), folder.path().join("pulled"));
    let images = small();
    images.layout.write(&pushed).unwrap();
    let (_registry, address) = registry(folder.path());
    let source = format!("oci:{}:{TAG}", pushed.display());
    let remote = format!("docker://{address}/hnsproxy:{TAG}");
    run(&mut skopeo(&["copy", "--all", "--dest-tls-verify=false", &source, &remote])).unwrap();
    let target = format!("oci:{}:{TAG}", pulled.display());
    run(&mut skopeo(&["copy", "--all", "--src-tls-verify=false", &remote, &target])).unwrap();

    let raw = output(&mut skopeo(&["inspect", "--raw", "--tls-verify=false", &remote])).unwrap();
    let (tag, digest) = &images.tags[0];
    assert_eq!((tag.as_str(), digest), (TAG, &format!("sha256:{}", crate::hash::sha256(raw.as_bytes()))));
    let inspect = ["inspect", "--override-os=windows", "--override-arch=amd64", "--tls-verify=false", &remote];
    let inspected: serde_json::Value = serde_json::from_str(&output(&mut skopeo(&inspect)).unwrap()).unwrap();
    assert_eq!(inspected["Os"], "windows");
    assert_eq!(inspected["Labels"]["org.opencontainers.image.version"], TAG);
    let base = &variant::base().unwrap().blob;
    assert_eq!(inspected["Layers"][0], base.digest.to_string());
    assert_eq!(fs::read(pulled.join("blobs/sha256").join(base.digest.hex())).unwrap(), base.bytes);
}

/// Runs skopeo without a signature policy, because the machine may not have a policy file.
fn skopeo(arguments: &[&str]) -> Command {
    let mut command = Command::new("skopeo");
    command.arg("--insecure-policy").args(arguments);
    command
}

/// Starts a registry with an empty store, and returns its address.
fn registry(folder: &Path) -> (Guarded, String) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let store = folder.join("registry");
    let configuration = folder.join("registry.yml");
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {free}}}\n",
        store.display()
    );
    fs::write(&configuration, text).unwrap();
    let mut registry = Guarded::start(Command::new("docker-registry").arg("serve").arg(&configuration)).unwrap();
    registry.until("the registry", || TcpStream::connect(free).is_ok()).unwrap();
    (registry, free.to_string())
}
