-- A submission is refused: what the app gets, what stays, and what the moderator finds.
SELECT spamcheck.create_policy('gate') AS made;
INSERT INTO spamcheck.list (name, kind) VALUES ('gate_words', 'word');
INSERT INTO spamcheck.list_entry (list, value) VALUES ('gate_words', 'viagra');
UPDATE spamcheck.check_setting SET action = 'reject', options = '{"lists": ["gate_words"]}'
 WHERE policy = 'gate' AND check_name = 'content';
CREATE SCHEMA "Guest Book";
CREATE TABLE "Guest Book".entries (id int PRIMARY KEY, author text, ip inet, body text, stars int);
SELECT * FROM spamcheck.protect('"Guest Book".entries', 'gate');

-- The worker writes the entries of refused rows; shortly after CREATE EXTENSION it is there.
DO $$
BEGIN
    FOR i IN 1..2000 LOOP
        EXIT WHEN EXISTS (SELECT FROM spamcheck.stat_worker WHERE pid IS NOT NULL);
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;

-- The error has all that an app needs to tell it from others, and nothing that a spammer could learn from.
INSERT INTO "Guest Book".entries VALUES (1, 'Bot', '203.0.113.7', 'Buy Viagra!', 5);
\errverbose

-- The transaction is lost, as with any error; the log entry is not.
BEGIN;
INSERT INTO "Guest Book".entries VALUES (2, 'Ann', NULL, 'A fine day', 4);
INSERT INTO "Guest Book".entries VALUES (3, 'Bot', '203.0.113.8', 'viagra, viagra', 5);
SELECT count(*) FROM "Guest Book".entries;
ROLLBACK;
SELECT count(*) FROM "Guest Book".entries;
SELECT relation, row_key, check_name, action, outcome, author, ip, why, comment, submission
  FROM spamcheck.recent ORDER BY id;

-- A savepoint or an exception block keeps the rest.
BEGIN;
INSERT INTO "Guest Book".entries VALUES (4, 'Ann', NULL, 'A fine day', 4);
SAVEPOINT before_bot;
INSERT INTO "Guest Book".entries VALUES (5, 'Bot', NULL, 'viagra', 5);
ROLLBACK TO before_bot;
COMMIT;
DO $$
DECLARE
    name text;
    about text;
BEGIN
    INSERT INTO "Guest Book".entries VALUES (6, 'Bot', NULL, 'viagra', 5);
EXCEPTION WHEN check_violation THEN
    GET STACKED DIAGNOSTICS name = CONSTRAINT_NAME, about = PG_EXCEPTION_DETAIL;
    RAISE NOTICE 'refused by %, which says %', name, about;
END $$;
-- One bad row refuses the whole statement.
INSERT INTO "Guest Book".entries VALUES (7, 'Ann', NULL, 'Another day', 4), (8, 'Bot', NULL, 'viagra', 5);
SELECT id, author FROM "Guest Book".entries ORDER BY id;
SELECT count(*) FROM spamcheck.recent WHERE outcome = 'rejected';

-- The app may want another SQLSTATE.
UPDATE spamcheck.policy SET reject_sqlstate = 'SP001' WHERE name = 'gate';
INSERT INTO "Guest Book".entries VALUES (9, 'Bot', NULL, 'viagra', 5);
\echo :LAST_ERROR_SQLSTATE

-- Or no error at all: the row is silently not inserted, and logged all the same.
UPDATE spamcheck.policy SET on_reject = 'drop' WHERE name = 'gate';
INSERT INTO "Guest Book".entries VALUES (10, 'Bot', NULL, 'viagra', 5), (11, 'Ann', NULL, 'Still here', 3) RETURNING id;
SELECT row_key, outcome, author FROM spamcheck.recent LIMIT 1;
BEGIN;
INSERT INTO "Guest Book".entries VALUES (12, 'Bot', NULL, 'viagra', 5);
ROLLBACK;
SELECT count(*) FROM spamcheck.recent WHERE outcome = 'rejected';

-- A sum of scores can reject, too.
UPDATE spamcheck.policy SET on_reject = 'error', reject_sqlstate = '23514', reject_at = 4 WHERE name = 'gate';
UPDATE spamcheck.check_setting SET action = 'score', score = 4 WHERE policy = 'gate' AND check_name = 'content';
INSERT INTO "Guest Book".entries VALUES (13, 'Bot', NULL, 'viagra', 5);
SELECT action, outcome, score, total_score FROM spamcheck.recent LIMIT 1;

-- A trial refuses nobody, and says who would have been.
UPDATE spamcheck.policy SET mode = 'trial' WHERE name = 'gate';
INSERT INTO "Guest Book".entries VALUES (14, 'Bot', NULL, 'viagra', 5) RETURNING id;
SELECT row_key, action, outcome FROM spamcheck.recent LIMIT 1;

SELECT rejections_logged, rejections_unlogged FROM spamcheck.stat_worker;
DROP TABLE "Guest Book".entries;
DROP SCHEMA "Guest Book";
SELECT spamcheck.drop_policy('gate');
