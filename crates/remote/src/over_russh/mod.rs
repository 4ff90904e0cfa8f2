//! SSH spoken by russh in this process: keys and passwords come from memory, and a jump host is a channel to the next
//! server inside the session with the one before it.

mod client;
mod connect;
mod link;
mod pump;

pub(crate) use client::{Ending, Observer};
pub(crate) use connect::connect;

use crate::program;
use crate::running::{Input, Started};
use client::Client;
use holdfast_domain::{Failure, FailureCode, Step};
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, Disconnect};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_millis(300);

/// One server of the way, logged in to.
pub(crate) struct Stop {
    handle: Handle<Client>,
    observer: Observer,
}

/// An authenticated connection, through all its jump hosts. Dropping it cuts all of it.
pub(crate) struct Line {
    /// The jump hosts, each of which carries what comes after it.
    jumps: Vec<Stop>,
    end: Stop,
    cut: CancellationToken,
}

impl Line {
    /// Opens the one data channel, and starts the one command on it.
    pub(crate) async fn exec(self: &Arc<Self>) -> Result<Started, Failure> {
        let channel = self.open().await?;
        let (read, input) = channel.split();
        Ok(Started::spawn(Input::Russh(input), |greeting, out| {
            pump::Pump::new(read, Arc::clone(self), greeting).run(out)
        }))
    }

    async fn open(&self) -> Result<Channel<Msg>, Failure> {
        let refused =
            |what: &str| Failure::new(Step::Start, FailureCode::SourceFailed, format!("the server refused {what}."));
        let lost = || self.lost(Step::Start);
        let mut channel = match self.end.handle.channel_open_session().await {
            Ok(channel) => channel,
            Err(russh::Error::ChannelOpenFailure(_)) => return Err(refused("to open a session")),
            Err(_) => return Err(lost()),
        };
        channel.exec(true, program::EXEC).await.map_err(|_| lost())?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => return Ok(channel),
                Some(ChannelMsg::Failure) => return Err(refused("to run a program")),
                Some(_) => {}
                None => return Err(lost()),
            }
        }
    }

    /// Why it ended: where a jump host's session says so, that is why, and what was carried by it only followed.
    pub(crate) fn lost(&self, step: Step) -> Failure {
        let of_jump = self.jumps.iter().find(|jump| jump.observer.with(|o| o.ending.is_some()));
        crate::failure::lost(step, &of_jump.unwrap_or(&self.end).observer)
    }

    async fn keep_alive(&self) {
        // What the last session sends travels through the others, and is a sign of life to each of them.
        let _ = self.end.handle.send_keepalive(false).await;
    }

    /// Says good-bye, then cuts.
    pub(crate) async fn end(&self) {
        let _ = timeout(FAREWELL, self.end.handle.disconnect(Disconnect::ByApplication, "", "")).await;
        for jump in self.jumps.iter().rev() {
            let _ = timeout(FAREWELL, jump.handle.disconnect(Disconnect::ByApplication, "", "")).await;
        }
        self.cut.cancel();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A dropped handle alone does not end a session that waits for window or for its reader.
        self.cut.cancel();
    }
}
