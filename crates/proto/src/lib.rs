//! The wire: messages and gRPC services of every context, as generated from `proto/`.
//!
//! The code in `src/gen/` is committed, so that a build needs no generator; the test `generated`
//! regenerates it and compares. Conversions to and from domain types live in the services.

pub mod topics;

/// The descriptors of every `.proto` file, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("gen/descriptor.bin");

macro_rules! packages {
    ($($(#[$doc:meta])* $context:ident => $file:literal;)*) => {$(
        $(#[$doc])*
        pub mod $context {
            /// Version 1 of this context's messages.
            #[allow(
                missing_docs,
                unreachable_pub,
                unused_qualifications,
                clippy::all,
                clippy::pedantic,
                clippy::restriction,
                rustdoc::all,
                reason = "generated"
            )]
            pub mod v1 {
                include!(concat!("gen/", $file, ".rs"));
            }
        }
    )*};
}

packages! {
    /// Money on the wire.
    money => "brewline.money.v1";
    /// Stores and products.
    catalogue => "brewline.catalogue.v1";
    /// Stock and reservations.
    inventory => "brewline.inventory.v1";
    /// Customers.
    customer => "brewline.customer.v1";
    /// Orders.
    order => "brewline.order.v1";
    /// Payments.
    payment => "brewline.payment.v1";
    /// Tickets at the baristas' stations.
    fulfilment => "brewline.fulfilment.v1";
    /// What customers were told.
    notification => "brewline.notification.v1";
    /// Boards and recommendations.
    leaderboard => "brewline.leaderboard.v1";
    /// What people on call ask each service.
    operator => "brewline.operator.v1";
}
