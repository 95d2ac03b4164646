//! The names of spans and of their attributes. `telemetry/registry` says what each means; a test holds
//! the two lists equal.

use super::Name;
use crate::otlp::SpanKind::{Client, Consumer, Internal, Producer, Server};

/// A request at the edge.
pub const HTTP_SERVER: Name = Name::new("http_server", Server);
/// A gRPC call, as its caller sees it.
pub const RPC_CLIENT: Name = Name::new("rpc_client", Client);
/// A gRPC call, as it is answered.
pub const RPC_SERVER: Name = Name::new("rpc_server", Server);
/// An order on its way through a transaction.
pub const PLACE_ORDER: Name = Name::new("place_order", Internal);
/// One transaction that places orders.
pub const PLACE_BATCH: Name = Name::new("place_batch", Internal);
/// An event from its commit to Kafka's acknowledgement.
pub const PUBLISH: Name = Name::new("publish", Producer);
/// A record from its batch's start to its commit.
pub const PROCESS: Name = Name::new("process", Consumer);
/// One transaction that applies records.
pub const PROCESS_BATCH: Name = Name::new("process_batch", Internal);
/// A checkout reacts.
pub const SAGA_STEP: Name = Name::new("saga_step", Internal);
/// One order's command to payment.
pub const PAYMENT_COMMAND: Name = Name::new("payment_command", Internal);
/// A request to the card processor.
pub const CARD_PROCESSOR: Name = Name::new("card_processor", Client);
/// A request, as the sandbox's card processor answers it.
pub const CARD_PROCESSOR_SERVER: Name = Name::new("card_processor_server", Server);
/// One attempt to hand over a mail.
pub const SEND_NOTIFICATION: Name = Name::new("send_notification", Client);

/// Names of attributes.
pub mod attribute {
    /// Method of a request.
    pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
    /// Route that matched.
    pub const HTTP_ROUTE: &str = "http.route";
    /// Status of an answer.
    pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
    /// Kind of remote call.
    pub const RPC_SYSTEM_NAME: &str = "rpc.system.name";
    /// Full name of a gRPC method.
    pub const RPC_METHOD: &str = "rpc.method";
    /// Status of a gRPC call.
    pub const RPC_RESPONSE_STATUS_CODE: &str = "rpc.response.status_code";
    /// Kind of log.
    pub const MESSAGING_SYSTEM: &str = "messaging.system";
    /// What is done with messages.
    pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
    /// Topic.
    pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
    /// Partition.
    pub const MESSAGING_DESTINATION_PARTITION_ID: &str = "messaging.destination.partition.id";
    /// Consumer group.
    pub const MESSAGING_CONSUMER_GROUP_NAME: &str = "messaging.consumer.group.name";
    /// Offset of a record.
    pub const MESSAGING_KAFKA_OFFSET: &str = "messaging.kafka.offset";
    /// Id of an event.
    pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
    /// Records of a batch.
    pub const MESSAGING_BATCH_MESSAGE_COUNT: &str = "messaging.batch.message_count";
    /// Type of an event.
    pub const CLOUDEVENTS_EVENT_TYPE: &str = "cloudevents.event_type";
    /// Why an operation failed: a class.
    pub const ERROR_TYPE: &str = "error.type";
    /// The order.
    pub const ORDER_ID: &str = "brewline.order.id";
    /// Items of a batch.
    pub const BATCH_SIZE: &str = "brewline.batch.size";
    /// State a checkout came into.
    pub const SAGA_STATE: &str = "brewline.saga.state";
    /// What a checkout reacted to.
    pub const SAGA_TRIGGER: &str = "brewline.saga.trigger";
    /// What is asked of payment, or of the card processor.
    pub const CALL: &str = "brewline.call";
    /// How a customer is told.
    pub const DELIVERY_CHANNEL: &str = "brewline.delivery.channel";
    /// What came of it.
    pub const OUTCOME: &str = "brewline.outcome";
    /// The service; of the whole process.
    pub const SERVICE_NAME: &str = "service.name";
    /// The process among a service's replicas.
    pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";
    /// The version.
    pub const SERVICE_VERSION: &str = "service.version";
}
