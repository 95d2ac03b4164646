//! Looking things up: authorisations and the ledger.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Json, Response};
use brewline_sandbox_domain::{Entry, Reference};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;

use super::body::entry_id;
use super::problem::Problem;
use super::views::{Authorisation, LedgerLine};
use crate::app::{Standings, World};

/// How many lines of the ledger are written in one go.
const CHUNK_ENTRIES: usize = 256;

/// What authorisations are found by: one of the two.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct By {
    key: Option<String>,
    reference: Option<String>,
}

/// What of the ledger is shown: all, or what is filed under a reference.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filed {
    reference: Option<String>,
}

/// `GET /v1/authorisations?key=` or `?reference=`
pub(super) async fn authorisations(
    State(world): State<World>,
    by: Result<Query<By>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(by) = by.map_err(|error| Problem::malformed(error.body_text()))?;
    let found = match (by.key, by.reference) {
        (Some(key), None) => {
            let found = world.desk().find_by_key(key, world.key_lifetime()).await;
            let found = found.map_err(|_| Problem::closing())?;
            if found.is_empty() {
                let detail = "no authorisation is known by this key; a slow request may yet land";
                return Err(Problem::not_found(detail));
            }
            found
        }
        (None, Some(reference)) => {
            let reference = parse(&reference)?;
            let found = world.desk().find_by_reference(reference).await;
            found.map_err(|_| Problem::closing())?
        }
        _ => {
            let detail = "give either key or reference";
            return Err(Problem::malformed(detail));
        }
    };
    Ok(Json(json!({ "items": views(&found) })).into_response())
}

/// `GET /v1/authorisations/{id}`
pub(super) async fn authorisation(
    State(world): State<World>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = world.desk().find_by_id(entry_id(&id)?).await;
    let found = found.map_err(|_| Problem::closing())?;
    match views(&found).first() {
        Some(view) => Ok(Json(view).into_response()),
        None => Err(Problem::not_found("there is no such authorisation")),
    }
}

/// `GET /ledger?reference=`, one JSON line an entry.
pub(super) async fn ledger(
    State(world): State<World>,
    filed: Result<Query<Filed>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(filed) = filed.map_err(|error| Problem::malformed(error.body_text()))?;
    let reference = filed.reference.as_deref().map(parse).transpose()?;
    let entries = world.desk().ledger(reference).await;
    let entries = entries.map_err(|_| Problem::closing())?;
    let kind = HeaderValue::from_static("application/x-ndjson");
    let lines = Body::from_stream(stream::iter(chunks(entries)));
    Ok(([(header::CONTENT_TYPE, kind)], lines).into_response())
}

/// The entries as text, a part at a time: a ledger of a million lines must not be in memory twice.
fn chunks(entries: Vec<Arc<Entry>>) -> impl Iterator<Item = Result<Vec<u8>, serde_json::Error>> {
    let parts = entries.len().div_ceil(CHUNK_ENTRIES);
    (0..parts).map(move |part| {
        let mut text = Vec::with_capacity(CHUNK_ENTRIES * 320);
        let begin = part * CHUNK_ENTRIES;
        for entry in entries.iter().skip(begin).take(CHUNK_ENTRIES) {
            serde_json::to_writer(&mut text, &LedgerLine::from(&**entry))?;
            text.push(b'\n');
        }
        Ok(text)
    })
}

fn parse(reference: &str) -> Result<Reference, Problem> {
    reference
        .parse()
        .map_err(|error| Problem::field("reference", error))
}

fn views(found: &Standings) -> Vec<Authorisation<'_>> {
    found.iter().map(Authorisation::from).collect()
}
