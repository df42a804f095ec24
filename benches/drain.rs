//! How fast the worker asks Akismet: lookups a second from a full queue at several latencies of the
//! service and sizes of the window, what one costs in processor time and memory, and how long it takes
//! from commit to verdict, both idle and behind a backlog. The service is the stand-in. Sizes are in
//! README.md.

use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, Statement};
use serde_json::{Value, json};
use support::akismet::{Akismet, ENABLE, Endpoint, SPAM};
use support::cluster::{Cluster, ClusterOptions, Database};
use support::measure::{Environment, Usage, quantile, size};
use support::table::{Column, Table};
use support::texts::Generator;
use support::wait;

const LATENCIES_MS: [u64; 3] = [0, 50, 100];
const WINDOWS: [u64; 2] = [64, 256];
/// Lookups that wait while a fresh one is timed.
const BACKLOG: u64 = 20_000;
const PATIENCE: Duration = Duration::from_secs(300);

const TABLE: &str = "
    CREATE TABLE comments (
        id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        author     text NOT NULL,
        email      text,
        ip         inet,
        body       text NOT NULL,
        status     text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')),
        created_at timestamptz NOT NULL DEFAULT now());
    SELECT * FROM spamcheck.protect('comments');";

fn main() {
    let most = size("BENCH_LOOKUPS", 20_000);
    let probes = size("BENCH_PROBES", 100);

    let cluster = Cluster::start(ClusterOptions::default().with("shared_buffers", "256MB"));
    let akismet = Akismet::start();
    akismet.keep_requests(false);
    akismet.attach(&cluster);
    let database = cluster.database();
    let mut client = database.client();
    client.batch_execute(TABLE).unwrap_or_else(|error| panic!("{error:?}"));
    client.batch_execute(ENABLE).unwrap_or_else(|error| panic!("{error:?}"));
    let environment = Environment::read(&mut client);
    println!("{environment}\n");

    let bench = Bench { cluster: &cluster, akismet: &akismet, database: &database };
    let mut drains = Vec::new();
    for latency in LATENCIES_MS {
        for window in WINDOWS {
            drains.push(bench.drain(latency, window, most));
        }
    }
    print_drains(&drains);
    let idles: Vec<Value> =
        LATENCIES_MS.into_iter().map(|latency| bench.idle(latency, probes)).collect();
    print_times("From commit to verdict, idle worker", &idles);
    let laden: Vec<Value> =
        LATENCIES_MS.into_iter().map(|latency| bench.laden(latency, probes)).collect();
    print_times("From commit to verdict, while 20,000 others wait", &laden);
    akismet.assert_no_problems();

    let results = json!({"drain": drains, "idle": idles, "laden": laden});
    println!("raw results: {}", environment.write_run("drain", &results).display());
}

struct Bench<'a> {
    cluster: &'a Cluster,
    akismet: &'a Akismet,
    database: &'a Database<'a>,
}

impl Bench<'_> {
    /// Fills the queue in one transaction and waits until it is empty.
    fn drain(&self, latency: u64, window: u64, most: usize) -> Value {
        self.akismet.set_latency(Duration::from_millis(latency));
        self.cluster.set("pg_spamcheck.max_in_flight", &window.to_string());
        // At most some ten seconds' work: the rate cannot pass window / latency.
        let bound = (window * 8_000).checked_div(latency).map_or(most, |bound| bound as usize);
        let lookups = most.min(bound);
        self.warm_up();
        let worker = self.database.worker_pid().expect("the worker has just worked");
        let (used, asked) = (Usage::of(worker).expect("it runs"), self.asked());

        self.fill(lookups);
        let start = Instant::now();
        let mut peak = used;
        wait::until(PATIENCE, "the answers to all lookups", || {
            if let Some(now) = Usage::of(worker)
                && now.own_memory > peak.own_memory
            {
                peak = now;
            }
            self.asked() - asked >= lookups as u64
        });
        wait::until(PATIENCE, "an empty queue", || self.queue_is_empty());
        let seconds = start.elapsed().as_secs_f64();

        let end = Usage::of(worker).expect("it still runs");
        let asked = self.asked() - asked;
        assert_eq!(self.database.worker_pid(), Some(worker), "the worker was restarted meanwhile");
        json!({
            "latency_ms": latency, "max_in_flight": window, "lookups": lookups, "seconds": seconds,
            "a_second": lookups as f64 / seconds, "asked": asked,
            "cpu_ms_each": (end.cpu - used.cpu) * 1e3 / lookups as f64,
            "own_memory_mb": peak.own_memory, "resident_mb": peak.resident,
        })
    }

    /// Times single spam comments from the end of their commit to the change of their status.
    fn idle(&self, latency: u64, probes: usize) -> Value {
        self.akismet.set_latency(Duration::from_millis(latency));
        self.warm_up();
        let mut probe = Probe::new(self.database, latency, Duration::from_micros(500));
        let times = (0..probes).map(|_| {
            let time = probe.time();
            // Long enough for the worker to go back to sleep, at changing distances.
            thread::sleep(Duration::from_millis(20 + probe.generator.below(30) as u64));
            time
        });
        summary(latency, &times.collect::<Vec<_>>())
    }

    /// The same while a backlog waits, and is worked at.
    fn laden(&self, latency: u64, probes: usize) -> Value {
        self.akismet.set_latency(Duration::from_millis(latency));
        self.cluster.set("pg_spamcheck.max_in_flight", "256");
        self.warm_up();
        let mut probe = Probe::new(self.database, latency, Duration::from_millis(2));
        let (mut times, mut asked) = (Vec::new(), self.asked());
        let mut filled = 0;
        while times.len() < probes {
            if asked + filled < self.asked() + BACKLOG {
                (asked, filled) = (self.asked(), 3 * BACKLOG);
                self.fill(filled as usize);
            }
            times.push(probe.time());
        }
        wait::until(PATIENCE, "an empty queue", || self.queue_is_empty());
        summary(latency, &times)
    }

    /// Lets the worker open its connections and finish what is left.
    fn warm_up(&self) {
        self.fill(500);
        wait::until(PATIENCE, "an empty queue", || self.queue_is_empty());
    }

    /// Inserts ham in one transaction, which makes all its lookups due at its commit.
    fn fill(&self, rows: usize) {
        let mut generator = Generator::new(rows as u64);
        let path = self.cluster.folder().join("fill.copy");
        let line = |_| {
            let comment = generator.comment();
            format!("{}\t{}\t{}\t{}\n", comment.author, comment.email, comment.ip, comment.body)
        };
        std::fs::write(&path, (0..rows).map(line).collect::<String>()).expect("the disk has room");
        let copy = format!("COPY comments (author, email, ip, body) FROM '{}'", path.display());
        self.database.client().batch_execute(&copy).unwrap_or_else(|error| panic!("{error:?}"));
    }

    fn asked(&self) -> u64 {
        self.akismet.calls(Endpoint::CommentCheck)
    }

    fn queue_is_empty(&self) -> bool {
        self.database.psql("SELECT NOT EXISTS (SELECT FROM spamcheck.lookup)") == "t"
    }
}

/// Inserts single spam comments and waits for their verdicts.
struct Probe {
    client: Client,
    insert: Statement,
    judged: Statement,
    /// Between two looks: whoever asks all the time has the processor that the worker needs.
    pause: Duration,
    generator: Generator,
}

impl Probe {
    fn new(database: &Database<'_>, seed: u64, pause: Duration) -> Self {
        let mut client = database.client();
        let insert =
            "INSERT INTO comments (author, ip, body) VALUES ($1, '198.18.0.1', $2) RETURNING id";
        let insert = client.prepare(insert).expect("the table is there");
        let judged = client.prepare("SELECT status = 'spam' FROM comments WHERE id = $1");
        let judged = judged.expect("the table is there");
        Self { client, insert, judged, pause, generator: Generator::new(seed) }
    }

    /// Milliseconds from the end of a commit to the change of the row's status.
    fn time(&mut self) -> f64 {
        let body = self.generator.comment().body;
        let row = self.client.query_one(&self.insert, &[&SPAM, &body]).expect("it is inserted");
        let (id, start): (i64, Instant) = (row.get(0), Instant::now());
        loop {
            let row = self.client.query_one(&self.judged, &[&id]).expect("it is there");
            if row.get::<_, bool>(0) {
                return start.elapsed().as_secs_f64() * 1e3;
            }
            assert!(start.elapsed() < PATIENCE, "no verdict came");
            thread::sleep(self.pause);
        }
    }
}

fn summary(latency: u64, times: &[f64]) -> Value {
    json!({
        "latency_ms": latency, "p50_ms": quantile(times, 0.5), "p99_ms": quantile(times, 0.99),
        "most_ms": quantile(times, 1.0), "probes_ms": times,
    })
}

fn print_drains(drains: &[Value]) {
    println!("Draining a full queue");
    let mut table = Table::new([
        Column::right("API ms"),
        Column::right("in flight"),
        Column::right("lookups"),
        Column::right("a second"),
        Column::right("CPU ms each"),
        Column::right("own MB"),
        Column::right("resident MB"),
    ]);
    for drain in drains {
        let figure =
            |name: &str, digits: usize| format!("{:.digits$}", drain[name].as_f64().unwrap());
        table.row([
            figure("latency_ms", 0),
            figure("max_in_flight", 0),
            figure("lookups", 0),
            figure("a_second", 0),
            figure("cpu_ms_each", 3),
            figure("own_memory_mb", 1),
            figure("resident_mb", 1),
        ]);
    }
    println!("{table}");
}

fn print_times(title: &str, times: &[Value]) {
    println!("{title}");
    let mut table = Table::new([
        Column::right("API ms"),
        Column::right("p50 ms"),
        Column::right("p99 ms"),
        Column::right("p50 beyond the API"),
        Column::right("p99 beyond the API"),
    ]);
    for one in times {
        let figure = |name: &str| one[name].as_f64().unwrap();
        let latency = figure("latency_ms");
        table.row([
            format!("{latency:.0}"),
            format!("{:.1}", figure("p50_ms")),
            format!("{:.1}", figure("p99_ms")),
            format!("{:.1}", figure("p50_ms") - latency),
            format!("{:.1}", figure("p99_ms") - latency),
        ]);
    }
    println!("{table}");
}
