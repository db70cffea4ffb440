/* redoubt--0.1--0.2.sql - what version 0.2 adds to the SQL objects of 0.1.
 *
 * CREATE EXTENSION runs redoubt--0.1.sql and then this file, ALTER EXTENSION redoubt UPDATE this file alone: a database
 * that was updated and a new one hold the same objects, and redoubt--0.1.sql never changes again.
 */
\echo Use "ALTER EXTENSION redoubt UPDATE TO '0.2'" to load this file. \quit

-- ------------------------------------------------------ what a restore may lack

-- Not revoked from the owner: a restore writes it.  A dump has a row for each label in it, and for each limit that an
-- earlier restore left out.
CREATE TABLE redoubt.expected (
  kind text NOT NULL CHECK (kind IN ('label', 'limit')),
  object text NOT NULL,
  statement text NOT NULL
);
COMMENT ON TABLE redoubt.expected IS 'what a restored database should have: the labels of its dump, and limits that were left out; see redoubt.check_restore()';
COMMENT ON COLUMN redoubt.expected.statement IS 'what sets the label or limit';
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
  WHERE l.provider = 'redoubt'$condition$);

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
