use brewline_kernel::OrderId;
use brewline_payment::inbound::Payments;
use brewline_payment_domain::Command;
use brewline_proto::money::v1::Money;
use brewline_proto::payment::v1 as proto;
use brewline_proto::payment::v1::outcome::Result as Said;
use brewline_proto::payment::v1::payment_service_server::PaymentService as _;
use brewline_server::status;
use tonic::{Code, Request};

use crate::card_processor::Mode;
use crate::shop::{AMOUNT, Shop, an_order};

fn item(order: OrderId, token: &str) -> proto::AuthoriseRequest {
    proto::AuthoriseRequest {
        order_id: order.to_string(),
        amount: Some(Money {
            amount_minor: AMOUNT,
            currency: "EUR".to_owned(),
        }),
        token: token.to_owned(),
        customer_id: "customer-demo".to_owned(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
    }
}

async fn authorise_all(
    payments: &Payments,
    items: Vec<proto::AuthoriseRequest>,
) -> Result<Vec<Said>, tonic::Status> {
    let request = Request::new(proto::AuthoriseBatchRequest { items });
    let items = payments.authorise_batch(request).await?.into_inner().items;
    Ok(items
        .into_iter()
        .map(|it| it.outcome.unwrap().result.unwrap())
        .collect())
}

#[tokio::test]
async fn a_batch_is_answered_in_order_with_one_declined_and_one_hanging() {
    let shop = Shop::open().await;
    let payments = Payments::new(shop.operations());
    let orders: Vec<OrderId> = (0..200).map(|_| an_order()).collect();
    let token = |place| {
        if place == 70 {
            "tok_declined"
        } else {
            "tok_ok"
        }
    };
    let items = || {
        orders
            .iter()
            .enumerate()
            .map(|(n, it)| item(*it, token(n)))
            .collect()
    };
    shop.processor.misbehave("authorise", &[Mode::DoneThenHang]);
    let first = authorise_all(&payments, items()).await.unwrap();
    let count =
        |said: &[Said], which: fn(&Said) -> bool| said.iter().filter(|it| which(it)).count();
    assert_eq!(count(&first, |it| matches!(it, Said::Done(_))), 198);
    assert_eq!(count(&first, |it| matches!(it, Said::Unknown(_))), 1);
    assert!(matches!(first[70], Said::Declined(_)), "{:?}", first[70]);
    let again = authorise_all(&payments, items()).await.unwrap();
    assert_eq!(count(&again, |it| matches!(it, Said::Done(_))), 199);
    for (place, order) in orders.iter().enumerate().filter(|(n, _)| *n != 70) {
        assert_eq!(shop.processor.kinds(*order), ["authorise"], "item {place}");
    }
    assert_eq!(
        shop.processor.requests(),
        201,
        "only the unknown one was asked again"
    );
}

#[tokio::test]
async fn the_same_order_twice_in_a_batch_is_one_charge() {
    let (shop, order) = (Shop::open().await, an_order());
    let payments = Payments::new(shop.operations());
    let items = vec![item(order, "tok_ok"), item(order, "tok_ok")];
    let said = authorise_all(&payments, items).await.unwrap();
    assert!(
        said.iter().all(|it| matches!(it, Said::Done(_))),
        "{said:?}"
    );
    assert_eq!(shop.processor.kinds(order), ["authorise"]);
}

#[tokio::test]
async fn a_batch_with_a_fault_names_the_field_and_does_nothing() {
    let (shop, order) = (Shop::open().await, an_order());
    let payments = Payments::new(shop.operations());
    let good = || item(order, "tok_ok");
    let rows = [
        (
            "order_id",
            proto::AuthoriseRequest {
                order_id: "x".to_owned(),
                ..good()
            },
        ),
        (
            "amount",
            proto::AuthoriseRequest {
                amount: None,
                ..good()
            },
        ),
        ("token", item(order, "")),
        ("token", item(order, &"x".repeat(129))),
    ];
    for (field, bad) in rows {
        let refused = authorise_all(&payments, vec![good(), bad])
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(status::fields(&refused)[0].0, format!("items[1].{field}"));
    }
    let many = (0..501).map(|_| good()).collect();
    let refused = authorise_all(&payments, many).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(shop.processor.requests(), 0);
}

#[tokio::test]
async fn what_is_on_record_can_be_read() {
    let (shop, order) = (Shop::open().await, an_order());
    let payments = Payments::new(shop.operations());
    let get = async || {
        let order_id = order.to_string();
        let request = Request::new(proto::GetPaymentRequest { order_id });
        let answer = payments.get_payment(request).await.unwrap().into_inner();
        let brief = |it: proto::Operation| (it.kind, it.state, it.attempts);
        answer.operations.into_iter().map(brief).collect::<Vec<_>>()
    };
    assert_eq!(get().await, []);
    shop.processor.misbehave("authorise", &[Mode::Error]);
    shop.authorise(order).await;
    assert_eq!(
        get().await,
        [("authorise".to_owned(), "unknown".to_owned(), 1)]
    );
    shop.authorise(order).await;
    shop.run(order, Command::Reverse).await;
    let expected = [
        ("authorise".to_owned(), "done".to_owned(), 2),
        ("reverse".to_owned(), "done".to_owned(), 1),
    ];
    assert_eq!(get().await, expected);
}

#[tokio::test]
async fn a_trace_goes_with_the_event() {
    let (shop, order) = (Shop::open().await, an_order());
    let payments = Payments::new(shop.operations());
    authorise_all(&payments, vec![item(order, "tok_ok")])
        .await
        .unwrap();
    let connection = shop.db.pool().get().await.unwrap();
    let sql = "select traceparent from outbox where aggregate_id = $1";
    let row = connection
        .query_one(sql, &[&order.to_string()])
        .await
        .unwrap();
    assert_eq!(row.get::<_, String>(0), item(order, "tok_ok").traceparent);
}
