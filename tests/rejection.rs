//! Rejected rows: the error, and the log entry that outlives the rollback.
