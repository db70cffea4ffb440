--
-- Metering inside plans under a limit: the budget ends where the value is handed over,
-- labels follow values, trust is bound to a function's owner and definition, and nobody
-- may call the meter.  What each way of reading costs is test/metering.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_metering_app LOGIN;
CREATE SCHEMA metering_test;
GRANT USAGE, CREATE ON SCHEMA metering_test TO regress_metering_app;
SET search_path = metering_test, redoubt;
CREATE TABLE legacy (id int PRIMARY KEY, email text);
INSERT INTO legacy SELECT n, 'l' || n || '@example.com' FROM generate_series(1, 100) AS n;
SECURITY LABEL FOR redoubt ON COLUMN legacy.email IS 'email_token';
CREATE FUNCTION seen(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS 'BEGIN RAISE NOTICE ''seen''; RETURN false; END';
CREATE FUNCTION quiet(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN $1 IS NULL; END';
CREATE TABLE plain (id int PRIMARY KEY, x text);
ANALYZE legacy;
GRANT ALL ON legacy, plain TO regress_metering_app;

-- What the role was charged since the last call.
CREATE FUNCTION spent() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  result text;
BEGIN
  SELECT string_agg(format('%s %s', charged, operation), ', ' ORDER BY operation) INTO result
  FROM redoubt.usage WHERE charged > 0 AND role = 'regress_metering_app'::regrole;
  PERFORM redoubt.reset_usage('regress_metering_app');
  RETURN coalesce(result, 'nothing');
END $$;

-- ------------------------------------------------------- a budget ends inside

SELECT redoubt.set_limit('regress_metering_app', 'email_token', 'read', 3, '100 days') > 0 AS set;
\c - regress_metering_app
SET search_path = metering_test, redoubt;
SELECT count(*) FROM legacy WHERE seen(email);
SELECT string_agg(email, ',') FROM legacy;
INSERT INTO plain SELECT id, email FROM legacy;
UPDATE legacy SET id = id WHERE id = 1 RETURNING email;
SELECT count(*) FROM legacy;
SELECT spent();
\c - postgres
SET search_path = metering_test, redoubt;
SELECT redoubt.drop_limit('regress_metering_app', 'email_token', 'read');

-- Guessing has its own budget.
SELECT redoubt.set_limit('regress_metering_app', 'email_token', 'probe', 2, '100 days') > 0 AS set;
\c - regress_metering_app
SET search_path = metering_test, redoubt;
SELECT id FROM legacy WHERE email = 'l5@example.com';
SELECT id FROM legacy WHERE email = 'nobody@example.com';
SELECT id FROM legacy WHERE email = 'l6@example.com';
SELECT email FROM legacy WHERE id = 5;
SELECT spent();
\c - postgres
SET search_path = metering_test, redoubt;
SELECT redoubt.drop_limit('regress_metering_app', 'email_token', 'probe');

-- An error may carry a value: it is charged, and a bucket in debt admits nothing.
SELECT redoubt.set_limit('regress_metering_app', 'email_token', 'read', 2, '100 days') > 0 AS set;
\c - regress_metering_app
SET search_path = metering_test, redoubt;
\set VERBOSITY sqlstate
SELECT email::int FROM legacy WHERE id = 1;
SELECT email::int FROM legacy WHERE id = 2;
SELECT email::int FROM legacy WHERE id = 3;
SELECT email::int FROM legacy WHERE id = 4;
SELECT id FROM legacy WHERE email IS NOT NULL LIMIT 1;
\set VERBOSITY terse
SELECT spent();
\c - postgres
SET search_path = metering_test, redoubt;
SELECT redoubt.drop_limit('regress_metering_app', 'email_token', 'read');

-- ----------------------------------------------------------- labels that follow

\c - regress_metering_app
SET search_path = metering_test, redoubt;
CREATE TABLE copied AS SELECT id, lower(email) AS mail, length(email) > 3 AS long FROM legacy;
CREATE MATERIALIZED VIEW shown AS SELECT email FROM legacy WITH NO DATA;
REFRESH MATERIALIZED VIEW shown;
SELECT objname, label FROM pg_seclabels WHERE provider = 'redoubt' AND objname ~ '^(copied|shown)\.' ORDER BY objname COLLATE "C";
SELECT spent();
SELECT mail FROM copied LIMIT 4 \g /dev/null
SELECT email FROM shown LIMIT 5 \g /dev/null
SELECT spent();

-- ------------------------------------------------------------- trusted functions

SELECT count(quiet(email)) FROM legacy;
SELECT spent();
\c - postgres
SET search_path = metering_test, redoubt;
SECURITY LABEL FOR redoubt ON FUNCTION quiet(text) IS 'harmless';
SECURITY LABEL FOR redoubt ON FUNCTION quiet(text) IS 'trusted';
GRANT EXECUTE ON FUNCTION quiet(text) TO regress_metering_app;
SELECT objname, label ~ '^trusted [0-9a-f]{64}$' AS bound FROM pg_seclabels WHERE objtype = 'function' AND objname LIKE '%quiet%';
\c - regress_metering_app
SELECT count(metering_test.quiet(email)) FROM metering_test.legacy;
SELECT metering_test.spent();
\c - postgres
CREATE OR REPLACE FUNCTION metering_test.quiet(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN $1 > ''m''; END';
\c - regress_metering_app
SELECT count(metering_test.quiet(email)) FROM metering_test.legacy;
SELECT metering_test.spent();

-- ------------------------------------------------------------------ the meter

SELECT redoubt.meter(email, '\x00000100000000000100'::bytea) FROM metering_test.legacy;
SELECT count(*) FROM metering_test.legacy WHERE metering_test.seen(redoubt.meter(email, '\x00000100000000000100'::bytea));
-- It does not show in plans.
EXPLAIN (COSTS off, VERBOSE) SELECT count(*) FROM metering_test.legacy WHERE metering_test.quiet(email);

\c - postgres
SET client_min_messages = warning;
DROP SCHEMA metering_test CASCADE;
DROP OWNED BY regress_metering_app;
DROP ROLE regress_metering_app;
