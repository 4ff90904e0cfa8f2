//! Notification streams as a client meets them.

use crate::testing::App;
use holdfast_domain::Abilities;
use serde_json::{Value, json};

const PATH: &str = "/api/notification-streams";
const HOOK: &str = "https://discord.com/api/webhooks/1/CANARYhook";

fn discord() -> Value {
    json!({"label": "Ops", "type": "discord_webhook", "value": HOOK,
        "notifications": {"on_success": false, "on_failure": true}})
}

#[tokio::test]
async fn a_stream_is_made_shown_changed_and_removed_and_its_value_never_comes_back() {
    let app = App::start().await;
    let ann = app.person("a@example.org", Abilities::All).await;
    let made = app.expect(&ann, ("POST", PATH), discord(), 201).await["data"].clone();
    assert_eq!((&made["type_human"], &made["is_value_set"]), (&json!("Discord Webhook"), &json!(true)));
    assert_eq!(made["notifications"], json!({"on_success": false, "on_failure": true}));
    let one = format!("{PATH}/{}", made["id"]);
    let changed = app.expect(&ann, ("PUT", &one), json!({"label": "Other"}), 200).await;
    assert_eq!(
        (&changed["data"]["label"], &changed["data"]["notifications"]),
        (&json!("Other"), &made["notifications"])
    );
    let changed = app.expect(&ann, ("PUT", &one), json!({"events": ["missed", "success"]}), 200).await;
    assert_eq!(changed["data"]["events"], json!(["success", "missed"]));
    assert_eq!(changed["data"]["notifications"], json!({"on_success": true, "on_failure": false}));
    let listed = app.expect(&ann, ("GET", &format!("{PATH}?search=oth")), Value::Null, 200).await;
    assert_eq!(listed["meta"]["total"], 1);
    let audit = app.expect(&ann, ("GET", "/api/audit-events"), Value::Null, 200).await;
    assert!(![made, changed, listed, audit].iter().any(|body| body.to_string().contains("CANARY")));
    let bob = app.person("b@example.org", Abilities::All).await;
    for (method, body) in [("GET", Value::Null), ("PUT", json!({"label": "x"})), ("DELETE", Value::Null)] {
        app.expect(&bob, (method, &one), body, 404).await;
    }
    let gone = app.expect(&ann, ("DELETE", &one), Value::Null, 200).await;
    assert_eq!(gone["message"], "Notification stream successfully deleted");
    app.expect(&ann, ("GET", &one), Value::Null, 404).await;
}

#[tokio::test]
async fn every_missing_field_is_told_at_once_and_odd_values_are_refused() {
    let app = App::start().await;
    let ann = app.person("a@example.org", Abilities::All).await;
    let errors = app.expect(&ann, ("POST", PATH), json!({}), 422).await["errors"].clone();
    let fields: Vec<_> = errors.as_object().expect("errors").keys().cloned().collect();
    assert_eq!(fields.len(), 6, "{errors}");
    for name in ["label", "type", "value", "notifications"] {
        assert_eq!(errors[name], json!([format!("The {name} field is required.")]));
    }
    for (change, field) in [
        (json!({"type": "discord"}), "type"),
        (json!({"value": "https://evil.example/api/webhooks/"}), "value"),
        (json!({"value": "x".repeat(256)}), "value"),
        (json!({"notifications": {"on_success": "maybe", "on_failure": true}}), "notifications.on_success"),
        (json!({"events": ["exploded"]}), "events.0"),
        (json!({"type": "gotify", "value": "tok"}), "config.server_url"),
        (json!({"type": "ntfy", "value": "t", "config": {"priority": 9}}), "config.priority"),
    ] {
        let mut body = discord();
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let errors = app.expect(&ann, ("POST", PATH), body, 422).await["errors"].clone();
        assert!(errors.get(field).is_some(), "{field}: {errors}");
    }
}

#[tokio::test]
async fn a_secret_does_not_follow_a_stream_to_another_receiver() {
    let app = App::start().await;
    let ann = app.person("a@example.org", Abilities::All).await;
    let gotify = json!({"label": "g", "type": "gotify", "value": "CANARYtoken", "events": [],
        "config": {"server_url": "https://push.example"}});
    let made = app.expect(&ann, ("POST", PATH), gotify, 201).await;
    let one = format!("{PATH}/{}", made["data"]["id"]);
    let other = json!({"config": {"server_url": "https://evil.example"}});
    let errors = app.expect(&ann, ("PUT", &one), other, 422).await["errors"].clone();
    assert!(errors.get("value").is_some(), "{errors}");
    app.expect(&ann, ("PUT", &one), json!({"type": "ntfy"}), 422).await;
    let both = json!({"value": "new", "config": {"server_url": "https://other.example"}});
    app.expect(&ann, ("PUT", &one), both, 200).await;
}

#[tokio::test]
async fn a_webhooks_secret_is_made_shown_once_and_entered_again_for_another_address() {
    let app = App::start().await;
    let ann = app.person("a@example.org", Abilities::All).await;
    let hook = json!({"label": "w", "type": "webhook", "value": "https://h.example/x", "events": ["failure"]});
    let made = app.expect(&ann, ("POST", PATH), hook, 201).await["data"].clone();
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    assert!(secret.starts_with("whsec_") && made["is_additional_value_set"] == true);
    let one = format!("{PATH}/{}", made["id"]);
    assert!(app.expect(&ann, ("GET", &one), Value::Null, 200).await["data"].get("secret").is_none());
    let errors =
        app.expect(&ann, ("PUT", &one), json!({"value": "https://evil.example/"}), 422).await["errors"].clone();
    assert!(errors.get("additional_value").is_some(), "{errors}");
    let two = json!({"value": "https://h.example/y", "additional_value": format!("{secret} {secret}")});
    app.expect(&ann, ("PUT", &one), two, 200).await;
}

#[tokio::test]
async fn without_a_worker_a_test_says_so() {
    let app = App::start().await;
    let ann = app.person("a@example.org", Abilities::All).await;
    let made = app.expect(&ann, ("POST", PATH), discord(), 201).await;
    let test = format!("{PATH}/{}/test", made["data"]["id"]);
    assert_eq!(app.expect(&ann, ("POST", &test), Value::Null, 503).await["code"], "no_worker");
}

#[tokio::test]
async fn null_clears_what_is_no_secret_and_a_token_that_may_be_missing() {
    let app = App::start().await;
    let ann = app.person("a@example.org", Abilities::All).await;
    let ntfy = json!({"label": "n", "type": "ntfy", "value": "topic", "additional_value": "tk_1", "events": [],
        "config": {"server_url": "https://push.example", "priority": 4}});
    let made = app.expect(&ann, ("POST", PATH), ntfy, 201).await;
    let one = format!("{PATH}/{}", made["data"]["id"]);
    let put = async |body: Value| app.expect(&ann, ("PUT", &one), body, 200).await["data"].clone();
    let stream = put(json!({"config": {"priority": null}})).await;
    assert_eq!(stream["config"], json!({"server_url": "https://push.example", "priority": null}), "the other stays");
    let stream = put(json!({"config": {"priority": 2}, "additional_value": null})).await;
    assert_eq!((&stream["is_additional_value_set"], &stream["config"]["priority"]), (&json!(false), &json!(2)));
    // Another server is another receiver: what is secret is entered again.
    let errors = app.expect(&ann, ("PUT", &one), json!({"config": null}), 422).await["errors"].clone();
    assert!(errors.get("value").is_some(), "{errors}");
    let stream = put(json!({"config": null, "value": "topic"})).await;
    assert_eq!(stream["config"], json!({"server_url": null, "priority": null}));

    let gotify = json!({"label": "g", "type": "gotify", "value": "tok", "events": [],
        "config": {"server_url": "https://push.example", "priority": 4}});
    let made = app.expect(&ann, ("POST", PATH), gotify, 201).await;
    let one = format!("{PATH}/{}", made["data"]["id"]);
    let none = json!({"config": {"server_url": null}, "value": "tok"});
    let errors = app.expect(&ann, ("PUT", &one), none, 422).await["errors"].clone();
    assert!(errors.get("config.server_url").is_some(), "{errors}");

    let hook = json!({"label": "w", "type": "webhook", "value": "https://h.example/x", "events": []});
    let made = app.expect(&ann, ("POST", PATH), hook, 201).await;
    let one = format!("{PATH}/{}", made["data"]["id"]);
    let kept = app.expect(&ann, ("PUT", &one), json!({"additional_value": null, "label": "x"}), 200).await;
    assert_eq!(kept["data"]["is_additional_value_set"], true, "a webhook is never unsigned");
}

#[tokio::test]
async fn a_webhooks_secret_is_changed_without_a_gap() {
    let app = App::start().await;
    let ann = app.person("a@example.org", Abilities::All).await;
    let hook = json!({"label": "Hook", "type": "webhook", "value": "https://example.net/x", "events": ["failure"]});
    let made = app.expect(&ann, ("POST", PATH), hook, 201).await["data"].clone();
    assert_eq!(made["previous_secret_until"], Value::Null);
    let one = format!("{PATH}/{}", made["id"]);
    let rotate = format!("{one}/rotate-secret");
    let sealed = "SELECT sealed_second_value, sealed_previous_second_value FROM notification_streams";
    let pool = app.database.owner_pool().await.unwrap();
    let pair =
        async || -> (Option<Vec<u8>>, Option<Vec<u8>>) { sqlx::query_as(sealed).fetch_one(&pool).await.unwrap() };
    let (first, _) = pair().await;
    let turned = app.expect(&ann, ("POST", &rotate), Value::Null, 200).await["data"].clone();
    assert!(turned["secret"].as_str().unwrap().starts_with("whsec_") && turned["secret"] != made["secret"]);
    let until = (app.now() + chrono::TimeDelta::hours(24)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    assert_eq!(turned["previous_secret_until"], json!(until));
    let (second, previous) = pair().await;
    assert!(previous == first && second != first);
    let shown = app.expect(&ann, ("GET", &one), Value::Null, 200).await;
    assert!(shown["data"].get("secret").is_none(), "it is shown once");
    app.expect(&ann, ("POST", &rotate), Value::Null, 200).await;
    assert_eq!(pair().await.1, second, "the one before that is dead");
    // Another receiver never sees a signature by the old one's secret.
    let moved = json!({"value": "https://example.com/y", "additional_value": made["secret"]});
    app.expect(&ann, ("PUT", &one), moved, 200).await;
    assert_eq!(pair().await.1, None);
    let other = app.expect(&ann, ("POST", PATH), discord(), 201).await;
    let rotate_other = format!("{PATH}/{}/rotate-secret", other["data"]["id"]);
    assert_eq!(app.expect(&ann, ("POST", &rotate_other), Value::Null, 409).await["code"], "no_signing_secret");
    let bob = app.person("b@example.org", Abilities::All).await;
    app.expect(&bob, ("POST", &rotate), Value::Null, 404).await;
    let audit = app.expect(&ann, ("GET", "/api/audit-events"), Value::Null, 200).await.to_string();
    assert!(audit.contains("notification_stream.rotate_secret") && !audit.contains("whsec_"), "{audit}");
}

#[tokio::test]
async fn the_body_on_every_channel_s_page_makes_a_stream() {
    let app = App::start().await;
    let ann = app.person("a@example.org", Abilities::All).await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/manual/notifications");
    for kind in holdfast_domain::notification::StreamKind::ALL {
        let name = kind.as_str().trim_end_matches("_webhook");
        let page = std::fs::read_to_string(format!("{folder}/{name}.md")).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (_, rest) = page.split_once("```json\n").unwrap();
        let body: Value = serde_json::from_str(rest.split("```").next().unwrap()).unwrap();
        assert_eq!(body["type"], kind.as_str());
        app.expect(&ann, ("POST", PATH), body, 201).await;
        for part in ["What arrives: ", "What it cannot do: "] {
            assert!(page.contains(part), "{name} does not say {part}");
        }
    }
}
