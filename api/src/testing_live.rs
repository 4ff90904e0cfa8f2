//! Live events in tests: what runs for them, and a client.

use crate::Routers;
use crate::live::Hub;
use crate::testing::App;
use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::Value;
use std::sync::Mutex;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// For one event to come, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Its two routers, and what runs beside them once somebody wants live events.
pub(crate) struct Served {
    pub public: Router,
    pub operator: Router,
    hub: Mutex<Option<Hub>>,
    /// Ends it, as a signal would.
    pub stop: CancellationToken,
}

impl From<Routers> for Served {
    fn from(Routers { public, operator, hub, .. }: Routers) -> Self {
        Self { public, operator, hub: Mutex::new(Some(hub)), stop: CancellationToken::new() }
    }
}

impl Served {
    /// At the first call.
    pub fn run_live(&self) {
        if let Some(hub) = self.hub.lock().unwrap().take() {
            tokio::spawn(hub.run([self.stop.clone(), CancellationToken::new()]));
        }
    }
}

impl App {
    /// The live events behind `path`, asked for with these headers.
    pub async fn events(&self, token: &str, path: &str, headers: &[(&str, &str)]) -> Events {
        self.routers.run_live();
        let mut request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.routers.public.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        Events::of(response)
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub name: String,
    pub id: String,
    pub data: Value,
}

/// An open stream.
pub(crate) struct Events {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    body: BodyDataStream,
    buffer: String,
}

impl Events {
    pub fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, headers: parts.headers, body: body.into_data_stream(), buffer: String::new() }
    }

    /// The next event; none at the end. Signs of life are passed over.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                match parse(&block) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("something comes");
            let Some(chunk) = chunk else {
                assert_eq!(self.buffer, "", "cut in the middle of an event");
                return None;
            };
            self.buffer.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    /// The next event of this name; those before it are dropped.
    pub async fn until(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("the stream ended before {name}"));
            if event.name == name {
                return event;
            }
        }
    }

    /// Everything to the end.
    pub async fn rest(&mut self) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}

fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let name = field("event")?.to_owned();
    let id = field("id").expect("every event has an id").to_owned();
    Some(Event { name, id, data: serde_json::from_str(field("data").unwrap()).unwrap() })
}
