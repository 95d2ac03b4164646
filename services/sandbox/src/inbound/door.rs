use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How long to wait when the system has no room for another connection, or no port to listen on.
const RETRY: Duration = Duration::from_millis(20);

/// A listening socket that can be closed, so that connections are refused by the system itself.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    /// None while closed.
    listener: Option<TcpListener>,
    closed: watch::Receiver<bool>,
}

/// A connection that can be cut: the next write on it fails and the peer sees a reset.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    cut: Cut,
}

/// Cuts the connection that a request came by.
#[derive(Clone, Debug, Default)]
pub(super) struct Cut(Arc<AtomicBool>);

// === impl Door ===

impl Door {
    /// Opens the door at `address`; it follows `closed` from then on.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: SocketAddr, closed: watch::Receiver<bool>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            // Port 0 is a wish for any port: when the door is opened again it must be the same.
            address: listener.local_addr()?,
            listener: Some(listener),
            closed,
        })
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens or closes the socket as told, and waits while it is closed.
    async fn open(&mut self) {
        loop {
            if *self.closed.borrow_and_update() {
                self.listener = None;
                if self.closed.changed().await.is_err() {
                    // Nobody is left who could open it again.
                    std::future::pending::<()>().await;
                }
            } else if self.listener.is_some() {
                return;
            } else {
                match TcpListener::bind(self.address).await {
                    Ok(listener) => self.listener = Some(listener),
                    Err(_) => tokio::time::sleep(RETRY).await,
                }
            }
        }
    }
}

impl Listener for Door {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            self.open().await;
            let Some(listener) = &self.listener else {
                continue;
            };
            // A clone remembers what `open` has seen: a change since then ends the wait at once.
            let mut closed = self.closed.clone();
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Ok(()) = closed.changed() => continue,
            };
            match accepted {
                Ok((stream, peer)) => return (Wire::new(stream), peer),
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

// === impl Wire ===

impl Wire {
    fn new(stream: TcpStream) -> Self {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the connection is gone already");
        }
        Self {
            stream,
            cut: Cut::default(),
        }
    }

    /// From here on nothing more is written: the next write becomes a reset.
    pub(super) fn cut(&self) {
        self.cut.cut();
    }

    /// Once cut, makes the close that follows a reset: no lingering, unsent bytes are dropped.
    fn check(&self) -> io::Result<()> {
        if !self.cut.0.load(Ordering::Acquire) {
            return Ok(());
        }
        self.stream.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

// === impl Cut ===

impl Cut {
    /// From here on nothing more is written: whatever the handler answers becomes a reset.
    pub(super) fn cut(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, Door>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().cut.clone()
    }
}
