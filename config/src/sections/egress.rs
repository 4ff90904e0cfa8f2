//! `egress`: which addresses a worker may connect to on behalf of a team.

use crate::reader::Reader;
use ipnet::IpNet;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct EgressConfig {
    /// Whether private networks (10.0.0.0/8 and the like) are allowed by default: `up` says yes.
    pub allow_private: bool,
    /// Ranges that are allowed besides the default.
    pub allow: Vec<IpNet>,
}

impl EgressConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let allow_private = reader.required("egress.allow_private");
        let allow = reader.required("egress.allow");
        Some(Self { allow_private: allow_private?, allow: allow? })
    }
}
