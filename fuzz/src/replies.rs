//! An HNS that replies with one text to each call that has a document.

use std::sync::Arc;

use hcn::call::{Call, Handle, Hcn, Reply};
use hcn::{ApiVersion, Client, Error, Guid};

struct Replies(String);

impl Hcn for Replies {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        Ok(match call {
            Call::Enumerate { .. } | Call::Query { .. } | Call::Hns { .. } => Reply::Document(self.0.clone()),
            Call::Create { .. } | Call::Open { .. } => Reply::Handle(Handle(1)),
            Call::Modify { .. } | Call::Delete { .. } | Call::Close { .. } => Reply::Done,
        })
    }
}

/// Reads everything that a client can read. In HNS v1, the text is a reply, and the output in a reply.
pub(crate) fn read_all(api_version: ApiVersion, text: &str) {
    read(api_version, text.to_owned());
    if api_version == ApiVersion::V1 {
        read(api_version, format!(r#"{{"Success": true, "Output": {text}}}"#));
    }
}

fn read(api_version: ApiVersion, text: String) {
    let client = Client::new(Arc::new(Replies(text)), api_version);
    let _ = client.version();
    let _ = client.network("vxlan0");
    let _ = client.network_of(Guid::nil());
    let _ = client.endpoints(Guid::nil(), Some);
    let _ = client.load_balancers(Some);
    let _ = client.endpoint(Guid::nil());
    let _ = client.load_balancer(Guid::nil());
    if api_version == ApiVersion::V1 {
        let _ = client.networks_from_v1_list();
        let _ = client.endpoints_from_v1_list(Some);
        let _ = client.load_balancers_from_v1_list(Some);
    }
}
