//! Serendipity's Spam Protector, measured case by case, against this extension: the plugin's
//! configuration is translated field by field, each comment goes as a row into a protected table like
//! Serendipity's, and the verdict must be the one that is recommended for the case: what the plugin
//! did, or where it erred what it should have done. The traps that it fell into have tests of their own.

#[path = "serendipity/blog.rs"]
mod blog;
#[path = "serendipity/case.rs"]
mod case;
#[path = "serendipity/page.rs"]
mod page;
#[path = "serendipity/translation.rs"]
mod translation;
#[path = "serendipity/traps.rs"]
mod traps;

use blog::Blog;
use case::Case;

#[test]
fn every_measured_case_gets_the_recommended_verdict() {
    let Some(cases) = Case::all() else {
        println!("{} is not there: no case is run", case::CASES);
        return;
    };
    let mut blog = Blog::new();
    let mut faults = Vec::new();
    let (mut run, mut follow) = (0, Vec::new());
    for case in &cases {
        if let Some(why) = case.follows() {
            follow.push(format!("{}: {why}", case.id));
            continue;
        }
        run += 1;
        let verdict = case.verdict(&mut blog);
        if verdict != case.recommended {
            let Case { id, what, recommended, .. } = case;
            faults.push(format!("{id} ({what}): {verdict}, and {recommended} is recommended"));
        }
    }
    println!("{run} cases ran; these follow:\n{}", follow.join("\n"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(run > cases.len() / 2, "only {run} of {} cases ran", cases.len());
}
