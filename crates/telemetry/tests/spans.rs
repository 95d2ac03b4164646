//! Spans through a real exporter to a collector in the test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use brewline_config::Environment;
use brewline_kernel::TraceParent;
use brewline_telemetry::otlp::{ExportTraceServiceRequest, Span as Sent};
use brewline_telemetry::trace::{self, Settings, Span, names};
use prost::Message as _;

/// How long a batch may take to arrive.
const WITHIN: Duration = Duration::from_secs(20);

/// Takes one request after the other on a free port.
fn collector() -> (String, mpsc::Receiver<ExportTraceServiceRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            seen.extend_from_slice(&buffer[..read]);
            let Some(body) = body(&mut seen) else {
                continue;
            };
            tell.send(ExportTraceServiceRequest::decode(&*body).unwrap())
                .unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
        }
    });
    (url, told)
}

/// The body of the first request in `seen`, once all of it is there.
fn body(seen: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = seen.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&seen[..end]).to_ascii_lowercase();
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    assert!(
        head.contains("content-type: application/x-protobuf"),
        "{head}"
    );
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.unwrap().trim().parse().unwrap();
    (seen.len() >= end + length).then(|| {
        let body = seen[end..end + length].to_vec();
        seen.drain(..end + length);
        body
    })
}

fn sent(request: &ExportTraceServiceRequest) -> Vec<Sent> {
    let scopes = request
        .resource_spans
        .iter()
        .flat_map(|process| &process.scope_spans);
    scopes.flat_map(|scope| scope.spans.clone()).collect()
}

fn settings(collector: &str) -> Settings {
    let given = [
        ("BREWLINE_OTLP_ENDPOINT", collector),
        ("BREWLINE_TRACE_RATIO", "0"),
        ("BREWLINE_TRACE_QUEUE_SPANS_MAX", "8"),
    ];
    Settings::read(&mut Environment::from_pairs(given)).unwrap()
}

/// One test, since a process has one tracer.
#[tokio::test]
async fn what_is_recorded_arrives_and_nothing_else() {
    let (url, told) = collector();
    let exporter = trace::start(settings(&url), "order", "order-1").unwrap();
    let caller: TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        .parse()
        .unwrap();
    let unsampled = TraceParent {
        sampled: false,
        ..caller
    };
    assert!(!trace::enter(None).sampled, "the share is 0");
    assert!(
        trace::enter(Some(caller)).sampled,
        "the caller's word counts"
    );

    let mut place = Span::start(&names::PLACE_ORDER, Some(caller));
    let child = Span::start(&names::PUBLISH, place.context());
    place.named(|| "place order".to_owned());
    place.set(names::attribute::ORDER_ID, || "o1");
    let batch = Span::batch(&names::PLACE_BATCH, true);
    place.link(&batch);
    let parent = place.context().unwrap();
    drop((child, place, batch));
    // Nothing comes of these two …
    let quiet = Span::start(&names::PROCESS, Some(unsampled));
    assert_eq!(quiet.context(), Some(unsampled), "handed on as it came");
    drop(quiet);
    drop(Span::of_sampled(&names::PROCESS, Some(unsampled)));
    // … but of this one, since it failed.
    let mut failed = Span::start(&names::PROCESS, Some(unsampled));
    failed.fail("poison");
    drop(failed);
    exporter.finish().await;

    let spans = sent(&told.recv_timeout(WITHIN).unwrap());
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["publish", "place order", "place_batch", "process"]);
    let own_id = parent.span_id.to_be_bytes();
    assert_eq!(
        spans[0].parent_span_id, own_id,
        "under the span that led to it"
    );
    assert_eq!(spans[1].span_id, own_id);
    assert_eq!(spans[1].parent_span_id, caller.span_id.to_be_bytes());
    assert_eq!(spans[1].links[0].span_id, spans[2].span_id);
    assert_ne!(
        spans[2].trace_id, spans[1].trace_id,
        "a batch is a trace of its own"
    );
    assert_eq!(spans[3].trace_id, caller.trace_id.to_be_bytes());
    assert_eq!(spans[3].status.as_ref().unwrap().message, "poison");

    // A queue that nobody empties any more drops, and holds nobody up.
    for _ in 0..20 {
        drop(Span::start(&names::PUBLISH, Some(caller)));
    }
    let text = brewline_telemetry::metrics::encode();
    assert!(
        text.contains("brewline_trace_spans_exported_total 4"),
        "{text}"
    );
    assert!(
        text.contains(r#"brewline_trace_spans_dropped_total{reason="queue-full"} 20"#),
        "{text}"
    );
}
