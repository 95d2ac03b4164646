//! Reading orders.

use std::collections::BTreeSet;
use std::time::Duration;

use brewline_order::outbound::order_view::{self, Filter, Walk};
use brewline_order_domain::checkout::CheckoutEvent;
use brewline_order_domain::order::OrderStatus;
use brewline_proto::order::v1 as wire;
use futures_util::future::join_all;
use tonic::{Code, Request, Status};
use uuid::Uuid;
use wire::order_service_server::OrderService as _;

use crate::shop::{CUSTOMER, STORE, Shop, order, says};

async fn list(
    shop: &Shop,
    request: wire::ListOrdersRequest,
) -> Result<wire::ListOrdersResponse, Status> {
    let answer = shop.orders.list_orders(Request::new(request)).await;
    answer.map(tonic::Response::into_inner)
}

fn pages_of(size: i32) -> wire::ListOrdersRequest {
    wire::ListOrdersRequest {
        page_size: size,
        ..wire::ListOrdersRequest::default()
    }
}

/// Reads all pages, placing an order after each.
async fn read_all(shop: &Shop, mut request: wire::ListOrdersRequest) -> Vec<String> {
    let mut ids = Vec::new();
    for page in 0.. {
        let answer = list(shop, request.clone()).await.unwrap();
        ids.extend(answer.orders.into_iter().map(|order| order.order_id));
        shop.placed(&format!("late-{page}-{}", ids.len())).await;
        if answer.next_page_token.is_empty() {
            break;
        }
        request.page_token = answer.next_page_token;
    }
    ids
}

#[tokio::test]
async fn pages_are_complete_and_stable_while_orders_arrive() {
    let shop = Shop::open().await;
    let placed = join_all((0..25).map(|n| async move { n })).await;
    let mut first = BTreeSet::new();
    for n in placed {
        first.insert(shop.placed(&format!("k{n}")).await);
    }
    let mut by_store = pages_of(10);
    by_store.store_id = STORE.to_owned();
    let mut by_customer = pages_of(10);
    by_customer.customer_id = CUSTOMER.to_owned();
    let mut by_status = pages_of(10);
    by_status.status = wire::OrderStatus::Pending.into();
    let mut by_all = by_customer.clone();
    by_all.store_id = STORE.to_owned();
    by_all.status = wire::OrderStatus::Pending.into();
    for request in [pages_of(7), by_store, by_customer, by_status, by_all] {
        let ids = read_all(&shop, request.clone()).await;
        let unique: BTreeSet<String> = ids.iter().cloned().collect();
        assert_eq!(
            unique.len(),
            ids.len(),
            "an order stood on two pages: {request:?}"
        );
        assert!(first.is_subset(&unique), "an order is missing: {request:?}");
        assert!(ids.iter().rev().is_sorted(), "newest first: {request:?}");
    }
}

#[tokio::test]
async fn a_filter_shows_only_what_it_says() {
    let shop = Shop::open().await;
    let cancelled = shop.placed("k1").await;
    shop.placed("k2").await;
    shop.cancel(&cancelled).await.unwrap();
    let mut request = pages_of(10);
    request.status = wire::OrderStatus::Cancelled.into();
    let answer = list(&shop, request.clone()).await.unwrap();
    let ids: Vec<_> = answer
        .orders
        .into_iter()
        .map(|order| order.order_id)
        .collect();
    assert_eq!(ids, [cancelled]);
    request.store_id = "store-oslo".to_owned();
    assert!(list(&shop, request).await.unwrap().orders.is_empty());
}

#[tokio::test]
async fn a_page_looks_at_so_many_orders_and_says_where_it_ended() {
    let shop = Shop::open().await;
    let oldest = shop.placed("k0").await;
    shop.cancel(&oldest).await.unwrap();
    for n in 1..=7 {
        shop.placed(&format!("k{n}")).await;
    }
    let of_status = Filter {
        status: Some(OrderStatus::Cancelled),
        ..Filter::default()
    };
    let of_store = Filter {
        store_id: Some(STORE.parse().unwrap()),
        ..of_status.clone()
    };
    let of_customer = Filter {
        customer_id: Some(CUSTOMER.parse().unwrap()),
        ..of_status.clone()
    };
    for filter in [of_status, of_store, of_customer] {
        let (found, walks) = walk(&shop, &filter).await;
        assert_eq!(found, [oldest.as_str()], "{filter:?}");
        assert_eq!(walks, 3, "eight orders, three at a time: {filter:?}");
    }
}

/// Walks along all orders, three at a time: what was found, and the number of walks.
async fn walk(shop: &Shop, filter: &Filter) -> (Vec<String>, usize) {
    let connection = shop.parts.pool.get().await.unwrap();
    let (mut found, mut before) = (Vec::new(), Uuid::max());
    for walks in 1.. {
        let walk = Walk {
            before,
            orders_max: 3,
        };
        let orders = order_view::page(&connection, filter, walk, 10)
            .await
            .unwrap();
        found.extend(orders.into_iter().map(|order| order.order_id));
        match order_view::walked_to(&connection, filter, walk)
            .await
            .unwrap()
        {
            Some(end) => before = end,
            None => return (found, walks),
        }
    }
    unreachable!()
}

#[tokio::test]
async fn no_index_of_orders_holds_what_changes() {
    let shop = Shop::open().await;
    let held = "select count(*) from pg_index i join pg_attribute a \
                  on a.attrelid = i.indrelid and a.attnum = any(i.indkey::int2[]) \
                where i.indrelid = 'orders'::regclass \
                  and (i.indpred is not null or a.attname not in ('order_id', 'store_id', 'customer_id'))";
    assert_eq!(shop.count(held).await, 0);
}

#[tokio::test]
async fn bad_pages_are_refused() {
    let shop = Shop::open().await;
    for size in [0, -1, 101] {
        assert_eq!(
            list(&shop, pages_of(size)).await.unwrap_err().code(),
            Code::InvalidArgument
        );
    }
    let mut request = pages_of(1);
    request.page_token = "xyz".to_owned();
    let status = list(&shop, request).await.unwrap_err();
    assert_eq!(
        says(&status),
        (Code::InvalidArgument, "invalid-page-token".to_owned())
    );
    let mut request = pages_of(1);
    request.status = 99;
    assert_eq!(
        list(&shop, request).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}

fn until_settled(order_id: &str, wait_ms: u32) -> Request<wire::GetOrderRequest> {
    Request::new(wire::GetOrderRequest {
        order_id: order_id.to_owned(),
        wait_ms,
        until_settled: true,
        ..wire::GetOrderRequest::default()
    })
}

#[tokio::test]
async fn who_waits_for_settling_is_answered_when_it_settles() {
    let shop = Shop::open().await;
    let order_id = shop.placed("k").await;
    let (answer, ()) = tokio::join!(
        shop.orders.get_order(until_settled(&order_id, 20_000)),
        async {
            tokio::task::yield_now().await;
            shop.cancel(&order_id).await.unwrap();
        }
    );
    let order = answer.unwrap().into_inner().order.unwrap();
    assert_eq!(order.status, i32::from(wire::OrderStatus::Cancelled));
}

#[tokio::test]
async fn a_settling_in_another_replica_is_noticed() {
    let shop = Shop::open().await;
    let order_id = shop.placed("k").await;
    let short = CheckoutEvent::StockRejected {
        detail: String::new(),
    };
    let (answer, ()) = tokio::join!(
        shop.orders.get_order(until_settled(&order_id, 20_000)),
        shop.happens_elsewhere(&order_id, short),
    );
    let order = answer.unwrap().into_inner().order.unwrap();
    assert_eq!(order.status, i32::from(wire::OrderStatus::Rejected));
}

#[tokio::test]
async fn patience_ends_with_the_order_as_it_is() {
    let shop = Shop::open().await;
    let order_id = shop.placed("k").await;
    let answer = shop.orders.get_order(until_settled(&order_id, 120)).await;
    let order = answer.unwrap().into_inner().order.unwrap();
    assert_eq!(order.status, i32::from(wire::OrderStatus::Pending));
}

#[tokio::test]
async fn a_token_is_waited_for() {
    let shop = Shop::open().await;
    let order_id = shop.placed("k").await;
    let token = |version| wire::ConsistencyToken {
        topic: "brewline.order.events.v1".to_owned(),
        subject: order_id.clone(),
        version,
    };
    let request = |version, wait_ms| wire::GetOrderRequest {
        order_id: order_id.clone(),
        tokens: vec![token(version)],
        wait_ms,
        ..wire::GetOrderRequest::default()
    };
    let status = shop
        .orders
        .get_order(Request::new(request(2, 50)))
        .await
        .unwrap_err();
    assert_eq!(says(&status), (Code::Unavailable, "view-behind".to_owned()));
    let (answer, _) = tokio::join!(
        shop.orders.get_order(Request::new(request(2, 20_000))),
        shop.cancel(&order_id)
    );
    assert_eq!(answer.unwrap().into_inner().order.unwrap().version, 2);
    // What a token says of other topics is not for this view to hold.
    let mut other = request(1, 0);
    other.tokens[0].topic = "brewline.catalogue.events.v1".to_owned();
    assert!(shop.orders.get_order(Request::new(other)).await.is_ok());
}

#[tokio::test]
async fn an_unknown_order_is_not_found_at_once() {
    let shop = Shop::open().await;
    shop.place(order("k", &[("cortado", 1)])).await.unwrap();
    let began = tokio::time::Instant::now();
    let nobody = "0190b8f0-0000-7000-8000-000000000000";
    let status = shop
        .orders
        .get_order(until_settled(nobody, 20_000))
        .await
        .unwrap_err();
    assert_eq!(says(&status), (Code::NotFound, "unknown-order".to_owned()));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_read_waits_until_what_was_done_to_tickets_has_come_to_the_order() {
    let shop = Shop::open().await;
    let order_id = shop.placed("k1").await;
    let topic = "brewline.fulfilment.events.v1";
    let request = || wire::GetOrderRequest {
        order_id: order_id.clone(),
        tokens: vec![wire::ConsistencyToken {
            topic: topic.to_owned(),
            subject: order_id.clone(),
            version: 2,
        }],
        wait_ms: 50,
        until_settled: false,
    };
    let behind = shop.orders.get_order(Request::new(request())).await;
    let status = behind.unwrap_err();
    assert_eq!(says(&status), (Code::Unavailable, "view-behind".to_owned()));
    let applied = "insert into inbox (version, event_id, consumer, topic, subject)
                   values (2, gen_random_uuid(), 'brewline.order.tickets', $1, $2)";
    let connection = shop.parts.pool.get().await.unwrap();
    connection
        .execute(applied, &[&topic, &order_id])
        .await
        .unwrap();
    assert!(shop.orders.get_order(Request::new(request())).await.is_ok());
}
