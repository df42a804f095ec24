//! Owns the words that columns are named with: which phrase stands for which field, and how well;
//! which words may stand beside it. Data and look-ups only.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::secrets::SECRET_WORDS;
use crate::submission::Field;

/// For each field the phrases that name it, after how surely they do (0 to 100): the raw text
/// before the rendered one, the telling name before the vague one.
const WRITTEN: &[(Field, &str)] = &[
    (
        Field::Body,
        "100 body; 98 raw content, raw text; 97 content; 96 contents; 95 raw, text; 94 \
         markdown; 93 message; 92 comment, texte, contenu, texto, contenido, testo; 91 msg, \
         txt; 90 review, kommentar, inhalt, nachricht, beitrag, eintrag, commentaire, \
         comentario, mensaje, commento; 89 note; 88 comments; 87 reply; 86 answer; 85 post; 84 \
         notes; 83 feedback; 82 testimonial; 81 remark; 80 remarks; 79 md; 78 plain; 77 shout; \
         76 posting; 75 description; 74 opinion; 73 memo; 72 question; 71 letter; 70 story; 68 \
         desc; 67 statement; 66 entry; 64 caption; 62 html; 61 cooked; 60 rendered; 56 details; \
         55 detail; 54 custom message; 50 excerpt; 45 data",
    ),
    (
        Field::Title,
        "100 title; 98 subject; 92 headline, titel, betreff, titre, titulo, titolo; 91 heading; \
         88 subj; 76 summary; 74 short desc; 64 topic; 60 spoiler text, content warning, cw",
    ),
    (
        Field::Author,
        "100 author; 99 author name, commented user name, opened user name; 97 display name; 96 \
         commenter, poster; 95 reviewer; 94 nickname, nick; 92 name, autor, auteur, autore, \
         verfasser; 90 full name, real name; 89 screen name; 88 username, user name; 86 nom; 84 \
         writer, submitter; 82 posted by, submitted by, written by, comment by; 80 creator, \
         user, usr; 78 sender, signer; 76 visitor, guest, member; 72 handle; 70 pseudo; 66 \
         created by; 64 login",
    ),
    (
        Field::Email,
        "100 email, e mail; 98 email address, e mail address; 97 email addr; 96 mail; 95 mail address; \
         90 courriel, correo",
    ),
    (
        Field::Url,
        "100 url; 98 website, webseite; 97 homepage, home page; 96 web site; 95 web; 94 www; 93 \
         website url; 92 homepage url, url site; 88 site, site url; 84 uri; 70 link; 60 blog",
    ),
    (
        Field::Ip,
        "100 ip, ip address; 99 ip addr; 98 ipaddr, ipnr; 96 remote addr, remote address; 95 \
         remote ip; 94 client ip, raw ip; 92 remote host, client host; 90 hostname, host name; \
         88 host; 86 client address; 84 source ip, source address",
    ),
    (Field::UserAgent, "100 user agent; 99 useragent; 90 agent; 86 ua; 80 browser"),
    (Field::Referrer, "100 referrer, referer; 99 referrer url, referer url; 98 referring url"),
    (Field::Type, "90 type; 70 kind"),
    (Field::Source, "90 source"),
    (
        Field::CreatedAt,
        "100 created at; 99 created on, created, created on utc, created at utc, date gmt; 98 \
         inserted at, date created, date inserted, creation date, creation time, creation ts, \
         created timestamp, creation timestamp, created unix, ts created; 97 create time, \
         create date, create at, created date, created time, crdate, ctime, date creation, time \
         created, creation; 96 submit date, submit time, submission time, date submitted, \
         submitted at, submitted on; 95 submission date, posted at, posted on, date posted, \
         posted; 94 post date, post time, date added, date add, added at, added on; 93 added, \
         submitted, written at; 92 written, entry date, erstellt, erstellt am; 91 signed at, \
         signed on; 90 registered date, registered at, date registered, registration date, date \
         joined, joined at, dateline; 89 timestamp, datestamp; 88 datetime, date time, datum, \
         fecha, data ora, date heure; 87 date; 86 time; 85 published at, published on; 84 pub \
         date; 83 published; 82 sent at, date sent; 80 when, dt; 78 ts",
    ),
    (
        Field::UserId,
        "100 user id; 99 author id, author user id; 98 userid, poster id, creator id; 97 \
         commenter id; 96 commenter hex, reviewer id; 95 uid; 94 member id; 92 actor id, \
         reporter id, sender id, auteur id, autor id; 91 created by id; 90 posted by id, \
         customer id; 86 person id; 84 profile id; 82 author, user, poster, commenter, creator; \
         80 created by, user created, posted by, submitted by, member; 78 reporter; 76 account \
         id; 70 who; 60 owner id",
    ),
    // Only its own name: to Akismet an administrator is never a spammer, so any other column must be
    // mapped by someone who knows that the visitor cannot choose it.
    (Field::UserRole, "100 user role"),
    (Field::Subscriber, "90 subscriber, subscriber id, subscriber email"),
    (Field::Honeypot, "100 honeypot, honey pot"),
    (Field::FormSeconds, "100 form seconds; 90 fill seconds, seconds to submit"),
    (Field::Captcha, "90 captcha, captcha answer, captcha response"),
    (
        Field::Permalink,
        "100 permalink; 99 page url, article url, entry url, post url, thread url, parent url, \
         form url",
    ),
    (Field::Page, "100 page name; 80 page"),
    (
        Field::ArticleTitle,
        "100 article title; 98 entry title, item title, post title; 96 page title; 94 node \
         title, thread title, topic title, story title",
    ),
    (
        Field::ArticleCreatedAt,
        "100 article created at; 98 article published at; 96 article date, entry created at, \
         post created at",
    ),
    (
        Field::ParentId,
        "100 parent comment id; 99 parent id; 98 parent; 97 parent hex; 96 reply to id, replied \
         to id; 95 reply to; 94 reply to number; 93 reply id; 92 parent uuid",
    ),
    (
        Field::Fields,
        "100 fields; 98 custom fields; 96 extra fields; 95 action fields, form fields; 94 form \
         data; 90 answers; 88 responses",
    ),
];

/// A phrase that names a field.
pub(super) struct Phrase {
    pub(super) field: Field,
    pub(super) weight: i32,
    pub(super) words: Vec<&'static str>,
}

/// All phrases, parted into words.
pub(super) static PHRASES: LazyLock<Vec<Phrase>> = LazyLock::new(|| {
    let mut phrases = Vec::new();
    for (field, written) in WRITTEN {
        for group in written.split("; ") {
            let (weight, group) = group.split_once(' ').unwrap_or(("0", group));
            let weight = weight.parse().unwrap_or(0);
            phrases.extend(group.split(", ").map(|phrase| Phrase {
                field: *field,
                weight,
                words: phrase.split(' ').collect(),
            }));
        }
    }
    phrases
});

/// Whoever may have written a submission.
pub(super) const PERSONS: &[&str] = &[
    "actor",
    "author",
    "auteur",
    "autor",
    "autore",
    "by",
    "client",
    "commenter",
    "contact",
    "contributor",
    "create",
    "created",
    "creator",
    "customer",
    "donor",
    "from",
    "guest",
    "insert",
    "inserted",
    "member",
    "owner",
    "participant",
    "person",
    "posted",
    "poster",
    "registrant",
    "remote",
    "reporter",
    "respondent",
    "reviewer",
    "sender",
    "signatory",
    "signer",
    "signup",
    "submission",
    "submit",
    "submitted",
    "submitter",
    "supporter",
    "user",
    "usr",
    "visitor",
    "voter",
    "writer",
];

/// What a submission may be called.
pub(super) const SUBMISSIONS: &[&str] = &[
    "action",
    "answer",
    "body",
    "bug",
    "bugnote",
    "cmt",
    "comment",
    "content",
    "contents",
    "description",
    "feedback",
    "form",
    "guestbook",
    "issue",
    "journal",
    "letter",
    "message",
    "msg",
    "note",
    "petition",
    "post",
    "posting",
    "question",
    "reply",
    "report",
    "response",
    "review",
    "shout",
    "signature",
    "submission",
    "suggestion",
    "survey",
    "testimonial",
    "text",
    "ticket",
    "trackback",
];

/// What a submission may be about.
pub(super) const ARTICLES: &[&str] = &[
    "article",
    "blog",
    "discussion",
    "entry",
    "event",
    "forum",
    "game",
    "item",
    "news",
    "node",
    "object",
    "page",
    "photo",
    "product",
    "site",
    "story",
    "thread",
    "topic",
    "video",
];

/// Words that say nothing about a column.
pub(super) const NEUTRAL: &[&str] = &[
    "the", "my", "our", "http", "server", "full", "long", "plain", "original", "primary", "main",
    "in", "of", "col", "fld", "field", "value", "public",
];

/// Parts of a postal address: ActionKit's content check looks at them as further texts.
pub(super) const PLACES: &[&str] = &[
    "address", "street", "city", "town", "state", "region", "province", "county", "country",
    "postal", "postcode", "zip", "zipcode",
];

/// Whose place it is, where the last word is one that may mean other things.
pub(super) const PLACED: &[&str] = &["home", "us", "billing", "shipping", "mailing", "residence"];

/// Phrases too vague to stand beside any word that is not the table's own.
pub(super) const VAGUE: &[&str] = &["data", "detail", "creation", "cw"];

/// Phrases that end like a field's and are something else.
pub(super) const OTHERS: &[&str] = &["content type", "text type", "body type", "field type"];

/// Whether a run of letters is a word that names of columns are made of.
pub(super) fn is_word(run: &str) -> bool {
    const GLUE: &[&str] = &["id", "is", "last", "edit", "edited", "update", "first", "to", "reply"];
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        let lists = [PERSONS, SUBMISSIONS, ARTICLES, NEUTRAL, PLACES, SECRET_WORDS, GLUE];
        let parts = PHRASES.iter().flat_map(|phrase| phrase.words.iter());
        lists.into_iter().flatten().chain(parts).copied().collect()
    });
    WORDS.contains(run)
}
