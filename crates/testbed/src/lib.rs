//! Real servers on loopback for tests and the demo. Each module starts one kind of server in a private place, and
//! leaves nothing running or on disk when its handle is dropped or its process is killed. Nothing here may touch a
//! server, a port or a folder that it did not make itself.

pub mod client;
pub mod compare;
pub mod customer_postgres;
pub mod delay_proxy;
pub mod fake_s3;
pub mod fault_figures;
pub mod fault_proxy;
pub mod garage;
pub mod mariadb;
pub mod network;
pub mod postgres;
pub mod processes;
pub mod product;
pub mod receivers;
pub mod sample;
pub mod site;
pub mod smtp;
pub mod sshd;
pub mod steps;
pub mod terminal;
pub mod tree;
pub mod writes;

/// Where `./dev` keeps the tools that it installed once.
fn tools() -> std::path::PathBuf {
    let home = std::env::var_os("HOME").map_or_else(|| "/root".into(), std::path::PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), std::path::PathBuf::from);
    std::env::var_os("HOLDFAST_TOOLS").map_or_else(|| cache.join("holdfast-tools"), std::path::PathBuf::from)
}
