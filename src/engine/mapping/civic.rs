//! Owns the tables of petitions, reports, forms and sign-ups for the tests of systems.rs. Data
//! only.

use super::systems::System;

pub(super) const CIVIC: &[System] = &[
    // FixMyStreet: three states and no place
    (
        "comment",
        "*id:integer problem_id:integer user_id:integer anonymous:boolean name:text
         website:text created:timestamp confirmed:timestamp text:text photo:bytea
         state:check/unconfirmed/confirmed/hidden cobrand:text lang:text cobrand_data:text
         mark_fixed:boolean mark_open:boolean problem_state:text external_id:text extra:jsonb
         send_state:text=unprocessed send_fail_count:integer",
        "body=text author=name url=website created_at=created user_id=user_id",
        r#"{"column":"state","ham":"confirmed","moderate":"hidden","spam":"hidden"}"#,
    ),
    // FixMyStreet: whether this state is a place is not to be told
    (
        "problem",
        "*id:integer postcode:text latitude:double longitude:double bodies_str:text areas:text
         category:text title:text detail:text photo:bytea used_map:boolean user_id:integer
         name:text anonymous:boolean created:timestamp confirmed:timestamp state:text lang:text
         service:text cobrand:text send_questionnaire:boolean",
        "body=detail title=title author=name created_at=created user_id=user_id",
        "ask",
    ),
    // The petitions of the UK's parliament
    (
        "signatures",
        "*id:integer email:varchar name:varchar state:varchar=pending perishable_token:varchar
         postcode:varchar ip_address:varchar petition_id:integer created_at:timestamp
         updated_at:timestamp notify_by_email:boolean last_emailed_at:timestamp
         unsubscribe_token:varchar constituency_id:varchar validated_at:timestamp
         number:integer location_code:varchar invalidated_at:timestamp
         invalidation_id:integer uuid:uuid sponsor:boolean creator:boolean
         canonical_email:varchar form_token:varchar validated_ip:varchar",
        "author=name email=email ip=ip_address created_at=created_at",
        "ask",
    ),
    // WordPress: SpeakOut
    (
        "wp_dk_speakout_signatures",
        "*id:bigint petitions_id:bigint honorific:varchar first_name:varchar last_name:varchar
         email:varchar street_address:varchar city:varchar state:varchar postcode:varchar
         country:varchar custom_field:varchar optin:varchar date:timestamp
         confirmation_code:varchar is_confirmed:smallint custom_message:text language:varchar
         anonymise:smallint IP_address:varchar",
        r#"body=custom_message author=["first_name","last_name"] email=email ip=IP_address
         created_at=date fields=["street_address","city","state","postcode","country"]"#,
        "{}",
    ),
    // A form of which only the page is known
    (
        "contact_messages",
        "*id:integer full_name:text email:text message:text form_url:text read_at:timestamptz
         created_at:timestamptz",
        "body=message author=full_name email=email created_at=created_at permalink=form_url",
        "{}",
    ),
    // Wagtail: forms and comments
    (
        "wagtailforms_formsubmission",
        "*id:integer form_data:jsonb submit_time:timestamptz page_id:integer",
        "created_at=submit_time fields=form_data",
        "{}",
    ),
    (
        "wagtailcore_comment",
        "*id:integer text:text contentpath:text position:text created_at:timestamptz
         updated_at:timestamptz resolved_at:timestamptz page_id:integer resolved_by_id:integer
         revision_created_id:integer user_id:integer",
        "body=text created_at=created_at user_id=user_id",
        "{}",
    ),
    // Formbricks
    (
        "Response",
        "*id:text created_at:timestamp updated_at:timestamp finished:boolean surveyId:text
         endingId:text contactId:text data:jsonb variables:jsonb ttc:jsonb meta:jsonb
         contactAttributes:jsonb singleUseId:text language:text displayId:text",
        "created_at=created_at fields=data",
        "{}",
    ),
    // Sentry: what users say of a crash
    (
        "sentry_userreport",
        "*id:bigint project_id:bigint group_id:bigint event_id:varchar name:varchar
         email:varchar comments:text date_added:timestamptz environment_id:bigint",
        "body=comments author=name email=email created_at=date_added",
        "{}",
    ),
    // Listmonk
    (
        "subscribers",
        "*id:integer uuid:uuid email:text name:text attribs:jsonb
         status:enum/enabled/disabled/blocklisted created_at:timestamptz updated_at:timestamptz",
        "author=name email=email created_at=created_at",
        r#"{"column":"status","ham":"enabled","spam":"blocklisted"}"#,
    ),
    // Keycloak
    (
        "user_entity",
        "*id:varchar email:varchar email_constraint:varchar email_verified:boolean
         enabled:boolean federation_link:varchar first_name:varchar last_name:varchar
         realm_id:varchar username:varchar created_timestamp:bigint
         service_account_client_link:varchar not_before:integer",
        "author=username email=email created_at=created_timestamp",
        r#"{"column":"enabled","ham":true,"moderate":false,"spam":false}"#,
    ),
    // Django
    (
        "auth_user",
        "*id:integer password:varchar last_login:timestamptz is_superuser:boolean
         username:varchar first_name:varchar last_name:varchar email:varchar is_staff:boolean
         is_active:boolean date_joined:timestamptz",
        "author=username email=email created_at=date_joined",
        r#"{"column":"is_active","ham":true,"moderate":false,"spam":false}"#,
    ),
    // Supabase
    (
        "users",
        "instance_id:uuid *id:uuid aud:varchar role:varchar email:varchar
         encrypted_password:varchar email_confirmed_at:timestamptz invited_at:timestamptz
         confirmation_token:varchar confirmation_sent_at:timestamptz recovery_token:varchar
         email_change_token_new:varchar email_change:varchar last_sign_in_at:timestamptz
         raw_app_meta_data:jsonb raw_user_meta_data:jsonb is_super_admin:boolean
         created_at:timestamptz updated_at:timestamptz phone:text phone_change:text
         phone_change_token:varchar banned_until:timestamptz is_sso_user:boolean",
        "email=email created_at=created_at",
        "{}",
    ),
    // Open Journal Systems
    (
        "users",
        "*user_id:bigint username:varchar password:varchar email:varchar url:varchar
         phone:varchar mailing_address:varchar billing_address:varchar country:varchar
         locales:varchar gossip:text date_last_email:timestamp date_registered:timestamp
         date_validated:timestamp date_last_login:timestamp must_change_password:smallint
         auth_id:bigint auth_str:varchar disabled:smallint disabled_reason:text",
        r#"author=username email=email url=url created_at=date_registered
         fields=["mailing_address","billing_address","country"]"#,
        r#"{"ham":{"disabled":0},"moderate":{"disabled":1},"spam":{"disabled":1}}"#,
    ),
];
