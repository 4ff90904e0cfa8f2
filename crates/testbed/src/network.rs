//! Machines of their own on one machine: network namespaces that are joined by bridges, so that a host is reached only
//! from where a cable goes, and a cable between two of them can be cut. Needs root.
//!
//! A keeper process waits on a pipe that only the owner holds, so the namespaces go away however the owner ends.

use anyhow::{Context, Result, bail, ensure};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Removes its namespace when the owner's pipe ends, and with it its interfaces.
const KEEPER: &str = r#"read -r _; ip netns del "$1""#;

/// The first of the addresses that are kept for tests of networks (198.18.0.0/15), of which each network gets sixteen.
const FIRST: u32 = 0xC612_0000;
const SIZE: u32 = 16;
const NETWORKS: u32 = 8192;

/// An address that no host on a bridge has: what is sent to it goes nowhere.
const NOBODY: &str = "02:00:00:00:00:01";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A namespace.
struct Namespace {
    name: String,
    keeper: Child,
}

impl Namespace {
    fn create() -> Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "only root can make network namespaces");
        let name = format!("hf{:x}x{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &name])?;
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper", &name])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Whoever kills a test's process group must not kill what cleans up after it.
            .process_group(0)
            .spawn()
            .context("starting the namespace's keeper")?;
        let made = Self { name, keeper };
        ip(&["-n", &made.name, "link", "set", "lo", "up"])?;
        Ok(made)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Hosts that reach each other. The last to be dropped.
pub struct Network {
    hub: Namespace,
    base: u32,
    joined: AtomicU32,
}

impl Network {
    /// A network that nothing else reaches.
    ///
    /// # Errors
    /// Not root, or the kernel has no namespaces, bridges or virtual cables for us.
    pub fn create() -> Result<Self> {
        let hub = Namespace::create()?;
        ip(&["-n", &hub.name, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &hub.name, "link", "set", "br0", "up"])?;
        let number = std::process::id().wrapping_mul(4).wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed)) % NETWORKS;
        Ok(Self { hub, base: FIRST + number * SIZE, joined: AtomicU32::new(0) })
    }

    /// A network that this process reaches too.
    ///
    /// # Errors
    /// As [`Network::create`].
    pub fn create_joined() -> Result<Self> {
        let network = Self::create()?;
        let ours = network.hub.name.clone();
        let address = network.plug(&std::process::id().to_string(), &ours)?;
        ip(&["addr", "add", &format!("{address}/28"), "dev", &ours])?;
        ip(&["link", "set", &ours, "up"])?;
        Ok(network)
    }

    /// A new host on it.
    ///
    /// # Errors
    /// It is full, or as [`Network::create`].
    pub fn host(&self) -> Result<Host> {
        let mut host = Host { space: Namespace::create()?, addresses: Vec::new() };
        self.join(&mut host)?;
        Ok(host)
    }

    /// Gives `host` a second cable, to this network; its address here.
    ///
    /// # Errors
    /// As [`Network::host`].
    pub fn join(&self, host: &mut Host) -> Result<Ipv4Addr> {
        let interface = format!("eth{}", host.addresses.len());
        let address = self.plug(&host.space.name, &interface)?;
        ip(&["-n", &host.space.name, "addr", "add", &format!("{address}/28"), "dev", &interface])?;
        ip(&["-n", &host.space.name, "link", "set", &interface, "up"])?;
        host.addresses.push(address);
        Ok(address)
    }

    /// All its addresses.
    #[must_use]
    pub fn range(&self) -> String {
        format!("{}/28", Ipv4Addr::from(self.base))
    }

    /// A cable from the bridge to `interface` in `space`; the next free address.
    fn plug(&self, space: &str, interface: &str) -> Result<Ipv4Addr> {
        let number = self.joined.fetch_add(1, Ordering::Relaxed) + 1;
        ensure!(number < SIZE - 1, "the network is full");
        let port = format!("p{number}");
        let hub = &self.hub.name;
        ip(&["-n", hub, "link", "add", &port, "type", "veth", "peer", "name", interface, "netns", space])?;
        ip(&["-n", hub, "link", "set", &port, "master", "br0", "up"])?;
        Ok(Ipv4Addr::from(self.base + number))
    }
}

/// A machine.
pub struct Host {
    space: Namespace,
    addresses: Vec<Ipv4Addr>,
}

impl Host {
    /// Its address in the first network it joined.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.addresses.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// `program`, to be run on it.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space.name, program]);
        command
    }

    /// Lets it send so many megabits a second.
    ///
    /// # Errors
    /// `tc` failed.
    pub fn slow_down(&self, mbit: u32) -> Result<()> {
        let rate = format!("{mbit}mbit");
        let queue = ["qdisc", "add", "dev", "eth0", "root", "tbf", "rate", &rate, "burst", "256kb", "latency", "50ms"];
        let done = self.command("tc").args(queue).stdin(Stdio::null()).output().context("running tc")?;
        ensure!(done.status.success(), "tc: {}", String::from_utf8_lossy(&done.stderr).trim());
        Ok(())
    }

    /// Cuts what is between two hosts of one network, without a word to either: what one sends the other never gets.
    ///
    /// # Errors
    /// `ip` failed.
    pub fn cut(&self, other: &Host) -> Result<()> {
        let one_way = |from: &Host, to: &Host| {
            let to = to.address().to_string();
            let neighbour = ["neigh", "replace", &to, "lladdr", NOBODY, "nud", "permanent", "dev", "eth0"];
            ip(&[&["-n", from.space.name.as_str()][..], &neighbour].concat())
        };
        one_way(self, other)?;
        one_way(other, self)
    }

    /// Mends what [`Host::cut`] cut.
    ///
    /// # Errors
    /// `ip` failed.
    pub fn mend(&self, other: &Host) -> Result<()> {
        let one_way = |from: &Host, to: &Host| {
            ip(&["-n", &from.space.name, "neigh", "del", &to.address().to_string(), "dev", "eth0"])
        };
        one_way(self, other)?;
        one_way(other, self)
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let done = Command::new("ip").args(arguments).stdin(Stdio::null()).output().context("running ip")?;
    if !done.status.success() {
        bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::net::{SocketAddr, TcpStream};
    use std::time::Duration;

    /// Whether something that listens on `host` is reached from this process.
    fn greets(address: SocketAddr) -> bool {
        let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(2)) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        stream.read_exact(&mut [0; 4]).is_ok()
    }

    #[test]
    fn hosts_are_reached_from_where_a_cable_goes_and_while_it_is_whole() {
        let (near, far) = (Network::create_joined().unwrap(), Network::create().unwrap());
        let (a, b) = (near.host().unwrap(), far.host().unwrap());
        let (on_a, on_b) = (crate::sshd::Sshd::start_on(&a, "").unwrap(), crate::sshd::Sshd::start_on(&b, "").unwrap());
        assert!(greets((a.address(), on_a.port()).into()));
        assert!(!greets((b.address(), on_b.port()).into()));
        let ping = |from: &Host, to: &Host| {
            let to = to.address().to_string();
            let try_it = format!("exec 3<>/dev/tcp/{to}/{} && head -c 4 <&3", on_a.port());
            let done = from.command("timeout").args(["2", "bash", "-c", &try_it]).output().unwrap();
            done.stdout == b"SSH-"
        };
        let c = near.host().unwrap();
        assert!(ping(&c, &a));
        c.cut(&a).unwrap();
        assert!(!ping(&c, &a));
        assert!(greets((a.address(), on_a.port()).into()), "the others go on");
        c.mend(&a).unwrap();
        assert!(ping(&c, &a));
    }
}
