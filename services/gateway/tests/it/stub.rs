//! The services behind the edge, as a test wants them: each call is noted and answered from a script.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use brewline_proto::catalogue::v1 as catalogue;
use brewline_proto::customer::v1 as customer;
use brewline_proto::fulfilment::v1 as fulfilment;
use brewline_proto::inventory::v1 as inventory;
use brewline_proto::leaderboard::v1 as leaderboard;
use brewline_proto::notification::v1 as notification;
use brewline_proto::order::v1 as order;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// What a call is answered with.
#[derive(Clone)]
enum Reply {
    Yes(Arc<dyn Any + Send + Sync>),
    /// The messages of a stream; and whether it stays open after them.
    Stream(Arc<dyn Any + Send + Sync>, bool),
    No(Status),
    Never,
}

/// A call as it arrived.
struct Seen {
    name: &'static str,
    metadata: MetadataMap,
    message: Arc<dyn Any + Send + Sync>,
}

/// All services in one.
#[derive(Clone, Default)]
pub(crate) struct Stub(Arc<Inner>);

#[derive(Default)]
struct Inner {
    script: Mutex<HashMap<&'static str, Reply>>,
    seen: Mutex<Vec<Seen>>,
}

impl Stub {
    /// Answers calls of this name well.
    pub(crate) fn say<A: Send + Sync + 'static>(&self, name: &'static str, answer: A) {
        self.set(name, Reply::Yes(Arc::new(answer)));
    }

    /// Answers calls of this name with a stream of these messages, which then ends.
    pub(crate) fn stream<A: Send + Sync + 'static>(&self, name: &'static str, answers: Vec<A>) {
        self.set(name, Reply::Stream(Arc::new(answers), false));
    }

    /// The same, and the stream stays open.
    pub(crate) fn stream_on<A: Send + Sync + 'static>(&self, name: &'static str, answers: Vec<A>) {
        self.set(name, Reply::Stream(Arc::new(answers), true));
    }

    /// Refuses calls of this name.
    pub(crate) fn refuse(&self, name: &'static str, status: Status) {
        self.set(name, Reply::No(status));
    }

    /// Does not answer calls of this name.
    pub(crate) fn hang(&self, name: &'static str) {
        self.set(name, Reply::Never);
    }

    /// How many calls of this name arrived.
    pub(crate) fn count(&self, name: &str) -> usize {
        let seen = self.0.seen.lock().unwrap();
        seen.iter().filter(|call| call.name == name).count()
    }

    /// The last call of this name.
    pub(crate) fn last<Q: Clone + 'static>(&self, name: &str) -> (MetadataMap, Q) {
        let seen = self.0.seen.lock().unwrap();
        let call = seen.iter().rev().find(|call| call.name == name);
        let call = call.unwrap_or_else(|| panic!("{name} was not called"));
        let message = call.message.downcast_ref::<Q>().unwrap().clone();
        (call.metadata.clone(), message)
    }

    /// The services, to be served.
    pub(crate) fn routes(&self) -> Routes {
        let mut routes = Routes::builder();
        routes
            .add_service(order::order_service_server::OrderServiceServer::new(
                self.clone(),
            ))
            .add_service(
                customer::customer_service_server::CustomerServiceServer::new(self.clone()),
            )
            .add_service(
                catalogue::catalogue_service_server::CatalogueServiceServer::new(self.clone()),
            )
            .add_service(
                fulfilment::fulfilment_service_server::FulfilmentServiceServer::new(self.clone()),
            )
            .add_service(
                notification::notification_service_server::NotificationServiceServer::new(
                    self.clone(),
                ),
            )
            .add_service(
                leaderboard::leaderboard_service_server::LeaderboardServiceServer::new(
                    self.clone(),
                ),
            )
            .add_service(
                inventory::inventory_service_server::InventoryServiceServer::new(self.clone()),
            );
        routes.routes()
    }

    fn set(&self, name: &'static str, reply: Reply) {
        self.0.script.lock().unwrap().insert(name, reply);
    }

    async fn answer<Q, A>(
        &self,
        name: &'static str,
        request: Request<Q>,
    ) -> Result<Response<A>, Status>
    where
        Q: Send + Sync + 'static,
        A: Clone + 'static,
    {
        match self.note(name, request) {
            None | Some(Reply::Stream(..)) => {
                Err(Status::unimplemented(format!("no script for {name}")))
            }
            Some(Reply::No(status)) => Err(status),
            Some(Reply::Never) => std::future::pending().await,
            Some(Reply::Yes(answer)) => {
                Ok(Response::new(answer.downcast_ref::<A>().unwrap().clone()))
            }
        }
    }

    async fn answer_stream<Q, A>(
        &self,
        name: &'static str,
        request: Request<Q>,
    ) -> Result<Response<Messages<A>>, Status>
    where
        Q: Send + Sync + 'static,
        A: Clone + Send + 'static,
    {
        match self.note(name, request) {
            None | Some(Reply::Yes(_)) => {
                Err(Status::unimplemented(format!("no script for {name}")))
            }
            Some(Reply::No(status)) => Err(status),
            Some(Reply::Never) => std::future::pending().await,
            Some(Reply::Stream(answers, stays)) => {
                let answers = answers.downcast_ref::<Vec<A>>().unwrap().clone();
                let rest = stream::pending().take(if stays { usize::MAX } else { 0 });
                Ok(Response::new(
                    stream::iter(answers).map(Ok).chain(rest).boxed(),
                ))
            }
        }
    }

    /// Notes a call, and looks up what it is answered with.
    fn note<Q: Send + Sync + 'static>(
        &self,
        name: &'static str,
        request: Request<Q>,
    ) -> Option<Reply> {
        let (metadata, _, message) = request.into_parts();
        self.0.seen.lock().unwrap().push(Seen {
            name,
            metadata,
            message: Arc::new(message),
        });
        self.0.script.lock().unwrap().get(name).cloned()
    }
}

/// What a streaming call answers.
type Messages<A> = BoxStream<'static, Result<A, Status>>;

macro_rules! services {
    ($($package:ident :: $server:ident :: $service:ident {
        $($call:ident: $q:ident => $a:ident;)*
    } $(+ { $($messages:ident $watch:ident: $wq:ident => $wa:ident;)* })?)*) => {$(
        #[tonic::async_trait]
        impl $package::$server::$service for Stub {
            $(async fn $call(
                &self,
                request: Request<$package::$q>,
            ) -> Result<Response<$package::$a>, Status> {
                self.answer(stringify!($call), request).await
            })*
            $($(type $messages = Messages<$package::$wa>;

            async fn $watch(
                &self,
                request: Request<$package::$wq>,
            ) -> Result<Response<Self::$messages>, Status> {
                self.answer_stream(stringify!($watch), request).await
            })*)?
        }
    )*};
}

services! {
    order::order_service_server::OrderService {
        place_order: PlaceOrderRequest => PlaceOrderResponse;
        cancel_order: CancelOrderRequest => CancelOrderResponse;
        get_order: GetOrderRequest => GetOrderResponse;
        list_orders: ListOrdersRequest => ListOrdersResponse;
        collect_order: CollectOrderRequest => CollectOrderResponse;
    } + {
        WatchOrderStream watch_order: WatchOrderRequest => WatchOrderResponse;
    }
    customer::customer_service_server::CustomerService {
        create_customer: CreateCustomerRequest => CreateCustomerResponse;
        get_customer: GetCustomerRequest => GetCustomerResponse;
        change_customer: ChangeCustomerRequest => ChangeCustomerResponse;
        erase_customer: EraseCustomerRequest => EraseCustomerResponse;
    }
    catalogue::catalogue_service_server::CatalogueService {
        put_store: PutStoreRequest => PutStoreResponse;
        retire_store: RetireStoreRequest => RetireStoreResponse;
        list_stores: ListStoresRequest => ListStoresResponse;
        put_product: PutProductRequest => PutProductResponse;
        retire_product: RetireProductRequest => RetireProductResponse;
        list_products: ListProductsRequest => ListProductsResponse;
    }
    fulfilment::fulfilment_service_server::FulfilmentService {
        start_ticket: StartTicketRequest => StartTicketResponse;
        finish_ticket: FinishTicketRequest => FinishTicketResponse;
        get_wall: GetWallRequest => GetWallResponse;
        list_tickets: ListTicketsRequest => ListTicketsResponse;
    } + {
        WatchWallStream watch_wall: WatchWallRequest => WatchWallResponse;
    }
    notification::notification_service_server::NotificationService {
        list_deliveries: ListDeliveriesRequest => ListDeliveriesResponse;
        put_preferences: PutPreferencesRequest => PutPreferencesResponse;
        create_endpoint: CreateEndpointRequest => CreateEndpointResponse;
        list_endpoints: ListEndpointsRequest => ListEndpointsResponse;
        delete_endpoint: DeleteEndpointRequest => DeleteEndpointResponse;
        rotate_endpoint_secret: RotateEndpointSecretRequest => RotateEndpointSecretResponse;
        redeliver_endpoint: RedeliverEndpointRequest => RedeliverEndpointResponse;
        pull_events: PullEventsRequest => PullEventsResponse;
    }
    leaderboard::leaderboard_service_server::LeaderboardService {
        list_boards: ListBoardsRequest => ListBoardsResponse;
        get_board: GetBoardRequest => GetBoardResponse;
        get_member: GetMemberRequest => GetMemberResponse;
        recommend: RecommendRequest => RecommendResponse;
        get_revenue: GetRevenueRequest => GetRevenueResponse;
        get_digest: GetDigestRequest => GetDigestResponse;
    } + {
        WatchBoardStream watch_board: WatchBoardRequest => WatchBoardResponse;
        DumpBoardsStream dump_boards: DumpBoardsRequest => DumpBoardsResponse;
    }
    inventory::inventory_service_server::InventoryService {
        list_stock: ListStockRequest => ListStockResponse;
        adjust_stock: AdjustStockRequest => AdjustStockResponse;
    }
}
