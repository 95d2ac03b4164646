use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::consumer::BaseConsumer;

use crate::reader::Metadata;
use crate::{Config, Connection, Error};

type Client = BaseConsumer<Metadata>;

/// A client that is asked about topics and offsets. A broker that is just starting may name no broker
/// at all in its first answer, itself included; the client then has nobody left to ask, and does not
/// recover. So one that got no answer is replaced.
pub(crate) struct Asker {
    config: Config,
    connection: Connection,
    client: Mutex<Arc<Client>>,
}

// === impl Asker ===

impl Asker {
    pub(crate) fn new(config: &Config, connection: Connection) -> Result<Self, Error> {
        let client = Mutex::new(Arc::new(make(config, &connection)?));
        Ok(Self {
            config: config.clone(),
            connection,
            client,
        })
    }

    /// Asks. Blocks.
    pub(crate) fn ask<T>(
        &self,
        question: impl FnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let client = Arc::clone(&self.current());
        let answer = question(&client);
        if let Err(error @ Error::Client { .. }) = &answer
            && !error.is_refused()
        {
            self.replace(&client);
        }
        answer
    }

    fn current(&self) -> MutexGuard<'_, Arc<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, failed: &Arc<Client>) {
        let Ok(fresh) = make(&self.config, &self.connection) else {
            return;
        };
        let mut current = self.current();
        // Another question may have failed at the same time, and been faster.
        if Arc::ptr_eq(&current, failed) {
            *current = Arc::new(fresh);
        }
    }
}

fn make(config: &Config, connection: &Connection) -> Result<Client, Error> {
    config
        .client()
        .create_with_context(Metadata(connection.clone()))
        .map_err(Error::while_doing("make an admin client"))
}

#[cfg(test)]
mod tests {
    use rdkafka::error::KafkaError;
    use rdkafka::types::RDKafkaErrorCode as Code;

    use super::*;

    fn after(code: Code) -> bool {
        let config = Config::plain("127.0.0.1:1");
        let asker = Asker::new(&config, Connection::default()).unwrap();
        let before = Arc::clone(&asker.current());
        let failed = |_: &Client| Err::<(), _>(KafkaError::MetadataFetch(code));
        asker
            .ask(|client| failed(client).map_err(Error::while_doing("ask")))
            .unwrap_err();
        let after = Arc::clone(&asker.current());
        !Arc::ptr_eq(&before, &after)
    }

    #[test]
    fn a_client_that_has_nobody_left_to_ask_is_replaced() {
        assert!(after(Code::BrokerTransportFailure));
    }

    #[test]
    fn a_client_that_was_refused_stays() {
        assert!(!after(Code::TopicAuthorizationFailed));
    }
}
