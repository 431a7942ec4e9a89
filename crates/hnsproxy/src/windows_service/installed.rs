//! What the command lines of the installed services say about the hnsproxy that they run, so that commands read the same configuration, ask the same
//! address and find the same files.
#![cfg_attr(not(windows), allow(dead_code, reason = "only Windows has services"))]

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::command_line::same_path;
use super::readyz_server::server_of;
use super::search::{self, Candidate, Configuration, Host};
use crate::cli::{self, Command, ProxyArgs, RunArgs};
use crate::http_client::Server;

/// A service that runs hnsproxy.
#[derive(Debug)]
pub struct Installed {
    /// The name for the service control manager.
    pub name: String,
    run: RunArgs,
    /// The working directory of the process.
    directory: PathBuf,
}

impl Installed {
    /// The service with this configuration, if one of its programs is hnsproxy.
    pub(super) fn of(
        name: &str,
        configuration: &Configuration,
        host: &dyn Host,
        is_hnsproxy: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let candidates = search::candidates(configuration, host).into_iter();
        let run = candidates.filter(|found| is_hnsproxy(&found.program)).find_map(|found| run_args(&found, host))?;
        let hosted = configuration.hosted.as_ref().map(|hosted| hosted.directory.as_str());
        let directory = match hosted.filter(|directory| !directory.is_empty()) {
            Some(directory) => PathBuf::from(search::expand(directory, host)),
            None => Path::new(&host.variable("SystemRoot").unwrap_or_default()).join("System32"),
        };
        Some(Self { name: name.to_owned(), run, directory })
    }

    /// The arguments by which it decides what it programs.
    pub fn proxy(&self) -> &ProxyArgs {
        &self.run.proxy
    }

    /// Where and how it answers.
    pub fn server(&self) -> Server {
        server_of(&self.run)
    }

    pub fn log_file(&self) -> Option<PathBuf> {
        self.run.proxy.log_output.file().map(|file| self.directory.join(file.path))
    }

    /// The folder of its history.
    pub fn state_dir(&self) -> Option<PathBuf> {
        self.run.state_dir.as_ref().map(|folder| self.directory.join(folder))
    }
}

/// The arguments of `hnsproxy run`, as far as they are known: those of a script may depend on variables.
fn run_args(candidate: &Candidate, host: &dyn Host) -> Option<RunArgs> {
    let flags = search::flags(&candidate.arguments, host);
    let parsed = |arguments: &[&str], flags: &[String]| {
        let line = arguments.iter().copied().chain(flags.iter().map(String::as_str)).map(OsString::from);
        match cli::parse(line).ok()?.command {
            Command::Run(run) => Some(run),
            _ => None,
        }
    };
    parsed(&["hnsproxy"], &candidate.arguments).or_else(|| parsed(&["hnsproxy", "run"], &flags))
}

/// Whether a program is this one, as far as its path shows it.
pub(super) fn is_own(program: &str) -> bool {
    std::env::current_exe().is_ok_and(|own| same_path(program, &own.display().to_string()))
}

/// The service that runs hnsproxy. Only Windows has one.
#[cfg(not(windows))]
pub fn installed() -> Option<Installed> {
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::search::Hosted;
    use super::*;

    /// A host with these files, some of which are scripts.
    struct Fake(BTreeMap<&'static str, &'static str>);

    impl Host for Fake {
        fn is_file(&self, path: &str) -> bool {
            self.0.contains_key(path)
        }

        fn script(&self, path: &str) -> Option<String> {
            self.0.get(path).map(|text| (*text).to_owned())
        }

        fn variable(&self, name: &str) -> Option<String> {
            (name == "SystemRoot").then(|| "/windows".to_owned())
        }
    }

    const PROGRAM: &str = "/k/hnsproxy.exe";

    /// The address, the log file and the folder of the history of a service.
    fn found(image_path: &str, hosted: Option<[&str; 3]>, script: &'static str) -> Option<[String; 3]> {
        let files = [(PROGRAM, ""), ("/k/nssm.exe", ""), ("/k/start.ps1", script)];
        let hosted = hosted.map(|texts| {
            let [application, parameters, directory] = texts.map(str::to_owned);
            Hosted { application, parameters, directory }
        });
        let configuration = Configuration { image_path: image_path.to_owned(), hosted };
        let installed = Installed::of("kube-proxy", &configuration, &Fake(files.into()), |path| path == PROGRAM)?;
        let path = |path: Option<PathBuf>| path.map(|path| path.display().to_string()).unwrap_or_default();
        Some([installed.server().address.to_string(), path(installed.log_file()), path(installed.state_dir())])
    }

    #[test]
    fn the_flags_of_a_native_service_are_those_of_its_command_line() {
        let line = format!(
            "\"{PROGRAM}\" --kubeconfig=/k/config --log-file /k/log.txt --metrics-bind-address=0.0.0.0:7 \
             --state-dir=history --windows-service"
        );
        let expected = ["127.0.0.1:7", "/k/log.txt", "/windows/System32/history"].map(str::to_owned);
        assert_eq!(found(&line, None, ""), Some(expected));
        let none = ["127.0.0.1:10249", "", ""].map(str::to_owned);
        assert_eq!(found(&format!("{PROGRAM} run"), None, ""), Some(none));
        assert_eq!(found("/k/nssm.exe", None, ""), None);
    }

    #[test]
    fn a_relative_path_of_nssm_is_in_its_folder() {
        let hosted = [PROGRAM, "--log-dir=logs --state-dir=/state", "/k"];
        let expected = ["127.0.0.1:10249", "/k/logs/hnsproxy.log", "/state"].map(str::to_owned);
        assert_eq!(found("/k/nssm.exe", Some(hosted), ""), Some(expected));
    }

    #[test]
    fn the_flags_of_a_script_are_those_without_variables() {
        let script = "$ip = Get-Ip\n& /k/hnsproxy.exe --source-vip $ip `\n --log-file=/k/log.txt --state-dir $dir \
                      --metrics-bind-address 127.0.0.1:8 --hostname-override=$node";
        let expected = ["127.0.0.1:8", "/k/log.txt", ""].map(str::to_owned);
        assert_eq!(found("/k/nssm.exe", Some(["powershell.exe", "-File /k/start.ps1", ""]), script), Some(expected));
    }

    #[test]
    fn the_configuration_of_the_service_is_known() {
        let configuration = Configuration { image_path: format!("{PROGRAM} --cluster-cidr=10.0.0.0/8"), hosted: None };
        let host = Fake([(PROGRAM, "")].into());
        let installed = Installed::of("kube-proxy", &configuration, &host, |path| path == PROGRAM).unwrap();
        let line = ["hnsproxy", "run", "--cluster-cidr=10.0.0.0/8"].map(OsString::from);
        let Command::Run(expected) = cli::parse(line).unwrap().command else { panic!() };
        assert_eq!(installed.proxy().kube_proxy, expected.proxy.kube_proxy);
    }
}
