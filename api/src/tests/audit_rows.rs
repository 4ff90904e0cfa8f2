//! Every act leaves its row in the audit log, once, and no row has a secret in it. The walk does each act of the route
//! table as a person would; a new route is added here with the row it makes, or to [`WITHOUT`] with a reason.

use super::people::{Browser, link};
use crate::routes::rows;
use crate::testing::{App, Definitions, Person, task_body};
use axum::{Json, Router};
use holdfast_domain::ids::{TeamId, UserId};
use holdfast_store::fleet::Round;
use holdfast_vault::ticket::SetupSecret;
use holdfast_vault::totp::TotpSecret;
use rand::{SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Acts that no team's log tells of, and why.
const WITHOUT: [(&str, &str); 6] = [
    ("POST /api/auth/register", "nobody's yet; the account is told of when its address is confirmed"),
    ("POST /api/auth/verify-email/resend", "does the same for an address that nobody has"),
    ("POST /api/auth/forgot-password", "does the same for an address that nobody has; the reset itself is told of"),
    ("POST /setup", "the form of POST /api/auth/setup, and the same function"),
    ("POST /api/system/backups/{id}/restore", "never does anything"),
    ("POST /api/backup-tasks/schedule-preview", "changes nothing"),
];
/// Readings that take data out.
const READINGS: [&str; 3] =
    ["GET /api/backups/{id}/download", "GET /api/system/backups/{id}/download", "GET /api/account/export"];

const EMAIL: &str = "ann@example.com";
const PASSWORD: &str = "CANARY-first horse battery";
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

struct Walk {
    app: App,
    browser: Browser,
    ann: Person,
    done: BTreeSet<String>,
    /// Everything that an answer showed once.
    secrets: Vec<String>,
}

impl Walk {
    /// The newest event.
    async fn newest(&self) -> i64 {
        let pool = self.app.database.owner_pool().await.unwrap();
        let sql = "SELECT last_value FROM pg_sequences WHERE sequencename = 'audit_events_id_seq'";
        sqlx::query_scalar::<_, Option<i64>>(sql).fetch_one(&pool).await.unwrap().unwrap_or(0)
    }

    /// Team and action of every event after `newest`.
    async fn told(&self, newest: i64) -> Vec<(i64, String)> {
        let pool = self.app.database.owner_pool().await.unwrap();
        let sql = "SELECT team_id, action FROM audit_events WHERE id > $1 ORDER BY id";
        sqlx::query_as(sql).bind(newest).fetch_all(&pool).await.unwrap()
    }

    /// One act: exactly `actions` are new in the log, each once in each team that is told.
    async fn act(&mut self, route: &str, id: &Value, body: Value, actions: &[&str]) -> Value {
        let before = self.newest().await;
        let (method, path) = route.split_once(' ').unwrap();
        let path = path.replace("{id}", &id.to_string());
        let answer = self.browser.ask(&self.app, method, &path, body).await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(answer.status.is_success(), "{route}: {} {text}", answer.status);
        let new = self.told(before).await;
        let told: Vec<&str> = new.iter().filter(|row| row.0 == self.ann.team_id.0).map(|row| row.1.as_str()).collect();
        assert_eq!(told, actions, "{route}: {new:?}");
        let distinct: BTreeSet<_> = new.iter().collect();
        assert_eq!(distinct.len(), new.len(), "{route} told somebody twice: {new:?}");
        self.done.insert(route.to_owned());
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// As [`Walk::act`], of what the answer calls by an id.
    async fn make(&mut self, route: &str, body: Value, action: &str) -> Value {
        let made = self.act(route, &Value::Null, body, &[action]).await;
        made["data"]["id"].clone()
    }

    fn saw(&mut self, secret: &Value) -> String {
        let secret = secret.as_str().expect("a secret").to_owned();
        self.secrets.push(secret.clone());
        secret
    }
}

/// A worker's data plane that says yes to everything.
async fn worker(app: &App) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let yes = Router::new().fallback(|| async { Json(json!({"ok": true, "steps": []})) });
    // Ends with the test's runtime.
    drop(tokio::spawn(async move { axum::serve(listener, yes).await }));
    let sql = "INSERT INTO workers (name, version, data_plane_url, store_ids, capacity) VALUES ('w', '1', $1, '{}', 1)";
    sqlx::query(sql).bind(url).execute(&app.database.owner_pool().await.unwrap()).await.unwrap();
}

/// The first person, who is an operator; logged in.
async fn begin() -> Walk {
    let app = App::start().await;
    worker(&app).await;
    let secret = SetupSecret::generate(&mut StdRng::seed_from_u64(11));
    assert!(app.store.issue_setup_link(secret.hash().as_bytes()).await.unwrap());
    let ann = Person { user_id: UserId(1), team_id: TeamId(1), token: String::new() };
    let secrets = vec![secret.expose().to_owned()];
    let mut walk = Walk { app, browser: Browser::at("198.51.100.1"), ann, done: BTreeSet::new(), secrets };
    let body =
        json!({"token": secret.expose(), "name": "Ann", "email": EMAIL, "password": PASSWORD, "timezone": "UTC"});
    let made = walk.act("POST /api/auth/setup", &Value::Null, body, &["installation.setup"]).await;
    assert_eq!((&made["data"]["user_id"], &made["data"]["team_id"]), (&json!(1), &json!(1)));
    walk.ann.token = walk.saw(&made["data"]["token"]);
    let log_in = json!({"email": EMAIL, "password": PASSWORD});
    walk.act("POST /api/auth/login", &Value::Null, log_in, &["session.begin"]).await;
    walk
}

async fn passwords(walk: &mut Walk) {
    const NEW: &str = "CANARY-second horse battery";
    let none = Value::Null;
    for (route, reason) in WITHOUT.iter().filter(|(route, _)| route.starts_with("POST /api/auth")) {
        let body = match *route {
            "POST /api/auth/register" => json!({"name": "Carl", "email": "carl@example.com", "password": PASSWORD}),
            "POST /api/auth/verify-email/resend" => json!({"email": "carl@example.com"}),
            _ => json!({"email": EMAIL}),
        };
        walk.act(route, &none, body, &[]).await;
        assert!(!reason.is_empty());
    }
    let carl = link(&walk.app, "register", "carl@example.com").await;
    let body = json!({"token": carl, "password": PASSWORD});
    let newest = walk.newest().await;
    let made = walk.act("POST /api/auth/verify-email", &none, body, &[]).await;
    assert_eq!(walk.told(newest).await, [(made["data"]["team_id"].as_i64().unwrap(), "user.register".to_owned())]);
    let reset = link(&walk.app, "reset", EMAIL).await;
    let body = json!({"token": reset, "password": NEW});
    // Two acts: whoever resets is logged in.
    walk.act("POST /api/auth/reset-password", &none, body, &["user.password", "session.begin"]).await;
    walk.act("POST /api/auth/confirm-password", &none, json!({"password": NEW}), &["session.confirm"]).await;
    let body = json!({"current_password": NEW, "password": PASSWORD});
    walk.act("POST /api/user/password", &none, body, &["user.password"]).await;
    walk.act("POST /api/user/email", &none, json!({"email": "new@example.com"}), &["user.email_asked"]).await;
    let body = json!({"token": link(&walk.app, "email", "new@example.com").await});
    walk.act("POST /api/user/email/confirm", &none, body, &["user.email"]).await;
    walk.secrets.extend([carl, reset]);
    let back = "UPDATE users SET email = $1 WHERE id = 1";
    let pool = walk.app.database.owner_pool().await.unwrap();
    sqlx::query(back).bind(EMAIL).execute(&pool).await.unwrap();
    walk.act("POST /api/auth/login", &none, json!({"email": EMAIL, "password": PASSWORD}), &["session.begin"]).await;
}

async fn second_factor(walk: &mut Walk) {
    let none = Value::Null;
    let begun = walk.act("POST /api/user/two-factor", &none, none.clone(), &["two_factor.begin"]).await;
    let secret = TotpSecret::from_base32(&walk.saw(&begun["data"]["secret"])).unwrap();
    let code = json!({"code": secret.code_at(walk.app.now().timestamp())});
    walk.act("POST /api/user/two-factor/confirm", &none, code, &["two_factor.on"]).await;
    let codes = walk.act("POST /api/user/two-factor/recovery-codes", &none, none.clone(), &["two_factor.codes"]).await;
    let codes: Vec<Value> = codes["data"]["recovery_codes"].as_array().unwrap().clone();
    let codes: Vec<String> = codes.iter().map(|code| walk.saw(code)).collect();
    walk.act("POST /api/auth/logout", &none, none.clone(), &["session.end"]).await;
    walk.act("POST /api/auth/login", &none, json!({"email": EMAIL, "password": PASSWORD}), &[]).await;
    let answer = json!({"code": codes[0]});
    let told = ["two_factor.recovery_code_used", "session.begin"];
    walk.act("POST /api/auth/two-factor", &none, answer, &told).await;
    walk.act("DELETE /api/user/two-factor", &none, none.clone(), &["two_factor.off"]).await;
    walk.act("DELETE /api/auth/sessions", &none, none.clone(), &["session.end"]).await;
    walk.app.session(&walk.ann).await;
    let pool = walk.app.database.owner_pool().await.unwrap();
    let other: i64 = sqlx::query_scalar("SELECT max(id) FROM sessions").fetch_one(&pool).await.unwrap();
    walk.act("DELETE /api/auth/sessions/{id}", &json!(other), none.clone(), &["session.end"]).await;
    walk.act("PATCH /api/user", &none, json!({"name": "Ann Lee", "page_size": 20}), &["user.update"]).await;
    let wanted = json!({"name": "ci", "abilities": ["*"]});
    let made = walk.act("POST /api/tokens", &none, wanted, &["token.create"]).await;
    walk.saw(&made["data"]["plain_text_token"]);
    walk.act("DELETE /api/tokens/{id}", &made["data"]["id"], none.clone(), &["token.delete"]).await;
    let device = json!({"email": EMAIL, "password": PASSWORD, "device_name": "Phone"});
    let made = walk.act("POST /api/sanctum/token", &none, device, &["token.create"]).await;
    walk.saw(&made["token"]);
}

async fn definitions(walk: &mut Walk) -> Definitions {
    let none = Value::Null;
    let server = json!({"label": "s", "ip_address": "10.0.0.1", "username": "root", "port": 22, "auth_method": "password",
        "password": "CANARY-ssh", "database_password": "CANARY-db"});
    let server = walk.make("POST /api/remote-servers", server, "remote_server.create").await;
    let change = json!({"label": "t", "password": "CANARY-other"});
    walk.act("PUT /api/remote-servers/{id}", &server, change, &["remote_server.update"]).await;
    walk.act("POST /api/remote-servers/{id}/check", &server, none.clone(), &["remote_server.check"]).await;
    let pool = walk.app.database.owner_pool().await.unwrap();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    sqlx::query("UPDATE remote_servers SET pending_host_key = $1").bind(key).execute(&pool).await.unwrap();
    let seen = json!({"fingerprint": "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"});
    let route = "POST /api/remote-servers/{id}/host-key/accept";
    walk.act(route, &server, seen, &["remote_server.host_key_accept"]).await;
    let bucket = json!({"label": "d", "type": "custom_s3", "s3_access_key": "CANARY-a", "s3_secret_key": "CANARY-s",
        "s3_bucket_name": "bk", "custom_s3_endpoint": "https://minio.example", "path_style_endpoint": true});
    let destination = walk.make("POST /api/backup-destinations", bucket, "backup_destination.create").await;
    let route = "POST /api/backup-destinations/{id}/check";
    walk.act(route, &destination, none.clone(), &["backup_destination.check"]).await;
    let route = "PUT /api/backup-destinations/{id}";
    let change = json!({"label": "e", "s3_access_key": "CANARY-b", "s3_secret_key": "CANARY-c"});
    walk.act(route, &destination, change, &["backup_destination.update"]).await;
    let hook = json!({"label": "Ops", "type": "discord_webhook", "value": "https://discord.com/api/webhooks/1/CANARYh",
        "notifications": {"on_success": false, "on_failure": true}});
    let stream = walk.make("POST /api/notification-streams", hook, "notification_stream.create").await;
    let route = "PUT /api/notification-streams/{id}";
    let change = json!({"value": "https://discord.com/api/webhooks/2/CANARYi"});
    walk.act(route, &stream, change, &["notification_stream.update"]).await;
    let route = "POST /api/notification-streams/{id}/test";
    walk.act(route, &stream, none.clone(), &["notification_stream.test"]).await;
    streams(walk, &stream).await;
    walk.act("DELETE /api/notification-streams/{id}", &stream, none.clone(), &["notification_stream.delete"]).await;
    let tag = walk.make("POST /api/tags", json!({"label": "t"}), "tag.create").await;
    walk.act("PUT /api/tags/{id}", &tag, json!({"label": "u"}), &["tag.update"]).await;
    walk.act("DELETE /api/tags/{id}", &tag, none, &["tag.delete"]).await;
    scripts(walk, &server).await;
    let (server, destination) = (server.as_i64().unwrap(), destination.as_i64().unwrap());
    let mut task = task_body(server, destination);
    task["encryption_password"] = json!("CANARY-passphrase");
    let task = walk.make("POST /api/backup-tasks", task, "backup_task.create").await;
    Definitions { server, destination, task: task.as_i64().unwrap() }
}

async fn scripts(walk: &mut Walk, server: &Value) {
    let none = Value::Null;
    let secret = json!({"name": "db", "value": "CANARY-script one"});
    let secret = walk.make("POST /api/script-secrets", secret, "script_secret.create").await;
    let change = json!({"value": "CANARY-script two"});
    walk.act("PUT /api/script-secrets/{id}", &secret, change, &["script_secret.update"]).await;
    let script = json!({"label": "s", "body": "mysql -pCANARY-in-a-script"});
    let script = walk.make("POST /api/scripts", script, "script.create").await;
    walk.act("PUT /api/scripts/{id}", &script, json!({"body": "echo CANARY-again"}), &["script.update"]).await;
    let test = json!({"remote_server_id": server});
    walk.act("POST /api/scripts/{id}/test", &script, test, &["script.test"]).await;
    walk.act("DELETE /api/scripts/{id}", &script, none.clone(), &["script.delete"]).await;
    walk.act("DELETE /api/script-secrets/{id}", &secret, none, &["script_secret.delete"]).await;
}

async fn streams(walk: &mut Walk, stream: &Value) {
    let hook = json!({"type": "webhook", "value": "https://example.net/CANARYj",
        "additional_value": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"});
    walk.act("PUT /api/notification-streams/{id}", stream, hook, &["notification_stream.update"]).await;
    let route = "POST /api/notification-streams/{id}/rotate-secret";
    let turned = walk.act(route, stream, Value::Null, &["notification_stream.rotate_secret"]).await;
    walk.saw(&turned["data"]["secret"]);
    let mail = json!({"label": "Mail", "type": "email", "value": "stranger@example.net", "events": ["failure"]});
    let asking = walk.make("POST /api/notification-streams", mail, "notification_stream.create").await;
    let route = "POST /api/notification-streams/{id}/confirmation";
    walk.act(route, &asking, Value::Null, &["notification_stream.ask_address"]).await;
    let token = walk.saw(&json!(link(&walk.app, "stream", "stranger@example.net").await));
    walk.act("POST /confirm-stream", &Value::Null, json!({"token": token}), &["notification_stream.confirm"]).await;
    let dead = walk.app.delivery(&walk.ann, stream.as_i64().unwrap(), "dead").await;
    walk.act("POST /api/deliveries/{id}/resend", &json!(dead), Value::Null, &["delivery.resend"]).await;
    let quiet = json!({"quiet_until": (walk.app.now() + chrono::TimeDelta::hours(1)).to_rfc3339()});
    walk.act("PUT /api/notification-settings", &Value::Null, quiet, &["notification_settings.update"]).await;
}

async fn tasks(walk: &mut Walk, made: &Definitions) {
    let (none, task) = (Value::Null, json!(made.task));
    let change =
        json!({"label": "Other", "encryption_password": "CANARY-passphrase two", "maximum_backups_to_keep": 2});
    walk.act("PUT /api/backup-tasks/{id}", &task, change, &["backup_task.update"]).await;
    walk.act("POST /api/backup-tasks/{id}/pause", &task, none.clone(), &["backup_task.pause"]).await;
    walk.act("POST /api/backup-tasks/{id}/resume", &task, none.clone(), &["backup_task.resume"]).await;
    let route = "POST /api/backup-tasks/{id}/duplicate";
    let copy = walk.act(route, &task, none.clone(), &["backup_task.duplicate"]).await;
    walk.act("DELETE /api/backup-tasks/{id}", &copy["data"]["id"], none.clone(), &["backup_task.delete"]).await;
    let run = walk.act("POST /api/backup-tasks/{id}/run", &task, none.clone(), &["backup_task.run"]).await;
    let run = run["data"]["backup_run_id"].clone();
    walk.act("POST /api/backup-runs/{id}/cancel", &run, none.clone(), &["backup_run.cancel"]).await;
    let pool = walk.app.database.owner_pool().await.unwrap();
    walk.act("POST /api/backup-runs/{id}/retry", &run, none.clone(), &["backup_task.run"]).await;
    let end = "UPDATE backup_runs SET status = 'cancelled', completed_at = now()";
    sqlx::query(end).execute(&pool).await.unwrap();
    walk.act("DELETE /api/backup-task-logs/{id}", &run, none.clone(), &["backup_task_log.delete"]).await;
    let route = "POST /api/backup-tasks/{id}/webhook";
    let hook = walk.act(route, &task, none.clone(), &["backup_task.set_webhook"]).await;
    let secret = walk.saw(&hook["data"]["secret"]);
    let (newest, path) = (walk.newest().await, format!("/webhooks/backup-tasks/{task}/run"));
    let started = walk.app.call(&secret, "POST", &path, none.clone()).await;
    assert_eq!(started.status, 202);
    assert_eq!(walk.told(newest).await, [(1, "backup_task.run".to_owned())]);
    walk.done.insert("POST /webhooks/backup-tasks/{id}/run".to_owned());
    let route = "DELETE /api/backup-tasks/{id}/webhook";
    walk.act(route, &task, none, &["backup_task.remove_webhook"]).await;
    sqlx::query(end).execute(&pool).await.unwrap();
}

async fn results(walk: &mut Walk, made: &Definitions) {
    let none = Value::Null;
    let mut backups = Vec::new();
    for _ in 0..4 {
        backups.push(json!(walk.app.backup(&walk.ann, made).await.1));
    }
    walk.act("PATCH /api/backups/{id}", &backups[0], json!({"held": true}), &["backup.update"]).await;
    walk.act("PATCH /api/backups/{id}", &backups[0], json!({"held": false}), &["backup.update"]).await;
    walk.act(READINGS[0], &backups[3], none.clone(), &["backup.download"]).await;
    let other = json!({"label": "f", "type": "local"});
    let other = walk.make("POST /api/backup-destinations", other, "backup_destination.create").await;
    let wanted = json!({"backup_destination_ids": [other]});
    let copies = walk.act("POST /api/backups/{id}/copies", &backups[3], wanted, &["backup.copy"]).await;
    let pool = walk.app.database.owner_pool().await.unwrap();
    let copy: i64 = sqlx::query_scalar("SELECT max(id) FROM backup_copies").fetch_one(&pool).await.unwrap();
    assert!(copies.to_string().contains(&copy.to_string()), "{copies}");
    walk.act("POST /api/backup-copies/{id}/cancel", &json!(copy), none.clone(), &["backup_copy.cancel"]).await;
    let target =
        json!({"target": {"remote_server_id": made.server, "path": "/new"}, "password": "CANARY-passphrase two"});
    let restore = walk.act("POST /api/backups/{id}/restore", &backups[3], target, &["backup.restore"]).await;
    let id = &restore["data"]["id"];
    walk.act("POST /api/restores/{id}/cancel", id, none.clone(), &["restore.cancel"]).await;
    walk.act("PATCH /api/backups/{id}", &backups[0], json!({"recycled": true}), &["backup.update"]).await;
    walk.act("DELETE /api/recycle-bin", &none, none.clone(), &["recycle_bin.empty"]).await;
    walk.act("DELETE /api/backups/{id}", &backups[1], none.clone(), &["backup.delete"]).await;
    let task = json!(made.task);
    walk.act("POST /api/backup-tasks/{id}/prune", &task, json!({"older_than_secs": 1}), &["backup_task.prune"]).await;
    let wanted = json!({"backup_destination_id": other, "recipients": [RECIPIENT]});
    let own = walk.act("POST /api/system/backups", &none, wanted, &["own_backup.create"]).await;
    let own = own["data"]["id"].clone();
    let end = "UPDATE own_backups SET status = 'succeeded', size_bytes = 1, sha256 = 'ab'";
    sqlx::query(end).execute(&pool).await.unwrap();
    walk.act(READINGS[1], &own, none.clone(), &["own_backup.download"]).await;
    walk.act("DELETE /api/system/backups/{id}", &own, none.clone(), &["own_backup.delete"]).await;
    sqlx::query("DELETE FROM own_backups").execute(&pool).await.unwrap();
    walk.act("DELETE /api/backup-tasks/{id}", &task, json!({"delete_files": false}), &["backup_task.delete"]).await;
    let again = walk.app.person("bob@example.com", holdfast_domain::Abilities::All).await;
    operators(walk, &again).await;
}

async fn operators(walk: &mut Walk, bob: &Person) {
    let (none, id) = (Value::Null, json!(bob.user_id.0));
    let round =
        Round { name: "purges", interval_secs: 600.0, worker: "w", took_secs: 0.0, error: None, is_forced: false };
    walk.app.store.note_round(&round).await.unwrap();
    walk.act("POST /api/system/jobs/run", &Value::Null, json!({"name": "purges"}), &["job.run"]).await;
    let route = "POST /api/system/users/{id}/suspend";
    walk.act(route, &id, json!({"reason": "abuse", "note": "x"}), &["user.suspend"]).await;
    walk.act("POST /api/system/users/{id}/unsuspend", &id, json!({}), &["user.unsuspend"]).await;
    let team = json!(bob.team_id.0);
    walk.act("PUT /api/system/teams/{id}/limits", &team, json!({"backup_tasks": 3}), &["team.limits"]).await;
    let dave = json!({"name": "Dave", "email": "dave@example.com", "password": PASSWORD, "is_operator": true});
    walk.make("POST /api/system/users", dave, "user.create").await;
    walk.act("DELETE /api/system/users/{id}", &id, json!({}), &["user.delete"]).await;
    let server = empty_server(walk).await;
    walk.act("DELETE /api/remote-servers/{id}", &server, none.clone(), &["remote_server.delete"]).await;
    let route = "POST /api/backup-destinations";
    let spare = walk.make(route, json!({"label": "g", "type": "local"}), "backup_destination.create").await;
    walk.act("DELETE /api/backup-destinations/{id}", &spare, none, &["backup_destination.delete"]).await;
}

async fn empty_server(walk: &mut Walk) -> Value {
    let server = json!({"label": "x", "ip_address": "10.0.0.9", "username": "root", "port": 22});
    walk.make("POST /api/remote-servers", server, "remote_server.create").await
}

#[tokio::test]
async fn every_act_is_told_once_and_no_row_has_a_secret() {
    let mut walk = begin().await;
    passwords(&mut walk).await;
    second_factor(&mut walk).await;
    let made = definitions(&mut walk).await;
    tasks(&mut walk, &made).await;
    results(&mut walk, &made).await;
    let pool = walk.app.database.owner_pool().await.unwrap();
    let dump: Vec<String> = sqlx::query_scalar("SELECT e::text FROM audit_events e").fetch_all(&pool).await.unwrap();
    for row in &dump {
        assert!(!row.contains("CANARY"), "{row}");
        for secret in &walk.secrets {
            let bare = secret.split_once('|').map_or(secret.as_str(), |(_, bare)| bare);
            assert!(!row.contains(bare), "{bare}: {row}");
        }
    }
    let seen = "SELECT count(*) FROM audit_events WHERE actor IN ('token', 'session') AND ip_address IS NULL
                AND action <> 'backup_task.run'";
    assert_eq!(sqlx::query_scalar::<_, i64>(seen).fetch_one(&pool).await.unwrap(), 0, "from where is told");
    walk.act(READINGS[2], &Value::Null, Value::Null, &["account.export"]).await;
    let body = json!({"confirm": EMAIL, "delete_backups": true});
    walk.act("DELETE /api/account", &Value::Null, body, &["account.delete"]).await;
    let without: BTreeSet<String> = WITHOUT.iter().map(|(route, _)| (*route).to_owned()).collect();
    let acts = rows().into_iter().filter(|row| row.method != "GET").map(|row| format!("{} {}", row.method, row.path));
    let missing: Vec<String> = acts.filter(|route| !walk.done.contains(route) && !without.contains(route)).collect();
    assert!(missing.is_empty(), "say here which row they make, or why none: {missing:?}");
    assert!(walk.app.store.for_team(&holdfast_store::Access::system(TeamId(1), "test")).await.is_ok());
}

#[tokio::test]
async fn wrong_passwords_and_codes_are_told_to_whom_they_were_for() {
    let app = App::start().await;
    let ann = super::people::person(&app, EMAIL).await;
    let mut thief = Browser::at("203.0.113.7");
    for (email, password) in [(EMAIL, "CANARY-guess 1"), ("Ann@Example.com", "CANARY-guess 2"), ("nobody@x.org", "x")] {
        assert_eq!(thief.log_in(&app, email, password).await.status, 422);
    }
    assert_eq!(app.store.record_login_failures(100).await.unwrap(), 3);
    assert_eq!(app.store.record_login_failures(100).await.unwrap(), 0, "each is told once");
    let filter = "/api/audit-events?filter[action]=session.refused";
    let log = app.expect(&ann, ("GET", filter), Value::Null, 200).await;
    assert_eq!(log["meta"]["total"], 1, "{log}");
    let row = &log["data"][0];
    assert_eq!((&row["details"]["tries"], &row["ip_address"]), (&json!(2), &json!("203.0.113.7")));
    assert_eq!(
        (&row["subject"], &row["details"]["wrong"]),
        (&json!(format!("users:{}", ann.user_id)), &json!("password"))
    );
    let mut browser = super::people::logged_in(&app, EMAIL).await;
    super::people::two_factor(&app, &mut browser).await;
    thief.log_in(&app, EMAIL, super::people::PASSWORD).await;
    thief.must(&app, ("POST", "/api/auth/two-factor"), json!({"code": "000000"}), 422).await;
    let log = app.expect(&ann, ("GET", filter), Value::Null, 200).await;
    assert_eq!((&log["data"][0]["details"], &log["meta"]["total"]), (&json!({"wrong": "code"}), &json!(2)));
    assert!(!log.to_string().contains("CANARY"), "{log}");
    let verdict = app.expect(&ann, ("GET", "/api/audit-events/verify"), Value::Null, 200).await;
    assert_eq!(verdict["data"]["ok"], true, "{verdict}");
}
