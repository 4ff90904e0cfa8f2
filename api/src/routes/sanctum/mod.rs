//! Page 003's peer's way to a token for a device.

pub mod token;
