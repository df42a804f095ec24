//! Social networks and chats.

use super::System;

#[test]
fn mastodon_statuses_are_judged_and_logged() {
    System {
        schema: "CREATE TABLE statuses (
            id bigserial PRIMARY KEY, uri varchar, text text DEFAULT '' NOT NULL, created_at timestamp NOT NULL DEFAULT now(),
            updated_at timestamp NOT NULL DEFAULT now(), in_reply_to_id bigint, reblog_of_id bigint, url varchar,
            sensitive boolean DEFAULT false NOT NULL, visibility integer DEFAULT 0 NOT NULL, spoiler_text text DEFAULT '' NOT NULL,
            reply boolean DEFAULT false NOT NULL, language varchar, conversation_id bigint, local boolean,
            account_id bigint NOT NULL, application_id bigint, in_reply_to_account_id bigint, poll_id bigint, deleted_at timestamp,
            edited_at timestamp, trendable boolean, ordered_media_attachment_ids bigint[])",
        protect: "'statuses'",
        mapping: "body=text title=spoiler_text created_at=created_at user_id=account_id permalink=url parent_id=in_reply_to_id",
        status: "{}",
        insert: "INSERT INTO statuses (uri, text, url, account_id, local) VALUES ('https://m.example/1', '{text}', 'https://m.example/@a/1', 9, true)",
        shown: "visibility, sensitive",
        verdicts: ["0 f", "0 f", "0 f"],
        logged: "",
    }
    .prove();
}

#[test]
fn lemmy_comments_get_verdicts() {
    System {
        schema: "
            CREATE EXTENSION ltree;
            CREATE TABLE comment (
                id serial PRIMARY KEY, creator_id int NOT NULL, post_id int NOT NULL, content text NOT NULL,
                removed boolean DEFAULT false NOT NULL, published timestamptz DEFAULT now() NOT NULL, updated timestamptz,
                deleted boolean DEFAULT false NOT NULL, ap_id varchar(255) NOT NULL DEFAULT '', local boolean DEFAULT true NOT NULL,
                path ltree DEFAULT '0'::ltree NOT NULL, distinguished boolean DEFAULT false NOT NULL,
                language_id int DEFAULT 0 NOT NULL);",
        protect: "'comment'",
        mapping: "body=content created_at=published user_id=creator_id",
        status: r#"{"column":"removed","ham":false,"moderate":true,"spam":true}"#,
        insert: "INSERT INTO comment (creator_id, post_id, content, path) VALUES (9, 1, '{text}', '0.1')",
        shown: "removed, deleted",
        verdicts: ["f f", "t f", "t f"],
        logged: "",
    }
    .prove();
}

#[test]
fn peertube_comments_get_verdicts() {
    System {
        schema: r#"CREATE TABLE "videoComment" (
            "id" serial PRIMARY KEY, "url" varchar(2000) NOT NULL, "deletedAt" timestamptz, "heldForReview" boolean NOT NULL DEFAULT false,
            "text" text NOT NULL, "originCommentId" int, "inReplyToCommentId" int, "videoId" int NOT NULL, "accountId" int,
            "replyApproval" varchar(255), "createdAt" timestamptz NOT NULL DEFAULT now(), "updatedAt" timestamptz NOT NULL DEFAULT now())"#,
        protect: r#"'"videoComment"'"#,
        mapping: "body=text created_at=createdAt user_id=accountId permalink=url parent_id=inReplyToCommentId",
        status: r#"{"column":"heldForReview","ham":false,"moderate":true,"spam":true}"#,
        insert: r#"INSERT INTO "videoComment" ("url", "text", "videoId", "accountId") VALUES ('https://tube.example/1', '{text}', 1, 9)"#,
        shown: r#""heldForReview""#,
        verdicts: ["f", "t", "t"],
        logged: "",
    }
    .prove();
}

#[test]
fn mattermost_posts_are_judged_and_logged() {
    System {
        schema: "CREATE TABLE posts (
            id varchar(26) PRIMARY KEY DEFAULT substr(md5(random()::text), 1, 26), createat bigint, updateat bigint, deleteat bigint,
            userid varchar(26), channelid varchar(26), rootid varchar(26), originalid varchar(26), message varchar(65535),
            type varchar(26), props jsonb, hashtags varchar(1000), filenames varchar(4000), fileids varchar(300),
            hasreactions boolean, editat bigint, ispinned boolean, remoteid varchar(26))",
        protect: "'posts'",
        mapping: "body=message type=type created_at=createat user_id=userid",
        status: "{}",
        insert: "INSERT INTO posts (createat, userid, message, type, props) VALUES (1600000000000, 'u', '{text}', '', '{}')",
        shown: "deleteat",
        verdicts: ["", "", ""],
        logged: "",
    }
    .prove();
}
