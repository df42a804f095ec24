-- A DBA puts tables under a policy: what is found by itself, what has to be said, and what is refused.
CREATE SCHEMA protect;
SET search_path = protect;

-- Columns speak for themselves, and the CHECK constraint says what a status can be.
CREATE TABLE comments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    author text, email text, website text, ip inet, body text NOT NULL, password_hash text,
    status text NOT NULL DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')),
    created_at timestamptz NOT NULL DEFAULT now());
SELECT * FROM spamcheck.protect('comments');
SELECT relation, policy, status, on_update FROM spamcheck.protected_table ORDER BY relation::text;
SELECT tgname, tgtype & 2 <> 0 AS before FROM pg_trigger WHERE tgrelid = 'comments'::regclass ORDER BY 1;

-- An enum's labels, a WordPress table, and one that has no status and no body: notices say what that means.
CREATE TYPE state AS ENUM ('published', 'in_review', 'junk');
CREATE TABLE letters (id int PRIMARY KEY, subject text, message text, state state NOT NULL DEFAULT 'published');
SELECT * FROM spamcheck.protect('letters');
CREATE TABLE wp_comments (
    "comment_ID" bigint PRIMARY KEY, comment_author text, comment_author_email text, comment_author_url text,
    "comment_author_IP" text, comment_date timestamp, comment_date_gmt timestamp, comment_content text,
    comment_approved varchar(20) DEFAULT '1', comment_agent text, comment_type text, comment_parent bigint, user_id bigint);
SELECT * FROM spamcheck.protect('wp_comments');
CREATE TABLE signups (nickname text, email text);
SELECT * FROM spamcheck.protect('signups');
SELECT relation, status FROM spamcheck.protected_table ORDER BY relation::text;

-- Given keys replace the found ones, null unmaps; calling it again replaces the mapping.
CREATE TABLE users (id int PRIMARY KEY, mail text);
CREATE TABLE posts (id int PRIMARY KEY, headline text, url text);
CREATE TABLE notes (id int PRIMARY KEY, user_id int, post_id int, summary text, body text, extra jsonb, approved boolean);
SELECT * FROM spamcheck.protect('notes');
SELECT * FROM spamcheck.protect('notes',
    columns => '{"body": ["summary", "body"], "title": null, "fields": "extra", "ip": {"setting": "app.ip"},
                 "email": {"table": "users", "key": "id", "from": "user_id", "column": "mail"}}',
    status  => '{"column": "approved", "ham": true, "moderate": false}',
    article => '{"table": "posts", "key": "id", "from": "post_id", "title": "headline", "permalink": "url"}',
    on_update => false);

-- Renames are followed.
ALTER TABLE notes RENAME COLUMN extra TO custom;
ALTER TABLE users RENAME TO members;
ALTER TABLE notes RENAME TO remarks;
SELECT relation, columns FROM spamcheck.protected_table WHERE relation = 'remarks'::regclass;

-- Later partitions are covered.
CREATE TABLE reports (id int, day date, body text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
SELECT * FROM spamcheck.protect('reports');
CREATE TABLE reports_2026 PARTITION OF reports FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'reports_2026'::regclass ORDER BY 1;
SELECT * FROM spamcheck.protect('reports_2026');

-- What cannot be told, or makes no sense, is refused.
CREATE TABLE sums (id int PRIMARY KEY, amount numeric);
SELECT * FROM spamcheck.protect('sums');
CREATE TABLE vague (id int PRIMARY KEY, body text, status text);
SELECT * FROM spamcheck.protect('vague');
SELECT * FROM spamcheck.protect('vague', columns => '{"bdy": "body"}');
SELECT * FROM spamcheck.protect('vague', columns => '{"body": "bdy"}');
SELECT * FROM spamcheck.protect('vague', status => '{}', columns => '{"ip": {"setting": "no_such_setting"}}');
SELECT * FROM spamcheck.protect('vague', columns => '{"email": {"table": "nobody", "key": "id", "from": "id", "column": "mail"}}');
SELECT * FROM spamcheck.protect('vague', status => '{"column": "state", "spam": "x"}');
SELECT * FROM spamcheck.protect('vague', status => '{}', policy => 'strict');
SELECT * FROM spamcheck.protect('letters', status => '{"column": "state", "moderate": "in review", "spam": "junk"}');
CREATE TABLE computed (id int PRIMARY KEY, raw text, body text GENERATED ALWAYS AS (lower(raw)) STORED);
SELECT * FROM spamcheck.protect('computed', columns => '{"body": "body"}');
CREATE TABLE by_status (body text, status text CHECK (status IN ('approved', 'pending', 'spam'))) PARTITION BY LIST (status);
SELECT * FROM spamcheck.protect('by_status');
CREATE VIEW comments_view AS SELECT * FROM comments;
SELECT * FROM spamcheck.protect('comments_view');
CREATE MATERIALIZED VIEW comments_copy AS SELECT * FROM comments;
SELECT * FROM spamcheck.protect('comments_copy');
SELECT * FROM spamcheck.protect('spamcheck.policy');
SELECT * FROM spamcheck.protect(NULL);

-- Who may: a role with access, on tables that it owns.
CREATE ROLE regress_dba;
CREATE ROLE regress_owner;
ALTER TABLE comments OWNER TO regress_owner;
SET ROLE regress_dba;
SELECT * FROM spamcheck.protect('comments');
RESET ROLE;
SELECT spamcheck.grant_access('regress_dba', 'admin');
GRANT USAGE ON SCHEMA protect TO regress_dba;
SET ROLE regress_dba;
SELECT * FROM spamcheck.protect('comments');
RESET ROLE;
ALTER TABLE comments OWNER TO regress_dba;
SET ROLE regress_dba;
SELECT spamcheck.unprotect('comments');
SELECT spamcheck.unprotect('comments');
RESET ROLE;

-- A protection goes with its table.
SET client_min_messages = warning;
DROP SCHEMA protect CASCADE;
SELECT count(*) FROM spamcheck.protected_table;
SELECT spamcheck.revoke_access('regress_dba');
DROP ROLE regress_dba, regress_owner;
