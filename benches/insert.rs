//! What protection costs an insert: COPY of short texts and single-row INSERT by many clients, into
//! the same table bare, with an empty PL/pgSQL trigger, with a PL/pgSQL trigger that does the same
//! checks over the same rules, and protected. Rounds are interleaved, so that a slow minute of the
//! machine hits all four; ratios are taken within a round. Sizes are in README.md.

#[path = "insert/contenders.rs"]
mod contenders;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use serde_json::{Value, json};
use support::cluster::{Cluster, ClusterOptions, Database, SUPERUSER};
use support::measure::{Environment, median, quantile, size};
use support::table::{Column, Table};
use support::texts::{Comment, Generator};

use contenders::{CONTENDERS, Contender, HAND};

const SEED: u64 = 2026;

fn main() {
    let rows = size("BENCH_ROWS", 300_000);
    let hand_rows = size("BENCH_HAND_ROWS", 5_000).min(rows);
    let rounds = size("BENCH_ROUNDS", 5);
    let clients = size("BENCH_CLIENTS", 8);
    let seconds = size("BENCH_SECONDS", 3);

    let cluster = Cluster::start(
        ClusterOptions::default()
            .with("shared_buffers", "512MB")
            // WAL files are reused, not created anew within a turn.
            .with("max_wal_size", "4GB")
            .with("min_wal_size", "2GB")
            .with("autovacuum", "off"),
    );
    let database = cluster.database();
    let mut client = database.client();
    let environment = Environment::read(&mut client);
    println!("{environment}");
    let rules = contenders::prepare(&mut client);
    println!("{rules}\n");

    let mut generator = Generator::new(SEED);
    let comments: Vec<Comment> = (0..rows).map(|_| generator.comment()).collect();
    let whole = write_copy_file(&cluster, "whole", &comments);
    let part = write_copy_file(&cluster, "part", &comments[..hand_rows]);

    println!("COPY of {rows} rows ({hand_rows} by hand), {rounds} rounds");
    let copies = interleave(rounds, |contender| {
        let (file, rows) = if contender.name == HAND { (&part, hand_rows) } else { (&whole, rows) };
        let statement = contender.copy_from(file);
        settle(&mut client, contender);
        let start = Instant::now();
        client.batch_execute(&statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        start.elapsed().as_secs_f64() * 1e6 / rows as f64
    });
    print_copies(&copies);
    assert_untouched(&mut client, rows);

    println!("Single-row INSERT, {clients} clients, {seconds} s a turn, {rounds} rounds");
    let duration = Duration::from_secs(seconds as u64);
    let inserts = interleave(rounds, |contender| {
        settle(&mut client, contender);
        insert_for(&database, contender, &comments, clients, duration)
    });
    print_inserts(&inserts);

    let results = json!({
        "rules": rules, "rounds": rounds, "seed": SEED,
        "copy": {"rows": rows, "rows_by_hand": hand_rows, "microseconds_a_row": copies},
        "insert": {"clients": clients, "seconds": seconds, "turns": inserts},
    });
    println!("raw results: {}", environment.write_run("insert", &results).display());
}

/// Every contender's figures, in the order of the rounds.
fn interleave<T>(rounds: usize, mut turn: impl FnMut(&Contender) -> T) -> Vec<Vec<T>> {
    let mut figures: Vec<Vec<T>> = CONTENDERS.iter().map(|_| Vec::new()).collect();
    let mut generator = Generator::new(SEED);
    // One round before the first warms up caches and compiled rules.
    for round in 0..=rounds {
        // A turn suffers from what the one before it left to be written, so none may always follow
        // the same other.
        let mut order: Vec<usize> = (0..CONTENDERS.len()).collect();
        for place in (1..order.len()).rev() {
            order.swap(place, generator.below(place + 1));
        }
        for place in order {
            let figure = turn(&CONTENDERS[place]);
            if round > 0 {
                figures[place].push(figure);
            }
        }
    }
    figures
}

/// Empties the table and lets the server write what the turn before has left.
fn settle(client: &mut Client, contender: &Contender) {
    client.batch_execute(&contender.empty()).expect("the table is there");
    client.batch_execute("CHECKPOINT").expect("a superuser may");
}

/// The median over the rounds of each figure's ratio to the bare table's of the same round.
fn ratio(figures: &[f64], bare: &[f64]) -> f64 {
    median(&figures.iter().zip(bare).map(|(figure, bare)| figure / bare).collect::<Vec<_>>())
}

fn print_copies(copies: &[Vec<f64>]) {
    let mut table = Table::new([
        Column::left("table"),
        Column::right("µs a row, median"),
        Column::right("least"),
        Column::right("most"),
        Column::right("× bare"),
        Column::right("least × least"),
    ]);
    for (contender, figures) in CONTENDERS.iter().zip(copies) {
        table.row([
            contender.title.to_string(),
            format!("{:.2}", median(figures)),
            format!("{:.2}", quantile(figures, 0.0)),
            format!("{:.2}", quantile(figures, 1.0)),
            format!("{:.2}", ratio(figures, &copies[0])),
            format!("{:.2}", quantile(figures, 0.0) / quantile(&copies[0], 0.0)),
        ]);
    }
    println!("{table}");
}

fn print_inserts(turns: &[Vec<Value>]) {
    let mut table = Table::new([
        Column::left("table"),
        Column::right("inserts a second, median"),
        Column::right("p50 ms"),
        Column::right("p99 ms"),
        Column::right("% of bare"),
    ]);
    let of = |turns: &[Value], name: &str| -> Vec<f64> {
        turns.iter().filter_map(|turn| turn[name].as_f64()).collect()
    };
    let bare = of(&turns[0], "a_second");
    for (contender, turns) in CONTENDERS.iter().zip(turns) {
        let rates = of(turns, "a_second");
        table.row([
            contender.title.to_string(),
            format!("{:.0}", median(&rates)),
            format!("{:.3}", median(&of(turns, "p50_ms"))),
            format!("{:.3}", median(&of(turns, "p99_ms"))),
            format!("{:.1}", 100.0 * ratio(&rates, &bare)),
        ]);
    }
    println!("{table}");
}

/// Lets clients insert for a while: how many inserts a second, and how long one took.
fn insert_for(
    database: &Database,
    contender: &Contender,
    comments: &[Comment],
    clients: usize,
    duration: Duration,
) -> Value {
    let (go, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let statement = contender.insert();
    let work = |first: usize| {
        let mut client = database.client();
        let insert = client.prepare(&statement).expect("the table is there");
        let mut times = Vec::new();
        while !go.load(Relaxed) {
            thread::sleep(Duration::from_micros(500));
        }
        for comment in comments[first..].iter().chain(comments.iter()).cycle() {
            if stop.load(Relaxed) {
                break;
            }
            let Comment { author, email, ip, body } = comment;
            let start = Instant::now();
            client.execute(&insert, &[author, email, ip, body]).expect("ham is inserted");
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..clients)
            .map(|client| scope.spawn(move || work(client * comments.len() / clients)))
            .collect();
        // Connecting and preparing are not what is measured.
        support::wait::until(Duration::from_secs(30), "the clients", || {
            connected(database) >= clients as i64
        });
        let start = Instant::now();
        go.store(true, Relaxed);
        thread::sleep(duration);
        stop.store(true, Relaxed);
        let times: Vec<f64> = workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("no insert failed"))
            .collect();
        json!({
            "a_second": times.len() as f64 / start.elapsed().as_secs_f64(),
            "p50_ms": quantile(&times, 0.5), "p99_ms": quantile(&times, 0.99),
        })
    })
}

/// The sessions that have prepared their insert and wait for the start.
fn connected(database: &Database) -> i64 {
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE backend_type = 'client backend' AND datname = $1 AND state = 'idle'
                     AND query LIKE 'INSERT%'";
    let mut client = database.cluster().connect("postgres", SUPERUSER);
    client.query_one(waiting, &[&database.name()]).expect("a query").get(0)
}

/// The comments as a file that the server copies from: no client is measured along.
fn write_copy_file(cluster: &Cluster, name: &str, comments: &[Comment]) -> String {
    let path = cluster.folder().join(format!("{name}.copy"));
    let line = |c: &Comment| format!("{}\t{}\t{}\t{}\n", c.author, c.email, c.ip, c.body);
    std::fs::write(&path, comments.iter().map(line).collect::<String>())
        .expect("the disk has room");
    path.display().to_string()
}

/// Fails when a contender held something back: then the times would be of another work.
fn assert_untouched(client: &mut Client, rows: usize) {
    for contender in CONTENDERS {
        let held = format!(
            "SELECT count(*), count(*) FILTER (WHERE status <> 'approved') FROM {}",
            contender.name
        );
        let row = client.query_one(&held, &[]).expect("the table is there");
        let (found, held): (i64, i64) = (row.get(0), row.get(1));
        assert_eq!(held, 0, "{} judged ham as something else", contender.name);
        assert!(contender.name == HAND || found == rows as i64, "{} lost rows", contender.name);
    }
}
