use anyhow::Context as _;
use brewline_proto::catalogue::v1::catalogue_service_client::CatalogueServiceClient;
use brewline_proto::customer::v1::customer_service_client::CustomerServiceClient;
use brewline_proto::fulfilment::v1::fulfilment_service_client::FulfilmentServiceClient;
use brewline_proto::inventory::v1::inventory_service_client::InventoryServiceClient;
use brewline_proto::leaderboard::v1::leaderboard_service_client::LeaderboardServiceClient;
use brewline_proto::notification::v1::notification_service_client::NotificationServiceClient;
use brewline_proto::order::v1::order_service_client::OrderServiceClient;
use brewline_server::client::Channel;
use brewline_server::{Context, client};

use crate::Config;

/// A client of each service behind the edge. Cheap to clone: they share one channel a service, balanced
/// over its replicas. None of them ever repeats a call.
#[derive(Clone, Debug)]
pub(crate) struct Upstreams {
    pub(crate) orders: OrderServiceClient<Channel>,
    pub(crate) customers: CustomerServiceClient<Channel>,
    pub(crate) catalogue: CatalogueServiceClient<Channel>,
    pub(crate) inventory: InventoryServiceClient<Channel>,
    pub(crate) fulfilment: FulfilmentServiceClient<Channel>,
    pub(crate) boards: LeaderboardServiceClient<Channel>,
    pub(crate) notifications: NotificationServiceClient<Channel>,
}

// === impl Upstreams ===

impl Upstreams {
    pub(crate) fn new(config: &Config, context: &Context) -> anyhow::Result<Self> {
        let order = client::channel(&config.order_url, context).context("reach order")?;
        let inventory =
            client::channel(&config.inventory_url, context).context("reach inventory")?;
        let barista = client::channel(&config.barista_url, context).context("reach barista")?;
        let notification =
            client::channel(&config.notification_url, context).context("reach notification")?;
        let leaderboard =
            client::channel(&config.leaderboard_url, context).context("reach leaderboard")?;
        Ok(Self {
            boards: LeaderboardServiceClient::new(leaderboard),
            orders: OrderServiceClient::new(order.clone()),
            customers: CustomerServiceClient::new(order),
            catalogue: CatalogueServiceClient::new(inventory.clone()),
            inventory: InventoryServiceClient::new(inventory),
            notifications: NotificationServiceClient::new(notification),
            fulfilment: FulfilmentServiceClient::new(barista),
        })
    }
}
