//! The visitors of the demo: what they write, in which language, from where. Data only; what becomes
//! of each is decided by the extension and the stand-in Akismet.

/// One comment, as its visitor sends it.
pub struct Visitor {
    /// Name.
    pub author: &'static str,
    /// Address.
    pub email: &'static str,
    /// Where from: addresses that are set aside for documentation.
    pub ip: &'static str,
    /// The comment.
    pub body: &'static str,
    /// Whether the stand-in Akismet takes it for spam, when it is asked.
    pub known_to_akismet: bool,
}

const fn visitor(
    author: &'static str,
    email: &'static str,
    ip: &'static str,
    body: &'static str,
) -> Visitor {
    Visitor { author, email, ip, body, known_to_akismet: false }
}

const fn known(visitor: Visitor) -> Visitor {
    Visitor { known_to_akismet: true, ..visitor }
}

/// Words that the demo's site does not want.
pub const BANNED_WORDS: &[&str] =
    &["viagra", "replica watches", "казино", "投資詐欺", "payday loan"];
/// A network that the demo's site has had enough of.
pub const BLOCKED_NETWORK: &str = "203.0.113.0/24";
/// The network of the demo's staff.
pub const ALLOWED_NETWORK: &str = "192.0.2.0/28";
/// Addresses that the demo's site does not take.
pub const BLOCKED_EMAILS: &str = r"@(mailinator|trashmail)\.";

/// All of them, in the order they come.
pub const VISITORS: &[Visitor] = &[
    visitor(
        "Ellen Marsh",
        "ellen@example.org",
        "198.51.100.12",
        "Made this on Sunday. The crust came out better than with my old oven, thank you!",
    ),
    visitor(
        "Jonas",
        "jonas@example.org",
        "198.51.100.31",
        "Bei 230 °C wird mir der Boden zu dunkel. Liegt das am Blech?",
    ),
    known(visitor(
        "Grace Whitfield",
        "grace.w@example.net",
        "198.51.100.77",
        "What a helpful post! I shared it with my whole network, they pay well for such content.",
    )),
    visitor(
        "Élodie",
        "elodie@example.org",
        "2001:db8::17",
        "Très belle recette, mes enfants en redemandent déjà.",
    ),
    visitor(
        "Pills4U",
        "sales@pharm.example",
        "198.51.100.201",
        "Buy Viagra without a prescription, delivered overnight",
    ),
    visitor(
        "山田 花子",
        "hanako@example.jp",
        "2001:db8::2a",
        "写真がとてもきれいですね。来週、家族と一緒に作ってみます。",
    ),
    visitor("Bot 7", "a@b.example", "203.0.113.9", "Great site, visit mine"),
    visitor(
        "Tomás",
        "tomas@example.org",
        "198.51.100.40",
        "¿Se puede usar harina integral, o queda demasiado denso?",
    ),
    visitor(
        "LinkFarm",
        "links@farm.example",
        "198.51.100.90",
        "http://a.example/1 http://b.example/2 http://c.example/3 http://d.example/4 \
         http://e.example/5 http://f.example/6 http://g.example/7 http://h.example/8 cheap cheap",
    ),
    visitor(
        "Ирина",
        "irina@example.org",
        "198.51.100.45",
        "Спасибо! У меня получилось со второго раза, тесто надо держать в тепле.",
    ),
    visitor("Max", "max@mailinator.com", "198.51.100.88", "I agree with everything above."),
    known(visitor(
        "akismet-guaranteed-spam",
        "someone@example.net",
        "198.51.100.91",
        "Nice article, I have bookmarked it and told all my friends.",
    )),
    visitor("Priya", "priya@example.in", "198.51.100.51", "मैंने इसे घर पर बनाया, बहुत स्वादिष्ट था।"),
    visitor(
        "Sneaky",
        "sneaky@example.net",
        "198.51.100.92",
        "You know what helps? via\u{200b}gra, of course. Ask me how.",
    ),
    visitor(
        "Anders",
        "anders@example.se",
        "198.51.100.60",
        "Surdegen måste matas två gånger, annars jäser den inte. Se https://surdeg.example/mata",
    ),
    visitor(
        "Wide Load",
        "wide@example.net",
        "198.51.100.93",
        "ｖｉａｇｒａ ａｔ ｈａｌｆ ｐｒｉｃｅ",
    ),
    visitor(
        "Staff (Ruth)",
        "ruth@example.com",
        "192.0.2.5",
        "A note from the editors: we remove every comment that sells viagra. So will this rule.",
    ),
    visitor(
        "Kwame",
        "kwame@example.gh",
        "198.51.100.61",
        "My grandmother used plantain leaves under the loaf. It keeps the bottom soft.",
    ),
    known(visitor(
        "CryptoAnna",
        "anna@example.biz",
        "198.51.100.94",
        "I was poor, then I met a trader who doubles everything within a week. Write me.",
    )),
    visitor("Bot 8", "a@c.example", "203.0.113.77", "Great site, visit mine"),
    visitor("حسن", "hassan@example.org", "198.51.100.62", "وصفة رائعة، شكرا جزيلا على الشرح."),
    visitor(
        "Casino Royal",
        "win@casino.example",
        "198.51.100.95",
        "Лучшее казино, бонус каждому новому игроку!",
    ),
    visitor("Mei", "mei@example.tw", "198.51.100.63", "請問可以用電鍋做嗎?我家沒有烤箱。"),
    visitor("老王", "wang@example.cn", "198.51.100.96", "小心,這不是投資詐欺,保證每月獲利三成!"),
    visitor(
        "Grumpy",
        "grumpy@example.org",
        "198.51.100.64",
        "Sorry, but 40 g of salt? That is a typo, or I am dead. Please check it.",
    ),
    visitor(
        "WatchMan",
        "time@example.net",
        "198.51.100.97",
        "Swiss replica\nwatches, same quality, a tenth of the price",
    ),
    visitor(
        "Zoë & Söhne",
        "zoe@example.org",
        "2001:db8::99",
        "100% free + cheap = yes? We bake it each Friday in the shop now 😀",
    ),
    visitor("Trashy", "anon42@trashmail.example", "198.51.100.98", "first!"),
    known(visitor(
        "SEO Expert Team",
        "rank@example.biz",
        "198.51.100.99",
        "We noticed that your website is not on page one. Reply for a free audit.",
    )),
    visitor(
        "Luca",
        "luca@example.it",
        "198.51.100.65",
        "Mia nonna direbbe: meno lievito e più pazienza.",
    ),
    visitor(
        "Directory",
        "dir@farm.example",
        "198.51.100.101",
        "[url=http://one.example]one[/url] [url=http://two.example]two[/url] www.three.example \
         <a href=\"http://four.example\">four</a> www.five.example www.six.example \
         http://seven.example http://eight.example http://nine.example",
    ),
    visitor(
        "Agnieszka",
        "aga@example.pl",
        "198.51.100.66",
        "Zrobiłam z połowy porcji i wyszło idealnie. Dziękuję!",
    ),
    visitor("Bot 9", "a@d.example", "203.0.113.200", "Great site, visit mine"),
    known(visitor(
        "Dr. Smith",
        "drsmith@example.biz",
        "198.51.100.102",
        "Thanks to the herbal doctor my marriage is saved, contact him today.",
    )),
    visitor(
        "Old Reader",
        "reader@example.org",
        "198.51.100.67",
        "I have read this blog since 2009 and never commented. Today I must: perfect.",
    ),
    visitor(
        "Noor",
        "noor@example.nl",
        "198.51.100.68",
        "Bij ons lukt het met spelt ook goed, wel iets minder water nemen.",
    ),
];
