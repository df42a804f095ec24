//! The file may be moved away or removed at any time.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::{Filed, read};

#[test]
fn a_file_that_was_moved_or_removed_is_made_anew() {
    let mut filed = Filed::new("file");
    let (path, old) = (filed.path(), filed.path().with_extension("1"));
    filed.run("INSERT INTO comments (body) VALUES ('casino 1')");
    // In the middle of a transaction, too.
    filed.run("BEGIN; INSERT INTO comments (body) VALUES ('casino 2')");
    fs::rename(&path, &old).unwrap();
    filed.run("COMMIT");
    assert_eq!(filed.comments(), ["casino 2"]);
    assert_eq!(read(&old).len(), 1);
    fs::remove_file(&path).unwrap();
    filed.run("INSERT INTO comments (body) VALUES ('casino 3')");
    assert_eq!(filed.comments(), ["casino 3"]);
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    filed.run("INSERT INTO comments (body) VALUES ('casino 4')");
    assert_eq!(filed.comments(), ["casino 4"]);
}

#[test]
fn only_the_servers_user_may_read_it() {
    let mut filed = Filed::new("file");
    filed.run("INSERT INTO comments (body) VALUES ('casino 1')");
    let mode = fs::metadata(filed.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Who wants others to read it may say so; lines are added all the same.
    fs::set_permissions(filed.path(), fs::Permissions::from_mode(0o640)).unwrap();
    filed.run("INSERT INTO comments (body) VALUES ('casino 2')");
    assert_eq!(filed.comments().len(), 2);
    assert_eq!(fs::metadata(filed.path()).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_line_that_was_cut_in_two_does_not_spoil_the_next() {
    let mut filed = Filed::new("file");
    filed.run("INSERT INTO comments (body) VALUES ('casino 1')");
    let text = fs::read_to_string(filed.path()).unwrap();
    fs::write(filed.path(), format!("{text}{{\"id\":null,\"logg")).unwrap();
    filed.run("INSERT INTO comments (body) VALUES ('casino 2')");
    let text = fs::read_to_string(filed.path()).unwrap();
    let last = text.lines().last().unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(last).unwrap()["comment"], "casino 2");
    assert_eq!(text.lines().count(), 3);
}
