//! The commands that query the hnsproxy that runs on this host.

pub(super) mod history;
pub(super) mod services;
pub(super) mod status;
pub(super) mod top;

use std::thread;
use std::time::Duration;

use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::RunningArgs;
use crate::error::CommandError;
use crate::http_client::{RequestError, Server};

/// The time between two requests of a command that runs until it is stopped.
const INTERVAL: Duration = Duration::from_secs(1);

/// The running hnsproxy.
fn server(args: &RunningArgs) -> Server {
    super::installed::server(args.debug_address, &args.debug_tls)
}

/// Gets a page.
fn page(server: &Server, path: &str) -> Result<Value, CommandError> {
    let found = server.get_json(path).map_err(failed(server))?;
    found.ok_or_else(|| failed(server)(RequestError::Status { status: StatusCode::NOT_FOUND }))
}

/// Gets `/readyz`, which answers with code 503 while the node is not ready.
fn readyz(server: &Server) -> Result<Value, CommandError> {
    server.get_json_of_any_state("/readyz").map_err(failed(server))
}

/// Reads the fields of a page that the text output needs.
fn parts<T: DeserializeOwned>(server: &Server, page: &Value) -> Result<T, CommandError> {
    T::deserialize(page).map_err(|error| failed(server)(error.into()))
}

fn failed(server: &Server) -> impl Fn(RequestError) -> CommandError + use<> {
    let address = server.address;
    move |source| CommandError::Query { address, source, instead: "start hnsproxy" }
}

/// A query string of parameters.
fn query<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

fn pause() {
    #[allow(clippy::disallowed_methods, reason = "the command polls; a signal ends it")]
    thread::sleep(INTERVAL);
}
