use axum::body::Body as Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::edge::Edge;
use super::objects::StructsAreObjects;
use super::problem::Problem;

/// The longest body, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1_024;

/// How much of a body that is too long is still read, so that the caller gets to read our answer
/// instead of a reset connection.
const DISCARD_BYTES_MAX: usize = 1_024 * 1_024;

/// A JSON body, read within limits and strictly: unknown fields are errors.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

/// A JSON body that may be left out.
#[derive(Debug)]
pub(super) struct OptionalJson<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Edge> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, edge: &Edge) -> Result<Self, Self::Rejection> {
        check_media_type(request.headers())?;
        let bytes = read(request, edge).await?;
        parse(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Edge> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, edge: &Edge) -> Result<Self, Self::Rejection> {
        let typed = check_media_type(request.headers());
        let bytes = read(request, edge).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        typed?;
        parse(&bytes).map(Self)
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = given.and_then(|text| text.split(';').next());
    match essence.map(str::trim) {
        Some(essence) if essence.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "the body must be JSON: send `Content-Type: application/json`",
        )),
    }
}

/// The whole body, unless it is too long or too slow.
async fn read(request: Request, edge: &Edge) -> Result<Vec<u8>, Problem> {
    let within = edge.body_read_timeout();
    match tokio::time::timeout(within, collect(request.into_body())).await {
        Ok(collected) => collected,
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-too-slow",
            format!("the body did not arrive within {} ms", within.as_millis()),
        )),
    }
}

async fn collect(mut body: Bytes) -> Result<Vec<u8>, Problem> {
    let (mut bytes, mut seen) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|_| Problem::malformed("body-cut-off", "the body did not arrive whole"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        seen = seen.saturating_add(data.len());
        if seen <= BODY_BYTES_MAX {
            bytes.extend_from_slice(&data);
        } else if seen > DISCARD_BYTES_MAX {
            break;
        }
    }
    if seen > BODY_BYTES_MAX {
        let detail = format!("a body has at most {BODY_BYTES_MAX} bytes (64 KiB)");
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(Problem::new(status, "body-too-large", detail));
    }
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(StructsAreObjects(&mut json))
        .map_err(|error| (error.path().to_string(), error.into_inner()))
        .and_then(|value| match json.end() {
            Ok(()) => Ok(value),
            Err(error) => Err((String::new(), error)),
        });
    parsed.map_err(|(path, error)| match error.classify() {
        Category::Data => wrong_shape(&path, &error),
        Category::Syntax | Category::Eof | Category::Io => {
            Problem::malformed("malformed-json", format!("the body is no JSON: {error}"))
        }
    })
}

/// Names types as JSON does, not as Rust does.
fn in_words_of_json(detail: &str) -> String {
    let Some((found, expected)) = detail.split_once(", expected ") else {
        return detail.to_owned();
    };
    let (expected, place) = expected.split_once(" at line").unwrap_or((expected, ""));
    let expected = match expected {
        "i64" | "u64" | "i32" | "u32" | "u8" => "an integer",
        "a string" | "a boolean" => expected,
        _ if expected.starts_with("struct ") => "an object",
        _ if expected.starts_with("a sequence") => "an array",
        other => other,
    };
    let found = found
        .replace("sequence", "an array")
        .replace("map", "an object");
    match place {
        "" => format!("{found}, expected {expected}"),
        place => format!("{found}, expected {expected} at line{place}"),
    }
}

/// JSON of another shape than asked for: the field is named, be it unknown, missing or of another type.
fn wrong_shape(path: &str, error: &serde_json::Error) -> Problem {
    let detail = in_words_of_json(&error.to_string());
    // The path of an unknown or missing field ends at its parent; its own name stands in backticks.
    let named = detail
        .strip_prefix("unknown field `")
        .or_else(|| detail.strip_prefix("missing field `"))
        .and_then(|rest| rest.split('`').next());
    let field = match (path, named) {
        ("." | "", Some(name)) => name.to_owned(),
        (path, Some(name)) if !path.ends_with(name) => format!("{path}.{name}"),
        (path, _) => path.to_owned(),
    };
    Problem::malformed("invalid-json", detail).at(field)
}
