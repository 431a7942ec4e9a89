//! The command lines of Windows services: the program and the arguments, by the rules of `CreateProcessW` and `CommandLineToArgvW`. Paths
//! are texts, so that these rules are tested on every system.
#![cfg_attr(not(windows), allow(dead_code, reason = "only Windows has services"))]

/// Before a path, for the object manager. The SCM accepts it in `ImagePath`.
const NT_PREFIX: &str = r"\??\";

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
}

impl CommandLine {
    /// Parses the `ImagePath` of a service. Without quotes, a path with spaces is ambiguous: as in Windows, the program is the shortest
    /// prefix that is a file.
    pub(super) fn parse(line: &str, is_file: impl Fn(&str) -> bool) -> Self {
        let line = line.trim_start();
        let (program, rest) = match line.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => split_unquoted(line, is_file),
        };
        let program = program.strip_prefix(NT_PREFIX).unwrap_or(program);
        Self { program: program.to_owned(), arguments: arguments(rest) }
    }
}

fn split_unquoted(line: &str, is_file: impl Fn(&str) -> bool) -> (&str, &str) {
    let ends: Vec<usize> = line.match_indices([' ', '\t']).map(|(end, _)| end).chain([line.len()]).collect();
    let split = |end: usize| line.split_at_checked(end).unwrap_or((line, ""));
    let exists = |end: &&usize| {
        let program = split(**end).0.trim_start_matches(NT_PREFIX);
        is_file(program) || with_extension(program).is_some_and(|program| is_file(&program))
    };
    // If no file exists, the program ends at the first `.exe`.
    let named = |end: &&usize| split(**end).0.to_ascii_lowercase().ends_with(".exe");
    let end = ends.iter().find(exists).or_else(|| ends.iter().find(named)).or_else(|| ends.first());
    split(end.copied().unwrap_or(line.len()))
}

/// The path with `.exe`, which Windows appends to a name without an extension.
pub(super) fn with_extension(path: &str) -> Option<String> {
    let name = path.get(folder(path).len()..).unwrap_or_default();
    (!name.contains('.')).then(|| format!("{path}.exe"))
}

/// Splits the arguments that follow a program. A backslash is only special before a quote.
pub(super) fn arguments(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut one: Option<String> = None;
    let (mut quoted, mut backslashes) = (false, 0);
    for character in text.chars() {
        if character == '\\' {
            backslashes += 1;
            continue;
        }
        let is_quote = character == '"';
        let kept = if is_quote { backslashes / 2 } else { backslashes };
        let escaped = is_quote && backslashes % 2 == 1;
        if kept > 0 {
            one.get_or_insert_default().extend(std::iter::repeat_n('\\', kept));
        }
        backslashes = 0;
        match character {
            '"' if !escaped => {
                one.get_or_insert_default();
                quoted = !quoted;
            }
            ' ' | '\t' if !quoted => all.extend(one.take()),
            other => one.get_or_insert_default().push(other),
        }
    }
    if backslashes > 0 {
        one.get_or_insert_default().extend(std::iter::repeat_n('\\', backslashes));
    }
    all.extend(one);
    all
}

/// The folder of a path, with its last separator; empty if the path is only a name.
pub(super) fn folder(path: &str) -> &str {
    let end = path.rfind(['\\', '/']).map_or(0, |separator| separator + 1);
    path.get(..end).unwrap_or_default()
}

/// Whether two paths name the same file, as far as their texts show it.
pub(super) fn same_path(one: &str, other: &str) -> bool {
    let normal = |path: &str| {
        // `canonicalize` and `current_exe` may add the prefix of long paths.
        let path = path.strip_prefix(r"\\?\").unwrap_or(path).replace('/', "\\").to_lowercase();
        path.strip_suffix(".exe").map(str::to_owned).unwrap_or(path)
    };
    normal(one) == normal(other)
}

/// Whether a path depends on the working directory, which is System32 for a service.
pub fn is_relative(path: &str) -> bool {
    let has_drive = path.get(1..3).is_some_and(|rest| rest == ":\\" || rest == ":/");
    // `%NAME%` is expanded to an absolute path where it is used.
    !(has_drive || path.starts_with(['\\', '/', '%']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str, files: &[&str]) -> (String, Vec<String>) {
        let CommandLine { program, arguments } = CommandLine::parse(line, |path| files.contains(&path));
        (program, arguments)
    }

    #[test]
    fn a_command_line_has_one_program() {
        let nssm = (r"C:\k\nssm.exe".to_owned(), vec!["--app".to_owned(), r"C:\k\hnsproxy.exe".to_owned()]);
        assert_eq!(parsed(r"C:\k\nssm.exe --app C:\k\hnsproxy.exe", &[]), nssm);
        assert_eq!(parsed(r#""C:\k\nssm.exe" --app "C:\k\hnsproxy.exe""#, &[]), nssm);
        let spaces = r"C:\Program Files\kubernetes\kube-proxy.exe";
        let flags = vec!["--v=4".to_owned()];
        assert_eq!(parsed(&format!("\"{spaces}\" --v=4"), &[]), (spaces.to_owned(), flags.clone()));
        assert_eq!(parsed(&format!("{spaces} --v=4"), &[spaces]), (spaces.to_owned(), flags.clone()));
        assert_eq!(parsed(&format!("{spaces} --v=4"), &[]), (spaces.to_owned(), flags.clone()));
        // The reason for which paths with spaces need quotes.
        let planted = parsed(&format!("{spaces} --v=4"), &[r"C:\Program.exe", spaces]);
        assert_eq!(planted.0, r"C:\Program");
        assert_eq!(parsed(r"\??\C:\k\kube-proxy.exe --v=4", &[]), (r"C:\k\kube-proxy.exe".to_owned(), flags));
        assert_eq!(parsed("kube-proxy", &[]), ("kube-proxy".to_owned(), Vec::new()));
        for empty in ["", "\""] {
            assert_eq!(parsed(empty, &[]), (String::new(), Vec::new()));
        }
    }

    #[test]
    fn arguments_are_split_as_windows_does() {
        let table: [(&str, &[&str]); 7] = [
            ("  a  b\tc ", &["a", "b", "c"]),
            (r#""a b" c"d e"f"#, &["a b", "cd ef"]),
            (r#"a\\b d"e f"g h"#, &[r"a\\b", "de fg", "h"]),
            (r#"a\\\"b c d"#, &[r#"a\"b"#, "c", "d"]),
            (r#"a\\\\"b c" d e"#, &[r"a\\b c", "d", "e"]),
            (r#""" C:\k\"#, &["", r"C:\k\"]),
            ("", &[]),
        ];
        for (text, expected) in table {
            assert_eq!(arguments(text), expected, "{text}");
        }
    }

    #[test]
    fn paths_are_compared_as_a_whole_and_without_case() {
        assert!(same_path(r"c:\K\HnsProxy.EXE", "C:/k/hnsproxy"));
        assert!(same_path(r"\\?\C:\k\hnsproxy.exe", r"C:\k\hnsproxy.exe"));
        assert!(!same_path(r"C:\k\hnsproxy.exe", r"C:\other\hnsproxy.exe"));
        assert!(!same_path(r"C:\k\not-hnsproxy.exe", r"C:\k\hnsproxy.exe"));
    }

    #[test]
    fn a_path_is_relative_without_a_drive_or_a_root() {
        for absolute in [r"C:\k\log", "c:/k/log", r"\\server\share", r"\var\log", "/var/log", r"%TEMP%\log"] {
            assert!(!is_relative(absolute), "{absolute}");
        }
        for relative in ["log", r"k\log", r".\log", "C:log", ""] {
            assert!(is_relative(relative), "{relative}");
        }
    }

    #[test]
    fn a_folder_ends_with_its_separator() {
        assert_eq!(folder(r"C:\k\start.ps1"), r"C:\k\");
        assert_eq!(folder("/k/start"), "/k/");
        assert_eq!(folder("start.ps1"), "");
    }
}
