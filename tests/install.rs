//! CREATE and DROP EXTENSION, preloading, comments on every member.
