//! How known clients write: forms, forms that are called JSON, bodies where none is needed, none where one may be, tokens
//! in either form, and `Accept` headers that ask for pages.

use super::shape::assert_headers;
use crate::testing::{Answer, App, Person, task_body};
use axum::body::Body;
use axum::http::{Request, header};
use holdfast_domain::Abilities;
use serde_json::{Value, json};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=x";

/// A request with a token, a content type unless empty, and `body` as it is.
async fn send(app: &App, ann: &Person, request: (&str, &str), kind: &str, body: &str) -> Answer {
    let mut head = Request::builder().method(request.0).uri(request.1);
    head = head.header(header::AUTHORIZATION, format!("Bearer {}", ann.token)).header(header::ACCEPT, JSON);
    if !kind.is_empty() {
        head = head.header(header::CONTENT_TYPE, kind);
    }
    app.send(head.body(Body::from(body.to_owned())).unwrap()).await
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn multipart(fields: &[(&str, &str)]) -> String {
    let part = |(name, value): &(&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    fields.iter().map(part).collect::<String>() + "--x--\r\n"
}

/// The same fields in the three ways a client may write a form.
fn ways(fields: &[(&str, &str)]) -> [(&'static str, String); 3] {
    [(FORM, form(fields)), (JSON, form(fields)), (MULTIPART, multipart(fields))]
}

#[tokio::test]
async fn a_form_makes_and_changes_what_json_does() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let (server, destination) = app.definitions_once(&ann).await;
    let without_id = |mut task: Value| {
        task["data"]["id"] = Value::Null;
        task
    };
    let by_json = app.expect(&ann, ("POST", "/api/backup-tasks"), task_body(server, destination), 201).await;
    let (server, destination) = (server.to_string(), destination.to_string());
    let fields = [
        ("remote_server_id", server.as_str()),
        ("backup_destination_id", &destination),
        ("label", "  Weekly Full Backup "),
        ("description", "Full backup of all files"),
        ("source_path", "/home"),
        ("frequency", "weekly"),
        ("maximum_backups_to_keep", "4"),
        ("type", "files"),
        ("time_to_run_at", "02:00"),
        ("store_path", "/backups/weekly"),
        ("custom_cron_expression", ""),
        ("user_id", "999"),
        ("status", "running"),
    ];
    for (kind, body) in ways(&fields) {
        let made = send(&app, &ann, ("POST", "/api/backup-tasks"), kind, &body).await;
        assert_eq!(made.status, 201, "{kind}: {}", String::from_utf8_lossy(&made.bytes));
        assert_eq!(without_id(made.json()), without_id(by_json.clone()), "{kind}");
        let path = format!("/api/backup-tasks/{}", made.json()["data"]["id"]);
        let change = [("label", "Grüße & mehr+"), ("description", ""), ("maximum_backups_to_keep", "0")];
        let (_, body) = ways(&change).into_iter().find(|(other, _)| *other == kind).unwrap();
        let changed = send(&app, &ann, ("PUT", &path), kind, &body).await;
        assert_eq!(changed.status, 200, "{kind}: {}", String::from_utf8_lossy(&changed.bytes));
        let task = changed.json()["data"].clone();
        assert_eq!((&task["label"], &task["description"]), (&json!("Grüße & mehr+"), &Value::Null), "{kind}");
        assert_eq!((&task["storage"]["max_backups"], &task["source"]["path"]), (&json!(0), &json!("/home")), "{kind}");
    }
}

#[tokio::test]
async fn brackets_in_a_form_are_objects_and_lists() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let fields = [
        ("label", "Ops"),
        ("type", "slack_webhook"),
        ("value", "https://hooks.slack.com/services/T/B/x"),
        ("notifications[on_success]", "0"),
        ("notifications[on_failure]", "1"),
    ];
    for (kind, body) in ways(&fields) {
        let made = send(&app, &ann, ("POST", "/api/notification-streams"), kind, &body).await;
        assert_eq!(made.status, 201, "{kind}: {}", String::from_utf8_lossy(&made.bytes));
        assert_eq!(made.json()["data"]["notifications"], json!({"on_success": false, "on_failure": true}), "{kind}");
    }
    let made = app.definitions(&ann).await;
    let tags = [app.tag(&ann, "a").await.to_string(), app.tag(&ann, "b").await.to_string()];
    for (kind, body) in ways(&[("tags[]", &tags[0]), ("tags[]", &tags[1])]) {
        let changed = send(&app, &ann, ("PUT", &format!("/api/backup-tasks/{}", made.task)), kind, &body).await;
        assert_eq!(changed.json()["data"]["tags"].as_array().map(Vec::len), Some(2), "{kind}");
    }
}

#[tokio::test]
async fn what_is_no_form_and_no_json_is_told_so() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    for (kind, body, status) in [
        (JSON, "{\"label\": \"x\"", 400),
        (JSON, "[1]", 400),
        (JSON, "", 422),
        ("", "", 422),
        (FORM, "", 422),
        (MULTIPART, "--y", 400),
        ("text/plain", "label=x", 415),
        ("application/xml", "<a/>", 415),
    ] {
        let answer = send(&app, &ann, ("POST", "/api/tags"), kind, body).await;
        assert_eq!(answer.status.as_u16(), status, "{kind} {body}");
        assert_headers(&answer);
    }
    let list = app.expect(&ann, ("GET", "/api/tags"), Value::Null, 200).await;
    assert_eq!(list["meta"]["total"], 0);
}

#[tokio::test]
async fn a_body_may_stand_where_none_is_needed_and_be_missing_where_none_matters() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    for (kind, body) in
        [("", ""), (JSON, ""), (JSON, "{}"), (JSON, "a=b"), (FORM, ""), (FORM, "a=b"), (MULTIPART, "--x--\r\n")]
    {
        let made = app.definitions_once(&ann).await;
        let task = app.expect(&ann, ("POST", "/api/backup-tasks"), task_body(made.0, made.1), 201).await;
        let task = format!("/api/backup-tasks/{}", task["data"]["id"]);
        let run = send(&app, &ann, ("POST", &format!("{task}/run")), kind, body).await;
        assert_eq!(run.status, 202, "{kind} {body}: {}", String::from_utf8_lossy(&run.bytes));
        let tag = format!("/api/tags/{}", app.tag(&ann, "t").await);
        let stream = app.stream(&ann).await;
        for path in [task, tag, format!("/api/notification-streams/{stream}")] {
            let gone = send(&app, &ann, ("DELETE", &path), kind, body).await;
            assert_eq!(gone.status, 200, "{path} {kind} {body}: {}", String::from_utf8_lossy(&gone.bytes));
            assert!(gone.json()["message"].as_str().unwrap().ends_with("successfully deleted"));
        }
        let list = send(&app, &ann, ("GET", "/api/backup-tasks"), kind, body).await;
        assert_eq!(list.status, 200, "a GET's body is not looked at");
    }
}

#[tokio::test]
async fn a_token_is_taken_with_and_without_its_id_and_from_its_header_alone() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let (_, secret) = ann.token.split_once('|').unwrap();
    let status = async |headers: &[(&str, String)], query: &str| {
        let mut request = Request::get(format!("/api/user{query}"));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        app.send(request.body(Body::empty()).unwrap()).await.status.as_u16()
    };
    let header = |value: String| [("authorization", value)];
    for good in [format!("Bearer {}", ann.token), format!("Bearer {secret}"), format!("bearer {secret}")] {
        assert_eq!(status(&header(good.clone()), "").await, 200, "{good}");
    }
    for bad in [ann.token.clone(), format!("Basic {secret}"), format!("Token {secret}"), format!("Bearer  {secret}")] {
        assert_eq!(status(&header(bad.clone()), "").await, 401, "{bad}");
    }
    assert_eq!(status(&[], &format!("?token={secret}")).await, 401);
    assert_eq!(status(&[], &format!("?api_token={secret}")).await, 401);
    assert_eq!(status(&[("x-api-key", secret.to_owned())], "").await, 401);
}

#[tokio::test]
async fn every_answer_is_json_whatever_is_accepted() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    for accept in ["text/html", "*/*", "text/html,application/json;q=0.9", "image/png", "nonsense"] {
        for (token, path, status) in [
            (ann.token.as_str(), "/api/user", 200),
            ("", "/api/user", 401),
            (&ann.token, "/api/tags/7", 404),
            ("", "/api/no", 404),
        ] {
            let mut request = Request::get(path).header(header::ACCEPT, accept);
            if !token.is_empty() {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let answer = app.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status.as_u16(), status, "{accept} {path}");
            assert_headers(&answer);
        }
    }
}

#[tokio::test]
async fn a_deletion_has_a_body_for_whoever_accepts_one() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    for accept in [Some("application/json"), Some("*/*"), None] {
        let made = app.definitions(&ann).await;
        let server = json!({"label": "s", "ip_address": "10.0.0.9", "username": "root", "port": 22});
        let server = app.expect(&ann, ("POST", "/api/remote-servers"), server, 201).await["data"]["id"].clone();
        let place = json!({"label": "d", "type": "local"});
        let place = app.expect(&ann, ("POST", "/api/backup-destinations"), place, 201).await["data"]["id"].clone();
        let (log, _) = app.backup(&ann, &made).await;
        let (stream, tag) = (app.stream(&ann).await, app.tag(&ann, "t").await);
        for (path, is_silent) in [
            (format!("remote-servers/{server}"), true),
            (format!("backup-destinations/{place}"), true),
            (format!("notification-streams/{stream}"), true),
            (format!("backup-task-logs/{log}"), true),
            (format!("tags/{tag}"), false),
            (format!("backup-tasks/{}", made.task), false),
        ] {
            let mut request = Request::delete(format!("/api/{path}"))
                .header(header::AUTHORIZATION, format!("Bearer {}", ann.token))
                .header(header::CONTENT_TYPE, JSON);
            if let Some(accept) = accept {
                request = request.header(header::ACCEPT, accept);
            }
            let answer = app.send(request.body(Body::empty()).unwrap()).await;
            if is_silent && accept.is_none() {
                assert_eq!((answer.status.as_u16(), answer.bytes.as_slice()), (204, &b""[..]), "{path}");
                assert!(!answer.headers.contains_key(header::CONTENT_TYPE), "{path}");
            } else {
                assert_eq!(answer.status, 200, "{path}");
                assert!(answer.json()["message"].as_str().unwrap().ends_with("successfully deleted"), "{path}");
            }
        }
    }
}
