//! Prints docs/checks.md, for `make docs`.

fn main() {
    print!("{}", spamcheck_engine::page::checks_page());
}
