//! Completes the arguments of commands with those of the installed Windows service, so that they read the node as hnsproxy does.

use std::net::SocketAddr;
use std::path::PathBuf;

use tracing::info;

use crate::cli::{DebugTlsArgs, DoctorArgs, ProxyArgs};
use crate::config::METRICS_ADDRESS;
use crate::hns::HnsChoice;
use crate::http_client::Server;
use crate::windows_service::{Installed, installed};

/// The node of a command, as its arguments and the installed service describe it.
pub(super) struct Node {
    pub(super) proxy: ProxyArgs,
    /// The name of the service whose flags it has, if its command line has none.
    service: Option<String>,
    /// The running hnsproxy, or why none is asked.
    pub(super) server: Result<Server, String>,
    /// Of the service.
    pub(super) log_file: Option<PathBuf>,
    /// Of the service.
    pub(super) state_dir: Option<PathBuf>,
}

impl Node {
    /// The node of this host, unless the cluster is read from files or HNS is emulated.
    pub(super) fn of(args: &DoctorArgs) -> Self {
        let is_here = *args.proxy.hns.choice() == HnsChoice::Windows && args.proxy.source.from.is_none();
        Self::with(args, is_here.then(installed).flatten().as_ref())
    }

    /// Says whose flags it has.
    pub(super) fn log(&self) {
        self.service.iter().for_each(|name| info!("using the flags of the installed service {name}"));
    }

    fn with(args: &DoctorArgs, service: Option<&Installed>) -> Self {
        let server = match (args.debug_address, &args.proxy.source.from) {
            (None, Some(_)) => Err("no running hnsproxy is asked with --from".to_owned()),
            (address, _) => Ok(server_with(address, &args.debug_tls, service)),
        };
        let mut proxy = args.proxy.clone();
        let completing = service.filter(|_| proxy.kube_proxy.is_empty());
        // Flags of the command line would be a mixture with those of the service that neither of them has.
        if let Some(service) = completing {
            let ProxyArgs { kube_proxy, node, host_local_dir, .. } = service.proxy().clone();
            (proxy.kube_proxy, proxy.node) = (kube_proxy, node);
            proxy.host_local_dir = proxy.host_local_dir.or(host_local_dir);
            proxy.take_over |= service.proxy().take_over;
            proxy.node_ip_as_source_vip |= service.proxy().node_ip_as_source_vip;
        }
        Self {
            proxy,
            service: completing.map(|service| service.name.clone()),
            server,
            log_file: service.and_then(Installed::log_file),
            state_dir: service.and_then(Installed::state_dir),
        }
    }
}

/// The hnsproxy that runs on this host: that of the given address, of the installed service, or at the default address.
pub(super) fn server(address: Option<SocketAddr>, tls: &DebugTlsArgs) -> Server {
    let service = if address.is_none() { installed() } else { None };
    server_with(address, tls, service.as_ref())
}

fn server_with(address: Option<SocketAddr>, tls: &DebugTlsArgs, service: Option<&Installed>) -> Server {
    match (address, service.map(Installed::server)) {
        (None, Some(of_service)) => {
            let given = tls.server(of_service.address);
            Server { certificate_file: given.certificate_file.or(of_service.certificate_file), ..of_service }
        }
        (address, _) => tls.server(address.unwrap_or(METRICS_ADDRESS)),
    }
}
