//! Owns the tables of comment systems, reviews and federated posts for the tests of systems.rs.
//! Data only.

use super::systems::System;

pub(super) const THREADS: &[System] = &[
    // Comentario
    (
        "cm_comments",
        "*id:uuid parent_id:uuid page_id:uuid markdown:text html:text score:integer
         is_sticky:boolean is_approved:boolean is_pending:boolean is_deleted:boolean
         ts_created:timestamp ts_approved:timestamp ts_deleted:timestamp user_created:uuid
         user_moderated:uuid user_deleted:uuid ts_edited:timestamp user_edited:uuid
         author_name:varchar author_ip:varchar author_country:varchar pending_reason:varchar",
        "body=markdown author=author_name ip=author_ip created_at=ts_created
         user_id=user_created parent_id=parent_id",
        r#"{"ham":{"is_approved":true,"is_pending":false},
            "moderate":{"is_approved":false,"is_pending":true},
            "spam":{"is_approved":false,"is_pending":false}}"#,
    ),
    // Waline
    (
        "wl_comment",
        "*id:integer user_id:integer comment:text insertedat:timestamp ip:varchar link:varchar
         mail:varchar nick:varchar pid:integer rid:integer sticky:numeric status:varchar
         like:integer ua:text url:varchar createdat:timestamp updatedat:timestamp",
        "body=comment author=nick email=mail url=link ip=ip user_agent=ua created_at=createdat
         user_id=user_id permalink=url parent_id=pid",
        r#"{"column":"status","ham":"approved","moderate":"waiting","spam":"spam"}"#,
    ),
    // Hashover: `comment` is the number of the comment
    (
        "comments",
        "domain:text thread:text comment:text body:text status:text date:text name:text
         password:text login_id:text email:text encryption:text email_hash:text
         notifications:text website:text ipaddr:text likes:integer dislikes:integer",
        "body=body author=name email=email url=website ip=ipaddr",
        "ask",
    ),
    // Schnack
    (
        "comment",
        "*id:integer user_id:integer slug:varchar created_at:timestamp reply_to:integer
         comment:text rejected:boolean approved:boolean",
        "body=comment created_at=created_at user_id=user_id parent_id=reply_to",
        r#"{"ham":{"approved":true,"rejected":false},"moderate":{"approved":false},
            "spam":{"rejected":true}}"#,
    ),
    // Strapi's comments plugin
    (
        "comments_comment",
        "*id:integer document_id:varchar content:text blocked:boolean blocked_thread:boolean
         block_reason:varchar author_id:varchar author_name:varchar author_email:varchar
         author_avatar:varchar is_admin_comment:boolean removed:boolean approval_status:varchar
         related:varchar rating:integer created_at:timestamp updated_at:timestamp
         published_at:timestamp created_by_id:integer updated_by_id:integer locale:varchar",
        "body=content author=author_name email=author_email created_at=created_at
         user_id=author_id",
        r#"{"column":"approval_status","ham":"APPROVED","moderate":"PENDING","spam":"REJECTED"}"#,
    ),
    // Directus
    (
        "directus_comments",
        "*id:uuid collection:varchar item:varchar comment:text date_created:timestamptz
         date_updated:timestamptz user_created:uuid user_updated:uuid",
        "body=comment created_at=date_created user_id=user_created",
        "{}",
    ),
    // Joomla: JComments
    (
        "jos_jcomments",
        "*id:integer parent:integer thread_id:integer path:varchar level:smallint
         object_id:integer object_group:varchar object_params:text lang:varchar userid:integer
         name:varchar username:varchar email:varchar homepage:varchar title:varchar comment:text
         ip:varchar date:timestamp isgood:smallint ispoor:smallint published:smallint
         deleted:smallint subscribe:smallint checked_out:integer editor:varchar",
        "body=comment title=title author=name email=email url=homepage ip=ip created_at=date
         user_id=userid parent_id=parent",
        r#"{"column":"published","ham":1,"moderate":0,"spam":0}"#,
    ),
    // TYPO3's blog extension
    (
        "tx_blog_domain_model_comment",
        "*uid:integer pid:integer tstamp:integer crdate:integer cruser_id:integer
         deleted:smallint hidden:smallint author:integer name:varchar url:varchar email:varchar
         comment:text parentid:integer parenttable:varchar post_language_id:integer hp:varchar
         status:integer",
        "body=comment author=name email=email url=url created_at=crdate user_id=author
         parent_id=parentid",
        r#"{"column":"status","ham":10,"moderate":0,"spam":50}"#,
    ),
    // Geeklog
    (
        "gl_comments",
        "*cid:integer type:varchar sid:varchar date:timestamp title:varchar comment:text
         pid:integer lft:integer rht:integer indent:integer name:varchar uid:integer
         ipaddress:varchar",
        "body=comment title=title author=name ip=ipaddress type=type created_at=date user_id=uid
         parent_id=pid",
        "{}",
    ),
    // Frappe, the framework of ERPNext
    (
        "tabComment",
        "*name:varchar creation:timestamp modified:timestamp modified_by:varchar owner:varchar
         docstatus:smallint idx:bigint comment_type:varchar comment_email:varchar subject:text
         comment_by:varchar published:smallint seen:smallint reference_doctype:varchar
         reference_name:varchar reference_owner:varchar content:text ip_address:varchar",
        "body=content title=subject author=comment_by email=comment_email ip=ip_address
         type=comment_type created_at=creation",
        r#"{"column":"published","ham":1,"moderate":0,"spam":0}"#,
    ),
    // XWiki
    (
        "xwikicomments",
        "*XWC_ID:bigint XWC_NUMBER:integer XWC_AUTHOR:varchar XWC_HIGHLIGHT:text XWC_COMMENT:text
         XWC_REPLYTO:integer XWC_DATE:timestamp",
        "body=XWC_COMMENT author=XWC_AUTHOR created_at=XWC_DATE parent_id=XWC_REPLYTO",
        "{}",
    ),
    // Liferay: messages and comments
    (
        "mbmessage",
        "uuid_:varchar *messageid:bigint groupid:bigint companyid:bigint userid:bigint
         username:varchar createdate:timestamp modifieddate:timestamp classnameid:bigint
         classpk:bigint categoryid:bigint threadid:bigint rootmessageid:bigint
         parentmessageid:bigint treepath:varchar subject:varchar urlsubject:varchar body:text
         format:varchar anonymous:boolean priority:double allowpingbacks:boolean answer:boolean
         lastpublishdate:timestamp status:integer statusbyuserid:bigint
         statusbyusername:varchar statusdate:timestamp",
        "body=body title=subject author=username created_at=createdate user_id=userid
         parent_id=parentmessageid",
        r#"{"column":"status","ham":0,"moderate":1,"spam":4}"#,
    ),
    // Phorum
    (
        "phorum_messages",
        "*message_id:integer forum_id:integer thread:integer parent_id:integer user_id:integer
         author:varchar subject:varchar body:text email:varchar ip:varchar status:smallint
         msgid:varchar modifystamp:integer thread_count:integer moderator_post:smallint
         sort:smallint datestamp:integer meta:text viewcount:integer closed:smallint",
        "body=body title=subject author=author email=email ip=ip created_at=datestamp
         user_id=user_id parent_id=parent_id",
        r#"{"column":"status","ham":2,"moderate":-1,"spam":-2}"#,
    ),
    // Misago
    (
        "misago_threads_post",
        "*id:integer category_id:integer thread_id:integer poster_id:integer poster_name:varchar
         original:text parsed:text checksum:varchar attachments_cache:jsonb
         posted_on:timestamptz updated_on:timestamptz hidden_on:timestamptz edits:integer
         last_editor_id:integer last_editor_name:varchar hidden_by_id:integer
         hidden_by_name:varchar has_reports:boolean is_unapproved:boolean is_hidden:boolean
         is_protected:boolean is_event:boolean event_type:varchar likes:integer",
        "body=original author=poster_name created_at=posted_on user_id=poster_id",
        r#"{"ham":{"is_unapproved":false,"is_hidden":false},"moderate":{"is_unapproved":true},
            "spam":{"is_unapproved":false,"is_hidden":true}}"#,
    ),
    // Tiki
    (
        "tiki_comments",
        "*threadId:integer object:varchar objectType:varchar parentId:integer userName:varchar
         commentDate:integer hits:integer type:char points:numeric votes:integer
         average:numeric title:varchar data:text email:varchar website:varchar
         user_ip:varchar summary:varchar smiley:varchar message_id:varchar in_reply_to:varchar
         comment_rating:smallint archived:char approved:char=y locked:char=n",
        "body=data title=title author=userName email=email url=website ip=user_ip type=type
         created_at=commentDate parent_id=parentId",
        r#"{"column":"approved","ham":"y","moderate":"n","spam":"n"}"#,
    ),
    // Nextcloud
    (
        "oc_comments",
        "*id:bigint parent_id:bigint topmost_parent_id:bigint children_count:integer
         actor_type:varchar actor_id:varchar message:text verb:varchar
         creation_timestamp:timestamp latest_child_timestamp:timestamp object_type:varchar
         object_id:varchar reference_id:varchar reactions:varchar expire_date:timestamp
         meta_data:text",
        "body=message created_at=creation_timestamp user_id=actor_id parent_id=parent_id",
        "{}",
    ),
    // Magento
    (
        "review_detail",
        "*detail_id:bigint review_id:bigint store_id:smallint title:varchar detail:text
         nickname:varchar customer_id:integer",
        "body=detail title=title author=nickname user_id=customer_id",
        "{}",
    ),
    // Medusa: product reviews
    (
        "review",
        "*id:text title:text content:text rating:real first_name:text last_name:text
         status:check/pending/approved/rejected=pending product_id:text customer_id:text
         created_at:timestamptz updated_at:timestamptz deleted_at:timestamptz",
        r#"body=content title=title author=["first_name","last_name"] created_at=created_at
         user_id=customer_id"#,
        r#"{"column":"status","ham":"approved","moderate":"pending","spam":"rejected"}"#,
    ),
    // Sylius
    (
        "sylius_product_review",
        "*id:integer product_id:integer author_id:integer title:varchar rating:integer
         comment:text status:varchar created_at:timestamp updated_at:timestamp",
        "body=comment title=title created_at=created_at user_id=author_id",
        "ask",
    ),
    // Hypothesis
    (
        "annotation",
        "*id:uuid created:timestamp updated:timestamp userid:text groupid:text text:text
         text_rendered:text shared:boolean target_uri:text target_uri_normalized:text
         target_selectors:jsonb extra:jsonb deleted:boolean document_id:integer
         moderation_status:enum/APPROVED/PENDING/DENIED/SPAM",
        "body=text created_at=created user_id=userid",
        r#"{"column":"moderation_status","ham":"APPROVED","moderate":"PENDING","spam":"SPAM"}"#,
    ),
    // Polis
    (
        "comments",
        "tid:integer zid:integer pid:integer uid:integer created:bigint modified:bigint
         txt:varchar velocity:real mod:integer lang:varchar active:boolean is_meta:boolean
         tweet_id:bigint quote_src_url:varchar anon:boolean is_seed:boolean",
        "body=txt created_at=created user_id=uid",
        r#"{"ham":{"mod":1,"active":true},"moderate":{"mod":0,"active":false},
            "spam":{"mod":-1,"active":false}}"#,
    ),
    // PeerTube: `url` is the address of the row, not of its author
    (
        "videoComment",
        "*id:integer url:varchar deletedAt:timestamptz text:text heldForReview:boolean
         replyApproval:varchar originCommentId:integer inReplyToCommentId:integer
         videoId:integer accountId:integer createdAt:timestamptz updatedAt:timestamptz",
        "body=text created_at=createdAt user_id=accountId permalink=url
         parent_id=inReplyToCommentId",
        r#"{"column":"heldForReview","ham":false,"moderate":true,"spam":true}"#,
    ),
    // Mobilizon
    (
        "comments",
        "*id:bigint url:varchar text:text uuid:uuid local:boolean
         visibility:enum/public/unlisted/restricted/private deleted_at:timestamp
         total_replies:integer actor_id:bigint attributed_to_id:bigint event_id:bigint
         in_reply_to_comment_id:bigint origin_comment_id:bigint inserted_at:timestamp
         updated_at:timestamp published_at:timestamp is_announcement:boolean language:varchar",
        "body=text created_at=inserted_at user_id=actor_id permalink=url
         parent_id=in_reply_to_comment_id",
        "{}",
    ),
    // Misskey: hosts are those of other servers, `name` is what an article is called
    (
        "note",
        "*id:varchar replyId:varchar renoteId:varchar threadId:varchar text:text name:varchar
         cw:varchar userId:varchar localOnly:boolean renoteCount:smallint reactions:jsonb
         visibility:enum/public/home/followers/specified uri:varchar url:varchar
         mentionedRemoteUsers:text hasPoll:boolean channelId:varchar userHost:varchar
         replyUserId:varchar replyUserHost:varchar renoteUserId:varchar renoteUserHost:varchar",
        "body=text title=cw user_id=userId permalink=url parent_id=replyId",
        "{}",
    ),
    // BookWyrm
    (
        "bookwyrm_status",
        "*id:integer created_date:timestamptz updated_date:timestamptz remote_id:varchar
         content:text raw_content:text content_warning:varchar published_date:timestamptz
         deleted:boolean deleted_date:timestamptz privacy:varchar sensitive:boolean
         local:boolean user_id:integer reply_parent_id:integer",
        "body=raw_content title=content_warning created_at=created_date user_id=user_id
         parent_id=reply_parent_id",
        "{}",
    ),
    // Pixelfed
    (
        "statuses",
        "*id:bigint uri:varchar caption:text rendered:text profile_id:bigint type:varchar
         in_reply_to_id:bigint reblog_of_id:bigint url:varchar is_nsfw:boolean scope:varchar
         visibility:varchar reply:boolean language:varchar created_at:timestamp
         updated_at:timestamp deleted_at:timestamp",
        "body=caption type=type created_at=created_at user_id=profile_id permalink=url
         parent_id=in_reply_to_id",
        "{}",
    ),
    // A German guestbook
    (
        "gaestebuch",
        "*id:integer name:varchar email:varchar homepage:varchar eintrag:text datum:timestamp
         ip:inet freigegeben:smallint",
        "body=eintrag author=name email=email url=homepage ip=ip created_at=datum",
        r#"{"column":"freigegeben","ham":1,"moderate":0,"spam":0}"#,
    ),
];
