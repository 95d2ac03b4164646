use brewline_kafka::{Admin, Config, Topic};
use uuid::Uuid;

use crate::kafka;

/// Topics of its own for one test, deleted with this value. Consumer groups of a test should carry the
/// same prefix: see [`TestTopics::name`].
#[derive(Debug)]
pub struct TestTopics {
    prefix: String,
    names: Vec<String>,
    config: Config,
    admin: Admin,
}

// === impl TestTopics ===

impl TestTopics {
    /// Makes topics `test.<random>.<suffix>` with this many partitions each.
    ///
    /// # Panics
    /// When there is no broker.
    pub async fn create(suffixes: &[&str], partitions: i32) -> Self {
        let config = kafka();
        let admin = Admin::new(&config).expect("make an admin client");
        let prefix = format!("test.{}", Uuid::new_v4().simple());
        let mut topics = Self {
            prefix,
            names: Vec::new(),
            config,
            admin,
        };
        for suffix in suffixes {
            let name = topics.name(suffix);
            topics.names.push(name);
        }
        topics.make(partitions).await;
        topics
    }

    /// The full name for this suffix: of a topic made, or for a group.
    #[must_use]
    pub fn name(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.prefix)
    }

    /// Deletes all topics and makes them again, as other ones of the same names.
    ///
    /// # Panics
    /// When the broker does not do so in time.
    pub async fn make_anew(&self, partitions: i32) {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let old = self
            .admin
            .topic_ids(&names)
            .await
            .expect("ask for the topics' ids");
        self.admin
            .delete_topics(&names)
            .await
            .expect("delete the topics");
        crate::eventually("the topics are made anew", async || {
            // Refused, or passed over, while the deletion is still under way.
            let topics: Vec<Topic> = names
                .iter()
                .map(|name| Topic::new(*name, partitions))
                .collect();
            let made = self.admin.create_topics(&topics).await;
            let ids = self.admin.topic_ids(&names).await.unwrap_or_default();
            made.is_ok()
                && names
                    .iter()
                    .all(|name| ids.get(*name).is_some_and(|id| old.get(*name) != Some(id)))
        })
        .await;
    }

    /// How to reach the broker.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Administrative requests to the broker.
    #[must_use]
    pub const fn admin(&self) -> &Admin {
        &self.admin
    }

    async fn make(&self, partitions: i32) {
        let topics: Vec<Topic> = self
            .names
            .iter()
            .map(|name| Topic::new(name.as_str(), partitions))
            .collect();
        self.admin
            .create_topics(&topics)
            .await
            .expect("create the topics");
        // The controller has them; a broker learns of them a moment later.
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        crate::eventually("the broker knows the topics", async || {
            self.admin.end_offsets(&names).await.is_ok()
        })
        .await;
    }
}

impl Drop for TestTopics {
    fn drop(&mut self) {
        let (admin, names) = (self.admin.clone(), std::mem::take(&mut self.names));
        // `drop` cannot await, and the test's own runtime may be single-threaded and blocked here.
        let deleter = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            runtime
                .expect("build a runtime")
                .block_on(admin.delete_topics(&names))
        });
        if !matches!(deleter.join(), Ok(Ok(()))) {
            tracing::warn!(
                prefix = self.prefix,
                "the test's topics could not be deleted"
            );
        }
    }
}
