use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::asker::Asker;
use crate::reader::Metadata;
use crate::{Config, Connection, Error, TopicPartition, native};

/// The longest an administrative request may take.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// A topic to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many partitions; never changed later, since keys would move.
    pub partitions: i32,
    /// How many copies of each.
    pub replication: i32,
    /// Settings, such as `retention.ms`.
    pub settings: Vec<(String, String)>,
}

/// Administrative requests. Cloning shares the client.
#[derive(Clone)]
pub struct Admin {
    pub(crate) client: Arc<AdminClient<Connection>>,
    // End offsets can only be asked for by a consumer; it never joins a group.
    metadata: Arc<Asker>,
}

// === impl Topic ===

impl Topic {
    /// A topic with one copy and the cluster's default settings.
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self {
            name: name.into(),
            partitions,
            replication: 1,
            settings: Vec::new(),
        }
    }

    /// The same with one setting more.
    #[must_use]
    pub fn with(mut self, setting: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((setting.into(), value.into()));
        self
    }
}

// === impl Admin ===

impl Admin {
    /// Makes a client. It connects in the background.
    ///
    /// # Errors
    /// When the settings do not fit together.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let connection = Connection::default();
        let doing = "make an admin client";
        let client = config
            .client()
            .create_with_context(connection.clone())
            .map_err(Error::while_doing(doing))?;
        let metadata = Asker::new(config, connection)?;
        Ok(Self {
            client: Arc::new(client),
            metadata: Arc::new(metadata),
        })
    }

    /// Makes topics; those that exist already are left as they are.
    ///
    /// # Errors
    /// When the broker does not answer or refuses one.
    pub async fn create_topics(&self, topics: &[Topic]) -> Result<(), Error> {
        let natives: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|topic| {
                let replication = TopicReplication::Fixed(topic.replication);
                let native = NewTopic::new(&topic.name, topic.partitions, replication);
                topic
                    .settings
                    .iter()
                    .fold(native, |native, (key, value)| native.set(key, value))
            })
            .collect();
        let answers = self.client.create_topics(&natives, &options()).await;
        let answers = answers.map_err(Error::while_doing("create topics"))?;
        outcome("create topic", answers, Code::TopicAlreadyExists)
    }

    /// Deletes topics; those that do not exist are passed over.
    ///
    /// # Errors
    /// When the broker does not answer or refuses one.
    pub async fn delete_topics(&self, topics: &[&str]) -> Result<(), Error> {
        let answers = self.client.delete_topics(topics, &options()).await;
        let answers = answers.map_err(Error::while_doing("delete topics"))?;
        outcome("delete topic", answers, Code::UnknownTopicOrPartition)
    }

    /// The ids of topics, in Kafka's own notation; those that do not exist are left out. A topic
    /// deleted and made again has another id.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn topic_ids(&self, topics: &[&str]) -> Result<HashMap<String, String>, Error> {
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let client = Arc::clone(&self.client);
        let ids = blocking(move || {
            let names: Vec<&str> = topics.iter().map(String::as_str).collect();
            native::topic_ids(client.inner(), &names, WAIT)
                .map_err(|error| error.with_complaint(client.inner().context()))
        })
        .await?;
        Ok(ids.into_iter().collect())
    }

    /// The names of all topics this user may see, with their numbers of partitions.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn topics(&self) -> Result<BTreeMap<String, i32>, Error> {
        let metadata = Arc::clone(&self.metadata);
        blocking(move || {
            let known = metadata.ask(|client| {
                let known = client.fetch_metadata(None, WAIT);
                known.map_err(Error::while_doing("list topics"))
            })?;
            let count = |partitions: usize| i32::try_from(partitions).unwrap_or(i32::MAX);
            let topics = known.topics().iter();
            Ok(topics
                .map(|topic| (topic.name().to_owned(), count(topic.partitions().len())))
                .collect())
        })
        .await
    }

    /// The offset behind the last record of every partition of these topics, in one request a broker.
    ///
    /// # Errors
    /// When the broker does not answer or a topic does not exist.
    pub async fn end_offsets(
        &self,
        topics: &[&str],
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        self.offsets(topics, Offset::End).await
    }

    /// The offset of the first record kept of every partition of these topics.
    ///
    /// # Errors
    /// When the broker does not answer or a topic does not exist.
    pub async fn first_offsets(
        &self,
        topics: &[&str],
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        self.offsets(topics, Offset::Beginning).await
    }

    /// How it stands with its brokers.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.client.inner().context()
    }

    async fn offsets(
        &self,
        topics: &[&str],
        which: Offset,
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let metadata = Arc::clone(&self.metadata);
        blocking(move || {
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            metadata.ask(|client| offsets(client, &topics, which))
        })
        .await
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("connection", self.connection())
            .finish_non_exhaustive()
    }
}

/// The partitions of topics with their first or end offsets. Blocks.
pub(crate) fn offsets(
    client: &BaseConsumer<Metadata>,
    topics: &[&str],
    which: Offset,
) -> Result<BTreeMap<TopicPartition, i64>, Error> {
    const DOING: &str = "look up offsets of";
    let mut list = TopicPartitionList::new();
    for topic in topics {
        let known = client
            .fetch_metadata(Some(topic), WAIT)
            .map_err(Error::while_doing("ask for a topic's partitions"))?;
        let partitions = known
            .topics()
            .first()
            .map_or(&[][..], |topic| topic.partitions());
        if partitions.is_empty() {
            let reason = "it does not exist, or this user may not see it".to_owned();
            return Err(Error::Topic {
                doing: DOING,
                topic: (*topic).to_owned(),
                reason,
            });
        }
        for partition in partitions {
            list.add_partition_offset(topic, partition.id(), which)
                .map_err(Error::while_doing(DOING))?;
        }
    }
    let answers = client
        .offsets_for_times(list, WAIT)
        .map_err(Error::while_doing("look up offsets"))?;
    let mut offsets = BTreeMap::new();
    for element in answers.elements() {
        element
            .error()
            .map_err(Error::while_doing("look up offsets"))?;
        let partition = TopicPartition::new(element.topic(), element.partition());
        // A partition without records answers with a logical end: nothing is in it.
        offsets.insert(partition, element.offset().to_raw().unwrap_or(0).max(0));
    }
    Ok(offsets)
}

/// Runs a blocking request of the client off the async workers.
pub(crate) async fn blocking<T: Send + 'static>(
    request: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(request)
        .await
        .map_err(|_| Error::Closed)?
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(WAIT))
        .operation_timeout(Some(WAIT))
}

fn outcome(
    doing: &'static str,
    answers: Vec<Result<String, (String, Code)>>,
    harmless: Code,
) -> Result<(), Error> {
    for answer in answers {
        match answer {
            Err((topic, code)) if code != harmless => {
                return Err(Error::Topic {
                    doing,
                    topic,
                    reason: code.to_string(),
                });
            }
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}
