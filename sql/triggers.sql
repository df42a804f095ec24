-- The triggers on our own tables, and what a new installation starts with. ENABLE ALWAYS: settings that
-- arrive by logical replication or with session_replication_role = replica are checked and announced too.

CREATE TRIGGER valid BEFORE INSERT OR UPDATE OR DELETE ON spamcheck.policy FOR EACH ROW EXECUTE FUNCTION spamcheck._valid();
ALTER TABLE spamcheck.policy ENABLE ALWAYS TRIGGER valid;
COMMENT ON TRIGGER valid ON spamcheck.policy IS 'Refuses what makes no sense, with a sentence';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON spamcheck.policy FOR EACH STATEMENT EXECUTE FUNCTION spamcheck._changed();
ALTER TABLE spamcheck.policy ENABLE ALWAYS TRIGGER changed;
COMMENT ON TRIGGER changed ON spamcheck.policy IS 'Tells all sessions at commit';
CREATE TRIGGER emptied BEFORE TRUNCATE ON spamcheck.policy FOR EACH STATEMENT EXECUTE FUNCTION spamcheck._emptied();
ALTER TABLE spamcheck.policy ENABLE ALWAYS TRIGGER emptied;
-- Not ALWAYS: what arrives by logical replication brings its own settings.
CREATE TRIGGER completed AFTER INSERT ON spamcheck.policy FOR EACH ROW EXECUTE FUNCTION spamcheck._completed();
COMMENT ON TRIGGER completed ON spamcheck.policy IS 'A policy made by plain INSERT has a row for each check, as preset default sets it';
COMMENT ON TRIGGER emptied ON spamcheck.policy IS 'As for a DELETE of all: a policy in use stays, the settings of others go';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON spamcheck._dropped_policy FOR EACH STATEMENT EXECUTE FUNCTION spamcheck._changed();
ALTER TABLE spamcheck._dropped_policy ENABLE ALWAYS TRIGGER changed;
COMMENT ON TRIGGER changed ON spamcheck._dropped_policy IS 'Has the worker look, whoever wrote: drop_policy() or a restore';
CREATE TRIGGER valid BEFORE INSERT OR UPDATE ON spamcheck.check_setting FOR EACH ROW EXECUTE FUNCTION spamcheck._valid();
ALTER TABLE spamcheck.check_setting ENABLE ALWAYS TRIGGER valid;
COMMENT ON TRIGGER valid ON spamcheck.check_setting IS 'Refuses what makes no sense, with a sentence';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON spamcheck.check_setting FOR EACH STATEMENT EXECUTE FUNCTION spamcheck._changed();
ALTER TABLE spamcheck.check_setting ENABLE ALWAYS TRIGGER changed;
COMMENT ON TRIGGER changed ON spamcheck.check_setting IS 'Tells all sessions at commit';
CREATE TRIGGER valid BEFORE INSERT OR UPDATE OR DELETE ON spamcheck.list FOR EACH ROW EXECUTE FUNCTION spamcheck._valid();
ALTER TABLE spamcheck.list ENABLE ALWAYS TRIGGER valid;
COMMENT ON TRIGGER valid ON spamcheck.list IS 'Refuses what makes no sense, with a sentence';
-- What the worker notes about a refresh changes no list.
CREATE TRIGGER changed AFTER INSERT OR UPDATE OF name, kind OR DELETE OR TRUNCATE ON spamcheck.list FOR EACH STATEMENT EXECUTE FUNCTION spamcheck._changed();
ALTER TABLE spamcheck.list ENABLE ALWAYS TRIGGER changed;
COMMENT ON TRIGGER changed ON spamcheck.list IS 'Tells all sessions at commit';
CREATE TRIGGER emptied BEFORE TRUNCATE ON spamcheck.list FOR EACH STATEMENT EXECUTE FUNCTION spamcheck._emptied();
ALTER TABLE spamcheck.list ENABLE ALWAYS TRIGGER emptied;
COMMENT ON TRIGGER emptied ON spamcheck.list IS 'As for a DELETE of all: the entries go with their lists';
CREATE TRIGGER valid BEFORE INSERT OR UPDATE ON spamcheck.list_entry FOR EACH ROW EXECUTE FUNCTION spamcheck._valid();
ALTER TABLE spamcheck.list_entry ENABLE ALWAYS TRIGGER valid;
COMMENT ON TRIGGER valid ON spamcheck.list_entry IS 'Refuses what makes no sense, with a sentence';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON spamcheck.list_entry FOR EACH STATEMENT EXECUTE FUNCTION spamcheck._changed();
ALTER TABLE spamcheck.list_entry ENABLE ALWAYS TRIGGER changed;
COMMENT ON TRIGGER changed ON spamcheck.list_entry IS 'Tells all sessions at commit';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON spamcheck._protection FOR EACH STATEMENT EXECUTE FUNCTION spamcheck._changed();
ALTER TABLE spamcheck._protection ENABLE ALWAYS TRIGGER changed;
COMMENT ON TRIGGER changed ON spamcheck._protection IS 'Tells all sessions at commit';

CREATE TRIGGER queued AFTER INSERT OR UPDATE OF state, next_at ON spamcheck.lookup FOR EACH STATEMENT EXECUTE FUNCTION spamcheck._queued();
ALTER TABLE spamcheck.lookup ENABLE ALWAYS TRIGGER queued;
COMMENT ON TRIGGER queued ON spamcheck.lookup IS 'Wakes the worker at commit, whoever wrote: a trigger, a restore or a DBA';

CREATE TRIGGER queued AFTER INSERT ON spamcheck._mail FOR EACH STATEMENT EXECUTE FUNCTION spamcheck._mail_queued();
ALTER TABLE spamcheck._mail ENABLE ALWAYS TRIGGER queued;
COMMENT ON TRIGGER queued ON spamcheck._mail IS 'Tells the worker at commit, whoever wrote: a trigger or a restore';

CREATE EVENT TRIGGER spamcheck_renamed ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER SCHEMA', 'ALTER TYPE', 'ALTER INDEX', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW',
                 'ALTER FOREIGN TABLE', 'ALTER SEQUENCE', 'CREATE TRIGGER')
    EXECUTE FUNCTION spamcheck._renamed();
COMMENT ON EVENT TRIGGER spamcheck_renamed IS 'Mappings of protected tables follow renamed columns and tables';
CREATE EVENT TRIGGER spamcheck_attached ON ddl_command_start WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE')
    EXECUTE FUNCTION spamcheck._attached();
COMMENT ON EVENT TRIGGER spamcheck_attached IS 'No protected table becomes a partition of a protected one, and owners of those may make partitions';
CREATE EVENT TRIGGER spamcheck_dropped ON sql_drop EXECUTE FUNCTION spamcheck._dropped();
COMMENT ON EVENT TRIGGER spamcheck_dropped IS 'A protection goes with its table';

SELECT spamcheck.create_policy('default', 'default');
SELECT spamcheck._call_worker();
