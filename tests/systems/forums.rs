//! Forums: posts with accounts and guests.

use super::System;

#[test]
fn phpbb_posts_get_verdicts() {
    System {
        schema: "
            CREATE SEQUENCE phpbb_posts_seq;
            CREATE TABLE phpbb_posts (
                post_id INT4 DEFAULT nextval('phpbb_posts_seq'), topic_id INT4 DEFAULT '0' NOT NULL CHECK (topic_id >= 0),
                forum_id INT4 DEFAULT '0' NOT NULL CHECK (forum_id >= 0), poster_id INT4 DEFAULT '0' NOT NULL CHECK (poster_id >= 0),
                icon_id INT4 DEFAULT '0' NOT NULL, poster_ip varchar(40) DEFAULT '' NOT NULL,
                post_time INT4 DEFAULT '0' NOT NULL CHECK (post_time >= 0), post_reported INT2 DEFAULT '0' NOT NULL,
                enable_bbcode INT2 DEFAULT '1' NOT NULL, enable_smilies INT2 DEFAULT '1' NOT NULL,
                enable_magic_url INT2 DEFAULT '1' NOT NULL, enable_sig INT2 DEFAULT '1' NOT NULL,
                post_username varchar(255) DEFAULT '' NOT NULL, post_subject varchar(255) DEFAULT '' NOT NULL,
                post_text TEXT DEFAULT '' NOT NULL, post_checksum varchar(32) DEFAULT '' NOT NULL,
                post_attachment INT2 DEFAULT '0' NOT NULL, bbcode_bitfield varchar(255) DEFAULT '' NOT NULL,
                bbcode_uid varchar(8) DEFAULT '' NOT NULL, post_postcount INT2 DEFAULT '1' NOT NULL,
                post_edit_time INT4 DEFAULT '0' NOT NULL, post_edit_reason varchar(255) DEFAULT '' NOT NULL,
                post_edit_user INT4 DEFAULT '0' NOT NULL, post_edit_count INT2 DEFAULT '0' NOT NULL,
                post_edit_locked INT2 DEFAULT '0' NOT NULL, post_visibility INT2 DEFAULT '0' NOT NULL,
                post_delete_time INT4 DEFAULT '0' NOT NULL, post_delete_reason varchar(255) DEFAULT '' NOT NULL,
                post_delete_user INT4 DEFAULT '0' NOT NULL, PRIMARY KEY (post_id));",
        protect: "'phpbb_posts'",
        mapping: "body=post_text title=post_subject author=post_username ip=poster_ip created_at=post_time user_id=poster_id",
        status: r#"{"column":"post_visibility","ham":1,"moderate":0,"spam":0}"#,
        insert: "INSERT INTO phpbb_posts (topic_id, forum_id, poster_id, poster_ip, post_time, post_username, post_subject,
                     post_text, post_visibility)
                 VALUES (1, 2, 1, '198.51.100.7', 1600000000, 'Ann', 'Re: hello', '<t>{text}</t>', 1)",
        shown: "post_visibility",
        verdicts: ["1", "0", "0"],
        logged: "Ann 198.51.100.7",
    }
    .prove();
}

#[test]
fn discourse_posts_get_verdicts() {
    System {
        schema: "CREATE TABLE posts (
            id serial PRIMARY KEY, user_id integer, topic_id integer NOT NULL, post_number integer NOT NULL, raw text NOT NULL,
            cooked text NOT NULL, created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now(),
            reply_to_post_number integer, reply_count integer DEFAULT 0 NOT NULL, quote_count integer DEFAULT 0 NOT NULL,
            deleted_at timestamp, like_count integer DEFAULT 0 NOT NULL, score double precision,
            reads integer DEFAULT 0 NOT NULL, post_type integer DEFAULT 1 NOT NULL, sort_order integer, last_editor_id integer,
            hidden boolean DEFAULT false NOT NULL, hidden_reason_id integer, spam_count integer DEFAULT 0 NOT NULL,
            last_version_at timestamp NOT NULL DEFAULT now(), user_deleted boolean DEFAULT false NOT NULL,
            reply_to_user_id integer, percent_rank double precision DEFAULT 1.0, deleted_by_id integer, edit_reason varchar,
            word_count integer, version integer DEFAULT 1 NOT NULL, cook_method integer DEFAULT 1 NOT NULL,
            wiki boolean DEFAULT false NOT NULL, baked_at timestamp, baked_version integer, hidden_at timestamp,
            via_email boolean DEFAULT false NOT NULL, raw_email text, public_version integer DEFAULT 1 NOT NULL,
            action_code varchar, locked_by_id integer, outbound_message_id varchar)",
        protect: "'posts'",
        mapping: "body=raw created_at=created_at user_id=user_id parent_id=reply_to_post_number",
        status: r#"{"column":"hidden","ham":false,"moderate":true,"spam":true}"#,
        insert: "INSERT INTO posts (user_id, topic_id, post_number, raw, cooked) VALUES (9, 1, 1, '{text}', '<p>{text}</p>')",
        shown: "hidden",
        verdicts: ["f", "t", "t"],
        logged: "",
    }
    .prove();
}

#[test]
fn flarum_posts_get_verdicts() {
    System {
        schema: "CREATE TABLE posts (
            id serial PRIMARY KEY, discussion_id int NOT NULL DEFAULT 1, number int, created_at timestamp NOT NULL DEFAULT now(),
            user_id int, type varchar(100), content text, edited_at timestamp, edited_user_id int, hidden_at timestamp,
            hidden_user_id int, ip_address varchar(45), is_private boolean NOT NULL DEFAULT false,
            is_approved boolean NOT NULL DEFAULT true, is_spam boolean NOT NULL DEFAULT false)",
        protect: "'posts'",
        mapping: "body=content ip=ip_address type=type created_at=created_at user_id=user_id",
        status: r#"{"ham":{"is_approved":true,"is_spam":false,"hidden_at":null},"moderate":{"is_approved":false},
                    "spam":{"is_approved":false,"is_spam":true}}"#,
        insert: "INSERT INTO posts (number, user_id, type, content, ip_address)
                 VALUES (1, 9, 'comment', '<t><p>{text}</p></t>', '198.51.100.7')",
        shown: "is_approved, is_spam",
        verdicts: ["t f", "f f", "f t"],
        logged: "198.51.100.7",
    }
    .prove();
}

#[test]
fn smf_messages_get_verdicts() {
    System {
        schema: "
            CREATE SEQUENCE smf_messages_seq START WITH 2;
            CREATE TABLE smf_messages (
                id_msg bigint DEFAULT nextval('smf_messages_seq'), id_topic bigint NOT NULL DEFAULT '0',
                id_board smallint NOT NULL DEFAULT '0', poster_time bigint NOT NULL DEFAULT '0', id_member bigint NOT NULL DEFAULT '0',
                id_msg_modified bigint NOT NULL DEFAULT '0', subject varchar(255) NOT NULL DEFAULT '',
                poster_name varchar(255) NOT NULL DEFAULT '', poster_email varchar(255) NOT NULL DEFAULT '', poster_ip inet,
                smileys_enabled smallint NOT NULL DEFAULT '1', modified_time bigint NOT NULL DEFAULT '0',
                modified_name varchar(255) NOT NULL DEFAULT '', modified_reason varchar(255) NOT NULL DEFAULT '',
                body text NOT NULL, icon varchar(16) NOT NULL DEFAULT 'xx', approved smallint NOT NULL DEFAULT '1',
                likes smallint NOT NULL DEFAULT '0', version varchar(5) NOT NULL DEFAULT '', PRIMARY KEY (id_msg));",
        protect: "'smf_messages'",
        mapping: "body=body title=subject author=poster_name email=poster_email ip=poster_ip created_at=poster_time
                  user_id=id_member",
        status: r#"{"column":"approved","ham":1,"moderate":0,"spam":0}"#,
        insert: "INSERT INTO smf_messages (id_topic, id_board, poster_time, id_member, subject, poster_name, poster_email, poster_ip, body)
                 VALUES (1, 1, 1600000000, 0, 'Hello', 'Ann', '{email}', '198.51.100.7', '{text}')",
        shown: "approved",
        verdicts: ["1", "0", "0"],
        logged: "Ann ann@example.org 198.51.100.7",
    }
    .prove();
}

#[test]
fn mybb_posts_get_verdicts_although_their_address_is_bytes() {
    System {
        schema: "CREATE TABLE mybb_posts (
            pid serial, tid int NOT NULL DEFAULT '0', replyto int NOT NULL DEFAULT '0', fid smallint NOT NULL DEFAULT '0',
            subject varchar(120) NOT NULL DEFAULT '', icon smallint NOT NULL DEFAULT '0', uid int NOT NULL DEFAULT '0',
            username varchar(80) NOT NULL DEFAULT '', dateline int NOT NULL DEFAULT '0', message text NOT NULL DEFAULT '',
            ipaddress bytea NOT NULL DEFAULT '', includesig smallint NOT NULL DEFAULT '0', smilieoff smallint NOT NULL DEFAULT '0',
            edituid int NOT NULL DEFAULT '0', edittime int NOT NULL DEFAULT '0', editreason varchar(150) NOT NULL DEFAULT '',
            visible smallint NOT NULL DEFAULT '0', PRIMARY KEY (pid))",
        protect: "'mybb_posts'",
        mapping: "body=message title=subject author=username created_at=dateline user_id=uid parent_id=replyto",
        status: r#"{"column":"visible","ham":1,"moderate":0,"spam":0}"#,
        insert: r"INSERT INTO mybb_posts (tid, fid, subject, uid, username, dateline, message, ipaddress, visible)
                 VALUES (1, 2, 'Hello', 0, 'Ann', 1600000000, '{text}', '\xc6336407', 1)",
        shown: "visible",
        verdicts: ["1", "0", "0"],
        logged: "Ann",
    }
    .prove();
}

#[test]
fn moodle_forum_posts_are_judged_and_logged() {
    System {
        schema: "CREATE TABLE mdl_forum_posts (
            id bigserial PRIMARY KEY, discussion bigint NOT NULL DEFAULT 0, parent bigint NOT NULL DEFAULT 0,
            userid bigint NOT NULL DEFAULT 0, created bigint NOT NULL DEFAULT 0, modified bigint NOT NULL DEFAULT 0,
            mailed smallint NOT NULL DEFAULT 0, subject varchar(255) NOT NULL DEFAULT '', message text NOT NULL,
            messageformat smallint NOT NULL DEFAULT 0, messagetrust smallint NOT NULL DEFAULT 0,
            attachment varchar(100) NOT NULL DEFAULT '', totalscore smallint NOT NULL DEFAULT 0, mailnow bigint NOT NULL DEFAULT 0,
            deleted smallint NOT NULL DEFAULT 0, privatereplyto bigint NOT NULL DEFAULT 0, wordcount bigint, charcount bigint)",
        protect: "'mdl_forum_posts'",
        mapping: "body=message title=subject created_at=created user_id=userid parent_id=parent",
        status: "{}",
        insert: "INSERT INTO mdl_forum_posts (discussion, userid, created, subject, message) VALUES (1, 9, 1600000000, 'Hello', '<p>{text}</p>')",
        shown: "deleted",
        verdicts: ["0", "0", "0"],
        logged: "",
    }
    .prove();
}

#[test]
fn django_machina_posts_get_verdicts() {
    System {
        schema: "CREATE TABLE forum_conversation_post (
            id serial PRIMARY KEY, created timestamptz NOT NULL DEFAULT now(), updated timestamptz NOT NULL DEFAULT now(),
            poster_ip inet, subject varchar(255) NOT NULL, content text NOT NULL, username varchar(155), approved boolean NOT NULL,
            enable_signature boolean NOT NULL DEFAULT true, update_reason varchar(255), updates_count int NOT NULL DEFAULT 0,
            _content_rendered text, anonymous_key varchar(100), poster_id int, topic_id int NOT NULL DEFAULT 1, updated_by_id int)",
        protect: "'forum_conversation_post'",
        mapping: "body=content title=subject author=username ip=poster_ip created_at=created user_id=poster_id",
        status: r#"{"column":"approved","ham":true,"moderate":false,"spam":false}"#,
        insert: "INSERT INTO forum_conversation_post (poster_ip, subject, content, username, approved)
                 VALUES ('2001:db8::7', 'Hello', '{text}', 'Ann', true)",
        shown: "approved",
        verdicts: ["t", "f", "f"],
        logged: "Ann 2001:db8::7",
    }
    .prove();
}
