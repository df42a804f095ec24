//! What the log has about a submission, as moderators decide about it: findings are taken back, stand
//! again, or get one beside them that says what staff said. Owns every statement that changes the decision
//! in spam_checklog; what becomes of the row is for others to say.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use spamcheck_engine::verdict::{self, Action, Judgement, Outcome, Verdict};
use spamcheck_engine::{Facts, Lookups, Submission};

use crate::checklog::{self, sha256};
use crate::key;
use crate::protection::Protection;
use crate::rights;
use crate::settings;
use crate::spi::{self, Arg};
use crate::submission::wall_clock;

/// The name by which the log shows what staff found themselves.
pub const STAFF: &str = "staff";

/// One row of the log.
#[derive(Clone, Debug, Deserialize)]
pub struct Finding {
    /// Its id.
    pub id: i64,
    /// The submission's.
    pub submission_id: i64,
    /// The protected table, as it was named then.
    pub relation: String,
    /// The row's key; None: it was rejected.
    pub row_key: Option<Json>,
    /// The policy's name.
    pub policy: String,
    /// The check.
    pub check_name: String,
    /// What it found.
    pub why: String,
    /// The same for programs.
    pub detail: Option<Json>,
    /// What was decided.
    pub outcome: String,
    /// Whether staff took it back.
    pub reversed: bool,
    /// When.
    pub reversed_at: Option<String>,
    /// Who.
    pub reversed_by: Option<String>,
    /// The submission's author.
    pub author: Option<String>,
    /// The author's address.
    pub email: Option<String>,
    /// The sender's address.
    pub ip: Option<String>,
    /// The author's homepage.
    pub url: Option<String>,
    /// The sender's browser.
    pub user_agent: Option<String>,
    /// The text, as much of it as was kept.
    pub comment: Option<String>,
    /// All of a rejected submission, if it was kept.
    pub submission: Option<Json>,
    /// The protection in force.
    #[serde(rename = "_protection")]
    pub protection: i32,
    /// The row's own status before the verdict.
    #[serde(rename = "_former")]
    pub former: Option<Json>,
    /// What staff said: ham or spam.
    #[serde(rename = "_decision")]
    pub decision: Option<String>,
}

impl Finding {
    /// The key of the row that was to be edited, where an edit was rejected.
    pub fn edited(&self) -> Option<&Json> {
        self.edit().map(|edit| &edit["key"])
    }

    /// What the log notes of the edit that was rejected.
    pub fn edit(&self) -> Option<&Json> {
        self.submission.as_ref()?.get("edit")
    }

    /// Whether this was decided.
    pub fn is(&self, outcome: &str) -> bool {
        self.outcome == outcome
    }

    /// What became of the submission; None: it makes no sense. A check that failed says itself what the policy made
    /// of that.
    pub fn outcome(&self) -> Option<Outcome> {
        match Outcome::from_name(&self.outcome)? {
            Outcome::Error => Outcome::from_name(self.detail.as_ref()?["decided"].as_str()?),
            other => Some(other),
        }
    }

    /// Whether a submission is the one that it is about, as far as the log tells.
    pub fn describes(&self, submission: &Json) -> bool {
        let same =
            |field: &str, text: &Option<String>| submission[field].as_str() == text.as_deref();
        same("author", &self.author)
            && same("email", &self.email)
            && same("url", &self.url)
            && self.is_of_text(checklog::comment_of(submission).as_deref())
    }

    /// Whether the text that it is about is this one: of its text there may be the beginning, or a hash alone.
    fn is_of_text(&self, text: Option<&str>) -> bool {
        let (Some(kept), Some(text)) = (self.comment.as_deref(), text) else {
            return self.comment.is_none() && text.is_none();
        };
        let cut = self.detail.as_ref().is_some_and(|detail| detail.get("kept").is_some());
        if cut || kept.chars().count() == checklog::EXCERPT {
            return text.starts_with(kept);
        }
        text == kept || is_hash(kept) && sha256(text) == kept
    }

    /// Whether a submission is another one for certain: the log may have kept little of it, but that differs.
    pub fn contradicts(&self, submission: &Json) -> bool {
        let other = |field: &str, text: &Option<String>| {
            text.as_deref().is_some_and(|text| submission[field].as_str() != Some(text))
        };
        let text = submission["body"].as_str().or(submission["title"].as_str());
        let begins = |kept: &str, text: &str| text.starts_with(kept) || sha256(text) == kept;
        other("author", &self.author)
            || other("email", &self.email)
            || other("url", &self.url)
            || self.comment.as_deref().zip(text).is_some_and(|(kept, text)| !begins(kept, text))
    }

    /// Whether it keeps its row from being seen.
    pub fn stands(&self) -> bool {
        let kept_back = [Outcome::Suppressed, Outcome::Moderated, Outcome::Challenged];
        !self.reversed && self.outcome().is_some_and(|outcome| kept_back.contains(&outcome))
    }
}

/// Whether findings on one submission are about this content. An edited row may have been asked about anew.
pub fn describe(findings: &[Finding], submission: &Json) -> bool {
    findings.iter().any(|one| one.describes(submission))
}

/// Whether what is kept of a text is its hash.
fn is_hash(kept: &str) -> bool {
    kept.len() == 64 && kept.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The finding with an id.
pub fn find(log_id: i64) -> Option<Finding> {
    rights::as_extension(|| {
        spi::json_now(
            "SELECT convert_to(to_jsonb(l)::text, 'UTF8') FROM spamcheck.spam_checklog l WHERE l.id = $1",
            &[Arg::Big(log_id)],
        )
    })
}

/// All findings on a submission, oldest first, locked: who else decides about it waits.
pub fn of_submission(submission_id: i64) -> Vec<Finding> {
    read(
        "SELECT convert_to(to_jsonb(l)::text, 'UTF8') FROM spamcheck.spam_checklog l
          WHERE l.submission_id = $1 ORDER BY l.id FOR UPDATE",
        &[Arg::Big(submission_id)],
    )
}

/// Those on the last submission that was made with a row, oldest first, locked.
pub fn latest_of(protection: i32, row_key: &Json) -> Vec<Finding> {
    read(
        "SELECT convert_to(to_jsonb(l)::text, 'UTF8') FROM spamcheck.spam_checklog l
          WHERE l.submission_id = (SELECT x.submission_id FROM spamcheck.spam_checklog x
                                    WHERE x._protection = $1 AND x.row_key = convert_from($2, 'UTF8')::jsonb
                                    ORDER BY x.id DESC LIMIT 1) ORDER BY l.id FOR UPDATE",
        &[Arg::Int(protection), Arg::Text(&row_key.to_string())],
    )
}

/// Those on all submissions that were made with a row, newest first.
pub fn of_row(protection: i32, row_key: &Json) -> Vec<Finding> {
    read(
        "SELECT convert_to((to_jsonb(l) || jsonb_build_object('submission', NULL))::text, 'UTF8')
           FROM spamcheck.spam_checklog l
          WHERE l._protection = $1 AND l.row_key = convert_from($2, 'UTF8')::jsonb ORDER BY l.id DESC",
        &[Arg::Int(protection), Arg::Text(&row_key.to_string())],
    )
}

fn read(statement: &'static str, args: &[Arg<'_>]) -> Vec<Finding> {
    let texts = rights::as_extension(|| spi::write_returning(statement, args));
    texts.into_iter().flatten().filter_map(|text| serde_json::from_str(&text).ok()).collect()
}

/// Takes findings back, with what else was found about their submission; `row_key`: its row, if that has
/// only now come to be.
pub fn reverse(findings: &[Finding], row_key: Option<(i32, &Json)>) {
    let Some(one) = findings.first() else { return };
    let (protection, row_key) =
        row_key.map_or_else(|| (one.protection, String::new()), |(id, key)| (id, key.to_string()));
    let args = [
        Arg::Big(one.submission_id),
        Arg::Text(&rights::session_user()),
        Arg::Text(&row_key),
        Arg::Int(protection),
    ];
    rights::as_extension(|| {
        spi::write_returning(
            "UPDATE spamcheck.spam_checklog l
                SET reversed = true, reversed_at = now(), reversed_by = convert_from($2, 'UTF8')::name,
                    _outcome = coalesce(l._outcome, l.outcome), outcome = 'not_spam', _decision = 'ham',
                    row_key = coalesce(l.row_key, nullif(convert_from($3, 'UTF8'), '')::jsonb),
                    _protection = CASE WHEN convert_from($3, 'UTF8') = '' THEN l._protection ELSE $4 END
              WHERE l.submission_id = $1 AND NOT l.reversed
             RETURNING NULL::bytea",
            &args,
        )
    });
}

/// Takes back all that keeps a row from being seen: it is released, whatever was found in the texts that it
/// had in turn.
pub fn reverse_row(protection: i32, row_key: &Json) {
    let mut submissions: Vec<i64> = of_row(protection, row_key)
        .iter()
        .filter(|one| one.stands())
        .map(|one| one.submission_id)
        .collect();
    submissions.dedup();
    for id in submissions {
        reverse(&of_submission(id), None);
    }
}

/// Findings stand, and their row is spam.
pub fn confirm(submission_id: i64) {
    rights::as_extension(|| {
        spi::write_returning(
            "UPDATE spamcheck.spam_checklog l
                SET _decision = 'spam', _outcome = coalesce(l._outcome, l.outcome),
                    outcome = CASE WHEN coalesce(l._outcome, l.outcome) IN ('moderated', 'challenged', 'rejected')
                                   THEN 'suppressed' ELSE coalesce(l._outcome, l.outcome) END
              WHERE l.submission_id = $1 AND NOT l.reversed
             RETURNING NULL::bytea",
            &[Arg::Big(submission_id)],
        )
    });
}

/// The row of a submission is deleted as spam; a rejected one has none.
pub fn mark_deleted(submission_id: i64) {
    rights::as_extension(|| {
        spi::write_returning(
            "UPDATE spamcheck.spam_checklog l
                SET _decision = 'spam', _outcome = coalesce(l._outcome, l.outcome),
                    outcome = CASE WHEN l.row_key IS NULL THEN l.outcome ELSE 'deleted' END
              WHERE l.submission_id = $1
             RETURNING NULL::bytea",
            &[Arg::Big(submission_id)],
        )
    });
}

/// The row that staff found something about.
pub struct About<'a> {
    /// Its table.
    pub protection: &'a Protection,
    /// Its key.
    pub row_key: &'a Json,
    /// Its status before.
    pub former: Option<&'a Json>,
}

/// Staff say that a row is spam, by what they `did`; the id of the submission that they say it of. What is
/// `known` of the text that the row has stands, and the log has a finding of theirs beside it. What somebody
/// has taken back, and what was found in another text or in another row of that key, stays as it is.
pub fn mark_spam(about: &About<'_>, known: &[Finding], did: &str, submission: &Json) -> i64 {
    let stands = describe(known, submission) && !known.iter().any(|one| one.reversed);
    let stands = known.first().filter(|_| stands);
    let id = stands.map_or_else(checklog::next_submission_id, |one| one.submission_id);
    if stands.is_none() || !known.iter().any(|one| one.check_name == STAFF) {
        log(about, id, did, submission);
    }
    confirm(id);
    id
}

fn log(about: &About<'_>, submission_id: i64, did: &str, submission: &Json) {
    let Ok(submission) = Submission::from_json(submission) else { return };
    let facts = Facts::new(&submission, settings::max_checked_chars(), wall_clock());
    let by = rights::session_user();
    let judgement = Judgement {
        verdict: Verdict::Spam,
        total: 0.0,
        findings: vec![verdict::Finding {
            check: STAFF,
            action: Action::Spam,
            score: 0.0,
            why: format!("{by} {did}"),
            detail: json!({ "by": by }),
            allowed: false,
        }],
        allowed: false,
        lookups: Lookups::default(),
    };
    let logged = checklog::About {
        protection: about.protection.id,
        relation: &about.protection.relation,
        row_key: Some(about.row_key),
        former: about.former,
        whole_row: None,
    };
    let policy = &about.protection.policy;
    let mut entries = checklog::entries(policy, &logged, &facts, &judgement, submission_id);
    for entry in &mut entries {
        // A trial is one of the checks, not of the staff.
        entry["outcome"] = Outcome::Suppressed.name().into();
    }
    checklog::log(entries);
}

/// Whether the submission of these findings was refused, and never stored. Rows without a key have none in the
/// log either.
pub fn were_rejected(findings: &[Finding]) -> bool {
    let refused =
        |one: &Finding| one.is("rejected") || one.is("challenged") || one.submission.is_some();
    findings.iter().all(|one| one.row_key.is_none()) && findings.iter().any(refused)
}

/// The submission as the log has it, for a row that is gone.
pub fn submission_of(findings: &[Finding]) -> Json {
    let Some(one) = findings.first() else { return Json::Null };
    if let Some(whole) = findings.iter().find_map(|one| one.submission.as_ref()) {
        let mut whole = whole.as_object().cloned().unwrap_or_default();
        whole.remove("row");
        whole.remove("edit");
        whole.remove("kept");
        return Json::Object(whole);
    }
    // A hash of the text is not the text.
    let text = one.comment.clone().filter(|kept| !is_hash(kept));
    let fields = [
        ("author", &one.author),
        ("email", &one.email),
        ("ip", &one.ip),
        ("url", &one.url),
        ("user_agent", &one.user_agent),
        ("body", &text),
    ];
    let given = fields
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), Json::from(text.as_ref()?.clone()))));
    Json::Object(given.collect::<Map<_, _>>())
}

/// A column of a protected table was renamed: what the log has by column name follows, or a row could
/// neither be found nor be given back what it had.
pub fn rename_column(protection: i32, old: &str, new: &str) {
    let columns = ["row_key", "_former"];
    key::rename_column("spam_checklog", "_protection", &columns, protection, [old, new]);
    for part in ["{row}", "{edit,key}", "{edit,was}"] {
        spi::write(
            "UPDATE spamcheck.spam_checklog l
                SET submission = jsonb_set(l.submission #- (n.part || n.old), n.part || n.new, l.submission #> (n.part || n.old))
               FROM (SELECT convert_from($2, 'UTF8') AS old, convert_from($3, 'UTF8') AS new, convert_from($4, 'UTF8')::text[] AS part) n
              WHERE l._protection = $1 AND l.submission #> n.part ? n.old",
            &[Arg::Int(protection), Arg::Text(old), Arg::Text(new), Arg::Text(part)],
        );
    }
}

/// A column of the table was dropped.
pub fn drop_column(protection: i32, name: &str) {
    key::drop_column("spam_checklog", "_protection", protection, name);
}
