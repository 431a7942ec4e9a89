//! Hints about arguments with quotes or variables that a shell or an installer should have removed or expanded.

use std::ffi::OsString;

/// A hint for each value that begins and ends with a quote, or contains a variable that was not expanded.
pub(super) fn hints(arguments: &[OsString]) -> Vec<String> {
    let mut hints = Vec::new();
    let mut flag = None;
    for argument in arguments.iter().skip(1).map_while(|argument| argument.to_str()).take_while(|text| *text != "--") {
        let (name, value) = match (argument.split_once('='), flag.take()) {
            (Some((name, value)), _) if name.starts_with('-') => (Some(name), value),
            _ if argument.starts_with('-') => {
                flag = Some(argument);
                continue;
            }
            (_, before) => (before, argument),
        };
        let what = || name.map_or_else(|| format!("argument {value}"), |name| format!("value of {name}"));
        if is_quoted(value) {
            hints.push(format!("the {} begins and ends with a quote, which is part of it; remove the quotes", what()));
        }
        // The configuration expands a source VIP that is a variable, and notes that.
        let is_expanded = |variable| variable == value.trim() && name.is_some_and(is_source_vip);
        if let Some(variable) = variable(value).filter(|variable| !is_expanded(*variable)) {
            hints.push(format!("the {} contains {variable}, a variable that was not expanded", what()));
        }
    }
    hints
}

/// kube-proxy accepts underscores in names of flags.
fn is_source_vip(flag: &str) -> bool {
    flag.trim_start_matches('-').replace('_', "-") == "source-vip"
}

fn is_quoted(text: &str) -> bool {
    text.len() > 1 && ['"', '\''].iter().any(|quote| text.starts_with(*quote) && text.ends_with(*quote))
}

/// The first `%NAME%` of cmd.exe or `$(NAME)` of the manifest of a pod.
fn variable(text: &str) -> Option<&str> {
    let starts = text.char_indices().filter(|(_, one)| matches!(one, '%' | '$'));
    starts.map(|(start, _)| text.split_at(start).1).find_map(|rest| {
        let (open, close) = if rest.starts_with('%') { ("%", '%') } else { ("$(", ')') };
        let name = rest.strip_prefix(open)?.split(close).next()?;
        let is_name = name.starts_with(|one: char| one.is_ascii_alphabetic() || one == '_')
            && name.chars().all(|one| one.is_ascii_alphanumeric() || one == '_');
        let whole = rest.get(..open.len() + name.len() + 1)?;
        (is_name && whole.ends_with(close)).then_some(whole)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Vec<String> {
        hints(&[&["hnsproxy"], arguments].concat().iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn quotes_are_part_of_a_value() {
        let hint = |what| format!("the {what} begins and ends with a quote, which is part of it; remove the quotes");
        assert_eq!(of(&[r#"--config="C:\k\c.yaml""#]), [hint("value of --config")]);
        assert_eq!(of(&["--config", "'c.yaml'", "-v", "2"]), [hint("value of --config")]);
        assert_eq!(of(&["explain", "svc", "'ns/web'"]), [hint("argument 'ns/web'")]);
        assert_eq!(of(&["--network-name=a\"b", "--from=\"", "--", "'x'"]), [""; 0]);
    }

    #[test]
    fn variables_should_have_been_replaced() {
        let hint = |what, variable| format!("the {what} contains {variable}, a variable that was not expanded");
        assert_eq!(of(&["--hostname-override=$(NODE_NAME)"]), [hint("value of --hostname-override", "$(NODE_NAME)")]);
        assert_eq!(of(&["--kubeconfig", r"%KUBE%\config"]), [hint("value of --kubeconfig", "%KUBE%")]);
        assert_eq!(
            of(&["--from=100%", "--master=https://a%20b%20c", "--config=$(a b)", "--from=%", "--from=$"]),
            [""; 0]
        );
        assert_eq!(of(&["--from=50% of %HOME%"]), [hint("value of --from", "%HOME%")]);
        assert_eq!(of(&["--source-vip=%SOURCE_VIP%", "--source_vip", "$(SOURCE_VIP)"]), [""; 0], "it is expanded");
        assert_eq!(of(&["--source-vip=endpoint:%NAME%"]), [hint("value of --source-vip", "%NAME%")]);
    }
}
