//! The `#[pg_test]` suites.
