//! The folder of a cluster: where it may lie, and whose it is. Owns nothing of what is put there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::programs::account;

/// A new folder that the server's account owns, with a path short enough for a Unix socket in it
/// (107 bytes in all) and open enough for that account to reach it.
pub(super) fn fresh_folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let wanted = std::env::temp_dir();
    let short = wanted.as_os_str().len() <= 60;
    let reachable = wanted.ancestors().all(|folder| {
        fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
    });
    let parent = if short && reachable { wanted } else { PathBuf::from("/tmp") };
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("spamcheck-{}-{count}", std::process::id()));
        match fs::create_dir(&folder) {
            Ok(()) => {
                give(&folder);
                return folder;
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => panic!("cannot create {}: {error}", folder.display()),
        }
    }
}

/// Hands a file or folder to the server's account.
pub(super) fn give(path: &Path) {
    let owner = account();
    chown(path, Some(owner.uid), Some(owner.gid))
        .unwrap_or_else(|error| panic!("cannot hand over {}: {error}", path.display()));
}
