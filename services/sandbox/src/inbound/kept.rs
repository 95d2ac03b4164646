//! What was kept, as NDJSON: the mailbox, the calls of webhooks.

use std::io;
use std::path::PathBuf;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Take};

use super::problem::Problem;
use crate::app::{Keepsakes, World};

/// How much text goes out at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1_024;

/// Which mails are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Addressed {
    to: Option<String>,
}

/// The lines of a file, filtered.
struct Lines {
    file: BufReader<Take<File>>,
    wanted: Option<(&'static str, String)>,
    shown: Option<&'static [&'static str]>,
}

/// `GET /mailbox?to=`
pub(super) async fn mailbox(
    State(world): State<World>,
    wanted: Result<Query<Addressed>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Addressed { to }) = wanted.map_err(|e| Problem::malformed(e.body_text()))?;
    let wanted = to.map(|to| ("to", to));
    answer(world.mailbox(), wanted, None).await
}

/// `DELETE /mailbox`
pub(super) async fn empty_mailbox(State(world): State<World>) -> Result<StatusCode, Problem> {
    world
        .mailbox()
        .clear()
        .await
        .map_err(|_| Problem::closing())?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is kept whose field has a value; of each only the fields `shown`, or all.
pub(super) async fn answer(
    kept: &Keepsakes,
    wanted: Option<(&'static str, String)>,
    shown: Option<&'static [&'static str]>,
) -> Result<Response, Problem> {
    let (path, length) = kept.look().await.map_err(|_| Problem::closing())?;
    let lines = Lines::open(path, length, wanted, shown).await;
    let lines = lines.map_err(|_| Problem::closing())?;
    let chunks = stream::try_unfold(lines, async |mut lines| {
        let chunk = lines.chunk().await?;
        Ok::<_, io::Error>((!chunk.is_empty()).then_some((chunk, lines)))
    });
    let kind = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(chunks)).into_response())
}

// === impl Lines ===

impl Lines {
    async fn open(
        path: PathBuf,
        length: u64,
        wanted: Option<(&'static str, String)>,
        shown: Option<&'static [&'static str]>,
    ) -> io::Result<Self> {
        let file = File::open(path).await?.take(length);
        let file = BufReader::with_capacity(CHUNK_BYTES, file);
        Ok(Self {
            file,
            wanted,
            shown,
        })
    }

    /// The next lines; nothing at the end.
    async fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let (mut chunk, mut line) = (Vec::new(), Vec::new());
        while chunk.len() < CHUNK_BYTES {
            line.clear();
            if self.file.read_until(b'\n', &mut line).await? == 0 {
                break;
            }
            // A line cut off by an emptied mailbox is none.
            let Ok(Value::Object(object)) = serde_json::from_slice(&line) else {
                break;
            };
            self.write(object, &mut chunk)?;
        }
        Ok(chunk)
    }

    fn write(&self, mut object: Map<String, Value>, chunk: &mut Vec<u8>) -> io::Result<()> {
        if let Some((field, value)) = &self.wanted
            && object.get(*field).and_then(Value::as_str) != Some(value)
        {
            return Ok(());
        }
        object.remove("check");
        if let Some(shown) = self.shown {
            object.retain(|name, _| shown.contains(&name.as_str()));
        }
        serde_json::to_writer(&mut *chunk, &object)?;
        chunk.push(b'\n');
        Ok(())
    }
}
