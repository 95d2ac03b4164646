use brewline_postgres::Migration;

/// The schema of this service, step by step.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "messaging",
        sql: include_str!("../migrations/0001_messaging.sql"),
    },
    Migration {
        version: 2,
        name: "orders",
        sql: include_str!("../migrations/0002_orders.sql"),
    },
    Migration {
        version: 3,
        name: "saga",
        sql: include_str!("../migrations/0003_saga.sql"),
    },
    Migration {
        version: 4,
        name: "housekeeping",
        sql: include_str!("../migrations/0004_housekeeping.sql"),
    },
    Migration {
        version: 5,
        name: "operator",
        sql: include_str!("../migrations/0005_operator.sql"),
    },
    Migration {
        version: 6,
        name: "erasure",
        sql: include_str!("../migrations/0006_erasure.sql"),
    },
    Migration {
        version: 7,
        name: "hot_orders",
        sql: include_str!("../migrations/0007_hot_orders.sql"),
    },
    Migration {
        version: 8,
        name: "erasure_waits",
        sql: include_str!("../migrations/0008_erasure_waits.sql"),
    },
    Migration {
        version: 9,
        name: "no_statistics_of_persons",
        sql: include_str!("../migrations/0009_no_statistics_of_persons.sql"),
    },
];
