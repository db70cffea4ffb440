-- Code that nobody looked at when the statement was planned is given no protected value: domains that get a check later,
-- in one statement, under a generic plan, under an open cursor.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE SCHEMA unknown_test;
CREATE ROLE regress_unknown_reader LOGIN;
GRANT USAGE, CREATE ON SCHEMA unknown_test TO regress_unknown_reader;
CREATE TABLE unknown_test.cust (id int PRIMARY KEY, email text);
INSERT INTO unknown_test.cust SELECT g, 'c' || g || '@example.com' FROM generate_series(1, 20) g;
SECURITY LABEL FOR redoubt ON COLUMN unknown_test.cust.email IS 'redoubt.text_token';
GRANT SELECT ON unknown_test.cust TO regress_unknown_reader;
CREATE TABLE unknown_test.loot (n int, CHECK (n >= 0));
GRANT INSERT ON unknown_test.loot TO regress_unknown_reader;
CREATE FUNCTION unknown_test.spent() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT string_agg(operation || ' ' || charged, ', ' ORDER BY operation) FROM redoubt.usage
        WHERE role = 'regress_unknown_reader'::regrole AND operation IN ('read', 'probe') AND charged > 0 $$;
CREATE SEQUENCE unknown_test.leaked;
GRANT USAGE ON unknown_test.leaked TO regress_unknown_reader;
SELECT redoubt.reset_usage();
\c - regress_unknown_reader
SET client_min_messages = warning;
SET search_path = unknown_test, pg_catalog;
-- Called, it has seen a value.
CREATE FUNCTION lk(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('unknown_test.leaked'); RETURN true; END $$;
CREATE FUNCTION seen() RETURNS bigint LANGUAGE sql AS $$ SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM unknown_test.leaked $$;
\c - postgres
ALTER SEQUENCE unknown_test.leaked OWNER TO regress_unknown_reader;
\c - regress_unknown_reader
SET client_min_messages = warning;
SET search_path = unknown_test, pg_catalog;
CREATE DOMAIN rd AS text;
CREATE TYPE rc AS (e rd);
CREATE FUNCTION arm() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER DOMAIN rd DROP CONSTRAINT IF EXISTS c'; EXECUTE 'ALTER DOMAIN rd ADD CONSTRAINT c CHECK (lk(value))'; RETURN 1; END $$;
CREATE FUNCTION disarm() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER DOMAIN rd DROP CONSTRAINT IF EXISTS c'; RETURN 1; END $$;

-- One statement that gives the domain its check before it reads.
SELECT count(jsonb_populate_record(NULL::rc, jsonb_build_object('e', email))) FROM (SELECT arm() OFFSET 0) s, cust;
SELECT count(json_populate_record(NULL::rc, json_build_object('e', email))) FROM (SELECT arm() OFFSET 0) s, cust;
SELECT count(*) FROM (SELECT arm() OFFSET 0) s, cust, jsonb_populate_recordset(NULL::rc, jsonb_build_array(jsonb_build_object('e', email)));
SELECT count(*) FROM (SELECT arm() OFFSET 0) s, cust, jsonb_to_record(jsonb_build_object('e', email)) AS r(e rd);
SELECT count(*) FROM (SELECT arm() OFFSET 0) s, cust, json_to_recordset(json_build_array(json_build_object('e', email))) AS r(e rd);
SELECT count(*) FROM (SELECT arm() OFFSET 0) s, cust, XMLTABLE('/r' PASSING xmlelement(name r, email) COLUMNS e rd PATH '.');
SELECT count(email::rd) FROM (SELECT arm() OFFSET 0) s, cust;
SELECT count(ARRAY[email]::rd[]) FROM (SELECT arm() OFFSET 0) s, cust;
SELECT count(ROW(email)::rc) FROM (SELECT arm() OFFSET 0) s, cust;
SELECT count(format('(%s)', email)::rc) FROM (SELECT arm() OFFSET 0) s, cust;
SELECT seen() <= (regexp_match(spent(), 'read (\d+)'))[1]::int AS paid_for;
SELECT disarm();

-- A generic plan, and an open cursor.
PREPARE q AS SELECT count(jsonb_populate_record(NULL::rc, jsonb_build_object('e', email))) FROM cust;
SET plan_cache_mode = force_generic_plan;
EXECUTE q;
SELECT arm();
EXECUTE q;
SELECT disarm();
BEGIN;
DECLARE k CURSOR FOR SELECT 0 UNION ALL SELECT count(jsonb_populate_record(NULL::rc, jsonb_build_object('e', email))) FROM cust;
FETCH 1 FROM k;
SELECT arm();
FETCH 1 FROM k;
ROLLBACK;
SELECT seen() <= (regexp_match(spent(), 'read (\d+)'))[1]::int AS paid_for;

-- A field that the type gets when the plan is running already.
CREATE TYPE rf AS (a int);
CREATE FUNCTION extend() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER TYPE rf ADD ATTRIBUTE e rd'; RETURN 1; END $$;
SELECT arm();
SELECT count(jsonb_populate_record(NULL::rf, jsonb_build_object('e', email))) FROM (SELECT extend() OFFSET 0) s, cust;
SELECT seen() <= (regexp_match(spent(), 'read (\d+)'))[1]::int AS paid_for;

-- What the plan foresees runs, and is paid for; so does what such a function calls itself, and a check of a table written.
SELECT disarm();
CREATE FUNCTION inner_one(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN length($1); END $$;
CREATE FUNCTION outer_one(text) RETURNS int LANGUAGE plpgsql AS $$ DECLARE n int; BEGIN n := inner_one($1) + inner_one($1); RETURN n; END $$;
SELECT max(outer_one(email)) FROM cust;
CREATE TABLE kept (n int CHECK (inner_one(n::text) > 0));
INSERT INTO kept SELECT length(email) FROM cust;
SELECT max(d) FROM (SELECT outer_one(email) AS d FROM cust) s;
CREATE FUNCTION keep(int, text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN greatest($1, inner_one($2)); END $$;
CREATE AGGREGATE longest(text) (sfunc = keep, stype = int, initcond = '0');
SELECT longest(email) FROM cust;
CREATE FUNCTION fails(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE FUNCTION survives(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN fails($1); EXCEPTION WHEN OTHERS THEN RETURN inner_one($1); END $$;
SELECT max(survives(email)) FROM cust;
SELECT seen() <= (regexp_match(spent(), 'read (\d+)'))[1]::int AS paid_for;

-- What only the planner places has no callers.  (For a literal without a type, some minor releases find no such function,
-- others no value of type internal.)
CREATE FUNCTION refused(statement text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN EXECUTE statement; RETURN false;
EXCEPTION WHEN undefined_function OR feature_not_supported THEN RETURN true; END $$;
SELECT refused($$SELECT redoubt.meter(1, '\x00000100a040000001000006')$$);
SELECT refused($$SELECT redoubt.meter(1, NULL)$$);
SELECT refused($$SELECT redoubt.meter_statistics(1, 1, NULL, NULL)$$);
CREATE AGGREGATE forged(int) (sfunc = redoubt.meter, stype = int);
CREATE OPERATOR ##> (FUNCTION = redoubt.meter, LEFTARG = int, RIGHTARG = bytea);
SELECT refused($$CREATE TABLE forged (n int CHECK (redoubt.meter(n, '\x00') > 0))$$);
SELECT refused($$CREATE DOMAIN forged AS int CHECK (redoubt.meter(value, '\x00') > 0)$$);
SELECT has_function_privilege('redoubt.meter(anyelement, internal)', 'EXECUTE') AS asked_of_who_runs_a_plan;

\c - postgres
SET client_min_messages = warning;
DROP SCHEMA unknown_test CASCADE;
DROP ROLE regress_unknown_reader;
