//! `key.rs`, and the binding that it needs: how a row is named, and found again.

#[pgrx::pg_schema]
mod tests {
    use std::rc::Rc;

    use pgrx::datum::DatumWithOid;
    use pgrx::prelude::*;
    use serde_json::{Value as Json, json};

    use crate::pgrx_tests_suites::{run, text, with_row};
    use crate::protection::Protection;
    use crate::{key, rulebook, spi};

    /// The protection of a table that was just put under the default policy, as a trigger gets it.
    fn protect(table: &str) -> Rc<Protection> {
        run(&format!(
            "SET LOCAL client_min_messages = warning; SELECT spamcheck.protect('{table}', status => '{{}}')"
        ));
        let id = text(&format!(
            "SELECT id FROM spamcheck._protected_relation WHERE relation = '{table}'::regclass"
        ));
        let relation = text(&format!("SELECT '{table}'::regclass::oid")).parse::<u32>().unwrap();
        // SAFETY: opened with a lock and closed after use; the transaction keeps the lock.
        unsafe {
            let open = pg_sys::relation_open(relation.into(), pg_sys::AccessShareLock as i32);
            let found = rulebook::protection(id.parse().unwrap(), open);
            pg_sys::relation_close(open, pg_sys::NoLock as i32);
            found.ok().expect("the protection can be used")
        }
    }

    /// The key of the table's one row.
    fn key_of(table: &str, protection: &Protection) -> Option<Json> {
        with_row(&format!("SELECT * FROM {table}"), |row, _| key::of_row(protection, row))
    }

    /// How many rows a key finds.
    fn found(table: &str, protection: &Protection, row_key: &Json) -> i64 {
        let (condition, parameters) =
            key::condition(&protection.key, row_key).expect("a condition");
        let args: Vec<DatumWithOid<'_>> = parameters.iter().map(|p| p.as_str().into()).collect();
        let query = format!("SELECT count(*) FROM {table} t WHERE {condition}");
        Spi::get_one_with_args(&query, &args).unwrap().unwrap()
    }

    #[pg_test]
    fn a_composite_key_is_named_as_to_jsonb_does_and_finds_its_row() {
        run(r#"CREATE TABLE keyed (
                   body text, "Größe" numeric(9, 3), n smallint, at timestamptz, u uuid, yes boolean, d date,
                   t varchar, c char(5),
                   PRIMARY KEY (n, "Größe", at, u, yes, d, t, c));
               INSERT INTO keyed VALUES ('hello', 12.500, -3, '2026-03-29 01:30:00.123456+00',
                                         '6F9619FF-8B86-D011-B42D-00CF4FC964FF', false, '2026-02-28', 'it''s "x"', 'ab')"#);
        let protection = protect("keyed");
        run("SET LOCAL datestyle = 'SQL, DMY'; SET LOCAL timezone = 'America/Caracas'");
        let named = key_of("keyed", &protection).unwrap();
        // One name in all sessions: as to_jsonb gives it in this time zone.
        run("SET LOCAL timezone = 'UTC'");
        let asked = text("SELECT to_jsonb(k) - 'body' FROM keyed k");
        assert_eq!(named, serde_json::from_str::<Json>(&asked).unwrap());
        run("SET LOCAL datestyle = 'German'; SET LOCAL timezone = 'Asia/Tokyo'");
        assert_eq!(found("keyed", &protection, &named), 1);
        let mut other = named.clone();
        other["d"] = json!("2026-02-27");
        assert_eq!(found("keyed", &protection, &other), 0);
    }

    #[pg_test]
    fn a_key_that_lacks_a_column_finds_nothing_rather_than_too_much() {
        run(
            "CREATE TABLE pairs (a int, b int, body text, PRIMARY KEY (a, b)); INSERT INTO pairs VALUES (1, 2, 'x')",
        );
        let protection = protect("pairs");
        for incomplete in
            [json!({"a": 1}), json!({"a": 1, "b": null}), json!({}), json!(null), json!([1, 2])]
        {
            assert!(key::condition(&protection.key, &incomplete).is_none(), "{incomplete}");
        }
    }

    #[pg_test]
    fn a_key_of_one_column_is_found_also_after_its_renaming() {
        run(
            "CREATE TABLE single (id bigint PRIMARY KEY, body text); INSERT INTO single VALUES (9007199254740993, 'x')",
        );
        let named = key_of("single", &protect("single")).unwrap();
        run("ALTER TABLE single RENAME id TO number");
        assert_eq!(found("single", &protect("single"), &named), 1);
    }

    #[pg_test]
    fn without_a_key_a_row_has_no_name() {
        run("CREATE TABLE nameless (body text, seen int); INSERT INTO nameless VALUES ('x', 1)");
        let protection = protect("nameless");
        assert_eq!(key_of("nameless", &protection), None);
        assert!(key::condition(&protection.key, &json!({"seen": 1})).is_none());
    }

    #[pg_test]
    fn names_are_quoted_as_the_server_quotes_them() {
        for name in [
            "plain",
            "_x1",
            "Upper",
            "two words",
            "qu\"ote",
            "select",
            "user",
            "name",
            "1a",
            "größe",
            "a-b",
            "a$",
            "",
        ] {
            let asked = Spi::get_one_with_args::<String>("SELECT quote_ident($1)", &[name.into()])
                .unwrap()
                .unwrap();
            assert_eq!(spi::quoted(name), asked);
        }
    }
}
