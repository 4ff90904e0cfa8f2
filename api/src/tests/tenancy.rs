//! One tenant can never touch another: for every route with an id, and for every id in a body, a foreign id is
//! answered byte for byte like an absent one, and the other team's rows stay as they were.

use crate::extract::Need;
use crate::routes::rows;
use crate::testing::{App, Definitions, Person, task_body};
use holdfast_domain::Abilities;
use serde_json::{Value, json};

const ABSENT: i64 = 4_000_000_000;

struct Two {
    app: App,
    ann: Person,
    bob: Person,
    anns: Definitions,
    bobs: Definitions,
    run: i64,
    backup: i64,
    copy: i64,
    restore: i64,
    own_backup: i64,
    session: i64,
    token: i64,
    bobs_session: String,
    tag: i64,
    stream: i64,
    delivery: i64,
}

const OWN_BACKUP: &str = "INSERT INTO own_backups (team_id, backup_destination_id, recipients, object_name)
                          VALUES ($1, $2, '{}', 'x') RETURNING id";

async fn two() -> Two {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let bob = app.person("bob@example.com", Abilities::All).await;
    let anns = app.definitions(&ann).await;
    let bobs = app.definitions(&bob).await;
    let (run, backup) = app.backup(&ann, &anns).await;
    let shown = app.expect(&ann, ("GET", &format!("/api/backups/{backup}")), Value::Null, 200).await;
    let copy = shown["data"]["copies"][0]["id"].as_i64().unwrap();
    let target = json!({"target": {"remote_server_id": anns.server, "path": "/new"}});
    let restore = app.expect(&ann, ("POST", &format!("/api/backups/{backup}/restore")), target, 202).await;
    let restore = restore["data"]["id"].as_i64().unwrap();
    // Bob may do what operators do; what is of Ann's team is still not his.
    app.make_operator(&bob).await;
    let own_backup: i64 = sqlx::query_scalar(OWN_BACKUP)
        .bind(ann.team_id.0)
        .bind(anns.destination)
        .fetch_one(&app.database.owner_pool().await.unwrap())
        .await
        .unwrap();
    app.session(&ann).await;
    let pool = app.database.owner_pool().await.unwrap();
    let session: i64 = sqlx::query_scalar("SELECT max(id) FROM sessions").fetch_one(&pool).await.unwrap();
    let token = ann.token.split_once('|').unwrap().0.parse().unwrap();
    let bobs_session = app.session(&bob).await;
    let (tag, stream) = (app.tag(&ann, "t").await, app.stream(&ann).await);
    let delivery = app.delivery(&ann, stream, "dead").await;
    Two {
        app,
        ann,
        bob,
        anns,
        bobs,
        run,
        backup,
        copy,
        restore,
        own_backup,
        session,
        token,
        bobs_session,
        tag,
        stream,
        delivery,
    }
}

impl Two {
    fn anns_id(&self, path: &str) -> i64 {
        let resource = path.split('/').nth(2).unwrap();
        match resource {
            "remote-servers" => self.anns.server,
            "backup-destinations" => self.anns.destination,
            "backup-tasks" => self.anns.task,
            "backup-runs" | "backup-task-logs" => self.run,
            "tags" => self.tag,
            "notification-streams" => self.stream,
            "deliveries" => self.delivery,
            "backups" => self.backup,
            "backup-copies" => self.copy,
            "restores" => self.restore,
            "system" => self.own_backup,
            "auth" => self.session,
            "tokens" => self.token,
            other => panic!("{other}: say here which id of Ann's belongs to it"),
        }
    }

    fn valid_body(&self, method: &str, path: &str) -> Value {
        match (method, path) {
            ("PUT", "/api/backup-tasks/{id}") => task_body(self.bobs.server, self.bobs.destination),
            ("PUT", _) => json!({"label": "mine now"}),
            ("POST", "/api/remote-servers/{id}/host-key/accept") => json!({"fingerprint": "SHA256:x"}),
            ("POST", "/api/backups/{id}/copies") => json!({"backup_destination_ids": [self.bobs.destination]}),
            ("POST", "/api/backups/{id}/restore") => {
                json!({"target": {"remote_server_id": self.bobs.server, "path": "/new"}})
            }
            _ => Value::Null,
        }
    }

    async fn anns_rows(&self) -> Vec<String> {
        let pool = self.app.database.owner_pool().await.unwrap();
        let mut rows = Vec::new();
        for sql in [
            "SELECT t::text FROM remote_servers t WHERE team_id = $1",
            "SELECT t::text FROM backup_destinations t WHERE team_id = $1",
            "SELECT t::text FROM backup_tasks t WHERE team_id = $1",
            "SELECT t::text FROM backup_task_destinations t WHERE team_id = $1",
            "SELECT t::text FROM deliveries t WHERE team_id = $1",
            "SELECT t::text FROM tags t WHERE team_id = $1",
            "SELECT t::text FROM backup_run_lines t WHERE team_id = $1",
            "SELECT t::text FROM backup_task_webhooks t WHERE team_id = $1",
            "SELECT t::text FROM backup_runs t WHERE team_id = $1",
            "SELECT t::text FROM backups t WHERE team_id = $1",
            "SELECT t::text FROM backup_copies t WHERE team_id = $1",
            "SELECT t::text FROM restores t WHERE team_id = $1",
            "SELECT t::text FROM sessions t WHERE team_id = $1",
            "SELECT t::text FROM tokens t WHERE team_id = $1",
            "SELECT t::text FROM audit_events t WHERE team_id = $1",
        ] {
            let mut found: Vec<String> =
                sqlx::query_scalar(sql).bind(self.ann.team_id.0).fetch_all(&pool).await.unwrap();
            found.sort();
            rows.extend(found);
        }
        rows
    }
}

#[tokio::test]
async fn a_foreign_id_in_a_path_is_an_absent_one() {
    let two = two().await;
    let before = two.anns_rows().await;
    let mut checked = 0;
    // Those who run the installation see every person and team: not what this is about.
    let is_everybodys = |path: &str| path.starts_with("/api/system/users") || path.starts_with("/api/system/teams");
    for row in rows().into_iter().filter(|row| row.path.contains("{id}") && !is_everybodys(&row.path)) {
        let name = format!("{} {}", row.method, row.path);
        let body = two.valid_body(&row.method, &row.path);
        let foreign = row.path.replace("{id}", &two.anns_id(&row.path).to_string());
        let absent = row.path.replace("{id}", &ABSENT.to_string());
        let (foreign, absent) = if row.need == Need::Session {
            let browse = |path| two.app.browse(&two.bobs_session, &row.method, path, body.clone());
            (browse(&foreign).await, browse(&absent).await)
        } else {
            let call = |path| two.app.call(&two.bob.token, &row.method, path, body.clone());
            (call(&foreign).await, call(&absent).await)
        };
        assert_eq!(foreign.status, 404, "{name}: {}", String::from_utf8_lossy(&foreign.bytes));
        assert_eq!(foreign.bytes, absent.bytes, "{name}");
        assert_eq!(foreign.headers, absent.headers, "{name}");
        checked += 1;
    }
    assert!(checked >= 25, "only {checked} routes have an id");
    assert_eq!(two.anns_rows().await, before, "Ann's rows changed");
}

#[tokio::test]
async fn a_foreign_id_in_a_body_is_an_absent_one() {
    let two = two().await;
    let (app, bob) = (&two.app, &two.bob);
    let (_, bobs_backup) = app.backup(bob, &two.bobs).await;
    let pool = app.database.owner_pool().await.unwrap();
    let anns_copy: i64 = sqlx::query_scalar("SELECT id FROM backup_copies WHERE backup_id = $1")
        .bind(two.backup)
        .fetch_one(&pool)
        .await
        .unwrap();
    let task = format!("/api/backup-tasks/{}", two.bobs.task);
    let run = format!("{task}/run");
    let restore = format!("/api/backups/{bobs_backup}/restore");
    let target = |id: i64| json!({"target": {"remote_server_id": id, "path": "/x"}});
    let copy = |id: i64| json!({"target": {"remote_server_id": two.bobs.server, "path": "/x"}, "copy_id": id});
    let with = |field: &str, id: i64| {
        let mut body = task_body(two.bobs.server, two.bobs.destination);
        body[field] = json!([id]);
        body
    };
    type Make<'a> = Box<dyn Fn(i64) -> Value + 'a>;
    let cases: Vec<(&str, &str, i64, Make<'_>)> = vec![
        ("POST", "/api/backup-tasks", two.anns.server, Box::new(|id| task_body(id, two.bobs.destination))),
        ("POST", "/api/backup-tasks", two.anns.destination, Box::new(|id| task_body(two.bobs.server, id))),
        ("PUT", &task, two.anns.server, Box::new(|id| json!({"remote_server_id": id}))),
        ("PUT", &task, two.anns.destination, Box::new(|id| json!({"backup_destination_id": id}))),
        (
            "PUT",
            &task,
            two.anns.destination,
            Box::new(|id| json!({"backup_destination_ids": [two.bobs.destination, id]})),
        ),
        ("PUT", &task, two.tag, Box::new(|id| json!({"tags": [id]}))),
        ("PUT", &task, two.stream, Box::new(|id| json!({"notification_streams": [id]}))),
        ("POST", "/api/backup-tasks", two.tag, Box::new(|id| with("tags", id))),
        ("POST", "/api/backup-tasks", two.stream, Box::new(|id| with("notification_streams", id))),
        ("POST", &run, two.anns.destination, Box::new(|id| json!({"backup_destination_ids": [id]}))),
        ("POST", &restore, two.anns.server, Box::new(target)),
        ("POST", &restore, anns_copy, Box::new(copy)),
    ];
    for (method, path, foreign, make) in cases {
        let answer = app.call(&bob.token, method, path, make(foreign)).await;
        let absent = app.call(&bob.token, method, path, make(ABSENT)).await;
        assert_eq!(answer.status, 422, "{method} {path}: {}", String::from_utf8_lossy(&answer.bytes));
        assert_eq!(answer.bytes, absent.bytes, "{method} {path}");
    }
}

#[tokio::test]
async fn lists_and_filters_show_the_own_team_alone() {
    let two = two().await;
    let carl = two.app.person("carl@example.com", Abilities::All).await;
    for row in rows().into_iter().filter(|row| row.method == "GET" && !row.path.contains('{')) {
        let answer = two.app.call(&carl.token, "GET", &row.path, Value::Null).await;
        if answer.status == 200 && answer.headers["content-type"] == "application/json" {
            let data = answer.json()["data"].clone();
            if row.path == "/api/audit-events" {
                // That Carl was refused one thing or another is Carl's own.
                let events = data.as_array().unwrap();
                assert!(events.iter().all(|event| event["actor"]["user_id"] == carl.user_id.0), "{data}");
            } else if data.is_array() {
                assert_eq!(data, json!([]), "{}", row.path);
            }
        }
    }
    let filtered = format!("/api/backup-runs?filter[backup_task_id]={}", two.anns.task);
    let list = two.app.expect(&two.bob, ("GET", &filtered), Value::Null, 200).await;
    assert_eq!(list["meta"]["total"], 0);
}

#[tokio::test]
async fn two_teams_may_have_the_same_server() {
    let two = two().await;
    let body = json!({"label": "s", "ip_address": "10.0.0.1", "username": "root", "port": 22});
    let again = two.app.call(&two.bob.token, "POST", "/api/remote-servers", body).await;
    assert_eq!(again.status, 422, "one team has an address once");
    assert_eq!(again.json()["errors"]["ip_address"][0], "The ip address has already been taken.");
    // `definitions` registered the same address for both teams: that it worked is the point of this test.
    assert_ne!(two.anns.server, two.bobs.server);
}
