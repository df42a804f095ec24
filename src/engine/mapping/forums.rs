//! Owns the tables of forums and trackers for the tests of systems.rs. Data only.

use super::systems::System;

pub(super) const FORUMS: &[System] = &[
    (
        "issues",
        "*id:integer title:varchar author_id:integer project_id:integer created_at:timestamp
         updated_at:timestamp description:text milestone_id:integer iid:integer state:varchar
         updated_by_id:integer weight:integer confidential:boolean due_date:date
         moved_to_id:integer lock_version:integer title_html:text description_html:text
         service_desk_reply_to:varchar cached_markdown_version:integer last_edited_at:timestamp
         last_edited_by_id:integer discussion_locked:boolean closed_at:timestamptz
         state_id:smallint external_key:varchar",
        "body=description title=title created_at=created_at user_id=author_id",
        "{}",
    ),
    (
        "notes",
        "*id:integer note:text noteable_type:varchar author_id:integer created_at:timestamp
         updated_at:timestamp project_id:integer attachment:varchar line_code:varchar
         commit_id:varchar noteable_id:integer system:boolean st_diff:text type:varchar
         position:text resolved_at:timestamp resolved_by_id:integer discussion_id:varchar
         note_html:text cached_markdown_version:integer change_position:text confidential:boolean",
        "body=note created_at=created_at user_id=author_id",
        "{}",
    ),
    (
        "phpbb_posts",
        "*post_id:integer topic_id:integer forum_id:integer poster_id:integer icon_id:integer
         poster_ip:varchar post_time:integer post_reported:smallint enable_sig:smallint
         post_username:varchar post_subject:varchar post_text:text post_checksum:varchar
         bbcode_uid:varchar post_edit_time:integer post_edit_reason:varchar
         post_edit_user:integer post_visibility:smallint post_delete_reason:varchar",
        "body=post_text title=post_subject author=post_username ip=poster_ip created_at=post_time
         user_id=poster_id",
        r#"{"column":"post_visibility","ham":1,"moderate":0,"spam":0}"#,
    ),
    (
        "posts",
        "*id:integer user_id:integer topic_id:integer post_number:integer raw:text cooked:text
         created_at:timestamp updated_at:timestamp reply_to_post_number:integer
         hidden:boolean reply_to_user_id:integer raw_email:text edit_reason:varchar
         user_deleted:boolean deleted_at:timestamp",
        "body=raw created_at=created_at user_id=user_id parent_id=reply_to_post_number",
        r#"{"ham":{"hidden":false},"moderate":{"hidden":true},"spam":{"hidden":true}}"#,
    ),
    (
        "statuses",
        "*id:bigint uri:varchar text:text created_at:timestamp updated_at:timestamp
         in_reply_to_id:bigint reblog_of_id:bigint url:varchar sensitive:boolean
         visibility:integer spoiler_text:text reply:boolean language:varchar account_id:bigint
         in_reply_to_account_id:bigint deleted_at:timestamp",
        "body=text title=spoiler_text created_at=created_at user_id=account_id permalink=url
         parent_id=in_reply_to_id",
        "{}",
    ),
    (
        "jos_kunena_messages",
        "*id:integer parent:integer thread:integer catid:integer name:varchar userid:integer
         email:varchar subject:varchar time:integer ip:varchar topic_emoticon:integer
         hold:smallint modified_by:integer modified_time:integer modified_reason:varchar",
        "title=subject author=name email=email ip=ip created_at=time user_id=userid
         parent_id=parent",
        r#"{"column":"hold","ham":0,"moderate":1,"spam":1}"#,
    ),
    (
        "journals",
        "*id:integer journalized_id:integer journalized_type:varchar user_id:integer notes:text
         created_on:timestamp private_notes:boolean updated_on:timestamp",
        "body=notes created_at=created_on user_id=user_id",
        "{}",
    ),
    (
        "longdescs",
        "*comment_id:integer bug_id:integer who:integer bug_when:timestamptz work_time:numeric
         thetext:text isprivate:smallint type:smallint extra_data:varchar",
        "body=thetext created_at=bug_when user_id=who",
        "{}",
    ),
    (
        "mdl_forum_posts",
        "*id:bigint discussion:bigint parent:bigint userid:bigint created:bigint modified:bigint
         mailed:smallint subject:varchar message:text messageformat:smallint deleted:smallint
         privatereplyto:bigint wordcount:bigint",
        "body=message title=subject created_at=created user_id=userid parent_id=parent",
        "{}",
    ),
    (
        "flarum_posts",
        "*id:integer discussion_id:integer number:integer created_at:timestamp user_id:integer
         type:varchar content:text edited_at:timestamp edited_user_id:integer hidden_at:timestamp
         hidden_user_id:integer ip_address:varchar is_private:boolean is_approved:boolean
         is_spam:boolean",
        "body=content ip=ip_address type=type created_at=created_at user_id=user_id",
        r#"{"ham":{"is_approved":true,"is_spam":false,"hidden_at":null},
            "moderate":{"is_approved":false},
            "spam":{"is_approved":false,"is_spam":true}}"#,
    ),
    (
        "smf_messages",
        "*id_msg:integer id_topic:integer poster_time:integer id_member:integer
         id_msg_modified:integer subject:varchar poster_name:varchar poster_email:varchar
         poster_ip:inet modified_time:integer modified_name:varchar body:text icon:varchar
         approved:smallint",
        "body=body title=subject author=poster_name email=poster_email ip=poster_ip
         created_at=poster_time user_id=id_member",
        r#"{"column":"approved","ham":1,"moderate":0,"spam":0}"#,
    ),
    (
        "mybb_posts",
        "*pid:integer tid:integer replyto:integer fid:integer subject:varchar uid:integer
         username:varchar dateline:integer message:text ipaddress:varchar includesig:smallint
         edituid:integer edittime:integer editreason:varchar visible:smallint",
        "body=message title=subject author=username ip=ipaddress created_at=dateline user_id=uid
         parent_id=replyto",
        r#"{"column":"visible","ham":1,"moderate":0,"spam":0}"#,
    ),
    (
        "post",
        "*postid:integer threadid:integer parentid:integer username:varchar userid:integer
         title:varchar dateline:integer pagetext:text allowsmilie:smallint ipaddress:varchar
         visible:smallint",
        "body=pagetext title=title author=username ip=ipaddress created_at=dateline
         user_id=userid parent_id=parentid",
        r#"{"column":"visible","ham":1,"moderate":0,"spam":0}"#,
    ),
    (
        "xf_post",
        "*post_id:integer thread_id:integer user_id:integer username:varchar post_date:integer
         message:text ip_id:integer message_state:varchar last_edit_date:integer",
        "body=message author=username created_at=post_date user_id=user_id",
        r#"{"column":"message_state","ham":"visible","moderate":"moderated","spam":"deleted"}"#,
    ),
    (
        "GDN_Comment",
        "*CommentID:integer DiscussionID:integer InsertUserID:integer UpdateUserID:integer
         Body:text Format:varchar DateInserted:timestamp DateUpdated:timestamp
         InsertIPAddress:varchar UpdateIPAddress:varchar Flag:smallint Score:double",
        "body=Body ip=InsertIPAddress created_at=DateInserted user_id=InsertUserID",
        "{}",
    ),
    (
        "post",
        "*id:integer name:varchar url:varchar body:text creator_id:integer community_id:integer
         removed:boolean locked:boolean published:timestamptz thumbnail_url:text ap_id:varchar",
        "body=body title=name url=url created_at=published user_id=creator_id",
        r#"{"column":"removed","ham":false,"moderate":true,"spam":true}"#,
    ),
    (
        "punbb_posts",
        "*id:integer poster:varchar poster_id:integer poster_ip:varchar poster_email:varchar
         message:text hide_smilies:smallint posted:integer edited:integer edited_by:varchar
         topic_id:integer",
        "body=message author=poster email=poster_email ip=poster_ip created_at=posted
         user_id=poster_id",
        "{}",
    ),
    (
        "spip_forum",
        "*id_forum:bigint id_objet:bigint id_parent:bigint id_thread:bigint date_heure:timestamp
         titre:text texte:text auteur:text email_auteur:text nom_site:text url_site:text
         statut:varchar ip:varchar id_auteur:bigint",
        "body=texte title=titre author=auteur email=email_auteur url=url_site ip=ip
         created_at=date_heure user_id=id_auteur parent_id=id_parent",
        r#"{"column":"statut","ham":"publie","moderate":"prop","spam":"spam"}"#,
    ),
];
