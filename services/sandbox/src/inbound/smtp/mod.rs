//! The mailbox's SMTP port: takes every mail, durably, or misbehaves as told.

mod mail;
mod session;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener as _;
use brewline_sandbox_domain::{Misbehaviour, Part};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::Semaphore;

use self::mail::Mail;
use self::session::{Reply, Session};
use super::door::{Door, Wire};
use super::views::instant;
use crate::app::World;
use crate::signals;

/// How many connections there may be; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 512;

/// The longest line of a command (RFC 5321 asks for 512) and of a text (1,000), with room to spare.
const LINE_BYTES_MAX: u64 = 4_096;

/// The longest mail, as announced.
const MAIL_BYTES_MAX: usize = 1 << 20;

/// How long a peer may say nothing: what RFC 5321 asks a server to allow.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// A connection with what is answered and not yet sent: replies to pipelined commands go out together.
struct Line {
    io: BufReader<Wire>,
    out: Vec<u8>,
}

/// How a mail ended.
enum End {
    Answer(String),
    Silence,
    Reset,
}

/// Takes mails at `door` until shutdown.
pub(crate) async fn serve(mut door: Door, world: World) -> anyhow::Result<()> {
    let (places, shutdown) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), world.shutdown());
    loop {
        let place = Arc::clone(&places).acquire_owned().await?;
        let (wire, _) = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            accepted = door.accept() => accepted,
        };
        let (mine, shutdown) = (world.clone(), shutdown.clone());
        let talk = async move {
            let talked = tokio::select! {
                () = shutdown.cancelled() => Ok(()),
                talked = talk(Line::new(wire), &mine) => talked,
            };
            if let Err(error) = talked {
                tracing::debug!(%error, "a mail connection broke");
            }
            drop(place);
        };
        drop(world.go_on(talk));
    }
}

async fn talk(mut line: Line, world: &World) -> io::Result<()> {
    line.say("220 brewline sandbox ESMTP");
    let mut session = Session::default();
    while let Some(command) = line.next().await? {
        match session.take(&command) {
            Reply::Say(text) => line.say(&text),
            Reply::Bye(text) => {
                line.say(&text);
                return line.send().await;
            }
            Reply::Data => {
                line.say("354 end with a dot on a line of its own");
                let (from, to) = session.reset();
                let Some(text) = line.text().await? else {
                    line.say("552 the mail is too long");
                    continue;
                };
                match receive(world, Mail::parse(&from, &to, &text, &now(world))).await {
                    End::Answer(answer) => line.say(&answer),
                    End::Silence => world.hang().await,
                    End::Reset => return line.reset().await,
                }
            }
        }
    }
    Ok(())
}

fn now(world: &World) -> String {
    instant(world.now())
}

/// Keeps the mail, once for each who shall get it, unless something is told to go wrong.
async fn receive(world: &World, mails: Vec<Mail>) -> End {
    let told = world.judge(Part::Mail);
    signals::operation("mail", if told.is_some() { "misbehaved" } else { "done" });
    match told {
        None => keep(world, &mails).await,
        Some(Misbehaviour::Error(status) | Misbehaviour::Redirect(status)) => {
            End::Answer(format!("{status} told to fail; nothing was kept"))
        }
        Some(Misbehaviour::Decline) => End::Answer("550 told to refuse".to_owned()),
        Some(Misbehaviour::Slow(delay) | Misbehaviour::Trickle(delay)) => {
            tokio::time::sleep(delay).await;
            keep(world, &mails).await
        }
        Some(Misbehaviour::Hang) => End::Silence,
        Some(Misbehaviour::DoneThenHang) => {
            keep(world, &mails).await;
            End::Silence
        }
        Some(Misbehaviour::DoneThenReset) => {
            keep(world, &mails).await;
            End::Reset
        }
        Some(Misbehaviour::RefuseConnection) => End::Reset,
    }
}

async fn keep(world: &World, mails: &[Mail]) -> End {
    match world.mailbox().put(mails).await {
        Ok(()) => End::Answer("250 kept".to_owned()),
        Err(_) => End::Answer("451 the mailbox is closing".to_owned()),
    }
}

// === impl Line ===

impl Line {
    fn new(wire: Wire) -> Self {
        Self {
            io: BufReader::new(wire),
            out: Vec::new(),
        }
    }

    fn say(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    async fn send(&mut self) -> io::Result<()> {
        self.io.get_mut().write_all(&self.out).await?;
        self.out.clear();
        self.io.get_mut().flush().await
    }

    /// The next line without its end; none when the peer has gone.
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.io.buffer().is_empty() {
            self.send().await?;
        }
        let mut text = Vec::new();
        let mut limited = (&mut self.io).take(LINE_BYTES_MAX);
        let read = tokio::time::timeout(IDLE_MAX, limited.read_until(b'\n', &mut text)).await??;
        if read == 0 {
            return Ok(None);
        }
        if text.pop() != Some(b'\n') || text.pop() != Some(b'\r') {
            let detail = "a line is too long, or does not end with CR LF";
            return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
        }
        Ok(Some(text))
    }

    /// The mail up to its dot; none when it is too long, all of which is read all the same.
    async fn text(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (mut text, mut fits) = (Vec::new(), true);
        loop {
            let line = self.next().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if line == b"." {
                return Ok(fits.then_some(text));
            }
            // A line that begins with a dot was sent with another one before it.
            let line = line.strip_prefix(b".").unwrap_or(&line);
            fits = fits && text.len() + line.len() < MAIL_BYTES_MAX;
            if fits {
                text.extend_from_slice(line);
                text.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Cuts the connection instead of an answer.
    async fn reset(mut self) -> io::Result<()> {
        self.io.get_ref().cut();
        // The write that finds the cut sets the socket to be reset at its close.
        self.io.get_mut().write_all(b"\r\n").await
    }
}
