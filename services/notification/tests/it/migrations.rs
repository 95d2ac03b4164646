//! The schema.

use brewline_notification::MIGRATIONS;
use brewline_postgres::migrate;

use crate::post::Post;

#[tokio::test]
async fn migrations_run_twice() {
    let post = Post::open().await;
    migrate(&post.pool, MIGRATIONS).await.unwrap();
}

#[test]
fn the_messaging_tables_are_the_message_cores_own() {
    assert_eq!(MIGRATIONS[0].sql, brewline_messaging::SCHEMA);
    assert_eq!(MIGRATIONS[2].sql, brewline_messaging::OPERATOR_SCHEMA);
}

#[tokio::test]
async fn only_what_is_needed_is_kept_of_others_data() {
    let post = Post::open().await;
    let columns = "
        select table_name || '.' || column_name from information_schema.columns
         where table_name in ('customer', 'delivery', 'event_log', 'call')
           and column_name in ('name', 'email', 'locale', 'show_name', 'address', 'customer_id', 'body',
                               'subject', 'recipient', 'phone')
         order by 1";
    let columns = post.rows(columns).await;
    let columns: Vec<String> = columns.iter().map(|row| row.get(0)).collect();
    let wanted = [
        "customer.customer_id",
        "customer.email",
        "customer.locale",
        "customer.name",
        "delivery.customer_id",
    ];
    assert_eq!(columns, wanted);
}
