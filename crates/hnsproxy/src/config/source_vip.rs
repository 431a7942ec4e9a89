//! Parses the source VIP: an address, or the names of the HNS endpoints that have it.

use proxy::SourceVip;

use super::kind::ip;

/// The source VIP that hnsproxy finds itself.
pub(super) const AUTO: &str = "auto";

/// The environment variable of a source VIP `%NAME%` or `$(NAME)`. The command line of a container without a shell has it unexpanded, since
/// charts leave that to a start script.
pub(super) fn variable(text: &str) -> Option<&str> {
    let within = |open, close| text.strip_prefix(open)?.strip_suffix(close);
    let is_name =
        |name: &&str| name.starts_with(|c: char| c.is_ascii_alphabetic()) && !name.contains(['%', '=', '(', ')']);
    within("%", "%").or_else(|| within("$(", ")")).filter(is_name)
}

/// `None` if the text has no form of a source VIP.
pub(super) fn parse(text: &str) -> Option<SourceVip> {
    if text == AUTO {
        return Some(SourceVip::Auto);
    }
    let Some(list) = text.strip_prefix("endpoint:") else { return ip(text).map(SourceVip::Address) };
    let names: Vec<_> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Into::into).collect();
    (!names.is_empty()).then_some(SourceVip::Endpoints(names))
}
