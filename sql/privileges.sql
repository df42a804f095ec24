-- Least rights: nothing for PUBLIC but what a trigger of a protected table needs in the hands of a role
-- that may only INSERT there: the WHEN clause is evaluated with that role's rights. Everything else is
-- given by grant_access().
REVOKE ALL ON ALL ROUTINES IN SCHEMA spamcheck FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA spamcheck FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA spamcheck FROM PUBLIC;
GRANT EXECUTE ON FUNCTION spamcheck._judged(integer, oid, tid) TO PUBLIC;
COMMENT ON SCHEMA spamcheck IS 'pg_spamcheck: protection from comment spam';
