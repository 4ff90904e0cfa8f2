//! An example for every body of the document. Those of requests are written down, for a good request is more than fields that
//! are each good; a test sends every one of them. Those of answers are put together from an example of each field.

use serde_json::{Map, Value, json};

/// The example of a request's body, by the name of its schema.
pub(super) fn request(schema: &str) -> Option<Value> {
    let (_, text) = REQUESTS.iter().find(|(name, _)| *name == schema)?;
    serde_json::from_str(text).ok()
}

/// The example of a refusal with this status.
pub(super) fn problem(status: &str) -> Option<Value> {
    let (_, error, message, code) = PROBLEMS.iter().find(|(known, ..)| *known == status)?;
    let mut body = json!({"error": error, "message": message, "code": code});
    if status == "422" {
        body["errors"] = json!({"label": ["The label field is required."]});
    }
    Some(body)
}

/// Status, its words, a sentence and a code that goes with it.
const PROBLEMS: &[(&str, &str, &str, &str)] = &[
    ("400", "Bad Request", "The body is not JSON (line 1).", "malformed_body"),
    ("401", "Unauthorized", "Unauthenticated.", "unauthenticated"),
    ("403", "Forbidden", "Confirm your password first: POST /api/auth/confirm-password.", "reauth_required"),
    ("404", "Not Found", "Backup task not found", "not_found"),
    ("409", "Conflict", "The team's limit backup_tasks is reached: 100.", "limit_reached"),
    ("408", "Request Timeout", "The body did not arrive within 30 seconds.", "body_too_slow"),
    ("413", "Payload Too Large", "The body may have at most 1048576 bytes.", "body_too_large"),
    ("414", "URI Too Long", "The address may be 8192 bytes long.", "address_too_long"),
    (
        "415",
        "Unsupported Media Type",
        "Send the body as application/json and say so in Content-Type.",
        "unsupported_media_type",
    ),
    ("416", "Range Not Satisfiable", "The object is not that long.", "range_not_satisfiable"),
    ("422", "Validation Error", "The given data was invalid.", "validation_failed"),
    ("429", "Too Many Requests", "Too Many Attempts.", "too_many_requests"),
    (
        "431",
        "Request Header Fields Too Large",
        "A request may have 100 headers of 32768 bytes together.",
        "headers_too_large",
    ),
    (
        "500",
        "Internal Server Error",
        "Something went wrong on our side. The operator finds it in the log as \
      01912b6c-8a4e-7cc0-9d53-2f1c0a7b9e11.",
        "internal",
    ),
    ("502", "Bad Gateway", "The worker's answer broke off.", "worker_failed"),
    (
        "503",
        "Service Unavailable",
        "The database does not answer at the moment. Try again in a minute.",
        "database_unavailable",
    ),
    ("504", "Gateway Timeout", "The request took too long.", "timed_out"),
];

/// An answer that fits `schema` of `document`.
pub(super) fn answer(document: &Value, schema: &Value) -> Value {
    sample(document, schema, "", "")
}

fn sample(document: &Value, schema: &Value, owner: &str, field: &str) -> Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/components/schemas/")) {
        return sample(document, &document["components"]["schemas"][name], name, field);
    }
    if let Some(all) = schema["allOf"].as_array() {
        let parts = all.iter().map(|part| sample(document, part, owner, field));
        let fields = parts.filter_map(|part| part.as_object().cloned()).flatten();
        return Value::Object(fields.collect());
    }
    if let Some(any) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let first = any.iter().find(|one| one["type"] != "null");
        return first.map_or(Value::Null, |one| sample(document, one, owner, field));
    }
    if let Some(properties) = schema["properties"].as_object() {
        let fields = properties.iter().map(|(name, inner)| (name.clone(), sample(document, inner, owner, name)));
        return Value::Object(fields.collect());
    }
    known(owner, field).filter(|value| fits(value, schema)).unwrap_or_else(|| plain(document, schema, field))
}

/// What the field usually holds.
fn known(owner: &str, field: &str) -> Option<Value> {
    let find = |name: &str| VALUES.iter().find(|(word, _)| *word == name).map(|(_, text)| *text);
    let text = find(&format!("{owner}.{field}")).or_else(|| find(field))?;
    serde_json::from_str(text).ok()
}

fn is_of(schema: &Value, kind: &str) -> bool {
    match &schema["type"] {
        Value::String(one) => one == kind,
        Value::Array(several) => several.iter().any(|one| one == kind),
        _ => true,
    }
}

fn fits(value: &Value, schema: &Value) -> bool {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => return is_of(schema, "integer") || is_of(schema, "number"),
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    is_of(schema, kind)
}

fn plain(document: &Value, schema: &Value, field: &str) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|all| all.first()) {
        return first.clone();
    }
    if is_of(schema, "array") {
        return Value::Array(vec![sample(document, &schema["items"], "", field)]);
    }
    if is_of(schema, "object") {
        return Value::Object(Map::new());
    }
    if is_of(schema, "string") {
        // The first word in backticks is one that the field can hold.
        let quoted = schema["description"].as_str().and_then(|text| text.split('`').nth(1));
        return json!(quoted.unwrap_or("text"));
    }
    if is_of(schema, "boolean") { json!(false) } else { json!(1) }
}

const REQUESTS: &[(&str, &str)] = &[
    ("NotificationSettingsRequest", r#"{"quiet_until": "2024-08-09T06:00:00Z"}"#),
    ("AccountDeletion", r#"{"confirm": "ann@example.com", "delete_backups": true}"#),
    ("BackupCopiesRequest", r#"{"backup_destination_ids": [1]}"#),
    ("BackupDeletion", r#"{"confirm": "Weekly Full Backup"}"#),
    (
        "BackupDestinationBody",
        r#"{"label": "Archive", "type": "custom_s3", "s3_access_key": "GK31c2f218a2e44f485b94239e",
       "s3_secret_key": "b892c0665f0ada8a4755dae98baa3b133590e11dae3bcc1f9d769d67f16c3835", "s3_bucket_name": "backups",
       "custom_s3_region": "garage", "custom_s3_endpoint": "https://s3.example.com", "path_style_endpoint": true}"#,
    ),
    (
        "BackupTaskBody",
        r#"{"remote_server_id": 1, "backup_destination_id": 1, "label": "Weekly Full Backup",
       "description": "Everything below /home", "source_path": "/home", "frequency": "weekly", "time_to_run_at": "02:00",
       "maximum_backups_to_keep": 4, "type": "files", "store_path": "/backups/weekly"}"#,
    ),
    (
        "ScheduleDraft",
        r#"{"frequency": "weekly", "weekdays": [1, 4], "time_to_run_at": "02:30", "timezone": "Europe/Berlin",
       "jitter_secs": 900}"#,
    ),
    ("BackupTaskDeletion", r#"{"delete_files": false}"#),
    ("BackupTaskDuplicate", r#"{"label": "Weekly Full Backup, elsewhere"}"#),
    ("BackupUpdate", r#"{"held": true}"#),
    (
        "DeviceTokenRequest",
        r#"{"email": "ann@example.com", "password": "correct horse battery", "device_name": "My phone"}"#,
    ),
    ("EmailChange", r#"{"email": "ann.lee@example.com"}"#),
    ("EmailConfirmation", r#"{"token": "hfm_2f6f0c8d6f1d4a0e9a0b6f7d5e4c3b2a1908f7e6d5c4b3a2"}"#),
    ("EmailRequest", r#"{"email": "ann@example.com"}"#),
    (
        "EmailVerification",
        r#"{"token": "hfm_2f6f0c8d6f1d4a0e9a0b6f7d5e4c3b2a1908f7e6d5c4b3a2", "password": "correct horse battery"}"#,
    ),
    ("HostKeyAcceptance", r#"{"fingerprint": "SHA256:Zq1mXx1o2D1yJvQ4S0nV7h0mC8k3bT2u5W9eR6aPfL0"}"#),
    ("LogInRequest", r#"{"email": "ann@example.com", "password": "correct horse battery"}"#),
    (
        "NotificationStreamBody",
        r#"{"label": "On call", "type": "email", "value": "oncall@example.com",
       "events": ["failure", "missed"], "is_team_wide": true}"#,
    ),
    (
        "OwnBackupRequest",
        r#"{"backup_destination_id": 1,
       "recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]}"#,
    ),
    ("PasswordChange", r#"{"current_password": "correct horse battery", "password": "staple of a better kind"}"#),
    ("PasswordConfirmation", r#"{"password": "correct horse battery"}"#),
    (
        "PasswordReset",
        r#"{"token": "hfm_2f6f0c8d6f1d4a0e9a0b6f7d5e4c3b2a1908f7e6d5c4b3a2", "password": "staple of a better kind"}"#,
    ),
    ("PruneRequest", r#"{"older_than_secs": 2592000, "dry_run": true}"#),
    ("JobRunRequest", r#"{"name": "purges"}"#),
    (
        "RegisterRequest",
        r#"{"name": "Ann Lee", "email": "ann@example.com", "password": "correct horse battery",
       "timezone": "Europe/Copenhagen"}"#,
    ),
    ("RemoteServerBody", r#"{"label": "web-2", "ip_address": "203.0.113.10", "username": "root", "port": 22}"#),
    ("RestoreRequest", r#"{"target": {"remote_server_id": 1, "path": "/srv/restored"}, "layout": "contents_only"}"#),
    ("RunRequest", r#"{"backup_destination_ids": [1]}"#),
    (
        "ScriptBody",
        r#"{"label": "Put the shop in maintenance", "interpreter": "sh", "timeout_secs": 60,
       "body": "cd \"$ROOT\" && php artisan down",
       "parameters": [{"name": "ROOT", "default": "/var/www/shop", "is_required": true}]}"#,
    ),
    ("ScriptSecretBody", r#"{"name": "shop-db", "value": "correct horse battery", "description": "Of the shop"}"#),
    ("ScriptTest", r#"{"remote_server_id": 1, "parameters": {"ROOT": "/var/www/shop"}}"#),
    (
        "SetupRequest",
        r#"{"token": "hfs_2f6f0c8d6f1d4a0e9a0b6f7d5e4c3b2a1908f7e6d5c4b3a2", "name": "Ann Lee",
       "email": "ann@example.com", "password": "correct horse battery", "timezone": "Europe/Copenhagen"}"#,
    ),
    ("StreamConfirmation", r#"{"token": "hfm_2f6f0c8d6f1d4a0e9a0b6f7d5e4c3b2a1908f7e6d5c4b3a2"}"#),
    ("SuspensionRequest", r#"{"reason": "unpaid", "until": "2030-01-01T00:00:00Z", "note": "Invoice 17"}"#),
    ("TagBody", r##"{"label": "web", "description": "What the web servers hold", "colour": "#3366cc"}"##),
    ("TeamLimitsRequest", r#"{"backup_tasks": 100, "stored_bytes": 1099511627776}"#),
    (
        "TokenRequest",
        r#"{"name": "deploy", "abilities": ["view-backup-tasks", "run-backup-tasks"], "expires_in_days": 90}"#,
    ),
    ("TwoFactorChallenge", r#"{"code": "123456"}"#),
    ("UnsuspensionRequest", r#"{"note": "Paid"}"#),
    ("UserChange", r#"{"timezone": "Europe/Copenhagen", "language": "da", "page_size": 50}"#),
    ("UserDeletion", r#"{"cascade": true, "confirm": "bob@example.com"}"#),
    (
        "UserRequest",
        r#"{"name": "Bo Hansen", "email": "bo@example.com", "password": "correct horse battery",
       "timezone": "Europe/Copenhagen"}"#,
    ),
];

/// A JSON value for each word that has one of its own; `Schema.field` wins. Times, sizes and names agree with one another
/// as far as one thing's fields can.
const VALUES: &[(&str, &str)] = &[
    ("next_attempt_at", "null"),
    ("quiet_until", r#""2024-08-09T06:00:00Z""#),
    ("sent_at", r#""2024-08-07T02:01:15Z""#),
    ("abilities", r#"["view-backup-tasks"]"#),
    ("account_created", r#""2024-08-01T08:00:00Z""#),
    ("action", r#""backup_task.create""#),
    ("alias", r#""web-weekly""#),
    ("allowed", "100"),
    ("appended_filename", r#""web""#),
    (
        "avatar_url",
        r#""https://www.gravatar.com/avatar/973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b?s=200""#,
    ),
    ("bytes_per_second", "83886080"),
    ("cancel_requested_at", "null"),
    ("code", r#""not_found""#),
    ("completed_at", r#""2024-08-07T02:01:12Z""#),
    ("compressed_size", "524288000"),
    ("confirm", r#""Weekly Full Backup""#),
    ("created_at", r#""2024-08-07T02:00:00Z""#),
    ("current_file", r#""/home/ann/notes.txt""#),
    ("custom_cron", "null"),
    ("database_name", "null"),
    ("deduplicated_size", "null"),
    ("description", r#""Everything below /home""#),
    ("device_name", r#""My phone""#),
    ("duration_ms", "72000"),
    ("email", r#""ann@example.com""#),
    ("error_code", "null"),
    ("error_message", "null"),
    ("estimated_time_remaining", "null"),
    ("excluded_tables", "null"),
    ("expires_at", r#""2024-11-05T02:00:00Z""#),
    ("fingerprint", r#""SHA256:Zq1mXx1o2D1yJvQ4S0nV7h0mC8k3bT2u5W9eR6aPfL0""#),
    ("finished_at", r#""2024-08-07T02:01:12Z""#),
    ("first", r#""https://backup.example.com/api/tags?page=1""#),
    ("first_name", r#""Ann""#),
    ("head", r#""9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08""#),
    ("host", "null"),
    ("ip_address", r#""203.0.113.10""#),
    ("PageLink.label", r#""1""#),
    ("label", r#""Weekly Full Backup""#),
    ("last", r#""https://backup.example.com/api/tags?page=1""#),
    ("last_connected_at", r#""2024-08-07T02:00:01Z""#),
    ("last_name", r#""Lee""#),
    ("last_run_local_time", r#""2024-08-07 04:00:00""#),
    ("last_run_utc_time", r#""2024-08-07T02:00:00Z""#),
    ("last_seen_at", r#""2024-08-07T09:30:00Z""#),
    ("last_used_at", r#""2024-08-07T09:30:00Z""#),
    ("maintenance_status", "null"),
    ("max_age_secs", "null"),
    ("max_backups", "4"),
    ("keep_last", "4"),
    ("message", r#""Backup task initiated successfully.""#),
    ("name", r#""Ann Lee""#),
    ("next", "null"),
    ("next_run_at", r#""2024-08-14T02:00:00Z""#),
    ("original_sha256", r#""9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08""#),
    ("original_size", "1073741824"),
    ("output", r#""read 20481 files, 0 warnings""#),
    ("ListMeta.path", r#""https://backup.example.com/api/tags""#),
    ("StorageView.path", r#""/backups/weekly""#),
    ("path", r#""/home""#),
    ("paused_at", "null"),
    ("per_page", "15"),
    ("page_size", "15"),
    ("plain_text_token", r#""17|hf_2f6f0c8d6f1d4a0e9a0b6f7d5e4c3b2a1908f7e6d5c4b3a2""#),
    ("port", "22"),
    ("prev", "null"),
    ("progress_percent", "100"),
    ("recycled_at", "null"),
    ("scheduled_for", r#""2024-08-07T02:00:00Z""#),
    ("scheduled_local_time", r#""04:00""#),
    ("scheduled_utc_time", r#""02:00""#),
    ("since", r#""2024-08-01T08:00:00Z""#),
    ("started_at", r#""2024-08-07T02:00:01Z""#),
    ("BackupTaskView.status", r#""ready""#),
    ("TaskStatusView.status", r#""ready""#),
    ("BackupRunView.status", r#""succeeded""#),
    ("RestoreView.status", r#""succeeded""#),
    ("RestoreStarted.status", r#""queued""#),
    ("RemoteServerView.status", r#""online""#),
    ("stored_bytes", "2147483648"),
    ("stored_sha256", r#""2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae""#),
    ("stored_size", "524812288"),
    ("subject", r#""backup_tasks:1""#),
    ("suspended_at", "null"),
    ("task_label", r#""Weekly Full Backup""#),
    ("timezone", r#""Europe/Copenhagen""#),
    ("token", r#""17|hf_2f6f0c8d6f1d4a0e9a0b6f7d5e4c3b2a1908f7e6d5c4b3a2""#),
    ("transfer_ms", "70500"),
    ("type", r#""files""#),
    ("type_human", r#""Local disk""#),
    ("updated_at", r#""2024-08-07T02:00:00Z""#),
    ("url", r#""https://backup.example.com/api/tags?page=1""#),
    ("user_agent", r#""Mozilla/5.0""#),
    ("username", r#""root""#),
    ("verified", "true"),
    ("verified_at", r#""2024-08-07T02:01:11Z""#),
    ("verified_level", "1"),
    ("weekday", "3"),
];
