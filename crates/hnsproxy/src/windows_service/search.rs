//! Finds the programs that a service may run as kube-proxy: its own program, that of NSSM, the argument of a service host, or what a start
//! script names. The module `program` identifies them.
#![cfg_attr(not(windows), allow(dead_code, reason = "only Windows has services"))]

use std::path::Path;

use cluster_source::decode_text;

use super::command_line::{self, CommandLine};
use super::replacement::Files;

/// A start script can start another one.
const MAX_DEPTH: usize = 3;
const SCRIPTS: [&str; 4] = [".ps1", ".cmd", ".bat", ".psm1"];
const PROGRAM: &str = ".exe";
/// In scripts: the folder of the script.
const SCRIPT_FOLDERS: [&str; 3] = ["$PSScriptRoot", "${PSScriptRoot}", "%~dp0"];

/// How the SCM starts a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Configuration {
    pub(super) image_path: String,
    /// What a service host such as NSSM has in the key `Parameters` of the service.
    pub(super) hosted: Option<Hosted>,
}

/// The program that a service host starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hosted {
    pub(super) application: String,
    pub(super) parameters: String,
    pub(super) directory: String,
}

/// What the search reads of the host.
pub(super) trait Host {
    fn is_file(&self, path: &str) -> bool;
    fn script(&self, path: &str) -> Option<String>;
    fn variable(&self, name: &str) -> Option<String>;
}

/// A program that the service may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) program: String,
    /// Words that may be its arguments: those after it on a command line, or all of the script that names it.
    pub(super) arguments: Vec<String>,
}

/// The program of the service itself.
pub(super) fn program(configuration: &Configuration, host: &dyn Host) -> CommandLine {
    let image_path = expand(&configuration.image_path, host);
    CommandLine::parse(&image_path, |path| host.is_file(path))
}

/// All candidates that are files, each once, the program of the service first.
pub(super) fn candidates(configuration: &Configuration, host: &dyn Host) -> Vec<Candidate> {
    let mut search = Search { host, found: Vec::new() };
    let CommandLine { program, arguments } = program(configuration, host);
    search.add_words(&[&[program], &arguments[..]].concat(), &[""], 0);
    if let Some(hosted) = &configuration.hosted {
        let expanded = |text: &str| expand(text, host);
        let mut words = vec![expanded(&hosted.application)];
        words.extend(command_line::arguments(&expanded(&hosted.parameters)));
        let directory = with_separator(&expanded(&hosted.directory));
        search.add_words(&words, &[&directory, ""], 0);
    }
    search.found
}

/// The flags with values by which commands find the configuration, the files and the address of hnsproxy.
const FLAGS: [&str; 9] = [
    "--config",
    "--kubeconfig",
    "--log-dir",
    "--log-file",
    "--master",
    "--metrics-bind-address",
    TLS_FLAGS[0],
    TLS_FLAGS[1],
    "--state-dir",
];
/// Each of them needs the other one.
const TLS_FLAGS: [&str; 2] = ["--metrics-tls-cert-file", "--metrics-tls-key-file"];

/// The values of [`FLAGS`]. Installers write both `--flag=value` and `--flag value`.
pub(super) fn flags(arguments: &[String], host: &dyn Host) -> Vec<String> {
    let mut flags = Vec::new();
    for name in FLAGS {
        let mut values = arguments.iter().enumerate().filter_map(|(number, word)| {
            let word = word.trim_end_matches([',', ';', '`', '^']);
            match word.replace('_', "-").strip_prefix(name)? {
                "" => arguments.get(number + 1).cloned(),
                rest => rest.starts_with('=').then(|| word.get(name.len() + 1..).unwrap_or_default().to_owned()),
            }
        });
        // What a script computes is not known here.
        let value = values.next_back().map(|value| expand(&value, host)).filter(|value| !has_variable(value));
        flags.extend(value.map(|value| format!("{name}={value}")));
    }
    let is_tls = |flag: &String| TLS_FLAGS.iter().any(|name| flag.starts_with(name));
    if flags.iter().filter(|flag| is_tls(flag)).count() < TLS_FLAGS.len() {
        flags.retain(|flag| !is_tls(flag));
    }
    flags
}

struct Search<'a> {
    host: &'a dyn Host,
    found: Vec<Candidate>,
}

impl Search<'_> {
    /// Adds the programs among some words, and those of the scripts among them. Relative paths are in one of the folders.
    fn add_words(&mut self, words: &[String], folders: &[&str], depth: usize) {
        for (number, word) in words.iter().enumerate() {
            let lower = word.to_ascii_lowercase();
            if SCRIPTS.iter().any(|extension| lower.ends_with(extension)) {
                if let Some(script) = self.file(word, folders) {
                    self.add_script(&script, folders, depth);
                }
            } else if number == 0 || lower.ends_with(PROGRAM) {
                let arguments = words.get(number + 1..).unwrap_or_default().to_vec();
                self.add(word, folders, arguments);
            } else if word.contains(' ') {
                // A command line for a shell.
                let words = self::words(word);
                self.add_words(&words, folders, depth);
            }
        }
    }

    fn add_script(&mut self, path: &str, folders: &[&str], depth: usize) {
        if depth == MAX_DEPTH {
            return;
        }
        let Some(text) = self.host.script(path) else { return };
        let folder = command_line::folder(path);
        let words: Vec<String> = words(&text).iter().map(|word| self.resolve(word, folder)).collect();
        let folders: Vec<&str> = [folder].iter().chain(folders).copied().collect();
        for word in &words {
            let lower = word.to_ascii_lowercase();
            if lower.ends_with(PROGRAM) {
                self.add(word, &folders, words.clone());
            } else if SCRIPTS.iter().any(|extension| lower.ends_with(extension))
                && let Some(script) = self.file(word, &folders)
                && !command_line::same_path(&script, path)
            {
                self.add_script(&script, &folders, depth + 1);
            }
        }
    }

    /// Replaces the known variables of a script. If others are left, returns the part of the path after the last one.
    fn resolve(&self, word: &str, folder: &str) -> String {
        let mut word = word.to_owned();
        for variable in SCRIPT_FOLDERS {
            word = word.replace(&format!("{variable}\\"), folder).replace(variable, folder);
        }
        let word = expand(&word, self.host);
        let start =
            word.rfind(['$', '%']).and_then(|variable| Some(variable + word.get(variable..)?.find(['\\', '/'])? + 1));
        start.and_then(|start| word.get(start..)).map(str::to_owned).unwrap_or(word)
    }

    fn add(&mut self, program: &str, folders: &[&str], arguments: Vec<String>) {
        let Some(program) = self.file(program, folders) else { return };
        if !self.found.iter().any(|candidate| command_line::same_path(&candidate.program, &program)) {
            self.found.push(Candidate { program, arguments });
        }
    }

    /// The first of the folders that has the file. An absolute path needs none.
    fn file(&self, path: &str, folders: &[&str]) -> Option<String> {
        let path = path.trim_start_matches(".\\").trim_start_matches("./");
        let is_relative = command_line::is_relative(path);
        let places = folders.iter().filter(|_| is_relative).map(|folder| format!("{folder}{path}"));
        let places = places.chain((!is_relative).then(|| path.to_owned()));
        let named = |place: String| [command_line::with_extension(&place), Some(place)];
        places.flat_map(named).flatten().find(|place| self.host.is_file(place))
    }
}

fn with_separator(folder: &str) -> String {
    if folder.is_empty() || folder.ends_with(['\\', '/']) { folder.to_owned() } else { format!("{folder}\\") }
}

fn has_variable(text: &str) -> bool {
    text.contains(['$', '%'])
}

/// Replaces `%NAME%`, `$env:NAME` and `${env:NAME}` where the variable exists.
pub(super) fn expand(text: &str, host: &dyn Host) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(['%', '$']) {
        let (before, variable) = rest.split_at(start);
        expanded.push_str(before);
        let (name, length) = name_of(variable);
        match host.variable(name).filter(|_| !name.is_empty()) {
            Some(value) => expanded.push_str(&value),
            None => expanded.push_str(variable.get(..length).unwrap_or_default()),
        }
        rest = variable.get(length..).unwrap_or_default();
    }
    expanded + rest
}

/// The name of the environment variable at the start of a text, empty if there is none, and the length of the reference.
fn name_of(text: &str) -> (&str, usize) {
    let quoted = |prefix: &str, suffix: char| {
        let rest = text.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix));
        let rest = rest.and_then(|_| text.get(prefix.len()..))?;
        let end = rest.find(suffix)?;
        Some((rest.get(..end)?, prefix.len() + end + 1))
    };
    let bare = |prefix: &str| {
        let start = text.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix))?;
        let rest = text.get(start.len()..)?;
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        Some((rest.get(..end)?, start.len() + end))
    };
    quoted("${env:", '}').or_else(|| bare("$env:")).or_else(|| quoted("%", '%')).unwrap_or(("", 1))
}

/// The words of a script, without quotes and comments. A quoted command line is several words.
fn words(script: &str) -> Vec<String> {
    let is_comment = |line: &&str| {
        let line = line.trim_start().to_ascii_lowercase();
        line.starts_with('#') || line.starts_with("::") || line.starts_with("rem ")
    };
    let mut words = Vec::new();
    for line in script.lines().filter(|line| !is_comment(line)) {
        let mut rest = line;
        while let Some(start) = rest.find(['"', '\'']) {
            let (before, quoted) = rest.split_at(start);
            add_words(before, &mut words);
            let quote = if quoted.starts_with('"') { '"' } else { '\'' };
            let quoted = quoted.get(1..).unwrap_or_default();
            let (text, after) = quoted.split_once(quote).unwrap_or((quoted, ""));
            let lower = text.to_ascii_lowercase();
            // A path may have spaces. A command line names its program before them.
            let is_path = lower.ends_with(PROGRAM) || SCRIPTS.iter().any(|extension| lower.ends_with(extension));
            match is_path && lower.matches(PROGRAM).count() <= 1 {
                true => words.push(text.trim_start_matches("& ").to_owned()),
                false => add_words(text, &mut words),
            }
            rest = after;
        }
        add_words(rest, &mut words);
    }
    words
}

fn add_words(text: &str, words: &mut Vec<String>) {
    let separators = [' ', '\t', ',', ';', '(', ')', '&', '|', '`', '^', '@'];
    words.extend(text.split(separators).filter(|word| !word.is_empty() && *word != "=").map(str::to_owned));
}

/// The host that this process runs on.
pub(super) struct Local;

impl Host for Local {
    fn is_file(&self, path: &str) -> bool {
        let path = Path::new(path);
        // `service restore` also finds a program that a virus scanner has removed.
        path.is_file() || Files::beside(path).record.is_file()
    }

    fn script(&self, path: &str) -> Option<String> {
        /// Start scripts have a few kilobytes.
        const MAX_SCRIPT: u64 = 1 << 20;

        if std::fs::metadata(path).ok()?.len() > MAX_SCRIPT {
            return None;
        }
        std::fs::read(path).ok().map(|bytes| decode(&bytes))
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// A script may also have the encoding of the system: names of programs and flags are readable in it.
fn decode(bytes: &[u8]) -> String {
    let lossy = || String::from_utf8_lossy(bytes).trim_start_matches('\u{feff}').to_owned();
    decode_text(bytes.to_vec()).unwrap_or_else(|_| lossy())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A host with these files, some of which are scripts.
    struct Fake(BTreeMap<&'static str, &'static str>);

    impl Host for Fake {
        fn is_file(&self, path: &str) -> bool {
            self.0.keys().any(|file| file.eq_ignore_ascii_case(path))
        }

        fn script(&self, path: &str) -> Option<String> {
            let mut files = self.0.iter();
            files.find(|(file, _)| file.eq_ignore_ascii_case(path)).map(|(_, text)| (*text).to_owned())
        }

        fn variable(&self, name: &str) -> Option<String> {
            let value = match name.to_ascii_lowercase().as_str() {
                "programfiles" => r"C:\Program Files",
                "systemroot" => r"C:\Windows",
                _ => return None,
            };
            Some(value.to_owned())
        }
    }

    const KUBE_PROXY: &str = r"C:\k\kube-proxy.exe";
    const POWERSHELL: &str = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe";

    fn service(image_path: &str) -> Configuration {
        Configuration { image_path: image_path.into(), hosted: None }
    }

    fn hosted(application: &str, parameters: &str, directory: &str) -> Configuration {
        let [application, parameters, directory] = [application, parameters, directory].map(str::to_owned);
        Configuration {
            image_path: r"C:\k\nssm.exe".into(),
            hosted: Some(Hosted { application, parameters, directory }),
        }
    }

    /// The candidates of a service on a host with NSSM, kube-proxy, PowerShell and a start script.
    fn programs(configuration: &Configuration, script: &'static str) -> Vec<String> {
        let eks = r"C:\Program Files\kubernetes\kube-proxy.exe";
        let mut files: BTreeMap<&str, &str> =
            [r"C:\k\nssm.exe", KUBE_PROXY, POWERSHELL, eks, r"C:\EKS\host.exe"].map(|file| (file, "")).into();
        files.insert(r"C:\k\start.ps1", script);
        files.insert(r"C:\k\inner.cmd", "REM C:\\k\\nssm.exe\r\n%~dp0kube-proxy.exe --v=4\r\n");
        candidates(configuration, &Fake(files)).into_iter().map(|candidate| candidate.program).collect()
    }

    #[test]
    fn a_native_service_runs_its_program() {
        assert_eq!(programs(&service(r"C:\k\kube-proxy.exe --windows-service --v=4"), ""), [KUBE_PROXY]);
        let unquoted = service(r"%ProgramFiles%\kubernetes\kube-proxy.exe --config=c.yaml");
        assert_eq!(programs(&unquoted, ""), [r"C:\Program Files\kubernetes\kube-proxy.exe"]);
        assert!(programs(&service(r"C:\missing.exe"), "").is_empty());
    }

    #[test]
    fn a_service_host_runs_the_program_of_its_arguments() {
        let eks = r#""C:\EKS\host.exe" kube-proxy "C:\Program Files\kubernetes\kube-proxy.exe" --v=4"#;
        let expected = [r"C:\EKS\host.exe", r"C:\Program Files\kubernetes\kube-proxy.exe"];
        assert_eq!(programs(&service(eks), ""), expected);
    }

    #[test]
    fn nssm_runs_the_program_of_its_parameters() {
        let nssm = r"C:\k\nssm.exe";
        assert_eq!(programs(&hosted(KUBE_PROXY, "--v=4", r"C:\k"), ""), [nssm, KUBE_PROXY]);
        // Relative to the folder of the service.
        assert_eq!(programs(&hosted("kube-proxy.exe", "--v=4", r"C:\k"), ""), [nssm, KUBE_PROXY]);
    }

    #[test]
    fn a_script_runs_the_programs_that_it_names() {
        let nssm = r"C:\k\nssm.exe";
        for script in [
            "& C:\\k\\kube-proxy.exe --v=3 `\n  --proxy-mode=kernelspace",
            "$exe = \"c:\\K\\kube-proxy.exe\"; & $exe --v=3",
            "& \"$KubeDir\\kube-proxy.exe\" --v=3",
            "& \"$PSScriptRoot\\kube-proxy.exe\" --v=3",
            "Start-Process -FilePath 'C:\\k\\kube-proxy.exe' -ArgumentList '--v=3'",
            "cmd /c \"C:\\k\\kube-proxy.exe --v=3\"",
            "# & C:\\EKS\\host.exe\n.\\kube-proxy.exe --v=3",
            "& $PSScriptRoot\\inner.cmd",
        ] {
            let service = hosted(POWERSHELL, r"-NoProfile -File C:\k\start.ps1", "");
            let found: Vec<_> = programs(&service, script).iter().map(|program| program.to_lowercase()).collect();
            assert_eq!(found, [nssm, POWERSHELL, KUBE_PROXY].map(str::to_lowercase), "{script}");
        }
        for direct in
            [r#"powershell.exe -Command "C:\k\start.ps1""#, r#"cmd.exe /c "powershell & 'C:\k\start.ps1' -Wait""#]
        {
            assert_eq!(programs(&service(direct), "C:\\k\\kube-proxy.exe"), [KUBE_PROXY], "{direct}");
        }
    }

    #[test]
    fn a_name_with_an_extension_is_not_extended() {
        let files: BTreeMap<&str, &str> = [
            (KUBE_PROXY, ""),
            (r"C:\k\kube-proxy.exe.exe", ""),
            (r"C:\k\start.ps1", "C:\\k\\kube-proxy.exe"),
            (r"C:\k\start.ps1.exe", ""),
        ]
        .into();
        let found = |image_path: &str| {
            let found = candidates(&service(image_path), &Fake(files.clone()));
            found.into_iter().map(|candidate| candidate.program).collect::<Vec<_>>()
        };
        assert_eq!(found(r"C:\k\kube-proxy.exe --v=4"), [KUBE_PROXY]);
        assert_eq!(found(r"C:\k\kube-proxy --v=4"), [KUBE_PROXY]);
        assert_eq!(found(r"powershell.exe -File C:\k\start.ps1"), [KUBE_PROXY]);
    }

    #[test]
    fn a_script_that_starts_itself_ends_the_search() {
        let service = hosted(POWERSHELL, r"-File C:\k\start.ps1", "");
        let found = programs(&service, "C:\\k\\start.ps1\n.\\start.ps1\n& C:\\k\\inner.cmd");
        assert_eq!(found.last().map(String::as_str), Some(KUBE_PROXY));
    }

    #[test]
    fn the_flags_for_other_commands_are_found() {
        let found = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            flags(&words, &Fake(BTreeMap::new()))
        };
        assert_eq!(found(&["--v=4", r"--config=C:\k\c.yaml"]), [r"--config=C:\k\c.yaml"]);
        let both = [r"--config=C:\Program Files\c.yaml", "--metrics-bind-address=0.0.0.0:10249"];
        assert_eq!(found(&["--metrics_bind_address", "0.0.0.0:10249", "--config", r"%ProgramFiles%\c.yaml"]), both);
        let tls = ["--metrics-tls-cert-file=a", "--metrics-tls-key-file=b"];
        assert_eq!(found(&["--metrics-tls-key-file=b", "--metrics-tls-cert-file", "a"]), tls);
        assert!(found(&["--metrics-tls-key-file=$Key", "--metrics-tls-cert-file", "a"]).is_empty());
        assert!(found(&["--config=$KubeConfig", "--configuration=x", "--metrics-bind-address=%ADDRESS%"]).is_empty());
    }

    #[test]
    fn a_script_of_powershell_is_read_in_its_encoding() {
        let utf16: Vec<u8> = "\u{feff}a\u{e9}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&utf16), "a\u{e9}");
        assert_eq!(decode("\u{feff}a\u{e9}".as_bytes()), "a\u{e9}");
    }
}
