//! A test for each file of `tests/installers` (see [`Installer`]): the command line by which an installer starts kube-proxy starts hnsproxy
//! with `--once`, on a host like those of the installer, and HNS is in sync, or the error names what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use serde::Deserialize;
use serde_json::json;
use test_api_server::{ApiServer, Credentials};

use crate::manifest::{MOUNT_POINT, Manifest, needed};
use crate::support::hns::Hns;
use crate::support::program::{command, ended};
use crate::support::recording::{host, objects, recorded};

/// The directory of the service account, below the mount point of a HostProcess container.
const SERVICE_ACCOUNT: &str = "var/run/secrets/kubernetes.io/serviceaccount";

/// How an installer starts kube-proxy. Paths are those of Windows: elsewhere, they are names of files in the working directory.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Installer {
    /// Where the command line is from. Values that the installer computes are examples.
    source: String,
    /// The recording whose cluster and host are used.
    host: String,
    /// The name of the network of that host.
    network: String,
    /// The name of the Node.
    #[serde(default = "recorded_node")]
    node: String,
    /// The name of the host, if it is another one.
    host_name: Option<String>,
    /// The environment that the installer sets.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// A manifest of `deploy/kubernetes`, which has the environment, the arguments and the files.
    manifest: Option<String>,
    /// With a manifest, in addition to its arguments.
    #[serde(default)]
    arguments: Vec<String>,
    /// Where the installer writes the kubeconfig.
    kubeconfig: Option<String>,
    /// The mount point of a HostProcess container with a service account.
    service_account: Option<String>,
    /// The other files of the installer.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// Local endpoints that the CNI has created, and their addresses.
    #[serde(default)]
    endpoints: BTreeMap<String, String>,
    /// Files that hnsproxy writes, in folders that the installer creates.
    #[serde(default)]
    writes: Vec<String>,
    /// What the error names. Without it, HNS is in sync at the end.
    #[serde(default)]
    waits_for: Vec<String>,
}

fn recorded_node() -> String {
    "win-1".into()
}

pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/installers");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| {
        let name = file.file_stem().unwrap().to_str().unwrap();
        Trial::test(format!("installers::{name}"), move || {
            let mut installer: Installer = serde_saphyr::from_str(&fs::read_to_string(&file)?)?;
            assert!(!installer.source.is_empty());
            let manifest = installer.manifest.as_deref().map(Manifest::read);
            if let Some(manifest) = &manifest {
                installer.take(manifest);
            }
            let server = installer.check();
            if let Some(manifest) = &manifest {
                let requested: BTreeSet<_> = server.received().iter().map(needed).collect();
                let missing: Vec<_> = requested.difference(&manifest.rights()).cloned().collect();
                assert!(missing.is_empty(), "the ClusterRole lacks {missing:?}");
                let nodes = server.received().into_iter().filter(|request| request.path == "/api/v1/nodes");
                let names: BTreeSet<_> = nodes.map(|request| request.query["fieldSelector"].clone()).collect();
                assert_eq!(names, [format!("metadata.name={}", installer.node)].into());
            }
            Ok(())
        })
    })
}

impl Installer {
    /// Adds what a manifest has.
    fn take(&mut self, manifest: &Manifest) {
        self.environment.extend(manifest.environment(&self.node));
        self.arguments.splice(0..0, manifest.arguments(&self.node));
        self.files.extend(manifest.files());
        self.service_account = Some(MOUNT_POINT.to_owned());
    }

    /// Returns the API server that the program has asked.
    fn check(&self) -> ApiServer {
        let (directory, hns, server) = (tempfile::tempdir().unwrap(), self.hns(), ApiServer::start_tls().unwrap());
        server.load(serde_json::from_str(&self.renamed(&objects(&self.host).to_string())).unwrap()).unwrap();
        let root = directory.path();
        self.install(root, &server);
        let hns_flag = hns.flag();
        // Only the service control manager can start it with --windows-service.
        let line = self.arguments.iter().filter(|argument| !argument.starts_with("--windows-service"));
        let arguments: Vec<&str> = line.map(String::as_str).chain([hns_flag.as_str(), "--once"]).collect();
        let mut program = command(&arguments);
        program.current_dir(root).envs(&self.environment);
        program.env_remove("KUBERNETES_SERVICE_HOST").env_remove("CONTAINER_SANDBOX_MOUNT_POINT");
        if let Some(mount_point) = &self.service_account {
            let address = server.address();
            program.env("CONTAINER_SANDBOX_MOUNT_POINT", root.join(mount_point));
            program.env("KUBERNETES_SERVICE_HOST", address.ip().to_string());
            program.env("KUBERNETES_SERVICE_PORT", address.port().to_string());
        }
        let ended = ended(&mut program).expect(i32::from(!self.waits_for.is_empty()));
        for name in &self.waits_for {
            assert!(ended.stderr.contains(name), "{name} is not named in {}", ended.stderr);
        }
        let expected =
            if self.waits_for.is_empty() { recorded(&self.host)["loadBalancers"].as_array().unwrap().len() } else { 0 };
        assert_eq!(hns.load_balancers().len(), expected, "{}", ended.stderr);
        for file in &self.writes {
            assert!(root.join(file).is_file(), "{file} was not written: {}", ended.stderr);
        }
        server
    }

    /// A text with the name of the Node instead of that of the recording.
    fn renamed(&self, text: &str) -> String {
        text.replace(&format!("{:?}", recorded_node()), &format!("{:?}", self.node))
    }

    /// The host of the recording, with the network and the endpoints of the installer.
    fn hns(&self) -> Hns {
        let mut host = host(&self.host);
        host.node.clone_from(self.host_name.as_ref().unwrap_or(&self.node));
        let network = host.objects.iter_mut().find(|object| object["_kind"] == "Network").unwrap();
        network["Name"] = self.network.as_str().into();
        let network = network["ID"].clone();
        for (number, (name, address)) in self.endpoints.iter().enumerate() {
            host.objects.push(json!({
                "_kind": "Endpoint", "ID": format!("5eed0000-0000-4000-8000-{number:012}"), "Name": name,
                "HostComputeNetwork": network, "IpConfigurations": [{"IpAddress": address, "PrefixLength": 24}],
                "MacAddress": format!("00-15-5D-00-FF-{number:02}"), "SchemaVersion": {"Major": 2, "Minor": 0},
            }));
        }
        Hns::on(&host)
    }

    /// Writes the files of the installer.
    fn install(&self, root: &Path, server: &ApiServer) {
        let write = |path: &Path, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for file in &self.writes {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        }
        for (name, text) in &self.files {
            write(&root.join(name), text);
        }
        if let Some(kubeconfig) = &self.kubeconfig {
            write(&root.join(kubeconfig), &server.kubeconfig(&Credentials::Token("token".into())).to_string());
        }
        if let Some(mount_point) = &self.service_account {
            let directory = root.join(mount_point).join(SERVICE_ACCOUNT);
            write(&directory.join("ca.crt"), &server.authority().unwrap());
            write(&directory.join("token"), "token");
        }
    }
}
