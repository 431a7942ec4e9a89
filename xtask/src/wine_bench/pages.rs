//! Tests the HTTP endpoints of `hnsproxy.exe`, and that their addresses follow the configuration file.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::file::TempFile;
use super::recording::Recording;
use super::served::{Access, Served};
use crate::http::{Page, free_addresses, get, metric};
use crate::process::{Guarded, memory};
use crate::wine::Prefix;

/// The pause between two requests for a page.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until a page satisfies a condition.
fn wait(program: &mut Guarded, address: SocketAddr, path: &str, expected: impl Fn(&Page) -> bool) -> Result<()> {
    let result = program.until(&format!("http://{address}{path}"), || {
        let is_expected = get(address, path).as_ref().is_some_and(&expected);
        if !is_expected {
            std::thread::sleep(PAUSE);
        }
        is_expected
    });
    result.with_context(|| format!("the last answer: {:#?}", get(address, path)))
}

fn is_ok(page: &Page) -> bool {
    page.code == 200
}

/// Health of the node and of a Service, readiness, and metrics.
pub(super) fn answer(recording: &Recording, program: &Path, prefix: &Prefix) -> Result<()> {
    let [health, metrics, check] = free_addresses()?;
    let (hns, served) = (recording.hns()?, Served::new(recording, Access::Master, program, prefix)?);
    served.server.put(service(check.port()))?;
    served.server.put(slice(true))?;
    let mut command = served.through_dlls(recording, program, prefix, &hns);
    command.arg(format!("--healthz-bind-address={health}")).arg(format!("--metrics-bind-address={metrics}"));
    let mut program = Guarded::start(&mut command)?;
    wait(&mut program, metrics, "/readyz", is_ok)?;
    for path in ["/healthz", "/livez"] {
        let page = get(health, path);
        ensure!(page.as_ref().is_some_and(is_ok), "{path}: {page:#?}");
    }
    let load_balancers = hns.emulator().documents(hcn::Kind::LoadBalancer).len();
    let page = get(metrics, "/metrics").context("no answer from /metrics")?.body;
    let in_sync = metric(&page, "hnsproxy_load_balancers_in_sync")?;
    ensure!(
        load_balancers > 0 && in_sync == f64::from(u32::try_from(load_balancers)?),
        "{in_sync} load balancers in sync, but HNS has {load_balancers}"
    );
    for name in ["process_cpu_seconds_total", "process_start_time_seconds"] {
        ensure!(metric(&page, name)? > 0.0, "{name} is 0");
    }
    let (reported, [resident, _]) = (metric(&page, "process_resident_memory_bytes")?, memory(program.0.id())?);
    let reported = reported / f64::from(1 << 20);
    ensure!(
        reported > resident / 2.0 && reported < resident * 2.0,
        "process_resident_memory_bytes is {reported} MB: the system reports {resident} MB"
    );
    let has = |code, endpoints: u64| {
        move |page: &Page| {
            let document: Value = serde_json::from_str(&page.body).unwrap_or_default();
            page.code == code && document.get("localEndpoints") == Some(&json!(endpoints))
        }
    };
    wait(&mut program, check, "/", has(200, 1))?;
    served.server.put(slice(false))?;
    wait(&mut program, check, "/", has(503, 0))
}

/// How the configuration file is changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edit {
    Rewritten,
    Replaced,
}

/// A changed configuration file is applied without a write to HNS. An invalid one is not applied.
pub(super) fn follow(recording: &Recording, edit: Edit, program: &Path, prefix: &Prefix) -> Result<()> {
    let [before, after, metrics] = free_addresses()?;
    let (hns, served) = (recording.hns()?, Served::new(recording, Access::Master, program, prefix)?);
    let text = |health| configuration(health, metrics);
    let file = TempFile::new(&format!("configuration-{}.yaml", served.server.address().port()), &text(before))?;
    let mut command = served.through_dlls(recording, program, prefix, &hns);
    let mut program = Guarded::start(command.arg(format!("--config={}", file.in_wine())))?;
    wait(&mut program, before, "/livez", is_ok)?;
    wait(&mut program, metrics, "/readyz", is_ok)?;
    hns.emulator().reset_journal();
    match edit {
        Edit::Rewritten => file.write(&text(after))?,
        Edit::Replaced => file.replace(&text(after))?,
    }
    wait(&mut program, after, "/livez", is_ok)?;
    ensure!(get(before, "/livez").is_none(), "{before} still answers");
    wait(&mut program, metrics, "/configz", |page| page.body.contains(&after.to_string()))?;
    wait(&mut program, metrics, "/readyz", is_ok)?;
    let writes = hns.emulator().writes();
    ensure!(writes == 0, "{writes} writes to HNS after a change of healthzBindAddress");
    Ok(())
}

fn configuration(health: SocketAddr, metrics: SocketAddr) -> String {
    format!(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nhealthzBindAddress: {health}\n\
         metricsBindAddress: {metrics}\nwinkernel: {{networkName: cbr0, enableDSR: true}}\n"
    )
}

/// A Service with a health check node port.
fn service(check: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": "checked"},
        "spec": {
            "type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": check,
            "clusterIP": "10.96.9.9", "clusterIPs": ["10.96.9.9"], "ipFamilies": ["IPv4"],
            "ports": [{"port": 80, "nodePort": 30980}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}},
    })
}

/// The slice of the Service: one backend on this node, ready or not, and one on another.
fn slice(ready: bool) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "default", "name": "checked-1", "labels": {"kubernetes.io/service-name": "checked"}},
        "ports": [{"name": "", "port": 8080}],
        "endpoints": [
            {"addresses": ["10.244.1.11"], "nodeName": "win-1", "conditions": {"ready": ready}},
            {"addresses": ["10.244.7.9"], "nodeName": "lin-1", "conditions": {"ready": true}},
        ],
    })
}
