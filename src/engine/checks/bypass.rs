//! Owns the check `bypass`: people whose submissions are not checked. It must not know how the
//! session's role or earlier rows are looked up.

use serde_json::json;

use super::{Check, Compiled, Example, Hit, LocalCheck, Seed, email_syntax};
use crate::facts::Facts;
use crate::options::{OptionKind, OptionSpec, OptionValues};
use crate::policy::Backing;
use crate::refusal::Refusal;
use crate::submission::{Field, FieldSet};
use crate::surroundings::{Memory, Trace, TraceKind};
use crate::text;
use crate::verdict::Action;

/// The check `bypass` (Serendipity: disable spamblock for authors; `ActionKit`: staff).
pub struct Bypass;

impl Check for Bypass {
    fn name(&self) -> &'static str {
        "bypass"
    }

    fn summary(&self) -> &'static str {
        "The author is exempt"
    }

    fn seeds(&self) -> &'static [Seed] {
        &[Seed::Serendipity, Seed::ActionKit]
    }

    fn action(&self) -> Action {
        Action::Allow
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[
            OptionSpec {
                name: "db_roles",
                kind: OptionKind::Texts,
                default: "[]",
                meaning: "Database roles whose sessions are exempt, those of their members too; \
                          a superuser is not a member of every role here",
            },
            OptionSpec {
                name: "user_roles",
                kind: OptionKind::Keys,
                default: "[]",
                meaning: "Values of user_role that are exempt",
            },
            OptionSpec {
                name: "user_ids",
                kind: OptionKind::Keys,
                default: "[]",
                meaning: "Values of user_id that are exempt",
            },
            OptionSpec {
                name: "approved_before",
                kind: OptionKind::Integer { min: 0, max: 1000 },
                default: "null",
                meaning: "Authors with at least this many ham rows among their latest 1,000 are \
                          exempt; they are known by user_id (0 is nobody), without one by email \
                          (which anybody can type who knows it), never by name",
            },
        ]
    }

    fn purpose(&self) -> &'static str {
        "People who are known to the app need no checks: staff, members, whoever was accepted \
         often enough. They are told by the database role of the session, by `user_role` and \
         `user_id` as columns give them, or by earlier rows of theirs. It is a way past every \
         other check, shutdown included, so name what the app vouches for and nothing that a \
         visitor can write into a form. `approved_before` goes by the account where there is one; \
         visitors without are known by their e-mail address, and that any visitor can type who \
         knows one that was accepted. Where visitors have no accounts, set it only if the app \
         has confirmed the address, or map `user_id` to what it vouches for and leave `email` \
         unmapped. A row counts that has the status of ham; where the mapping names none, one \
         that is neither moderated nor spam, by its status or, where verdicts write none, by \
         `spam_checklog`, so keep the log there. What it let pass is logged as `allowed` where \
         another check would have hit."
    }

    fn example(&self) -> Example {
        Example {
            set: r#"options = '{"user_roles": ["editor"]}'"#,
            sql: r#"UPDATE spamcheck.check_setting SET enabled = true, action = 'spam' WHERE policy = 'default' AND check_name = 'shutdown';

INSERT INTO comments (author, user_role, body) VALUES ('Ellen', 'author,editor', 'We are back on Monday.'),
                                                      ('Jo',    'reader',        'See you then!')
RETURNING author, status;
SELECT author, check_name, outcome, why FROM spamcheck.recent LIMIT 3;"#,
            output: r#"
 author |  status
--------+----------
 Ellen  | approved
 Jo     | spam
(2 rows)

 author | check_name |  outcome   |                why
--------+------------+------------+-----------------------------------
 Jo     | shutdown   | suppressed | submissions are closed
 Ellen  | shutdown   | allowed    | submissions are closed
 Ellen  | bypass     | allowed    | users with role editor are exempt
(3 rows)
"#,
            ..Example::default()
        }
    }

    fn compile(
        &self,
        options: &OptionValues,
        _backing: &mut dyn Backing,
    ) -> Result<Compiled, Refusal> {
        let all = |option| {
            let texts = options.texts(option).into_iter();
            let texts = texts.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
            texts.collect::<Vec<String>>()
        };
        let exempt = Exempt {
            db_roles: all("db_roles"),
            user_roles: all("user_roles").iter().map(|role| text::normalise(role).into()).collect(),
            user_ids: all("user_ids"),
            approved_before: options
                .integer("approved_before")
                .and_then(|rows| u32::try_from(rows).ok()),
        };
        let nobody = exempt.db_roles.is_empty()
            && exempt.user_roles.is_empty()
            && exempt.user_ids.is_empty()
            && exempt.approved_before.is_none();
        Ok(if nobody { Compiled::Nothing } else { Compiled::local(exempt) })
    }
}

struct Exempt {
    db_roles: Vec<String>,
    /// Normalised.
    user_roles: Vec<String>,
    user_ids: Vec<String>,
    approved_before: Option<u32>,
}

impl LocalCheck for Exempt {
    fn reads(&self) -> FieldSet {
        let mut reads = FieldSet::default();
        if !self.user_roles.is_empty() {
            reads.insert(Field::UserRole);
        }
        if !self.user_ids.is_empty() || self.approved_before.is_some() {
            reads.insert(Field::UserId);
        }
        if self.approved_before.is_some() {
            reads.insert(Field::Email);
        }
        reads
    }

    fn depends_on(&self) -> Vec<FieldSet> {
        if self.db_roles.is_empty() { vec![self.reads()] } else { Vec::new() }
    }

    fn remembers(&self) -> Vec<Memory> {
        let memory = self.approved_before.map(|_| Memory { kind: TraceKind::Author, within: None });
        memory.into_iter().collect()
    }

    fn leave_traces(&self, facts: &Facts<'_>) -> Result<(), String> {
        self.approved_before.map_or(Ok(()), |_| approved(facts, 0).map(drop))
    }

    fn ask(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        if let Some(hit) = self.known(facts)? {
            // Their rows count when they are no longer known by that.
            self.leave_traces(facts)?;
            return Ok(Some(hit));
        }
        // Last, as it may cost a look at the table.
        match self.approved_before {
            Some(wanted) => approved(facts, wanted),
            None => Ok(None),
        }
    }
}

impl Exempt {
    /// Whom the options name.
    fn known(&self, facts: &Facts<'_>) -> Result<Option<Hit>, String> {
        if !self.user_ids.is_empty()
            && let Some(id) = facts.text(Field::UserId).map(str::trim)
            && self.user_ids.iter().any(|exempt| exempt == id)
        {
            return Ok(Some(Hit::new(format!("user {id} is exempt"), json!({ "user_id": id }))));
        }
        if !self.user_roles.is_empty()
            && let Some(role) = facts.roles().find(|role| {
                let role = text::normalise(role);
                self.user_roles.iter().any(|exempt| *exempt == role)
            })
        {
            return Ok(Some(Hit::new(
                format!("users with role {role} are exempt"),
                json!({ "user_role": role }),
            )));
        }
        for role in &self.db_roles {
            if facts.surroundings().is_member_of(role)? {
                return Ok(Some(Hit::new(
                    format!("members of database role {role} are exempt"),
                    json!({ "db_role": role }),
                )));
            }
        }
        Ok(None)
    }
}

fn approved(facts: &Facts<'_>, wanted: u32) -> Result<Option<Hit>, String> {
    let Some(author) = identity(facts) else { return Ok(None) };
    let trace = Trace { kind: TraceKind::Author, value: &author, since: None };
    let found = facts.surroundings().earlier(trace, wanted, &mut |row| {
        // What is remembered leads to the row; the row itself says whose it is.
        row.ham && identity(row.facts).as_deref() == Some(&*author)
    })?;
    Ok((found >= wanted).then(|| {
        Hit::new(
            format!("{author} has {found} or more rows that were accepted"),
            json!({"author": author, "approved_before": wanted}),
        )
    }))
}

/// Who wrote it, as far as that can be told: by account, else by address. A name is anybody's, and
/// so is what is no address.
fn identity(facts: &Facts<'_>) -> Option<String> {
    if let Some(id) = facts.account() {
        return Some(format!("user {id}"));
    }
    let email = facts.normalised(Field::Email)?.trim();
    email_syntax::fault(email).is_none().then(|| format!("email {email}"))
}
