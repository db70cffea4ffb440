--
-- DDL and errors outside of queries: a constraint that holds or not is a probe, an error that may quote a value costs a
-- read.  Code that would get values is refused: see standing_code.sql.
--
-- Each line of figures: how often the function was called, then what was charged.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_ddl_owner LOGIN;
CREATE SCHEMA ddl_test AUTHORIZATION regress_ddl_owner;
GRANT EXECUTE ON FUNCTION redoubt.reset_usage(regrole) TO regress_ddl_owner;
\c - regress_ddl_owner
SET search_path = ddl_test;
SET client_min_messages = warning;
\pset tuples_only on
\pset format unaligned
CREATE TABLE person (id int PRIMARY KEY, email text, note text);
INSERT INTO person SELECT n, 'v' || 1000 + n, 'n' || n FROM generate_series(1, 20) AS n;
-- A copy of an index's expression, which is no text any more.
CREATE TABLE pattern (a text, CHECK (a <> ''));
CREATE INDEX ON pattern ((a || 'x')) WHERE length(a) > 1;
CREATE TABLE copied (b text UNIQUE, LIKE pattern INCLUDING ALL);
-- What is no table is the server's to refuse.
CREATE STATISTICS none ON x, y FROM (VALUES (1, 2)) AS v(x, y);
-- A sequence counts the calls: neither a rollback nor the rules of maintenance undo it.
CREATE SEQUENCE calls;
CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM nextval('ddl_test.calls'); RETURN true; END $$;
-- How often leak() was called, and what was charged, since the last time.
CREATE FUNCTION figures() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  charged text;
  seen bigint;
BEGIN
  SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO seen FROM ddl_test.calls;
  SELECT string_agg(format('%s %s', u.charged, u.operation), ', ' ORDER BY u.operation DESC, u.charged DESC) INTO charged
  FROM redoubt.usage AS u WHERE u.charged > 0;
  PERFORM setval('ddl_test.calls', 1, false);
  PERFORM redoubt.reset_usage('regress_ddl_owner');
  RETURN format('seen %s, charged %s', seen, coalesce(charged, 'nothing'));
END $$;
\c - postgres
SECURITY LABEL FOR redoubt ON COLUMN ddl_test.person.email IS 'text_token';
\c - regress_ddl_owner
SET search_path = ddl_test;
SET client_min_messages = warning;
SELECT figures();

-- --------------------------------------------------- expressions in ALTER TABLE

ALTER TABLE person ADD CONSTRAINT late CHECK (length(email) > 1) NOT VALID;
SELECT figures();
ALTER TABLE person VALIDATE CONSTRAINT late;
SELECT figures();
ALTER TABLE person DROP CONSTRAINT late;
BEGIN; ALTER TABLE person ADD CHECK (length(email) > 1); SELECT figures(); ROLLBACK;
BEGIN; ALTER TABLE person ADD CHECK (leak(note)); SELECT figures(); ROLLBACK;
-- rows of a child that has the label, by a command on its parent
BEGIN;
CREATE TABLE parent (email text);
ALTER TABLE person INHERIT parent;
ALTER TABLE parent ADD CHECK (length(email) > 1);
SELECT figures();
ROLLBACK;
-- a column filled from a protected one is protected as it is
BEGIN; ALTER TABLE person ALTER note TYPE text USING email; SELECT note FROM person \g /dev/null
SELECT figures(); ROLLBACK;

-- ------------------------------------------------------------------ partitions

-- a bound on the column itself is a question about its values
CREATE TABLE listed (id int NOT NULL, email text, note text) PARTITION BY LIST (email);
ALTER TABLE listed ATTACH PARTITION person FOR VALUES IN ('v1001');
SELECT figures();
DROP TABLE listed;

-- --------------------------------------------------------------------- domains

CREATE DOMAIN address AS text;
ALTER TABLE person ALTER email TYPE address;
CREATE DOMAIN inner_address AS address;
SELECT figures();
ALTER DOMAIN address ADD CONSTRAINT c CHECK (length(VALUE) > 0) NOT VALID;
SELECT figures();
ALTER DOMAIN address VALIDATE CONSTRAINT c;
SELECT figures();
ALTER DOMAIN address ADD CHECK (VALUE < 'v1010');
SELECT figures();
ALTER DOMAIN address ADD CHECK (VALUE::int > 0);
SELECT figures();
-- of a domain over it
ALTER TABLE person ALTER email TYPE inner_address;
SELECT figures();
ALTER DOMAIN address ADD CONSTRAINT d CHECK (length(VALUE) > 0);
SELECT figures();
ALTER TABLE person ALTER email TYPE text;
SELECT figures();
DROP DOMAIN inner_address; DROP DOMAIN address;

-- ------------------------------------------- indexes, statistics, maintenance

VACUUM person;
BEGIN; CREATE INDEX ON person (lower(email)); SELECT figures(); ROLLBACK;
BEGIN; CREATE INDEX ON person (id) WHERE length(email) > 1; SELECT figures(); ROLLBACK;
BEGIN; CREATE UNIQUE INDEX ON person (lower(email)); SELECT figures(); ROLLBACK;
ANALYZE person;
REINDEX TABLE person;
CLUSTER person USING person_pkey;
SELECT figures();
-- the order of rows tells of the key
CREATE INDEX by_email ON person (lower(email));
CLUSTER person USING by_email;
SELECT figures();
CLUSTER;
BEGIN; CLUSTER person; SELECT figures(); ROLLBACK;
DROP INDEX by_email;

-- --------------------------------------------------------- extended statistics

UPDATE person SET email = 'v1001', note = 'n' WHERE id <= 10;
CREATE STATISTICS pairs (mcv) ON email, note FROM person;
CREATE STATISTICS whole ON (email || '') FROM person;
CREATE STATISTICS others (mcv) ON id, note FROM person;
ANALYZE person;
SELECT figures();
SELECT cardinality(most_common_vals) FROM pg_stats_ext WHERE tablename = 'person' AND statistics_name = 'pairs';
SELECT figures();
SELECT cardinality(most_common_vals) > 0 FROM pg_stats_ext WHERE tablename = 'person' AND statistics_name = 'others';
SELECT figures();
SELECT most_common_vals, histogram_bounds FROM pg_stats_ext_exprs WHERE tablename = 'person';
SELECT figures();
SELECT statistics_name FROM pg_stats_ext WHERE tablename = 'person' ORDER BY 1;
SELECT figures();
-- an operator of one's own gets the most common values when a query is planned
CREATE FUNCTION compare(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN ddl_test.leak($1); END $$;
CREATE OPERATOR === (FUNCTION = compare, LEFTARG = text, RIGHTARG = text, RESTRICT = eqsel);
EXPLAIN (COSTS OFF) SELECT 1 FROM person WHERE email === 'x' AND note = 'n' \g /dev/null
SELECT figures();
EXPLAIN (COSTS OFF) SELECT 1 FROM person WHERE (email || '') === 'x' \g /dev/null
SELECT figures();
EXPLAIN (COSTS OFF) SELECT 1 FROM person WHERE note === 'x' AND id = 1 \g /dev/null
SELECT figures();
DROP OPERATOR === (text, text); DROP FUNCTION compare(text, text);
DROP STATISTICS pairs, whole, others;

-- --------------------------------------------- errors that may quote a value

CREATE UNIQUE INDEX ON person (email);
SELECT figures();
ALTER TABLE person ADD UNIQUE (email);
SELECT figures();
ALTER TABLE person ADD EXCLUDE (email WITH =);
SELECT figures();
ALTER TABLE person ADD CHECK (email::int > 0);
SELECT figures();
ALTER TABLE person ALTER email TYPE int USING email::int;
SELECT figures();
ALTER TABLE person ALTER id TYPE int USING email::int;
SELECT figures();
CREATE INDEX ON person ((email::int));
SELECT figures();
CREATE TABLE known (email text PRIMARY KEY);
ALTER TABLE person ADD FOREIGN KEY (email) REFERENCES known;
SELECT figures();
UPDATE person SET email = 'v' || 1000 + id;
ALTER TABLE person ADD CONSTRAINT once UNIQUE (email) DEFERRABLE INITIALLY DEFERRED;
SELECT figures();
COPY person (id, email) FROM stdin;
1	v1001
\.
SELECT figures();
-- at COMMIT, with and without saying so
UPDATE person SET email = 'v1001' WHERE id <= 2;
SELECT figures();
BEGIN;
UPDATE person SET email = 'v1001' WHERE id <= 2;
COMMIT;
SELECT figures();
COPY person (id, email) FROM stdin;
100	v1001
\.
SELECT figures();
BEGIN;
UPDATE person SET email = 'v1001' WHERE id <= 2;
ROLLBACK;
SELECT figures();
BEGIN;
UPDATE person SET email = 'w' || 1000 + id;
COMMIT;
SELECT figures();
-- caught
DO $$
BEGIN
  UPDATE person SET email = 'v1001';
  SET CONSTRAINTS ALL IMMEDIATE;
EXCEPTION WHEN unique_violation THEN
  NULL;
END $$;
SELECT figures();

-- ------------------------------------------------ sets whose size tells a value

SELECT count(*) FROM generate_series(1, (SELECT substr(email, 2)::int FROM person WHERE id = 7));
SELECT figures();
SELECT count(*) FROM (SELECT generate_series(1, substr(email, 2)::int) FROM person WHERE id = 7 OFFSET 0) AS s;
SELECT figures();

-- ------------------------------------------------------------- with a limit

\c - postgres
SELECT 'limited' WHERE redoubt.set_limit('regress_ddl_owner', 'redoubt.text_token', 'read', 10, '100 days') IS NOT NULL;
\c - regress_ddl_owner
SET search_path = ddl_test;
-- errors use it up, and then admit nothing
DO $$
BEGIN
  FOR n IN 1..50 LOOP
    BEGIN
      ALTER TABLE ddl_test.person ALTER email TYPE int USING email::int;
    EXCEPTION WHEN invalid_text_representation THEN
      NULL;
    WHEN configuration_limit_exceeded THEN
      RAISE WARNING 'stopped after % errors', n - 1;
      RETURN;
    END;
  END LOOP;
END $$;

-- so does maintenance, which evaluates what stands on a table: a value of the owner's choice in each message
\c - postgres
SET client_min_messages = warning;
SELECT 'lifted' WHERE redoubt.drop_limit('regress_ddl_owner', 'redoubt.text_token', 'read') IS NOT NULL;
SELECT 'limited' WHERE redoubt.set_limit('regress_ddl_owner', 'redoubt.text_token', 'read', 10, '100 days') IS NOT NULL;
SELECT redoubt.reset_usage('regress_ddl_owner');
\c - regress_ddl_owner
SET search_path = ddl_test;
SET client_min_messages = warning;
CREATE TABLE copy_of AS SELECT id, email FROM person WHERE false;
INSERT INTO copy_of SELECT n, 'v' || 1000 + n FROM generate_series(1, 20) AS n;
-- how many messages there were, and how many of them held a value, of as many attempts as there are rows
CREATE FUNCTION failing(VARIADIC commands text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  failed int := 0;
  quoted int := 0;
  command text;
BEGIN
  FOR n IN 1..20 LOOP
    BEGIN
      FOREACH command IN ARRAY commands LOOP EXECUTE format(command, n); END LOOP;
    EXCEPTION WHEN OTHERS THEN
      failed := failed + 1;
      quoted := quoted + (sqlerrm LIKE '%"v1%')::int;
    END;
  END LOOP;
  RETURN format('%s failed, %s with a value', failed, quoted);
END $$;
SELECT failing('CREATE STATISTICS st_%s ON (CASE WHEN id = %1$s THEN email::int END), (id + 1) FROM copy_of', 'ANALYZE copy_of');
SELECT figures();
-- a domain that gets a check later
\c - postgres
SET client_min_messages = warning;
SELECT redoubt.drop_limit('regress_ddl_owner', 'redoubt.text_token', 'read');
\c - regress_ddl_owner
SET search_path = ddl_test;
SET client_min_messages = warning;
CREATE DOMAIN later AS text;
CREATE INDEX copy_index ON copy_of ((CASE WHEN id = 7 THEN email::later END));
CREATE INDEX copy_brin ON copy_of USING brin ((email::later));
ALTER DOMAIN later ADD CHECK (CASE WHEN VALUE = 'v1007' THEN VALUE::int > 0 ELSE true END) NOT VALID;
SELECT figures();
REINDEX INDEX copy_index;
SELECT figures();
REINDEX TABLE copy_of;
SELECT figures();
VACUUM FULL copy_of;
SELECT figures();
CLUSTER copy_of USING copy_index;
SELECT figures();
ALTER TABLE copy_of ADD COLUMN more float DEFAULT random();
SELECT figures();
ALTER TABLE copy_of SET UNLOGGED;
SELECT figures();
ANALYZE copy_of;
SELECT figures();
DROP INDEX copy_index;
SELECT brin_desummarize_range('copy_brin', 0) \g /dev/null
SELECT brin_summarize_new_values('copy_brin');
SELECT figures();
SELECT brin_desummarize_range('copy_brin', 0) \g /dev/null
DO $$ BEGIN PERFORM brin_summarize_new_values('ddl_test.copy_brin'); EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', sqlerrm; END $$;
SELECT figures();
DO $$ DECLARE n int; BEGIN n := brin_summarize_new_values('ddl_test.copy_brin'); EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', sqlerrm; END $$;
VACUUM copy_of;
SELECT figures();
DROP INDEX copy_brin;
-- what fails before it evaluates anything costs nothing
ANALYZE no_such_table;
REINDEX TABLE no_such_table;
SELECT figures();
-- one message that quotes several
CREATE TABLE three AS SELECT a.email AS e1, b.email AS e2, c.email AS e3, ARRAY[a.email] AS many FROM person AS a, person AS b, person AS c WHERE false;
INSERT INTO three SELECT a.email, b.email, c.email, (SELECT array_agg(email ORDER BY id) FROM copy_of) FROM copy_of AS a, copy_of AS b, copy_of AS c WHERE a.id = 1 AND b.id = 2 AND c.id = 3;
SELECT figures();
CREATE INDEX ON three (((e1 || e2 || e3)::int));
SELECT figures();
CREATE INDEX ON three (((many[1] || many[2] || many[3] || many[4] || many[5] || many[6] || many[7] || many[8] || many[9] || many[10])::int));
SELECT figures();

-- of a row that is written, too
BEGIN;
ALTER TABLE three ADD COLUMN x int;
CREATE INDEX ON three ((CASE WHEN x = 1 THEN (many[1] || many[2] || many[3] || many[4] || many[5] || many[6] || many[7] || many[8] || many[9] || many[10])::int ELSE 0 END));
DO $$ BEGIN UPDATE ddl_test.three SET x = 1; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', sqlerrm; END $$;
ROLLBACK;
SELECT figures();

-- --------------------------------------------- no more than one value becomes one

ALTER TABLE three ALTER e1 TYPE text USING e1 || e2;
ALTER TABLE three ALTER e1 TYPE text USING three::text;
ALTER TABLE three ALTER many TYPE text;
ALTER TABLE three ALTER many TYPE text USING array_to_string(many, ',');
ALTER TABLE three ALTER many TYPE text[] USING ARRAY[array_to_string(many, ',')];
ALTER TABLE three ADD COLUMN both_of text GENERATED ALWAYS AS (e1 || e2) STORED, ADD COLUMN parts text GENERATED ALWAYS AS (many[1] || many[2]) STORED;
ALTER TABLE three ALTER both_of DROP EXPRESSION;
ALTER TABLE three ALTER parts DROP EXPRESSION;
SELECT figures();
SELECT both_of FROM three;
SELECT figures();
SELECT parts FROM three;
SELECT figures();
BEGIN; ALTER TABLE three ADD COLUMN long_name name GENERATED ALWAYS AS ((many[1] || many[2])::name) STORED; SELECT long_name FROM three; ROLLBACK;
SELECT figures();
ALTER TABLE three DROP COLUMN both_of, DROP COLUMN parts;
ALTER TABLE three ALTER e1 TYPE varchar, ALTER e2 TYPE text USING upper(e2), ALTER many TYPE varchar[], ALTER e3 TYPE text USING e2;
ALTER TABLE three ALTER many TYPE text[] USING many::text::text[];
SELECT figures();
SELECT e1, e2, e3, many[2] FROM three;
SELECT figures();

-- nor values of one token type those of another
\c - postgres
CREATE DOMAIN ddl_test.phone AS text;
SECURITY LABEL FOR redoubt ON DOMAIN ddl_test.phone IS 'phone_token';
\c - regress_ddl_owner
SET search_path = ddl_test;
SET client_min_messages = warning;
CREATE TABLE mixed AS SELECT e1, e2, e3::phone AS p, NULL::text[] AS plain FROM three WHERE false;
INSERT INTO mixed SELECT e1, e2, '1', '{}' FROM three;
SELECT figures();
ALTER TABLE mixed ALTER p TYPE text USING e1;
ALTER TABLE mixed ALTER p TYPE phone USING e1;
ALTER TABLE mixed ALTER e1 TYPE phone;
ALTER TABLE mixed ALTER e1 TYPE text USING p;
ALTER TABLE mixed ALTER plain TYPE phone[] USING ARRAY[e1];
-- a domain's label does not hide what a generated column is made of
ALTER TABLE mixed ADD COLUMN both_of phone GENERATED ALWAYS AS (e1 || e2) STORED;
SELECT both_of FROM mixed;
SELECT figures();

-- ---------------------------------------------- rows of a bound, and statistics

-- which rows a partition has, when it is a table of its own, and in its statistics
\c - postgres
CREATE DOMAIN ddl_test.protected_text AS text;
SECURITY LABEL FOR redoubt ON DOMAIN ddl_test.protected_text IS 'text_token';
\c - regress_ddl_owner
SET search_path = ddl_test;
SET client_min_messages = warning;
CREATE TABLE split (id int, email protected_text) PARTITION BY LIST (left(email, 4));
CREATE TABLE split_0 PARTITION OF split FOR VALUES IN ('v100') PARTITION BY LIST (right(email, 1));
CREATE TABLE split_0_odd PARTITION OF split_0 FOR VALUES IN ('1', '3', '5', '7', '9');
CREATE TABLE split_0_even PARTITION OF split_0 DEFAULT;
CREATE TABLE split_1 PARTITION OF split DEFAULT;
INSERT INTO split SELECT id, email FROM copy_of;
SELECT figures();
ANALYZE split_1;
SELECT figures();
SELECT histogram_bounds FROM pg_stats WHERE tablename = 'split_1' AND attname = 'id';
SELECT figures();
BEGIN; ALTER TABLE split DETACH PARTITION split_1; ROLLBACK;
SELECT figures();
BEGIN; ALTER TABLE split DETACH PARTITION split_0; ROLLBACK;
SELECT figures();
BEGIN; ALTER TABLE split_0 DETACH PARTITION split_0_odd; ROLLBACK;
SELECT figures();
BEGIN; ALTER TABLE split_1 ADD CHECK (id <> 3); SELECT figures(); ROLLBACK;
ALTER TABLE split_1 ADD CHECK (id <> 12);
SELECT figures();
CREATE TABLE by_id (id int, email protected_text) PARTITION BY RANGE (id);
CREATE TABLE by_id_1 PARTITION OF by_id DEFAULT;
INSERT INTO by_id SELECT id, email FROM copy_of;
ANALYZE by_id;
SELECT histogram_bounds IS NOT NULL FROM pg_stats WHERE tablename = 'by_id_1' AND attname = 'id';
ALTER TABLE by_id DETACH PARTITION by_id_1;
SELECT figures();
-- an element of an array is a value; what is computed from several holds several
TRUNCATE three;
INSERT INTO three SELECT a.email, b.email, c.email, (SELECT array_agg(email ORDER BY id) FROM copy_of) FROM copy_of AS a, copy_of AS b, copy_of AS c, generate_series(1, 2) WHERE a.id = 1 AND b.id = 2 AND c.id = 3;
CREATE INDEX three_e ON three ((e1 || e2 || e3));
CREATE INDEX three_many ON three ((many[1] || many[2]));
CREATE STATISTICS three_s ON (many[1] || many[2]), (e1 || e2) FROM three;
ANALYZE three;
SELECT figures();
SELECT array_length(most_common_vals::text::text[], 1) FROM pg_stats WHERE tablename = 'three' AND attname = 'many';
SELECT figures();
SELECT most_common_vals FROM pg_stats WHERE tablename = 'three_e';
SELECT figures();
SELECT most_common_vals FROM pg_stats WHERE tablename = 'three_many';
SELECT figures();
SELECT most_common_vals FROM pg_stats_ext WHERE statistics_name = 'three_s' \g /dev/null
SELECT figures();

\c - postgres
-- of a chunk of pg_statistic nobody knows whose value it is
SET ROLE pg_read_all_data;
SELECT count(*) FROM pg_toast.pg_toast_2619;
SELECT count(*) FROM pg_class WHERE EXISTS (SELECT FROM pg_toast.pg_toast_3429);
SELECT count(*) >= 0 FROM pg_toast.pg_toast_1255;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA ddl_test CASCADE;
DROP OWNED BY regress_ddl_owner;
DROP ROLE regress_ddl_owner;
