//! Owns the tables of trackers, wikis, chats and help desks for the tests of systems.rs. Data
//! only.

use super::systems::System;

pub(super) const TRACKERS: &[System] = &[
    // Gitea and Forgejo: `original_author` is whoever wrote an imported row
    (
        "issue",
        "*id:bigint repo_id:bigint index:bigint poster_id:bigint original_author:varchar
         original_author_id:bigint name:varchar content:text milestone_id:bigint
         priority:integer is_closed:boolean is_pull:boolean num_comments:integer ref:varchar
         deadline_unix:bigint created_unix:bigint updated_unix:bigint closed_unix:bigint
         is_locked:boolean",
        "body=content title=name author=original_author created_at=created_unix
         user_id=poster_id",
        "{}",
    ),
    (
        "comment",
        "*id:bigint type:integer poster_id:bigint original_author:varchar
         original_author_id:bigint issue_id:bigint label_id:bigint old_project_id:bigint
         old_title:varchar new_title:varchar content:text patch:text created_unix:bigint
         updated_unix:bigint commit_sha:varchar review_id:bigint invalidated:boolean",
        "body=content author=original_author created_at=created_unix user_id=poster_id",
        "{}",
    ),
    // GitBucket: `user_name` owns the repository
    (
        "issue_comment",
        "user_name:varchar repository_name:varchar issue_id:integer *comment_id:integer
         action:varchar commented_user_name:varchar content:text registered_date:timestamp
         updated_date:timestamp",
        "body=content author=commented_user_name created_at=registered_date",
        "{}",
    ),
    (
        "issue",
        "user_name:varchar repository_name:varchar issue_id:integer opened_user_name:varchar
         milestone_id:integer title:text content:text closed:boolean
         registered_date:timestamp updated_date:timestamp pull_request:boolean",
        "body=content title=title author=opened_user_name created_at=registered_date",
        "{}",
    ),
    // Taiga: blocked by other work, not by a moderator
    (
        "issues_issue",
        "*id:integer version:integer is_blocked:boolean blocked_note:text ref:bigint
         created_date:timestamptz modified_date:timestamptz finished_date:timestamptz
         subject:text description:text assigned_to_id:integer milestone_id:integer
         owner_id:integer project_id:integer status_id:integer external_reference:text",
        "body=description title=subject created_at=created_date user_id=owner_id",
        "{}",
    ),
    // Weblate
    (
        "trans_comment",
        "*id:integer comment:text timestamp:timestamptz resolved:boolean unit_id:integer
         user_id:integer userdetails:jsonb",
        "body=comment created_at=timestamp user_id=user_id",
        "{}",
    ),
    // Plane
    (
        "issue_comments",
        "*id:uuid created_at:timestamptz updated_at:timestamptz comment_stripped:text
         comment_json:jsonb comment_html:text access:varchar actor_id:uuid created_by_id:uuid
         issue_id:uuid project_id:uuid updated_by_id:uuid workspace_id:uuid
         external_id:varchar external_source:varchar edited_at:timestamptz parent_id:uuid",
        "body=comment_html created_at=created_at user_id=actor_id parent_id=parent_id",
        "{}",
    ),
    // Outline
    (
        "comments",
        "*id:uuid data:jsonb documentId:uuid parentCommentId:uuid createdById:uuid
         resolvedAt:timestamptz resolvedById:uuid createdAt:timestamptz updatedAt:timestamptz
         deletedAt:timestamptz reactions:jsonb",
        "body=data created_at=createdAt user_id=createdById parent_id=parentCommentId",
        "{}",
    ),
    // Chatwoot: the account is the tenant, the status that of the delivery
    (
        "messages",
        "*id:integer content:text account_id:integer inbox_id:integer conversation_id:integer
         message_type:integer created_at:timestamp updated_at:timestamp private:boolean
         status:integer source_id:varchar content_type:integer content_attributes:json
         sender_type:varchar sender_id:bigint external_source_ids:jsonb
         additional_attributes:jsonb processed_message_content:text sentiment:jsonb",
        "body=content created_at=created_at user_id=sender_id",
        "ask",
    ),
    // Apache Answer
    (
        "comment",
        "*id:bigint created_at:timestamp updated_at:timestamp user_id:bigint
         reply_user_id:bigint reply_comment_id:bigint object_id:bigint question_id:bigint
         vote_count:integer status:smallint original_text:text parsed_text:text",
        "body=original_text created_at=created_at user_id=user_id parent_id=reply_comment_id",
        "ask",
    ),
    // Stack Exchange's public data
    (
        "posts",
        "*id:integer posttypeid:smallint parentid:integer creationdate:timestamp score:integer
         body:text owneruserid:integer ownerdisplayname:varchar lasteditoruserid:integer
         lasteditordisplayname:varchar title:varchar answercount:integer",
        "body=body title=title author=ownerdisplayname created_at=creationdate
         user_id=owneruserid parent_id=parentid",
        "{}",
    ),
    // Canvas
    (
        "discussion_entries",
        "*id:bigint message:text discussion_topic_id:bigint user_id:bigint parent_id:bigint
         created_at:timestamp updated_at:timestamp attachment_id:bigint
         workflow_state:varchar=active deleted_at:timestamp editor_id:bigint
         root_entry_id:bigint depth:integer rating_count:integer",
        "body=message created_at=created_at user_id=user_id parent_id=parent_id",
        "{}",
    ),
    // Fider
    (
        "posts",
        "*id:integer title:varchar slug:varchar number:integer description:text
         tenant_id:integer created_at:timestamptz user_id:integer response:text
         response_user_id:integer response_date:timestamptz original_id:integer status:integer
         is_approved:boolean",
        "body=description title=title created_at=created_at user_id=user_id",
        r#"{"column":"is_approved","ham":true,"moderate":false,"spam":false}"#,
    ),
    // Zulip
    (
        "zerver_message",
        "*id:integer sender_id:integer recipient_id:integer realm_id:integer subject:varchar
         content:text rendered_content:text rendered_content_version:integer
         date_sent:timestamptz sending_client_id:integer last_edit_time:timestamptz
         edit_history:text has_attachment:boolean has_link:boolean",
        "body=content title=subject created_at=date_sent user_id=sender_id",
        "{}",
    ),
    // Trac: wiki
    (
        "wiki",
        "*name:text *version:integer time:bigint author:text ipnr:text text:text comment:text
         readonly:integer",
        "body=text author=author ip=ipnr created_at=time",
        "{}",
    ),
    // Kanboard
    (
        "comments",
        "*id:integer task_id:integer user_id:integer date_creation:bigint comment:text
         reference:varchar date_modification:bigint visibility:varchar",
        "body=comment created_at=date_creation user_id=user_id",
        "{}",
    ),
];
