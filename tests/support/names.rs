//! A stand-in for the machine's resolver: names that mean what a test says, another thing for each question
//! if it likes. It is loaded into the server before the C library, so nothing in the server knows of
//! it; all other names mean what they always do. It needs a C compiler, as building Rust does.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::cluster::ClusterOptions;

const SOURCE: &str = include_str!("names.c");

/// Names and what they mean. Dropping it removes its folder.
pub struct Names {
    folder: PathBuf,
}

impl Names {
    /// None yet.
    ///
    /// # Panics
    /// When the stand-in cannot be compiled.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Names {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("spamcheck-names-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir(&folder).expect("a folder can be made");
        // The server's account counts its questions there.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("it is ours");
        let (source, library) = (folder.join("names.c"), folder.join("names.so"));
        fs::write(&source, SOURCE).expect("it can be written");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .expect("there is a C compiler");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        Names { folder }
    }

    /// A server that asks here.
    #[must_use]
    pub fn options(&self) -> ClusterOptions {
        let mut options = ClusterOptions::default();
        let library = self.folder.join("names.so").display().to_string();
        options.environment.push(("LD_PRELOAD".into(), library));
        options.environment.push(("NAMES".into(), self.folder.display().to_string()));
        options
    }

    /// Lets a host have these addresses, divided by blanks: those of the first line when it is first asked
    /// for, and so on.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn mean(&self, host: &str, answers: &str) {
        fs::write(self.folder.join(host), answers).expect("it can be written");
    }

    /// How often a host was asked for.
    #[must_use]
    pub fn asked(&self, host: &str) -> u64 {
        fs::metadata(self.folder.join(format!("{host}.asked"))).map_or(0, |found| found.len())
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// An address where connections are neither taken nor refused, as behind a firewall.
pub struct Silence {
    _listener: Socket,
    _first: Vec<TcpStream>,
}

impl Silence {
    /// One at this address.
    ///
    /// # Panics
    /// When the address is taken, or takes connections all the same.
    #[must_use]
    pub fn at(address: SocketAddr) -> Silence {
        let listener = Socket::new(Domain::for_address(address), Type::STREAM, None)
            .and_then(|socket| {
                socket.bind(&address.into())?;
                // No room for those that nobody accepts: the system then leaves further ones unanswered.
                socket.listen(0)?;
                Ok(socket)
            })
            .expect("the address is free");
        let mut first = Vec::new();
        for _ in 0..16 {
            match TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
                Ok(connection) => first.push(connection),
                Err(_) => return Silence { _listener: listener, _first: first },
            }
        }
        panic!("{address} takes connections");
    }
}
