//! Which URLs the settings take: services over https, or on this machine; a proxy; a mail server. Owns the
//! check hooks that say so when a setting is set. It asks nobody: whether anything answers there is
//! the worker's to find out.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;
use spamcheck_engine::mail::MailServer;

/// Whether `url` may be called: https anywhere, plain http on loopback only, since the key and
/// personal data would travel in clear otherwise.
pub fn service_url(url: &str) -> Result<ureq::http::Uri, String> {
    let uri: ureq::http::Uri =
        url.parse().map_err(|_| format!("\"{url}\" is not a URL such as https://host/"))?;
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err(format!("\"{url}\" is not a URL such as https://host/"));
    };
    if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Err("A URL with a user name in it is not taken.".into());
    }
    let behind_host = uri.authority().map_or("", |a| a.as_str().rsplit(']').next().unwrap_or(""));
    if let Some((_, port)) = behind_host.split_once(':')
        && port.parse::<u16>().map_or(true, |port| port == 0)
    {
        return Err("A port is a number from 1 to 65535.".into());
    }
    match scheme {
        "https" => Ok(uri),
        "http" if is_loopback(host) => Ok(uri),
        "http" => Err("Plain http is taken for loopback hosts only; use https.".into()),
        other => Err(format!("The scheme \"{other}\" is not taken; use https.")),
    }
}

/// Whether `url` is one that paths of a service can be added to.
fn base_url(url: &str) -> Result<(), String> {
    let uri = service_url(url)?;
    if uri.query().is_some() || url.contains('#') {
        return Err(
            "A URL with ? or # in it is not taken: the service's own paths are added to it.".into(),
        );
    }
    Ok(())
}

/// Whether what a URL leads to is on this machine.
pub fn is_loopback_url(url: &str) -> bool {
    url.parse::<ureq::http::Uri>().is_ok_and(|uri| uri.host().is_some_and(is_loopback))
}

/// Whether `url` is a proxy's. Its value is not repeated: there may be a password in it.
fn proxy_url(url: &str) -> Result<(), String> {
    let shape = "It takes http://host:port or https://host:port, with user:password@ before the host if the proxy asks for them.";
    let uri: ureq::http::Uri = url.parse().map_err(|_| shape.to_owned())?;
    let bare = matches!(uri.path_and_query().map(|path| path.as_str()), None | Some("" | "/"));
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) if bare && !host.is_empty() => {
            ureq::Proxy::new(url).map(drop).map_err(|_| shape.to_owned())
        }
        _ => Err(shape.to_owned()),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}

/// The check hook of the services' URLs.
///
/// # Safety
/// To be called by the server.
#[pgrx::pg_guard]
pub unsafe extern "C-unwind" fn check_service_url(
    newval: *mut *mut std::ffi::c_char,
    _extra: *mut *mut std::ffi::c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: the server's promise.
    unsafe { check_url(newval, base_url) }
}

/// The check hook of `smtp_url`.
///
/// # Safety
/// To be called by the server.
#[pgrx::pg_guard]
pub unsafe extern "C-unwind" fn check_smtp_url(
    newval: *mut *mut std::ffi::c_char,
    _extra: *mut *mut std::ffi::c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    let check = |url: &str| match url {
        "" => Ok(()),
        url => MailServer::parse(url).map(drop),
    };
    // SAFETY: the server's promise.
    unsafe { check_url(newval, check) }
}

/// The check hook of `http_proxy`.
///
/// # Safety
/// To be called by the server.
#[pgrx::pg_guard]
pub unsafe extern "C-unwind" fn check_proxy(
    newval: *mut *mut std::ffi::c_char,
    _extra: *mut *mut std::ffi::c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    let check = |url: &str| if url.is_empty() { Ok(()) } else { proxy_url(url) };
    // SAFETY: the server's promise.
    unsafe { check_url(newval, check) }
}

/// Whether a new value passes a check, whose complaint becomes the DETAIL.
///
/// # Safety
/// `newval` must be what the server passes to a check hook.
unsafe fn check_url(
    newval: *mut *mut std::ffi::c_char,
    check: impl FnOnce(&str) -> Result<(), String>,
) -> bool {
    // SAFETY: the server passes a pointer to a C string or to null.
    let url = unsafe {
        if newval.is_null() || (*newval).is_null() {
            return true;
        }
        CStr::from_ptr(*newval)
    };
    match url.to_str().map_err(|_| "It is not valid UTF-8.".to_string()).and_then(check) {
        Ok(()) => true,
        Err(why) => {
            let detail = CString::new(why).unwrap_or_default();
            // SAFETY: the check hook protocol: detail texts are palloc'd and left in this variable.
            unsafe { pg_sys::GUC_check_errdetail_string = pg_sys::pstrdup(detail.as_ptr()) };
            false
        }
    }
}
