//! Customers.

use brewline_order::app::customers;
use brewline_proto::customer::v1 as wire;
use brewline_proto::customer::v1::customer_service_server::CustomerService as _;
use brewline_test_support::eventually;
use prost::Message as _;
use tonic::{Code, Request};

use crate::shop::{CUSTOMER, Shop, customer, order, says};

#[tokio::test]
async fn a_customer_is_created_once_and_told_whole() {
    let shop = Shop::empty().await;
    let first = shop.create(customer("k", "")).await.unwrap();
    let again = shop.create(customer("k", "")).await.unwrap();
    assert_eq!(first.customer, again.customer);
    assert!(again.replayed && !first.replayed);
    let customer = first.customer.unwrap();
    let connection = shop.parts.pool.get().await.unwrap();
    let row = connection
        .query_one(
            "select topic, aggregate_id, version, payload from outbox_record",
            &[],
        )
        .await
        .unwrap();
    let body: Vec<u8> = row.get(3);
    let told = wire::CustomerChanged::decode(body.as_slice()).unwrap();
    assert_eq!(row.get::<_, &str>(0), "brewline.customer.events.v1");
    assert_eq!(
        (row.get::<_, String>(1), row.get::<_, i64>(2)),
        (customer.customer_id, 1)
    );
    assert_eq!((told.name, told.email), (customer.name, customer.email));
}

#[tokio::test]
async fn a_taken_id_is_refused_and_the_key_stays_free() {
    let shop = Shop::open().await;
    let status = shop
        .create(customer("k", "customer-demo"))
        .await
        .unwrap_err();
    assert_eq!(
        says(&status),
        (Code::AlreadyExists, "customer-exists".to_owned())
    );
    assert!(
        !shop
            .create(customer("k", "customer-other"))
            .await
            .unwrap()
            .replayed
    );
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let shop = Shop::empty().await;
    shop.create(customer("k", "")).await.unwrap();
    let mut other = customer("k", "");
    other.name = "Grace".to_owned();
    let status = shop.create(other).await.unwrap_err();
    assert_eq!(says(&status).1, "idempotency-key-reused");
}

#[tokio::test]
async fn a_customer_is_found_by_id() {
    let shop = Shop::open().await;
    let get = async |id: &str| {
        let request = wire::GetCustomerRequest {
            customer_id: id.to_owned(),
        };
        shop.customers.get_customer(Request::new(request)).await
    };
    let found = get("customer-demo")
        .await
        .unwrap()
        .into_inner()
        .customer
        .unwrap();
    assert_eq!((found.name.as_str(), found.version), ("Ada", 1));
    assert_eq!(
        says(&get("customer-nobody").await.unwrap_err()).1,
        "unknown-customer"
    );
    assert_eq!(
        get("'; drop").await.unwrap_err().code(),
        Code::InvalidArgument
    );
}

async fn change(
    shop: &Shop,
    request: wire::ChangeCustomerRequest,
) -> Result<wire::Customer, tonic::Status> {
    let answer = shop.customers.change_customer(Request::new(request)).await;
    Ok(answer?.into_inner().customer.unwrap())
}

async fn erase(shop: &Shop, customer_id: &str) -> Result<i64, tonic::Status> {
    let customer_id = customer_id.to_owned();
    let request = Request::new(wire::EraseCustomerRequest { customer_id });
    let answer = shop.customers.erase_customer(request).await;
    Ok(answer?.into_inner().version)
}

fn renamed(name: &str) -> wire::ChangeCustomerRequest {
    wire::ChangeCustomerRequest {
        customer_id: CUSTOMER.to_owned(),
        name: Some(name.to_owned()),
        ..wire::ChangeCustomerRequest::default()
    }
}

/// The states told of the customer, oldest first.
async fn told(shop: &Shop) -> Vec<(i64, wire::CustomerChanged)> {
    let connection = shop.parts.pool.get().await.unwrap();
    let sql = "select version, coalesce(payload, '') from outbox_record \
               where aggregate_type = 'customer' order by position";
    let rows = connection.query(sql, &[]).await.unwrap();
    let state = |row: &brewline_postgres::Row| {
        let body: &[u8] = row.get(1);
        (row.get(0), wire::CustomerChanged::decode(body).unwrap())
    };
    rows.iter().map(state).collect()
}

#[tokio::test]
async fn a_change_keeps_what_is_not_given_and_is_told_whole() {
    let shop = Shop::open().await;
    let customer = change(&shop, renamed("Grace")).await.unwrap();
    assert_eq!((customer.name.as_str(), customer.version), ("Grace", 2));
    assert_eq!(customer.email, "ada@example.org");
    let again = change(&shop, renamed("Grace")).await.unwrap();
    assert_eq!(again.version, 2, "what is so already is no change");
    let told = told(&shop).await;
    assert_eq!(told.len(), 2);
    let (version, last) = told.last().unwrap();
    assert_eq!((*version, last.name.as_str()), (2, "Grace"));
    assert_eq!(
        (last.email.as_str(), last.show_name),
        ("ada@example.org", true)
    );
}

#[tokio::test]
async fn a_change_meant_for_another_version_is_refused() {
    let shop = Shop::open().await;
    let expecting = |expected_version| wire::ChangeCustomerRequest {
        expected_version,
        ..renamed("Grace")
    };
    let status = change(&shop, expecting(2)).await.unwrap_err();
    assert_eq!(says(&status).1, "version-conflict");
    assert_eq!(change(&shop, expecting(1)).await.unwrap().version, 2);
    let status = change(&shop, renamed(" ")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let nobody = wire::ChangeCustomerRequest {
        customer_id: "customer-nobody".to_owned(),
        ..renamed("Grace")
    };
    let status = change(&shop, nobody).await.unwrap_err();
    assert_eq!(says(&status).1, "unknown-customer");
}

#[tokio::test]
async fn erasing_is_told_once_and_an_erased_customer_is_gone_for_good() {
    let shop = Shop::open().await;
    let open = shop.placed("before").await;
    assert_eq!(erase(&shop, CUSTOMER).await.unwrap(), 2);
    assert_eq!(erase(&shop, CUSTOMER).await.unwrap(), 2);
    let told = told(&shop).await;
    assert_eq!(told.len(), 2);
    let erased = wire::CustomerChanged {
        customer_id: CUSTOMER.to_owned(),
        erased: true,
        ..wire::CustomerChanged::default()
    };
    assert_eq!(told.last().unwrap(), &(2, erased));
    let get = wire::GetCustomerRequest {
        customer_id: CUSTOMER.to_owned(),
    };
    let status = shop.customers.get_customer(Request::new(get)).await;
    let gone = (Code::NotFound, "customer-erased".to_owned());
    assert_eq!(says(&status.unwrap_err()), gone);
    assert_eq!(
        says(&change(&shop, renamed("Ada")).await.unwrap_err()),
        gone
    );
    assert_eq!(shop.count("select count(*) from erasure").await, 1);
    let refused = shop.place(order("after", &[("cortado", 1)])).await;
    assert_eq!(says(&refused.unwrap_err()).1, "unknown-customer");
    assert_eq!(
        shop.get(&open).await.unwrap().version,
        1,
        "open orders go on"
    );
    let nobody = erase(&shop, "customer-nobody").await.unwrap_err();
    assert_eq!(says(&nobody).1, "unknown-customer");
}

const NAME: &str = "Wilhelmina Featherstonehaugh";
const EMAIL: &str = "wilhelmina@featherstonehaugh.example";

/// Every column of every table, as text; bytes both as text and in hex.
async fn traces_of(shop: &Shop, text: &str) -> Vec<String> {
    let connection = shop.parts.pool.get().await.unwrap();
    let sql = "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
               where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema')";
    let tables = connection.query(sql, &[]).await.unwrap();
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut found = Vec::new();
    for table in tables.iter().map(|row| row.get::<_, String>(0)) {
        let sql: &'static str = format!("select t::text from \"{table}\" t").leak();
        let rows = connection.query(sql, &[]).await.unwrap();
        let rows = rows.iter().map(|row| row.get::<_, String>(0));
        let hits = rows.filter(|row| row.contains(text) || row.contains(&hex));
        found.extend(hits.map(|_| table.clone()));
    }
    found
}

/// A customer with a name of their own, who has changed and ordered.
async fn known_customer(shop: &Shop) -> wire::CreateCustomerRequest {
    let request = wire::CreateCustomerRequest {
        name: NAME.to_owned(),
        email: EMAIL.to_owned(),
        ..customer("wilhelmina", "customer-w")
    };
    shop.create(request.clone()).await.unwrap();
    let change_locale = wire::ChangeCustomerRequest {
        customer_id: "customer-w".to_owned(),
        locale: Some("pt-PT".to_owned()),
        ..wire::ChangeCustomerRequest::default()
    };
    change(shop, change_locale).await.unwrap();
    let mut ordered = order("w-orders", &[("cortado", 1)]);
    ordered.customer_id = "customer-w".to_owned();
    shop.place(ordered).await.unwrap();
    request
}

async fn mark_everything(shop: &Shop) {
    let connection = shop.parts.pool.get().await.unwrap();
    let mark = "update relay_slot set watermark = (select max(position) from outbox)";
    connection.execute(mark, &[]).await.unwrap();
}

#[tokio::test]
async fn erasure_leaves_nothing_of_a_person_in_any_table() {
    let shop = Shop::open().await;
    let created = known_customer(&shop).await;
    mark_everything(&shop).await;
    assert!(traces_of(&shop, NAME).await.len() >= 3, "the search finds");
    erase(&shop, "customer-w").await.unwrap();
    for text in [NAME, EMAIL] {
        assert_eq!(traces_of(&shop, text).await, Vec::<String>::new());
    }
    let kept = "select count(*) from erased_payload where customer_id = 'customer-w'";
    assert_eq!(shop.count(kept).await, 2, "the hashes are kept");
    let replayed = shop.create(created).await.unwrap();
    assert!(replayed.replayed);
    let only_the_id = wire::Customer {
        customer_id: "customer-w".to_owned(),
        version: 1,
        erased: true,
        ..wire::Customer::default()
    };
    assert_eq!(replayed.customer.unwrap(), only_the_id);
    let others = shop.get_customer(CUSTOMER).await;
    assert_eq!(others.name, "Ada", "nobody else is touched");
}

#[tokio::test]
async fn what_is_not_in_the_log_yet_is_blanked_with_its_mark() {
    let shop = Shop::open().await;
    known_customer(&shop).await;
    erase(&shop, "customer-w").await.unwrap();
    assert_eq!(
        traces_of(&shop, NAME).await.len(),
        2,
        "the relay still needs both rows"
    );
    mark_everything(&shop).await;
    for text in [NAME, EMAIL] {
        assert_eq!(traces_of(&shop, text).await, Vec::<String>::new());
    }
    assert_eq!(shop.count("select count(*) from erasure_pending").await, 0);
    let (version, last) = told(&shop).await.last().unwrap().clone();
    assert_eq!((version, last.erased), (3, true), "what tells it stays");
}

#[tokio::test]
async fn a_mark_beside_an_erasure_waits_for_it_whatever_the_slot() {
    let shop = Shop::open().await;
    known_customer(&shop).await;
    // As if there had been two slots when the customer came, and there is one now.
    let connection = shop.parts.pool.get().await.unwrap();
    let moved = "insert into relay_slot (slot) values (1);
                 update outbox set slot = 1 where aggregate_id = 'customer-w';";
    connection.batch_execute(moved).await.unwrap();
    let mut erasing = shop.parts.pool.get().await.unwrap();
    let tx = erasing.transaction().await.unwrap();
    tx.query("select erase_customer_payloads('customer-w')", &[])
        .await
        .unwrap();
    let waits =
        "select count(*) from pg_locks l join pg_database d on d.datname = current_database()
                  where not l.granted and (l.database = d.oid or l.locktype = 'transactionid')";
    let marked = std::sync::atomic::AtomicBool::new(false);
    let marking = async {
        mark_everything(&shop).await;
        marked.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    let committing = async {
        eventually("the mark waits, or has passed", async || {
            marked.load(std::sync::atomic::Ordering::SeqCst) || shop.count(waits).await > 0
        })
        .await;
        tx.commit().await.unwrap();
    };
    tokio::join!(marking, committing);
    let left = "select count(*) from outbox where aggregate_id = 'customer-w' and payload <> ''";
    assert_eq!(shop.count(left).await, 0, "no later mark has to come");
}

#[tokio::test]
async fn the_list_of_erasures_is_applied_although_that_fails_at_first() {
    let shop = Shop::open().await;
    erase(&shop, CUSTOMER).await.unwrap();
    let connection = shop.parts.pool.get().await.unwrap();
    // The list cannot be read twice, as while a database comes up.
    let restore = "update customer set name = 'Ada', erased = false, version = 1;
                   create sequence tries;
                   create function is_up() returns boolean language plpgsql volatile as $$
                   begin
                       if nextval('tries') < 3 then raise exception 'not yet'; end if;
                       return true;
                   end $$;
                   alter table erasure rename to erasure_kept;
                   create view erasure as select customer_id, erased_at from erasure_kept where is_up();";
    connection.batch_execute(restore).await.unwrap();
    let within = std::time::Duration::from_secs(20);
    let done = tokio::time::timeout(within, customers::erase_until_done(&shop.parts));
    done.await.expect("it is tried until it is done");
    assert!(shop.count("select last_value from tries").await >= 3);
    let erased = "select count(*) from customer where erased and name = ''";
    assert_eq!(shop.count(erased).await, 1);
}

#[tokio::test]
async fn who_comes_back_with_a_restore_is_erased_once_more() {
    let shop = Shop::open().await;
    erase(&shop, CUSTOMER).await.unwrap();
    let connection = shop.parts.pool.get().await.unwrap();
    let restore = "update customer set name = 'Ada', erased = false, version = 1";
    connection.execute(restore, &[]).await.unwrap();
    let erased = customers::erase_again(&shop.parts).await.unwrap();
    assert_eq!(erased, 1);
    assert_eq!(customers::erase_again(&shop.parts).await.unwrap(), 0);
    assert_eq!(
        shop.count("select count(*) from customer where erased and name = ''")
            .await,
        1
    );
}
