//! Owns the filters that Serendipity's Spam Protector comes with, as facts: what they look for is
//! its, how they are written is ours. It must not know checks.

/// A host and its subdomains in an address, not a part of another host and nothing behind the host:
/// `gb.com` is neither `rgb.com` nor `x.example/?q=gb.com`, which the plugin's own patterns hit.
macro_rules! host {
    ($pattern:literal) => {
        concat!(r"^((\w+:)?//)?([^/?#]*[.@])?", $pattern, r"\.?([:/?#]|$)")
    };
}

/// Searched in the author's name. Two of them are parts of innocent words (accredited) and must
/// begin one; the others need not: "Pokerface" is meant.
pub(super) const AUTHOR_FILTER: &[&str] =
    &["casino", "phentermine", r"\bcredit", r"\bloans", "poker"];

/// Searched in the homepage.
pub(super) const URL_FILTER: &[&str] = &[
    host!(r"8gold\.com"),
    host!(r"911easymoney\.com"),
    host!(r"canadianlabels\.net"),
    host!(r"condodream\.com"),
    host!(r"crepesuzette\.com"),
    host!(r"debt-help-bill-consolidation-elimination\.com"),
    host!(r"fidelityfunding\.net"),
    host!(r"flafeber\.com"),
    host!(r"gb\.com"),
    host!(r"houseofsevengables\.com"),
    host!(r"instant-quick-money-cash-advance-personal-loans-until-pay-day\.com"),
    host!(r"mediavisor\.com"),
    host!(r"newtruths\.com"),
    host!(r"oiline\.com"),
    host!(r"onlinegamingassociation\.com"),
    host!(r"online\-+poker\.com"),
    host!(r"popwow\.com"),
    host!(r"royalmailhotel\.com"),
    host!(r"spoodles\.com"),
    host!(r"sportsparent\.com"),
    host!(r"stmaryonline\.org"),
    host!(r"thatwhichis\.com"),
    host!(r"tmsathai\.org"),
    host!(r"uaeecommerce\.com"),
    host!(r"learnhowtoplay\.com"),
];

/// Searched in the body.
pub(super) const BODY_FILTER: &[&str] = &["very good site!", "Real good stuff!"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patterns::Patterns;

    fn found(list: &[&str], text: &str) -> bool {
        Patterns::compile(&mut list.iter().copied()).unwrap().find(text).unwrap().is_some()
    }

    #[test]
    fn hosts_are_found_and_what_only_looks_like_them_is_not() {
        for url in [
            "http://gb.com",
            "https://www.GB.com/x",
            "gb.com",
            "//gb.com:80",
            "http://x@gb.com./?y",
            "http://www.online---poker.com/",
        ] {
            assert!(found(URL_FILTER, url), "{url}");
        }
        for url in [
            "http://rgb.com/",
            "http://x.example/?q=gb.com",
            "http://x.example/gb.com",
            "http://x.example/#.gb.com",
            "http://gb.com.example/",
            "http://gbXcom/",
            "http://onlinepoker.com/",
        ] {
            assert!(!found(URL_FILTER, url), "{url}");
        }
    }

    #[test]
    fn names_are_found_in_names_but_not_in_innocent_words() {
        for name in ["Online CASINO King", "Pokerface Annie", "Credit24", "bad-loans"] {
            assert!(found(AUTHOR_FILTER, name), "{name}");
        }
        for name in ["Accredited Agent", "Sloans"] {
            assert!(!found(AUTHOR_FILTER, name), "{name}");
        }
    }

    #[test]
    fn every_filter_of_the_plugin_is_here() {
        assert_eq!((AUTHOR_FILTER.len(), URL_FILTER.len(), BODY_FILTER.len()), (5, 25, 2));
    }
}
