//! Petitions and civic platforms: signatures, actions, proposals.

use super::{System, run, texts};
use support::cluster::Cluster;

#[test]
fn actionkit_actions_are_judged_with_their_users_and_custom_fields() {
    let database = Cluster::shared().database();
    let mut client = database.client();
    run(&mut client, super::RULES);
    run(
        &mut client,
        "CREATE TABLE core_page (id int PRIMARY KEY, name varchar(255), title varchar(255), type varchar(255), created_at timestamp);
         CREATE TABLE core_user (id int PRIMARY KEY, email varchar(255) UNIQUE, first_name varchar(255), last_name varchar(255),
             password varchar(255), subscription_status varchar(255) DEFAULT 'subscribed');
         CREATE TABLE core_action (
             id serial PRIMARY KEY, created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now(),
             user_id int NOT NULL, mailing_id int, page_id int NOT NULL, link int, source varchar(255), opq_id varchar(255),
             created_user boolean NOT NULL DEFAULT false, subscribed_user boolean NOT NULL DEFAULT false, referring_user_id int,
             referring_mailing_id int, status varchar(255) NOT NULL DEFAULT 'complete', taf_emails_sent int,
             is_forwarded boolean NOT NULL DEFAULT false, ip_address varchar(15), custom_fields jsonb);
         INSERT INTO core_page VALUES (1, 'save-the-trees', 'Save the trees', 'Petition', '2020-02-02');
         INSERT INTO core_user VALUES (9, 'ann@moderate.example', 'Ann', 'Smith'), (8, 'bob@example.org', 'Bob', 'Casino');",
    );
    let found = texts(
        &mut client,
        r#"SELECT field || '=' || source FROM spamcheck.protect('core_action',
            columns => '{"author":{"table":"core_user","key":"id","from":"user_id","column":"last_name"},
                         "email":{"table":"core_user","key":"id","from":"user_id","column":"email"},
                         "page":{"table":"core_page","key":"id","from":"page_id","column":"name"},
                         "type":{"table":"core_page","key":"id","from":"page_id","column":"type"}}',
            article => '{"table":"core_page","key":"id","from":"page_id","title":"title","created_at":"created_at"}',
            subscriber => '{"table":"core_user","key":"id","from":"user_id","column":"subscription_status",
                            "subscribed":"subscribed","unsubscribed":"unsubscribed"}')"#,
    );
    for row in [
        "fields=custom_fields",
        "ip=ip_address",
        "source=source",
        "user_id=user_id",
        "created_at=created_at",
    ] {
        assert!(found.contains(&row.to_owned()), "{row} is not in {found:?}");
    }
    assert_eq!(
        texts(&mut client, "SELECT status::text FROM spamcheck.protected_table"),
        [r#"{"ham": "complete", "spam": "spam", "column": "status", "moderate": "moderated"}"#]
    );
    let mut insert = |user: u32, fields: &str| {
        texts(
            &mut client,
            &format!(
                "INSERT INTO core_action (user_id, page_id, source, status, ip_address, custom_fields)
                 VALUES ({user}, 1, 'website', 'complete', '198.51.100.7', '{fields}') RETURNING status::text"
            ),
        )
        .concat()
    };
    assert_eq!(insert(9, "{}"), "moderated");
    assert_eq!(insert(8, "{}"), "spam");
    assert_eq!(insert(7, r#"{"comment":"fine words"}"#), "complete");
    assert_eq!(insert(7, r#"{"comment":"play at the casino"}"#), "spam");
    assert_eq!(
        texts(
            &mut client,
            "SELECT concat_ws('|', check_name, page, author, email) FROM spamcheck.spam_checklog ORDER BY id"
        ),
        [
            "email_pattern|save-the-trees|Smith|ann@moderate.example",
            "content|save-the-trees|Casino|bob@example.org",
            "content|save-the-trees"
        ]
    );
    // ActionKit's page types: the policy looks at petitions only.
    run(
        &mut client,
        "UPDATE spamcheck.policy SET types = '{petition}'; UPDATE core_page SET type = 'Survey'",
    );
    let survey = "INSERT INTO core_action (user_id, page_id) VALUES (8, 1) RETURNING status::text";
    assert_eq!(texts(&mut client, survey), ["complete"]);
}

#[test]
fn petition_signatures_are_judged_by_all_that_was_typed() {
    System {
        schema: "
            CREATE TYPE signature_state AS ENUM ('pending', 'valid', 'spam');
            CREATE TABLE petition_signatures (
                id serial PRIMARY KEY, petition_id int NOT NULL DEFAULT 1, first_name varchar(80), last_name varchar(80),
                email varchar(255), address1 varchar(255), address2 varchar(255), city varchar(80), state varchar(20),
                zip varchar(20), country varchar(80), ip_address inet, user_agent text, signed_at timestamptz DEFAULT now(),
                confirmation_token varchar(64), moderation_state signature_state NOT NULL DEFAULT 'valid')",
        protect: "'petition_signatures'",
        mapping: r#"author=["first_name","last_name"] email=email ip=ip_address user_agent=user_agent created_at=signed_at
                  fields=["address1","address2","city","state","zip","country"]"#,
        status: r#"{"column":"moderation_state","ham":"valid","moderate":"pending","spam":"spam"}"#,
        insert: "INSERT INTO petition_signatures (first_name, last_name, email, city, ip_address, user_agent, confirmation_token)
                 VALUES ('Ann', 'Smith', '{email}', '{text}', '198.51.100.7', 'Mozilla/5.0', 'casino')",
        shown: "moderation_state",
        verdicts: ["valid", "pending", "spam"],
        logged: "Ann\nSmith ann@example.org 198.51.100.7 Mozilla/5.0",
    }
    .prove();
}

#[test]
fn fixmystreet_comments_get_verdicts() {
    System {
        schema: "CREATE TABLE comment (
            id serial PRIMARY KEY, problem_id integer NOT NULL DEFAULT 1, user_id int NOT NULL DEFAULT 9, anonymous boolean NOT NULL DEFAULT false,
            name text, website text, created timestamp NOT NULL DEFAULT current_timestamp, confirmed timestamp, text text NOT NULL,
            photo bytea, state text NOT NULL CHECK (state = 'unconfirmed' OR state = 'confirmed' OR state = 'hidden'),
            cobrand text NOT NULL DEFAULT '' CHECK (cobrand ~* '^[a-z0-9_]*$'), lang text NOT NULL DEFAULT 'en-gb',
            cobrand_data text NOT NULL DEFAULT '' CHECK (cobrand_data ~* '^[a-z0-9_]*$'), mark_fixed boolean NOT NULL DEFAULT false,
            mark_open boolean NOT NULL DEFAULT false, problem_state text, external_id text, extra text, send_fail_count integer NOT NULL DEFAULT 0,
            send_state text NOT NULL DEFAULT 'unprocessed')",
        protect: "'comment'",
        mapping: "body=text author=name url=website created_at=created user_id=user_id",
        status: r#"{"column":"state","ham":"confirmed","moderate":"hidden","spam":"hidden"}"#,
        insert: "INSERT INTO comment (name, website, text, state) VALUES ('Ann', 'https://ann.example', '{text}', 'confirmed')",
        shown: "state, send_state",
        verdicts: ["confirmed unprocessed", "hidden unprocessed", "hidden unprocessed"],
        logged: "Ann https://ann.example",
    }
    .prove();
}

#[test]
fn decidim_comments_are_read_in_every_language() {
    System {
        schema: "CREATE TABLE decidim_comments_comments (
            id bigserial PRIMARY KEY, body jsonb DEFAULT '{}', decidim_commentable_type varchar NOT NULL DEFAULT 'Decidim::Proposals::Proposal',
            decidim_commentable_id bigint NOT NULL DEFAULT 1, decidim_author_id bigint NOT NULL, created_at timestamp NOT NULL DEFAULT now(),
            updated_at timestamp NOT NULL DEFAULT now(), depth int NOT NULL DEFAULT 0, alignment int NOT NULL DEFAULT 0,
            decidim_user_group_id bigint, decidim_root_commentable_type varchar, decidim_root_commentable_id bigint,
            decidim_author_type varchar NOT NULL DEFAULT 'Decidim::User', comments_count int NOT NULL DEFAULT 0, deleted_at timestamp)",
        protect: "'decidim_comments_comments'",
        mapping: "body=body created_at=created_at user_id=decidim_author_id",
        status: "{}",
        insert: r#"INSERT INTO decidim_comments_comments (body, decidim_author_id) VALUES ('{"en":"Fine","ca":"{text}"}', 9)"#,
        shown: "deleted_at",
        verdicts: ["", "", ""],
        logged: "",
    }
    .prove();
}

#[test]
fn openstreetmap_notes_get_verdicts() {
    System {
        schema: "
            CREATE TYPE note_event_enum AS ENUM ('opened', 'closed', 'reopened', 'commented', 'hidden');
            CREATE TABLE note_comments (
                id bigserial PRIMARY KEY, note_id bigint NOT NULL DEFAULT 1, visible boolean NOT NULL, created_at timestamp NOT NULL DEFAULT now(),
                author_ip inet, author_id bigint, body text, event note_event_enum);",
        protect: "'note_comments'",
        mapping: "body=body ip=author_ip created_at=created_at user_id=author_id",
        status: r#"{"column":"visible","ham":true,"moderate":false,"spam":false}"#,
        insert: "INSERT INTO note_comments (visible, author_ip, body, event) VALUES (true, '198.51.100.7', '{text}', 'commented')",
        shown: "visible, event",
        verdicts: ["t commented", "f commented", "f commented"],
        logged: "198.51.100.7",
    }
    .prove();
}
