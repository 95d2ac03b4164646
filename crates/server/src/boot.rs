use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use brewline_config::{Environment, Variable};
use brewline_telemetry as telemetry;
use tokio::signal::unix::{SignalKind, signal};

use crate::{Context, admin};

const INSTANCE: Variable = Variable {
    name: "BREWLINE_INSTANCE",
    default: Some(""),
    help: "The name of this process in logs, leases and consumer groups. By default the service's \
           name and the process id.",
};
const LOG: Variable = Variable {
    name: "BREWLINE_LOG",
    default: Some("info"),
    help: "Which log lines are written: a level, or levels by module. `info` says what changed and \
           what failed, nothing per order.",
};
const ADMIN_LISTEN: Variable = Variable {
    name: "BREWLINE_ADMIN_LISTEN",
    default: Some("127.0.0.1:0"),
    help: "Where health, metrics and run-time switches are served. Loopback and any free port \
           unless told otherwise: they are not for customers.",
};
const SHUTDOWN_GRACE_MS: Variable = Variable {
    name: "BREWLINE_SHUTDOWN_GRACE_MS",
    default: Some("10000"),
    help: "How long work in flight may go on after SIGTERM, in milliseconds. 10 s is a third of what \
           an orchestrator gives by default.",
};
const DRAIN_DELAY_MS: Variable = Variable {
    name: "BREWLINE_DRAIN_DELAY_MS",
    default: Some("0"),
    help: "How long to go on serving after readiness is off, in milliseconds, so that balancers hear \
           of it first. 0 suits one machine; in a cluster the chart sets it.",
};

const WORKER_THREADS: Variable = Variable {
    name: "BREWLINE_WORKER_THREADS",
    default: Some("1"),
    help: "Threads that run the service's tasks. 1: work is batched, so a replica is seldom short of \
           it, and each further thread costs a wake-up wherever tasks hand something on (a third more \
           processor time at 300 orders a second). More replicas, or more threads, on larger machines.",
};

/// The exit code for settings that cannot be used (`EX_USAGE` of sysexits.h).
const EXIT_USAGE: u8 = 64;

#[derive(Debug)]
struct Settings {
    instance: String,
    log: String,
    admin_listen: SocketAddr,
    grace: Duration,
    drain_delay: Duration,
    worker_threads: usize,
    traces: telemetry::trace::Settings,
}

/// Runs a service: settings, log, admin port, signals, the service itself, drain.
///
/// `run` starts the service and returns; what shall go on is handed to [`Context::spawn`]. With the
/// argument `--help` it prints every setting instead.
pub fn main<C>(
    service: &'static str,
    read: fn(&mut Environment) -> Option<C>,
    run: impl AsyncFnOnce(C, Context) -> anyhow::Result<()>,
) -> ExitCode {
    let mut env = Environment::from_process();
    let (settings, config) = (Settings::read(&mut env), read(&mut env));
    if std::env::args().any(|argument| argument == "--help") {
        return say(&env.document(), ExitCode::SUCCESS);
    }
    match env.finish(settings.zip(config)) {
        Err(faults) => say(
            &format!("{service}: {faults}\n"),
            ExitCode::from(EXIT_USAGE),
        ),
        Ok((settings, config)) => match start(service, settings, config, run) {
            Ok(code) => code,
            Err(error) => say(&format!("{service}: {error:#}\n"), ExitCode::FAILURE),
        },
    }
}

// === impl Settings ===

impl Settings {
    fn read(env: &mut Environment) -> Option<Self> {
        let instance = env.read(&INSTANCE);
        let log = env.read(&LOG);
        let admin_listen = env.read(&ADMIN_LISTEN);
        let grace = env.millis(&SHUTDOWN_GRACE_MS);
        let drain_delay = env.millis(&DRAIN_DELAY_MS);
        let worker_threads = env.read(&WORKER_THREADS);
        let traces = telemetry::trace::Settings::read(env);
        Some(Self {
            instance: instance?,
            log: log?,
            admin_listen: admin_listen?,
            grace: grace?,
            drain_delay: drain_delay?,
            worker_threads: worker_threads?,
            traces: traces?,
        })
    }
}

fn start<C>(
    service: &'static str,
    settings: Settings,
    config: C,
    run: impl AsyncFnOnce(C, Context) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let runtime = runtime(settings.worker_threads).context("start runtime")?;
    let instance = match settings.instance.as_str() {
        "" => format!("{service}-{}", std::process::id()),
        given => given.to_owned(),
    };
    let log = telemetry::init(service, &instance, &settings.log)?;
    let traces = telemetry::trace::start(settings.traces.clone(), service, &instance);
    let served = serve(service, instance, settings, log, async |context| {
        run(config, context).await
    });
    let code = runtime.block_on(beside(traces, served));
    // Blocking threads (a broker's client in the middle of a call) must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    code
}

/// Runs `served` to its end while spans are sent; then the last ones are.
async fn beside<T>(
    exporter: Option<telemetry::trace::Exporter>,
    served: impl Future<Output = T>,
) -> T {
    let Some(mut exporter) = exporter else {
        return served.await;
    };
    let served = tokio::select! {
        served = served => served,
        never = exporter.run() => match never {},
    };
    exporter.finish().await;
    served
}

fn runtime(worker_threads: usize) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match worker_threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if worker_threads > 1 {
        builder.worker_threads(worker_threads);
    }
    builder.enable_all().build()
}

async fn serve(
    service: &'static str,
    instance: String,
    settings: Settings,
    log: telemetry::Guard,
    run: impl AsyncFnOnce(Context) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let context = Context::new(service, instance);
    // Signals are caught before anything starts: one that comes early must not be lost.
    watch_signals(&context, settings.drain_delay)?;
    admin::serve(&context, settings.admin_listen, Arc::new(log))
        .await
        .context("serve admin port")?;
    tokio::select! {
        biased;
        () = context.shutdown_requested() => {}
        started = run(context.clone()) => started.with_context(|| format!("start {service}"))?,
    }
    context.shutdown_requested().await;
    context.drain(settings.grace).await;
    Ok(if context.failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn watch_signals(context: &Context, drain_delay: Duration) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate()).context("watch SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("watch SIGINT")?;
    let stopping = context.clone();
    context.spawn("signals", async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            () = stopping.shutdown_requested() => return Ok(()),
        }
        // Readiness goes first and balancers get time to hear of it; only then is intake stopped.
        stopping.health().drain();
        tokio::time::sleep(drain_delay).await;
        stopping.shutdown().cancel();
        Ok(())
    });
    Ok(())
}

fn say(text: &str, code: ExitCode) -> ExitCode {
    let wrote = std::io::stderr().write_all(text.as_bytes());
    // With standard error closed there is nobody left to tell; the exit code still does.
    if wrote.is_err() {
        ExitCode::FAILURE
    } else {
        code
    }
}
