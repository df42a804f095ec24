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
