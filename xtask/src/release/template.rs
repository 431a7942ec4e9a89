//! Fills the templates of `packaging/`.

use anyhow::{Result, ensure};

/// Replaces `{{NAME}}` by its value.
///
/// # Errors
/// If a name has no value.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let filled =
        values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value));
    let unknown = filled.lines().find(|line| line.contains("{{"));
    ensure!(unknown.is_none(), "unknown name in a template: {}", unknown.unwrap_or_default().trim());
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn all_names_of_a_template_have_values() {
        let template = "version {{VERSION}} of {{NAME}}";
        assert_eq!(fill(template, &[("VERSION", "1"), ("NAME", "n")]).unwrap(), "version 1 of n");
        let error = fill(template, &[("VERSION", "1")]).unwrap_err();
        assert_eq!(error.to_string(), "unknown name in a template: version 1 of {{NAME}}");
    }
}
