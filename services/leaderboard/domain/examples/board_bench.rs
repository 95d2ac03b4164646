//! How fast boards are at 1,000,000 members: `cargo run -p brewline-leaderboard-domain --example board_bench`.
//!
//! Updates and ranks of one board stand beside Redis' sorted set in the same run, where `redis-server` is
//! installed; then a fold of as many customers is written down and read back, which is what a restart does.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement says what it found, and ends where it fails"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use brewline_kernel::Timestamp;
use brewline_leaderboard_domain::{
    Calendar, Day, Event, Fold, Incoming, Kind, Ranking, Sale, SoldLine, Topic,
};

const MEMBERS: u64 = 1_000_000;
const OPERATIONS: u64 = 1_000_000;
/// Commands sent to Redis before its answers are read, so that the network is not what is measured.
const PIPELINE: u64 = 500;
/// How long Redis may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

struct Redis {
    process: Child,
    stream: BufReader<TcpStream>,
}

struct Utc;

fn main() {
    let members: Vec<Arc<str>> = (0..MEMBERS)
        .map(|number| format!("customer-{number:07}").into())
        .collect();
    let ours = ours(&members);
    match Redis::start() {
        None => println!("redis-server is not installed: nothing to compare with"),
        Some(mut redis) => {
            let theirs = redis.measure(&members);
            redis.stop();
            println!(
                "Redis, pipelined by {PIPELINE}: update {} ns, rank {} ns",
                theirs.0, theirs.1
            );
            println!(
                "ours takes {} % of Redis' time to update, {} % to rank",
                percent(ours.0, theirs.0),
                percent(ours.1, theirs.1)
            );
        }
    }
    restart(&members);
}

/// Nanoseconds of an update and of a rank.
fn ours(members: &[Arc<str>]) -> (u128, u128) {
    let mut ranking = Ranking::default();
    let filled = time(MEMBERS, |number| {
        ranking.add(
            &members[index(number)],
            score(number),
            Timestamp::from_micros(0),
        );
    });
    let update = time(OPERATIONS, |number| {
        ranking.add(
            &members[index(spread(number))],
            1,
            Timestamp::from_micros(1),
        );
    });
    let mut sum = 0;
    let rank = time(OPERATIONS, |number| {
        sum += ranking.rank(&members[index(spread(number))]).unwrap()
    });
    let page = time(OPERATIONS, |number| {
        sum += ranking.page(index(spread(number)), 10).count()
    });
    println!(
        "ours at {MEMBERS} members: insert {filled} ns, update {update} ns, rank {rank} ns, page of 10 {page} ns ({})",
        sum % 10
    );
    (update, rank)
}

/// A fold of as many customers, in every window, written down and read back.
fn restart(members: &[Arc<str>]) {
    let mut fold = Fold::default();
    let time_zone = "UTC".to_owned();
    fold.apply(
        incoming(
            Topic::Catalogue,
            "store/oslo".into(),
            Event::Store { time_zone },
        ),
        &Utc,
    );
    let began = Instant::now();
    for (number, member) in (0..).zip(members) {
        let id = format!("0190b5a0-0000-7000-8000-{number:012x}").into();
        let sale = Event::Confirmed(Box::new(sale(member, number)));
        let mut order = incoming(Topic::Orders, id, sale);
        order.at = order.at.plus(Duration::from_millis(number));
        fold.apply(order, &Utc);
    }
    let folded = began.elapsed();
    let began = Instant::now();
    let bytes = fold.encode();
    let encoded = began.elapsed();
    drop(fold);
    let began = Instant::now();
    let back = Fold::decode(&bytes).unwrap();
    let decoded = began.elapsed();
    let orders = MEMBERS * 1_000 / u64::try_from(folded.as_millis()).unwrap();
    let mib = bytes.len() / (1024 * 1024);
    println!(
        "fold: {orders} orders/s, each of another customer, in 8 windows and stores; {} rows",
        back.rows_count()
    );
    println!(
        "snapshot: {mib} MiB, written down in {} ms, read back in {} ms",
        encoded.as_millis(),
        decoded.as_millis()
    );
    println!("memory: {}", resident());
}

fn incoming(topic: Topic, subject: Arc<str>, event: Event) -> Incoming {
    let at = Timestamp::from_millis(1_795_188_600_000);
    Incoming {
        topic,
        partition: 0,
        subject,
        version: 2,
        at,
        event,
    }
}

fn sale(member: &str, number: u64) -> Sale {
    let line = SoldLine {
        product: format!("product-{}", number % 30),
        kind: Kind::Drink,
        method: format!("method-{}", number % 7),
        origin: format!("origin-{}", number % 9),
        quantity: score(number),
    };
    Sale {
        store: "oslo".to_owned(),
        customer: member.to_owned(),
        lines: vec![line],
        total_minor: 350,
        currency: "NOK".to_owned(),
        confirmed_at: Timestamp::from_millis(1_795_188_600_000),
    }
}

impl Calendar for Utc {
    fn local_day(&self, _: &str, at: Timestamp) -> Day {
        Day::from_days(i32::try_from(at.as_millis() / 86_400_000).unwrap())
    }
}

impl Redis {
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .ok()?
            .local_addr()
            .ok()?
            .port();
        let mut process = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let began = Instant::now();
        while began.elapsed() < STARTS_WITHIN {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                stream.set_nodelay(true).unwrap();
                return Some(Self {
                    process,
                    stream: BufReader::new(stream),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        process.kill().unwrap();
        None
    }

    fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn measure(&mut self, members: &[Arc<str>]) -> (u128, u128) {
        self.run(MEMBERS, |number| {
            format!("ZADD b {} {}\r\n", score(number), members[index(number)])
        });
        let update = self.run(OPERATIONS, |number| {
            format!("ZINCRBY b 1 {}\r\n", members[index(spread(number))])
        });
        let rank = self.run(OPERATIONS, |number| {
            format!("ZREVRANK b {}\r\n", members[index(spread(number))])
        });
        (update, rank)
    }

    /// Nanoseconds a command.
    fn run(&mut self, commands: u64, command: impl Fn(u64) -> String) -> u128 {
        let began = Instant::now();
        let mut line = String::new();
        for first in (0..commands).step_by(usize::try_from(PIPELINE).unwrap()) {
            let batch: String = (first..first + PIPELINE).map(&command).collect();
            self.stream.get_mut().write_all(batch.as_bytes()).unwrap();
            for _ in 0..PIPELINE {
                line.clear();
                self.stream.read_line(&mut line).unwrap();
                if line.starts_with('$') {
                    self.stream.read_line(&mut line).unwrap();
                }
            }
        }
        began.elapsed().as_nanos() / u128::from(commands)
    }
}

fn time(operations: u64, mut operation: impl FnMut(u64)) -> u128 {
    let began = Instant::now();
    (0..operations).for_each(&mut operation);
    began.elapsed().as_nanos() / u128::from(operations)
}

/// Members in no order, each as often.
const fn spread(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % MEMBERS
}

/// Scores as shops have them: many small ones, few large.
fn score(number: u64) -> i64 {
    let wild = number.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40;
    i64::try_from(1 + (wild % 1_000) * (wild % 1_000) / 1_000).unwrap()
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

const fn percent(ours: u128, theirs: u128) -> u128 {
    ours * 100 / theirs
}

/// The process's memory, as the system tells it.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.unwrap_or("not known here")
        .trim_start_matches("VmRSS:")
        .trim()
        .to_owned()
}
