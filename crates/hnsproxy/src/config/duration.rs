//! Durations as Go writes them: `1h30m`, `300ms`, `-1.5s`, `0`. A bare number other than 0 is none.
//!
//! The value is in nanoseconds, since fields hold negative durations before they are refused.

/// Names of units, longest first where one begins another, with their nanoseconds.
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

/// The nanoseconds of a text.
///
/// # Errors
/// Where it is no duration, or a longer one than 64 bits of nanoseconds hold.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no duration such as 30s, 1m30s or 300ms");
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, unit_on) = rest.split_at(end);
        let (unit, scale) = UNITS.into_iter().find(|(unit, _)| unit_on.starts_with(unit)).ok_or_else(wrong)?;
        total = total.checked_add(scaled(number, scale).ok_or_else(wrong)?).ok_or_else(wrong)?;
        rest = unit_on.strip_prefix(unit).unwrap_or_default();
    }
    i64::try_from(sign * total).map_err(|_| wrong())
}

/// A decimal number of units.
fn scaled(number: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i64>().ok().map(i128::from) };
    // More than 18 digits after the point are below a nanosecond.
    let fraction = fraction.get(..18).unwrap_or(fraction);
    let power = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    Some(digits(whole)? * scale + digits(fraction)? * scale / power)
}

/// The text of nanoseconds, as Go writes it.
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
    fn texts_are_read_and_written_as_go_does() {
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
    fn other_texts_are_refused() {
        for text in ["", "-", "5", "1.5", "s", "1x", "1 s", "1s ", ".s", "1..5s", "10000000h", "99999999999999999999s"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
