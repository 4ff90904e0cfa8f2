//! One tenant can never touch another: for every route with an id, for every id in a body and for every filter, a foreign
//! id is answered byte for byte like an absent one, and the other team's rows stay as they were.

use super::world::{ABSENT, Shown, World, at, fields_of, is_everybodys, name, operation, rows_with_id};
use crate::extract::Need;
use crate::routes::rows;
use crate::testing::Answer;
use holdfast_domain::Abilities;
use serde_json::{Value, json};

fn assert_same(name: &str, one: &Answer, other: &Answer) {
    assert_eq!(one.status, other.status, "{name}");
    assert_eq!(String::from_utf8_lossy(&one.bytes), String::from_utf8_lossy(&other.bytes), "{name}");
    assert_eq!(one.headers, other.headers, "{name}");
}

#[tokio::test]
async fn a_foreign_id_in_a_path_is_an_absent_one() {
    let world = World::new().await;
    let before = world.anns_rows().await;
    let admin = Shown::Bearer(world.bob.person.token.clone());
    let session = Shown::Cookie(world.app.session(&world.bob.person).await);
    let mut checked = 0;
    for row in rows_with_id().filter(|row| !is_everybodys(&row.path)) {
        let body = world.bob.body(&row);
        for who in [&admin, &session] {
            let is_token = matches!(who, Shown::Bearer(_));
            if is_token && row.need == Need::Session {
                continue;
            }
            let name = format!("{} by {}", name(&row), if is_token { "token" } else { "session" });
            let ask = async |id: &str| world.app.as_who(who, 1, (&row.method, &at(&row, id)), &body).await;
            let foreign = ask(&world.ann.id(&row.path).to_string()).await;
            assert_eq!(foreign.status, 404, "{name}: {}", String::from_utf8_lossy(&foreign.bytes));
            for absent in [&ABSENT.to_string(), "0", "9007199254740991", "9007199254740992", "-1", "x", "1%00"] {
                assert_same(&format!("{name}, {absent}"), &foreign, &ask(absent).await);
            }
        }
        checked += 1;
    }
    assert!(checked >= 40, "only {checked} routes have an id");
    assert_eq!(world.anns_rows().await, before, "Ann's rows changed");
}

/// Without this, the sweep above could pass because its bodies are bad, or because nobody has a thing by these ids.
#[tokio::test]
async fn the_same_calls_reach_what_is_ones_own() {
    let world = World::new().await;
    let admin = Shown::Bearer(world.ann.person.token.clone());
    let session = Shown::Cookie(world.app.session(&world.ann.person).await);
    let mut all: Vec<_> = rows_with_id().collect();
    // What takes things away comes last, from the inside out.
    let rank = |method: &str| ["GET", "POST", "PUT", "PATCH", "DELETE"].iter().position(|one| *one == method);
    all.sort_by_key(|row| (rank(&row.method), std::cmp::Reverse(row.path.clone())));
    for row in all {
        // A webhook is known by its secret alone, and nobody can end themselves.
        let (team, who) = match row.path.as_str() {
            "/webhooks/backup-tasks/{id}/run" => continue,
            path if path.starts_with("/api/system/users") => (&world.bob, &admin),
            _ if row.need == Need::Session => (&world.ann, &session),
            _ => (&world.ann, &admin),
        };
        if row.method != "GET" && row.path == "/api/system/users/{id}" {
            continue;
        }
        let answer = world.app.as_who(who, 1, (&row.method, &at(&row, team.id(&row.path))), &team.body(&row)).await;
        let is_reached = matches!(answer.status.as_u16(), 200..=299 | 409 | 503);
        let text = String::from_utf8_lossy(&answer.bytes);
        assert!(is_reached, "{}: {} {text}", name(&row), answer.status);
    }
}

/// `body` with `value` at the end of `path`.
fn with(mut body: Value, path: &[String], value: Value) -> Value {
    if path == ["backup_destination_ids"] {
        // The singular is the first of the plural: both at once are two answers to one question.
        body.as_object_mut().unwrap().remove("backup_destination_id");
    }
    let place = path.iter().fold(&mut body, |inner, key| &mut inner[key.as_str()]);
    *place = value;
    body
}

#[tokio::test]
async fn a_foreign_id_in_a_body_is_an_absent_one() {
    let world = World::new().await;
    let before = world.anns_rows().await;
    let document = serde_json::to_value(crate::openapi()).unwrap();
    let who = Shown::Bearer(world.bob.person.token.clone());
    let mut checked = 0;
    for row in rows() {
        for (path, schema) in fields_of(&document, &row) {
            let field = path.last().unwrap();
            let is_list = schema["type"].to_string().contains("array");
            let (Some(anns), Some(bobs)) = (world.ann.named(field), world.bob.named(field)) else { continue };
            if row.path == "/api/system/teams/{id}/limits" {
                // Numbers of things, under the names of the things.
                continue;
            }
            let name = format!("{} {}", name(&row), path.join("."));
            let url = if row.path.contains("{id}") { at(&row, world.bob.id(&row.path)) } else { row.path.clone() };
            let ask = async |value: Value| {
                let body = with(world.bob.body(&row), &path, value);
                world.app.as_who(&who, 1, (&row.method, &url), &body).await
            };
            let forms: &[fn(i64, i64) -> Value] =
                if is_list { &[|id, _| json!([id]), |id, own| json!([own, id])] } else { &[|id, _| json!(id)] };
            for form in forms {
                let foreign = ask(form(anns, bobs)).await;
                assert_eq!(foreign.status, 422, "{name}: {}", String::from_utf8_lossy(&foreign.bytes));
                assert_same(&name, &foreign, &ask(form(ABSENT, bobs)).await);
            }
            let own = ask(if is_list { json!([bobs]) } else { json!(bobs) }).await;
            assert_ne!(own.status, 422, "{name}: {}", String::from_utf8_lossy(&own.bytes));
            checked += 1;
        }
    }
    assert!(checked >= 12, "only {checked} fields name a thing");
    assert_eq!(world.anns_rows().await, before, "Ann's rows changed");
}

#[tokio::test]
async fn lists_and_filters_show_the_own_team_alone() {
    let world = World::new().await;
    let carl = world.app.person("carl@example.com", Abilities::All).await;
    let who = Shown::Bearer(carl.token.clone());
    let document = serde_json::to_value(crate::openapi()).unwrap();
    let mut filters = 0;
    for row in rows().into_iter().filter(|row| row.method == "GET" && !row.path.contains('{')) {
        let answer = world.app.as_who(&who, 1, ("GET", &row.path), &Value::Null).await;
        if answer.status != 200 || answer.headers["content-type"] != "application/json" {
            continue;
        }
        let data = answer.json()["data"].clone();
        if row.path == "/api/audit-events" {
            // That Carl was refused one thing or another is Carl's own.
            let events = data.as_array().unwrap();
            assert!(events.iter().all(|event| event["actor"]["user_id"] == carl.user_id.0), "{data}");
        } else if data.is_array() {
            assert_eq!(data, json!([]), "{}", row.path);
        }
        for parameter in operation(&document, &row)["parameters"].as_array().into_iter().flatten() {
            let named = parameter["name"].as_str().unwrap();
            let field = named.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']'));
            let thing = match field {
                Some("backup_task_id") => world.ann.id("/api/backup-tasks/{id}"),
                Some("backup_id") => world.ann.id("/api/backups/{id}"),
                Some("user_id") => world.ann.person.user_id.0,
                Some("tag") => world.ann.id("/api/tags/{id}"),
                Some(field) => match world.ann.named(field) {
                    Some(thing) => thing,
                    None => continue,
                },
                None => continue,
            };
            let ask = async |id: i64| {
                let answer =
                    world.app.as_who(&who, 1, ("GET", &format!("{}?{named}={id}", row.path)), &Value::Null).await;
                (answer.status, String::from_utf8_lossy(&answer.bytes).replace(&format!("%5D={id}"), "%5D=ID"))
            };
            assert_eq!(ask(thing).await, ask(ABSENT).await, "{} {named}", row.path);
            filters += 1;
        }
    }
    assert!(filters >= 9, "only {filters} filters name a thing");
}

#[tokio::test]
async fn two_teams_may_have_the_same_server() {
    let world = World::new().await;
    let body = json!({"label": "s", "ip_address": "10.0.0.1", "username": "root", "port": 22});
    let again = world.app.call(&world.bob.person.token, "POST", "/api/remote-servers", body).await;
    assert_eq!(again.status, 422, "one team has an address once");
    assert_eq!(again.json()["errors"]["ip_address"][0], "The ip address has already been taken.");
    // Both teams have registered the same address already: that it worked is the point of this test.
    let of = |team: &super::world::Team| team.id("/api/remote-servers/{id}");
    assert_ne!(of(&world.ann), of(&world.bob));
}
