use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use brewline_kernel::{Backoff, system};
use futures_util::future::{Either, select};
use postgres_openssl::TlsStream;
use tokio_postgres::{AsyncMessage, Client, Socket};

use crate::{Config, Error};

type Session = tokio_postgres::Connection<Socket, TlsStream<Socket>>;
type Step<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why [`Listener::next`] woke its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// Somebody notified the channel; this is the payload.
    Notified(String),
    /// The session is new: what was notified before it is lost, so look for yourself.
    Reconnected,
}

/// Hears `NOTIFY` on one channel, over a connection of its own that it opens again whenever it
/// breaks. No task is behind it: the connection is read while [`Listener::next`] is awaited, and the
/// server keeps what comes in between.
pub struct Listener {
    config: Config,
    listen: String,
    attempt: u32,
    state: State,
}

/// Everything awaited lives here, so that dropping the future of `next` loses nothing.
enum State {
    Connecting(Step<Result<Live, Error>>),
    Waiting(Step<()>),
    Live(Box<Live>),
}

struct Live {
    // Dropping the client would end the session.
    _client: Client,
    session: Session,
}

/// The first wait is shorter than a restart of the server, the longest shorter than a coffee.
const BACKOFF: Backoff = match Backoff::new(Duration::from_millis(100), Duration::from_secs(2)) {
    Ok(backoff) => backoff,
    Err(_) => panic!("the first wait is not longer than the longest"),
};

// === impl Listener ===

impl Listener {
    /// A listener on `channel`. It connects at the first [`Listener::next`].
    #[must_use]
    pub fn new(config: &Config, channel: &str) -> Self {
        let listen = format!("listen \"{}\"", channel.replace('"', "\"\""));
        let state = State::Connecting(connecting(config, &listen));
        Self {
            config: config.clone(),
            listen,
            attempt: 0,
            state,
        }
    }

    /// Waits for the next wake-up. May be dropped at any time (in a `select!`) without losing one.
    pub async fn next(&mut self) -> Wake {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        loop {
            match &mut self.state {
                State::Connecting(step) => match std::task::ready!(step.as_mut().poll(cx)) {
                    Ok(live) => {
                        self.attempt = 0;
                        self.state = State::Live(Box::new(live));
                        return Poll::Ready(Wake::Reconnected);
                    }
                    Err(error) => self.back_off(&error),
                },
                State::Waiting(step) => {
                    std::task::ready!(step.as_mut().poll(cx));
                    self.state = State::Connecting(connecting(&self.config, &self.listen));
                }
                State::Live(live) => match std::task::ready!(live.session.poll_message(cx)) {
                    Some(Ok(AsyncMessage::Notification(note))) => {
                        return Poll::Ready(Wake::Notified(note.payload().to_owned()));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => self.back_off(&Error::Statement(error)),
                    None => self.state = State::Connecting(connecting(&self.config, &self.listen)),
                },
            }
        }
    }

    fn back_off(&mut self, error: &Error) {
        let delay = BACKOFF.delay(self.attempt, system::random());
        self.attempt = self.attempt.saturating_add(1);
        tracing::warn!(%error, attempt = self.attempt, "the listener lost the database");
        self.state = State::Waiting(Box::pin(tokio::time::sleep(delay)));
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

/// Opens a session and subscribes it. The session must be polled while the statement waits for its
/// answer; what it has to say meanwhile is no notification of ours yet.
fn connecting(config: &Config, listen: &str) -> Step<Result<Live, Error>> {
    let (config, listen) = (config.clone(), listen.to_owned());
    Box::pin(async move {
        let connected = config.session.connect(config.tls).await;
        let (client, mut session) = connected.map_err(Error::Connect)?;
        {
            let subscribe = pin!(client.batch_execute(&listen));
            let messages = pin!(drive(&mut session));
            match select(subscribe, messages).await {
                Either::Left((done, _)) => done?,
                Either::Right((error, _)) => return Err(error),
            }
        }
        Ok(Live {
            _client: client,
            session,
        })
    })
}

/// Reads the session until it ends. A notification met here is dropped: the caller is told of the
/// new session next, and looks for itself.
async fn drive(session: &mut Session) -> Error {
    loop {
        match poll_fn(|cx| session.poll_message(cx)).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Error::Connect(error),
            None => return Error::Closed,
        }
    }
}
