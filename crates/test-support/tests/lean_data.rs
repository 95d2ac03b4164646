//! Lean data: what each service keeps of another's is written down here, column by column. A new column
//! shall be a decision, not a habit; and a new table has to say whose data it holds.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test reads the files of the workspace"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use brewline_postgres::Migration;
use brewline_test_support::TestDatabase;

/// A service, a table, whose data its rows are made of, and the columns that hold it.
type Copy = (&'static str, &'static str, &'static str, &'static str);

/// Everything that is kept of another service's data. Columns that the keeper makes itself, such as its own
/// states and instants, are left out here and allowed; ids by which it finds its rows are listed.
const COPIES: &[Copy] = &[
    (
        "order",
        "catalogue_store",
        "inventory",
        "store_id name currency time_zone retired version",
    ),
    (
        "order",
        "catalogue_product",
        "inventory",
        "product_id name kind method origin price_currencies price_minors retired version",
    ),
    (
        "inventory",
        "reservation",
        "order",
        "order_id store_id lines",
    ),
    ("inventory", "stock_ledger", "order", "order_id cause"),
    (
        "payment",
        "payment",
        "order",
        "order_id amount_minor currency token token_hash",
    ),
    ("payment", "ledger_posting", "order", "order_id currency"),
    (
        "barista",
        "preparation",
        "order",
        "order_id store_id answered",
    ),
    (
        "barista",
        "ticket",
        "order",
        "order_id line store_id product_id product quantity method",
    ),
    ("barista", "wall", "inventory", "store_id"),
    (
        "barista",
        "wall_item",
        "order",
        "order_id store_id product quantity method",
    ),
    (
        "notification",
        "customer",
        "order",
        "customer_id name email locale erased",
    ),
    ("notification", "preference", "order", "customer_id"),
    (
        "notification",
        "delivery",
        "order",
        "order_id customer_id cause correlation detail happened_at traceparent",
    ),
    (
        "notification",
        "event_log",
        "order",
        "event_id order_id type store_id payload occurred_at",
    ),
    (
        "notification",
        "call",
        "order",
        "event_id order_id type store_id payload occurred_at",
    ),
    ("notification", "endpoint", "inventory", "store_id"),
];

/// Columns beside those that the keeper makes itself, in the tables above.
const OF_ITS_OWN: &[(&str, &str, &str)] = &[
    ("order", "catalogue_store", "revision"),
    ("order", "catalogue_product", "revision"),
    ("inventory", "reservation", "state version updated_at"),
    (
        "inventory",
        "stock_ledger",
        "stock_id sequence kind on_hand_delta on_hand_after reserved_delta reserved_after at",
    ),
    (
        "payment",
        "payment",
        "revision events authorise_not_before capture_not_before reverse_not_before recorded_at \
         reversed_at authorise_attempts capture_attempts reverse_attempts authorise_state capture_state \
         reverse_state effect authorisation_id authorise_detail capture_detail reverse_detail risk_rule",
    ),
    (
        "payment",
        "ledger_posting",
        "version held_minor pending_minor receivable_minor revenue_minor refunds_minor posted_at event",
    ),
    ("barista", "preparation", "version updated_at stage"),
    (
        "barista",
        "ticket",
        "ticket_id opened_at started_at ended_at station status",
    ),
    ("barista", "wall", "position"),
    ("barista", "wall_item", "ticket_id opened_at station status"),
    ("notification", "customer", ""),
    (
        "notification",
        "preference",
        "channels kinds updated_at version",
    ),
    (
        "notification",
        "delivery",
        "due_at created_at sent_at attempts delivery_id kind channel state reason",
    ),
    ("notification", "event_log", "position recorded_at"),
    (
        "notification",
        "call",
        "position due_at delivered_at attempts claims endpoint_id state reason",
    ),
    (
        "notification",
        "endpoint",
        "next_after created_at disabled_at old_secret_until version endpoint_id url types secret old_secret",
    ),
];

/// Tables that hold the service's own data alone.
const OWN: &[(&str, &str)] = &[
    (
        "order",
        "orders order_event idempotency_key customer catalogue_revision saga saga_log operator_action \
         erasure erased_payload erasure_pending",
    ),
    (
        "inventory",
        "store product stock adjustment operator_action",
    ),
    ("payment", "risk_tally"),
    ("barista", "operator_action"),
    ("notification", "operator_action idempotency_key"),
    (
        "leaderboard",
        "snapshot snapshot_part snapshot_position snapshot_lease operator_action",
    ),
];

/// What every service keeps that sends and receives events; the same everywhere.
const OF_MESSAGES: &str = "relay_slot outbox outbox_default consumer_position inbox dead_letter parked_key \
                           parked delivery_attempt";

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A service's migrations, as its folder holds them.
fn migrations(service: &str) -> Vec<Migration> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services");
    let folder = folder.join(service).join("migrations");
    let entries = fs::read_dir(&folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let migration = |(version, file): (i32, &std::path::PathBuf)| Migration {
        version,
        // They live as long as the test: a dozen texts.
        name: file
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
            .leak(),
        sql: fs::read_to_string(file).unwrap().leak(),
    };
    (1..).zip(&files).map(migration).collect()
}

/// The columns of every table of a service, partitions left out.
async fn tables(service: &str) -> BTreeMap<String, BTreeSet<String>> {
    let database = TestDatabase::create(&migrations(service)).await;
    let sql = "select c.relname::text, a.attname::text
               from pg_class c join pg_attribute a on a.attrelid = c.oid
               where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
                 and not c.relispartition and a.attnum > 0 and not a.attisdropped";
    let connection = database.pool().get().await.unwrap();
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in connection.query(sql, &[]).await.unwrap() {
        tables.entry(row.get(0)).or_default().insert(row.get(1));
    }
    drop(connection);
    tables
}

async fn lean(service: &str) {
    let own = OWN.iter().filter(|(name, _)| *name == service);
    let mut own: BTreeSet<String> = own.flat_map(|(_, tables)| words(tables)).collect();
    own.extend(words(OF_MESSAGES));
    for (table, columns) in tables(service).await {
        if own.contains(&table) || table.starts_with("schema_") || table.starts_with("brewline_") {
            continue;
        }
        let copies = COPIES.iter();
        let mut copy = copies.filter(|(name, of, ..)| (*name, *of) == (service, table.as_str()));
        let found = copy.next();
        assert!(
            found.is_some(),
            "{service}.{table}: whose data is it? Say so in COPIES or OWN"
        );
        let kept = found.map_or("", |(.., kept)| *kept);
        let made = OF_ITS_OWN.iter();
        let mut made = made.filter(|(name, of, _)| (*name, *of) == (service, table.as_str()));
        let mut expected = words(kept);
        expected.extend(words(made.next().map_or("", |(.., made)| made)));
        assert_eq!(
            columns, expected,
            "{service}.{table} keeps other columns than it says"
        );
    }
}

#[tokio::test]
async fn order_keeps_of_others_what_it_says() {
    lean("order").await;
}

#[tokio::test]
async fn inventory_keeps_of_others_what_it_says() {
    lean("inventory").await;
}

#[tokio::test]
async fn payment_keeps_of_others_what_it_says() {
    lean("payment").await;
}

#[tokio::test]
async fn barista_keeps_of_others_what_it_says() {
    lean("barista").await;
}

#[tokio::test]
async fn notification_keeps_of_others_what_it_says() {
    lean("notification").await;
}

#[tokio::test]
async fn leaderboard_keeps_of_others_what_it_says() {
    lean("leaderboard").await;
}

#[test]
fn every_service_with_tables_is_listed() {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services");
    let listed: BTreeSet<&str> = OWN.iter().map(|(service, _)| *service).collect();
    for entry in fs::read_dir(services).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let has_tables = path.join("migrations").is_dir();
        assert_eq!(has_tables, listed.contains(name.as_str()), "{name}");
    }
}
