--
-- Limits per statement: a statement as the client sent it gets exactly the values the
-- limit names, whatever it does inside; the next one begins anew; cursors, however they are
-- fetched from, do not.  Every action, both other modes, and one audit event per act.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_statement_admin LOGIN IN ROLE redoubt_admin;
CREATE ROLE regress_statement_group;
CREATE ROLE regress_statement_a LOGIN IN ROLE regress_statement_group;
CREATE ROLE regress_statement_b LOGIN IN ROLE regress_statement_group;
CREATE SCHEMA statement_test;
GRANT ALL ON SCHEMA statement_test TO PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token)
  TO regress_statement_group, postgres;
SET search_path = statement_test, redoubt;
CREATE TABLE customer (id int PRIMARY KEY, email email_token);
INSERT INTO customer SELECT n, format('u%s@example.com', n) FROM generate_series(1, 100) AS n;
GRANT SELECT, INSERT ON customer TO PUBLIC;
SELECT max(sequence) AS mark FROM redoubt.audit \gset

-- ------------------------------------------------------------- who sets what, and how it shows

\c - regress_statement_admin
SET search_path = statement_test, redoubt;
SELECT set_limit('regress_statement_a', 'email_token', 'reveal', 5, 'statements');
SELECT set_limit('regress_statement_a', 'email_token', 'reveal', 5, NULL);
SELECT set_limit('regress_statement_a', 'email_token', 'reveal', 5, 'statement', burst => 5);
SELECT set_limit('regress_statement_a', 'email_token', 'reveal', 5, 'statement', on_excess => 'throttle');
SELECT set_limit('regress_statement_a', 'email_token', 'read', 5, 'statement', on_excess => 'degrade');
SELECT set_limit('regress_statement_a', 'email_token', 'reveal', 7, 'Statement') AS id \gset
SELECT set_limit('regress_statement_a', 'email_token', 'reveal', 5, per => 'statement') = :id AS replaced;
SELECT set_limit('regress_statement_a', 'email_token', 'reveal', 58, '1 day') > :id AS beside,
       set_limit('regress_statement_a', 'email_token', 'reveal', 59, interval '2 days') > :id AS beside;
SELECT set_limit('regress_statement_a', 'email_token', 'read', 10, 'statement') > 0 AS set,
       set_limit('regress_statement_a', 'email_token', 'tokenize', 3, 'statement') > 0 AS set;
SELECT operation, max_values, per, burst, on_excess FROM limits WHERE role = 'regress_statement_a'::regrole ORDER BY id;
-- A preset: for each operation the statement has a quarter of the hour, or less, and the hour less than the day.
SELECT set_limits('regress_statement_b', 'email_token', 'somebody');
SELECT set_limits('regress_statement_b', 'email_token', preset) > 0 AS set FROM (SELECT DISTINCT preset FROM limit_presets) AS p;
SELECT count(*) AS limits, count(DISTINCT operation) AS operations, count(DISTINCT coalesce(per::text, 'statement')) AS windows FROM limits WHERE role = 'regress_statement_b'::regrole;
SELECT s.preset, s.operation FROM limit_presets AS s JOIN limit_presets AS h USING (preset, operation) JOIN limit_presets AS d USING (preset, operation)
WHERE s.per = 'statement' AND h.per = '1 hour' AND d.per = '1 day' AND (4 * s.max_values > h.max_values OR h.max_values > d.max_values);
SELECT sum(drop_limit('regress_statement_b', 'email_token', operation)) FROM (SELECT DISTINCT operation FROM limit_presets) AS o;
-- The error says for programs when to come back: in 72 seconds at most, where there are 50 an hour.
SELECT set_limit('regress_statement_b', 'email_token', 'reveal', 50, '1 hour', burst => 1) > 0 AS set;
\c - regress_statement_b
SET search_path = statement_test, redoubt;
SELECT detokenize(email) FROM customer WHERE id = 1;
DO $$
DECLARE
  at text;
  type text;
  schema text;
BEGIN
  PERFORM redoubt.detokenize(email) FROM statement_test.customer WHERE id = 2;
EXCEPTION WHEN configuration_limit_exceeded THEN
  GET STACKED DIAGNOSTICS at = CONSTRAINT_NAME, type = PG_DATATYPE_NAME, schema = SCHEMA_NAME;
  RAISE NOTICE '% %.%', at::timestamptz - now() BETWEEN interval '60 s' AND interval '72 s', schema, type;
END $$;
\c - regress_statement_admin
SET search_path = statement_test, redoubt;
SELECT drop_limit('regress_statement_b', 'email_token', 'reveal');
SELECT strictest, reason, via, max_values, per, burst, remaining, next_allowed
  FROM explain_limit('regress_statement_a', 'email_token', 'reveal');
SELECT drop_limit('regress_statement_a', 'email_token', 'reveal', interval '2 days');
\c - postgres
SET search_path = statement_test, redoubt;
-- One event per act; a change by hand is still one of its own, also one made on the way of an act.
SELECT event, operation, detail ~ '^limit \d+: role regress_statement_a, reveal, 5 values per statement, on excess block$' AS told
  FROM redoubt.audit WHERE sequence > :mark AND event IN ('limit', 'policy') ORDER BY sequence;
SELECT max(sequence) AS mark FROM redoubt.audit \gset
UPDATE limit_rule SET created_at = now() WHERE id = :id;
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE redoubt.limit_rule SET max_values = 1000 WHERE operation = 'probe';
  RETURN NEW;
END $$;
CREATE TRIGGER meddle BEFORE INSERT ON limit_rule FOR EACH STATEMENT EXECUTE FUNCTION meddle();
SELECT set_limit('regress_statement_a', 'email_token', 'probe', 100, 'statement') > 0 AS set;
-- Nor does an act that fails hide what comes after it.
CREATE OR REPLACE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
SELECT set_limit('regress_statement_a', 'email_token', 'probe', 200, 'statement');
DROP TRIGGER meddle ON limit_rule;
UPDATE limit_rule SET created_at = now() WHERE id = :id;
SELECT set_limit('regress_statement_a', 'email_token', 'probe', 0, 'statement');
DELETE FROM limit_rule WHERE operation = 'probe' AND role = 'regress_statement_a'::regrole;
SELECT event, operation FROM redoubt.audit WHERE sequence > :mark AND event IN ('limit', 'policy') ORDER BY sequence;
SELECT redoubt.set_limit(NULL, NULL, 'probe', 1, 'statement') > 0 AS set;
INSERT INTO limit_rule (operation, max_values, burst, created_by) VALUES ('read', 5, 5, 'postgres');
INSERT INTO limit_rule (operation, max_values, on_excess, created_by) VALUES ('read', 5, 'throttle', 'postgres');
SELECT redoubt.drop_limit(NULL, NULL, 'probe', 'statement');

-- ------------------------------------------------------------- exactly so many, and anew each time

\c - regress_statement_a
SET search_path = statement_test, redoubt;
SELECT count(detokenize(email)) FROM customer WHERE id <= 5;
SELECT count(detokenize(email)) FROM customer WHERE id <= 5;
SELECT count(detokenize(email)) FROM customer WHERE id <= 6;
SELECT count(detokenize(email)) FROM customer WHERE id <= 5;
-- Of several in one string each has its own.
SELECT count(detokenize(email)) FROM customer WHERE id <= 5 \; SELECT count(detokenize(email)) FROM customer WHERE id <= 5;
-- Literals are tokenized before the statement runs, the rest while it does: together they are one statement.
INSERT INTO customer VALUES (101, 'a@example.com'), (102, 'b@example.com'), (103, 'c@example.com');
INSERT INTO customer VALUES (111, 'a@example.com'), (112, 'b@example.com'), (113, 'c@example.com'), (114, 'd@example.com');
INSERT INTO customer VALUES (111, 'a@example.com'), (112, 'b@example.com') \; INSERT INTO customer VALUES (113, 'c@example.com'), (114, 'd@example.com');
INSERT INTO customer SELECT 120 + n, CASE n WHEN 0 THEN 'z@example.com'::email_token ELSE email_token('x' || n || '@example.com') END FROM generate_series(1, 3) AS n;
BEGIN;
INSERT INTO customer VALUES (131, 'a@example.com'), (132, 'b@example.com');
INSERT INTO customer VALUES (133, 'c@example.com'), (134, 'd@example.com');
COMMIT;
-- What is refused inside and caught does not begin anew either.
CREATE FUNCTION harvest(tries int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  got int := 0;
  refused int := 0;
  person record;
BEGIN
  FOR n IN 1..tries LOOP
    BEGIN
      FOR person IN SELECT detokenize(email) AS email FROM customer WHERE id IN (n, n + 1) LOOP
        got := got + 1;
        EXECUTE 'SELECT 1';
      END LOOP;
    EXCEPTION WHEN configuration_limit_exceeded THEN
      refused := refused + 1;
    END;
  END LOOP;
  RETURN got || ' got, refused ' || refused;
END $$;
SELECT harvest(10);
DO $$ BEGIN RAISE WARNING '% and again %', harvest(3), harvest(3); END $$;
PREPARE several AS SELECT count(detokenize(email)) FROM customer WHERE id <= $1;
EXECUTE several(5);
EXECUTE several(5);
EXECUTE several(6);
-- A read that was leased ahead and not delivered is given back within the statement.
CREATE FUNCTION first_of(int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  value text;
BEGIN
  SELECT email INTO value FROM customer WHERE id >= $1 ORDER BY id LIMIT 1;
  RETURN 'got it';
END $$;
SELECT first_of(n) FROM generate_series(1, 3) AS n;
-- Two meters that lease ahead of each other do not refuse what there is: ten are not enough for eleven.
CREATE FUNCTION look(email_token) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;
\o /dev/null
SELECT email, look(email) FROM customer WHERE id <= 5;
SELECT email, look(email) FROM customer WHERE id <= 5 UNION ALL SELECT NULL, look(email) FROM customer WHERE id = 6;
\o

-- ------------------------------------------------------------- with the limit of a day beside it

SELECT charged, remaining, blocked FROM usage WHERE operation = 'reveal';
SELECT count(detokenize(email)) FROM customer WHERE id <= 3;
SELECT count(detokenize(email)) FROM customer WHERE id <= 1;
\c - regress_statement_admin
SET search_path = statement_test, redoubt;
SELECT strictest, reason, per FROM explain_limit('regress_statement_a', 'email_token', 'reveal');
SELECT drop_limit('regress_statement_a', 'email_token', 'reveal', '1 day');

-- ------------------------------------------------------------- cursors

\c - regress_statement_a
SET search_path = statement_test, redoubt;
BEGIN;
DECLARE c CURSOR FOR SELECT id, detokenize(email) AS email FROM customer ORDER BY id;
FETCH 2 FROM c;
SELECT count(detokenize(email)) FROM customer WHERE id <= 5;
MOVE 1 FROM c;
FETCH 2 FROM c;
FETCH 1 FROM c;
ROLLBACK;
-- Tokens that FETCH prints out of a store are charged after it ran: to the cursor all the same.
BEGIN;
DECLARE c CURSOR FOR SELECT id, email, email AS token FROM customer ORDER BY id;
DECLARE d CURSOR FOR SELECT email, email FROM customer ORDER BY id;
\pset format unaligned
\pset tuples_only on
\o /dev/null
FETCH 3 FROM c;
FETCH 5 FROM d;
FETCH 2 FROM c;
\o
SAVEPOINT before;
FETCH 1 FROM c;
ROLLBACK TO before;
FETCH 1 FROM d;
ROLLBACK;
\pset tuples_only off
\pset format aligned
-- A held one is charged when COMMIT stores its rows, and fetched for no more.
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT id, email, email FROM customer WHERE id <= 6 ORDER BY id;
COMMIT;
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT id, email, email FROM customer WHERE id <= 5 ORDER BY id;
COMMIT;
\o /dev/null
FETCH 5 FROM h;
\o
FETCH 1 FROM h;
SELECT count(detokenize(email)) FROM customer WHERE id <= 5;
CLOSE h;
-- Out of a function: what it opened for its caller, and what it fetches from a cursor of before.
CREATE FUNCTION opened() RETURNS refcursor LANGUAGE plpgsql AS $$
DECLARE
  r CONSTANT refcursor := 'r';
  value text;
BEGIN
  OPEN r FOR SELECT detokenize(email) FROM customer ORDER BY id;
  FETCH r INTO value;
  FETCH r INTO value;
  RETURN r;
END $$;
BEGIN;
SELECT opened();
FETCH 3 FROM r;
FETCH 1 FROM r;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT detokenize(email) FROM customer ORDER BY id;
CREATE FUNCTION fetched(c refcursor, times int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  value text;
  got int := 0;
BEGIN
  FOR n IN 1..times LOOP
    FETCH c INTO value;
    got := got + 1;
  END LOOP;
  RETURN got || ' got';
EXCEPTION WHEN configuration_limit_exceeded THEN
  RETURN got || ' got, then refused';
END $$;
SELECT fetched('c', 3);
SELECT fetched('c', 9);
ROLLBACK;
CREATE FUNCTION fetched(c refcursor, times int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  value text;
  got int := 0;
BEGIN
  FOR n IN 1..times LOOP
    EXECUTE 'FETCH ' || quote_ident(c::text) INTO value;
    got := got + 1;
  END LOOP;
  RETURN got || ' got';
EXCEPTION WHEN configuration_limit_exceeded THEN
  RETURN got || ' got, then refused';
END $$;
BEGIN;
DECLARE c CURSOR FOR SELECT detokenize(email) FROM customer ORDER BY id;
DECLARE d CURSOR FOR SELECT detokenize(email) FROM customer ORDER BY id;
SELECT fetched('c', 4);
SELECT fetched('d', 1) AS both, fetched('c', 1) AS five_are_all;
ROLLBACK;
-- A procedure that commits is one statement.
CREATE PROCEDURE in_steps() LANGUAGE plpgsql AS $$
DECLARE
  value text;
BEGIN
  FOR n IN 1..9 LOOP
    SELECT detokenize(email) INTO value FROM customer WHERE id = n;
    RAISE WARNING 'got %', n;
    COMMIT;
  END LOOP;
END $$;
CALL in_steps();

-- ------------------------------------------------------------- actions and modes

\c - regress_statement_admin
SET search_path = statement_test, redoubt;
SELECT set_limit('regress_statement_b', 'email_token', 'reveal', 2, 'statement', on_excess => 'degrade') > 0 AS set,
       set_limit('regress_statement_b', 'email_token', 'masked', 2, 'statement', on_excess => 'degrade') > 0 AS set,
       set_limit('regress_statement_b', 'email_token', 'tokenize', 2, 'statement', on_excess => 'log') > 0 AS set;
SELECT strictest, reason FROM explain_limit('regress_statement_b', 'email_token', 'reveal');
SELECT strictest, reason FROM explain_limit('regress_statement_b', 'email_token', 'tokenize');
\c - regress_statement_b
SET search_path = statement_test, redoubt;
-- Two and two in one string: no event, or one that names a statement of three or more.
INSERT INTO customer VALUES (141, 'a@example.com'), (142, 'b@example.com') \; INSERT INTO customer VALUES (143, 'c@example.com'), (144, 'd@example.com');
SET redoubt.reveal = plain;
SELECT id, CASE WHEN format('%s', email) LIKE 'tok\_%' THEN 'a token' ELSE email::text END FROM customer WHERE id <= 5 ORDER BY id;
SELECT id, email FROM customer WHERE id <= 4 ORDER BY id;
SELECT id, email FROM customer WHERE id BETWEEN 3 AND 4 ORDER BY id;
INSERT INTO customer VALUES (151, 'a@example.com'), (152, 'b@example.com'), (153, 'c@example.com');
\c - regress_statement_admin
SET search_path = statement_test, redoubt;
SELECT set_limit('regress_statement_b', 'email_token', 'reveal', 2, 'statement', on_excess => 'suspend') > 0 AS set;
SELECT strictest, reason FROM explain_limit('regress_statement_b', 'email_token', 'reveal');
\c - regress_statement_b
SET search_path = statement_test, redoubt;
SELECT count(detokenize(email)) FROM customer WHERE id <= 2;
SELECT count(detokenize(email)) FROM customer WHERE id <= 3;
SELECT count(mask(email)) FROM customer WHERE id <= 1;
\c - regress_statement_admin
SET search_path = statement_test, redoubt;
SELECT strictest, reason, suspended_since IS NOT NULL AS suspended FROM explain_limit('regress_statement_b', 'email_token', 'reveal');
SELECT lift_suspension('regress_statement_b');
\c - regress_statement_b
SET search_path = statement_test, redoubt;
SELECT count(detokenize(email)) FROM customer WHERE id <= 2;
\c - postgres
ALTER ROLE regress_statement_b SET redoubt.mode = observe;
\c - regress_statement_b
SET search_path = statement_test, redoubt;
SELECT count(detokenize(email)) FROM customer WHERE id <= 3;
\c - postgres
ALTER ROLE regress_statement_b SET redoubt.mode = learn;
\c - regress_statement_b
SET search_path = statement_test, redoubt;
SELECT count(detokenize(email)) FROM customer WHERE id <= 3;
\c - postgres
SELECT event, operation, regexp_replace(detail, '^limit \d+: ', '') AS detail FROM redoubt.audit
 WHERE sequence > :mark AND session_user_name = 'regress_statement_b' AND event IN ('limit exceeded', 'degrade', 'block', 'suspend') ORDER BY sequence;

-- ------------------------------------------------------------- a cursor and its DECLARE

-- Where no read is limited.  What DECLARE was charged counts: here two literals, of three.
ALTER ROLE regress_statement_b RESET redoubt.mode;
SELECT redoubt.set_limit('regress_statement_b', 'redoubt.email_token', 'tokenize', 3, 'statement') > 0 AS set;
\c - regress_statement_b
SET search_path = statement_test, redoubt;
BEGIN;
DECLARE c CURSOR FOR SELECT id, email_token('x' || id || '@example.com') IS NULL AS none FROM customer WHERE email NOT IN ('a@example.com', 'b@example.com') ORDER BY id;
FETCH 1 FROM c;
FETCH 1 FROM c;
ROLLBACK;
\c - postgres

-- ------------------------------------------------------------- so many at a time

-- One statement has room for the counts of 32 limits.
CREATE ROLE regress_statement_many LOGIN;
SELECT count(redoubt.set_limit(role, 'redoubt.email_token', 'read', 100, 'statement')) FROM
  (SELECT NULL::regrole AS role UNION ALL SELECT 'regress_statement_many') AS r;
DO $$
BEGIN
  FOR n IN 1..31 LOOP
    EXECUTE format('CREATE ROLE regress_statement_%s ROLE regress_statement_many', n);
    PERFORM redoubt.set_limit(format('regress_statement_%s', n)::regrole, 'redoubt.email_token', 'read', 100, 'statement');
  END LOOP;
END $$;
\c - regress_statement_many
\o /dev/null
SELECT email FROM statement_test.customer WHERE id = 1;
\o
\c - postgres
SELECT redoubt.drop_limit(NULL, 'redoubt.email_token', 'read', 'statement');
\c - regress_statement_many
\o /dev/null
SELECT email FROM statement_test.customer WHERE id = 1;
\o

-- ------------------------------------------------------------- cleaning up

\c - postgres
SET client_min_messages = warning;
DELETE FROM redoubt.limit_rule WHERE role::text LIKE 'regress\_statement\_%';
DROP SCHEMA statement_test CASCADE;
REVOKE EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token)
  FROM regress_statement_group, postgres;
DO $$ BEGIN FOR n IN 1..31 LOOP EXECUTE format('DROP ROLE regress_statement_%s', n); END LOOP; END $$;
DROP ROLE regress_statement_admin, regress_statement_group, regress_statement_a, regress_statement_b, regress_statement_many;
