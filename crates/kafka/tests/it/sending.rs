use brewline_kafka::{Producer, Record};
use bytes::Bytes;
use futures_util::future::try_join_all;

/// A record whose key and body are these texts.
pub(crate) fn record(topic: &str, key: &str, payload: &str) -> Record {
    Record {
        topic: topic.to_owned(),
        key: Bytes::copy_from_slice(key.as_bytes()),
        payload: Some(Bytes::copy_from_slice(payload.as_bytes())),
        headers: Vec::new(),
        partition: None,
        timestamp: None,
    }
}

/// Sends all and waits for all acknowledgements.
pub(crate) async fn send_all(
    producer: &Producer,
    records: impl IntoIterator<Item = Record>,
) -> Vec<(i32, i64)> {
    let deliveries: Vec<_> = records
        .into_iter()
        .map(|record| producer.send(record).unwrap())
        .collect();
    producer.hurry();
    try_join_all(deliveries).await.unwrap()
}
