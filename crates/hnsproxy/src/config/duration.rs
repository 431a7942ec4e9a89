//! Durations in Go's syntax: `1h30m`, `300ms`, `-1.5s`, `0`. Other numbers need a unit.
//!
//! Values are signed nanoseconds: fields may be negative until validation rejects them.

/// Units and their nanoseconds. A unit that is a prefix of another comes after it (`m` after `ms`).
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses a duration into nanoseconds.
///
/// # Errors
/// If the text is not a duration, or the duration does not fit into 64 bits of nanoseconds.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let invalid = || "expected e.g. 30s, 1m30s or 300ms".to_owned();
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let (number, unit_on) = rest.split_at(end);
        let (unit, scale) = UNITS.into_iter().find(|(unit, _)| unit_on.starts_with(unit)).ok_or_else(invalid)?;
        total = total.checked_add(scaled(number, scale).ok_or_else(invalid)?).ok_or_else(invalid)?;
        rest = unit_on.strip_prefix(unit).unwrap_or_default();
    }
    i64::try_from(sign * total).map_err(|_| invalid())
}

/// Multiplies a decimal number by the nanoseconds of its unit.
fn scaled(number: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i64>().ok().map(i128::from) };
    // Digits after the 18th are below a nanosecond for every unit, and would overflow.
    let fraction = fraction.get(..18).unwrap_or(fraction);
    let power = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    Some(digits(whole)? * scale + digits(fraction)? * scale / power)
}

/// Formats nanoseconds as Go's `Duration.String` does.
pub(crate) fn format(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let value = nanoseconds.unsigned_abs();
    let decimal = |unit: u64| {
        let fraction = format!("{:09}", value % unit * (1_000_000_000 / unit));
        let fraction = fraction.trim_end_matches('0');
        let dot = if fraction.is_empty() { "" } else { "." };
        format!("{}{dot}{fraction}", value / unit)
    };
    let text = match value {
        0 => "0s".to_owned(),
        1..1_000 => format!("{value}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(1_000_000)),
        _ => {
            let (minutes, nanoseconds) = (value / 60_000_000_000, value % 60_000_000_000);
            let fraction = format!("{:09}", nanoseconds % 1_000_000_000);
            let fraction = fraction.trim_end_matches('0');
            let dot = if fraction.is_empty() { "" } else { "." };
            let seconds = format!("{}{dot}{fraction}s", nanoseconds / 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_and_formatted_as_in_go() {
        for (text, nanoseconds, written) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("15m", 900_000_000_000, "15m0s"),
            ("1m30s", 90_000_000_000, "1m30s"),
            ("24h", 86_400_000_000_000, "24h0m0s"),
            ("300ms", 300_000_000, "300ms"),
            ("1.5s", 1_500_000_000, "1.5s"),
            (".5ms", 500_000, "500µs"),
            ("1.25us", 1_250, "1.25µs"),
            ("7ns", 7, "7ns"),
            ("-1h0.5s", -3_600_500_000_000, "-1h0m0.5s"),
            ("+2h3m", 7_380_000_000_000, "2h3m0s"),
        ] {
            assert_eq!(parse(text), Ok(nanoseconds), "{text}");
            assert_eq!(format(nanoseconds), written, "{text}");
            assert_eq!(parse(written), Ok(nanoseconds), "{written}");
        }
    }

    #[test]
    fn other_texts_are_rejected() {
        assert_eq!(parse("5x"), Err("expected e.g. 30s, 1m30s or 300ms".to_owned()));
        for text in ["", "-", "5", "1.5", "s", "1x", "1 s", "1s ", ".s", "1..5s", "10000000h", "99999999999999999999s"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
