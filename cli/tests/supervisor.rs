//! The supervisor with programs that do nothing but run: what is killed comes back, and nothing
//! outlives the supervisor.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's helper fails the test"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use brewline_cli::stack::control::{self, Wish};
use brewline_cli::stack::process::{self, ProcessIdentity, parse_signal};
use brewline_cli::stack::supervisor::StatusReport;
use brewline_cli::stack::{Folder, leftovers};
use brewline_cli::verbs::down;

const WITHIN: Duration = Duration::from_secs(20);

/// A supervisor on a folder of its own, killed and removed at the end whatever happens.
struct Supervised {
    folder: Folder,
    child: Child,
}

impl Supervised {
    fn start(name: &str, programs: &str) -> Self {
        Self::start_with(name, programs, "null")
    }

    /// `companion` is the process with which it ends.
    fn start_with(name: &str, programs: &str, companion: &str) -> Self {
        let path = std::env::temp_dir().join(format!("brewline-{name}-{}", std::process::id()));
        let folder = Folder::at(&path).unwrap();
        let child = spawn(&path, programs, companion);
        Self { folder, child }
    }

    async fn until(&self, what: &str, condition: impl Fn(&StatusReport) -> bool) -> StatusReport {
        let deadline = Instant::now() + WITHIN;
        loop {
            let report = control::ask(&self.folder, &Wish::Peek).await.unwrap();
            if let Some(report) = report.filter(|report| condition(report)) {
                return report;
            }
            assert!(Instant::now() < deadline, "not within {WITHIN:?}: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn kill_supervisor(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(self.folder.root()).ok();
    }
}

fn spawn(data: &Path, programs: &str, companion: &str) -> Child {
    let options = format!(
        r#"{{"port_base":0,"bin_dir":"","environment":[],"extent":{{"Programs":{programs}}},
            "external_postgres":null,"external_kafka":null,
            "terms":{{"restart_pause_ms_max":5000,"companion":{companion}}}}}"#
    );
    Command::new(PathBuf::from(env!("CARGO_BIN_EXE_brewline")))
        .arg("--data")
        .arg(data)
        .args(["supervise", "--options", &options])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn identities(report: &StatusReport) -> Vec<ProcessIdentity> {
    let pids = report.processes.iter().map(|process| process.pid);
    pids.filter_map(ProcessIdentity::of).collect()
}

#[tokio::test]
async fn nothing_outlives_a_killed_supervisor() {
    let programs =
        r#"{"a":["sleep","600"],"b":["sh","-c","trap '' TERM INT HUP; exec sleep 600"]}"#;
    let mut supervised = Supervised::start("orphans", programs);
    let report = supervised
        .until("both run", |r| r.ready && r.processes.len() == 2)
        .await;
    let children = identities(&report);
    assert_eq!(children.len(), 2);
    supervised.kill_supervisor();
    for child in &children {
        assert!(
            process::wait_gone(child, WITHIN).await,
            "{child:?} outlived its supervisor"
        );
    }
}

#[tokio::test]
async fn a_stack_ends_with_the_process_it_belongs_to() {
    let mut companion = Command::new("sleep").arg("600").spawn().unwrap();
    let mut supervised = Supervised::start_with(
        "companion",
        r#"{"a":["sleep","600"]}"#,
        &companion.id().to_string(),
    );
    let report = supervised.until("it runs", |r| r.ready).await;
    let children = identities(&report);
    companion.kill().unwrap();
    companion.wait().unwrap();
    let deadline = Instant::now() + WITHIN;
    while supervised.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the supervisor goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for child in &children {
        assert!(process::wait_gone(child, WITHIN).await, "{child:?} goes on");
    }
}

#[tokio::test]
async fn a_killed_process_is_started_again_with_growing_pauses() {
    let supervised = Supervised::start("restart", r#"{"a":["sleep","600"]}"#);
    let mut report = supervised.until("it runs", |r| r.ready).await;
    let kill = parse_signal("KILL").unwrap();
    let mut pauses = vec![];
    for restarts in 1..=4 {
        let pid = report.processes[0].pid;
        let began = Instant::now();
        process::signal(pid, kill).unwrap();
        let back = |r: &StatusReport| r.ready && r.processes[0].restarts == restarts;
        report = supervised.until("it is back", back).await;
        assert_ne!(report.processes[0].pid, pid);
        pauses.push(began.elapsed());
    }
    assert!(pauses[0] >= Duration::from_millis(100), "{pauses:?}");
    assert!(pauses[3] >= Duration::from_millis(800), "{pauses:?}");
}

#[tokio::test]
async fn a_program_that_cannot_start_does_not_end_the_others() {
    let programs = r#"{"a":["sleep","600"],"b":["/nowhere/at/all"]}"#;
    let supervised = Supervised::start("broken", programs);
    let report = supervised
        .until("b was tried again", |r| {
            r.processes
                .iter()
                .any(|p| p.service == "b" && p.restarts > 2)
        })
        .await;
    let a = report.processes.iter().find(|p| p.service == "a").unwrap();
    assert!(a.ready && a.restarts == 0, "{a:?}");
    assert!(!report.ready);
}

#[tokio::test]
async fn scale_adds_and_removes_instances() {
    let supervised = Supervised::start("scale", r#"{"a":["sleep","600"]}"#);
    supervised.until("it runs", |r| r.ready).await;
    for instances in [3_u16, 1] {
        let wish = Wish::Scale {
            service: "a".to_owned(),
            instances,
        };
        control::ask(&supervised.folder, &wish).await.unwrap();
        let there = |r: &StatusReport| r.ready && r.processes.len() == usize::from(instances);
        supervised.until("so many run", there).await;
    }
}

#[tokio::test]
async fn down_stops_everything_and_says_so_in_files() {
    let mut supervised = Supervised::start("down", r#"{"a":["sleep","600"]}"#);
    let report = supervised.until("it runs", |r| r.ready).await;
    let children = identities(&report);
    control::ask(&supervised.folder, &Wish::Down).await.unwrap();
    assert!(supervised.child.wait().unwrap().success());
    assert!(children.iter().all(|child| !child.is_alive()));
    assert!(!supervised.folder.endpoints().exists());
    assert!(
        control::ask(&supervised.folder, &Wish::Peek)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_second_supervisor_on_the_same_folder_is_refused() {
    let supervised = Supervised::start("twice", r#"{"a":["sleep","600"]}"#);
    supervised.until("it runs", |r| r.ready).await;
    let programs = r#"{"a":["sleep","600"]}"#;
    let mut second = spawn(supervised.folder.root(), programs, "null");
    assert_eq!(second.wait().unwrap().code(), Some(75));
    supervised.until("the first still runs", |r| r.ready).await;
}

#[tokio::test]
async fn a_folder_is_not_removed_while_a_stack_runs_below_it() {
    let name = format!("purge-{}", std::process::id());
    let outer = Folder::at(&std::env::temp_dir().join(format!("brewline-{name}"))).unwrap();
    outer.create().unwrap();
    let inner = outer.root().join("test");
    let mut supervised = Supervised {
        child: spawn(&inner, r#"{"a":["sleep","600"]}"#, "null"),
        folder: Folder::at(&inner).unwrap(),
    };
    supervised.until("it runs", |r| r.ready).await;
    let error = down::purge(&outer).await.unwrap_err().to_string();
    assert!(error.contains("a stack runs on"), "{error}");
    supervised.until("it still runs", |r| r.ready).await;
    control::ask(&supervised.folder, &Wish::Down).await.unwrap();
    assert!(supervised.child.wait().unwrap().success());
    down::purge(&outer).await.unwrap();
    assert!(!outer.root().exists());
}

#[tokio::test]
async fn leftovers_are_ended_only_when_they_are_the_remembered_ones() {
    let path = std::env::temp_dir().join(format!("brewline-leftovers-{}", std::process::id()));
    let folder = Folder::at(&path).unwrap();
    folder.create().unwrap();
    let mut left = Command::new("sleep").arg("600").spawn().unwrap();
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    let remembered = ProcessIdentity::of(left.id()).unwrap();
    let mistaken = ProcessIdentity {
        start_ticks: 1,
        ..ProcessIdentity::of(stranger.id()).unwrap()
    };
    let text = serde_json::to_vec(&[remembered, mistaken]).unwrap();
    std::fs::write(folder.processes(), text).unwrap();
    assert_eq!(leftovers::end(&folder).await, 1);
    assert!(!left.wait().unwrap().success());
    assert!(
        stranger.try_wait().unwrap().is_none(),
        "a stranger was killed"
    );
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    std::fs::remove_dir_all(&path).unwrap();
}
