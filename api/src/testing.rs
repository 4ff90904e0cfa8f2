//! The whole application in process, on a fresh database: what the tests of this crate stand on.

use crate::accounts::AccountSettings;
use crate::links::Origin;
use crate::relay::Relay;
use crate::state::ApiParts;
use crate::testing_live::Served;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use holdfast_domain::Abilities;
use holdfast_domain::ids::{TeamId, UserId};
use holdfast_store::repositories::sessions::NewSession;
use holdfast_store::repositories::team_keys::NewKeyRow;
use holdfast_store::repositories::tokens::NewToken;
use holdfast_store::system::{AccountOutcome, NewAccount};
use holdfast_store::{Access, Store};
use holdfast_testbed::postgres::Database;
use holdfast_vault::ticket::SessionSecret;
use holdfast_vault::token::PlainToken;
use holdfast_vault::{KEY_VERSION, Kek, LoginKey, Opener, Sealer, team_keys};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

/// Where the clock of a test begins.
pub(crate) const START: i64 = 1_723_000_000;

/// What the key file of a test is made from.
const KEK_SEED: u64 = 1;

/// One running application.
pub(crate) struct App {
    pub routers: Served,
    pub store: Store,
    pub opener: Opener,
    pub database: Database,
    rng: Mutex<StdRng>,
    clock: Arc<AtomicI64>,
}

/// A person with a token.
#[derive(Clone)]
pub(crate) struct Person {
    pub user_id: UserId,
    pub team_id: TeamId,
    pub token: String,
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(&self.bytes)))
    }
}

impl App {
    pub async fn start() -> Self {
        Self::with_limits(0, 0).await
    }

    pub async fn with_limits(per_minute: u32, runs_per_minute: u32) -> Self {
        let database = Database::fresh().await.unwrap();
        let store = Store::connect(database.app_options(), 10).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (kek, _) = Kek::load_or_create(&folder.path().join("kek"), &mut StdRng::seed_from_u64(KEK_SEED)).unwrap();
        let opener = Opener::from_kek(&kek);
        store.record_vault_key(KEY_VERSION, opener.public_key()).await.unwrap();
        let clock = Arc::new(AtomicI64::new(START));
        let routers = crate::routers(parts(&store, &clock, per_minute, runs_per_minute)).into();
        Self { routers, store, opener, database, rng: Mutex::new(StdRng::seed_from_u64(3)), clock }
    }

    /// The same installation with other settings, and without limits.
    pub fn with_accounts(self, change: impl FnOnce(AccountSettings) -> AccountSettings) -> Self {
        self.with_parts(|parts| ApiParts { accounts: change(accounts()), ..parts })
    }

    /// The same installation, whose api does not have the log-in key.
    pub fn without_login_key(self) -> Self {
        self.with_parts(|parts| ApiParts { login_key: None, ..parts })
    }

    /// The same installation with other parts, and without limits.
    pub fn with_parts(self, change: impl FnOnce(ApiParts) -> ApiParts) -> Self {
        let parts = parts(&self.store, &self.clock, 0, 0);
        Self { routers: crate::routers(change(parts)).into(), ..self }
    }

    /// Moves the clock.
    pub fn pass(&self, time: TimeDelta) {
        self.clock.fetch_add(time.num_seconds(), Ordering::Relaxed);
    }

    /// A person with a team of their own and a token with these abilities.
    pub async fn person(&self, email: &str, abilities: Abilities) -> Person {
        let sealer = Sealer::from_public_key(self.opener.public_key()).unwrap();
        let new = NewAccount {
            email: email.to_owned(),
            name: "Ann Mary Lee".to_owned(),
            password_hash: "$argon2id$v=19$m=19456,t=2,p=1$none$none".to_owned(),
            timezone: "America/New_York".to_owned(),
            team_uuid: uuid::Uuid::now_v7(),
            is_operator: false,
        };
        let AccountOutcome::Created { tx, user_id } = self.store.create_account(new, None).await.unwrap() else {
            panic!("{email} is taken")
        };
        let team_id = tx.team_id();
        let keys = team_keys::generate(&mut *self.rng.lock().unwrap(), &sealer, team_id);
        let rows = keys.into_iter().map(|key| NewKeyRow {
            purpose: key.purpose.as_str().to_owned(),
            version: key.version,
            public: key.public,
            seal_id: key.seal_id,
            sealed: key.sealed,
        });
        tx.team_keys().insert(rows.collect()).await.unwrap();
        tx.commit().await.unwrap();
        let person = Person { user_id, team_id, token: String::new() };
        Person { token: self.token(&person, abilities).await, ..person }
    }

    /// From now on the person runs the installation.
    pub async fn make_operator(&self, person: &Person) {
        let pool = self.database.owner_pool().await.unwrap();
        let set = "UPDATE users SET is_operator = true WHERE id = $1";
        sqlx::query(set).bind(person.user_id.0).execute(&pool).await.unwrap();
    }

    /// Another token of the same person.
    pub async fn token(&self, person: &Person, abilities: Abilities) -> String {
        let plain = PlainToken::generate(&mut *self.rng.lock().unwrap());
        let tx = self.store.for_team(&Access::system(person.team_id, "test")).await.unwrap();
        let new = NewToken {
            user_id: person.user_id,
            name: "test".to_owned(),
            secret_hash: plain.hash().to_vec(),
            abilities,
            expires_at: None,
        };
        let id = tx.tokens().insert(new).await.unwrap();
        tx.commit().await.unwrap();
        secrecy::ExposeSecret::expose_secret(&plain.to_wire(id)).to_owned()
    }

    /// One request to the listener that serves its path.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let is_of_operator = path == "/metrics" || path.starts_with("/api/system/");
        if path.ends_with("/events") {
            self.routers.run_live();
        }
        let router = if is_of_operator { &self.routers.operator } else { &self.routers.public };
        let answer = Self::ask(router, request).await;
        crate::tests::documented::check(&method, &path, answer.status.as_u16(), &answer.bytes);
        answer
    }

    /// One request to this router, whatever its path.
    pub async fn ask(router: &Router, request: Request<Body>) -> Answer {
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let is_stream = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        let bytes = match is_stream {
            // It may have no end: how it begins is its answer here.
            true => body.into_data_stream().next().await.unwrap().unwrap().to_vec(),
            false => axum::body::to_bytes(body, 10 << 20).await.unwrap().to_vec(),
        };
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    /// A request with a token and, unless null, a JSON body.
    pub async fn call(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        let mut request = Request::builder().method(method.parse::<Method>().unwrap()).uri(path);
        request = request.header(header::ACCEPT, "application/json");
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_null() {
            return self.send(request.body(Body::empty()).unwrap()).await;
        }
        request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A session of the person, begun now: the value of its cookie.
    pub async fn session(&self, person: &Person) -> String {
        let secret = SessionSecret::generate(&mut *self.rng.lock().unwrap());
        let now = self.now();
        let new = NewSession {
            user_id: person.user_id,
            secret_hash: secret.hash().to_vec(),
            is_challenge: false,
            user_agent: "test".to_owned(),
            address: "127.0.0.1".to_owned(),
            now,
            expires_at: now + TimeDelta::days(14),
        };
        let tx = self.store.for_team(&Access::system(person.team_id, "test")).await.unwrap();
        tx.sessions().insert(new).await.unwrap();
        tx.commit().await.unwrap();
        secret.expose().to_owned()
    }

    /// The clock's time.
    pub fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.clock.load(Ordering::Relaxed), 0).unwrap()
    }

    /// A request as a page of ours sends it, with a session's cookie and, unless null, a JSON body.
    pub async fn browse(&self, session: &str, method: &str, path: &str, body: Value) -> Answer {
        let mut request = Request::builder()
            .method(method.parse::<Method>().unwrap())
            .uri(path)
            .header(header::ACCEPT, "application/json")
            .header(header::ORIGIN, "http://example.com");
        if !session.is_empty() {
            request = request.header(header::COOKIE, format!("holdfast_session={session}"));
        }
        if body.is_null() {
            return self.send(request.body(Body::empty()).unwrap()).await;
        }
        request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// As [`App::call`], and the answer must have `status`.
    pub async fn expect(&self, person: &Person, request: (&str, &str), body: Value, status: u16) -> Value {
        let answer = self.call(&person.token, request.0, request.1, body).await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert_eq!(answer.status.as_u16(), status, "{} {}: {text}", request.0, request.1);
        answer.json()
    }

    /// A server, a destination and a task of a person.
    pub async fn definitions(&self, person: &Person) -> Definitions {
        let (server, destination) = self.definitions_once(person).await;
        let task = self.expect(person, ("POST", "/api/backup-tasks"), task_body(server, destination), 201).await;
        let task = task["data"]["id"].as_i64().unwrap();
        Definitions { server, destination, task }
    }

    /// A server and a destination of a person, made at the first call.
    pub async fn definitions_once(&self, person: &Person) -> (i64, i64) {
        let first = async |path: &str| {
            let list = self.expect(person, ("GET", path), Value::Null, 200).await;
            list["data"][0]["id"].as_i64()
        };
        if let (Some(server), Some(destination)) =
            (first("/api/remote-servers").await, first("/api/backup-destinations").await)
        {
            return (server, destination);
        }
        let id = |value: Value| value["data"]["id"].as_i64().unwrap();
        let server = json!({"label": "s", "ip_address": "10.0.0.1", "username": "root", "port": 22});
        let server = id(self.expect(person, ("POST", "/api/remote-servers"), server, 201).await);
        let destination = json!({"label": "d", "type": "local"});
        (server, id(self.expect(person, ("POST", "/api/backup-destinations"), destination, 201).await))
    }

    /// A tag of a person's team.
    pub async fn tag(&self, person: &Person, label: &str) -> i64 {
        let made = self.expect(person, ("POST", "/api/tags"), json!({"label": label}), 201).await;
        made["data"]["id"].as_i64().unwrap()
    }

    /// A script of a person's team.
    pub async fn script(&self, person: &Person, label: &str) -> i64 {
        let body = json!({"label": label, "body": "true", "parameters": [{"name": "ROOT"}]});
        let made = self.expect(person, ("POST", "/api/scripts"), body, 201).await;
        made["data"]["id"].as_i64().unwrap()
    }

    /// A secret of scripts of a person's team.
    pub async fn script_secret(&self, person: &Person, name: &str) -> i64 {
        let body = json!({"name": name, "value": "CANARY-script-secret"});
        let made = self.expect(person, ("POST", "/api/script-secrets"), body, 201).await;
        made["data"]["id"].as_i64().unwrap()
    }

    /// A notification stream of a person's team, with nothing in it that could be opened.
    pub async fn stream(&self, person: &Person) -> i64 {
        let sql = "INSERT INTO notification_streams (team_id, user_id, label, type, seal_id, sealed_value)
                   VALUES ($1, $2, 'n', 'email', gen_random_uuid(), 'sealed') RETURNING id";
        let pool = self.database.owner_pool().await.unwrap();
        let made = sqlx::query_scalar(sql).bind(person.team_id.0).bind(person.user_id.0);
        made.fetch_one(&pool).await.unwrap()
    }

    /// A message of a person's team in that state.
    pub async fn delivery(&self, person: &Person, stream: i64, state: &str) -> i64 {
        let sql = "INSERT INTO deliveries (team_id, notification_stream_id, event, message_id, message, state)
                   VALUES ($1, $2, 'failure', gen_random_uuid()::text, $3, $4) RETURNING id";
        let message = json!({"id": "x", "occurred_at": "2024-08-07T01:00:00Z", "title": "Nightly failed", "event": "failure",
                             "team": "t", "task": "Nightly", "reason": "The disk is full.", "timezone": "UTC"});
        let made = sqlx::query_scalar(sql).bind(person.team_id.0).bind(stream).bind(message).bind(state);
        made.fetch_one(&self.database.owner_pool().await.unwrap()).await.unwrap()
    }

    /// A finished run with its backup, written as a worker would, by the owner of the database.
    pub async fn backup(&self, person: &Person, made: &Definitions) -> (i64, i64) {
        let run =
            self.expect(person, ("POST", &format!("/api/backup-tasks/{}/run", made.task)), Value::Null, 202).await;
        let run = run["data"]["backup_run_id"].as_i64().unwrap();
        let pool = self.database.owner_pool().await.unwrap();
        let backup: i64 =
            sqlx::query_scalar(BACKUP_SQL).bind(run).bind(made.destination).fetch_one(&pool).await.unwrap();
        (run, backup)
    }
}

fn parts(store: &Store, clock: &Arc<AtomicI64>, per_minute: u32, runs_per_minute: u32) -> ApiParts {
    let hands = clock.clone();
    ApiParts {
        store: store.clone(),
        relay: Relay::new().unwrap(),
        origin: Origin { public_url: Some("http://example.com".into()), allowed_hosts: Vec::new() },
        operator_origin: Origin { public_url: Some("http://example.com".into()), allowed_hosts: Vec::new() },
        metrics_token: None,
        metrics_tasks: 10,
        needed_migration: None,
        rate_limit_per_min: per_minute,
        session_rate_limit_per_min: per_minute.saturating_mul(10),
        run_rate_limit_per_min: runs_per_minute,
        webhook_secret_in_query: false,
        login_rate_limit_per_min: 5,
        login_key: Some(LoginKey::from_kek(&Kek::generate(&mut StdRng::seed_from_u64(KEK_SEED)))),
        accounts: accounts(),
        team_limits: holdfast_domain::TeamLimits::default(),
        stream_rules: crate::stream_rules::StreamRules::default(),
        trusted_proxies: Vec::new(),
        absence_grace: std::time::Duration::from_secs(3_600),
        min_interval: std::time::Duration::from_secs(300),
        max_body_bytes: 1 << 20,
        request_timeout: std::time::Duration::from_secs(60),
        event_streams: crate::live::StreamLimits { all: 100, per_team: 50, per_user: 20 },
        clock: Arc::new(move || DateTime::<Utc>::from_timestamp(hands.load(Ordering::Relaxed), 0).unwrap()),
        rng: StdRng::seed_from_u64(7),
    }
}

fn accounts() -> AccountSettings {
    let config = holdfast_config::Config::load(None, std::iter::empty()).unwrap();
    AccountSettings { registration: true, has_mail: true, ..AccountSettings::of(&config) }
}

const BACKUP_SQL: &str = "
WITH run AS (
    UPDATE backup_runs SET status = 'succeeded', started_at = created_at, completed_at = created_at + interval '2 s',
        progress = '{\"original_size\": 100, \"nfiles\": 3, \"stored_size\": 40, \"compressed_size\": 39}'
    WHERE id = $1 RETURNING *
), line AS (
    INSERT INTO backup_run_lines (team_id, backup_run_id, line_number, content)
    SELECT team_id, id, n, 'line ' || n FROM run, generate_series(1, 3) n
), task AS (
    UPDATE backup_tasks SET last_run_at = run.created_at FROM run WHERE backup_tasks.id = run.backup_task_id
    RETURNING backup_tasks.*
), backup AS (
    INSERT INTO backups (team_id, backup_task_id, backup_run_id, remote_server_id, task_label, encryption_mode,
                         has_warnings, original_size, stored_size, nfiles, manifest)
    SELECT task.team_id, task.id, run.id, task.remote_server_id, task.label, task.encryption_mode, false, 100, 40, 3, '{}'
    FROM task, run RETURNING *
), stream AS (
    INSERT INTO backup_streams (team_id, backup_id, position, name, format, original_size, original_sha256, stored_size,
                                stored_sha256, nfiles)
    SELECT team_id, id, 0, 'tree', 'tar', 100, 'aa', 40, 'bb', 3 FROM backup
), copy AS (
    INSERT INTO backup_copies (team_id, backup_id, backup_destination_id, state, verified_level, verified_at)
    SELECT team_id, id, $2, 'committed', 1, now() FROM backup
)
SELECT id FROM backup";

/// Ids of one team's definitions.
pub(crate) struct Definitions {
    pub server: i64,
    pub destination: i64,
    pub task: i64,
}

/// The body of page 003's example.
pub(crate) fn task_body(server: i64, destination: i64) -> Value {
    json!({
        "remote_server_id": server, "backup_destination_id": destination, "label": "Weekly Full Backup",
        "description": "Full backup of all files", "source_path": "/home", "frequency": "weekly",
        "maximum_backups_to_keep": 4, "type": "files", "time_to_run_at": "02:00", "store_path": "/backups/weekly"
    })
}
