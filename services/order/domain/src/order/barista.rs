use brewline_kernel::Timestamp;

use super::{Order, OrderCommand, OrderEvent, OrderRejection, OrderStatus, decide};

/// What the barista tells of an order. It alone knows that work has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaristaNews {
    /// Somebody has begun.
    Started,
    /// The last line is done.
    Completed,
    /// The customer's cancellation is granted: nobody had begun, and nobody will.
    Withdrawn,
    /// The customer's cancellation is refused: somebody had begun.
    Refused {
        /// Why, for people.
        reason: String,
    },
}

/// What `news` leads to. An order that is cancelled hears nothing: one whose money was lost is given up
/// whatever the barista does, and news of it may still be on its way.
///
/// # Errors
/// When the news contradicts what the order has heard before.
pub fn hear(
    order: &Order,
    news: BaristaNews,
    at: Timestamp,
) -> Result<Vec<OrderEvent>, OrderRejection> {
    if order.status == OrderStatus::Cancelled {
        return Ok(Vec::new());
    }
    decide(Some(order), news.into(), at)
}

// === impl BaristaNews ===

impl From<BaristaNews> for OrderCommand {
    fn from(news: BaristaNews) -> Self {
        match news {
            BaristaNews::Started => Self::StartPreparation,
            BaristaNews::Completed => Self::MarkReady,
            BaristaNews::Withdrawn => Self::GrantCancellation,
            BaristaNews::Refused { reason } => Self::RefuseCancellation { reason },
        }
    }
}
