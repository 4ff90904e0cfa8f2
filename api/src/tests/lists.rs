//! Filters, search and order of every list.

use crate::testing::{App, Person, task_body};
use holdfast_domain::Abilities;
use serde_json::{Value, json};

async fn ids(app: &App, ann: &Person, path: &str) -> Vec<i64> {
    let list = app.expect(ann, ("GET", path), Value::Null, 200).await;
    list["data"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn every_list_sorts_by_what_it_has_and_refuses_what_it_does_not_know() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    let by_label = ["remote-servers", "backup-destinations", "backup-tasks", "backups", "tags", "scripts"];
    let by_id = ["backup-runs", "backup-task-logs", "restores", "recycle-bin", "system/backups", "script-secrets"];
    for (list, has_label) in by_label.map(|list| (list, true)).into_iter().chain(by_id.map(|list| (list, false))) {
        for sort in ["id", "-id", "created_at", "-created_at", ""] {
            app.expect(&ann, ("GET", &format!("/api/{list}?sort={sort}")), Value::Null, 200).await;
        }
        for sort in ["label", "-label"] {
            let status = if has_label { 200 } else { 422 };
            app.expect(&ann, ("GET", &format!("/api/{list}?sort={sort}")), Value::Null, status).await;
        }
        for sort in ["--id", "password", "id;DROP", "seal_id", "-"] {
            let refused = app.expect(&ann, ("GET", &format!("/api/{list}?sort={sort}")), Value::Null, 422).await;
            assert_eq!(refused["errors"], json!({"sort": ["The selected sort is invalid."]}), "{list} {sort}");
        }
        let found = app.expect(&ann, ("GET", &format!("/api/{list}?search=%00%25'")), Value::Null, 200).await;
        assert_eq!(found["meta"]["total"], 0, "{list}");
    }
}

#[tokio::test]
async fn tasks_are_found_by_their_natural_columns() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let tag = app.tag(&ann, "x").await;
    let mut body = task_body(made.server, made.destination);
    body["label"] = json!("alpha");
    body["frequency"] = json!("daily");
    body["type"] = json!("database");
    body["database_name"] = json!("shop");
    body["tags"] = json!([tag]);
    let other = app.expect(&ann, ("POST", "/api/backup-tasks"), body, 201).await["data"]["id"].as_i64().unwrap();
    app.expect(&ann, ("POST", &format!("/api/backup-tasks/{other}/run")), Value::Null, 202).await;
    app.expect(&ann, ("POST", &format!("/api/backup-tasks/{}/pause", made.task)), Value::Null, 200).await;
    let (first, both) = (vec![made.task], vec![made.task, other]);
    let second = vec![other];
    for (query, expected) in [
        ("sort=label", vec![other, made.task]),
        ("sort=-label", both.clone()),
        ("sort=-id", vec![other, made.task]),
        ("search=ALPH", second.clone()),
        ("filter[type]=files", first.clone()),
        ("filter[type]=database", second.clone()),
        ("filter[frequency]=daily", second.clone()),
        ("filter[status]=running", second.clone()),
        ("filter[status]=ready", first.clone()),
        ("filter[paused]=1", first.clone()),
        ("filter[paused]=false", second.clone()),
        (&format!("filter[tag]={tag}"), second.clone()),
        (&format!("filter[remote_server_id]={}", made.server), both.clone()),
        (&format!("filter[backup_destination_id]={}", made.destination), both.clone()),
        ("filter[backup_destination_id]=99", vec![]),
        ("filter[tag]=x", vec![]),
        ("filter[type]=files&filter[status]=running", vec![]),
    ] {
        assert_eq!(ids(&app, &ann, &format!("/api/backup-tasks?{query}")).await, expected, "{query}");
    }
    for bad in ["filter[type]=Database", "filter[status]=paused", "filter[paused]=2", "filter[frequency]=yearly"] {
        app.expect(&ann, ("GET", &format!("/api/backup-tasks?{bad}")), Value::Null, 422).await;
    }
}

#[tokio::test]
async fn the_other_lists_have_filters_of_their_own() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let (run, backup) = app.backup(&ann, &made).await;
    let server = made.server;
    let target = json!({"target": {"remote_server_id": server, "path": "/new"}});
    let restore = app.expect(&ann, ("POST", &format!("/api/backups/{backup}/restore")), target, 202).await;
    let restore = restore["data"]["id"].as_i64().unwrap();
    let tag = app.expect(&ann, ("POST", "/api/tags"), json!({"label": "t", "colour": "#f60"}), 201).await;
    let tag = tag["data"]["id"].as_i64().unwrap();
    for (list, id, hits, misses) in [
        (
            "remote-servers",
            server,
            vec!["search=10.0", "filter[connectivity]=unknown", "filter[ip_address]=10.0.0.1", "filter[username]=root"],
            vec!["search=zz", "filter[connectivity]=online", "filter[ip_address]=10.0.0", "filter[username]=x"],
        ),
        ("backup-destinations", made.destination, vec!["filter[type]=local", "search=D"], vec!["filter[type]=s3"]),
        (
            "backup-runs",
            run,
            vec!["search=weekly", "filter[remote_server_id]=1", "filter[status]=succeeded", "filter[trigger]=manual"],
            vec!["search=zz", "filter[remote_server_id]=9", "filter[trigger]=webhook"],
        ),
        ("backup-task-logs", run, vec!["search=weekly"], vec!["search=zz", "filter[backup_task_id]=9"]),
        (
            "backups",
            backup,
            vec!["search=weekly", "filter[held]=0", "filter[has_warnings]=false", "filter[encryption_mode]=managed"],
            vec!["search=zz", "filter[held]=1", "filter[recycled]=1", "filter[encryption_mode]=none"],
        ),
        (
            "restores",
            restore,
            vec!["search=weekly", "filter[remote_server_id]=1"],
            vec!["search=zz", "filter[backup_id]=9"],
        ),
        ("tags", tag, vec!["search=T", "filter[colour]=%23f60"], vec!["search=zz", "filter[colour]=%23f61"]),
    ] {
        for query in hits {
            assert_eq!(ids(&app, &ann, &format!("/api/{list}?{query}")).await, [id], "{list} {query}");
        }
        for query in misses {
            assert!(ids(&app, &ann, &format!("/api/{list}?{query}")).await.is_empty(), "{list} {query}");
        }
    }
    for bad in
        ["remote-servers?filter[connectivity]=up", "backup-destinations?filter[type]=ftp", "backups?filter[held]=x"]
    {
        app.expect(&ann, ("GET", &format!("/api/{bad}")), Value::Null, 422).await;
    }
    let page = app.expect(&ann, ("GET", "/api/tags?search=t&sort=-label&page=1"), Value::Null, 200).await;
    assert_eq!(
        page["links"]["first"], "http://example.com/api/tags?search=t&sort=-label&page=1",
        "links keep the query"
    );
}
