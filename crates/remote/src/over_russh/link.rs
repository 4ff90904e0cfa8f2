//! The byte stream under a session, with two things that russh 0.65 lacks: it can be cut from outside whatever the
//! session is doing, and a peer that stops reading while we write is noticed (its keepalive waits behind the write).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A stream that ends when its token is cancelled or when a write makes no progress for `stall`.
pub(crate) struct Link<S> {
    stream: S,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    stall: Duration,
    blocked: Option<Pin<Box<Sleep>>>,
}

impl<S> Link<S> {
    pub(crate) fn new(stream: S, cut: CancellationToken, stall: Duration) -> Self {
        Self { stream, cut: Box::pin(cut.cancelled_owned()), stall, blocked: None }
    }

    fn check_cut(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Link<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check_cut(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Link<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check_cut(cx)?;
        if let Poll::Ready(done) = Pin::new(&mut self.stream).poll_write(cx, buf) {
            self.blocked = None;
            return Poll::Ready(done);
        }
        let stall = self.stall;
        let blocked = self.blocked.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        match blocked.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    /// A link, and its far end, which nobody reads.
    async fn pair(cut: CancellationToken, stall: Duration) -> (Link<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Link::new(near, cut, stall), listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_noticed() {
        let (mut link, _far) = pair(CancellationToken::new(), Duration::from_millis(200)).await;
        let piece = vec![0; 1 << 20];
        let error = loop {
            match tokio::time::timeout(Duration::from_secs(10), link.write_all(&piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => break error,
                Err(_) => panic!("the write waits for ever"),
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_cut_ends_a_read_that_waits() {
        let cut = CancellationToken::new();
        let (mut link, _far) = pair(cut.clone(), Duration::from_secs(60)).await;
        let mut byte = [0];
        let (read, ()) = tokio::join!(link.read(&mut byte), async { cut.cancel() });
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
