//! What people on call see of a checkout, may do to it, and what is left of that.

use brewline_order::app::operate::{Asked, Error, give_up, retry};
use brewline_order::inbound::saga_operator::SagaOperator;
use brewline_order_domain::checkout::{CheckoutEvent, Outcome};
use brewline_proto::operator::v1::saga_service_server::SagaService as _;
use brewline_proto::operator::v1::{CompensateSagaRequest, ListSagasRequest, Saga};
use brewline_proto::order::v1 as wire;
use tonic::Request;

use crate::shop::{Shop, says};

const ANA: Asked<'_> = Asked {
    actor: "ana",
    dry_run: false,
};

const AUDIT: &str = "select count(*) from operator_action";

/// A sold order whose capture is refused for good.
async fn parked(shop: &Shop) -> String {
    let order_id = shop.confirmed("k").await;
    let detail = "no".to_owned();
    let refused = CheckoutEvent::CaptureOutcome(Outcome::Refused { detail });
    shop.happens(&order_id, refused).await;
    order_id
}

#[tokio::test]
async fn an_order_whose_money_is_lost_is_given_up_once_and_audited() {
    let shop = Shop::open().await;
    let order_id = parked(&shop).await;
    let id = order_id.parse().unwrap();
    let dry_run = true;
    give_up(&shop.parts, id, Asked { dry_run, ..ANA })
        .await
        .unwrap();
    assert_eq!(shop.count(AUDIT).await, 0, "a dry run does nothing");
    give_up(&shop.parts, id, ANA).await.unwrap();
    let order = shop.get(&order_id).await.unwrap();
    assert_eq!(order.status(), wire::OrderStatus::Cancelled);
    assert_eq!(order.payment_status(), wire::PaymentStatus::Reversing);
    let again = give_up(&shop.parts, id, ANA).await.unwrap_err();
    assert!(matches!(again, Error::Refused(_)), "{again}");
    assert_eq!(shop.count(AUDIT).await, 1, "a refusal did nothing");
    let connection = shop.parts.pool.get().await.unwrap();
    let row = "select actor, action, subject from operator_action";
    let row = connection.query_one(row, &[]).await.unwrap();
    let told: (String, String, String) = (row.get(0), row.get(1), row.get(2));
    let expected = ("ana".to_owned(), "saga-compensate".to_owned(), order_id);
    assert_eq!(told, expected);
}

#[tokio::test]
async fn only_a_refused_capture_is_given_up_and_only_what_is_parked_goes_on() {
    let shop = Shop::open().await;
    let order_id = shop.confirmed("k").await;
    let id = order_id.parse().unwrap();
    for refused in [
        give_up(&shop.parts, id, ANA).await.unwrap_err(),
        retry(&shop.parts, id, ANA).await.unwrap_err(),
    ] {
        assert!(refused.to_string().contains("not parked"), "{refused}");
    }
    let nobody = "0190b8f0-0000-7000-8000-000000000000".parse().unwrap();
    let unknown = give_up(&shop.parts, nobody, ANA).await.unwrap_err();
    assert!(matches!(unknown, Error::NotFound));
    assert_eq!(shop.count(AUDIT).await, 0);
}

#[tokio::test]
async fn a_refused_capture_is_tried_again_when_an_operator_says_so() {
    let shop = Shop::open().await;
    let order_id = parked(&shop).await;
    retry(&shop.parts, order_id.parse().unwrap(), ANA)
        .await
        .unwrap();
    let goes_on = "select count(*) from saga where state = 'completing' and capture = 'asked' \
                   and due_at is not null";
    assert_eq!(shop.count(goes_on).await, 1);
    assert_eq!(shop.count(AUDIT).await, 1);
}

#[tokio::test]
async fn nobody_gives_an_order_up_while_the_barista_is_asked() {
    let shop = Shop::open().await;
    let order_id = parked(&shop).await;
    shop.cancel(&order_id).await.unwrap();
    let refused = give_up(&shop.parts, order_id.parse().unwrap(), ANA).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("barista"), "{refused}");
    assert_eq!(shop.count(AUDIT).await, 0);
}

/// The order's next event at `consumer` could not be handled.
async fn bury(shop: &Shop, order_id: &str, consumer: &'static str) -> String {
    let connection = shop.parts.pool.get().await.unwrap();
    let letter = "insert into dead_letter (record_offset, version, partition, attempts, id, consumer, \
                  topic, subject, event_type, reason, headers) \
                  values (7, 2, 0, 1, gen_random_uuid(), $1, 't', $2, 'x', 'poison', '{}') \
                  returning id";
    let row = connection.query_one(letter, &[&consumer, &order_id]).await;
    let id: uuid::Uuid = row.unwrap().get(0);
    let key = "insert into parked_key (partition, dead_letter_id, consumer, topic, subject) \
               values (0, $1, $2, 't', $3)";
    let params: [&(dyn brewline_postgres::ToSql + Sync); 3] = [&id, &consumer, &order_id];
    connection.execute(key, &params).await.unwrap();
    id.to_string()
}

async fn sagas(shop: &Shop, state: &str) -> Vec<Saga> {
    let request = ListSagasRequest {
        state: state.to_owned(),
        limit: 10,
    };
    let sagas = SagaOperator::new(shop.parts.clone());
    let answer = sagas.list_sagas(Request::new(request)).await.unwrap();
    answer.into_inner().sagas
}

#[tokio::test]
async fn a_saga_whose_next_input_is_a_dead_letter_is_shown_as_waiting_for_it() {
    let shop = Shop::open().await;
    let order_id = shop.confirmed("k").await;
    let early = shop.placed("early").await;
    assert!(sagas(&shop, "parked").await.is_empty());
    let letter = bury(&shop, &order_id, "brewline.order.stock").await;
    let parked = sagas(&shop, "parked").await;
    let reason = format!("waiting for dead letter {letter} at brewline.order.stock");
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].saga_id, order_id);
    assert_eq!(parked[0].parked_reason, reason);
    let all = sagas(&shop, "").await;
    assert_eq!((all.len(), all[0].saga_id.as_str()), (2, order_id.as_str()));
    let redriven = "delete from parked_key";
    let connection = shop.parts.pool.get().await.unwrap();
    connection.execute(redriven, &[]).await.unwrap();
    assert!(sagas(&shop, "parked").await.is_empty());
    connection
        .execute("delete from dead_letter", &[])
        .await
        .unwrap();
    bury(&shop, &early, "brewline.order.stock").await;
    assert!(
        sagas(&shop, "parked").await.is_empty(),
        "before the pivot a deadline unwinds it"
    );
}

#[tokio::test]
async fn what_has_ended_is_not_said_to_go_on() {
    let shop = Shop::open().await;
    let order_id = shop.confirmed("k").await;
    let id = order_id.parse().unwrap();
    let waits = give_up(&shop.parts, id, ANA).await.unwrap_err();
    assert!(waits.to_string().ends_with("goes on by itself"), "{waits}");
    let connection = shop.parts.pool.get().await.unwrap();
    let ended = "update saga set state = 'undone', open = false";
    connection.execute(ended, &[]).await.unwrap();
    let ended = give_up(&shop.parts, id, ANA).await.unwrap_err();
    assert!(
        ended.to_string().ends_with("it has ended, undone"),
        "{ended}"
    );
}

#[tokio::test]
async fn a_cancellation_waits_visibly_for_an_answer_that_is_a_dead_letter() {
    let shop = Shop::open().await;
    let order_id = shop.confirmed("k").await;
    let connection = shop.parts.pool.get().await.unwrap();
    let ended = "update saga set state = 'completed', open = false";
    connection.execute(ended, &[]).await.unwrap();
    bury(&shop, &order_id, "brewline.order.tickets").await;
    assert!(sagas(&shop, "").await.is_empty(), "nothing waits for it");
    shop.cancel(&order_id).await.unwrap();
    let waiting = sagas(&shop, "").await;
    assert!(
        waiting[0]
            .parked_reason
            .ends_with("at brewline.order.tickets")
    );
}

#[tokio::test]
async fn operators_are_named_and_refused_with_the_reason() {
    let shop = Shop::open().await;
    let order_id = shop.confirmed("k").await;
    let operator = SagaOperator::new(shop.parts.clone());
    let ask = async |actor: &str| {
        let request = CompensateSagaRequest {
            saga_id: order_id.clone(),
            actor: actor.to_owned(),
            dry_run: false,
        };
        operator.compensate_saga(Request::new(request)).await
    };
    let nobody = ask("").await.unwrap_err();
    assert_eq!(nobody.code(), tonic::Code::InvalidArgument);
    let refused = ask("ana").await.unwrap_err();
    assert_eq!(says(&refused).1, "saga-refused");
    assert!(refused.message().contains("not parked"));
}
