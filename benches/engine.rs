//! Owns the speed of the engine: a ham row and long text through the default preset with ordinary
//! lists, and the compilation of lists. It must not measure anything that needs a server.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher};
use spamcheck_engine::presets;
use spamcheck_engine::{
    Backing, Facts, Field, List, ListKind, Policy, PolicySettings, Submission, Value,
};

/// Shows allocations beside the times: a ham row must have none.
#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const MAX_CHARS: usize = 65_536;

fn main() {
    divan::main();
}

struct Lists(HashMap<&'static str, Rc<List>>);

impl Backing for Lists {
    fn list(&mut self, name: &str) -> Result<Rc<List>, String> {
        self.0.get(name).cloned().ok_or_else(|| format!("there is no list {name}"))
    }

    fn interval(&mut self, text: &str) -> Result<i64, String> {
        Err(format!("no interval: {text}"))
    }
}

fn compile(kind: ListKind, entries: &[String]) -> Rc<List> {
    Rc::new(List::compile(kind, &mut entries.iter().map(String::as_str)).expect("good entries"))
}

fn words(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| match n % 4 {
            0 => format!("spamword{n}"),
            1 => format!("buy {n} pills"),
            2 => format!("shop{n}.example"),
            _ => format!("слово{n}"),
        })
        .collect()
}

fn patterns() -> Vec<String> {
    (0..100)
        .map(|n| match n % 4 {
            0 => format!(r"@spam{n}\.example$"),
            1 => format!(r"\Abot{n}[0-9]+@"),
            2 => format!("offer{n}.*@mail"),
            _ => format!("casino{n}"),
        })
        .collect()
}

fn networks(count: usize) -> Vec<String> {
    let mut random = 88_172_645_463_325_252_u64;
    (0..count)
        .map(|_| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            format!("{}.{}.{}.0/24", random >> 8 & 0x7F, random >> 16 & 0xFF, random >> 24 & 0xFF)
        })
        .collect()
}

fn policy() -> Policy {
    let mut lists = Lists(HashMap::from([
        ("ip_allow", compile(ListKind::Ip, &[])),
        ("ip_block", compile(ListKind::Ip, &networks(10_000))),
        ("email_block", compile(ListKind::Regex, &patterns())),
        ("banned_words", compile(ListKind::Word, &words(500))),
    ]));
    let preset = presets::find("default").expect("a preset");
    Policy::compile(PolicySettings::default(), preset.check_settings(), &mut lists)
}

const SENTENCES: &[&str] = &[
    "I have read the article twice now and still wonder about the second part.",
    "Thank you for sharing, it was a great help when we set up our own server.",
    "Does anybody know whether this works with the newer version, too?",
    "My sister told me about your blog, and I am glad that she did.",
];

const CYRILLIC: &[&str] = &[
    "Спасибо за статью, очень помогла при настройке нашего сервера.",
    "Кто-нибудь знает, работает ли это с новой версией?",
];

fn text(sentences: &[&str], bytes: usize) -> String {
    let mut text = String::new();
    for sentence in sentences.iter().cycle() {
        if text.len() + sentence.len() > bytes {
            return text;
        }
        let _ = write!(text, "{sentence} ");
    }
    text
}

fn submission(body: &str) -> Submission<'_> {
    let mut submission = Submission::new();
    submission.set(Field::Body, Value::Text(body.into()));
    submission.set(Field::Author, Value::Text("Marie Curie".into()));
    submission.set(Field::Email, Value::Text("marie.curie@mail.example".into()));
    submission.set(Field::Ip, Value::Ip([203, 0, 113, 7].into()));
    submission
}

fn judge(bencher: Bencher, body: &str) {
    let policy = policy();
    bencher.counter(BytesCount::of_str(body)).bench_local(|| {
        let submission = submission(divan::black_box(body));
        let facts = Facts::new(&submission, MAX_CHARS, 0);
        let judgement = policy.judge(&facts);
        assert!(judgement.findings.is_empty());
    });
}

#[divan::bench(args = [200, 300])]
fn ham_row(bencher: Bencher, bytes: usize) {
    judge(bencher, &text(SENTENCES, bytes));
}

#[divan::bench]
fn long_ascii(bencher: Bencher) {
    judge(bencher, &text(SENTENCES, 60_000));
}

#[divan::bench]
fn long_cyrillic(bencher: Bencher) {
    judge(bencher, &text(CYRILLIC, 60_000));
}

#[divan::bench]
fn long_mixed_accents(bencher: Bencher) {
    judge(bencher, &text(&["Le café était très bon, à bientôt, dit-elle.", SENTENCES[0]], 60_000));
}

#[divan::bench(args = [10, 500, 100_000])]
fn words_in_list(bencher: Bencher, count: usize) {
    let list = compile(ListKind::Word, &words(count));
    let body = text(SENTENCES, 300);
    let List::Words(words) = &*list else { unreachable!() };
    bencher.counter(BytesCount::of_str(&body)).bench_local(|| words.find(divan::black_box(&body)));
}

#[divan::bench(args = [500, 100_000])]
fn compile_words(bencher: Bencher, count: usize) {
    let words = words(count);
    bencher.bench_local(|| compile(ListKind::Word, &words));
}

#[divan::bench(args = [10_000, 100_000])]
fn compile_networks(bencher: Bencher, count: usize) {
    let networks = networks(count);
    bencher.bench_local(|| compile(ListKind::Ip, &networks));
}

#[divan::bench]
fn compile_patterns(bencher: Bencher) {
    let patterns = patterns();
    bencher.bench_local(|| compile(ListKind::Regex, &patterns));
}
