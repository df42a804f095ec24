//! The systems that the interface names: WordPress, Serendipity, Django's contrib comments, Drupal 7,
//! GitLab's issues and notes.

use super::{System, run, texts};
use support::cluster::Cluster;

const WORDPRESS: &str = r#"
    CREATE SEQUENCE wp_comments_seq;
    CREATE TABLE wp_comments (
        "comment_ID" bigint NOT NULL DEFAULT nextval('wp_comments_seq'),
        "comment_post_ID" bigint NOT NULL DEFAULT 0,
        "comment_author" text NOT NULL,
        "comment_author_email" varchar(100) NOT NULL DEFAULT '',
        "comment_author_url" varchar(200) NOT NULL DEFAULT '',
        "comment_author_IP" varchar(100) NOT NULL DEFAULT '',
        "comment_date" timestamp NOT NULL DEFAULT now(),
        "comment_date_gmt" timestamp NOT NULL DEFAULT timezone('gmt', now()),
        "comment_content" text NOT NULL,
        "comment_karma" integer NOT NULL DEFAULT 0,
        "comment_approved" varchar(20) NOT NULL DEFAULT '1',
        "comment_agent" varchar(255) NOT NULL DEFAULT '',
        "comment_type" varchar(20) NOT NULL DEFAULT 'comment',
        "comment_parent" bigint NOT NULL DEFAULT 0,
        "user_id" bigint NOT NULL DEFAULT 0,
        PRIMARY KEY ("comment_ID"));
    CREATE INDEX wp_comments_comment_approved_date_gmt ON wp_comments (comment_approved, comment_date_gmt);"#;

#[test]
fn wordpress_comments_get_verdicts() {
    System {
        schema: WORDPRESS,
        protect: "'wp_comments'",
        mapping: "body=comment_content author=comment_author email=comment_author_email
                  url=comment_author_url ip=comment_author_IP user_agent=comment_agent type=comment_type
                  created_at=comment_date_gmt user_id=user_id parent_id=comment_parent",
        status: r#"{"column":"comment_approved","ham":"1","moderate":"0","spam":"spam"}"#,
        insert: r#"INSERT INTO wp_comments ("comment_post_ID", comment_author, comment_author_email, comment_author_url,
                "comment_author_IP", comment_content, comment_agent, comment_type, comment_parent, user_id)
            VALUES (1, 'Ann', '{email}', 'https://ann.example', '198.51.100.7', '{text}', 'Mozilla/5.0', 'comment', 0, 0)"#,
        shown: "comment_approved",
        verdicts: ["1", "0", "spam"],
        logged: "Ann ann@example.org 198.51.100.7 https://ann.example Mozilla/5.0",
    }
    .prove();
}

#[test]
fn wordpress_is_known_by_lower_case_names_too() {
    System {
        schema: &WORDPRESS.replace('"', ""),
        protect: "'wp_comments'",
        mapping: "body=comment_content author=comment_author email=comment_author_email
                  url=comment_author_url ip=comment_author_ip user_agent=comment_agent type=comment_type
                  created_at=comment_date_gmt user_id=user_id parent_id=comment_parent",
        status: r#"{"column":"comment_approved","ham":"1","moderate":"0","spam":"spam"}"#,
        insert: "INSERT INTO wp_comments (comment_author, comment_author_email, comment_content, comment_approved)
                 VALUES ('Ann', '{email}', '{text}', '0')",
        shown: "comment_approved",
        // WordPress itself had put the first one into its queue: that is its own business.
        verdicts: ["0", "0", "spam"],
        logged: "Ann ann@example.org  ",
    }
    .prove();
}

#[test]
fn serendipity_comments_get_verdicts() {
    System {
        schema: "
            CREATE TABLE serendipity_comments (
                id serial PRIMARY KEY, entry_id int NOT NULL DEFAULT 0, parent_id int NOT NULL DEFAULT 0,
                timestamp int DEFAULT NULL, title varchar(150) DEFAULT NULL, author varchar(80) DEFAULT NULL,
                email varchar(200) DEFAULT NULL, url varchar(200) DEFAULT NULL, ip varchar(64) DEFAULT NULL,
                body text, type varchar(100) DEFAULT 'regular', subscribed boolean NOT NULL DEFAULT true,
                status varchar(50) NOT NULL, referer varchar(200) DEFAULT NULL);
            CREATE INDEX commentry_idx ON serendipity_comments (entry_id);",
        protect: "'serendipity_comments'",
        mapping: "body=body title=title author=author email=email url=url ip=ip referrer=referer type=type
                  created_at=timestamp parent_id=parent_id",
        status: r#"{"column":"status","ham":"approved","moderate":"pending","spam":"pending"}"#,
        insert: "INSERT INTO serendipity_comments (entry_id, parent_id, ip, author, email, url, body, type, timestamp,
                     title, subscribed, status, referer)
                 VALUES (1, 0, '198.51.100.7', 'Ann', '{email}', 'https://ann.example', '{text}', 'NORMAL', 1600000000,
                     '', 'false', 'approved', 'https://blog.example/')",
        shown: "status",
        verdicts: ["approved", "pending", "pending"],
        logged: "Ann ann@example.org 198.51.100.7 https://ann.example",
    }
    .prove();
}

#[test]
fn django_contrib_comments_get_verdicts() {
    System {
        schema: r#"
            CREATE TABLE "django_content_type" ("id" serial PRIMARY KEY, "app_label" varchar(100), "model" varchar(100));
            CREATE TABLE "django_comments" (
                "id" serial NOT NULL PRIMARY KEY, "object_pk" varchar(255) NOT NULL, "user_name" varchar(50) NOT NULL,
                "user_email" varchar(254) NOT NULL, "user_url" varchar(200) NOT NULL, "comment" text NOT NULL,
                "submit_date" timestamptz NOT NULL, "ip_address" inet NULL, "is_public" boolean NOT NULL,
                "is_removed" boolean NOT NULL, "content_type_id" integer NOT NULL
                    REFERENCES "django_content_type" DEFERRABLE INITIALLY DEFERRED,
                "site_id" integer NOT NULL, "user_id" integer NULL);
            INSERT INTO django_content_type VALUES (1, 'blog', 'entry');"#,
        protect: "'django_comments'",
        mapping: "body=comment author=user_name email=user_email url=user_url ip=ip_address
                  created_at=submit_date user_id=user_id",
        status: r#"{"ham":{"is_public":true,"is_removed":false},"moderate":{"is_public":false},
                    "spam":{"is_removed":true}}"#,
        insert: r#"INSERT INTO "django_comments" ("content_type_id", "object_pk", "site_id", "user_id", "user_name",
                       "user_email", "user_url", "comment", "submit_date", "ip_address", "is_public", "is_removed")
                   VALUES (1, '7', 1, NULL, 'Ann', '{email}', 'https://ann.example', '{text}',
                       '2020-02-02T02:02:02+00:00'::timestamptz, '198.51.100.7'::inet, true, false)"#,
        shown: "is_public, is_removed",
        verdicts: ["t f", "f f", "t t"],
        logged: "Ann ann@example.org 198.51.100.7 https://ann.example",
    }
    .prove();
}

#[test]
fn drupal_7_comments_get_verdicts() {
    System {
        schema: "
            CREATE TABLE comment (
                cid serial CHECK (cid >= 0), pid int NOT NULL DEFAULT 0, nid int NOT NULL DEFAULT 0,
                uid int NOT NULL DEFAULT 0, subject varchar(64) NOT NULL DEFAULT '',
                hostname varchar(128) NOT NULL DEFAULT '', created int NOT NULL DEFAULT 0,
                changed int NOT NULL DEFAULT 0, status int CHECK (status >= 0) NOT NULL DEFAULT 1,
                thread varchar(255) NOT NULL, name varchar(60), mail varchar(64), homepage varchar(255),
                language varchar(12) NOT NULL DEFAULT '', PRIMARY KEY (cid));
            CREATE INDEX comment_comment_status_pid_idx ON comment (pid, status);",
        protect: "'comment'",
        mapping: "title=subject author=name email=mail url=homepage ip=hostname created_at=created
                  user_id=uid parent_id=pid",
        status: r#"{"column":"status","ham":1,"moderate":0,"spam":0}"#,
        insert: "INSERT INTO comment (nid, pid, uid, subject, hostname, created, changed, status, thread, name, mail,
                     homepage, language)
                 VALUES (1, 0, 0, '{text}', '198.51.100.7', 1600000000, 1600000000, 1, '01/', 'Ann', '{email}',
                     'https://ann.example', 'und')",
        shown: "status",
        verdicts: ["1", "0", "0"],
        logged: "Ann ann@example.org 198.51.100.7 https://ann.example",
    }
    .prove();
}

#[test]
fn drupal_7_keeps_the_body_in_a_field_table_that_is_protected_by_itself() {
    let database = Cluster::shared().database();
    let mut client = database.client();
    run(&mut client, super::RULES);
    run(
        &mut client,
        "CREATE TABLE field_data_comment_body (
             entity_type varchar(128) NOT NULL DEFAULT '', bundle varchar(128) NOT NULL DEFAULT '',
             deleted smallint NOT NULL DEFAULT 0, entity_id int NOT NULL, revision_id int, language varchar(32) NOT NULL,
             delta int NOT NULL, comment_body_value text, comment_body_format varchar(255),
             PRIMARY KEY (entity_type, entity_id, deleted, delta, language))",
    );
    let found = texts(
        &mut client,
        "SELECT field || '=' || source FROM spamcheck.protect('field_data_comment_body')",
    );
    assert!(found.contains(&"body=comment_body_value".to_owned()), "{found:?}");
    run(
        &mut client,
        "INSERT INTO field_data_comment_body VALUES ('comment', 'comment_node_article', 0, 7, 7, 'und', 0, 'casino', 'filtered_html')",
    );
    assert_eq!(texts(&mut client, "SELECT row_key->>'entity_id' FROM spamcheck.recent"), ["7"]);
}

const GITLAB_ISSUES: &str = "
    CREATE TABLE issues (
        id serial PRIMARY KEY, title varchar, author_id bigint, project_id bigint, created_at timestamp,
        updated_at timestamp, description text, milestone_id bigint, iid integer, updated_by_id bigint,
        weight integer, confidential boolean DEFAULT false NOT NULL, due_date date, moved_to_id bigint,
        lock_version integer DEFAULT 0, title_html text, description_html text, time_estimate integer DEFAULT 0,
        relative_position integer, service_desk_reply_to varchar, cached_markdown_version integer,
        last_edited_at timestamp, last_edited_by_id bigint, discussion_locked boolean, closed_at timestamptz,
        closed_by_id bigint, state_id smallint DEFAULT 1 NOT NULL, duplicated_to_id bigint,
        promoted_to_epic_id bigint, health_status smallint, external_key varchar(255), sprint_id bigint,
        blocking_issues_count integer DEFAULT 0 NOT NULL, upvotes_count integer DEFAULT 0 NOT NULL,
        work_item_type_id bigint DEFAULT 1, namespace_id bigint DEFAULT 1, start_date date,
        imported_from smallint DEFAULT 0 NOT NULL, namespace_traversal_ids bigint[] DEFAULT '{}',
        CONSTRAINT check_2addf801cd CHECK ((work_item_type_id IS NOT NULL)),
        CONSTRAINT check_c33362cd43 CHECK ((namespace_id IS NOT NULL)),
        CONSTRAINT check_fba63f706d CHECK ((lock_version IS NOT NULL)));
    CREATE TABLE users (id bigint PRIMARY KEY, email varchar DEFAULT '' NOT NULL, name varchar, current_sign_in_ip varchar,
                        encrypted_password varchar, website_url varchar DEFAULT '');
    INSERT INTO users VALUES (9, 'ann@moderate.example', 'Ann', '198.51.100.7');";

#[test]
fn gitlab_issues_are_judged_and_logged() {
    System {
        schema: GITLAB_ISSUES,
        protect: "'issues'",
        mapping: "body=description title=title created_at=created_at user_id=author_id",
        status: "{}",
        insert: "INSERT INTO issues (title, author_id, project_id, created_at, updated_at, description, iid)
                 VALUES ('A title', 9, 1, '2020-02-02', '2020-02-02', '{text}', 1)",
        shown: "state_id, confidential",
        verdicts: ["1 f", "1 f", "1 f"],
        logged: "",
    }
    .prove();
}

#[test]
fn gitlab_issues_take_title_and_description_as_one_and_the_author_from_users() {
    let database = Cluster::shared().database();
    let mut client = database.client();
    run(&mut client, super::RULES);
    run(&mut client, GITLAB_ISSUES);
    run(
        &mut client,
        r#"SELECT spamcheck.protect('issues', columns => '{
               "body":["title","description"], "title":null,
               "author":{"table":"users","key":"id","from":"author_id","column":"name"},
               "email":{"table":"users","key":"id","from":"author_id","column":"email"},
               "ip":{"setting":"app.ip"}, "type":{"value":"issue"}}', status => '{}');
           SET app.ip = '198.51.100.9';
           INSERT INTO issues (title, author_id, description) VALUES ('Play', 9, 'at the casino');
           INSERT INTO issues (title, author_id, description) VALUES ('Fine', 8, 'words');
           UPDATE issues SET state_id = 2, closed_at = now();"#,
    );
    assert_eq!(
        texts(
            &mut client,
            "SELECT concat_ws('|', check_name, author, email, host(ip), comment) FROM spamcheck.spam_checklog ORDER BY check_name"
        ),
        [
            "content|Ann|ann@moderate.example|198.51.100.9|Play\nat the casino",
            "email_pattern|Ann|ann@moderate.example|198.51.100.9|Play\nat the casino"
        ]
    );
}

#[test]
fn gitlab_notes_are_judged_and_logged() {
    System {
        schema: "
            CREATE TABLE notes (
                note text, noteable_type varchar, author_id bigint, created_at timestamp, updated_at timestamp,
                project_id bigint, line_code varchar, commit_id varchar, noteable_id bigint,
                system boolean DEFAULT false NOT NULL, st_diff text, updated_by_id bigint, type varchar,
                \"position\" text, original_position text, resolved_at timestamp, resolved_by_id bigint,
                discussion_id varchar, note_html text, cached_markdown_version integer, change_position text,
                resolved_by_push boolean, review_id bigint, confidential boolean, last_edited_at timestamptz,
                internal boolean DEFAULT false NOT NULL, id bigserial PRIMARY KEY, namespace_id bigint,
                imported_from smallint DEFAULT 0 NOT NULL, organization_id bigint,
                CONSTRAINT check_1244cbd7d0 CHECK ((noteable_type IS NOT NULL)));",
        protect: "'notes'",
        mapping: "body=note created_at=created_at user_id=author_id",
        status: "{}",
        insert: "INSERT INTO notes (note, noteable_type, author_id, created_at, updated_at, project_id, noteable_id, type, discussion_id)
                 VALUES ('{text}', 'Issue', 9, '2020-02-02', '2020-02-02', 1, 1, 'DiscussionNote', 'abc')",
        shown: "system, internal",
        verdicts: ["f f", "f f", "f f"],
        logged: "",
    }
    .prove();
}
