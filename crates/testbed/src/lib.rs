//! Real servers on loopback for tests and the demo. Each module starts one kind of server in a private place, and
//! leaves nothing running or on disk when its handle is dropped or its process is killed. Nothing here may touch a
//! server, a port or a folder that it did not make itself.

pub mod client;
pub mod compare;
pub mod customer_postgres;
pub mod delay_proxy;
pub mod fake_s3;
pub mod fault_proxy;
pub mod garage;
pub mod mariadb;
pub mod postgres;
pub mod processes;
pub mod product;
pub mod sample;
pub mod site;
pub mod smtp;
pub mod sshd;
pub mod steps;
pub mod terminal;
pub mod tree;
pub mod writes;
