//! `CatalogueService`: stores and products.

use brewline_inventory_domain::{FieldFault, Item, ProductDetails, ProductKind, StoreDetails};
use brewline_kernel::{Money, ProductId, StoreId, TraceParent};
use brewline_proto::catalogue::v1::catalogue_service_server::CatalogueService;
use brewline_proto::catalogue::v1::{
    ListProductsRequest, ListProductsResponse, ListStoresRequest, ListStoresResponse, Product,
    ProductKind as WireKind, PutProductRequest, PutProductResponse, PutStoreRequest,
    PutStoreResponse, RetireProductRequest, RetireProductResponse, RetireStoreRequest,
    RetireStoreResponse, Store,
};
use brewline_proto::money::v1::Money as WireMoney;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::app::change_catalogue::Catalogue;
use crate::error::Error;
use crate::outbound::event_codec;

/// Serves the catalogue.
#[derive(Clone, Debug)]
pub struct CatalogueGrpc(pub Catalogue);

#[tonic::async_trait]
impl CatalogueService for CatalogueGrpc {
    async fn put_store(
        &self,
        request: Request<PutStoreRequest>,
    ) -> Result<Response<PutStoreResponse>, Status> {
        let trace = traceparent(request.metadata());
        let store = request.into_inner().store.unwrap_or_default();
        let (id, details) = store_from_wire(&store)?;
        let changed = self.0.put_store(&id, details, trace).await?;
        Ok(Response::new(PutStoreResponse {
            store: Some(store_to_wire(&id, &changed.item)),
            created: changed.created,
        }))
    }

    async fn retire_store(
        &self,
        request: Request<RetireStoreRequest>,
    ) -> Result<Response<RetireStoreResponse>, Status> {
        let trace = traceparent(request.metadata());
        let id: StoreId = parse("storeId", &request.into_inner().store_id)?;
        let changed = self.0.retire_store(&id, trace).await?;
        let version = changed.item.version;
        Ok(Response::new(RetireStoreResponse { version }))
    }

    async fn list_stores(
        &self,
        _request: Request<ListStoresRequest>,
    ) -> Result<Response<ListStoresResponse>, Status> {
        let stores = self.0.list::<StoreDetails>().await?;
        let stores = stores
            .iter()
            .map(|(id, store)| store_to_wire(id, store))
            .collect();
        Ok(Response::new(ListStoresResponse { stores }))
    }

    async fn put_product(
        &self,
        request: Request<PutProductRequest>,
    ) -> Result<Response<PutProductResponse>, Status> {
        let trace = traceparent(request.metadata());
        let product = request.into_inner().product.unwrap_or_default();
        let (id, details) = product_from_wire(&product)?;
        let changed = self.0.put_product(&id, details, trace).await?;
        Ok(Response::new(PutProductResponse {
            product: Some(product_to_wire(&id, &changed.item)),
            created: changed.created,
        }))
    }

    async fn retire_product(
        &self,
        request: Request<RetireProductRequest>,
    ) -> Result<Response<RetireProductResponse>, Status> {
        let trace = traceparent(request.metadata());
        let id: ProductId = parse("productId", &request.into_inner().product_id)?;
        let changed = self.0.retire_product(&id, trace).await?;
        let version = changed.item.version;
        Ok(Response::new(RetireProductResponse { version }))
    }

    async fn list_products(
        &self,
        _request: Request<ListProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        let products = self.0.list::<ProductDetails>().await?;
        let products = products
            .iter()
            .map(|(id, item)| product_to_wire(id, item))
            .collect();
        Ok(Response::new(ListProductsResponse { products }))
    }
}

/// The trace a request belongs to; a malformed header is no reason to refuse it.
pub(super) fn traceparent(metadata: &MetadataMap) -> Option<TraceParent> {
    metadata.get("traceparent")?.to_str().ok()?.parse().ok()
}

/// An id, or the fault of its field.
pub(super) fn parse<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, Error>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| {
        let detail = error.to_string();
        Error::Invalid(vec![FieldFault { field, detail }])
    })
}

fn store_from_wire(store: &Store) -> Result<(StoreId, StoreDetails), Error> {
    let id = store.store_id.parse::<StoreId>();
    let details = StoreDetails::new(&store.name, &store.currency, &store.time_zone);
    let known = known_time_zone(&store.time_zone);
    match (id, details, known) {
        (Ok(id), Ok(details), Ok(())) => Ok((id, details)),
        (id, details, known) => Err(Error::Invalid(
            fault("storeId", id)
                .into_iter()
                .chain(details.err().unwrap_or_default())
                .chain(known.err())
                .collect(),
        )),
    }
}

/// The domain cannot look into the time zone database; an empty or overlong name it refuses itself.
fn known_time_zone(name: &str) -> Result<(), FieldFault> {
    if name.is_empty() || jiff::tz::TimeZone::get(name).is_ok() {
        return Ok(());
    }
    Err(FieldFault {
        field: "timeZone",
        detail: "is not in the IANA time zone database".to_owned(),
    })
}

fn product_from_wire(product: &Product) -> Result<(ProductId, ProductDetails), Error> {
    let id = product.product_id.parse::<ProductId>();
    let kind = kind_from_wire(product.kind());
    let prices = prices_from_wire(&product.prices);
    if let (Ok(id), Ok(kind), Ok(prices)) = (&id, &kind, &prices) {
        let (name, method, origin) = (&product.name, &product.method, &product.origin);
        let details = ProductDetails::new(name, *kind, method, origin, prices.clone());
        return Ok((id.clone(), details.map_err(Error::Invalid)?));
    }
    let faults = [fault("productId", id), kind.err(), prices.err()];
    Err(Error::Invalid(faults.into_iter().flatten().collect()))
}

fn kind_from_wire(kind: WireKind) -> Result<ProductKind, FieldFault> {
    match kind {
        WireKind::Drink => Ok(ProductKind::Drink),
        WireKind::Food => Ok(ProductKind::Food),
        WireKind::Unspecified => Err(FieldFault {
            field: "kind",
            detail: "is neither `drink` nor `food`".to_owned(),
        }),
    }
}

fn prices_from_wire(prices: &[WireMoney]) -> Result<Vec<Money>, FieldFault> {
    let price = |price: &WireMoney| Ok(Money::new(price.amount_minor, price.currency.parse()?));
    let prices: Result<Vec<Money>, brewline_kernel::InvalidCurrency> =
        prices.iter().map(price).collect();
    prices.map_err(|error| FieldFault {
        field: "prices",
        detail: error.to_string(),
    })
}

fn fault<T, E: std::fmt::Display>(field: &'static str, result: Result<T, E>) -> Option<FieldFault> {
    let detail = result.err()?.to_string();
    Some(FieldFault { field, detail })
}

fn store_to_wire(id: &StoreId, store: &Item<StoreDetails>) -> Store {
    Store {
        store_id: id.to_string(),
        name: store.details.name().to_owned(),
        currency: store.details.currency().code().to_owned(),
        time_zone: store.details.time_zone().to_owned(),
        version: store.version,
    }
}

fn product_to_wire(id: &ProductId, product: &Item<ProductDetails>) -> Product {
    let details = &product.details;
    Product {
        product_id: id.to_string(),
        name: details.name().to_owned(),
        kind: event_codec::kind(details.kind()).into(),
        method: details.method().to_owned(),
        origin: details.origin().to_owned(),
        prices: event_codec::prices(details.prices()),
        version: product.version,
    }
}
