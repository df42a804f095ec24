//! The measured cases: what went into the plugin, and what should come out. Owns how a case becomes
//! comments of a blog; what its configuration means is translation.rs's.

use std::path::Path;

use serde_json::Value as Json;
use support::http::{Reply, Server};

use crate::blog::{Blog, Comment};
use crate::translation::Translation;

/// Outside of the checkout: the cases are not part of the project.
pub const CASES: &str = "../../shared/data/serendipity_cases.json";

/// The address that comments come from.
const SENDER: &str = "203.0.113.5";

pub struct Case {
    pub id: String,
    pub what: String,
    pub recommended: String,
    input: Json,
}

impl Case {
    /// All of them, if the file is there.
    pub fn all() -> Option<Vec<Case>> {
        let text =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(CASES)).ok()?;
        let cases: Vec<Json> = serde_json::from_str(&text).expect("the file is JSON");
        let text = |case: &Json, name: &str| case[name].as_str().expect(name).to_owned();
        let case = |case: &Json| Case {
            id: text(case, "id"),
            what: text(case, "what"),
            recommended: match text(case, "recommended_verdict") {
                verdict if verdict.contains("captcha") => "challenge".into(),
                verdict => verdict,
            },
            input: case["input"].clone(),
        };
        Some(cases.iter().map(case).collect())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.input[name].as_str()
    }

    fn is(&self, name: &str) -> bool {
        self.input[name] == true
    }

    fn is_comment(&self) -> bool {
        matches!(self.text("type").unwrap_or("NORMAL"), "NORMAL" | "regular" | "")
    }

    /// Why the case has to wait for checks that are not there yet.
    pub fn follows(&self) -> Option<String> {
        let translation = Translation::of(&self.input);
        let needed: &[(&str, bool)] = &[
            ("akismet's answers", translation.asks_akismet()),
            ("captcha", translation.asks_captcha()),
        ];
        if let Some((check, _)) = needed.iter().find(|(_, needed)| *needed) {
            return Some(format!("{check} needs the worker"));
        }
        None
    }

    /// What the sender's own server says, if the case has one.
    fn pages(&self) -> Option<Server> {
        let answer = self.input["http"].as_array()?.first()?;
        let text = |n: usize| answer[n].as_str().unwrap_or_default().to_owned();
        let (status, page) = (text(0), text(1));
        Some(Server::start(move |_| match status.parse() {
            Ok(200) => Reply::html(format!("<a href=\"{page}\">a page of the blog</a>")),
            Ok(status) => Reply::status(status),
            Err(_) => Reply::reset(),
        }))
    }

    fn comment(&self) -> Comment {
        let mut comment = Comment { ip: SENDER.into(), ..Comment::default() };
        for (name, field) in [
            ("name", &mut comment.author),
            ("email", &mut comment.email),
            ("url", &mut comment.url),
            ("body", &mut comment.body),
            ("type", &mut comment.kind),
            ("source", &mut comment.source),
            ("ip", &mut comment.ip),
            ("title", &mut comment.entry.title),
        ] {
            if let Some(given) = self.text(name) {
                given.clone_into(field);
            }
        }
        if let [text, times] = self.input["body_repeat"].as_array().map_or(&[][..], Vec::as_slice) {
            let (text, times) = (text.as_str().expect("a text"), times.as_u64().expect("a number"));
            comment.body = text.repeat(times as usize);
        }
        if let Some(days) = self.input["age"].as_f64() {
            comment.entry.age_in_days = days;
        }
        // The entry's own setting: the app stores the comment as pending.
        if self.is("moderate_comments") {
            comment.status = "pending".into();
        }
        if self.is("logged_in") {
            let groups = self.input["groups"].as_array().cloned().unwrap_or_default();
            let groups = groups.iter().map(|group| group.to_string().replace('"', ""));
            comment.groups =
                Some(std::iter::once("author".into()).chain(groups).collect::<Vec<_>>().join(","));
        }
        comment.form_seconds = self.input["elapsed"].as_f64();
        // The form's token is the app's to check; where it is wrong, the app says so in the hidden field.
        if self.input["xsrf_ok"] == false && self.is_comment() && comment.source == "internal" {
            comment.honeypot = Some("no token".into());
        }
        comment
    }

    /// Comments that were there before.
    fn earlier(&self) -> Vec<Comment> {
        let now = self.comment();
        let mut earlier = Vec::new();
        for body in self.input["existing_bodies"].as_array().into_iter().flatten() {
            let body = body.as_str().expect("a text").to_owned();
            earlier.push(Comment {
                ip: "198.51.100.77".into(),
                body,
                ago: 3600,
                ..Comment::default()
            });
        }
        if let Some(ago) = self.input["last_post_ago"].as_i64() {
            earlier.push(Comment { ip: now.ip.clone(), ago, ..Comment::default() });
        }
        if self.is("confirmed") {
            let (author, email) = (now.author.clone(), now.email.clone());
            earlier.push(Comment {
                author,
                email,
                ago: 86_400,
                ip: "198.51.100.78".into(),
                ..Comment::default()
            });
        }
        earlier
    }

    /// What becomes of the comment on a blog so configured.
    pub fn verdict(&self, blog: &mut Blog) -> String {
        blog.run("TRUNCATE serendipity_comments, serendipity_entries");
        let earlier = self.earlier();
        for comment in &earlier {
            blog.comment(comment).expect("nothing is checked yet");
        }
        blog.policy(&self.id);
        let refused = Translation::of(&self.input).apply(blog, &self.id).is_err();
        let verdict = if refused {
            "config_error".to_owned()
        } else {
            if !earlier.is_empty() && blog.asks_for_earlier_rows(&self.id) {
                blog.run("CALL spamcheck.remember('serendipity_comments')");
            }
            let mut comment = self.comment();
            let pages = self.pages();
            if let Some(pages) = &pages {
                // The sender's machine is this one.
                comment.url = comment.url.replace(&format!("http://{SENDER}"), &pages.url());
                comment.ip = "127.0.0.1".into();
            }
            blog.verdict(&comment)
        };
        blog.run("SELECT spamcheck.unprotect('serendipity_comments')");
        verdict
    }
}
