--
-- What PostgreSQL 17 brought, where it meets tokens: MERGE ... RETURNING reveals as a
-- SELECT does, EXPLAIN SERIALIZE does not, COPY's ON_ERROR keeps its refusals, who may
-- MAINTAIN a table gains nothing, and login triggers run on the account of who logs in.
-- Costs are in test/metering/since17.tsv.
--
-- (since17_1.out is what 15 and 16 print: nothing.)
--
SELECT current_setting('server_version_num')::int < 170000 AS too_old \gset
\if :too_old
\quit
\endif
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_since17_lead LOGIN;
CREATE ROLE regress_since17_clerk LOGIN;
CREATE SCHEMA since17 AUTHORIZATION regress_since17_lead;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token),
  redoubt.reset_usage(regrole) TO regress_since17_lead;
\c - regress_since17_lead
SET search_path = since17, redoubt;
GRANT USAGE ON SCHEMA since17 TO regress_since17_clerk;
CREATE TABLE customer (id int PRIMARY KEY, email email_token);
INSERT INTO customer VALUES (1, 'alice@example.com'), (2, 'bob@example.org');
CREATE MATERIALIZED VIEW seen AS SELECT id, email FROM customer;
GRANT SELECT ON customer, seen TO regress_since17_clerk;
GRANT INSERT ON customer TO regress_since17_clerk;
GRANT MAINTAIN ON customer, seen TO regress_since17_clerk;

-- MERGE ... RETURNING
SET redoubt.reveal = 'auto';
MERGE INTO customer AS c USING (VALUES (2, 'bella@example.org'), (3, 'carol@example.com')) AS v (id, email) ON c.id = v.id
WHEN MATCHED THEN UPDATE SET email = v.email
WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.email)
RETURNING merge_action(), c.id, c.email;
MERGE INTO customer AS c USING (VALUES ('alice@example.com'::email_token)) AS v (email) ON c.email = v.email
WHEN NOT MATCHED BY SOURCE AND c.id = 3 THEN DELETE
RETURNING merge_action(), c.id, c.email;
-- Written, not shown: a token.
CREATE TABLE copied (what text, email text);
WITH merged AS (
  MERGE INTO customer AS c USING (VALUES (1)) AS v (id) ON c.id = v.id WHEN MATCHED THEN UPDATE SET id = c.id RETURNING c.email)
INSERT INTO copied SELECT 'merge', email FROM merged;
SELECT what, email LIKE 'tok\_%' AS is_token FROM copied;

-- SQL/JSON hands on what a text would.
SELECT json_value(jsonb_build_object('e', email), '$.e') FROM customer WHERE id = 1;
SELECT j.e FROM customer AS c, json_table(to_jsonb(c), '$' COLUMNS (e text PATH '$.email')) AS j WHERE id = 1;
SET redoubt.reveal = 'token';
SELECT json_value(jsonb_build_object('e', email), '$.e') LIKE 'tok\_%' AS is_token FROM customer WHERE id = 1;
-- A column of JSON_TABLE may be a token, made by who may.
SELECT j.e = 'alice@example.com' AS same FROM json_table('["alice@example.com"]'::jsonb, '$[*]' COLUMNS (e email_token PATH '$')) AS j;

-- JSON_TABLE keeps its node, whatever of it is metered: a row pattern finds what it is passed, and EXPLAIN shows both.
CREATE FUNCTION is_short(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN length($1) < 100; END$$;
CREATE DOMAIN short AS text CHECK (is_short(value));
SET redoubt.reveal = 'auto';
SELECT j.e FROM customer AS c, json_table(to_jsonb(c.email::text), '$ ? (@ starts with $x)' PASSING 'ali' AS x COLUMNS (e short PATH '$')) AS j;
EXPLAIN (VERBOSE, COSTS off) SELECT j.e FROM customer AS c, json_table(to_jsonb(c.email::text), '$' PASSING c.email AS x COLUMNS (e short PATH '$x')) AS j \g /dev/null
-- A token that is passed is opened, as an argument of type text.
SELECT json_value(jsonb '{}', '$x' PASSING email AS x) FROM customer WHERE id = 1;
SELECT j.e FROM customer AS c, json_table(jsonb '1', '$' PASSING c.email AS x COLUMNS (e text PATH '$x')) AS j WHERE c.id = 1;
SET redoubt.reveal = 'token';

-- EXPLAIN SERIALIZE calls the output functions, for nobody.
SET redoubt.reveal = 'auto';
SELECT redoubt.reset_usage('regress_since17_lead');
EXPLAIN (ANALYZE, SERIALIZE text, COSTS off, TIMING off, SUMMARY off) SELECT email FROM customer \g /dev/null
SELECT coalesce(sum(charged), 0) AS revealed FROM redoubt.usage WHERE operation = 'reveal';
RESET redoubt.reveal;

-- ON_ERROR ignore: a value that cannot be tokenized is skipped like any other; one that may not be ends the COPY.
COPY customer FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY verbose);
x	alice@example.com
4	a•••@example.com
\.
SELECT count(*) FROM customer;

\c - regress_since17_clerk
SET search_path = since17, redoubt;
COPY customer FROM STDIN (ON_ERROR ignore);
5	eve@example.com
\.
-- MAINTAIN
REFRESH MATERIALIZED VIEW seen;
ANALYZE customer;
REINDEX TABLE customer;
SET redoubt.reveal = 'auto';
SELECT count(*) AS tokens FROM seen WHERE redoubt.token(email) LIKE 'tok\_%';
SELECT redoubt.detokenize(email) FROM seen;

-- What settings change is no constant to search by, JSON no more than XML.
\c - postgres
GRANT EXECUTE ON FUNCTION redoubt.search(redoubt.email_token) TO regress_since17_clerk;
\c - regress_since17_clerk
SET search_path = since17, redoubt;
SELECT count(*) FROM customer WHERE email LIKE 'alice' || substr('2020-01-01'::text, 1, 0) || '%';
SELECT count(*) FROM customer WHERE email LIKE substr(json_scalar('2020-01-01 12:00Z'::timestamptz)::text, 22, 2) || '%';
SELECT count(*) FROM customer WHERE email LIKE json_value('"01/02/2020"'::jsonb, '$' RETURNING date)::text || '%';

-- A login trigger runs in the session of who logs in: with that role's privileges, on its account.
\c - postgres
SET client_min_messages = warning;
CREATE FUNCTION since17.greet() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF session_user LIKE 'regress\_since17\_%' THEN
    PERFORM redoubt.detokenize(email) FROM since17.customer;
  END IF;
END $$;
CREATE EVENT TRIGGER regress_since17_login ON login EXECUTE FUNCTION since17.greet();
SELECT redoubt.reset_usage();
\c - regress_since17_lead
\c - postgres
SELECT role, operation, charged FROM redoubt.usage WHERE operation = 'reveal' AND role = 'regress_since17_lead'::regrole;
DROP EVENT TRIGGER regress_since17_login;

SET client_min_messages = warning;
DROP SCHEMA since17 CASCADE;
DROP OWNED BY regress_since17_lead, regress_since17_clerk;
DROP ROLE regress_since17_lead, regress_since17_clerk;
