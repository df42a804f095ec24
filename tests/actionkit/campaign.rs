//! A campaign site with tables like ActionKit's, under a policy of its preset. Owns how an action gets
//! in and what became of it; it decides nothing that a test is about.

use std::sync::OnceLock;

use postgres::error::DbError;
use serde_json::{Value as Json, json};
use support::akismet::SPAM;

use crate::site::{Site, World};

/// ActionKit's pages and actions. What it keeps of the signer in `core_user` stands beside the action.
const TABLES: &str = "
    CREATE TABLE core_page (id serial PRIMARY KEY, title text NOT NULL, type text NOT NULL);
    CREATE TABLE core_action (
        id bigserial PRIMARY KEY, page_id int NOT NULL REFERENCES core_page, created_at timestamptz NOT NULL DEFAULT now(),
        first_name text, last_name text, email text CHECK (email LIKE '%@%'), address1 text, address2 text, city text,
        state text, region text, country text, postal text, custom jsonb NOT NULL DEFAULT '{}', ip_address text,
        source text, status text NOT NULL DEFAULT 'complete' CHECK (status IN ('complete', 'moderated', 'spam')));
    INSERT INTO core_page (title, type) VALUES ('Save the bakery', 'Petition'), ('Write to them', 'Letter'),
        ('Come along', 'Signup'), ('What do you think?', 'Survey'), ('Chip in', 'Donation');
    SELECT spamcheck.create_policy('actions', 'actionkit')";

/// How the table is protected. What is in brackets is what the content check reads.
pub const PROTECT: &str = r#"SELECT spamcheck.protect('core_action', 'actions', columns => '{
    "author": ["first_name", "last_name"],
    "fields": ["address1", "address2", "city", "state", "region", "country", "postal", "custom"],
    "type": {"table": "core_page", "key": "id", "from": "page_id", "column": "type"},
    "page": {"table": "core_page", "key": "id", "from": "page_id", "column": "title"}}')"#;

/// The world that the tests share, with a server on which many databases have a worker.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    let options = support::cluster::ClusterOptions::default();
    WORLD.get_or_init(|| World::new(options.with("pg_spamcheck.max_workers", 32)))
}

pub struct Campaign {
    pub site: Site<'static>,
}

/// An action as a visitor's form sends it.
#[derive(Clone)]
pub struct Action {
    /// The page's type, as `core_page` has it.
    pub page: &'static str,
    /// Columns of the action and their values.
    pub columns: Json,
    pub email: String,
    pub ip: &'static str,
}

impl Default for Action {
    fn default() -> Action {
        Action {
            page: "Petition",
            columns: json!({"first_name": "Ann", "last_name": "Baker"}),
            email: "ann@mail.example".into(),
            ip: "203.0.113.5",
        }
    }
}

/// An action whose custom field `comment` says that.
pub fn saying(comment: &str) -> Action {
    with("custom", &json!({"comment": comment, "shirt": "XL"}))
}

/// An action with a value in a column.
pub fn with(column: &str, value: &Json) -> Action {
    let mut action = Action::default();
    action.columns[column] = value.clone();
    action
}

/// An action from an address.
pub fn from(ip: &'static str) -> Action {
    Action { ip, ..Action::default() }
}

/// An action by an e-mail address.
pub fn by(email: &str) -> Action {
    Action { email: email.into(), ..Action::default() }
}

/// An action that Akismet takes for spam.
pub fn spam() -> Action {
    saying(SPAM)
}

impl Campaign {
    /// As the preset is: everything is logged, nothing done.
    pub fn new() -> Campaign {
        let mut campaign = Campaign { site: world().bare_site("{}") };
        campaign.run(TABLES);
        let blog = campaign.site.blog.clone();
        campaign.options("akismet", &json!({ "blog": blog }));
        campaign.run(PROTECT);
        campaign
    }

    /// With Suppress Actions enabled, and as much time for Akismet's answer as a busy machine takes.
    pub fn suppressing() -> Campaign {
        let mut campaign = Campaign::new();
        campaign.policy("mode = 'enforce'");
        campaign.options("akismet", &json!({"wait_ms": 20000}));
        campaign
    }

    /// As `suppressing`, and Akismet is asked nothing.
    pub fn without_akismet() -> Campaign {
        let mut campaign = Campaign::suppressing();
        campaign.check("akismet", "enabled = false");
        campaign
    }

    #[track_caller]
    pub fn run(&mut self, sql: &str) {
        self.site.run(sql);
    }

    #[track_caller]
    pub fn get(&mut self, sql: &str) -> String {
        self.site.get(sql)
    }

    /// Sets columns of the policy.
    #[track_caller]
    pub fn policy(&mut self, set: &str) {
        self.run(&format!("UPDATE spamcheck.policy SET {set} WHERE name = 'actions'"));
    }

    /// Sets columns of a check.
    #[track_caller]
    pub fn check(&mut self, name: &str, set: &str) {
        self.run(&format!(
            "UPDATE spamcheck.check_setting SET {set} WHERE policy = 'actions' AND check_name = '{name}'"
        ));
    }

    /// Sets some options of a check, the others stay.
    #[track_caller]
    pub fn options(&mut self, name: &str, options: &Json) {
        self.check(name, &format!("options = options || '{options}'"));
    }

    /// Sends an action; its status.
    pub fn act(&mut self, action: &Action) -> Result<String, Box<DbError>> {
        let mut row = action.columns.clone();
        row["email"] = json!(action.email);
        row["ip_address"] = json!(action.ip);
        let columns: Vec<&str> =
            row.as_object().expect("columns").keys().map(String::as_str).collect();
        let columns = columns.join(", ");
        let inserted = self.site.client.query_one(
            &format!(
                "INSERT INTO core_action (page_id, {columns})
                 SELECT p.id, r.{} FROM core_page p, json_populate_record(NULL::core_action, $2) r
                  WHERE p.type = $1 RETURNING status",
                columns.replace(", ", ", r.")
            ),
            &[&action.page, &row],
        );
        inserted
            .map(|row| row.get(0))
            .map_err(|error| Box::new(error.as_db_error().expect("a refusal").clone()))
    }

    /// The status of an action that must go in.
    #[track_caller]
    pub fn status(&mut self, action: &Action) -> String {
        self.act(action).unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// What a column of the log says, newest first.
    pub fn log(&mut self, column: &str) -> Vec<String> {
        let query = format!("SELECT ({column})::text FROM spamcheck.recent");
        let rows = self.site.client.query(&query, &[]).expect("the log can be read");
        rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or("-".into())).collect()
    }
}
