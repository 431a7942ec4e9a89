//! Serves the cluster of a file until it is stopped: `serve cluster.json [ADDRESS] [--tls]`.
//!
//! It writes a kubeconfig to the temporary folder and prints its path.

use std::error::Error;
use std::net::SocketAddr;

use test_api_server::{ApiServer, Credentials};

#[allow(clippy::print_stdout, reason = "a program for a terminal")]
fn main() -> Result<(), Box<dyn Error>> {
    let (flags, words): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let tls = match flags.as_slice() {
        [] => false,
        [flag] if flag == "--tls" => true,
        flags => return Err(format!("unknown flags {} (known: --tls)", flags.join(" ")).into()),
    };
    let (file, address) = match words.as_slice() {
        [file] => (file, "127.0.0.1:0"),
        [file, address] => (file, address.as_str()),
        _ => return Err("what is needed: the file of a cluster, and an address if a certain one is wanted".into()),
    };
    let address: SocketAddr = address.parse()?;
    let server = ApiServer::start_at(address, tls)?;
    server.load(serde_json::from_slice(&std::fs::read(file)?)?)?;
    let kubeconfig = std::env::temp_dir().join(format!("kubeconfig-{}", server.address().port()));
    // No authentication is required, but without credentials kubectl asks for a name and a password.
    let credentials = Credentials::Token("anyone".to_owned());
    std::fs::write(&kubeconfig, server.kubeconfig(&credentials).to_string())?;
    println!("{} objects at {}", server.objects().len(), server.url());
    println!("{}", kubeconfig.display());
    loop {
        std::thread::park();
    }
}
