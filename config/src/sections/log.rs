//! `log`: the product's own log, on standard error.

use crate::reader::Reader;
use crate::setting::named_setting;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

named_setting!(LogFormat { "text" => LogFormat::Text, "json" => LogFormat::Json });

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// Directives of tracing's `EnvFilter`.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl LogConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let filter = reader.required("log.filter");
        let format = reader.required("log.format");
        Some(Self { filter: filter?, format: format? })
    }
}
