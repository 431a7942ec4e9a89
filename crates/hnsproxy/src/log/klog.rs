//! Formats log lines as Kubernetes components do, so that log parsers for Kubernetes can read them: text with the header of klog, and JSON as
//! in `k8s.io/component-base/logs`.

use jiff::Zoned;
use serde_json::{Map, Value};
use tracing::Level;

use super::record::Record;

/// `I1129 21:47:56.499461    1234 file.rs:12] message key=value`. The time is the local one, as in klog.
pub(super) fn text(record: &Record, at: &Zoned, process: u32) -> String {
    let Record { level, file, line, message, fields } = record;
    let severity = match *level {
        Level::ERROR => 'E',
        Level::WARN => 'W',
        _ => 'I',
    };
    let time = at.strftime("%m%d %H:%M:%S.%6f");
    let mut text = format!("{severity}{time} {process:>7} {file}:{line}] ");
    // One line for each entry.
    text.extend(message.chars().map(|one| if one.is_control() { ' ' } else { one }));
    push_fields(&mut text, fields);
    text.push('\n');
    text
}

/// Appends ` key=value` for each field.
pub(super) fn push_fields(text: &mut String, fields: &[(&'static str, Value)]) {
    for (name, value) in fields {
        text.push_str(&match value {
            Value::String(word) if is_word(word) => format!(" {name}={word}"),
            value => format!(" {name}={value}"),
        });
    }
}

/// Whether a value needs no quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|one: char| one.is_whitespace() || one.is_control() || "\"=".contains(one))
}

/// One object with `ts` in seconds, `level`, `v` (the verbosity, not for errors), `caller`, `msg`, and the fields.
pub(super) fn json(record: &Record, at: &Zoned) -> String {
    let Record { level, file, line, message, fields } = record;
    let (name, verbosity) = match *level {
        Level::ERROR => ("error", None),
        Level::WARN => ("warn", Some(0)),
        Level::INFO => ("info", Some(0)),
        Level::DEBUG => ("debug", Some(2)),
        Level::TRACE => ("trace", Some(5)),
    };
    let mut object = Map::new();
    #[allow(clippy::cast_precision_loss, reason = "microseconds of today are exact")]
    let seconds = at.timestamp().as_microsecond() as f64 / 1e6;
    object.insert("ts".to_owned(), seconds.into());
    object.insert("level".to_owned(), name.into());
    object.extend(verbosity.map(|verbosity| ("v".to_owned(), verbosity.into())));
    object.insert("caller".to_owned(), format!("{file}:{line}").into());
    object.insert("msg".to_owned(), message.as_str().into());
    for (name, value) in fields {
        object.entry(*name).or_insert_with(|| value.clone());
    }
    format!("{}\n", Value::Object(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(level: Level) -> Record {
        let fields = vec![
            ("network", "cbr0".into()),
            ("err", "no such\nnetwork".into()),
            ("calls", 3.into()),
            ("empty", "".into()),
            ("msg", "again".into()),
        ];
        Record { level, file: "file.rs", line: 12, message: "network\nmissing".to_owned(), fields }
    }

    fn at() -> Zoned {
        "2026-11-29T21:47:56.499461[UTC]".parse().unwrap()
    }

    #[test]
    fn text_has_the_header_of_klog() {
        let expected = concat!(
            "W1129 21:47:56.499461    1234 file.rs:12] network missing network=cbr0 ",
            r#"err="no such\nnetwork" calls=3 empty="" msg=again"#,
            "\n"
        );
        assert_eq!(text(&record(Level::WARN), &at(), 1234), expected);
        let severities = [Level::ERROR, Level::INFO, Level::DEBUG].map(|level| text(&record(level), &at(), 1234));
        assert_eq!(severities.map(|text| text.chars().next()), ['E', 'I', 'I'].map(Some));
    }

    #[test]
    fn json_has_the_members_of_kubernetes() {
        let expected = concat!(
            r#"{"ts":1795988876.499461,"level":"info","v":0,"caller":"file.rs:12","msg":"network\nmissing","#,
            r#""network":"cbr0","err":"no such\nnetwork","calls":3,"empty":""}"#,
            "\n"
        );
        assert_eq!(json(&record(Level::INFO), &at()), expected);
        assert!(!json(&record(Level::ERROR), &at()).contains(r#""v":"#));
    }
}
