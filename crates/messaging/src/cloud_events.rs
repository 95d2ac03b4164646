//! Envelopes as record headers: `CloudEvents` 1.0, Kafka binary mode, and back.

use std::str::FromStr;

use brewline_kafka::{Received, Record};
use brewline_kernel::{Envelope, Timestamp, TraceParent};
use bytes::Bytes;
use uuid::Uuid;

/// The relay's epoch when it sent the record: shows late sends of a former holder.
pub const RELAY_EPOCH: &str = "brewline_relay_epoch";
/// The relay's slot.
pub const RELAY_SLOT: &str = "brewline_relay_slot";

/// What the URN of a schema begins with; the message's full name follows. `proto/asyncapi.yaml` holds
/// the schema under the same name. The name carries the major version, so that a breaking change has
/// another URN, as `CloudEvents` asks for.
pub const SCHEMA_URN: &str = "urn:brewline:schema:";

/// The event's id.
pub(crate) const ID: &str = "ce_id";
/// The event's type.
pub(crate) const TYPE: &str = "ce_type";
/// The position in a trace that led to the record.
pub(crate) const TRACEPARENT: &str = "traceparent";

const SPEC_VERSION: &str = "1.0";
const CONTENT_TYPE: &str = "application/protobuf";

/// Why a record is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A header that every event has is missing.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// A header does not read as what it should be.
    #[error("header {0} is malformed")]
    Header(&'static str),
    /// It follows another version of the specification.
    #[error("ce_specversion is not 1.0")]
    SpecVersion,
    /// The key is not the subject, so its partition need not be the subject's.
    #[error("the key is not the subject")]
    Key,
}

/// The headers of an event.
#[must_use]
pub fn headers(envelope: &Envelope) -> Vec<(String, Bytes)> {
    let mut headers = Vec::with_capacity(16);
    let mut put = |name: &str, value: String| headers.push((name.to_owned(), Bytes::from(value)));
    put("ce_specversion", SPEC_VERSION.to_owned());
    put("ce_id", envelope.id.to_string());
    put("ce_type", envelope.event_type.clone());
    put("ce_source", envelope.source.clone());
    put("ce_subject", envelope.subject.clone());
    put("ce_time", rfc3339(envelope.time));
    put("ce_sequence", envelope.version.to_string());
    put(
        "ce_dataschema",
        format!("{SCHEMA_URN}{}", envelope.event_type),
    );
    put("ce_correlationid", envelope.correlation_id.to_string());
    if let Some(causation_id) = envelope.causation_id {
        put("ce_causationid", causation_id.to_string());
    }
    if let Some(traceparent) = envelope.traceparent {
        put("traceparent", traceparent.to_string());
    }
    put("content-type", CONTENT_TYPE.to_owned());
    headers
}

/// An event as a record: keyed by its subject, so that a subject's events stay in one partition.
#[must_use]
pub fn record(topic: &str, envelope: &Envelope, payload: Bytes) -> Record {
    Record {
        topic: topic.to_owned(),
        key: Bytes::copy_from_slice(envelope.subject.as_bytes()),
        payload: Some(payload),
        headers: headers(envelope),
        partition: None,
        timestamp: None,
    }
}

/// The envelope of a record. The schema's name is not read: it follows from the type, and records that
/// were written before it was told have none.
///
/// # Errors
/// When a required header is missing or malformed.
pub fn envelope(record: &Received) -> Result<Envelope, Malformed> {
    if text(record, "ce_specversion")? != SPEC_VERSION {
        return Err(Malformed::SpecVersion);
    }
    let subject = text(record, "ce_subject")?;
    if subject.as_bytes() != record.key {
        return Err(Malformed::Key);
    }
    let version = parsed(record, "ce_sequence")?;
    if version < 1 {
        return Err(Malformed::Header("ce_sequence"));
    }
    let time = text(record, "ce_time")?;
    Ok(Envelope {
        id: parsed::<Uuid>(record, "ce_id")?,
        event_type: text(record, "ce_type")?.to_owned(),
        source: text(record, "ce_source")?.to_owned(),
        subject: subject.to_owned(),
        version,
        time: parse_rfc3339(time).ok_or(Malformed::Header("ce_time"))?,
        correlation_id: parsed::<Uuid>(record, "ce_correlationid")?,
        causation_id: optional::<Uuid>(record, "ce_causationid")?,
        traceparent: optional::<TraceParent>(record, "traceparent")?,
    })
}

fn text<'a>(record: &'a Received, name: &'static str) -> Result<&'a str, Malformed> {
    let value = record.header(name).ok_or(Malformed::Missing(name))?;
    std::str::from_utf8(value).map_err(|_| Malformed::Header(name))
}

fn parsed<T: FromStr>(record: &Received, name: &'static str) -> Result<T, Malformed> {
    text(record, name)?
        .parse()
        .map_err(|_| Malformed::Header(name))
}

fn optional<T: FromStr>(record: &Received, name: &'static str) -> Result<Option<T>, Malformed> {
    match record.header(name) {
        None => Ok(None),
        Some(_) => parsed(record, name).map(Some),
    }
}

const MICROS_PER_DAY: i64 = 86_400_000_000;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// `2026-11-21T10:15:30.000001Z`: always six digits of a second and always UTC.
fn rfc3339(time: Timestamp) -> String {
    let days = time.as_micros().div_euclid(MICROS_PER_DAY);
    let in_day = time.as_micros().rem_euclid(MICROS_PER_DAY);
    let (year, month, day) = date(days);
    let (seconds, micros) = (in_day / MICROS_PER_SECOND, in_day % MICROS_PER_SECOND);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Reads what [`rfc3339`] writes, and times of other writers in UTC with up to six digits of a
/// second.
fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(clock, ':')?;
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    let digits = fraction.len();
    if !in_range || !(1..=6).contains(&digits) || !fraction.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let scale = 10_i64.pow(u32::try_from(6_usize.checked_sub(digits)?).ok()?);
    let micros = fraction.parse::<i64>().ok()?.checked_mul(scale)?;
    let seconds = hour * 3_600 + minute * 60 + second;
    let in_day = seconds
        .checked_mul(MICROS_PER_SECOND)?
        .checked_add(micros)?;
    let days = days(year, month, day);
    Some(Timestamp::from_micros(
        days.checked_mul(MICROS_PER_DAY)?.checked_add(in_day)?,
    ))
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(|part| {
        let plain = (1..=4).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_digit());
        if plain {
            part.parse::<i64>().ok()
        } else {
            None
        }
    });
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

/// Year, month and day of the days since 1970 in the proleptic Gregorian calendar; the algorithm is
/// `civil_from_days` of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
const fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// The inverse of [`date`].
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn event() -> Envelope {
        Envelope {
            id: "019477a0-5c00-7000-8000-000000000001".parse().unwrap(),
            event_type: "brewline.order.v1.OrderPlaced".to_owned(),
            source: "brewline/order".to_owned(),
            subject: "019477a0-5c00-7000-8000-0000000000aa".to_owned(),
            version: 1,
            time: Timestamp::from_micros(1_795_256_130_000_001),
            correlation_id: "019477a0-5c00-7000-8000-0000000000cc".parse().unwrap(),
            causation_id: Some("019477a0-5c00-7000-8000-0000000000ca".parse().unwrap()),
            traceparent: Some(
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
                    .parse()
                    .unwrap(),
            ),
        }
    }

    fn received(record: Record) -> Received {
        Received {
            topic: Arc::from(record.topic),
            partition: 0,
            offset: 0,
            timestamp: Timestamp::EPOCH,
            key: record.key,
            payload: record.payload,
            headers: record.headers,
        }
    }

    #[test]
    fn headers_are_as_released() {
        let lines: Vec<_> = headers(&event())
            .iter()
            .map(|(name, value)| format!("{name}: {}", str::from_utf8(value).unwrap()))
            .collect();
        let golden = "\
ce_specversion: 1.0
ce_id: 019477a0-5c00-7000-8000-000000000001
ce_type: brewline.order.v1.OrderPlaced
ce_source: brewline/order
ce_subject: 019477a0-5c00-7000-8000-0000000000aa
ce_time: 2026-11-21T10:15:30.000001Z
ce_sequence: 1
ce_dataschema: urn:brewline:schema:brewline.order.v1.OrderPlaced
ce_correlationid: 019477a0-5c00-7000-8000-0000000000cc
ce_causationid: 019477a0-5c00-7000-8000-0000000000ca
traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
content-type: application/protobuf";
        assert_eq!(lines.join("\n"), golden);
    }

    #[test]
    fn an_envelope_survives_a_round_trip() {
        let mut bare = event();
        bare.causation_id = None;
        bare.traceparent = None;
        for event in [event(), bare] {
            let back = envelope(&received(record("t", &event, Bytes::new())));
            assert_eq!(back, Ok(event));
        }
    }

    #[test]
    fn each_missing_or_malformed_header_is_named() {
        for name in [
            "ce_specversion",
            "ce_id",
            "ce_type",
            "ce_time",
            "ce_sequence",
            "ce_correlationid",
        ] {
            let mut lacking = received(record("t", &event(), Bytes::new()));
            lacking.headers.retain(|(given, _)| given != name);
            assert_eq!(envelope(&lacking), Err(Malformed::Missing(name)));
        }
        for (name, value) in [
            ("ce_id", "x"),
            ("ce_sequence", "0"),
            ("ce_sequence", "1.5"),
            ("ce_time", "2026-11-21 10:15:30Z"),
            ("ce_time", "2026-13-21T10:15:30Z"),
            ("ce_causationid", "x"),
            ("traceparent", "00-0-0-0"),
        ] {
            let mut wrong = received(record("t", &event(), Bytes::new()));
            for header in &mut wrong.headers {
                if header.0 == name {
                    header.1 = Bytes::from(value);
                }
            }
            assert_eq!(
                envelope(&wrong),
                Err(Malformed::Header(name)),
                "{name}: {value}"
            );
        }
    }

    #[test]
    fn a_record_from_before_schemas_were_named_is_an_event() {
        let mut older = received(record("t", &event(), Bytes::new()));
        older.headers.retain(|(name, _)| name != "ce_dataschema");
        assert_eq!(envelope(&older), Ok(event()));
    }

    #[test]
    fn a_key_that_is_not_the_subject_is_refused() {
        let mut wrong = received(record("t", &event(), Bytes::new()));
        wrong.key = Bytes::from("other");
        assert_eq!(envelope(&wrong), Err(Malformed::Key));
    }

    #[test]
    fn known_days_read_as_their_dates() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (4_107_542_399_999_999, "2100-02-28T23:59:59.999999Z"),
        ] {
            assert_eq!(rfc3339(Timestamp::from_micros(micros)), text);
        }
        let whole = parse_rfc3339("2000-02-29T00:00:00Z").unwrap();
        assert_eq!(whole.as_micros(), 951_782_400_000_000);
    }

    proptest! {
        #[test]
        fn every_instant_survives_a_round_trip(micros in -62_135_596_800_000_000..253_402_300_800_000_000_i64) {
            let time = Timestamp::from_micros(micros);
            prop_assert_eq!(parse_rfc3339(&rfc3339(time)), Some(time));
        }
    }
}
