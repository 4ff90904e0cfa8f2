//! The open objects of one stream at every destination that is still in.

use super::attempt::Attempt;
use super::copies::Copies;
use super::objects;
use super::prepare::Prepared;
use super::source::Planned;
use async_trait::async_trait;
use futures_util::future::join_all;
use holdfast_destinations::Destination;
use holdfast_domain::names::ObjectNames;
use holdfast_domain::{Failure, Step};
use holdfast_pipeline::{NextObject, Sink, Target, TargetMeter};
use std::sync::Arc;

/// Open objects, one entry a destination.
pub(super) struct Lanes {
    pub(super) bodies: Vec<Target>,
    /// Of a stream that has an index.
    pub(super) indexes: Vec<Target>,
    /// Index into `Prepared::places` of each.
    pub(super) places: Vec<usize>,
    pub(super) meters: Vec<(i64, Arc<TargetMeter>)>,
}

/// The names of one stream's objects.
pub(super) struct StreamNames {
    body: String,
    index: Option<String>,
}

impl StreamNames {
    /// Those of `stream`; `position` where the run has several.
    pub(super) fn of(names: &ObjectNames<'_>, stream: &Planned, position: Option<usize>, is_encrypted: bool) -> Self {
        Self {
            body: names.stream(position, stream.format, is_encrypted),
            index: stream.is_tar().then(|| names.index(position, is_encrypted)),
        }
    }
}

impl Lanes {
    /// Opens the first objects at every destination that is in, all at once; one that refuses is out.
    ///
    /// # Errors
    /// The work must stop, or none is left.
    pub(super) async fn open(
        attempt: &Arc<Attempt>,
        prepared: &Prepared,
        names: &StreamNames,
        copies: &mut Copies,
    ) -> Result<Self, Failure> {
        let opening = prepared.places.iter().enumerate().filter(|(at, _)| copies.is_in(*at)).map(|(at, place)| {
            let destination = place.destination.clone();
            async move { (at, place.row.id, open_lane(attempt, place.row.id, destination, names).await) }
        });
        let mut lanes = Self { bodies: Vec::new(), indexes: Vec::new(), places: Vec::new(), meters: Vec::new() };
        for (at, id, lane) in join_all(opening).await {
            match lane {
                Ok(lane) => lanes.push(at, id, lane),
                Err(failure) => copies.fail(attempt, prepared, at, failure),
            }
        }
        let left = if attempt.lease.stopped().is_cancelled() {
            Err(attempt.lease.failure(Step::Stream))
        } else {
            copies.any()
        };
        match left {
            Ok(()) => Ok(lanes),
            Err(failure) => {
                lanes.abort().await;
                Err(failure)
            }
        }
    }

    fn push(&mut self, at: usize, id: i64, lane: OpenLane) {
        let meter = Arc::new(TargetMeter::default());
        self.meters.push((id, Arc::clone(&meter)));
        self.bodies.push(Target { sink: lane.body, next: Some(lane.next), meter });
        self.indexes.extend(lane.index.map(|sink| Target { sink, next: None, meter: Arc::default() }));
        self.places.push(at);
    }

    pub(super) async fn abort(self) {
        join_all(self.bodies.into_iter().chain(self.indexes).map(|target| target.sink.abort())).await;
    }
}

struct OpenLane {
    body: Box<dyn Sink>,
    index: Option<Box<dyn Sink>>,
    next: Box<dyn NextObject>,
}

async fn open_lane(
    attempt: &Arc<Attempt>,
    destination_id: i64,
    destination: Result<Arc<dyn Destination>, Failure>,
    names: &StreamNames,
) -> Result<OpenLane, Failure> {
    let destination = destination?;
    let body = objects::create(attempt, destination_id, &destination, &names.body).await?;
    let index = match &names.index {
        Some(name) => match objects::create(attempt, destination_id, &destination, name).await {
            Ok(index) => Some(index),
            Err(failure) => {
                body.abort().await;
                return Err(failure);
            }
        },
        None => None,
    };
    let next = Later { attempt: Arc::clone(attempt), destination_id, destination, name: names.body.clone() };
    Ok(OpenLane { body, index, next: Box::new(next) })
}

/// Opens the objects of a body after its first.
struct Later {
    attempt: Arc<Attempt>,
    destination_id: i64,
    destination: Arc<dyn Destination>,
    name: String,
}

#[async_trait]
impl NextObject for Later {
    async fn open(&self, part: usize) -> Result<Box<dyn Sink>, Failure> {
        let name = ObjectNames::part(&self.name, part);
        objects::create(&self.attempt, self.destination_id, &self.destination, &name).await
    }
}
