//! From a body, and the row it changes if there is one, to the columns of a task. Notes what does not fit together;
//! nothing here reads the database.

use super::body::{Body, Sent};
use super::source_body::SourceBody;
use crate::validation::{Fields, rules, texts};
use holdfast_domain::source::{DatabaseSpec, EncryptionMode, FilesSpec, SourceSpec};
use holdfast_store::rows;

/// What a task has now.
pub(super) type Stored<'a> = Option<&'a rows::backup_tasks::Model>;

/// What is read; none where something is missing, which is noted.
pub(super) fn source(body: &Body, sent: &Sent, stored: Stored<'_>, fields: &mut Fields) -> Option<SourceSpec> {
    let kind = body.kind.as_deref().or(stored.map(|row| row.r#type.as_str()))?;
    let before = stored.and_then(|row| serde_json::from_value::<SourceSpec>(row.source.clone()).ok());
    let given = body.source.as_ref();
    if kind == "files" {
        let before = match before {
            Some(SourceSpec::Files(files)) => Some(files),
            _ => None,
        };
        return files(body, sent, before, fields).map(SourceSpec::Files);
    }
    let before = match before {
        Some(SourceSpec::Database(spec)) => Some(spec),
        _ => None,
    };
    database(body, given, sent, before, fields).map(SourceSpec::Database)
}

fn files(body: &Body, sent: &Sent, before: Option<FilesSpec>, fields: &mut Fields) -> Option<FilesSpec> {
    let given = body.source.as_ref();
    let long = given.and_then(|source| source.paths.clone());
    let short = body.source_path.clone().map(|path| vec![path]);
    let stored = before.as_ref().map(|files| files.paths.clone());
    let stored = if sent.has("source_path") && long.is_none() { None } else { stored };
    let Some(paths) = long.or(short).or(stored).filter(|paths| !paths.is_empty()) else {
        if !fields.failed("source_path") && !fields.failed("source") {
            fields.fail("source_path", texts::required_when("source_path", "type", "files"));
        }
        return None;
    };
    let before = before.unwrap_or_else(|| FilesSpec {
        paths: Vec::new(),
        excludes: Vec::new(),
        one_file_system: true,
        sparse: false,
    });
    Some(FilesSpec {
        paths,
        excludes: given.and_then(|source| source.excludes.clone()).unwrap_or(before.excludes),
        one_file_system: given.and_then(|source| source.one_file_system).unwrap_or(before.one_file_system),
        sparse: given.and_then(|source| source.sparse).unwrap_or(before.sparse),
    })
}

fn database(
    body: &Body,
    given: Option<&SourceBody>,
    sent: &Sent,
    before: Option<DatabaseSpec>,
    fields: &mut Fields,
) -> Option<DatabaseSpec> {
    let long = given.and_then(|source| source.databases.clone());
    let short = body.database_name.clone().map(|name| vec![name]);
    let stored = before.as_ref().map(|spec| spec.databases.clone());
    let stored = if sent.has("database_name") && long.is_none() { None } else { stored };
    let Some(databases) = long.or(short).or(stored) else {
        if !fields.failed("database_name") {
            fields.fail("database_name", texts::required_when("database_name", "type", "database"));
        }
        return None;
    };
    let stored_tables = before.as_ref().map(|spec| spec.excluded_tables.clone());
    let short_tables = body.excluded_database_tables.as_deref().map(|list| table_list(list, fields));
    let excluded_tables = given
        .and_then(|source| source.excluded_tables.clone())
        .or_else(|| sent.or_stored("excluded_database_tables", short_tables, stored_tables))
        .unwrap_or_default();
    let port = given.and_then(|source| source.port).and_then(|port| u16::try_from(port).ok());
    Some(DatabaseSpec {
        engine: given
            .and_then(|source| source.engine.as_deref()?.parse().ok())
            .or_else(|| before.as_ref().map(|spec| spec.engine))
            .unwrap_or_default(),
        databases,
        excluded_tables,
        excluded_table_data: given
            .and_then(|source| source.excluded_table_data.clone())
            .or_else(|| before.as_ref().map(|spec| spec.excluded_table_data.clone()))
            .unwrap_or_default(),
        host: given.and_then(|source| source.host.clone()).or_else(|| before.as_ref()?.host.clone()),
        port: port.or_else(|| before.as_ref()?.port),
        username: given.and_then(|source| source.username.clone()).or_else(|| before.as_ref()?.username.clone()),
        globals: given.and_then(|source| source.globals).or_else(|| before.as_ref()?.globals),
        path: sent.or_stored(
            "source_path",
            body.source_path.clone(),
            before.as_ref().and_then(|spec| spec.path.clone()),
        ),
    })
}

fn table_list(list: &str, fields: &mut Fields) -> Vec<String> {
    let mut tables = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match rules::table_name(name) {
            Ok(name) => tables.push(name),
            Err(problem) => {
                fields.fail_invalid("excluded_database_tables", &problem);
                break;
            }
        }
    }
    tables
}

/// How it is encrypted.
pub(super) struct Encryption {
    pub mode: EncryptionMode,
    pub recipients: Vec<String>,
    /// Whether a stored password stays.
    pub keeps_password: bool,
}

/// Mode and recipients. A password without a mode means the mode `password`, as the page has it.
pub(super) fn encryption(body: &Body, sent: &Sent, stored: Stored<'_>, fields: &mut Fields) -> Encryption {
    let given = body.encryption.as_ref();
    let before = stored.and_then(|row| row.encryption_mode.parse().ok()).unwrap_or(EncryptionMode::Managed);
    let asked: Option<EncryptionMode> = given.and_then(|e| e.mode.as_deref()?.parse().ok());
    let has_new = body.encryption_password.is_some();
    let is_cleared = sent.has("encryption_password") && !has_new;
    let mode = asked.unwrap_or(match before {
        _ if has_new => EncryptionMode::Password,
        EncryptionMode::Password if is_cleared => EncryptionMode::Managed,
        before => before,
    });
    let has_stored = stored.is_some_and(|row| row.sealed_encryption_password.is_some());
    let keeps_password = mode == EncryptionMode::Password && has_stored && !has_new && !is_cleared;
    if mode != EncryptionMode::Password && has_new {
        fields.fail_invalid("encryption_password", &"it goes with the encryption mode password only");
    }
    if mode == EncryptionMode::Password && !has_new && !keeps_password && !fields.failed("encryption_password") {
        let text = texts::required_when("encryption_password", "encryption.mode", "password");
        fields.fail("encryption_password", text);
    }
    let takes_recipients = matches!(mode, EncryptionMode::Managed | EncryptionMode::Recipients);
    let recipients = given
        .and_then(|e| e.recipients.clone())
        .or_else(|| stored.map(|row| row.encryption_recipients.clone()))
        .filter(|_| takes_recipients)
        .unwrap_or_default();
    if mode == EncryptionMode::Recipients && recipients.is_empty() && !fields.failed("encryption.recipients") {
        let field = "encryption.recipients";
        fields.fail(field, texts::required_when(field, "encryption.mode", "recipients"));
    }
    Encryption { mode, recipients, keeps_password }
}

/// Notes secrets of a task that would go to another peer than they were given for.
pub(super) fn refuse_strangers(
    body: &Body,
    sent: &Sent,
    row: &rows::backup_tasks::Model,
    new_source: Option<&SourceSpec>,
    fields: &mut Fields,
) {
    let is_other_server = body.remote_server_id.is_some_and(|id| id != row.remote_server_id);
    let is_other_user = sent.has("isolated_username") && body.isolated_username != row.isolated_username;
    // Without a user of its own the task has no use for the password: it is dropped, not sent anywhere.
    let has_user = sent.or_stored("isolated_username", body.isolated_username.as_ref(), row.isolated_username.as_ref());
    let keeps = row.sealed_isolated_password.is_some() && !sent.has("isolated_password") && has_user.is_some();
    if keeps && (is_other_server || is_other_user) {
        let text = "The isolated password field must be entered again when server or isolated username change.";
        fields.fail("isolated_password", text);
    }
    let before = serde_json::from_value::<SourceSpec>(row.source.clone()).ok();
    let has_new = body.source.as_ref().is_some_and(|source| source.password.is_some() || source.clears_password);
    if row.sealed_source_password.is_some()
        && !has_new
        && (is_other_server || peer(before.as_ref()) != peer(new_source))
    {
        let text = "The source.password field must be entered again when server, engine, host, port or user change.";
        fields.fail("source.password", text);
    }
}

type DatabasePeer<'a> = Option<(&'a str, Option<&'a str>, Option<u16>, Option<&'a str>)>;

fn peer(source: Option<&SourceSpec>) -> DatabasePeer<'_> {
    match source {
        Some(SourceSpec::Database(spec)) => {
            Some((spec.engine.as_str(), spec.host.as_deref(), spec.port, spec.username.as_deref()))
        }
        _ => None,
    }
}
