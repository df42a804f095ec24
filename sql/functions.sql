-- The functions that people call, and those that triggers call (with a leading underscore).

-- For the DBA ---------------------------------------------------------------------------------------

CREATE FUNCTION spamcheck.protect(relation regclass, policy text DEFAULT 'default', columns jsonb DEFAULT NULL,
                                  status jsonb DEFAULT NULL, article jsonb DEFAULT NULL,
                                  subscriber jsonb DEFAULT NULL, on_update boolean DEFAULT true)
    RETURNS TABLE (field text, source text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'protect_wrapper';
COMMENT ON FUNCTION spamcheck.protect(regclass, text, jsonb, jsonb, jsonb, jsonb, boolean) IS
    'Puts a table under a policy and gives the mapping in force: which source each field of a submission comes from';

CREATE FUNCTION spamcheck.unprotect(relation regclass) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'unprotect_wrapper';
COMMENT ON FUNCTION spamcheck.unprotect(regclass) IS 'Takes a table out of its policy; its log rows stay';

CREATE FUNCTION spamcheck.create_policy(name text, preset text DEFAULT 'default') RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'create_policy_wrapper';
COMMENT ON FUNCTION spamcheck.create_policy(text, text) IS
    'Makes a policy from a preset: default, actionkit, gitlab or serendipity';

CREATE FUNCTION spamcheck.drop_policy(name text) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'drop_policy_wrapper';
COMMENT ON FUNCTION spamcheck.drop_policy(text) IS
    'Drops a policy that no table is under; its log rows stay, and are purged by the retention that it had';

CREATE FUNCTION spamcheck.import_list(list text, entries text, format text DEFAULT 'lines') RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'import_list_wrapper';
COMMENT ON FUNCTION spamcheck.import_list(text, text, text) IS
    'Adds the entries of a text (format lines, words or serendipity) to a list, all or none; gives how many are new. In lines of lists of kind ip and domain, # and ; begin a comment';

CREATE FUNCTION spamcheck.retry_lookups(kind text DEFAULT NULL) RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'retry_lookups_wrapper';
COMMENT ON FUNCTION spamcheck.retry_lookups(text) IS
    'Makes lookups that wait, failed or expired due at once (of one kind, or all); gives how many';

CREATE FUNCTION spamcheck.akismet_verify_key() RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'akismet_verify_key_wrapper';
COMMENT ON FUNCTION spamcheck.akismet_verify_key() IS
    'Asks Akismet by way of the worker whether it takes the key: valid, invalid, or failed: and why; valid lets lookups go on at once';

CREATE FUNCTION spamcheck.akismet_usage() RETURNS jsonb
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'akismet_usage_wrapper';
COMMENT ON FUNCTION spamcheck.akismet_usage() IS
    'Asks Akismet by way of the worker how many calls the key has made this month, and its limit';

CREATE PROCEDURE spamcheck.remember(relation regclass)
    LANGUAGE c AS 'MODULE_PATHNAME', 'spamcheck_remember';
COMMENT ON PROCEDURE spamcheck.remember(regclass) IS
    'Lets duplicate, ip_interval and bypass know the rows that a protected table has already; commits as it goes, and goes on where a cancelled call stopped';

CREATE FUNCTION spamcheck.grant_access(role regrole, level text) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'grant_access_wrapper';
COMMENT ON FUNCTION spamcheck.grant_access(regrole, text) IS
    'Gives a role access as admin, moderator, analyst or app';

CREATE FUNCTION spamcheck.revoke_access(role regrole) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'revoke_access_wrapper';
COMMENT ON FUNCTION spamcheck.revoke_access(regrole) IS 'Takes all access from a role';

CREATE FUNCTION spamcheck.health() RETURNS TABLE (item text, state text, message text, hint text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'health_wrapper';
COMMENT ON FUNCTION spamcheck.health() IS 'What works, what does not, and what to do about it';

CREATE FUNCTION spamcheck.stat_reset() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'stat_reset_wrapper';
COMMENT ON FUNCTION spamcheck.stat_reset() IS 'Has the views stat_* begin to count anew; the log stays as it is';

CREATE FUNCTION spamcheck.privacy_report(relation regclass) RETURNS TABLE (field text, source text, sent_to text, kept text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'privacy_report_wrapper';
COMMENT ON FUNCTION spamcheck.privacy_report(regclass) IS
    'What leaves the database of each field of a protected table''s submissions, to whom, and what is kept of it, as the policy is set now';

CREATE FUNCTION spamcheck.erase_subject(email text DEFAULT NULL, ip inet DEFAULT NULL) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'erase_subject_wrapper';
COMMENT ON FUNCTION spamcheck.erase_subject(text, inet) IS
    'Takes what the extension has of a person out of log, lookups, history, mail and caches, and says how much of it there was and is left; the protected tables are not touched';

CREATE FUNCTION spamcheck.public_view(relation regclass, view_name text) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'public_view_wrapper';
COMMENT ON FUNCTION spamcheck.public_view(regclass, text) IS
    'Makes a view of a protected table for everybody to see: rows that are ham, without e-mail and IP addresses; grants nothing';

CREATE FUNCTION spamcheck.explain(relation regclass, submission jsonb)
    RETURNS TABLE (check_name text, action text, score real, why text, detail jsonb, microseconds real)
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'explain_wrapper';
COMMENT ON FUNCTION spamcheck.explain(regclass, jsonb) IS
    'What every enabled check of a protected table says about a submission that need not exist; nothing is written, counted or called';

-- For the app ---------------------------------------------------------------------------------------

CREATE FUNCTION spamcheck.akismet_webhook(payload jsonb) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'akismet_webhook_wrapper';
COMMENT ON FUNCTION spamcheck.akismet_webhook(jsonb) IS
    'Takes what Akismet posts to the site''s callback when it changes its mind, and gives what to answer; a row that somebody else has decided about stays as it is';
CREATE FUNCTION spamcheck.captcha_new(provider text DEFAULT NULL, relation regclass DEFAULT NULL) RETURNS jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'captcha_new_wrapper';
COMMENT ON FUNCTION spamcheck.captcha_new(text, regclass) IS
    'A captcha to be shown with a form: ALTCHA''s challenge, or an image''s id and PNG in base64. Without a provider, the one that the policy of the table has, or else altcha';

-- Internal ------------------------------------------------------------------------------------------

CREATE FUNCTION spamcheck._guard() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'spamcheck_guard';
COMMENT ON FUNCTION spamcheck._guard() IS 'Internal: the BEFORE trigger of protected tables; judges a row';

CREATE FUNCTION spamcheck._record() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'spamcheck_record';
COMMENT ON FUNCTION spamcheck._record() IS 'Internal: the AFTER trigger of protected tables; writes down what was found';

CREATE FUNCTION spamcheck._judged(protection integer, relation oid, place tid) RETURNS boolean
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE COST 1 AS 'MODULE_PATHNAME', 'spamcheck_judged';
COMMENT ON FUNCTION spamcheck._judged(integer, oid, tid) IS
    'Internal: the WHEN clause of the AFTER trigger; whether something was found about the row stored there';

CREATE FUNCTION spamcheck._valid() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'spamcheck_valid';
COMMENT ON FUNCTION spamcheck._valid() IS 'Internal: checks what is written into policies, settings and lists';

CREATE FUNCTION spamcheck._emptied() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'spamcheck_emptied';
COMMENT ON FUNCTION spamcheck._emptied() IS 'Internal: a TRUNCATE of policies or lists is treated as a DELETE of all';

CREATE FUNCTION spamcheck._completed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'spamcheck_completed';
COMMENT ON FUNCTION spamcheck._completed() IS 'Internal: gives a new policy its row for each check';

CREATE FUNCTION spamcheck._changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'spamcheck_changed';
COMMENT ON FUNCTION spamcheck._changed() IS 'Internal: tells all sessions that policies, settings or lists changed';

CREATE FUNCTION spamcheck._queued() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'spamcheck_queued';
COMMENT ON FUNCTION spamcheck._queued() IS 'Internal: wakes the worker once queued lookups are committed';

CREATE FUNCTION spamcheck._mail_queued() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'spamcheck_mail_queued';
COMMENT ON FUNCTION spamcheck._mail_queued() IS 'Internal: tells the worker that moderators are to be mailed once that is committed';

CREATE FUNCTION spamcheck._renamed() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'spamcheck_renamed';
COMMENT ON FUNCTION spamcheck._renamed() IS 'Internal: mappings follow renamed columns and tables';

CREATE FUNCTION spamcheck._attached() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'spamcheck_attached';
COMMENT ON FUNCTION spamcheck._attached() IS 'Internal: no protected table becomes a partition of a protected one';

CREATE FUNCTION spamcheck._dropped() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'spamcheck_dropped';
COMMENT ON FUNCTION spamcheck._dropped() IS 'Internal: a protection goes with its table';

CREATE FUNCTION spamcheck._catalogue() RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'catalogue_wrapper';
COMMENT ON FUNCTION spamcheck._catalogue() IS 'Internal: the catalogue of checks behind the view spamcheck.checks';

CREATE FUNCTION spamcheck._worker_state() RETURNS jsonb
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'worker_state_wrapper';
COMMENT ON FUNCTION spamcheck._worker_state() IS 'Internal: the worker''s counters behind the view spamcheck.stat_worker';

CREATE FUNCTION spamcheck._check_times() RETURNS jsonb
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'check_times_wrapper';
COMMENT ON FUNCTION spamcheck._check_times() IS 'Internal: the mean times of checks behind the view spamcheck.stat_check';

CREATE FUNCTION spamcheck._call_worker() RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'call_worker_wrapper';
COMMENT ON FUNCTION spamcheck._call_worker() IS 'Internal: asks for a worker in this database once the transaction is committed';
