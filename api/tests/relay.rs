//! The api's way to a worker, against servers that stand for workers' data planes and a real database.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use holdfast_api::relay::{Relay, RelayError};
use holdfast_domain::ids::{BackupId, RemoteServerId, TeamId};
use holdfast_domain::ticket::{DATA_PLANE_PATH, TICKET_HEADER, TicketAction};
use holdfast_store::{Access, Store};
use holdfast_testbed::postgres::Database;
use holdfast_vault::ticket::TicketSecret;
use sqlx::PgPool;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const ACTION: TicketAction = TicketAction::CheckRemoteServer { id: RemoteServerId(7) };

struct Api {
    owner: PgPool,
    store: Store,
    access: Access,
    relay: Relay,
}

impl Api {
    async fn new() -> Self {
        let database = Database::fresh().await.unwrap();
        let owner = database.owner_pool().await.unwrap();
        let store = Store::connect(database.app_options(), 4).await.unwrap();
        let team: i64 =
            sqlx::query_scalar("SELECT team_id FROM create_account('a@example.org', 'A', 'x', 'UTC', $1, false)")
                .bind(uuid::Uuid::new_v4())
                .fetch_one(&owner)
                .await
                .unwrap();
        let access = Access::system(TeamId(team), "a test");
        Self { owner, store, access, relay: Relay::new().unwrap() }
    }

    async fn worker(&self, name: &str, url: &str, (running, stores, seen_secs_ago): (i32, &[&str], f64)) {
        sqlx::query(
            "INSERT INTO workers (name, version, data_plane_url, store_ids, running, capacity, seen_at)
             VALUES ($1, '0', $2, $3, $4, 8, now() - make_interval(secs => $5))",
        )
        .bind(name)
        .bind(url)
        .bind(stores)
        .bind(running)
        .bind(seen_secs_ago)
        .execute(&self.owner)
        .await
        .unwrap();
    }

    async fn open(&self) -> Result<reqwest::Response, RelayError> {
        self.relay.open(&self.store, &self.access, ACTION).await
    }
}

/// A worker that notes what it is asked and gives one answer.
struct Plane {
    url: String,
    asked: Arc<Mutex<Vec<HeaderMap>>>,
    serving: JoinHandle<()>,
}

type Answer = fn() -> Response;

impl Plane {
    async fn new(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
        let route = post(async move |State(asked): State<Arc<Mutex<Vec<HeaderMap>>>>, headers: HeaderMap| {
            asked.lock().unwrap().push(headers);
            answer()
        });
        let app = Router::new().route(DATA_PLANE_PATH, route).with_state(Arc::clone(&asked));
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, asked, serving }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn fine() -> Response {
    "fine".into_response()
}

async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn without_a_living_worker_there_is_none() {
    let api = Api::new().await;
    assert!(matches!(api.open().await, Err(RelayError::NoWorker)));
    let plane = Plane::new(fine).await;
    api.worker("silent for ten minutes", &plane.url, (0, &[], 600.0)).await;
    assert!(matches!(api.open().await, Err(RelayError::NoWorker)));
    assert_eq!(plane.asked(), 0);
}

#[tokio::test]
async fn an_unreachable_worker_is_passed_over_and_each_try_has_a_ticket_of_its_own() {
    let api = Api::new().await;
    let plane = Plane::new(fine).await;
    api.worker("dead", &closed_port().await, (0, &[], 0.0)).await;
    api.worker("busy", &plane.url, (5, &[], 0.0)).await;
    assert_eq!(api.open().await.unwrap().text().await.unwrap(), "fine");
    let issued: i64 = sqlx::query_scalar("SELECT count(*) FROM tickets").fetch_one(&api.owner).await.unwrap();
    assert_eq!(issued, 2);
    let secret = plane.asked.lock().unwrap()[0][TICKET_HEADER].to_str().unwrap().to_owned();
    let used = api.store.use_ticket(&TicketSecret::parse(&secret).unwrap().hash()).await.unwrap().unwrap();
    assert_eq!((used.team_id, used.action), (api.access.team_id(), ACTION));
    let stored: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT secret_hash FROM tickets").fetch_all(&api.owner).await.unwrap();
    assert!(!stored.iter().any(|hash| secret.as_bytes() == hash), "a secret was stored");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let api = Api::new().await;
    let plane =
        Plane::new(|| (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "http://127.0.0.1:1/")]).into_response())
            .await;
    api.worker("w", &plane.url, (0, &[], 0.0)).await;
    assert!(matches!(api.open().await, Err(RelayError::NoWorker)));
    assert_eq!(plane.asked(), 1);
}

#[tokio::test]
async fn a_refusal_comes_with_the_workers_words() {
    let api = Api::new().await;
    let refusal: Answer =
        || (StatusCode::CONFLICT, r#"{"code":"recipients_only","message":"Only you can read it."}"#).into_response();
    let plane = Plane::new(refusal).await;
    api.worker("w", &plane.url, (0, &[], 0.0)).await;
    let Err(RelayError::Answered { status, code, message }) = api.open().await else { panic!("no refusal") };
    assert_eq!(
        (status, code.as_str(), message.as_str()),
        (StatusCode::CONFLICT, "recipients_only", "Only you can read it.")
    );
}

#[tokio::test]
async fn a_ticket_that_was_not_taken_is_not_the_clients_fault() {
    let api = Api::new().await;
    let plane = Plane::new(|| StatusCode::UNAUTHORIZED.into_response()).await;
    api.worker("w", &plane.url, (0, &[], 0.0)).await;
    assert!(matches!(api.open().await, Err(RelayError::NoWorker)));
}

#[tokio::test]
async fn of_the_clients_headers_only_those_of_ranges_pass() {
    let api = Api::new().await;
    let plane = Plane::new(fine).await;
    api.worker("w", &plane.url, (0, &[], 0.0)).await;
    let mut headers = HeaderMap::new();
    headers.insert(header::RANGE, "bytes=0-1".parse().unwrap());
    headers.insert(header::AUTHORIZATION, "Bearer secret".parse().unwrap());
    headers.insert(header::COOKIE, "a=b".parse().unwrap());
    api.relay.open_part(&api.store, &api.access, ACTION, &headers).await.unwrap();
    let seen = plane.asked.lock().unwrap()[0].clone();
    assert_eq!(seen[header::RANGE], "bytes=0-1");
    assert!(!seen.contains_key(header::AUTHORIZATION) && !seen.contains_key(header::COOKIE));
}

#[tokio::test]
async fn the_worker_that_holds_the_store_is_asked_first() {
    let api = Api::new().await;
    let (other, holder) = (Plane::new(fine).await, Plane::new(fine).await);
    api.worker("other", &other.url, (0, &["another"], 0.0)).await;
    api.worker("holder", &holder.url, (7, &["wanted"], 0.0)).await;
    sqlx::raw_sql(
        "WITH d AS (
            INSERT INTO backup_destinations (team_id, user_id, label, type, seal_id, store_id)
            SELECT team_id, user_id, 'd', 'local', gen_random_uuid(), 'wanted' FROM members RETURNING *),
         s AS (
            INSERT INTO remote_servers (team_id, user_id, label, host, port, username, seal_id)
            SELECT team_id, user_id, 's', 'h', 22, 'u', gen_random_uuid() FROM members RETURNING *),
         t AS (
            INSERT INTO backup_tasks (team_id, user_id, remote_server_id, label, type, source, frequency, max_backups, seal_id)
            SELECT team_id, user_id, id, 't', 'files', '{}', 'manual', 0, gen_random_uuid() FROM s RETURNING *),
         r AS (
            INSERT INTO backup_runs (team_id, backup_task_id, ulid, trigger)
            SELECT team_id, id, 'x', 'manual' FROM t RETURNING *),
         b AS (
            INSERT INTO backups (team_id, backup_task_id, backup_run_id, remote_server_id, task_label, encryption_mode,
                                 has_warnings, original_size, stored_size, nfiles, manifest)
            SELECT r.team_id, t.id, r.id, s.id, 't', 'managed', false, 0, 0, 0, '{}' FROM r, t, s RETURNING *)
         INSERT INTO backup_copies (team_id, backup_id, backup_destination_id, state)
         SELECT b.team_id, b.id, d.id, 'committed' FROM b, d",
    )
    .execute(&api.owner)
    .await
    .unwrap();
    let id: i64 = sqlx::query_scalar("SELECT id FROM backups").fetch_one(&api.owner).await.unwrap();
    let action = TicketAction::ListFiles { id: BackupId(id), stream: None, path: None, offset: 0, limit: 1 };
    api.relay.open(&api.store, &api.access, action).await.unwrap();
    assert_eq!((holder.asked(), other.asked()), (1, 0));
}
