//! `docs/configuration.md`: made from the table, and compared with what is in the repository.

use std::fmt::Write;

use super::gates::{GATES, Stage};
use super::table::{Effect, SETTINGS, Setting};

const HEAD: &str = "\
# Configuration

hnsproxy takes the flags of kube-proxy 1.36, or its configuration file by `--config`: YAML or JSON of `apiVersion:
kubeproxy.config.k8s.io/v1alpha1`, `kind: KubeProxyConfiguration`. This page is made from the table that the program itself uses.
`hnsproxy run --help` also has the flags that kube-proxy does not have.

## What counts
- Without `--config`, flags change the defaults.
- With `--config`, the file and its defaults count. Of the flags only `--master`, `--hostname-override`, those of the log, `--write-config-to`,
  `--cleanup`, `--init-only`, `--windows-service` and `--version` count beside it. Other flags that are given are named in the log.
- A file can't say zero or nothing where there is another default, but for fields marked *optional*.
- Durations are texts such as `30s`, `1m30s`, `300ms`. Booleans of flags are `true` or `false`, and need `=`: `--enable-dsr=false`.
- `_` may stand for `-` in the names of flags. Of a flag given twice the last one counts; lists and feature gates are put together.
- Fields that are unknown or given twice are named in the log and survived. Wrong types and values end the program, all named at once.
- `-v 2` says which settings are given and have no effect.
- `--write-config-to FILE` writes what counts in the end. A changed file that is valid is applied; one that is not is named, and the
  old configuration stays.

## Flags and fields
Effect: *yes*; *not on Windows*, as in kube-proxy; *not here*, since hnsproxy works otherwise; *removed*, from older kube-proxy, and ignored.

| Flag | Field | Type | Default | Effect | |
|---|---|---|---|---|---|
";

const GATES_HEAD: &str = "
## Feature gates
`--feature-gates=NAME=true,NAME=false` or `featureGates`. A locked gate refuses another value; a gate that is not listed is named in the log,
and ignored. `AllAlpha` and `AllBeta` switch all gates of a stage that are not named.

| Gate | Stage | Default | |
|---|---|---|---|
";

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

fn line(setting: &Setting) -> String {
    let flag = match setting.flag {
        "" => String::new(),
        "v" => "`-v`, `--v`".to_owned(),
        flag => format!("`--{flag}`"),
    };
    let effect = match setting.effect {
        Effect::Works => "yes",
        Effect::None => "not on Windows",
        Effect::NotHere => "not here",
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
    page
}

#[test]
fn the_reference_page_is_that_of_the_table() {
    crate::documentation::check("configuration.md", &page());
}
