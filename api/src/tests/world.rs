//! Two teams, each with one of everything, for the tests that sweep over every route. A new route, or a new field of a
//! body that names a thing, fails those tests until it is said here what belongs to it.

use crate::routes::{Row, rows};
use crate::testing::{Answer, App, Person, task_body};
use axum::body::Body;
use axum::http::{Request, header};
use holdfast_domain::Abilities;
use serde_json::{Value, json};

/// An id that nothing has.
pub(super) const ABSENT: i64 = 4_000_000_000;

/// A person, and one of everything that a team can have.
pub(super) struct Team {
    pub person: Person,
    /// Not `person`'s own: the one that a route may end.
    session_id: i64,
    token_id: i64,
    server: i64,
    jump_host: i64,
    destination: i64,
    task: i64,
    run: i64,
    backup: i64,
    copy: i64,
    restore: i64,
    own_backup: i64,
    tag: i64,
    stream: i64,
    script: i64,
    script_secret: i64,
    delivery: i64,
}

/// Ann's team, and Bob's.
pub(super) struct World {
    pub app: App,
    pub ann: Team,
    pub bob: Team,
}

const OWN_BACKUP: &str = "INSERT INTO own_backups (team_id, backup_destination_id, recipients, object_name)
                          VALUES ($1, $2, '{}', 'x') RETURNING id";

impl World {
    pub async fn new() -> Self {
        let app = App::start().await;
        let ann = Team::new(&app, "ann@example.com").await;
        let bob = Team::new(&app, "bob@example.com").await;
        Self { app, ann, bob }
    }

    /// Every row of the database that is Ann's, whatever table it stands in.
    pub async fn anns_rows(&self) -> Vec<String> {
        let pool = self.app.database.owner_pool().await.unwrap();
        let tables = "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.columns
                      JOIN information_schema.tables USING (table_schema, table_name)
                      WHERE column_name = 'team_id' AND table_type = 'BASE TABLE' ORDER BY 1";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&pool).await.unwrap();
        assert!(tables.len() > 20, "{tables:?}");
        let mut all = Vec::new();
        for table in tables {
            let rows = format!("SELECT '{table} ' || t::text FROM {table} t WHERE team_id = $1 ORDER BY 1");
            let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(rows)).bind(self.ann.person.team_id.0);
            all.extend(rows.fetch_all(&pool).await.unwrap());
        }
        all
    }
}

impl Team {
    /// Its person also runs the installation: what is another team's is not theirs for that.
    async fn new(app: &App, email: &str) -> Self {
        let person = app.person(email, Abilities::All).await;
        app.make_operator(&person).await;
        let made = app.definitions(&person).await;
        let (run, backup) = app.backup(&person, &made).await;
        let shown = app.expect(&person, ("GET", &format!("/api/backups/{backup}")), Value::Null, 200).await;
        let target = json!({"target": {"remote_server_id": made.server, "path": "/new"}});
        let restore = app.expect(&person, ("POST", &format!("/api/backups/{backup}/restore")), target, 202).await;
        let pool = app.database.owner_pool().await.unwrap();
        let own_backup = sqlx::query_scalar(OWN_BACKUP).bind(person.team_id.0).bind(made.destination);
        let own_backup = own_backup.fetch_one(&pool).await.unwrap();
        app.session(&person).await;
        let session_id = sqlx::query_scalar("SELECT max(id) FROM sessions").fetch_one(&pool).await.unwrap();
        let other = app.token(&person, Abilities::All).await;
        let webhook = format!("/api/backup-tasks/{}/webhook", made.task);
        app.expect(&person, ("POST", &webhook), Value::Null, 201).await;
        let stream = app.stream(&person).await;
        let jump_host = json!({"label": "bastion", "ip_address": "10.0.0.9", "username": "root", "port": 22});
        let jump_host = app.expect(&person, ("POST", "/api/remote-servers"), jump_host, 201).await;
        Self {
            session_id,
            token_id: other.split_once('|').unwrap().0.parse().unwrap(),
            server: made.server,
            jump_host: jump_host["data"]["id"].as_i64().unwrap(),
            destination: made.destination,
            task: made.task,
            run,
            backup,
            copy: shown["data"]["copies"][0]["id"].as_i64().unwrap(),
            restore: restore["data"]["id"].as_i64().unwrap(),
            own_backup,
            tag: app.tag(&person, "t").await,
            script: app.script(&person, "s").await,
            script_secret: app.script_secret(&person, "shop-db").await,
            stream,
            delivery: app.delivery(&person, stream, "dead").await,
            person,
        }
    }

    /// One backup more in the recycle bin.
    pub async fn bin_a_backup(&self, app: &App) {
        let made = app.definitions(&self.person).await;
        let (_, backup) = app.backup(&self.person, &made).await;
        let bin = json!({"recycled": true, "confirm": "Weekly Full Backup"});
        app.expect(&self.person, ("PATCH", &format!("/api/backups/{backup}")), bin, 200).await;
    }

    /// One row more for every list.
    pub async fn one_more_of_each(&self, app: &App, round: u32) {
        let person = &self.person;
        let server = json!({"label": "more", "ip_address": format!("10.0.1.{round}"), "username": "root", "port": 22});
        app.expect(person, ("POST", "/api/remote-servers"), server, 201).await;
        let destination = json!({"label": format!("more {round}"), "type": "local"});
        app.expect(person, ("POST", "/api/backup-destinations"), destination, 201).await;
        let made = app.definitions(person).await;
        let (_, backup) = app.backup(person, &made).await;
        let target = json!({"target": {"remote_server_id": made.server, "path": "/new"}});
        app.expect(person, ("POST", &format!("/api/backups/{backup}/restore")), target, 202).await;
        self.bin_a_backup(app).await;
        let pool = app.database.owner_pool().await.unwrap();
        let own_backup = sqlx::query(OWN_BACKUP).bind(person.team_id.0).bind(made.destination);
        own_backup.execute(&pool).await.unwrap();
        app.tag(person, &format!("more {round}")).await;
        app.script(person, &format!("more {round}")).await;
        app.script_secret(person, &format!("more-{round}")).await;
        let stream = app.stream(person).await;
        app.delivery(person, stream, "dead").await;
        app.session(person).await;
        app.token(person, Abilities::All).await;
        app.person(&format!("more{round}@example.com"), Abilities::All).await;
    }

    /// What stands for the `{id}` of a route.
    pub fn id(&self, path: &str) -> i64 {
        let mut parts = path.split('/').skip(2);
        match (parts.next().unwrap(), parts.next().unwrap_or_default()) {
            ("remote-servers", _) => self.server,
            ("backup-destinations", _) => self.destination,
            ("backup-tasks", _) => self.task,
            ("backup-runs" | "backup-task-logs", _) => self.run,
            ("tags", _) => self.tag,
            ("scripts", _) => self.script,
            ("script-secrets", _) => self.script_secret,
            ("notification-streams", _) => self.stream,
            ("deliveries", _) => self.delivery,
            ("backups", _) => self.backup,
            ("backup-copies", _) => self.copy,
            ("restores", _) => self.restore,
            ("tokens", _) => self.token_id,
            ("auth", "sessions") => self.session_id,
            ("system", "backups") => self.own_backup,
            ("system", "users") => self.person.user_id.0,
            ("system", "teams") => self.person.team_id.0,
            (other, _) => panic!("{path}: say here which id belongs to {other}"),
        }
    }

    /// The thing that a field of a body names; none where the field names nothing of a team.
    pub fn named(&self, field: &str) -> Option<i64> {
        match field {
            "remote_server_id" => Some(self.server),
            // Another one than the server of the route: none is its own.
            "jump" => Some(self.jump_host),
            "backup_destination_id" | "backup_destination_ids" => Some(self.destination),
            "tags" => Some(self.tag),
            "script_id" => Some(self.script),
            "notification_streams" | "notification_stream_id" => Some(self.stream),
            "copy_id" => Some(self.copy),
            other if other.ends_with("_id") || other.ends_with("_ids") => panic!("say here what {other} names"),
            _ => None,
        }
    }

    /// A body with which the route does what it is there for, with this team's things.
    pub fn body(&self, row: &Row) -> Value {
        let destination = self.destination;
        match (row.method.as_str(), row.path.as_str()) {
            ("POST" | "PUT", "/api/backup-tasks" | "/api/backup-tasks/{id}") => task_body(self.server, destination),
            ("POST", "/api/backup-tasks/schedule-preview") => json!({"frequency": "daily", "time_to_run_at": "02:00"}),
            ("DELETE", "/api/backup-tasks/{id}") => json!({"delete_files": false}),
            ("POST", "/api/backup-tasks/{id}/duplicate") => json!({"label": "again"}),
            ("POST", "/api/backup-tasks/{id}/prune") => json!({"dry_run": true}),
            ("POST", "/api/backup-tasks/{id}/run") => json!({"backup_destination_ids": [destination]}),
            ("POST", "/api/remote-servers") => {
                json!({"label": "t", "ip_address": "10.0.0.2", "username": "root", "port": 22})
            }
            ("POST", "/api/remote-servers/{id}/host-key/accept") => json!({"fingerprint": "SHA256:x"}),
            ("POST", "/api/backup-destinations") => json!({"label": "t", "type": "local"}),
            ("POST", "/api/notification-streams") => json!({"label": "t", "type": "email", "value": "a@example.com",
                                                            "notifications": {"on_failure": true}}),
            ("PUT", "/api/notification-settings") => json!({"quiet_until": null}),
            ("POST", "/api/tags") => json!({"label": "t"}),
            ("POST", "/api/scripts") => json!({"label": "t", "body": "true"}),
            ("PUT", "/api/scripts/{id}") => json!({"label": "mine now"}),
            ("POST", "/api/scripts/{id}/test") => json!({"remote_server_id": self.server}),
            ("POST", "/api/script-secrets") => json!({"name": "another", "value": "v"}),
            ("PUT", "/api/script-secrets/{id}") => json!({"description": "mine now"}),
            ("PUT", "/api/remote-servers/{id}" | "/api/backup-destinations/{id}") => json!({"label": "mine now"}),
            ("PUT", "/api/notification-streams/{id}" | "/api/tags/{id}") => json!({"label": "mine now"}),
            ("PATCH", "/api/backups/{id}") => json!({"held": true}),
            ("DELETE", "/api/backups/{id}") => json!({"confirm": "Weekly Full Backup"}),
            ("POST", "/api/backups/{id}/copies") => json!({"backup_destination_ids": [destination]}),
            ("POST", "/api/backups/{id}/restore") => {
                json!({"target": {"remote_server_id": self.server, "path": "/new"}})
            }
            ("POST", "/api/system/backups") => {
                let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
                json!({"backup_destination_id": destination, "recipients": [recipient]})
            }
            ("POST", "/api/system/users") => {
                json!({"name": "C", "email": "c@example.com", "password": "long enough 1"})
            }
            ("POST", "/api/system/jobs/run") => json!({"name": "purges"}),
            ("POST", "/api/system/users/{id}/suspend") => json!({"reason": "abuse"}),
            ("POST" | "DELETE", "/api/system/users/{id}/unsuspend" | "/api/system/users/{id}") => json!({}),
            ("PUT", "/api/system/teams/{id}/limits") => json!({"tokens": 100}),
            ("PATCH", "/api/user") => json!({"name": "Ann"}),
            (_, path) if is_about_oneself(path) => json!({}),
            _ => {
                assert!(!has_body(row), "{} {}: say here what a good body is", row.method, row.path);
                Value::Null
            }
        }
    }
}

/// Logging in, and one's own account: their bodies name no thing of a team, and their own tests send good ones.
fn is_about_oneself(path: &str) -> bool {
    let ours =
        ["/api/auth/", "/api/user/", "/api/account", "/api/tokens", "/api/sanctum/", "/setup", "/confirm-stream"];
    ours.iter().any(|start| path.starts_with(start))
}

/// Whether another team's admin who also runs the installation may have this: people and teams are theirs to see.
pub(super) fn is_everybodys(path: &str) -> bool {
    path.starts_with("/api/system/users") || path.starts_with("/api/system/teams")
}

/// The rows of the table with an id in their path.
pub(super) fn rows_with_id() -> impl Iterator<Item = Row> {
    rows().into_iter().filter(|row| row.path.contains("{id}"))
}

/// `row`'s path with an id in it.
pub(super) fn at(row: &Row, id: impl ToString) -> String {
    assert_eq!(
        row.path.matches('{').count(),
        row.path.matches("{id}").count(),
        "{}: another kind of parameter",
        row.path
    );
    row.path.replace("{id}", &id.to_string())
}

/// How a row is called in a failure.
pub(super) fn name(row: &Row) -> String {
    format!("{} {}", row.method, row.path)
}

/// What a caller shows.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    Nothing,
    Bearer(String),
    Cookie(String),
}

impl App {
    /// A request as whoever shows this would send it, from the `n`th address.
    pub(super) async fn as_who(&self, shown: &Shown, from: u32, request: (&str, &str), body: &Value) -> Answer {
        let mut request = Request::builder()
            .method(request.0)
            .uri(request.1)
            .header(header::ORIGIN, "http://example.com")
            .extension(crate::extract::client_address::Peer(std::net::Ipv4Addr::from(0x0a00_0000 + from).into()));
        match shown {
            Shown::Nothing => {}
            Shown::Bearer(token) => request = request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            Shown::Cookie(secret) => request = request.header(header::COOKIE, format!("holdfast_session={secret}")),
        }
        if body.is_null() {
            return self.send(request.body(Body::empty()).unwrap()).await;
        }
        request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }
}

/// The document's operation of a row.
pub(super) fn operation(document: &Value, row: &Row) -> Value {
    document["paths"][&row.path][row.method.to_lowercase()].clone()
}

fn has_body(row: &Row) -> bool {
    let document = serde_json::to_value(crate::openapi()).unwrap();
    operation(&document, row)["requestBody"].is_object()
}

/// What a schema of the document is, behind its references and beside `null`.
pub(super) fn resolved<'a>(document: &'a Value, mut schema: &'a Value) -> &'a Value {
    loop {
        let either = schema["oneOf"].as_array().or(schema["anyOf"].as_array()).or(schema["allOf"].as_array());
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/components/schemas/")) {
            schema = &document["components"]["schemas"][name];
        } else if let Some(one) = either.and_then(|all| all.iter().find(|one| one["type"] != "null")) {
            schema = one;
        } else {
            return schema;
        }
    }
}

/// Every field of a row's body, as the path of keys to it and what it is; inner ones too.
pub(super) fn fields_of(document: &Value, row: &Row) -> Vec<(Vec<String>, Value)> {
    let operation = operation(document, row);
    let mut found = Vec::new();
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        walk(document, &content.values().next().unwrap()["schema"], &[], &mut found);
    }
    found
}

fn walk(document: &Value, schema: &Value, above: &[String], found: &mut Vec<(Vec<String>, Value)>) {
    let schema = resolved(document, schema);
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = [above, std::slice::from_ref(key)].concat();
        found.push((path.clone(), resolved(document, inner).clone()));
        walk(document, inner, &path, found);
    }
}
