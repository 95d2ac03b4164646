//! `test`: servers up, every check and every test, servers down; what CI runs.

mod runners;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout};

use crate::stack::options::Terms;
use crate::stack::ports::{Ports, TESTS_BASE};
use crate::stack::{Folder, Stack};
use crate::terminal;

use runners::Ended;

/// No step takes this long, compiling from nothing included.
const STEP_WITHIN: Duration = Duration::from_secs(45 * 60);

/// The platform of the kill tests is looked for so far behind the servers of the other tests.
const KILL_PORTS_AFTER: u16 = 4_000;

/// The feature that brings crash points and planted bugs.
const FAULTS: &str = "fault-injection";

/// Arguments of `test`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A package (order, kernel, cli …): only its tests; anything else: only tests whose names hold
    /// it. The other checks are left out
    pattern: Option<String>,
    /// The long cross products too
    #[arg(long)]
    all: bool,
    /// The servers' first port; unless told, the first free ones from 28080 on
    #[arg(long, value_name = "N")]
    port_base: Option<u16>,
    /// The repository
    #[arg(long, hide = true, env = "BREWLINE_ROOT", default_value = ".")]
    root: PathBuf,
    /// The plain binaries
    #[arg(
        long,
        hide = true,
        env = "BREWLINE_PLAIN_BIN_DIR",
        default_value = "target/brewline/bin"
    )]
    plain_bin_dir: PathBuf,
    /// The binaries with crash points
    #[arg(
        long,
        hide = true,
        env = "BREWLINE_FAULT_BIN_DIR",
        default_value = "target/brewline/bin-fault"
    )]
    fault_bin_dir: PathBuf,
}

/// One part of the suite.
struct Step {
    title: &'static str,
    arguments: Vec<String>,
    /// The tests of this selection are run before the command itself.
    selection: Option<String>,
}

/// What a step came to.
struct Outcome {
    title: &'static str,
    passed: bool,
    seconds: u64,
    closing: Vec<String>,
    tests: u32,
}

/// The workspace's packages, as far as they matter here.
#[derive(Debug, Deserialize)]
struct Workspace {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    features: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

// === impl Step ===

impl Step {
    fn cargo(title: &'static str, line: &str) -> Self {
        Self {
            title,
            arguments: line.split_whitespace().map(str::to_owned).collect(),
            selection: None,
        }
    }

    /// The tests of a selection of packages, those in the documentation last.
    fn tests(selection: &str) -> Self {
        let documentation = format!("test {selection} --doc --no-fail-fast");
        Self {
            selection: Some(selection.to_owned()),
            ..Self::cargo("tests", &documentation)
        }
    }

    fn with(mut self, argument: Option<&String>) -> Self {
        self.arguments.extend(argument.cloned());
        self
    }
}

// === impl Outcome ===

impl Outcome {
    /// What a step without anything to run came to.
    fn nothing(title: &'static str) -> Self {
        Self {
            title,
            passed: true,
            seconds: 0,
            closing: vec![],
            tests: 0,
        }
    }

    /// Takes in what ran before the command itself.
    fn precede(&mut self, ended: Vec<Ended>) {
        self.passed &= ended.iter().all(|ended| ended.passed);
        let mut closing: Vec<String> = ended.into_iter().flat_map(|e| e.closing).collect();
        closing.append(&mut self.closing);
        self.tests = closing.iter().map(|line| tests_run(line)).sum();
        self.closing = closing;
    }
}

// === impl Workspace ===

impl Workspace {
    /// Whether a selection has documentation to be tested: cargo refuses to look for it in programs.
    fn documents(&self, selection: &str) -> bool {
        let words: Vec<&str> = selection.split_whitespace().collect();
        let chosen = |package: &&Package| words.contains(&package.name.as_str());
        let has_library = |package: &Package| {
            let mut targets = package.targets.iter();
            targets.any(|target| target.kind.iter().any(|kind| kind == "lib"))
        };
        words.contains(&"--workspace") || self.packages.iter().filter(chosen).any(has_library)
    }

    fn names_by_manifest(&self) -> BTreeMap<PathBuf, String> {
        let packages = self.packages.iter();
        packages
            .map(|package| (package.manifest_path.clone(), package.name.clone()))
            .collect()
    }

    async fn read(root: &Path) -> anyhow::Result<Self> {
        let output = Command::new("cargo")
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(root)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .await
            .context("run cargo metadata")?;
        serde_json::from_slice(&output.stdout).context("understand cargo metadata")
    }

    /// What cargo is told to test only the package of this name, and a service's rules with it; none
    /// when there is no such package.
    fn selection(&self, name: &str) -> Option<String> {
        let name = format!(
            "brewline-{}",
            name.strip_prefix("brewline-").unwrap_or(name)
        );
        let mine = [name.clone(), format!("{name}-domain")];
        let packages = || self.packages.iter().filter(|p| mine.contains(&p.name));
        if !packages().any(|package| package.name == name) {
            return None;
        }
        let mut words: Vec<String> = packages().map(|p| format!("-p {}", p.name)).collect();
        // Named with its package: cargo refuses a feature that one of them does not have.
        let with_faults = packages().filter(|p| p.features.contains_key(FAULTS));
        words.extend(with_faults.map(|p| format!("--features {}/{FAULTS}", p.name)));
        Some(words.join(" "))
    }
}

/// Runs the suite.
///
/// # Errors
/// When the servers do not start or a command cannot be run.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let folder = Folder::at(&stack.folder().root().join("test"))?;
    let mut terminated = signal(SignalKind::terminate()).context("watch SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("watch SIGINT")?;
    let outcomes = tokio::select! {
        outcomes = suite(&arguments, &folder) => outcomes,
        _ = terminated.recv() => Err(anyhow::anyhow!("stopped")),
        _ = interrupted.recv() => Err(anyhow::anyhow!("stopped")),
    };
    // However the suite ended, nothing stays behind.
    let stopped = super::down::stop(&folder).await;
    let outcomes = outcomes?;
    stopped.context("stop the servers of the tests")?;
    Ok(summary(&outcomes, arguments.pattern.as_deref()))
}

async fn suite(arguments: &Arguments, folder: &Folder) -> anyhow::Result<Vec<Outcome>> {
    terminal::note("starting PostgreSQL and Kafka for the tests");
    let base = match arguments.port_base {
        Some(base) => base,
        None => Ports::first_free(TESTS_BASE)?,
    };
    let mut environment = super::servers::up(folder, base, Terms::of_this_process()).await?;
    let kill_base = Ports::first_free(base.saturating_add(KILL_PORTS_AFTER))?;
    environment.push(("BREWLINE_KILL_PORT_BASE", kill_base.to_string()));
    let path = |path: &PathBuf| std::path::absolute(path).map(|path| path.display().to_string());
    environment.push(("BREWLINE_BIN_DIR", path(&arguments.fault_bin_dir)?));
    environment.push(("BREWLINE_PLAIN_BIN_DIR", path(&arguments.plain_bin_dir)?));
    let mut outcomes = vec![];
    let workspace = Workspace::read(&arguments.root).await?;
    for step in steps(arguments, &workspace) {
        let began = Instant::now();
        let ended = match &step.selection {
            Some(selection) => run_tests(selection, arguments, &workspace, &environment).await?,
            None => vec![],
        };
        let mut outcome = if step
            .selection
            .as_deref()
            .is_none_or(|s| workspace.documents(s))
        {
            execute(step, arguments, &environment).await?
        } else {
            Outcome::nothing(step.title)
        };
        outcome.precede(ended);
        outcome.seconds = began.elapsed().as_secs();
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn steps(arguments: &Arguments, workspace: &Workspace) -> Vec<Step> {
    let pattern = arguments.pattern.as_ref();
    let package = pattern.and_then(|name| workspace.selection(name));
    let by_name = pattern.filter(|_| package.is_none());
    let mut steps = vec![];
    if pattern.is_none() {
        steps.push(Step::cargo("format", "fmt --all --check"));
        steps.push(Step::cargo(
            "lints",
            "clippy --workspace --all-targets --features fault-injection --quiet -- -D warnings",
        ));
        steps.push(Step::cargo(
            "documentation",
            "doc --workspace --no-deps --document-private-items --quiet",
        ));
    }
    let everything = || format!("--workspace --features {FAULTS}");
    steps.push(Step::tests(&package.unwrap_or_else(everything)).with(by_name));
    steps
}

/// Builds the tests of some packages and runs them, several programs at a time.
async fn run_tests(
    selection: &str,
    arguments: &Arguments,
    workspace: &Workspace,
    environment: &[(&'static str, String)],
) -> anyhow::Result<Vec<Ended>> {
    terminal::say(format!("── building the tests ── cargo test {selection}"));
    let mut cargo = Command::new("cargo");
    cargo
        .arg("test")
        .args(selection.split_whitespace())
        .args(["--no-run", "--message-format=json-render-diagnostics"])
        .current_dir(&arguments.root)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    let Ok(built) = timeout(STEP_WITHIN, cargo.output()).await else {
        let minutes = STEP_WITHIN.as_secs() / 60;
        bail!("building the tests took longer than {minutes} minutes");
    };
    let built = built.context("run cargo")?;
    if !built.status.success() {
        return Ok(vec![Ended::unbuilt()]);
    }
    let messages = String::from_utf8(built.stdout).context("understand cargo's messages")?;
    let runners = runners::of_messages(&messages, &workspace.names_by_manifest())?;
    let package = arguments.pattern.as_ref();
    let package = package.filter(|name| workspace.selection(name).is_none());
    let terms = runners::Terms {
        environment: environment.to_vec(),
        filter: package.cloned(),
        is_long: arguments.all,
    };
    runners::run_all(runners, &terms, |line| terminal::say(line)).await
}

/// Runs a step's command, shows its output as it comes and keeps its runners' closing lines.
async fn execute(
    step: Step,
    arguments: &Arguments,
    environment: &[(&'static str, String)],
) -> anyhow::Result<Outcome> {
    terminal::say(format!(
        "── {} ── cargo {}",
        step.title,
        step.arguments.join(" ")
    ));
    let began = Instant::now();
    // One pipe for both streams, so that a runner's name stands before its result.
    let mut child = Command::new("sh")
        .args(["-c", "exec cargo \"$@\" 2>&1", "sh"])
        .args(&step.arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("RUSTDOCFLAGS", "-D warnings")
        .current_dir(&arguments.root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("run cargo")?;
    let output = child.stdout.take().context("read cargo's output")?;
    let watched = async {
        let closing = watch(output).await?;
        let status = child.wait().await.context("wait for cargo")?;
        anyhow::Ok((closing, status.success()))
    };
    let Ok(watched) = timeout(STEP_WITHIN, watched).await else {
        bail!(
            "{} took longer than {} minutes",
            step.title,
            STEP_WITHIN.as_secs() / 60
        );
    };
    let (closing, passed) = watched?;
    Ok(Outcome {
        title: step.title,
        passed,
        seconds: began.elapsed().as_secs(),
        tests: closing.iter().map(|line| tests_run(line)).sum(),
        closing,
    })
}

async fn watch(output: tokio::process::ChildStdout) -> anyhow::Result<Vec<String>> {
    let mut lines = BufReader::new(output).lines();
    let mut runner = String::new();
    let mut closing = vec![];
    while let Some(line) = lines.next_line().await.context("read cargo's output")? {
        terminal::say(&line);
        let text = line.trim_start();
        if let Some(name) = text
            .strip_prefix("Running ")
            .or(text.strip_prefix("Doc-tests "))
        {
            // "unittests src/lib.rs (target/debug/deps/brewline_order-0123456789abcdef)"
            let file = name.rsplit(['/', ' ']).next().unwrap_or(name);
            file.trim_end_matches(')').clone_into(&mut runner);
        } else if text.starts_with("test result:") && !text.contains(" 0 passed; 0 failed") {
            closing.push(format!("{runner}: {text}"));
        }
    }
    Ok(closing)
}

/// How many tests a runner's closing line speaks of: `…: test result: ok. 3 passed; 1 failed; …`.
fn tests_run(closing: &str) -> u32 {
    let Some((_, counts)) = closing.rsplit_once("test result:") else {
        return 0;
    };
    let counted = counts.split([';', '.']).map(str::trim);
    let ran = counted.filter_map(|part| {
        let count = part.strip_suffix(" passed");
        count.or(part.strip_suffix(" failed"))?.parse::<u32>().ok()
    });
    ran.sum()
}

fn summary(outcomes: &[Outcome], pattern: Option<&str>) -> ExitCode {
    terminal::say("\n── closing lines ──");
    for outcome in outcomes {
        for line in &outcome.closing {
            terminal::say(line);
        }
    }
    for outcome in outcomes {
        let word = if outcome.passed { "passed" } else { "FAILED" };
        terminal::say(format!(
            "{}: {word} in {} s",
            outcome.title, outcome.seconds
        ));
    }
    if outcomes.iter().all(|outcome| outcome.passed) {
        if outcomes.iter().all(|outcome| outcome.tests == 0) {
            let pattern = pattern.unwrap_or_default();
            terminal::note(format!(
                "no test ran: {pattern:?} is no package, and no test's name holds it"
            ));
            return ExitCode::FAILURE;
        }
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> Workspace {
        let text = r#"{"packages":[
            {"name":"brewline-order","features":{"fault-injection":[]}},
            {"name":"brewline-order-domain","features":{}},
            {"name":"brewline-kernel","features":{"system":[]},"targets":[{"kind":["lib"]}]}]}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_pattern_that_names_a_package_selects_it_and_the_rules_of_a_service() {
        let workspace = workspace();
        let order = "-p brewline-order -p brewline-order-domain \
                     --features brewline-order/fault-injection";
        for (pattern, expected) in [
            ("order", Some(order)),
            ("brewline-order", Some(order)),
            ("order-domain", Some("-p brewline-order-domain")),
            ("kernel", Some("-p brewline-kernel")),
            ("a_price_is", None),
        ] {
            let selection = workspace.selection(pattern);
            assert_eq!(selection.as_deref(), expected, "{pattern}");
        }
    }

    #[test]
    fn a_program_alone_has_no_documentation_to_be_tested() {
        let documents = |selection| workspace().documents(selection);
        assert!(documents("-p brewline-kernel"));
        assert!(!documents("-p brewline-order"));
        assert!(documents("--workspace --features fault-injection"));
    }

    #[test]
    fn tests_that_failed_ran_too_and_filtered_ones_did_not() {
        let line = "kill: test result: FAILED. 12 passed; 3 failed; 0 ignored; 40 filtered out";
        assert_eq!(tests_run(line), 15);
        assert_eq!(tests_run("test result: ok. 0 passed; 0 failed"), 0);
        assert_eq!(tests_run("warning: nothing"), 0);
    }
}
