--
-- What PostgreSQL 18 brought, where it meets tokens: RETURNING OLD and NEW reveal as a
-- SELECT does, COPY of a materialized view shows tokens, virtual generated columns are
-- protected as what they are computed from, temporal keys leave tokens alone, statistics
-- can be set but not read past the meter.  Costs are in test/metering/since18.tsv.
--
-- (since18_1.out is what 15 to 17 print: nothing.)
--
SELECT current_setting('server_version_num')::int < 180000 AS too_old \gset
\if :too_old
\quit
\endif
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_since18_lead LOGIN;
CREATE ROLE regress_since18_clerk LOGIN;
CREATE SCHEMA since18 AUTHORIZATION regress_since18_lead;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token),
  redoubt.reset_usage(regrole) TO regress_since18_lead;
CREATE EXTENSION IF NOT EXISTS btree_gist;
\c - regress_since18_lead
SET search_path = since18, redoubt, public;
GRANT USAGE ON SCHEMA since18 TO regress_since18_clerk;
CREATE TABLE customer (id int PRIMARY KEY, email email_token);
INSERT INTO customer VALUES (1, 'alice@example.com'), (2, 'bob@example.org');
GRANT SELECT, UPDATE ON customer TO regress_since18_clerk;

-- RETURNING OLD and NEW
SET redoubt.reveal = 'auto';
UPDATE customer SET email = 'bella@example.org' WHERE id = 2 RETURNING old.email, new.email;
DELETE FROM customer WHERE id = 2 RETURNING old.email, new.email;
INSERT INTO customer VALUES (1, 'anna@example.com') ON CONFLICT (id) DO UPDATE SET email = excluded.email RETURNING old.email, new.email;
\c - regress_since18_clerk
SET search_path = since18, redoubt, public;
SET redoubt.reveal = 'auto';
UPDATE customer SET id = id WHERE id = 1 RETURNING format('%s', old.email) LIKE 'tok\_%' AS old, format('%s', new.email) LIKE 'tok\_%' AS new;
\c - regress_since18_lead
SET search_path = since18, redoubt, public;
SET redoubt.reveal = 'auto';

-- COPY of a materialized view is COPY of a table: tokens, whatever redoubt.reveal says.
CREATE MATERIALIZED VIEW seen AS SELECT id, email FROM customer;
SELECT id, email FROM seen;
\copy seen TO PROGRAM 'sed "s/tok_[A-Za-z0-9_-]\{40,\}/<token>/"'
CREATE MATERIALIZED VIEW empty AS SELECT id, email FROM customer WITH NO DATA;
COPY empty TO STDOUT;
RESET redoubt.reveal;

-- Virtual generated columns: of built-in types and functions only, says the server.
CREATE TABLE bad (email email_token, v text GENERATED ALWAYS AS (redoubt.detokenize(email)) VIRTUAL);
CREATE TABLE bad (plain text, v email_token GENERATED ALWAYS AS (plain) VIRTUAL);
CREATE TABLE legacy (id int, plain text, v text GENERATED ALWAYS AS (upper(plain)) VIRTUAL, n int GENERATED ALWAYS AS (id + 1) VIRTUAL);
\c - postgres
SET search_path = since18, redoubt, public;
SECURITY LABEL FOR redoubt ON COLUMN legacy.plain IS 'email_token';
SECURITY LABEL FOR redoubt ON COLUMN legacy.v IS 'email_token';
\c - regress_since18_lead
SET search_path = since18, redoubt, public;
INSERT INTO legacy VALUES (1, 'alice@example.com'), (2, 'bob@example.org');
SELECT redoubt.reset_usage('regress_since18_lead');
SELECT v FROM legacy \g /dev/null
SELECT n FROM legacy \g /dev/null
SELECT charged FROM redoubt.usage WHERE operation = 'read';
-- What is computed from it elsewhere follows it.
CREATE TABLE made AS SELECT v FROM legacy;
SELECT label FROM pg_seclabels WHERE provider = 'redoubt' AND objoid = 'made'::regclass;

-- Temporal keys: beside a token, not of one.
CREATE TABLE stay (id int, email email_token, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS));
INSERT INTO stay VALUES (1, 'alice@example.com', '[2026-01-01,2026-02-01)');
INSERT INTO stay VALUES (1, 'bob@example.org', '[2026-01-10,2026-01-20)');
CREATE TABLE bad (email email_token, during daterange, UNIQUE (email, during WITHOUT OVERLAPS));

-- Statistics: set by an owner they go through the input function, read they are metered.
ANALYZE legacy;
SELECT pg_restore_attribute_stats('schemaname', 'since18', 'relname', 'customer', 'attname', 'email', 'inherited', false,
  'version', 180000, 'null_frac', 0.0::real, 'avg_width', 80, 'n_distinct', -1.0::real,
  'most_common_vals', '{alice@example.com}'::text, 'most_common_freqs', '{1.0}'::real[]);
SELECT most_common_vals::text LIKE '{tok\_%' AS is_token FROM pg_stats WHERE schemaname = 'since18' AND tablename = 'customer' AND attname = 'email';
SELECT redoubt.reset_usage('regress_since18_lead');
SELECT count(histogram_bounds::text) FROM pg_stats WHERE schemaname = 'since18' AND tablename = 'legacy' AND attname = 'plain';
SELECT charged FROM redoubt.usage WHERE operation = 'read';

\c - postgres
SET client_min_messages = warning;
DROP SCHEMA since18 CASCADE;
DROP EXTENSION btree_gist;
DROP OWNED BY regress_since18_lead, regress_since18_clerk;
DROP ROLE regress_since18_lead, regress_since18_clerk;
