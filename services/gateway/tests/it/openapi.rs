//! The document, the routes and the answers are held together: none has what another lacks.

use std::collections::BTreeSet;

use brewline_proto::catalogue::v1 as catalogue;
use brewline_proto::customer::v1 as customer;
use brewline_proto::fulfilment::v1 as fulfilment;
use brewline_proto::inventory::v1 as inventory;
use brewline_proto::leaderboard::v1 as leaderboard;
use brewline_proto::notification::v1 as notification;
use brewline_proto::order::v1 as order;
use reqwest::Method;
use serde_json::{Value, json};

use crate::edge::{Edge, header, json};
use crate::samples::{self, ORDER_ID};

const STREAM: &str = "text/event-stream";

fn document() -> Value {
    serde_json::from_str(brewline_gateway::OPENAPI).unwrap()
}

/// Follows a reference.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        None => schema,
        Some(path) => {
            let target = document.pointer(path.trim_start_matches('#'));
            target.unwrap_or_else(|| panic!("{path} leads nowhere"))
        }
    }
}

/// Holds a value against its schema: the same fields, each of its type. `whole`: every field that the
/// schema knows must be there, not just the required ones.
fn check(document: &Value, schema: &Value, value: &Value, whole: bool, at: &str) {
    let schema = resolve(document, schema);
    match schema["type"].as_str().unwrap_or_default() {
        "object" if schema.get("properties").is_some() => {
            let keys = |object: &Value| -> BTreeSet<String> {
                object.as_object().unwrap().keys().cloned().collect()
            };
            let (known, given) = (keys(&schema["properties"]), keys(value));
            let required: Vec<_> = schema["required"].as_array().unwrap().iter().collect();
            let required: BTreeSet<String> = required
                .iter()
                .map(|it| it.as_str().unwrap().to_owned())
                .collect();
            assert!(given.is_subset(&known), "{at}: {given:?} beside {known:?}");
            assert!(
                required.is_subset(&given),
                "{at}: {required:?} not in {given:?}"
            );
            assert!(
                required.is_subset(&known),
                "{at}: {required:?} not in {known:?}"
            );
            assert!(
                !whole || given == known,
                "{at}: {given:?} is less than {known:?}"
            );
            for (name, value) in value.as_object().unwrap() {
                let field = format!("{at}.{name}");
                check(document, &schema["properties"][name], value, whole, &field);
            }
        }
        "object" => assert!(value.is_object(), "{at}"),
        "array" => {
            let items = value.as_array().unwrap_or_else(|| panic!("{at}: {value}"));
            assert!(!items.is_empty() || !whole, "{at} is empty");
            for item in items {
                check(document, &schema["items"], item, whole, &format!("{at}[]"));
            }
        }
        "string" => {
            let text = value.as_str().unwrap_or_else(|| panic!("{at}: {value}"));
            if let Some(names) = schema.get("enum") {
                assert!(
                    names.as_array().unwrap().contains(&json!(text)),
                    "{at}: {text}"
                );
            }
        }
        "integer" => assert!(value.is_i64(), "{at}: {value}"),
        "boolean" => assert!(value.is_boolean(), "{at}: {value}"),
        other => panic!("{at}: a type `{other}` that this test does not know"),
    }
}

#[test]
fn the_document_lists_exactly_what_is_served() {
    let document = document();
    let mut listed = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            listed.insert((method.to_uppercase(), path.clone()));
        }
    }
    let served: BTreeSet<_> = brewline_gateway::served()
        .into_iter()
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    assert_eq!(listed, served);
}

#[test]
fn every_reference_leads_somewhere_and_every_part_is_used() {
    let document = document();
    let mut used = BTreeSet::new();
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(path) = fields.get("$ref").and_then(Value::as_str) {
                    resolve(&document, value);
                    used.insert(path.to_owned());
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    for (group, parts) in document["components"].as_object().unwrap() {
        for name in parts.as_object().unwrap().keys() {
            let path = format!("#/components/{group}/{name}");
            assert!(used.contains(&path), "{path} is not used");
        }
    }
}

#[test]
fn path_parameters_are_those_of_the_path() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let named: BTreeSet<_> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(str::to_owned)
            .collect();
        for operation in item.as_object().unwrap().values() {
            let none = Vec::new();
            let parameters = operation
                .get("parameters")
                .map_or(&none, |it| it.as_array().unwrap());
            let given: BTreeSet<_> = parameters
                .iter()
                .map(|parameter| resolve(&document, parameter))
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(given, named, "{path}");
        }
    }
}

fn script(it: &Edge) {
    script_orders(it);
    script_catalogue(it);
    script_customers(it);
    script_notifications(it);
    script_boards(it);
}

fn script_orders(it: &Edge) {
    let placed = order::PlaceOrderResponse {
        order: Some(samples::full_order()),
        replayed: true,
    };
    it.stub.say("place_order", placed);
    let order = Some(samples::full_order());
    it.stub.say(
        "get_order",
        order::GetOrderResponse {
            order: order.clone(),
        },
    );
    it.stub.say(
        "cancel_order",
        order::CancelOrderResponse {
            order: order.clone(),
        },
    );
    let event = order::WatchOrderResponse {
        event_type: "brewline.order.v1.OrderRejected".to_owned(),
        order: order.clone(),
    };
    it.stub.stream("watch_order", vec![event]);
    it.stub
        .say("collect_order", order::CollectOrderResponse { order });
    let page = order::ListOrdersResponse {
        orders: vec![samples::full_order()],
        next_page_token: "more".to_owned(),
    };
    it.stub.say("list_orders", page);
}

fn script_catalogue(it: &Edge) {
    let stores = vec![samples::store()];
    it.stub
        .say("list_stores", catalogue::ListStoresResponse { stores });
    let put = catalogue::PutStoreResponse {
        store: Some(samples::store()),
        created: true,
    };
    it.stub.say("put_store", put);
    let products = vec![samples::product()];
    it.stub.say(
        "list_products",
        catalogue::ListProductsResponse { products },
    );
    let put = catalogue::PutProductResponse {
        product: Some(samples::product()),
        created: false,
    };
    it.stub.say("put_product", put);
    let retired = catalogue::RetireStoreResponse { version: 2 };
    it.stub.say("retire_store", retired);
    let retired = catalogue::RetireProductResponse { version: 2 };
    it.stub.say("retire_product", retired);
    let items = vec![samples::stock_item()];
    it.stub
        .say("list_stock", inventory::ListStockResponse { items });
    let adjusted = inventory::AdjustStockResponse {
        item: Some(samples::stock_item()),
        version: 4,
        replayed: true,
    };
    it.stub.say("adjust_stock", adjusted);
}

fn script_customers(it: &Edge) {
    let wall = Some(samples::wall());
    it.stub
        .say("get_wall", fulfilment::GetWallResponse { wall });
    let started = fulfilment::StartTicketResponse {
        ticket: Some(samples::ticket()),
        version: 2,
    };
    it.stub.say("start_ticket", started);
    let finished = fulfilment::FinishTicketResponse {
        ticket: Some(samples::ticket()),
        version: 3,
        remaining: 0,
    };
    it.stub.say("finish_ticket", finished);
    let created = customer::CreateCustomerResponse {
        customer: Some(samples::customer()),
        replayed: true,
    };
    it.stub.say("create_customer", created);
    let customer = Some(samples::customer());
    it.stub.say(
        "get_customer",
        customer::GetCustomerResponse {
            customer: customer.clone(),
        },
    );
    it.stub.say(
        "change_customer",
        customer::ChangeCustomerResponse { customer },
    );
    let erased = customer::EraseCustomerResponse { version: 2 };
    it.stub.say("erase_customer", erased);
}

fn script_notifications(it: &Edge) {
    let listed = notification::ListDeliveriesResponse {
        deliveries: vec![samples::notification()],
    };
    it.stub.say("list_deliveries", listed);
    let preferences = notification::PutPreferencesResponse {
        channels: vec![notification::Channel::Email.into()],
        kinds: vec![notification::Kind::Ready.into()],
        version: 2,
    };
    it.stub.say("put_preferences", preferences);
    let made = notification::CreateEndpointResponse {
        endpoint: Some(samples::webhook()),
        secret: "whsec_x".to_owned(),
        replayed: true,
    };
    it.stub.say("create_endpoint", made);
    let rotated = notification::RotateEndpointSecretResponse {
        endpoint: Some(samples::webhook()),
        secret: "whsec_y".to_owned(),
        former_until: samples::webhook().created_at,
        replayed: true,
    };
    it.stub.say("rotate_endpoint_secret", rotated);
    let listed = notification::ListEndpointsResponse {
        endpoints: vec![samples::webhook()],
    };
    it.stub.say("list_endpoints", listed);
    let deleted = notification::DeleteEndpointResponse { version: 5 };
    it.stub.say("delete_endpoint", deleted);
    let again = notification::RedeliverEndpointResponse {
        redelivered: 1,
        version: 5,
    };
    it.stub.say("redeliver_endpoint", again);
    let page = notification::PullEventsResponse {
        events: vec![samples::pulled_event()],
        next: "7".to_owned(),
    };
    it.stub.say("pull_events", page);
}

fn script_boards(it: &Edge) {
    let info = leaderboard::BoardInfo {
        board: "coffee-lovers".to_owned(),
        title: "Coffee lovers".to_owned(),
        unit: "drinks".to_owned(),
        windowed: true,
    };
    let boards = vec![info];
    it.stub
        .say("list_boards", leaderboard::ListBoardsResponse { boards });
    let board = Some(samples::board());
    let member = Some(samples::board_row());
    it.stub.say(
        "get_member",
        leaderboard::GetMemberResponse {
            member,
            board: board.clone(),
        },
    );
    it.stub
        .say("get_board", leaderboard::GetBoardResponse { board });
    it.stub.say("recommend", samples::recommendations());
}

/// A body for each write, with every field that there is.
fn body(method: &str, path: &str) -> Option<Value> {
    let mut customer = samples::create_customer();
    customer["customerId"] = json!("customer-demo");
    match (method, path) {
        ("POST", "/v1/orders") => Some(samples::place_order()),
        ("POST", "/v1/orders/{orderId}/cancel") => Some(json!({ "reason": "why not" })),
        ("PUT", "/v1/stores/{storeId}") => Some(samples::put_store()),
        ("POST", "/v1/stores/{storeId}/stock") => Some(samples::adjust_stock()),
        ("PUT", "/v1/catalogue/{productId}") => Some(samples::put_product()),
        ("POST", "/v1/customers") => Some(customer),
        ("PUT", "/v1/customers/{customerId}/preferences") => {
            Some(json!({ "channels": ["email"], "kinds": ["ready"] }))
        }
        ("POST", "/v1/webhooks") => Some(json!({
            "url": "https://example.com/hook",
            "types": ["order.ready"],
            "storeId": "store-lisbon",
        })),
        ("POST", "/v1/webhooks/{webhookId}/redeliver") => Some(json!({ "eventId": ORDER_ID })),
        ("PATCH", "/v1/customers/{customerId}") => Some(samples::create_customer()),
        _ => None,
    }
}

#[tokio::test]
async fn answers_and_bodies_have_exactly_the_fields_of_the_document() {
    let it = Edge::start().await;
    script(&it);
    let document = document();
    for (method, path) in brewline_gateway::served() {
        let operation = &document["paths"][path][method.to_lowercase()];
        let sent = path
            .replace("{orderId}", ORDER_ID)
            .replace("{storeId}", "store-lisbon")
            .replace("{productId}", "cortado")
            .replace("{customerId}", "customer-demo")
            .replace("{ticketId}", ORDER_ID)
            .replace("{webhookId}", ORDER_ID)
            .replace("{board}", "coffee-lovers")
            .replace("{memberId}", "customer-demo");
        let verb: Method = method.parse().unwrap();
        let request = match body(method, path) {
            None => {
                assert!(operation.get("requestBody").is_none(), "{method} {path}");
                it.request(verb, &sent)
            }
            Some(body) => {
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                check(
                    &document,
                    schema,
                    &body,
                    true,
                    &format!("{method} {path} body"),
                );
                it.write(verb, &sent, &body)
            }
        };
        let response = request.header("prefer", "wait=1").send().await.unwrap();
        let status = response.status().as_u16().to_string();
        let described = resolve(&document, &operation["responses"][&status]);
        assert!(
            !described.is_null(),
            "{method} {path} answers {status} unannounced"
        );
        check_headers(&document, described, &response, &format!("{method} {path}"));
        let at = format!("{method} {path} {status}");
        let kind = header(&response, "content-type").to_owned();
        let other = &described["content"][&kind];
        if kind == STREAM && !other.is_null() {
            let event = first_event(response).await;
            check(&document, &other["schema"], &event, true, &at);
            continue;
        }
        if kind != "application/json" && !other.is_null() {
            continue;
        }
        match described.pointer("/content/application~1json/schema") {
            None => assert!(response.bytes().await.unwrap().is_empty(), "{at}"),
            Some(schema) => check(&document, schema, &json(response).await, true, &at),
        }
    }
}

/// The body of a stream's first event.
async fn first_event(response: reqwest::Response) -> Value {
    let text = response.text().await.unwrap();
    let data = text.lines().find_map(|line| line.strip_prefix("data:"));
    serde_json::from_str(data.expect("an event")).unwrap()
}

/// Headers that mean something to callers are announced, and announced ones are there.
fn check_headers(document: &Value, described: &Value, response: &reqwest::Response, at: &str) {
    let ours = document["components"]["headers"].as_object().unwrap();
    let announced = described.get("headers").and_then(Value::as_object);
    for name in ours.keys() {
        let there = response.headers().contains_key(name.as_str());
        let told = announced.is_some_and(|headers| headers.contains_key(name));
        assert_eq!(there, told, "{at}: {name}");
    }
}

#[tokio::test]
async fn problems_have_the_fields_of_the_document() {
    let it = Edge::start().await;
    let document = document();
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    let nothing = json(it.get("/nothing").await).await;
    check(&document, &schema, &nothing, false, "problem");
    let invalid = json(it.post("/v1/orders", &json!({})).await).await;
    check(&document, &schema, &invalid, false, "problem");
}

#[tokio::test]
async fn the_document_is_served() {
    let it = Edge::start().await;
    assert_eq!(json(it.get("/openapi.json").await).await, document());
}

#[tokio::test]
async fn the_event_catalogue_is_served() {
    let it = Edge::start().await;
    let answer = it.get("/asyncapi.yaml").await;
    assert_eq!(answer.headers()["content-type"], "application/yaml");
    assert_eq!(answer.text().await.unwrap(), brewline_gateway::ASYNCAPI);
}
