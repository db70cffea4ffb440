--
-- Probes under a limit: rows that a protected column has chosen use the budget up where they
-- are aggregated, put into an array, written or handed to a function, and the statement stops
-- there; one row looked up, changed or aggregated costs one.  EXPLAIN counts them as well.  So do conflicts.
-- What each way costs is test/metering.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_probes_app LOGIN;
CREATE SCHEMA probes_test;
GRANT USAGE, CREATE ON SCHEMA probes_test TO regress_probes_app;
SET search_path = probes_test, redoubt;
CREATE TABLE legacy (id int PRIMARY KEY, email text, hit boolean);
INSERT INTO legacy SELECT n, 'l' || n || '@example.com' FROM generate_series(1, 100) AS n;
SECURITY LABEL FOR redoubt ON COLUMN legacy.email IS 'email_token';
CREATE TABLE dictionary (word text, hit boolean);
INSERT INTO dictionary SELECT 'l' || n || '@example.com' FROM generate_series(1, 200) AS n;
CREATE TABLE letters (id int, letter text);
CREATE FUNCTION told(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE WARNING ''told''; RETURN true; END';
ANALYZE legacy, dictionary;
CREATE TABLE other (secret text);
INSERT INTO other VALUES ('six');
SECURITY LABEL FOR redoubt ON COLUMN other.secret IS 'text_token';
GRANT ALL ON legacy, dictionary, letters, other TO regress_probes_app;

-- What the role was charged since the last call.
CREATE FUNCTION spent() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  result text;
BEGIN
  SELECT string_agg(format('%s %s', charged, operation), ', ' ORDER BY operation) INTO result
  FROM redoubt.usage WHERE charged > 0 AND role = 'regress_probes_app'::regrole;
  PERFORM redoubt.reset_usage('regress_probes_app');
  RETURN coalesce(result, 'nothing');
END $$;

-- ---------------------------------------------------- what is charged, no limit

\c - regress_probes_app
SET search_path = probes_test, redoubt;
SELECT json_agg(s) FROM (SELECT id FROM legacy WHERE email = 'l5@example.com') AS s;
SELECT spent();
SELECT json_agg(s) FROM (SELECT id FROM legacy WHERE email = 'nobody') AS s;
SELECT spent();
UPDATE legacy SET hit = true WHERE email = 'l5@example.com';
SELECT spent();
UPDATE legacy SET hit = true WHERE email LIKE 'l5%';
SELECT spent();
SELECT count(*), sum(id), max(id) FROM legacy WHERE email LIKE 'l5%';
SELECT spent();
SELECT length(string_agg(chr(a), '')) FROM legacy, generate_series(32, 127) AS a WHERE ascii(substr(email, 2, 1)) = a;
SELECT spent();
SELECT id % 2 AS odd, length(string_agg(id::text, '')) FROM legacy WHERE email LIKE 'l5%' GROUP BY 1 ORDER BY 1;
SELECT spent();
SELECT length(string_agg(id::text, ',' ORDER BY email)) FROM legacy;
SELECT spent();
EXPLAIN (COSTS OFF) INSERT INTO letters SELECT id, 'x' FROM legacy ORDER BY email;
SELECT spent();
-- A window that keeps one column's value in rows that another has chosen.
SELECT max(a) FROM (SELECT avg((SELECT length(max(secret)) FROM other)::numeric) OVER () AS a FROM legacy WHERE email LIKE 'l5%') AS s;
SELECT spent();

-- ---------------------------------------------------------- the budget ends inside

\c - postgres
SET search_path = probes_test, redoubt;
SELECT redoubt.set_limit('regress_probes_app', 'email_token', 'probe', 10, '100 days') > 0 AS set;
-- A fresh budget for each attack.
CREATE PROCEDURE refill() LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM redoubt.reset_usage('regress_probes_app');
  PERFORM redoubt.drop_limit('regress_probes_app', 'redoubt.email_token', 'probe');
  PERFORM redoubt.set_limit('regress_probes_app', 'redoubt.email_token', 'probe', 10, '100 days');
END $$;
\c - regress_probes_app
SET search_path = probes_test, redoubt;
SELECT string_agg(chr(a), '' ORDER BY id, p) FROM legacy, generate_series(1, 5) AS p, generate_series(32, 127) AS a
WHERE ascii(substr(email, p, 1)) = a;
SELECT spent();
CALL refill();
SELECT ARRAY(SELECT id * 1000 + a FROM legacy, generate_series(32, 127) AS a WHERE ascii(substr(email, 2, 1)) = a);
CALL refill();
SELECT sum(a * 1000::numeric ^ id) FROM legacy, generate_series(32, 127) AS a WHERE ascii(substr(email, 2, 1)) = a;
CALL refill();
UPDATE dictionary SET hit = true FROM legacy WHERE email = word;
CALL refill();
INSERT INTO letters SELECT id, chr(a) FROM legacy, generate_series(32, 127) AS a WHERE ascii(substr(email, 2, 1)) = a;
CALL refill();
SELECT count(*) FROM legacy WHERE email LIKE 'l%' AND id <= 12 AND told(id::text);
SELECT count(*) FROM dictionary WHERE hit;
SELECT count(*) FROM letters;
-- Conflicts: no row is proposed once the budget is used up, whether it would be in conflict or not.
CALL refill();
INSERT INTO legacy (id) SELECT n FROM generate_series(85, 120) AS n ON CONFLICT (id) DO UPDATE SET hit = told('');
INSERT INTO legacy (id) VALUES (5) ON CONFLICT (id) DO NOTHING;
INSERT INTO legacy (id) VALUES (5000) ON CONFLICT (id) DO NOTHING;
CALL refill();
INSERT INTO legacy (id) SELECT n FROM generate_series(91, 120) AS n ON CONFLICT (id) DO NOTHING;
INSERT INTO legacy (id) VALUES (5000);

\c - postgres
SET client_min_messages = warning;
DROP SCHEMA probes_test CASCADE;
SELECT redoubt.drop_limit('regress_probes_app', 'email_token', 'probe');
DROP OWNED BY regress_probes_app;
DROP ROLE regress_probes_app;
