//! The few functions of librdkafka that the safe wrapper lacks. Nothing outside this file is unsafe.
//!
//! Rules that keep it sound: a client outlives every call (it is borrowed here), whatever a `…_new`
//! made is given back by a guard's `drop`, and what a result points at is copied before the event
//! that owns it is destroyed.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::bindings as sys;
use rdkafka::client::Client;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

mod rights;

pub(crate) use rights::{create_acls, set_passwords};

use crate::Error;

/// Waits until everything queued is acknowledged or failed, without waiting for the linger. Blocks.
///
/// The wrapper's own flush looks in every 100 ms with a wait of zero, and the client skips the linger
/// only while it is inside the call.
pub(crate) fn flush<C: ClientContext>(
    client: &Client<C>,
    wait: Duration,
) -> Result<(), KafkaError> {
    // SAFETY: the client is alive while it is borrowed, and the call is safe from any thread.
    let code = unsafe { sys::rd_kafka_flush(client.native_ptr(), millis(wait)) };
    let code = Code::from(code);
    if code == Code::NoError {
        Ok(())
    } else {
        Err(KafkaError::Flush(code))
    }
}

/// The end of a partition as its last fetch reported it: no request is made. `None` before the first.
pub(crate) fn cached_end<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partition: i32,
) -> Option<i64> {
    let topic = CString::new(topic).ok()?;
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client is alive while it is borrowed; the name and both numbers outlive the call.
    let code = unsafe {
        sys::rd_kafka_get_watermark_offsets(
            client.native_ptr(),
            topic.as_ptr(),
            partition,
            &raw mut low,
            &raw mut high,
        )
    };
    (Code::from(code) == Code::NoError && high >= 0).then_some(high)
}

/// The ids of topics, in Kafka's own notation; those that do not exist are left out. Blocks.
///
/// A topic deleted and made again has another id: that is how a consumer notices that its position
/// belongs to another log.
pub(crate) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    wait: Duration,
) -> Result<BTreeMap<String, String>, Error> {
    const DOING: &str = "describe topics";
    let names: Vec<CString> = topics
        .iter()
        .filter_map(|topic| CString::new(*topic).ok())
        .collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: the collection is guarded and outlives the request; it copies the names.
    let event = unsafe {
        let collection = Collection(sys::rd_kafka_TopicCollection_of_topic_names(
            pointers.as_mut_ptr(),
            pointers.len(),
        ));
        let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        ask(client, operation, wait, DOING, |client, options, queue| {
            sys::rd_kafka_DescribeTopics(client, collection.0, options, queue);
        })?
    };
    Ok(described(&event))
}

/// Sends an administrative request and waits for its one answer. Blocks.
///
/// # Safety
/// `send` hands its pointers to one request of the library and keeps none of them; what else that
/// request is given outlives this call.
unsafe fn ask<C: ClientContext>(
    client: &Client<C>,
    operation: sys::rd_kafka_admin_op_t,
    wait: Duration,
    doing: &'static str,
    send: impl FnOnce(
        *mut sys::rd_kafka_t,
        *mut sys::rd_kafka_AdminOptions_t,
        *mut sys::rd_kafka_queue_t,
    ),
) -> Result<Event, Error> {
    // SAFETY: the client is alive while it is borrowed; every pointer made here is guarded.
    let event = unsafe {
        let client = client.native_ptr();
        let queue = Queue(sys::rd_kafka_queue_new(client));
        let options = Options(sys::rd_kafka_AdminOptions_new(client, operation));
        sys::rd_kafka_AdminOptions_set_request_timeout(options.0, millis(wait), ptr::null_mut(), 0);
        send(client, options.0, queue.0);
        Event(sys::rd_kafka_queue_poll(queue.0, millis(wait)))
    };
    if event.0.is_null() {
        return Err(Error::Unanswered {
            doing,
            complaint: None,
        });
    }
    // SAFETY: the event is alive until the end of this function.
    let code = Code::from(unsafe { sys::rd_kafka_event_error(event.0) });
    if code == Code::NoError {
        Ok(event)
    } else {
        Err(refused(doing, code))
    }
}

fn refused(doing: &'static str, code: Code) -> Error {
    Error::Client {
        doing,
        source: KafkaError::AdminOp(code),
    }
}

/// Copies names and ids out of a result.
fn described(event: &Event) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::new();
    // SAFETY: the event is alive while it is borrowed and owns all that is read here; the array has
    // as many entries as the client says, none of them null, and strings end with a zero.
    unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(event.0);
        if result.is_null() {
            return ids;
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        for place in 0..count {
            let topic = *topics.add(place);
            let error = sys::rd_kafka_TopicDescription_error(topic);
            if !error.is_null() && Code::from(sys::rd_kafka_error_code(error)) != Code::NoError {
                continue;
            }
            let id = sys::rd_kafka_TopicDescription_topic_id(topic);
            if !id.is_null() {
                let name = text(sys::rd_kafka_TopicDescription_name(topic));
                ids.insert(name, text(sys::rd_kafka_Uuid_base64str(id)));
            }
        }
    }
    ids
}

/// # Safety
/// The pointer is null or points at a string that ends with a zero.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(pointer) }
        .to_string_lossy()
        .into_owned()
}

fn millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_millis()).unwrap_or(i32::MAX)
}

/// Gives what a constructor made back to the library.
macro_rules! guards {
    ($($guard:ident($native:ty) by $destroy:path;)*) => {$(
        struct $guard(*mut $native);

        impl Drop for $guard {
            fn drop(&mut self) {
                if !self.0.is_null() {
                    // SAFETY: made by the library, owned by this guard alone, given back once.
                    unsafe { $destroy(self.0) }
                }
            }
        }
    )*};
}

use guards;

guards! {
    Queue(sys::rd_kafka_queue_t) by sys::rd_kafka_queue_destroy;
    Options(sys::rd_kafka_AdminOptions_t) by sys::rd_kafka_AdminOptions_destroy;
    Collection(sys::rd_kafka_TopicCollection_t) by sys::rd_kafka_TopicCollection_destroy;
    Event(sys::rd_kafka_event_t) by sys::rd_kafka_event_destroy;
}
