-- Policies, check settings and lists are plain tables that refuse what makes no sense, with a sentence.
SELECT name, seeds, action, score FROM spamcheck.checks;
SELECT name, o ->> 'name' AS option, o -> 'default' AS default FROM spamcheck.checks, jsonb_array_elements(options) o;

-- A policy is made from a preset and has a row for every check.
SELECT spamcheck.create_policy('forum');
SELECT spamcheck.create_policy('petitions', 'actionkit');
SELECT name, mode, types, moderate_at, spam_at, reject_at, on_error, on_reject, reject_sqlstate, keep FROM spamcheck.policy ORDER BY name;
SELECT policy, check_name, enabled, action, options FROM spamcheck.check_setting WHERE policy IN ('forum', 'petitions') ORDER BY 1, 2;
SELECT name, kind, (SELECT array_agg(value ORDER BY value) FROM spamcheck.list_entry WHERE list = name) AS entries
  FROM spamcheck.list ORDER BY name;
SELECT spamcheck.create_policy('forum');
SELECT spamcheck.create_policy('blog', 'wordpress');
SELECT spamcheck.create_policy('  ');
SELECT spamcheck.create_policy(NULL);

-- Columns of a policy.
UPDATE spamcheck.policy SET mode = 'maybe' WHERE name = 'forum';
UPDATE spamcheck.policy SET on_error = 'ignore' WHERE name = 'forum';
UPDATE spamcheck.policy SET on_reject = 'raise' WHERE name = 'forum';
UPDATE spamcheck.policy SET keep = 'nothing' WHERE name = 'forum';
UPDATE spamcheck.policy SET reject_sqlstate = '00000' WHERE name = 'forum';
UPDATE spamcheck.policy SET reject_sqlstate = 'abc' WHERE name = 'forum';
UPDATE spamcheck.policy SET spam_at = 'NaN' WHERE name = 'forum';
UPDATE spamcheck.policy SET types = '{}' WHERE name = 'forum';
UPDATE spamcheck.policy SET retention = '-1 day' WHERE name = 'forum';
UPDATE spamcheck.policy SET reject_sqlstate = 'SP001', reject_at = 20, types = '{comment,survey}' WHERE name = 'forum';
-- Options of a check: the name, what it got, what it takes.
UPDATE spamcheck.check_setting SET options = '{"over": "abc"}' WHERE policy = 'forum' AND check_name = 'links';
UPDATE spamcheck.check_setting SET options = '{"over": -1}' WHERE policy = 'forum' AND check_name = 'links';
UPDATE spamcheck.check_setting SET options = '{"ower": 3}' WHERE policy = 'forum' AND check_name = 'links';
UPDATE spamcheck.check_setting SET options = '[]' WHERE policy = 'forum' AND check_name = 'links';
UPDATE spamcheck.check_setting SET action = 'block' WHERE policy = 'forum' AND check_name = 'links';
UPDATE spamcheck.check_setting SET action = 'allow' WHERE policy = 'forum' AND check_name = 'links';
UPDATE spamcheck.check_setting SET score = 'Infinity' WHERE policy = 'forum' AND check_name = 'links';
UPDATE spamcheck.check_setting SET options = '{"lists": "banned_words"}' WHERE policy = 'forum' AND check_name = 'content';
UPDATE spamcheck.check_setting SET options = '{"fields": ["body", "shoe_size"]}' WHERE policy = 'forum' AND check_name = 'content';
UPDATE spamcheck.check_setting SET options = '{"lists": ["lost"]}' WHERE policy = 'forum' AND check_name = 'content';
UPDATE spamcheck.check_setting SET options = '{"mode": "wait"}' WHERE policy = 'forum' AND check_name = 'akismet';
UPDATE spamcheck.check_setting SET options = '{"mode": "sometimes"}' WHERE policy = 'forum' AND check_name = 'akismet';
UPDATE spamcheck.check_setting SET options = '{"blog": "our blog"}' WHERE policy = 'forum' AND check_name = 'akismet';
UPDATE spamcheck.check_setting SET options = '{"give_up_after": "soon"}' WHERE policy = 'forum' AND check_name = 'akismet';
INSERT INTO spamcheck.check_setting VALUES ('forum', 'telepathy', true, 'spam', 5);
INSERT INTO spamcheck.check_setting VALUES ('nobody', 'links', true, 'spam', 5);
UPDATE spamcheck.check_setting SET options = '{"over": null, "reject_over": 0}' WHERE policy = 'forum' AND check_name = 'links';

-- Lists and their entries.
INSERT INTO spamcheck.list (name, kind) VALUES ('rude', 'words');
INSERT INTO spamcheck.list (name, kind) VALUES ('rude', 'word'), ('mail', 'regex'), ('nets', 'ip'), ('hosts', 'domain');
INSERT INTO spamcheck.list_entry (list, value) VALUES ('rude', ' ');
INSERT INTO spamcheck.list_entry (list, value) VALUES ('rude', E'two\nlines');
INSERT INTO spamcheck.list_entry (list, value) VALUES ('mail', '(unclosed');
INSERT INTO spamcheck.list_entry (list, value) VALUES ('mail', '(?<!not)spam');
INSERT INTO spamcheck.list_entry (list, value) VALUES ('mail', '(a)\1');
INSERT INTO spamcheck.list_entry (list, value) VALUES ('nets', '300.1.1.1');
INSERT INTO spamcheck.list_entry (list, value) VALUES ('hosts', 'not a host');
INSERT INTO spamcheck.list_entry (list, value) VALUES ('lost', 'x');
INSERT INTO spamcheck.list_entry (list, value) VALUES
    ('rude', 'go away'), ('mail', '(?P<user>\w+)@spam\.example\Z'), ('nets', '2001:db8::/32'), ('hosts', 'spam.example');
UPDATE spamcheck.list SET kind = 'regex' WHERE name = 'rude';
UPDATE spamcheck.list SET name = 'impolite' WHERE name = 'rude';
SELECT list, value FROM spamcheck.list_entry WHERE list IN ('impolite', 'mail', 'nets', 'hosts') ORDER BY 1;
DELETE FROM spamcheck.list WHERE name IN ('impolite', 'mail', 'nets', 'hosts');
SELECT count(*) FROM spamcheck.list_entry WHERE list = 'impolite';

-- A policy in use stays; a renamed one takes its settings and tables along.
CREATE TABLE threads (id int PRIMARY KEY, body text);
SELECT * FROM spamcheck.protect('threads', 'forum', status => '{}');
UPDATE spamcheck.policy SET name = 'board' WHERE name = 'forum';
SELECT relation, policy FROM spamcheck.protected_table;
SELECT count(*) FROM spamcheck.check_setting WHERE policy = 'board';
SELECT spamcheck.drop_policy('board');
SELECT spamcheck.drop_policy('forum');
DROP TABLE threads;
SELECT spamcheck.drop_policy('board');
SELECT spamcheck.drop_policy('petitions');
DELETE FROM spamcheck.list WHERE name = 'actionkit_banned_words';
SELECT count(*) FROM spamcheck.check_setting WHERE policy <> 'default';

-- Access levels.
CREATE ROLE regress_reader;
SELECT spamcheck.grant_access('regress_reader', 'reader');
SELECT spamcheck.grant_access('regress_reader', 'analyst');
SET ROLE regress_reader;
SELECT count(*) FROM spamcheck.recent;
UPDATE spamcheck.policy SET mode = 'off';
SELECT spamcheck.create_policy('mine');
RESET ROLE;
SELECT spamcheck.revoke_access('regress_reader');
SET ROLE regress_reader;
SELECT count(*) FROM spamcheck.recent;
RESET ROLE;
DROP ROLE regress_reader;
