//! Shops' reviews, contact forms and guestbooks.

use super::System;

#[test]
fn spree_reviews_get_verdicts() {
    System {
        schema: "CREATE TABLE spree_reviews (
            id serial PRIMARY KEY, product_id int, name varchar, location varchar, rating int, title text, review text,
            approved boolean DEFAULT false, created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now(),
            user_id int, ip_address varchar, locale varchar DEFAULT 'en', show_identifier boolean DEFAULT true)",
        protect: "'spree_reviews'",
        mapping: "body=review title=title author=name ip=ip_address created_at=created_at user_id=user_id",
        status: r#"{"column":"approved","ham":true,"moderate":false,"spam":false}"#,
        insert: "INSERT INTO spree_reviews (product_id, name, rating, title, review, approved, ip_address)
                 VALUES (1, 'Ann', 5, 'Good', '{text}', true, '198.51.100.7')",
        shown: "approved",
        verdicts: ["t", "f", "f"],
        logged: "Ann 198.51.100.7",
    }
    .prove();
}

#[test]
fn laravel_comments_get_verdicts() {
    System {
        schema: "CREATE TABLE comments (
            id bigserial PRIMARY KEY, commenter_id varchar(255), commenter_type varchar(255), guest_name varchar(255),
            guest_email varchar(255), commentable_type varchar(255) NOT NULL DEFAULT 'post', commentable_id varchar(255) NOT NULL DEFAULT '1',
            comment text NOT NULL, approved boolean DEFAULT true NOT NULL, child_id bigint, deleted_at timestamp(0),
            created_at timestamp(0), updated_at timestamp(0))",
        protect: "'comments'",
        mapping: "body=comment author=guest_name email=guest_email created_at=created_at user_id=commenter_id",
        status: r#"{"column":"approved","ham":true,"moderate":false,"spam":false}"#,
        insert: "INSERT INTO comments (guest_name, guest_email, comment) VALUES ('Ann', '{email}', '{text}')",
        shown: "approved",
        verdicts: ["t", "f", "f"],
        logged: "Ann ann@example.org",
    }
    .prove();
}

#[test]
fn a_hand_made_guestbook_gets_verdicts() {
    System {
        schema: "CREATE TABLE gaestebuch (
            id serial PRIMARY KEY, gb_name varchar(50), gb_mail varchar(50), gb_url varchar(80), gb_text text, gb_ip varchar(15),
            gb_date timestamp DEFAULT now(), gb_freigegeben boolean NOT NULL DEFAULT true)",
        protect: "'gaestebuch'",
        mapping: "body=gb_text author=gb_name email=gb_mail url=gb_url ip=gb_ip created_at=gb_date",
        status: r#"{"column":"gb_freigegeben","ham":true,"moderate":false,"spam":false}"#,
        insert: "INSERT INTO gaestebuch (gb_name, gb_mail, gb_url, gb_text, gb_ip)
                 VALUES ('Ann', '{email}', 'https://ann.example', '{text}', '198.51.100.7')",
        shown: "gb_freigegeben",
        verdicts: ["t", "f", "f"],
        logged: "Ann ann@example.org 198.51.100.7 https://ann.example",
    }
    .prove();
}
