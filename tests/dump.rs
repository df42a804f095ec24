//! pg_dump and pg_restore.
