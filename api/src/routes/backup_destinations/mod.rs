//! Where bytes go.

pub mod check;
pub mod create;
pub mod delete;
pub mod list;
pub mod show;
pub mod update;
pub mod usage;

use crate::audit::SealedFields;
use crate::routes::at_once::AtOnceBody;
use crate::validation::{Fields, Presence, texts};
use crate::views::backup_destination::DestinationConfig;
use holdfast_domain::host::Host;
use holdfast_store::rows;
use utoipa::ToSchema;
use validator::Validate;

/// What can be stored.
const TYPES: [&str; 4] = ["local", "s3", "custom_s3", "digitalocean_spaces"];

/// What is sealed in a row.
const SECRETS: &SealedFields<rows::backup_destinations::Model> = &[
    ("s3_access_key", |row| row.sealed_access_key.as_deref()),
    ("s3_secret_key", |row| row.sealed_secret_key.as_deref()),
];

/// A destination as a client writes it: the peer's names.
#[derive(Default, Validate, ToSchema)]
#[schema(as = BackupDestinationBody)]
pub(crate) struct Body {
    #[validate(length(max = 255))]
    label: Option<String>,
    /// `local`, `s3`, `custom_s3`, `digitalocean_spaces`.
    #[schema(rename = "type")]
    kind: Option<String>,
    /// Write-only.
    #[validate(length(max = 255))]
    s3_access_key: Option<String>,
    /// Write-only.
    #[validate(length(max = 255))]
    s3_secret_key: Option<String>,
    #[validate(length(max = 255))]
    s3_bucket_name: Option<String>,
    #[validate(length(max = 255))]
    custom_s3_region: Option<String>,
    /// `https://host[:port]`
    #[validate(length(max = 255))]
    custom_s3_endpoint: Option<String>,
    path_style_endpoint: Option<bool>,
    limits: Option<AtOnceBody>,
}

impl Body {
    /// `stored`: the type that the row has, for an update that does not name one.
    fn read(fields: &mut Fields, stored: Option<&str>) -> Self {
        let label = fields.string("label", Presence::Required);
        let kind = fields.one_of("type", Presence::Required, &TYPES);
        let effective = kind.clone().or_else(|| stored.map(str::to_owned));
        let effective = effective.as_deref().unwrap_or("local");
        let body = Self {
            label,
            s3_access_key: fields.parsed("s3_access_key", Presence::Optional, access_key),
            s3_secret_key: fields.secret("s3_secret_key", Presence::Optional, false),
            s3_bucket_name: fields.parsed("s3_bucket_name", Presence::Optional, bucket),
            custom_s3_region: fields.parsed("custom_s3_region", Presence::Optional, region),
            custom_s3_endpoint: fields.parsed("custom_s3_endpoint", Presence::Optional, endpoint),
            path_style_endpoint: fields.boolean("path_style_endpoint", Presence::Optional),
            limits: AtOnceBody::read(fields),
            kind,
        };
        fields.check(&body);
        if fields.sent("path_style_endpoint") && !fields.filled("path_style_endpoint") && effective != "local" {
            fields.fail("path_style_endpoint", texts::must_be("path_style_endpoint", "true or false"));
        }
        for name in required_fields(effective) {
            // An update may leave them out: what is stored stays.
            let may_be_absent = stored.is_some() && !fields.sent(name);
            if !fields.filled(name) && !may_be_absent && !fields.failed(name) {
                fields.fail(name, texts::required_when(name, "type", effective));
            }
        }
        body
    }

    /// The stored form, on top of what a row has.
    fn config(&self, kind: &str, before: DestinationConfig) -> DestinationConfig {
        if kind == "local" {
            return DestinationConfig::default();
        }
        DestinationConfig {
            bucket: self.s3_bucket_name.clone().or(before.bucket),
            region: self.custom_s3_region.clone().or(before.region),
            endpoint: self.custom_s3_endpoint.clone().or(before.endpoint),
            path_style: self.path_style_endpoint.unwrap_or(before.path_style),
        }
    }
}

/// What a type cannot do without.
fn required_fields(kind: &str) -> &'static [&'static str] {
    match kind {
        "s3" => &["s3_access_key", "s3_secret_key", "s3_bucket_name", "custom_s3_region", "path_style_endpoint"],
        "custom_s3" => {
            &["s3_access_key", "s3_secret_key", "s3_bucket_name", "custom_s3_endpoint", "path_style_endpoint"]
        }
        "digitalocean_spaces" => &["s3_access_key", "s3_secret_key", "s3_bucket_name", "custom_s3_region"],
        _ => &[],
    }
}

/// It stands in a header, between a `=` and a `/`.
fn access_key(raw: &str) -> Result<String, &'static str> {
    let key = raw.trim();
    let fits = !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b',' | b'=' | b'"'));
    fits.then(|| key.to_owned()).ok_or("it may have printable characters without spaces and none of / , = \"")
}

fn bucket(raw: &str) -> Result<String, &'static str> {
    let name = raw.trim();
    let fits = (3..=255).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !name.contains("..");
    // The peer takes two characters too; nothing that exists has fewer than three, but a name is told apart here only
    // from what could change the address it is put into.
    let is_short = name.len() == 2 && name.bytes().all(|b| b.is_ascii_alphanumeric());
    (fits || is_short).then(|| name.to_owned()).ok_or("it may have letters, digits, dots, dashes and underscores")
}

fn region(raw: &str) -> Result<String, &'static str> {
    let name = raw.trim();
    let fits = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && !name.starts_with('-');
    fits.then(|| name.to_owned()).ok_or("it may have letters, digits, dashes and underscores")
}

/// `https://host[:port]`; a host without a scheme means https.
fn endpoint(raw: &str) -> Result<String, &'static str> {
    const PROBLEM: &str = "it must be https://host, with a port if needed and nothing else";
    let text = raw.trim();
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    // What stands between scheme and end is looked at as it was typed: the parser would make an address of `127.1`.
    let (_, authority) = with_scheme.split_once("://").ok_or(PROBLEM)?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            port.parse::<u16>().ok().filter(|port| *port > 0).ok_or(PROBLEM)?;
            host
        }
        _ => authority,
    };
    Host::parse(host).map_err(|_| PROBLEM)?;
    let url = url::Url::parse(&with_scheme).map_err(|_| PROBLEM)?;
    let is_plain = matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none();
    if is_plain { Ok(with_scheme.trim_end_matches('/').to_owned()) } else { Err(PROBLEM) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_fits_into_a_header() {
        assert_eq!(access_key(" AKIA0+x.y ").as_deref(), Ok("AKIA0+x.y"));
        for bad in ["", " ", "a b", "a/b", "a\r\nX-Y: z", "a,b", "é", "a=b", "a\"b"] {
            assert!(access_key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_endpoint_is_a_host_and_nothing_else() {
        assert_eq!(endpoint("minio.example:9000").as_deref(), Ok("https://minio.example:9000"));
        assert_eq!(endpoint(" http://10.0.0.5/ ").as_deref(), Ok("http://10.0.0.5"));
        for bad in [
            "https://user:pw@h",
            "ftp://h",
            "https://h/path",
            "https://127.1",
            "https://0x7f.1",
            "gopher://127.0.0.1",
            "https://h:0",
            "https://h:x",
            "https://h?x=y",
            "https://①②⑦.⓪.⓪.①",
            "",
            "https://",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
