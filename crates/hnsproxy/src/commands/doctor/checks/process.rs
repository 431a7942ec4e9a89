//! The running hnsproxy, and other proxies beside it.

use super::super::check::{Check, Finding};
use super::super::facts::{Facts, StatusReason};

pub(in super::super) const SECOND_PROXY: Check = Check {
    id: "second-proxy",
    title: "no other proxy writes to HNS",
    finds: "a failure if several processes named kube-proxy or hnsproxy run on this host, or if the running hnsproxy has the condition ForeignWriter; a warning if one named kube-proxy runs and no hnsproxy answers: hnsproxy also has that name where it has replaced the program.",
    cause: "kube-proxy was not stopped when hnsproxy was installed, its DaemonSet still selects the node, or a script or an add-on starts it again. Both proxies undo each other's writes.",
    cure: "Stop and disable the other proxy: its service, scheduled task or DaemonSet. See upgrade.md.",
    run: second_proxy,
};

pub(in super::super) const IN_SYNC: Check = Check {
    id: "in-sync",
    title: "the running hnsproxy is in sync",
    finds: "a failure if the running hnsproxy does not have HNS in sync with the cluster; a warning if it does, and has conditions of the host.",
    cause: "The lines name what hnsproxy waits for. A start on a large cluster takes minutes where HNS is slow; HNS or the API server may be unavailable.",
    cure: "See the checks above for what is named. `hnsproxy explain svc NAMESPACE/NAME` shows a Service, and `/statusz` the pending changes; the log has the errors of HNS.",
    run: in_sync,
};

const FOREIGN_WRITER: &str = "ForeignWriter";

fn second_proxy(facts: &Facts) -> Result<Finding, String> {
    // One of the two sources is enough to find another proxy.
    let (process, proxies) = match (facts.process(), &facts.proxies) {
        (Err(process), Err(proxies)) => return Err(format!("{process}; {proxies}")),
        (process, proxies) => (process.ok(), proxies.as_ref().map(Vec::as_slice).unwrap_or_default()),
    };
    let running = || proxies.iter().map(|name| format!("process {name} runs"));
    if let (None, [name]) = (process, proxies)
        && name.starts_with("kube-proxy")
    {
        return Ok(Finding::Warning(running().collect()));
    }
    // A single process is the one that answers.
    let running = running().filter(|_| proxies.len() > 1);
    let conditions = process.into_iter().flat_map(|process| &process.host_conditions);
    let writers = conditions.filter(|one| one.reason == FOREIGN_WRITER).map(|one| one.message.clone());
    Ok(Finding::failure_unless_empty(running.chain(writers).collect(), "no sign of another proxy"))
}

fn in_sync(facts: &Facts) -> Result<Finding, String> {
    let process = facts.process()?;
    let text = |StatusReason { reason, message }: &StatusReason| format!("{reason}: {message}");
    let conditions = process.host_conditions.iter().map(text);
    if process.in_sync {
        return Ok(Finding::warning_unless_empty(conditions.collect(), "in sync"));
    }
    let waiting: Vec<_> = process.waiting_for.iter().map(text).chain(conditions).collect();
    Ok(Finding::Failure(if waiting.is_empty() { vec!["not in sync".to_owned()] } else { waiting }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::facts::testing;
    use super::*;

    fn with(process: Value) -> Facts {
        Facts { process: Ok(serde_json::from_value(process).unwrap()), ..testing::none() }
    }

    fn reason(reason: &str) -> Value {
        json!([{"reason": reason, "message": "why"}])
    }

    #[test]
    fn a_process_alone_and_in_sync_is_ok() {
        let facts = with(json!({"in_sync": true}));
        assert_eq!(in_sync(&facts), Ok(Finding::Ok("in sync".into())));
        assert!(matches!(second_proxy(&facts), Ok(Finding::Ok(_))));
    }

    #[test]
    fn another_writer_or_proxy_is_a_failure() {
        let writer = with(json!({"in_sync": true, "host_conditions": reason("ForeignWriter")}));
        assert_eq!(second_proxy(&writer), Ok(Finding::Failure(vec!["why".into()])));
        let proxies = |names: &[&str], answers: bool| {
            let facts = if answers { with(json!({"in_sync": true})) } else { testing::none() };
            second_proxy(&Facts { proxies: Ok(names.iter().map(|name| (*name).to_owned()).collect()), ..facts })
        };
        let runs = |names: &[&str]| names.iter().map(|name| format!("process {name} runs")).collect::<Vec<_>>();
        let two = ["hnsproxy.exe", "kube-proxy.exe"];
        assert_eq!(proxies(&two, true), Ok(Finding::Failure(runs(&two))));
        assert_eq!(proxies(&two, false), Ok(Finding::Failure(runs(&two))));
        assert_eq!(proxies(&two[1..], false), Ok(Finding::Warning(runs(&two[1..]))));
        for (names, answers) in [(&two[1..], true), (&two[..1], true), (&two[..1], false), (&[], false)] {
            assert!(matches!(proxies(names, answers), Ok(Finding::Ok(_))), "{names:?} {answers}");
        }
    }

    #[test]
    fn a_process_that_waits_is_a_failure() {
        let facts = with(json!({"in_sync": false, "waiting_for": reason("HNSUnavailable")}));
        assert_eq!(in_sync(&facts), Ok(Finding::Failure(vec!["HNSUnavailable: why".into()])));
    }

    #[test]
    fn a_condition_of_the_host_is_a_warning() {
        let facts = with(json!({"in_sync": true, "host_conditions": reason("IdsNotHonoured")}));
        assert_eq!(in_sync(&facts), Ok(Finding::Warning(vec!["IdsNotHonoured: why".into()])));
    }
}
