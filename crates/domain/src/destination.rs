//! What a destination is. No secret belongs here: the keys stand sealed in columns of their own.

use serde::{Deserialize, Serialize};

/// What kind of place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DestinationKind {
    /// A folder on a worker's disk.
    Local,
    /// Amazon S3.
    S3,
    /// Whatever else speaks S3.
    CustomS3,
    /// DigitalOcean Spaces.
    DigitalOceanSpaces,
}

impl DestinationKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Local, Self::S3, Self::CustomS3, Self::DigitalOceanSpaces];

    /// As in `backup_destinations.type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::S3 => "s3",
            Self::CustomS3 => "custom_s3",
            Self::DigitalOceanSpaces => "digitalocean_spaces",
        }
    }

    /// For people.
    #[must_use]
    pub fn human(self) -> &'static str {
        match self {
            Self::Local => "Local",
            Self::S3 => "S3",
            Self::CustomS3 => "Custom S3",
            Self::DigitalOceanSpaces => "DigitalOcean Spaces",
        }
    }

    /// The kind that is called `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

/// `backup_destinations.config`: what is not secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationConfig {
    /// S3 kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// `s3`, `digitalocean_spaces`, and where a custom one wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// `custom_s3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The bucket stands in the path instead of the host name.
    #[serde(default)]
    pub path_style: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_own_name_alone() {
        for kind in DestinationKind::ALL {
            assert_eq!(DestinationKind::parse(kind.as_str()), Some(*kind));
        }
        assert_eq!(DestinationKind::parse("S3"), None);
    }
}
