//! Named places where a test stops a worker: to kill it there, or to hold it there while something else happens.
//!
//! Nothing is ever armed in a release build, and nothing here may change what a run does when nothing is armed.

use std::sync::Arc;
use tokio::sync::Semaphore;

/// The numbered steps of a run and of a prune, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultPoint {
    /// The attempt is counted, nothing else is done.
    Claimed,
    /// Logged in to the server.
    Connected,
    /// The first object is recorded, not made yet.
    Noted,
    /// The first bytes came from the source.
    Streaming,
    /// The source ended well, nothing is visible yet.
    SourceEnded,
    /// Scripts before are about to begin, and that they must be undone is recorded.
    ScriptsOwed,
    /// The objects are visible at the destinations.
    Stored,
    /// They were read back.
    Verified,
    /// The manifests are visible.
    ManifestWritten,
    /// The transaction is done.
    Committed,
    /// A prune: what goes is marked, nothing is deleted.
    PrunePlanned,
    /// A prune: a copy's manifest is deleted, its body is not.
    PruneHalf,
    /// A prune: a copy's objects are deleted, its row does not say so.
    PruneDeleted,
    /// A copy that is made later: the first bytes of an object were written.
    Copying,
    /// A copy that is made later: everything is there, nothing is committed.
    Copied,
}

impl FaultPoint {
    /// Those of a run, in order.
    pub const ALL: [FaultPoint; 9] = [
        Self::Claimed,
        Self::Connected,
        Self::Noted,
        Self::Streaming,
        Self::SourceEnded,
        Self::Stored,
        Self::Verified,
        Self::ManifestWritten,
        Self::Committed,
    ];

    /// Those of a run with scripts alone.
    pub const OF_SCRIPTS: [FaultPoint; 1] = [Self::ScriptsOwed];

    /// Those of a prune, in order.
    pub const OF_PRUNES: [FaultPoint; 3] = [Self::PrunePlanned, Self::PruneHalf, Self::PruneDeleted];

    /// Those of a copy that is made later, in order.
    pub const OF_COPIES: [FaultPoint; 2] = [Self::Copying, Self::Copied];

    /// The name in `HOLDFAST_FAULT_POINT`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Connected => "connected",
            Self::Noted => "noted",
            Self::Streaming => "streaming",
            Self::SourceEnded => "source_ended",
            Self::ScriptsOwed => "scripts_owed",
            Self::Stored => "stored",
            Self::Verified => "verified",
            Self::ManifestWritten => "manifest_written",
            Self::Committed => "committed",
            Self::PrunePlanned => "prune_planned",
            Self::PruneHalf => "prune_half",
            Self::PruneDeleted => "prune_deleted",
            Self::Copying => "copying",
            Self::Copied => "copied",
        }
    }
}

/// What happens at the armed place.
#[derive(Clone)]
enum Act {
    Kill,
    Hold(Hold),
    Panic,
}

/// What is armed. Nothing, except in tests.
#[derive(Clone, Default)]
pub struct FaultPoints {
    armed: Option<Arc<(FaultPoint, Act)>>,
}

/// A worker held at a place, seen from the test.
#[derive(Clone)]
pub struct Hold {
    reached: Arc<Semaphore>,
    released: Arc<Semaphore>,
}

impl Hold {
    /// Waits until a worker has come to the place.
    pub async fn reached(&self) {
        if let Ok(permit) = self.reached.acquire().await {
            permit.forget();
        }
    }

    /// Lets it, and every later one, go on.
    pub fn release(&self) {
        self.released.add_permits(Semaphore::MAX_PERMITS / 2);
    }
}

impl FaultPoints {
    /// Nothing is armed.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads `HOLDFAST_FAULT_POINT` (`<name>` kills the process with SIGKILL there, `<name>:hold` stops there for ever);
    /// in a release build nothing is read.
    #[must_use]
    pub fn from_env(value: Option<&str>) -> Self {
        let Some(value) = value.filter(|_| cfg!(debug_assertions)) else {
            return Self::none();
        };
        let (name, act) = match value.split_once(':') {
            Some((name, _)) => (name, Act::Hold(new_hold())),
            None => (value, Act::Kill),
        };
        let all = FaultPoint::ALL
            .into_iter()
            .chain(FaultPoint::OF_SCRIPTS)
            .chain(FaultPoint::OF_PRUNES)
            .chain(FaultPoint::OF_COPIES);
        let point = { all }.find(|point| point.name() == name);
        Self { armed: point.map(|point| Arc::new((point, act))) }
    }

    /// Holds workers at `point` until they are released.
    #[must_use]
    pub fn hold(point: FaultPoint) -> (Self, Hold) {
        let hold = new_hold();
        (Self { armed: Some(Arc::new((point, Act::Hold(hold.clone())))) }, hold)
    }

    /// Makes jobs panic at `point`.
    #[must_use]
    pub fn panic(point: FaultPoint) -> Self {
        Self { armed: Some(Arc::new((point, Act::Panic))) }
    }

    /// Called where `point` is.
    pub async fn reach(&self, point: FaultPoint) {
        let Some(armed) = self.armed.as_ref().filter(|armed| armed.0 == point) else {
            return;
        };
        match &armed.1 {
            Act::Kill => {
                let ended = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                tracing::error!("the process is still alive after its fault point: {ended:?}");
            }
            Act::Hold(hold) => {
                hold.reached.add_permits(1);
                if let Ok(permit) = hold.released.acquire().await {
                    permit.forget();
                }
            }
            Act::Panic => panic!("fault point {}", point.name()),
        }
    }
}

fn new_hold() -> Hold {
    Hold { reached: Arc::new(Semaphore::new(0)), released: Arc::new(Semaphore::new(0)) }
}
