--
-- Where implicit reveal never happens: whatever redoubt.reveal says, nothing is
-- written back as plaintext and no message, plan, definition or statistic
-- shows it.  The role here may reveal e-mails: what protects is the rule, not
-- the lack of a grant.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_noreveal_app LOGIN;
CREATE SCHEMA noreveal_test AUTHORIZATION regress_noreveal_app;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.reset_usage(regrole) TO regress_noreveal_app;
GRANT SET ON PARAMETER redoubt.mode TO regress_noreveal_app;
\c - regress_noreveal_app
SET search_path = noreveal_test, redoubt;
SET client_min_messages = warning;
CREATE TABLE customer (id int PRIMARY KEY, email email_token UNIQUE);
INSERT INTO customer VALUES (1, 'alice@example.com'), (2, 'bob@example.org'), (3, 'carol@example.net');
CREATE TABLE sink (what text, value text);
-- What a test left in the sink: rows, and how many of them are no tokens.
CREATE VIEW leaks AS SELECT what, count(*) AS rows, count(*) FILTER (WHERE value NOT LIKE '%tok\_%') AS leaked FROM sink GROUP BY what ORDER BY what;
CREATE FUNCTION is_token(text) RETURNS boolean LANGUAGE sql AS $$ SELECT $1 LIKE 'tok\_%' $$;
SET redoubt.reveal = 'auto';
SELECT email FROM customer ORDER BY id;  -- it does reveal here

-- --------------------------------------------------------- writing statements

INSERT INTO sink SELECT 'insert select', email::text FROM customer;
INSERT INTO sink SELECT 'concatenation', 'mailto:' || email FROM customer;
INSERT INTO sink SELECT 'concatenation by hand', 'mailto:' || token(email) FROM customer;
INSERT INTO sink SELECT 'format', format('%s', email) FROM customer;
INSERT INTO sink SELECT 'json', row_to_json(c)::text FROM customer AS c;
INSERT INTO sink SELECT 'array', array_agg(email)::text FROM customer;
INSERT INTO sink SELECT 'send', convert_from(email_token_send(email), 'UTF8') FROM customer;
INSERT INTO sink VALUES ('values', (SELECT email::text FROM customer WHERE id = 1)), ('values', 'alice@example.com'::email_token::text);
INSERT INTO sink VALUES ('update', '');
UPDATE sink SET value = (SELECT email::text FROM customer WHERE id = 1) WHERE what = 'update';
INSERT INTO sink VALUES ('merge', 'tok_'), ('update from', '');
UPDATE sink SET value = email::text FROM customer WHERE what = 'update from' AND id = 1;
MERGE INTO sink USING (SELECT email::text AS e FROM customer WHERE id = 1) AS s ON what = 'merge' WHEN MATCHED THEN UPDATE SET value = e;
MERGE INTO sink USING customer ON false WHEN NOT MATCHED THEN INSERT VALUES ('merge insert', email::text);
CREATE TABLE keyed (id int PRIMARY KEY, value text);
INSERT INTO keyed VALUES (1, 'tok_');
INSERT INTO keyed SELECT id, email::text FROM customer ON CONFLICT (id) DO UPDATE SET value = 'again ' || excluded.value;
INSERT INTO sink SELECT 'on conflict', value FROM keyed;
WITH moved AS (INSERT INTO sink SELECT 'cte', email::text FROM customer RETURNING value) SELECT bool_and(is_token(value)) FROM moved;
WITH source AS MATERIALIZED (SELECT email::text AS e FROM customer), moved AS (INSERT INTO sink SELECT 'cte source', e FROM source) SELECT is_token(e) FROM source;
WITH gone AS (DELETE FROM customer WHERE id = 3 RETURNING email AS e) INSERT INTO sink SELECT 'delete returning', e FROM gone;
INSERT INTO customer VALUES (3, 'carol@example.net');
PREPARE writing(int) AS INSERT INTO sink SELECT 'prepared', email::text FROM customer WHERE id = $1;
EXECUTE writing(1);
EXECUTE writing(2);
CREATE TABLE defaulted (id int, value text DEFAULT 'alice@example.com'::email_token::text);
INSERT INTO defaulted VALUES (1), (2);
ALTER TABLE defaulted ADD COLUMN later text DEFAULT 'alice@example.com'::email_token::text;
INSERT INTO sink SELECT 'default', value FROM defaulted UNION ALL SELECT 'added column', later FROM defaulted;
SELECT * FROM leaks;
TRUNCATE sink;

-- ------------------------------------------- tables made of queries, utilities

CREATE TABLE made AS SELECT 'create table as' AS what, email::text AS value FROM customer;
INSERT INTO sink SELECT * FROM made;
SELECT 'select into' AS what, email::text AS value INTO made_2 FROM customer;
INSERT INTO sink SELECT * FROM made_2;
PREPARE reading AS SELECT 'execute' AS what, email::text AS value FROM customer;
CREATE TABLE made_3 AS EXECUTE reading;
INSERT INTO sink SELECT * FROM made_3;
CREATE MATERIALIZED VIEW made_4 AS SELECT 'matview' AS what, email::text AS value FROM customer;
INSERT INTO sink SELECT * FROM made_4;
REFRESH MATERIALIZED VIEW made_4;
INSERT INTO sink SELECT 'refresh', value FROM made_4;
CREATE UNIQUE INDEX ON made_4 (value);
REFRESH MATERIALIZED VIEW CONCURRENTLY made_4;
INSERT INTO sink SELECT 'refresh concurrently', value FROM made_4;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) CREATE TABLE made_5 AS SELECT 'explain' AS what, email::text AS value FROM customer \g |sed 's/\.00 loops/ loops/; /PLAN/d; /^-*$/d'
INSERT INTO sink SELECT * FROM made_5;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) INSERT INTO sink SELECT 'explain insert', email::text FROM customer \g |sed 's/\.00 loops/ loops/; /PLAN/d; /^-*$/d'
CREATE TABLE altered AS SELECT * FROM customer;
ALTER TABLE altered ALTER COLUMN email TYPE text USING email::text;
INSERT INTO sink SELECT 'alter type', email FROM altered;
ALTER TABLE altered ALTER COLUMN email TYPE email_token USING email::email_token;
SELECT count(*) FROM altered JOIN customer USING (id, email);
ALTER TABLE altered ALTER COLUMN email TYPE varchar(400);
ALTER TABLE altered ALTER COLUMN email TYPE varchar(400) USING email;
INSERT INTO sink SELECT 'alter type by cast', email FROM altered;
SELECT * FROM leaks;
TRUNCATE sink;
DROP MATERIALIZED VIEW made_4;
DROP TABLE made, made_2, made_3, made_5, altered;

-- The same with parallel workers, which do not know where their rows go.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
CREATE TABLE wide AS SELECT n AS id, c.email FROM customer AS c, generate_series(1, 500) AS n;
ANALYZE wide;
EXPLAIN (COSTS off) SELECT email::text FROM wide;
SELECT count(*) AS rows, count(*) FILTER (WHERE e NOT LIKE 'tok\_%') AS revealed FROM (SELECT email::text AS e FROM wide OFFSET 0) AS s;
CREATE TABLE made_wide AS SELECT 'parallel table' AS what, email::text AS value FROM wide;
INSERT INTO sink SELECT * FROM made_wide;
CREATE MATERIALIZED VIEW made_view AS SELECT 'parallel matview' AS what, email::text AS value FROM wide;
INSERT INTO sink SELECT * FROM made_view;
TRUNCATE made_wide;
REFRESH MATERIALIZED VIEW made_view;
INSERT INTO sink SELECT 'parallel refresh', value FROM made_view;
PREPARE wide_text AS SELECT 'parallel execute' AS what, email::text AS value FROM wide;
CREATE TABLE made_again AS EXECUTE wide_text;
INSERT INTO sink SELECT * FROM made_again;
SELECT redoubt.reset_usage('regress_noreveal_app');
-- Without the counts of rows, which 18 prints otherwise.
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) SELECT count(email::text) FROM wide \g |sed '/^-*$/d; /PLAN/d; s/ (actual .*//'
SELECT coalesce(sum(charged), 0) AS charged FROM redoubt.usage WHERE operation = 'reveal';
SELECT * FROM leaks;
TRUNCATE sink;
DROP MATERIALIZED VIEW made_view;
DROP TABLE made_wide, made_again, wide;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;

-- ------------------------------------ indexes, generated columns, partitions

CREATE INDEX ON customer ((email::text || ''));  -- text form is no constant of the token
CREATE TABLE generated (email email_token, value text GENERATED ALWAYS AS (email::text) STORED);
-- Code that stands on tables of tokens is trusted, or made where nothing is refused.
SET redoubt.mode = observe;
SET client_min_messages = error;
-- A function that lies about its volatility changes nothing.
CREATE FUNCTION lie_sql(email_token) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1::text';
CREATE FUNCTION lie_plpgsql(email_token) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT $1::text); END';
CREATE TABLE generated (id int, email email_token, a text GENERATED ALWAYS AS (lie_sql(email)) STORED, b text GENERATED ALWAYS AS (lie_plpgsql(email)) STORED);
INSERT INTO generated SELECT id, email FROM customer;
UPDATE generated SET email = 'dora@example.com' WHERE id = 3;
INSERT INTO sink SELECT 'generated sql', a FROM generated UNION ALL SELECT 'generated plpgsql', b FROM generated;
ALTER TABLE generated ALTER COLUMN id TYPE bigint;  -- rewrites
INSERT INTO sink SELECT 'generated, rewritten', a FROM generated;
CREATE INDEX lying ON customer (lie_sql(email));
CREATE STATISTICS lying_statistics ON lie_sql(email), lie_plpgsql(email) FROM customer;
ANALYZE customer;
RESET redoubt.mode;
SET client_min_messages = warning;
-- Literals folded while planning, at the top and inside functions.
INSERT INTO sink VALUES ('folded sql', lie_sql('alice@example.com')), ('folded plpgsql', lie_plpgsql('alice@example.com'));
PREPARE folded AS INSERT INTO sink VALUES ('folded prepared', lie_sql('alice@example.com'));
EXECUTE folded;
CREATE TABLE folded_table AS SELECT 'folded table' AS what, lie_sql('alice@example.com') AS value;
INSERT INTO sink SELECT * FROM folded_table;
SELECT * FROM leaks;
TRUNCATE sink;
CREATE TABLE parted (id int, email text) PARTITION BY LIST (email);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (lie_sql('alice@example.com'));
SELECT pg_get_expr(relpartbound, oid) LIKE '%''tok\_%' AS partition_bound FROM pg_class WHERE oid = 'parted_1'::regclass;
CREATE TABLE parted_token (email email_token) PARTITION BY LIST (email);
CREATE TABLE parted_token_1 PARTITION OF parted_token FOR VALUES IN ('alice@example.com');
INSERT INTO parted_token VALUES ('alice@example.com');
INSERT INTO parted_token SELECT email FROM customer WHERE id = 2;

-- --------------------------------------------------------- triggers and rules

CREATE TABLE watched (id int, email email_token);
CREATE FUNCTION copy_down() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  r record;
  v text := NEW.email::text;
BEGIN
  INSERT INTO sink VALUES (TG_ARGV[0] || ' variable', v);
  SELECT NEW.email::text INTO v;
  INSERT INTO sink VALUES (TG_ARGV[0] || ' assigned', v);
  SELECT email::text INTO v FROM customer WHERE id = 1;
  INSERT INTO sink VALUES (TG_ARGV[0] || ' select', v);
  EXECUTE 'SELECT email::text FROM customer WHERE id = 2' INTO v;
  INSERT INTO sink VALUES (TG_ARGV[0] || ' execute', v);
  FOR r IN SELECT email::text AS e FROM customer LOOP
    INSERT INTO sink VALUES (TG_ARGV[0] || ' loop', r.e);
  END LOOP;
  INSERT INTO sink VALUES (TG_ARGV[0] || ' json', to_json(NEW)::text);
  RETURN NEW;
END $$;
SET redoubt.mode = observe;
SET client_min_messages = error;
CREATE TRIGGER t1 BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION copy_down('before');
CREATE TRIGGER t2 AFTER INSERT ON watched FOR EACH ROW EXECUTE FUNCTION copy_down('after');
CREATE CONSTRAINT TRIGGER t3 AFTER INSERT ON watched DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION copy_down('deferred');
RESET redoubt.mode;
SET client_min_messages = warning;
INSERT INTO watched SELECT * FROM customer WHERE id = 1;
SELECT * FROM leaks;
TRUNCATE sink;
-- The same, with RETURNING (whose rows do reveal), and inside a transaction block.
BEGIN;
INSERT INTO watched SELECT * FROM customer WHERE id = 1 RETURNING email;
SET CONSTRAINTS ALL IMMEDIATE;
INSERT INTO watched SELECT * FROM customer WHERE id = 1 RETURNING email;
SET CONSTRAINTS ALL DEFERRED;
COPY watched FROM STDIN;
7	alice@example.com
\.
COMMIT;
SELECT * FROM leaks;
TRUNCATE sink;
SET redoubt.mode = observe;
SET client_min_messages = error;
CREATE RULE also AS ON UPDATE TO watched DO ALSO INSERT INTO sink VALUES ('rule', OLD.email::text);
RESET redoubt.mode;
SET client_min_messages = warning;
UPDATE watched SET id = id + 1;
SELECT * FROM leaks;
TRUNCATE sink;
DROP TABLE watched;

-- ------------------------------------------------- functions inside writing ones

CREATE FUNCTION text_sql(int) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT email::text FROM customer WHERE id = $1';
CREATE FUNCTION text_plpgsql(int) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT email FROM customer WHERE id = $1)::text; END';
CREATE FUNCTION rows_sql() RETURNS SETOF text LANGUAGE sql VOLATILE AS 'SELECT email::text FROM customer';
CREATE FUNCTION rows_plpgsql() RETURNS SETOF text LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT email::text FROM customer; END';
CREATE FUNCTION write_sql() RETURNS void LANGUAGE sql AS $$ INSERT INTO sink SELECT 'sql function', email::text FROM customer $$;
CREATE FUNCTION write_plpgsql() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO sink SELECT 'plpgsql function', email::text FROM customer;
  CREATE TABLE made_inside AS SELECT 'made inside' AS what, email::text AS value FROM customer;
  INSERT INTO sink SELECT * FROM made_inside;
END $$;
INSERT INTO sink VALUES ('text_sql', text_sql(1)), ('text_plpgsql', text_plpgsql(1));
INSERT INTO sink SELECT 'rows_sql', rows_sql();
INSERT INTO sink SELECT 'rows_plpgsql', * FROM rows_plpgsql();
SELECT write_sql(), write_plpgsql();
-- A DO block hands no rows to anyone.
DO $$
DECLARE
  v text := 'alice@example.com'::email_token::text;
  r record;
BEGIN
  INSERT INTO sink VALUES ('do variable', v);
  SELECT email::text INTO v FROM customer WHERE id = 1;
  INSERT INTO sink VALUES ('do select', v);
  FOR r IN SELECT email::text AS e FROM customer LOOP
    INSERT INTO sink VALUES ('do loop', r.e);
  END LOOP;
  FOR r IN EXECUTE 'SELECT email::text AS e FROM customer' LOOP
    INSERT INTO sink VALUES ('do execute', r.e);
  END LOOP;
  v := text_sql(1);
  INSERT INTO sink VALUES ('do function', v);
  PERFORM write_sql();
END $$;
SELECT * FROM leaks;
TRUNCATE sink;
DO $$ BEGIN RAISE WARNING 'a token begins with %', left(format('%s', 'alice@example.com'::email_token), 4); END $$;

-- --------------------------------------------------------------------- plans

CREATE FUNCTION plan(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE 'EXPLAIN (VERBOSE, COSTS off) ' || statement;
END $$;
SELECT bool_or(line LIKE '%tok\_%') AS shows_token, bool_or(line LIKE '%alice%') AS shows_plaintext
FROM plan($$ SELECT id FROM customer WHERE email = 'alice@example.com' $$) AS line;
SELECT bool_or(line LIKE '%tok\_%') AS shows_token, bool_or(line LIKE '%alice%') AS shows_plaintext
FROM plan($$ INSERT INTO customer VALUES (9, 'alice@example.com') $$) AS line;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) SELECT email, email::text, 'x' || email FROM customer \g |sed 's/\.00 loops/ loops/; /PLAN/d; /^-*$/d'
PREPARE by_email(email_token) AS SELECT id FROM customer WHERE email = $1;
SELECT bool_or(line LIKE '%alice%') AS shows_plaintext FROM plan($$ EXECUTE by_email('alice@example.com') $$) AS line;

-- --------------------------------------------------- definitions and statistics

CREATE VIEW defined AS SELECT id FROM customer WHERE email = 'alice@example.com';
SELECT pg_get_viewdef('defined') LIKE '%= ''tok\_%''::%email_token%' AS view, pg_get_viewdef('defined') LIKE '%alice%' AS plaintext;
ALTER TABLE customer ADD CONSTRAINT no_mallory CHECK (email <> 'mallory@example.com'), ALTER email SET DEFAULT 'nobody@example.com';
SELECT bool_and(pg_get_constraintdef(oid) LIKE '%''tok\_%') AS "check", bool_or(pg_get_constraintdef(oid) LIKE '%mallory%') AS plaintext FROM pg_constraint WHERE conname = 'no_mallory';
SELECT column_default LIKE '''tok\_%' AS "default" FROM information_schema.columns WHERE table_schema = 'noreveal_test' AND table_name = 'customer' AND column_name = 'email';
CREATE INDEX partial ON customer (id) WHERE email = 'bob@example.org';
SELECT pg_get_indexdef('partial'::regclass) LIKE '%''tok\_%' AS index, pg_get_indexdef('partial'::regclass) LIKE '%bob%' AS plaintext;
SELECT count(*) > 0 AS bound, bool_and(pg_get_expr(relpartbound, oid) LIKE '%''tok\_%') AS token FROM pg_class WHERE oid = 'parted_token_1'::regclass;
SELECT definition LIKE '%tok\_%' AS pg_views, definition LIKE '%alice%' AS plaintext FROM pg_views WHERE viewname = 'defined';
SELECT indexdef LIKE '%tok\_%' AS pg_indexes FROM pg_indexes WHERE indexname = 'partial';
CREATE FUNCTION atomic(email_token) RETURNS boolean LANGUAGE sql STABLE BEGIN ATOMIC SELECT $1 = 'alice@example.com'; END;
SELECT pg_get_functiondef('atomic'::regproc) LIKE '%tok\_%' AS function, pg_get_functiondef('atomic'::regproc) LIKE '%alice%' AS plaintext;
-- A query that does so beside protected columns still reveals these.
SELECT email, pg_get_viewdef('defined') LIKE '%alice%' AS plaintext FROM customer WHERE id = 1;
INSERT INTO customer SELECT 10 + n, CASE WHEN n < 30 THEN NULL ELSE format('u%s@example.com', n) END FROM generate_series(1, 200) AS n;
ANALYZE customer, parted_token;
SELECT attname, histogram_bounds::text LIKE '%tok\_%' AS token, histogram_bounds::text LIKE '%@%' AS plaintext FROM pg_stats WHERE schemaname = 'noreveal_test' AND tablename = 'customer' AND attname = 'email';
SELECT tablename, s::text LIKE '%@%' AS plaintext FROM pg_stats AS s WHERE schemaname = 'noreveal_test' ORDER BY tablename, attname;
SELECT count(*) > 0 AS any, bool_or(s::text LIKE '%@%') AS plaintext FROM pg_stats_ext_exprs AS s WHERE statistics_schemaname = 'noreveal_test';
SELECT count(*) > 0 AS any, bool_or(s::text LIKE '%@%') AS plaintext FROM pg_stats_ext AS s WHERE statistics_schemaname = 'noreveal_test';

-- ------------------------------------------------------------ error messages

CREATE FUNCTION message(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
  detail text;
  hint text;
  said text;
BEGIN
  EXECUTE statement;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  said := message || detail || hint;
  RETURN sqlstate || CASE WHEN said LIKE '%tok\_%' THEN ' token' ELSE '' END
                  || CASE WHEN said ~ 'alice|bob|carol|nobody|zoe|address|example' THEN ' PLAINTEXT' ELSE '' END;
END $$;
CREATE TABLE child (email email_token REFERENCES customer (email), CHECK (email <> 'alice@example.com'));
CREATE TABLE not_null (email email_token, value int NOT NULL);
SELECT message($$ INSERT INTO customer VALUES (900, 'alice@example.com') $$) AS "unique",
       message($$ UPDATE customer SET email = 'alice@example.com' WHERE id = 2 $$) AS "unique update",
       message($$ INSERT INTO child VALUES ('nobody@example.com') $$) AS "foreign key",
       message($$ INSERT INTO child VALUES ('alice@example.com') $$) AS "check",
       message($$ INSERT INTO not_null SELECT email FROM customer WHERE id = 1 $$) AS "not null",
       message($$ INSERT INTO parted_token VALUES ('zoe@example.com') $$) AS "no partition";
INSERT INTO child VALUES ('bob@example.org');
SELECT message($$ DELETE FROM customer WHERE id = 2 $$) AS "still referenced",
       message($$ CREATE UNIQUE INDEX ON parted_token ((1)) $$) AS "unique index",
       message($$ ALTER TABLE customer ADD CHECK (email <> 'carol@example.net') $$) AS "add check",
       message($$ SELECT E'a\u2022\u2022@example.com'::email_token $$) AS "masked value",
       message($$ SELECT 'tok_nonsense'::email_token $$) AS "malformed token";
CREATE TABLE twice AS SELECT email FROM customer WHERE id = 1 UNION ALL SELECT email FROM customer WHERE id = 1;
SELECT message($$ CREATE UNIQUE INDEX ON twice (email) $$) AS "create unique index",
       message($$ INSERT INTO keyed SELECT 1, email::text FROM customer WHERE id = 1 $$) AS "key of another",
       message($$ INSERT INTO keyed (id) SELECT email::text::int FROM customer WHERE id = 1 $$) AS "cast in insert",
       message($$ CREATE TABLE x AS SELECT email::text::int FROM customer WHERE id = 1 $$) AS "cast in ctas";
-- Deferred constraints speak at COMMIT, when no query runs any more.
\set VERBOSITY default
CREATE TABLE deferred (v text, UNIQUE (v) DEFERRABLE INITIALLY DEFERRED, CHECK (v <> ''));
BEGIN;
INSERT INTO deferred SELECT left(format('%s', email), 4) FROM customer WHERE id IN (1, 2);
COMMIT;
\set VERBOSITY terse

-- ------------------------------------------------------ a query's description

SELECT email, email::text FROM customer WHERE email = 'alice@example.com' \gdesc

-- ---------------------------------------------------------- logical decoding

\c - postgres
SELECT 'created' FROM pg_create_logical_replication_slot('regress_noreveal', 'test_decoding');
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.email_token(text) TO postgres;
SET redoubt.reveal = 'plain';
INSERT INTO noreveal_test.twice VALUES ('decoded@example.com');
UPDATE noreveal_test.twice SET email = 'again@example.com' WHERE email = 'decoded@example.com';
SELECT count(*) FILTER (WHERE data LIKE '%tok\_%') AS tokens, count(*) FILTER (WHERE data LIKE '%@%') AS plaintext
FROM pg_logical_slot_get_changes('regress_noreveal', NULL, NULL, 'include-xids', '0');
SELECT pg_drop_replication_slot('regress_noreveal');
-- pg_dump reads through COPY and cursors; its session sees tokens only.
SET application_name = 'pg_dump';
COPY (SELECT count(*) FROM (SELECT format('%s', email) AS f FROM noreveal_test.customer OFFSET 0) AS c WHERE f LIKE 'tok\_%') TO STDOUT;
RESET application_name;
BEGIN;
DECLARE _pg_dump_cursor CURSOR FOR SELECT format('%s', email) LIKE 'tok\_%' AS token FROM noreveal_test.customer WHERE id = 1;
FETCH 1 FROM _pg_dump_cursor;
COMMIT;
\c - postgres
REVOKE EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.email_token(text) FROM postgres;
SET client_min_messages = warning;
DROP SCHEMA noreveal_test CASCADE;
DROP OWNED BY regress_noreveal_app;
DROP ROLE regress_noreveal_app;
