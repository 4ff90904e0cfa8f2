//! Scripts, their secrets, and scripts on tasks.

use crate::testing::{App, task_body};
use holdfast_domain::{Abilities, Ability};
use serde_json::{Value, json};

#[tokio::test]
async fn a_script_is_made_shown_changed_and_deleted() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let body = json!({"label": "Freeze", "interpreter": "bash", "body": "echo \"$A\"\r\nexit 0", "timeout_secs": 60,
        "parameters": [{"name": "A", "default": "x"}, {"name": "B", "is_required": true}]});
    let made = app.expect(&ann, ("POST", "/api/scripts"), body, 201).await;
    let expected = json!({"data": {
        "id": 1, "user_id": ann.user_id.0, "label": "Freeze", "description": null, "preset": null, "interpreter": "bash",
        "body": "echo \"$A\"\nexit 0", "timeout_secs": 60,
        "parameters": [{"name": "A", "default": "x", "is_required": false},
                       {"name": "B", "default": null, "is_required": true}],
        "created_at": "2024-08-07T03:06:40Z", "updated_at": "2024-08-07T03:06:40Z"
    }});
    assert_eq!(made, expected);
    assert_eq!(app.expect(&ann, ("GET", "/api/scripts/1"), Value::Null, 200).await, expected);
    let list = app.expect(&ann, ("GET", "/api/scripts?search=freez"), Value::Null, 200).await;
    assert_eq!(list["data"][0], expected["data"]);
    let changed =
        app.expect(&ann, ("PUT", "/api/scripts/1"), json!({"timeout_secs": 5, "parameters": null}), 200).await;
    let changed = &changed["data"];
    assert_eq!((&changed["timeout_secs"], &changed["parameters"]), (&json!(5), &json!([])));
    assert_eq!((&changed["body"], &changed["label"]), (&expected["data"]["body"], &json!("Freeze")));
    let gone = app.expect(&ann, ("DELETE", "/api/scripts/1"), Value::Null, 200).await;
    assert_eq!(gone, json!({"message": "Script successfully deleted"}));
    app.expect(&ann, ("GET", "/api/scripts/1"), Value::Null, 404).await;
}

#[tokio::test]
async fn a_preset_brings_its_own_text() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made =
        app.expect(&ann, ("POST", "/api/scripts"), json!({"label": "Stop", "preset": "stop_services"}), 201).await;
    let made = &made["data"];
    assert_eq!(
        (&made["preset"], &made["interpreter"], &made["timeout_secs"]),
        (&json!("stop_services"), &json!("sh"), &json!(300))
    );
    assert!(made["body"].as_str().unwrap().contains("systemctl"), "{made}");
    assert_eq!(made["parameters"], json!([{"name": "SERVICES", "default": null, "is_required": true}]));
    for body in [json!({"body": "id"}), json!({"preset": "start_services"}), json!({"parameters": [{"name": "A"}]})] {
        app.expect(&ann, ("PUT", "/api/scripts/1"), body, 422).await;
    }
    app.expect(&ann, ("PUT", "/api/scripts/1"), json!({"timeout_secs": 10}), 200).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_script_is_told() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let reserved = "this name means something to shells or to Holdfast itself; choose another one";
    let good = |more: Value| {
        let mut body = json!({"label": "s", "body": "true"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (body, errors) in [
        (json!({}), json!({"label": ["The label field is required."], "body": ["The body field is required."]})),
        (good(json!({"body": "a\u{0}b"})), json!({"body": ["The body field is invalid: it has a NUL character."]})),
        (
            good(json!({"body": "x".repeat(65_537)})),
            json!({"body": ["The body field is invalid: it may have at most 65536 bytes."]}),
        ),
        (good(json!({"interpreter": "perl"})), json!({"interpreter": ["The selected interpreter is invalid."]})),
        (good(json!({"timeout_secs": 0})), json!({"timeout_secs": ["The timeout secs field must be at least 1."]})),
        (
            good(json!({"parameters": [{"name": "LD_PRELOAD"}]})),
            json!({"parameters.0.name": [format!("The parameters.0.name field is invalid: {reserved}.")]}),
        ),
        (
            good(json!({"parameters": [{"name": "A"}, {"name": "A"}]})),
            json!({"parameters.1.name": ["The parameters.1.name field has a duplicate value."]}),
        ),
        (
            good(json!({"parameters": [{"name": "A", "default": {"secret_name": "none"}}]})),
            json!({"parameters.0.default": ["The selected parameters.0.default is invalid."]}),
        ),
        (
            good(json!({"parameters": [{"name": "A", "default": 5}]})),
            json!({"parameters.0.default": [
                "The parameters.0.default field is invalid: it must be a text or {\"secret_name\": \"…\"}."]}),
        ),
        (good(json!({"shell": "x"})), json!({"shell": ["The shell field is not known here."]})),
        (
            json!({"label": "s", "preset": "stop_services", "body": "id"}),
            json!({"body": ["The body field is invalid: a preset brings its own."]}),
        ),
    ] {
        assert_eq!(app.expect(&ann, ("POST", "/api/scripts"), body.clone(), 422).await["errors"], errors, "{body}");
    }
}

#[tokio::test]
async fn a_secret_is_never_shown_and_stays_while_it_is_named() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let bob = app.person("bob@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let body = json!({"name": "db", "value": "CANARY one\ntwo", "description": "d"});
    let secret = app.expect(&ann, ("POST", "/api/script-secrets"), body.clone(), 201).await;
    assert!(!secret.to_string().contains("CANARY"), "{secret}");
    let taken = app.expect(&ann, ("POST", "/api/script-secrets"), body, 422).await;
    assert_eq!(taken["errors"], json!({"name": ["The name has already been taken."]}));
    let shown = app.expect(&ann, ("GET", "/api/script-secrets/1"), Value::Null, 200).await;
    assert_eq!(shown, secret);
    app.expect(&ann, ("PUT", "/api/script-secrets/1"), json!({"name": "x"}), 422).await;
    app.expect(&ann, ("PUT", "/api/script-secrets/1"), json!({"value": "CANARY three"}), 200).await;
    let script = json!({"label": "s", "body": "true",
        "parameters": [{"name": "P", "default": {"secret_name": "db"}}, {"name": "Q"}]});
    let refused = app.expect(&bob, ("POST", "/api/scripts"), script.clone(), 422).await;
    assert_eq!(refused["errors"], json!({"parameters.0.default": ["The selected parameters.0.default is invalid."]}));
    let script = app.expect(&ann, ("POST", "/api/scripts"), script, 201).await["data"]["id"].clone();
    let task = format!("/api/backup-tasks/{}", made.task);
    let attached =
        json!({"scripts": [{"script_id": script, "phase": "before", "parameters": {"Q": {"secret_name": "db"}}}]});
    app.expect(&ann, ("PUT", &task), attached, 200).await;
    let in_use = app.expect(&ann, ("DELETE", "/api/script-secrets/1"), Value::Null, 409).await;
    assert_eq!(
        (&in_use["code"], in_use.to_string().contains("1 script(s) and 1 backup task(s)")),
        (&json!("in_use"), true),
        "{in_use}"
    );
    app.expect(&ann, ("PUT", &task), json!({"scripts": []}), 200).await;
    app.expect(&ann, ("DELETE", &format!("/api/scripts/{script}")), Value::Null, 200).await;
    app.expect(&ann, ("DELETE", "/api/script-secrets/1"), Value::Null, 200).await;
    let pool = app.database.owner_pool().await.unwrap();
    let told: Vec<String> = sqlx::query_scalar("SELECT e::text FROM audit_events e").fetch_all(&pool).await.unwrap();
    assert!(told.iter().all(|row| !row.contains("CANARY")), "{told:?}");
}

#[tokio::test]
async fn scripts_are_put_on_a_task_as_a_whole_list() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let path = format!("/api/backup-tasks/{}", made.task);
    let stop =
        app.expect(&ann, ("POST", "/api/scripts"), json!({"label": "Stop", "preset": "stop_services"}), 201).await;
    let stop = stop["data"]["id"].clone();
    let other = app.script(&ann, "Other").await;
    let list = json!([
        {"script_id": stop, "phase": "before", "parameters": {"SERVICES": "nginx  php-fpm"}, "timeout_secs": 9},
        {"script_id": other, "phase": "after"},
        {"script_id": other, "phase": "after", "run_on": "failure", "on_failure": "continue"},
    ]);
    let task = app.expect(&ann, ("PUT", &path), json!({"scripts": list}), 200).await;
    assert_eq!(
        task["data"]["scripts"],
        json!([
            {"script_id": stop, "label": "Stop", "phase": "before", "run_on": "always", "on_failure": "abort",
             "timeout_secs": 9, "parameters": {"SERVICES": "nginx  php-fpm"}},
            {"script_id": other, "label": "Other", "phase": "after", "run_on": "always", "on_failure": "warn",
             "timeout_secs": null, "parameters": {}},
            {"script_id": other, "label": "Other", "phase": "after", "run_on": "failure", "on_failure": "continue",
             "timeout_secs": null, "parameters": {}},
        ])
    );
    let shown = app.expect(&ann, ("GET", &path), Value::Null, 200).await;
    assert_eq!(shown["data"]["scripts"], task["data"]["scripts"]);
    // What a client read it can send again.
    let again = app.expect(&ann, ("PUT", &path), json!({"scripts": shown["data"]["scripts"]}), 200).await;
    assert_eq!(again["data"]["scripts"], task["data"]["scripts"]);
    let copy = app.expect(&ann, ("POST", &format!("{path}/duplicate")), Value::Null, 201).await;
    assert_eq!(copy["data"]["scripts"], task["data"]["scripts"]);
    let untouched = app.expect(&ann, ("PUT", &path), json!({"label": "x"}), 200).await;
    assert_eq!(untouched["data"]["scripts"], task["data"]["scripts"]);
    let in_use = app.expect(&ann, ("DELETE", &format!("/api/scripts/{other}")), Value::Null, 409).await;
    assert!(in_use.to_string().contains("2 backup task(s)"), "{in_use}");
    app.expect(&ann, ("DELETE", &format!("/api/scripts/{other}?cascade=1")), Value::Null, 200).await;
    let left = app.expect(&ann, ("GET", &path), Value::Null, 200).await;
    assert_eq!(left["data"]["scripts"].as_array().unwrap().len(), 1);
    let none = app.expect(&ann, ("PUT", &path), json!({"scripts": null}), 200).await;
    assert_eq!(none["data"]["scripts"], json!([]));
    let mut body = task_body(made.server, made.destination);
    body["scripts"] = json!([{"script_id": stop, "phase": "after", "parameters": {"SERVICES": "a"}}]);
    let created = app.expect(&ann, ("POST", "/api/backup-tasks"), body, 201).await;
    assert_eq!(created["data"]["scripts"][0]["script_id"], stop);
}

#[tokio::test]
async fn a_scripts_parameters_must_fit_the_tasks_that_have_it() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let bob = app.person("bob@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let foreign = app.script(&bob, "Bob's").await;
    let path = format!("/api/backup-tasks/{}", made.task);
    let stop =
        app.expect(&ann, ("POST", "/api/scripts"), json!({"label": "Stop", "preset": "stop_services"}), 201).await;
    let stop = stop["data"]["id"].clone();
    let own = json!({"label": "s", "body": "true", "parameters": [{"name": "A"}]});
    let own = app.expect(&ann, ("POST", "/api/scripts"), own, 201).await["data"]["id"].clone();
    let services = "The scripts.0.parameters.SERVICES field is invalid: it must be 1 to 20 names of services with blanks \
                    between, of letters, digits and - _ . @ :.";
    for (script, errors) in [
        (
            json!({}),
            json!({"scripts.0.script_id": ["The scripts.0.script id field is required."],
                           "scripts.0.phase": ["The scripts.0.phase field is required."]}),
        ),
        (
            json!({"script_id": foreign, "phase": "before"}),
            json!({"scripts.0.script_id": ["The selected scripts.0.script id is invalid."]}),
        ),
        (
            json!({"script_id": 999, "phase": "before"}),
            json!({"scripts.0.script_id": ["The selected scripts.0.script id is invalid."]}),
        ),
        (
            json!({"script_id": stop, "phase": "before"}),
            json!({"scripts.0.parameters": ["The scripts.0.parameters field is invalid: the script's parameter SERVICES needs a value."]}),
        ),
        (
            json!({"script_id": stop, "phase": "before", "parameters": {"SERVICES": "a; reboot"}}),
            json!({"scripts.0.parameters.SERVICES": [services]}),
        ),
        (
            json!({"script_id": own, "phase": "before", "parameters": {"B": "b"}}),
            json!({"scripts.0.parameters": ["The scripts.0.parameters field is invalid: the script has no parameter B."]}),
        ),
        (
            json!({"script_id": own, "phase": "before", "parameters": {"A": {"secret_name": "none"}}}),
            json!({"scripts.0.parameters.A": ["The selected scripts.0.parameters.A is invalid."]}),
        ),
        (
            json!({"script_id": own, "phase": "before", "run_on": "success"}),
            json!({"scripts.0.run_on": ["The scripts.0.run on field is invalid: what is before runs in any case."]}),
        ),
        (
            json!({"script_id": own, "phase": "after", "on_failure": "abort"}),
            json!({"scripts.0.on_failure": ["The scripts.0.on failure field is invalid: a backup that was made stays; choose warn or continue."]}),
        ),
        (json!("x"), json!({"scripts.0": ["The scripts.0 field must be an object."]})),
    ] {
        let answer = app.expect(&ann, ("PUT", &path), json!({"scripts": [script]}), 422).await;
        assert_eq!(answer["errors"], errors, "{script}");
    }
    let many = vec![json!({"script_id": own, "phase": "before"}); 21];
    app.expect(&ann, ("PUT", &path), json!({"scripts": many}), 422).await;
    let attached = json!({"scripts": [{"script_id": own, "phase": "before", "parameters": {"A": "a"}}]});
    app.expect(&ann, ("PUT", &path), attached, 200).await;
    let answer = app.expect(&ann, ("PUT", &format!("/api/scripts/{own}")), json!({"parameters": []}), 422).await;
    let problem = format!("Backup task {} does not fit: the script has no parameter A.", made.task);
    assert_eq!(answer["errors"], json!({"parameters": [problem]}));
}

#[tokio::test]
async fn only_who_manages_scripts_puts_them_on_tasks() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let script = app.script(&ann, "s").await;
    let abilities =
        vec![Ability::UpdateBackupTasks, Ability::CreateBackupTasks, Ability::ViewBackupTasks, Ability::ViewScripts];
    let token = app.token(&ann, Abilities::Only(abilities)).await;
    let path = format!("/api/backup-tasks/{}", made.task);
    let attached = json!({"scripts": [{"script_id": script, "phase": "before"}]});
    let mut new = task_body(made.server, made.destination);
    new["scripts"] = attached["scripts"].clone();
    for (method, path, body) in [("PUT", path.as_str(), attached), ("POST", "/api/backup-tasks", new)] {
        let refused = app.call(&token, method, path, body).await;
        assert_eq!(refused.status, 403);
        assert!(refused.json()["message"].as_str().unwrap().contains("manage-scripts"), "{}", refused.json());
    }
    assert_eq!(app.call(&token, "PUT", &path, json!({"label": "y"})).await.status, 200);
    assert_eq!(app.call(&token, "GET", "/api/scripts", Value::Null).await.status, 200);
    assert_eq!(app.call(&token, "POST", "/api/scripts", json!({"label": "s", "body": "true"})).await.status, 403);
}
