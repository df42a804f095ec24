//! What makes sure that no server outlives the process that started it: a small shell that waits for
//! the end of a pipe whose other end only this process holds. However this process ends (return,
//! panic, Ctrl-C, kill -9), the kernel closes the pipe; the shell then stops the server and removes
//! its folder. It must not look at process ids of this side: those can be reused, a pipe cannot.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};

use super::programs;

// A start may be under way when the pipe closes, so stopping and removing are repeated until the
// folder stays gone.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
read -r _
tries=0
while [ -d "$1" ] && [ "$tries" -lt 50 ]; do
    "$2/pg_ctl" -D "$1/data" -m immediate -t 20 stop
    cd / && rm -rf "$1"
    tries=$((tries + 1))
    [ -d "$1" ] && sleep 0.2
done
"#;

/// Watches over one server's folder.
pub struct Watchdog(Child);

impl Watchdog {
    /// Starts watching. `folder` holds the server's `data` folder and is removed in the end.
    ///
    /// # Panics
    /// When no shell can be started.
    pub fn over(folder: &Path) -> Watchdog {
        let child = programs::command("sh", folder)
            .args(["-c", SCRIPT, "sh"])
            .args([folder, programs::bindir()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C goes to the whole foreground group; this one must live through it.
            .process_group(0)
            .spawn();
        Watchdog(child.expect("sh can be started"))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // A failure to wait leaves the shell to finish on its own, which it does.
        let _ = self.0.wait();
    }
}
