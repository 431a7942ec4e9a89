//! Reads that fail, or that show something else than expected: what is not known is not believed, and what is found counts at once.

use hcn::Hresult;

use crate::faults::{back, empty, serve, writes};

#[test]
fn a_modification_that_cannot_be_read_back_is_not_refused() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    rig.break_once("HcnQueryLoadBalancerProperties", false, Hresult::E_NOTIMPL);
    rig.calls();
    rig.run();
    assert_eq!(writes(&rig), ["HcnCreateEndpoint", "HcnModifyLoadBalancer"]);
    assert!(rig.proxy.capabilities().unwrap().modify);
    rig.now += std::time::Duration::from_secs(60);
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
}
