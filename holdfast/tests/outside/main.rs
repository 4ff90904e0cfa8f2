//! Tests through the outside: the real binary (`holdfast up`) as a child, HTTP in, bytes at the destination out, a real
//! `sshd`. One file a promise. Nothing here may reach into the product's own types.

mod accounts;
mod api_guide;
mod backup_and_restore;
mod buckets;
mod canaries;
mod databases;
mod hostile_text;
mod keeping;
mod known_clients;
mod no_payload_on_disk;
mod notifications;
mod operator;
mod own_backups;
mod safety_net;
mod support;
mod telling;
