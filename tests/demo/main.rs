//! `make demo`: a throw-away server with the installed extension, a stand-in Akismet, a comments
//! table under protection, and some dozen visitors. Shows what the app, the analyst and the readers
//! see; it proves nothing that the tests do not, and leaves nothing running.

mod comments;
mod site;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use support::akismet::{Akismet, ENABLE, Endpoint};
use support::cluster::{Cluster, ClusterOptions};
use support::http::Reply;
use support::table::{Column, Table, cut};
use support::wait;

use comments::VISITORS;
use site::{Fate, Refusal, Site};

const WIDTH: usize = 110;
// How far away the stand-in Akismet seems: about what the real one takes.
const LATENCY: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let cluster = step("Starting a throw-away server with pg_spamcheck preloaded", || {
        Cluster::start(ClusterOptions::default())
    });
    let akismet = step("Starting a stand-in Akismet, 150 ms away", || {
        let akismet = Akismet::start();
        akismet.set_latency(LATENCY);
        let knows = |body: &str| VISITORS.iter().any(|v| v.known_to_akismet && v.body == body);
        akismet.always(
            move |request| {
                Endpoint::of(request) == Some(Endpoint::CommentCheck)
                    && request.param("comment_content").is_some_and(|body| knows(&body))
            },
            Reply::text("true"),
        );
        akismet.attach(&cluster);
        akismet
    });
    let database = cluster.empty_database();
    let mut site = Site::open(database.client());
    step("The app's own table", || site.show(site::TABLE));
    step("The DBA protects it", || {
        site.show("CREATE EXTENSION pg_spamcheck;");
        let mut table = Table::new([Column::left("field"), Column::left("comes from")]);
        for (field, source) in site.protect() {
            table.row([field, source]);
        }
        print!("\n{table}");
    });
    step("… and says what is not wanted", || {
        site.add_rules();
        site.show(ENABLE);
    });

    let fates = step(&format!("{} visitors comment", VISITORS.len()), || site.let_all_comment());
    print_fates(&fates);
    print_refusal(&fates);

    let waited = step("Akismet is asked about the rest, by the worker", || {
        let start = Instant::now();
        wait::poll(PATIENCE, || site.all_looked_up().then(|| start.elapsed()))
    });
    print_changes(&mut site, &fates);
    print_log(&mut site);
    let agrees = print_sums(&mut site, &fates, &akismet, waited);

    drop(site);
    drop(database);
    step("Stopping and removing the server", || drop(cluster));
    println!("\nNext:");
    println!(
        "  make install                                   puts the extension into your own PostgreSQL"
    );
    println!(
        "  shared_preload_libraries = 'pg_spamcheck'      goes into its postgresql.conf, then restart"
    );
    println!(
        "  SELECT * FROM spamcheck.protect('your_table'); after CREATE EXTENSION pg_spamcheck"
    );
    if agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn heading(title: &str) {
    match std::io::stdout().is_terminal() {
        true => println!("\n\x1b[1m{title}\x1b[0m"),
        false => println!("\n{title}"),
    }
}

fn step<T>(title: &str, work: impl FnOnce() -> T) -> T {
    heading(title);
    let start = Instant::now();
    let result = work();
    println!("  done in {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    result
}

fn print_fates(fates: &[Fate]) {
    let mut table = Table::new([
        Column::right(""),
        Column::left("author").at_most(20),
        Column::left("comment").at_most(46),
        Column::left("the app reads").at_most(13),
        Column::right("ms"),
    ]);
    for (number, fate) in fates.iter().enumerate() {
        let answer = match &fate.answer {
            Ok(row) => row.status.clone(),
            Err(_) => "an error".into(),
        };
        let took = format!("{:.1}", fate.took.as_secs_f64() * 1e3);
        let visitor = fate.visitor;
        table.row([&(number + 1).to_string(), visitor.author, visitor.body, &answer, &took]);
    }
    print!("{table}");
}

fn print_refusal(fates: &[Fate]) {
    let Some((fate, refusal)) = fates.iter().find_map(|f| Some((f, f.answer.as_ref().err()?)))
    else {
        return;
    };
    heading(&format!("A rejection, as the app of \"{}\" gets it", fate.visitor.author));
    let Refusal { message, detail, hint, sqlstate, constraint } = refusal;
    for (name, value) in [
        ("message", message),
        ("detail", detail),
        ("hint", hint),
        ("sqlstate", sqlstate),
        ("constraint", constraint),
    ] {
        println!("  {name:<11}{}", cut(value, WIDTH - 14));
    }
}

fn print_changes(site: &mut Site, fates: &[Fate]) {
    let mut table = Table::new([
        Column::right("row"),
        Column::left("author").at_most(24),
        Column::left("comment").at_most(42),
        Column::left("before → after Akismet"),
    ]);
    let mut changes = 0;
    let now = site.statuses();
    for (fate, row) in fates.iter().filter_map(|fate| Some((fate, fate.answer.as_ref().ok()?))) {
        let after = now.get(&row.id).map_or("gone", String::as_str);
        if after != row.status {
            changes += 1;
            let change = format!("{} → {after}", row.status);
            table.row([&row.id.to_string(), fate.visitor.author, fate.visitor.body, &change]);
        }
    }
    heading(&format!("Rows that its answers changed: {changes}"));
    print!("{table}");
}

fn print_log(site: &mut Site) {
    heading("The analyst: SELECT … FROM spamcheck.recent");
    let mut table = Table::new([
        Column::left("check"),
        Column::left("outcome"),
        Column::left("author").at_most(24),
        Column::left("why").at_most(48),
    ]);
    for entry in site.log() {
        table.row(entry);
    }
    print!("{table}");
}

/// Whether every comment is accounted for and nothing is left to do.
fn print_sums(
    site: &mut Site,
    fates: &[Fate],
    akismet: &Akismet,
    waited: Option<Duration>,
) -> bool {
    let statuses = site.statuses();
    let count = |status: &str| statuses.values().filter(|found| *found == status).count();
    let rejected = fates.iter().filter(|fate| fate.answer.is_err()).count();
    let (ham, held, spam) = (count("approved"), count("pending"), count("spam"));
    let inserting: Duration = fates.iter().map(|fate| fate.took).sum();
    heading("In sum");
    println!(
        "  {} comments: {ham} approved, {held} pending, {spam} spam, {rejected} rejected",
        fates.len()
    );
    println!("  {:.2} ms an insert on average", inserting.as_secs_f64() * 1e3 / fates.len() as f64);
    let asked = akismet.requests_for(Endpoint::CommentCheck).len();
    match waited {
        Some(waited) => println!(
            "  {asked} questions to Akismet, all answered {:.0} ms after the last insert",
            waited.as_secs_f64() * 1e3
        ),
        None => {
            println!("  Akismet's answers did not come within {PATIENCE:?}: see the server's log")
        }
    }
    let problems = akismet.problems();
    problems.iter().for_each(|problem| println!("  Akismet would object: {problem}"));
    let all_counted = ham + held + spam + rejected == fates.len();
    waited.is_some() && asked > 0 && problems.is_empty() && all_counted
}
