//! A card processor in the test's own process. It keeps its word about keys; everything else can go
//! wrong. It refuses nothing that a careless caller asks for: a second capture is a second capture.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use brewline_kernel::{Clock as _, OrderId, Timestamp};
use brewline_test_support::ManualClock;
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Ok,
    /// 500, nothing done.
    Error,
    /// Nothing done, nothing answered.
    Hang,
    /// Done, nothing answered.
    DoneThenHang,
    /// Done, the connection is cut in the middle of the answer.
    DoneThenReset,
    /// Nothing answered; done when the test says so.
    Late,
}

/// One thing that took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: String,
    pub(crate) reference: String,
    pub(crate) amount_minor: i64,
    pub(crate) key: String,
}

/// The processor. Cloning shares it.
#[derive(Clone)]
pub(crate) struct CardProcessor {
    world: Arc<World>,
    address: SocketAddr,
}

struct World {
    clock: Arc<ManualClock>,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    key_lifetime: Option<Duration>,
    script: BTreeMap<String, VecDeque<Mode>>,
    keys: BTreeMap<String, (Timestamp, Value)>,
    authorisations: Vec<Authorisation>,
    entries: Vec<Entry>,
    late: Vec<Asked>,
    requests: usize,
}

struct Authorisation {
    reference: String,
    amount_minor: i64,
    status: &'static str,
}

#[derive(Clone)]
struct Asked {
    kind: String,
    id: String,
    key: String,
    body: Value,
}

impl CardProcessor {
    pub(crate) async fn start(clock: Arc<ManualClock>) -> Self {
        let books = Mutex::default();
        let world = Arc::new(World { clock, books });
        let router = Router::new()
            .route("/v1/authorisations", post(authorise).get(find))
            .route("/v1/authorisations/{id}/{what}", post(follow_up))
            .route("/livez", get(async || "alive"))
            .with_state(Arc::clone(&world));
        let (tell, told) = oneshot::channel();
        // In a thread of its own: the test may block the runtime it runs in.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        let address = told.await.unwrap();
        Self { world, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next requests of this kind fare so, in this order; those after them well.
    pub(crate) fn misbehave(&self, kind: &str, modes: &[Mode]) {
        let mut books = self.world.books.lock().unwrap();
        books
            .script
            .insert(kind.to_owned(), modes.iter().copied().collect());
    }

    pub(crate) fn forget_keys_after(&self, lifetime: Duration) {
        self.world.books.lock().unwrap().key_lifetime = Some(lifetime);
    }

    /// What was asked with [`Mode::Late`] takes effect now.
    pub(crate) fn land(&self) {
        let mut books = self.world.books.lock().unwrap();
        for asked in std::mem::take(&mut books.late) {
            books.perform(&asked, self.world.clock.now());
        }
    }

    pub(crate) fn requests(&self) -> usize {
        self.world.books.lock().unwrap().requests
    }

    pub(crate) fn entries(&self, order: OrderId) -> Vec<Entry> {
        let books = self.world.books.lock().unwrap();
        let ours = |entry: &&Entry| entry.reference == order.to_string();
        books.entries.iter().filter(ours).cloned().collect()
    }

    pub(crate) fn kinds(&self, order: OrderId) -> Vec<String> {
        self.entries(order)
            .into_iter()
            .map(|entry| entry.kind)
            .collect()
    }

    /// Captured less refunded.
    pub(crate) fn net(&self, order: OrderId) -> i64 {
        let sign = |kind: &str| match kind {
            "capture" => 1,
            "refund" => -1,
            _ => 0,
        };
        self.entries(order)
            .iter()
            .map(|entry| sign(&entry.kind) * entry.amount_minor)
            .sum()
    }

    /// How many authorisations still hold money.
    pub(crate) fn open(&self, order: OrderId) -> usize {
        let books = self.world.books.lock().unwrap();
        let open =
            |it: &&Authorisation| it.reference == order.to_string() && it.status == "authorised";
        books.authorisations.iter().filter(open).count()
    }
}

impl Books {
    fn mode(&mut self, kind: &str) -> Mode {
        self.requests += 1;
        let script = self.script.get_mut(kind);
        script.and_then(VecDeque::pop_front).unwrap_or(Mode::Ok)
    }

    /// A key serialises: a repeat returns the first answer, while the key is known.
    fn perform(&mut self, asked: &Asked, now: Timestamp) -> Value {
        let known = self.keys.get(&asked.key).filter(|(since, _)| {
            self.key_lifetime
                .is_none_or(|lifetime| now.since(*since) < lifetime)
        });
        if let Some((_, answer)) = known {
            return answer.clone();
        }
        let answer = match asked.kind.as_str() {
            "authorise" => self.authorise(asked),
            _ => self.follow_up(asked),
        };
        self.keys.insert(asked.key.clone(), (now, answer.clone()));
        answer
    }

    fn authorise(&mut self, asked: &Asked) -> Value {
        let id = self.authorisations.len();
        let declined = asked.body["token"]
            .as_str()
            .unwrap()
            .starts_with("tok_declined");
        let authorisation = Authorisation {
            reference: asked.body["reference"].as_str().unwrap().to_owned(),
            amount_minor: asked.body["amountMinor"].as_i64().unwrap(),
            status: if declined { "declined" } else { "authorised" },
        };
        if !declined {
            self.entries.push(Entry {
                kind: "authorise".to_owned(),
                reference: authorisation.reference.clone(),
                amount_minor: authorisation.amount_minor,
                key: asked.key.clone(),
            });
        }
        let status = authorisation.status;
        self.authorisations.push(authorisation);
        match declined {
            true => json!({"id": id.to_string(), "status": status, "declineCode": "card-declined"}),
            false => json!({"id": id.to_string(), "status": status}),
        }
    }

    fn follow_up(&mut self, asked: &Asked) -> Value {
        let authorisation = &mut self.authorisations[asked.id.parse::<usize>().unwrap()];
        authorisation.status = match asked.kind.as_str() {
            "capture" => "captured",
            "void" => "voided",
            _ => "refunded",
        };
        self.entries.push(Entry {
            kind: asked.kind.clone(),
            reference: authorisation.reference.clone(),
            amount_minor: authorisation.amount_minor,
            key: asked.key.clone(),
        });
        json!({"id": asked.key, "status": authorisation.status})
    }
}

async fn authorise(State(world): State<Arc<World>>, headers: HeaderMap, body: Bytes) -> Response {
    answer(&world, "authorise", String::new(), &headers, &body).await
}

async fn follow_up(
    State(world): State<Arc<World>>,
    Path((id, what)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&world, what.trim_end_matches('s'), id, &headers, &body).await
}

async fn answer(
    world: &World,
    kind: &str,
    id: String,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    let asked = Asked {
        kind: kind.to_owned(),
        id,
        key: headers["idempotency-key"].to_str().unwrap().to_owned(),
        body: serde_json::from_slice(body).unwrap(),
    };
    let (mode, said) = take(world, asked);
    match mode {
        Mode::Ok => (StatusCode::CREATED, said.to_string()).into_response(),
        Mode::Error => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mode::DoneThenReset => {
            let cut = std::io::Error::other("cut");
            let body = futures_util::stream::once(async { Err::<Bytes, _>(cut) });
            (StatusCode::CREATED, Body::from_stream(body)).into_response()
        }
        Mode::Hang | Mode::DoneThenHang | Mode::Late => std::future::pending().await,
    }
}

fn take(world: &World, asked: Asked) -> (Mode, Value) {
    let mut books = world.books.lock().unwrap();
    let mode = books.mode(&asked.kind);
    let said = match mode {
        Mode::Ok | Mode::DoneThenHang | Mode::DoneThenReset => {
            books.perform(&asked, world.clock.now())
        }
        Mode::Error | Mode::Hang => Value::Null,
        Mode::Late => {
            books.late.push(asked);
            Value::Null
        }
    };
    (mode, said)
}

async fn find(
    State(world): State<Arc<World>>,
    Query(by): Query<BTreeMap<String, String>>,
) -> Response {
    let mut books = world.books.lock().unwrap();
    books.requests += 1;
    let items: Vec<Value> = books
        .authorisations
        .iter()
        .enumerate()
        .filter(|(_, it)| by.get("reference") == Some(&it.reference))
        .map(|(id, it)| json!({"id": id.to_string(), "status": it.status}))
        .collect();
    json!({"items": items}).to_string().into_response()
}
