//! Who may do what in Kafka. Single writer is a rule of the broker, not a habit of the code.
//!
//! Topics are granted by their whole names: the prefix `brewline.order.events.v1` would match its
//! dead-letter topic too. `admin` and `broker` are super users and stand in no table.

use brewline_kafka::Acl;
pub use brewline_kafka::{Operation, Resource};

use super::topics::EVENT_TOPICS;

/// Services that have a user of their own.
pub const SERVICE_USERS: [&str; 6] = [
    "order",
    "payment",
    "inventory",
    "barista",
    "notification",
    "leaderboard",
];

/// Reads and describes everything; for `verify`, `events tail` and `status`.
pub const OPERATOR: &str = "operator";
/// Creates topics and grants; serves `brewline kafka`.
pub const ADMIN: &str = "admin";
/// The broker's own user.
pub const BROKER: &str = "broker";
/// Owns everything that begins with `test.`; exists only for tests.
pub const TEST: &str = "test";

/// One user's right on some resources of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The user.
    pub user: &'static str,
    /// What it may do.
    pub operations: Vec<Operation>,
    /// With what.
    pub resources: Vec<Resource>,
}

// === impl Grant ===

impl Grant {
    /// One right each, as the broker keeps them.
    #[must_use]
    pub fn acls(&self) -> Vec<Acl> {
        let each = |resource: &Resource| {
            let resource = resource.clone();
            self.operations.iter().map(move |operation| Acl {
                user: self.user.to_owned(),
                operation: *operation,
                resource: resource.clone(),
            })
        };
        self.resources.iter().flat_map(each).collect()
    }
}

/// All grants of a stack; `with_tests` adds the user for tests.
#[must_use]
pub fn grants(with_tests: bool) -> Vec<Grant> {
    let mut all: Vec<Grant> = SERVICE_USERS.into_iter().flat_map(service_grants).collect();
    all.extend(operator_grants());
    if with_tests {
        all.extend(test_grants());
    }
    all
}

/// Whether a table of grants lets a user do something; everything else is refused.
#[must_use]
pub fn allows(table: &[Grant], user: &str, operation: Operation, resource: &Resource) -> bool {
    table.iter().any(|grant| {
        grant.user == user
            && grant.operations.iter().any(|own| own.implies(operation))
            && grant.resources.iter().any(|own| own.covers(resource))
    })
}

fn service_grants(user: &'static str) -> Vec<Grant> {
    let owned = EVENT_TOPICS.iter().filter(|topic| topic.owner == user);
    let consumed = EVENT_TOPICS
        .iter()
        .filter(|topic| topic.consumers.contains(&user));
    let written = owned
        .clone()
        .map(|topic| topic.name.to_owned())
        .chain(consumed.clone().map(super::topics::EventTopic::dead_letter));
    let read = owned.chain(consumed).map(|topic| topic.name.to_owned());
    let groups = Resource::GroupPrefix(format!("brewline.{user}."));
    vec![
        grant(user, &[Operation::Write], written.map(Resource::Topic)),
        grant(user, &[Operation::Read], read.map(Resource::Topic)),
        grant(user, &[Operation::Read], [groups]),
    ]
}

fn operator_grants() -> Vec<Grant> {
    let topics = [
        Operation::Read,
        Operation::Describe,
        Operation::DescribeConfigs,
    ];
    let everything = || "*".to_owned();
    vec![
        grant(OPERATOR, &topics, [Resource::Topic(everything())]),
        grant(
            OPERATOR,
            &[Operation::Describe],
            [Resource::Group(everything())],
        ),
        grant(OPERATOR, &[Operation::Describe], [Resource::Cluster]),
    ]
}

fn test_grants() -> Vec<Grant> {
    let prefix = || "test.".to_owned();
    vec![
        grant(TEST, &[Operation::All], [Resource::TopicPrefix(prefix())]),
        grant(TEST, &[Operation::All], [Resource::GroupPrefix(prefix())]),
    ]
}

fn grant(
    user: &'static str,
    operations: &[Operation],
    resources: impl IntoIterator<Item = Resource>,
) -> Grant {
    Grant {
        user,
        operations: operations.to_vec(),
        resources: resources.into_iter().collect(),
    }
}
