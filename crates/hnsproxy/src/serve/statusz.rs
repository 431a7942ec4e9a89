//! `/statusz` as text, with the content of the JSON document.

use std::fmt::Write;

use super::probe::ProbePage;
use super::status_api::{CapabilitiesPage, ProcessPage, StatePage, StatuszPage, TallyPage};

/// The number of unreadable members in the text.
const MAX_UNREADABLE: usize = 5;

/// Begins as the page of Kubernetes components does.
pub(super) fn text(page: &StatuszPage) -> String {
    let StatuszPage { process, log, tls, unreadable_members, probe, state, .. } = page;
    let ProcessPage { version, hnsproxy_version, started, uptime_seconds: uptime, paths } = process;
    let StatePage { load_balancers, endpoints, programming, hns, .. } = state;
    let mut text = String::from(
        "kube-proxy statusz\nWarning: This endpoint is not meant to be machine parseable, has no formatting compatibility \
         guarantees and is for debugging purposes only.\n\n",
    );
    let _ = writeln!(text, "Started: {}", started.strftime("%a %b %e %H:%M:%S UTC %Y"));
    let _ = writeln!(text, "Up: {} hr {:02} min {:02} sec", uptime / 3600, uptime / 60 % 60, uptime % 60);
    let _ = writeln!(text, "Binary version: {version} (hnsproxy {hnsproxy_version})");
    let _ = writeln!(text, "Paths: {}\n", paths.join(" "));
    let _ = writeln!(text, "{}", hns.description);
    let hns_version = hns.version.as_deref().unwrap_or("not known yet");
    let _ = writeln!(text, "HNS: {}, version {hns_version}, API {}", hns.liveness, hns.api);
    hns.capabilities.iter().for_each(|all| text += &format!("HNS capabilities: {}\n", capabilities(*all)));
    log.error.iter().for_each(|error| text += &format!("Log file: cannot be written: {error}\n"));
    tls.iter().filter_map(|tls| tls.error.as_ref()).for_each(|error| text += &format!("TLS: {error}\n"));
    state.cluster.error.iter().for_each(|error| text += &format!("Cluster: {error}\n"));
    let silence = state.cluster.watch_silence_seconds.iter().map(|(kind, seconds)| format!("{kind} {seconds:.0} s"));
    let silence: Vec<_> = silence.collect();
    if !silence.is_empty() {
        let _ = writeln!(text, "Watch silence: {}", silence.join(", "));
    }
    if state.cluster.insecure_skip_tls_verify {
        text += "Cluster: the certificate of the API server is not verified (insecure-skip-tls-verify)\n";
    }
    state.configuration.error.iter().for_each(|error| text += &format!("Configuration not applied: {error}\n"));
    hns.overdue_call.iter().for_each(|call| text += &format!("Waiting for HNS: {call}\n"));
    let estimate = programming.as_ref().map_or(String::new(), |programming| format!(", {}", programming.estimate));
    let none = String::new();
    for (what, TallyPage { desired, in_sync }, estimate) in
        [("Load balancers", load_balancers, &estimate), ("Endpoints", endpoints, &none)]
    {
        let _ = writeln!(text, "{what}: {in_sync} of {desired}{estimate}");
    }
    if let Some(seconds) = state.pending_changes.oldest_seconds {
        let _ = writeln!(text, "Oldest pending change: {seconds:.3} s");
    }
    let unreadable = unreadable_members.iter().take(MAX_UNREADABLE).map(|member| match member.count {
        1 => member.message.clone(),
        times => format!("{}, read {times} times", member.message),
    });
    let mut unreadable: Vec<_> = unreadable.collect();
    let more = unreadable_members.len().saturating_sub(MAX_UNREADABLE);
    unreadable.extend((more > 0).then(|| format!("{more} more, see /statusz?format=json")));
    let waiting_for = state.waiting_for.iter().map(|waiting| waiting.message.clone()).collect();
    let conditions = state.conditions.iter().map(|condition| format!("{}: {}", condition.service, condition.message));
    let host_conditions = state.host_conditions.iter().map(|condition| condition.message.clone());
    let probed = probe.iter().flatten().filter_map(ProbePage::problem);
    let lists: [(&str, Vec<String>); 5] = [
        ("Waiting for", waiting_for),
        ("Conditions", conditions.collect()),
        ("Host conditions", host_conditions.collect()),
        ("Probed frontends that do not respond", probed.collect()),
        ("Members of HNS documents that cannot be read", unreadable),
    ];
    for (title, lines) in lists.iter().filter(|(_, lines)| !lines.is_empty()) {
        let _ = writeln!(text, "\n{title}:");
        lines.iter().for_each(|line| text += &format!("- {line}\n"));
    }
    text
}

fn capabilities(capabilities: CapabilitiesPage) -> String {
    let all = [
        ("direct server return", capabilities.direct_server_return),
        ("session affinity", capabilities.session_affinity),
        ("IPv6", capabilities.ipv6),
        ("load balancers modified in place", capabilities.modify_load_balancer),
        ("HNS v1 list of endpoints trusted", capabilities.v1_endpoint_list),
        ("HNS v1 list of load balancers trusted", capabilities.v1_load_balancer_list),
    ];
    all.map(|(what, can)| format!("{what}: {}", if can { "yes" } else { "no" })).join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use hcn::{Guid, Kind, SlowCall, UnreadableMember};
    use proxy::Tally;

    use super::*;
    use crate::serve::status_api::LogPage;
    use crate::serve::status_api::tests::pending_snapshot;
    use crate::serve::tls::TlsPage;
    use crate::status::{Programming, Status};

    #[test]
    fn the_text_has_the_content_of_the_document() {
        let mut snapshot = pending_snapshot();
        let member = |number: u64| UnreadableMember {
            kind: Kind::LoadBalancer,
            member: format!("Member{number}"),
            count: number,
            id: Some(Guid::nil()),
            value: "[]".to_owned(),
        };
        let unreadable_members = (1..8).map(member).collect();
        let programming =
            Programming { load_balancers: Tally { desired: 7, in_sync: 5 }, left: Some(Duration::from_secs(240)) };
        let programming = Some(programming);
        snapshot.status = Arc::new(Status { unreadable_members, programming, ..Status::clone(&snapshot.status) });
        let call = SlowCall { function: "HcnCreateLoadBalancer", took: Duration::from_secs(12) };
        let state = StatePage::new(&snapshot, Some(call), BTreeMap::new());
        let started = "2026-01-02T02:02:02Z".parse().unwrap();
        let log = LogPage { error: Some("disk full".to_owned()), ..LogPage::default() };
        let tls = TlsPage {
            listener: "metrics",
            certificate_file: "tls.crt".into(),
            key_file: "tls.key".into(),
            error: Some("cannot read tls.crt".to_owned()),
        };
        let text = text(&StatuszPage::new(
            state,
            &snapshot,
            started,
            log,
            vec![tls],
            "v1.36.2-here",
            vec!["/healthz", "/readyz"],
        ));
        let version = format!("Binary version: v1.36.2-here (hnsproxy {})\n", env!("CARGO_PKG_VERSION"));
        let (waiting, nil) = (&snapshot.status.unready, Guid::nil());
        for part in [
            "kube-proxy statusz\n",
            &version,
            "Paths: /healthz /readyz\n",
            "Started: Fri Jan  2 02:02:02 UTC 2026\nUp: 1 hr 02 min 03 sec\n",
            "HNS: unavailable, version not known yet, API v2\nLog file: cannot be written: disk full\nTLS: cannot read tls.crt\nCluster: no connection\nWatch silence: Service 23 s\n",
            &format!(
                "Waiting for HNS: {call}\nLoad balancers: 5 of 7, 71 % done, about 4 min left\nEndpoints: 3 of 3\n"
            ),
            &format!(
                "Oldest pending change: 2.000 s\n\nWaiting for:\n- HNS call: {call}\n- {}\n- {}\n",
                waiting[0], "programmed 5 of 7 load balancers, 71 % done, about 4 min left"
            ),
            &format!(
                "\nMembers of HNS documents that cannot be read:\n- LoadBalancer {nil}: cannot read Member1 []\n\
                 - LoadBalancer {nil}: cannot read Member2 [], read 2 times\n"
            ),
            "Member5 [], read 5 times\n- 2 more, see /statusz?format=json\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }
}
