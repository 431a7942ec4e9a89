//! Help, and mistakes on the command line.

use std::net::TcpListener;

use super::Logged;
use crate::support::hns::Hns;
use crate::support::program::{free_addresses, from, hnsproxy};
use crate::support::recording::{cluster_flag, host_flag};

#[test]
fn help_has_flags_examples_and_exit_codes() {
    let help = hnsproxy(&["run", "--help"]).expect(0).stdout;
    for part in ["Flags of kube-proxy", "--enable-dsr", "--from", "Examples:", "Exit codes"] {
        assert!(help.contains(part), "{part} is not in\n{help}");
    }
}

#[test]
fn the_version_is_kube_proxys_with_that_of_hnsproxy() {
    let version = hnsproxy(&["--version"]).expect(0).stdout;
    assert!(version.starts_with("Kubernetes v1.36.") && version.contains("(hnsproxy "), "{version}");
}

#[test]
fn unknown_flags_and_commands_are_named() {
    hnsproxy(&["--no-such-flag"]).expect(1).logs("--no-such-flag");
    hnsproxy(&["no-such-command"]).expect(1).logs("no-such-command").logs("tip: the commands are run, plan, state, ");
}

#[test]
fn a_concurrency_of_0_is_named_with_its_flag() {
    let from = cluster_flag("mixed-l2bridge");
    hnsproxy(&["run", &from, "--once", "--hns-concurrency=0"]).expect(1).logs("--hns-concurrency");
}

#[test]
fn a_run_without_a_cluster_names_the_flags_of_its_sources() {
    hnsproxy(&["run"]).expect(1).logs("--from");
}

// The message comes before the log is started.
#[cfg(unix)]
#[test]
fn a_windows_service_elsewhere_than_on_windows_is_an_error() {
    hnsproxy(&["run", "--windows-service"]).expect(1).logs("Windows");
}

#[test]
fn init_only_is_an_error_as_with_kube_proxy() {
    hnsproxy(&["--init-only"]).expect(1).logs("implemented only on Linux");
}

#[test]
fn a_taken_address_that_ends_the_program_is_named() {
    let (hns, [health, metrics]) = (Hns::of("boutique-l2bridge"), free_addresses());
    let _taken = TcpListener::bind(health).unwrap();
    let addresses = [format!("--healthz-bind-address={health}"), format!("--metrics-bind-address={metrics}")];
    let flags = [&cluster_flag("boutique-l2bridge"), &hns.flag(), &addresses[0], &addresses[1]];
    let ended = hnsproxy(&[&flags.map(String::as_str)[..], &["--bind-address-hard-fail"]].concat()).expect(1);
    ended.logs(&format!("/healthz cannot listen at {health}"));
}

#[test]
fn a_service_that_is_not_explained_is_named_with_the_reason() {
    let hns = host_flag("mixed-l2bridge");
    let explain = |service: &str, from: &str| hnsproxy(&["explain", "svc", service, from, &hns]).expect(1);
    let cluster = cluster_flag("mixed-l2bridge");
    explain("ns/nothing", &cluster).logs("Service ns/nothing not found");
    explain("web", &cluster).logs("NAMESPACE/NAME");
    let directory = tempfile::tempdir().unwrap();
    let headless = "apiVersion: v1\nkind: Service\nmetadata: {namespace: ns, name: h}\nspec: {clusterIP: None}\n";
    std::fs::write(directory.path().join("h.yaml"), headless).unwrap();
    explain("ns/h", &from(directory.path())).logs("Service ns/h skipped: headless");
}

#[test]
fn a_program_that_cannot_be_queried_is_named_with_its_flag() {
    let [free] = free_addresses();
    let ended = hnsproxy(&["explain", "svc", "ns/web", &format!("--debug-address={free}")]).expect(1);
    ended.logs("cannot query hnsproxy at").logs("connection failed").logs("; set --debug-address");
}

#[test]
fn the_value_of_a_flag_that_is_true_or_false_needs_an_equals_sign() {
    let from = cluster_flag("mixed-l2bridge");
    for arguments in [["run", "--enable-dsr", "true", &from], ["--enable_dsr", "true", "--once", &from]] {
        hnsproxy(&arguments).expect(1).logs("the value of --enable-dsr needs an equals sign: --enable-dsr=true");
    }
    let ended = hnsproxy(&["run", "--once", "true", &from]).expect(1).logs("unexpected argument 'true' found");
    assert!(!ended.stderr.contains("equals sign"), "{}", ended.stderr);
}

#[test]
fn an_address_that_the_program_itself_has_is_named_with_both_flags() {
    let (hns, [address]) = (Hns::of("boutique-l2bridge"), free_addresses());
    let addresses = [format!("--healthz-bind-address={address}"), format!("--metrics-bind-address={address}")];
    let flags = [&cluster_flag("boutique-l2bridge"), &hns.flag(), &addresses[0], &addresses[1]];
    let ended = hnsproxy(&[&flags.map(String::as_str)[..], &["--bind-address-hard-fail"]].concat()).expect(1);
    ended
        .logs(&format!("/metrics cannot listen at {address}"))
        .logs("this hnsproxy has /healthz at the same port: change --healthz-bind-address or --metrics-bind-address");
}

// On Windows, the default is the HNS of the host.
#[cfg(unix)]
#[test]
fn each_command_warns_if_hns_is_emulated_by_default() {
    const NOTICE: &str = "--hns not given: using an emulated HNS";
    let from = cluster_flag("boutique-l2bridge");
    let packet = ["explain", "packet", "--from=10.244.0.3", "--to=10.96.0.10:80/TCP"];
    let commands: [&[&str]; 7] = [
        &["plan", &from],
        &["run", &from, "--once"],
        &["--cleanup"],
        &["state"],
        &["probe"],
        &["explain", "svc", "default/frontend", &from],
        &packet,
    ];
    for arguments in commands {
        let ended = hnsproxy(arguments);
        assert_eq!(ended.stderr.matches(NOTICE).count(), 1, "{arguments:?}\n{}", ended.stderr);
    }
    let ended = hnsproxy(&["state", &host_flag("boutique-l2bridge")]).expect(0);
    assert!(!ended.stderr.contains(NOTICE), "{}", ended.stderr);
}

#[test]
fn flags_without_effect_are_in_the_help_of_all_flags() {
    let help = |arguments: &[&str]| hnsproxy(arguments).expect(0).stdout;
    for all in [["run", "--help-all"], ["plan", "--help-all"]] {
        let all = help(&all);
        assert!(all.contains("--oom-score-adj") && all.contains("--healthz-port"), "{all}");
    }
    assert_eq!(help(&["--help-all"]), help(&["run", "--help-all"]));
    assert!(!help(&["run", "--help"]).contains("--oom-score-adj"));
}

#[test]
fn a_flag_of_another_command_is_named_with_its_commands() {
    let ended = hnsproxy(&["state", "--once"]).expect(1);
    ended.logs("unexpected argument '--once' found").logs("tip: --once is a flag of `hnsproxy run`");
    hnsproxy(&["version", "--hns=windows"]).expect(1).logs("--hns is a flag of `hnsproxy run`, `hnsproxy plan`, ");
}

#[test]
fn commands_that_end_print_errors_without_headers() {
    let missing = "--from=no-such-file.json";
    let expected = "error: cannot read no-such-file.json";
    for arguments in [&["plan", missing][..], &["explain", "svc", "ns/web", missing], &["plan", missing, "-v=2"]] {
        let ended = hnsproxy(arguments).expect(1);
        assert!(ended.stderr.lines().any(|line| line.starts_with(expected)), "{}", ended.stderr);
    }
    for arguments in [["state", "--hns=emulated:no-such-file"], ["probe", "--hns=emulated:no-such-file"]] {
        let ended = hnsproxy(&arguments);
        assert!(ended.stderr.starts_with("error: cannot read no-such-file"), "{}", ended.stderr);
    }
    let ended = hnsproxy(&["run", missing, "--once"]).expect(1);
    assert!(ended.stderr.lines().any(|line| line.starts_with('E')), "{}", ended.stderr);
}

#[test]
fn a_log_file_of_a_command_that_ends_has_headers() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log");
    let ended =
        hnsproxy(&["state", "--hns=emulated:no-such-file", &format!("--log-file={}", file.display())]).expect(1);
    assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains("no-such-file"), "{}", ended.stderr);
    let log = std::fs::read_to_string(file).unwrap();
    assert!(log.starts_with('E') && log.contains("] cannot read no-such-file"), "{log}");
}

#[test]
fn flags_that_change_something_are_errors_in_commands_that_change_nothing() {
    let from = cluster_flag("mixed-l2bridge");
    hnsproxy(&["plan", &from, "--cleanup"]).expect(1).logs("--cleanup has an effect only in `hnsproxy run`");
    let written = hnsproxy(&["explain", "svc", "ns/web", &from, "--write-config-to=no-such-directory/file"]);
    written.expect(1).logs("--write-config-to has an effect only in `hnsproxy run`");
}

#[test]
fn values_with_quotes_and_names_of_variables_get_a_hint() {
    let ended = hnsproxy(&["run", "--config=\"missing.yaml\"", "--hostname-override=$(NODE_NAME)"]).expect(1);
    ended
        .logs("the value of --config begins and ends with a quote")
        .logs("the value of --hostname-override contains $(NODE_NAME), a variable that was not expanded")
        .logs("cannot read configuration file");
}

#[test]
fn all_given_flags_are_logged_at_verbosity_2() {
    let (from, hns) = (cluster_flag("mixed-l2bridge"), host_flag("mixed-l2bridge"));
    let ended = hnsproxy(&["run", &from, &hns, "--once", "--enable-dsr", "-v=2"]).expect(0);
    ended.logs(&format!("FLAG: {from}")).logs("FLAG: --once=true").logs("FLAG: --enable-dsr=true");
}

#[test]
fn a_node_that_the_files_lack_is_named() {
    let (from, hns) = (cluster_flag("mixed-l2bridge"), host_flag("mixed-l2bridge"));
    hnsproxy(&["plan", &from, &hns, "--hostname-override=elsewhere"]).expect(2).logs("elsewhere");
}
