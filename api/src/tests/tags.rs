//! Tags, and what is attached to tasks.

use crate::testing::App;
use holdfast_domain::Abilities;
use serde_json::{Value, json};

#[tokio::test]
async fn a_tag_is_made_changed_and_removed_with_the_peers_rules() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.expect(&ann, ("POST", "/api/tags"), json!({"label": "Prod", "colour": "#f60"}), 201).await;
    let expected = json!({"data": {
        "id": 1, "user_id": ann.user_id.0, "label": "Prod", "description": null, "colour": "#f60",
        "created_at": "2024-08-07T03:06:40Z", "updated_at": "2024-08-07T03:06:40Z"
    }});
    assert_eq!(made, expected);
    app.expect(&ann, ("POST", "/api/tags"), json!({"label": "Prod"}), 201).await;
    assert_eq!(app.expect(&ann, ("GET", "/api/tags/1"), Value::Null, 200).await, expected);
    let list = app.expect(&ann, ("GET", "/api/tags?sort=-id"), Value::Null, 200).await;
    assert_eq!((&list["data"][0]["id"], &list["data"][1]), (&json!(2), &expected["data"]));
    app.expect(&ann, ("PUT", "/api/tags/1"), json!({}), 200).await;
    let cleared = app.expect(&ann, ("PUT", "/api/tags/1"), json!({"colour": null, "description": "d"}), 200).await;
    assert_eq!(
        (&cleared["data"]["colour"], &cleared["data"]["description"], &cleared["data"]["label"]),
        (&Value::Null, &json!("d"), &json!("Prod"))
    );
    let gone = app.expect(&ann, ("DELETE", "/api/tags/1"), Value::Null, 200).await;
    assert_eq!(gone, json!({"message": "Tag successfully deleted"}));
    let absent = app.expect(&ann, ("GET", "/api/tags/1"), Value::Null, 404).await;
    assert_eq!(absent, json!({"error": "Not Found", "message": "Tag not found", "code": "not_found"}));
}

#[tokio::test]
async fn what_is_wrong_with_a_tag_is_told_in_the_peers_words() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let hex = "The colour must be a valid hex color code (e.g., #d37445 or #f60).";
    for (body, errors) in [
        (json!({}), json!({"label": ["The label field is required."]})),
        (json!({"label": ""}), json!({"label": ["The label field is required."]})),
        (json!({"label": 5}), json!({"label": ["The label field must be a string."]})),
        (
            json!({"label": "x".repeat(256)}),
            json!({"label": ["The label field must not be greater than 255 characters."]}),
        ),
        (
            json!({"label": "t", "description": "x".repeat(1001)}),
            json!({"description": ["The description field must not be greater than 1000 characters."]}),
        ),
        (json!({"label": "t", "colour": "red"}), json!({"colour": [hex]})),
        (json!({"label": "t", "colour": 5}), json!({"colour": ["The colour field must be a string.", hex]})),
    ] {
        let answer = app.expect(&ann, ("POST", "/api/tags"), body.clone(), 422).await;
        assert_eq!(answer["errors"], errors, "{body}");
        assert_eq!(
            (&answer["error"], &answer["message"]),
            (&json!("Validation Error"), &json!("The given data was invalid."))
        );
    }
    let tag = app.tag(&ann, "t").await;
    app.expect(&ann, ("PUT", &format!("/api/tags/{tag}")), json!({"label": null}), 422).await;
}

#[tokio::test]
async fn tags_and_streams_are_attached_and_taken_off() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let (prod, web) = (app.tag(&ann, "Prod").await, app.tag(&ann, "web").await);
    let streams = [app.stream(&ann).await, app.stream(&ann).await];
    let path = format!("/api/backup-tasks/{}", made.task);
    let put = |body: Value| app.expect(&ann, ("PUT", &path), body, 200);
    let task = put(json!({"tags": [web, prod], "notification_streams": streams})).await["data"].clone();
    assert_eq!(task["tags"], json!([{"id": prod, "label": "Prod"}, {"id": web, "label": "web"}]));
    assert_eq!(task["notification_streams"], json!(streams));
    assert_eq!(task["notification_streams_count"], 2);
    let task = put(json!({"label": "x"})).await["data"].clone();
    assert_eq!((task["tags"].as_array().unwrap().len(), &task["notification_streams_count"]), (2, &json!(2)), "absent");
    let task = put(json!({"tags": [], "notification_streams": null})).await["data"].clone();
    assert_eq!((&task["tags"], &task["notification_streams"]), (&json!([]), &json!([])));
    put(json!({"tags": [prod, web]})).await;
    app.expect(&ann, ("DELETE", &format!("/api/tags/{web}")), Value::Null, 200).await;
    let task = app.expect(&ann, ("GET", &path), Value::Null, 200).await["data"].clone();
    assert_eq!(task["tags"], json!([{"id": prod, "label": "Prod"}]));
    let user = app.expect(&ann, ("GET", "/api/user"), Value::Null, 200).await["data"].clone();
    let related = &user["related_entities"];
    assert_eq!((&related["tags"], &related["notification_streams"]), (&json!(1), &json!(2)));
    let mut body = crate::testing::task_body(made.server, made.destination);
    body["tags"] = json!([prod]);
    body["notification_streams"] = json!([streams[1]]);
    let created = app.expect(&ann, ("POST", "/api/backup-tasks"), body, 201).await["data"].clone();
    assert_eq!((&created["tags"][0]["id"], &created["notification_streams"]), (&json!(prod), &json!([streams[1]])));
    for (body, errors) in [
        (json!({"tags": [prod, 999]}), json!({"tags": ["The selected tags is invalid."]})),
        (
            json!({"notification_streams": [999]}),
            json!({"notification_streams": ["The selected notification streams is invalid."]}),
        ),
        (json!({"tags": "x"}), json!({"tags": ["The tags field must be an array."]})),
        (json!({"tags": ["x"]}), json!({"tags.0": ["The tags.0 field must be an integer."]})),
    ] {
        assert_eq!(app.expect(&ann, ("PUT", &path), body, 422).await["errors"], errors);
    }
}
