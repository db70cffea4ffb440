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
-- ------------------------------------------------ protecting a column online
--
-- All work on a table is done by protect_step(), protect_undo_step() and unprotect_column(), which are C++
-- (src/pg/ddl/protect_step.h): as the table's owner, in a security-restricted operation, whoever calls.  The other
-- functions here only look, with the rights of who calls them; what they return, the step does.  Functions have a fixed
-- search_path; procedures, which commit and so cannot have one, qualify each operator.

-- Not in a dump: it names triggers, tables and columns by number.  A trigger that it says nothing of does nothing.
CREATE TABLE redoubt.protection (
  trigger oid PRIMARY KEY,
  relation oid NOT NULL,
  source smallint NOT NULL,
  target smallint NOT NULL,
  token_type regtype NOT NULL,
  step text NOT NULL DEFAULT 'fill' CHECK (step IN ('fill', 'verify', 'swap')),
  next_block bigint NOT NULL DEFAULT 0,
  blocks bigint NOT NULL,
  rows_done bigint NOT NULL DEFAULT 0,
  file oid NOT NULL,
  version bigint NOT NULL,
  horizon bigint NOT NULL DEFAULT 0,
  started_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  updated_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE redoubt.protection IS 'columns that protect_column() is at work on; written by its functions; a row goes with its trigger';
COMMENT ON COLUMN redoubt.protection.source IS 'number of the column that is to be protected';
COMMENT ON COLUMN redoubt.protection.target IS 'number of the token column beside it';
COMMENT ON COLUMN redoubt.protection.file IS 'the table''s file: another one begins anew at block 0';
COMMENT ON COLUMN redoubt.protection.version IS 'of the trigger''s row in pg_trigger: changes where it was switched off meanwhile';
COMMENT ON COLUMN redoubt.protection.horizon IS 'transaction number after the last that filled: who sees less than that would miss tokens; 0: not filled';
REVOKE ALL ON redoubt.protection FROM PUBLIC;

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON redoubt.protection FOR EACH STATEMENT EXECUTE FUNCTION redoubt.guard_own_table();
CREATE TRIGGER guard_row BEFORE INSERT OR UPDATE OR DELETE ON redoubt.protection FOR EACH ROW EXECUTE FUNCTION redoubt.guard_own_table();
ALTER TABLE redoubt.protection ENABLE ALWAYS TRIGGER guard, ENABLE ALWAYS TRIGGER guard_row;

CREATE FUNCTION redoubt.keep_token() RETURNS trigger
  AS 'MODULE_PATHNAME', 'redoubt_keep_token' LANGUAGE c;
COMMENT ON FUNCTION redoubt.keep_token() IS 'internal: keeps the token column of a column that is being protected current; does nothing anywhere else';
CREATE FUNCTION redoubt.protect_step("table" regclass, "column" name, token_type regtype, batch integer, lock_timeout interval, build_indexes boolean, swap boolean)
  RETURNS text AS 'MODULE_PATHNAME', 'redoubt_protect_step' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.protect_step(regclass, name, regtype, integer, interval, boolean, boolean) IS
  'the next piece of work of protect_column(), in one transaction, as the owner of the table: says how to go on';
CREATE FUNCTION redoubt.protect_undo_step("table" regclass, "column" name, lock_timeout interval) RETURNS text
  AS 'MODULE_PATHNAME', 'redoubt_protect_undo_step' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.protect_undo_step(regclass, name, interval) IS 'what protect_undo() does, in one transaction, as the owner of the table';
CREATE FUNCTION redoubt.check_protect("table" regclass, "column" name, token_type regtype, "values" integer DEFAULT 20)
  RETURNS TABLE (severity text, object text, what text, remedy text)
  AS 'MODULE_PATHNAME', 'redoubt_check_protect' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.check_protect(regclass, name, regtype, integer) IS 'what stands in the way of protecting a column, what changes, and which values the type cannot read: rows by primary key, never content';
CREATE FUNCTION redoubt.unprotect_column("table" regclass, "column" name) RETURNS void
  AS 'MODULE_PATHNAME', 'redoubt_unprotect_column' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.unprotect_column(regclass, name) IS 'makes a token column one of values again, under a lock; a reveal of each, by who calls and in the name of the owner';

CREATE FUNCTION redoubt.protect_label("table" oid, "column" smallint) RETURNS regtype
  AS 'MODULE_PATHNAME', 'redoubt_protect_label' LANGUAGE c STABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.protect_label(oid, smallint) IS 'internal: the token type that pays for reading a column, by its label or as metering has it';

CREATE VIEW redoubt.protected_columns AS
  SELECT a.attrelid::regclass AS "table", a.attname AS "column", a.atttypid::regtype AS type, p.token_type
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid,
       LATERAL (SELECT redoubt.protect_label(c.oid, a.attnum) OFFSET 0) AS p (token_type)
  WHERE c.relkind IN ('r', 'p', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND p.token_type IS NOT NULL;
COMMENT ON VIEW redoubt.protected_columns IS 'the columns of tables that are metered: those that hold tokens, and labelled ones, also where the label is that of a parent or domain';
COMMENT ON COLUMN redoubt.protected_columns.type IS 'what the column holds: a token type, or plaintext';
COMMENT ON COLUMN redoubt.protected_columns.token_type IS 'whose limits are charged';
GRANT SELECT ON redoubt.protected_columns TO PUBLIC;
CREATE FUNCTION redoubt.protect_plain(class oid, object oid, "table" oid, "column" smallint) RETURNS smallint[]
  AS 'MODULE_PATHNAME', 'redoubt_protect_plain' LANGUAGE c STABLE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.protect_plain(oid, oid, oid, smallint) IS
  'internal: which columns of a view are the column; null where a view, policy or trigger does more with it than means the same of tokens';

CREATE FUNCTION redoubt.standby_lag() RETURNS bigint
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  RETURN (SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)), 0)::bigint FROM pg_stat_replication AS r);
COMMENT ON FUNCTION redoubt.standby_lag() IS 'bytes of WAL that the slowest of the connected standbys and subscribers has still to apply';

CREATE VIEW redoubt.protections WITH (security_barrier) AS
  SELECT p.trigger, p.relation, p.source, p.target, p.token_type, p.step, p.next_block, p.blocks, p.rows_done, p.started_at, p.updated_at
  FROM redoubt.protection AS p JOIN pg_class AS c ON c.oid = p.relation JOIN pg_trigger AS g ON g.oid = p.trigger AND g.tgrelid = p.relation
  WHERE pg_has_role(c.relowner, 'USAGE')
     OR EXISTS (SELECT FROM pg_roles AS a
                WHERE a.rolname IN ('redoubt_admin', 'redoubt_auditor') AND pg_has_role(current_user, a.oid, 'USAGE'));
COMMENT ON VIEW redoubt.protections IS 'internal: the rows of redoubt.protection of one''s own tables, or all for redoubt_admin and redoubt_auditor';
GRANT SELECT ON redoubt.protections TO PUBLIC;

CREATE VIEW redoubt.progress WITH (security_barrier) AS
  SELECT p.relation::regclass AS "table", a.attname AS "column", p.token_type, p.step,
         CASE p.step WHEN 'fill' THEN 0 WHEN 'verify' THEN 50 ELSE 100 END
           + CASE WHEN p.step IN ('fill', 'verify') THEN round(50.0 * least(p.next_block, p.blocks) / greatest(p.blocks, 1), 1) ELSE 0 END AS percent,
         p.rows_done, t.attname AS token_column, p.started_at, p.updated_at
  FROM redoubt.protections AS p
  JOIN pg_attribute AS a ON a.attrelid = p.relation AND a.attnum = p.source
  JOIN pg_attribute AS t ON t.attrelid = p.relation AND t.attnum = p.target;
COMMENT ON VIEW redoubt.progress IS 'how far protect_column() is with each column; one''s own tables, or all for redoubt_admin and redoubt_auditor';
COMMENT ON COLUMN redoubt.progress.step IS 'fill, verify, swap: verified, so that indexes, constraints and the swap are left';
COMMENT ON COLUMN redoubt.progress.percent IS 'of filling and verifying together';
COMMENT ON COLUMN redoubt.progress.rows_done IS 'rows that were filled in batches';
GRANT SELECT ON redoubt.progress TO PUBLIC;

CREATE FUNCTION redoubt.may_tokenize(role oid, token_type regtype) RETURNS boolean
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    WITH RECURSIVE held (role) AS (
        SELECT may_tokenize.role
        UNION SELECT m.roleid FROM held AS h JOIN pg_auth_members AS m ON m.member = h.role)
    SELECT EXISTS (SELECT FROM redoubt.token_type AS t
                     JOIN pg_proc AS p ON p.oid = to_regprocedure(format('%s(%s)', t.typ, t.base)), aclexplode(p.proacl) AS a
                   WHERE t.typ = may_tokenize.token_type AND a.privilege_type = 'EXECUTE'
                     AND (a.grantee = 0 OR a.grantee IN (SELECT h.role FROM held AS h)));
  END;
COMMENT ON FUNCTION redoubt.may_tokenize(oid, regtype) IS 'internal: whether a role was granted to tokenize values of a type; superusers are not asked less';

-- The columns that can be protected only together: those that foreign keys compare.
CREATE FUNCTION redoubt.protect_group("table" regclass, "column" smallint) RETURNS TABLE (relation oid, source smallint)
  LANGUAGE sql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    WITH RECURSIVE pair AS (
        SELECT f.conrelid, k.child, f.confrelid, k.parent
        FROM pg_constraint AS f, LATERAL unnest(f.conkey, f.confkey) AS k(child, parent) WHERE f.contype = 'f'),
      member (relation, source) AS (
        SELECT "table"::oid, "column"
        UNION SELECT CASE WHEN p.conrelid = m.relation AND p.child = m.source THEN p.confrelid ELSE p.conrelid END,
                     CASE WHEN p.conrelid = m.relation AND p.child = m.source THEN p.parent ELSE p.child END
        FROM member AS m JOIN pair AS p ON (p.conrelid = m.relation AND p.child = m.source) OR (p.confrelid = m.relation AND p.parent = m.source)),
      -- How many tables are below, by these keys; of tables that refer to each other in a circle, any order.
      below (relation, referenced, depth) AS (
        SELECT DISTINCT m.relation, m.relation, 0 FROM member AS m
        UNION SELECT b.relation, p.confrelid, b.depth + 1
        FROM below AS b JOIN pair AS p ON p.conrelid = b.referenced AND p.confrelid <> p.conrelid JOIN member AS m ON m.relation = p.confrelid AND m.source = p.parent
        WHERE b.depth < 8)
    SELECT m.relation, m.source FROM member AS m ORDER BY (SELECT max(b.depth) FROM below AS b WHERE b.relation = m.relation) DESC, m.relation, m.source;
  END;
COMMENT ON FUNCTION redoubt.protect_group(regclass, smallint) IS 'internal: the column and those that foreign keys tie to it; tables that refer to others come first';

CREATE FUNCTION redoubt.protect_lost_limits(label regtype, wanted regtype) RETURNS bigint
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    -- No weaker: for the same role or all, of no more values, in as long a time, and values do not leave where those did not.
    SELECT count(*) FROM redoubt.limit_rule AS r
    WHERE r.operation = 'read' AND (r.token_type IS NULL OR r.token_type::oid = label::oid)
      AND EXISTS (
        SELECT FROM (VALUES ('read'), ('reveal'), ('masked')) AS n(operation)
        WHERE NOT EXISTS (
          SELECT FROM redoubt.limit_rule AS c
          WHERE c.operation = n.operation AND (c.token_type IS NULL OR c.token_type::oid = wanted::oid) AND (c.role IS NULL OR c.role::oid = r.role::oid)
            AND c.max_values <= r.max_values AND coalesce(c.burst, c.max_values) <= coalesce(r.burst, r.max_values)
            AND (r.per IS NULL OR c.per >= r.per) AND (c.shared OR NOT r.shared)
            AND CASE r.on_excess WHEN 'log' THEN true WHEN 'throttle' THEN c.on_excess <> 'log' ELSE c.on_excess NOT IN ('log', 'throttle') END));
  END;
COMMENT ON FUNCTION redoubt.protect_lost_limits(regtype, regtype) IS 'internal: how many limits on reading one type have no counterpart of another, on read, reveal and masked';

-- An index anew, over the token column; or why that cannot be.
CREATE FUNCTION redoubt.protect_index(index oid, source smallint, target text, token_type regtype, OUT statement text, OUT problem text)
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  i record;
  old text;
  keys text[] := '{}';
  included text[] := '{}';
  part text;
  predicate text;
  ordered boolean;
BEGIN
  SELECT x.*, c.relam, m.amname, c.reloptions, s.spcname, t.typ IS NOT NULL AND t.deterministic AS equal, t.method INTO i
  FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid JOIN pg_am AS m ON m.oid = c.relam
    LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace LEFT JOIN redoubt.token_type AS t ON t.typ = protect_index.token_type
  WHERE x.indexrelid = index;
  SELECT quote_ident(a.attname) INTO old FROM pg_attribute AS a WHERE a.attrelid = i.indrelid AND a.attnum = source;
  ordered := i.amname = 'btree';
  FOR k IN 1 .. i.indnatts LOOP
    IF k > i.indnkeyatts THEN
      included := included || CASE WHEN i.indkey[k - 1] = source THEN quote_ident(target) ELSE pg_get_indexdef(index, k, true) END;
      CONTINUE;
    END IF;
    part := pg_get_indexdef(index, k, false);
    IF i.indkey[k - 1] = source THEN
      IF NOT i.equal THEN
        problem := 'values of this type have no equality to index';
      ELSIF NOT EXISTS (SELECT FROM pg_opclass AS o WHERE o.oid = i.indclass[k - 1]
                        AND ((i.amname IN ('btree', 'hash') AND o.opcdefault) OR (i.amname = 'gin' AND o.opcname = 'gin_trgm_ops' AND i.method = 'sealed'))) THEN
        problem := 'this kind of index has no counterpart for tokens';
      END IF;
      part := quote_ident(target);
    ELSIF i.indkey[k - 1] = 0 AND position(old IN part) > 0 THEN
      IF part IN (format('lower(%s)', old), format('lower((%s)::text)', old)) AND i.method = 'sealed' AND i.equal AND i.amname IN ('btree', 'hash') THEN
        part := format('lower(%I)', target);
      ELSIF part IN (format('upper(%s)', old), format('upper((%s)::text)', old)) AND i.method = 'sealed' AND i.equal AND i.amname IN ('btree', 'hash') THEN
        part := format('upper(%I)', target);
      ELSE
        problem := 'an index on such an expression would hold values in the clear';
      END IF;
    ELSE
      IF i.indkey[k - 1] = 0 THEN
        part := format('(%s)', part);
      END IF;
      part := part || coalesce((SELECT format(' COLLATE %I.%I', n.nspname, l.collname) FROM pg_collation AS l JOIN pg_namespace AS n ON n.oid = l.collnamespace
                                WHERE l.oid = i.indcollation[k - 1]), '')
                   || (SELECT format(' %I.%I', n.nspname, o.opcname) FROM pg_opclass AS o JOIN pg_namespace AS n ON n.oid = o.opcnamespace WHERE o.oid = i.indclass[k - 1]);
    END IF;
    IF ordered THEN
      part := part || CASE WHEN i.indoption[k - 1] & 1 = 1 THEN ' DESC' ELSE '' END
                   || CASE WHEN i.indoption[k - 1] & 2 = 2 THEN ' NULLS FIRST' ELSE ' NULLS LAST' END;
    END IF;
    keys := keys || part;
  END LOOP;
  predicate := pg_get_expr(i.indpred, i.indrelid);
  IF position(old IN predicate) > 0 THEN
    IF predicate = format('(%s IS NOT NULL)', old) THEN
      predicate := format('(%I IS NOT NULL)', target);
    ELSE
      problem := 'the condition of the index looks at the column';
    END IF;
  END IF;
  IF i.indisexclusion THEN
    problem := 'an exclusion constraint has no counterpart for tokens';
  ELSIF i.indisreplident THEN
    problem := 'the table''s replica identity is this index';
  ELSIF EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = index AND a.attoptions IS NOT NULL) THEN
    problem := 'an index with options of its operator classes has no counterpart for tokens';
  -- The statement may be a superuser's, and the parser reads constants before CREATE INDEX becomes the owner: arrays, rows and ranges
  -- read what is in them, of domains by code of their owners.
  ELSIF EXISTS (SELECT FROM regexp_matches(concat(i.indexprs, i.indpred), ':consttype (\d+) ', 'g') AS c(type)
                  JOIN pg_type AS y ON y.oid = c.type[1]::oid LEFT JOIN pg_type AS e ON e.oid = y.typelem
                WHERE y.typnamespace <> 'pg_catalog'::regnamespace
                  AND (y.typtype NOT IN ('b', 'e') OR (y.typelem <> 0 AND e.typtype NOT IN ('b', 'e')))) THEN
    problem := 'a constant in it is of a type whose owner''s code may have to read it';
  END IF;
  statement := format('CREATE %sINDEX CONCURRENTLY %I ON %s USING %I (%s)', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, 'redoubt_protect_' || index,
                      i.indrelid::regclass, i.amname, array_to_string(keys, ', '))
    || CASE WHEN cardinality(included) > 0 THEN format(' INCLUDE (%s)', array_to_string(included, ', ')) ELSE '' END
    || CASE WHEN i.indnullsnotdistinct THEN ' NULLS NOT DISTINCT' ELSE '' END
    || CASE WHEN i.reloptions IS NOT NULL THEN (SELECT format(' WITH (%s)', string_agg(format('%I = %L', o.option_name, o.option_value), ', ')) FROM pg_options_to_table(i.reloptions) AS o) ELSE '' END
    || CASE WHEN i.spcname IS NOT NULL THEN format(' TABLESPACE %I', i.spcname) ELSE '' END
    || CASE WHEN predicate IS NOT NULL THEN format(' WHERE %s', predicate) ELSE '' END;
END
$body$;
COMMENT ON FUNCTION redoubt.protect_index(oid, smallint, text, regtype) IS 'internal: the statement that makes an index anew over a token column, or what stands in the way';

CREATE FUNCTION redoubt.protect_grants(object text, "column" text, acl aclitem[]) RETURNS SETOF text
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    SELECT format('GRANT %s%s ON %s TO %s%s', a.privilege_type, coalesce(' (' || "column" || ')', ''), object,
                  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                  CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM aclexplode(acl) AS a;
  END;
COMMENT ON FUNCTION redoubt.protect_grants(text, text, aclitem[]) IS 'internal: the statements that grant what an access list says';

/* protect_parts lists what hangs on a column, in one place: what stands in the way of protecting it (severity error) or of the swap
 * alone (swap), what wants a look (warning, notice), and what is taken away at the swap (remove, in the order of turn) and made anew over the
 * token column, which has the column's name by then (make, in the other order).
 */
CREATE FUNCTION redoubt.protect_parts("table" regclass, "column" smallint, token_type regtype)
  RETURNS TABLE (severity text, object text, what text, remedy text, turn integer, remove text, make text)
  LANGUAGE plpgsql STABLE ROWS 50 SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_column
DECLARE
  tab constant oid := "table"::oid;
  num constant smallint := "column";
  wanted constant regtype := token_type;
  tabname constant text := "table"::text;
  mentions constant text := ':varattno ' || num || ' ';
  rel pg_class;
  col pg_attribute;
  base_type oid;
  t redoubt.token_type;
  item record;
  expression text;
BEGIN
  SELECT * INTO rel FROM pg_class AS c WHERE c.oid = tab;
  SELECT * INTO col FROM pg_attribute AS a WHERE a.attrelid = tab AND a.attnum = num;
  SELECT * INTO t FROM redoubt.token_type AS k WHERE k.typ = wanted;
  object := format('column %I of %s', col.attname, tabname);
  make := NULL;

  -- The table and the column.
  IF rel.relkind <> 'r' OR rel.relam <> (SELECT m.oid FROM pg_am AS m WHERE m.amname = 'heap') THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'it is not an ordinary table', 'For a partitioned table use ALTER TABLE ... ALTER COLUMN ... TYPE.', 0, NULL, NULL;
    RETURN;
  ELSIF rel.relispartition OR EXISTS (SELECT FROM pg_inherits AS h WHERE tab IN (h.inhrelid, h.inhparent)) THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'it shares its columns with a parent, children or partitions', 'Use ALTER TABLE ... ALTER COLUMN ... TYPE on the parent.', 0, NULL, NULL;
  ELSIF rel.relpersistence = 't' THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'it is temporary', 'Use ALTER TABLE ... ALTER COLUMN ... TYPE.', 0, NULL, NULL;
  END IF;
  IF EXISTS (SELECT FROM pg_rewrite AS r WHERE r.ev_class = tab) THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'it has rules', 'Drop them for the time.', 0, NULL, NULL;
  END IF;
  IF rel.relforcerowsecurity THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'its policies bind its owner, too, who has to see every row', format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY;', tabname), 0, NULL, NULL;
  END IF;
  IF EXISTS (SELECT FROM redoubt.token_type AS k WHERE k.typ = col.atttypid) THEN
    RETURN QUERY SELECT 'error', object, 'it is a token column already', NULL::text, 0, NULL, NULL;
  ELSIF t.method <> 'sealed' THEN
    RETURN QUERY SELECT 'error', object, format('%s is not a sealed token type', wanted), format('Use ALTER TABLE %s ALTER COLUMN %I TYPE %s USING ...;', tabname, col.attname, wanted), 0, NULL, NULL;
  ELSIF NOT (CASE t.base WHEN 'bytea' THEN col.atttypid = 'bytea'::regtype ELSE col.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype) END) THEN
    RETURN QUERY SELECT 'error', object, format('its type is %s, the token type is of %s', format_type(col.atttypid, col.atttypmod), t.base),
                        'Change it to the type that the token type takes, or take another token type.', 0, NULL, NULL;
  ELSIF col.atttypmod > 0 THEN
    RETURN QUERY SELECT 'notice', object, format('the length that %s allows is not kept', format_type(col.atttypid, col.atttypmod)), NULL::text, 0, NULL, NULL;
  END IF;
  IF col.atttypid = 'bpchar'::regtype THEN
    RETURN QUERY SELECT 'notice', object, 'values are not padded with blanks then, and those at the end of a text that is compared with them count', NULL::text, 0, NULL, NULL;
  END IF;
  IF EXISTS (SELECT FROM pg_collation AS l WHERE l.oid = col.attcollation AND NOT l.collisdeterministic) THEN
    RETURN QUERY SELECT 'error', object, 'its collation takes values for equal that have different tokens', 'Give it another collation.', 0, NULL, NULL;
  ELSIF col.attcollation <> 0 AND col.attcollation <> '"default"'::regcollation AND (SELECT y.typcollation FROM pg_type AS y WHERE y.oid = t.typ) = 0 THEN
    RETURN QUERY SELECT 'notice', object, format('its order will be by the collation of the database, no longer by %s', col.attcollation::regcollation), NULL::text, 0, NULL, NULL;
  END IF;
  IF EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = tab AND a.attname = 'redoubt_protect_' || num AND NOT a.attisdropped)
     AND NOT EXISTS (SELECT FROM redoubt.protections AS s WHERE s.relation = tab AND s.source = num) THEN
    RETURN QUERY SELECT 'error', format('column %I of %s', 'redoubt_protect_' || num, tabname), 'a dump, an upgrade or somebody left it behind', format('ALTER TABLE %s DROP COLUMN %I;', tabname, 'redoubt_protect_' || num), 0, NULL, NULL;
  END IF;
  IF col.attgenerated <> '' OR col.attidentity <> '' THEN
    RETURN QUERY SELECT 'error', object, 'its values are generated', 'Drop the expression: ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION.', 0, NULL, NULL;
  END IF;

  -- Who may: all is done in the name of the owner.
  IF rel.relowner <> (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user) THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'it has another owner than the table that a foreign key ties it to', format('ALTER TABLE %s OWNER TO %I;', tabname, current_user), 0, NULL, NULL;
  ELSIF EXISTS (SELECT FROM pg_index AS x WHERE x.indrelid = tab) AND NOT has_schema_privilege(rel.relnamespace, 'CREATE') THEN
    RETURN QUERY SELECT 'error', 'schema ' || rel.relnamespace::regnamespace::text, format('%I may not make indexes in it', current_user),
                        format('GRANT CREATE ON SCHEMA %s TO %I;', rel.relnamespace::regnamespace, current_user), 0, NULL, NULL;
  END IF;
  IF NOT redoubt.may_tokenize(rel.relowner, wanted) THEN
    RETURN QUERY SELECT 'error', 'role ' || quote_ident(pg_get_userbyid(rel.relowner)), format('it may not tokenize values of %s', wanted),
                        format('GRANT EXECUTE ON FUNCTION %s(%s) TO %I;', wanted, t.base, pg_get_userbyid(rel.relowner)), 0, NULL, NULL;
  END IF;
  IF EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = tab AND k.conbin::text ~ ':varattno 0 ')
     OR EXISTS (SELECT FROM pg_index AS x WHERE x.indrelid = tab AND concat(x.indexprs, x.indpred) ~ ':varattno 0 ')
     OR EXISTS (SELECT FROM pg_attrdef AS d WHERE d.adrelid = tab AND d.adbin::text ~ ':varattno 0 ')
     OR EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = tab AND concat(p.polqual, p.polwithcheck) ~ ':varattno 0 ') THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'a constraint, an index, a policy or a generated column looks at whole rows', 'Drop it for the time.', 0, NULL, NULL;
  END IF;
  IF NOT has_table_privilege(rel.relowner, tab, 'SELECT') THEN
    RETURN QUERY SELECT 'error', 'table ' || tabname, 'its owner may not read it', format('GRANT SELECT ON %s TO %I;', tabname, pg_get_userbyid(rel.relowner)), 0, NULL, NULL;
  END IF;
  -- Privileges are granted anew by the owner: another grantor's would outlive the grantor's own.
  RETURN QUERY SELECT 'swap', v.object, format('%I granted privileges on it, who is not its owner', pg_get_userbyid(a.grantor)), format('REVOKE them, and let the owner grant them.'), 0, NULL::text, NULL::text
  FROM (SELECT format('column %I of %s', col.attname, tabname) AS object, col.attacl AS acl) AS v, LATERAL aclexplode(v.acl) AS a WHERE a.grantor <> rel.relowner;
  -- What is made anew is looked up in the schema of the token type.
  RETURN QUERY SELECT 'error', 'schema ' || n.oid::regnamespace::text, format('%s may make objects in it, which views and policies would meet', CASE m.role WHEN 0 THEN 'everybody' ELSE quote_ident(pg_get_userbyid(m.role)) END),
                      'Take a token type of a schema in which nobody else may make any.', 0, NULL::text, NULL::text
  FROM pg_type AS y JOIN pg_namespace AS n ON n.oid = y.typnamespace,
    LATERAL (SELECT n.nspowner UNION SELECT a.grantee FROM aclexplode(n.nspacl) AS a WHERE a.privilege_type = 'CREATE') AS m(role)
  WHERE y.oid = wanted AND m.role <> rel.relowner
    AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = m.role AND (r.rolsuper OR r.rolname IN ('pg_database_owner', 'redoubt_admin')));
  -- No other trigger may change a value after ours has seen it.
  RETURN QUERY SELECT 'error', format('trigger %I', g.tgname), 'it fires after the one of protect_column(), and could change the value', format('ALTER TRIGGER %I ON %s RENAME TO %I;', g.tgname, tabname, 'a_' || g.oid), 0, NULL::text, NULL::text
  FROM pg_trigger AS g
  WHERE g.tgrelid = tab AND g.tgtype & 3 = 3 AND g.tgtype & 20 <> 0 AND g.tgenabled <> 'D' AND g.tgname > ('~redoubt_protect_' || num)::name
    AND g.tgfoid <> 'redoubt.keep_token()'::regprocedure;
  RETURN QUERY SELECT 'error', format('trigger %I', g.tgname), 'a dump brought it along from a table that was being protected', format('DROP TRIGGER %I ON %s;  Drop the token column, too.', g.tgname, tabname), 0, NULL::text, NULL::text
  FROM pg_trigger AS g
  WHERE g.tgrelid = tab AND g.tgfoid = 'redoubt.keep_token()'::regprocedure AND NOT EXISTS (SELECT FROM redoubt.protections AS s WHERE s.trigger = g.oid);
  RETURN QUERY SELECT 'warning', CASE w.role WHEN 0 THEN 'PUBLIC' ELSE 'role ' || quote_ident(pg_get_userbyid(w.role)) END,
                      format('writes the table, and after the swap may not write values of %s', wanted),
                      format('GRANT EXECUTE ON FUNCTION %s(%s) TO %s;', wanted, t.base, CASE w.role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(w.role)) END), 0, NULL, NULL
  FROM (SELECT a.grantee FROM aclexplode(coalesce(rel.relacl, acldefault('r', rel.relowner))) AS a WHERE a.privilege_type IN ('INSERT', 'UPDATE')
        UNION SELECT a.grantee FROM aclexplode(col.attacl) AS a WHERE a.privilege_type IN ('INSERT', 'UPDATE')) AS w(role)
  WHERE NOT redoubt.may_tokenize(w.role, wanted);

  -- Default, NOT NULL and grants of the column.
  SELECT pg_get_expr(d.adbin, d.adrelid) INTO expression FROM pg_attrdef AS d WHERE d.adrelid = tab AND d.adnum = num;
  IF expression IS NOT NULL AND col.attgenerated = '' THEN
    RETURN QUERY SELECT 'notice', object, 'its default becomes one of the token type', NULL::text, 0, NULL,
      format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', tabname, col.attname,
             coalesce(substring(expression FROM $re$^('(?:[^']|'')*')::(?:pg_catalog\.)?(?:text|character varying|bpchar|character)$re$), expression));
  END IF;
  FOR item IN SELECT g FROM redoubt.protect_grants(tabname, quote_ident(col.attname), col.attacl) AS g LOOP
    RETURN QUERY SELECT NULL, object, NULL, NULL, 0, NULL, item.g;
  END LOOP;
  IF col.attstattarget >= 0 THEN
    RETURN QUERY SELECT NULL, object, NULL, NULL, 0, NULL, format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', tabname, col.attname, col.attstattarget);
  END IF;
  FOR item IN SELECT o.option_name, o.option_value FROM pg_options_to_table(col.attoptions) AS o WHERE o.option_name IN ('n_distinct', 'n_distinct_inherited') LOOP
    RETURN QUERY SELECT NULL, object, NULL, NULL, 0, NULL, format('ALTER TABLE %s ALTER COLUMN %I SET (%I = %s)', tabname, col.attname, item.option_name, item.option_value::float8);
  END LOOP;
  IF col.attstorage <> (SELECT y.typstorage FROM pg_type AS y WHERE y.oid = col.atttypid) THEN
    RETURN QUERY SELECT NULL, object, NULL, NULL, 0, NULL, format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', tabname, col.attname,
                        CASE col.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END);
  END IF;
  IF col.attcompression <> '' THEN
    RETURN QUERY SELECT NULL, object, NULL, NULL, 0, NULL, format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION %s', tabname, col.attname, CASE col.attcompression WHEN 'p' THEN 'pglz' ELSE 'lz4' END);
  END IF;
  IF col_description(tab, num) IS NOT NULL THEN
    RETURN QUERY SELECT NULL, object, NULL, NULL, 0, NULL, format('COMMENT ON COLUMN %s.%I IS %L', tabname, col.attname, col_description(tab, num));
  END IF;
  FOR item IN SELECT l.provider, l.label FROM pg_seclabel AS l WHERE l.classoid = 'pg_class'::regclass AND l.objoid = tab AND l.objsubid = num AND l.provider <> 'redoubt' LOOP
    RETURN QUERY SELECT NULL, object, NULL, NULL, 0, NULL, format('SECURITY LABEL FOR %I ON COLUMN %s.%I IS %L', item.provider, tabname, col.attname, item.label);
  END LOOP;

  -- A label charged a read for a value; of a token column, a token is a read and a value a reveal.
  -- Which type that is, metering knows; a label that leads nowhere is an error of its own.
  FOR item IN SELECT l.was, redoubt.protect_lost_limits(l.was, wanted) AS lost FROM redoubt.protect_label(tab, num) AS l(was) WHERE l.was IS NOT NULL AND l.was <> col.atttypid LOOP
    RETURN QUERY SELECT 'notice', object, format('it is labelled %s: values are limited as read of it; after the swap, tokens as read of %s, values as reveal of %s', item.was, wanted, wanted), NULL::text, 0, NULL, NULL;
    IF item.lost > 0 THEN
      RETURN QUERY SELECT 'error', object, format('limits on read of %s would end with its label: %s', item.was, item.lost), format('An admin sets them for %s, on reveal, masked and, where the type is another one, read: redoubt.limits lists them.', wanted), 0, NULL, NULL;
    END IF;
  END LOOP;

  -- Constraints.
  FOR item IN SELECT k.oid, k.conname, k.contype, k.conrelid, k.confrelid, k.conkey, k.confkey, k.convalidated, k.conbin, obj_description(k.oid, 'pg_constraint') AS remark
              FROM pg_constraint AS k WHERE (k.conrelid = tab AND k.contype IN ('c', 'f') AND num = ANY (k.conkey))
                                         OR (k.confrelid = tab AND k.contype = 'f' AND num = ANY (k.confkey)) LOOP
    IF item.contype = 'c' THEN
      RETURN QUERY SELECT 'swap', format('constraint %I of %s', item.conname, tabname), 'a CHECK sees the token, not the value',
                          format('ALTER TABLE %s DROP CONSTRAINT %I;', tabname, item.conname), 0, NULL, NULL;
    ELSIF EXISTS (SELECT FROM unnest(item.conkey, item.confkey) AS u(child, parent)
                    JOIN pg_attribute AS c ON c.attrelid = item.conrelid AND c.attnum = u.child JOIN pg_attribute AS p ON p.attrelid = item.confrelid AND p.attnum = u.parent
                  WHERE c.atttypid <> p.atttypid AND item.conrelid = tab AND u.child = num) THEN
      RETURN QUERY SELECT 'error', format('constraint %I of %s', item.conname, item.conrelid::regclass), 'it compares values of different types',
                          'Give both columns one type.', 0, NULL, NULL;
    ELSIF NOT t.deterministic THEN
      RETURN QUERY SELECT 'error', format('constraint %I of %s', item.conname, item.conrelid::regclass), 'values of this type have no equality to compare by', 'Take a deterministic type.', 0, NULL, NULL;
    ELSIF item.conrelid = tab THEN
      RETURN QUERY SELECT 'notice', format('constraint %I of %s', item.conname, tabname), format('both ends are protected together, with the column of %s', item.confrelid::regclass), NULL::text,
                          20, format('ALTER TABLE %s DROP CONSTRAINT %I', tabname, item.conname),
                          format('ALTER TABLE %s ADD CONSTRAINT %I %s', tabname, item.conname, regexp_replace(pg_get_constraintdef(item.oid), '( NOT VALID)?$', ' NOT VALID'));
      IF item.remark IS NOT NULL THEN
        RETURN QUERY SELECT NULL, NULL, NULL, NULL, 19, NULL, format('COMMENT ON CONSTRAINT %I ON %s IS %L', item.conname, tabname, item.remark);
      END IF;
    END IF;
  END LOOP;

  -- Indexes.  Old ones go with the old column.
  FOR item IN SELECT x.indexrelid, x.indkey, k.oid AS constraint_oid, c.relname, p.statement, p.problem, k.conname, k.contype, k.condeferrable, k.condeferred, x.indisclustered, x.indisunique,
                     obj_description(c.oid, 'pg_class') AS remark, obj_description(k.oid, 'pg_constraint') AS constraint_remark
              FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid LEFT JOIN pg_constraint AS k ON k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'),
                LATERAL redoubt.protect_index(x.indexrelid, num, 'redoubt_protect_' || num, wanted) AS p
              WHERE x.indrelid = tab AND (num = ANY (x.indkey) OR x.indexprs::text ~ mentions OR x.indpred::text ~ mentions) LOOP
    IF item.condeferrable THEN
      item.problem := 'until the swap, the index of the tokens beside it would not wait for the end of the transaction';
    ELSIF EXISTS (SELECT FROM unnest(item.indkey) AS u(other) WHERE u.other <> num AND (EXISTS (SELECT FROM redoubt.protections AS s WHERE s.relation = tab AND s.source = u.other)
                  OR EXISTS (SELECT FROM redoubt.protect_group("table", num) AS g WHERE g.relation = tab AND g.source = u.other))) THEN
      item.problem := 'another of its columns is being protected';
    END IF;
    -- Foreign keys on the column itself are taken away before, and made anew.
    RETURN QUERY SELECT 'swap', pg_describe_object(d.classid, d.objid, d.objsubid), format('it needs the index %I, which is made anew', item.relname), 'Drop it, and make it anew afterwards.', 0, NULL::text, NULL::text
    FROM pg_depend AS d
    WHERE d.deptype IN ('n', 'a') AND ((d.refclassid = 'pg_class'::regclass AND d.refobjid = item.indexrelid) OR (d.refclassid = 'pg_constraint'::regclass AND d.refobjid = item.constraint_oid))
      AND NOT (d.classid = 'pg_constraint'::regclass AND EXISTS (SELECT FROM pg_constraint AS f WHERE f.oid = d.objid AND f.contype = 'f' AND num = ANY (f.confkey)))
      AND NOT (d.classid = 'pg_trigger'::regclass AND (SELECT g.tgisinternal FROM pg_trigger AS g WHERE g.oid = d.objid));
    IF item.problem IS NOT NULL THEN
      RETURN QUERY SELECT 'error', format('index %I', item.relname), item.problem, CASE WHEN item.conname IS NULL THEN format('DROP INDEX %s;', item.indexrelid::regclass)
                          ELSE format('ALTER TABLE %s DROP CONSTRAINT %I;', tabname, item.conname) END, 0, NULL, NULL;
    ELSIF item.conname IS NOT NULL THEN
      RETURN QUERY SELECT 'notice', format('constraint %I of %s', item.conname, tabname), 'is made anew; values that differ in spelling only are equal then', NULL::text, 10, NULL,
        format('ALTER TABLE %s ADD CONSTRAINT %I %s USING INDEX %I', tabname, item.conname, CASE item.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END,
               'redoubt_protect_' || item.indexrelid);
      IF item.constraint_remark IS NOT NULL THEN
        RETURN QUERY SELECT NULL, NULL, NULL, NULL, 9, NULL, format('COMMENT ON CONSTRAINT %I ON %s IS %L', item.conname, tabname, item.constraint_remark);
      END IF;
    ELSE
      RETURN QUERY SELECT 'notice', format('index %I', item.relname), 'is made anew' || CASE WHEN item.indisunique THEN '; values that differ in spelling only are equal then' ELSE '' END, NULL::text, 10, NULL,
        format('ALTER INDEX %s.%I RENAME TO %I', rel.relnamespace::regnamespace, 'redoubt_protect_' || item.indexrelid, item.relname);
    END IF;
    RETURN QUERY SELECT NULL, NULL, NULL, NULL, 9, NULL, format('ALTER INDEX %s.%I ALTER COLUMN %s SET STATISTICS %s', rel.relnamespace::regnamespace, item.relname, a.attnum, a.attstattarget)
    FROM pg_attribute AS a WHERE a.attrelid = item.indexrelid AND a.attstattarget >= 0 AND item.indkey[a.attnum - 1] = 0;
    IF item.indisclustered THEN
      RETURN QUERY SELECT NULL, NULL, NULL, NULL, 9, NULL, format('ALTER TABLE %s CLUSTER ON %I', tabname, item.relname);
    END IF;
    IF item.remark IS NOT NULL THEN
      RETURN QUERY SELECT NULL, NULL, NULL, NULL, 9, NULL, format('COMMENT ON INDEX %s.%I IS %L', rel.relnamespace::regnamespace, item.relname, item.remark);
    END IF;
  END LOOP;

  -- Triggers, policies, statistics.
  FOR item IN SELECT g.oid, g.tgname, g.tgenabled, g.tgqual, g.tgtype, num = ANY (g.tgattr) AS of_column, pg_get_triggerdef(g.oid) AS definition, obj_description(g.oid, 'pg_trigger') AS remark, g.tgfoid
              FROM pg_trigger AS g WHERE g.tgrelid = tab AND NOT g.tgisinternal AND g.tgfoid <> 'redoubt.keep_token()'::regprocedure LOOP
    IF (item.of_column OR item.tgqual::text ~ mentions) AND NOT has_function_privilege(item.tgfoid, 'EXECUTE') THEN
      RETURN QUERY SELECT 'error', format('trigger %I', item.tgname), format('%I may not make a trigger of %s', current_user, item.tgfoid::regprocedure), format('GRANT EXECUTE ON FUNCTION %s TO %I;', item.tgfoid::regprocedure, current_user), 0, NULL, NULL;
    ELSIF item.tgqual::text ~ mentions AND redoubt.protect_plain('pg_trigger'::regclass, item.oid, tab, num) IS NULL THEN
      RETURN QUERY SELECT 'swap', format('trigger %I', item.tgname), 'its condition does more with the column than to compare OLD and NEW', 'Drop it, and make it anew afterwards.', 0, NULL, NULL;
    ELSIF item.tgqual::text ~ mentions AND position('::text' IN item.definition) > 0 AND position('''' IN item.definition) > 0 THEN
      RETURN QUERY SELECT 'swap', format('trigger %I', item.tgname), 'its condition holds texts beside a cast of the column', 'Drop it, and make it anew afterwards.', 0, NULL, NULL;
    ELSIF item.of_column OR item.tgqual::text ~ mentions THEN
      RETURN QUERY SELECT 'notice', format('trigger %I', item.tgname), 'is made anew; its condition compares tokens', NULL::text, 30,
                          format('DROP TRIGGER %I ON %s', item.tgname, tabname),
                          replace(replace(item.definition, format('(old.%I)::text', col.attname), format('old.%I', col.attname)), format('(new.%I)::text', col.attname), format('new.%I', col.attname));
      IF item.tgenabled <> 'O' THEN
        RETURN QUERY SELECT NULL, NULL, NULL, NULL, 29, NULL, format('ALTER TABLE %s %s TRIGGER %I', tabname,
          CASE item.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END, item.tgname);
      END IF;
      IF item.remark IS NOT NULL THEN
        RETURN QUERY SELECT NULL, NULL, NULL, NULL, 29, NULL, format('COMMENT ON TRIGGER %I ON %s IS %L', item.tgname, tabname, item.remark);
      END IF;
    END IF;
    IF item.tgtype & 1 = 1 THEN
      RETURN QUERY SELECT 'warning', format('trigger %I', item.tgname), format('%s sees the token in the column after the swap', item.tgfoid::regprocedure), 'Read the function.', 0, NULL, NULL;
    END IF;
  END LOOP;
  RETURN QUERY SELECT 'error', l.object, format('it hands the row, and so the token, to %s, which is not trusted', l.function), l.statement || ';', 0, NULL::text, NULL::text
  FROM redoubt.check_label("table") AS l
  WHERE l.kind = 'trigger'
     OR (l.kind = 'index' AND EXISTS (SELECT FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid
                                      WHERE x.indrelid = tab AND c.relname = l.object AND (num = ANY (x.indkey) OR x.indexprs::text ~ mentions OR x.indpred::text ~ mentions)))
     OR (l.kind = 'policy' AND EXISTS (SELECT FROM pg_policy AS p JOIN pg_depend AS d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                                 WHERE p.polrelid = tab AND p.polname = l.object AND d.refclassid = 'pg_class'::regclass AND d.refobjid = tab AND d.refobjsubid = num));
  FOR item IN SELECT p.oid, p.polname, p.polcmd, p.polpermissive, p.polroles, pg_get_expr(p.polqual, tab) AS qual, pg_get_expr(p.polwithcheck, tab) AS with_check, obj_description(p.oid, 'pg_policy') AS remark
              FROM pg_policy AS p WHERE p.polrelid = tab AND EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid = tab AND d.refobjsubid = num) LOOP
    IF redoubt.protect_plain('pg_policy'::regclass, item.oid, tab, num) IS NULL THEN
      RETURN QUERY SELECT 'swap', format('policy %I', item.polname), 'it does more with the column than to compare it with a constant, by = or <>, or with NULL', 'Drop it, and make it anew afterwards.', 0, NULL, NULL;
      CONTINUE;
    END IF;
    RETURN QUERY SELECT 'warning', format('policy %I', item.polname), 'is made anew; it compares tokens, in the name of who queries', 'See that it says what it should.', 30,
      format('DROP POLICY %I ON %s', item.polname, tabname),
      format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', item.polname, tabname, CASE WHEN item.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
             CASE item.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
             (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(item.polroles) AS r),
             coalesce(' USING (' || item.qual || ')', ''), coalesce(' WITH CHECK (' || item.with_check || ')', ''));
    IF item.remark IS NOT NULL THEN
      RETURN QUERY SELECT NULL, NULL, NULL, NULL, 29, NULL, format('COMMENT ON POLICY %I ON %s IS %L', item.polname, tabname, item.remark);
    END IF;
  END LOOP;
  FOR item IN SELECT s.oid, format('%s.%I', s.stxnamespace::regnamespace, s.stxname) AS name, s.stxexprs::text ~ mentions AS in_expression, pg_get_statisticsobjdef(s.oid) AS definition,
                     s.stxstattarget, s.stxowner, obj_description(s.oid, 'pg_statistic_ext') AS remark
              FROM pg_statistic_ext AS s WHERE s.stxrelid = tab AND (num = ANY (s.stxkeys) OR s.stxexprs::text ~ mentions) LOOP
    IF NOT has_schema_privilege((SELECT x.stxnamespace FROM pg_statistic_ext AS x WHERE x.oid = item.oid), 'CREATE') THEN
      RETURN QUERY SELECT 'error', 'statistics ' || item.name, format('%I may not make statistics in its schema', current_user), format('DROP STATISTICS %s;', item.name), 0, NULL, NULL;
    ELSIF item.stxowner <> rel.relowner THEN
      RETURN QUERY SELECT 'swap', 'statistics ' || item.name, 'they have another owner than the table', format('DROP STATISTICS %s;', item.name), 0, NULL, NULL;
    ELSIF item.in_expression OR NOT t.deterministic THEN
      RETURN QUERY SELECT 'swap', 'statistics ' || item.name, 'they would hold values in the clear, or have nothing to compare by', format('DROP STATISTICS %s;', item.name), 0, NULL, NULL;
    ELSE
      RETURN QUERY SELECT 'notice', 'statistics ' || item.name, 'are made anew', NULL::text, 30, format('DROP STATISTICS %s', item.name), item.definition;
      IF item.stxstattarget >= 0 THEN
        RETURN QUERY SELECT NULL, NULL, NULL, NULL, 29, NULL, format('ALTER STATISTICS %s SET STATISTICS %s', item.name, item.stxstattarget);
      END IF;
      IF item.remark IS NOT NULL THEN
        RETURN QUERY SELECT NULL, NULL, NULL, NULL, 29, NULL, format('COMMENT ON STATISTICS %s IS %L', item.name, item.remark);
      END IF;
    END IF;
  END LOOP;

  -- Views on it, and views on those.
  FOR item IN
    WITH RECURSIVE above (relid, level) AS (
      SELECT DISTINCT r.ev_class, 1 FROM pg_depend AS d JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
      WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = tab AND d.refobjsubid IN (0, num) AND r.ev_class <> tab
        AND EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = d.classid AND e.objid = d.objid AND e.refclassid = d.refclassid AND e.refobjid = tab AND e.refobjsubid = num)
      UNION
      SELECT r.ev_class, a.level + 1 FROM above AS a
        JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.relid AND d.classid = 'pg_rewrite'::regclass
        JOIN pg_rewrite AS r ON r.oid = d.objid WHERE r.ev_class <> a.relid AND a.level < 20),
      -- Columns of views that are the column, as it is; null where a view does something else with it.
      carries (relid, attnum) AS (
        SELECT tab, num
        UNION
        SELECT r.ev_class, o.attnum FROM carries AS c
          JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.relid AND d.refobjsubid = c.attnum AND d.classid = 'pg_rewrite'::regclass
          JOIN pg_rewrite AS r ON r.oid = d.objid AND r.ev_class <> c.relid,
          LATERAL unnest(coalesce(redoubt.protect_plain(d.classid, r.oid, c.relid, c.attnum), ARRAY[NULL::smallint])) AS o(attnum))
    SELECT c.*, max(a.level) AS level, EXISTS (SELECT FROM carries AS k WHERE k.relid = c.oid AND k.attnum IS NULL) AS odd,
           EXISTS (SELECT FROM pg_rewrite AS r WHERE r.ev_class = c.oid AND r.ev_action::text ~ ':varattno 0 ') AS of_rows, pg_get_viewdef(c.oid) AS definition, format('%s.%I', c.relnamespace::regnamespace, c.relname) AS name, obj_description(c.oid, 'pg_class') AS remark
    FROM above AS a JOIN pg_class AS c ON c.oid = a.relid GROUP BY c.oid LOOP
    IF item.relkind <> 'v' THEN
      RETURN QUERY SELECT 'swap', format('relation %s', item.name), CASE item.relkind WHEN 'm' THEN 'a materialised view of the column holds its values' ELSE 'a rule of it uses the column' END,
                          'Drop it, and make it anew afterwards.', 0, NULL, NULL;
    ELSIF item.relowner <> rel.relowner THEN
      RETURN QUERY SELECT 'swap', 'view ' || item.name, 'it has another owner than the table', 'Drop it, and make it anew afterwards.', 0, NULL, NULL;
    ELSIF item.relpersistence = 't' THEN
      RETURN QUERY SELECT 'swap', 'view ' || item.name, 'it is temporary', 'Drop it, or end its session.', 0, NULL, NULL;
    ELSIF EXISTS (SELECT FROM (SELECT item.relacl AS acl UNION ALL SELECT v.attacl FROM pg_attribute AS v WHERE v.attrelid = item.oid) AS l, LATERAL aclexplode(l.acl) AS a
                  WHERE a.grantor <> item.relowner) THEN
      RETURN QUERY SELECT 'swap', 'view ' || item.name, 'another role than its owner granted privileges on it', 'Revoke them, and let the owner grant them.', 0, NULL, NULL;
    ELSIF item.odd OR item.of_rows THEN
      RETURN QUERY SELECT 'swap', 'view ' || item.name, CASE WHEN item.of_rows THEN 'it looks at whole rows' ELSE 'it does more with the column than to show it, or to compare it with a constant, by = or <>, or with NULL' END,
                          'Drop it, and make it anew afterwards.', 0, NULL, NULL;
    ELSIF NOT has_schema_privilege(item.relnamespace, 'CREATE') THEN
      RETURN QUERY SELECT 'swap', 'view ' || item.name, format('%I may not make views in its schema', current_user), 'Drop it, and make it anew afterwards.', 0, NULL, NULL;
    ELSIF EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgrelid = item.oid) OR EXISTS (SELECT FROM pg_attrdef AS d WHERE d.adrelid = item.oid)
          OR EXISTS (SELECT FROM pg_rewrite AS r WHERE r.ev_class = item.oid AND r.rulename <> '_RETURN') OR EXISTS (SELECT FROM pg_seclabel AS l WHERE l.objoid = item.oid AND l.classoid = 'pg_class'::regclass)
          OR EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = item.oid AND d.deptype IN ('e', 'x'))
          OR EXISTS (SELECT FROM pg_depend AS d WHERE d.refobjid IN (item.oid, item.reltype, (SELECT y.typarray FROM pg_type AS y WHERE y.oid = item.reltype)) AND d.deptype = 'n'
                     AND d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass)
                     AND NOT (d.classid = 'pg_rewrite'::regclass AND (SELECT k.relkind FROM pg_rewrite AS r JOIN pg_class AS k ON k.oid = r.ev_class WHERE r.oid = d.objid) = 'v')) THEN
      RETURN QUERY SELECT 'swap', 'view ' || item.name, 'it has triggers, rules, defaults or labels, or belongs to an extension, or something but a view uses it', 'Drop it, and make it anew afterwards.', 0, NULL, NULL;
    ELSE
      RETURN QUERY SELECT 'warning', 'view ' || item.name, 'is made anew; it shows the token column', 'See that it says what it should.', 100 - item.level, format('DROP VIEW %s', item.name),
        format('CREATE VIEW %s%s AS %s', item.name, coalesce(' WITH (' || array_to_string(item.reloptions, ', ') || ')', ''), rtrim(item.definition, ';'));
      -- In the reverse order of turn: these come after the view was made, and before those above it are.
      RETURN QUERY SELECT NULL, NULL, NULL, NULL, 99 - item.level, NULL,
                          format('REVOKE ALL ON %s FROM %s', item.name, CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END)
        FROM (SELECT x.grantee FROM pg_default_acl AS d, aclexplode(d.defaclacl) AS x WHERE d.defaclobjtype = 'r' AND x.grantee <> item.relowner
              UNION SELECT item.relowner WHERE item.relacl IS NOT NULL) AS e;
      RETURN QUERY SELECT NULL, NULL, NULL, NULL, 99 - item.level, NULL, g FROM redoubt.protect_grants(item.name, NULL, item.relacl) AS g;
      RETURN QUERY SELECT NULL, NULL, NULL, NULL, 99 - item.level, NULL, g
        FROM pg_attribute AS v, LATERAL redoubt.protect_grants(item.name, quote_ident(v.attname), v.attacl) AS g WHERE v.attrelid = item.oid AND v.attacl IS NOT NULL;
      RETURN QUERY SELECT NULL, NULL, NULL, NULL, 99 - item.level, NULL, format('COMMENT ON COLUMN %s.%I IS %L', item.name, v.attname, col_description(item.oid, v.attnum))
        FROM pg_attribute AS v WHERE v.attrelid = item.oid AND v.attnum > 0 AND col_description(item.oid, v.attnum) IS NOT NULL;
      IF item.remark IS NOT NULL THEN
        RETURN QUERY SELECT NULL, NULL, NULL, NULL, 99 - item.level, NULL, format('COMMENT ON VIEW %s IS %L', item.name, item.remark);
      END IF;
    END IF;
  END LOOP;

  -- Publications.
  FOR item IN SELECT p.pubname, pr.prqual::text ~ mentions AS in_condition, num = ANY (pr.prattrs) AS in_list
              FROM pg_publication_rel AS pr JOIN pg_publication AS p ON p.oid = pr.prpubid WHERE pr.prrelid = tab
              UNION SELECT p.pubname, false, false FROM pg_publication AS p WHERE p.puballtables
              UNION SELECT p.pubname, false, false FROM pg_publication AS p JOIN pg_publication_namespace AS n ON n.pnpubid = p.oid WHERE n.pnnspid = rel.relnamespace LOOP
    IF item.in_condition OR item.in_list THEN
      RETURN QUERY SELECT 'swap', format('publication %I', item.pubname), 'it names the column', 'Drop the table from it, and add it again afterwards.', 0, NULL, NULL;
    ELSE
      RETURN QUERY SELECT 'warning', format('publication %I', item.pubname), format('subscribers need a column %I from the beginning, and get tokens from the swap on', 'redoubt_protect_' || num), 'Add it there, of the token type or text, and rename it at the swap.', 0, NULL, NULL;
    END IF;
  END LOOP;

  -- What is left: nothing above knows it, so PostgreSQL would refuse to drop the old column.
  RETURN QUERY SELECT DISTINCT 'swap', pg_describe_object(d.classid, d.objid, d.objsubid), 'it depends on the column', 'Drop it, and make it anew afterwards.', 0, NULL::text, NULL::text
  FROM pg_depend AS d
  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = tab AND d.refobjsubid = num
    AND NOT CASE d.classid
      WHEN 'pg_constraint'::regclass THEN true
      WHEN 'pg_trigger'::regclass THEN (SELECT g.tgrelid FROM pg_trigger AS g WHERE g.oid = d.objid) = tab
      WHEN 'pg_policy'::regclass THEN (SELECT p.polrelid FROM pg_policy AS p WHERE p.oid = d.objid) = tab
      WHEN 'pg_statistic_ext'::regclass THEN (SELECT x.stxrelid FROM pg_statistic_ext AS x WHERE x.oid = d.objid) = tab
      WHEN 'pg_publication_rel'::regclass THEN true
      WHEN 'pg_rewrite'::regclass THEN (SELECT r.ev_class FROM pg_rewrite AS r WHERE r.oid = d.objid) <> tab
      WHEN 'pg_attrdef'::regclass THEN d.objid IN (SELECT f.oid FROM pg_attrdef AS f WHERE f.adrelid = tab AND f.adnum = num)
      WHEN 'pg_class'::regclass THEN (SELECT c.relkind FROM pg_class AS c WHERE c.oid = d.objid) = 'i'
        OR EXISTS (SELECT FROM redoubt.protections AS s WHERE s.relation = tab AND s.source = num AND d.objid = tab AND d.objsubid = s.target)
      ELSE false END;
  RETURN QUERY SELECT DISTINCT 'swap', pg_describe_object(d.classid, d.objid, 0), 'it belongs to an extension, or goes with one', 'Drop it, and make it anew afterwards.', 0, NULL::text, NULL::text
  FROM pg_depend AS d JOIN pg_depend AS e ON e.classid = d.classid AND e.objid = d.objid AND e.refclassid = 'pg_extension'::regclass AND e.deptype IN ('e', 'x')
  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = tab AND d.refobjsubid = num AND d.classid IN ('pg_class'::regclass, 'pg_trigger'::regclass) AND d.objid <> tab;
  -- Before the swap, nothing but what protect_column() makes uses the token column.
  RETURN QUERY SELECT DISTINCT 'swap', pg_describe_object(d.classid, d.objid, d.objsubid), format('it uses the column %I, which is made by protect_column()', a.attname), 'Drop it: it is for the time after the swap.', 0, NULL::text, NULL::text
  FROM redoubt.protections AS s JOIN pg_attribute AS a ON a.attrelid = s.relation AND a.attnum = s.target
    JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.relation AND d.refobjsubid = s.target
  WHERE s.relation = tab AND s.source = num AND (d.classid, d.objid) <> ('pg_trigger'::regclass, s.trigger)
    AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE d.classid = 'pg_constraint'::regclass AND k.oid = d.objid AND (k.contype = 'n' OR (k.contype = 'c' AND k.conname = a.attname)))
    AND NOT (d.classid = 'pg_class'::regclass AND (SELECT c.relkind = 'i' AND starts_with(c.relname, 'redoubt_protect_') FROM pg_class AS c WHERE c.oid = d.objid));
  RETURN QUERY SELECT 'swap', format('column %I of %s', a.attname, tabname), 'it has another label than the column has', 'An admin gives both the same label, or none.', 0, NULL::text, NULL::text
  FROM redoubt.protections AS s JOIN pg_attribute AS a ON a.attrelid = s.relation AND a.attnum = s.target
  WHERE s.relation = tab AND s.source = num
    AND (SELECT l.label FROM pg_seclabel AS l WHERE l.classoid = 'pg_class'::regclass AND l.objoid = tab AND l.objsubid = num AND l.provider = 'redoubt')
      IS DISTINCT FROM (SELECT l.label FROM pg_seclabel AS l WHERE l.classoid = 'pg_class'::regclass AND l.objoid = tab AND l.objsubid = s.target AND l.provider = 'redoubt');
  RETURN QUERY SELECT 'swap', format('column %I of %s', a.attname, tabname), 'it is NOT NULL before its time', format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL;', tabname, a.attname), 0, NULL::text, NULL::text
  FROM redoubt.protections AS s JOIN pg_attribute AS a ON a.attrelid = s.relation AND a.attnum = s.target WHERE s.relation = tab AND s.source = num AND a.attnotnull;
  RETURN QUERY SELECT DISTINCT 'swap', 'relation ' || r.ev_class::regclass, 'it looks at whole rows', 'Drop it, and make it anew afterwards.', 0, NULL::text, NULL::text
  FROM pg_depend AS d JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.ev_class <> tab
  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = tab AND r.ev_action::text ~ ':varattno 0 '
    AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = d.classid AND e.objid = d.objid AND e.refclassid = d.refclassid AND e.refobjid = tab AND e.refobjsubid = num);
  -- Rows of the table elsewhere: a column of its row type would lose the value.
  RETURN QUERY SELECT DISTINCT CASE WHEN d.classid = 'pg_proc'::regclass THEN 'warning' ELSE 'swap' END, pg_describe_object(d.classid, d.objid, d.objsubid), 'it uses the row type of the table',
                      CASE WHEN d.classid = 'pg_proc'::regclass THEN 'It sees the token after the swap: read the function.' ELSE 'Drop it, and make it anew afterwards.' END, 0, NULL::text, NULL::text
  FROM pg_depend AS d
  WHERE d.refclassid = 'pg_type'::regclass AND d.deptype = 'n' AND d.refobjid IN (rel.reltype, (SELECT y.typarray FROM pg_type AS y WHERE y.oid = rel.reltype))
    AND NOT (d.classid = 'pg_class'::regclass AND d.objid = tab);
  RETURN QUERY SELECT 'notice', object, 'it will be the last of the table''s columns, and has the token column beside it before: SELECT * and INSERT without a list of columns meet them there', 'Name columns, or put a view in the place of the table.', 0, NULL, NULL;
  RETURN QUERY SELECT 'notice', object, 'its old values stay in the table''s file, in WAL and in backups', 'redoubt.find_plaintext() lists where.', 0, NULL, NULL;
END
$body$;
COMMENT ON FUNCTION redoubt.protect_parts(regclass, smallint, regtype) IS 'internal: what hangs on a column, what stands in the way of protecting it, and what is taken away and made anew at the swap';

CREATE FUNCTION redoubt.protect_column_number("table" regclass, "column" name) RETURNS smallint
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  num smallint;
BEGIN
  SELECT a.attnum INTO num FROM pg_attribute AS a WHERE a.attrelid = "table" AND a.attname = "column" AND a.attnum > 0 AND NOT a.attisdropped;
  IF num IS NULL THEN
    RAISE EXCEPTION 'column % of table % does not exist', quote_ident("column"), "table" USING ERRCODE = '42703';
  END IF;
  RETURN num;
END
$body$;
COMMENT ON FUNCTION redoubt.protect_column_number(regclass, name) IS 'internal: the number of a column; 42703';

-- The primary key of a table as an SQL expression of one text, for naming rows; where the key is the column itself, or is
-- protected, the row's place.
CREATE FUNCTION redoubt.protect_row_name("table" regclass, "column" smallint) RETURNS text
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    SELECT coalesce((SELECT 'concat_ws('', '', ' || string_agg(format('%L || ROW(t.%I)::text', a.attname || ' = ', a.attname), ', ' ORDER BY k.place) || ')'
                     FROM pg_index AS x, unnest(x.indkey) WITH ORDINALITY AS k(num, place), pg_attribute AS a
                     WHERE x.indrelid = "table" AND x.indisprimary AND a.attrelid = x.indrelid AND a.attnum = k.num AND k.place <= x.indnkeyatts
                     HAVING bool_and(a.attnum <> "column" AND a.atttypid NOT IN (SELECT t.typ FROM redoubt.token_type AS t)
                                     AND NOT EXISTS (SELECT FROM pg_seclabel AS l WHERE l.classoid = 'pg_class'::regclass AND l.objoid = x.indrelid
                                                     AND l.objsubid = a.attnum AND l.provider = 'redoubt'))),
                    '''ctid '' || t.ctid::text');
  END;
COMMENT ON FUNCTION redoubt.protect_row_name(regclass, smallint) IS 'internal: an expression that names a row without showing a value';

CREATE FUNCTION redoubt.protect_findings("table" regclass, "column" name, token_type regtype, "values" integer)
  RETURNS TABLE (severity text, object text, what text, remedy text)
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET row_security = off
AS $body$
#variable_conflict use_column
DECLARE
  num smallint := redoubt.protect_column_number("table", "column");
  wanted constant regtype := token_type;
  t redoubt.token_type;
  member record;
  item record;
  refused boolean;
BEGIN
  SELECT * INTO t FROM redoubt.token_type AS k WHERE k.typ = wanted;
  IF t.typ IS NULL THEN
    RAISE EXCEPTION '% is not a token type', format_type(wanted, NULL) USING ERRCODE = '42809', HINT = 'redoubt.token_types lists them.';
  END IF;
  RETURN QUERY
    SELECT p.severity, p.object, p.what, p.remedy
    FROM (SELECT q.severity, q.object, q.what, q.remedy
          FROM redoubt.protect_group("table", num) AS g, LATERAL redoubt.protect_parts(g.relation, g.source, wanted) AS q
          WHERE q.severity IS NOT NULL
          -- Functions whose text PostgreSQL does not look into.
          UNION SELECT 'warning', format('function %s', f.oid::regprocedure), 'its text names the table and the column, which holds tokens after the swap', 'Read the function.'
          FROM redoubt.protect_group("table", num) AS g JOIN pg_class AS c ON c.oid = g.relation JOIN pg_attribute AS a ON a.attrelid = g.relation AND a.attnum = g.source
            JOIN pg_proc AS f ON position(lower(c.relname) IN lower(f.prosrc)) > 0 AND position(lower(a.attname) IN lower(f.prosrc)) > 0
            JOIN pg_language AS l ON l.oid = f.prolang AND l.lanname NOT IN ('c', 'internal')
          WHERE f.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'redoubt'::regnamespace)) AS p
    ORDER BY array_position(ARRAY['error', 'swap', 'warning', 'notice'], p.severity), p.object COLLATE "C", p.what COLLATE "C";
  IF t.base = 'bytea' THEN
    RETURN;
  END IF;
  -- The values, by row and reason.
  FOR member IN SELECT g.relation::regclass AS tab, g.source AS num, a.attname FROM redoubt.protect_group("table", num) AS g
                JOIN pg_attribute AS a ON a.attrelid = g.relation AND a.attnum = g.source JOIN pg_class AS c ON c.oid = g.relation AND c.relkind = 'r'
                  AND c.relowner = (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user) AND NOT c.relforcerowsecurity
                WHERE a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'integer'::regtype, 'bigint'::regtype) LOOP
    FOR item IN EXECUTE format('SELECT v.problem, count(*) AS rows, (array_agg(v.place ORDER BY v.place))[1:%1$s] AS places FROM '
                               '(SELECT CASE WHEN %2$L AND starts_with(t.%3$I::text COLLATE "C", ''tok_'') THEN ''it begins as a token does, and would be taken for one'' '
                               'ELSE redoubt.check_value(t.%3$I::text COLLATE "C", %4$L::regtype) END AS problem, %5$s AS place FROM ONLY %6$s AS t WHERE t.%3$I IS NOT NULL) AS v '
                               'WHERE v.problem IS NOT NULL GROUP BY v.problem ORDER BY v.problem',
                               greatest("values", 0), t.format IS NULL, member.attname, wanted, redoubt.protect_row_name(member.tab, member.num), member.tab) LOOP
      refused := t.invalid = 'refuse' OR item.problem ~ '^(it begins|a token|mask character|invalid UTF-8|normalization)';  -- the latter no token may hold
      RETURN QUERY SELECT CASE WHEN refused THEN 'error' ELSE 'warning' END, format('column %I of %s', member.attname, member.tab), format('%s values: %s', item.rows, item.problem),
                          CASE WHEN refused THEN 'Change them first.' ELSE 'They are kept as they were typed, and are equal to themselves alone.' END;
      RETURN QUERY SELECT CASE WHEN refused THEN 'error' ELSE 'warning' END, format('row of %s', member.tab), place, item.problem FROM unnest(item.places) AS place;
    END LOOP;
  END LOOP;
END
$body$;
COMMENT ON FUNCTION redoubt.protect_findings(regclass, name, regtype, integer) IS 'internal: what check_protect() lists, to who may read the table';

-- What is still to be made over the token columns of a group before the swap, in order.
CREATE FUNCTION redoubt.protect_pending("table" regclass, "column" smallint) RETURNS TABLE (kind text, statement text)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    WITH member AS (
        SELECT p.relation, p.source, p.target, p.token_type, a.attname AS target_name, s.attname AS source_name, s.attnotnull, c.relnamespace
        FROM redoubt.protect_group("table", "column") AS g JOIN redoubt.protections AS p ON p.relation = g.relation AND p.source = g.source
          JOIN pg_attribute AS a ON a.attrelid = p.relation AND a.attnum = p.target JOIN pg_attribute AS s ON s.attrelid = p.relation AND s.attnum = p.source
          JOIN pg_class AS c ON c.oid = p.relation),
      old_index AS (
        SELECT m.*, x.indexrelid, n.oid AS made, y.indisvalid
        FROM member AS m JOIN pg_index AS x ON x.indrelid = m.relation
          AND (m.source = ANY (x.indkey) OR x.indexprs::text ~ (':varattno ' || m.source || ' ') OR x.indpred::text ~ (':varattno ' || m.source || ' '))
          LEFT JOIN pg_class AS n ON n.relnamespace = m.relnamespace AND n.relname = 'redoubt_protect_' || x.indexrelid
          LEFT JOIN pg_index AS y ON y.indexrelid = n.oid AND y.indrelid = m.relation AND y.indisunique = x.indisunique AND y.indimmediate
            AND y.indnkeyatts = x.indnkeyatts AND y.indoption::text = x.indoption::text
            AND n.relam = (SELECT c.relam FROM pg_class AS c WHERE c.oid = x.indexrelid)
            AND NOT EXISTS (SELECT FROM unnest(x.indkey, x.indclass, y.indclass) AS u(num, was, is_now) JOIN pg_opclass AS o ON o.oid = u.is_now WHERE u.num <> 0
                            AND CASE WHEN u.num = m.source THEN NOT o.opcdefault AND o.opcname <> 'gin_trgm_ops' ELSE u.was <> u.is_now END)
            AND y.indnullsnotdistinct = x.indnullsnotdistinct
            AND y.indkey::text = (SELECT string_agg((CASE WHEN u.num = 0 THEN 0 ELSE coalesce(o.target, u.num) END)::text, ' ' ORDER BY u.place)
                                  FROM unnest(x.indkey) WITH ORDINALITY AS u(num, place)
                                    LEFT JOIN member AS o ON o.relation = m.relation AND o.source = u.num AND o.source = m.source)
            AND regexp_replace(replace(pg_get_expr(y.indexprs, y.indrelid), quote_ident(m.target_name), quote_ident(m.source_name)), '::text|redoubt\.|_fingerprint|[()]', '', 'g')
                IS NOT DISTINCT FROM regexp_replace(pg_get_expr(x.indexprs, x.indrelid), '::text|redoubt\.|_fingerprint|[()]', '', 'g')
            AND replace(pg_get_expr(y.indpred, y.indrelid), quote_ident(m.target_name), quote_ident(m.source_name)) IS NOT DISTINCT FROM pg_get_expr(x.indpred, x.indrelid))
    SELECT w.kind, w.statement FROM (
      SELECT 1 AS turn, 'index' AS kind, format('DROP INDEX CONCURRENTLY %s', c.oid::regclass) AS statement
      FROM member AS m JOIN pg_index AS x ON x.indrelid = m.relation JOIN pg_class AS c ON c.oid = x.indexrelid
      WHERE c.relname ~ '^redoubt_protect_[0-9]+$' AND (m.target = ANY (x.indkey) OR x.indexprs::text ~ (':varattno ' || m.target || ' ') OR x.indpred::text ~ (':varattno ' || m.target || ' '))
        AND c.oid NOT IN (SELECT i.made FROM old_index AS i WHERE i.made IS NOT NULL AND i.indisvalid)
      UNION ALL
      SELECT 1, 'constraint', format('ALTER TABLE %s DROP CONSTRAINT %I', m.relation::regclass, m.target_name)
      FROM member AS m JOIN pg_constraint AS k ON k.conrelid = m.relation AND k.conname = m.target_name AND k.contype = 'c' AND k.conkey = ARRAY[m.target]
      WHERE NOT m.attnotnull
      UNION ALL
      SELECT 2, 'index', p.statement FROM old_index AS i, LATERAL redoubt.protect_index(i.indexrelid, i.source, i.target_name, i.token_type) AS p
      WHERE i.indisvalid IS NOT TRUE AND p.problem IS NULL
      UNION ALL
      SELECT 3, 'constraint', format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%I IS NOT NULL) NOT VALID', m.relation::regclass, m.target_name, m.target_name)
      FROM member AS m WHERE m.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = m.relation AND k.conname = m.target_name AND k.contype = 'c'
                                                        AND pg_get_expr(k.conbin, k.conrelid) = format('(%I IS NOT NULL)', m.target_name))
      UNION ALL
      SELECT 5, 'constraint', format('ALTER TABLE %s VALIDATE CONSTRAINT %I', m.relation::regclass, k.conname)
      FROM member AS m JOIN pg_constraint AS k ON k.conrelid = m.relation AND k.conname = m.target_name AND k.contype = 'c' AND NOT k.convalidated) AS w
    ORDER BY w.turn, w.statement;
  END;
COMMENT ON FUNCTION redoubt.protect_pending(regclass, smallint) IS 'internal: the statements that are still to run before the swap, in order';

/* Who runs these statements runs what the parser runs.  It reads constants, before CREATE INDEX becomes the owner of the table: those
 * of types that are not PostgreSQL's own are whatever stands behind the name by then.  So nobody but the owner gets such a statement.
 */
CREATE FUNCTION redoubt.protect_indexes("table" regclass, "column" name) RETURNS SETOF text
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  num constant smallint := redoubt.protect_column_number("table", "column");
  statements text[];
  odd regclass;
BEGIN
  IF EXISTS (SELECT FROM redoubt.protect_group("table", num) AS g LEFT JOIN redoubt.protections AS s ON s.relation = g.relation AND s.source = g.source
             WHERE s.step IS DISTINCT FROM 'swap') THEN
    RETURN;
  END IF;
  statements := ARRAY(SELECT p.statement FROM redoubt.protect_pending("table", num) AS p WHERE p.kind = 'index');
  SELECT x.indexrelid INTO odd
  FROM redoubt.protect_group("table", num) AS g JOIN pg_class AS c ON c.oid = g.relation JOIN pg_index AS x ON x.indrelid = g.relation,
    LATERAL regexp_matches(concat(x.indexprs, x.indpred), ':consttype (\d+) ', 'g') AS m(type) JOIN pg_type AS y ON y.oid = m.type[1]::oid
  WHERE c.relowner <> (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = session_user) AND y.typnamespace <> 'pg_catalog'::regnamespace
    AND EXISTS (SELECT FROM unnest(statements) AS u(statement) WHERE position(' redoubt_protect_' || x.indexrelid || ' ON ' IN u.statement) > 0)
  ORDER BY 1 LIMIT 1;
  IF odd IS NOT NULL THEN
    RAISE EXCEPTION 'index % has a constant of a type that is not of pg_catalog', odd
      USING ERRCODE = '42501', HINT = 'The owner of the table makes it; or call protect_column() with build_indexes => true, which does so in the owner''s name.';
  END IF;
  RETURN QUERY SELECT u.statement FROM unnest(statements) AS u(statement);
END
$body$;
COMMENT ON FUNCTION redoubt.protect_indexes(regclass, name) IS 'the CREATE INDEX CONCURRENTLY that protect_column() waits for; none before the column is filled: in psql, ... \gexec';

-- What stands in the way of beginning, as text; null for nothing.
CREATE FUNCTION redoubt.protect_errors("table" regclass, "column" smallint, token_type regtype) RETURNS text
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    SELECT string_agg(DISTINCT p.object || ': ' || p.what || coalesce(' (' || p.remedy || ')', ''), '; ')
    FROM redoubt.protect_group("table", "column") AS g, LATERAL redoubt.protect_parts(g.relation, g.source, token_type) AS p WHERE p.severity = 'error';
  END;
COMMENT ON FUNCTION redoubt.protect_errors(regclass, smallint, regtype) IS 'internal: what stands in the way of protecting a column, of those that check_protect() lists as errors';

-- What the swap takes away or makes anew, and so has to lock, in that order: views from the top down, tables that refer to
-- others before those, indexes.  Others' views are refused.
CREATE FUNCTION redoubt.protect_touched("table" regclass, "column" smallint) RETURNS oid[]
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    WITH RECURSIVE member AS (SELECT g.relation, g.source, row_number() OVER () AS place FROM redoubt.protect_group("table", "column") AS g),
      above (relation, level) AS (
        SELECT r.ev_class, 1 FROM member AS m
          JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = m.relation AND d.refobjsubid = m.source AND d.classid = 'pg_rewrite'::regclass
          JOIN pg_rewrite AS r ON r.oid = d.objid
        UNION
        SELECT r.ev_class, a.level + 1 FROM above AS a
          JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.relation AND d.classid = 'pg_rewrite'::regclass
          JOIN pg_rewrite AS r ON r.oid = d.objid WHERE r.ev_class <> a.relation AND a.level < 20),
      touched AS (
        SELECT 1 AS turn, -max(a.level) AS place, a.relation FROM above AS a WHERE a.relation NOT IN (SELECT m.relation FROM member AS m) GROUP BY a.relation
        UNION ALL SELECT 2, min(m.place), m.relation FROM member AS m GROUP BY m.relation
        UNION ALL SELECT 3, min(m.place), x.indexrelid FROM member AS m JOIN pg_index AS x ON x.indrelid = m.relation GROUP BY x.indexrelid)
    SELECT array_agg(t.relation ORDER BY t.turn, t.place, t.relation)
    FROM touched AS t JOIN pg_class AS c ON c.oid = t.relation AND c.relowner = (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user);
  END;
COMMENT ON FUNCTION redoubt.protect_touched(regclass, smallint) IS 'internal: the views, tables and indexes that the swap of a column takes away or makes anew, as it locks them';

-- All that the swap does besides the columns themselves, or what stands in its way.
CREATE FUNCTION redoubt.protect_plan("table" regclass, "column" smallint,
    OUT object text, OUT what text, OUT remedy text, OUT removals text[], OUT makings text[], OUT valid_tables oid[], OUT valid_names text[])
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
  BEGIN ATOMIC
    WITH member AS MATERIALIZED (
        SELECT s.relation, s.source, s.token_type
        FROM redoubt.protect_group("table", "column") AS g JOIN redoubt.protections AS s ON s.relation = g.relation AND s.source = g.source),
      found AS MATERIALIZED (
        SELECT row_number() OVER () AS place, q.* FROM member AS s, LATERAL redoubt.protect_parts(s.relation, s.source, s.token_type) AS q),
      obstacle AS (SELECT f.object, f.what, f.remedy FROM found AS f WHERE f.severity IN ('error', 'swap') ORDER BY f.place LIMIT 1),
      -- A view of two of the columns is listed twice.  Keys are made first, for what needs them.
      part AS (SELECT f.turn, f.remove, f.make, min(f.place) AS place FROM found AS f GROUP BY f.turn, f.remove, f.make),
      valid AS (
        SELECT f.conrelid, f.conname FROM pg_constraint AS f
        WHERE f.contype = 'f' AND f.convalidated AND EXISTS (SELECT FROM member AS m WHERE m.relation = f.conrelid AND m.source = ANY (f.conkey)))
    SELECT (SELECT o.object FROM obstacle AS o), (SELECT o.what FROM obstacle AS o), (SELECT o.remedy FROM obstacle AS o),
           coalesce((SELECT array_agg(p.remove ORDER BY p.turn, p.place) FROM part AS p WHERE p.remove IS NOT NULL), '{}'),
           coalesce((SELECT array_agg(p.make ORDER BY p.turn <> 10, p.turn DESC, p.place) FROM part AS p WHERE p.make IS NOT NULL), '{}'),
           coalesce((SELECT array_agg(v.conrelid ORDER BY v.conrelid, v.conname) FROM valid AS v), '{}'),
           coalesce((SELECT array_agg(v.conname::text ORDER BY v.conrelid, v.conname) FROM valid AS v), '{}');
  END;
COMMENT ON FUNCTION redoubt.protect_plan(regclass, smallint) IS 'internal: the statements of the swap of a column, or what stands in its way';

-- Rows that a unique index would refuse, because their values differ in spelling only.
CREATE FUNCTION redoubt.protect_twins("table" regclass, "column" smallint) RETURNS void
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET row_security = off
AS $body$
DECLARE
  member record;
  item record;
BEGIN
  FOR member IN SELECT p.relation::regclass AS tab, p.source, a.attname
                FROM redoubt.protect_group("table", "column") AS g JOIN redoubt.protections AS p ON p.relation = g.relation AND p.source = g.source
                  JOIN pg_attribute AS a ON a.attrelid = p.relation AND a.attnum = p.target
                WHERE EXISTS (SELECT FROM pg_index AS x WHERE x.indrelid = p.relation AND x.indisunique AND x.indnkeyatts = 1 AND x.indkey[0] = p.source AND x.indpred IS NULL) LOOP
    EXECUTE format('SELECT count(*) AS n, (array_agg(v.rows))[1:5] AS places FROM (SELECT string_agg(%1$s, '' and '') AS rows FROM ONLY %2$s AS t '
                   'WHERE t.%3$I IS NOT NULL GROUP BY t.%3$I HAVING count(*) > 1) AS v', redoubt.protect_row_name(member.tab, member.source), member.tab, member.attname) INTO item;
    IF item.n > 0 THEN
      RAISE EXCEPTION '% values of table % are equal to others, but for their spelling', item.n, member.tab
        USING ERRCODE = '23505', DETAIL = array_to_string(item.places, '; '), HINT = 'Change these rows, then CALL redoubt.protect_column(...) again.';
    END IF;
  END LOOP;
END
$body$;
COMMENT ON FUNCTION redoubt.protect_twins(regclass, smallint) IS 'internal: raises 23505 where a unique index would not take the tokens; charges a probe for each row';

CREATE PROCEDURE redoubt.protect_column("table" regclass, "column" name, token_type regtype, batch integer DEFAULT 5000, share numeric DEFAULT 0.15,
    max_lag text DEFAULT NULL, lock_timeout interval DEFAULT '100 ms', retries integer DEFAULT 300, build_indexes boolean DEFAULT false, swap boolean DEFAULT true)
  LANGUAGE plpgsql
AS $body$
DECLARE
  state text;
  tries integer := 0;
  started timestamptz;
BEGIN
  IF pg_catalog.num_nulls("table", "column", token_type, batch, share, lock_timeout, retries, build_indexes, swap) OPERATOR(pg_catalog.>) 0
     OR batch OPERATOR(pg_catalog.<) 1 OR share OPERATOR(pg_catalog.<) 0.001 OR share OPERATOR(pg_catalog.>) 1.0 THEN
    RAISE EXCEPTION 'invalid argument of protect_column' USING ERRCODE = '22023', HINT = 'Only max_lag may be null; a batch has at least one row; share is from 0.001 to 1.';
  END IF;
  LOOP
    started := pg_catalog.clock_timestamp();
    state := redoubt.protect_step("table", "column", token_type, batch, lock_timeout, build_indexes, swap);
    COMMIT;
    IF state OPERATOR(pg_catalog.=) 'again' THEN
      tries := 0;
      -- The rest of the time is the application's.
      PERFORM pg_catalog.pg_sleep_for((pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) started)
                                      OPERATOR(pg_catalog.*) ((1.0 OPERATOR(pg_catalog.-) share) OPERATOR(pg_catalog./) share)::double precision);
    ELSIF state OPERATOR(pg_catalog.=) 'next' THEN
      tries := 0;
    ELSIF state OPERATOR(pg_catalog.=) 'locked' THEN
      PERFORM pg_catalog.pg_sleep(0.1);
    ELSIF state OPERATOR(pg_catalog.=) ANY (ARRAY['retry', 'older', 'slow']) THEN
      -- Each one that is slow stops the application for the time that it may.
      tries := tries OPERATOR(pg_catalog.+) CASE WHEN state OPERATOR(pg_catalog.=) 'slow' THEN retries OPERATOR(pg_catalog./) 5 OPERATOR(pg_catalog.+) 1 ELSE 1 END;
      IF tries OPERATOR(pg_catalog.>) retries THEN
        IF state OPERATOR(pg_catalog.=) 'older' THEN
          RAISE EXCEPTION 'a transaction still runs that sees table % without its tokens', "table"
            USING ERRCODE = '55006', HINT = 'What was done is kept: call again.  pg_stat_activity.backend_xmin, pg_prepared_xacts and pg_replication_slots.xmin show what holds it.';
        END IF;
        IF state OPERATOR(pg_catalog.=) 'slow' THEN
          RAISE EXCEPTION 'the swap of column % of table % takes longer than %', pg_catalog.quote_ident("column"), "table", lock_timeout
            USING ERRCODE = '55000', HINT = 'Call again with a longer lock_timeout, or drop some of the indexes and views that are made anew.  What was done is kept.';
        END IF;
        RAISE EXCEPTION 'could not lock table % within %', "table", lock_timeout
          USING ERRCODE = '55P03', HINT = 'Some transaction holds it: call again in a quieter hour.  What was done is kept.';
      END IF;
      PERFORM pg_catalog.pg_sleep(0.3);
    ELSE
      EXIT;
    END IF;
    WHILE max_lag IS NOT NULL AND redoubt.standby_lag() OPERATOR(pg_catalog.>) pg_catalog.pg_size_bytes(max_lag) LOOP
      PERFORM pg_catalog.pg_sleep(0.2);
      COMMIT;
    END LOOP;
  END LOOP;
  IF state OPERATOR(pg_catalog.=) 'indexes' THEN
    RAISE NOTICE 'column % of table % is filled and verified, and waits for its indexes', "column", "table"
      USING HINT = 'In psql: SELECT redoubt.protect_indexes(...) \gexec; then call protect_column() again.  redoubt-protect does all of it.';
  ELSIF state OPERATOR(pg_catalog.=) 'ready' THEN
    RAISE NOTICE 'column % of table % is ready to be swapped', "column", "table" USING HINT = 'Call protect_column() again with swap => true.';
  END IF;
END
$body$;
COMMENT ON PROCEDURE redoubt.protect_column(regclass, name, regtype, integer, numeric, text, interval, integer, boolean, boolean) IS
  'makes a column a token column while the application goes on; commits after each batch; called again, goes on where it was';

CREATE PROCEDURE redoubt.protect_undo("table" regclass, "column" name, lock_timeout interval DEFAULT '100 ms', retries integer DEFAULT 300)
  LANGUAGE plpgsql
AS $body$
DECLARE
  tries integer := 0;
BEGIN
  WHILE redoubt.protect_undo_step("table", "column", lock_timeout) OPERATOR(pg_catalog.=) 'retry' LOOP
    COMMIT;
    tries := tries OPERATOR(pg_catalog.+) 1;
    IF tries OPERATOR(pg_catalog.>) retries THEN
      RAISE EXCEPTION 'could not lock table % within %', "table", lock_timeout USING ERRCODE = '55P03', HINT = 'Some transaction holds it: call again in a quieter hour.';
    END IF;
    PERFORM pg_catalog.pg_sleep(0.3);
  END LOOP;
END
$body$;
COMMENT ON PROCEDURE redoubt.protect_undo(regclass, name, interval, integer) IS 'takes back what protect_column() did, up to the swap';

CREATE FUNCTION redoubt.count_copies("table" oid, "column" smallint, tables oid[], columns smallint[]) RETURNS bigint[]
  AS 'MODULE_PATHNAME', 'redoubt_count_copies' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.count_copies(oid, smallint, oid[], smallint[]) IS
  'internal, for find_plaintext(): how many values of each of those columns are in the token column, too; null for one that the caller may not read; charges a tokenization for each value';
REVOKE ALL ON FUNCTION redoubt.count_copies(oid, smallint, oid[], smallint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.count_copies(oid, smallint, oid[], smallint[]) TO redoubt_admin;

/* find_plaintext lists where old values of a token column may still lie, and counts copies of its values in other columns.
 *
 * Columns are read as the tables hold them, without a query, so that nothing of a table's own runs in the name of whoever
 * asks.  Columns that he may not read, or whose rows a policy hides from him, are named and not read.
 */
CREATE FUNCTION redoubt.find_plaintext("table" regclass, "column" name) RETURNS TABLE (place text, rows bigint, what text, remedy text)
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_variable
DECLARE
  num constant smallint := redoubt.protect_column_number("table", "column");
  wanted regtype;
  tables oid[];
  numbers smallint[];
  names text[];
  counts bigint[];
BEGIN
  SELECT k.typ INTO wanted FROM pg_attribute AS a JOIN redoubt.token_type AS k ON k.typ = a.atttypid
  WHERE a.attrelid = "table" AND a.attnum = num AND k.deterministic AND k.base = 'text';
  IF wanted IS NULL THEN
    RAISE EXCEPTION 'column % of table % is no column of a deterministic token type on text', quote_ident("column"), "table" USING ERRCODE = '42809';
  END IF;
  RETURN QUERY SELECT 'table ' || "table", greatest(c.reltuples, 0)::bigint, 'rows may still hold the values of a dropped column', format('VACUUM FULL %s;', "table")
  FROM pg_class AS c WHERE c.oid = "table" AND EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attisdropped AND a.attlen = -1);
  IF pg_has_role('pg_read_all_stats', 'USAGE') THEN
    RETURN QUERY SELECT 'table ' || s.relid::regclass::text, s.n_dead_tup, 'dead rows', format('VACUUM FULL %s;', s.relid::regclass)
    FROM pg_stat_all_tables AS s WHERE s.relid IN ("table", 'pg_statistic'::regclass) AND s.n_dead_tup > 0;
  ELSE
    RETURN QUERY SELECT 'table ' || t.id::text, NULL::bigint, 'dead rows, if there are any', format('VACUUM FULL %s;', t.id)
    FROM unnest(ARRAY["table", 'pg_statistic'::regclass]) AS t(id);
  END IF;
  RETURN QUERY SELECT 'WAL, its archive, base backups', NULL::bigint, 'hold what was written before the swap', 'Let them expire.';
  WITH RECURSIVE texts (oid) AS (
    SELECT y FROM unnest(ARRAY['text'::regtype, 'varchar'::regtype, 'bpchar'::regtype]::oid[]) AS y
    UNION SELECT y.oid FROM pg_type AS y JOIN texts AS t ON y.typtype = 'd' AND y.typbasetype = t.oid)
  SELECT array_agg(c.oid ORDER BY f.tab, a.attnum), array_agg(a.attnum ORDER BY f.tab, a.attnum), array_agg(format('%s.%I', f.tab, a.attname) ORDER BY f.tab, a.attnum)
    INTO tables, numbers, names
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped, LATERAL (SELECT c.oid::regclass::text COLLATE "C" AS tab) AS f
  WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND a.atttypid IN (SELECT t.oid FROM texts AS t)
    AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'redoubt'::regnamespace);
  counts := redoubt.count_copies("table", num, tables, numbers);
  RETURN QUERY SELECT 'column ' || v.name, v.n, CASE WHEN v.n IS NULL THEN 'was not looked at' ELSE 'values that are in the token column, too' END,
    CASE WHEN v.n IS NOT NULL THEN 'Protect it as well, with ' || wanted || '.'
         WHEN redoubt.protect_label(v.tab, v.num) IS NOT NULL THEN 'Reading it is charged, for it is protected by a label. Make it a token column as well.'
         WHEN NOT has_column_privilege(v.tab, v.num, 'SELECT') THEN format('Ask as a role that may read it: GRANT SELECT ON %s TO %I;', v.tab::regclass, current_user)
         ELSE 'Ask as a role from which row security hides no rows of it.' END
  FROM unnest(tables, numbers, names, counts) AS v(tab, num, name, n) WHERE v.n IS DISTINCT FROM 0;
END
$body$;
COMMENT ON FUNCTION redoubt.find_plaintext(regclass, name) IS 'where old values of a token column may still lie, and how many copies of its values other text columns hold; charges a tokenization for each value it compares';
REVOKE ALL ON FUNCTION redoubt.find_plaintext(regclass, name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.find_plaintext(regclass, name) TO redoubt_admin;

-- ----------------------------------------------------- one budget over several servers

CREATE FUNCTION redoubt.lease_budget(role text, token_type text, operation text, needed integer, wanted integer, unused integer,
                                     OUT granted integer, OUT on_excess text, OUT retry_ms bigint, OUT longest_ms bigint)
  AS 'MODULE_PATHNAME', 'redoubt_lease_budget' LANGUAGE c VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.lease_budget(text, text, text, integer, integer, integer) IS
  'for servers whose redoubt.budget_server is this one: charges values that they deliver; who may call it can use up budgets';
REVOKE ALL ON FUNCTION redoubt.lease_budget(text, text, text, integer, integer, integer) FROM PUBLIC;

-- ------------------------------------------------------------- what \d+ and \dT+ show

COMMENT ON TYPE redoubt.email_token IS 'sealed token of an e-mail address';
COMMENT ON TYPE redoubt.phone_token IS 'sealed token of a telephone number, of the United States where it has no country';
COMMENT ON TYPE redoubt.name_token IS 'sealed token of a name';
COMMENT ON TYPE redoubt.text_token IS 'sealed token of any text';
COMMENT ON TYPE redoubt.bytes_token IS 'sealed token of a bytea';

COMMENT ON COLUMN redoubt.usage.role IS 'the login role that was charged; a number where it was dropped';
COMMENT ON COLUMN redoubt.usage.operation IS 'reveal, masked, read, probe or tokenize';
COMMENT ON COLUMN redoubt.usage.charged IS 'values since the time in the column since';
COMMENT ON COLUMN redoubt.usage.remaining IS 'how many values the limits admit at once, now; null: no limit applies';
COMMENT ON COLUMN redoubt.usage.next_allowed IS 'when the next value is allowed; null: now';
COMMENT ON COLUMN redoubt.usage.delayed_ms IS 'how long statements have slept for limits';
COMMENT ON COLUMN redoubt.usage.blocked IS 'whether the next value would be refused';
COMMENT ON COLUMN redoubt.usage.since IS 'the first charge, or the last reset_usage()';
COMMENT ON COLUMN redoubt.usage.role_name IS 'the name of the role, not quoted';
COMMENT ON COLUMN redoubt.activity.pid IS 'the session that is held back';
COMMENT ON COLUMN redoubt.activity."limit" IS 'the id of the limit, as in redoubt.limits';
COMMENT ON COLUMN redoubt.activity.since IS 'when the charge that waits began';
COMMENT ON COLUMN redoubt.activity.until IS 'when it is allowed, as far as is known now';
COMMENT ON COLUMN redoubt.limits.role IS 'the role and its members; null: every role';
COMMENT ON COLUMN redoubt.limits.token_type IS 'null: every type, all by one bucket';
COMMENT ON COLUMN redoubt.limits.operation IS 'reveal, masked, read, probe or tokenize';
COMMENT ON COLUMN redoubt.limits.max_values IS 'how many values in the time of per';
COMMENT ON COLUMN redoubt.limits.burst IS 'how many at once; null: per is one statement';
COMMENT ON COLUMN redoubt.limits.on_excess IS 'log, throttle, degrade, block or suspend';
COMMENT ON COLUMN redoubt.limits.max_delay IS 'of throttle: the longest time that one statement may sleep';
COMMENT ON COLUMN redoubt.limits.shared IS 'one bucket for all login roles together, instead of one each';
COMMENT ON COLUMN redoubt.audit.segment IS 'the number of the file';
COMMENT ON COLUMN redoubt.audit.sequence IS 'the number of the event';
COMMENT ON COLUMN redoubt.audit.outcome IS 'intent, success, aborted, denied or failure';
COMMENT ON COLUMN redoubt.audit.session_user_name IS 'the login role: who is charged';
COMMENT ON COLUMN redoubt.audit.current_user_name IS 'the role whose privilege counted';
COMMENT ON COLUMN redoubt.audit.client_addr IS 'null: a local socket';
COMMENT ON COLUMN redoubt.audit.count IS 'how many values, or as the event says';
COMMENT ON COLUMN redoubt.audit.query_id IS 'as in pg_stat_statements; needs compute_query_id = on';
COMMENT ON COLUMN redoubt.audit.record IS 'the whole event';
COMMENT ON COLUMN redoubt.audit.server IS 'the id of the server that wrote it';
COMMENT ON COLUMN redoubt.token_types.method IS 'sealed, fpe or vault';
COMMENT ON COLUMN redoubt.token_types.key IS 'the data key of its tokens';
COMMENT ON COLUMN redoubt.token_types.shipped IS 'whether it is part of the extension';
COMMENT ON COLUMN redoubt.token_types.ttl IS 'of method vault: how long a value is kept; null: until it is forgotten';
COMMENT ON COLUMN redoubt.token_types.invalid IS 'what becomes of a value that the type cannot read: keep or refuse';
COMMENT ON COLUMN redoubt.limit_presets.preset IS 'the argument of set_limits()';
COMMENT ON COLUMN redoubt.key.kek_fingerprint IS 'the key-encryption key that wraps it; of a destroyed one, that wrapped it';
