//! Every setting `pg_spamcheck.*` (interface section 11): its name, default, limits and description, and
//! nothing else. Values are read here and copied out; no other file talks to the GUC machinery.

mod urls;

use std::ffi::{CStr, CString};

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;

use urls::{check_proxy, check_service_url, check_smtp_url};
pub use urls::{is_loopback_url, service_url};

static ENABLED: GucSetting<bool> = GucSetting::<bool>::new(true);
static ALLOW_PRIVATE_HOSTS: GucSetting<bool> = GucSetting::<bool>::new(false);
static CONNECT_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(3_000);
static REQUEST_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static MAX_IN_FLIGHT: GucSetting<i32> = GucSetting::<i32>::new(64);
static MAX_WORKERS: GucSetting<i32> = GucSetting::<i32>::new(4);
static RATE_LIMIT_ENTRIES: GucSetting<i32> = GucSetting::<i32>::new(32_768);
static MAILBOX_SLOTS: GucSetting<i32> = GucSetting::<i32>::new(64);
static MAX_CHECKED_CHARS: GucSetting<i32> = GucSetting::<i32>::new(65_536);
static SECRETS_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static AKISMET_URL: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"https://rest.akismet.com"));
static RECAPTCHA_URL: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"https://www.google.com/recaptcha/api/siteverify"));
static HCAPTCHA_URL: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"https://api.hcaptcha.com/siteverify"));
static TURNSTILE_URL: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(
    c"https://challenges.cloudflare.com/turnstile/v0/siteverify",
));
static SMTP_URL: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static HTTP_PROXY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static CA_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static LOG_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static IP: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static USER_AGENT: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static REFERRER: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static SOURCE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static CAPTCHA: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// The settings that any role may set for what no column holds (the counterpart of ActionKit's
/// `X-AK-User-IP`), by the field they stand for.
pub const FIELD_SETTINGS: [(spamcheck_engine::Field, &str); 5] = [
    (spamcheck_engine::Field::Ip, "pg_spamcheck.ip"),
    (spamcheck_engine::Field::UserAgent, "pg_spamcheck.user_agent"),
    (spamcheck_engine::Field::Referrer, "pg_spamcheck.referrer"),
    (spamcheck_engine::Field::Source, "pg_spamcheck.source"),
    (spamcheck_engine::Field::Captcha, "pg_spamcheck.captcha"),
];

/// Whether a setting says a field where no column does.
pub fn says(field: spamcheck_engine::Field) -> bool {
    FIELD_SETTINGS.iter().any(|(by_setting, _)| *by_setting == field)
}

/// The line that a DBA adds to postgresql.conf.
pub const PRELOAD_LINE: &str = "shared_preload_libraries = 'pg_spamcheck'";

/// Defines all settings. To be called from `_PG_init` while the server preloads libraries: settings
/// that size shared memory can be made at no other time.
pub fn define() {
    booleans();
    numbers();
    strings();
    // SAFETY: the name is a static C string; the server copies it.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"pg_spamcheck".as_ptr()) };
}

fn booleans() {
    let none = GucFlags::default();
    GucRegistry::define_bool_guc(
        c"pg_spamcheck.enabled",
        c"Judges rows that are inserted into protected tables.",
        c"Off: rows go in unjudged and unlogged. Superusers may switch it off for a restore.",
        &ENABLED,
        GucContext::Suset,
        none,
    );
    GucRegistry::define_bool_guc(
        c"pg_spamcheck.allow_private_hosts",
        c"Lets trackback pages and lists be fetched from private and loopback addresses.",
        c"Off is right unless such pages are served on the same network.",
        &ALLOW_PRIVATE_HOSTS,
        GucContext::Sighup,
        none,
    );
}

fn numbers() {
    struct Number {
        name: &'static CStr,
        short: &'static CStr,
        long: &'static CStr,
        setting: &'static GucSetting<i32>,
        limits: (i32, i32),
        context: GucContext,
        flags: GucFlags,
    }
    let none = GucFlags::default();
    let all = [
        Number {
            name: c"pg_spamcheck.connect_timeout",
            short: c"Time that the worker waits for a connection.",
            long: c"Counts for each address tried.",
            setting: &CONNECT_TIMEOUT,
            limits: (10, 600_000),
            context: GucContext::Sighup,
            flags: GucFlags::UNIT_MS,
        },
        Number {
            name: c"pg_spamcheck.request_timeout",
            short: c"Time that a request of the worker may take as a whole.",
            long: c"From looking up the name to the last byte of the answer.",
            setting: &REQUEST_TIMEOUT,
            limits: (10, 600_000),
            context: GucContext::Sighup,
            flags: GucFlags::UNIT_MS,
        },
        Number {
            name: c"pg_spamcheck.max_in_flight",
            short: c"Requests that a worker has out at the same time.",
            long: c"Each takes a connection and a file descriptor.",
            setting: &MAX_IN_FLIGHT,
            limits: (1, 1_024),
            context: GucContext::Sighup,
            flags: none,
        },
        Number {
            name: c"pg_spamcheck.max_workers",
            short: c"Databases that can have a worker at the same time.",
            long: c"Each takes one of max_worker_processes, and the launcher one more. Leave room there for parallel queries and other extensions.",
            setting: &MAX_WORKERS,
            limits: (1, 64),
            context: GucContext::Postmaster,
            flags: none,
        },
        Number {
            name: c"pg_spamcheck.rate_limit_entries",
            short: c"Senders that rate_limit can count at the same time.",
            long: c"Each takes about 220 bytes of shared memory.",
            setting: &RATE_LIMIT_ENTRIES,
            limits: (1_024, 16_777_216),
            context: GucContext::Postmaster,
            flags: none,
        },
        Number {
            name: c"pg_spamcheck.mailbox_slots",
            short: c"Sessions that can hand something to the worker at the same time.",
            long: c"Log entries of rejected rows pass through it. Each slot takes 8 kB of shared memory.",
            setting: &MAILBOX_SLOTS,
            limits: (1, 4_096),
            context: GucContext::Postmaster,
            flags: none,
        },
        Number {
            name: c"pg_spamcheck.max_checked_chars",
            short: c"Characters of a text that checks look at.",
            long: c"The finding on a longer text says that it was cut.",
            setting: &MAX_CHECKED_CHARS,
            limits: (256, 16_777_216),
            context: GucContext::Sighup,
            flags: none,
        },
    ];
    for n in all {
        GucRegistry::define_int_guc(
            n.name, n.short, n.long, n.setting, n.limits.0, n.limits.1, n.context, n.flags,
        );
    }
}

fn strings() {
    type Setting = &'static GucSetting<Option<CString>>;
    let secret = GucFlags::SUPERUSER_ONLY;
    let files: [(&'static CStr, &'static CStr, Setting, GucFlags); 3] = [
        (
            c"pg_spamcheck.secrets_file",
            c"JSON file with the keys and passwords.",
            &SECRETS_FILE,
            secret,
        ),
        (
            c"pg_spamcheck.ca_file",
            c"PEM file of certificate authorities to trust.",
            &CA_FILE,
            GucFlags::default(),
        ),
        (
            c"pg_spamcheck.log_file",
            c"File that policies with log_to file write to.",
            &LOG_FILE,
            secret,
        ),
    ];
    for (name, short, setting, flags) in files {
        GucRegistry::define_string_guc(
            name,
            short,
            c"Relative paths are relative to the data directory. Empty: none.",
            setting,
            GucContext::Sighup,
            flags,
        );
    }
    // SAFETY: the hook reads the C string it is given and allocates only with palloc.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"pg_spamcheck.http_proxy",
            c"Proxy for the worker's requests.",
            c"http://host:port or https://host:port. What runs on a loopback host is not asked by way of it, nor are pages of trackbacks and mail servers. Empty: none.",
            &HTTP_PROXY,
            GucContext::Sighup,
            secret,
            Some(check_proxy),
            None,
            None,
        );
    }
    // SAFETY: the hook reads the C string it is given and allocates only with palloc.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"pg_spamcheck.smtp_url",
            c"Mail server for mails to moderators.",
            c"smtps://host or smtp+starttls://host, with a port and ?from=address if wanted; plain smtp:// for loopback hosts. User and password are in the secrets file. Empty: none.",
            &SMTP_URL,
            GucContext::Sighup,
            secret,
            Some(check_smtp_url),
            None,
            None,
        );
    }
    let services: [(&'static CStr, &'static CStr, Setting); 4] = [
        (c"pg_spamcheck.akismet_url", c"Where Akismet answers.", &AKISMET_URL),
        (c"pg_spamcheck.recaptcha_url", c"Where reCAPTCHA verifies answers.", &RECAPTCHA_URL),
        (c"pg_spamcheck.hcaptcha_url", c"Where hCaptcha verifies answers.", &HCAPTCHA_URL),
        (c"pg_spamcheck.turnstile_url", c"Where Turnstile verifies answers.", &TURNSTILE_URL),
    ];
    for (name, short, setting) in services {
        // SAFETY: the hook reads the C string it is given and allocates only with palloc.
        unsafe {
            GucRegistry::define_string_guc_with_hooks(
                name,
                short,
                c"https only, plain http for loopback hosts.",
                setting,
                GucContext::Sighup,
                GucFlags::default(),
                Some(check_service_url),
                None,
                None,
            );
        }
    }
    let fields: [(&'static CStr, &'static CStr, Setting); 5] = [
        (c"pg_spamcheck.ip", c"The visitor's IP address.", &IP),
        (c"pg_spamcheck.user_agent", c"The visitor's browser.", &USER_AGENT),
        (c"pg_spamcheck.referrer", c"The page that the visitor came from.", &REFERRER),
        (c"pg_spamcheck.source", c"How the submission came in: form, api, ….", &SOURCE),
        (c"pg_spamcheck.captcha", c"The visitor's answer to a captcha.", &CAPTCHA),
    ];
    for (name, short, setting) in fields {
        GucRegistry::define_string_guc(
            name,
            short,
            c"Used for protected tables that have no column for it; SET LOCAL it before the INSERT.",
            setting,
            GucContext::Userset,
            GucFlags::default(),
        );
    }
}

/// Whether rows are judged at all.
pub fn enabled() -> bool {
    ENABLED.get()
}

/// Characters of a text that checks look at.
pub fn max_checked_chars() -> usize {
    MAX_CHECKED_CHARS.get().max(0) as usize
}

/// The file that policies with log_to file write to; None: none is set.
pub fn log_file() -> Option<std::path::PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let path = LOG_FILE.get().map(CString::into_bytes).filter(|path| !path.is_empty())?;
    Some(std::ffi::OsString::from_vec(path).into())
}

/// Databases that can have a worker.
pub fn max_workers() -> usize {
    MAX_WORKERS.get().max(1) as usize
}

/// Senders that can be counted; fixed at server start.
pub fn rate_limit_entries() -> usize {
    RATE_LIMIT_ENTRIES.get().max(1) as usize
}

/// Slots of the mailbox; fixed at server start.
pub fn mailbox_slots() -> usize {
    MAILBOX_SLOTS.get().max(1) as usize
}

/// The value of any setting, as `current_setting(name, true)` gives it; empty and unknown are None.
pub fn by_name(name: &CStr) -> Option<String> {
    // SAFETY: the name is a C string; with missing_ok an unknown name gives null. Whether the setting
    // may be read was protect()'s question: here it must not fail somebody's INSERT.
    let value = unsafe { pg_sys::GetConfigOption(name.as_ptr(), true, false) };
    if value.is_null() {
        return None;
    }
    // SAFETY: the server returns a C string that is valid until the next change of the setting.
    let text = crate::row::from_server(unsafe { CStr::from_ptr(value) }.to_bytes());
    (!text.is_empty()).then(|| text.into_owned())
}

/// What the worker needs to know, copied once per reload: threads must not read settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Base URL of Akismet.
    pub akismet_url: String,
    /// Where reCAPTCHA verifies answers.
    pub recaptcha_url: String,
    /// Where hCaptcha verifies answers.
    pub hcaptcha_url: String,
    /// Where Turnstile verifies answers.
    pub turnstile_url: String,
    /// Time for a connection, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Time for a request as a whole, in milliseconds.
    pub request_timeout_ms: u64,
    /// Requests out at the same time.
    pub max_in_flight: usize,
    /// Proxy, if any.
    pub http_proxy: Option<String>,
    /// Certificate authorities to trust instead of the platform's.
    pub ca_file: Option<String>,
    /// Whether pages and lists may be fetched from private addresses.
    pub allow_private_hosts: bool,
    /// Where the keys are.
    pub secrets_file: Option<String>,
    /// The mail server, if any.
    pub smtp_url: Option<String>,
}

/// The worker's settings as they are now.
pub fn network() -> Network {
    let text = |s: &GucSetting<Option<CString>>| {
        s.get().map(|c| c.to_string_lossy().into_owned()).filter(|t| !t.is_empty())
    };
    Network {
        akismet_url: text(&AKISMET_URL).unwrap_or_default(),
        recaptcha_url: text(&RECAPTCHA_URL).unwrap_or_default(),
        hcaptcha_url: text(&HCAPTCHA_URL).unwrap_or_default(),
        turnstile_url: text(&TURNSTILE_URL).unwrap_or_default(),
        connect_timeout_ms: CONNECT_TIMEOUT.get().max(1) as u64,
        request_timeout_ms: REQUEST_TIMEOUT.get().max(1) as u64,
        max_in_flight: MAX_IN_FLIGHT.get().max(1) as usize,
        http_proxy: text(&HTTP_PROXY),
        ca_file: text(&CA_FILE),
        allow_private_hosts: ALLOW_PRIVATE_HOSTS.get(),
        secrets_file: text(&SECRETS_FILE),
        smtp_url: text(&SMTP_URL),
    }
}
