/* redoubt--0.1--0.2.sql - what version 0.2 adds to the SQL objects of 0.1.
 *
 * CREATE EXTENSION runs redoubt--0.1.sql and then this file, ALTER EXTENSION redoubt UPDATE this file alone: a database
 * that was updated and a new one hold the same objects, and redoubt--0.1.sql never changes again.
 */
\echo Use "ALTER EXTENSION redoubt UPDATE TO '0.2'" to load this file. \quit

-- ------------------------------------------------------ what a restore may lack

-- Not revoked from the owner: a restore writes it.  A dump has a row for each label in it, for each limit that an earlier
-- restore left out, and for each index that is made of values, which a restore can make only once the keys are there.
CREATE TABLE redoubt.expected (
  kind text NOT NULL CHECK (kind IN ('label', 'limit', 'index')),
  object text NOT NULL,
  statement text NOT NULL
);
COMMENT ON TABLE redoubt.expected IS 'what a restored database should have: labels and indexes of its dump, and limits that were left out; see redoubt.check_restore()';
COMMENT ON COLUMN redoubt.expected.statement IS 'what sets the label or limit, or makes the index';
REVOKE ALL ON redoubt.expected FROM PUBLIC;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON redoubt.expected
  FOR EACH STATEMENT EXECUTE FUNCTION redoubt.guard_own_table();
CREATE TRIGGER guard_row BEFORE INSERT OR UPDATE OR DELETE ON redoubt.expected
  FOR EACH ROW EXECUTE FUNCTION redoubt.guard_own_table();
ALTER TABLE redoubt.expected ENABLE ALWAYS TRIGGER guard, ENABLE ALWAYS TRIGGER guard_row;

-- pg_dump puts the condition behind SELECT ... FROM redoubt.expected: so a dump has the labels as they are when it is made.
SELECT pg_catalog.pg_extension_config_dump('redoubt.expected', $condition$
  WHERE kind = 'limit'
  UNION ALL
  SELECT 'label', i.identity,
         pg_catalog.format('SECURITY LABEL FOR redoubt ON %s %s IS %L;',
           CASE WHEN l.objsubid <> 0 THEN 'COLUMN' WHEN i.type = 'type' THEN 'DOMAIN' ELSE pg_catalog.upper(i.type) END,
           i.identity, l.label)
  FROM pg_catalog.pg_seclabel AS l, LATERAL pg_catalog.pg_identify_object(l.classoid, l.objoid, l.objsubid) AS i
  WHERE l.provider = 'redoubt'
  UNION ALL
  SELECT 'index', i.identity, pg_catalog.pg_get_indexdef(c.oid) OPERATOR(pg_catalog.||) ';'
  FROM pg_catalog.pg_class AS c, LATERAL pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, c.oid, 0) AS i
  WHERE c.relkind = 'i' AND c.relpersistence <> 't'
    AND EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                  AND (d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                       AND EXISTS (SELECT FROM pg_catalog.pg_proc AS p WHERE p.oid = d.refobjid AND p.probin = '$libdir/redoubt')
                       OR d.refclassid = 'pg_catalog.pg_opclass'::pg_catalog.regclass
                       AND EXISTS (SELECT FROM pg_catalog.pg_opclass AS o JOIN pg_catalog.pg_am AS m ON m.oid = o.opcmethod
                                   JOIN redoubt.token_type AS t ON t.typ = o.opcintype
                                   WHERE o.oid = d.refobjid AND (m.amname = 'gin' OR NOT o.opcdefault))))$condition$);

-- ------------------------------------------------ limits and roles that are missing

-- A role and a type in a limit.  What is no role or type is no error to COPY, which would end with it and load no limit at all: it
-- is a warning, and the trigger leaves that limit out (src/pg/limits/limit_rows.cpp).
DO $names$
DECLARE
  item record;
BEGIN
  FOR item IN SELECT * FROM (VALUES ('limit_role', 'regrole', 'regroleout', 'a role'), ('limit_type', 'regtype', 'regtypeout', 'a token type'))
                AS v(name, type, output, what) LOOP
    EXECUTE pg_catalog.format('CREATE TYPE redoubt.%I', item.name);
    EXECUTE pg_catalog.format('CREATE FUNCTION redoubt.%I(cstring) RETURNS redoubt.%I AS %L, %L LANGUAGE c STABLE STRICT PARALLEL SAFE',
                              item.name || '_in', item.name, '$libdir/redoubt', 'redoubt_' || item.name || '_in');
    EXECUTE pg_catalog.format('CREATE FUNCTION redoubt.%I(redoubt.%I) RETURNS cstring AS %L LANGUAGE internal STABLE STRICT PARALLEL SAFE',
                              item.name || '_out', item.name, item.output);
    EXECUTE pg_catalog.format('CREATE TYPE redoubt.%I (INPUT = redoubt.%I, OUTPUT = redoubt.%I, LIKE = %s)',
                              item.name, item.name || '_in', item.name || '_out', item.type);
    EXECUTE pg_catalog.format('CREATE CAST (redoubt.%I AS oid) WITHOUT FUNCTION AS IMPLICIT', item.name);
    EXECUTE pg_catalog.format('CREATE CAST (redoubt.%I AS %s) WITHOUT FUNCTION AS IMPLICIT', item.name, item.type);
    EXECUTE pg_catalog.format('CREATE CAST (%s AS redoubt.%I) WITHOUT FUNCTION AS ASSIGNMENT', item.type, item.name);
    EXECUTE pg_catalog.format('COMMENT ON TYPE redoubt.%I IS %L', item.name, 'internal: ' || item.what || ' in redoubt.limit_rule; ' || item.type || ', but a name that is missing is a warning');
    EXECUTE pg_catalog.format('COMMENT ON FUNCTION redoubt.%I(cstring) IS %L', item.name || '_in', 'input of redoubt.' || item.name);
    EXECUTE pg_catalog.format('COMMENT ON FUNCTION redoubt.%I(redoubt.%I) IS %L', item.name || '_out', item.name, 'output of redoubt.' || item.name);
    EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION redoubt.%I(cstring), redoubt.%I(redoubt.%I) FROM PUBLIC', item.name || '_in', item.name || '_out', item.name);
    EXECUTE pg_catalog.format('COMMENT ON CAST (redoubt.%I AS oid) IS %L', item.name, 'the same number');
    EXECUTE pg_catalog.format('COMMENT ON CAST (redoubt.%I AS %s) IS %L', item.name, item.type, 'the same number');
    EXECUTE pg_catalog.format('COMMENT ON CAST (%s AS redoubt.%I) IS %L', item.type, item.name, 'the same number');
  END LOOP;
END
$names$;

-- The view keeps its columns, and so what depends on it, while the table's change their types.
CREATE OR REPLACE VIEW redoubt.limits WITH (security_barrier) AS
    SELECT NULL::bigint AS id, NULL::regrole AS role, NULL::regtype AS token_type, NULL::text AS operation,
           NULL::bigint AS max_values, NULL::interval AS per, NULL::bigint AS burst, NULL::text AS on_excess,
           NULL::interval AS max_delay, NULL::boolean AS shared, NULL::regrole AS created_by, NULL::timestamptz AS created_at,
           NULL::name AS role_name;
ALTER TABLE redoubt.limit_rule
  ALTER role TYPE redoubt.limit_role, ALTER token_type TYPE redoubt.limit_type, ALTER created_by TYPE redoubt.limit_role;
CREATE OR REPLACE VIEW redoubt.limits WITH (security_barrier) AS
    SELECT r.id, r.role::regrole AS role, r.token_type::regtype AS token_type, r.operation, r.max_values, r.per,
           CASE WHEN r.per IS NOT NULL THEN coalesce(r.burst, r.max_values) END AS burst,
           r.on_excess, r.max_delay, r.shared, r.created_by::regrole AS created_by, r.created_at,
           CASE WHEN r.role IS NOT NULL THEN pg_get_userbyid(r.role) END AS role_name
    FROM redoubt.limit_rule AS r
    WHERE r.role IS NULL
       OR pg_has_role(session_user, r.role::oid, 'MEMBER')
       OR EXISTS (SELECT FROM pg_roles AS a
                  WHERE a.rolname IN ('redoubt_admin', 'redoubt_auditor') AND pg_has_role(current_user, a.oid, 'USAGE'));

CREATE FUNCTION redoubt.limit_restored() RETURNS trigger AS 'MODULE_PATHNAME', 'redoubt_limit_restored' LANGUAGE c;
COMMENT ON FUNCTION redoubt.limit_restored() IS 'internal: leaves a limit out whose role or token type is missing, and says so';
REVOKE ALL ON FUNCTION redoubt.limit_restored() FROM PUBLIC;
CREATE TRIGGER restored BEFORE INSERT ON redoubt.limit_rule FOR EACH ROW EXECUTE FUNCTION redoubt.limit_restored();
ALTER TABLE redoubt.limit_rule ENABLE ALWAYS TRIGGER restored;

-- Limits of roles that were dropped from another database stay until somebody looks; no dump has them.
SELECT pg_catalog.pg_extension_config_dump('redoubt.limit_rule', $condition$
  WHERE (role IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.oid = role::pg_catalog.oid))
    AND (token_type IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_type AS t WHERE t.oid = token_type::pg_catalog.oid))$condition$);

-- ----------------------------------------------------- keys that meet other keys

CREATE FUNCTION redoubt.key_restored() RETURNS trigger AS 'MODULE_PATHNAME', 'redoubt_key_restored' LANGUAGE c;
COMMENT ON FUNCTION redoubt.key_restored() IS 'internal: leaves a key out that is there already, and refuses another one in its place';
REVOKE ALL ON FUNCTION redoubt.key_restored() FROM PUBLIC;
CREATE TRIGGER restored BEFORE INSERT ON redoubt.key FOR EACH ROW EXECUTE FUNCTION redoubt.key_restored();
ALTER TABLE redoubt.key ENABLE ALWAYS TRIGGER restored;

CREATE FUNCTION redoubt.check_tokens(OUT table_name regclass, OUT column_name name, OUT key text, OUT version integer, OUT problem text)
  RETURNS SETOF record AS 'MODULE_PATHNAME', 'redoubt_check_tokens' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.check_tokens() IS 'internal: columns whose first tokens the keys of this database do not open';
REVOKE ALL ON FUNCTION redoubt.check_tokens() FROM PUBLIC;

-- --------------------------------------------------------------- check_restore

/* check_restore lists what will not work, with the statement that helps; nothing where all is well.
 *
 * It reads the catalogs and own tables as their owner, and runs no code of anybody's tables.
 */
CREATE FUNCTION redoubt.check_restore() RETURNS TABLE (kind text, object text, problem text, statement text)
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  again constant text := '-- pg_restore --data-only --schema=redoubt --table=%s, or COPY it from the dump';
  preloaded constant boolean := (SELECT s.value = 'yes' FROM redoubt.status() AS s WHERE s.item = 'preloaded');
  item record;
BEGIN
  -- What is as it should be is no longer to be asked for.
  IF NOT pg_is_in_recovery() AND NOT current_setting('transaction_read_only')::boolean THEN
    DELETE FROM redoubt.expected AS e
    WHERE CASE WHEN e.kind = 'index' THEN to_regclass(e.object) IS NOT NULL END
       OR e.kind = 'label' AND EXISTS (SELECT FROM pg_seclabel AS l, pg_identify_object(l.classoid, l.objoid, l.objsubid) AS i
                                       WHERE l.provider = 'redoubt' AND i.identity = e.object);
  END IF;

  -- The server, and the extension's version.
  RETURN QUERY SELECT 'server', s.item, s.value, CASE s.item
      WHEN 'preloaded' THEN '-- shared_preload_libraries = ''redoubt'' in postgresql.conf, and a restart'
      WHEN 'key-encryption key' THEN '-- redoubt.kek_file in postgresql.conf, and a restart' END
    FROM redoubt.status() AS s WHERE s.severity = 'error' AND s.item IN ('preloaded', 'key-encryption key');
  RETURN QUERY SELECT 'extension', e.extname::text, format('version %s, the library is of %s', e.extversion, a.default_version),
      'ALTER EXTENSION redoubt UPDATE;'
    FROM pg_extension AS e JOIN pg_available_extensions AS a ON a.name = e.extname
    WHERE e.extname = 'redoubt' AND e.extversion <> a.default_version;

  -- Token types: in the catalog, in redoubt.token_type, with their functions.
  RETURN QUERY SELECT 'token type', t.oid::regtype::text, 'it has no row in redoubt.token_type', format(again, 'token_type')
    FROM pg_type AS t JOIN pg_proc AS p ON p.oid = t.typinput
    WHERE p.probin = '$libdir/redoubt' AND p.prosrc IN ('redoubt_token_in', 'redoubt_fpe_in', 'redoubt_fpe_integer_in')
      AND NOT EXISTS (SELECT FROM redoubt.token_type AS k WHERE k.typ = t.oid);
  RETURN QUERY SELECT 'token type', k.typ::text, 'the type does not exist', format('DELETE FROM redoubt.token_type WHERE class_id = %L;', k.class_id)
    FROM redoubt.token_type AS k WHERE NOT EXISTS (SELECT FROM pg_type AS t WHERE t.oid = k.typ);
  RETURN QUERY SELECT 'token type', k.typ::text, format('its function %s is missing, or not the extension''s', g.signature),
      '-- restore the schema from the dump, as a superuser'
    FROM redoubt.token_type AS k JOIN pg_type AS t ON t.oid = k.typ,
      LATERAL (VALUES (format('redoubt.detokenize(%s)', format_type(k.typ, NULL))), (format('redoubt.mask(%s)', format_type(k.typ, NULL))),
        (format('%I.%I(%s)', t.typnamespace::regnamespace::name, t.typname, k.base)),
        (CASE WHEN k.method = 'sealed' AND k.base = 'text' THEN format('redoubt.search(%s)', format_type(k.typ, NULL)) END)) AS g(signature)
    WHERE g.signature IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_proc AS p WHERE p.oid = to_regprocedure(g.signature) AND p.probin = '$libdir/redoubt');

  -- Keys: there, opened by the server, and those of the tokens.
  RETURN QUERY SELECT DISTINCT 'key', k.key::text, format('it is missing: token type %s needs %s', k.typ::regtype,
                                                          coalesce('version ' || k.key_version, 'it')), format(again, 'key')
    FROM redoubt.token_type AS k
    WHERE EXISTS (SELECT FROM pg_type AS t WHERE t.oid = k.typ)
      AND NOT EXISTS (SELECT FROM redoubt.key AS d WHERE d.name = k.key AND (k.key_version IS NULL OR d.version = k.key_version))
      AND (k.key <> 'default' OR k.key_version IS NOT NULL);
  IF preloaded THEN
    RETURN QUERY SELECT 'key', format('%s, version %s', v.name, v.version), v.problem,
        format('-- start the server with the key-encryption key %s', v.kek_fingerprint)
      FROM redoubt.verify_keys() AS v WHERE NOT v.opens;
    RETURN QUERY SELECT 'column', format('%s.%I', c.table_name, c.column_name), format('a token %s (key %s%s)', c.problem, c.key, ', version ' || c.version),
        format(again, CASE WHEN c.problem LIKE '%vault%' THEN 'vault' ELSE 'key' END)
      FROM redoubt.check_tokens() AS c;
  END IF;

  -- Labels: those of the dump, and those that name nothing.
  RETURN QUERY SELECT 'label', e.object, 'it was in the dump, and is not here', e.statement
    FROM redoubt.expected AS e
    WHERE e.kind = 'label' AND NOT EXISTS (SELECT FROM pg_seclabel AS l, pg_identify_object(l.classoid, l.objoid, l.objsubid) AS i
                                           WHERE l.provider = 'redoubt' AND i.identity = e.object);
  RETURN QUERY SELECT 'label', i.identity, 'it names no token type of this database', format(again, 'token_type')
    FROM pg_seclabel AS l, pg_identify_object(l.classoid, l.objoid, l.objsubid) AS i
    WHERE l.provider = 'redoubt' AND l.classoid <> 'pg_proc'::regclass
      AND NOT EXISTS (SELECT FROM redoubt.token_type AS k
                      WHERE k.typ = to_regtype(CASE WHEN l.label = 'token' THEN 'redoubt.text_token' WHEN cardinality(parse_ident(l.label)) = 1
                                                    THEN 'redoubt.' || l.label ELSE l.label END));

  -- Indexes of values, which could not be made where the keys, or the library, were not there yet.
  RETURN QUERY SELECT 'index', e.object, 'it was in the dump, and is not here', e.statement
    FROM redoubt.expected AS e WHERE CASE WHEN e.kind = 'index' THEN to_regclass(e.object) IS NULL END;

  -- Limits: left out, or of nobody.
  RETURN QUERY SELECT 'limit', e.object, 'its role or token type was missing when it was restored', e.statement
    FROM redoubt.expected AS e WHERE e.kind = 'limit';
  RETURN QUERY SELECT 'limit', format('%s of %s by %s', l.operation, coalesce(l.token_type::text, 'every type'), coalesce(l.role::text, 'every role')),
      'its role or token type was dropped', format('DELETE FROM redoubt.limit_rule WHERE id = %s;', l.id)
    FROM redoubt.limit_rule AS l
    WHERE (l.role IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = l.role::oid))
       OR (l.token_type IS NOT NULL AND NOT EXISTS (SELECT FROM pg_type AS t WHERE t.oid = l.token_type::oid));

  -- Triggers of own tables: pg_restore --disable-triggers leaves them as ordinary ones, which a replica does not fire.
  RETURN QUERY SELECT 'trigger', format('%s of redoubt.%s', w.trigger, w.own),
      CASE WHEN t.oid IS NULL THEN 'it is missing' ELSE 'it does not fire always' END,
      CASE WHEN t.oid IS NULL THEN '-- DROP EXTENSION redoubt, and restore the dump again'
           ELSE format('ALTER TABLE redoubt.%I ENABLE ALWAYS TRIGGER %I;', w.own, w.trigger) END
    FROM (SELECT c.own, v.trigger FROM unnest(ARRAY['token_type', 'key', 'limit_rule', 'vault', 'expected']) AS c(own),
            (VALUES ('guard'), ('guard_row'), ('policy_changed'), ('restored')) AS v(trigger)
          WHERE (v.trigger <> 'policy_changed' OR c.own IN ('token_type', 'key', 'limit_rule'))
            AND (v.trigger <> 'restored' OR c.own IN ('key', 'limit_rule'))) AS w
      LEFT JOIN pg_trigger AS t ON t.tgrelid = to_regclass(format('redoubt.%I', w.own)) AND t.tgname = w.trigger
    WHERE t.oid IS NULL OR t.tgenabled <> 'A';

  -- Code that stands on protected tables.
  IF preloaded THEN
    FOR item IN
      SELECT DISTINCT a.attrelid::regclass AS relation FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
      WHERE c.relkind IN ('r', 'p', 'm') AND a.attnum > 0 AND NOT a.attisdropped
        AND (a.atttypid IN (SELECT k.typ FROM redoubt.token_type AS k)
             OR EXISTS (SELECT FROM pg_seclabel AS l WHERE l.provider = 'redoubt' AND l.classoid = 'pg_class'::regclass
                          AND l.objoid = a.attrelid AND l.objsubid = a.attnum))
    LOOP
      RETURN QUERY SELECT 'code', format('%s of %s', f.object, f.relation), format('it hands values to %s, which is not trusted', f.function), f.statement
        FROM redoubt.check_label(item.relation) AS f;
    END LOOP;
  END IF;
END
$body$;
COMMENT ON FUNCTION redoubt.check_restore() IS
  'what of a restored database will not work: token types, keys, columns, labels, indexes, limits, triggers, code; with the statement that helps; none where all is well';
REVOKE ALL ON FUNCTION redoubt.check_restore() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.check_restore() TO redoubt_admin, redoubt_auditor;
-- ------------------------------------------------------------------ audit

-- It has three columns more, and goes on after a break.
DROP FUNCTION redoubt.verify_audit();
CREATE FUNCTION redoubt.verify_audit(OUT ok boolean, OUT segments integer, OUT records bigint,
                                     OUT broken_segment text, OUT broken_line integer, OUT problem text,
                                     OUT archived integer, OUT verified_from bigint, OUT breaks bigint)
  RETURNS record LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'redoubt_verify_audit';
COMMENT ON FUNCTION redoubt.verify_audit() IS
  'recomputes the chain of the audit trail, names the first broken record and says how much is verified; for redoubt_auditor';
REVOKE ALL ON FUNCTION redoubt.verify_audit() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.verify_audit() TO redoubt_auditor;

CREATE FUNCTION redoubt.verify_audit_segments(OUT segment bigint, OUT last_segment bigint, OUT state text,
                                              OUT first_sequence bigint, OUT last_sequence bigint, OUT records bigint,
                                              OUT broken_line bigint, OUT problem text)
  RETURNS SETOF record LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'redoubt_verify_audit_segments';
COMMENT ON FUNCTION redoubt.verify_audit_segments() IS
  'what verify_audit() finds, a row for each segment on file and for those archived or missing that follow one another; for redoubt_auditor';
REVOKE ALL ON FUNCTION redoubt.verify_audit_segments() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.verify_audit_segments() TO redoubt_auditor;

-- Not for redoubt_admin, who is one of those the trail is about; where to is the configuration file's.
CREATE FUNCTION redoubt.archive_audit(before timestamptz, OUT segment bigint, OUT first_sequence bigint,
                                      OUT last_sequence bigint, OUT bytes bigint, OUT sha256 text)
  RETURNS SETOF record LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'redoubt_archive_audit';
COMMENT ON FUNCTION redoubt.archive_audit(timestamptz) IS
  'moves closed segments of the audit trail whose events are older to redoubt.audit_archive_directory, and records it; for redoubt_auditor';
REVOKE ALL ON FUNCTION redoubt.archive_audit(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.archive_audit(timestamptz) TO redoubt_auditor;

-- The same with the server that wrote it.
CREATE OR REPLACE VIEW redoubt.audit AS
  SELECT a.segment,
         a.line,
         a.sequence,
         a."time",
         a.record #>> '{unmapped,event}' AS event,
         a.record #>> '{unmapped,outcome}' AS outcome,
         a.record #>> '{actor,user,name}' AS session_user_name,
         a.record #>> '{unmapped,current_user}' AS current_user_name,
         a.record #>> '{database,name}' AS database,
         a.record #>> '{src_endpoint,ip}' AS client_addr,
         a.record #>> '{unmapped,application_name}' AS application_name,
         a.record #>> '{unmapped,operation}' AS operation,
         a.record #>> '{unmapped,token_type}' AS token_type,
         CASE WHEN a.record #>> '{unmapped,count}' ~ '^[0-9]{1,18}$'
              THEN (a.record #>> '{unmapped,count}')::bigint END AS count,
         a.record #>> '{unmapped,query_id}' AS query_id,
         a.record #>> '{unmapped,detail}' AS detail,
         a.record,
         a.record #>> '{device,uid}' AS server,
         a.record #>> '{unmapped,cluster}' AS cluster
    FROM redoubt.audit_line AS a
   WHERE NOT a.header;
-- ------------------------------------------------------------------- keys

CREATE FUNCTION redoubt.rewrap_tables(table_name regclass, column_name name) RETURNS regclass[]
  AS 'MODULE_PATHNAME', 'redoubt_rewrap_tables' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.rewrap_tables(regclass, name) IS 'internal: the tables that rewrap_column() works on; an error where the column is none for it';
CREATE FUNCTION redoubt.rewrap_batch(table_name regclass, column_name name, after tid, pages bigint, batch integer, stay boolean,
    OUT resealed bigint, OUT again boolean, OUT busy boolean, OUT unreadable bigint, OUT first_unreadable tid, OUT last tid)
  AS 'MODULE_PATHNAME', 'redoubt_rewrap_batch' LANGUAGE c VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.rewrap_batch(regclass, name, tid, bigint, integer, boolean)
  IS 'internal: one batch of rewrap_column(), after a row; last is null at the end; stay ends it before a row that somebody else holds';
CREATE FUNCTION redoubt.rewrap_left(table_name regclass, column_name name) RETURNS boolean
  AS 'MODULE_PATHNAME', 'redoubt_rewrap_left' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.rewrap_left(regclass, name) IS 'internal: whether a row that is seen now has a token that rewrap_column() would seal anew';
-- No SET search_path, because it commits: every name and operator is qualified instead.
-- A table is read until nothing of an older version was met, nor is seen.  The first time, rows that others hold are passed by.
CREATE PROCEDURE redoubt.rewrap_column(table_name regclass, column_name name, batch integer DEFAULT 5000) LANGUAGE plpgsql
AS $body$
DECLARE
  tables pg_catalog.regclass[];
  part pg_catalog.regclass;
  step pg_catalog.record;
  pages bigint;
  after pg_catalog.tid;
  again boolean;
  stay boolean;
  resealed bigint;
  unreadable bigint;
  first_unreadable pg_catalog.tid;
  told pg_catalog.timestamptz := pg_catalog.clock_timestamp();
BEGIN
  IF table_name IS NULL OR column_name IS NULL OR batch IS NULL THEN
    RAISE EXCEPTION 'table, column and batch must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  SELECT redoubt.rewrap_tables(table_name, column_name) INTO tables;
  FOREACH part IN ARRAY tables LOOP
    resealed := 0;
    stay := false;
    LOOP
      SELECT pg_catalog.pg_relation_size(part) OPERATOR(pg_catalog./) pg_catalog.current_setting('block_size')::pg_catalog.int8 INTO pages;
      pages := COALESCE(pages, 0);
      after := NULL;
      again := false;
      unreadable := 0;
      first_unreadable := NULL;
      LOOP
        SELECT b.* INTO step FROM redoubt.rewrap_batch(part, column_name, after, pages, batch, stay) AS b;
        COMMIT;
        resealed := resealed OPERATOR(pg_catalog.+) step.resealed;
        unreadable := unreadable OPERATOR(pg_catalog.+) step.unreadable;
        first_unreadable := COALESCE(first_unreadable, step.first_unreadable);
        again := again OR step.again;
        IF pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) told OPERATOR(pg_catalog.>) '10 seconds'::pg_catalog.interval THEN
          told := pg_catalog.clock_timestamp();
          RAISE NOTICE 'column "%" of %: % tokens sealed anew, at row % of % pages%', column_name, part, resealed,
            COALESCE(step.last, after), pages, CASE WHEN stay AND step.busy THEN '; waits for a row that another session holds' ELSE '' END;
        END IF;
        IF stay AND step.busy THEN
          PERFORM pg_catalog.pg_sleep(0.1);
        END IF;
        EXIT WHEN step.last IS NULL;
        after := step.last;
      END LOOP;
      EXIT WHEN NOT again AND NOT redoubt.rewrap_left(part, column_name);
      stay := true;
    END LOOP;
    RAISE NOTICE 'column "%" of %: % tokens sealed anew', column_name, part, resealed;
    IF unreadable OPERATOR(pg_catalog.>) 0 THEN
      RAISE WARNING 'column "%" of %: % tokens of other versions do not open and were left as they are', column_name, part, unreadable
        USING DETAIL = pg_catalog.format('The first one is in the row with ctid %s.', first_unreadable),
              HINT = 'They are damaged, were made up, come from another database, or their version has ended.';
    END IF;
  END LOOP;
END
$body$;
COMMENT ON PROCEDURE redoubt.rewrap_column(regclass, name, integer)
  IS 'seals the tokens of a column with the newest version of their key, delivering none; commits after each batch of rows, and goes on where it ended';
REVOKE ALL ON FUNCTION redoubt.rewrap_tables(regclass, name), redoubt.rewrap_left(regclass, name), redoubt.rewrap_batch(regclass, name, tid, bigint, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.rewrap_tables(regclass, name), redoubt.rewrap_left(regclass, name), redoubt.rewrap_batch(regclass, name, tid, bigint, integer, boolean) TO redoubt_admin;
REVOKE ALL ON PROCEDURE redoubt.rewrap_column(regclass, name, integer) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE redoubt.rewrap_column(regclass, name, integer) TO redoubt_admin;

CREATE FUNCTION redoubt.export_keys(passphrase text, names name[] DEFAULT NULL) RETURNS text
  AS 'MODULE_PATHNAME', 'redoubt_export_keys' LANGUAGE c VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.export_keys(text, name[])
  IS 'the data keys of this database, or those of the names, under a passphrase of 12 characters or more; whoever has both opens tokens elsewhere';
CREATE FUNCTION redoubt.import_keys(export text, passphrase text, OUT name name, OUT version integer, OUT outcome text)
  RETURNS SETOF record AS 'MODULE_PATHNAME', 'redoubt_import_keys' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.import_keys(text, text)
  IS 'merges exported keys into this database, wrapped by its server''s key-encryption key: added, rewrapped or present; all or none';
REVOKE ALL ON FUNCTION redoubt.export_keys(text, name[]) FROM PUBLIC, CURRENT_USER;
REVOKE ALL ON FUNCTION redoubt.import_keys(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.import_keys(text, text) TO redoubt_admin;

CREATE FUNCTION redoubt.reload_kek(OUT kek_fingerprint text, OUT previous_kek_fingerprint text)
  AS 'MODULE_PATHNAME', 'redoubt_reload_kek' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.reload_kek() IS 'reads the key-encryption keys again, as configured now, for all sessions; refused where one in use would be lost';
REVOKE ALL ON FUNCTION redoubt.reload_kek() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.reload_kek() TO redoubt_admin;

-- ------------------------------------------------------------------ lifting a block

CREATE FUNCTION redoubt.lift_block(role regrole, token_type regtype, operation text) RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT
    AS 'MODULE_PATHNAME', 'redoubt_lift_block';
REVOKE ALL ON FUNCTION redoubt.lift_block(regrole, regtype, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.lift_block(regrole, regtype, text) TO redoubt_admin;
COMMENT ON FUNCTION redoubt.lift_block(regrole, regtype, text)
    IS 'give a login role back all that its limits admit of an operation on a token type, or of all where null; returns how many limits were drawn on';

CREATE FUNCTION redoubt.audit_public_key() RETURNS text
  LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'redoubt_audit_public_key';
COMMENT ON FUNCTION redoubt.audit_public_key() IS
  'the public key, in hexadecimal, by which the signed heads of this server''s audit trail are verified; for redoubt_auditor';
REVOKE ALL ON FUNCTION redoubt.audit_public_key() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.audit_public_key() TO redoubt_auditor;
