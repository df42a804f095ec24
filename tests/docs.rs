//! The SQL in README and docs runs.
