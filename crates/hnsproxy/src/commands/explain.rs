//! `explain svc`: explains the state of a Service, from files or from a running process.

use std::num::NonZeroUsize;

use cluster_source::Catalog;

use super::installed::server;
use super::{IN_SYNC, log_catalog, read_files};
use crate::cli::ExplainSvcArgs;
use crate::config::Config;
use crate::environment::resolve;
use crate::error::CommandError;
use crate::hns::Hns;
use crate::host_local::HostLocal;
use crate::session::Session;
use crate::status::PublishedExplanation;
use crate::{output, view};

/// In seconds. The control loop of a process that has nothing to do publishes at each audit, 5 s by default.
const MIN_AGE_SHOWN: f64 = 10.0;

pub(super) fn service(args: &ExplainSvcArgs, config: &Config) -> Result<u8, CommandError> {
    let (explanation, description) = match &args.proxy.source.from {
        Some(path) => from_files(args, config, &read_files(path)?)?,
        None => from_process(args)?,
    };
    output::print(args.proxy.output.output, &explanation, |_| {
        view::explanation(&explanation.explanation, &description)
    })?;
    Ok(IN_SYNC)
}

fn from_files(
    args: &ExplainSvcArgs,
    config: &Config,
    catalog: &Catalog,
) -> Result<(PublishedExplanation, String), CommandError> {
    let hns = Hns::open(&args.proxy.hns)?;
    let (settings, host) = resolve(config, &args.proxy, &hns, catalog)?;
    let host_local = HostLocal::new(args.proxy.host_local_dir.clone(), args.proxy.hns.choice()).read_only();
    let mut session = Session::new(hns.clone(), settings, host, NonZeroUsize::MIN).with_host_local(host_local);
    session.load(catalog);
    session.audit()?;
    let why = catalog.skipped_services.get(&args.service.to_string()).map(ToString::to_string);
    let explanation = session.explain(&args.service);
    log_catalog(catalog, session.node_name());
    match explanation {
        Some(explanation) => Ok((PublishedExplanation { explanation, age_seconds: None }, session.description())),
        None => Err(CommandError::ServiceNotFound { service: args.service.clone(), why }),
    }
}

fn from_process(args: &ExplainSvcArgs) -> Result<(PublishedExplanation, String), CommandError> {
    let server = server(args.debug_address, &args.debug_tls);
    let address = server.address;
    let path = format!("/debug/explain/{}/{}", args.service.namespace, args.service.name);
    match server.get_json::<PublishedExplanation>(&path) {
        Ok(Some(published)) => {
            let age = published.age_seconds.filter(|age| *age >= MIN_AGE_SHOWN);
            let age = age.map(|age| format!(", {age:.0} s ago")).unwrap_or_default();
            Ok((published, format!("hnsproxy at {address}{age}")))
        }
        Ok(None) => Err(CommandError::ServiceNotFound { service: args.service.clone(), why: None }),
        Err(source) => Err(CommandError::Query { address, source, instead: "--from to read files" }),
    }
}
