use super::*;
use proptest::prelude::*;

fn urls(text: &str) -> Vec<&str> {
    find(text).into_iter().map(|link| &text[link.url]).collect()
}

fn hosts(text: &str) -> Vec<&str> {
    find(text).into_iter().map(|link| &text[link.host]).collect()
}

#[test]
fn addresses_in_running_text() {
    assert_eq!(
        urls("see http://a.example/x, HTTPS://B.example."),
        ["http://a.example/x", "HTTPS://B.example"]
    );
    assert_eq!(urls("(www.a.example) and WWW.b.example/c"), ["www.a.example", "WWW.b.example/c"]);
    assert_eq!(urls("http://www.a.example is one"), ["http://www.a.example"]);
    assert_eq!(
        urls("http://en.example/a_(b) (http://c.example)"),
        ["http://en.example/a_(b)", "http://c.example"]
    );
    assert_eq!(urls("смотри http://пример.рф/путь。дальше"), ["http://пример.рф/путь"]);
    assert_eq!(
        urls("http://bad。example/x。y www.a.example。你好"),
        ["http://bad。example/x", "www.a.example"]
    );
    assert_eq!(
        urls("http://a.example。http://b.example"),
        ["http://a.example", "http://b.example"]
    );
}

#[test]
fn what_is_no_link() {
    for text in [
        "http: //x",
        "http:// x",
        "awww. sure",
        "www.",
        "me@www.a.example",
        "ratio 3:4",
        "a=b",
        "<a href=\"#top\">up</a>",
        "<a href=''>x</a>",
        "xhref=1",
        "[urls]",
        "[url][/url]",
        "[url]some words[/url]",
        "ftp.example.com",
        "http",
    ] {
        assert_eq!(urls(text), [""; 0], "{text}");
    }
}

#[test]
fn a_tag_and_its_text_are_one_link() {
    for text in [
        "<a href=\"http://a.example/\">http://a.example</a>",
        "<A HREF = 'http://a.example'>www.a.example</A>",
        "<a href=http://a.example>here</a>",
        "[url=http://a.example]http://a.example[/url]",
        "[URL=\"http://a.example\"]here[/URL]",
        "[url]http://a.example[/url]",
        "[url]a.example[/url]",
        "[link=http://a.example]x[/link]",
        "[http://a.example](http://a.example)",
        "<a href='http://a.example/?b=1&amp;c=2'>http://a.example/?b=1&c=2</a>",
        "<a href='http://a.example/?b=1&amp;c=2'>http://a.example/?b=1&amp;c=2</a>",
        "<a href='http://a.example/?b=1&c=2'>http://a.example/?b=1&amp;c=2</a>",
    ] {
        assert_eq!(urls(text).len(), 1, "{text}");
        assert!(hosts(text)[0].ends_with("a.example"), "{text}");
    }
}

#[test]
fn another_address_or_another_place_is_another_link() {
    assert_eq!(urls("<a href='http://bad.example'>http://good.example</a>").len(), 2);
    assert_eq!(urls("<a href='http://a.example'>x</a> http://a.example").len(), 2);
    assert_eq!(urls("[url]http://a.example[/url] [url]http://a.example[/url]").len(), 2);
    assert_eq!(urls(&"http://a.example/x ".repeat(14)).len(), 14);
    assert_eq!(urls("http://a.example,http://b.example;www.c.example").len(), 3);
    assert_eq!(urls("<http://a.example><http://b.example>").len(), 2);
}

#[test]
fn a_quote_or_a_tag_that_is_not_closed_hides_nothing() {
    let many = |before: &str, between: &str| {
        let links: Vec<String> = (0..40).map(|n| format!("http://l{n}.example/x")).collect();
        format!("{before}{}", links.join(between))
    };
    for text in [
        many("href=\" ", "  "),
        many("href='", " "),
        many("href=\"", "\n"),
        many("he said \"href=\" and then ", " "),
        many("[url=", ","),
        many("[url]", "|"),
        many("href=", ","),
        many("[link=\"", ";"),
        many("", "\u{200B}"),
        many("ä ", "\u{AD}").replace("/x", "/"),
    ] {
        assert_eq!(find(&searched(&text)).len(), 40, "{text}");
    }
    assert_eq!(urls("href=x,http://a.example/,http://b.example").len(), 3);
    assert_eq!(urls(&format!("[url=http://a.example] {}", "http://a.example ".repeat(9))).len(), 9);
    assert_eq!(urls("[url]x|http://a.example"), ["http://a.example"]);
}

#[test]
fn every_address_in_a_value_is_found() {
    for text in [
        "href=\" http://a.example http://bad.example http://c.example",
        "href='x http://a.example http://bad.example",
        "he said \"href=\" and then http://bad.example and \"more\"",
        "<a href=\"http://good.example http://bad.example\">",
        "<a href='javascript:location=\"http://bad.example\"'>",
        "<a href=&quot;http://bad.example&quot;>x</a>",
        "<a href=&#39;http://bad.example&#39;>x</a>",
        "&lt;a href=&quot;//bad.example&quot;&gt;x&lt;/a&gt;",
        "<a href=\"//bad.example/a b\">x</a>",
        "[url=http://a.example/,http://bad.example,http://c.example",
        "[url=http://a.example/,http://bad.example]x[/url]",
        "href=x,http://a.example/,http://bad.example",
        "http://a.examplehttp://bad.example",
        "[url]\"http://bad.example\"[/url]",
    ] {
        assert!(hosts(text).contains(&"bad.example"), "{text}: {:?}", urls(text));
    }
    assert_eq!(hosts("[url=http://[2001:db8::1]/x]y[/url]"), ["[2001:db8::1]"]);
    assert_eq!(urls("<a href=' http://a.example '>x</a>"), ["http://a.example"]);
}

#[test]
fn an_address_inside_an_address_is_part_of_it() {
    assert_eq!(urls("http://a.example/?to=http://b.example&x=www.c.example").len(), 1);
    assert_eq!(urls("https://archive.example/2020/http://b.example/").len(), 1);
}

#[test]
fn the_host_is_where_the_link_leads() {
    for (text, host) in [
        ("http://good.example@bad.example/", "bad.example"),
        ("http://user:secret@bad.example:8080/x?y", "bad.example"),
        ("https://[2001:db8::1]:80/", "[2001:db8::1]"),
        ("<a href='//bad.example/x'>", "bad.example"),
        ("<a href='/about'>", ""),
        ("www.a.example?q=1", "www.a.example"),
        ("http://good.example:80@bad.example/", "bad.example"),
        ("http://good.example%2F@bad.example/", "bad.example"),
        ("http://good.example@also.good@bad.example?x@y", "bad.example"),
        ("http://bad.example\\@good.example/", "bad.example"),
        ("http://bad.example#@good.example/", "bad.example"),
        ("http://bad.example?@good.example/", "bad.example"),
        ("<a href='http:\\\\bad.example\\x'>", "bad.example"),
        ("<a href='http:/bad.example'>", "bad.example"),
        ("<a href='HTTPS:bad.example'>", "bad.example"),
        ("<a href='http:////bad.example'>", "bad.example"),
        ("<a href='\\\\bad.example/x'>", "bad.example"),
        ("<a href='/\\bad.example/x'>", "bad.example"),
        ("<a href='ftp://bad.example/x'>", "bad.example"),
        ("<a href='mailto:me@a.example'>", ""),
        ("<a href='javascript:alert(1)'>", ""),
        ("<a href='?page=2'>", ""),
        ("[url]bad.example:8080/x[/url]", "bad.example"),
        ("[url=//bad.example/x]here[/url]", "bad.example"),
        ("HTTP://BAD.EXAMPLE:80", "BAD.EXAMPLE"),
        ("http://b%61d.example/", "b%61d.example"),
        ("http://xn--e1afmkfd.xn--p1ai/", "xn--e1afmkfd.xn--p1ai"),
        ("http://пример.рф", "пример.рф"),
        ("http://bad.example,你好", "bad.example"),
        ("see http://bad.example;x", "bad.example"),
        ("(http://bad.example)more", "bad.example"),
        ("http://bad.example&nbsp;more", "bad.example"),
        ("<a href='http://bad。example/'>", "bad。example"),
    ] {
        assert_eq!(hosts(text), [host], "{text}");
    }
}

proptest! {
    #[test]
    fn case_does_not_change_the_count(text in "(http|https|www|href|url|link|://|[=\\[\\]./<>\"' a@#-]){0,30}") {
        prop_assert_eq!(find(&text).len(), find(&text.to_uppercase()).len());
    }

    #[test]
    fn any_text_gives_ranges_inside_it(text in "(http://|www\\.|href=|\\[url|\\[/url\\]|\\PC){0,30}") {
        let mut last = 0;
        for link in find(&text) {
            prop_assert!(last <= link.url.start);
            prop_assert!(!text[link.url.clone()].is_empty());
            prop_assert!(text.get(link.host.clone()).is_some());
            last = link.url.end;
        }
    }
}
