-- A relation as protect() needs it, one JSON object. Run as the extension, with a pinned search_path.
WITH RECURSIVE domains(attnum, oid, typtype, typbasetype, typnotnull) AS (
    -- Each column's type and, for domains, what they are made from, down to the base.
    SELECT a.attnum, t.oid, t.typtype, t.typbasetype, t.typnotnull FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
     WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT d.attnum, t.oid, t.typtype, t.typbasetype, t.typnotnull FROM domains d JOIN pg_type t ON t.oid = d.typbasetype
     WHERE d.typtype = 'd')
SELECT convert_to(json_build_object(
    'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'persistence', c.relpersistence,
    'owner', pg_get_userbyid(c.relowner),
    'own', n.nspname = 'spamcheck',
    'columns', coalesce((
        SELECT json_agg(json_build_object(
                   'name', a.attname, 'type_oid', a.atttypid::bigint, 'type_modifier', a.atttypmod, 'type_name', format_type(base.oid, NULL), 'typtype', base.typtype,
                   'labels', coalesce((SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e
                                        WHERE e.enumtypid = base.oid), '[]'),
                   'generated', a.attgenerated <> '',
                   'not_null', a.attnotnull OR EXISTS (SELECT FROM domains d WHERE d.attnum = a.attnum AND d.typnotnull),
                   'default', pg_get_expr(d.adbin, d.adrelid)) ORDER BY a.attnum)
          FROM pg_attribute a
          JOIN domains base ON base.attnum = a.attnum AND base.typtype <> 'd'
          LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attrelid = c.oid), '[]'),
    'checks', coalesce((
        SELECT json_agg(k.definition) FROM (
            SELECT pg_get_constraintdef(k.oid) AS definition FROM pg_constraint k
             WHERE k.conrelid = c.oid AND k.contype = 'c'
            UNION ALL
            -- What a domain demands of its values, it demands of the column.
            SELECT regexp_replace(pg_get_constraintdef(k.oid), '\mVALUE\M', quote_ident(a.attname), 'g')
              FROM domains d JOIN pg_constraint k ON k.contypid = d.oid
              JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.attnum) k), '[]'),
    'key', coalesce((
        SELECT json_agg(a.attname ORDER BY x.n)
          FROM (SELECT i.indkey, i.indnkeyatts FROM pg_index i
                 WHERE i.indrelid = c.oid AND i.indisunique AND (i.indimmediate OR i.indisprimary) AND i.indisvalid
                   AND i.indpred IS NULL AND i.indexprs IS NULL
                   AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
                                    AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND NOT a.attnotnull)
                 ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1) i,
               generate_series(0, i.indnkeyatts - 1) AS x(n), pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum = i.indkey[x.n]), '[]'),
    -- Columns of plain and expression keys alike: the server records that they are needed.
    'partition_key', coalesce((
        SELECT json_agg(DISTINCT a.attname)
          FROM (SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid)) tree(relid)
          JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = tree.relid AND d.objsubid > 0
                          AND d.refclassid = 'pg_class'::regclass AND d.refobjid = tree.relid
                          AND d.refobjsubid = 0 AND d.deptype = 'i'
          JOIN pg_attribute a ON a.attrelid = d.objid AND a.attnum = d.objsubid), '[]'),
    'protected_ancestor', (
        SELECT format('%I.%I', an.nspname, ac.relname)
          FROM pg_partition_ancestors(c.oid) anc(relid)
          JOIN spamcheck._protected_relation r ON r.relation = anc.relid
          JOIN pg_class ac ON ac.oid = anc.relid JOIN pg_namespace an ON an.oid = ac.relnamespace
         WHERE anc.relid <> c.oid LIMIT 1),
    'protected_descendant', (
        SELECT format('%I.%I', dn.nspname, dc.relname)
          FROM pg_partition_tree(c.oid) tree
          JOIN spamcheck._protected_relation r ON r.relation = tree.relid
          JOIN pg_class dc ON dc.oid = tree.relid JOIN pg_namespace dn ON dn.oid = dc.relnamespace
         WHERE tree.relid <> c.oid AND c.relkind = 'p' LIMIT 1),
    'triggers', coalesce((SELECT json_agg(t.tgname) FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal), '[]'),
    -- Also of a table whose guard somebody has dropped.
    'protection', coalesce(
        (SELECT r.id FROM spamcheck._protected_relation r WHERE r.relation = c.oid),
        (SELECT p.id FROM spamcheck._protection p JOIN pg_trigger t ON t.tgrelid = c.oid
          WHERE p.hints ->> 'relation' = c.oid::text AND t.tgfoid = 'spamcheck._record()'::regprocedure
            AND encode(t.tgargs, 'escape') = p.id || '\000'
            AND NOT EXISTS (SELECT FROM spamcheck._protected_relation r WHERE r.id = p.id))))::text, 'UTF8')
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = $1
