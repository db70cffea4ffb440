--
-- Limits: who may set them, what they count, that they stop at exactly the
-- value they name for every operation and every way out, that several apply at
-- once, and that neither a rollback nor a detour gives a value back.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_limits_admin LOGIN IN ROLE redoubt_admin;
CREATE ROLE regress_limits_group;
CREATE ROLE regress_limits_app LOGIN;
CREATE ROLE regress_limits_a LOGIN IN ROLE regress_limits_group;
CREATE ROLE regress_limits_b LOGIN IN ROLE regress_limits_group;
CREATE ROLE regress_limits_c LOGIN;
CREATE ROLE regress_limits_d LOGIN;
CREATE SCHEMA limits_test AUTHORIZATION regress_limits_app;
GRANT USAGE ON SCHEMA limits_test TO PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token),
  redoubt.name_token(text), redoubt.detokenize(redoubt.name_token), redoubt.mask(redoubt.name_token)
  TO regress_limits_app, regress_limits_group, regress_limits_c, regress_limits_d;
\c - regress_limits_app
SET search_path = limits_test, redoubt;
CREATE TABLE customer (id int PRIMARY KEY, email email_token, name name_token);
INSERT INTO customer SELECT n, format('u%s@example.com', n), 'Name ' || n FROM generate_series(1, 100) AS n;
GRANT SELECT, UPDATE ON customer TO PUBLIC;
-- How many e-mails a statement's loop gets, and how it ends.
CREATE FUNCTION harvest(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  got int := 0;
  value text;
  hint text;
BEGIN
  FOR n IN 1..100 LOOP
    EXECUTE statement INTO value USING n;
    got := got + 1;
  END LOOP;
  RETURN got || ' without an end';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RETURN got || ' then ' || sqlstate || CASE WHEN hint ~ 'allowed at [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:.]+' THEN ', with a time' ELSE '' END;
END $$;

-- ------------------------------------------------------------- who may, and what

SELECT set_limit(NULL, NULL, 'reveal', 1000, '1 hour');
SELECT drop_limit(NULL, NULL, 'reveal');
SELECT reset_usage();
SELECT * FROM limit_rule;
INSERT INTO limit_rule (role, operation, max_values, per, created_by) VALUES (NULL, 'reveal', 1, '1 s', 'regress_limits_app');
\c - regress_limits_admin
SET search_path = limits_test, redoubt;
INSERT INTO limit_rule (role, operation, max_values, per, created_by) VALUES (NULL, 'reveal', 1, '1 s', 'regress_limits_app');
SELECT set_limit('regress_limits_app', 'email_token', 'steal', 10, '1 hour');
SELECT set_limit('regress_limits_app', 'email_token', 'reveal', 0, '1 hour');
SELECT set_limit('regress_limits_app', 'email_token', 'reveal', -5, '1 hour');
SELECT set_limit('regress_limits_app', 'email_token', 'reveal', NULL, '1 hour');
SELECT set_limit('regress_limits_app', 'email_token', 'reveal', 10, '0 s');
SELECT set_limit('regress_limits_app', 'email_token', 'reveal', 10, '-1 hour');
SELECT set_limit('regress_limits_app', 'email_token', 'reveal', 10, '1 month');
SELECT set_limit('regress_limits_app', 'email_token', 'reveal', 10, '1 hour', burst => 0);
SELECT set_limit('regress_limits_app', 'email_token', 'reveal', 10, '1 hour', on_excess => 'ignore');
SELECT set_limit('regress_limits_app', 'email_token', 'reveal', 10, '1 hour', on_excess => 'throttle', max_delay => '-1 s');
SELECT set_limit('regress_limits_app', 'int4', 'reveal', 10, '1 hour');
SELECT set_limit('regress_limits_nobody', 'email_token', 'reveal', 10, '1 hour');
-- 0 is no role and no type; null is every one.
SELECT set_limit('regress_limits_app', 0::regtype, 'reveal', 10, '1 hour');
SELECT set_limit('regress_limits_app', 0::regtype, 'reveal', 10, 'statement');
SELECT set_limit(0::regrole, 'email_token', 'reveal', 10, '1 hour');
SELECT explain_limit(0::regrole, 'email_token', 'reveal');
SELECT explain_limit('regress_limits_app', 0::regtype, 'reveal');
SELECT lift_suspension(0::regrole);
SELECT reset_usage(0::regrole);
SELECT set_limit('regress_limits_app', NULL, 'tokenize', 1000000, '1 day') > 0 AS set;
SELECT set_limit('regress_limits_app', NULL, 'tokenize', 2000000, '1 day', on_excess => 'log', shared => true) > 0 AS replaced;
SELECT set_limit('regress_limits_group', 'email_token', 'reveal', 10, '1 day', burst => 5) > 0 AS set;
SELECT role, token_type, operation, max_values, per, burst, on_excess, max_delay, shared, created_by FROM limits WHERE role::text LIKE 'regress%' ORDER BY 1, 2, 3;
\c - regress_limits_a
SELECT role, operation, max_values FROM redoubt.limits WHERE role IS NOT NULL ORDER BY 1;  -- those that apply to oneself
\c - regress_limits_admin
SET search_path = limits_test, redoubt;
SELECT drop_limit('regress_limits_app', NULL, 'tokenize', '1 hour') AS other_interval, drop_limit('regress_limits_app', 'email_token', 'tokenize') AS other_type,
       drop_limit('regress_limits_app', NULL, 'tokenize') AS dropped, drop_limit('regress_limits_app', NULL, 'tokenize') AS again;
SELECT drop_limit('regress_limits_group', 'email_token', 'reveal');

-- ------------------------------------- exactly so many, whatever the operation

SELECT set_limit('regress_limits_c', 'email_token', 'reveal', 10, '1 day') > 0 AS c,
       set_limit('regress_limits_c', 'email_token', 'masked', 7, '1 day') > 0 AS c,
       set_limit('regress_limits_c', 'email_token', 'tokenize', 5, '1 day') > 0 AS c,
       set_limit('regress_limits_c', 'email_token', 'read', 20, '1 day') > 0 AS c;
\c - regress_limits_c
SET search_path = limits_test, redoubt;
SELECT harvest('SELECT detokenize(email) FROM customer WHERE id = $1') AS reveal,
       harvest('SELECT mask(email) FROM customer WHERE id = $1') AS masked,
       harvest('SELECT email_token(format(''guess%s@example.com'', $1))') AS tokenize,
       harvest('SELECT detokenize(name) FROM customer WHERE id = $1') AS another_type;
SELECT detokenize(email) FROM customer WHERE id = 1;
SELECT 'alice@example.com'::email_token;
SELECT id FROM customer WHERE email = 'u1@example.com';
SELECT mask(email) FROM customer WHERE id = 1;
-- Blocked is blocked, by every way out.
SET redoubt.reveal = 'plain';
SELECT email FROM customer WHERE id = 1;
SELECT json_agg(email) FROM customer;
SELECT email::text FROM customer WHERE id = 1;
SELECT count(*) FROM customer WHERE email::text LIKE 'u1%';
COPY (SELECT email FROM customer) TO STDOUT;
BEGIN;
DECLARE c CURSOR FOR SELECT email FROM customer;
FETCH 1 FROM c;
ROLLBACK;
UPDATE customer SET id = id WHERE id = 1 RETURNING email;
SET redoubt.reveal = 'masked';
SELECT email FROM customer WHERE id = 1;
RESET redoubt.reveal;
-- Reads.
\copy (SELECT email FROM customer WHERE id <= 15) TO PROGRAM 'wc -l'
SELECT count(*) FROM (SELECT email FROM customer) AS s;
\copy customer TO PROGRAM 'wc -l'
SELECT email FROM customer WHERE id <= 6 \g /dev/null
SELECT operation, charged, remaining, next_allowed > now() AS later, blocked FROM usage WHERE token_type = 'email_token'::regtype ORDER BY operation;
-- reset_usage clears the counters and gives no new budget.
\c - regress_limits_admin
SELECT redoubt.reset_usage('regress_limits_c');
\c - regress_limits_c
SET search_path = limits_test, redoubt;
SELECT harvest('SELECT detokenize(email) FROM customer WHERE id = $1') AS reveal;
SELECT operation, charged, remaining, blocked FROM usage WHERE token_type = 'email_token'::regtype AND operation = 'reveal';

-- ------------------------------- one statement that asks for too much gets N

\c - regress_limits_admin
SELECT redoubt.set_limit('regress_limits_d', 'email_token', 'reveal', 30, '1 day') > 0 AS set,
       redoubt.set_limit('regress_limits_d', NULL, 'masked', 12, '1 day') > 0 AS "every type";
\c - regress_limits_d
SET search_path = limits_test, redoubt;
SET redoubt.reveal = 'plain';
\copy (SELECT email FROM customer ORDER BY id) TO PROGRAM 'wc -l'
SELECT operation, charged, remaining FROM usage WHERE token_type = 'email_token'::regtype AND operation = 'reveal';
RESET redoubt.reveal;
-- A limit for every type is one bucket over all types.
SELECT harvest('SELECT mask(email), mask(name) FROM customer WHERE id = $1') AS pairs;
SELECT harvest('SELECT mask(name) FROM customer WHERE id = $1') AS none_left;

-- ------------------- what was charged stays charged: rollback, savepoint, error

\c - regress_limits_admin
SELECT redoubt.drop_limit('regress_limits_d', 'email_token', 'reveal');
SELECT redoubt.set_limit('regress_limits_d', 'email_token', 'reveal', 10, '1 day') > 0 AS set;
\c - regress_limits_d
SET search_path = limits_test, redoubt;
BEGIN;
SELECT count(detokenize(email)) FROM customer WHERE id <= 3;
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT count(detokenize(email)) FROM customer WHERE id <= 3;
ROLLBACK TO s;
SELECT count(detokenize(email)) FROM customer WHERE id <= 3;
SELECT detokenize(email), 1 / 0 FROM customer WHERE id = 1;
ROLLBACK;
SELECT detokenize(email) FROM customer WHERE id = 1;

-- ------------------------------------ roles: one bucket each, or one for all

\c - regress_limits_admin
SELECT redoubt.set_limit('regress_limits_group', 'email_token', 'reveal', 4, '1 day') > 0 AS set,
       redoubt.set_limit('regress_limits_group', 'email_token', 'masked', 6, '1 day', shared => true) > 0 AS shared;
\c - regress_limits_a
SET search_path = limits_test, redoubt;
SELECT harvest('SELECT detokenize(email) FROM customer WHERE id = $1') AS own, harvest('SELECT mask(email) FROM customer WHERE id = $1 AND $1 <= 4 OR $1 > 4 AND 1 / ($1 - 5) > 0') AS shared;
\c - regress_limits_b
SET search_path = limits_test, redoubt;
SELECT harvest('SELECT detokenize(email) FROM customer WHERE id = $1') AS own, harvest('SELECT mask(email) FROM customer WHERE id = $1') AS shared;
-- SET ROLE and SECURITY DEFINER spend the login's own budget.
SET ROLE regress_limits_group;
SELECT detokenize(email) FROM customer WHERE id = 1;
RESET ROLE;
\c - regress_limits_app
CREATE FUNCTION limits_test.definer(int) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT redoubt.detokenize(email) FROM limits_test.customer WHERE id = $1';
SELECT limits_test.definer(1);
\c - regress_limits_b
SELECT limits_test.definer(1);
\c - regress_limits_app
SELECT role, charged FROM redoubt.usage WHERE operation = 'reveal' AND token_type = 'redoubt.email_token'::regtype;  -- one's own only

-- ---------------------------------------- several windows; log; throttle

\c - regress_limits_admin
SELECT redoubt.drop_limit('regress_limits_d', 'email_token', 'reveal');
SELECT redoubt.set_limit('regress_limits_d', 'email_token', 'reveal', 1000, '1 s') > 0 AS second,
       redoubt.set_limit('regress_limits_d', 'email_token', 'reveal', 20, '1 hour') > 0 AS hour,
       redoubt.set_limit(NULL, 'email_token', 'reveal', 15, '2 days') > 0 AS everyone;
\c - regress_limits_d
SET search_path = limits_test, redoubt;
SELECT harvest('SELECT detokenize(email) FROM customer WHERE id = $1') AS the_least;
SELECT remaining, blocked FROM usage WHERE operation = 'reveal' AND token_type = 'email_token'::regtype;
\c - regress_limits_admin
SELECT redoubt.drop_limit(NULL, 'email_token', 'reveal');
\c - regress_limits_d
SET search_path = limits_test, redoubt;
SELECT harvest('SELECT detokenize(email) FROM customer WHERE id = $1') AS the_rest;
\c - regress_limits_admin
SELECT redoubt.drop_limit('regress_limits_d', 'email_token', 'reveal') AS dropped;
SELECT redoubt.set_limit('regress_limits_d', 'email_token', 'reveal', 5, '1 day', on_excess => 'log') > 0 AS log;
\c - regress_limits_d
SET search_path = limits_test, redoubt;
SELECT harvest('SELECT detokenize(email) FROM customer WHERE id = $1') AS only_logged;
-- Throttle: 20 a second after a burst of 5, so 25 values take about a second.
\c - regress_limits_admin
SELECT redoubt.drop_limit('regress_limits_d', 'email_token', 'reveal') AS dropped;
SELECT redoubt.set_limit('regress_limits_d', 'email_token', 'reveal', 20, '1 s', burst => 5, on_excess => 'throttle') > 0 AS throttle;
\c - regress_limits_d
SET search_path = limits_test, redoubt;
SELECT clock_timestamp() AS began \gset
SELECT count(detokenize(email)) FROM customer WHERE id <= 25;
SELECT clock_timestamp() - :'began' BETWEEN '0.8 s' AND '20 s' AS about_a_second;
SELECT delayed_ms BETWEEN 700 AND 20000 AS delayed, blocked FROM usage WHERE operation = 'reveal' AND token_type = 'email_token'::regtype;
-- A sleeper can be cancelled.
\c - regress_limits_admin
SELECT redoubt.set_limit('regress_limits_d', 'email_token', 'masked', 1, '1 hour', on_excess => 'throttle', max_delay => '1 day') > 0 AS slow,
       redoubt.drop_limit('regress_limits_d', NULL, 'masked') AS dropped;
\c - regress_limits_d
SET search_path = limits_test, redoubt;
SET statement_timeout = '300 ms';
SELECT count(mask(email)) FROM customer WHERE id <= 2;
RESET statement_timeout;
-- What would take longer than max_delay is blocked at once.
\c - regress_limits_admin
SELECT redoubt.set_limit('regress_limits_d', 'email_token', 'masked', 1, '1 hour', on_excess => 'throttle', max_delay => '1 min') > 0 AS impatient;
\c - regress_limits_d
SET search_path = limits_test, redoubt;
SELECT clock_timestamp() AS began \gset
SELECT harvest('SELECT mask(email) FROM customer WHERE id = $1') AS blocked;
SELECT clock_timestamp() - :'began' < '30 s' AS at_once;

-- -------------------------------------- usage is counted without a limit too

\c - regress_limits_app
SET search_path = limits_test, redoubt;
SELECT count(detokenize(name)), count(mask(name)) FROM customer WHERE id <= 9;
SELECT token_type, operation, charged, remaining, next_allowed, delayed_ms, blocked, since <= now() AS since FROM usage WHERE token_type = 'name_token'::regtype AND operation <> 'tokenize' ORDER BY operation;
\c - regress_limits_admin
SELECT count(DISTINCT role) >= 5 AS sees_everyone FROM redoubt.usage WHERE role::text LIKE 'regress_limits%';

\c - postgres
SET client_min_messages = warning;
DELETE FROM redoubt.limit_rule WHERE role::text LIKE 'regress_limits%';
DROP SCHEMA limits_test CASCADE;
DROP OWNED BY regress_limits_admin, regress_limits_group, regress_limits_app, regress_limits_a, regress_limits_b, regress_limits_c, regress_limits_d;
DROP ROLE regress_limits_admin, regress_limits_group, regress_limits_app, regress_limits_a, regress_limits_b, regress_limits_c, regress_limits_d;
