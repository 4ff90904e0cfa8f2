//! Deliveries over a real socket: what is on the wire, and what receivers that misbehave can do. The receivers are
//! listeners of this file, not the services' own servers.

mod common;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use common::{HOSTILE, SECRET, message, notifier};
use holdfast_notify::{DeliveryCode, Retry, Target};
use secrecy::SecretString;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Seen = Arc<Mutex<Vec<(Uri, HeaderMap, Bytes)>>>;

struct Receiver {
    url: String,
    seen: Seen,
    serving: JoinHandle<()>,
}

impl Receiver {
    async fn new(answer: fn() -> Response) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let seen = Seen::default();
        let noted = seen.clone();
        let app = Router::new().fallback(async move |uri: Uri, headers: HeaderMap, body: Bytes| {
            noted.lock().expect("a list").push((uri, headers, body));
            answer()
        });
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { url, seen, serving }
    }

    fn count(&self) -> usize {
        self.seen.lock().expect("a list").len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn fine() -> Response {
    "ok".into_response()
}

fn targets(url: &str) -> Vec<(&'static str, Target)> {
    let secret = || SecretString::from(SECRET);
    let hook = || SecretString::from(format!("{url}/{SECRET}"));
    let signing = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    vec![
        ("discord", Target::Discord { url: hook() }),
        ("slack", Target::Slack { url: hook() }),
        ("teams", Target::Teams { url: hook() }),
        ("pushover", Target::Pushover { token: secret(), user: secret() }),
        ("telegram", Target::Telegram { bot_token: None, chat_id: SecretString::from("-100") }),
        ("ntfy", Target::Ntfy { server: None, topic: secret(), token: Some(secret()), priority: None }),
        ("gotify", Target::Gotify { server: url.to_owned(), token: secret(), priority: None }),
        ("webhook", Target::Webhook { url: hook(), secrets: vec![signing] }),
    ]
}

#[tokio::test]
async fn every_channel_delivers_and_no_label_becomes_a_header_or_a_line() {
    let receiver = Receiver::new(fine).await;
    let notifier = notifier(&receiver.url, &["127.0.0.0/8"]);
    let long = "ä𝕏\"".repeat(3_000);
    for text in [HOSTILE, &long] {
        for (name, target) in targets(&receiver.url) {
            notifier.deliver(&target, &message(text)).await.unwrap_or_else(|e| panic!("{name}: {e}"));
            let (_, headers, body) = receiver.seen.lock().expect("a list").pop().expect("a request");
            assert!(!headers.contains_key("bcc"), "{name}");
            let body = String::from_utf8(body.to_vec()).expect("UTF-8");
            assert!(!body.contains('\r') && !body.contains('\n'), "{name}: {body}");
            assert!(name == "webhook" || !body.contains('\u{202e}'), "{name}: {body}");
        }
    }
}

#[tokio::test]
async fn a_blocked_address_sees_no_connection() {
    let receiver = Receiver::new(fine).await;
    let notifier = notifier(&receiver.url, &[]);
    for (name, target) in targets(&receiver.url) {
        let error = notifier.deliver(&target, &message("x")).await.expect_err(name);
        assert_eq!((error.code, error.retry), (DeliveryCode::BlockedEgress, Retry::Final), "{name}");
    }
    assert_eq!(receiver.count(), 0);
}

/// An answer, and what it must come to.
type Case = (fn() -> Response, DeliveryCode, Retry);

#[tokio::test]
async fn answers_are_sorted_and_none_of_their_words_come_back() {
    let redirect = || (StatusCode::TEMPORARY_REDIRECT, [("location", "/LEAK")], "LEAK").into_response();
    let limited = || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "30")], "LEAK").into_response();
    // A date that is over asks for no more than the usual pause.
    let dated =
        || (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]).into_response();
    let unavailable = || (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "30")], "LEAK").into_response();
    let told = Retry::Retry { after: Some(Duration::from_secs(30)) };
    let again = Retry::Retry { after: None };
    let cases: [Case; 6] = [
        (dated, DeliveryCode::ReceiverFailing, Retry::Retry { after: Some(Duration::ZERO) }),
        (unavailable, DeliveryCode::ReceiverFailing, told),
        (redirect, DeliveryCode::RedirectRefused, Retry::Final),
        (limited, DeliveryCode::RateLimited, told),
        (|| (StatusCode::INTERNAL_SERVER_ERROR, "LEAK").into_response(), DeliveryCode::ReceiverFailing, again),
        (|| (StatusCode::FORBIDDEN, "LEAK").into_response(), DeliveryCode::Refused, Retry::Final),
    ];
    for (answer, code, retry) in cases {
        let receiver = Receiver::new(answer).await;
        let notifier = notifier(&receiver.url, &["127.0.0.0/8"]);
        let targets = targets(&receiver.url);
        let many = targets.len();
        for (name, target) in targets {
            let error = notifier.deliver(&target, &message("x")).await.expect_err(name);
            assert_eq!((error.code, error.retry), (code, retry), "{name}");
            let text = format!("{error} {error:?}");
            assert!(!text.contains("LEAK") && !text.contains("CANARY") && !text.contains("127.0.0.1"), "{text}");
        }
        assert_eq!(receiver.count(), many, "one request each: nothing is followed or repeated");
    }
}

#[tokio::test]
async fn endless_silent_and_rude_receivers_end_in_time() {
    let endless = || {
        let chunk = || Some((Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b'x'; 65_536])), ()));
        let pieces = futures_util::stream::unfold((), move |()| async move { chunk() });
        (StatusCode::TOO_MANY_REQUESTS, Body::from_stream(pieces)).into_response()
    };
    let receiver = Receiver::new(endless).await;
    let hook = Target::Discord { url: SecretString::from(receiver.url.clone()) };
    let endless = notifier(&receiver.url, &["127.0.0.0/8"]);
    let error = endless.deliver(&hook, &message("x")).await.expect_err("limited");
    assert_eq!(error.code, DeliveryCode::RateLimited);

    // Accepts and says nothing; accepts and closes; does not accept.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let rude = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let shut = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = |l: &TcpListener| format!("http://{}/{SECRET}", l.local_addr().expect("its address"));
    let urls = [address(&silent), address(&rude), address(&shut)];
    drop(shut);
    let closing = tokio::spawn(async move { while rude.accept().await.is_ok() {} });
    for url in urls {
        let begun = Instant::now();
        let hook = Target::Discord { url: SecretString::from(url.clone()) };
        let error = notifier(&receiver.url, &["127.0.0.0/8"]).deliver(&hook, &message("x")).await.expect_err(&url);
        assert_eq!((error.code, error.retry), (DeliveryCode::Unreachable, Retry::Retry { after: None }), "{url}");
        assert!(begun.elapsed() < Duration::from_secs(5) && !format!("{error:?}").contains("CANARY"), "{url}");
    }
    closing.abort();
    drop(silent);
}

#[tokio::test]
async fn without_a_mail_server_or_a_bot_the_reason_is_told() {
    let notifier = notifier("http://127.0.0.1:1", &[]);
    let email = Target::Email { to: "a@example.org".to_owned() };
    let error = notifier.deliver(&email, &message("x")).await.expect_err("no mail");
    assert_eq!((error.code, error.retry), (DeliveryCode::MailOff, Retry::Final));
}
