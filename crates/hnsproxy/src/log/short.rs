//! Formats log lines as command-line tools print messages: `error: message key=value`.

use tracing::Level;

use super::klog::push_fields;
use super::record::Record;

/// Line ends stay: the message of an invalid command line has several lines. Other control characters could change the terminal.
pub(super) fn text(record: &Record) -> String {
    let level = match record.level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    };
    let mut text = format!("{level}: ");
    text.extend(record.message.chars().map(|one| if one.is_control() && one != '\n' { ' ' } else { one }));
    push_fields(&mut text, &record.fields);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_level_the_message_and_the_fields() {
        let record = |level, message: &str| Record {
            level,
            file: "file.rs",
            line: 12,
            message: message.to_owned(),
            fields: vec![("network", "cbr0".into()), ("err", "no such network".into())],
        };
        let error = text(&record(Level::ERROR, "cannot read\n\u{1b}[2Jfile"));
        assert_eq!(error, "error: cannot read\n [2Jfile network=cbr0 err=\"no such network\"\n");
        assert_eq!(text(&record(Level::WARN, "left out")), "warning: left out network=cbr0 err=\"no such network\"\n");
    }
}
