//! How other processes speak to a supervisor: one JSON line each way over the folder's socket.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::folder::Folder;
use super::process::parse_signal;
use super::supervisor::{Handle, Request, StatusReport};

/// One request on the wire.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Wish {
    /// Say how everything is, memory included.
    Status,
    /// Say how everything is, quickly: without memory.
    Peek,
    /// Stop and start again (`SERVICE[/N]`).
    Restart {
        /// Whom.
        target: String,
    },
    /// Send a signal (`SERVICE[/N]`).
    Kill {
        /// Whom.
        target: String,
        /// Which, by name or number.
        signal: String,
    },
    /// Have so many instances.
    Scale {
        /// Of what.
        service: String,
        /// How many.
        instances: u16,
    },
    /// Stop everything. Answered at once; it is done when the supervisor's process has ended.
    Down,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Reply {
    No { error: String },
    Yes { status: StatusReport },
}

/// Serves the socket until dropped.
///
/// # Errors
/// When the socket cannot be opened.
pub fn listen(folder: &Folder, handle: Handle) -> anyhow::Result<JoinSet<()>> {
    let path = folder.control_socket();
    // A socket left by a dead supervisor; the folder's lock says that nobody serves it.
    fs::remove_file(&path).ok();
    let shown = path.display();
    let listener = UnixListener::bind(&path).with_context(|| format!("listen on {shown}"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
        .with_context(|| format!("set the mode of {shown}"))?;
    let mut tasks = JoinSet::new();
    tasks.spawn_local(accept(listener, handle));
    Ok(tasks)
}

/// Asks the supervisor of a folder. None when no supervisor listens there.
///
/// # Errors
/// When the answer is a no, or cannot be understood.
pub async fn ask(folder: &Folder, wish: &Wish) -> anyhow::Result<Option<StatusReport>> {
    let Ok(mut stream) = UnixStream::connect(folder.control_socket()).await else {
        return Ok(None);
    };
    let mut line = serde_json::to_vec(wish).context("write the request")?;
    line.push(b'\n');
    stream.write_all(&line).await.context("send the request")?;
    let mut answer = String::new();
    let read = BufReader::new(stream).read_line(&mut answer).await;
    read.context("read the supervisor's answer")?;
    if answer.is_empty() && matches!(wish, Wish::Down) {
        // There was so little to stop that it ended before the answer left.
        return Ok(None);
    }
    if answer.is_empty() {
        return Err(anyhow!("the supervisor ended without an answer"));
    }
    match serde_json::from_str(&answer).context("understand the supervisor's answer")? {
        Reply::Yes { status } => Ok(Some(status)),
        Reply::No { error } => Err(anyhow!(error)),
    }
}

async fn accept(listener: UnixListener, handle: Handle) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn_local(serve(stream, handle.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: UnixStream, handle: Handle) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while matches!(stream.read_line(&mut line).await, Ok(1..)) {
        let reply = match answer(&line, &handle).await {
            Ok(status) => Reply::Yes { status },
            Err(error) => Reply::No {
                error: format!("{error:#}"),
            },
        };
        line.clear();
        let Ok(mut text) = serde_json::to_vec(&reply) else {
            return;
        };
        text.push(b'\n');
        if stream.write_all(&text).await.is_err() {
            return;
        }
    }
}

async fn answer(line: &str, handle: &Handle) -> anyhow::Result<StatusReport> {
    let wish: Wish = serde_json::from_str(line).context("understand the request")?;
    let request = match wish {
        Wish::Status => Request::Status,
        Wish::Peek => Request::Peek,
        Wish::Restart { target } => Request::Restart(target.parse()?),
        Wish::Kill { target, signal } => Request::Signal(target.parse()?, parse_signal(&signal)?),
        Wish::Scale { service, instances } => Request::Scale(service, instances),
        Wish::Down => Request::Down,
    };
    handle.ask(request).await
}
