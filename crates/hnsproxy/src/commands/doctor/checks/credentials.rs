//! Whether the credentials of the API server expire soon.

use super::super::check::{Check, Finding};
use super::super::facts::{Expiry, Facts};

pub(in super::super) const CHECK: Check = Check {
    id: "credentials-expiry",
    title: "the credentials do not expire soon",
    finds: "a failure if the client certificate or the token (a JWT, such as a service account token) has expired; a warning if less than 10 % of the lifetime is left, and less than 7 days for the certificate or 24 hours for the token.",
    cause: "Nothing renews the certificate or the file of the token: the kubelet does not rotate them, the program that wrote the kubeconfig ran once, or the clock of the node is wrong.",
    cure: "Renew the credentials, and configure hnsproxy to use files that another program renews (`client-certificate`, `tokenFile`), the service account of its pod, or a credential plugin. hnsproxy reads changed files without a restart.",
    run,
};

const HOUR: i64 = 3600;

fn run(facts: &Facts) -> Result<Finding, String> {
    let api_server = facts.api_server.as_ref().map_err(Clone::clone)?;
    let expiries = api_server.expiries.as_ref().map_err(Clone::clone)?;
    if expiries.is_empty() {
        return Err("no client certificate, and no token with an expiry time".to_owned());
    }
    let expired = expiries.iter().filter(|one| one.seconds_left <= 0).map(line);
    let expired: Vec<_> = expired.collect();
    if !expired.is_empty() {
        return Ok(Finding::Failure(expired));
    }
    let soon = expiries.iter().filter(|one| is_soon(one)).map(line);
    Ok(Finding::warning_unless_empty(soon.collect(), expiries.iter().map(line).collect::<Vec<_>>().join("; ")))
}

/// Short-lived credentials always expire soon. They are a problem only if they were not renewed when 10 % of their lifetime was left.
fn is_soon(expiry: &Expiry) -> bool {
    let limit = if expiry.is_certificate { 7 * 24 * HOUR } else { 24 * HOUR };
    let is_late = expiry.lifetime_seconds.is_none_or(|lifetime| expiry.seconds_left < lifetime / 10);
    expiry.seconds_left < limit && is_late
}

fn line(expiry: &Expiry) -> String {
    let what = if expiry.is_certificate { "client certificate" } else { "token" };
    let (ago, seconds) = (expiry.seconds_left <= 0, expiry.seconds_left.unsigned_abs());
    let time = match seconds / HOUR.unsigned_abs() {
        0 => format!("{} min", seconds / 60),
        hours @ 1..48 => format!("{hours} h"),
        hours => format!("{} days", hours / 24),
    };
    if ago { format!("{what}: expired {time} ago") } else { format!("{what}: expires in {time}") }
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::{ApiServerFacts, testing};
    use super::*;

    const DAY: i64 = 24 * HOUR;

    fn with(is_certificate: bool, seconds_left: i64, lifetime_seconds: Option<i64>) -> Result<Finding, String> {
        let expiries = Ok(vec![Expiry { is_certificate, seconds_left, lifetime_seconds }]);
        let api_server = Ok(ApiServerFacts { expiries, ..testing::api_server() });
        run(&Facts { api_server, ..testing::none() })
    }

    #[test]
    fn credentials_that_are_valid_for_long_are_ok() {
        assert_eq!(
            with(true, 300 * DAY, Some(365 * DAY)),
            Ok(Finding::Ok("client certificate: expires in 300 days".into()))
        );
        assert_eq!(with(false, DAY, None), Ok(Finding::Ok("token: expires in 24 h".into())));
        // The kubelet renews such a token after 80 % of its lifetime.
        assert_eq!(with(false, HOUR / 4, Some(HOUR)), Ok(Finding::Ok("token: expires in 15 min".into())));
    }

    #[test]
    fn credentials_that_expire_soon_are_a_warning() {
        let warning = |text: &str| Ok(Finding::Warning(vec![text.into()]));
        assert_eq!(with(true, 6 * DAY, Some(365 * DAY)), warning("client certificate: expires in 6 days"));
        assert_eq!(with(false, 23 * HOUR, None), warning("token: expires in 23 h"));
        assert_eq!(with(false, 300, Some(HOUR)), warning("token: expires in 5 min"));
    }

    #[test]
    fn expired_credentials_are_a_failure() {
        assert_eq!(
            with(true, -2 * DAY, Some(DAY)),
            Ok(Finding::Failure(vec!["client certificate: expired 2 days ago".into()]))
        );
        assert_eq!(with(false, 0, None), Ok(Finding::Failure(vec!["token: expired 0 min ago".into()])));
    }
}
