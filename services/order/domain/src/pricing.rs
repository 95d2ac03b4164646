//! From what the catalogue says and what is asked for to priced lines, or to what is wrong.

use brewline_kernel::{Currency, Money, ProductId};

use crate::order::{Line, ProductKind};

/// The most lines of one order.
pub const LINES_MAX: usize = 50;
/// The most of one line.
pub const QUANTITY_MAX: i64 = 99;

/// What the catalogue says of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreEntry {
    /// The currency of every price taken there.
    pub currency: Currency,
    /// True once it takes no orders any more.
    pub retired: bool,
}

/// What the catalogue says of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductEntry {
    /// The product.
    pub product_id: ProductId,
    /// The name people see.
    pub name: String,
    /// Drink or food.
    pub kind: ProductKind,
    /// How it is brewed; empty for food.
    pub method: String,
    /// Where its beans come from; may be empty.
    pub origin: String,
    /// One price a currency it is sold in.
    pub prices: Vec<Money>,
    /// True once it is sold no more.
    pub retired: bool,
}

/// A line as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedLine {
    /// The product.
    pub product_id: ProductId,
    /// How many.
    pub quantity: i64,
}

/// Lines with prices, and their sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    /// The lines.
    pub lines: Vec<Line>,
    /// Their sum.
    pub total: Money,
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// The field, as the caller wrote it, such as `lines[0].quantity`.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

/// Prices `requested` for a store; `product` looks a product up in the catalogue.
///
/// # Errors
/// Everything that is wrong with the request, field by field.
pub fn price<'a>(
    store: Option<&StoreEntry>,
    requested: &[RequestedLine],
    product: impl Fn(&ProductId) -> Option<&'a ProductEntry>,
) -> Result<Priced, Vec<FieldFault>> {
    let mut faults = faults_of_request(store, requested);
    let Some(store) = store.filter(|_| requested.len() <= LINES_MAX) else {
        return Err(faults);
    };
    let mut lines = Vec::with_capacity(requested.len());
    for (index, line) in requested.iter().enumerate() {
        match price_line(store.currency, line, product(&line.product_id)) {
            Ok(line) => lines.push(line),
            Err(wrong) => {
                faults.extend(
                    wrong
                        .into_iter()
                        .map(|(name, detail)| fault(format!("lines[{index}].{name}"), detail)),
                );
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let total = sum(store.currency, &lines).map_err(|fault| vec![fault])?;
    Ok(Priced { lines, total })
}

fn faults_of_request(store: Option<&StoreEntry>, requested: &[RequestedLine]) -> Vec<FieldFault> {
    let mut faults = Vec::new();
    match store {
        None => faults.push(fault("storeId", "there is no such store")),
        Some(store) if store.retired => {
            faults.push(fault("storeId", "the store takes no orders any more"));
        }
        Some(_) => {}
    }
    if requested.is_empty() || requested.len() > LINES_MAX {
        let detail = format!(
            "an order has 1 to {LINES_MAX} lines, not {}",
            requested.len()
        );
        faults.push(fault("lines", detail));
    }
    faults
}

type LineFaults = Vec<(&'static str, String)>;

fn price_line(
    currency: Currency,
    line: &RequestedLine,
    product: Option<&ProductEntry>,
) -> Result<Line, LineFaults> {
    let mut faults = LineFaults::new();
    if !(1..=QUANTITY_MAX).contains(&line.quantity) {
        let detail = format!("a quantity is 1 to {QUANTITY_MAX}, not {}", line.quantity);
        faults.push(("quantity", detail));
    }
    match sold_at(currency, product) {
        Ok((product, unit_price)) if faults.is_empty() => Ok(Line {
            product_id: product.product_id.clone(),
            name: product.name.clone(),
            kind: product.kind,
            method: product.method.clone(),
            origin: product.origin.clone(),
            unit_price,
            quantity: line.quantity,
        }),
        Ok(_) => Err(faults),
        Err(detail) => {
            faults.push(("productId", detail));
            Err(faults)
        }
    }
}

fn sold_at(
    currency: Currency,
    product: Option<&ProductEntry>,
) -> Result<(&ProductEntry, Money), String> {
    let product = product.ok_or("there is no such product")?;
    if product.retired {
        return Err("the product is sold no more".to_owned());
    }
    let price = product
        .prices
        .iter()
        .find(|price| price.currency == currency);
    let price = price.ok_or_else(|| format!("the product has no price in {currency}"))?;
    Ok((product, *price))
}

fn sum(currency: Currency, lines: &[Line]) -> Result<Money, FieldFault> {
    let total = lines.iter().try_fold(Money::zero(currency), |sum, line| {
        sum.plus(line.unit_price.times(line.quantity)?)
    });
    match total {
        Ok(total) if total.minor > 0 => Ok(total),
        Ok(_) => Err(fault("lines", "an order costs more than nothing")),
        Err(error) => Err(fault("lines", error.to_string())),
    }
}

fn fault(field: impl Into<String>, detail: impl Into<String>) -> FieldFault {
    FieldFault {
        field: field.into(),
        detail: detail.into(),
    }
}
