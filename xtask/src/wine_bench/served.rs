//! Tests `hnsproxy.exe` under Wine with the clusters of recordings from an API server.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use test_api_server::{ApiServer, Credentials, Kind};

use super::Hns;
use super::file::TempFile;
use super::recording::{Recording, outcome};
use crate::process::Guarded;
use crate::wine::Prefix;

/// The valid token.
const TOKEN: &str = "wine-bench";
/// The token that is valid later.
const NEXT_TOKEN: &str = "wine-bench-next";

/// How the program finds the API server and authenticates.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    /// By `--master`, over HTTP.
    Master,
    /// By a kubeconfig, over HTTPS with a token.
    Token,
    /// By a kubeconfig, over HTTPS with a token in a file.
    TokenFile,
    /// By a kubeconfig, over HTTPS with a certificate.
    Certificate,
    /// By the environment and the service account of a pod, over HTTPS with a token in a file.
    ServiceAccount,
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Master => "HTTP",
            Self::Token => "HTTPS and token",
            Self::TokenFile => "HTTPS and token file",
            Self::Certificate => "HTTPS and certificate",
            Self::ServiceAccount => "HTTPS and service account",
        })
    }
}

/// An API server with a recording's cluster.
pub(super) struct Served {
    pub(super) server: ApiServer,
    files: AccessFiles,
}

/// The files of one [`Access`], removed when dropped.
enum AccessFiles {
    None,
    Kubeconfig(TempFile),
    TokenFile { kubeconfig: TempFile, token: TempFile },
    ServiceAccount(ServiceAccount),
}

/// The service account of a pod, on drive C with the program. Removed when dropped.
struct ServiceAccount {
    prefix: Prefix,
}

impl ServiceAccount {
    const PROGRAM: &str = "hnsproxy.exe";

    fn new(server: &ApiServer, program: &Path, prefix: &Prefix) -> Result<Self> {
        let account = Self { prefix: prefix.without_drive_z()? };
        let drive = account.prefix.drive_c();
        std::fs::copy(program, drive.join(Self::PROGRAM))?;
        let folder = drive.join("var/run/secrets/kubernetes.io/serviceaccount");
        std::fs::create_dir_all(&folder)?;
        let authority = server.authority().context("the server does not use TLS")?;
        for (name, text) in [("token", TOKEN), ("ca.crt", &authority), ("namespace", "kube-system")] {
            std::fs::write(folder.join(name), text)?;
        }
        Ok(account)
    }

    /// The program in the environment of a pod.
    fn command(&self, address: SocketAddr) -> Command {
        let mut command = self.prefix.command();
        // Paths without a drive are on the current drive.
        command.current_dir(self.prefix.drive_c()).arg(format!("C:\\{}", Self::PROGRAM));
        command.env("KUBERNETES_SERVICE_HOST", address.ip().to_string());
        command.env("KUBERNETES_SERVICE_PORT", address.port().to_string());
        command
    }
}

impl Drop for ServiceAccount {
    fn drop(&mut self) {
        let drive = self.prefix.drive_c();
        // Fails if the folder does not exist.
        let _ = std::fs::remove_dir_all(drive.join("var"));
        let _ = std::fs::remove_file(drive.join(Self::PROGRAM));
        let _ = self.prefix.remove_without_drive_z();
    }
}

impl Served {
    pub(super) fn new(recording: &Recording, access: Access, program: &Path, prefix: &Prefix) -> Result<Self> {
        let server = if matches!(access, Access::Master) { ApiServer::start()? } else { ApiServer::start_tls()? };
        let cluster: Value = serde_json::from_slice(&std::fs::read(&recording.cluster)?)?;
        server.load(cluster)?;
        if !matches!(access, Access::Master) {
            server.allow_tokens([TOKEN]);
        }
        let files = match access {
            Access::Master => AccessFiles::None,
            Access::Token => AccessFiles::Kubeconfig(kubeconfig(&server, &Credentials::Token(TOKEN.to_owned()))?),
            Access::TokenFile => {
                let token = TempFile::new(&format!("token-{}", server.address().port()), TOKEN)?;
                let kubeconfig = kubeconfig(&server, &Credentials::TokenFile(token.in_wine().into()))?;
                AccessFiles::TokenFile { kubeconfig, token }
            }
            Access::Certificate => AccessFiles::Kubeconfig(kubeconfig(&server, &Credentials::Certificate)?),
            Access::ServiceAccount => AccessFiles::ServiceAccount(ServiceAccount::new(&server, program, prefix)?),
        };
        Ok(Self { server, files })
    }

    /// The Windows program, with the service of an emulator through the DLLs.
    pub(super) fn through_dlls(&self, recording: &Recording, program: &Path, prefix: &Prefix, hns: &Hns) -> Command {
        let mut command = prefix.command();
        match &self.files {
            AccessFiles::None => command.args([program, "run".as_ref()]).arg(format!("--master={}", self.server.url())),
            AccessFiles::Kubeconfig(kubeconfig) | AccessFiles::TokenFile { kubeconfig, .. } => {
                command.args([program, "run".as_ref()]).arg(format!("--kubeconfig={}", kubeconfig.in_wine()))
            }
            AccessFiles::ServiceAccount(account) => {
                command = account.command(self.server.address());
                command.arg("run")
            }
        };
        hns.set_address(command.args(&recording.flags));
        command
    }
}

fn kubeconfig(server: &ApiServer, credentials: &Credentials) -> Result<TempFile> {
    let name = format!("kubeconfig-{}", server.address().port());
    TempFile::new(&name, &server.kubeconfig(credentials).to_string())
}

/// The same result as from files with the program of this system, by the same calls.
pub(super) fn equal(recording: &Recording, access: Access, here: &Path, program: &Path, prefix: &Prefix) -> Result<()> {
    let (one, other) = (recording.hns()?, recording.hns()?);
    let expected = outcome(&mut recording.here(here, &one))?;
    let served = Served::new(recording, access, program, prefix)?;
    let mut command = served.through_dlls(recording, program, prefix, &other);
    let found = outcome(command.args(["--once", "-o=json"]))?;
    ensure!(found == expected, "from an API server: {found:#?}\nfrom files on this system: {expected:#?}");
    ensure!(one.journal() == other.journal(), "the calls differ");
    for kind in [Kind::Service, Kind::EndpointSlice] {
        let requests = served.server.count("watch", kind) + served.server.count("list", kind);
        ensure!(requests > 0, "no request for {}", kind.plural());
    }
    Ok(())
}

/// Objects deleted during an outage of the API server are removed from HNS after it, and created objects are added.
pub(super) fn follows(recording: &Recording, here: &Path, program: &Path, prefix: &Prefix) -> Result<()> {
    let (one, other) = (recording.hns()?, recording.hns()?);
    outcome(&mut recording.here(here, &one))?;
    let served = Served::new(recording, Access::Token, program, prefix)?;
    let mut command = served.through_dlls(recording, program, prefix, &other);
    let mut program = Guarded::start(&mut command)?;
    let count = || other.emulator.documents(hcn::Kind::LoadBalancer).len();
    let all = one.emulator.documents(hcn::Kind::LoadBalancer).len();
    program.until("all load balancers", || count() == all)?;

    let chosen = Chosen::of(&served.server)?;
    ensure!(chosen.has_frontend(&other), "{} is in no load balancer", chosen.ip);
    served.server.make_unavailable();
    chosen.delete(&served.server)?;
    ensure!(count() == all, "objects were removed during the outage");
    served.server.make_available()?;
    program.until("the deletion", || !chosen.has_frontend(&other))?;
    served.server.put(chosen.service.clone())?;
    program.until("the creation", || count() == all)?;
    ensure!(chosen.has_frontend(&other), "{} is in no load balancer after the outage", chosen.ip);
    Ok(())
}

/// A rejected token is read again after its file was replaced. Changes since the rejection are applied.
pub(super) fn reads_token_again(recording: &Recording, program: &Path, prefix: &Prefix) -> Result<()> {
    let (hns, served) = (recording.hns()?, Served::new(recording, Access::TokenFile, program, prefix)?);
    let Served { server, files: AccessFiles::TokenFile { token, .. } } = &served else { bail!("missing token file") };
    let chosen = Chosen::of(server)?;
    let mut program = Guarded::start(&mut served.through_dlls(recording, program, prefix, &hns))?;
    program.until("a load balancer", || chosen.has_frontend(&hns))?;

    server.allow_tokens([NEXT_TOKEN]);
    server.cut();
    let before = server.received().len();
    chosen.delete(server)?;
    program.until("retries", || server.received().len() > before + 5)?;
    ensure!(chosen.has_frontend(&hns), "objects were removed after the token was rejected");
    token.replace(NEXT_TOKEN)?;
    program.until("the deletion", || !chosen.has_frontend(&hns))?;
    server.put(chosen.service.clone())?;
    program.until("the creation", || chosen.has_frontend(&hns))
}

/// A Service of type ClusterIP.
struct Chosen {
    service: Value,
    ip: String,
}

impl Chosen {
    fn of(server: &ApiServer) -> Result<Self> {
        let with_ip = |service: Value| cluster_ip(&service).map(|ip| Self { service, ip });
        let found = server.objects().into_iter().rev().find_map(with_ip);
        found.context("the recording has no Service of type ClusterIP")
    }

    fn has_frontend(&self, hns: &Hns) -> bool {
        let quoted = format!("\"{}\"", self.ip);
        let documents = hns.emulator.documents(hcn::Kind::LoadBalancer);
        documents.iter().any(|document| document.to_string().contains(&quoted))
    }

    fn delete(&self, server: &ApiServer) -> Result<()> {
        let of_metadata = |field: &str| self.service.pointer(&format!("/metadata/{field}")).and_then(Value::as_str);
        let [namespace, name] = ["namespace", "name"].map(|field| of_metadata(field).unwrap_or_default());
        ensure!(server.delete(Kind::Service, namespace, name), "Service {namespace}/{name} not found");
        Ok(())
    }
}

/// The address of a Service of type ClusterIP that has one.
fn cluster_ip(object: &Value) -> Option<String> {
    let spec = object.get("spec")?;
    let ip = spec.get("clusterIP")?.as_str().filter(|ip| *ip != "None")?;
    (object.get("kind")? == "Service" && spec.get("type")? == "ClusterIP").then(|| ip.to_owned())
}
