//! What is under way, told as it happens (server-sent events). One task of the process reads each watched row when the
//! database says that it changed, makes the events once, and gives them to every reader of the row; a reader's own query is
//! for what it missed, when it comes. Nothing here may hold more for a reader than the ring of its row: one that does not
//! keep up is ended, and goes on from its last event when it comes again.

mod events;
mod hub;
mod listening;
mod places;
mod reader;
mod rights;
mod row;

pub(crate) use hub::Hub;

use crate::problem::Problem;
use crate::state::Clock;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use events::Position;
use holdfast_domain::ids::TeamId;
use holdfast_store::live::Watched;
use holdfast_store::{Access, Store};
use hub::Subscription;
use places::Places;
use prometheus::IntGauge;
use reader::Reader;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Who waits for a row's first read longer than this is told that the database does not answer.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers that wait for the hub to take them in.
const WAITING: usize = 256;

/// `http.event_streams…`: how many streams may be open in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// All together.
    pub all: u32,
    /// Of one team.
    pub per_team: u32,
    /// Of one person.
    pub per_user: u32,
}

/// What the readers of one row have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    team: TeamId,
    subject: Watched,
}

/// A reader that wants a row.
struct Request {
    key: Key,
    reply: oneshot::Sender<Subscription>,
}

/// The way to live rows, for handlers.
#[derive(Clone)]
pub(crate) struct Live {
    store: Store,
    clock: Clock,
    requests: mpsc::Sender<Request>,
    places: Arc<Places>,
    closing: CancellationToken,
}

impl Live {
    /// The handle, and what has to run for it.
    pub(crate) fn new(
        store: Store,
        clock: Clock,
        limits: StreamLimits,
        open: IntGauge,
        idle: TimeDelta,
    ) -> (Self, Hub) {
        let (requests, inbox) = mpsc::channel(WAITING);
        let places = Arc::new(Places::new(limits, open));
        let live = Self { store, clock, requests, places, closing: CancellationToken::new() };
        let hub = Hub::new(live.clone(), inbox, idle);
        (live, hub)
    }

    /// The events of a row that `access` may see, after the event called `last` if there is one.
    ///
    /// # Errors
    /// 429 and 503: there are too many streams; 503: the database does not answer, or the process ends.
    pub(crate) async fn stream(
        &self,
        access: &Access,
        subject: Watched,
        is_over: bool,
        last: Option<&str>,
    ) -> Result<Response, Problem> {
        let position = last.map_or_else(Position::default, Position::parse);
        if is_over && position.is_end {
            // The client has it all. With this answer a browser's EventSource does not ask again.
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let place = self.places.take(access)?;
        let key = Key { team: access.team_id(), subject };
        let subscription = if is_over { self.finished(key).await? } else { self.subscribe(key).await? };
        let reader = Reader::new(self.clone(), key, place, (position.line, subscription));
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            // A proxy that gathers an answer before it passes it on would hold the events back.
            (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        ];
        Ok((headers, Body::from_stream(reader.into_stream())).into_response())
    }

    /// A row that does not change any more is read by whoever asks.
    async fn finished(&self, key: Key) -> Result<Subscription, Problem> {
        let gone = || Problem::not_found("Row");
        let (head, to) = row::first(&self.store, (self.clock)(), key, false).await?.ok_or_else(gone)?;
        Ok(Subscription { head: Arc::new(head), to, updates: broadcast::channel(1).1 })
    }

    async fn subscribe(&self, key: Key) -> Result<Subscription, Problem> {
        let (reply, answer) = oneshot::channel();
        let asking = async {
            self.requests.send(Request { key, reply }).await.ok()?;
            answer.await.ok()
        };
        let answered = tokio::time::timeout(SUBSCRIBE_TIMEOUT, asking).await.ok().flatten();
        answered.ok_or_else(|| Problem::unavailable("no_live_view", "Live events are not available at the moment."))
    }
}
