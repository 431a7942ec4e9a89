//! Recordings' clusters from an API server, to `hnsproxy.exe` under Wine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use test_api_server::{ApiServer, Credentials, Kind};

use super::Hns;
use super::recording::{Recording, held};
use crate::process::Guarded;
use crate::system;
use crate::wine::Prefix;

/// The token that lets in.
const TOKEN: &str = "wine-bench";

/// How the program is led to the API server, and shows who it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// By `--master`, over HTTP.
    Master,
    /// By a kubeconfig, over HTTPS with a token.
    Token,
    /// By a kubeconfig, over HTTPS with a certificate.
    Certificate,
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Master => "HTTP",
            Self::Token => "HTTPS and token",
            Self::Certificate => "HTTPS and certificate",
        })
    }
}

/// An API server with a recording's cluster.
struct Served {
    server: ApiServer,
    /// The flag that leads to it.
    flag: String,
    _kubeconfig: Option<TempFile>,
}

/// A file that goes with its owner.
struct TempFile(PathBuf);

impl Drop for TempFile {
    fn drop(&mut self) {
        // It holds a key that opens nothing any more.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Served {
    fn new(recording: &Recording, way: Way) -> Result<Self> {
        let server = if matches!(way, Way::Master) { ApiServer::start()? } else { ApiServer::start_tls()? };
        let cluster: Value = serde_json::from_slice(&std::fs::read(&recording.cluster)?)?;
        server.load(cluster)?;
        let credentials = match way {
            Way::Master => {
                let flag = format!("--master={}", server.url());
                return Ok(Self { server, flag, _kubeconfig: None });
            }
            Way::Token => Credentials::Token(TOKEN.to_owned()),
            Way::Certificate => Credentials::Certificate,
        };
        server.allow_tokens([TOKEN]);
        let file = TempFile(system::target()?.join(format!("kubeconfig-{}", server.address().port())));
        std::fs::write(&file.0, server.kubeconfig(&credentials).to_string())?;
        Ok(Self { server, flag: format!("--kubeconfig=Z:{}", file.0.display()), _kubeconfig: Some(file) })
    }

    /// The Windows program, on an emulator's service through the DLLs.
    fn through_dlls(&self, recording: &Recording, program: &Path, prefix: &Prefix, hns: &Hns) -> Command {
        let mut command = prefix.command();
        command.arg(program).arg("run").args(&recording.flags).arg(&self.flag);
        hns.tell(&mut command);
        command
    }
}

/// The same end as from files by the program of this system, by the same calls.
pub(super) fn equal(recording: &Recording, way: Way, here: &Path, program: &Path, prefix: &Prefix) -> Result<()> {
    let (one, other) = (recording.hns()?, recording.hns()?);
    let expected = held(&mut recording.here(here, &one))?;
    let served = Served::new(recording, way)?;
    let mut command = served.through_dlls(recording, program, prefix, &other);
    let found = held(command.args(["--once", "-o=json"]))?;
    ensure!(found == expected, "from an API server: {found:#?}\nfrom files on this system: {expected:#?}");
    ensure!(one.journal() == other.journal(), "the calls differ");
    for kind in [Kind::Service, Kind::EndpointSlice] {
        let asked = served.server.count("watch", kind) + served.server.count("list", kind);
        ensure!(asked > 0, "nothing was asked for {}", kind.plural());
    }
    Ok(())
}

/// What is deleted while the API server is away leaves HNS soon after it is back, and what is created comes.
pub(super) fn follows(recording: &Recording, here: &Path, program: &Path, prefix: &Prefix) -> Result<()> {
    let (one, other) = (recording.hns()?, recording.hns()?);
    held(&mut recording.here(here, &one))?;
    let served = Served::new(recording, Way::Token)?;
    let mut command = served.through_dlls(recording, program, prefix, &other);
    let mut program = Guarded::start(&mut command)?;
    let count = || other.emulator.documents(hcn::Kind::LoadBalancer).len();
    let all = one.emulator.documents(hcn::Kind::LoadBalancer).len();
    program.until("all load balancers", || count() == all)?;

    let with_ip = |object: Value| cluster_ip(&object).map(|ip| (object, ip));
    let chosen = served.server.objects().into_iter().rev().find_map(with_ip);
    let (service, ip) = chosen.context("the recording has no Service of type ClusterIP")?;
    let has_frontend = || {
        let documents = other.emulator.documents(hcn::Kind::LoadBalancer);
        documents.iter().any(|document| document.to_string().contains(&format!("\"{ip}\"")))
    };
    ensure!(has_frontend(), "{ip} is in no load balancer");
    served.server.go_away();
    let name = |field: &str| service.pointer(&format!("/metadata/{field}")).and_then(Value::as_str).unwrap_or_default();
    ensure!(served.server.delete(Kind::Service, name("namespace"), name("name")), "there is no {}", name("name"));
    ensure!(count() == all, "something is gone because the API server is");
    served.server.come_back()?;
    program.until("the deletion is seen", || !has_frontend())?;
    served.server.put(service.clone())?;
    program.until("the creation is seen", || count() == all)?;
    ensure!(has_frontend(), "{ip} is in no load balancer again");
    Ok(())
}

/// The address of a Service of type ClusterIP that has one.
fn cluster_ip(object: &Value) -> Option<String> {
    let spec = object.get("spec")?;
    let ip = spec.get("clusterIP")?.as_str().filter(|ip| *ip != "None")?;
    (object.get("kind")? == "Service" && spec.get("type")? == "ClusterIP").then(|| ip.to_owned())
}
