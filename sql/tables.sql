-- The tables of pg_spamcheck: what an administrator sets, what an analyst reads, what the worker has
-- still to do. Owns no logic: the checks on what is written live in src/validation.rs, and every name
-- is qualified because the script must not depend on anybody's search_path.

-- No foreign keys between these tables: pg_restore --jobs loads them in any order, and knows nothing of the
-- keys of an extension. The triggers of src/validation.rs keep them together instead.

-- Policies ------------------------------------------------------------------------------------------

CREATE TABLE spamcheck.policy (
    name            text PRIMARY KEY,
    mode            text NOT NULL DEFAULT 'enforce',
    unsubscribe     boolean NOT NULL DEFAULT false,
    types           text[],
    moderate_at     real DEFAULT 5,
    spam_at         real DEFAULT 10,
    reject_at       real,
    on_error        text NOT NULL DEFAULT 'accept',
    on_reject       text NOT NULL DEFAULT 'error',
    reject_sqlstate text NOT NULL DEFAULT '23514',
    log_to          text NOT NULL DEFAULT 'table',
    keep            text NOT NULL DEFAULT 'full',
    retention       interval,
    notify_channel  text,
    mail_to         text[]
);
COMMENT ON TABLE spamcheck.policy IS 'Policies: which checks run on a submission, and what follows from the verdict. Changed by plain UPDATE; made by create_policy';
COMMENT ON COLUMN spamcheck.policy.name IS 'Name by which protect() is told of the policy';
COMMENT ON COLUMN spamcheck.policy.mode IS 'enforce; trial: all is checked and logged, no row is touched; off: nothing is checked';
COMMENT ON COLUMN spamcheck.policy.unsubscribe IS 'Unsubscribe the subscriber of a spam row';
COMMENT ON COLUMN spamcheck.policy.types IS 'The types of submission that are checked; NULL: all';
COMMENT ON COLUMN spamcheck.policy.moderate_at IS 'Sum of scores from which a row is moderated; NULL: off';
COMMENT ON COLUMN spamcheck.policy.spam_at IS 'Sum of scores from which a row is spam; NULL: off';
COMMENT ON COLUMN spamcheck.policy.reject_at IS 'Sum of scores from which a row is rejected; NULL: off';
COMMENT ON COLUMN spamcheck.policy.on_error IS 'What an internal failure of a check does to the row: accept, moderate or reject';
COMMENT ON COLUMN spamcheck.policy.on_reject IS 'error: the INSERT fails; drop: the row is silently not inserted';
COMMENT ON COLUMN spamcheck.policy.reject_sqlstate IS 'SQLSTATE of a rejection; 23514 is check_violation';
COMMENT ON COLUMN spamcheck.policy.log_to IS 'table, file (JSON lines in pg_spamcheck.log_file) or both';
COMMENT ON COLUMN spamcheck.policy.keep IS 'What the log keeps of the text: full, excerpt (200 characters) or hash';
COMMENT ON COLUMN spamcheck.policy.retention IS 'Age at which log rows are purged; NULL: never';
COMMENT ON COLUMN spamcheck.policy.notify_channel IS 'Channel that is notified when a verdict falls; NULL: none';
COMMENT ON COLUMN spamcheck.policy.mail_to IS 'Addresses that are mailed about newly moderated rows; NULL: none';

-- What drop_policy() leaves behind: what was logged under a policy is still to go in its time.
CREATE TABLE spamcheck._dropped_policy (
    policy     text PRIMARY KEY,
    retention  interval NOT NULL,
    dropped_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE spamcheck._dropped_policy IS 'Internal: the retention that dropped policies had; their log rows go on being purged by it';
COMMENT ON COLUMN spamcheck._dropped_policy.policy IS 'The name; a policy of that name that is made anew takes over';
COMMENT ON COLUMN spamcheck._dropped_policy.retention IS 'Age at which its log rows are purged';
COMMENT ON COLUMN spamcheck._dropped_policy.dropped_at IS 'When it was dropped';

CREATE TABLE spamcheck.check_setting (
    policy     text NOT NULL,
    check_name text NOT NULL,
    enabled    boolean NOT NULL,
    action     text NOT NULL,
    score      real NOT NULL,
    options    jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (policy, check_name)
);
COMMENT ON TABLE spamcheck.check_setting IS 'How each policy sets each check: one row for each pair, changed by plain UPDATE';
COMMENT ON COLUMN spamcheck.check_setting.policy IS 'The policy';
COMMENT ON COLUMN spamcheck.check_setting.check_name IS 'The check, as in spamcheck.checks';
COMMENT ON COLUMN spamcheck.check_setting.enabled IS 'Whether the check runs';
COMMENT ON COLUMN spamcheck.check_setting.action IS 'What a hit asks for: log, score, challenge, moderate, spam or reject';
COMMENT ON COLUMN spamcheck.check_setting.score IS 'What a hit adds to the sum of scores when the action is score';
COMMENT ON COLUMN spamcheck.check_setting.options IS 'The check''s options; those not given have the defaults shown in spamcheck.checks';

-- Lists ---------------------------------------------------------------------------------------------

CREATE TABLE spamcheck.list (
    name         text PRIMARY KEY,
    kind         text NOT NULL,
    source_url   text,
    refresh      interval,
    refreshed_at timestamptz,
    last_error   text,
    _filled      boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE spamcheck.list IS 'Lists: named entries that checks match against';
COMMENT ON COLUMN spamcheck.list.name IS 'Name by which a check''s options name the list';
COMMENT ON COLUMN spamcheck.list.kind IS 'word, regex, ip or domain';
COMMENT ON COLUMN spamcheck.list.source_url IS 'Where the worker fetches entries from; NULL: kept by hand';
COMMENT ON COLUMN spamcheck.list.refresh IS 'How often the worker fetches them; NULL: once';
COMMENT ON COLUMN spamcheck.list.refreshed_at IS 'When they were last fetched; set to NULL, they are fetched at once and taken even if they have become far fewer';
COMMENT ON COLUMN spamcheck.list.last_error IS 'What was wrong with the last fetch; NULL: nothing';
COMMENT ON COLUMN spamcheck.list._filled IS 'Internal: whether a preset has filled it once; what was emptied since stays empty';

CREATE TABLE spamcheck.list_entry (
    list       text NOT NULL,
    value      text NOT NULL,
    note       text,
    expires_at timestamptz,
    added_by   name NOT NULL DEFAULT CURRENT_USER,
    added_at   timestamptz NOT NULL DEFAULT pg_catalog.now(),
    _fetched   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (list, value)
);
COMMENT ON TABLE spamcheck.list_entry IS 'The entries of lists, checked when they are written';
COMMENT ON COLUMN spamcheck.list_entry.list IS 'The list';
COMMENT ON COLUMN spamcheck.list_entry.value IS 'A word or phrase, a regular expression, an address or network, or a domain, by the list''s kind';
COMMENT ON COLUMN spamcheck.list_entry.note IS 'Why it is there';
COMMENT ON COLUMN spamcheck.list_entry.expires_at IS 'From when on it no longer counts; NULL: never';
COMMENT ON COLUMN spamcheck.list_entry.added_by IS 'Who added it';
COMMENT ON COLUMN spamcheck.list_entry.added_at IS 'When it was added';
COMMENT ON COLUMN spamcheck.list_entry._fetched IS 'Internal: whether it is from the list''s source_url; only such entries go when they are not there any more';

CREATE TABLE spamcheck._source (
    list          text PRIMARY KEY,
    url           text NOT NULL,
    next_at       timestamptz NOT NULL,
    failures      integer NOT NULL DEFAULT 0,
    etag          text,
    last_modified text,
    contents      text
);
COMMENT ON TABLE spamcheck._source IS 'Internal: what the worker knows of the places that lists are fetched from; not in dumps';
COMMENT ON COLUMN spamcheck._source.list IS 'The list';
COMMENT ON COLUMN spamcheck._source.url IS 'Its source_url when it was last fetched';
COMMENT ON COLUMN spamcheck._source.next_at IS 'Not fetched before';
COMMENT ON COLUMN spamcheck._source.failures IS 'Failures in a row';
COMMENT ON COLUMN spamcheck._source.etag IS 'The ETag that came with what is in the list';
COMMENT ON COLUMN spamcheck._source.last_modified IS 'The Last-Modified that came with it';
COMMENT ON COLUMN spamcheck._source.contents IS 'Number and hash of the entries that came with it, to tell whether they are still there';

CREATE TABLE spamcheck._packed_list (
    list       text NOT NULL,
    entries    bytea,
    expires_at timestamptz
);
ALTER TABLE spamcheck._packed_list ALTER entries SET STORAGE EXTERNAL;
COMMENT ON TABLE spamcheck._packed_list IS 'Internal: lists in one piece where they are long, made by the worker; see src/packed.rs';
COMMENT ON COLUMN spamcheck._packed_list.list IS 'The list';
COMMENT ON COLUMN spamcheck._packed_list.entries IS 'Its entries, a line each, in UTF-8; NULL: a mark that entries were touched, so that no row here holds';
COMMENT ON COLUMN spamcheck._packed_list.expires_at IS 'When the first of the entries expires';

-- Protected tables ----------------------------------------------------------------------------------

-- The table itself is not named here: its triggers carry the id, so they are the one truth about which
-- table it is, through RENAME, SET SCHEMA, dump and restore.
CREATE SEQUENCE spamcheck._protection_id_seq AS integer;
COMMENT ON SEQUENCE spamcheck._protection_id_seq IS 'Ids of protections';
CREATE TABLE spamcheck._protection (
    id           integer PRIMARY KEY DEFAULT pg_catalog.nextval('spamcheck._protection_id_seq'),
    policy       text NOT NULL,
    columns      jsonb NOT NULL,
    status       jsonb NOT NULL,
    article      jsonb,
    subscriber   jsonb,
    on_update    boolean NOT NULL,
    protected_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    hints        jsonb,
    former_status jsonb
);
COMMENT ON COLUMN spamcheck._protection.former_status IS 'The mappings of the status that were in force before, oldest first: rows may still have what they wrote';
COMMENT ON COLUMN spamcheck._protection.hints IS 'Numbers that the catalogs had for the names, to tell a renaming; see src/renames.rs';
ALTER SEQUENCE spamcheck._protection_id_seq OWNED BY spamcheck._protection.id;
COMMENT ON TABLE spamcheck._protection IS 'What protect() was told, by the id that the table''s triggers carry; read it through protected_table';

-- The memory ----------------------------------------------------------------------------------------

-- What duplicate, ip_interval and bypass know of earlier rows. Every row here is a promise that a row of
-- a protected table may have left this trace: whether it is there, and has it, is looked up in the table.
CREATE TABLE spamcheck._seen (
    hash       bigint NOT NULL,
    at         timestamptz NOT NULL,
    protection integer NOT NULL,
    n          integer NOT NULL,
    key        bytea NOT NULL,
    latest     timestamptz,
    PRIMARY KEY (hash, protection, n)
)
-- Rows go as they come; without this they would wait for a fifth of what is kept for ever.
WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE spamcheck._seen IS 'Internal: the traces by which earlier rows are remembered; see src/memory.rs';
COMMENT ON COLUMN spamcheck._seen.hash IS 'A hash of the trace; its two lowest bits are the kind: 0 body, 1 IP address, 2 author, 3 body with what must be the same';
COMMENT ON COLUMN spamcheck._seen.at IS 'When the row came: by the clock, or when it was created if that is earlier';
COMMENT ON COLUMN spamcheck._seen.protection IS 'The protection';
COMMENT ON COLUMN spamcheck._seen.n IS 'From 0 on in the order of arrival; below, what remember() added';
COMMENT ON COLUMN spamcheck._seen.key IS 'The row''s primary key as text in UTF-8, an array in JSON if it has several columns; empty: the table has none';
COMMENT ON COLUMN spamcheck._seen.latest IS 'The latest time of those with a lower number; NULL: none of them came later than this';

CREATE TABLE spamcheck._remembering (
    protection integer PRIMARY KEY,
    kinds      integer NOT NULL,
    reached    bytea NOT NULL
);
COMMENT ON TABLE spamcheck._remembering IS 'Internal: where a call of remember() stopped before the end';
COMMENT ON COLUMN spamcheck._remembering.protection IS 'The protection';
COMMENT ON COLUMN spamcheck._remembering.kinds IS 'The kinds of traces that it was to add, as bits';
COMMENT ON COLUMN spamcheck._remembering.reached IS 'The key of the last row that is remembered';

CREATE TABLE spamcheck._unneeded (
    protection integer,
    kind       integer,
    since      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (protection, kind)
);
COMMENT ON TABLE spamcheck._unneeded IS 'Internal: kinds of traces that no enabled check needs any more; they are forgotten after an hour';
COMMENT ON COLUMN spamcheck._unneeded.protection IS 'The protection';
COMMENT ON COLUMN spamcheck._unneeded.kind IS 'The kind, as in _seen.hash';
COMMENT ON COLUMN spamcheck._unneeded.since IS 'When the worker noticed';

-- Captchas ------------------------------------------------------------------------------------------

-- Not in dumps: what was used there within the last minutes is not missed.
CREATE TABLE spamcheck._captcha_used (
    challenge  bytea PRIMARY KEY,
    expires_at timestamptz NOT NULL
)
WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE spamcheck._captcha_used IS 'Internal: challenges whose answer was used; each counts once. The worker deletes those that have expired';
COMMENT ON COLUMN spamcheck._captcha_used.challenge IS 'A hash of what tells the challenge, or a service''s token, from others';
COMMENT ON COLUMN spamcheck._captcha_used.expires_at IS 'From when on nobody would take the answer anyway';

-- The log -------------------------------------------------------------------------------------------

CREATE SEQUENCE spamcheck._submission_id_seq;
COMMENT ON SEQUENCE spamcheck._submission_id_seq IS 'Ids of logged submissions';
CREATE SEQUENCE spamcheck.spam_checklog_id_seq;
COMMENT ON SEQUENCE spamcheck.spam_checklog_id_seq IS 'Ids of spam_checklog';
CREATE TABLE spamcheck.spam_checklog (
    id            bigint PRIMARY KEY DEFAULT pg_catalog.nextval('spamcheck.spam_checklog_id_seq'),
    logged_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    relation      text NOT NULL,
    row_key       jsonb,
    submission_id bigint NOT NULL,
    policy        text NOT NULL,
    check_name    text NOT NULL,
    action        text NOT NULL,
    outcome       text NOT NULL,
    score         real NOT NULL DEFAULT 0,
    total_score   real NOT NULL DEFAULT 0,
    why           text NOT NULL,
    detail        jsonb,
    allowed       boolean NOT NULL DEFAULT false,
    author        text,
    email         text,
    ip            inet,
    url           text,
    user_agent    text,
    page          text,
    comment       text,
    submission    jsonb,
    reversed      boolean NOT NULL DEFAULT false,
    reversed_at   timestamptz,
    reversed_by   name,
    _protection   integer NOT NULL,
    _former       jsonb,
    _decision     text,
    _outcome      text
);
ALTER SEQUENCE spamcheck.spam_checklog_id_seq OWNED BY spamcheck.spam_checklog.id;
CREATE INDEX spam_checklog_logged_at ON spamcheck.spam_checklog (logged_at);
CREATE INDEX spam_checklog_retention ON spamcheck.spam_checklog (policy, logged_at);
CREATE INDEX spam_checklog_submission_id ON spamcheck.spam_checklog (submission_id);
CREATE INDEX spam_checklog_row ON spamcheck.spam_checklog (_protection, row_key);
COMMENT ON INDEX spamcheck.spam_checklog_row IS 'For finding what was found about a row';
COMMENT ON INDEX spamcheck.spam_checklog_logged_at IS 'For reading the newest rows';
COMMENT ON INDEX spamcheck.spam_checklog_retention IS 'For purging each policy''s oldest rows';
COMMENT ON INDEX spamcheck.spam_checklog_submission_id IS 'For reversing all findings of a submission';
COMMENT ON TABLE spamcheck.spam_checklog IS 'Spam check log: one row for each finding on each submission';
COMMENT ON COLUMN spamcheck.spam_checklog.logged_at IS 'When the finding was made';
COMMENT ON COLUMN spamcheck.spam_checklog.relation IS 'The protected table, schema-qualified and quoted as SQL needs';
COMMENT ON COLUMN spamcheck.spam_checklog.row_key IS 'The row''s primary key by column name; NULL: the row was rejected';
COMMENT ON COLUMN spamcheck.spam_checklog.submission_id IS 'One for all findings on a row';
COMMENT ON COLUMN spamcheck.spam_checklog.policy IS 'The policy in force';
COMMENT ON COLUMN spamcheck.spam_checklog.check_name IS 'The check that made the finding';
COMMENT ON COLUMN spamcheck.spam_checklog.action IS 'What the finding asked for';
COMMENT ON COLUMN spamcheck.spam_checklog.outcome IS 'What was decided: suppressed, flagged, moderated, rejected, challenged, allowed, not_spam, deleted or error';
COMMENT ON COLUMN spamcheck.spam_checklog.score IS 'What the finding added to the sum of scores';
COMMENT ON COLUMN spamcheck.spam_checklog.total_score IS 'The sum of scores (threat score) of the submission';
COMMENT ON COLUMN spamcheck.spam_checklog.why IS 'What the check found, for staff only';
COMMENT ON COLUMN spamcheck.spam_checklog.detail IS 'The same for programs: list, entry, field, offset in characters';
COMMENT ON COLUMN spamcheck.spam_checklog.allowed IS 'Whether an allow list or bypass let the submission pass all the same';
COMMENT ON COLUMN spamcheck.spam_checklog.author IS 'The submission''s author';
COMMENT ON COLUMN spamcheck.spam_checklog.email IS 'The author''s address';
COMMENT ON COLUMN spamcheck.spam_checklog.ip IS 'The sender''s IP address';
COMMENT ON COLUMN spamcheck.spam_checklog.url IS 'The author''s homepage';
COMMENT ON COLUMN spamcheck.spam_checklog.user_agent IS 'The sender''s browser';
COMMENT ON COLUMN spamcheck.spam_checklog.page IS 'The page, or else the title of the article';
COMMENT ON COLUMN spamcheck.spam_checklog.comment IS 'The text, as much of it as the policy''s keep says';
COMMENT ON COLUMN spamcheck.spam_checklog.submission IS 'All fields of a rejected submission, and the row as it would have been';
COMMENT ON COLUMN spamcheck.spam_checklog.reversed IS 'Whether staff reversed the decision';
COMMENT ON COLUMN spamcheck.spam_checklog.reversed_at IS 'When';
COMMENT ON COLUMN spamcheck.spam_checklog.reversed_by IS 'Who';
COMMENT ON COLUMN spamcheck.spam_checklog._protection IS 'Internal: the protection in force';
COMMENT ON COLUMN spamcheck.spam_checklog._former IS 'Internal: the row''s own status before the verdict';
COMMENT ON COLUMN spamcheck.spam_checklog._decision IS 'Internal: what staff said of the submission: ham or spam; NULL: nobody has looked';
COMMENT ON COLUMN spamcheck.spam_checklog._outcome IS 'Internal: the outcome before staff decided';

-- Who gets no mail any more because of spam, and who does again. Kept apart from the log, which may be purged.
CREATE SEQUENCE spamcheck.subscription_history_id_seq;
COMMENT ON SEQUENCE spamcheck.subscription_history_id_seq IS 'Ids of subscription_history';
CREATE TABLE spamcheck.subscription_history (
    id          bigint PRIMARY KEY DEFAULT pg_catalog.nextval('spamcheck.subscription_history_id_seq'),
    subscriber  text NOT NULL,
    relation    text NOT NULL,
    change      text NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    changed_by  name NOT NULL,
    log_id      bigint,
    _protection integer NOT NULL,
    CONSTRAINT subscription_history_change CHECK (change OPERATOR(pg_catalog.=) ANY (ARRAY['unsubscribe_spamcheck'::text, 'resubscribe'::text]))
);
ALTER SEQUENCE spamcheck.subscription_history_id_seq OWNED BY spamcheck.subscription_history.id;
CREATE INDEX subscription_history_subscriber ON spamcheck.subscription_history (subscriber, id);
COMMENT ON INDEX spamcheck.subscription_history_subscriber IS 'For finding a subscriber''s last change';
COMMENT ON CONSTRAINT subscription_history_change ON spamcheck.subscription_history IS 'The changes there are';
COMMENT ON TABLE spamcheck.subscription_history IS 'Subscribers who were unsubscribed because of spam, and who were resubscribed';
COMMENT ON COLUMN spamcheck.subscription_history.subscriber IS 'Whom: the key in the subscribers'' table as text, a JSON array if it has several columns';
COMMENT ON COLUMN spamcheck.subscription_history.relation IS 'The protected table that the spam was in';
COMMENT ON COLUMN spamcheck.subscription_history.change IS 'unsubscribe_spamcheck or resubscribe';
COMMENT ON COLUMN spamcheck.subscription_history.changed_at IS 'When';
COMMENT ON COLUMN spamcheck.subscription_history.changed_by IS 'By whom: of what happened by itself, the role that inserted the row, or the worker''s';
COMMENT ON COLUMN spamcheck.subscription_history.log_id IS 'The first finding on the submission, in spam_checklog; NULL: it is in the log file alone, or nobody named one';
COMMENT ON COLUMN spamcheck.subscription_history._protection IS 'Internal: the protection in force';

-- Lookups -------------------------------------------------------------------------------------------

CREATE SEQUENCE spamcheck.lookup_id_seq;
COMMENT ON SEQUENCE spamcheck.lookup_id_seq IS 'Ids of lookups';
CREATE TABLE spamcheck.lookup (
    id            bigint PRIMARY KEY DEFAULT pg_catalog.nextval('spamcheck.lookup_id_seq'),
    kind          text NOT NULL,
    relation      text NOT NULL,
    row_key       jsonb,
    state         text NOT NULL DEFAULT 'queued',
    attempts      integer NOT NULL DEFAULT 0,
    next_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    last_error    text,
    created_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    policy        text NOT NULL,
    reason        text,
    submission    jsonb NOT NULL,
    submission_id bigint,
    _protection   integer NOT NULL,
    _fingerprint  jsonb NOT NULL,
    _status       jsonb,
    _former       jsonb,
    _held         boolean NOT NULL DEFAULT false,
    _total        real NOT NULL DEFAULT 0,
    _answer       jsonb,
    _feedback     jsonb,
    _told         boolean NOT NULL DEFAULT false,
    CONSTRAINT lookup_state CHECK (state OPERATOR(pg_catalog.=) ANY (ARRAY['queued'::text, 'running'::text, 'failed'::text, 'expired'::text]))
)
-- A queue: every row is updated once or twice and then deleted, so leave room for HOT and vacuum early.
WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000,
      autovacuum_vacuum_cost_delay = 0);
ALTER SEQUENCE spamcheck.lookup_id_seq OWNED BY spamcheck.lookup.id;
CREATE INDEX lookup_next_at ON spamcheck.lookup (next_at)
 WHERE state OPERATOR(pg_catalog.=) 'queued'::text AND kind OPERATOR(pg_catalog.<>) ALL (ARRAY['trackback_ip'::text, 'trackback_link'::text]);
CREATE INDEX lookup_trackback ON spamcheck.lookup (next_at)
 WHERE state OPERATOR(pg_catalog.=) 'queued'::text AND kind OPERATOR(pg_catalog.=) ANY (ARRAY['trackback_ip'::text, 'trackback_link'::text]);
CREATE INDEX lookup_expired ON spamcheck.lookup (next_at)
 WHERE state OPERATOR(pg_catalog.=) ANY (ARRAY['expired'::text, 'failed'::text]) AND _held
   AND kind OPERATOR(pg_catalog.=) 'akismet'::text;
CREATE INDEX lookup_row ON spamcheck.lookup (_protection, row_key);
COMMENT ON INDEX spamcheck.lookup_row IS 'For finding the lookups of a row that is edited';
COMMENT ON INDEX spamcheck.lookup_expired IS 'For finding rows that are held by lookups that were given up';
COMMENT ON INDEX spamcheck.lookup_next_at IS 'For finding what is due at Akismet';
COMMENT ON INDEX spamcheck.lookup_trackback IS 'For finding the names and pages that are due';
COMMENT ON CONSTRAINT lookup_state ON spamcheck.lookup IS 'The states of a lookup; done ones are deleted';
COMMENT ON TABLE spamcheck.lookup IS 'Lookups: work for the background worker; done ones are deleted';
COMMENT ON COLUMN spamcheck.lookup.kind IS 'What is looked up: akismet, trackback_ip or trackback_link; or what Akismet is told: submit_spam, submit_ham';
COMMENT ON COLUMN spamcheck.lookup.relation IS 'The protected table, as named when the row was inserted';
COMMENT ON COLUMN spamcheck.lookup.row_key IS 'The row''s primary key by column name; NULL: a decision about a row that was rejected';
COMMENT ON COLUMN spamcheck.lookup.state IS 'queued; running: a request is out; failed: it will not be tried again unless retry_lookups says so; expired: given up after give_up_after; where on_failure is accept, a row that was held for it has its own status again';
COMMENT ON COLUMN spamcheck.lookup.attempts IS 'Requests made so far';
COMMENT ON COLUMN spamcheck.lookup.next_at IS 'Not tried before';
COMMENT ON COLUMN spamcheck.lookup.last_error IS 'Why the last attempt gave no verdict';
COMMENT ON COLUMN spamcheck.lookup.created_at IS 'When the row was inserted or edited';
COMMENT ON COLUMN spamcheck.lookup.policy IS 'The policy in force then';
COMMENT ON COLUMN spamcheck.lookup.reason IS 'Why it is asked again: edit, retry, recheck_queue; NULL: first time. Of a decision, reconstructed: what Akismet was asked then is not known, so it is told of the row as it was when it was decided';
COMMENT ON COLUMN spamcheck.lookup.submission IS 'The fields of the submission, as they were then';
COMMENT ON COLUMN spamcheck.lookup.submission_id IS 'As in spam_checklog; NULL: nothing was logged yet';
COMMENT ON COLUMN spamcheck.lookup._protection IS 'Internal: the protection in force';
COMMENT ON COLUMN spamcheck.lookup._fingerprint IS 'Internal: a hash of each text column, to tell an edit';
COMMENT ON COLUMN spamcheck.lookup._status IS 'Internal: the row''s status when it was written, to tell a human decision';
COMMENT ON COLUMN spamcheck.lookup._former IS 'Internal: the row''s own status before the verdict';
COMMENT ON COLUMN spamcheck.lookup._held IS 'Internal: the row is moderated only until the answer comes';
COMMENT ON COLUMN spamcheck.lookup._total IS 'Internal: the sum of scores that the local checks gave';
COMMENT ON COLUMN spamcheck.lookup._answer IS 'Internal: an answer that could not be applied yet, so that nobody is asked twice';
COMMENT ON COLUMN spamcheck.lookup._feedback IS 'Internal: what a decision adds to the submission: guid and result of the original check, who decided';
COMMENT ON COLUMN spamcheck.lookup._told IS 'Internal: moderators were told that the row waits for them, since no answer will come';

-- What Akismet was asked about rows and said: a decision is reported with these values, and a verdict that
-- comes later by its webhook finds its row by them. The worker purges it.
CREATE TABLE spamcheck._checked (
    protection    integer NOT NULL,
    row_key       jsonb,
    submission_id bigint,
    result        text NOT NULL,
    guid          text,
    checked_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    decided       boolean NOT NULL DEFAULT false,
    submission    jsonb NOT NULL,
    fingerprint   jsonb NOT NULL,
    status        jsonb,
    former        jsonb,
    total         real NOT NULL DEFAULT 0,
    CONSTRAINT _checked_result CHECK (result OPERATOR(pg_catalog.=) ANY (ARRAY['spam'::text, 'ham'::text]))
)
-- Rows go as they come.
WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE UNIQUE INDEX _checked_row ON spamcheck._checked (protection, row_key) WHERE row_key IS NOT NULL;
CREATE INDEX _checked_submission_id ON spamcheck._checked (submission_id) WHERE submission_id IS NOT NULL;
CREATE INDEX _checked_guid ON spamcheck._checked (guid) WHERE guid IS NOT NULL;
COMMENT ON INDEX spamcheck._checked_row IS 'For finding what was asked about a row';
COMMENT ON INDEX spamcheck._checked_submission_id IS 'For finding what was asked about a rejected submission';
COMMENT ON INDEX spamcheck._checked_guid IS 'For finding what Akismet''s webhook speaks of';
COMMENT ON CONSTRAINT _checked_result ON spamcheck._checked IS 'What Akismet can say';
COMMENT ON TABLE spamcheck._checked IS 'Internal: what Akismet was asked about rows and what it said; kept for 15 days, so that decisions can be reported';
COMMENT ON COLUMN spamcheck._checked.protection IS 'The protection';
COMMENT ON COLUMN spamcheck._checked.row_key IS 'The row''s primary key by column name; NULL: it was rejected';
COMMENT ON COLUMN spamcheck._checked.submission_id IS 'As in spam_checklog, of a rejected one; NULL: the row is there';
COMMENT ON COLUMN spamcheck._checked.result IS 'spam or ham';
COMMENT ON COLUMN spamcheck._checked.guid IS 'Akismet''s name for the check';
COMMENT ON COLUMN spamcheck._checked.checked_at IS 'When it said so';
COMMENT ON COLUMN spamcheck._checked.decided IS 'Whether somebody else has set the row''s status since';
COMMENT ON COLUMN spamcheck._checked.submission IS 'The fields of the submission, as Akismet was asked about them';
COMMENT ON COLUMN spamcheck._checked.fingerprint IS 'A hash of each text column, to tell an edit';
COMMENT ON COLUMN spamcheck._checked.status IS 'The row''s status without Akismet''s word';
COMMENT ON COLUMN spamcheck._checked.former IS 'The row''s own status before any verdict';
COMMENT ON COLUMN spamcheck._checked.total IS 'The sum of scores that the local checks gave';

-- Statistics ----------------------------------------------------------------------------------------

CREATE TABLE spamcheck._stat_reset (
    one boolean PRIMARY KEY DEFAULT true,
    at  timestamptz NOT NULL,
    CONSTRAINT _stat_reset_one CHECK (one)
);
COMMENT ON CONSTRAINT _stat_reset_one ON spamcheck._stat_reset IS 'One row';
COMMENT ON TABLE spamcheck._stat_reset IS 'Internal: when stat_reset() was last called';
COMMENT ON COLUMN spamcheck._stat_reset.one IS 'True, so that there is one row';
COMMENT ON COLUMN spamcheck._stat_reset.at IS 'The views stat_* count what was logged after it';

-- Mail ----------------------------------------------------------------------------------------------

CREATE SEQUENCE spamcheck._mail_id_seq;
COMMENT ON SEQUENCE spamcheck._mail_id_seq IS 'Ids of what waits to be mailed';
CREATE TABLE spamcheck._mail (
    id            bigint PRIMARY KEY DEFAULT pg_catalog.nextval('spamcheck._mail_id_seq'),
    policy        text NOT NULL,
    queued_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    relation      text NOT NULL,
    row_key       jsonb,
    submission_id bigint NOT NULL,
    author        text,
    email         text,
    ip            inet,
    excerpt       text,
    why           jsonb NOT NULL,
    recipients    text[]
);
ALTER SEQUENCE spamcheck._mail_id_seq OWNED BY spamcheck._mail.id;
COMMENT ON TABLE spamcheck._mail IS 'Internal: newly moderated rows that moderators are to be mailed about; those that a mail server has taken are deleted';
COMMENT ON COLUMN spamcheck._mail.policy IS 'The policy, whose mail_to gets it';
COMMENT ON COLUMN spamcheck._mail.queued_at IS 'When the row was moderated';
COMMENT ON COLUMN spamcheck._mail.relation IS 'The protected table, schema-qualified and quoted as SQL needs';
COMMENT ON COLUMN spamcheck._mail.row_key IS 'The row''s primary key by column name';
COMMENT ON COLUMN spamcheck._mail.submission_id IS 'As in spam_checklog';
COMMENT ON COLUMN spamcheck._mail.author IS 'The submission''s author';
COMMENT ON COLUMN spamcheck._mail.email IS 'The author''s address; not mailed, but erase_subject goes by it';
COMMENT ON COLUMN spamcheck._mail.ip IS 'The sender''s IP address; not mailed, but erase_subject goes by it';
COMMENT ON COLUMN spamcheck._mail.excerpt IS 'The beginning of the text; NULL: the policy keeps a hash alone';
COMMENT ON COLUMN spamcheck._mail.why IS 'Check and reason of each finding';
COMMENT ON COLUMN spamcheck._mail.recipients IS 'Who still gets it; NULL: all that the policy names';

CREATE TABLE spamcheck._mailing (
    policy        text PRIMARY KEY,
    next_at       timestamptz NOT NULL,
    sent_at       timestamptz,
    failures      integer NOT NULL DEFAULT 0,
    without_texts boolean NOT NULL DEFAULT false,
    last_error    text,
    claimed       bigint[]
);
COMMENT ON TABLE spamcheck._mailing IS 'Internal: when each policy''s moderators were mailed, and when they may be again';
COMMENT ON COLUMN spamcheck._mailing.policy IS 'The policy';
COMMENT ON COLUMN spamcheck._mailing.next_at IS 'No digest goes out before';
COMMENT ON COLUMN spamcheck._mailing.sent_at IS 'When a mail server last took one';
COMMENT ON COLUMN spamcheck._mailing.failures IS 'Tries in a row that failed';
COMMENT ON COLUMN spamcheck._mailing.without_texts IS 'Whether the next one goes without the texts, which the mail server did not take';
COMMENT ON COLUMN spamcheck._mailing.last_error IS 'Why the last try failed, or whom it could not reach';
COMMENT ON COLUMN spamcheck._mailing.claimed IS 'Ids of the rows of a mail that is out, or that the mail server may have; they go again as one';

-- What a dump carries: settings, lists, protections, log and queue with their sequences; never secrets.
SELECT pg_catalog.pg_extension_config_dump('spamcheck.policy', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck._dropped_policy', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck.check_setting', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck.list', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck.list_entry', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck._protection', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck._protection_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck._seen', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck.spam_checklog', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck.spam_checklog_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck._submission_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck._mail', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck._mail_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck.subscription_history', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck.subscription_history_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck.lookup', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck.lookup_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('spamcheck._checked', '');
