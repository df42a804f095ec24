-- Nothing is installed unless the library was preloaded: the worker, the mailbox and the settings
-- would be missing, and a key in postgresql.conf would be readable by everybody.
CREATE FUNCTION spamcheck._require_preload() RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'require_preload_wrapper';
COMMENT ON FUNCTION spamcheck._require_preload() IS 'Internal: fails unless pg_spamcheck is in shared_preload_libraries';
SELECT spamcheck._require_preload();
