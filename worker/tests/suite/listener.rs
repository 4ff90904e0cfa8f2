//! A receiver on loopback, and streams that lead to it.

use crate::harness::World;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use holdfast_domain::ids::TeamId;
use holdfast_vault::{Opener, SealContext, SealedColumn, Sealer};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// What its webhooks are signed with.
pub const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// What came.
#[derive(Clone, Debug)]
pub struct Got {
    /// `webhook-id`
    pub id: String,
    pub body: Value,
}

/// What it does with a message.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// Answers with this status.
    Status(u16),
    /// Never answers.
    Hang,
    /// Closes the connection without an answer.
    HangUp,
}

/// Takes webhooks; answers what it was told to, then 200.
pub struct Listener {
    pub url: String,
    got: Arc<Mutex<Vec<Got>>>,
    manners: Arc<Mutex<VecDeque<Manner>>>,
}

impl Listener {
    pub async fn start() -> Self {
        let (got, manners) = (Arc::<Mutex<Vec<Got>>>::default(), Arc::<Mutex<VecDeque<Manner>>>::default());
        let (noted, scripted) = (Arc::clone(&got), Arc::clone(&manners));
        let take = move |headers: HeaderMap, body: Bytes| async move {
            let id = headers["webhook-id"].to_str().unwrap().to_owned();
            noted.lock().unwrap().push(Got { id, body: serde_json::from_slice(&body).unwrap() });
            let manner = scripted.lock().unwrap().pop_front().unwrap_or(Manner::Status(200));
            match manner {
                Manner::Status(status) => answer(status),
                Manner::Hang => std::future::pending().await,
                // It ends the connection's task, and with it the connection.
                Manner::HangUp => std::panic::resume_unwind(Box::new("hang up")),
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(take)).await });
        Self { url, got, manners }
    }

    /// The next answers.
    pub fn answer(&self, statuses: &[u16]) {
        self.behave(statuses.iter().map(|status| Manner::Status(*status)));
    }

    /// What it does next.
    pub fn behave(&self, manners: impl IntoIterator<Item = Manner>) {
        self.manners.lock().unwrap().extend(manners);
    }

    /// From now on everything is taken.
    pub fn forgive(&self) {
        self.manners.lock().unwrap().clear();
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Waits for so many.
    pub async fn until(&self, world: &World, count: usize) {
        world.eventually(&format!("{count} messages arrive"), async || self.got().len() >= count).await;
    }
}

fn answer(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    let mut response = status.into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert("retry-after", "3000".parse().unwrap());
    }
    response
}

/// A webhook stream to `listener`, attached to `task` or told of everything of the team.
pub async fn add_stream(world: &World, listener: &Listener, events: &[&str], task: Option<i64>) -> i64 {
    add_hook(world, &listener.url, events, task).await
}

/// The same to any address.
pub async fn add_hook(world: &World, url: &str, events: &[&str], task: Option<i64>) -> i64 {
    let seal_id = Uuid::new_v4();
    let sealer = Sealer::from_public_key(Opener::from_kek(world.kek()).public_key()).unwrap();
    let seal = |column, text: &str| {
        let place = SealContext::new(TeamId(world.team_id), column, seal_id);
        sealer.seal(&place, text.as_bytes(), &mut StdRng::from_os_rng())
    };
    let events: Vec<String> = events.iter().map(|event| (*event).to_owned()).collect();
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO notification_streams (team_id, user_id, label, type, events, is_team_wide, config, seal_id,
                                           sealed_value, sealed_second_value)
         VALUES ($1, $2, 'hook', 'webhook', $3, $4, '{}', $5, $6, $7) RETURNING id",
    )
    .bind(world.team_id)
    .bind(world.user_id)
    .bind(events)
    .bind(task.is_none())
    .bind(seal_id)
    .bind(seal(SealedColumn::StreamValue, url))
    .bind(seal(SealedColumn::StreamSecondValue, SECRET))
    .fetch_one(&world.pool)
    .await
    .unwrap();
    if let Some(task) = task {
        sqlx::query(
            "INSERT INTO backup_task_notification_streams (team_id, backup_task_id, notification_stream_id)
             VALUES ($1, $2, $3)",
        )
        .bind(world.team_id)
        .bind(task)
        .bind(id)
        .execute(&world.pool)
        .await
        .unwrap();
    }
    id
}
