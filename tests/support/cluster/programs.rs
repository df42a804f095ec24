//! PostgreSQL's programs and the account they run under. Owns every `Command` that the support code
//! starts for a server, so that all of them get the same bare environment; it starts no server.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

// PostgreSQL refuses to run as root, so root starts it as this account, which Debian's package makes.
const SERVER_ACCOUNT: &str = "postgres";
const DEBIAN_PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// The account that servers run under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Primary group's id.
    pub gid: u32,
}

/// The folder of PostgreSQL's programs: what the `pg_config` named by `PG_CONFIG`, or the one on the
/// path, says; Debian's folder of version 15 where there is none.
///
/// # Panics
/// When that folder has no `postgres` program.
pub fn bindir() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let pg_config = std::env::var_os("PG_CONFIG").unwrap_or_else(|| "pg_config".into());
        let folder = Command::new(&pg_config)
            .arg("--bindir")
            .output()
            .ok()
            .filter(|output| output.status.success())
            .map_or_else(
                || PathBuf::from(DEBIAN_PROGRAMS),
                |output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end()),
            );
        assert!(
            folder.join("postgres").exists(),
            "no PostgreSQL server in {}: install postgresql-15, or name another installation's \
             pg_config in PG_CONFIG",
            folder.display()
        );
        folder
    })
}

/// The account that servers run under: `postgres` when this process is root's, otherwise its own.
///
/// # Panics
/// When root has no `postgres` account to fall back on.
pub fn account() -> Account {
    static FOUND: OnceLock<Account> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let own = fs::metadata("/proc/self").expect("/proc is mounted");
        if own.uid() != 0 {
            return Account { uid: own.uid(), gid: own.gid() };
        }
        let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
        account_in(&accounts).unwrap_or_else(|| {
            panic!("PostgreSQL does not run as root, and there is no account \"{SERVER_ACCOUNT}\"")
        })
    })
}

fn account_in(accounts: &str) -> Option<Account> {
    accounts.lines().find_map(|line| {
        let mut parts = line.split(':');
        if parts.next()? != SERVER_ACCOUNT {
            return None;
        }
        let uid = parts.nth(1)?.parse().ok()?;
        let gid = parts.next()?.parse().ok()?;
        Some(Account { uid, gid })
    })
}

/// A program as the server's account runs it, in `folder` as its current folder and home. The
/// environment is empty but for the path and the locale: neither this machine's PG variables and
/// proxies nor RUST_BACKTRACE (which changes the DETAIL of errors) may decide a test.
pub fn command(program: impl AsRef<Path>, folder: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LANG", "C.UTF-8")
        .env("HOME", folder)
        .current_dir(folder);
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        let Account { uid, gid } = account();
        command.uid(uid).gid(gid);
    }
    command
}

/// Sends a signal by its name (`KILL`, `INT`) to processes; those that are gone already are passed over.
pub fn signal(name: &str, pids: &[u32]) {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"s=$1; shift; for p; do kill -s "$s" "$p" 2>/dev/null; done"#, "sh", name]);
    let status = shell.args(pids.iter().map(u32::to_string)).status();
    status.expect("sh can be started");
}

/// The processes whose parent is `pid`.
pub fn children(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|child| parent(*child).is_ok_and(|parent| parent == pid))
        .collect()
}

fn parent(pid: u32) -> io::Result<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name stands in parentheses and may hold any character; the fields after it are plain.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split(' ').nth(1).and_then(|field| field.parse().ok()).ok_or(io::ErrorKind::Other.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_read_from_its_own_line() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nnotpostgres:x:7:7::/:/bin/sh\n\
                        postgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(account_in(accounts), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(account_in("postgresql:x:5:5::/:/bin/sh"), None);
    }

    #[test]
    fn a_child_is_found_under_its_parent_and_can_be_signalled() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(children(std::process::id()).contains(&child.id()));
        signal("TERM", &[child.id()]);
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_command_sees_nothing_of_this_process_environment() {
        let output = command("env", Path::new("/")).output().unwrap();
        let seen = String::from_utf8(output.stdout).unwrap();
        let names: Vec<&str> = seen.lines().filter_map(|line| line.split('=').next()).collect();
        assert!(names.iter().all(|name| ["PATH", "LANG", "HOME"].contains(name)), "{names:?}");
    }
}
