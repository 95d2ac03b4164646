//! The barista, played by the world itself: whatever an order asks it is answered sooner or later, in a
//! transaction of the order's. Nobody begins with an order unless its customer wants it back.

use brewline_failpoint::planted;
use brewline_kernel::OrderId;
use brewline_order_domain::checkout::CheckoutEvent;
use brewline_order_domain::order::{BaristaNews, Order, OrderStatus, hear};

use crate::broker::Service;
use crate::draft::Draft;
use crate::process::{After, Pid};
use crate::store::Lock;
use crate::transactions::Access;
use crate::world::{Event, MS, SECOND, World};

// === impl World ===

impl World {
    /// The barista will look at an order by and by.
    pub fn ask_barista(&mut self, order: OrderId) {
        let delay = self.random.between(MS, 2 * SECOND);
        self.after(delay, Event::Barista(order));
    }

    /// The barista looks at an order, and goes on doing so until nothing is asked of it.
    pub fn barista(&mut self, id: OrderId) {
        let replica = u8::from(self.random.chance(500));
        let pid: Pid = (Service::Order, replica);
        let lives = self.processes.get(&pid).is_some_and(|process| process.up);
        let access = self.access(Service::Order, &[Lock::Order(id)]);
        if !lives || access != Access::Free {
            return self.ask_barista(id);
        }
        let stored = self
            .order_tables()
            .and_then(|tables| tables.orders.get(&id).cloned());
        let Some(order) = stored.filter(|order| order.status == OrderStatus::Cancelling) else {
            return;
        };
        let news = self.answer(&order);
        if planted("refusal-forgotten") && matches!(news, BaristaNews::Refused { .. }) {
            return;
        }
        self.tell(format_args!("barista: {news:?} for order {id}"));
        let events = match hear(&order, news.clone(), self.instant()) {
            Ok(events) => events,
            Err(rejection) => return self.broken.push(format!("order {id}: {rejection}")),
        };
        let mut draft = Draft::default();
        self.change(&mut draft, id, events, None);
        if news == BaristaNews::Withdrawn {
            self.react(&mut draft, id, &CheckoutEvent::Cancelled, None);
        }
        self.submit_draft(pid, draft, vec![id], After::Moved);
        self.ask_barista(id);
    }

    /// Whoever has begun refuses, and may tell before it does that all is done.
    fn answer(&mut self, order: &Order) -> BaristaNews {
        let begun = order.resumes_as != Some(OrderStatus::Confirmed);
        let done = order.resumes_as == Some(OrderStatus::Ready);
        match (begun, done, self.random.chance(400)) {
            (false, _, false) => BaristaNews::Withdrawn,
            (false, _, true) => BaristaNews::Started,
            (true, false, true) => BaristaNews::Completed,
            (true, ..) => BaristaNews::Refused {
                reason: "begun".to_owned(),
            },
        }
    }
}
