//! The generated page `docs/configuration.md`, compared with the committed file by a test.

use std::fmt::Write;

use super::gates::{GATES, Stage};
use super::table::{Effect, SETTINGS, Setting};

const HEAD: &str = "\
# Configuration

hnsproxy accepts the flags of kube-proxy 1.36, or its configuration file with `--config`: YAML or JSON with `apiVersion:
kubeproxy.config.k8s.io/v1alpha1` and `kind: KubeProxyConfiguration`. This page is generated from the table that the program uses.
`hnsproxy run --help` lists the flags that have an effect, with those that kube-proxy does not have; `-h` the main ones, `--help-all` all that are accepted.
kube-proxy does not have `--ui=false`, which disables the [web UI](ui.md).

## Precedence
- Without `--config`, flags override the defaults.
- With `--config`, the file and its defaults count. The only flags that count in addition are `--master`, `--hostname-override`, the log flags,
  `--write-config-to`, `--cleanup`, `--init-only`, `--windows-service` and `--version`. Other given flags are logged and ignored.
- In a file, a zero or empty value means the default, except for fields marked *optional*.
- Durations are strings such as `30s`, `1m30s`, `300ms`. Boolean flags take `true` or `false`, and need `=`: `--enable-dsr=false`.
- Flag names may have `_` instead of `-`. If a flag is given twice, the last value counts; lists and feature gates are joined.
- Unknown and duplicate fields are logged and ignored. Wrong types and invalid values are errors; all of them are reported at once.
- `-v 2` logs all given flags, and which of the given settings have no effect. A value that begins and ends with a quote, or has `%NAME%` or
  `$(NAME)`, is logged as a likely mistake.
- `plan`, `explain svc`, `doctor` and `bundle` accept all flags, so that a command line of kube-proxy can be tried. `--cleanup` and `--write-config-to` are errors there.
- `--write-config-to FILE` writes the effective configuration. When the configuration file changes and is valid, hnsproxy applies it. When
  it is invalid, hnsproxy logs the error and keeps the old configuration.

## Flags and fields
Effect: *yes*: as in kube-proxy. *not on Windows*: no effect, as in kube-proxy. *not in hnsproxy*: no effect, since hnsproxy is implemented
differently. *removed*: kube-proxy has removed the flag, and hnsproxy ignores it with a warning.

| Flag | Field | Type | Default | Effect | Meaning |
|---|---|---|---|---|---|
";

const GATES_HEAD: &str = "
## Feature gates
`--feature-gates=NAME=true,NAME=false`, or the field `featureGates`. Another value of a locked gate is ignored with a warning. A gate that is not listed is
logged and ignored. `AllAlpha` and `AllBeta` set all gates of a stage that are not named.

| Gate | Stage | Default | Meaning |
|---|---|---|---|
";

const TAIL: &str = "
## Source VIP
`--source-vip=auto` needs no script of an installer. On an overlay network, hnsproxy uses the address of the endpoint `Calico_ep` or `VIPEndpoint`, if the
network has one of them. Otherwise it uses an address that host-local does not give to pods:

- host-local, the IPAM plugin of flannel and others, keeps a file for each address in use, in a folder for each network, `C:\\var\\lib\\cni\\networks\\NETWORK`.
  It creates a file exclusively, so the first process that creates it gets the address. hnsproxy does the same, with the container id `hnsproxy-source-vip`.
- hnsproxy reserves the last address of the subnet that has no file, and that no endpoint of the network has. It creates its endpoint, as for an address
  in `--source-vip`.
- The file stays, so the address is the same after restarts of the process and of the node. hnsproxy also uses the reservation that a start script of
  kube-proxy has made (container id `dummy`), so that nothing changes when it replaces kube-proxy.
- If an endpoint of a pod has the address in spite of the file, or the subnet changes, another address is reserved.
- hnsproxy checks the file once a minute. If another program has removed it, hnsproxy writes it again.
- The file is removed when HNS no longer has the address: after another source VIP is in effect, or by `--cleanup`. The reservation of a script is never
  removed, nor a file in the folder of a network that hnsproxy does not use.
- Without the folder of the network, hnsproxy reserves nothing and waits (`SourceVIPAbsent`): another IPAM would not see the reservation. host-local creates
  the folder with the first pod. `--host-local-dir DIR` sets another folder, the `dataDir` of host-local, and confirms that host-local is the IPAM: hnsproxy then
  creates the folder of the network. With an emulated HNS, only `--host-local-dir` names a folder.
- If the disk hangs, the rest goes on: an earlier source VIP stays in use, and without one, hnsproxy waits (`SourceVIPAbsent`).
- `hnsproxy plan` and `explain` use a reservation, and make none.
";

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

fn line(setting: &Setting) -> String {
    let flag = match setting.flag {
        "" => String::new(),
        short if short.len() == 1 => format!("`-{short}`, `--{short}`"),
        flag => format!("`--{flag}`"),
    };
    let effect = match setting.effect {
        Effect::Works => "yes",
        Effect::None => "not on Windows",
        Effect::NotHere => "not in hnsproxy",
        Effect::Removed => "removed",
    };
    let kind = format!("{:?}", setting.kind);
    let kind = match kind.strip_prefix("Optional") {
        Some(kind) => format!("{kind}, optional"),
        None => kind.replace("FlushDuration", "Duration"),
    };
    let (field, default) = (code(setting.field), code(setting.default));
    format!("| {flag} | {field} | {kind} | {default} | {effect} | {} |\n", setting.help)
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    SETTINGS.iter().for_each(|setting| page += &line(setting));
    page += GATES_HEAD;
    for gate in GATES {
        let (stage, default) = match gate.stage {
            Stage::Alpha => ("alpha", "off"),
            Stage::Beta => ("beta", "on"),
            Stage::Stable => ("GA", "on"),
            Stage::Locked => ("GA, locked", "on"),
        };
        let _ = writeln!(page, "| `{}` | {stage} | {default} | {} |", gate.name, gate.help);
    }
    page + TAIL
}

#[test]
fn the_reference_page_is_up_to_date() {
    generated_pages::check_page("configuration.md", &page());
}
