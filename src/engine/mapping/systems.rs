//! Proves the mapping and the status that are found for the tables of real systems. Tests only;
//! the columns are those of the systems' own schemas, left out where they say nothing new.

use super::civic::CIVIC;
use super::forums::FORUMS;
use super::sample::table;
use super::threads::THREADS;
use super::trackers::TRACKERS;
use super::{Mapping, Status};

/// Table, columns, the mapping found (field = column), and the status found as JSON, or `ask`
/// where its values must be asked for.
pub(super) type System = (&'static str, &'static str, &'static str, &'static str);

const SYSTEMS: &[System] = &[
    (
        "wp_comments",
        "*comment_ID:bigint comment_post_ID:bigint comment_author:text comment_author_email:varchar
         comment_author_url:varchar comment_author_IP:varchar comment_date:timestamp
         comment_date_gmt:timestamp comment_content:text comment_karma:integer
         comment_approved:varchar comment_agent:varchar comment_type:varchar
         comment_parent:bigint user_id:bigint",
        "body=comment_content author=comment_author email=comment_author_email
         url=comment_author_url ip=comment_author_IP user_agent=comment_agent type=comment_type
         created_at=comment_date_gmt user_id=user_id parent_id=comment_parent",
        r#"{"column":"comment_approved","ham":"1","moderate":"0","spam":"spam"}"#,
    ),
    (
        "serendipity_comments",
        "*id:integer entry_id:integer parent_id:integer timestamp:integer title:varchar
         author:varchar email:varchar url:varchar ip:varchar body:text type:varchar
         subscribed:varchar status:varchar referer:varchar",
        "body=body title=title author=author email=email url=url ip=ip referrer=referer type=type
         created_at=timestamp parent_id=parent_id",
        r#"{"column":"status","ham":"approved","moderate":"pending","spam":"pending"}"#,
    ),
    (
        "django_comments",
        "*id:integer content_type_id:integer object_pk:text site_id:integer user_id:integer
         user_name:varchar user_email:varchar user_url:varchar comment:text submit_date:timestamptz
         ip_address:inet is_public:boolean is_removed:boolean",
        "body=comment author=user_name email=user_email url=user_url ip=ip_address
         created_at=submit_date user_id=user_id",
        r#"{"ham":{"is_public":true,"is_removed":false},"moderate":{"is_public":false},
            "spam":{"is_removed":true}}"#,
    ),
    (
        "comment",
        "*cid:integer pid:integer nid:integer uid:integer subject:varchar hostname:varchar
         created:integer changed:integer status:smallint thread:varchar name:varchar mail:varchar
         homepage:varchar language:varchar",
        "title=subject author=name email=mail url=homepage ip=hostname created_at=created
         user_id=uid parent_id=pid",
        r#"{"column":"status","ham":1,"moderate":0,"spam":0}"#,
    ),
    (
        "comments",
        "*id:varchar post_id:varchar member_id:varchar parent_id:varchar status:varchar html:text
         edited_at:timestamp created_at:timestamp updated_at:timestamp",
        "body=html created_at=created_at user_id=member_id parent_id=parent_id",
        r#"{"column":"status","ham":"published","moderate":"hidden","spam":"hidden"}"#,
    ),
    (
        "comment",
        "*id:integer creator_id:integer post_id:integer content:text removed:boolean
         published:timestamptz updated:timestamptz deleted:boolean ap_id:varchar local:boolean
         language_id:integer",
        "body=content created_at=published user_id=creator_id",
        r#"{"ham":{"removed":false},"moderate":{"removed":true},"spam":{"removed":true}}"#,
    ),
    (
        "spree_reviews",
        "*id:integer product_id:integer name:varchar location:varchar rating:integer title:text
         review:text approved:boolean created_at:timestamp updated_at:timestamp user_id:integer
         ip_address:varchar locale:varchar show_identifier:boolean",
        "body=review title=title author=name ip=ip_address created_at=created_at user_id=user_id",
        r#"{"column":"approved","ham":true,"moderate":false,"spam":false}"#,
    ),
    (
        "mt_comment",
        "*comment_id:integer comment_author:varchar comment_blog_id:integer
         comment_commenter_id:integer comment_created_by:integer comment_created_on:timestamp
         comment_email:varchar comment_entry_id:integer comment_ip:varchar comment_junk_log:text
         comment_junk_score:real comment_junk_status:smallint comment_modified_on:timestamp
         comment_parent_id:integer comment_text:text comment_url:varchar comment_visible:smallint",
        "body=comment_text author=comment_author email=comment_email url=comment_url ip=comment_ip
         created_at=comment_created_on user_id=comment_commenter_id parent_id=comment_parent_id",
        r#"{"ham":{"comment_visible":1,"comment_junk_status":1},"moderate":{"comment_visible":0},
            "spam":{"comment_visible":0,"comment_junk_status":-1}}"#,
    ),
    (
        "txp_discuss",
        "*discussid:integer parentid:integer name:varchar email:varchar web:varchar ip:varchar
         posted:timestamp message:text visible:smallint",
        "body=message author=name email=email url=web ip=ip created_at=posted parent_id=parentid",
        r#"{"column":"visible","ham":1,"moderate":0,"spam":-1}"#,
    ),
    (
        "comments",
        "*commenthex:text domain:text path:text commenterhex:text markdown:text html:text
         parenthex:text score:integer state:text creationdate:timestamp",
        "body=markdown created_at=creationdate user_id=commenterhex parent_id=parenthex",
        r#"{"column":"state","ham":"approved","moderate":"unapproved","spam":"flagged"}"#,
    ),
    (
        "comments",
        "tid:integer *id:integer parent:integer created:double modified:double mode:integer
         remote_addr:varchar text:varchar author:varchar email:varchar website:varchar
         likes:integer voters:bytea",
        "body=text author=author email=email url=website ip=remote_addr created_at=created
         parent_id=parent",
        r#"{"column":"mode","ham":1,"moderate":2,"spam":2}"#,
    ),
    (
        "exp_comments",
        "*comment_id:integer site_id:integer entry_id:integer channel_id:integer
         author_id:integer status:char name:varchar email:varchar url:varchar location:varchar
         ip_address:varchar comment_date:integer edit_date:integer comment:text",
        "body=comment author=name email=email url=url ip=ip_address created_at=comment_date
         user_id=author_id",
        r#"{"column":"status","ham":"o","moderate":"p","spam":"s"}"#,
    ),
    (
        "evo_comments",
        "*comment_ID:integer comment_item_ID:integer comment_type:varchar comment_status:varchar
         comment_in_reply_to_cmt_ID:integer comment_author_user_ID:integer comment_author:varchar
         comment_author_email:varchar comment_author_url:varchar comment_author_IP:varchar
         comment_date:timestamp comment_content:text comment_renderers:varchar
         comment_spam_karma:smallint comment_secret:char",
        "body=comment_content author=comment_author email=comment_author_email
         url=comment_author_url ip=comment_author_IP type=comment_type created_at=comment_date
         user_id=comment_author_user_ID parent_id=comment_in_reply_to_cmt_ID",
        r#"{"column":"comment_status","ham":"published","moderate":"review","spam":"deprecated"}"#,
    ),
    (
        "nucleus_comment",
        "*cnumber:integer cbody:text cuser:varchar cmail:varchar cemail:varchar cmember:integer
         citem:integer ctime:timestamp chost:varchar cip:varchar cblog:integer",
        "body=cbody author=cuser email=cemail ip=cip created_at=ctime user_id=cmember",
        "{}",
    ),
    (
        "dc_comment",
        "*comment_id:bigint post_id:bigint comment_dt:timestamp comment_tz:varchar
         comment_upddt:timestamp comment_author:varchar comment_email:varchar
         comment_site:varchar comment_content:text comment_words:text comment_ip:varchar
         comment_status:smallint comment_spam_status:varchar comment_spam_filter:varchar
         comment_trackback:smallint",
        "body=comment_content author=comment_author email=comment_email url=comment_site
         ip=comment_ip created_at=comment_dt",
        r#"{"column":"comment_status","ham":1,"moderate":-1,"spam":-2}"#,
    ),
    (
        "tc_Comments",
        "blogid:integer replier:integer *id:integer openid:varchar entry:integer parent:integer
         name:varchar password:varchar homepage:varchar secret:integer comment:text ip:varchar
         written:integer isfiltered:integer",
        "body=comment author=name url=homepage ip=ip created_at=written parent_id=parent",
        r#"{"ham":{"isfiltered":0},"moderate":{"isfiltered":1},"spam":{"isfiltered":1}}"#,
    ),
    (
        "comments",
        "*id:integer author_id:integer created:integer guest_email:varchar guest_name:varchar
         guest_url:varchar item_id:integer server_http_referer:varchar server_name:varchar
         server_http_user_agent:varchar server_remote_addr:varchar state:varchar text:text
         updated:integer",
        "body=text author=guest_name email=guest_email url=guest_url ip=server_remote_addr
         user_agent=server_http_user_agent referrer=server_http_referer created_at=created
         user_id=author_id",
        r#"{"column":"state","ham":"published","moderate":"unpublished","spam":"spam"}"#,
    ),
    (
        "comments",
        "*id:bigint commenter_id:bigint commenter_type:varchar guest_name:varchar
         guest_email:varchar commentable_type:varchar commentable_id:bigint comment:text
         approved:boolean child_id:bigint created_at:timestamp",
        "body=comment author=guest_name email=guest_email created_at=created_at
         user_id=commenter_id",
        r#"{"column":"approved","ham":true,"moderate":false,"spam":false}"#,
    ),
    (
        "tx_comments_comments",
        "*uid:integer pid:integer tstamp:integer crdate:integer cruser_id:integer
         deleted:smallint hidden:smallint approved:smallint firstname:varchar lastname:varchar
         email:varchar homepage:varchar location:varchar content:text remote_addr:varchar",
        r#"body=content author=["firstname","lastname"] email=email url=homepage ip=remote_addr
         created_at=crdate"#,
        r#"{"ham":{"approved":1,"hidden":0},"moderate":{"approved":0},"spam":{"hidden":1}}"#,
    ),
    (
        "ConversationMessages",
        "*cnvMessageID:integer cnvID:integer uID:integer cnvMessageSubject:varchar
         cnvMessageBody:text cnvMessageDateCreated:timestamp cnvMessageAuthorName:varchar
         cnvMessageAuthorEmail:varchar cnvMessageAuthorWebsite:varchar cnvMessageSubmitIP:inet
         cnvMessageSubmitUserAgent:varchar cnvIsMessageDeleted:boolean
         cnvIsMessageApproved:boolean",
        "body=cnvMessageBody title=cnvMessageSubject author=cnvMessageAuthorName
         email=cnvMessageAuthorEmail url=cnvMessageAuthorWebsite ip=cnvMessageSubmitIP
         user_agent=cnvMessageSubmitUserAgent created_at=cnvMessageDateCreated",
        r#"{"column":"cnvIsMessageApproved","ham":true,"moderate":false,"spam":false}"#,
    ),
    (
        "wp_posts",
        "*ID:bigint post_author:bigint post_date:timestamp post_date_gmt:timestamp
         post_content:text post_title:text post_excerpt:text post_password:varchar
         post_name:varchar post_parent:bigint post_type:varchar post_mime_type:varchar",
        "body=post_content title=post_title type=post_type created_at=post_date_gmt
         user_id=post_author parent_id=post_parent",
        "{}",
    ),
    (
        "piwigo_comments",
        "*id:integer image_id:integer date:timestamp author:varchar email:varchar
         author_id:integer anonymous_id:varchar website_url:varchar content:text
         validated:boolean validation_date:timestamp",
        "body=content author=author email=email url=website_url created_at=date
         user_id=author_id",
        r#"{"column":"validated","ham":true,"moderate":false,"spam":false}"#,
    ),
    (
        "roller_comment",
        "*id:varchar entryid:varchar name:varchar email:varchar url:varchar content:text
         posttime:timestamp remotehost:varchar referrer:varchar useragent:varchar status:varchar
         plugins:varchar contenttype:varchar",
        "body=content author=name email=email url=url ip=remotehost user_agent=useragent
         referrer=referrer created_at=posttime",
        r#"{"column":"status","ham":"APPROVED","moderate":"PENDING","spam":"SPAM"}"#,
    ),
    (
        "petition_signatures",
        "*id:integer petition_id:integer first_name:varchar last_name:varchar email:varchar
         address1:varchar address2:varchar city:varchar state:varchar zip:varchar
         country:varchar ip_address:inet user_agent:text signed_at:timestamptz
         confirmation_token:varchar custom_fields:jsonb",
        r#"author=["first_name","last_name"] email=email ip=ip_address user_agent=user_agent
         created_at=signed_at fields=custom_fields"#,
        "{}",
    ),
    (
        "actions",
        "*id:bigint created_at:timestamptz page_id:bigint user_id:bigint mailing_id:bigint
         source:varchar created_user:boolean status:varchar ip_address:inet name:varchar
         email:varchar address1:varchar city:varchar region:varchar postal:varchar",
        r#"author=name email=email ip=ip_address source=source created_at=created_at
         user_id=user_id fields=["address1","city","region","postal"]"#,
        r#"{"column":"status","ham":"complete","moderate":"moderated","spam":"spam"}"#,
    ),
];

#[test]
fn every_system_is_found() {
    let mut wrong = Vec::new();
    let systems = [SYSTEMS, FORUMS, THREADS, TRACKERS, CIVIC].concat();
    for (name, columns, mapping, status) in systems {
        let table = table(name, columns);
        let found: Vec<String> = Mapping::find(&table)
            .rows()
            .into_iter()
            .map(|(field, source)| format!("{field}={source}"))
            .collect();
        let expected: Vec<&str> = mapping.split_whitespace().collect();
        let mut sorted = expected.clone();
        sorted.sort_unstable();
        let mut given: Vec<&str> = found.iter().map(String::as_str).collect();
        given.sort_unstable();
        if given != sorted {
            let lacks: Vec<_> = sorted.iter().filter(|row| !given.contains(row)).collect();
            let extra: Vec<_> = given.iter().filter(|row| !sorted.contains(row)).collect();
            wrong.push(format!("{name}: lacks {lacks:?}, has {extra:?}"));
        }
        let found = Status::find(&table).map(|status| status.to_json());
        if status == "ask" {
            match found {
                Err(refusal) if refusal.message.contains("cannot be told") => {}
                other => wrong.push(format!("{name}: status {other:?} without asking")),
            }
            continue;
        }
        let expected: serde_json::Value = serde_json::from_str(status).unwrap();
        match found {
            Ok(found) if found == expected || long_form(&found) == long_form(&expected) => {}
            other => wrong.push(format!("{name}: status {other:?}, not {expected}")),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Both forms of a status say the same.
fn long_form(json: &serde_json::Value) -> serde_json::Value {
    let mut long = json.clone();
    if let (Some(object), Some(column)) = (long.as_object_mut(), json["column"].as_str()) {
        object.remove("column");
        for value in object.values_mut() {
            *value = serde_json::json!({ column: value });
        }
    }
    long
}
