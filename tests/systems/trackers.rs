//! Trackers and wikis.

use super::System;

#[test]
fn redmine_messages_are_judged_and_logged() {
    System {
        schema: "CREATE TABLE messages (
            id serial PRIMARY KEY, board_id int NOT NULL DEFAULT 1, parent_id int, subject varchar DEFAULT '' NOT NULL, content text,
            author_id int, replies_count int DEFAULT 0 NOT NULL, last_reply_id int, created_on timestamp NOT NULL DEFAULT now(),
            updated_on timestamp NOT NULL DEFAULT now(), locked boolean DEFAULT false, sticky int DEFAULT 0)",
        protect: "'messages'",
        mapping: "body=content title=subject created_at=created_on user_id=author_id parent_id=parent_id",
        status: "{}",
        insert: "INSERT INTO messages (subject, content, author_id) VALUES ('Hello', '{text}', 9)",
        shown: "locked, sticky",
        verdicts: ["f 0", "f 0", "f 0"],
        logged: "",
    }
    .prove();
}

#[test]
fn redmine_journals_are_judged_and_logged() {
    System {
        schema: "CREATE TABLE journals (
            id serial PRIMARY KEY, journalized_id int DEFAULT 0 NOT NULL, journalized_type varchar(30) DEFAULT '' NOT NULL,
            user_id int DEFAULT 0 NOT NULL, notes text, created_on timestamp NOT NULL DEFAULT now(),
            private_notes boolean DEFAULT false NOT NULL, updated_on timestamp, updated_by_id int)",
        protect: "'journals'",
        mapping: "body=notes created_at=created_on user_id=user_id",
        status: "{}",
        insert: "INSERT INTO journals (journalized_id, journalized_type, user_id, notes) VALUES (1, 'Issue', 9, '{text}')",
        shown: "private_notes",
        verdicts: ["f", "f", "f"],
        logged: "",
    }
    .prove();
}

#[test]
fn bugzilla_comments_are_judged_and_logged() {
    System {
        schema: "CREATE TABLE longdescs (
            comment_id serial PRIMARY KEY, bug_id int NOT NULL, who int NOT NULL, bug_when timestamptz(0) NOT NULL,
            work_time decimal(7,2) DEFAULT '0' NOT NULL, thetext text NOT NULL, isprivate smallint DEFAULT '0' NOT NULL,
            already_wrapped smallint DEFAULT '0' NOT NULL, type smallint DEFAULT '0' NOT NULL, extra_data varchar(255))",
        protect: "'longdescs'",
        mapping: "body=thetext created_at=bug_when user_id=who",
        status: "{}",
        insert: "INSERT INTO longdescs (bug_id, who, bug_when, thetext) VALUES (1, 9, now(), '{text}')",
        shown: "isprivate",
        verdicts: ["0", "0", "0"],
        logged: "",
    }
    .prove();
}

#[test]
fn mantis_notes_are_judged_in_their_text_table() {
    System {
        schema: "CREATE TABLE mantis_bugnote_text_table (id serial PRIMARY KEY, note text NOT NULL)",
        protect: "'mantis_bugnote_text_table'",
        mapping: "body=note",
        status: "{}",
        insert: "INSERT INTO mantis_bugnote_text_table (note) VALUES ('{text}')",
        shown: "1",
        verdicts: ["1", "1", "1"],
        logged: "",
    }
    .prove();
}

#[test]
fn gitea_comments_are_judged_and_logged() {
    System {
        schema: "CREATE TABLE comment (
            id bigserial PRIMARY KEY, type int, poster_id bigint, original_author varchar(255), original_author_id bigint, issue_id bigint,
            label_id bigint, old_title varchar(255), new_title varchar(255), commit_id bigint, line bigint, tree_path varchar(4000),
            content text, content_version int NOT NULL DEFAULT 0, patch text, created_unix bigint, updated_unix bigint,
            commit_sha varchar(64), review_id bigint, invalidated boolean)",
        protect: "'comment'",
        mapping: "body=content author=original_author created_at=created_unix user_id=poster_id",
        status: "{}",
        insert: "INSERT INTO comment (type, poster_id, issue_id, content, created_unix) VALUES (0, 9, 1, '{text}', 1600000000)",
        shown: "type",
        verdicts: ["0", "0", "0"],
        logged: "",
    }
    .prove();
}
