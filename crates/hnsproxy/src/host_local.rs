//! Reserves an address in the files of host-local, the IPAM plugin that many CNIs use: one file per address, in a folder per network.
//!
//! host-local creates a file exclusively, so whoever creates it first has the address. Format: [store of
//! host-local](https://github.com/containernetworking/plugins/tree/main/plugins/ipam/host-local/backend/disk).

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use crate::hns::HnsChoice;

/// The default `dataDir` of host-local.
const DEFAULT_FOLDER: &str = "/var/lib/cni/networks";
/// The container id of our reservations: host-local releases an address only for the container id in its file.
const CONTAINER_ID: &str = "hnsproxy-source-vip";
/// The container id of the start scripts of kube-proxy. hnsproxy uses their reservation, so that it keeps the source VIP of kube-proxy.
const OWNER_OF_SCRIPTS: &str = "dummy";
/// host-local reads the container id from the first line, and the name of the interface from the second.
const CONTENT: &str = "hnsproxy-source-vip\r\neth0";
/// How many addresses are tried. A file is created between the check and the reservation only by a pod that starts at this moment.
const MAX_TRIES: usize = 64;
/// The first addresses of a subnet: its own, that of the gateway, and that of the endpoint of the host.
const FIRST_ADDRESSES: u128 = 3;

#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    #[error("cannot reserve an address in {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("folder {} not found: host-local has reserved no address in the network yet", .0.display())]
    NoFolder(PathBuf),
    #[error("folder {} has no reservation for the source VIP; hnsproxy run makes one", .0.display())]
    ReadOnly(PathBuf),
    #[error("no free address in {0}")]
    Full(String),
    #[error("unknown folder of host-local; set --host-local-dir")]
    Unknown,
}

/// An address that is reserved in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    pub network: String,
    pub address: IpAddr,
}

/// What [`HostLocal::maintain`] has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintained {
    /// The address whose file was removed by another program, and is written again.
    pub restored: Option<IpAddr>,
    pub released: Vec<IpAddr>,
}

/// The folder of host-local.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostLocal {
    folder: Option<PathBuf>,
    /// Whether the operator has named the folder, which confirms that host-local reserves the addresses of pods.
    is_configured: bool,
    /// Whether only what is reserved may be used.
    is_read_only: bool,
}

impl HostLocal {
    /// The folder of `--host-local-dir`. The default is that of host-local for the HNS of Windows, and none for an emulated HNS: it has other pods.
    pub fn new(configured: Option<PathBuf>, hns: &HnsChoice) -> Self {
        let is_configured = configured.is_some();
        Self {
            folder: configured.or_else(|| (*hns == HnsChoice::Windows).then(|| DEFAULT_FOLDER.into())),
            is_configured,
            is_read_only: false,
        }
    }

    /// For commands that write nothing.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { is_read_only: true, ..self }
    }

    /// Whether there is a folder, and hnsproxy may write to it.
    pub fn is_writable(&self) -> bool {
        self.folder.is_some() && !self.is_read_only
    }

    /// The address that is reserved for the source VIP in a network. If there is none, reserves the last free address of its first subnet.
    /// `is_taken` returns whether an endpoint other than that of the source VIP has an address.
    ///
    /// # Errors
    /// If no address can be reserved.
    pub fn reserve(
        &self,
        network: &str,
        subnets: &[IpNet],
        is_taken: impl Fn(IpAddr) -> bool,
    ) -> Result<IpAddr, ReserveError> {
        let folder = self.folder.as_ref().ok_or(ReserveError::Unknown)?.join(network);
        let failed = |source| ReserveError::Io { path: folder.clone(), source };
        if self.is_configured && !self.is_read_only {
            fs::create_dir_all(&folder).map_err(failed)?;
        } else if !folder.is_dir() {
            return Err(ReserveError::NoFolder(folder));
        }
        let is_usable = |address: &IpAddr| subnets.iter().any(|subnet| subnet.contains(address)) && !is_taken(*address);
        for owner in [CONTAINER_ID, OWNER_OF_SCRIPTS] {
            let mut reserved = addresses_of(&folder, owner).map_err(failed)?;
            reserved.sort_unstable();
            if let Some(address) = reserved.into_iter().find(is_usable) {
                return Ok(address);
            }
        }
        if self.is_read_only {
            return Err(ReserveError::ReadOnly(folder));
        }
        // A pod that has ended can leave its file behind, and then no endpoint has the address.
        let files: BTreeSet<IpAddr> = files(&folder).map_err(failed)?.into_iter().map(|(address, _)| address).collect();
        let all = subnets.iter().flat_map(|subnet| from_the_end(*subnet));
        let free = all.filter(|address| !files.contains(address)).filter(is_usable).take(MAX_TRIES);
        for address in free {
            if create(&folder, address).map_err(failed)? {
                return Ok(address);
            }
        }
        Err(ReserveError::Full(subnets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")))
    }

    /// Writes a reservation again if its file was removed, since host-local would give the address to a pod. Releases what hnsproxy has reserved in
    /// these networks, except for the addresses in use. Other networks may be those of another process.
    ///
    /// # Errors
    /// If a file cannot be read, written or removed.
    pub fn maintain(
        &self,
        networks: &[String],
        reserved: Option<&Reservation>,
        used: &BTreeSet<IpAddr>,
    ) -> io::Result<Maintained> {
        let mut maintained = Maintained::default();
        let Some(root) = self.folder.as_deref().filter(|_| self.is_writable()) else { return Ok(maintained) };
        if let Some(Reservation { network, address }) = reserved {
            let folder = root.join(network);
            fs::create_dir_all(&folder)?;
            maintained.restored = create(&folder, *address)?.then_some(*address);
        }
        for folder in networks.iter().map(|network| root.join(network)).filter(|folder| folder.is_dir()) {
            for address in addresses_of(&folder, CONTAINER_ID)?.into_iter().filter(|address| !used.contains(address)) {
                fs::remove_file(file(&folder, address))?;
                maintained.released.push(address);
            }
        }
        Ok(maintained)
    }
}

/// The addresses in a folder, and their files.
fn files(folder: &Path) -> io::Result<Vec<(IpAddr, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // `lock` and `last_reserved_ip.0` are not addresses.
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Ok(address) = name.replace('_', ":").parse() {
            files.push((address, path));
        }
    }
    Ok(files)
}

/// The addresses that are reserved for a container id.
fn addresses_of(folder: &Path, owner: &str) -> io::Result<Vec<IpAddr>> {
    let is_owned = |path: &Path| {
        // The file of a pod that ends now is removed, and some files may not be readable.
        let content = fs::read_to_string(path).unwrap_or_default();
        content.lines().next().map(str::trim) == Some(owner)
    };
    Ok(files(folder)?.into_iter().filter(|(_, path)| is_owned(path)).map(|(address, _)| address).collect())
}

/// Creates the file of an address with its content, unless it exists: a file without content would belong to nobody after a crash.
fn create(folder: &Path, address: IpAddr) -> io::Result<bool> {
    let path = file(folder, address);
    // A reservation that is checked usually has its file.
    if path.exists() {
        return Ok(false);
    }
    let mut temporary = tempfile::Builder::new().prefix(".hnsproxy-").tempfile_in(folder)?;
    temporary.write_all(CONTENT.as_bytes())?;
    temporary.as_file().sync_all()?;
    match temporary.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

/// The file of an address. Names of files have no colons on Windows.
fn file(folder: &Path, address: IpAddr) -> PathBuf {
    let name = address.to_string();
    folder.join(if cfg!(windows) { name.replace(':', "_") } else { name })
}

/// The host addresses of a subnet, the last one first: host-local gives out addresses in ascending order.
fn from_the_end(subnet: IpNet) -> impl Iterator<Item = IpAddr> {
    let (first, last) = (bits(subnet.network()), bits(subnet.broadcast()));
    let is_ipv4 = subnet.addr().is_ipv4();
    let numbers = (first.saturating_add(FIRST_ADDRESSES)..last).rev();
    numbers.filter_map(move |number| of_bits(number, is_ipv4))
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn of_bits(number: u128, is_ipv4: bool) -> Option<IpAddr> {
    if is_ipv4 {
        return Some(std::net::Ipv4Addr::from_bits(u32::try_from(number).ok()?).into());
    }
    Some(std::net::Ipv6Addr::from_bits(number).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder in which host-local has reserved addresses of `flannel.4096`, for these container ids.
    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new(reserved: &[(&str, &str)]) -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            fs::create_dir(folder.network()).unwrap();
            for (address, owner) in reserved {
                fs::write(folder.network().join(address), format!("{owner}\r\neth0")).unwrap();
            }
            fs::write(folder.network().join("last_reserved_ip.0"), "10.244.1.3").unwrap();
            fs::write(folder.network().join("lock"), "").unwrap();
            folder
        }

        fn network(&self) -> PathBuf {
            self.0.path().join("flannel.4096")
        }

        fn host_local(&self, is_configured: bool) -> HostLocal {
            HostLocal { folder: Some(self.0.path().to_owned()), is_configured, is_read_only: false }
        }

        fn reserve(&self, subnet: &str, taken: &[&str]) -> Result<String, String> {
            let is_taken = |address: IpAddr| taken.iter().any(|taken| *taken == address.to_string());
            let reserved = self.host_local(false).reserve("flannel.4096", &[subnet.parse().unwrap()], is_taken);
            reserved.map(|address| address.to_string()).map_err(|error| error.to_string())
        }

        fn maintain(&self, network: &str, reserved: Option<&Reservation>, used: &[IpAddr]) -> Maintained {
            let used = used.iter().copied().collect();
            self.host_local(false).maintain(&[network.to_owned()], reserved, &used).unwrap()
        }

        /// The names of the files, sorted.
        fn files(&self) -> Vec<String> {
            let entries = fs::read_dir(self.network()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    #[test]
    fn the_last_free_address_is_reserved_and_kept() {
        let folder = Folder::new(&[("10.244.1.254", "pod-a"), ("10.244.1.3", "pod-b")]);
        assert_eq!(folder.reserve("10.244.1.0/24", &["10.244.1.253"]), Ok("10.244.1.252".into()));
        assert_eq!(fs::read_to_string(folder.network().join("10.244.1.252")).unwrap(), CONTENT);
        assert_eq!(folder.reserve("10.244.1.0/24", &[]), Ok("10.244.1.252".into()), "after a restart");
        let read = folder.host_local(false).read_only();
        let subnet = "10.244.1.0/24".parse().unwrap();
        assert_eq!(read.reserve("flannel.4096", &[subnet], |_| false).unwrap().to_string(), "10.244.1.252");
        assert!(matches!(read.reserve("flannel.4096", &[subnet], |_| true), Err(ReserveError::ReadOnly(_))));
        assert_eq!(folder.files(), ["10.244.1.252", "10.244.1.254", "10.244.1.3", "last_reserved_ip.0", "lock"]);
    }

    #[test]
    fn the_reservation_of_a_start_script_is_used_and_never_released() {
        let folder = Folder::new(&[("10.244.1.2", "dummy")]);
        assert_eq!(folder.reserve("10.244.1.0/24", &[]), Ok("10.244.1.2".into()));
        assert_eq!(folder.maintain("flannel.4096", None, &[]), Maintained::default());
        assert_eq!(folder.files(), ["10.244.1.2", "last_reserved_ip.0", "lock"]);
    }

    #[test]
    fn a_reservation_that_cannot_be_used_any_more_is_replaced_and_released() {
        for (subnet, taken) in [("10.244.2.0/24", &[][..]), ("10.244.1.0/24", &["10.244.1.9"][..])] {
            let folder = Folder::new(&[("10.244.1.9", CONTAINER_ID), ("10.244.1.10", "pod")]);
            let address: IpAddr = folder.reserve(subnet, taken).unwrap().parse().unwrap();
            assert_eq!(folder.maintain("flannel.4096", None, &[address]).released.len(), 1);
            let mut files = vec![address.to_string(), "10.244.1.10".into(), "last_reserved_ip.0".into(), "lock".into()];
            files.sort();
            assert_eq!(folder.files(), files);
        }
    }

    #[test]
    fn a_subnet_without_a_free_address_and_a_missing_folder_are_errors() {
        let folder = Folder::new(&[("10.244.1.3", "a"), ("10.244.1.4", "b"), ("10.244.1.5", "c"), ("10.244.1.6", "d")]);
        assert_eq!(folder.reserve("10.244.1.0/29", &[]), Err("no free address in 10.244.1.0/29".into()));
        assert_eq!(folder.reserve("10.244.1.0/32", &[]), Err("no free address in 10.244.1.0/32".into()));
        let subnet = ["10.245.0.0/16".parse().unwrap()];
        let other = |configured| folder.host_local(configured).reserve("cbr0", &subnet, |_| false);
        assert!(matches!(other(false), Err(ReserveError::NoFolder(_))));
        assert_eq!(other(true).unwrap().to_string(), "10.245.255.254", "the operator names the folder");
    }

    #[test]
    fn files_that_pods_have_left_do_not_hide_free_addresses() {
        let left: Vec<String> = (100..255).map(|last| format!("10.244.1.{last}")).collect();
        let folder = Folder::new(&left.iter().map(|address| (address.as_str(), "pod")).collect::<Vec<_>>());
        assert_eq!(folder.reserve("10.244.1.0/24", &[]), Ok("10.244.1.99".into()));
    }

    #[test]
    fn only_the_networks_in_use_are_released() {
        let folder = Folder::new(&[("10.244.1.9", CONTAINER_ID)]);
        assert_eq!(folder.maintain("vxlan0", None, &[]), Maintained::default());
        let read_only = folder.host_local(false).read_only();
        assert_eq!(
            read_only.maintain(&["flannel.4096".into()], None, &BTreeSet::new()).unwrap(),
            Maintained::default()
        );
        assert_eq!(folder.files(), ["10.244.1.9", "last_reserved_ip.0", "lock"]);
        assert_eq!(folder.maintain("flannel.4096", None, &[]).released.len(), 1);
    }

    #[test]
    fn a_reservation_whose_file_was_removed_is_written_again_unless_a_pod_has_it() {
        let folder = Folder::new(&[("10.244.1.8", "pod")]);
        let reserved = |last| Reservation { network: "flannel.4096".into(), address: [10, 244, 1, last].into() };
        let (taken, free) = (reserved(8), reserved(9));
        assert_eq!(folder.maintain("flannel.4096", Some(&taken), &[taken.address]), Maintained::default());
        let restored = Maintained { restored: Some(free.address), released: Vec::new() };
        assert_eq!(folder.maintain("flannel.4096", Some(&free), &[free.address]), restored);
        fs::remove_dir_all(folder.network()).unwrap();
        assert_eq!(folder.maintain("flannel.4096", Some(&free), &[free.address]), restored);
        assert_eq!(folder.maintain("flannel.4096", Some(&free), &[free.address]), Maintained::default());
        assert_eq!(folder.files(), ["10.244.1.9"]);
    }

    #[test]
    fn only_the_hns_of_windows_has_the_default_folder() {
        let emulated = [HnsChoice::Emulated(None), HnsChoice::Tcp("127.0.0.1:9".into())];
        assert!(emulated.iter().all(|hns| HostLocal::new(None, hns) == HostLocal::default()));
        assert_eq!(HostLocal::new(None, &HnsChoice::Windows).folder, Some(DEFAULT_FOLDER.into()));
    }

    #[test]
    fn an_ipv6_subnet_has_addresses_too() {
        let folder = Folder::new(&[]);
        assert_eq!(folder.reserve("fd00:1::/64", &[]), Ok("fd00:1::ffff:ffff:ffff:fffe".into()));
        assert_eq!(folder.reserve("fd00:1::/64", &[]), Ok("fd00:1::ffff:ffff:ffff:fffe".into()));
    }
}
