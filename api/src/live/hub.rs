//! The one task that reads watched rows. A row is read when the database says that it changed, when the listening connection
//! was made anew (whatever was told meanwhile is lost), and every [`RENEW_EVERY`] besides, so that a lost message costs time
//! and nothing else.

use super::events::Block;
use super::listening::{self, Told};
use super::row::{self, Found, Head};
use super::{Key, Live, Request, rights};
use bytes::Bytes;
use chrono::TimeDelta;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use holdfast_store::StoreError;
use holdfast_store::live::Watched;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Updates that a reader may be behind before it is ended. The whole log of a run is a few megabytes at most.
const RING: usize = 32;
/// Rows that are read at once: each takes a connection of the pool.
const READS_AT_ONCE: usize = 4;
/// A watched row goes on being told of, and is read, at least so often. Well within what `row` asks for.
const RENEW_EVERY: Duration = Duration::from_secs(20);
/// How often it is looked at which rows nobody reads any more, and which are to be renewed.
const TICK: Duration = Duration::from_secs(1);

/// What a reader begins with.
pub(super) struct Subscription {
    /// The row as it was when `to` was its last line.
    pub(super) head: Arc<Head>,
    /// Lines up to here are for the reader to get; later ones come with the updates.
    pub(super) to: i32,
    pub(super) updates: broadcast::Receiver<Arc<Update>>,
}

/// What changed in one read.
#[derive(Debug)]
pub(super) struct Update {
    /// The last line when it is sent.
    pub(super) to: i32,
    pub(super) block: Bytes,
    /// Nothing comes after it.
    pub(super) is_over: bool,
}

/// A row that is read for its readers.
struct Topic {
    /// None until the first read.
    head: Option<Arc<Head>>,
    to: i32,
    sender: broadcast::Sender<Arc<Update>>,
    waiting: Vec<oneshot::Sender<Subscription>>,
    is_being_read: bool,
    renewed_at: Option<Instant>,
}

enum Read {
    First(Result<Option<(Head, i32)>, StoreError>),
    Next(Result<Option<Found>, StoreError>),
}

/// See the module.
pub(crate) struct Hub {
    live: Live,
    inbox: mpsc::Receiver<Request>,
    idle: TimeDelta,
    topics: HashMap<Key, Topic>,
    due: VecDeque<Key>,
    /// What is in `due`, and what is to be read again because it changed while it was read.
    is_due: HashSet<Key>,
    reads: FuturesUnordered<BoxFuture<'static, (Key, Read)>>,
}

impl Hub {
    pub(super) fn new(live: Live, inbox: mpsc::Receiver<Request>, idle: TimeDelta) -> Self {
        let (topics, due, is_due) = (HashMap::new(), VecDeque::new(), HashSet::new());
        Self { live, inbox, idle, topics, due, is_due, reads: FuturesUnordered::new() }
    }

    /// Serves readers until one of `stops`; then every stream ends.
    pub(crate) async fn run(mut self, stops: [CancellationToken; 2]) {
        let [soft, hard] = stops;
        let (telling, mut told) = mpsc::channel(listening::WAITING);
        let live = self.live.clone();
        let idle = self.idle;
        tokio::select! {
            () = soft.cancelled() => {}
            () = hard.cancelled() => {}
            () = listening::listen(&live.store, telling) => {}
            () = rights::watch(&live, idle) => {}
            () = self.serve(&mut told) => {}
        }
        live.closing.cancel();
    }

    async fn serve(&mut self, told: &mut mpsc::Receiver<Told>) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                request = self.inbox.recv() => match request {
                    Some(request) => self.subscribe(request),
                    None => return,
                },
                told = told.recv() => match told {
                    Some(Told::Row(row)) => self.changed(row),
                    Some(Told::Anything) => self.all_changed(),
                    None => return,
                },
                Some((key, read)) = self.reads.next(), if !self.reads.is_empty() => self.take(key, read),
                _ = tick.tick() => self.renew(),
            }
            self.begin_reads();
        }
    }

    fn subscribe(&mut self, Request { key, reply }: Request) {
        let topic = self.topics.entry(key).or_insert_with(|| Topic {
            head: None,
            to: 0,
            sender: broadcast::channel(RING).0,
            waiting: Vec::new(),
            is_being_read: false,
            renewed_at: None,
        });
        topic.waiting.push(reply);
        if topic.head.is_some() {
            topic.answer();
        } else {
            self.make_due(key);
        }
    }

    fn changed(&mut self, row: Watched) {
        // A message has no team: an id is one team's alone, so this is one key or none.
        let found: Vec<Key> = self.topics.keys().filter(|key| key.subject == row).copied().collect();
        found.into_iter().for_each(|key| self.make_due(key));
    }

    fn all_changed(&mut self) {
        let all: Vec<Key> = self.topics.keys().copied().collect();
        all.into_iter().for_each(|key| self.make_due(key));
    }

    /// Forgets rows without readers, and reads those that were not read for long.
    fn renew(&mut self) {
        self.topics.retain(|_, topic| {
            topic.waiting.retain(|reply| !reply.is_closed());
            topic.sender.receiver_count() > 0 || !topic.waiting.is_empty() || topic.is_being_read
        });
        let is_old = |topic: &Topic| topic.renewed_at.is_none_or(|at| at.elapsed() >= RENEW_EVERY);
        let old: Vec<Key> = self.topics.iter().filter(|(_, topic)| is_old(topic)).map(|(key, _)| *key).collect();
        old.into_iter().for_each(|key| self.make_due(key));
    }

    fn make_due(&mut self, key: Key) {
        if self.is_due.insert(key) {
            self.due.push_back(key);
        }
    }

    fn begin_reads(&mut self) {
        for _ in 0..self.due.len() {
            if self.reads.len() >= READS_AT_ONCE {
                return;
            }
            let Some(key) = self.due.pop_front() else { return };
            let Some(topic) = self.topics.get_mut(&key) else {
                self.is_due.remove(&key);
                continue;
            };
            if topic.is_being_read {
                // It changed while it was read: once more after that.
                self.due.push_back(key);
                continue;
            }
            self.is_due.remove(&key);
            topic.is_being_read = true;
            let is_first = topic.head.is_none();
            let watch = is_first || topic.renewed_at.is_none_or(|at| at.elapsed() >= RENEW_EVERY);
            if watch {
                topic.renewed_at = Some(Instant::now());
            }
            let (store, now, after) = (self.live.store.clone(), (self.live.clock)(), topic.to);
            self.reads.push(Box::pin(async move {
                let read = match is_first {
                    true => Read::First(row::first(&store, now, key, watch).await),
                    false => Read::Next(row::next(&store, now, key, (after, watch)).await),
                };
                (key, read)
            }));
        }
    }

    fn take(&mut self, key: Key, read: Read) {
        let Some(topic) = self.topics.get_mut(&key) else { return };
        topic.is_being_read = false;
        let is_over = match read {
            Read::First(Ok(Some((head, to)))) => {
                let is_over = head.is_over;
                (topic.head, topic.to) = (Some(Arc::new(head)), to);
                topic.answer();
                is_over
            }
            Read::Next(Ok(Some(found))) => {
                let has_more = found.has_more;
                let is_over = topic.update(found);
                if has_more {
                    self.make_due(key);
                }
                is_over
            }
            // The row is gone: its readers are told by the end of the channel.
            Read::First(Ok(None)) | Read::Next(Ok(None)) => true,
            Read::First(Err(error)) | Read::Next(Err(error)) => {
                tracing::warn!(?error, "a watched row could not be read");
                // The next tick tries again.
                topic.renewed_at = None;
                false
            }
        };
        if is_over {
            self.topics.remove(&key);
        }
    }
}

impl Topic {
    /// Takes in those who wait. Nothing is read between the place that they are told and their first update.
    fn answer(&mut self) {
        let Some(head) = &self.head else { return };
        for reply in self.waiting.drain(..) {
            // One that went away meanwhile is not missed.
            let _ = reply.send(Subscription { head: head.clone(), to: self.to, updates: self.sender.subscribe() });
        }
    }

    /// Tells the readers what is new; whether the row is over.
    fn update(&mut self, found: Found) -> bool {
        let mut block = Block::default();
        block.lines(&found.lines);
        let to = found.lines.last().map_or(self.to, |line| line.number);
        // Lines first, all of them: then the state is not ahead of its log.
        let head = (!found.has_more).then(|| Arc::new(found.head));
        if let Some(head) = &head {
            let is_new = |of: fn(&Head) -> &str| self.head.as_ref().is_none_or(|known| of(known) != of(head));
            if is_new(|head| &head.progress) {
                block.progress(to, head);
            }
            if is_new(|head| &head.mark) {
                block.state(to, head);
            }
            if head.is_over {
                block.end(to, head);
            }
        }
        self.to = to;
        let is_over = head.as_ref().is_some_and(|head| head.is_over);
        self.head = head.or(self.head.take());
        if !block.is_empty() {
            // Nobody reads: then nobody misses it.
            let _ = self.sender.send(Arc::new(Update { to, block: block.into_bytes(), is_over }));
        }
        is_over
    }
}
