-- What PostgreSQL counts of reads, and shows to everybody, is for members of pg_read_all_stats: a statement can visit
-- tables as protected values say, for one probe.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE SCHEMA counters_test;
CREATE ROLE regress_counting LOGIN;
CREATE ROLE regress_watching LOGIN IN ROLE pg_monitor;
GRANT USAGE, CREATE ON SCHEMA counters_test TO regress_counting, regress_watching;
CREATE TABLE counters_test.cust (id int PRIMARY KEY, email text);
INSERT INTO counters_test.cust SELECT g, 'c' || g || '@example.com' FROM generate_series(1, 20) g;
SECURITY LABEL FOR redoubt ON COLUMN counters_test.cust.email IS 'redoubt.text_token';
GRANT SELECT ON counters_test.cust TO regress_counting;

\c - regress_counting
SET search_path = counters_test, pg_catalog;
CREATE TABLE a (x int);
CREATE TABLE b (x int);
-- Twenty answers in one row: which of the tables was visited how often.
SELECT count(CASE WHEN email LIKE 'c1%' THEN (SELECT x FROM a WHERE x = id) ELSE (SELECT x FROM b WHERE x = id) END) FROM cust;
SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname IN ('a', 'b');
SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE relname IN ('a', 'b');
SELECT relname, seq_tup_read FROM pg_stat_all_tables WHERE relname IN ('a', 'b');
SELECT indexrelname, idx_scan FROM pg_stat_user_indexes;
SELECT relname, heap_blks_hit FROM pg_statio_user_tables;
SELECT tup_returned FROM pg_stat_database;
SELECT temp_bytes FROM pg_stat_database;
SELECT blks_hit FROM pg_stat_slru;
SELECT buffers_alloc FROM pg_stat_bgwriter;
SELECT relname, n_dead_tup FROM pg_stat_user_tables WHERE relname = 'b';
SELECT pg_tablespace_size('pg_default');
EXPLAIN (COSTS off) SELECT pg_stat_get_numscans('a'::regclass);
-- Commands that say what they find in buffers: a look-up by name leaves what it found, or not, in the caches of the
-- session, and a scan its pages.
SELECT count(to_regclass('z' || id || '_' || ascii(substr(email, 2, 1)))) FROM cust;
EXPLAIN (ANALYZE, BUFFERS) SELECT to_regclass('z1_49');
EXPLAIN (ANALYZE, BUFFERS off, BUFFERS) SELECT to_regclass('z1_49');
EXPLAIN (BUFFERS) SELECT FROM pg_class WHERE oid = to_regclass('z1_49');
DO $$ BEGIN EXECUTE 'EXPLAIN (BUFFERS true) SELECT 1'; END $$;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT 1;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) SELECT 1;
VACUUM (VERBOSE) a;
VACUUM VERBOSE a;
ANALYZE VERBOSE a;
CLUSTER VERBOSE a;
SET client_min_messages = debug1;
VACUUM a;
SET client_min_messages = warning;
VACUUM (VERBOSE off, ANALYZE) a;
-- Where a scan of a large table stopped, the next one begins, but not while protected values are read.
SET synchronize_seqscans = on;
SELECT count(set_config('synchronize_seqscans', 'off', false)) FROM cust;
SELECT count(set_config('synchronize_seqscans', 'on', false)) FROM cust;
-- The locks of serializable transactions.
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(CASE WHEN email LIKE 'c1%' THEN (SELECT x FROM a WHERE x = id) ELSE (SELECT x FROM b WHERE x = id) END) FROM cust;
SELECT relation::regclass FROM pg_locks WHERE mode = 'SIReadLock';
ROLLBACK;
-- By other ways into the function.
CREATE OPERATOR ### (RIGHTARG = oid, FUNCTION = pg_stat_get_numscans);
SELECT ### 'a'::regclass::oid;
CREATE AGGREGATE scans (oid) (SFUNC = oidlarger, STYPE = oid, FINALFUNC = pg_stat_get_numscans);
SELECT scans('a'::regclass::oid);
SELECT scans('a'::regclass::oid) OVER ();
CREATE FUNCTION own() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN pg_stat_get_xact_numscans('a'::regclass); END $$;
SELECT own();
CREATE VIEW visits AS SELECT pg_stat_get_numscans('a'::regclass) AS n;
SELECT * FROM visits;
CREATE TABLE kept (n bigint DEFAULT pg_stat_get_numscans('a'::regclass));
INSERT INTO kept DEFAULT VALUES;
CREATE INDEX ON a ((pg_stat_get_numscans(x::oid)));
-- Every function that shows statistics is refused but for sessions, replication and maintenance.
CREATE TABLE passed (name text);
DO $$
DECLARE f record;
BEGIN
  FOR f IN SELECT proname, pg_get_function_arguments(oid) AS a, (SELECT string_agg('NULLIF(random(), 2)::text::' || t::regtype, ',') FROM unnest(proargtypes) t) AS args
           FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND (proname ~ '^pg_stat_get_' OR proname = 'pg_lock_status') LOOP
    BEGIN
      EXECUTE format('SELECT * FROM %I(%s)', f.proname, f.args);
      INSERT INTO passed VALUES (f.proname);
    EXCEPTION WHEN insufficient_privilege THEN NULL;
      WHEN OTHERS THEN INSERT INTO passed VALUES (f.proname);
    END;
  END LOOP;
END $$;
SELECT count(*) > 20 AS open FROM passed;
SELECT name FROM passed WHERE name ~ 'scan|tuples_[rfiudhn]|blocks|blk|_io$|wal$|slru|temp|xact_[ntbf]|function|buf|checkpoint|lock_status';
-- These are open.
SELECT count(*) >= 1 AS sessions FROM pg_stat_activity;
SELECT relname, n_live_tup FROM pg_stat_user_tables WHERE relname = 'b';

-- Whoever watches over the server reads all of it, and so does a function of his.
\c - regress_watching
SET search_path = counters_test, pg_catalog;
SELECT seq_scan IS NOT NULL AS shown FROM pg_stat_user_tables WHERE relname = 'a';
SELECT count(*) > 0 AS shown FROM pg_locks;
EXPLAIN (BUFFERS, COSTS off) SELECT 1;
CREATE FUNCTION shown() RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT count(*) > 0 FROM pg_locks $$;
\c - regress_counting
SELECT counters_test.shown();

\c - postgres
SET client_min_messages = warning;
DROP SCHEMA counters_test CASCADE;
DROP ROLE regress_counting, regress_watching;
