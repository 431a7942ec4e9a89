//! Parses the source VIP: an address, or the names of the HNS endpoints that have it.

use proxy::SourceVip;

use super::kind::ip;

/// The endpoints of `auto`: that of Calico, and that of the Windows Machine Config Operator.
const WELL_KNOWN: [&str; 2] = ["Calico_ep", "VIPEndpoint"];

/// `None` if the text has no form of a source VIP.
pub(super) fn parse(text: &str) -> Option<SourceVip> {
    if text == "auto" {
        return Some(SourceVip::Endpoints(WELL_KNOWN.into_iter().map(Into::into).collect()));
    }
    let Some(list) = text.strip_prefix("endpoint:") else { return ip(text).map(SourceVip::Address) };
    let names: Vec<_> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Into::into).collect();
    (!names.is_empty()).then_some(SourceVip::Endpoints(names))
}
