//! What is for those who run the installation is on their listener and nowhere else.

use crate::links::Origin;
use crate::routes::rows;
use crate::state::ApiParts;
use crate::testing::{Answer, App, Person};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use holdfast_domain::Abilities;
use secrecy::SecretString;
use serde_json::{Value, json};

async fn operator(app: &App) -> Person {
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    ann
}

async fn ask(router: &Router, token: &str, method: &str, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
    App::ask(router, request.body(Body::empty()).unwrap()).await
}

async fn metrics(app: &App, token: Option<&str>) -> Answer {
    let mut request = Request::get("/metrics");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, token);
    }
    app.send(request.body(Body::empty()).unwrap()).await
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.bytes.clone()).unwrap()
}

#[tokio::test]
async fn each_route_is_on_one_listener_and_unknown_to_the_other() {
    let app = App::start().await;
    let ann = operator(&app).await;
    for row in rows() {
        let path = row.path.replace("{id}", "1");
        let is_of_operator = row.need.is_of_operator();
        assert_eq!(is_of_operator, path == "/metrics" || path.starts_with("/api/system/"), "{path}");
        let (mine, other) = match is_of_operator {
            true => (&app.routers.operator, &app.routers.public),
            false => (&app.routers.public, &app.routers.operator),
        };
        let elsewhere = ask(other, &ann.token, &row.method, &path).await;
        assert_eq!((elsewhere.status.as_u16(), &elsewhere.json()["code"]), (404, &json!("no_such_route")), "{path}");
        // A body is missing, so that nothing is made.
        let here = ask(mine, "", &row.method, &path).await;
        assert!(!String::from_utf8_lossy(&here.bytes).contains("no_such_route"), "{path}");
    }
}

#[tokio::test]
async fn links_of_the_operators_listener_lead_to_it() {
    let origin = Origin { public_url: None, allowed_hosts: vec!["127.0.0.1".to_owned()] };
    let app = App::start().await.with_parts(|parts| ApiParts { operator_origin: origin, ..parts });
    let ann = operator(&app).await;
    let request = Request::get("/api/system/users")
        .header(header::HOST, "127.0.0.1:8081")
        .header(header::AUTHORIZATION, format!("Bearer {}", ann.token));
    let list = app.send(request.body(Body::empty()).unwrap()).await.json();
    let first = list["links"]["first"].as_str().unwrap();
    assert!(first.starts_with("http://127.0.0.1:8081/api/system/users?"), "{first}");
    let list = app.expect(&ann, ("GET", "/api/tags"), Value::Null, 200).await;
    assert!(list["links"]["first"].as_str().unwrap().starts_with("http://example.com/"), "{list}");
}

#[tokio::test]
async fn metrics_count_routes_and_tell_nothing_that_a_client_sent() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    app.expect(&ann, ("POST", &format!("/api/backup-tasks/{}/run", made.task)), Value::Null, 202).await;
    app.call(&ann.token, "GET", "/api/CANARY-PATH?CANARY-QUERY", Value::Null).await;
    app.call(&ann.token, "CANARY", "/api/user", Value::Null).await;
    app.call("CANARY-TOKEN", "GET", "/api/user", Value::Null).await;
    let answer = metrics(&app, None).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    let text = text(&answer);
    for line in [
        "holdfast_http_requests_total{method=\"POST\",route=\"/api/backup-tasks/{id}/run\",status=\"202\"} 1",
        "holdfast_http_requests_total{method=\"GET\",route=\"(none)\",status=\"404\"} 1",
        "holdfast_http_requests_total{method=\"(other)\",route=\"/api/user\",status=\"405\"} 1",
        "holdfast_http_requests_total{method=\"GET\",route=\"/api/user\",status=\"401\"} 1",
        "holdfast_http_request_duration_seconds_count{method=\"POST\",route=\"/api/backup-tasks/{id}/run\"} 1",
        "holdfast_database_up 1",
        "holdfast_backup_runs{status=\"queued\"} 1",
        "holdfast_backup_runs{status=\"running\"} 0",
        "holdfast_restores{status=\"queued\"} 0",
        "holdfast_deliveries{state=\"dead\"} 0",
        "holdfast_queue_jobs_pending 1",
        "holdfast_workers_alive 0",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("CANARY") && !text.contains("example.com"), "{text}");
}

#[tokio::test]
async fn metrics_tell_of_tasks_and_workers_by_id_and_how_many_they_leave_out() {
    let app = App::start().await.with_parts(|parts| ApiParts { metrics_tasks: 1, ..parts });
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    app.backup(&ann, &made).await;
    let other = app.definitions(&ann).await.task;
    let pool = app.database.owner_pool().await.unwrap();
    let worker =
        "INSERT INTO workers (name, version, data_plane_url, running, capacity, store_ids, started_at, seen_at)
                  VALUES ('w-1', '1', 'http://w', 3, 4, '{}', now(), now())";
    sqlx::query(worker).execute(&pool).await.unwrap();
    let late = "UPDATE backup_runs SET scheduled_for = now() - interval '30 s', started_at = now() - interval '20 s',
                                       completed_at = now() - interval '15 s'";
    sqlx::query(late).execute(&pool).await.unwrap();
    let text = text(&metrics(&app, None).await);
    let of = |name: &str| {
        let labels = format!("{{task=\"{}\",team=\"{}\"}} ", made.task, ann.team_id);
        let start = format!("{name}{labels}");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("{start} is not in\n{text}")).parse::<f64>().unwrap()
    };
    assert_eq!(of("holdfast_task_last_success_original_bytes"), 100.0);
    assert_eq!(of("holdfast_task_last_success_stored_bytes"), 40.0);
    assert_eq!(of("holdfast_task_last_success_duration_seconds"), 5.0);
    assert_eq!(of("holdfast_task_paused"), 0.0);
    assert!((15.0..600.0).contains(&of("holdfast_task_last_success_age_seconds")));
    assert!(of("holdfast_task_last_success_timestamp_seconds") > 1_700_000_000.0);
    let state =
        format!("holdfast_task_last_run{{status=\"succeeded\",task=\"{}\",team=\"{}\"}} 1", made.task, ann.team_id);
    for line in [
        state.as_str(),
        "holdfast_tasks_left_out 1",
        "holdfast_start_lateness_seconds{quantile=\"0.99\"} 10",
        "holdfast_scheduled_starts 1",
        "holdfast_worker_running{worker=\"w-1\"} 3",
        "holdfast_worker_capacity{worker=\"w-1\"} 4",
        "holdfast_event_streams 0",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains(&format!("task=\"{other}\"")) && !text.contains("Weekly"), "{text}");
}

#[tokio::test]
async fn a_process_is_ready_once_the_schema_is_as_new_as_it_is() {
    let ready = async |needed: &str| {
        let needed_migration = Some(needed.to_owned());
        let app = App::start().await.with_parts(|parts| ApiParts { needed_migration, ..parts });
        let answer = app.call("", "GET", "/readyz", Value::Null).await;
        (answer.status.as_u16(), answer.json()["code"].clone())
    };
    assert_eq!(ready("m20261129_000054_task_figures").await, (200, Value::Null), "a newer schema is fine");
    assert_eq!(ready("m20991231_000001_of_tomorrow").await, (503, json!("schema_too_old")));
}

#[tokio::test]
async fn metrics_want_their_token_where_there_is_one_and_no_other() {
    let app =
        App::start().await.with_parts(|parts| ApiParts { metrics_token: Some(SecretString::from("m-1")), ..parts });
    let ann = operator(&app).await;
    let of_ann = format!("Bearer {}", ann.token);
    for wrong in [None, Some("m-1"), Some("Bearer m-2"), Some("Bearer "), Some("Bearer m-1 "), Some(of_ann.as_str())] {
        let refused = metrics(&app, wrong).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (401, &json!("unauthenticated")), "{wrong:?}");
    }
    assert_eq!(metrics(&app, Some("Bearer m-1")).await.status, 200);
    assert_eq!(app.call("m-1", "GET", "/api/system/users", Value::Null).await.status, 401, "it opens nothing else");
}

#[tokio::test]
async fn metrics_come_without_the_database() {
    let app = App::start().await;
    app.store.queue_pool().close().await;
    let answer = metrics(&app, None).await;
    let text = text(&answer);
    assert_eq!(answer.status, 200, "{text}");
    assert!(text.contains("holdfast_database_up 0\n") && !text.contains("holdfast_backup_runs"), "{text}");
}
