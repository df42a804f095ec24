//! Every case of the conformance list that Akismet's protocol page ends with, and the test that shows it;
//! those of no other theme are here. Cases of answers also stand in the engine, as `answer_cases.rs`.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use support::akismet::{Endpoint, SPAM};
use support::cluster::ClusterOptions;
use support::http::Reply;
use support::ports;

use crate::site::{Site, World};

/// Case and test, as `file::test`; tests of other files of outside tests begin with their folder.
const CASES: &[(&str, &str)] = &[
    ("R-01", "requests::the_head_names_both_programs_and_nothing_secret"),
    ("R-02", "requests::a_row_becomes_exactly_these_bytes"),
    ("R-03", "requests::the_real_akismet_would_object_to_nothing"),
    ("R-04", "requests::the_head_names_both_programs_and_nothing_secret"),
    ("R-05", "requests::addresses_are_sent_without_netmask_and_v4_as_v4"),
    ("R-07", "requests::what_is_null_or_empty_is_not_sent_but_an_empty_honeypot_is"),
    ("R-09", "conformance::nothing_is_sent_but_what_the_mapping_names_and_no_role_is_guessed"),
    ("R-11", "contents::other_encodings_are_sent_as_utf8"),
    ("R-13", "contents::an_edit_is_asked_about_as_an_edit_and_other_updates_are_not"),
    ("R-14", "contents::a_retry_says_so_and_keeps_the_date_of_the_row"),
    ("R-15", "requests::anonymized_requests_name_nobody"),
    ("R-16", "conformance::nothing_is_sent_but_what_the_mapping_names_and_no_role_is_guessed"),
    ("R-17", "contents::a_test_is_marked_and_otherwise_nothing_is"),
    ("R-17", "decisions::a_decision_is_told_with_the_values_of_the_check_and_once"),
    ("R-18", "account::a_key_is_verified_with_its_site_and_only_the_words_themselves_count"),
    ("R-18", "account::the_usage_comes_as_akismet_gives_it_by_a_post"),
    ("R-20", "queueing::what_is_rolled_back_is_not_asked_about"),
    ("S-01", "checked::every_answer_is_kept_with_what_was_asked_and_an_edit_replaces_it"),
    ("S-02", "verdicts::ham_changes_nothing_and_leaves_nothing"),
    ("S-03", "conformance::what_is_blatant_is_kept_for_review_unless_the_policy_refuses_it"),
    ("S-04", "conformance::what_is_blatant_is_kept_for_review_unless_the_policy_refuses_it"),
    ("S-07", "account::a_key_that_verifies_lets_the_lookups_go_on_at_once"),
    ("S-08", "secrets::a_key_that_akismet_refuses_pauses_everything_until_it_is_corrected"),
    ("S-10", "failures::junk_is_no_verdict_and_is_asked_about_again"),
    ("S-11", "failures::junk_is_no_verdict_and_is_asked_about_again"),
    ("S-12", "failures::junk_is_no_verdict_and_is_asked_about_again"),
    ("S-14", "account::alerts_come_beside_verdicts_and_go_when_akismet_does_not_repeat_them"),
    ("S-16", "failures::white_space_and_chunks_and_any_case_of_headers_do_not_hide_a_verdict"),
    ("S-17", "verdicts::a_provisional_ham_is_asked_about_again_and_may_turn"),
    ("S-19", "failures::white_space_and_chunks_and_any_case_of_headers_do_not_hide_a_verdict"),
    ("S-20", "failures::a_request_that_can_never_pass_fails_until_somebody_retries_it"),
    ("S-21", "account::a_refusal_that_may_be_a_firewalls_is_cleared_up_by_verifying_the_key"),
    ("S-21", "conformance::answers_that_speak_of_the_set_up_stop_the_lane_and_cost_no_attempt"),
    ("S-22", "conformance::answers_that_speak_of_the_set_up_stop_the_lane_and_cost_no_attempt"),
    ("S-23", "conformance::statuses_that_pass_are_tried_again_after_a_while"),
    ("S-24", "failures::retry_after_is_honoured_for_everybody"),
    ("S-25", "failures::retry_after_is_honoured_for_everybody"),
    ("S-27", "quiet::a_redirect_is_not_followed_even_to_a_willing_server"),
    ("S-29", "failures::white_space_and_chunks_and_any_case_of_headers_do_not_hide_a_verdict"),
    ("S-30", "account::alerts_come_beside_verdicts_and_go_when_akismet_does_not_repeat_them"),
    ("S-36", "failures::white_space_and_chunks_and_any_case_of_headers_do_not_hide_a_verdict"),
    ("S-37", "failures::junk_is_no_verdict_and_is_asked_about_again"),
    ("N-01", "failures::a_server_that_is_down_is_tried_once_at_a_time_and_drained_when_it_is_back"),
    ("N-02", "tls::a_name_that_nobody_knows_and_a_port_that_nobody_serves_are_tried_again"),
    ("N-03", "failures::junk_is_no_verdict_and_is_asked_about_again"),
    ("N-04", "conformance::a_connection_that_is_never_made_ends_with_its_time"),
    ("N-05", "failures::junk_is_no_verdict_and_is_asked_about_again"),
    ("N-08", "tls::who_cannot_prove_to_be_akismet_is_told_nothing"),
    ("N-12", "tls::proxies_of_the_environment_are_ignored"),
    ("N-12", "tls::the_proxy_that_is_set_is_asked_for_the_host_and_told_nothing_else"),
    ("N-13", "../worker/crashes::a_fast_shutdown_does_not_wait_for_requests_that_hang"),
    ("N-14", "../worker/crashes::nothing_is_lost_or_doubled_when_the_worker_is_killed"),
    (
        "N-16",
        "../worker/standby::a_standby_is_idle_and_a_promoted_one_finishes_what_the_primary_left",
    ),
    ("N-17", "quiet::no_transaction_is_open_while_a_request_is_out"),
    ("Q-01", "decisions::a_decision_is_told_with_the_values_of_the_check_and_once"),
    ("Q-01", "told::a_report_has_the_values_of_the_check_although_the_row_has_changed"),
    ("Q-02", "told::a_rejected_submission_that_is_no_spam_is_told_with_its_check"),
    ("Q-04", "decisions::every_answer_but_the_thanks_is_tried_again_or_fails_as_a_check_would"),
    ("Q-05", "told::one_word_counts_the_last"),
    ("Q-06", "webhook::a_verdict_flips_both_ways_and_once"),
    ("Q-07", "told::one_word_counts_the_last"),
    ("Q-09", "told::what_akismet_was_never_asked_is_told_as_it_is_and_marked"),
    ("Q-10", "told::what_akismet_could_make_nothing_of_is_not_queued_and_the_moderator_is_told"),
    ("Q-12", "told::what_akismet_was_never_asked_is_told_as_it_is_and_marked"),
    ("Q-13", "failures::a_server_that_is_down_is_tried_once_at_a_time_and_drained_when_it_is_back"),
    ("Q-14", "failures::a_server_that_is_down_is_tried_once_at_a_time_and_drained_when_it_is_back"),
    ("Q-15", "conformance::local_checks_go_on_while_the_lane_stands_still"),
    ("Q-18", "queueing::thousands_of_rows_by_copy_all_get_their_answer"),
    ("Q-19", "account::an_alert_instead_of_a_verdict_stops_the_lane_until_the_account_is_well"),
    ("Q-20", "webhook::what_makes_no_sense_is_said_entry_by_entry"),
    ("Q-20", "webhook::who_does_not_know_the_key_changes_nothing"),
    ("Q-20", "webhook::a_human_who_has_decided_keeps_the_last_word"),
    ("Q-22", "account::a_key_that_verifies_lets_the_lookups_go_on_at_once"),
    ("Q-23", "secrets::the_key_shows_nowhere"),
];

#[test]
fn every_case_names_a_test_that_is_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("akismet");
    for (case, test) in CASES {
        let (file, test) = test.rsplit_once("::").expect("file::test");
        let text = std::fs::read_to_string(folder.join(file).with_extension("rs"));
        let text = text.unwrap_or_else(|error| panic!("{case}: {file}: {error}"));
        assert!(text.contains(&format!("\nfn {test}()")), "{case}: {file} has no {test}");
    }
}

#[test]
fn nothing_is_sent_but_what_the_mapping_names_and_no_role_is_guessed() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.bare_site("{}");
    site.run(
        "CREATE TABLE comments (id serial PRIMARY KEY, body text, ip inet, role text, cookie text, password text, http_authorization text,
             status text CHECK (status IN ('approved', 'pending', 'spam')));
         SELECT spamcheck.protect('comments', columns => '{\"user_role\": null}');
         INSERT INTO comments (body, ip, role, cookie, password, http_authorization, status)
         VALUES ('hello', '203.0.113.7', 'administrator', 'session=1', 'hunter2', 'Basic xyz', 'approved')",
    );
    site.until_all_answered();
    let request = site.requests()[0].clone();
    let sent: Vec<_> = request.params().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(
        sent,
        ["api_key", "blog", "user_ip", "comment_type", "comment_content", "blog_charset"],
        "{sent:?}"
    );
    site.run(
        "SELECT spamcheck.protect('comments', columns => '{\"user_role\": \"role\"}');
         INSERT INTO comments (body, ip, role, status) VALUES ('again', '203.0.113.7', 'editor,author', 'approved')",
    );
    site.until_asked("again", 1);
    assert_eq!(
        site.requests_about("again")[0].param("user_role").as_deref(),
        Some("editor,author")
    );
    world.akismet.assert_no_problems();
}

/// What has become of a comment that Akismet calls blatant, in a policy with these options and action.
fn blatant(options: &str, action: &str) -> String {
    let mut site = World::shared().site(options).with_worker();
    site.run(&format!(
        "UPDATE spamcheck.check_setting SET action = '{action}' WHERE check_name = 'akismet'"
    ));
    site.answer("blatant", Reply::text("true").header("X-akismet-pro-tip", "discard"));
    site.answer("tip", Reply::text("false").header("X-akismet-pro-tip", "discard"));
    site.answer("other", Reply::text("true").header("X-akismet-pro-tip", "Discard"));
    let mut fates = Vec::new();
    for text in ["blatant", "tip", "other"] {
        let insert = "INSERT INTO comments (body, ip) VALUES ($1, '203.0.113.7')";
        let refused = site.client.execute(insert, &[&text]).is_err();
        site.until_all_answered();
        let fate = if refused {
            "refused".to_owned()
        } else {
            site.get(&format!("SELECT status FROM comments WHERE body = '{text}'"))
        };
        fates.push(fate);
    }
    let log = site.get("SELECT string_agg(outcome || ' ' || (detail ->> 'discard'), ', ' ORDER BY id) FROM spamcheck.spam_checklog");
    format!("{}: {log}", fates.join(" "))
}

#[test]
fn what_is_blatant_is_kept_for_review_unless_the_policy_refuses_it() {
    for (options, action, expected) in [
        (r#"{}"#, "spam", "spam approved spam: suppressed true, suppressed false"),
        (
            r#"{"discard_blatant": true}"#,
            "moderate",
            "spam approved pending: suppressed true, moderated false",
        ),
        (
            r#"{"discard_blatant": true}"#,
            "log",
            "approved approved approved: flagged true, flagged false",
        ),
        (
            r#"{"mode": "wait", "wait_ms": 20000, "discard_blatant": true}"#,
            "moderate",
            "refused approved pending: rejected true, moderated false",
        ),
        (
            r#"{"mode": "wait", "wait_ms": 20000}"#,
            "moderate",
            "pending approved pending: moderated true, moderated false",
        ),
    ] {
        assert_eq!(blatant(options, action), expected, "{options} {action}");
    }
}

#[test]
fn answers_that_speak_of_the_set_up_stop_the_lane_and_cost_no_attempt() {
    let world = World::new(
        ClusterOptions::default()
            .with("pg_spamcheck.max_workers", "8")
            .with("max_worker_processes", "16"),
    );
    let help = |reply: Reply| {
        reply.header("X-akismet-debug-help", "We were unable to parse your blog URI")
    };
    let mut sites: Vec<(u16, Site<'_>)> = Vec::new();
    for (status, reply) in [
        (200, help(Reply::text("invalid"))),
        (401, help(Reply::status(401))),
        (403, Reply::text("invalid").with_status(403)),
        (404, Reply::text("<html>not here</html>").with_status(404)),
        (405, Reply::status(405)),
    ] {
        let mut site = world.site("{}");
        site.answer("", reply);
        site.comment(SPAM);
        sites.push((status, site));
    }
    for (status, site) in &mut sites {
        let misled = matches!(status, 404 | 405);
        let state = if misled { "bad settings" } else { "invalid key" };
        site.until("SELECT akismet FROM spamcheck.stat_worker", state);
        site.until("SELECT state || ' ' || attempts FROM spamcheck.lookup", "queued 0");
        let told = site.get("SELECT message FROM spamcheck.health() WHERE item = 'akismet'");
        let word =
            if matches!(status, 200 | 401) { "parse your blog URI" } else { &status.to_string() };
        assert!(told.contains(word), "{status}: {told}");
        assert_eq!(told.contains("pg_spamcheck.akismet_url"), misled, "{status}: {told}");
    }
    // The key was not in doubt.
    assert_eq!(world.akismet.requests_for(Endpoint::VerifyKey).len(), 0);
}

#[test]
fn statuses_that_pass_are_tried_again_after_a_while() {
    let world = World::new(
        ClusterOptions::default()
            .with("pg_spamcheck.max_workers", "8")
            .with("max_worker_processes", "16"),
    );
    for statuses in [&[408, 425, 429, 500, 502, 503][..], &[504, 520, 521, 522, 523, 527]] {
        let mut sites: Vec<_> = statuses.iter().map(|status| (*status, world.site("{}"))).collect();
        for (status, site) in &mut sites {
            let status = *status;
            let failing = site.answer("", Reply::text("true").with_status(status));
            let id = site.comment(SPAM);
            site.until_asked("", 1);
            site.until("SELECT last_error IS NOT NULL FROM spamcheck.lookup", "true");
            let seen = "SELECT concat_ws(' ', state, attempts, last_error LIKE '%STATUS%', next_at - clock_timestamp() BETWEEN '-1 s' AND '3 s')
                          FROM spamcheck.lookup".replace("STATUS", &status.to_string());
            assert_eq!(site.get(&seen), "queued 1 t t", "{status}");
            assert_eq!(site.status(id), "approved", "{status}");
            failing.off();
        }
        for (status, site) in &mut sites {
            site.until_all_answered();
            assert_eq!(site.requests().len(), 2, "{status}");
            assert_eq!(site.get("SELECT status FROM comments"), "spam", "{status}");
        }
    }
}

#[test]
fn a_connection_that_is_never_made_ends_with_its_time() {
    // Nobody takes connections here, and there is no room for more: the next one gets no answer.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
    let hole =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    hole.bind(&address.into()).expect("it binds");
    hole.listen(0).expect("it listens");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue of connections is never full");
    }
    let world = World::new(ClusterOptions::default().with("pg_spamcheck.connect_timeout", "1s"));
    world.cluster.set("pg_spamcheck.akismet_url", &format!("http://{address}"));
    let mut site = world.site("{}");
    let start = Instant::now();
    let id = site.comment(SPAM);
    site.until("SELECT last_error ILIKE '%time%' FROM spamcheck.lookup", "true");
    let spent = start.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(9)).contains(&spent), "{spent:?}");
    assert_eq!(site.status(id), "approved");
}

#[test]
fn local_checks_go_on_while_the_lane_stands_still() {
    let world = World::new(ClusterOptions::default());
    let mut site = world.site(r#"{"mode": "wait", "wait_ms": 20000}"#).with_worker();
    site.run("INSERT INTO spamcheck.list_entry (list, value) VALUES ('banned_words', 'casino')");
    site.answer("", Reply::text("invalid"));
    site.run("SET statement_timeout = '15s'; INSERT INTO comments (body, ip) VALUES ('the first', '203.0.113.7')");
    site.until("SELECT akismet FROM spamcheck.stat_worker", "invalid key");
    let (spam, ham) = (site.comment("casino"), site.comment("a fine day"));
    assert_eq!((site.status(spam), site.status(ham)), ("spam".into(), "approved".into()));
}
