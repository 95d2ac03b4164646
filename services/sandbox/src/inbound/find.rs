//! Looking things up: authorisations and the ledger.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Json, Response};
use brewline_sandbox_domain::Reference;
use serde::Deserialize;
use serde_json::json;

use super::body::entry_id;
use super::problem::Problem;
use super::views::{Authorisation, LedgerLine};
use crate::app::{Standings, World};

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
    let mut text = Vec::with_capacity(entries.len() * 320);
    for entry in &entries {
        serde_json::to_writer(&mut text, &LedgerLine::from(&**entry))
            .map_err(|_| Problem::closing())?;
        text.push(b'\n');
    }
    let kind = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

fn parse(reference: &str) -> Result<Reference, Problem> {
    reference
        .parse()
        .map_err(|error| Problem::field("reference", error))
}

fn views(found: &Standings) -> Vec<Authorisation<'_>> {
    found.iter().map(Authorisation::from).collect()
}
