//! `jump`: the servers through which a server is reached. They are the team's own, named by id, so that each of them has
//! its own log-in and its own confirmed host key; nothing here may take an address instead.

use crate::extract::id::MAX_ID;
use crate::problem::{FieldErrors, Problem};
use crate::validation::{Fields, Mode, Presence, texts};
use holdfast_domain::ids::RemoteServerId;
use holdfast_store::TeamTx;

/// How long a way may be: each server of it costs a handshake and carries all bytes of what is behind it.
const JUMPS_MAX: usize = 3;

/// The list as sent; `null` or nothing at all in an update takes it away.
pub(super) fn read(fields: &mut Fields) -> Option<Vec<i64>> {
    let is_taken_away = fields.mode() == Mode::Update && fields.is_null("jump");
    fields.integers("jump", Presence::Optional, JUMPS_MAX).or(is_taken_away.then(Vec::new))
}

/// How a server is to be reached.
pub(super) struct Way<'a> {
    pub(super) transport: &'a str,
    pub(super) auth_method: &'a str,
    pub(super) jump: &'a [i64],
    /// The server itself, where it is there already.
    pub(super) own: Option<RemoteServerId>,
}

impl Way<'_> {
    /// 422 for an id that is not the team's, for the server itself, and where `ssh` would need a password. The rows are
    /// kept until the transaction ends: a jump host that somebody deletes meanwhile is seen here, or sees this server.
    ///
    /// # Errors
    /// As said, or the database failed.
    pub(super) async fn check(&self, tx: &TeamTx) -> Result<(), Problem> {
        let refused = |field: &str, text: String| Err(Problem::validation(FieldErrors::one(field, text)));
        let needs_keys = self.transport == "openssh";
        if needs_keys && self.auth_method == "password" {
            let text = "The transport openssh logs in with keys only: choose another auth_method.";
            return refused("transport", text.to_owned());
        }
        if self.jump.is_empty() {
            return Ok(());
        }
        let can_exist = self.jump.iter().all(|id| (1..=MAX_ID).contains(id));
        let kept = if can_exist { tx.remote_servers().keep(self.jump).await? } else { Vec::new() };
        if kept.len() != self.jump.len() || self.own.is_some_and(|own| self.jump.contains(&own.0)) {
            return refused("jump", texts::selected("jump"));
        }
        if needs_keys && kept.iter().any(|row| row.auth_method == "password") {
            let text = "The transport openssh logs in with keys only, and a jump host has a password.";
            return refused("jump", text.to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::App;
    use holdfast_domain::Abilities;
    use serde_json::{Value, json};

    fn server(host: &str, more: &Value) -> Value {
        let mut body = json!({"label": host, "ip_address": host, "username": "root", "port": 22});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }

    #[tokio::test]
    async fn a_way_is_made_of_the_teams_own_servers() {
        let app = App::start().await;
        let ann = app.person("ann@example.com", Abilities::All).await;
        let bob = app.person("bob@example.com", Abilities::All).await;
        let make = async |who, host: &str, more: Value| {
            let made = app.expect(who, ("POST", "/api/remote-servers"), server(host, &more), 201).await;
            made["data"].clone()
        };
        let bastion = make(&ann, "bastion.example", json!({})).await["id"].as_i64().unwrap();
        let foreign = make(&bob, "bastion.example", json!({})).await["id"].as_i64().unwrap();
        let behind = make(&ann, "10.0.0.5", json!({"jump": [bastion]})).await;
        assert_eq!(behind["connection"]["jump"], json!([bastion]));
        // The same private address behind nothing is another server.
        make(&ann, "10.0.0.5", json!({})).await;
        for jump in [json!([foreign]), json!([9_999_999]), json!([bastion, foreign]), json!([0]), json!([-1])] {
            let body = server("10.0.0.6", &json!({"jump": jump}));
            let refused = app.expect(&ann, ("POST", "/api/remote-servers"), body, 422).await;
            assert_eq!(refused["errors"], json!({"jump": ["The selected jump is invalid."]}), "{jump}");
        }
        for jump in [json!("x"), json!([1, 2, 3, 4]), json!([bastion, bastion]), json!(["x"])] {
            let body = server("10.0.0.6", &json!({"jump": jump}));
            app.expect(&ann, ("POST", "/api/remote-servers"), body, 422).await;
        }
        let path = format!("/api/remote-servers/{bastion}");
        let refused = app.expect(&ann, ("PUT", &path), json!({"jump": [bastion]}), 422).await;
        assert_eq!(refused["errors"], json!({"jump": ["The selected jump is invalid."]}));
    }

    #[tokio::test]
    async fn a_jump_host_stays_until_nothing_is_behind_it() {
        let app = App::start().await;
        let ann = app.person("ann@example.com", Abilities::All).await;
        let made = app.expect(&ann, ("POST", "/api/remote-servers"), server("bastion.example", &json!({})), 201).await;
        let bastion = format!("/api/remote-servers/{}", made["data"]["id"]);
        let body = server("10.0.0.5", &json!({"jump": [made["data"]["id"]]}));
        let made = app.expect(&ann, ("POST", "/api/remote-servers"), body, 201).await;
        let behind = format!("/api/remote-servers/{}", made["data"]["id"]);
        for path in [bastion.clone(), format!("{bastion}?cascade=1")] {
            let refused = app.expect(&ann, ("DELETE", &path), Value::Null, 409).await;
            assert_eq!(
                (&refused["code"], &refused["counts"]["remote_servers"]),
                (&json!("in_use"), &json!(1)),
                "{refused}"
            );
        }
        let taken_out = app.expect(&ann, ("PUT", &behind), json!({"jump": null}), 200).await;
        assert_eq!(taken_out["data"]["connection"]["jump"], json!([]));
        app.expect(&ann, ("DELETE", &bastion), Value::Null, 200).await;
    }

    #[tokio::test]
    async fn another_way_is_another_server_for_secrets_and_the_pinned_key() {
        let app = App::start().await;
        let ann = app.person("ann@example.com", Abilities::All).await;
        let made = app.expect(&ann, ("POST", "/api/remote-servers"), server("bastion.example", &json!({})), 201).await;
        let jump = json!([made["data"]["id"]]);
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9lCpnRwkUjMY4Jaj2FPsp3OXAj8tRwGFXhYzp3Q1pS";
        let secret = json!({"auth_method": "password", "password": "CANARY", "host_key": key});
        let made = app.expect(&ann, ("POST", "/api/remote-servers"), server("h.example", &secret), 201).await;
        let path = format!("/api/remote-servers/{}", made["data"]["id"]);
        let refused = app.expect(&ann, ("PUT", &path), json!({"jump": jump}), 422).await;
        assert!(refused["errors"]["password"].is_array(), "{refused}");
        let changed = app.expect(&ann, ("PUT", &path), json!({"jump": jump, "password": "CANARY"}), 200).await;
        assert_eq!(changed["data"]["host_key"], Value::Null);
        assert_eq!(changed["data"]["connection"]["jump"], jump);
    }

    #[tokio::test]
    async fn openssh_is_for_servers_with_keys() {
        let app = App::start().await;
        let ann = app.person("ann@example.com", Abilities::All).await;
        let make = async |host: &str, more: Value, status: u16| {
            app.expect(&ann, ("POST", "/api/remote-servers"), server(host, &more), status).await
        };
        let keyed = make("a.example", json!({"transport": "openssh"}), 201).await;
        assert_eq!(keyed["data"]["connection"]["transport"], "openssh");
        assert_eq!(make("b.example", json!({}), 201).await["data"]["connection"]["transport"], "russh");
        make("c.example", json!({"transport": "telnet"}), 422).await;
        let password = json!({"auth_method": "password", "password": "CANARY"});
        let with_password = make("d.example", password, 201).await["data"]["id"].clone();
        let both = json!({"auth_method": "password", "password": "CANARY", "transport": "openssh"});
        assert!(make("e.example", both, 422).await["errors"]["transport"].is_array());
        let through = json!({"transport": "openssh", "jump": [with_password]});
        assert!(make("f.example", through, 422).await["errors"]["jump"].is_array());
        let path = format!("/api/remote-servers/{with_password}");
        let refused = app.expect(&ann, ("PUT", &path), json!({"transport": "openssh"}), 422).await;
        assert!(refused["errors"]["transport"].is_array(), "{refused}");
    }
}
