--
-- Reads: a row of a protected column that leaves the top of a query costs one
-- value of `read`; what is revealed costs `reveal` or `masked` and is not a
-- read too; what does not leave costs nothing.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_reads_app LOGIN;
CREATE SCHEMA reads_test AUTHORIZATION regress_reads_app;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token),
  redoubt.phone_token(text), redoubt.mask(redoubt.phone_token), redoubt.reset_usage(regrole) TO regress_reads_app;
\c - regress_reads_app
SET search_path = reads_test, redoubt;
SET client_min_messages = warning;
CREATE TABLE customer (id int PRIMARY KEY, email email_token, phone phone_token, note text);
INSERT INTO customer SELECT n, format('u%s@example.com', n), CASE WHEN n % 2 = 0 THEN format('+1697555%s', 1000 + n) END, 'note ' || n FROM generate_series(1, 100) AS n;
CREATE TABLE ticket (id int, customer_id int, email email_token);
INSERT INTO ticket SELECT n, n % 10 + 1, format('u%s@example.com', n % 10 + 1) FROM generate_series(1, 50) AS n;
ANALYZE customer, ticket;
CREATE TABLE legacy (id int, email text, phone text);
INSERT INTO legacy SELECT n, 'l' || n || '@example.com', 'p' || n FROM generate_series(1, 20) AS n;

-- What was charged since the last call.
CREATE FUNCTION spent() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  SELECT string_agg(format('%s %s %s', charged, operation, token_type), ', ' ORDER BY operation, token_type::text) INTO result
  FROM redoubt.usage WHERE charged > 0;
  PERFORM redoubt.reset_usage('regress_reads_app');
  RETURN coalesce(result, 'nothing');
END $$;
\c - postgres
SECURITY LABEL FOR redoubt ON COLUMN reads_test.legacy.email IS 'email_token';
\c - regress_reads_app
SET search_path = reads_test, redoubt;
\pset tuples_only on
\pset format unaligned
-- The rows go to /dev/null: tokens are not for expected files.
SELECT spent();  -- tokenizing the rows above: each value once

-- ------------------------------------------------------------ plain queries

SELECT email FROM customer \g /dev/null
SELECT spent();
SELECT email, phone FROM customer \g /dev/null
SELECT spent();
SELECT email, email FROM customer WHERE id <= 10 \g /dev/null
SELECT spent();
SELECT * FROM customer LIMIT 7 \g /dev/null
SELECT spent();
SELECT email FROM customer ORDER BY note DESC LIMIT 10 \g /dev/null
SELECT spent();
SELECT email FROM customer ORDER BY email LIMIT 10 OFFSET 5 \g /dev/null
SELECT spent();
SELECT id, note FROM customer \g /dev/null
SELECT spent();
SELECT note FROM customer ORDER BY email \g /dev/null
SELECT spent();
SELECT count(*), count(email) FROM customer \g /dev/null
SELECT spent();
-- From 16 on the planner may sort for a DISTINCT aggregate, and a sort key is a probe.
SELECT count(DISTINCT email) FROM customer \g /dev/null
SELECT spent() IN ('nothing', '1 probe email_token') AS at_most_a_probe;
SELECT count(*) FROM customer JOIN ticket USING (email) \g /dev/null
SELECT spent();
SELECT EXISTS (SELECT email FROM customer), (SELECT count(email) FROM customer) \g /dev/null
SELECT spent();
SELECT NULL::email_token FROM customer \g /dev/null
SELECT spent();
SELECT phone FROM customer WHERE id <= 5 \g /dev/null
SELECT spent();
SELECT c.email, t.email FROM customer AS c JOIN ticket AS t USING (email) WHERE c.id <= 3 \g /dev/null
SELECT spent();
SELECT DISTINCT email FROM ticket \g /dev/null
SELECT spent();
SELECT email, count(*) FROM ticket GROUP BY email HAVING count(*) > 1 \g /dev/null
SELECT spent();
SELECT (SELECT c.email FROM customer AS c WHERE c.id = t.customer_id) FROM ticket AS t \g /dev/null
SELECT spent();
WITH c AS MATERIALIZED (SELECT * FROM customer) SELECT email FROM c WHERE id < 5 \g /dev/null
SELECT spent();
SELECT email FROM customer WHERE id <= 5 UNION ALL SELECT email FROM ticket \g /dev/null
SELECT spent();
CREATE VIEW first AS SELECT id, email FROM customer WHERE id <= 20;
SELECT * FROM first \g /dev/null
SELECT spent();
SELECT id FROM first \g /dev/null
SELECT spent();

-- --------------------------------------------- several values in one column

SELECT ARRAY[email, email, NULL] FROM customer WHERE id <= 2 \g /dev/null
SELECT spent();
SELECT array_agg(email) FROM customer \g /dev/null
SELECT spent();
SELECT c FROM customer AS c WHERE id <= 4 \g /dev/null
SELECT spent();
CREATE DOMAIN mail AS email_token;
SELECT email::mail FROM customer WHERE id <= 4 \g /dev/null
SELECT spent();

-- ------------------------------------------------------ cursors, tuple stores

BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT email FROM customer ORDER BY id;
FETCH 3 FROM c \g /dev/null
SELECT spent();
FETCH 4 FROM c \g /dev/null
SELECT spent();
FETCH BACKWARD 2 FROM c \g /dev/null
SELECT spent();
MOVE 50 IN c;
SELECT spent();
CLOSE c;
DECLARE h CURSOR WITH HOLD FOR SELECT email FROM customer ORDER BY id;
FETCH 2 FROM h \g /dev/null
SELECT spent();
COMMIT;  -- stores all rows, where a function could read them: they are charged now
SELECT spent();
FETCH 5 FROM h \g /dev/null
SELECT spent();
CLOSE h;
-- Rows with tokens in them, stored where redoubt.reveal shows values and printed where it shows tokens.
BEGIN;
SET LOCAL redoubt.reveal = auto;
DECLARE h CURSOR WITH HOLD FOR SELECT c, ROW(c.email, 1) FROM customer AS c WHERE id <= 4;
DECLARE i CURSOR WITH HOLD FOR SELECT array_append(array_cat(ARRAY[email], ARRAY[email]), email) FROM customer WHERE id <= 4;
DECLARE j CURSOR WITH HOLD FOR SELECT array_agg(ROW(email, id)) FROM customer WHERE id <= 4;
DECLARE k CURSOR WITH HOLD FOR SELECT json_agg(email) FROM customer WHERE id <= 4;
COMMIT;
FETCH ALL FROM h \g /dev/null
FETCH ALL FROM i \g /dev/null
FETCH ALL FROM j \g /dev/null
SELECT spent();
CLOSE ALL;
-- The same in a function.
SET redoubt.reveal = auto;
CREATE FUNCTION kept(OUT a email_token[], OUT b record) LANGUAGE plpgsql AS $$
BEGIN
  SELECT array_agg(ROW(email, id)) INTO b FROM customer WHERE id <= 4;
  SELECT ROW(email, id) INTO b FROM customer WHERE id = 4;
  SELECT array_append(ARRAY[email], email) INTO a FROM customer WHERE id = 5;
  PERFORM set_config('redoubt.reveal', 'token', true);
END $$;
SELECT kept() \g /dev/null
SELECT spent();
-- The setting is another while the text is made than where it is judged who pays for it.
SET redoubt.reveal = auto;
SELECT set_config('redoubt.reveal', 'token', false), format('%s', email), set_config('redoubt.reveal', 'auto', false) FROM customer WHERE id <= 3 \g /dev/null
SELECT spent();
SELECT json_build_array(set_config('redoubt.reveal', 'auto', false), ARRAY[email, email], set_config('redoubt.reveal', 'token', false)) FROM customer WHERE id <= 3 \g /dev/null
SELECT spent();
SET redoubt.reveal = auto;
SELECT json_build_array((SELECT array_agg(email) FROM customer WHERE id <= 3), set_config('redoubt.reveal', 'token', false)) \g /dev/null
SELECT spent();
SET redoubt.reveal = auto;
SELECT json_object_agg(id, ARRAY[email, email]), json_agg(email) FROM customer WHERE id <= 3 \g /dev/null
SELECT spent();
RESET redoubt.reveal;
UPDATE customer SET note = note WHERE id <= 6 RETURNING id, email \g /dev/null
SELECT spent();
UPDATE customer SET note = note WHERE id <= 6;
SELECT spent();
WITH u AS (UPDATE customer SET note = note WHERE id <= 6 RETURNING email) SELECT email FROM u LIMIT 2 \g /dev/null
SELECT spent();
PREPARE p(int) AS SELECT email FROM customer WHERE id <= $1;
EXECUTE p(8) \g /dev/null
SELECT spent();
DEALLOCATE p;
COPY (SELECT email FROM customer WHERE id <= 9) TO STDOUT \g /dev/null
SELECT spent();
COPY customer TO STDOUT \g /dev/null
SELECT spent();
CREATE FUNCTION some_sql() RETURNS SETOF email_token LANGUAGE sql VOLATILE AS 'SELECT email FROM customer WHERE id <= 7';
CREATE FUNCTION some_plpgsql() RETURNS SETOF email_token LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT email FROM customer WHERE id <= 7; END';
SELECT * FROM some_sql() \g /dev/null
SELECT spent();
SELECT * FROM some_plpgsql() LIMIT 3 \g /dev/null
SELECT spent();

-- --------------------------------------- tokens that stay are no reads

CREATE TABLE copied AS SELECT * FROM customer;
SELECT spent();
INSERT INTO copied SELECT * FROM customer;
SELECT spent();
CREATE INDEX ON copied (email);
ANALYZE copied;
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT email FROM copied \g /dev/null
SELECT spent();

-- ------------------------------------------------------- revealed, not read

SET redoubt.reveal = 'auto';
SELECT email, phone FROM customer WHERE id <= 10 \g /dev/null
SELECT spent();
SET redoubt.reveal = 'masked';
SELECT email, phone FROM customer WHERE id <= 10 \g /dev/null
SELECT spent();
SET redoubt.reveal = 'plain';
SELECT email FROM customer LIMIT 4 \g /dev/null
SELECT spent();
SELECT ARRAY[email, email], ROW(email) FROM customer LIMIT 4 \g /dev/null
SELECT spent();
SELECT email::text, 'x' || email FROM customer LIMIT 4 \g /dev/null
SELECT spent();
UPDATE customer SET note = note WHERE id <= 6 RETURNING email \g /dev/null
SELECT spent();
BEGIN;
DECLARE c CURSOR FOR SELECT email FROM customer;
FETCH 3 FROM c \g /dev/null
COMMIT;
SELECT spent();
COPY (SELECT email FROM customer LIMIT 5) TO STDOUT \g /dev/null
SELECT spent();
COPY customer TO STDOUT \g /dev/null
SELECT spent();
SELECT count(*) FROM customer WHERE email::text LIKE 'u1%@example.com';  -- looking is no revealing
SELECT spent();
SELECT count(detokenize(email)) FROM customer WHERE id <= 30;
SELECT spent();
SELECT detokenize(email), mask(email) FROM customer WHERE id <= 3 \g /dev/null
SELECT spent();
-- A plain SELECT reveals no more than it delivers.
SELECT email FROM customer ORDER BY id LIMIT 1;
SELECT spent();

-- -------------------- changing one's mind on the way does not make it free

SELECT set_config('redoubt.reveal', 'token', false), email FROM customer WHERE id <= 5 \g /dev/null
SELECT spent();
SET redoubt.reveal = 'plain';
UPDATE customer SET note = note WHERE id <= 6 RETURNING set_config('redoubt.reveal', 'token', false), email \g /dev/null
SELECT spent();
SET redoubt.reveal = 'plain';
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT email FROM customer;
COMMIT;
SET redoubt.reveal = 'token';
FETCH 5 FROM h \g /dev/null
SELECT spent();
CLOSE h;
CREATE FUNCTION sly() RETURNS SETOF email_token LANGUAGE plpgsql SET redoubt.reveal = 'plain' AS 'BEGIN RETURN QUERY SELECT email FROM customer WHERE id <= 7; END';
SELECT * FROM sly() \g /dev/null
SELECT spent();
SET redoubt.reveal = 'plain';
SELECT c.email FROM customer AS c, (SELECT 1 FROM pg_stats LIMIT 1) AS s WHERE c.id <= 5 \g /dev/null
SELECT spent();
RESET redoubt.reveal;
SET application_name = 'pg_dump';
SELECT email FROM customer WHERE id <= 5 \g /dev/null
RESET application_name;
SELECT spent();

-- ------------------------------------------------ a labelled plaintext column

SELECT email FROM legacy \g /dev/null
SELECT spent();
SELECT id, phone FROM legacy \g /dev/null
SELECT spent();
SELECT * FROM (SELECT email AS renamed FROM legacy WHERE id <= 5) AS s ORDER BY 1 \g /dev/null
SELECT spent();
CREATE VIEW legacy_view AS SELECT email AS address, id FROM legacy;
SELECT address FROM legacy_view LIMIT 3 \g /dev/null
SELECT spent();
CREATE VIEW legacy_outer AS SELECT v.address AS a, c.id FROM legacy_view AS v JOIN customer AS c USING (id);
SELECT a FROM legacy_outer LIMIT 4 \g /dev/null
SELECT spent();
CREATE OR REPLACE VIEW legacy_view AS SELECT phone AS address, id FROM legacy;
SELECT a FROM legacy_outer \g /dev/null
SELECT spent();
COPY legacy TO STDOUT \g /dev/null
SELECT spent();
CREATE TABLE legacy_copy AS SELECT email FROM legacy;  -- plaintext leaves its label
SELECT spent();
UPDATE legacy SET phone = phone WHERE id <= 4 RETURNING email \g /dev/null
SELECT spent();
BEGIN;
DECLARE c CURSOR FOR SELECT email FROM legacy;
FETCH 2 FROM c \g /dev/null
COMMIT;
SELECT spent();
SET redoubt.reveal = 'plain';
SELECT email FROM legacy \g /dev/null
SELECT spent();

-- A column that is labelled after a statement was planned and before it runs: a SQL function plans all of its body first.
\c - postgres
SET search_path = reads_test, redoubt;
CREATE FUNCTION label_phone() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$BEGIN SECURITY LABEL FOR redoubt ON COLUMN reads_test.legacy.phone IS 'redoubt.phone_token'; END$$;
CREATE FUNCTION labels_and_reads() RETURNS SETOF text LANGUAGE sql AS 'SELECT reads_test.label_phone(); SELECT email || phone FROM reads_test.legacy';
GRANT EXECUTE ON FUNCTION label_phone(), labels_and_reads() TO regress_reads_app;
\c - regress_reads_app
SET search_path = reads_test, redoubt;
SELECT labels_and_reads() \g /dev/null
SELECT spent();

\pset tuples_only off
\pset format aligned
\c - postgres
SET client_min_messages = warning;
DROP SCHEMA reads_test CASCADE;
DROP OWNED BY regress_reads_app;
DROP ROLE regress_reads_app;
