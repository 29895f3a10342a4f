//! The alert rules and the dashboard that come with limiter.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tests::{
    Limiter, World, port,
    prometheus::{Prometheus, promtool},
    settle,
};

use super::metrics;
use crate::{CLIENT, SERVER};

/// With everything that there are metrics of.
const CONFIG: &str = "
metrics 9145; metrics_top 3; metrics_run_time on;
limit_conn_zone $binary_remote_addr zone=addr:1m;
server { server_name web; listen 8080; limit_conn addr 2; limit_conn_dry_run on; }
";

fn packaging(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging")
        .join(path)
}

fn read(path: &str) -> String {
    let path = packaging(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()))
}

fn dashboard() -> Value {
    serde_json::from_str(&read("grafana/limiter.json")).expect("the dashboard is JSON")
}

/// What panels and annotations ask, for every instance and zone.
fn expressions() -> Vec<String> {
    let dashboard = dashboard();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let panels = list(&dashboard["panels"]);
    let targets = panels.iter().flat_map(|panel| list(&panel["targets"]));
    let expressions = targets.chain(list(&dashboard["annotations"]["list"]));
    let expressions = expressions.map(|it| it["expr"].as_str().expect("a query").to_owned());
    expressions
        .map(|it| {
            it.replace("$__rate_interval", "1m")
                .replace("$job", ".*")
                .replace("$instance", ".*")
                .replace("$zone", ".*")
        })
        .collect()
}

/// Words that look like metrics.
fn named_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c));
    words
        .filter(|word| word.starts_with("limiter_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn promtool_takes_the_rules_and_they_fire_when_they_should() {
    let path = |name: &str| packaging(name).display().to_string();
    let checked = promtool(
        &["check", "rules", &path("prometheus/limiter.rules.yml")],
        None,
    );
    assert!(checked.contains("SUCCESS: 13 rules found"), "{checked}");
    promtool(
        &["test", "rules", &path("prometheus/limiter.rules.test.yml")],
        None,
    );
}

#[test]
fn every_metric_that_rules_and_dashboard_name_is_told() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let upstream = "upstream backend { server 127.0.0.1:9 max_conns=8; queue 5; }";
    let _limiter = Limiter::start_config(&world, &format!("{CONFIG}{upstream}"));
    let _open = world.open_many(CLIENT, server.address(), 3);
    let told = port::get(&world.netns, metrics(), "/metrics").body;
    let told: BTreeSet<_> = told
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .map(str::to_owned)
        .collect();
    let dashboard = expressions().join("\n") + &dashboard()["templating"].to_string();
    for text in [read("prometheus/limiter.rules.yml"), dashboard] {
        let named = named_in(&text);
        assert!(named.len() >= 8, "{named:?}");
        let unknown: Vec<_> = named.difference(&told).collect();
        assert!(unknown.is_empty(), "{unknown:?} are not in {told:?}");
    }
    let readme = fs::read_to_string(packaging("../README.md")).expect("README");
    let unknown: Vec<_> = named_in(&readme)
        .into_iter()
        .filter(|name| !name.contains("_VERSION") && !name.ends_with('_'))
        .filter(|name| !told.contains(name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?} in README");
}

#[test]
fn a_real_prometheus_understands_every_question() {
    let world = World::new();
    let server = world.serve(&[SERVER]);
    let _limiter = Limiter::start_config(&world, CONFIG);
    let rules = packaging("prometheus/limiter.rules.yml");
    let prometheus = Prometheus::start(&world, metrics(), Some(&rules));
    let _open = world.open_many(CLIENT, server.address(), 3);

    let rules = || {
        let answer = prometheus.get(&world, "/api/v1/rules");
        answer["data"]["groups"][0]["rules"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    settle("every rule is evaluated", true, || {
        let rules = rules();
        rules.len() == 13 && rules.iter().all(|rule| rule["health"] == "ok")
    });
    settle(
        "the one about dry run waits",
        Some("pending".to_owned()),
        || {
            let rules = rules();
            let mut rules = rules.iter();
            let rule = rules.find(|rule| rule["name"] == "LimiterDryRunForgotten")?;
            rule["state"].as_str().map(str::to_owned)
        },
    );
    let asked = expressions();
    assert!(asked.len() > 30, "{}", asked.len());
    for expression in asked {
        // Rates need two samples; those of what has not happened are 0, not nothing.
        let quiet = ["changes(", "bool 0"];
        let may_be_empty = quiet.iter().any(|it| expression.contains(it));
        settle(&expression, true, || {
            may_be_empty || !prometheus.query(&world, &expression).is_empty()
        });
        prometheus.query(&world, &expression);
    }
}
