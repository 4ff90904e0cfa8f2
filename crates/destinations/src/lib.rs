//! Where backups go: one file a destination, and the egress guard
