//! What happens to a row between the question and the answer: the row keeps what people and the app
//! made of it, the verdict counts once, and no lookup is left over.

use crate::gate::Gate;
use crate::site::{Site, World};

/// A site with one comment about which a question is out.
fn asked(options: &str, text: &str) -> (Site<'static>, i64) {
    let mut site = Gate::shared().site(options);
    let id = site.comment(text);
    Gate::shared().until_asked(text);
    (site, id)
}

/// Gives the answer and waits until nothing is left to be asked. What a human decided is told besides, and the
/// gate has no answer for that.
fn answered(site: &mut Site<'_>, text: &str, spam: bool) {
    Gate::shared().say(text, spam);
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE kind = 'akismet'", "0");
}

#[test]
fn a_human_who_approves_a_held_row_has_the_last_word() {
    let text = "approved by hand";
    let (mut site, id) = asked(r#"{"mode": "hold"}"#, text);
    site.run(&format!("UPDATE comments SET status = 'approved' WHERE id = {id}"));
    answered(&mut site, text, true);
    assert_eq!(site.status(id), "approved");
}

#[test]
fn a_human_who_calls_it_spam_has_the_last_word() {
    let text = "spam by hand";
    let (mut site, id) = asked(r#"{"mode": "hold"}"#, text);
    site.run(&format!("UPDATE comments SET status = 'spam' WHERE id = {id}"));
    answered(&mut site, text, false);
    assert_eq!(site.status(id), "spam");
}

#[test]
fn a_human_who_moderates_an_async_row_has_the_last_word() {
    let text = "moderated by hand";
    let (mut site, id) = asked("{}", text);
    site.run(&format!("UPDATE comments SET status = 'pending' WHERE id = {id}"));
    answered(&mut site, text, true);
    assert_eq!(site.status(id), "pending");
}

#[test]
fn a_human_who_ends_where_the_row_was_has_decided_all_the_same() {
    let text = "pulled and released by hand";
    let (mut site, id) = asked("{}", text);
    for status in ["pending", "approved"] {
        site.run(&format!("UPDATE comments SET status = '{status}' WHERE id = {id}"));
    }
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0");
    Gate::shared().say(text, true);
    // Answers are settled in their order: after another one this one would be, too.
    let later = "asked after the decision";
    let other = site.comment(later);
    Gate::shared().say(later, true);
    site.until(&format!("SELECT status FROM comments WHERE id = {other}"), "spam");
    assert_eq!(site.status(id), "approved");
}

#[test]
fn a_row_that_gets_another_key_gets_its_verdict_and_its_log_follows() {
    let text = "renumbered meanwhile";
    let (mut site, id) = asked("{}", text);
    site.run(&format!("UPDATE comments SET id = 4711 WHERE id = {id}"));
    answered(&mut site, text, true);
    assert_eq!(site.status(4711), "spam");
    site.run("UPDATE comments SET id = 4712");
    assert_eq!(site.get("SELECT row_key FROM spamcheck.spam_checklog"), r#"{"id": 4712}"#);
    site.run("BEGIN; UPDATE comments SET id = 4713; ROLLBACK");
    assert_eq!(site.get("SELECT row_key FROM spamcheck.spam_checklog"), r#"{"id": 4712}"#);
}

#[test]
fn a_statement_that_shifts_keys_takes_each_rows_lookup_and_log_along() {
    let mut site = Gate::shared().site("{}");
    site.run(
        "CREATE TABLE shifting (id int, author text, body text, PRIMARY KEY (id) DEFERRABLE,
             status text DEFAULT 'approved' CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('shifting');
         UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'content';
         INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'pills')",
    );
    site.run(
        "INSERT INTO shifting VALUES (1, 'Ann', 'one'), (2, 'Ann', 'pills'), (3, 'Ann', 'three');
         UPDATE shifting SET id = id + 1;
         UPDATE shifting SET id = CASE id WHEN 2 THEN 3 WHEN 3 THEN 2 ELSE id END",
    );
    let keys = "SELECT string_agg((row_key->>'id') || (submission->>'body'), ' ' ORDER BY id) FROM spamcheck.lookup";
    assert_eq!(site.get(keys), "3one 2pills 4three");
    assert_eq!(site.get("SELECT row_key->>'id' FROM spamcheck.spam_checklog"), "2");
    Gate::shared().say("one", true);
    Gate::shared().say("pills", false);
    answered(&mut site, "three", false);
    assert_eq!(
        site.get("SELECT string_agg(id || status, ' ' ORDER BY id) FROM shifting"),
        "2pending 3spam 4approved"
    );
}

#[test]
fn a_decision_counts_that_is_made_while_akismet_is_switched_off() {
    let text = "decided while it was off";
    let (mut site, id) = asked("{}", text);
    let enable = |enabled| {
        format!(
            "UPDATE spamcheck.check_setting SET enabled = {enabled} WHERE check_name = 'akismet'"
        )
    };
    site.run(&enable(false));
    site.run(&format!("UPDATE comments SET status = 'pending' WHERE id = {id}; UPDATE comments SET status = 'approved' WHERE id = {id}"));
    site.run(&enable(true));
    answered(&mut site, text, true);
    assert_eq!(site.status(id), "approved");
}

#[test]
fn a_verdict_that_a_trigger_swallows_is_not_taken_for_applied() {
    let text = "swallowed by a trigger";
    let (mut site, id) = asked("{}", text);
    site.run(
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER swallow BEFORE UPDATE ON comments FOR EACH ROW EXECUTE FUNCTION swallow()",
    );
    Gate::shared().say(text, true);
    site.until("SELECT last_error LIKE '%could not be written%' FROM spamcheck.lookup", "true");
    assert_eq!(site.log(), [""; 0]);
    site.run("DROP TRIGGER swallow ON comments; SELECT spamcheck.retry_lookups()");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
}

#[test]
fn other_columns_may_change_meanwhile() {
    let text = "liked meanwhile";
    let (mut site, id) = asked("{}", text);
    site.run(&format!("UPDATE comments SET likes = 9 WHERE id = {id}"));
    answered(&mut site, text, true);
    assert_eq!(site.get("SELECT status || likes FROM comments"), "spam9");
}

#[test]
fn an_edit_is_judged_by_its_own_answer_only() {
    let (before, after) = ("buy this before the edit", "harmless after the edit");
    let (mut site, id) = asked("{}", before);
    site.run(&format!("UPDATE comments SET body = '{after}' WHERE id = {id}"));
    Gate::shared().until_asked(after);
    Gate::shared().say(before, true);
    site.until("SELECT count(*) FROM spamcheck.lookup", "1");
    assert_eq!(site.status(id), "approved", "the verdict was about other words");
    answered(&mut site, after, false);
    assert_eq!(site.status(id), "approved");
    assert_eq!(site.log(), [""; 0]);
}

#[test]
fn a_held_row_that_is_edited_meanwhile_gets_its_own_status_back() {
    let (before, after) = ("held before the edit", "held after the edit");
    let (mut site, id) = asked(r#"{"mode": "hold"}"#, before);
    site.run(&format!("UPDATE comments SET body = '{after}' WHERE id = {id}"));
    Gate::shared().until_asked(after);
    Gate::shared().say(before, false);
    answered(&mut site, after, false);
    assert_eq!(site.status(id), "approved");
}

#[test]
fn a_held_row_that_is_edited_after_the_policy_has_ceased_to_hold_is_released() {
    let ceases = |setting: &str| {
        format!(
            "UPDATE spamcheck.check_setting SET options = options || '{{\"mode\": \"{setting}\"}}' WHERE check_name = 'akismet'"
        )
    };
    for (n, change) in
        [ceases("async"), ceases("wait"), "UPDATE spamcheck.policy SET mode = 'trial'".to_owned()]
            .iter()
            .enumerate()
    {
        let (first, then) = (format!("held first {n}"), format!("then edited {n}"));
        let (mut site, id) = asked(r#"{"mode": "hold", "wait_ms": 100}"#, &first);
        site.run(change);
        site.run(&format!("UPDATE comments SET body = '{then}'"));
        assert_eq!(site.status(id), "pending", "{change}");
        Gate::shared().until_asked(&then);
        answered(&mut site, &then, false);
        assert_eq!(site.status(id), "approved", "{change}");
    }
}

#[test]
fn a_held_row_that_is_edited_under_another_mapping_gets_its_former_columns_back() {
    let text = "held under the first mapping";
    let mut site = Gate::shared().site(r#"{"mode": "hold"}"#);
    site.run("ALTER TABLE comments ADD COLUMN shown text NOT NULL DEFAULT 'on'");
    let id = site.comment(text);
    Gate::shared().until_asked(text);
    site.run(
        r#"SELECT spamcheck.protect('comments', status => '{"column": "shown", "ham": "on", "moderate": "wait", "spam": "off"}');
           UPDATE comments SET body = 'edited under the second mapping'"#,
    );
    assert_eq!(site.get("SELECT status || shown FROM comments"), "pendingwait");
    Gate::shared().until_asked("edited under the second mapping");
    answered(&mut site, "edited under the second mapping", false);
    assert_eq!(site.get("SELECT status || shown FROM comments"), "approvedon", "{id}");
}

#[test]
fn what_a_person_has_seen_and_let_pass_is_decided() {
    let (mut site, id) = asked("{}", "seen by a moderator");
    let approve = format!("SELECT spamcheck.approve('comments', '{id}') ->> 'status'");
    assert_eq!(site.get(&approve), "done");
    assert_eq!(site.get(&approve), "already");
    answered(&mut site, "seen by a moderator", true);
    assert_eq!(site.status(id), "approved");
}

#[test]
fn an_edit_back_to_the_first_words_is_judged_once() {
    let (first, second) = ("the first words", "the second words");
    let (mut site, id) = asked("{}", first);
    site.run(&format!(
        "UPDATE comments SET body = '{second}' WHERE id = {id};
         UPDATE comments SET body = '{first}' WHERE id = {id}"
    ));
    Gate::shared().say(second, true);
    answered(&mut site, first, true);
    assert_eq!(site.status(id), "spam");
    assert_eq!(site.log(), ["akismet spam suppressed"]);
}

#[test]
fn a_deleted_row_leaves_neither_lookup_nor_log() {
    for (n, statement) in ["DELETE FROM comments", "TRUNCATE comments"].into_iter().enumerate() {
        let text = format!("deleted meanwhile {n}");
        let (mut site, _) = asked("{}", &text);
        site.run(statement);
        answered(&mut site, &text, true);
        assert_eq!(site.log(), [""; 0], "{statement}");
    }
}

/// Comments of two forums, a partition each; the second has its columns in another order.
const FORUMS: &str = "
    CREATE TABLE comments (id integer, forum integer, body text, status text, PRIMARY KEY (forum, id))
        PARTITION BY LIST (forum);
    CREATE TABLE comments_1 PARTITION OF comments FOR VALUES IN (1);
    CREATE TABLE comments_2 (junk text, status text, body text, forum integer NOT NULL, id integer NOT NULL);
    ALTER TABLE comments_2 DROP COLUMN junk;
    ALTER TABLE comments ATTACH PARTITION comments_2 FOR VALUES IN (2);
    SELECT spamcheck.protect('comments', status =>
        '{\"column\": \"status\", \"ham\": \"approved\", \"moderate\": \"pending\", \"spam\": \"spam\"}')";

#[test]
fn a_row_in_a_partition_is_found_wherever_its_key_is_by_now() {
    let text = "in another partition by now";
    let mut site = Gate::shared().bare_site("{}");
    site.run(FORUMS);
    site.run(&format!("INSERT INTO comments VALUES (7, 2, '{text}', 'approved')"));
    Gate::shared().until_asked(text);
    site.run(
        "ALTER TABLE comments DETACH PARTITION comments_2;
         CREATE TABLE comments_3 PARTITION OF comments FOR VALUES IN (2, 3);
         SET session_replication_role = replica;
         INSERT INTO comments SELECT id, forum, body, status FROM comments_2",
    );
    answered(&mut site, text, true);
    assert_eq!(
        site.get("SELECT status || ' ' || tableoid::regclass FROM comments"),
        "spam comments_3"
    );
}

#[test]
fn a_row_whose_key_changed_with_its_partition_leaves_nothing_behind() {
    let text = "under another key by now";
    let mut site = Gate::shared().bare_site("{}");
    site.run(FORUMS);
    site.run(&format!("INSERT INTO comments VALUES (7, 1, '{text}', 'approved')"));
    Gate::shared().until_asked(text);
    site.run("UPDATE comments SET forum = 2");
    answered(&mut site, text, true);
    assert_eq!(site.get("SELECT count(*) || min(body) FROM comments"), format!("1{text}"));
    assert_eq!(Gate::shared().asked(text), 1, "a move is no new submission");
}

#[test]
fn a_row_of_an_inheriting_table_with_the_same_key_is_not_touched() {
    let text = "has a namesake below";
    let mut site = Gate::shared().site("{}");
    site.run("CREATE TABLE archive () INHERITS (comments)");
    site.run(&format!(
        "INSERT INTO archive (id, body) VALUES (7, 'other words'), (8, '{text}');
         INSERT INTO comments (id, body, ip) VALUES (7, '{text}', '203.0.113.7'), (8, '{text}', '203.0.113.7')"
    ));
    answered(&mut site, text, true);
    let statuses = "SELECT string_agg(status, ' ') FROM ONLY comments";
    assert_eq!(site.get(statuses), "spam spam");
    assert_eq!(site.get(&statuses.replace("ONLY comments", "archive")), "approved approved");
}

#[test]
fn renamed_tables_schemas_and_columns_are_followed() {
    for (n, rename) in [
        "ALTER TABLE comments RENAME TO remarks",
        "CREATE SCHEMA \"We\"\"ird\"; ALTER TABLE comments SET SCHEMA \"We\"\"ird\"; SET search_path = \"We\"\"ird\"; ALTER TABLE comments RENAME TO remarks",
        "ALTER TABLE comments RENAME TO remarks; ALTER TABLE remarks RENAME id TO nr",
        "ALTER TABLE comments RENAME TO remarks; ALTER TABLE remarks RENAME body TO words",
        "ALTER TABLE comments RENAME TO remarks; ALTER TABLE remarks RENAME status TO state",
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("renamed meanwhile {n}");
        let (mut site, _) = asked("{}", &text);
        site.run(rename);
        answered(&mut site, &text, true);
        let state = "SELECT coalesce(to_jsonb(r)->>'state', to_jsonb(r)->>'status') FROM remarks r";
        assert_eq!(site.get(state), "spam", "{rename}");
        assert_eq!(site.log(), ["akismet spam suppressed"], "{rename}");
    }
}

#[test]
fn a_held_row_whose_status_column_is_renamed_is_released() {
    let text = "held under another name";
    let (mut site, _) = asked(r#"{"mode": "hold"}"#, text);
    site.run("ALTER TABLE comments RENAME status TO state");
    answered(&mut site, text, false);
    assert_eq!(site.get("SELECT state FROM comments"), "approved");
}

#[test]
fn a_renamed_column_of_a_composite_key_is_followed() {
    let text = "half of the key renamed";
    let mut site = Gate::shared().bare_site("{}");
    site.run(
        "CREATE TABLE comments (post integer, nr integer, body text, status text
             CHECK (status IN ('approved', 'pending', 'spam')), PRIMARY KEY (post, nr));
         SELECT spamcheck.protect('comments')",
    );
    site.run(&format!("INSERT INTO comments VALUES (3, 4, '{text}', 'approved')"));
    Gate::shared().until_asked(text);
    site.run("ALTER TABLE comments RENAME nr TO number");
    answered(&mut site, text, true);
    assert_eq!(site.get("SELECT status FROM comments"), "spam");
}

#[test]
fn a_table_that_goes_takes_its_lookups_along() {
    for (n, gone) in [
        "DROP TABLE comments",
        "DROP SCHEMA public CASCADE",
        "SELECT spamcheck.unprotect('comments')",
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("gone meanwhile {n}");
        let (mut site, _) = asked(r#"{"mode": "hold"}"#, &text);
        site.run(gone);
        assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0", "{gone}");
        Gate::shared().say(&text, true);
        // The worker has taken the answer when it has taken the one to a later question.
        let next = format!("{text} and next");
        site.run(
            "CREATE SCHEMA IF NOT EXISTS public; DROP TABLE IF EXISTS comments;
             CREATE TABLE comments (id serial PRIMARY KEY, body text, status text
                 CHECK (status IN ('approved', 'pending', 'spam')), ip inet, author text);
             SELECT spamcheck.protect('comments')",
        );
        let id = site.client.query_one(
            "INSERT INTO comments (body, status) VALUES ($1, 'approved') RETURNING id::bigint",
            &[&next],
        );
        let id = id.expect("it is taken").get(0);
        answered(&mut site, &next, true);
        assert_eq!(site.status(id), "spam");
        assert_eq!(site.log(), ["akismet spam suppressed"], "{gone}");
    }
}

#[test]
fn protecting_anew_keeps_the_lookups() {
    let text = "protected anew";
    let (mut site, id) = asked("{}", text);
    site.run("SELECT spamcheck.protect('comments')");
    answered(&mut site, text, true);
    assert_eq!(site.status(id), "spam");
}

#[test]
fn a_table_that_gets_another_policy_takes_its_lookups_along() {
    let out = "out when the policy changed";
    let (mut site, id) = asked(r#"{"mode": "hold"}"#, out);
    let waiting = "waits when the policy changed";
    site.run("SELECT spamcheck.create_policy('silent')");
    // What is queued and moved in one transaction has not been claimed before.
    site.run(&format!(
        "BEGIN; INSERT INTO comments (body) VALUES ('{waiting}'); SELECT spamcheck.protect('comments', 'silent'); COMMIT"
    ));
    Gate::shared().say(out, false);
    let why = "SELECT string_agg(DISTINCT policy || ': ' || last_error, ', ') FROM spamcheck.lookup WHERE state = 'queued'";
    site.until("SELECT count(last_error) FROM spamcheck.lookup WHERE state = 'queued'", "2");
    assert_eq!(site.get(why), r#"silent: check akismet of policy "silent" is off"#);
    assert_eq!(Gate::shared().asked(waiting), 0);
    assert_eq!(site.status(id), "pending");
    site.run("SELECT spamcheck.protect('comments')");
    Gate::shared().say(waiting, true);
    site.run("SELECT spamcheck.retry_lookups()");
    site.until_all_answered();
    assert_eq!(
        site.get("SELECT string_agg(status, ' ' ORDER BY id) FROM comments"),
        "approved spam"
    );
    assert_eq!([out, waiting].map(|text| Gate::shared().asked(text)), [1, 1]);
}

#[test]
fn the_policy_of_the_moment_of_the_answer_counts() {
    let text = "another action by now";
    let (mut site, id) = asked("{}", text);
    site.run("UPDATE spamcheck.check_setting SET action = 'moderate' WHERE check_name = 'akismet'");
    answered(&mut site, text, true);
    assert_eq!(site.status(id), "pending");
}

#[test]
fn switching_a_policy_to_trial_or_off_stops_verdicts_that_are_out() {
    for mode in ["trial", "off"] {
        let text = format!("policy goes to {mode}");
        let (mut site, id) = asked("{}", &text);
        site.run(&format!("UPDATE spamcheck.policy SET mode = '{mode}'"));
        Gate::shared().say(&text, true);
        // Where nobody is to be asked now, the answer waits for better days.
        let left = if mode == "off" { "queued 0" } else { "-" };
        site.until("SELECT state || ' ' || attempts FROM spamcheck.lookup", left);
        assert_eq!(site.status(id), "approved");
    }
}

#[test]
fn a_retry_by_hand_does_not_ask_again_about_what_is_out() {
    let text = "retried while it is out";
    let (mut site, id) = asked("{}", text);
    site.run("SELECT spamcheck.retry_lookups(); SELECT spamcheck.retry_lookups('akismet')");
    // A later question is out, so the worker has seen the retry.
    let later = "asked after the retry";
    site.comment(later);
    Gate::shared().until_asked(later);
    assert_eq!(Gate::shared().asked(text), 1);
    Gate::shared().say(later, false);
    answered(&mut site, text, true);
    assert_eq!(site.status(id), "spam");
    assert_eq!(site.log(), ["akismet spam suppressed"]);
}

#[test]
fn a_partition_that_is_dropped_or_detached_leaves_the_others_rows_their_verdicts() {
    let (dropped, kept) = ("in a partition that goes", "in a partition that stays");
    let mut site = Gate::shared().bare_site("{}");
    site.run(FORUMS);
    site.run(&format!(
        "CREATE TABLE comments_9 PARTITION OF comments FOR VALUES IN (9);
         INSERT INTO comments VALUES (1, 1, '{dropped}', 'approved'), (2, 2, '{kept}', 'approved'),
             (3, 9, '{dropped}', 'approved')"
    ));
    Gate::shared().until_asked(dropped);
    Gate::shared().until_asked(kept);
    site.run("DROP TABLE comments_1; ALTER TABLE comments DETACH PARTITION comments_9");
    Gate::shared().say(dropped, true);
    answered(&mut site, kept, true);
    assert_eq!(site.get("SELECT string_agg(status, ' ') FROM comments"), "spam");
    assert_eq!(
        site.get("SELECT status FROM comments_9"),
        "approved",
        "it is not protected any more"
    );
    assert_eq!(site.log(), ["akismet spam suppressed"]);
}

#[test]
fn who_holds_rows_is_not_kept_waiting_by_the_verdicts_that_wait_for_them() {
    let text = "locked by a moderator";
    let mut site = Gate::shared().site(r#"{"mode": "hold"}"#);
    site.run(&format!("INSERT INTO comments (body) SELECT '{text}' FROM generate_series(1, 20)"));
    let mut moderator = site.database.client();
    let hold = "SET deadlock_timeout = '20ms'; BEGIN; SELECT FROM comments FOR UPDATE";
    moderator.batch_execute(hold).expect("nobody else has them");
    Gate::shared().say(text, false);
    site.until("SELECT count(*) FROM spamcheck.lookup WHERE _answer IS NULL", "0");
    let tries = "SELECT string_agg(DISTINCT attempts || coalesce(last_error, ''), ' ') FROM spamcheck.lookup WHERE state = 'queued'";
    site.until(tries, "0");
    // Also while the worker is at it.
    for id in 1..=20 {
        let decide = format!("UPDATE comments SET status = 'spam' WHERE id = {id}");
        moderator.batch_execute(&decide).expect("the decision is taken");
    }
    moderator.batch_execute("COMMIT").expect("it is kept");
    site.until_all_answered();
    assert_eq!(site.get("SELECT string_agg(DISTINCT status, ' ') FROM comments"), "spam");
}

#[test]
fn a_locked_table_is_not_waited_for() {
    let text = "in a locked table";
    let (mut site, id) = asked("{}", text);
    let mut other = site.database.client();
    other.batch_execute("BEGIN; LOCK TABLE comments").expect("nobody else has it");
    Gate::shared().say(text, true);
    site.until("SELECT max(attempts || coalesce(last_error, '')) FROM spamcheck.lookup WHERE _answer IS NOT NULL AND state = 'queued'", "0");
    other.batch_execute("COMMIT").expect("it is given back");
    site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
}

#[test]
fn rows_that_are_slow_to_write_are_written_each_for_itself() {
    let text = "written slowly";
    let mut site = Gate::shared().site("{}");
    site.run(
        "CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END';
         CREATE TRIGGER take_time BEFORE UPDATE ON comments FOR EACH ROW EXECUTE FUNCTION take_time()",
    );
    site.run(&format!("INSERT INTO comments (body) SELECT '{text}' FROM generate_series(1, 4)"));
    Gate::shared().say(text, true);
    for n in ["1", "2", "3", "4"] {
        site.until("SELECT count(*) FROM comments WHERE status = 'spam'", n);
    }
}

#[test]
fn an_edit_that_nobody_asked_about_is_asked_about_when_the_answer_comes() {
    let unasked = |site: &mut Site<'_>, n: usize, id: i64, after: &str| {
        let edit = format!("UPDATE comments SET body = '{after}' WHERE id = {id};");
        let script = match n {
            0 => format!("SELECT spamcheck.protect('comments', on_update => false); {edit}"),
            1 => format!("SET pg_spamcheck.enabled = off; {edit} RESET pg_spamcheck.enabled"),
            2 => format!(
                "SET session_replication_role = replica; {edit} RESET session_replication_role"
            ),
            _ => format!(
                "UPDATE spamcheck.policy SET mode = 'off'; {edit} UPDATE spamcheck.policy SET mode = 'enforce'"
            ),
        };
        for statement in script.split("; ") {
            site.run(statement);
        }
    };
    for n in 0..4 {
        for (mode, spam) in [("hold", false), ("hold", true), ("async", true)] {
            let (before, after) =
                (format!("{mode} {n} {spam} before"), format!("{mode} {n} {spam} after"));
            let (mut site, id) = asked(&format!(r#"{{"mode": "{mode}"}}"#), &before);
            unasked(&mut site, n, id, &after);
            Gate::shared().say(&before, mode == "async");
            Gate::shared().until_asked(&after);
            assert_eq!(site.get("SELECT reason FROM spamcheck.lookup"), "edit", "{before}");
            answered(&mut site, &after, spam);
            let expected = if spam { "spam" } else { "approved" };
            assert_eq!(site.status(id), expected, "{before}");
        }
    }
}

#[test]
fn a_transaction_that_keeps_its_snapshot_has_no_conflict_with_the_queue() {
    for (n, change) in
        ["status = 'pending'", "body = 'other words'", "id = 4711"].into_iter().enumerate()
    {
        let text = format!("changed under an old snapshot {n}");
        let (mut site, _) = asked("{}", &text);
        let mut app = site.database.client();
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM comments";
        app.batch_execute(begin).expect("it has a snapshot");
        site.run("UPDATE spamcheck.lookup SET last_error = 'postponed meanwhile'");
        app.batch_execute(&format!("UPDATE comments SET {change}")).expect(change);
        app.batch_execute("COMMIT").expect(change);
        let left = "SELECT coalesce(string_agg(coalesce(reason, 'asked') || (row_key->>'id'), ' '), 'none') FROM spamcheck.lookup";
        assert_eq!(site.get(left), ["none", "edit1", "asked4711"][n], "{change}");
        Gate::shared().say("other words", false);
        Gate::shared().say(&text, false);
        site.until_all_answered();
    }
}

#[test]
fn decisions_and_new_keys_are_followed_where_nothing_is_judged() {
    let off = "SET pg_spamcheck.enabled = off";
    for (n, off) in [off, "UPDATE spamcheck.policy SET mode = 'off'"].into_iter().enumerate() {
        let text = format!("decided where nothing is judged {n}");
        let (mut site, id) = asked("{}", &text);
        site.run(off);
        site.run(&format!("UPDATE comments SET id = 4711 WHERE id = {id}"));
        assert_eq!(site.get("SELECT row_key FROM spamcheck.lookup"), r#"{"id": 4711}"#);
        site.run("UPDATE comments SET status = 'pending'; UPDATE comments SET status = 'approved'");
        assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0", "{off}");
        Gate::shared().say(&text, true);
    }
}

#[test]
fn a_row_that_got_the_key_of_one_that_is_gone_is_asked_about_once() {
    let gate = Gate::shared();
    for (n, former_first, options) in [
        (1, true, "{}"),
        (2, false, "{}"),
        (3, true, r#"{"mode": "hold"}"#),
        (4, false, r#"{"mode": "hold"}"#),
    ] {
        let (former, new) = (format!("former tenant {n}"), format!("new tenant {n}"));
        let (mut site, id) = asked(options, &former);
        site.run(&format!(
            "DELETE FROM comments WHERE id = {id};
             INSERT INTO comments (id, author, ip, body) VALUES ({id}, 'Eve', '203.0.113.8', '{new}')"
        ));
        gate.until_asked(&new);
        let answers = [(&former, true), (&new, false)];
        for (text, spam) in if former_first { answers } else { [answers[1], answers[0]] } {
            gate.say(text, spam);
            site.until(
                &format!(
                    "SELECT count(*) FROM spamcheck.lookup WHERE submission ->> 'body' = '{text}'"
                ),
                "0",
            );
        }
        assert_eq!(gate.asked(&new), 1, "former first: {former_first}, {options}");
        assert_eq!(site.status(id), "approved");
        let known = "SELECT result || ' ' || (submission ->> 'body') FROM spamcheck._checked";
        assert_eq!(site.get(known), format!("ham {new}"));
    }
}

#[test]
fn a_late_answer_about_an_edit_of_a_row_that_is_gone_says_nothing_of_the_next_one() {
    let gate = Gate::shared();
    for (mode, asked_before) in [("hold", true), ("hold", false), ("async", true)] {
        let text = |part: &str| format!("{part} of a row that goes, {mode} {asked_before}");
        let [first, edit, next] = ["the first text", "the edit", "the next tenant"].map(text);
        let (mut site, id) = asked(&format!(r#"{{"mode": "{mode}"}}"#), &first);
        if asked_before {
            answered(&mut site, &first, true);
        }
        site.run(&format!("UPDATE comments SET body = '{edit}'"));
        gate.until_asked(&edit);
        site.run(&format!(
            "DELETE FROM comments; INSERT INTO comments (id, body) VALUES ({id}, '{next}')"
        ));
        gate.until_asked(&next);
        gate.say(&next, false);
        let known = "SELECT result || ' ' || (submission ->> 'body') FROM spamcheck._checked";
        site.until(known, &format!("ham {next}"));
        site.until("SELECT status FROM comments", "approved");
        gate.say(&edit, false);
        gate.say(&first, true);
        site.until_all_answered();
        assert_eq!(site.status(id), "approved", "{mode} {asked_before}");
        assert_eq!(gate.asked(&next), 1, "{mode} {asked_before}");
    }
}

#[test]
fn a_row_about_which_nothing_is_asked_is_not_released_by_the_question_about_a_former_one() {
    let gate = Gate::shared();
    let links = |n: u32| (0..n).map(|n| format!("http://host{n}.example/ ")).collect::<String>();
    for (n, insert) in [
        format!("INSERT INTO comments (id, body) VALUES (1, '{}')", links(9)),
        "INSERT INTO comments (id, ip, body, status) VALUES (1, '192.0.2.1', 'a draft', 'pending')"
            .to_owned(),
        "INSERT INTO comments (id, ip, body, status) VALUES (1, '192.0.2.1', 'a draft', 'pending')
             ON CONFLICT (id) DO NOTHING"
            .to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let text = format!("held until its row was gone {n}");
        let (mut site, id) = asked(r#"{"mode": "hold"}"#, &text);
        site.run(
            "INSERT INTO spamcheck.list_entry (list, value) VALUES ('ip_allow', '192.0.2.1');
             UPDATE spamcheck.check_setting SET enabled = true WHERE check_name = 'ip_allow'",
        );
        assert_eq!(id, 1);
        site.run(&format!("DELETE FROM comments; {insert}"));
        let about_former =
            format!("SELECT count(*) FROM spamcheck.lookup WHERE submission ->> 'body' = '{text}'");
        assert_eq!(site.get(&about_former), "0", "{insert}");
        gate.say(&text, false);
        gate.say(&links(9), false);
        site.comment("the next");
        gate.until_asked("the next");
        gate.say("the next", false);
        site.until_all_answered();
        assert_eq!(site.status(1), "pending", "{insert}");
    }
}

#[test]
fn a_key_that_is_used_again_while_nobody_is_asked_says_nothing_of_the_new_row() {
    let text = "held when the check was switched off";
    let (mut site, id) = asked(r#"{"mode": "hold"}"#, text);
    let switch = |on: bool| {
        format!("UPDATE spamcheck.check_setting SET enabled = {on} WHERE check_name = 'akismet'")
    };
    site.run(&switch(false));
    site.run(&format!(
        "DELETE FROM comments; INSERT INTO comments (id, body, status) VALUES ({id}, 'a draft', 'pending')"
    ));
    assert_eq!(site.get("SELECT count(*) FROM spamcheck.lookup"), "0");
    Gate::shared().say(text, false);
    site.run(&switch(true));
    site.comment("after it was switched on");
    Gate::shared().say("after it was switched on", false);
    site.until_all_answered();
    assert_eq!(site.status(id), "pending");
}

#[test]
fn a_row_that_its_tables_trigger_edits_as_it_goes_in_is_asked_about_as_edited() {
    for (mode, block) in [("async", true), ("async", false), ("hold", true), ("hold", false)] {
        let mut site = World::shared().site(&format!(r#"{{"mode": "{mode}"}}"#));
        let edit =
            "UPDATE comments SET body = new.body || ' akismet-guaranteed-spam' WHERE id = new.id;";
        let edit = if block {
            format!("BEGIN {edit} EXCEPTION WHEN division_by_zero THEN NULL; END;")
        } else {
            edit.to_owned()
        };
        site.run(&format!(
            "CREATE FUNCTION signs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {edit} RETURN NULL; END $$;
             CREATE TRIGGER a_signs AFTER INSERT ON comments FOR EACH ROW WHEN (new.id % 3 > 0) EXECUTE FUNCTION signs();
             INSERT INTO comments (body) SELECT 'fine ' || n FROM generate_series(1, 700) n"
        ));
        site.until_all_answered();
        let statuses =
            "SELECT string_agg(DISTINCT (id % 3 > 0) || ' ' || status, ', ') FROM comments";
        assert_eq!(site.get(statuses), "false approved, true spam", "{mode} {block}");
    }
    // Whoever gets the key later is asked about himself.
    let mut site = World::shared().site("{}");
    site.run(
        "ALTER TABLE comments ADD COLUMN type text; SELECT spamcheck.protect('comments');
         UPDATE spamcheck.policy SET types = '{comment}';
         CREATE FUNCTION types() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             BEGIN UPDATE comments SET type = 'comment' WHERE id = new.id AND new.body = 'a draft';
             EXCEPTION WHEN division_by_zero THEN NULL; END;
             RETURN NULL;
         END $$;
         CREATE TRIGGER a_types AFTER INSERT ON comments FOR EACH ROW EXECUTE FUNCTION types();
         INSERT INTO comments (id, type, body) VALUES (1, 'draft', 'a draft')",
    );
    site.run("DELETE FROM comments; INSERT INTO comments (id, body) VALUES (1, 'akismet-guaranteed-spam')");
    site.until_all_answered();
    assert_eq!(site.status(1), "spam");
    // One whose edit comes to nothing is asked about as it went in.
    let mut site = World::shared().site(r#"{"mode": "hold"}"#);
    site.run(
        "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             BEGIN UPDATE comments SET body = 'never' WHERE id = new.id; RAISE division_by_zero;
             EXCEPTION WHEN division_by_zero THEN NULL; END;
             RETURN NULL;
         END $$;
         CREATE TRIGGER a_fails AFTER INSERT ON comments FOR EACH ROW EXECUTE FUNCTION fails()",
    );
    let (ham, spam) = (site.comment("fine"), site.comment("akismet-guaranteed-spam"));
    site.until_all_answered();
    assert_eq!((site.status(ham), site.status(spam)), ("approved".into(), "spam".into()));
}

#[test]
fn no_other_row_gets_the_verdict_of_one_that_was_numbered_anew() {
    let text = "numbered anew";
    let (mut site, _) = asked("{}", text);
    site.run("INSERT INTO comments (body) VALUES ('first by now, and fine')");
    Gate::shared().until_asked("first by now, and fine");
    site.run(
        "BEGIN; CREATE TABLE kept AS SELECT * FROM comments; ALTER TABLE comments DROP COLUMN id;
         UPDATE comments SET likes = 1 WHERE body = 'numbered anew'; ALTER TABLE comments ADD COLUMN id serial PRIMARY KEY; COMMIT",
    );
    let order = "SELECT string_agg(id || ' ' || body, ', ' ORDER BY id) FROM comments";
    assert_eq!(site.get(order), "1 first by now, and fine, 2 numbered anew");
    Gate::shared().say(text, true);
    Gate::shared().say("first by now, and fine", false);
    let why =
        "SELECT last_error FROM spamcheck.lookup WHERE submission ->> 'body' = 'numbered anew'";
    site.until(
        why,
        "the verdict could not be written: columns of the key that the row had are gone: {\"id (dropped)\":1}",
    );
    assert_eq!(site.get("SELECT string_agg(DISTINCT status, ' ') FROM comments"), "approved");
    assert_eq!(Gate::shared().asked(text), 1);
}

#[test]
fn rows_that_are_made_anew_while_they_are_held_get_their_own_status() {
    let mut site = World::shared().site(r#"{"mode": "hold"}"#);
    let rows = |text: &str| {
        format!(
            "INSERT INTO comments (id, ip, body)
             SELECT n, '203.0.113.7', '{text} ' || n FROM generate_series(1, 50) n;"
        )
    };
    // A sync job. Answers about both are settled together.
    site.run(&format!("BEGIN; {} DELETE FROM comments; {} COMMIT", rows("former"), rows("new")));
    site.until_all_answered();
    assert_eq!(site.get("SELECT string_agg(DISTINCT status, ' ') FROM comments"), "approved");
    assert_eq!(site.requests_about("new").len(), 50);
}

#[test]
fn a_policy_that_goes_back_to_trial_lets_go_of_what_it_holds() {
    let (ham, spam) = ("held until the trial", "held until the trial, spam");
    let (mut site, id) = asked(r#"{"mode": "hold"}"#, ham);
    let other = site.comment(spam);
    Gate::shared().until_asked(spam);
    site.run("UPDATE spamcheck.policy SET mode = 'trial'");
    assert_eq!([site.status(id), site.status(other)], ["pending", "pending"]);
    Gate::shared().say(ham, false);
    answered(&mut site, spam, true);
    assert_eq!([site.status(id), site.status(other)], ["approved", "approved"]);
    assert_eq!(site.log(), ["akismet spam flagged"]);
}

#[test]
fn an_answer_that_comes_while_the_check_is_off_is_kept() {
    for (n, off, on) in [
        (
            1,
            "check_setting SET enabled = false WHERE check_name = 'akismet'",
            "check_setting SET enabled = true WHERE check_name = 'akismet'",
        ),
        (2, "policy SET mode = 'off'", "policy SET mode = 'enforce'"),
    ] {
        for mode in ["async", "hold"] {
            let text = format!("off for a while {mode} {n}");
            let (mut site, id) = asked(&format!(r#"{{"mode": "{mode}"}}"#), &text);
            site.run(&format!("UPDATE spamcheck.{off}"));
            Gate::shared().say(&text, true);
            site.until(
                "SELECT state || ' ' || last_error FROM spamcheck.lookup",
                "queued check akismet of policy \"default\" is off",
            );
            site.run(&format!("UPDATE spamcheck.{on}; SELECT spamcheck.retry_lookups()"));
            site.until(&format!("SELECT status FROM comments WHERE id = {id}"), "spam");
            site.until_all_answered();
            assert_eq!(Gate::shared().asked(&text), 1, "{text}");
        }
    }
}

#[test]
fn what_held_a_row_is_taken_back_under_another_mapping_too() {
    for (n, spam, left) in [(1, false, "approved ok"), (2, true, "approved bad")] {
        let text = format!("held by another column {n}");
        let (mut site, id) = asked(r#"{"mode": "hold"}"#, &text);
        site.run(
            r#"ALTER TABLE comments ADD state text NOT NULL DEFAULT 'ok' CHECK (state IN ('ok', 'wait', 'bad'));
               SELECT spamcheck.protect('comments', 'default', status => '{"column": "state", "ham": "ok", "moderate": "wait", "spam": "bad"}')"#,
        );
        answered(&mut site, &text, spam);
        let now = site.get(&format!("SELECT status || ' ' || state FROM comments WHERE id = {id}"));
        assert_eq!(now, left);
    }
}
