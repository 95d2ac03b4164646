//! The parts of the local stack that start nothing: ports, backoff, files, folders, identities, rights.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's helper fails the test"
)]

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use brewline_cli::stack::Folder;
use brewline_cli::stack::acl::{Operation, Resource, allows, grants};
use brewline_cli::stack::backoff::{PAUSE_MAX, PAUSE_MIN, RestartBackoff};
use brewline_cli::stack::endpoints::{Endpoints, InstanceEndpoints, ServiceEndpoints};
use brewline_cli::stack::kafka::TopicShape;
use brewline_cli::stack::options::{Extent, ServiceVariable, StackOptions};
use brewline_cli::stack::ports::Ports;
use brewline_cli::stack::prepare;
use brewline_cli::stack::process::{ProcessIdentity, parse_signal};
use brewline_cli::stack::supervisor::Target;
use brewline_cli::stack::topics::{EVENT_TOPICS, topics_to_make};

// --- ports

#[test]
fn well_known_ports_follow_the_base() {
    let ports = Ports::from_base(8080).unwrap();
    assert_eq!(ports.gateway(), 8080);
    assert_eq!(ports.sandbox(), 8081);
    assert_eq!(ports.postgres(), 8082);
    assert_eq!(ports.kafka(), 8083);
    assert_eq!(ports.main("order", 1).unwrap(), 8090);
    assert_eq!(ports.admin("order", 1).unwrap(), 8091);
    assert_eq!(ports.main("order", 2).unwrap(), 8092);
    assert_eq!(ports.main("payment", 1).unwrap(), 8110);
}

#[test]
fn a_taken_port_moves_the_whole_stack() {
    let first = Ports::first_free(41_000).unwrap();
    let taken = std::net::TcpListener::bind(("127.0.0.1", first + 17)).unwrap();
    assert!(Ports::first_free(first).unwrap() > first + 17);
    drop(taken);
}

#[test]
fn no_two_instances_share_a_port() {
    let ports = Ports::from_base(20_000).unwrap();
    let mut seen = vec![
        ports.gateway(),
        ports.sandbox(),
        ports.postgres(),
        ports.kafka(),
    ];
    seen.push(ports.controller());
    for service in ["order", "payment", "inventory", "gateway", "sandbox"] {
        for instance in 1..=10 {
            seen.push(ports.main(service, instance).unwrap());
            seen.push(ports.admin(service, instance).unwrap());
        }
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn instances_beyond_the_limit_have_no_ports() {
    let ports = Ports::from_base(8080).unwrap();
    assert!(ports.main("order", 0).is_err());
    assert!(ports.main("order", 11).is_err());
    assert!(ports.main("espresso", 1).is_err());
}

#[test]
fn a_base_without_room_behind_it_is_refused() {
    assert!(Ports::from_base(65_500).is_err());
    assert!(Ports::from_base(80).is_err());
}

#[test]
fn a_taken_port_is_named() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let error = Ports::check_free(&[("gateway", port)])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&port.to_string()) && error.contains("gateway"),
        "{error}"
    );
}

// --- restart backoff

#[test]
fn pauses_double_up_to_the_longest() {
    let mut backoff = RestartBackoff::default();
    let pauses: Vec<Duration> = (0..8).map(|_| backoff.after(Duration::ZERO)).collect();
    assert_eq!(pauses[0], PAUSE_MIN);
    assert_eq!(pauses[1], PAUSE_MIN * 2);
    assert_eq!(pauses[7], PAUSE_MAX);
}

#[test]
fn the_longest_pause_can_be_shortened() {
    let longest = Duration::from_millis(300);
    let mut backoff = RestartBackoff::up_to(longest);
    let pauses: Vec<Duration> = (0..4).map(|_| backoff.after(Duration::ZERO)).collect();
    assert_eq!(pauses, [PAUSE_MIN, PAUSE_MIN * 2, longest, longest]);
    assert_eq!(
        RestartBackoff::up_to(Duration::ZERO).after(Duration::ZERO),
        Duration::ZERO
    );
}

#[test]
fn a_long_life_starts_the_pauses_over() {
    let mut backoff = RestartBackoff::default();
    for _ in 0..8 {
        backoff.after(Duration::ZERO);
    }
    assert_eq!(backoff.after(Duration::from_secs(10)), PAUSE_MIN);
}

// --- files and words

#[test]
fn endpoints_have_the_shape_that_scripts_know() {
    let order = InstanceEndpoints {
        instance: 1,
        grpc: Some("http://127.0.0.1:8090".to_owned()),
        admin: Some("http://127.0.0.1:8091".to_owned()),
        pid: 7,
        ..InstanceEndpoints::default()
    };
    let mut endpoints = Endpoints {
        gateway: Some("http://127.0.0.1:8080".to_owned()),
        ..Endpoints::default()
    };
    endpoints
        .services
        .insert("order".to_owned(), ServiceEndpoints::of(vec![order]));
    let json = serde_json::to_value(&endpoints).unwrap();
    assert_eq!(json["gateway"], "http://127.0.0.1:8080");
    assert_eq!(json["services"]["order"]["grpc"], "http://127.0.0.1:8090");
    assert_eq!(json["services"]["order"]["pid"], 7);
    assert_eq!(
        json["services"]["order"]["instances"][0]["admin"],
        "http://127.0.0.1:8091"
    );
    let again: Endpoints = serde_json::from_value(json).unwrap();
    assert_eq!(again, endpoints);
}

#[test]
fn a_target_is_a_service_or_one_instance_of_it() {
    let target: Target = "order/2".parse().unwrap();
    assert_eq!((target.unit.as_str(), target.instance), ("order", Some(2)));
    let target: Target = "order".parse().unwrap();
    assert_eq!(target.instance, None);
    assert!("order/x".parse::<Target>().is_err());
}

#[test]
fn a_variable_names_its_service() {
    let variable: ServiceVariable = "order:BREWLINE_LOG=debug,h2=off".parse().unwrap();
    assert_eq!(variable.value, "debug,h2=off");
    assert!(variable.is_for("order") && !variable.is_for("payment"));
    let everywhere: ServiceVariable = "*:A=".parse().unwrap();
    assert!(everywhere.is_for("payment"));
    assert!("BREWLINE_LOG=debug".parse::<ServiceVariable>().is_err());
    assert!("coffee:A=b".parse::<ServiceVariable>().is_err());
}

#[test]
fn signals_are_known_by_name_and_number() {
    assert_eq!(
        parse_signal("SIGTERM").unwrap(),
        parse_signal("15").unwrap()
    );
    assert_eq!(parse_signal("kill").unwrap(), parse_signal("9").unwrap());
    assert!(parse_signal("COFFEE").is_err());
}

// --- data folders

/// A path under which nothing lies yet; what the test puts there is removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("brewline-{name}-{}", std::process::id()));
        std::fs::remove_dir_all(&path).ok();
        Self(path)
    }

    fn mode(&self) -> u32 {
        std::fs::metadata(&self.0).unwrap().permissions().mode() & 0o777
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

#[tokio::test]
async fn a_folder_with_a_strangers_files_is_refused_untouched() {
    let scratch = Scratch::new("stranger");
    std::fs::create_dir(&scratch.0).unwrap();
    std::fs::set_permissions(&scratch.0, Permissions::from_mode(0o700)).unwrap();
    std::fs::write(scratch.0.join("thesis.txt"), "x").unwrap();
    let folder = Folder::at(&scratch.0).unwrap();
    let options = StackOptions {
        extent: Extent::Programs(BTreeMap::new()),
        ..StackOptions::default()
    };
    let claimed = prepare::claim(&folder, &options).await;
    let error = claimed.unwrap_err().to_string();
    assert!(error.contains("thesis.txt"), "{error}");
    assert_eq!(scratch.mode(), 0o700);
    assert!(!folder.is_ours());
    assert!(folder.purge().is_err());
    assert!(scratch.0.join("thesis.txt").exists());
}

#[tokio::test]
async fn an_up_that_finds_its_port_taken_makes_no_folder() {
    let scratch = Scratch::new("taken");
    let base = Ports::first_free(42_000).unwrap();
    let taken = std::net::TcpListener::bind(("127.0.0.1", base + 3)).unwrap();
    let options = StackOptions {
        port_base: base,
        extent: Extent::Servers,
        ..StackOptions::default()
    };
    let folder = Folder::at(&scratch.0).unwrap();
    let claimed = prepare::claim(&folder, &options).await;
    let error = claimed.unwrap_err().to_string();
    assert!(error.contains("in use"), "{error}");
    assert!(!scratch.0.exists());
    drop(taken);
}

#[test]
fn an_empty_folder_is_taken_as_it_is_and_a_used_one_again() {
    let scratch = Scratch::new("empty");
    std::fs::create_dir(&scratch.0).unwrap();
    std::fs::set_permissions(&scratch.0, Permissions::from_mode(0o711)).unwrap();
    let folder = Folder::at(&scratch.0).unwrap();
    folder.create().unwrap();
    assert_eq!(scratch.mode(), 0o711);
    folder.create().unwrap();
    folder.purge().unwrap();
    assert!(!scratch.0.exists());
}

#[test]
fn a_folder_that_holds_only_the_data_of_tests_can_be_used() {
    let scratch = Scratch::new("inner");
    let inner = Folder::at(&scratch.0.join("test")).unwrap();
    inner.create().unwrap();
    let folder = Folder::at(&scratch.0).unwrap();
    folder.create().unwrap();
    assert_eq!(folder.inner().len(), 1);
}

// --- identities

#[test]
fn a_remembered_process_is_not_another_one_with_its_number() {
    let own = ProcessIdentity::of(std::process::id()).unwrap();
    assert!(own.is_alive());
    let earlier = ProcessIdentity {
        start_ticks: own.start_ticks - 1,
        ..own.clone()
    };
    assert!(!earlier.is_alive());
    let other_boot = ProcessIdentity {
        boot_id: "another".to_owned(),
        ..own
    };
    assert!(!other_boot.is_alive());
}

// --- rights in Kafka

#[test]
fn only_the_owner_writes_a_topic() {
    let table = grants(true);
    for topic in EVENT_TOPICS {
        let resource = Resource::Topic(topic.name.to_owned());
        for user in ["order", "payment", "inventory", "operator", "test"] {
            let may = allows(&table, user, Operation::Write, &resource);
            assert_eq!(may, user == topic.owner, "{user} writes {}", topic.name);
        }
    }
}

#[test]
fn only_consumers_write_dead_letters() {
    let table = grants(true);
    for topic in EVENT_TOPICS {
        let resource = Resource::Topic(topic.dead_letter());
        for user in ["order", "payment", "inventory", "operator", "test"] {
            let may = allows(&table, user, Operation::Write, &resource);
            assert_eq!(
                may,
                topic.consumers.contains(&user),
                "{user} {}",
                topic.name
            );
        }
    }
}

#[test]
fn pairs_are_allowed_or_forbidden_as_the_table_says() {
    let table = grants(true);
    let topic = |name: &str| Resource::Topic(name.to_owned());
    let group = |name: &str| Resource::Group(name.to_owned());
    let (orders, stock) = ("brewline.order.events.v1", "brewline.inventory.events.v1");
    let payments = "brewline.payment.events.v1";
    let cases = [
        ("order", Operation::Read, topic(stock), true),
        ("order", Operation::Read, topic(orders), true),
        ("order", Operation::Read, topic(payments), false),
        ("payment", Operation::Read, topic(orders), false),
        ("inventory", Operation::Read, topic(orders), true),
        ("inventory", Operation::Describe, topic(orders), true),
        (
            "order",
            Operation::Read,
            group("brewline.order.stock"),
            true,
        ),
        (
            "order",
            Operation::Read,
            group("brewline.inventory.orders"),
            false,
        ),
        (
            "inventory",
            Operation::Read,
            group("brewline.inventory.orders"),
            true,
        ),
        ("operator", Operation::Read, topic(payments), true),
        ("operator", Operation::Write, topic(payments), false),
        (
            "operator",
            Operation::Describe,
            group("brewline.order.stock"),
            true,
        ),
        (
            "operator",
            Operation::Read,
            group("brewline.order.stock"),
            false,
        ),
        ("test", Operation::Write, topic("test.a.orders"), true),
        ("test", Operation::Read, topic(orders), false),
        ("test", Operation::Read, group("test.g"), true),
        ("gateway", Operation::Describe, topic(orders), false),
        ("sandbox", Operation::Describe, topic(orders), false),
    ];
    for (user, operation, resource, expected) in cases {
        let may = allows(&table, user, operation, &resource);
        assert_eq!(may, expected, "{user} {operation:?} {resource:?}");
    }
}

#[test]
fn the_user_for_tests_exists_only_in_tests() {
    assert!(grants(false).iter().all(|grant| grant.user != "test"));
}

#[test]
fn events_are_kept_for_ever_or_compacted_and_dead_letters_two_weeks() {
    assert_eq!(TopicShape::default().partitions, 4);
    for topic in topics_to_make() {
        let value = |key: &str| {
            topic
                .config
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, v)| *v)
        };
        if topic.name.ends_with(".dead-letter") {
            assert_eq!(value("retention.ms"), Some("1209600000"));
        } else if value("cleanup.policy") == Some("compact") {
            assert!(value("max.compaction.lag.ms").is_some(), "{}", topic.name);
        } else {
            assert_eq!(value("retention.ms"), Some("-1"), "{}", topic.name);
        }
    }
}
