-- A relation as protect() needs it, one JSON object. Run as the extension, with a pinned search_path.
SELECT convert_to(json_build_object(
    'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'persistence', c.relpersistence,
    'owner', pg_get_userbyid(c.relowner),
    'own', n.nspname = 'spamcheck',
    'columns', coalesce((
        SELECT json_agg(json_build_object(
                   'name', a.attname,
                   -- Domains are read as what they are made from.
                   'type_name', format_type(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END, NULL),
                   'typtype', CASE WHEN t.typtype = 'd' THEN b.typtype ELSE t.typtype END,
                   'labels', coalesce((SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e
                                        WHERE e.enumtypid = coalesce(b.oid, t.oid)), '[]'),
                   'generated', a.attgenerated <> '',
                   'not_null', a.attnotnull,
                   'default', pg_get_expr(d.adbin, d.adrelid)) ORDER BY a.attnum)
          FROM pg_attribute a
          JOIN pg_type t ON t.oid = a.atttypid
          LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
          LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'),
    'checks', coalesce((SELECT json_agg(pg_get_constraintdef(k.oid) ORDER BY k.conname) FROM pg_constraint k
                         WHERE k.conrelid = c.oid AND k.contype = 'c'), '[]'),
    'key', coalesce((
        SELECT json_agg(a.attname ORDER BY x.n)
          FROM (SELECT i.indkey, i.indnkeyatts FROM pg_index i
                 WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
                   AND i.indpred IS NULL AND i.indexprs IS NULL
                   AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
                                    AND a.attnum = ANY (i.indkey::int2[]) AND NOT a.attnotnull)
                 ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1) i,
               generate_series(0, i.indnkeyatts - 1) AS x(n), pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum = i.indkey[x.n]), '[]'),
    'partition_key', coalesce((
        SELECT json_agg(DISTINCT a.attname)
          FROM (SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid)) tree(relid)
          JOIN pg_partitioned_table p ON p.partrelid = tree.relid
          JOIN pg_attribute a ON a.attrelid = p.partrelid AND (a.attnum = ANY (p.partattrs::int2[])
               OR p.partexprs IS NOT NULL AND pg_get_partkeydef(p.partrelid) ~ ('\m' || a.attname || '\M') AND a.attnum > 0)), '[]'),
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
    'protection', (SELECT r.id FROM spamcheck._protected_relation r WHERE r.relation = c.oid))::text, 'UTF8')
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = $1
