/*
 * What PostgreSQL's parser takes a token column for, where it stands beside texts of a declared type.
 *
 * Proves: equality with a text, varchar or char is equality of tokens, by the index, at the price and under the privilege of the
 * comparison that is written out: in conditions, rows, IS DISTINCT FROM, NULLIF, IN and ANY; two types are compared by value;
 * arrays of tokens and of texts have the operators of two arrays; JOIN ... USING goes with every type of text; a choice among
 * a text and a token is written as a token.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE regress_text_lead;
CREATE ROLE regress_text_clerk;
CREATE SCHEMA regress_text AUTHORIZATION regress_text_lead;
SELECT redoubt.create_token_type('regress_text.' || name, method => method, format => format)
FROM (VALUES ('card', 'fpe', 'card'), ('number', 'fpe', 'integer(1000000,9999999)'), ('patient', 'vault', NULL)) AS v(name, method, format);
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.name_token(text), regress_text.card(text), regress_text.number(bigint),
  regress_text.patient(text) TO regress_text_lead;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.detokenize(redoubt.name_token), redoubt.detokenize(regress_text.card),
  redoubt.detokenize(regress_text.patient), redoubt.detokenize(regress_text.number), redoubt.search(redoubt.email_token), redoubt.search(redoubt.name_token) TO regress_text_lead;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text) TO regress_text_clerk;
SELECT redoubt.set_limit('regress_text_lead', NULL, operation, 100000, '1 hour') IS NULL AS failed
FROM (VALUES ('reveal'), ('probe'), ('tokenize')) AS o(operation);
SET SESSION AUTHORIZATION regress_text_lead;
SET search_path = regress_text, redoubt, public;
SET redoubt.reveal = auto;
CREATE TABLE customer (id int PRIMARY KEY, email email_token UNIQUE, name name_token, card card, number number, patient patient,
  emails email_token[], cards card[], patients patient[]);
CREATE INDEX emails_index ON customer USING gin (emails);
CREATE TABLE list (email text, name varchar, card varchar(30), number bigint, names char(10), patient text);
INSERT INTO customer SELECT i, 'User' || i || '@Example.com', CASE i WHEN 9 THEN 'User9@Example.com' ELSE 'Name ' || i END, card(overlay('4111111111111111'::text PLACING (10 + i)::text FROM 8)),
  number((4711000 + i)::bigint), patient('Name ' || i), ARRAY['User' || i || '@example.com', 'shared@example.com'],
  card(ARRAY[overlay('4111111111111111'::text PLACING (10 + i)::text FROM 8)]), patient(ARRAY['Name ' || i, 'shared'])
FROM generate_series(1, 20) AS i;
INSERT INTO list VALUES ('User3@example.com', 'Name 3', '4111111131111111', 4711003, 'Name 3', 'Name 3');
GRANT SELECT ON customer, list TO regress_text_clerk;
GRANT USAGE ON SCHEMA regress_text TO regress_text_clerk;
RESET SESSION AUTHORIZATION;
CREATE FUNCTION regress_text.spent() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = redoubt, pg_catalog, pg_temp AS $$
DECLARE
  result text;
  who regrole := session_user::regrole;
BEGIN
  SELECT string_agg(format('%s %s %s', charged, operation, token_type), ', ' ORDER BY operation, token_type::text) INTO result
  FROM redoubt.usage WHERE role = who AND charged > 0;
  PERFORM redoubt.reset_usage(who);
  RETURN coalesce(result, 'nothing');
END $$;
-- The rows that a condition finds, and their price.
CREATE FUNCTION regress_text.found(condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  ids int[];
BEGIN
  PERFORM regress_text.spent();
  EXECUTE format('SELECT array_agg(id ORDER BY id) FROM customer WHERE %s', condition) INTO ids;
  RETURN format('%s: %s', coalesce(ids::text, 'none'), regress_text.spent());
END $$;
CREATE FUNCTION regress_text.plan(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || statement LOOP
    IF line ~ '(Index|Hash|Recheck) Cond' THEN RETURN NEXT ltrim(line); END IF;
  END LOOP;
END $$;

SET SESSION AUTHORIZATION regress_text_lead;
SET search_path = regress_text, redoubt, public;
-- Each condition, and the one that it stands for.
-- Values.
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$email = 'User3@example.com'::text$$),
  ($$email = email_token('User3@example.com'::text)$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$'User3@example.com'::varchar = email$$),
  ($$email = email_token('User3@example.com'::text)$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$name = 'Name 3'::char(20)$$),
  ($$name = name_token('Name 3'::text)$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$name <> ALL (ARRAY['Name 3', 'Name 4']::varchar[])$$),
  ($$name <> name_token('Name 3'::text) AND name <> name_token('Name 4'::text)$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$email IS DISTINCT FROM 'User3@example.com'::text$$),
  ($$NOT email = email_token('User3@example.com'::text)$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$'shared@Example.com'::text = ANY (emails) AND id < 3$$),
  ($$email_token('shared@Example.com'::text) = ANY (emails) AND id < 3$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$name = (SELECT name FROM list)$$),
  ($$name = (SELECT name_token(name) FROM list)$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$name IN (SELECT name FROM list)$$),
  ($$name IN (SELECT name_token(name) FROM list)$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$CASE name WHEN 'Name 3'::text THEN true END$$),
  ($$CASE WHEN name = name_token('Name 3'::text) THEN true END$$)) AS v(c) \gexec
SELECT id, nullif(email, 'User3@example.com'::varchar), nullif(email, ''::text) FROM customer WHERE id IN (3, 4) ORDER BY id;
-- A collation that takes different texts for equal compares values.
CREATE COLLATION any_case (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
SELECT id FROM customer WHERE name = 'NAME 3'::text COLLATE any_case;
SELECT id FROM customer WHERE name::text COLLATE any_case = 'NAME 4' OR name = ANY (ARRAY['NAME 5'::text COLLATE any_case]) ORDER BY id;
SELECT id, nullif(name, 'NAME 3'::text COLLATE any_case) IS NULL AS equal FROM customer WHERE id IN (3, 4) ORDER BY id;
SELECT id FROM customer WHERE name = 'Name 3'::text COLLATE "C";
DROP COLLATION any_case;
-- Two types are two values.
SELECT id FROM customer WHERE email = name;
SELECT count(*) FROM customer WHERE email <> name;
-- A cast that is written out compares what was typed.
SELECT id FROM customer WHERE email::text IN ('User3@example.com', 'User4@Example.com');

-- Rows.
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$(email, id) = ('User3@example.com'::text, 3)$$),
  ($$email = email_token('User3@example.com'::text) AND id = 3$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$(email, id) <> ('User3@example.com'::text, 3) AND id < 5$$),
  ($$(email <> email_token('User3@example.com'::text) OR id <> 3) AND id < 5$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$(email, name) IN (('User3@example.com'::varchar, 'Name 3'::varchar), ('User4@example.com', 'Name 5'))$$),
  ($$(email = email_token('User3@example.com'::text) AND name = name_token('Name 3'::text)) OR (email = email_token('User4@example.com'::text) AND name = name_token('Name 5'::text))$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$(email, id) IN (VALUES ('User3@example.com'::text, 3), ('User4@example.com', 5))$$),
  ($$(email, id) IN (VALUES (email_token('User3@example.com'::text), 3), (email_token('User4@example.com'::text), 5))$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$(name, id) > ('Name 8'::text, 8) AND id < 10$$),
  ($$(name > 'Name 8' OR (name = 'Name 8' AND id > 8)) AND id < 10$$)) AS v(c) \gexec
SELECT id FROM customer WHERE (card, id) = ('4111111131111111'::text, 3) OR (card, id) IN (('4111111221111111'::varchar, 12), ('4111111221111111', 2)) ORDER BY id;
SELECT id FROM customer WHERE (card, number) = (SELECT card, number FROM list) OR (number, id) = (4711002::bigint, 2) OR (number, id) = (4711001, 1) ORDER BY id;
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$(patient, id) = ('Name 3'::text, 3)$$),
  ($$patient = patient_find('Name 3'::text) AND id = 3$$)) AS v(c) \gexec

-- Arrays.
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$emails @> ARRAY['user4@example.com', 'User4@example.com']$$),
  ($$emails @> ARRAY[email_token('user4@example.com'::text), email_token('User4@example.com'::text)]$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$emails @> ARRAY['User4@example.com']$$),
  ($$emails @> ARRAY[email_token('User4@example.com'::text)]$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$'{User4@example.com}'::varchar[] <@ emails$$),
  ($$emails @> ARRAY[email_token('User4@example.com'::text)]$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$emails && '{User4@example.com,User5@Example.com,none}'::text[]$$),
  ($$emails && email_token('{User4@example.com,User5@Example.com,none}'::text[])$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$emails <@ ARRAY['User4@example.com', 'shared@example.com', 'other']::char(20)[]$$),
  ($$emails <@ email_token(ARRAY['User4@example.com', 'shared@example.com', 'other'])$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$emails = ARRAY['User4@example.com', 'shared@example.com']$$),
  ($$emails = email_token(ARRAY['User4@example.com', 'shared@example.com'])$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$emails IS NOT DISTINCT FROM ARRAY['User4@example.com', 'shared@example.com']$$),
  ($$emails = email_token(ARRAY['User4@example.com', 'shared@example.com'])$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$id < 3 AND ARRAY['User2@example.com', 'shared@example.com'] <> emails$$),
  ($$id < 3 AND emails <> email_token(ARRAY['User2@example.com', 'shared@example.com'])$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$emails @> (SELECT array_agg(email) FROM list)$$),
  ($$emails @> (SELECT email_token(array_agg(email)) FROM list)$$)) AS v(c) \gexec
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$array_position(emails, 'User4@Example.com'::text) = 1$$),
  ($$array_position(emails::text[], 'User4@Example.com') = 1$$)) AS v(c) \gexec
SELECT id FROM customer WHERE cards @> ARRAY['4111111131111111'] OR ARRAY['4111111131111111'::varchar] && cards OR cards = ARRAY['4111111221111111'] ORDER BY id;
SELECT format('SELECT found(%L)', c) FROM (VALUES ($$patients @> ARRAY['Name 4', 'shared']$$),
  ($$patients @> ARRAY[patient_find('Name 4'), patient_find('shared')]$$)) AS v(c) \gexec
SELECT count(*) FROM customer WHERE patients && ARRAY['unknown', 'nobody'];
-- As ever: two of a type, and literals, and arrays of text.
SELECT id FROM customer AS c WHERE emails = emails AND emails @> '{User7@example.com}' AND emails && ARRAY['shared@example.com']::email_token[];
SELECT ARRAY['a', 'b'] @> '{a}' AS literal, ARRAY['a'] && ARRAY['a'::text] AS texts, '{1,2}'::int[] = '{1,2}' AS numbers, '{a}'::varchar[] <@ '{a,b}' AS varchars;
SELECT ARRAY[1] && ARRAY['a'];

-- By index.
SET enable_seqscan = off;
PREPARE by_char(char) AS SELECT id FROM customer WHERE email = $1;
PREPARE by_row(text, int) AS SELECT id FROM customer WHERE (email, id + 0) = ($1, $2);
PREPARE by_array(text[]) AS SELECT id FROM customer WHERE emails && $1;
SET plan_cache_mode = force_generic_plan;
SELECT plan($$EXECUTE by_char('')$$);
SELECT plan($$EXECUTE by_row('', 1)$$);
SELECT plan($$EXECUTE by_array('{}')$$);
EXECUTE by_row('User6@example.com', 6);
RESET plan_cache_mode;
RESET enable_seqscan;

-- USING, in both orders.
SELECT id FROM customer JOIN list USING (email);
SELECT id, name FROM list JOIN customer USING (name);
SELECT id FROM customer AS c JOIN (SELECT names AS name FROM list) AS l USING (name);
SELECT id FROM (SELECT names AS name FROM list) AS l JOIN customer USING (name);
SELECT id FROM customer JOIN list USING (card);
SELECT id FROM list JOIN customer USING (card);
SELECT id FROM customer NATURAL JOIN (SELECT card::char(30) FROM list) AS l;
SELECT id FROM list JOIN customer USING (number);

-- What has no common type, or is of two: the one is never taken for the other.
\set VERBOSITY default
SELECT coalesce(email, name) FROM customer;
\echo :SQLSTATE
SELECT email FROM customer UNION SELECT name FROM customer;
SELECT CASE id WHEN 1 THEN email ELSE name END FROM customer;
SELECT greatest(name, email) FROM customer;
SELECT ARRAY[email, card] FROM customer;
SELECT coalesce(card, name) FROM customer;
SELECT coalesce(patient, email) FROM customer;
SELECT id FROM customer JOIN (SELECT name AS email FROM customer) AS o USING (email);
\echo :SQLSTATE
SELECT id FROM customer JOIN (SELECT 4711003 AS number) AS o USING (number);
SELECT nullif(emails, ARRAY['none']) FROM customer;
\echo :SQLSTATE
SELECT nullif(ARRAY['4111111131111111'], cards) FROM customer;
-- An error of the same words that somebody else makes.
DO $$ BEGIN RAISE EXCEPTION 'failed to find conversion function from a to b'; END $$;
\set VERBOSITY terse
-- As the hints say.
SELECT coalesce(email::text, name), nullif(emails::text[], ARRAY['none']), nullif(emails, ARRAY['none']::email_token[]) FROM customer WHERE id = 3;
SELECT coalesce(email, name, NULL::text), greatest(email, name::text), ARRAY[email, name, 'x'::text] FROM customer WHERE id = 3;
SELECT CASE WHEN id < 4 THEN email WHEN id < 5 THEN name ELSE ''::text END FROM customer WHERE id IN (3, 4) ORDER BY id;
SELECT email::text FROM customer WHERE id = 3 UNION SELECT name FROM customer WHERE id = 4 ORDER BY 1;
SELECT c.id FROM customer AS c JOIN (SELECT name AS email FROM customer) AS o ON c.email = o.email;
SELECT c.id FROM customer AS c JOIN (SELECT 4711003 AS number) AS o ON c.number = o.number;

-- The privilege is that to tokenize, and no other.
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_text_clerk;
SET search_path = regress_text, redoubt, public;
SELECT id FROM customer WHERE email = 'User3@example.com'::text OR (email, id) = ('User4@example.com'::varchar, 4) OR emails @> ARRAY['User5@example.com'] ORDER BY id;
SELECT id FROM customer WHERE name = 'Name 3'::text;
SELECT id FROM customer WHERE cards && ARRAY['4111111131111111'];
SELECT id FROM customer WHERE email = name;
-- To be written, a choice among a text and a token of the column's type is one among tokens, which opens none.
SET SESSION AUTHORIZATION regress_text_lead;
GRANT INSERT, UPDATE ON regress_text.customer TO regress_text_clerk;
CREATE DOMAIN regress_text.mail AS redoubt.email_token;
CREATE TABLE regress_text.kept AS SELECT id, redoubt.token(email) AS token, email::regress_text.mail AS mail FROM regress_text.customer WHERE id BETWEEN 14 AND 19;
GRANT SELECT, UPDATE ON regress_text.kept TO regress_text_clerk;
CREATE VIEW regress_text.addresses AS SELECT id, email FROM regress_text.customer;
GRANT SELECT, UPDATE ON regress_text.addresses TO regress_text_clerk;
SET SESSION AUTHORIZATION regress_text_clerk;
SELECT spent() IS NULL AS failed;
PREPARE patch(int, text, varchar) AS UPDATE customer SET email = coalesce($2, nullif(email, ''), $3) WHERE id = $1;
EXECUTE patch(14, NULL, NULL);
EXECUTE patch(15, 'Second@example.com', NULL);
SET plan_cache_mode = force_generic_plan;
EXECUTE patch(14, NULL, 'other@example.com');
EXECUTE patch(16, 'Third@example.com', NULL);
RESET plan_cache_mode;
UPDATE customer SET email = CASE WHEN id > 17 THEN coalesce(NULL::text, email) WHEN false THEN 'x'::text ELSE email END WHERE id = 17;
UPDATE addresses SET email = coalesce((SELECT min(email) FROM list WHERE false), email) WHERE id = 17;
INSERT INTO customer (id, email) VALUES (18, 'x@example.com') ON CONFLICT (id) DO UPDATE SET email = coalesce(NULL::text, customer.email);
WITH u AS (UPDATE customer SET email = coalesce(NULL::text, email) WHERE id = 19 RETURNING id) SELECT id FROM u;
MERGE INTO customer AS c USING (SELECT 19 AS id) AS s ON s.id = c.id WHEN MATCHED THEN UPDATE SET email = coalesce(NULL::text, c.email);
INSERT INTO customer (id, email) VALUES (21, coalesce(NULL::text, (SELECT email FROM customer WHERE id = 22), 'x21@example.com')), (22, 'x22@example.com');
UPDATE kept SET mail = coalesce(NULL::text, mail) WHERE id = 18;
SELECT spent() ~ 'reveal' AS revealed;
SELECT id, token(email) = token AS kept, mail = email AS mail FROM customer JOIN kept USING (id) ORDER BY id;
-- What is computed from a value, and a token of another type, is written as ever.
UPDATE customer SET email = coalesce(NULL::text, lower(email)) WHERE id = 17;
UPDATE customer SET email = coalesce(NULL::text, name) WHERE id = 17;
UPDATE customer SET email = left(coalesce(NULL::text, email), 3) WHERE id = 17;
UPDATE customer SET email = CASE WHEN email LIKE 'User17%' THEN 'x'::text ELSE email END WHERE id = 17;
RESET SESSION AUTHORIZATION;
DROP VIEW regress_text.addresses;
DROP TABLE regress_text.kept;
DROP DOMAIN regress_text.mail;
DELETE FROM regress_text.customer WHERE id > 20;
SET SESSION AUTHORIZATION regress_text_lead;
UPDATE customer SET email = 'User' || id || '@Example.com' WHERE id IN (15, 16);
SET SESSION AUTHORIZATION regress_text_clerk;
-- What the casts make is shown to nobody.
SELECT emails::redoubt.token_array FROM customer WHERE id = 1;
SELECT '{}'::redoubt.text_array;
SET SESSION AUTHORIZATION regress_text_lead;
SET search_path = regress_text, redoubt, public;
SET redoubt.reveal = auto;
-- In a function, too, whether PostgreSQL could take it apart or not: as a text, and as a query kept with it.
CREATE FUNCTION found_text(text) RETURNS SETOF customer LANGUAGE sql STABLE AS 'SELECT * FROM customer WHERE email = $1';
CREATE FUNCTION found_body(wanted text) RETURNS SETOF customer LANGUAGE sql STABLE BEGIN ATOMIC SELECT * FROM customer WHERE email = wanted; END;
CREATE FUNCTION is_equal(email_token, text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT $1 = $2';
CREATE FUNCTION is_same(anyelement, text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT $1 = $2';
CREATE FUNCTION before(text) RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT id FROM customer WHERE email < $1';
CREATE FUNCTION first_ones() RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT id FROM customer ORDER BY email LIMIT 3';
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT 2 * $1';
SELECT id FROM found_text('User3@EXAMPLE.com');
SELECT id FROM found_body('User3@EXAMPLE.com');
SELECT id FROM customer WHERE is_equal(email, 'User3@EXAMPLE.com');
SELECT id FROM customer WHERE is_same(email, 'User3@EXAMPLE.com');
SELECT before FROM before('User12') ORDER BY 1;
SELECT * FROM first_ones();
EXPLAIN (VERBOSE, COSTS off) SELECT twice(id) FROM customer WHERE id = 2 \g |sed '/Redoubt:/d; /rows)/d; /PLAN/d; /^-*$/d'
DROP FUNCTION found_text, found_body, is_equal, is_same, before, first_ones, twice;
-- what a text that becomes a token is made of is looked at once, through however many subqueries it comes
CREATE TABLE nested (name name_token);
SET statement_timeout = '3s';
DO $$
DECLARE
  source text := 'SELECT name::text AS n FROM customer WHERE id = 1 OFFSET 0';
BEGIN
  FOR i IN 1..30 LOOP
    source := format('SELECT coalesce(n, n) AS n FROM (%s) AS q OFFSET 0', source);
  END LOOP;
  EXECUTE format('INSERT INTO nested SELECT n FROM (%s) AS q', source);
END $$;
-- and so is what a text is made of that is no token, and a row that others are put into
DO $$
DECLARE
  source text := 'SELECT ''x''::text AS n OFFSET 0';
  row_of_rows text := 'SELECT id AS n FROM customer OFFSET 0';
BEGIN
  FOR i IN 1..30 LOOP
    source := format('SELECT coalesce(n, n) AS n FROM (%s) AS q OFFSET 0', source);
    row_of_rows := format('SELECT row(n, n) AS n FROM (%s) AS q OFFSET 0', row_of_rows);
  END LOOP;
  EXECUTE format('EXPLAIN SELECT 1 FROM customer, (%s) AS q WHERE card = n', source);
  EXECUTE format('EXPLAIN SELECT 1 FROM (%s) AS q ORDER BY n', row_of_rows);
END $$;
RESET statement_timeout;
SELECT name FROM nested;
DROP TABLE nested;
RESET SESSION AUTHORIZATION;

SET client_min_messages = warning;
DROP OWNED BY regress_text_clerk;
SELECT count(redoubt.forget(p)) AS forgotten FROM regress_text.customer, unnest(patients) AS p;
DROP TABLE regress_text.customer;
SELECT redoubt.drop_token_type(t) IS NULL AS failed FROM (VALUES ('regress_text.card'::regtype), ('regress_text.number'), ('regress_text.patient')) AS v(t);
SELECT opfname FROM pg_opfamily WHERE opfnamespace = 'regress_text'::regnamespace;
DROP SCHEMA regress_text CASCADE;
SELECT redoubt.drop_limit('regress_text_lead', NULL, operation, '1 hour') AS dropped FROM (VALUES ('reveal'), ('probe'), ('tokenize')) AS o(operation);
DROP OWNED BY regress_text_lead;
DROP ROLE regress_text_lead, regress_text_clerk;
