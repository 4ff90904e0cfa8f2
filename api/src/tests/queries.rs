//! A list costs as many statements for a page of many rows as for a page of one: whoever has much must not wait for it.

use super::world::{Shown, World};
use crate::extract::Need;
use crate::routes::rows;
use holdfast_store::fleet::Round;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::span;

/// What a list may cost at most: who asks, the transaction's team, the page, and what stands in other tables.
const MOST: u64 = 6;

/// Counts what sqlx says it sent to the database.
#[derive(Clone, Default)]
struct Statements(Arc<AtomicU64>);

/// The beginning of a statement.
struct Summary(String);

impl tracing::field::Visit for Summary {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "summary" {
            self.0 = format!("{value:?}").trim_matches('"').to_owned();
        }
    }
}

impl tracing::Subscriber for Statements {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut summary = Summary(String::new());
        event.record(&mut summary);
        // What a new connection begins with is no part of a request.
        if !summary.0.starts_with("SET ROLE") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Length of the answer's `data` and the statements it took, of every list.
async fn costs(world: &World, statements: &Statements) -> Vec<(String, usize, u64)> {
    let token = Shown::Bearer(world.ann.person.token.clone());
    let session = Shown::Cookie(world.app.session(&world.ann.person).await);
    let mut found = Vec::new();
    for row in rows().into_iter().filter(|row| row.method == "GET" && !row.path.contains('{')) {
        let who = if row.need == Need::Session { &session } else { &token };
        let path = format!("{}?per_page=100", row.path);
        statements.0.store(0, Ordering::Relaxed);
        let answer = world.app.as_who(who, 1, ("GET", &path), &Value::Null).await;
        let count = statements.0.load(Ordering::Relaxed);
        let Ok(body) = serde_json::from_slice::<Value>(&answer.bytes) else { continue };
        if let Some(data) = body["data"].as_array() {
            found.push((row.path, data.len(), count));
        }
    }
    found
}

/// One worker more, which died, and one job more.
async fn one_more_of_the_fleet(world: &World, name: &'static str) {
    let sql = "INSERT INTO workers (name, version, data_plane_url, store_ids, capacity, seen_at)
               VALUES ($1, '1', 'http://127.0.0.1:9', '{}', 1, now() - interval '10 minutes')";
    let pool = world.app.database.owner_pool().await.unwrap();
    sqlx::query(sql).bind(name).execute(&pool).await.unwrap();
    let round = Round { name, interval_secs: 1.0, worker: name, took_secs: 0.0, error: None, is_forced: false };
    world.app.store.note_round(&round).await.unwrap();
}

#[tokio::test]
async fn a_list_costs_the_same_however_long_it_is() {
    let statements = Statements::default();
    let _guard = tracing::subscriber::set_default(statements.clone());
    let world = World::new().await;
    world.ann.bin_a_backup(&world.app).await;
    one_more_of_the_fleet(&world, "purges").await;
    let before = costs(&world, &statements).await;
    for round in 0..3 {
        world.ann.one_more_of_each(&world.app, round).await;
    }
    one_more_of_the_fleet(&world, "prunes").await;
    let after = costs(&world, &statements).await;
    assert!(before.len() >= 16, "{before:?}");
    for ((path, few, cost), (_, many, later)) in before.into_iter().zip(after) {
        assert!(few >= 1 && many > few, "{path} has {few} rows, then {many}: say in world.rs how it gets one more");
        if path == "/api/system/teams" {
            // What each team has is counted behind that team's wall; at most a hundred teams stand on a page.
            continue;
        }
        assert_eq!(cost, later, "{path} with {few} rows and with {many}");
        assert!(cost >= 2, "{path}: nothing is counted");
        // Whoever runs the installation is looked up besides.
        assert!(cost <= MOST + 2 * u64::from(path.starts_with("/api/system/")), "{path} takes {cost} statements");
    }
}

#[tokio::test]
async fn the_total_is_right_where_it_is_not_counted() {
    let world = World::new().await;
    let ann = &world.ann.person;
    for n in 0..3 {
        world.app.tag(ann, &format!("more {n}")).await;
    }
    // Four tags: pages that are full, cut, empty and exactly at the end.
    for (query, len, total) in [
        ("per_page=2", 2, 4),
        ("per_page=2&page=2", 2, 4),
        ("per_page=2&page=3", 0, 4),
        ("per_page=3&page=2", 1, 4),
        ("per_page=3&page=9", 0, 4),
        ("per_page=100", 4, 4),
        ("per_page=3&sort=-label&page=2", 1, 4),
        ("search=nothing+is+called+so", 0, 0),
    ] {
        let list = world.app.expect(ann, ("GET", &format!("/api/tags?{query}")), Value::Null, 200).await;
        assert_eq!(list["data"].as_array().unwrap().len(), len, "{query}");
        assert_eq!(list["meta"]["total"], json!(total), "{query}");
    }
}
