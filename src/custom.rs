//! The user's function behind the check `custom`: finds it, says with whose rights it runs, and calls it.
//! Owns those rights; what its answer means is the engine's to say.
//!
//! A SECURITY DEFINER function is called by the table's owner and runs as its own, as in any statement.
//! Any other runs as its own owner if the table's owner has that role's rights too, and as the table's
//! owner if it is the other way round. So whoever may only change settings gains no rights by naming a
//! function of his own, and nothing runs with more rights than the table's owner could use.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;

use pgrx::pg_sys;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use spamcheck_engine::Refusal;
use spamcheck_engine::checks::custom::function_name;

use crate::protection::Protection;
use crate::spi::{self, Arg};
use crate::{rights, row, subtransaction};

/// A function as the catalogs describe it, beside a table's owner.
#[derive(Deserialize)]
struct Function {
    oid: u32,
    /// Its owner.
    maker: u32,
    /// Whether it is SECURITY DEFINER.
    definer: bool,
    /// Whether the table's owner may call it.
    callable: bool,
    /// Whether the table's owner has the rights of the function's.
    owner_has: bool,
    /// Whether the function's owner has the rights of the table's.
    maker_has: bool,
}

const FIND: &str = "SELECT convert_to(jsonb_build_object(
                'oid', p.oid::bigint, 'maker', p.proowner::bigint, 'definer', p.prosecdef,
                'callable', has_schema_privilege($3, n.oid, 'USAGE') AND has_function_privilege($3, p.oid, 'EXECUTE'),
                'owner_has', pg_has_role($3, p.proowner, 'USAGE'), 'maker_has', pg_has_role(p.proowner, $3, 'USAGE'))::text, 'UTF8')
       FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname = convert_from($1, 'UTF8') AND p.proname = convert_from($2, 'UTF8')
        AND p.pronargs = 1 AND p.proargtypes[0] = 'jsonb'::regtype AND p.prorettype = 'jsonb'::regtype
        AND p.prokind = 'f' AND NOT p.proretset";

thread_local! {
    /// The functions that are being called: one that writes into a protected table may come to itself.
    static CALLED: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
}

/// A function that is being called.
struct Calling;

impl Drop for Calling {
    fn drop(&mut self) {
        CALLED.with_borrow_mut(|called| called.pop());
    }
}

fn find(schema: &str, name: &str, owner: pg_sys::Oid) -> Option<Function> {
    let args = [Arg::Text(schema), Arg::Text(name), Arg::Oid(owner)];
    rights::as_extension(|| spi::json_now(FIND, &args))
}

/// Refuses a setting whose function is not there: then the check would fail on every submission.
pub fn must_exist(options: &Json) -> Result<(), Refusal> {
    let Some(text) = options["function"].as_str() else { return Ok(()) };
    function_name(text)?;
    hindrance(text, None).map_or(Ok(()), |why| {
        Err(Refusal::new(format!("option \"function\" of check custom: {why}")).with_hint(
            "CREATE FUNCTION it first, as (submission jsonb) RETURNS jsonb; \\df shows what there is.",
        ))
    })
}

/// What keeps a function from being called for submissions to a table, by its OID and name. For no certain
/// table: whether it is there at all.
pub fn hindrance(function: &str, table: Option<(pg_sys::Oid, &str)>) -> Option<String> {
    let Some((root, relation)) = table else {
        let anyone = pg_sys::Oid::from(pg_sys::BOOTSTRAP_SUPERUSERID);
        return found(function, anyone).err();
    };
    let owner = rights::owner_of(root);
    found(function, owner).and_then(|it| role_for(relation, function, owner, &it.1)).err()
}

/// A function by the name that an option gives it: as it is called in SQL, and what the catalogs say.
fn found(function: &str, owner: pg_sys::Oid) -> Result<(String, Function), String> {
    let (schema, name) = function_name(function).map_err(|refusal| refusal.message)?;
    let there = find(&schema, &name, owner)
        .ok_or_else(|| format!("there is no function {function}(jsonb) that returns jsonb"))?;
    Ok((format!("{}.{}", spi::quoted(&schema), spi::quoted(&name)), there))
}

/// Calls a function with a submission. A failure is the check's; a cancel is not caught. What the
/// function writes goes with the row, or is rolled back at once if it is only asked what would be.
pub fn call(
    protection: &Protection,
    function: &str,
    submission: &Json,
    dry: bool,
) -> Result<Json, String> {
    let owner = rights::owner_of(protection.root);
    let (name, found) = found(function, owner)?;
    let oid = pg_sys::Oid::from(found.oid);
    if CALLED.with_borrow(|called| called.contains(&oid)) {
        return Err(format!(
            "function {function} was not asked again: it wrote this row while it was being asked"
        ));
    }
    let role = role_for(&protection.relation, function, owner, &found)?;
    let query = format!("SELECT convert_to({name}(convert_from($1, 'UTF8')::jsonb)::text, 'UTF8')");
    let text = submission.to_string();
    let text = row::fitting(&text);
    let work = AssertUnwindSafe(|| {
        CALLED.with_borrow_mut(|called| called.push(oid));
        let calling = Calling;
        let answer = rights::as_lesser_than_owner_of(protection.root, role, || {
            spi::text_once(&query, &[Arg::Text(&text)])
        });
        drop(calling);
        answer
    });
    let answer = if dry { subtransaction::rehearse(work) } else { subtransaction::attempt(work) };
    match answer {
        Ok(None) => Ok(Json::Null),
        Ok(Some(text)) => answer_of(&text)
            .map_err(|error| format!("function {function} gave what cannot be read: {error}")),
        Err(failure) => Err(format!("function {function} failed: {}", failure.message)),
    }
}

/// An answer; a detail that is nested too deep to be read is left out, and the hit counts.
fn answer_of(text: &str) -> Result<Json, serde_json::Error> {
    #[derive(serde::Deserialize, serde::Serialize)]
    struct WithoutDetail {
        #[serde(default)]
        hit: Json,
        #[serde(default)]
        why: Json,
        #[serde(default)]
        score: Json,
    }
    serde_json::from_str(text).or_else(|error| {
        let plain: WithoutDetail = serde_json::from_str(text).map_err(|_| error)?;
        Ok(json!({ "hit": plain.hit, "why": plain.why, "score": plain.score,
                   "detail": "nested deeper than 127 levels" }))
    })
}

/// Whose rights a function has here.
fn role_for(
    relation: &str,
    function: &str,
    owner: pg_sys::Oid,
    found: &Function,
) -> Result<pg_sys::Oid, String> {
    if !found.callable {
        return Err(format!("the owner of {relation} may not call function {function}"));
    }
    if found.definer {
        Ok(owner)
    } else if found.owner_has {
        Ok(pg_sys::Oid::from(found.maker))
    } else if found.maker_has {
        Ok(owner)
    } else {
        Err(format!(
            "the owner of function {function} has nothing to do with that of {relation}: let it belong to \
             the table's owner, or to a role that is granted to him"
        ))
    }
}
