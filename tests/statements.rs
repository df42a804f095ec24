//! Every kind of statement that stores rows: verdicts, log rows, rollback.
