-- The views. Anything that an expression here calls is written out with its schema.

CREATE VIEW spamcheck._guarded_relation AS
    -- Not the name makes a trigger ours, but the function, which nobody else may put on a table. Only then
    -- is its argument ours too, so the cast must not happen before.
    SELECT CASE WHEN t.tgfoid OPERATOR(pg_catalog.=) 'spamcheck._guard()'::pg_catalog.regprocedure
                 AND pg_catalog.encode(t.tgargs, 'escape') OPERATOR(pg_catalog.~) '^[0-9]{1,9}\\000$'
                THEN pg_catalog.convert_from(pg_catalog.substring(t.tgargs, 1, pg_catalog.length(t.tgargs) OPERATOR(pg_catalog.-) 1), 'SQL_ASCII')::pg_catalog.int4
           END AS id,
           t.tgrelid AS relation, t.oid AS trigger
      FROM pg_catalog.pg_trigger t
     WHERE t.tgfoid OPERATOR(pg_catalog.=) 'spamcheck._guard()'::pg_catalog.regprocedure
       AND t.tgparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid
       AND t.tgnargs OPERATOR(pg_catalog.=) 1::pg_catalog.int2;
COMMENT ON VIEW spamcheck._guarded_relation IS 'Internal: the tables with a guard, and the id of the protection that it names';

CREATE VIEW spamcheck._protected_relation AS
    -- A table that was copied from another database brings an id that may be taken here: the protection is
    -- the one's that its hints name, or else the older trigger's.
    SELECT DISTINCT ON (g.id) g.id, g.relation
      FROM spamcheck._guarded_relation g
      LEFT JOIN spamcheck._protection p ON p.id OPERATOR(pg_catalog.=) g.id
     ORDER BY g.id, (p.hints OPERATOR(pg_catalog.->>) 'relation') IS NOT DISTINCT FROM g.relation::pg_catalog.text DESC, g.trigger;
COMMENT ON VIEW spamcheck._protected_relation IS 'Internal: the table of each protection, as its triggers say';

CREATE VIEW spamcheck.protected_table AS
    SELECT r.relation::pg_catalog.regclass AS relation, p.policy, p.columns, p.status, p.article, p.subscriber,
           p.on_update, p.protected_at
      FROM spamcheck._protection p
      JOIN spamcheck._protected_relation r ON r.id OPERATOR(pg_catalog.=) p.id;
COMMENT ON VIEW spamcheck.protected_table IS 'The protected tables and their mappings';

CREATE VIEW spamcheck.checks AS
    SELECT c.name, c.summary, c.seeds, c.action, c.score, c.options
      FROM pg_catalog.jsonb_to_recordset(spamcheck._catalogue())
        AS c(name pg_catalog.text, summary pg_catalog.text, seeds pg_catalog.text[], action pg_catalog.text,
             score pg_catalog.float4, options pg_catalog.jsonb);
COMMENT ON VIEW spamcheck.checks IS 'The catalogue of checks: what each looks for, which system it comes from, its options with type, default and meaning';

CREATE VIEW spamcheck.recent AS
    SELECT l.id, l.logged_at, l.relation, l.row_key, l.submission_id, l.policy, l.check_name, l.action, l.outcome,
           l.score, l.total_score, l.why, l.detail, l.allowed, l.author, l.email, l.ip, l.url, l.user_agent, l.page,
           l.comment, l.submission, l.reversed, l.reversed_at, l.reversed_by
      FROM spamcheck.spam_checklog l
     ORDER BY l.logged_at DESC, l.id DESC;
COMMENT ON VIEW spamcheck.recent IS 'The log, newest first';

CREATE VIEW spamcheck.stat_worker AS
    SELECT w.database, w.pid, w.started_at, w.akismet, w.in_flight, w.answered, w.unanswered, w.applied,
           w.rejections_logged, w.rejections_unlogged
      FROM pg_catalog.jsonb_to_recordset(spamcheck._worker_state())
        AS w(database pg_catalog.name, pid pg_catalog.int4, started_at pg_catalog.timestamptz, akismet pg_catalog.text,
             in_flight pg_catalog.int4, answered pg_catalog.int8, unanswered pg_catalog.int8, applied pg_catalog.int8,
             rejections_logged pg_catalog.int8, rejections_unlogged pg_catalog.int8);
COMMENT ON VIEW spamcheck.stat_worker IS 'The worker of this database: what it does and has done since the server started';

CREATE VIEW spamcheck._stat_finding AS
    SELECT l._protection, l.submission_id, l.logged_at, l.check_name, l.action, l.reversed, l._decision, o.outcome,
           -- What a check decided by failing, its detail says.
           CASE WHEN o.outcome OPERATOR(pg_catalog.=) 'error'
                THEN COALESCE(l.detail OPERATOR(pg_catalog.->>) 'decided', 'error')
                ELSE o.outcome END AS was
      FROM spamcheck.spam_checklog l
     CROSS JOIN LATERAL (SELECT COALESCE(l._outcome, l.outcome) AS outcome) o;
COMMENT ON VIEW spamcheck._stat_finding IS 'Internal: what was decided by each finding, whatever staff said later';

-- What became of each logged submission since the counting began: the most that any finding brought about.
CREATE VIEW spamcheck._stat_submission AS
    SELECT l._protection AS protection, l.submission_id, pg_catalog.min(l.logged_at) AS at,
           CASE WHEN pg_catalog.bool_or(l.was OPERATOR(pg_catalog.=) 'rejected') THEN 'rejected'
                WHEN pg_catalog.bool_or(l.was OPERATOR(pg_catalog.=) 'suppressed') THEN 'suppressed'
                WHEN pg_catalog.bool_or(l.was OPERATOR(pg_catalog.=) 'challenged') THEN 'challenged'
                WHEN pg_catalog.bool_or(l.was OPERATOR(pg_catalog.=) 'moderated') THEN 'moderated'
                WHEN pg_catalog.bool_or(l.was OPERATOR(pg_catalog.=) 'allowed') THEN 'allowed'
                WHEN pg_catalog.bool_or(l.was OPERATOR(pg_catalog.=) 'flagged') THEN 'flagged'
                ELSE 'error' END AS outcome,
           pg_catalog.bool_or(l.reversed) AS reversed
      FROM spamcheck._stat_finding l
     WHERE l.logged_at OPERATOR(pg_catalog.>) COALESCE((SELECT r.at FROM spamcheck._stat_reset r), '-infinity'::pg_catalog.timestamptz)
     GROUP BY l._protection, l.submission_id;
COMMENT ON VIEW spamcheck._stat_submission IS 'Internal: what became of each logged submission, for stat_table and stat_daily';

CREATE VIEW spamcheck.stat_check AS
    SELECT c.name AS check_name, COALESCE(l.hits, 0) AS hits, COALESCE(l.suppressed, 0) AS suppressed,
           COALESCE(l.reversed, 0) AS reversed, COALESCE(l.confirmed, 0) AS confirmed,
           COALESCE(l.hits OPERATOR(pg_catalog.-) l.reversed OPERATOR(pg_catalog.-) l.confirmed, 0) AS unreviewed,
           -- Nobody's word is nobody's: what was not reviewed counts on neither side.
           (l.confirmed::pg_catalog.float8 OPERATOR(pg_catalog./)
            NULLIF(l.confirmed OPERATOR(pg_catalog.+) l.reversed, 0)::pg_catalog.float8)::pg_catalog.float4 AS precision,
           COALESCE(l.errors, 0) AS errors, t.time
      FROM spamcheck.checks c
      LEFT JOIN (SELECT i.check_name,
                        pg_catalog.count(*) FILTER (WHERE i.outcome OPERATOR(pg_catalog.<>) 'error') AS hits,
                        pg_catalog.count(*) FILTER (WHERE i.outcome OPERATOR(pg_catalog.=) 'suppressed') AS suppressed,
                        -- Who calls a row spam refutes the check that let it in.
                        pg_catalog.count(*) FILTER (WHERE i.outcome OPERATOR(pg_catalog.<>) 'error'
                                                      AND CASE WHEN i.action OPERATOR(pg_catalog.=) 'allow'
                                                               THEN i._decision OPERATOR(pg_catalog.=) 'spam' AND NOT i.reversed
                                                               ELSE i.reversed END) AS reversed,
                        pg_catalog.count(*) FILTER (WHERE i.outcome OPERATOR(pg_catalog.<>) 'error'
                                                      AND CASE WHEN i.action OPERATOR(pg_catalog.=) 'allow'
                                                               THEN i.reversed
                                                               ELSE i._decision OPERATOR(pg_catalog.=) 'spam' AND NOT i.reversed END) AS confirmed,
                        pg_catalog.count(*) FILTER (WHERE i.outcome OPERATOR(pg_catalog.=) 'error') AS errors
                   FROM spamcheck._stat_finding i
                  WHERE i.logged_at OPERATOR(pg_catalog.>) COALESCE((SELECT r.at FROM spamcheck._stat_reset r), '-infinity'::pg_catalog.timestamptz)
                  GROUP BY i.check_name) l ON l.check_name OPERATOR(pg_catalog.=) c.name
      LEFT JOIN pg_catalog.jsonb_to_recordset(spamcheck._check_times()) AS t(check_name pg_catalog.text, time pg_catalog.float4)
             ON t.check_name OPERATOR(pg_catalog.=) c.name
     ORDER BY 2 DESC, 1;
COMMENT ON VIEW spamcheck.stat_check IS 'How often each check hit and what moderators said of it';
COMMENT ON COLUMN spamcheck.stat_check.check_name IS 'The check';
COMMENT ON COLUMN spamcheck.stat_check.hits IS 'Findings in the log, shadows included';
COMMENT ON COLUMN spamcheck.stat_check.suppressed IS 'Those whose row became spam by itself';
COMMENT ON COLUMN spamcheck.stat_check.reversed IS 'Those that moderators took back';
COMMENT ON COLUMN spamcheck.stat_check.confirmed IS 'Those that moderators called spam';
COMMENT ON COLUMN spamcheck.stat_check.unreviewed IS 'Those that no moderator has looked at';
COMMENT ON COLUMN spamcheck.stat_check.precision IS 'The share of those confirmed in those that moderators looked at; NULL: they looked at none';
COMMENT ON COLUMN spamcheck.stat_check.errors IS 'How often the check failed';
COMMENT ON COLUMN spamcheck.stat_check.time IS 'Microseconds that it takes for a submission: the mean of one in 64 since the server started; NULL: none was watched yet';

CREATE VIEW spamcheck.stat_table AS
    SELECT r.relation::pg_catalog.regclass AS relation, pg_catalog.count(s.submission_id) AS logged,
           pg_catalog.count(*) FILTER (WHERE s.outcome OPERATOR(pg_catalog.=) 'moderated') AS moderated,
           pg_catalog.count(*) FILTER (WHERE s.outcome OPERATOR(pg_catalog.=) 'suppressed') AS suppressed,
           pg_catalog.count(*) FILTER (WHERE s.outcome OPERATOR(pg_catalog.=) 'rejected') AS rejected,
           pg_catalog.count(*) FILTER (WHERE s.reversed) AS reversed,
           -- A state, which no stat_reset() changes.
           (SELECT pg_catalog.count(*)
              FROM (SELECT l.submission_id
                      FROM spamcheck._stat_finding l
                     WHERE l._protection OPERATOR(pg_catalog.=) r.id
                     GROUP BY l.submission_id
                    HAVING pg_catalog.bool_or(l.was OPERATOR(pg_catalog.=) 'moderated')
                       AND NOT pg_catalog.bool_or(l.was OPERATOR(pg_catalog.=) ANY (ARRAY['rejected', 'suppressed', 'challenged']))
                       AND NOT pg_catalog.bool_or(l.reversed OR l._decision IS NOT NULL)) w) AS waiting,
           (SELECT pg_catalog.count(*) FROM spamcheck.lookup k WHERE k._protection OPERATOR(pg_catalog.=) r.id) AS lookups,
           pg_catalog.date_trunc('second', pg_catalog.max(s.at)) AS latest
      FROM spamcheck._protected_relation r
      LEFT JOIN spamcheck._stat_submission s ON s.protection OPERATOR(pg_catalog.=) r.id
     GROUP BY r.id, r.relation
     ORDER BY 2 DESC, 1;
COMMENT ON VIEW spamcheck.stat_table IS 'What became of the submissions to each protected table, as far as they are logged';
COMMENT ON COLUMN spamcheck.stat_table.relation IS 'The protected table';
COMMENT ON COLUMN spamcheck.stat_table.logged IS 'Submissions in the log';
COMMENT ON COLUMN spamcheck.stat_table.moderated IS 'Those that were moderated';
COMMENT ON COLUMN spamcheck.stat_table.suppressed IS 'Those that became spam';
COMMENT ON COLUMN spamcheck.stat_table.rejected IS 'Those that were refused';
COMMENT ON COLUMN spamcheck.stat_table.reversed IS 'Those that moderators gave back';
COMMENT ON COLUMN spamcheck.stat_table.waiting IS 'Those that are moderated and nobody has decided about, also where a plain DELETE has taken the row since';
COMMENT ON COLUMN spamcheck.stat_table.lookups IS 'Lookups that wait, or failed';
COMMENT ON COLUMN spamcheck.stat_table.latest IS 'When the last one was logged';

CREATE VIEW spamcheck.stat_daily AS
    SELECT s.at::pg_catalog.date AS day, pg_catalog.count(*) AS logged,
           pg_catalog.count(*) FILTER (WHERE s.outcome OPERATOR(pg_catalog.=) 'flagged') AS flagged,
           pg_catalog.count(*) FILTER (WHERE s.outcome OPERATOR(pg_catalog.=) 'allowed') AS allowed,
           pg_catalog.count(*) FILTER (WHERE s.outcome OPERATOR(pg_catalog.=) 'challenged') AS challenged,
           pg_catalog.count(*) FILTER (WHERE s.outcome OPERATOR(pg_catalog.=) 'moderated') AS moderated,
           pg_catalog.count(*) FILTER (WHERE s.outcome OPERATOR(pg_catalog.=) 'suppressed') AS suppressed,
           pg_catalog.count(*) FILTER (WHERE s.outcome OPERATOR(pg_catalog.=) 'rejected') AS rejected,
           pg_catalog.count(*) FILTER (WHERE s.outcome OPERATOR(pg_catalog.=) 'error') AS errors,
           pg_catalog.count(*) FILTER (WHERE s.reversed) AS reversed
      FROM spamcheck._stat_submission s
     GROUP BY 1
     ORDER BY 1 DESC;
COMMENT ON VIEW spamcheck.stat_daily IS 'What became of the submissions of each day, as far as they are logged, newest first; days are the session''s';
