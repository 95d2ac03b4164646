//! The programs that the tests are built into, and how they are run: a few side by side, for the tests of
//! a service wait more than they work; and those that measure time alone, at the end.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::terminal;

/// No runner takes this long, the long cross products included.
pub(super) const RUNNER_WITHIN: Duration = Duration::from_secs(90 * 60);

/// So many runners at once keep two cores busy; more would only make each test slower than its bounds.
const SIDE_BY_SIDE: usize = 3;

/// Whoever runs longest begins first, so that nobody is waited for at the end. All others follow by name.
const LONGEST_FIRST: [&str; 6] = [
    "brewline-order",
    "brewline-messaging",
    "brewline-barista",
    "brewline-inventory",
    "brewline-notification",
    "brewline-payment",
];

/// Each of these starts a platform that needs the machine for itself: leases, sessions and bounds are short
/// there.
const ALONE: [&str; 3] = ["traces", "observe", "kill"];

/// These have more to do when all is asked for, and know the word for it.
const WITH_MORE: [&str; 2] = ["observe", "kill"];

/// A program that tests were built into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Runner {
    package: String,
    target: String,
    source: PathBuf,
    program: PathBuf,
    folder: PathBuf,
}

/// How a runner ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) passed: bool,
    /// `order it: test result: ok. …`; empty when it had no tests.
    pub(super) closing: Vec<String>,
}

/// What every runner is given.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) environment: Vec<(&'static str, String)>,
    /// Only tests whose names hold it.
    pub(super) filter: Option<String>,
    /// The kill tests' cross products too.
    pub(super) is_long: bool,
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    src_path: PathBuf,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// The runners that cargo names in its messages, a line each; `packages` are names by manifest.
pub(super) fn of_messages(
    text: &str,
    packages: &BTreeMap<PathBuf, String>,
) -> anyhow::Result<Vec<Runner>> {
    let lines = text.lines().filter(|line| line.starts_with('{'));
    let mut runners = Vec::new();
    for line in lines {
        let message: Message = serde_json::from_str(line).context("understand cargo's messages")?;
        let is_test = message.profile.is_some_and(|profile| profile.test);
        let (Some(target), Some(program)) = (message.target, message.executable) else {
            continue;
        };
        if message.reason == "compiler-artifact" && is_test {
            let folder = message.manifest_path.parent();
            runners.push(Runner {
                package: packages
                    .get(&message.manifest_path)
                    .context("a package of somebody else's")?
                    .clone(),
                target: target.name,
                source: target.src_path,
                folder: folder.context("a package without a folder")?.to_owned(),
                program,
            });
        }
    }
    runners.sort_by_cached_key(Runner::turn);
    Ok(runners)
}

/// Runs them all, and shows what each one says once it has ended; of those that run alone, as it comes.
pub(super) async fn run_all(
    runners: Vec<Runner>,
    terms: &Terms,
    say: impl Fn(&str),
) -> anyhow::Result<Vec<Ended>> {
    let (alone, others): (Vec<Runner>, Vec<Runner>) =
        runners.into_iter().partition(Runner::is_alone);
    let mut ended = side_by_side(others, terms, &say).await?;
    for runner in alone {
        say(&runner.title());
        let output = runner.run(terms, &say).await?;
        ended.push(output.ended(&runner));
    }
    Ok(ended)
}

async fn side_by_side(
    runners: Vec<Runner>,
    terms: &Terms,
    say: impl Fn(&str),
) -> anyhow::Result<Vec<Ended>> {
    let mut waiting: VecDeque<Runner> = runners.into();
    let mut running = JoinSet::new();
    let mut ended = Vec::new();
    loop {
        while running.len() < SIDE_BY_SIDE
            && let Some(runner) = waiting.pop_front()
        {
            terminal::step(runner.title().trim_start());
            let terms = terms.clone();
            running.spawn(async move {
                let output = runner.run(&terms, |_| {}).await?;
                anyhow::Ok((runner, output))
            });
        }
        let Some(next) = running.join_next().await else {
            return Ok(ended);
        };
        let (runner, output) = next.context("watch a runner")??;
        say(&runner.title());
        for line in &output.lines {
            say(line);
        }
        ended.push(output.ended(&runner));
    }
}

/// All that a runner said, and whether it was content.
#[derive(Debug)]
struct Output {
    lines: Vec<String>,
    success: bool,
}

// === impl Ended ===

impl Ended {
    /// What did not compile has not passed.
    pub(super) fn unbuilt() -> Self {
        Self {
            passed: false,
            closing: vec!["the tests do not compile".to_owned()],
        }
    }
}

// === impl Output ===

impl Output {
    fn ended(&self, runner: &Runner) -> Ended {
        let results = self.lines.iter().map(|line| line.trim_start());
        let results: Vec<&str> = results
            .filter(|line| line.starts_with("test result:"))
            .collect();
        // Content or not: who ends without a result may not have run a single test.
        let has_result = !results.is_empty();
        let told = |line: &str| format!("{}: {line}", runner.name());
        let mut closing: Vec<String> = results
            .into_iter()
            .filter(|line| !line.contains(" 0 passed; 0 failed"))
            .map(told)
            .collect();
        if !has_result || (!self.success && closing.is_empty()) {
            closing.push(format!("{}: it ended without a result", runner.name()));
        }
        Ended {
            passed: self.success && has_result,
            closing,
        }
    }
}

// === impl Runner ===

impl Runner {
    fn is_alone(&self) -> bool {
        ALONE.contains(&self.target.as_str())
    }

    /// Its place in the row.
    fn turn(&self) -> (usize, String, PathBuf) {
        let first = LONGEST_FIRST.iter().position(|name| *name == self.package);
        // Of a service, its rules' tests take no time.
        let place = first.unwrap_or(LONGEST_FIRST.len());
        (place, self.package.clone(), self.source.clone())
    }

    fn name(&self) -> String {
        if self.package == self.target || self.package.replace('-', "_") == self.target {
            self.package.clone()
        } else {
            format!("{} {}", self.package, self.target)
        }
    }

    fn title(&self) -> String {
        let source = self.source.strip_prefix(&self.folder);
        let source = source.unwrap_or(&self.source).display();
        format!("     Running {} {source}", self.package)
    }

    /// Runs it as cargo would: from its package's folder.
    async fn run(&self, terms: &Terms, shown: impl Fn(&str)) -> anyhow::Result<Output> {
        let mut command = Command::new("sh");
        // One pipe for both streams, so that what is said stands in its order.
        command
            .args(["-c", "exec \"$0\" \"$@\" 2>&1"])
            .arg(&self.program);
        command.args(&terms.filter);
        if terms.is_long && WITH_MORE.contains(&self.target.as_str()) {
            command.arg("--all");
        }
        let environment = terms.environment.iter();
        command
            .envs(environment.map(|(name, value)| (name, value)))
            .env("CARGO_MANIFEST_DIR", &self.folder)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().context("start a runner")?;
        let output = child.stdout.take().context("read a runner's output")?;
        let watched = async {
            let mut reader = BufReader::new(output).lines();
            let mut lines = Vec::new();
            while let Some(line) = reader.next_line().await.context("read its output")? {
                shown(&line);
                lines.push(line);
            }
            let status = child.wait().await.context("wait for its end")?;
            anyhow::Ok(Output {
                lines,
                success: status.success(),
            })
        };
        let Ok(watched) = timeout(RUNNER_WITHIN, watched).await else {
            let minutes = RUNNER_WITHIN.as_secs() / 60;
            bail!("{} took longer than {minutes} minutes", self.name());
        };
        watched.with_context(|| self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(package: &str, target: &str, is_test: bool) -> String {
        serde_json::json!({
            "reason": "compiler-artifact",
            "manifest_path": format!("/w/{package}/Cargo.toml"),
            "target": { "name": target, "src_path": format!("/w/{package}/tests/{target}.rs") },
            "profile": { "test": is_test },
            "executable": format!("/w/target/{package}-{target}"),
        })
        .to_string()
    }

    fn runners(messages: &[String]) -> Vec<Runner> {
        let packages = ["brewline-kernel", "brewline-order", "brewline-cli"];
        let packages =
            packages.map(|name| (format!("/w/{name}/Cargo.toml").into(), name.to_owned()));
        of_messages(&messages.join("\n"), &packages.into()).unwrap()
    }

    #[test]
    fn programs_of_tests_are_run_and_no_others_the_longest_first() {
        let messages = [
            message("brewline-cli", "kill", true),
            message("brewline-cli", "brewline", false),
            message("brewline-kernel", "brewline_kernel", true),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
            message("brewline-order", "it", true),
        ];
        let names: Vec<String> = runners(&messages).iter().map(Runner::name).collect();
        assert_eq!(
            names,
            ["brewline-order it", "brewline-cli kill", "brewline-kernel"]
        );
        assert!(of_messages(&messages.join("\n"), &BTreeMap::new()).is_err());
    }

    #[tokio::test]
    async fn every_runner_runs_once_and_one_that_fails_or_says_nothing_is_told() {
        let folder = std::env::temp_dir().join(format!("runners-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let runner = |name: &str, script: &str| {
            let program = folder.join(name);
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(
                &program,
                std::os::unix::fs::PermissionsExt::from_mode(0o755),
            )
            .unwrap();
            Runner {
                package: name.to_owned(),
                target: name.to_owned(),
                source: folder.join("main.rs"),
                program,
                folder: folder.clone(),
            }
        };
        let result = |n| format!("echo 'test result: ok. {n} passed; 0 failed'");
        let all = vec![
            runner("none", &result(0)),
            runner("good", &result(2)),
            runner(
                "bad",
                "echo 'test result: FAILED. 1 passed; 1 failed' >&2; exit 1",
            ),
            runner("dead", "kill -9 $$"),
            runner("mute", "exit 0"),
            runner("kill", "echo \"test result: ok. $# passed; 0 failed\""),
        ];
        let terms = Terms {
            environment: Vec::new(),
            filter: None,
            is_long: true,
        };
        let ended = run_all(all, &terms, |_| {}).await.unwrap();
        let mut closing: Vec<(String, bool)> = ended
            .into_iter()
            .map(|ended| (ended.closing.join(""), ended.passed))
            .collect();
        closing.sort();
        let expected = [
            ("", true),
            ("bad: test result: FAILED. 1 passed; 1 failed", false),
            ("dead: it ended without a result", false),
            ("good: test result: ok. 2 passed; 0 failed", true),
            ("kill: test result: ok. 1 passed; 0 failed", true),
            ("mute: it ended without a result", false),
        ];
        assert_eq!(
            closing,
            expected.map(|(text, passed)| (text.to_owned(), passed))
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
