//! From the body of a request, and to an answer.

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::{
    Response, StatusCode,
    body::{Body, Incoming},
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::{
    super::{
        IO_TIMEOUT, MAX_BODY_BYTES,
        filter::{POSITION_HEADER, Position},
        refusal::Refusal,
        subscription::Lines,
    },
    places::Room,
};
use crate::metrics::{self, Snapshot};

pub(super) type Answer = Response<Either<Full<Bytes>, Lines>>;

pub(super) async fn read_body(body: Incoming) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(Refusal::too_large());
    }
    match timeout(IO_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Err(_) => Err(Refusal::too_slow()),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::too_large()),
        Ok(Err(error)) => Err(Refusal::bad_request(format!("body: {error}"))),
    }
}

/// So that `curl -X POST` without a body does what there is to say nothing about.
pub(super) fn or_empty(body: &[u8]) -> &[u8] {
    if body.is_empty() { b"{}" } else { body }
}

/// serde_json says what is wrong, and in which line and column.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("JSON in the body: {error}")))
}

/// With a value, which takes of the room for answers until the peer has taken it.
pub(super) fn json(room: &Room, value: &impl Serialize) -> Result<Answer, Refusal> {
    let bytes = to_line(value).map_err(|error| Refusal::internal(format!("JSON: {error}")))?;
    Ok(of_json(StatusCode::OK, room.hold(bytes)?))
}

/// As Prometheus reads it; it takes of the room for answers, too.
pub(super) fn text(room: &Room, snapshot: &Snapshot) -> Result<Answer, Refusal> {
    let text = metrics::text(snapshot).map_err(|e| Refusal::internal(format!("metrics: {e}")))?;
    let body = Either::Left(Full::new(room.hold(text.into_bytes())?));
    Ok(answer(StatusCode::OK, metrics::CONTENT_TYPE, body))
}

pub(super) fn nothing() -> Answer {
    let mut answer = Response::new(Either::Left(Full::default()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

pub(super) fn lines(position: Position, lines: Lines) -> Answer {
    let mut answer = answer(StatusCode::OK, "application/x-ndjson", Either::Right(lines));
    // Digits are a value of a header.
    if let Ok(position) = HeaderValue::try_from(position.to_string()) {
        answer.headers_mut().insert(POSITION_HEADER, position);
    }
    answer
}

pub(super) fn refused(refusal: &Refusal) -> Answer {
    // Two strings and a number always become JSON.
    let bytes = to_line(&refusal.body()).unwrap_or_default();
    let mut answer = of_json(refusal.status, bytes.into());
    if let Some(method) = refusal.allow {
        let method = HeaderValue::from_static(method);
        answer.headers_mut().insert(ALLOW, method);
    }
    answer
}

fn of_json(status: StatusCode, bytes: Bytes) -> Answer {
    answer(status, "application/json", Either::Left(Full::new(bytes)))
}

fn answer(status: StatusCode, kind: &'static str, body: Either<Full<Bytes>, Lines>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// With a newline, for the eyes behind `curl`.
fn to_line(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}
