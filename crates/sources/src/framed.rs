//! A program on the server that takes a stream and puts it back: the bytes go in frames of `LENGTH\n` and so many bytes,
//! so that a cut is never taken for the end, then `end\n`; what it says is heard all the while. Nothing may be sent inside
//! a frame that is not yet whole.

use crate::lines::{Line, Lines, Words};
use bytes::Bytes;
use holdfast_domain::{Failure, Step};
use holdfast_remote::{Event, Running, Session};
use std::time::Duration;

/// Bytes in a frame; the server takes each with one process.
const FRAME_BYTES: usize = 4 * 1024 * 1024;

/// Whoever hears what the program says.
pub(crate) trait Hearer: Send + 'static {
    /// A line on its standard output.
    fn output(&mut self, line: &[u8]);

    /// A line on its standard error, after its greeting; `words` keeps what is to be quoted.
    fn line(&mut self, line: Line, words: &mut Words);

    /// Why a program that ended with `status` did so; it was not expected to end.
    fn why_ended(&self, status: u32, words: &Words) -> Failure;
}

/// A stream on its way back.
pub(crate) struct Framed<H> {
    running: Running,
    // Kept: the connection lives as long as its session.
    _session: Session,
    frame: Vec<Bytes>,
    frame_bytes: usize,
    // A frame is on its way: nothing else may be sent before it is whole.
    sending: bool,
    stdout: Lines,
    words: Words,
    exited: Option<u32>,
    hearer: H,
}

impl<H: Hearer> Framed<H> {
    /// Starts `program`.
    pub(crate) async fn start(
        mut session: Session,
        program: &'static str,
        fields: &[&[u8]],
        hearer: H,
    ) -> Result<Self, Failure> {
        let running = session.start(program, fields).await?;
        Ok(Self {
            running,
            _session: session,
            frame: Vec::new(),
            frame_bytes: 0,
            sending: false,
            stdout: Lines::default(),
            words: Words::default(),
            exited: None,
            hearer,
        })
    }

    /// Who hears.
    pub(crate) fn hearer(&mut self) -> &mut H {
        &mut self.hearer
    }

    /// Who hears, to look at.
    pub(crate) fn peek(&self) -> &H {
        &self.hearer
    }

    /// Who hears, and what was said that is to be quoted.
    pub(crate) fn heard(&mut self) -> (&mut H, &Words) {
        (&mut self.hearer, &self.words)
    }

    /// Takes the next bytes of the stream.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), Failure> {
        self.frame_bytes += bytes.len();
        self.frame.push(bytes);
        if self.frame_bytes >= FRAME_BYTES { self.send_frame().await } else { Ok(()) }
    }

    /// Sends what is left, and that this was all.
    pub(crate) async fn end(&mut self) -> Result<(), Failure> {
        self.send_frame().await?;
        self.say("end").await
    }

    /// Says a word between frames.
    pub(crate) async fn say(&mut self, word: &'static str) -> Result<(), Failure> {
        self.send(Bytes::from(format!("{word}\n"))).await
    }

    /// Listens until `arrived`.
    ///
    /// # Errors
    /// It ended before; what the connection can say.
    pub(crate) async fn until(&mut self, arrived: impl Fn(&H) -> bool) -> Result<(), Failure> {
        while !arrived(&self.hearer) {
            if let Some(status) = self.exited {
                return Err(self.hearer.why_ended(status, &self.words));
            }
            self.step().await?;
        }
        Ok(())
    }

    /// Listens until it ended.
    pub(crate) async fn until_exit(&mut self) -> Result<u32, Failure> {
        loop {
            if let Some(status) = self.exited {
                return Ok(status);
            }
            self.step().await?;
        }
    }

    /// Has everything undone; whether the program there said that it ended, or a check saw that it is gone.
    pub(crate) async fn undo(&mut self, within: Duration) -> bool {
        if !self.sending && self.exited.is_none() {
            let undone = tokio::time::timeout(within, async {
                let _ = self.say("undo").await;
                let _ = self.until_exit().await;
            });
            let _ = undone.await;
        }
        self.exited.is_some()
    }

    /// Cuts the connection after [`Framed::undo`] was in vain; whether a check saw that the program is gone.
    pub(crate) async fn cut(self, within: Duration) -> bool {
        self.running.cancel_within(within).await.process_terminated
    }

    async fn send_frame(&mut self) -> Result<(), Failure> {
        if self.frame_bytes == 0 {
            return Ok(());
        }
        self.sending = true;
        self.send(Bytes::from(format!("{}\n", self.frame_bytes))).await?;
        for piece in std::mem::take(&mut self.frame) {
            self.send(piece).await?;
        }
        self.frame_bytes = 0;
        self.sending = false;
        Ok(())
    }

    async fn send(&mut self, bytes: Bytes) -> Result<(), Failure> {
        while let Some(event) = self.running.take_ready()? {
            self.take(event)?;
        }
        match self.running.write(bytes).await {
            Ok(()) => Ok(()),
            // The program's own words say more than "it takes no more input".
            Err(failure) => match self.until(|_| false).await {
                Err(better) if self.exited.is_some() => Err(better),
                _ => Err(Failure { step: Step::Stage, ..failure }),
            },
        }
    }

    async fn step(&mut self) -> Result<(), Failure> {
        let event = self.running.next().await.map_err(|failure| Failure { step: Step::Stage, ..failure })?;
        self.take(event)
    }

    fn take(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Stdout(bytes) => {
                for line in self.stdout.feed(&bytes)? {
                    self.hearer.output(&line);
                }
            }
            Event::Stderr(bytes) => {
                for line in self.words.feed(&bytes)? {
                    self.hearer.line(line, &mut self.words);
                }
            }
            Event::Exited(status) => {
                if let Some(line) = self.words.last() {
                    self.hearer.line(line, &mut self.words);
                }
                self.exited = Some(status);
            }
        }
        Ok(())
    }
}
