//! Prometheus, and promtool, from Debian's packages: nobody here wrote what reads the metrics.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;

use crate::{
    port,
    process::Process,
    settle::{PATIENCE, poll},
    world::World,
};

/// Where it answers, in the namespace of the test.
const ADDRESS: &str = "127.0.0.1:9090";

/// A running server that scrapes one target as often as it can.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts one in the namespace of the world, with the rules of a file, if there is one.
    ///
    /// # Panics
    /// If it cannot be had, or does not answer.
    pub fn start(world: &World, target: SocketAddr, rules: Option<&Path>) -> Self {
        let directory = world.path("prometheus");
        fs::create_dir(&directory).expect("make a directory for prometheus");
        let configuration = directory.join("prometheus.yml");
        let rules = rules.map_or_else(String::new, |path| format!("{path:?}"));
        let text = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 1s}}\n\
             rule_files: [{rules}]\n\
             scrape_configs: [{{job_name: limiter, static_configs: [{{targets: [\"{target}\"]}}]}}]\n"
        );
        fs::write(&configuration, text).expect("write prometheus.yml");
        let mut command = Command::new(program("prometheus"));
        command
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.join("data").display()
            ))
            .arg(format!("--web.listen-address={ADDRESS}"))
            // Its pages are in packages that are not needed here.
            .arg(format!("--web.console.templates={}", directory.display()))
            .arg(format!("--web.console.libraries={}", directory.display()));
        let process = Process::start(command, Some(&world.netns), None);
        let mut this = Self {
            process,
            address: ADDRESS.parse().expect("an address"),
        };
        let is_ready = poll(PATIENCE, || {
            assert!(
                this.process.ended().is_none(),
                "{}",
                this.process.stderr().text()
            );
            port::request(&world.netns, this.address, "GET", "/-/ready")
                .is_ok_and(|answer| answer.status == 200)
        });
        assert!(is_ready, "{}", this.process.stderr().text());
        this
    }

    /// The instant vector that an expression comes to: labels and values.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn query(&self, world: &World, expression: &str) -> Vec<(Value, f64)> {
        let escaped: String = expression
            .bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect();
        let target = format!("/api/v1/query?query={escaped}");
        let answer = port::get(&world.netns, self.address, &target).json();
        let result = answer["data"]["result"].as_array();
        let result = result.unwrap_or_else(|| panic!("{expression}: {answer}"));
        let samples = result.iter().map(|one| {
            let value = one["value"][1].as_str().and_then(|it| it.parse().ok());
            let value = value.unwrap_or_else(|| panic!("{expression}: {one}"));
            (one["metric"].clone(), value)
        });
        samples.collect()
    }

    /// The only value of an expression, if there is one.
    #[track_caller]
    pub fn value(&self, world: &World, expression: &str) -> Option<f64> {
        match self.query(world, expression).as_slice() {
            [] => None,
            [(_, value)] => Some(*value),
            several => panic!("{expression}: {several:?}"),
        }
    }

    /// Anything that it answers with JSON.
    #[track_caller]
    pub fn get(&self, world: &World, target: &str) -> Value {
        port::get(&world.netns, self.address, target).json()
    }
}

/// Runs promtool, with a file as its standard input if there is one. What it says, if it does not fail.
///
/// # Panics
/// If it cannot be had, or fails.
#[track_caller]
pub fn promtool(arguments: &[&str], input: Option<&Path>) -> String {
    let input = input.map(|path| File::open(path).expect("open what promtool reads"));
    let output = Command::new(program("promtool"))
        .args(arguments)
        .stdin(input.map_or_else(Stdio::null, Stdio::from))
        .output()
        .expect("run promtool");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}

/// The samples of a text in Prometheus' format, by name and labels, labels in the order of their names.
/// No value of a label may have a quotation mark or a comma.
///
/// # Panics
/// If a line is none.
#[track_caller]
pub fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let samples = lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').expect("a series and its value");
        let value = value.parse().unwrap_or_else(|e| panic!("{e}: {line}"));
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels
            .trim_end_matches('}')
            .split(',')
            .filter(|it| !it.is_empty());
        (canonical(name, labels.map(str::to_owned).collect()), value)
    });
    samples.collect()
}

/// The series of a sample of the HTTP API, as [`samples`] writes it. Labels of the scrape are left out.
///
/// # Panics
/// If it has no name.
#[track_caller]
pub fn series(metric: &Value) -> String {
    let metric = metric.as_object().expect("labels");
    let labels = metric
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "__name__" | "job" | "instance"));
    let labels = labels.map(|(name, value)| format!("{name}={value}"));
    canonical(
        metric["__name__"].as_str().expect("a name"),
        labels.collect(),
    )
}

fn canonical(name: &str, mut labels: Vec<String>) -> String {
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

/// Where it is: in the system, else in Debian's package, unpacked beside the test's own binary and not
/// installed.
fn program(name: &str) -> PathBuf {
    let installed = Path::new("/usr/bin").join(name);
    if installed.exists() {
        return installed;
    }
    let test = std::env::current_exe().expect("path of the test");
    let directory = test.parent().expect("a directory");
    let directory = directory.join("prometheus-from-debian");
    fs::create_dir_all(&directory).expect("make a directory for the package");
    let lock = File::create(directory.join("lock")).expect("make a lock file");
    let _lock = Flock::lock(lock, FlockArg::LockExclusive)
        .map_err(|(_, e)| e)
        .expect("lock the directory of the package");
    let path = directory.join("usr/bin").join(name);
    if path.exists() {
        return path;
    }
    eprintln!(
        "prometheus is not installed: downloading Debian's package into {}",
        directory.display()
    );
    // Both programs are linked with the C library alone.
    let script = "apt-get download prometheus || { apt-get update && apt-get download prometheus; }
        for package in prometheus_*.deb; do dpkg-deb -x \"$package\" new; done
        rm -f prometheus_*.deb; mv new/usr usr";
    let done = Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(&directory)
        .status()
        .expect("run apt-get");
    assert!(
        done.success() && path.exists(),
        "the test needs prometheus: install it, or let apt-get download it"
    );
    path
}
