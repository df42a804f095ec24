//! What a page has to say: links in all their spellings, redirects, large pages, other things than pages.

use support::http::{Reply, Server};

use crate::site::{ARTICLE, Site, linking, open};

/// A blog that rejects trackbacks whose page has no link, and what becomes of one with this page.
fn verdict(reply: Reply) -> (String, String) {
    let pages = Server::start(move |_| reply.clone());
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    let (id, _) = site.trackback(&pages.url());
    site.until_done();
    (site.status(id), site.why_or_nothing())
}

impl Site {
    fn why_or_nothing(&mut self) -> String {
        self.get("SELECT (SELECT why FROM spamcheck.spam_checklog ORDER BY id DESC LIMIT 1)")
    }
}

#[test]
fn the_article_is_the_same_by_http_and_https_with_and_without_www() {
    for href in [
        "http://blog.example/archives/7-rye.html",
        "https://blog.example/archives/7-rye.html/",
        "http://www.blog.example/archives/7-rye.html#c12",
        "//blog.example/archives/7-rye.html",
        "HTTP&#58;//BLOG.example/archives/7%2drye.html",
    ] {
        let (status, why) = verdict(Reply::html(format!("<a rel=nofollow href='{href}'>rye</a>")));
        assert_eq!(status, "approved", "{href}: {why}");
    }
    for page in [
        format!("{ARTICLE} is a fine article"),
        format!("<!-- <a href=\"{ARTICLE}\">rye</a> -->"),
        "<a href=\"https://www.blog.example/\">the whole blog</a>".to_owned(),
        "<a href=\"https://www.blog.example/archives/70-rye.html\">another</a>".to_owned(),
        format!("<a href=\"https://evil.example/?{ARTICLE}\">rye</a>"),
    ] {
        assert_eq!(verdict(Reply::html(page.clone())).0, "spam", "{page}");
    }
}

#[test]
fn a_page_that_is_not_in_html_has_no_links() {
    let link = format!("<a href=\"{ARTICLE}\">rye</a>");
    assert_eq!(verdict(Reply::text(link.clone())).0, "spam");
    let feed = Reply::text(link).with_status(200);
    let (status, why) = verdict(feed);
    assert_eq!((status.as_str(), why.contains("does not link")), ("spam", true), "{why}");
}

#[test]
fn a_large_page_is_read_to_half_a_megabyte_and_then_a_person_looks() {
    let filler = " ".repeat(500 * 1024);
    let link = format!("<a href=\"{ARTICLE}\">rye</a>");
    assert_eq!(verdict(Reply::html(format!("{filler}{link}"))).0, "approved");
    let (status, why) = verdict(Reply::html(format!("{filler}{filler}{link}")));
    assert_eq!(status, "pending", "nobody knows what the rest says");
    assert!(why.contains("as far as it was read"), "{why}");
}

#[test]
fn redirects_are_followed_three_times() {
    let pages = Server::start(|request| {
        let left: u32 = request.path().trim_start_matches('/').parse().unwrap_or(0);
        match left {
            0 => linking(),
            left => Reply::status(302).header("Location", left - 1),
        }
    });
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    let (near, _) = site.trackback(&format!("{}/3", pages.url()));
    site.until_done();
    assert_eq!(site.status(near), "approved");
    let (far, _) = site.trackback(&format!("{}/4", pages.url()));
    site.until_done();
    assert_eq!(site.status(far), "pending");
    assert!(site.why().contains("more than 3 redirects"), "{}", site.why());
}

#[test]
fn a_permalink_comes_from_the_article_too() {
    let pages = Server::start(|_| linking());
    let mut site = Site::new(open(), &[("trackback_link", "action = 'reject'")]);
    site.run(&format!(
        "CREATE TABLE posts (id int PRIMARY KEY, url text);
         INSERT INTO posts VALUES (1, '{ARTICLE}'), (2, 'https://www.blog.example/archives/8.html'), (3, NULL);
         CREATE TABLE replies (id serial PRIMARY KEY, post_id int, type text, url text, ip inet, body text,
                               approved boolean DEFAULT true);
         SELECT spamcheck.protect('replies', columns => '{{\"url\": \"url\"}}',
                status => '{{\"column\": \"approved\", \"ham\": true, \"moderate\": false}}',
                article => '{{\"table\": \"posts\", \"key\": \"id\", \"from\": \"post_id\", \"permalink\": \"url\"}}');
         INSERT INTO replies (post_id, type, url, ip, body)
         SELECT n, 'trackback', '{}/x', '127.0.0.1', 'Rye!' FROM generate_series(1, 3) n",
        pages.url()
    ));
    site.until_done();
    let approved = "SELECT string_agg(approved::text, ' ' ORDER BY post_id) FROM replies";
    assert_eq!(site.get(approved), "true false true");
    // Without a permalink the check fails, and on_error accepts.
    assert_eq!(
        site.get("SELECT why FROM spamcheck.spam_checklog WHERE action = 'error'"),
        "the article's permalink is not known"
    );
}
