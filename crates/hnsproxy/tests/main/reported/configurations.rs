//! Configuration files of installers and of bug reports: what kube-proxy accepts is accepted, and what it refuses is refused.

use super::{hns, input};
use crate::support::program::{from, hnsproxy};

#[test]
fn case_12_configs() {
    let accepted =
        ["bool11.yaml", "cfg.json", "iptables.yaml", "ipvs.yaml", "lead.yaml", "legacy.yaml", "log1.yaml", "log2.yaml"];
    let refused = [
        "a2.yaml",
        "boolstr.yaml",
        "cm.yaml",
        "dur1.yaml",
        "dur2.yaml",
        "dur3.yaml",
        "dur4.yaml",
        "empty.yaml",
        "kubeadm.yaml",
        "misc.yaml",
        "nokind.yaml",
        "npa.yaml",
        "tab.yaml",
        "us.yaml",
    ];
    let hns = hns();
    for (files, code) in [(&accepted[..], 0), (&refused[..], 1)] {
        for file in files {
            let config = format!("--config={}", input("12-configs").join(file).display());
            let ended = hnsproxy(&["run", &config, &from(&input("03-encodings/svc.yaml")), &hns.flag(), "--once"]);
            assert_eq!(ended.code, code, "{file}: {}", ended.stderr);
        }
    }
}

#[test]
fn case_12_configs_of_the_windows_machine_config_operator() {
    let directory = tempfile::tempdir().unwrap();
    let written = directory.path().join("wmco.out");
    let config = format!("--config={}", input("12-configs/wmco.yaml").display());
    hnsproxy(&[&config, &format!("--write-config-to={}", written.display())]).expect(0);
    let read = |path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(written), read(input("12-configs/wmco.out")));
}
