//! Other programs: `kubectl` and `helm`.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Runs a program to its end and yields what it wrote.
pub(crate) fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {program}"))?;
    finished(program, arguments, &output)
}

/// Runs a program that reads `input`.
pub(crate) fn feed(program: &str, arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let mut child = spawned(program, arguments, Stdio::piped())?;
    let mut stdin = child.stdin.take().context("its input is a pipe")?;
    stdin.write_all(input.as_bytes()).context("hand it over")?;
    drop(stdin);
    let output = child.wait_with_output().context("wait for its end")?;
    finished(program, arguments, &output)
}

/// Starts a program that goes on beside everything else.
pub(crate) fn start(program: &str, arguments: &[&str]) -> anyhow::Result<Child> {
    spawned(program, arguments, Stdio::null())
}

fn spawned(program: &str, arguments: &[&str], stdin: Stdio) -> anyhow::Result<Child> {
    Command::new(program)
        .args(arguments)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {program}"))
}

/// What a program wrote, when it ended well.
pub(crate) fn finished(
    program: &str,
    arguments: &[&str],
    output: &std::process::Output,
) -> anyhow::Result<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !output.status.success() {
        bail!(
            "{program} {}: {}\n{}\n{}",
            arguments.join(" "),
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
    }
    Ok(text(&output.stdout))
}

/// Waits until `condition` holds.
pub(crate) fn until(
    what: &str,
    within: Duration,
    condition: impl Fn() -> anyhow::Result<bool>,
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    loop {
        let last = condition();
        if matches!(last, Ok(true)) {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > within {
            last.with_context(|| format!("look whether {what}"))?;
            bail!("not within {} s: {what}", within.as_secs());
        }
        std::thread::sleep(LOOK);
    }
}
