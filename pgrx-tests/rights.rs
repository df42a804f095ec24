//! `rights.rs`: whose rights a piece of work has, what names it can reach, and that both end with it.

#[pgrx::pg_schema]
mod tests {
    use pgrx::prelude::*;

    use crate::pgrx_tests_suites::{failure, run, text};
    use crate::{rights, row};

    /// User, search_path, and whether the operation is restricted: `visitor|"nowhere"|false`.
    fn standing() -> String {
        // SAFETY: plain call.
        let restricted = unsafe { pg_sys::InSecurityRestrictedOperation() };
        let standing =
            "pg_catalog.concat_ws('|', CURRENT_USER, pg_catalog.current_setting('search_path'))";
        format!("{}|{restricted}", text(&format!("SELECT {standing}")))
    }

    fn oid(table: &str) -> pg_sys::Oid {
        text(&format!("SELECT '{table}'::regclass::oid")).parse::<u32>().unwrap().into()
    }

    fn owner(table: &str) -> String {
        text(&format!("SELECT relowner::regrole FROM pg_class WHERE oid = '{table}'::regclass"))
    }

    #[pg_test]
    fn the_extensions_own_work_is_its_owners_with_a_pinned_search_path() {
        let owner = owner("spamcheck.policy");
        run(
            "CREATE ROLE rights_visitor; SET LOCAL search_path = nowhere; SET LOCAL ROLE rights_visitor",
        );
        let before = standing();
        assert_eq!(before, "rights_visitor|nowhere|false");
        assert_eq!(rights::as_extension(standing), format!("{owner}|pg_catalog, pg_temp|true"));
        assert_eq!(standing(), before);
    }

    #[pg_test]
    fn an_error_gives_user_and_search_path_back() {
        run(
            "CREATE ROLE rights_loser; SET LOCAL search_path = nowhere; SET LOCAL ROLE rights_loser",
        );
        let before = standing();
        let seen = failure(|| rights::as_extension(|| error!("{}", standing())));
        assert!(seen.message.ends_with("|pg_catalog, pg_temp|true"), "{}", seen.message);
        assert_eq!(standing(), before);
        failure(|| rights::as_extension(|| panic!("a bug")));
        assert_eq!(standing(), before);
    }

    #[pg_test]
    fn a_table_is_written_as_its_owner_who_finds_its_schema() {
        run(r#"CREATE ROLE rights_owner; CREATE SCHEMA "Odd, Schema";
               CREATE TABLE "Odd, Schema".owned (); ALTER TABLE "Odd, Schema".owned OWNER TO rights_owner"#);
        let table = oid("\"Odd, Schema\".owned");
        let before = standing();
        let written = rights::as_owner_of(table, standing);
        assert_eq!(written, "rights_owner|pg_catalog, \"Odd, Schema\", pg_temp|true");
        let read = rights::as_reader_of(table, standing);
        assert_eq!(read, "rights_owner|pg_catalog, pg_temp|true");
        assert_eq!(standing(), before);
    }

    #[pg_test]
    fn an_owners_work_cannot_become_anybody_else() {
        run(
            "CREATE ROLE rights_climber; CREATE TABLE ladder (); ALTER TABLE ladder OWNER TO rights_climber",
        );
        let table = oid("ladder");
        for attempt in
            ["RESET ROLE", "SET SESSION AUTHORIZATION DEFAULT", "SET ROLE rights_climber"]
        {
            let refused = failure(|| rights::as_owner_of(table, || run(attempt)));
            assert_eq!(refused.code, PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, "{attempt}");
        }
    }

    #[pg_test]
    fn settings_for_output_end_with_the_work_also_after_an_error() {
        run("SET LOCAL datestyle = 'SQL, DMY'; SET LOCAL intervalstyle = 'iso_8601'");
        let query = "SELECT concat(date '2026-02-01', ' ', interval '1 day')";
        assert_eq!(row::with_portable_output(|| text(query)), "2026-02-01 1 day");
        failure(|| row::with_portable_output(|| error!("meanwhile")));
        assert_eq!(text(query), "01/02/2026 P1D");
    }
}
