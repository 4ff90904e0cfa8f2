//! What `ssh` says of itself. Its exit status alone is no proof of an end: it keeps the program's status from the moment
//! it arrives, and ends with it even if the connection is cut before the last output came. Only its word that the server
//! had sent everything, together with the status, is.

use rustix::io::Errno;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::watch;

/// A line longer than this is cut: a server can make `ssh` say things.
const LINE_MAX_BYTES: usize = 1024;

/// What one `ssh` said about one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) is_connected: bool,
    pub(super) is_authenticated: bool,
    pub(super) is_refused: bool,
    /// Whether the command runs; none: not known yet.
    pub(super) is_started: Option<bool>,
    pub(super) has_status: bool,
    pub(super) has_signal: bool,
    /// The server had sent all its output.
    pub(super) has_all: bool,
    pub(super) is_stalled: bool,
    /// Why the next server could not be reached from this one.
    pub(super) no_way_on: Option<String>,
    /// Its last words that are no diagnosis for programmers.
    pub(super) last_words: Option<String>,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let diagnosis = line.strip_prefix("debug1: ").or_else(|| line.strip_prefix("debug2: "));
        match diagnosis {
            Some("Connection established.") => self.is_connected = true,
            Some("exec request accepted on channel 0") => self.is_started = Some(true),
            Some("channel 0: rcvd eof" | "channel 0: rcvd close") => self.has_all = true,
            Some(text) if text.starts_with("client_input_channel_req: channel 0 rtype exit-status") => {
                self.has_status = true;
            }
            Some(text) if text.starts_with("client_input_channel_req: channel 0 rtype exit-signal") => {
                self.has_signal = true;
            }
            Some(_) => {}
            None => self.hear_words(line),
        }
    }

    fn hear_words(&mut self, line: &str) {
        if line.starts_with("Authenticated to ") && !line.ends_with("partial success.") {
            self.is_authenticated = true;
        } else if line.contains("request failed on channel 0") || line.contains("channel 0: open failed") {
            self.is_started = Some(false);
            self.no_way_on = Some(line.to_owned());
        } else if line.starts_with("Timeout, server ") {
            self.is_stalled = true;
        } else if line.contains("Permission denied") {
            self.is_refused = true;
        }
        let is_figures = line.starts_with("Transferred: ") || line.starts_with("Bytes per second: ");
        if !is_figures && !line.trim().is_empty() {
            self.last_words = Some(line.to_owned());
        }
    }
}

/// Listens to one `ssh`.
pub(super) struct Listener {
    pipe: pipe::Receiver,
    line: Vec<u8>,
    said: Arc<Mutex<Said>>,
    news: watch::Sender<()>,
}

/// What was heard, for whoever waits for it.
#[derive(Clone)]
pub(super) struct Heard {
    said: Arc<Mutex<Said>>,
    news: watch::Receiver<()>,
}

impl Listener {
    pub(super) fn new(pipe: pipe::Receiver) -> (Self, Heard) {
        let (news, heard) = watch::channel(());
        let said = Arc::new(Mutex::new(Said::default()));
        (Self { pipe, line: Vec::new(), said: said.clone(), news }, Heard { said, news: heard })
    }

    /// Listens until it is dropped.
    pub(super) async fn listen(&mut self) {
        let mut piece = vec![0; 8192];
        while let Ok(read @ 1..) = self.pipe.read(&mut piece).await {
            self.take(&piece[..read]);
        }
    }

    /// Takes what is still there of an `ssh` that ended.
    pub(super) fn finish(&mut self) {
        let mut piece = vec![0; 8192];
        loop {
            // Not through tokio, which looks only after its own news of the pipe.
            match rustix::io::read(self.pipe.as_fd(), &mut piece) {
                Ok(read @ 1..) => self.take(&piece[..read]),
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    fn take(&mut self, piece: &[u8]) {
        for byte in piece {
            match byte {
                b'\n' => {
                    let line = String::from_utf8_lossy(&self.line).trim_end().to_owned();
                    self.said.lock().unwrap_or_else(PoisonError::into_inner).hear(&line);
                    self.line.clear();
                }
                _ if self.line.len() < LINE_MAX_BYTES => self.line.push(*byte),
                _ => {}
            }
        }
        let _ = self.news.send(());
    }
}

impl Heard {
    pub(super) fn now(&self) -> Said {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `is_enough`; or until nobody listens any more.
    pub(super) async fn until(&mut self, is_enough: impl Fn(&Said) -> bool) {
        while !is_enough(&self.now()) {
            if self.news.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_makes_it_say_is_not_its_own_word() {
        let mut said = Said::default();
        for line in [
            "debug1: Remote: debug2: channel 0: rcvd eof",
            "x channel 0: rcvd eof",
            "debug2: channel 0: rcvd eof and more",
            "debug1: channel 1: rcvd close",
            "Authenticated to h ([1.2.3.4]:22) using \"publickey\" with partial success.",
        ] {
            said.hear(line);
        }
        assert!(!said.has_all && !said.is_authenticated);
        said.hear("debug2: channel 0: rcvd eof");
        said.hear("Authenticated to h ([1.2.3.4]:22) using \"publickey\".");
        assert!(said.has_all && said.is_authenticated);
    }
}
