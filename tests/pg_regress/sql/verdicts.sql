-- Rows come in, verdicts fall, the log says why.
SELECT spamcheck.create_policy('verdicts') AS made;
INSERT INTO spamcheck.list (name, kind) VALUES ('v_words', 'word'), ('v_friends', 'ip'), ('v_mail', 'regex');
INSERT INTO spamcheck.list_entry (list, value) VALUES
    ('v_words', 'casino'), ('v_words', 'cheap pills'), ('v_friends', '192.0.2.0/28'), ('v_mail', '@mail(inator)?\.example$');
UPDATE spamcheck.check_setting SET options = '{"lists": ["v_words"]}' WHERE policy = 'verdicts' AND check_name = 'content';
UPDATE spamcheck.check_setting SET options = '{"lists": ["v_friends"]}' WHERE policy = 'verdicts' AND check_name = 'ip_allow';
UPDATE spamcheck.check_setting SET options = '{"lists": ["v_mail"]}', action = 'score', score = 3
 WHERE policy = 'verdicts' AND check_name = 'email_pattern';

CREATE TABLE visits (
    id int PRIMARY KEY, author text, email text, ip inet, body text,
    status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
SELECT * FROM spamcheck.protect('visits', 'verdicts');
-- What the log says, and empties it for the next step.
CREATE FUNCTION said() RETURNS TABLE (row_key jsonb, check_name text, action text, outcome text, total real, why text)
    LANGUAGE sql AS $$
        WITH gone AS (DELETE FROM spamcheck.spam_checklog l WHERE l.relation = 'public.visits' RETURNING *)
        SELECT row_key, check_name, action, outcome, total_score, why FROM gone ORDER BY id $$;

-- Whole words, whatever their case, width and hidden characters; links are counted in the body.
INSERT INTO visits (id, body) VALUES
    (1, 'A good read.'), (2, 'The CASINO is open'), (3, 'casinos are not a casi no'),
    (4, 'ｃａｓｉｎｏ'), (5, E'cas\u200Bino'), (6, 'Cheap,   pills? Cheap pills!'),
    (7, 'www.a.example www.b.example www.c.example www.d.example www.e.example www.f.example www.g.example'),
    (8, 'www.a.example www.b.example www.c.example www.d.example www.e.example www.f.example www.g.example www.h.example'),
    (9, NULL), (10, '')
RETURNING id, status;
SELECT * FROM said();

-- A score adds up; here it reaches no threshold, then the policy's threshold comes down.
INSERT INTO visits (id, email, body) VALUES (11, 'jo@mailinator.example', 'Hello') RETURNING id, status;
UPDATE spamcheck.policy SET moderate_at = 3 WHERE name = 'verdicts';
INSERT INTO visits (id, email, body) VALUES (12, 'JO@Mail.example', 'Hello') RETURNING id, status;
SELECT * FROM said();

-- An allowed address ends it, and the log says what it allowed; the ordinary row of a friend says nothing.
INSERT INTO visits (id, ip, body) VALUES (13, '192.0.2.5', 'casino'), (14, '192.0.2.6', 'Hello') RETURNING id, status;
SELECT * FROM said();

-- Several findings on one row: the most severe action wins, each is logged under one submission.
INSERT INTO visits (id, email, body) VALUES (15, 'x@mail.example', 'casino') RETURNING id, status;
SELECT count(*), count(DISTINCT submission_id) FROM spamcheck.spam_checklog WHERE relation = 'public.visits';
SELECT * FROM said();

-- The app's own status stays on a ham row, and is put aside when a verdict replaces it.
INSERT INTO visits (id, body, status) VALUES (16, 'Hello', 'pending'), (17, 'casino', 'pending') RETURNING id, status;
SELECT row_key, check_name, _former FROM spamcheck.spam_checklog WHERE relation = 'public.visits';
SELECT * FROM said();

-- Edits of a mapped text are judged, a moderator's decision is not.
UPDATE visits SET body = 'All about the casino' WHERE id = 1 RETURNING id, status;
UPDATE visits SET status = 'approved' WHERE id = 1 RETURNING id, status;
UPDATE visits SET ip = '203.0.113.1' WHERE id = 2 RETURNING id, status;
SELECT * FROM said();

-- A log row exists when its row does.
INSERT INTO visits (id, body) VALUES (1, 'casino') ON CONFLICT DO NOTHING;
BEGIN;
INSERT INTO visits (id, body) VALUES (20, 'casino');
SAVEPOINT s;
INSERT INTO visits (id, body) VALUES (21, 'casino');
ROLLBACK TO s;
INSERT INTO visits (id, body) VALUES (22, 'casino');
COMMIT;
BEGIN;
INSERT INTO visits (id, body) VALUES (23, 'casino');
ROLLBACK;
SELECT * FROM said();

-- COPY, INSERT ... SELECT and MERGE come the same way.
COPY visits (id, body) FROM stdin;
30	Hello
31	casino
\.
INSERT INTO visits (id, body) SELECT n, CASE WHEN n % 2 = 0 THEN 'casino' END FROM generate_series(32, 35) n;
MERGE INTO visits v USING (VALUES (30, 'casino'), (36, 'casino')) AS n (id, body) ON v.id = n.id
    WHEN MATCHED THEN UPDATE SET body = n.body WHEN NOT MATCHED THEN INSERT (id, body) VALUES (n.id, n.body);
SELECT row_key, outcome FROM said();

-- Trial: all is logged, nothing is touched. Off: nothing happens.
UPDATE spamcheck.policy SET mode = 'trial' WHERE name = 'verdicts';
INSERT INTO visits (id, body) VALUES (40, 'casino') RETURNING id, status;
UPDATE spamcheck.policy SET mode = 'off' WHERE name = 'verdicts';
INSERT INTO visits (id, body) VALUES (41, 'casino') RETURNING id, status;
SELECT * FROM said();
UPDATE spamcheck.policy SET mode = 'enforce' WHERE name = 'verdicts';

-- A check that fails says so, and on_error decides.
UPDATE spamcheck.check_setting SET options = '{"lists": ["v_words", "v_lost"]}'
 WHERE policy = 'verdicts' AND check_name = 'content';
INSERT INTO visits (id, body) VALUES (50, 'Hello') RETURNING id, status;
UPDATE spamcheck.policy SET on_error = 'moderate' WHERE name = 'verdicts';
INSERT INTO visits (id, body) VALUES (51, 'Hello') RETURNING id, status;
SELECT * FROM said();

-- What the log keeps of the text is the policy's choice.
UPDATE spamcheck.check_setting SET options = '{"lists": ["v_words"]}' WHERE policy = 'verdicts' AND check_name = 'content';
UPDATE spamcheck.policy SET keep = 'excerpt' WHERE name = 'verdicts';
INSERT INTO visits (id, body) VALUES (60, 'casino ' || repeat('x', 500));
UPDATE spamcheck.policy SET keep = 'hash' WHERE name = 'verdicts';
INSERT INTO visits (id, body) VALUES (61, 'casino');
SELECT row_key, length(comment), comment = encode(sha256('casino'), 'hex') AS hashed
  FROM spamcheck.spam_checklog WHERE relation = 'public.visits';

SELECT spamcheck.unprotect('visits');
DROP TABLE visits;
DROP FUNCTION said();
DELETE FROM spamcheck.spam_checklog;
DELETE FROM spamcheck.list WHERE name LIKE 'v\_%';
SELECT spamcheck.drop_policy('verdicts');
