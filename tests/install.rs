//! Installing and removing: CREATE EXTENSION, the settings, DROP EXTENSION, and a server whose
//! configuration lost the line that loads the library.

#[path = "install/creation.rs"]
mod creation;
#[path = "install/removal.rs"]
mod removal;
#[path = "install/settings.rs"]
mod settings;

/// The first column of a query's one row, as text; "-" for NULL.
#[track_caller]
fn get(client: &mut postgres::Client, query: &str) -> String {
    let text = format!(
        "SELECT coalesce((SELECT v.value FROM json_each_text(row_to_json(q)) v LIMIT 1), '-')
           FROM ({query}) q"
    );
    match client.query_one(&text, &[]) {
        Ok(row) => row.get(0),
        Err(error) => panic!("{query}: {error:?}"),
    }
}
