//! Owns the check `custom`: a user's function is asked. What its answer may be is settled here; it must
//! not know how a function is found and called, or with whose rights.

use serde_json::{Value as Json, json};

use super::{Check, Compiled, Example, Hit, LocalCheck, Seed};
use crate::facts::Facts;
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::verdict::Action;

/// The check `custom`.
pub struct Custom;

/// Characters of a function's `why` that are taken: it is a reason, not a place for texts.
const LONGEST_WHY: usize = 1_000;

/// The greatest score, as for the scores of check settings.
const MAX_SCORE: f64 = 1e6;

impl Check for Custom {
    fn name(&self) -> &'static str {
        "custom"
    }

    fn summary(&self) -> &'static str {
        "A function of yours says so"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[]
    }

    fn action(&self) -> Action {
        Action::Score
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[OptionSpec {
            name: "function",
            kind: OptionKind::Text,
            default: "null",
            meaning: "The function, with its schema: (submission jsonb) RETURNS jsonb, giving \
                      {\"hit\": true, \"why\": \"…\", \"score\": 2.5}",
        }]
    }

    fn purpose(&self) -> &'static str {
        "A check that you write yourself, in any language that the database has. The function \
         gets the submission as an object with the fields that are known, as checks see them: \
         `type` and `source` are always there. It answers with `hit` (null is no hit, as NULL is \
         in SQL), `why` for the log, and perhaps a `score` of its own. It runs for every row, in \
         the inserting transaction and never with more rights than the table's owner has, so \
         keep it quick; when it fails, the policy's `on_error` decides."
    }

    fn example(&self) -> Example {
        Example {
            set: "",
            sql: r#"CREATE FUNCTION public.shouts(submission jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('hit', submission ->> 'body' = upper(submission ->> 'body'), 'why', 'it shouts', 'score', 6)
$$;
UPDATE spamcheck.check_setting SET options = '{"function": "public.shouts"}'
 WHERE policy = 'default' AND check_name = 'custom';
INSERT INTO comments (body) VALUES ('NICE BREAD!'), ('Nice bread!') RETURNING body, status;
SELECT check_name, outcome, score, why FROM spamcheck.recent LIMIT 1;"#,
            output: r#"
    body     |  status
-------------+----------
 NICE BREAD! | pending
 Nice bread! | approved
(2 rows)

 check_name |  outcome  | score |    why
------------+-----------+-------+-----------
 custom     | moderated |     6 | it shouts
(1 row)
"#,
            ..Example::default()
        }
    }

    fn validate(&self, options: &OptionValues) -> Result<(), Refusal> {
        options.text("function").map_or(Ok(()), |name| function_name(name).map(drop))
    }

    fn compile(
        &self,
        options: &OptionValues,
        _backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        let Some(name) = options.text("function") else { return Ok(Compiled::Nothing) };
        function_name(name)?;
        Ok(Compiled::local(Function(name.to_owned())))
    }
}

/// The schema and the name in a function's name as SQL writes it: folded to lower case unless quoted.
///
/// # Errors
/// Refuses what is not `schema.name`.
pub fn function_name(text: &str) -> Result<(String, String), Refusal> {
    let refusal = || {
        Refusal::new(format!(
            "option \"function\" of check custom takes the name of a function with its schema, not \
             {}",
            Refusal::quote(text)
        ))
        .with_hint(
            "Write \"myschema.my_check\", without arguments; quote parts as SQL does where they have \
             capitals or signs.",
        )
    };
    let (schema, rest) = identifier(text.trim()).ok_or_else(refusal)?;
    let rest = rest.trim_start().strip_prefix('.').ok_or_else(refusal)?;
    let (name, rest) = identifier(rest.trim_start()).ok_or_else(refusal)?;
    if rest.is_empty() { Ok((schema, name)) } else { Err(refusal()) }
}

/// An identifier at the start of `text`, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut rest = quoted;
        loop {
            let end = rest.find('"')?;
            name.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('"') {
                Some(more) => {
                    name.push('"');
                    rest = more;
                }
                None => return (!name.is_empty()).then_some((name, rest)),
            }
        }
    }
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let end = text.find(|c| !part(c)).unwrap_or(text.len());
    let starts = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    starts.then(|| (text[..end].to_ascii_lowercase(), &text[end..]))
}

struct Function(String);

impl LocalCheck for Function {
    fn reads(&self) -> FieldSet {
        FieldSet::of(&Field::ALL)
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        let submission = facts.checked();
        let answer = facts.surroundings().call(&self.0, &submission)?;
        let hit = self.hit(&answer)?;
        let truncated =
            Field::ALL.into_iter().any(|field| facts.texts(field).any(|text| text.truncated));
        Ok(hit.map(|hit| hit.truncated(truncated)))
    }
}

impl Function {
    /// What an answer says.
    fn hit(&self, answer: &Json) -> Result<Option<Hit>, String> {
        let wrong = |what: &str| {
            let shown = Refusal::shown(answer);
            Err(format!("function {} gave {shown}: {what}", self.0))
        };
        if answer.is_null() {
            return Ok(None);
        }
        let Some(parts) = answer.as_object() else {
            return wrong("it has to be an object such as {\"hit\": true}, or NULL");
        };
        let known = ["hit", "why", "score", "detail"];
        if let Some(other) = parts.keys().find(|key| !known.contains(&key.as_str())) {
            let other = Refusal::quote(other);
            return wrong(&format!("it may have hit, why, score and detail, not {other}"));
        }
        let hit = match parts.get("hit") {
            Some(Json::Bool(hit)) => *hit,
            // What a comparison with a field that is not there gives: in SQL, NULL is not true.
            Some(Json::Null) => false,
            _ => return wrong("its \"hit\" has to be true, false or null"),
        };
        let why = match parts.get("why") {
            None | Some(Json::Null) => format!("function {} says so", self.0),
            Some(Json::String(why)) => why.chars().take(LONGEST_WHY).collect(),
            Some(_) => return wrong("its \"why\" has to be text"),
        };
        let score = match parts.get("score").map(|score| (score, score.as_f64())) {
            None | Some((Json::Null, _)) => None,
            Some((_, Some(score))) if score.abs() <= MAX_SCORE => Some(score as f32),
            Some(_) => return wrong("its \"score\" has to be a number from -1000000 to 1000000"),
        };
        if !hit {
            return Ok(None);
        }
        let mut detail = json!({"function": self.0});
        if let Some(given) = parts.get("detail").filter(|given| !given.is_null()) {
            detail["detail"] = given.clone();
        }
        Ok(Some(Hit { score, ..Hit::new(why, detail) }))
    }
}

#[cfg(test)]
mod tests;
