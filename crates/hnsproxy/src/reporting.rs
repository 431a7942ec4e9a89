//! The HTTP servers and the event recorder of one configuration.

use std::net::SocketAddr;

use crate::background::Task;
use crate::config::Config;
use crate::control_loop::{Context, Event};
use crate::environment::node_name;
use crate::error::CommandError;
use crate::events::{self, Broadcaster, Recorder, Reporter, SharedCorrelator};
use crate::serve::{self, Listeners};
use crate::source::Source;

/// Fields are dropped in this order: the servers stop first, so their last Events are still sent.
pub struct Reporting {
    _servers: Task,
    healthz_address: Option<SocketAddr>,
    metrics_address: Option<SocketAddr>,
    _broadcaster: Option<Broadcaster>,
}

impl Reporting {
    /// Starts both. Events are sent only if the cluster comes from an API server. `first` is recorded before anything else.
    ///
    /// # Errors
    /// If an address is taken and `--bind-address-hard-fail` is set, or the name of the node is not known.
    pub fn start(
        context: &Context<'_>,
        config: &Config,
        source: &Source,
        correlator: &SharedCorrelator,
        first: Option<events::Event>,
    ) -> Result<Self, CommandError> {
        let Context { args, tls, hns, events, store, metrics, history, services, explanations, calls, background } =
            context;
        let broadcaster = match source {
            Source::Files(_) => None,
            Source::ApiServer(access) => {
                let host_name = gethostname::gethostname().to_string_lossy().into_owned();
                let reporter = Reporter { node_name: node_name(config, hns)?, host_name };
                let (store, metrics) = (store.clone(), metrics.clone());
                Some(Broadcaster::start(background, access.clone(), reporter, store, metrics, correlator.clone()))
            }
        };
        let recorder: Recorder = broadcaster.as_ref().map(Broadcaster::recorder).unwrap_or_default();
        first.into_iter().for_each(|event| recorder.record(event));
        let settings = serve::Settings::of(config, &args.metrics_allowed_host, args.ui, tls.clone());
        let listeners = Listeners::bind(&settings, &recorder)?;
        let events = events.clone();
        let access = match source {
            Source::Files(_) => None,
            Source::ApiServer(access) => Some(access.clone()),
        };
        let proxy = serve::Proxy {
            store: store.clone(),
            metrics: metrics.clone(),
            history: history.clone(),
            services: services.clone(),
            explanations: explanations.clone(),
            calls: calls.clone(),
            recorder,
            observe: Box::new(move |request| events.send(Event::Observe(request))),
            credentials: Box::new(move || {
                access.as_ref().map_or_else(Vec::new, |access| access.credential_lifetimes())
            }),
            overdue: Box::new(hns.overdue_calls()),
        };
        Ok(Self {
            healthz_address: listeners.healthz_address(),
            metrics_address: listeners.metrics_address(),
            _servers: serve::start(background, listeners, settings, proxy),
            _broadcaster: broadcaster,
        })
    }

    pub fn healthz_address(&self) -> Option<SocketAddr> {
        self.healthz_address
    }

    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }
}
