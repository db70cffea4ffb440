--
-- Own tables change through the extension's functions or by their owner, whatever privilege a role has on them; and
-- what a token type is made of stays what it was: nobody drops, replaces or forges a part of it.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE ROLE regress_gates_writer LOGIN IN ROLE pg_write_all_data, pg_read_all_data;
CREATE ROLE regress_gates_grantee LOGIN;
CREATE ROLE regress_gates_maker LOGIN IN ROLE redoubt_admin;
CREATE ROLE regress_gates_reader LOGIN;
RESET client_min_messages;
SELECT coalesce(max(sequence), 0) AS before_test FROM redoubt.audit \gset
SELECT redoubt.set_limit('regress_gates_reader', NULL, 'reveal', 10, '1 day') > 0 AS limited;

-- ------------------------------------------------------------- own tables

-- Each statement that writes, on each table, for a role that may write every table of the database.
GRANT ALL ON redoubt.token_type, redoubt.key, redoubt.limit_rule, redoubt.vault TO regress_gates_grantee;
CREATE FUNCTION pg_temp.refused(role text) RETURNS TABLE (own text, command text, answer text) LANGUAGE plpgsql AS $body$
DECLARE
  written text;
BEGIN
  EXECUTE format('SET ROLE %I', role);
  FOR own, written IN VALUES ('token_type', 'mask'), ('key', 'created_by'), ('limit_rule', 'operation'), ('vault', 'token') LOOP
    FOREACH command IN ARRAY ARRAY['INSERT INTO redoubt.%1$s SELECT * FROM redoubt.%1$s', 'INSERT INTO redoubt.%1$s SELECT * FROM redoubt.%1$s ON CONFLICT DO NOTHING',
        'UPDATE redoubt.%1$s SET %2$s = %2$s', 'UPDATE redoubt.%1$s SET %2$s = %2$s WHERE false', 'DELETE FROM redoubt.%1$s', 'TRUNCATE redoubt.%1$s',
        'WITH gone AS (DELETE FROM redoubt.%1$s RETURNING *) SELECT FROM gone',
        'MERGE INTO redoubt.%1$s AS a USING redoubt.%1$s AS b ON true WHEN MATCHED THEN DELETE', 'SELECT FROM redoubt.%1$s FOR UPDATE',
        'ALTER TABLE redoubt.%1$s DISABLE TRIGGER ALL', 'ALTER TABLE redoubt.%1$s DISABLE TRIGGER guard', 'DROP TRIGGER guard ON redoubt.%1$s',
        'CREATE RULE r AS ON DELETE TO redoubt.%1$s DO INSTEAD NOTHING'] LOOP
      answer := 'done';
      BEGIN
        EXECUTE format(command, own, written);
      EXCEPTION WHEN OTHERS THEN
        answer := SQLSTATE;
      END;
      IF answer <> '42501' THEN RETURN NEXT; END IF;
    END LOOP;
  END LOOP;
  RESET ROLE;
END
$body$;
-- All of them refused, but for the locks of rows, which change nothing.
SELECT * FROM pg_temp.refused('regress_gates_writer');
SELECT * FROM pg_temp.refused('regress_gates_grantee');
REVOKE ALL ON redoubt.token_type, redoubt.key, redoubt.limit_rule, redoubt.vault FROM regress_gates_grantee;

SET ROLE regress_gates_writer;
DELETE FROM redoubt.limit_rule;
COPY redoubt.limit_rule FROM STDIN;
\.
UPDATE redoubt.token_type SET class_id = '5e1b0a3c-7d52-4c0e-9a6f-1f2d3c4b5aff' WHERE typ = 'redoubt.email_token'::regtype;
-- Nor through the views, which PostgreSQL makes updatable.
UPDATE redoubt.limits SET max_values = 1000000;
DELETE FROM redoubt.limits;
UPDATE redoubt.token_types SET mask = 'keep_last(64)';
-- Nor as a replica, whose ordinary triggers are off.
SET session_replication_role = replica;
RESET ROLE;
SET session_replication_role = replica;
SET ROLE regress_gates_writer;
DELETE FROM redoubt.limit_rule;
RESET ROLE;
RESET session_replication_role;
SELECT operation, count(*) > 0 AS recorded FROM redoubt.audit
WHERE sequence > :before_test AND event = 'denial' AND detail LIKE 'table redoubt.%' GROUP BY 1 ORDER BY 1;

-- The trigger of rows is the one that an apply worker fires.
SELECT tgrelid::regclass, tgname, tgenabled, tgtype FROM pg_trigger
WHERE tgfoid = 'redoubt.guard_own_table'::regproc ORDER BY tgname, tgrelid::regclass::text COLLATE "C";
-- Whose privileges count is the owner's: a member of that role may.
SELECT redoubt.drop_limit('regress_gates_reader', NULL, 'reveal');

-- ------------------------------------------------------------------ gates

CREATE SCHEMA gates_s AUTHORIZATION regress_gates_maker;
GRANT CREATE, USAGE ON SCHEMA gates_s TO PUBLIC;
SET SESSION AUTHORIZATION regress_gates_maker;
SELECT redoubt.create_token_type('gates_s.ssn', pattern => '^[0-9-]+$');
SELECT redoubt.create_token_type('gates_s.card', method => 'fpe', format => 'digits(8,20)');
SELECT redoubt.create_token_type('gates_s.code', method => 'vault');
RESET SESSION AUTHORIZATION;
GRANT EXECUTE ON FUNCTION gates_s.code(text) TO regress_gates_reader;
SET ROLE regress_gates_reader;
SELECT redoubt.vault_token('4711', 'gates_s.code') IS NOT NULL AS made;
RESET ROLE;

-- The owner of the schema, who owns nothing of a type in it, drops each part by hand: nothing goes.
CREATE FUNCTION pg_temp.parts() RETURNS TABLE (statement text) LANGUAGE sql AS $body$
  SELECT format('DROP %s %s CASCADE', CASE i.type WHEN 'operator class' THEN 'OPERATOR CLASS' WHEN 'operator family' THEN 'OPERATOR FAMILY' ELSE upper(i.type) END, i.identity)
  FROM (SELECT 'pg_proc'::regclass AS catalog, oid FROM pg_proc WHERE pronamespace = 'gates_s'::regnamespace
        UNION ALL SELECT 'pg_type', oid FROM pg_type WHERE typnamespace = 'gates_s'::regnamespace AND typelem = 0
        UNION ALL SELECT 'pg_operator', oid FROM pg_operator WHERE oprnamespace = 'gates_s'::regnamespace
        UNION ALL SELECT 'pg_opclass', oid FROM pg_opclass WHERE opcnamespace = 'gates_s'::regnamespace
        UNION ALL SELECT 'pg_opfamily', oid FROM pg_opfamily WHERE opfnamespace = 'gates_s'::regnamespace
        UNION ALL SELECT 'pg_namespace', 'gates_s'::regnamespace) AS o, pg_identify_object(o.catalog, o.oid, 0) AS i
$body$;
CREATE FUNCTION pg_temp.dropped() RETURNS TABLE (parts bigint, refused bigint) LANGUAGE plpgsql AS $body$
DECLARE
  statements text[] := ARRAY(SELECT p.statement FROM pg_temp.parts() AS p);
  one text;
BEGIN
  parts := cardinality(statements);
  refused := 0;
  SET LOCAL client_min_messages = error;
  SET ROLE regress_gates_maker;
  FOREACH one IN ARRAY statements LOOP
    BEGIN
      EXECUTE one;
    EXCEPTION WHEN insufficient_privilege THEN
      refused := refused + 1;
    END;
  END LOOP;
  RESET ROLE;
  RETURN NEXT;
END
$body$;
SELECT parts > 60 AS many, parts - refused AS gone FROM pg_temp.dropped();
SET client_min_messages = warning;
SET ROLE regress_gates_maker;
DROP FUNCTION gates_s.ssn(text) CASCADE;
DROP TYPE gates_s.card CASCADE;
DROP FUNCTION gates_s.code_out(gates_s.code) CASCADE;
DROP SCHEMA gates_s CASCADE;
RESET client_min_messages;
CREATE OR REPLACE FUNCTION gates_s.ssn(text) RETURNS gates_s.ssn LANGUAGE sql AS 'SELECT NULL::gates_s.ssn';
ALTER FUNCTION gates_s.ssn(text) RENAME TO was_ssn;
ALTER FUNCTION gates_s.ssn(text) OWNER TO regress_gates_maker;
GRANT EXECUTE ON FUNCTION gates_s.ssn(text) TO PUBLIC;
SELECT redoubt.tokenize('123-45-6789', 'gates_s.ssn');
-- What others made that merely uses a type is for the owner of the schema to drop.
RESET ROLE;
SET ROLE regress_gates_reader;
CREATE FUNCTION gates_s.mine(gates_s.ssn) RETURNS gates_s.ssn LANGUAGE sql AS 'SELECT $1';
CREATE DOMAIN gates_s.my_domain AS gates_s.ssn;
CREATE TABLE gates_s.my_table (a gates_s.ssn, b gates_s.card[]);
SET ROLE regress_gates_maker;
DROP TABLE gates_s.my_table;
DROP DOMAIN gates_s.my_domain;
DROP FUNCTION gates_s.mine(gates_s.ssn);
RESET ROLE;

-- A function in the place of a gate, in case one is missing, is no gate: here a superuser took it away.
BEGIN;
SET LOCAL client_min_messages = error;
DROP FUNCTION gates_s.ssn(text) CASCADE;
SET ROLE regress_gates_maker;
CREATE FUNCTION gates_s.ssn(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
GRANT EXECUTE ON FUNCTION gates_s.ssn(text) TO regress_gates_maker;
SAVEPOINT s;
SELECT redoubt.tokenize('123-45-6789', 'gates_s.ssn');
ROLLBACK TO s;
SELECT redoubt.tokenize(ARRAY['123-45-6789'], 'gates_s.ssn');
ROLLBACK TO s;
SELECT redoubt.find_token('123-45-6789', 'gates_s.ssn');
ROLLBACK;

-- drop_token_type() is the way, and it asks the vault; what is labelled trusted elsewhere does not matter.
CREATE FUNCTION gates_s.trusted(text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS 'SELECT $1';
SECURITY LABEL FOR redoubt ON FUNCTION gates_s.trusted(text) IS 'trusted';
SET ROLE regress_gates_maker;
SELECT redoubt.drop_token_type('gates_s.code');
SELECT redoubt.disable_tokens('gates_s.code');
SELECT redoubt.drop_token_type('gates_s.code');
SELECT redoubt.drop_token_type('gates_s.card');
SELECT redoubt.drop_token_type('gates_s.ssn');
RESET ROLE;
SECURITY LABEL FOR redoubt ON FUNCTION gates_s.trusted(text) IS NULL;
DROP FUNCTION gates_s.trusted(text);
SET ROLE regress_gates_maker;
DROP SCHEMA gates_s;
RESET ROLE;
SET client_min_messages = warning;
DROP OWNED BY regress_gates_writer, regress_gates_grantee, regress_gates_maker, regress_gates_reader;
DROP ROLE regress_gates_writer, regress_gates_grantee, regress_gates_maker, regress_gates_reader;
