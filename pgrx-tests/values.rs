//! `row.rs`: values of each type as they lie in a row, and as the engine gets them.

#[pgrx::pg_schema]
mod tests {
    use std::net::IpAddr;

    use pgrx::prelude::*;
    use spamcheck_engine::{Field, Value};

    use crate::pgrx_tests_suites::{failure, run, text, with_row};
    use crate::row;

    /// What the engine gets for each column of the query's one row, for a field.
    fn read_as(field: Field, query: &str) -> Vec<String> {
        with_row(query, |row, columns| {
            let shown = |value: Value<'_>| match value {
                Value::Absent => "absent".to_owned(),
                Value::Later => "later".to_owned(),
                Value::Text(text) => format!("text {text}"),
                Value::Ip(address) => format!("ip {address}"),
                Value::Time(time) => format!("time {time}"),
                Value::Number(number) => format!("number {number}"),
            };
            columns.iter().map(|column| shown(row.value(*column, field))).collect()
        })
    }

    #[pg_test]
    fn texts_keep_their_blanks_unless_the_type_pads_them() {
        run("CREATE DOMAIN note AS varchar(20)");
        let read = read_as(
            Field::Body,
            "SELECT 'a  '::text, 'b '::varchar(9), 'c '::char(9), 'd '::note, NULL::text, ''::text, ''::char(3)",
        );
        assert_eq!(read, ["text a  ", "text b ", "text c", "text d ", "absent", "text ", "text "]);
    }

    #[pg_test]
    fn a_text_is_read_wherever_the_server_keeps_it() {
        // Short header, plain, compressed in the row, out of line, out of line and compressed.
        run("CREATE TABLE kept (short text, plain text, packed text, away text, both_ text);
             ALTER TABLE kept ALTER plain SET STORAGE plain, ALTER away SET STORAGE external;
             INSERT INTO kept
             SELECT 'kurz ä', repeat('p', 1000), repeat('z', 3000), repeat('aß', 20000), string_agg(md5(n::text), '')
               FROM generate_series(1, 4000) n");
        let stored =
            text("SELECT pg_column_size(packed) < 200 AND pg_column_size(both_) > 8000 FROM kept");
        assert_eq!(stored, "true", "the table does not keep them in the ways meant");
        let lengths = with_row("SELECT * FROM kept", |row, columns| {
            columns.iter().map(|c| row.text_borrowed(*c).unwrap().into_owned()).collect::<Vec<_>>()
        });
        assert_eq!(lengths[0], "kurz ä");
        assert_eq!(lengths[1], "p".repeat(1000));
        assert_eq!(lengths[2], "z".repeat(3000));
        assert_eq!(lengths[3], "aß".repeat(20000));
        assert_eq!(lengths[4], text("SELECT both_ FROM kept"));
    }

    #[pg_test]
    fn addresses_are_read_without_their_mask() {
        let query = "SELECT '192.0.2.7'::inet, '192.0.2.0/24'::cidr, '2001:db8::7/64'::inet,
                            '::ffff:192.0.2.7'::inet, NULL::inet";
        let read = read_as(Field::Ip, query);
        let expected = ["192.0.2.7", "192.0.2.0", "2001:db8::7", "::ffff:192.0.2.7"];
        for (read, expected) in read.iter().zip(expected) {
            let address: IpAddr = read.strip_prefix("ip ").unwrap().parse().unwrap();
            assert_eq!(address, expected.parse::<IpAddr>().unwrap());
        }
        assert_eq!(read[4], "absent");
    }

    #[pg_test]
    fn times_count_from_the_unix_epoch_whatever_the_sessions_zone() {
        run("SET LOCAL timezone = 'Asia/Kathmandu'");
        let read = read_as(
            Field::CreatedAt,
            "SELECT '1970-01-01 00:00:01+00'::timestamptz, '1970-01-01 00:00:01'::timestamp, '1970-01-02'::date,
                    'infinity'::timestamptz, '-infinity'::timestamp, 'infinity'::date, '0044-03-15 BC'::date",
        );
        let ides = text("SELECT extract(epoch FROM '0044-03-15 BC'::date)::bigint * 1000000");
        assert_eq!(read[..3], ["time 1000000", "time 1000000", "time 86400000000"]);
        assert_eq!(read[3..6], ["absent", "absent", "absent"]);
        assert_eq!(read[6], format!("time {ides}"));
    }

    #[pg_test]
    fn integers_are_numbers_where_the_field_is_one() {
        let query = "SELECT (-7)::smallint, (-70000)::integer, 5000000000::bigint";
        assert_eq!(
            read_as(Field::CreatedAt, query),
            ["number -7", "number -70000", "number 5000000000"]
        );
        assert_eq!(read_as(Field::UserId, query), ["text -7", "text -70000", "text 5000000000"]);
    }

    #[pg_test]
    fn of_json_the_strings_are_text_and_nothing_else_is() {
        let json = r#"{"a": "one", "b": [2, "three", {"c": "fo\u00fcr"}], "d": null, "e": true}"#;
        let query =
            format!("SELECT '{json}'::json, '{json}'::jsonb, '\"plain\"'::jsonb, '{{}}'::jsonb");
        let read = read_as(Field::Body, &query);
        assert_eq!(read, ["text one\nthree\nfoür", "text one\nthree\nfoür", "text plain", "text "]);
    }

    #[pg_test]
    fn other_types_are_read_as_they_print() {
        run("CREATE TYPE mood AS ENUM ('fine', 'so so')");
        let query = "SELECT 'so so'::mood, 1.50::numeric, true, ARRAY['x', 'y z'], 'abc'::name";
        assert_eq!(
            read_as(Field::Body, query),
            ["text so so", "text 1.50", "text t", "text {x,\"y z\"}", "text abc"]
        );
    }

    #[pg_test]
    fn values_are_written_as_the_columns_type_takes_them() {
        run(
            "CREATE TYPE state AS ENUM ('ok', 'junk'); CREATE DOMAIN short AS text CHECK (length(VALUE) < 5)",
        );
        let oid = |name: &str| {
            pg_sys::Oid::from(
                text(&format!("SELECT '{name}'::regtype::oid")).parse::<u32>().unwrap(),
            )
        };
        // The modifier of varchar(3).
        let refused = [
            failure(|| _ = row::input(oid("varchar"), 3 + 4, "approved")),
            failure(|| _ = row::input(oid("state"), -1, "spam")),
            failure(|| _ = row::input(oid("short"), -1, "moderated")),
        ];
        assert_eq!(refused[0].message, "value too long for type character varying(3)");
        assert_eq!(refused[1].message, "invalid input value for enum state: \"spam\"");
        assert_eq!(refused[2].code, PgSqlErrorCode::ERRCODE_CHECK_VIOLATION);
        assert_eq!(row::input(oid("boolean"), -1, "yes").value(), 1);
    }
}
