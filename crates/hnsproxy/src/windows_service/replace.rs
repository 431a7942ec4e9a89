//! The commands `service replace`, `restore` and `status`: finds the service and its program, and carries out the replacement with the SCM.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use windows_service::service::{Service as ScmService, ServiceAccess, ServiceState};

use super::manager::{own, register_events, unregister_events};
use super::program::{self, Evidence, Own, ProgramKind};
use super::readyz_server::server;
use super::replacement::{Files, Kept, Replacement, Restoration, Service, State, Status};
use super::scm::{self, NAMES, configuration, open, state};
use super::search::{self, Candidate, Configuration, Local};
use super::{ReplaceError, ReplaceOptions, ServiceError, Target};
use crate::hns::HnsChoice;
use crate::http_client::Server;
use crate::instance_lock::state_file;
use crate::output;

/// A service, and its program that is kube-proxy or hnsproxy.
struct FoundService {
    name: String,
    service: ScmService,
    configuration: Configuration,
    candidate: Candidate,
    kind: ProgramKind,
    /// An error if the file cannot be read.
    evidence: io::Result<Evidence>,
    own: Own,
}

impl FoundService {
    fn program(&self) -> &Path {
        Path::new(&self.candidate.program)
    }

    fn is_hnsproxy(&self) -> bool {
        matches!(self.kind, ProgramKind::Hnsproxy { .. })
    }

    /// Where hnsproxy answers with the arguments of the service.
    fn server(&self, address: Option<SocketAddr>) -> Server {
        let server = server(&search::flags(&self.candidate.arguments, &Local));
        Server { address: address.unwrap_or(server.address), ..server }
    }
}

/// Finds the service, and decides what its programs are.
fn find(target: &Target, access: ServiceAccess) -> Result<FoundService, ServiceError> {
    let (name, service) = service(target, access | ServiceAccess::QUERY_CONFIG | ServiceAccess::QUERY_STATUS)?;
    let configuration = configuration(&name, &service);
    let candidates = match &target.program {
        Some(program) => vec![Candidate { program: program.display().to_string(), arguments: Vec::new() }],
        None => search::candidates(&configuration, &Local),
    };
    let own = own()?;
    let (mut proxies, mut unreadable) = (Vec::new(), None);
    for candidate in candidates {
        let path = Path::new(&candidate.program);
        let evidence = program::inspect(path);
        let kind = program::kind(&candidate.program, evidence.as_ref().ok(), &own);
        // A replaced program that cannot be read can be restored.
        let is_replaced = evidence.is_err() && Files::beside(path).record.is_file();
        if kind != ProgramKind::Other || is_replaced {
            proxies.push((candidate, kind, evidence));
        } else if let Err(error) = evidence {
            unreadable.get_or_insert((candidate.program, error));
        }
    }
    let mut proxies = proxies.into_iter();
    match (proxies.next(), proxies.next()) {
        (Some((candidate, kind, evidence)), None) => {
            Ok(FoundService { name, service, configuration, candidate, kind, evidence, own })
        }
        (None, _) => Err(match unreadable {
            Some((program, source)) => unreadable_program(program, source),
            None => ServiceError::NotKubeProxy { name, command_line: configuration.image_path },
        }),
        (Some((one, ..)), Some((other, ..))) => {
            Err(ServiceError::SeveralPrograms { name, programs: [one.program, other.program].join(", ") })
        }
    }
}

fn unreadable_program(program: String, source: io::Error) -> ServiceError {
    ReplaceError::Unreadable { path: program.into(), source }.into()
}

/// The service with the given name, or with one that installers give it.
fn service(target: &Target, access: ServiceAccess) -> Result<(String, ScmService), ServiceError> {
    if let Some(name) = &target.name {
        return Ok((name.clone(), open(name, access)?));
    }
    let mut found = Vec::new();
    for name in NAMES {
        match open(name, access) {
            Ok(service) => found.push((name.to_owned(), service)),
            Err(ServiceError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(ServiceError::SeveralServices(NAMES.join(", "))),
        (None, _) => Err(ServiceError::NotFound(NAMES.join(" or "))),
    }
}

/// Replaces the program of the service by this one, and rolls back if it does not become ready.
///
/// # Errors
/// If the service is not that of kube-proxy, or the program was not replaced.
pub fn replace(options: &ReplaceOptions) -> Result<(), ServiceError> {
    let found = find(&options.target, ServiceAccess::START | ServiceAccess::STOP)?;
    let evidence = match &found.evidence {
        Ok(evidence) => evidence,
        Err(error) => return Err(unreadable_program(found.candidate.program, io::Error::from(error.kind()))),
    };
    let server = found.server(options.readyz_address);
    let mut lines = described(&found)?;
    let managed = Managed::new(&found, server.clone());
    let current = Kept {
        description: found.kind.to_string(),
        is_kube_proxy: !found.is_hnsproxy(),
        sha256: evidence.sha256.clone(),
    };
    let own = PathBuf::from(&found.own.path);
    let mut replacement = Replacement::new(&found.name, &managed, found.program(), current, &own, options.timeout)?;
    // After the check for an interrupted replacement, which may have put this program there already.
    if evidence.sha256 == found.own.sha256 {
        lines.push("nothing to do: the service runs this program".to_owned());
        return print(&lines);
    }
    if options.dry_run {
        lines.push(format!("would replace it with {} ({}):", found.own.path, found.own.sha256));
        lines.extend(replacement.steps().iter().map(|step| format!("  {step}")));
        lines.push(format!("/readyz is expected at {} within {} s", server.address, options.timeout.as_secs()));
        return print(&lines);
    }
    print(&lines)?;
    replacement.run()?;
    print(&[register_events(), format!("service {} runs hnsproxy; undo with: hnsproxy service restore", found.name)])
}

/// Puts the original program of the service back.
///
/// # Errors
/// If there is none, or it was not put back.
pub fn restore(target: &Target) -> Result<(), ServiceError> {
    let found = find(target, ServiceAccess::START | ServiceAccess::STOP)?;
    let managed = Managed::new(&found, found.server(None));
    let Some(mut restoration) = Restoration::new(&managed, found.program())? else {
        return Err(ServiceError::NothingToRestore { name: found.name.clone(), runs: found.kind.to_string() });
    };
    // A file that another user has put there, with a record, must not run as LocalSystem.
    let files = Files::beside(found.program());
    for kept in [files.original, files.previous] {
        if let Ok(evidence) = program::inspect(&kept)
            && program::kind(&kept.display().to_string(), Some(&evidence), &found.own) == ProgramKind::Other
        {
            return Err(ReplaceError::KeptForeign(kept).into());
        }
    }
    let restored = restoration.run(found.is_hnsproxy())?;
    // From now on, kube-proxy replaces the load balancers of hnsproxy. A later hnsproxy would report that as a removal by a script.
    if let Some(file) = state_file(&HnsChoice::Windows) {
        let _ = std::fs::remove_file(file);
    }
    if restored.is_kube_proxy {
        // A failure is ignored: the source is used only by the Event Viewer, and a source that stays registered has no effect.
        let _ = unregister_events(&found.candidate.program, &found.name);
    }
    let which = if restored.is_kube_proxy { "original" } else { "previous" };
    print(&[format!("service {} has its {which} program again: {}", found.name, restored.description)])
}

/// Shows which program the service runs.
///
/// # Errors
/// If the service is not found, or the output cannot be written.
pub fn status(target: &Target) -> Result<(), ServiceError> {
    let found = find(target, ServiceAccess::QUERY_STATUS)?;
    let mut lines = described(&found)?;
    let server = found.server(None);
    if found.is_hnsproxy() {
        let ready = if is_ready(&server) { "ready" } else { "not ready" };
        lines.push(format!("  /readyz at {}: {ready}", server.address));
    }
    let files = Files::beside(found.program());
    if let Some(record) = files.read_record()? {
        let original = files.original.display();
        lines.push(format!(
            "  original: {}, sha256 {}, in {original}",
            record.original.description, record.original.sha256
        ));
        if let Some(step) = record.step {
            lines.push(format!("  a replacement was interrupted ({step}); run: hnsproxy service restore"));
        }
    }
    print(&lines)
}

fn described(found: &FoundService) -> Result<Vec<String>, ServiceError> {
    let state = state(&found.name, &found.service)?;
    let program = match &found.evidence {
        Ok(evidence) => format!("  it is {}, sha256 {}", found.kind, evidence.sha256),
        Err(error) => format!("  it cannot be read: {error}; run: hnsproxy service restore"),
    };
    Ok(vec![
        format!("service {}: {state:?}", found.name),
        format!("  command line: {}", found.configuration.image_path),
        format!("  program: {}", found.candidate.program),
        program,
    ])
}

fn print(lines: &[String]) -> Result<(), ServiceError> {
    Ok(output::text(&format!("{}\n", lines.join("\n")))?)
}

fn is_ready(server: &Server) -> bool {
    matches!(server.get_json::<serde_json::Value>("/readyz"), Ok(Some(_)))
}

/// A service of the SCM.
struct Managed<'a> {
    name: &'a str,
    service: &'a ScmService,
    server: Server,
    start: Instant,
}

impl<'a> Managed<'a> {
    #[allow(clippy::disallowed_methods, reason = "measures how long the service takes to become ready")]
    fn new(found: &'a FoundService, server: Server) -> Self {
        Self { name: &found.name, service: &found.service, server, start: Instant::now() }
    }
}

impl Service for Managed<'_> {
    fn status(&self) -> Result<Status, ServiceError> {
        let status = scm::status(self.name, self.service)?;
        let state = match status.current_state {
            ServiceState::Stopped => State::Stopped,
            ServiceState::StopPending => State::StopPending,
            ServiceState::Running => State::Running,
            _ => State::StartPending,
        };
        Ok(Status { state, process_id: status.process_id })
    }

    fn stop(&self) -> Result<(), ServiceError> {
        scm::stop(self.name, self.service)
    }

    fn start(&self) -> Result<(), ServiceError> {
        scm::start(self.name, self.service)
    }

    fn is_ready(&self) -> bool {
        is_ready(&self.server)
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn pause(&self) {
        scm::pause();
    }

    fn print_line(&self, text: &str) {
        // A step is not left out because standard output is closed.
        let _ = output::text(&format!("{text}\n"));
    }
}
