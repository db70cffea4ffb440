--
-- Turning it off is not for the insider: a reader and an owner of a labelled table try to
-- get rid of settings, labels, counters, limits and the extension itself, and to read
-- around them.  Each attempt is refused, or what it delivers is charged: figures() says
-- what, `read` and `probe`, since the last time.
--
-- The table has 20 rows.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_off_owner LOGIN;
CREATE ROLE regress_off_reader LOGIN;
CREATE ROLE regress_off_group;
CREATE ROLE regress_off_all LOGIN IN ROLE pg_read_all_data;
GRANT regress_off_group TO regress_off_reader;
CREATE SCHEMA off_test AUTHORIZATION regress_off_owner;
CREATE SCHEMA off_reader AUTHORIZATION regress_off_reader;
GRANT ALL ON SCHEMA off_reader TO regress_off_owner;
GRANT USAGE ON SCHEMA off_test TO regress_off_reader, regress_off_group;
-- Made here, and a SECURITY DEFINER: who is tested may not reset the counters.
CREATE FUNCTION off_test.figures() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  charged text;
BEGIN
  SELECT string_agg(format('%s %s', u.charged, u.operation), ', ' ORDER BY u.operation DESC) INTO charged
  FROM redoubt.usage AS u WHERE u.charged > 0 AND u.role = session_user::regrole;
  PERFORM redoubt.reset_usage(session_user::regrole);
  RETURN coalesce(charged, 'nothing');
END $$;
CREATE FUNCTION off_test.label_unprotected() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SECURITY LABEL FOR redoubt ON COLUMN off_test.unprotected.email IS 'text_token';
END $$;
SET ROLE regress_off_owner;
SET search_path = off_test;
CREATE TABLE person (id int PRIMARY KEY, email text, note text);
INSERT INTO person SELECT n, 'v' || 1000 + n, 'n' || n FROM generate_series(1, 20) AS n;
GRANT SELECT ON person TO regress_off_reader, regress_off_group;
CREATE TABLE unprotected (id int, email text);
INSERT INTO unprotected SELECT id, note FROM person;
RESET ROLE;
SECURITY LABEL FOR redoubt ON COLUMN person.email IS 'text_token';
ALTER ROLE regress_off_reader SET redoubt.mode = 'enforce';
SELECT 'limited' AS "limit" WHERE redoubt.set_limit('regress_off_reader', 'redoubt.text_token', 'read', 100000, '100 days') IS NOT NULL;

-- ------------------------------------------------------------------ settings

\c - regress_off_reader
SET search_path = off_reader, off_test;
SET client_min_messages = warning;
\pset tuples_only on
\pset format unaligned
SET redoubt.mode = 'learn';
SET redoubt.superuser_access = on;
SET redoubt.kek_file = '/dev/null';
SET redoubt.kek_command = 'true';
SET redoubt.audit_directory = '/tmp';
SET redoubt.audit_durability = 'async';
SET redoubt.audit_segment_size = '64kB';
SET redoubt.max_subjects = 100;
SET redoubt.no_such_setting = on;
SELECT set_config('redoubt.mode', 'observe', false);
BEGIN; SET LOCAL redoubt.mode = 'learn'; ROLLBACK;
RESET redoubt.mode;
RESET ALL;
SET search_path = off_reader, off_test;
SET client_min_messages = warning;
UPDATE pg_settings SET setting = 'learn' WHERE name = 'redoubt.mode';
-- Every setting that is the library's, but the one that only chooses among what is granted.
SELECT name FROM pg_settings WHERE name LIKE 'redoubt.%' AND context IN ('user', 'backend') ORDER BY 1;
ALTER ROLE regress_off_reader SET redoubt.mode = 'learn';
ALTER ROLE regress_off_reader IN DATABASE contrib_regression SET redoubt.mode = 'learn';
-- set above, as where the server only observes but this role is to be stopped
ALTER ROLE regress_off_reader RESET redoubt.mode;
ALTER ROLE regress_off_reader RESET ALL;
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'regress_off_reader'::regrole;
ALTER ROLE ALL SET redoubt.mode = 'learn';
ALTER DATABASE contrib_regression SET redoubt.mode = 'learn';
ALTER SYSTEM SET redoubt.mode = 'learn';
CREATE FUNCTION weakened() RETURNS SETOF text LANGUAGE sql SET redoubt.mode = 'learn' AS 'SELECT email FROM off_test.person';
CREATE FUNCTION weakened() RETURNS SETOF text LANGUAGE sql AS 'SELECT email FROM off_test.person';
ALTER FUNCTION weakened() SET redoubt.mode = 'learn';
CREATE FUNCTION weakens() RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN SET LOCAL redoubt.mode = 'learn'; RETURN QUERY SELECT email FROM off_test.person; END $$;
SELECT weakens();
DO $$ BEGIN PERFORM set_config('redoubt.mode', 'learn', true); END $$;
SET session_replication_role = replica;
SET session_preload_libraries = 'redoubt';
ALTER ROLE regress_off_reader SET session_preload_libraries = 'redoubt';
SET local_preload_libraries = 'redoubt';
LOAD 'redoubt';
LOAD '$libdir/redoubt';
CREATE FUNCTION off_reader.mine() RETURNS void LANGUAGE c AS '$libdir/redoubt', 'redoubt_meter';
SELECT figures();
SET plan_cache_mode = force_generic_plan;
PREPARE kept AS SELECT email FROM person WHERE id <= $1;
EXECUTE kept(3) \g /dev/null
SET plan_cache_mode = force_custom_plan;
EXECUTE kept(3) \g /dev/null
RESET plan_cache_mode;
SET application_name = 'pg_dump';
BEGIN; DECLARE _pg_dump_cursor CURSOR FOR SELECT email FROM person; FETCH 4 FROM _pg_dump_cursor \g /dev/null
COMMIT;
SET jit = off; SET max_parallel_workers_per_gather = 0; SET enable_seqscan = off; SET from_collapse_limit = 1; SET geqo_threshold = 2;
SELECT email FROM person \g /dev/null
SELECT figures();
RESET application_name;

-- ------------------------------------- counters, limits, the extension's objects

SELECT pg_stat_reset();
SELECT redoubt.reset_usage();
SELECT redoubt.reset_usage('regress_off_reader');
SELECT redoubt.drop_limit('regress_off_reader', 'redoubt.text_token', 'read');
SELECT redoubt.set_limit('regress_off_reader', 'redoubt.text_token', 'read', 1000000000, '1 s');
SELECT redoubt.lift_suspension(NULL);
DELETE FROM redoubt.limit_rule;
UPDATE redoubt.limit_rule SET max_values = 1000000000;
TRUNCATE redoubt.limit_rule;
UPDATE redoubt.token_type SET mask = 'full';
LOCK TABLE redoubt.limit_rule;
ALTER TABLE redoubt.limit_rule DISABLE TRIGGER ALL;
CREATE TRIGGER t BEFORE INSERT ON redoubt.limit_rule FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE FUNCTION redoubt.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE OR REPLACE FUNCTION redoubt.meter(anyelement, internal) RETURNS anyelement LANGUAGE sql AS 'SELECT $1';
ALTER FUNCTION redoubt.meter(anyelement, internal) RENAME TO nothing;
DROP FUNCTION redoubt.meter_statistics(anyelement, oid, smallint, internal);
ALTER TYPE redoubt.text_token RENAME TO nothing;
ALTER TYPE redoubt.text_token SET SCHEMA off_reader;
DROP TYPE redoubt.text_token CASCADE;
ALTER SCHEMA redoubt RENAME TO nothing;
DROP SCHEMA redoubt CASCADE;
DROP EXTENSION redoubt CASCADE;
ALTER EXTENSION redoubt DROP FUNCTION redoubt.meter(anyelement, internal);
ALTER EXTENSION redoubt SET SCHEMA public;
ALTER EXTENSION redoubt UPDATE TO '9.9';
CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION suppress_redundant_updates_trigger();
GRANT redoubt_admin TO regress_off_reader;
SET ROLE redoubt_admin;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'redoubt limits';
SELECT redoubt.meter(email, '\x00000000'::bytea) FROM person;
SELECT redoubt.meter_statistics(ARRAY[1], 1, 1::smallint, NULL::text);
SELECT figures();

-- --------------------------------------------------------------- role juggling

SET ROLE regress_off_group;
SELECT count(email), min(email) IS NULL FROM off_test.person;
RESET ROLE;
SELECT figures();
SET ROLE regress_off_owner;
SET SESSION AUTHORIZATION regress_off_owner;
SET SESSION AUTHORIZATION DEFAULT;
SET search_path = off_reader, off_test;
BEGIN; SET LOCAL ROLE regress_off_group; SELECT email FROM off_test.person \g /dev/null
COMMIT;
SELECT figures();
-- a chain of definers: the session pays
CREATE FUNCTION first() RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER SET search_path = off_test, pg_temp AS $$ BEGIN RETURN QUERY SELECT second(); END $$;
\c - regress_off_owner
SET search_path = off_reader, off_test;
SET client_min_messages = warning;
CREATE FUNCTION off_test.second() RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER SET search_path = off_test, pg_temp AS $$ BEGIN RETURN QUERY SELECT email FROM person; END $$;
SELECT first() \g /dev/null
SELECT figures();
\c - regress_off_reader
SET search_path = off_reader, off_test;
SET client_min_messages = warning;
SELECT figures();
SELECT first() \g /dev/null
SELECT figures();

-- ------------------------------------------------- names, views, shadow objects

CREATE TEMP VIEW seen AS SELECT email AS harmless FROM person;
SELECT harmless FROM seen \g /dev/null
SELECT figures();
CREATE TEMP VIEW barrier WITH (security_barrier) AS SELECT * FROM person;
SELECT * FROM barrier \g /dev/null
SELECT figures();
CREATE TEMP TABLE person AS SELECT * FROM off_test.person;
SELECT figures();
SELECT email FROM pg_temp.person \g /dev/null
SELECT figures();
CREATE TEMP TABLE written (e text);
INSERT INTO written SELECT email FROM off_test.person;
SELECT figures();
DROP TABLE pg_temp.person;
CREATE TEMP TABLE limit_rule (LIKE redoubt.limit_rule);
CREATE TEMP TABLE token_type (LIKE redoubt.token_type);
CREATE TEMP TABLE pg_seclabel (LIKE pg_catalog.pg_seclabel);
SET search_path = pg_temp, off_reader, off_test, pg_catalog;
SELECT email FROM person \g /dev/null
SELECT off_test.figures();
SET search_path = off_reader, off_test, pg_catalog;
CREATE FUNCTION meter(anyelement, internal) RETURNS anyelement LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION meter_statistics(anyelement, oid, smallint, internal) RETURNS anyelement LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION see(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RETURN true; END $$;
SELECT count(*) FROM person WHERE see(email);
SELECT figures();
-- a function and an operator that stand before the built-in ones
CREATE FUNCTION lower(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1; END $$;
CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN false; END $$;
CREATE OPERATOR = (FUNCTION = same, LEFTARG = text, RIGHTARG = text);
SELECT count(lower(email)) FROM person;
SELECT figures();
SELECT count(*) FROM person WHERE email = 'v';
SELECT figures();
DROP OPERATOR = (text, text);
SET search_path = off_reader, off_test;
CREATE FUNCTION leakproof(text) RETURNS boolean LANGUAGE plpgsql LEAKPROOF AS $$ BEGIN RETURN true; END $$;
ALTER FUNCTION see(text) LEAKPROOF;
SECURITY LABEL FOR redoubt ON FUNCTION see(text) IS 'trusted';
SECURITY LABEL ON FUNCTION see(text) IS 'trusted';

-- -------------------------------------- cursors, COPY, functions that run queries

BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT email FROM person;
FETCH 5 FROM c \g /dev/null
MOVE ALL FROM c;
FETCH BACKWARD 5 FROM c \g /dev/null
COMMIT;
SELECT figures();
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT email FROM person;
COMMIT;
FETCH ALL FROM h \g /dev/null
SELECT figures();
CLOSE h;
\copy person TO '/dev/null'
SELECT figures();
\copy (SELECT email FROM person) TO '/dev/null' WITH BINARY
SELECT figures();
SELECT table_to_xml('off_test.person', true, false, ''), query_to_xml('SELECT email FROM person', true, false, ''), schema_to_xml('off_test', true, false, '') \g /dev/null
SELECT figures();
SELECT ts_stat('SELECT to_tsvector(''simple'', email) FROM off_test.person') \g /dev/null
SELECT figures();
-- values carried away by side effects
SELECT count(*) FROM person WHERE set_config('mine.kept', email, false) IS NULL;
SELECT figures();
SELECT count(*) FROM person WHERE pg_notify('mine', email) IS NULL;
SELECT figures();
SELECT count(*) FROM person WHERE pg_advisory_xact_lock_shared(substr(email, 2)::int) IS NULL;
SELECT figures();
-- one value by an error, each
SELECT email::int FROM person WHERE id = 1;
SELECT figures();
DO $$ DECLARE n int; BEGIN SELECT email::int INTO n FROM off_test.person WHERE id = 2; EXCEPTION WHEN others THEN NULL; END $$;
SELECT figures();
-- yes or no, each
SELECT 1 FROM person WHERE email = 'v1001';
SELECT figures();
SELECT EXISTS (SELECT FROM person WHERE email LIKE 'v1%');
SELECT figures();
EXPLAIN (COSTS OFF) SELECT 1 FROM person WHERE email > 'v1005' \g /dev/null
SELECT figures();

-- ------------------------------------------------------- the owner's own table

\c - regress_off_owner
SET search_path = off_test;
SET client_min_messages = warning;
SECURITY LABEL FOR redoubt ON COLUMN person.email IS NULL;
SECURITY LABEL FOR redoubt ON COLUMN person.email IS 'name_token';
SECURITY LABEL ON COLUMN person.email IS NULL;
DELETE FROM pg_seclabel;
SELECT email FROM person \g /dev/null
SELECT figures();
\set ON_ERROR_ROLLBACK on
-- Each in a transaction that is rolled back: what it delivers is charged.
BEGIN; ALTER TABLE person RENAME email TO address; SELECT address FROM person \g /dev/null
SELECT figures(); ROLLBACK;
BEGIN; ALTER TABLE person RENAME TO people; SELECT email FROM people \g /dev/null
SELECT figures(); ROLLBACK;
BEGIN; ALTER TABLE person SET SCHEMA off_reader; SELECT email FROM off_reader.person \g /dev/null
SELECT figures(); ROLLBACK;
BEGIN; ALTER SCHEMA off_test RENAME TO off_again; SELECT email FROM off_again.person \g /dev/null
SELECT off_again.figures(); ROLLBACK;
BEGIN; ALTER TABLE person ALTER email TYPE varchar(50); SELECT email FROM person \g /dev/null
SELECT figures(); ROLLBACK;
BEGIN; ALTER TABLE person ALTER email TYPE bytea USING email::bytea; SELECT convert_from(email, 'utf8') FROM person \g /dev/null
SELECT figures(); ROLLBACK;
BEGIN; ALTER TABLE person ALTER id TYPE int USING substr(email, 2)::int; SELECT id FROM person \g /dev/null
SELECT figures(); ROLLBACK;
BEGIN; ALTER TABLE person ADD copy text; UPDATE person SET copy = email; SELECT figures(); ROLLBACK;
BEGIN; ALTER TABLE person ADD copy text GENERATED ALWAYS AS (upper(email)) STORED; SELECT copy FROM person \g /dev/null
SELECT figures();
ALTER TABLE person ALTER copy DROP EXPRESSION; SELECT copy FROM person \g /dev/null
SELECT figures(); ROLLBACK;
-- dropped: a new column of the name is another one, and empty
BEGIN; ALTER TABLE person DROP email; ALTER TABLE person ADD email text; SELECT email FROM person \g /dev/null
SELECT figures(); ROLLBACK;
BEGIN; CREATE TABLE base (id int, email text); ALTER TABLE person INHERIT base; SELECT email FROM base \g /dev/null
SELECT figures(); ROLLBACK;
BEGIN; CREATE TABLE child () INHERITS (person); INSERT INTO child SELECT * FROM person; SELECT figures();
ALTER TABLE child NO INHERIT person; SELECT email FROM child \g /dev/null
SELECT figures();
ALTER TABLE child RENAME email TO address; SELECT address FROM child \g /dev/null
SELECT figures(); ROLLBACK;
BEGIN; CREATE TABLE part (LIKE person) PARTITION BY RANGE (id); ALTER TABLE part ATTACH PARTITION person FOR VALUES FROM (0) TO (100);
SELECT email FROM part \g /dev/null
SELECT figures();
ALTER TABLE part DETACH PARTITION person; SELECT email FROM person \g /dev/null
SELECT figures(); ROLLBACK;
BEGIN; CREATE TYPE shape AS (id int, email text); CREATE TABLE typed OF shape; INSERT INTO typed SELECT id, email FROM person; SELECT figures(); ROLLBACK;
BEGIN; CREATE TYPE shape AS (id int, email text, note text); ALTER TABLE person OF shape; ALTER TYPE shape RENAME ATTRIBUTE email TO address CASCADE; SELECT address FROM person \g /dev/null
SELECT figures(); ROLLBACK;
BEGIN; CREATE TABLE likes (LIKE person INCLUDING ALL); INSERT INTO likes SELECT * FROM person; SELECT figures(); ROLLBACK;
BEGIN; CREATE TABLE filled AS SELECT * FROM person; SELECT figures(); SELECT email FROM filled \g /dev/null
SELECT figures(); ROLLBACK;
BEGIN; CREATE MATERIALIZED VIEW kept AS SELECT email AS e FROM person; SELECT figures(); SELECT e FROM kept \g /dev/null
SELECT figures(); ROLLBACK;
BEGIN; CREATE TABLE rows (p person); INSERT INTO rows SELECT p FROM person AS p; SELECT figures(); ROLLBACK;
-- rules, policies, triggers, MERGE
BEGIN; CREATE RULE r AS ON UPDATE TO person DO ALSO INSERT INTO unprotected VALUES (old.id, old.email);
UPDATE person SET note = ''; SELECT figures(); ROLLBACK;
BEGIN; CREATE VIEW v AS SELECT * FROM person; CREATE RULE r AS ON DELETE TO v DO INSTEAD INSERT INTO unprotected VALUES (old.id, old.email);
DELETE FROM v; SELECT figures(); ROLLBACK;
CREATE FUNCTION see(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN true; END $$;
BEGIN; ALTER TABLE person ENABLE ROW LEVEL SECURITY; ALTER TABLE person FORCE ROW LEVEL SECURITY; CREATE POLICY p ON person USING (see(email));
SELECT count(*) FROM person; SELECT figures(); ROLLBACK;
CREATE FUNCTION on_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION on_statement() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE all_of_them text; BEGIN SELECT string_agg(email, ',') INTO all_of_them FROM changed; RETURN NULL; END $$;
BEGIN; CREATE TRIGGER t AFTER UPDATE ON person FOR EACH ROW EXECUTE FUNCTION on_row(); UPDATE person SET note = ''; SELECT figures(); ROLLBACK;
BEGIN; CREATE CONSTRAINT TRIGGER t AFTER DELETE ON person DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION on_row(); DELETE FROM person; SELECT figures(); ROLLBACK;
BEGIN; CREATE TRIGGER t AFTER UPDATE ON person REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION on_statement(); UPDATE person SET note = ''; SELECT figures(); ROLLBACK;
BEGIN; MERGE INTO unprotected AS u USING person AS p ON u.id = p.id WHEN MATCHED THEN UPDATE SET email = p.email; SELECT figures(); ROLLBACK;
BEGIN; ALTER TABLE person DISABLE TRIGGER ALL; ALTER TABLE person ENABLE REPLICA TRIGGER no_such; ROLLBACK;
\set ON_ERROR_ROLLBACK off
-- as text of the catalogs
DO $$ BEGIN EXECUTE format('COMMENT ON TABLE off_test.person IS %L', (SELECT string_agg(email, ',') FROM off_test.person)); END $$;
SELECT figures();
-- operators, casts and statistics
CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN false; END $$;
CREATE OPERATOR === (FUNCTION = same, LEFTARG = text, RIGHTARG = text, RESTRICT = eqsel);
ANALYZE person;
EXPLAIN (COSTS OFF) SELECT 1 FROM person WHERE email === 'v' \g /dev/null
SELECT figures();
SELECT histogram_bounds FROM pg_stats WHERE schemaname = 'off_test' AND attname = 'email' AND tablename = 'person' \g /dev/null
SELECT figures();
CREATE TYPE boxed AS (v text);
CREATE FUNCTION unbox(boxed) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN $1.v; END $$;
CREATE CAST (boxed AS text) WITH FUNCTION unbox(boxed) AS IMPLICIT;
SELECT count(ROW(email)::boxed::text) FROM person;
SELECT figures();
-- what decoding and files would tell takes other privileges
SELECT pg_create_logical_replication_slot('regress_off', 'test_decoding');
CREATE PUBLICATION regress_off FOR TABLE person WHERE (see(email));
SELECT pg_read_file('PG_VERSION');
COPY person TO PROGRAM 'cat';
COPY person TO '/tmp/regress_off';

-- a foreign key that carries new keys on; the copy in a child of the table is protected, and free
BEGIN;
CREATE TABLE kept () INHERITS (person);
INSERT INTO kept SELECT * FROM person;
UPDATE ONLY person SET email = 'known ' || id;
ALTER TABLE person ADD UNIQUE (id, email);
CREATE TABLE middle (id int, email text, UNIQUE (id, email), FOREIGN KEY (id, email) REFERENCES person (id, email) ON UPDATE CASCADE);
INSERT INTO middle SELECT n, 'known ' || n FROM generate_series(1, 20) AS n;
SELECT figures();
UPDATE ONLY person SET email = kept.email FROM kept WHERE kept.id = person.id;
SELECT figures();
ROLLBACK;
-- what is not a range or an enum's value by itself is given to casts of one's own
BEGIN;
CREATE TYPE span AS RANGE (SUBTYPE = text);
CREATE FUNCTION span_json(span) RETURNS json LANGUAGE plpgsql AS $$ BEGIN RETURN 'null'; END $$;
CREATE CAST (span AS json) WITH FUNCTION span_json(span);
SELECT count(to_json(('[' || email || ',]')::span)) FROM person;
SELECT figures();
ROLLBACK;

-- ------------------------------------- a reader of everything, catalogs as well

ALTER TABLE person ALTER note SET STORAGE EXTERNAL;
CREATE TABLE long (id int, email text);
ALTER TABLE long ALTER email SET STORAGE EXTERNAL;
INSERT INTO long SELECT n, repeat('v', 1990) || n FROM generate_series(1, 5) AS n;
INSERT INTO long SELECT n, repeat('v', 2500) || n FROM generate_series(1, 5) AS n;
SELECT figures();
\c - postgres
SECURITY LABEL FOR redoubt ON COLUMN off_test.long.email IS 'text_token';
SELECT reltoastrelid::regclass AS chunks FROM pg_class WHERE oid = 'off_test.long'::regclass \gset
GRANT USAGE ON SCHEMA off_test TO regress_off_all;
\c - regress_off_all
SELECT off_test.figures();
\set ECHO none
SELECT chunk_data FROM :chunks \g /dev/null
\set ECHO all
SELECT off_test.figures();
SELECT s::text FROM pg_statistic AS s WHERE starelid = 'off_test.person'::regclass AND staattnum = 2 \g /dev/null
SELECT off_test.figures();
\o /dev/null
COPY pg_catalog.pg_statistic TO STDOUT;
\o
SELECT split_part(off_test.figures(), ' read', 1)::int >= 20 AS charged;  -- of whatever other tables there are, too

-- ------------------------- a function that was trusted, a plan made before a label

\c - regress_off_owner
SET search_path = off_test;
SET client_min_messages = warning;
CREATE FUNCTION once_trusted(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN true; END $$;
\c - postgres
SECURITY LABEL FOR redoubt ON FUNCTION off_test.once_trusted(text) IS 'trusted';
\c - regress_off_owner
SET search_path = off_test;
SET client_min_messages = warning;
SELECT count(*) FROM person WHERE once_trusted(email);
SELECT figures();
BEGIN; CREATE OR REPLACE FUNCTION once_trusted(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN see($1); END $$;
SELECT count(*) FROM person WHERE once_trusted(email); SELECT figures(); ROLLBACK;
BEGIN; ALTER FUNCTION once_trusted(text) SET search_path = off_reader; SELECT count(*) FROM person WHERE once_trusted(email); SELECT figures(); ROLLBACK;
BEGIN; DROP FUNCTION once_trusted(text); CREATE FUNCTION once_trusted(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN true; END $$;
SELECT count(*) FROM person WHERE once_trusted(email); SELECT figures(); ROLLBACK;
SELECT count(*) FROM person WHERE once_trusted(email);
SELECT figures();
SET plan_cache_mode = force_generic_plan;
PREPARE early AS SELECT email FROM unprotected;
CREATE FUNCTION early() RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT email FROM unprotected; END $$;
EXECUTE early \g /dev/null
SELECT early() \g /dev/null
SELECT figures();
SELECT label_unprotected();
EXECUTE early \g /dev/null
SELECT figures();
SELECT early() \g /dev/null
SELECT figures();

\c - postgres
SET client_min_messages = warning;
SELECT redoubt.drop_limit('regress_off_reader', 'redoubt.text_token', 'read');
DROP SCHEMA off_test, off_reader CASCADE;
DROP OWNED BY regress_off_owner, regress_off_reader, regress_off_group, regress_off_all;
DROP ROLE regress_off_owner, regress_off_reader, regress_off_group, regress_off_all;
