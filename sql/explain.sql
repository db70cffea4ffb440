/*
 * EXPLAIN and what a query is charged.
 *
 * Proves: EXPLAIN shows per operation and token type what running the query would charge: for
 * rows, for what is handed over in the middle, for probes and for reveals; in every format inside
 * the query's own properties; under ANALYZE with what was charged, which usage() confirms; plans
 * that touch nothing protected, and those that charge nothing, print as without Redoubt.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
CREATE ROLE regress_explain_reader LOGIN;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token), redoubt.email_token(text) TO regress_explain_reader;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text) TO CURRENT_USER;
CREATE SCHEMA regress_explain;
GRANT USAGE, CREATE ON SCHEMA regress_explain TO regress_explain_reader;
SET search_path = regress_explain, redoubt;
CREATE TABLE customer (id int PRIMARY KEY, email email_token, phone text, region int);
INSERT INTO customer SELECT n, ('user' || n || '@example.com')::text, '+39 06 ' || n, n % 4 FROM generate_series(1, 100) AS n;
SECURITY LABEL FOR redoubt ON COLUMN customer.phone IS 'phone_token';
CREATE TABLE plain (id int PRIMARY KEY, phone text);
INSERT INTO plain SELECT id, phone FROM customer;
CREATE FUNCTION leak(text) RETURNS bool LANGUAGE plpgsql COST 1 AS $$BEGIN RETURN false; END$$;
CREATE FUNCTION safe_leak(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1 AS $$BEGIN RETURN false; END$$;
CREATE FUNCTION two(OUT a int, OUT b text) LANGUAGE plpgsql AS $$BEGIN a := 1; END$$;
CREATE TABLE target (id int, phone text);
-- The lines of EXPLAIN that match; all of them by default.
CREATE FUNCTION explained(query text, options text DEFAULT 'COSTS OFF', matching text DEFAULT '') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
  FOR line IN EXECUTE format('EXPLAIN (%s) %s', options, query) LOOP
    IF line ~ matching THEN RETURN NEXT line; END IF;
  END LOOP;
END$$;
CREATE FUNCTION charges(query text, options text DEFAULT 'COSTS OFF') RETURNS text LANGUAGE sql AS
  $$SELECT string_agg(line, ' ') FROM explained(query, options, 'Redoubt') AS line$$;
CREATE FUNCTION analyzed(query text) RETURNS text LANGUAGE sql AS
  $$SELECT charges(query, 'ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF')$$;
-- Estimates are those of the planner: with statistics, so that they are what they are everywhere.
ANALYZE customer, plain;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_explain TO regress_explain_reader;
\c - regress_explain_reader
SET search_path = regress_explain, redoubt;
SET max_parallel_workers_per_gather = 0;

-- ------------------------------------------------------------------------ rows
EXPLAIN (COSTS OFF) SELECT email FROM customer ORDER BY id LIMIT 10;
EXPLAIN (COSTS OFF) SELECT count(*) FROM customer WHERE leak(phone);
SELECT charges('SELECT email FROM customer ORDER BY id LIMIT 10');
SELECT charges('SELECT email, phone, upper(phone) FROM customer');
SELECT charges('DELETE FROM customer WHERE id = 5 RETURNING phone');
SELECT charges('CREATE TABLE copied AS SELECT email, phone FROM customer');
SELECT charges('DECLARE c CURSOR FOR SELECT phone FROM customer');
-- ------------------------------------------- in the middle: where it is handed over
SELECT charges('SELECT region, string_agg(phone, '','') FROM customer GROUP BY region');
SELECT charges('SELECT count(*) FROM customer WHERE leak(phone)');
SELECT charges('SELECT leak(phone) FROM customer LIMIT 10');
SELECT charges('INSERT INTO target SELECT id, phone FROM customer');
SELECT charges('SELECT p.id, (SELECT string_agg(c.phone, '','') FROM customer c WHERE c.id = p.id) FROM plain p LIMIT 20');
-- ----------------------------------------------------------------------- probes
SELECT charges('SELECT id FROM customer ORDER BY phone LIMIT 7');
SELECT charges('UPDATE customer SET region = 0 WHERE phone = ''+39 06 5''');
-- ---------------------------------------------------------------------- reveals
SELECT charges('SELECT detokenize(email) FROM customer LIMIT 10');
SELECT charges('SELECT mask(email), phone FROM customer LIMIT 10');
SET redoubt.reveal = 'masked';
SELECT charges('SELECT email FROM customer');
SET redoubt.reveal = 'auto';
SELECT charges('SELECT email FROM customer');
SELECT charges('CREATE TABLE copied AS SELECT email FROM customer');
RESET redoubt.reveal;
-- ---------------------------------------------------------------------- formats
SELECT explained::json #> '{0,Redoubt}' AS json FROM explained('SELECT phone FROM customer ORDER BY phone LIMIT 3', 'COSTS OFF, FORMAT json');
SELECT (regexp_match(explained, '  Redoubt:.*'))[1] AS yaml FROM explained('SELECT phone, mask(email) FROM customer LIMIT 3', 'COSTS OFF, FORMAT yaml');
SELECT (regexp_match(explained, '<Redoubt>.*</Redoubt>'))[1] AS xml FROM explained('SELECT id FROM customer ORDER BY phone LIMIT 3', 'COSTS OFF, FORMAT xml');
-- ------------------------------------------------------------ fields of a record
-- A field of a call that is metered, of a row that no type names.
SELECT explained('SELECT (two()).b, (two()).a FROM customer WHERE phone = ''x''', 'VERBOSE, COSTS OFF', 'Output');
-- ---------------------------------------------------------------------- ANALYZE
-- Rows go nowhere and are not charged; what is handed over in the middle is.
\c - postgres
SELECT redoubt.reset_usage();
\c - regress_explain_reader
SET search_path = regress_explain, redoubt;
SET max_parallel_workers_per_gather = 0;
SELECT analyzed('SELECT phone FROM customer WHERE region = 1');
SELECT analyzed('SELECT count(*) FROM customer WHERE id <= 50 AND leak(phone)');
SELECT analyzed('SELECT id FROM customer WHERE phone LIKE ''+39 06 1%''');
SELECT analyzed('INSERT INTO customer SELECT id FROM customer ON CONFLICT DO NOTHING');
SELECT analyzed('CREATE TEMP TABLE copied AS SELECT phone FROM customer WHERE region = 1');
SELECT explained::json #> '{0,Redoubt}' AS json FROM explained('SELECT phone FROM customer', 'ANALYZE, TIMING OFF, COSTS OFF, FORMAT json');
\c - postgres
SELECT operation, token_type, charged FROM redoubt.usage WHERE role = 'regress_explain_reader'::regrole ORDER BY 1, 2;
\c - regress_explain_reader
SET search_path = regress_explain, redoubt;
-- What parallel workers charge is not known to their leader, which therefore says nothing of it.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT analyzed('SELECT count(*) FROM customer WHERE safe_leak(phone)');
SET max_parallel_workers_per_gather = 0;
-- ------------------------------------------------------- nothing where nothing is charged
SELECT charges('SELECT count(*), min(id) FROM customer') IS NULL AS free, charges('SELECT * FROM plain') IS NULL AS unprotected;
EXPLAIN (COSTS OFF) SELECT * FROM plain;
SELECT explained::json #> '{0,Redoubt}' IS NULL AS unprotected FROM explained('SELECT phone FROM plain', 'COSTS OFF, FORMAT json');
-- Planning time and buffers are where they are without Redoubt.
SELECT regexp_replace(line, '[0-9.]+ ms', 'N ms') AS line FROM explained('SELECT * FROM plain', 'SUMMARY, COSTS OFF') AS line;
SELECT regexp_replace(line, '[0-9.]+ ms', 'N ms') AS line FROM explained('SELECT phone FROM customer', 'SUMMARY, COSTS OFF') AS line;
\c - postgres
SET client_min_messages = warning;
SET search_path = regress_explain, public;
SELECT explained::json #> '{0,Planning}' IS NOT NULL AS planning_buffers, explained::json #>> '{0,Planning Time}' <> '' AS planning_time
  FROM explained('SELECT id FROM plain', 'ANALYZE, BUFFERS, FORMAT json');
RESET search_path;
DROP SCHEMA regress_explain CASCADE;
REVOKE EXECUTE ON FUNCTION redoubt.email_token(text) FROM postgres;
REVOKE EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token), redoubt.email_token(text) FROM regress_explain_reader;
DROP ROLE regress_explain_reader;
