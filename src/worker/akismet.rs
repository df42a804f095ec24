//! From a claimed lookup to a request, and from an answer to what is to be settled. Owns the judgement
//! of answers; the protocol itself is the engine's, sockets are http.rs's, rows are settle.rs's.

use std::time::Duration;

use serde_json::{Value as Json, json};
use spamcheck_engine::akismet::{
    self, Feedback, Key, Notice, Options, Reading, Recheck, Request, Target,
};

use crate::lookups::{Claimed, Postponed};
use crate::settings::Network;
use crate::submission;
use crate::worker::http::{self, Response};
use crate::worker::lane::Lane;

/// What an answer comes to.
pub enum Verdict {
    /// Akismet calls it spam.
    Spam {
        /// What the log's detail says.
        detail: serde_json::Value,
    },
    /// Akismet calls it ham.
    Ham {
        /// Its name for the check.
        guid: Option<String>,
    },
    /// Akismet calls it ham for now and wants to be asked once more.
    Provisional {
        /// When.
        again: Postponed,
        /// Its name for the check.
        guid: Option<String>,
    },
    /// Akismet took a decision.
    Taken,
    /// No verdict.
    None(Postponed),
}

/// Why a provisional ham is asked about again. The second answer is final, whatever it asks for
/// (Akismet's header X-akismet-recheck-after).
const RECHECK: &str = "recheck_queue";

/// The User-Agent of every request: `PostgreSQL/15.1 | pg_spamcheck/0.1.0`.
pub fn user_agent() -> String {
    // SAFETY: a constant C string of the server.
    let version = unsafe { std::ffi::CStr::from_ptr(pgrx::pg_sys::PG_VERSION.as_ptr().cast()) };
    let version = version.to_string_lossy();
    let version = version.split_whitespace().next().unwrap_or("unknown").to_owned();
    akismet::user_agent(&version, env!("CARGO_PKG_VERSION"))
}

/// Whether a lookup tells Akismet a decision, and which: spam or not.
fn decision(lookup: &Claimed) -> Option<bool> {
    match lookup.kind.as_str() {
        "submit_spam" => Some(true),
        "submit_ham" => Some(false),
        _ => None,
    }
}

/// The request for a lookup; a decision that Akismet cannot be told fails.
pub fn request(
    lookup: &Claimed,
    options: &Options,
    key: Key,
    network: &Network,
) -> Result<http::Request, Postponed> {
    let target = Target { key, blog: blog(options, lookup), lang: None };
    if let Some(spam) = decision(lookup) {
        let feedback = feedback(lookup.feedback.as_ref());
        return Request::feedback(&target, &lookup.submission, options, spam, &feedback)
            .map(|request| post(lookup.id, &request, network))
            .map_err(|refusal| Postponed::failed(lookup.id, refusal.message));
    }
    let recheck = match lookup.reason.as_deref() {
        Some("edit") => Some(Recheck::Edit),
        Some(RECHECK) => Some(Recheck::Queue),
        Some(_) => Some(Recheck::Retry),
        // Not counted attempts were made too: a second request must not look like a second comment.
        None if lookup.attempts > 1 || lookup.last_error.is_some() => Some(Recheck::Retry),
        None => None,
    };
    // Asked late, it is to say when the comment was made, also where the table has no column for that.
    let mut dated = None;
    let late = matches!(recheck, Some(Recheck::Retry | Recheck::Queue));
    if late && lookup.submission["created_at"].is_null() {
        let mut submission = lookup.submission.clone();
        submission["created_at"] = lookup.created_at.clone();
        dated = Some(submission);
    }
    let submission = dated.as_ref().unwrap_or(&lookup.submission);
    let request = Request::comment_check(&target, submission, options, recheck);
    Ok(post(lookup.id, &request, network))
}

/// A request on its way to Akismet.
pub fn post(id: i64, request: &Request, network: &Network) -> http::Request {
    let url = format!("{}{}", network.akismet_url.trim_end_matches('/'), request.path());
    http::Request { id, url, body: request.body().to_owned() }
}

fn feedback(stored: Option<&Json>) -> Feedback {
    let text = |name: &str| Some(stored?.get(name)?.as_str()?.to_owned());
    Feedback {
        guid: text("guid"),
        said_spam: stored.and_then(|stored| stored["said_spam"].as_bool()),
        reporter: text("reporter"),
    }
}

/// The site that the key is for: as set, or else where the article is, or else this machine's name.
pub fn blog(options: &Options, lookup: &Claimed) -> String {
    if let Some(blog) = &options.blog {
        return blog.clone();
    }
    let permalink = lookup.submission["permalink"].as_str().unwrap_or_default();
    if let Ok(uri) = permalink.parse::<ureq::http::Uri>()
        && let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.authority())
    {
        return format!("{scheme}://{host}/");
    }
    this_machine()
}

/// The site's home page when nobody has said which it is.
pub fn this_machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    format!("http://{}/", if name.is_empty() { "localhost" } else { name })
}

/// Reads an answer and tells the lane how it went.
pub fn read(
    lookup: &Claimed,
    answer: Result<Response, String>,
    key: &Key,
    lane: &mut Lane,
) -> Verdict {
    let postponed = |error: String, counted: bool, wait: Duration| {
        Verdict::None(Postponed {
            id: lookup.id,
            state: "queued",
            error: Some(key.redact(&error)),
            counted,
            seconds: wait.as_secs_f64(),
            answer: None,
            reason: None,
        })
    };
    let backoff = |asked| akismet::delay((lookup.attempts - 1).max(0) as u32, random(), asked);
    let response = match answer {
        Ok(response) => response,
        Err(error) => {
            let services_fault = lane.failed(&key.redact(&error));
            return postponed(error, !services_fault, backoff(None));
        }
    };
    let answer = response.answer();
    let reading = match decision(lookup) {
        Some(_) => answer.feedback(key, submission::wall_clock()),
        None => answer.comment_check(key, submission::wall_clock()),
    };
    match reading {
        Reading::Spam { discard, guid, notice } => {
            lane.answered();
            let alert = notice.as_ref().map(|n| format!("{} {}", n.code, n.message));
            lane.note(notice);
            Verdict::Spam { detail: json!({ "guid": guid, "discard": discard, "alert": alert }) }
        }
        Reading::Ham { recheck_after: Some(wait), guid, notice }
            if lookup.reason.as_deref() != Some(RECHECK) =>
        {
            lane.answered();
            lane.note(notice);
            let again = Postponed {
                id: lookup.id,
                state: "queued",
                error: None,
                counted: true,
                seconds: wait.as_secs_f64(),
                answer: None,
                reason: Some(RECHECK),
            };
            Verdict::Provisional { again, guid }
        }
        Reading::Ham { guid, notice, .. } => {
            lane.answered();
            lane.note(notice);
            Verdict::Ham { guid }
        }
        Reading::Accepted => {
            lane.answered();
            lane.note(answer.notice(key));
            Verdict::Taken
        }
        Reading::Config { reason, doubtful: true } => {
            lane.doubted(&reason);
            // It may be this text alone that something on the way does not like: it waits twice as long
            // each time, while others are asked about. Nor need it be the text's fault.
            let wait = Duration::from_secs_f64(lookup.age.clamp(1.0, 300.0));
            postponed(reason, false, wait)
        }
        Reading::Config { reason, .. } => {
            if let Some(notice) = answer.notice(key) {
                lane.note(Some(notice));
            }
            lane.refused(&reason);
            postponed(reason, false, Duration::ZERO)
        }
        Reading::Misled { reason } => {
            let reason = format!("pg_spamcheck.akismet_url leads to no Akismet: {reason}");
            lane.misled(&reason);
            postponed(reason, false, Duration::ZERO)
        }
        Reading::Held { reason, notice } => {
            let problem = Notice { code: "error".into(), message: reason.clone(), degraded: true };
            lane.note(Some(notice.unwrap_or(problem)));
            lane.failed(&reason);
            postponed(reason, false, Duration::from_secs(60))
        }
        Reading::Transient { reason, retry_after } => {
            let services_fault = lane.failed(&reason);
            if let Some(time) = retry_after {
                lane.asked_to_wait(&reason, time);
            }
            postponed(reason, !services_fault, backoff(retry_after))
        }
        Reading::RequestRefused { reason } => {
            Verdict::None(Postponed::failed(lookup.id, key.redact(&reason)))
        }
    }
}

/// A number for jitter; not for secrets.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
