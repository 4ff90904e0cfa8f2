//! A browser with cookies and an address, a person with a password, and the mails that a worker would find.

use crate::extract::client_address::Peer;
use crate::testing::{Answer, App, Person};
use axum::body::Body;
use axum::http::{Request, header};
use holdfast_domain::Abilities;
use holdfast_domain::account_mail::{AccountMailBody, NO_TEAM};
use holdfast_vault::totp::TotpSecret;
use holdfast_vault::{SealContext, SealedColumn};
use rand::{SeedableRng, rngs::StdRng};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) const PASSWORD: &str = "correct horse battery";

/// What a browser does by itself: it keeps cookies and says where the page is from.
#[derive(Clone)]
pub(super) struct Browser {
    pub cookies: BTreeMap<String, String>,
    pub address: &'static str,
}

impl Browser {
    pub fn at(address: &'static str) -> Self {
        Self { cookies: BTreeMap::new(), address }
    }

    pub fn session(&self) -> String {
        self.cookies.get("holdfast_session").cloned().unwrap_or_default()
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Request<Body> {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, "application/json");
        request = request.header(header::ORIGIN, "http://example.com");
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
        };
        let mut request = request.body(body).unwrap();
        request.extensions_mut().insert(Peer(self.address.parse().unwrap()));
        request
    }

    /// As the browser would ask now, without keeping what comes back.
    pub async fn peek(&self, app: &App, method: &str, path: &str, body: Value) -> Answer {
        app.send(self.request(method, path, &body)).await
    }

    pub async fn ask(&mut self, app: &App, method: &str, path: &str, body: Value) -> Answer {
        let answer = self.peek(app, method, path, body).await;
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            assert!(text.contains("; Path=/;") && text.contains("; HttpOnly; SameSite=Lax"), "{text}");
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    /// As [`Browser::ask`], and the answer must have `status`.
    pub async fn must(&mut self, app: &App, request: (&str, &str), body: Value, status: u16) -> Value {
        let answer = self.ask(app, request.0, request.1, body).await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert_eq!(answer.status.as_u16(), status, "{} {}: {text}", request.0, request.1);
        answer.json()
    }

    pub async fn log_in(&mut self, app: &App, email: &str, password: &str) -> Answer {
        self.ask(app, "POST", "/api/auth/login", json!({"email": email, "password": password})).await
    }

    /// What `GET /api/user` says: 200 in a session, 401 out of one.
    pub async fn status(&self, app: &App) -> u16 {
        self.peek(app, "GET", "/api/user", Value::Null).await.status.as_u16()
    }
}

/// A person whose password is [`PASSWORD`].
pub(super) async fn person(app: &App, email: &str) -> Person {
    let person = app.person(email, Abilities::All).await;
    let hash = holdfast_vault::password::hash(PASSWORD, &mut StdRng::seed_from_u64(5)).unwrap();
    let pool = app.database.owner_pool().await.unwrap();
    let set = "UPDATE users SET password_hash = $2 WHERE id = $1";
    sqlx::query(set).bind(person.user_id.0).bind(hash).execute(&pool).await.unwrap();
    person
}

/// A browser in which that person is logged in.
pub(super) async fn logged_in(app: &App, email: &str) -> Browser {
    let mut browser = Browser::at("198.51.100.1");
    let answer = browser.log_in(app, email, PASSWORD).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
    browser
}

/// Turns two-factor log-in on; the app's secret, and the recovery codes.
pub(super) async fn two_factor(app: &App, browser: &mut Browser) -> (TotpSecret, Vec<String>) {
    let begun = browser.must(app, ("POST", "/api/user/two-factor"), Value::Null, 201).await;
    let secret = begun["data"]["secret"].as_str().unwrap().to_owned();
    assert!(begun["data"]["uri"].as_str().unwrap().contains(&secret));
    let secret = TotpSecret::from_base32(&secret).unwrap();
    let code = json!({"code": secret.code_at(app.now().timestamp())});
    let on = browser.must(app, ("POST", "/api/user/two-factor/confirm"), code, 200).await;
    let codes = on["data"]["recovery_codes"].as_array().unwrap();
    (secret, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

/// Kind, address and content of every mail that waits, oldest first.
pub(super) async fn mails(app: &App) -> Vec<(String, String, AccountMailBody)> {
    let pool = app.database.owner_pool().await.unwrap();
    let rows: Vec<(String, String, uuid::Uuid, Vec<u8>)> = sqlx::query_as(
        "SELECT kind, email, seal_id, sealed_payload FROM account_mails WHERE status = 'waiting' ORDER BY id",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(kind, email, seal_id, sealed)| {
            let place = SealContext::new(NO_TEAM, SealedColumn::AccountMailPayload, seal_id);
            let text = app.opener.open_text(&place, &sealed).unwrap();
            (kind, email, serde_json::from_str(text.expose_secret()).unwrap())
        })
        .collect()
}

/// The secret of the newest link of `kind` that went to `email`.
pub(super) async fn link(app: &App, kind: &str, email: &str) -> String {
    let found = mails(app).await.into_iter().rev().find(|(k, to, _)| k == kind && to == email);
    let (_, _, body) = found.unwrap_or_else(|| panic!("no {kind} for {email}"));
    assert_eq!(body.base.as_deref(), Some("http://example.com"), "whatever a request says of its host");
    body.secret.unwrap()
}
