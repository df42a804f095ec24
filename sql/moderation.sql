-- What moderators call. Each may be called again without harm, and says what it did, or found done, as jsonb.

CREATE FUNCTION spamcheck.not_spam(log_id bigint) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'not_spam_wrapper';
COMMENT ON FUNCTION spamcheck.not_spam(bigint) IS
    'Takes the findings on a submission back: its row gets its own status again, or is inserted if it was rejected; its subscriber is resubscribed, and Akismet is told';

CREATE FUNCTION spamcheck.report_spam(relation regclass, key text) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'report_spam_wrapper';
COMMENT ON FUNCTION spamcheck.report_spam(regclass, text) IS
    'Makes a row spam and tells Akismet; key: the primary key''s value, or a JSON object of its columns';

CREATE FUNCTION spamcheck.approve(relation regclass, key text) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'approve_wrapper';
COMMENT ON FUNCTION spamcheck.approve(regclass, text) IS
    'Releases a row that is moderated or spam; key: the primary key''s value, or a JSON object of its columns';

CREATE FUNCTION spamcheck.delete_spam(log_id bigint) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'delete_spam_wrapper';
COMMENT ON FUNCTION spamcheck.delete_spam(bigint) IS 'Deletes the row that a log entry is about';

CREATE FUNCTION spamcheck.block_from_log(log_id bigint, what text, expires_in interval DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'block_from_log_wrapper';
COMMENT ON FUNCTION spamcheck.block_from_log(bigint, text, interval) IS
    'Puts the author, url, email, ip or domain of a log entry on the list that blocks such; gives the list and the entry';

CREATE FUNCTION spamcheck.resubscribe(subscriber text, restore_rows boolean DEFAULT false) RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'resubscribe_wrapper';
COMMENT ON FUNCTION spamcheck.resubscribe(text, boolean) IS
    'Resubscribes who was unsubscribed because of spam; with restore_rows, the rows that were suppressed get their own status again';

CREATE FUNCTION spamcheck.subscriber_status(subscriber text) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'subscriber_status_wrapper';
COMMENT ON FUNCTION spamcheck.subscriber_status(text) IS
    'Since when somebody is unsubscribed because of spam, as a sentence; NULL: is not';
