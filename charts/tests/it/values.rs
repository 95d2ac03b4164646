//! The values: a closed schema, errors that say what is wrong, a README that is current.

use brewline_charts::{chart, readme};
use serde_json::Value;

use crate::helm;

/// What helm says to values that are wrong.
fn refused(sets: &[&str]) -> String {
    let made = helm().template(None, sets);
    match made {
        Ok(_) => panic!("{sets:?} was taken"),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn a_key_that_does_not_exist_is_refused_at_every_depth() {
    for set in [
        "servces.order.replicas=2",
        "services.order.replica=2",
        "services.order.image.tagg=1",
        "services.orders.replicas=2",
        "postgres.bundled.storage.sise=1Gi",
        "networkPolicy.dns.namespaces=x",
        // Boards are not scaled by lag, and the gateway has none.
        "services.leaderboard.autoscaling.secondsBehind=5",
        "services.gateway.autoscaling.secondsBehind=5",
    ] {
        let said = refused(&[set]);
        assert!(said.contains("not allowed"), "{set}: {said}");
    }
}

#[test]
fn a_value_that_makes_no_sense_is_refused_with_its_place() {
    for (set, place) in [
        ("kafka.mode=redpanda", "/kafka/mode"),
        ("kafka.bundled.replicas=2", "/kafka/bundled/replicas"),
        ("services.order.replicas=many", "/services/order/replicas"),
        ("services.order.env.FOO=1", "invalid propertyName 'FOO'"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        (
            "postgres.bundled.storage.size=big",
            "/postgres/bundled/storage/size",
        ),
        ("image.repository=docker.io/brewline:1", "/image/repository"),
    ] {
        let said = refused(&[set]);
        assert!(said.contains(place), "{set}: {said}");
    }
}

#[test]
fn what_is_needed_together_is_asked_for() {
    for (sets, wanted) in [
        (
            &["postgres.mode=external"][..],
            "postgres.external.host is needed",
        ),
        (&["kafka.mode=external"], "kafka.external.brokers is needed"),
        (&["sandbox.enabled=false"], "is needed without the sandbox"),
        (
            &["outside.processor.url=https://cards.example"],
            "outside.processor.cidrs is needed",
        ),
        (
            &["httpRoute.enabled=true"],
            "httpRoute.parent.name is needed",
        ),
        (
            &[
                "autoscaling.mode=keda",
                "services.order.autoscaling.enabled=true",
            ],
            "autoscaling.prometheusUrl is needed",
        ),
    ] {
        let said = refused(sets);
        assert!(said.contains(wanted), "{sets:?}: {said}");
    }
}

#[test]
fn every_object_of_the_schema_is_closed() {
    let text = std::fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let mut open = Vec::new();
    walk(&schema, "", &mut open);
    assert!(open.is_empty(), "{}", open.join("\n"));
}

/// Collects objects with named properties that take others too.
fn walk(schema: &Value, path: &str, open: &mut Vec<String>) {
    let Value::Object(fields) = schema else {
        return;
    };
    if schema["properties"].is_object() && schema["additionalProperties"] != false {
        open.push(format!("{path} takes any key"));
    }
    for (key, value) in fields {
        walk(value, &format!("{path}/{key}"), open);
    }
}

#[test]
fn the_readme_is_made_from_the_values() {
    let values = std::fs::read_to_string(chart().join("values.yaml")).unwrap();
    let (made, file) = (readme(&values), chart().join("README.md"));
    if std::env::var_os("BREWLINE_REGENERATE").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let current = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        current == made,
        "charts/brewline/README.md is not current: BREWLINE_REGENERATE=1 cargo test -p brewline-charts"
    );
    for row in [
        "services.order.autoscaling.secondsBehind",
        "secrets.generation",
    ] {
        assert!(made.contains(&format!("| `{row}` |")), "{row} is missing");
    }
}
