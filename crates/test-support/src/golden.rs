//! The golden corpus: every event that was ever released, as it went over the wire. Each consumer proves
//! with it that it can still read what lies in its topics.

use std::fs;
use std::path::Path;

use brewline_kernel::{Envelope, Timestamp};
use uuid::Uuid;

/// The order that the corpus is about.
pub const GOLDEN_ORDER: &str = "01939d2c-7a00-7000-8000-000000000001";

/// Every released event of a package, such as `brewline.order.v1`, by name: an envelope and the body.
///
/// # Panics
/// When the corpus cannot be read or holds nothing of the package.
#[must_use]
pub fn golden_events(package: &str) -> Vec<(Envelope, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/golden");
    let files = fs::read_dir(folder).expect("the corpus is there");
    let mut events: Vec<(Envelope, Vec<u8>)> = files
        .map(|file| file.expect("an entry of the corpus").path())
        .filter_map(|path| {
            let name = path.file_stem()?.to_str()?.to_owned();
            let ours = name.rsplit_once('.')?.0 == package;
            let body = fs::read(&path).expect("the corpus can be read");
            ours.then(|| (envelope(name), body))
        })
        .collect();
    assert!(!events.is_empty(), "the corpus holds nothing of {package}");
    events.sort_by(|(a, _), (b, _)| a.event_type.cmp(&b.event_type));
    events
}

fn envelope(event_type: String) -> Envelope {
    Envelope {
        id: Uuid::from_u128(1),
        event_type,
        source: "brewline/golden".to_owned(),
        subject: GOLDEN_ORDER.to_owned(),
        version: 1,
        time: Timestamp::from_micros(1_795_262_400_123_456),
        correlation_id: Uuid::from_u128(2),
        causation_id: None,
        traceparent: None,
    }
}
