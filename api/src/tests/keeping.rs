//! What stays and what goes, as far as the api decides it: marks and jobs; a worker deletes the objects.

use crate::testing::{App, Definitions, Person};
use holdfast_domain::{Abilities, Ability};
use serde_json::{Value, json};

struct Kept {
    app: App,
    ann: Person,
    made: Definitions,
    /// Oldest first.
    backups: Vec<i64>,
}

/// A task of Ann's that keeps 4, and so many backups of it.
async fn with_backups(count: usize) -> Kept {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let mut backups = Vec::new();
    for _ in 0..count {
        backups.push(app.backup(&ann, &made).await.1);
    }
    Kept { app, ann, made, backups }
}

impl Kept {
    fn task(&self, tail: &str) -> String {
        format!("/api/backup-tasks/{}{tail}", self.made.task)
    }

    async fn call(&self, method: &str, path: &str, body: Value, status: u16) -> Value {
        self.app.expect(&self.ann, (method, path), body, status).await
    }

    async fn on(&self, method: &str, backup: usize, body: Value, status: u16) -> Value {
        self.call(method, &format!("/api/backups/{}", self.backups[backup]), body, status).await
    }

    async fn set_rule(&self, retention: Value) {
        self.call("PUT", &self.task(""), json!({"retention": retention}), 200).await;
    }

    async fn sql(&self, sql: &'static str, id: i64) -> i64 {
        let pool = self.app.database.owner_pool().await.unwrap();
        sqlx::query_scalar(sql).bind(id).fetch_one(&pool).await.unwrap()
    }

    async fn listed(&self, query: &str) -> Vec<i64> {
        let list = self.call("GET", &format!("/api/backups?per_page=100{query}"), Value::Null, 200).await;
        list["data"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
    }

    async fn jobs(&self) -> i64 {
        self.sql("SELECT count(*) FROM apalis.jobs WHERE job_type = 'prune_task' AND $1 = $1", 0).await
    }

    async fn copies(&self, state: &'static str) -> i64 {
        let pool = self.app.database.owner_pool().await.unwrap();
        let sql = "SELECT count(*) FROM backup_copies WHERE state = $1";
        sqlx::query_scalar(sql).bind(state).fetch_one(&pool).await.unwrap()
    }
}

#[tokio::test]
async fn a_task_says_what_it_keeps() {
    let kept = with_backups(0).await;
    let shown = kept.call("GET", &kept.task(""), Value::Null, 200).await;
    let plain = json!({"keep_last": 4, "max_age_secs": null, "floor": 0, "recycle_secs": 0});
    assert_eq!(shown["data"]["retention"], plain);
    let rule = json!({"keep_last": 9, "max_age_secs": 86400, "floor": 2, "recycle_secs": 3600});
    let changed = kept.call("PUT", &kept.task(""), json!({"retention": rule}), 200).await;
    assert_eq!(changed["data"]["retention"], rule);
    assert_eq!(changed["data"]["storage"]["max_backups"], 9, "one number in two places");
    let changed = kept.call("PUT", &kept.task(""), json!({"maximum_backups_to_keep": 5}), 200).await;
    assert_eq!(changed["data"]["retention"]["keep_last"], 5);
    assert_eq!(changed["data"]["retention"]["floor"], 2, "what was not sent stays");
    let changed = kept.call("PUT", &kept.task(""), json!({"retention": {"max_age_secs": null}}), 200).await;
    assert_eq!(changed["data"]["retention"]["max_age_secs"], Value::Null);

    let mut body = crate::testing::task_body(kept.made.server, kept.made.destination);
    body.as_object_mut().unwrap().remove("maximum_backups_to_keep");
    body["retention"] = json!({"keep_last": 3});
    let created = kept.call("POST", "/api/backup-tasks", body.clone(), 201).await;
    assert_eq!(created["data"]["storage"]["max_backups"], 3);
    body["maximum_backups_to_keep"] = json!(2);
    let refused = kept.call("POST", "/api/backup-tasks", body, 422).await;
    assert!(refused["errors"]["retention.keep_last"].is_array(), "{refused}");
    for bad in [
        json!({"keep_last": -1}),
        json!({"max_age_secs": 0}),
        json!({"floor": "many"}),
        json!({"recycle_secs": 999_999_999}),
        json!([]),
    ] {
        kept.call("PUT", &kept.task(""), json!({"retention": bad}), 422).await;
    }
}

#[tokio::test]
async fn the_preview_says_what_a_prune_then_does() {
    let kept = with_backups(6).await;
    let preview = kept.call("GET", &kept.task("/retention-preview"), Value::Null, 200).await;
    let copies = preview["data"]["copies"].as_array().unwrap();
    let said: Vec<(i64, &str, &Value)> = copies
        .iter()
        .map(|c| (c["backup_id"].as_i64().unwrap(), c["verdict"].as_str().unwrap(), &c["reasons"]))
        .collect();
    let (keep, delete) = (json!(["within_limits"]), json!(["too_many"]));
    let newest = json!(["newest_verified", "newest_without_warnings", "no_newer_verified", "within_limits"]);
    let expected = [
        ("keep", &newest),
        ("keep", &keep),
        ("keep", &keep),
        ("keep", &keep),
        ("delete", &delete),
        ("delete", &delete),
    ];
    let expected: Vec<(i64, &str, &Value)> =
        kept.backups.iter().rev().zip(expected).map(|(id, (verdict, reasons))| (*id, verdict, reasons)).collect();
    assert_eq!(said, expected);

    let dry = kept.call("POST", &kept.task("/prune"), json!({"dry_run": true}), 200).await;
    assert_eq!(dry, json!({"deleted_count": 2, "recycled_count": 0, "kept_count": 4, "dry_run": true}));
    assert_eq!((kept.listed("").await.len(), kept.jobs().await), (6, 0), "a dry run changes nothing");
    let done = kept.call("POST", &kept.task("/prune"), json!({}), 200).await;
    assert_eq!(done, json!({"deleted_count": 2, "recycled_count": 0, "kept_count": 4, "dry_run": false}));
    assert_eq!((kept.listed("").await, kept.jobs().await), (kept.backups[2..].to_vec(), 1));
    kept.on("GET", 0, Value::Null, 404).await;
    let preview = kept.call("GET", &kept.task("/retention-preview"), Value::Null, 200).await;
    assert_eq!(preview["data"]["deleting"].as_array().unwrap().len(), 2);
    let again = kept.call("POST", &kept.task("/prune"), Value::Null, 200).await;
    assert_eq!(again["deleted_count"], 0);
    let told = "SELECT count(*) FROM audit_events WHERE action = 'backup_task.prune' AND team_id = $1";
    assert_eq!(kept.sql(told, kept.ann.team_id.0).await, 2);
}

#[tokio::test]
async fn an_age_prunes_under_the_tasks_floor_and_never_takes_the_newest() {
    let kept = with_backups(4).await;
    kept.sql(
        "WITH old AS (UPDATE backups SET created_at = now() - interval '10 days' WHERE backup_task_id = $1 RETURNING 1)
              SELECT count(*) FROM old",
        kept.made.task,
    )
    .await;
    kept.set_rule(json!({"floor": 2, "recycle_secs": 60})).await;
    for bad in [json!({"older_than_secs": 0}), json!({"older_than_secs": -5}), json!({"older": 5})] {
        kept.call("POST", &kept.task("/prune"), bad, 422).await;
    }
    let young = kept.call("POST", &kept.task("/prune"), json!({"older_than_secs": 900_000}), 200).await;
    assert_eq!(young["recycled_count"], 0);
    let done = kept.call("POST", &kept.task("/prune"), json!({"older_than_secs": 1}), 200).await;
    assert_eq!(
        (&done["recycled_count"], &done["deleted_count"], &done["kept_count"]),
        (&json!(2), &json!(0), &json!(2))
    );
    kept.set_rule(json!({"floor": 0})).await;
    let done = kept.call("POST", &kept.task("/prune"), json!({"older_than_secs": 1}), 200).await;
    assert_eq!(done["kept_count"], 1, "the newest verified one stays whatever is asked");
}

#[tokio::test]
async fn a_backup_goes_into_the_bin_and_comes_back_and_is_then_held() {
    let kept = with_backups(3).await;
    let gone = kept.on("PATCH", 0, json!({"recycled": true}), 200).await;
    assert!(gone["data"]["recycled_at"].is_string() && gone["data"]["copies"][0]["state"] == "recycled", "{gone}");
    kept.on("PATCH", 0, json!({"recycled": true}), 200).await;
    assert_eq!(kept.listed("").await, kept.backups[1..]);
    assert_eq!(kept.listed("&filter[recycled]=1").await, kept.backups[..1]);
    let bin = kept.call("GET", "/api/recycle-bin", Value::Null, 200).await;
    assert_eq!((&bin["meta"]["total"], &bin["data"][0]["backup_id"]), (&json!(1), &json!(kept.backups[0])));
    assert_eq!(bin["data"][0]["recycled_by"], "person");
    let target = json!({"target": {"remote_server_id": kept.made.server, "path": "/new"}});
    let restore = format!("/api/backups/{}/restore", kept.backups[0]);
    assert_eq!(kept.call("POST", &restore, target, 409).await["code"], "no_copy");
    let back = kept.on("PATCH", 0, json!({"recycled": false}), 200).await;
    assert_eq!((&back["data"]["recycled_at"], &back["data"]["held"]), (&Value::Null, &json!(true)));
    kept.on("PATCH", 0, json!({"recycled": false}), 200).await;
    assert_eq!(kept.on("DELETE", 0, Value::Null, 409).await["code"], "held");
    assert_eq!(kept.on("PATCH", 0, json!({"recycled": true}), 409).await["code"], "held");
    kept.on("PATCH", 0, json!({"held": true, "recycled": true}), 422).await;
    kept.on("PATCH", 0, json!({"colour": "red"}), 422).await;
    let free = kept.on("PATCH", 0, json!({"held": false}), 200).await;
    assert_eq!(free["data"]["held"], false);
    kept.on("DELETE", 0, Value::Null, 200).await;
    kept.on("DELETE", 0, Value::Null, 404).await;
    assert_eq!((kept.copies("deleting").await, kept.jobs().await), (1, 1));
}

#[tokio::test]
async fn the_last_good_backup_goes_only_when_it_is_named() {
    let kept = with_backups(2).await;
    kept.on("DELETE", 0, Value::Null, 200).await;
    for (method, body) in [("DELETE", Value::Null), ("PATCH", json!({"recycled": true}))] {
        assert_eq!(kept.on(method, 1, body, 409).await["code"], "last_good_backup");
    }
    kept.on("DELETE", 1, json!({"confirm": "another task"}), 409).await;
    kept.on("DELETE", 1, json!({"confirm": "Weekly Full Backup"}), 200).await;
    assert!(kept.listed("").await.is_empty());
}

#[tokio::test]
async fn what_is_being_restored_is_not_deleted() {
    let kept = with_backups(2).await;
    let target = json!({"target": {"remote_server_id": kept.made.server, "path": "/new"}});
    kept.call("POST", &format!("/api/backups/{}/restore", kept.backups[0]), target, 202).await;
    assert_eq!(kept.on("DELETE", 0, Value::Null, 409).await["code"], "being_read");
    kept.set_rule(json!({"keep_last": 1})).await;
    let done = kept.call("POST", &kept.task("/prune"), Value::Null, 200).await;
    assert_eq!((&done["deleted_count"], &done["kept_count"]), (&json!(0), &json!(2)));
}

#[tokio::test]
async fn emptying_the_bin_takes_what_may_go() {
    let kept = with_backups(4).await;
    kept.set_rule(json!({"keep_last": 2, "recycle_secs": 3600})).await;
    let done = kept.call("POST", &kept.task("/prune"), Value::Null, 200).await;
    assert_eq!(done["recycled_count"], 2);
    kept.on("PATCH", 0, json!({"held": true}), 200).await;
    let emptied = kept.call("DELETE", "/api/recycle-bin", Value::Null, 200).await;
    assert_eq!(emptied, json!({"deleted_count": 1, "kept_count": 1}));
    kept.on("PATCH", 0, json!({"held": false}), 200).await;
    // Of what is outside the bin nothing newer is good any more.
    kept.sql("WITH bad AS (UPDATE backup_copies SET error_code = 'copy_damaged' WHERE state = 'committed' AND team_id = $1 RETURNING 1)
              SELECT count(*) FROM bad", kept.ann.team_id.0).await;
    let emptied = kept.call("DELETE", "/api/recycle-bin", Value::Null, 200).await;
    assert_eq!(emptied, json!({"deleted_count": 0, "kept_count": 1}));
    assert_eq!((kept.copies("recycled").await, kept.copies("committed").await), (1, 2));
}

#[tokio::test]
async fn a_tasks_files_go_with_it_only_when_they_are_asked_for() {
    let kept = with_backups(3).await;
    kept.on("PATCH", 1, json!({"held": true}), 200).await;
    kept.call("DELETE", &kept.task(""), json!({"delete_files": true}), 200).await;
    assert_eq!(kept.listed("").await, kept.backups[1..2], "what is held stays");
    assert_eq!((kept.copies("deleting").await, kept.jobs().await), (2, 1));

    let kept = with_backups(2).await;
    kept.set_rule(json!({"recycle_secs": 3600})).await;
    kept.call("DELETE", &kept.task(""), json!({"delete_files": true}), 200).await;
    assert_eq!((kept.copies("recycled").await, kept.listed("").await.len()), (2, 0));
    kept.on("PATCH", 0, json!({"recycled": false}), 200).await;
    assert_eq!(kept.listed("").await, kept.backups[..1]);

    let kept = with_backups(1).await;
    kept.call("DELETE", &kept.task(""), Value::Null, 200).await;
    assert_eq!(kept.listed("").await, kept.backups);
}

#[tokio::test]
async fn without_the_right_to_delete_nothing_can_be_made_to_vanish() {
    let kept = with_backups(2).await;
    let all_but: Vec<Ability> = Ability::ALL.iter().copied().filter(|a| *a != Ability::DeleteBackups).collect();
    let token = kept.app.token(&kept.ann, Abilities::Only(all_but)).await;
    let limited = Person { token, ..kept.ann.clone() };
    let backup = format!("/api/backups/{}", kept.backups[0]);
    for (method, path, body) in [
        ("DELETE", backup.as_str(), Value::Null),
        ("PATCH", backup.as_str(), json!({"recycled": true})),
        ("POST", &kept.task("/prune"), json!({"older_than_secs": 1})),
        ("DELETE", "/api/recycle-bin", Value::Null),
        ("DELETE", &kept.task(""), json!({"delete_files": true})),
    ] {
        let refused = kept.app.expect(&limited, (method, path), body, 403).await;
        assert!(refused["message"].as_str().unwrap().contains("delete-backups"), "{refused}");
    }
    kept.app.expect(&limited, ("PATCH", &backup), json!({"held": true}), 200).await;
    kept.call("GET", &kept.task(""), Value::Null, 200).await;
    assert_eq!(kept.listed("").await, kept.backups);
}
