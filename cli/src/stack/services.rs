//! The services of brewline as units: binaries, ports and environment.

use std::rc::Rc;

use super::endpoints::KafkaLogin;
use super::folder::Folder;
use super::launch::Launch;
use super::options::StackOptions;
use super::plan::{Addresses, Blueprint, Probe, Unit};
use super::ports::{INSTANCES_MAX, Ports};

/// In the order of starting. Stopped the other way round, so that who calls goes before who is
/// called, and the sandbox last.
pub const SERVICES: [&str; 8] = [
    "sandbox",
    "inventory",
    "payment",
    "barista",
    "notification",
    "leaderboard",
    "order",
    "gateway",
];

/// All that a service's environment is made of.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The data folder.
    pub folder: Folder,
    /// The ports.
    pub ports: Ports,
    /// What `up` was asked for.
    pub options: StackOptions,
    /// Each service's database.
    pub postgres: std::collections::BTreeMap<String, String>,
    /// Each service's way into Kafka.
    pub kafka: std::collections::BTreeMap<String, KafkaLogin>,
}

// === impl Surroundings ===

impl Surroundings {
    /// A service as a unit to be kept running.
    #[must_use]
    pub fn unit(self: &Rc<Self>, name: &'static str) -> Unit {
        let own = Rc::clone(self);
        Unit {
            name: name.to_owned(),
            instances: 1,
            // The sandbox is one world with one ledger.
            instances_max: if name == "sandbox" { 1 } else { INSTANCES_MAX },
            version: env!("CARGO_PKG_VERSION").to_owned(),
            blueprint: Rc::new(move |instance| own.blueprint(name, instance)),
        }
    }

    fn blueprint(&self, name: &str, instance: u16) -> anyhow::Result<Blueprint> {
        let main = listen(self.ports.main(name, instance)?);
        let admin = listen(self.ports.admin(name, instance)?);
        let program = self.options.bin_dir.join(format!("brewline-{name}"));
        let launch = Launch::new(program, self.folder.log(name, instance))
            .env("BREWLINE_INSTANCE", format!("{name}-{instance}"))
            .env("BREWLINE_ADMIN_LISTEN", &admin);
        let mut addresses = Addresses {
            admin: Some(format!("http://{admin}")),
            ..Addresses::default()
        };
        let launch = match name {
            "gateway" => self.gateway(launch, instance, &main, &mut addresses),
            "sandbox" => self.sandbox(launch, &main, &mut addresses),
            _ => {
                addresses.grpc = Some(format!("http://{main}"));
                self.with_servers(launch, name)
                    .env("BREWLINE_GRPC_LISTEN", main)
                    .env("BREWLINE_PAYMENT_URL", self.peer("payment"))
                    .env(
                        "BREWLINE_PROCESSOR_URL",
                        format!("http://{}", listen(self.ports.sandbox())),
                    )
                    .env("BREWLINE_SMTP_URL", self.mail())
                    // Everything is on this machine, the receiver of the demo's webhooks too.
                    .env("BREWLINE_WEBHOOK_ALLOW_PRIVATE", "true")
            }
        };
        Ok(Blueprint {
            launch: self.with_overrides(launch, name),
            addresses,
            probe: Probe::Http(format!("http://{admin}/readyz")),
        })
    }

    fn gateway(
        &self,
        launch: Launch,
        instance: u16,
        main: &str,
        addresses: &mut Addresses,
    ) -> Launch {
        // The first one has the well-known port, further ones have ports of their own.
        let http = if instance == 1 {
            listen(self.ports.gateway())
        } else {
            main.to_owned()
        };
        addresses.http = Some(format!("http://{http}"));
        launch
            .env("BREWLINE_HTTP_LISTEN", http)
            .env("BREWLINE_ORDER_URL", self.peer("order"))
            .env("BREWLINE_INVENTORY_URL", self.peer("inventory"))
            .env("BREWLINE_BARISTA_URL", self.peer("barista"))
            .env("BREWLINE_NOTIFICATION_URL", self.peer("notification"))
            .env("BREWLINE_LEADERBOARD_URL", self.peer("leaderboard"))
    }

    fn sandbox(&self, launch: Launch, main: &str, addresses: &mut Addresses) -> Launch {
        let http = listen(self.ports.sandbox());
        addresses.http = Some(format!("http://{http}"));
        addresses.control = Some(format!("http://{main}"));
        launch
            .env("BREWLINE_HTTP_LISTEN", http)
            .env("BREWLINE_CONTROL_LISTEN", main)
            .env("BREWLINE_SMTP_LISTEN", listen(self.ports.mail()))
            .env(
                "BREWLINE_DATA_DIR",
                self.folder.sandbox().display().to_string(),
            )
    }

    fn mail(&self) -> String {
        format!("smtp://{}", listen(self.ports.mail()))
    }

    fn with_servers(&self, mut launch: Launch, name: &str) -> Launch {
        if let Some(url) = self.postgres.get(name) {
            launch = launch.env("BREWLINE_POSTGRES_URL", url);
        }
        if let Some(login) = self.kafka.get(name) {
            launch = launch.env("BREWLINE_KAFKA_BROKERS", &login.brokers);
            if let (Some(username), Some(password)) = (&login.username, &login.password) {
                launch = launch
                    .env("BREWLINE_KAFKA_USERNAME", username)
                    .env("BREWLINE_KAFKA_PASSWORD", password);
            }
        }
        launch
    }

    fn with_overrides(&self, launch: Launch, name: &str) -> Launch {
        let meant = self
            .options
            .environment
            .iter()
            .filter(|variable| variable.is_for(name));
        meant.fold(launch, |launch, variable| {
            launch.env(&variable.name, &variable.value)
        })
    }

    /// A service as its callers name it: the file is read anew every second, so that they find
    /// further instances.
    fn peer(&self, name: &str) -> String {
        format!("file://{}#{name}", self.folder.endpoints().display())
    }
}

fn listen(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
