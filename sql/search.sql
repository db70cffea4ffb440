/*
 * Token columns in the place of text.
 *
 * Proves: operators and functions of text are given the value of a token, for who may search; what only decides costs
 * probes, what is delivered is revealed, or masked, or refused; order is by value; nothing opened is written; and who may
 * search without revealing is told no more than how values compare with constants, at a price for each.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE regress_search_owner;
CREATE ROLE regress_search_lead;
CREATE ROLE regress_search_agent;
CREATE ROLE regress_search_clerk;
CREATE SCHEMA regress_search AUTHORIZATION regress_search_owner;
GRANT USAGE ON SCHEMA regress_search TO PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.name_token(text)
  TO regress_search_owner, regress_search_lead, regress_search_agent;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.detokenize(redoubt.name_token) TO regress_search_lead;
GRANT EXECUTE ON FUNCTION redoubt.search(redoubt.email_token), redoubt.search(redoubt.name_token),
  redoubt.mask(redoubt.email_token), redoubt.mask(redoubt.name_token) TO regress_search_agent;
SELECT redoubt.set_limit(role, NULL, operation, 100000, '1 hour') IS NULL AS failed
FROM (VALUES ('regress_search_lead'::regrole), ('regress_search_agent')) AS r(role), (VALUES ('reveal'), ('probe'), ('masked')) AS o(operation);
SET ROLE regress_search_owner;
SET search_path = regress_search, redoubt, public;
CREATE TABLE customer (id int PRIMARY KEY, email email_token UNIQUE, name name_token, note text, short varchar(40));
INSERT INTO customer SELECT i, CASE WHEN i % 2 = 0 THEN 'User' ELSE 'user' END || i || '@Example.com', 'Name ' || i, 'user' || i || '@example.com', 'x'
FROM generate_series(1, 30) AS i;
INSERT INTO customer VALUES (31, '', NULL, NULL, NULL), (32, NULL, 'Zoë', NULL, NULL);
CREATE TABLE sink (what text, value text);
CREATE DOMAIN person AS name_token;
CREATE VIEW people AS SELECT id, email, lower(email) AS folded, name || ' <' || email || '>' AS address FROM customer;
CREATE SEQUENCE place;
GRANT ALL ON place TO PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON customer, sink, people TO PUBLIC;
RESET ROLE;
-- What a plan sorts by, and looks up in an index.
CREATE FUNCTION regress_search.plan(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || statement LOOP
    IF line ~ 'Sort Key|Index Cond: .email' THEN RETURN NEXT ltrim(line); END IF;
  END LOOP;
END $$;
-- What the session has been charged since it was asked last.
CREATE FUNCTION regress_search.spent() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = redoubt, pg_catalog, pg_temp AS $$
DECLARE
  result text;
  who regrole := session_user::regrole;
BEGIN
  SELECT string_agg(format('%s %s %s', charged, operation, token_type), ', ' ORDER BY operation, token_type::text) INTO result
  FROM redoubt.usage WHERE role = who AND charged > 0;
  PERFORM redoubt.reset_usage(who);
  RETURN coalesce(result, 'nothing');
END $$;

-- --------------------------------------------------- who may reveal: as text
SET SESSION AUTHORIZATION regress_search_lead;
SET search_path = regress_search, redoubt, public;
SET redoubt.reveal = auto;
SELECT spent() IS NOT NULL AS reset;
SELECT id FROM customer WHERE lower(email) = lower('USER3@example.com');
SELECT spent();
SELECT id FROM customer WHERE email ILIKE '%user12@%';
SELECT id FROM customer WHERE email LIKE 'User1%' ORDER BY id;
SELECT spent();
SELECT id FROM customer WHERE email ~ '^user2[0-9]@' ORDER BY id;
SELECT id FROM customer WHERE substr(email, 5, 2) = '7@' OR split_part(email, '@', 1) = 'User8' ORDER BY id;
SELECT id FROM customer WHERE position('29' IN email) > 0;
SELECT id FROM customer WHERE email || '' = 'User30@Example.com';
SELECT id FROM customer WHERE to_tsvector('simple', name) @@ to_tsquery('simple', '17');
SELECT count(*) FROM customer WHERE email = '';
SELECT id FROM customer WHERE coalesce(email, '') = '' ORDER BY id;
SELECT count(*) FROM customer WHERE email <> '' AND email IS NOT NULL;
SELECT min(name), max(name), count(DISTINCT lower(name)) FROM customer;
SELECT string_agg(name, ',' ORDER BY id) FROM customer WHERE id < 4;
SELECT spent();
SELECT id, email, upper(email), length(email), left(name, 4) FROM customer WHERE id IN (2, 3) ORDER BY id;
SELECT spent();
EXPLAIN SELECT upper(email), email FROM customer WHERE id = 3 \g | grep -o 'Redoubt.*'
SELECT address, folded FROM people WHERE id = 2;
SELECT CASE WHEN id = 2 THEN 'x'::varchar ELSE email END FROM customer WHERE id IN (2, 3) ORDER BY id;
SELECT coalesce(email, 'none'), coalesce(name, ''::text) FROM customer WHERE id > 30 ORDER BY id;
SELECT email FROM customer WHERE id = 2 UNION SELECT 'someone'::varchar ORDER BY 1;
SELECT name, count(*) FROM customer WHERE id < 3 GROUP BY name HAVING lower(name) LIKE 'name%' ORDER BY name;
SELECT a.id FROM customer AS a JOIN customer AS b ON lower(a.email) = b.note WHERE b.id = 5;

-- What compares tokens in the output meets no output function, and is charged as a read of each.
SELECT spent() IS NOT NULL AS reset;
SELECT count(answer) FROM (SELECT email = 'x@example.com' AS answer FROM customer WHERE id <= 10 OFFSET 0) AS s;
SELECT email = 'user3@example.com', email IN ('x@example.com', 'y@example.com'), email IS DISTINCT FROM 'x@example.com' FROM customer WHERE id = 3;
SELECT CASE WHEN email = 'user3@example.com' THEN 'yes' ELSE 'no' END, CASE email WHEN 'x@example.com' THEN 1 END,
       (email = 'x@example.com')::text, (email, id) = ('x@example.com', 3), ARRAY[email] = ARRAY['x@example.com'::email_token] FROM customer WHERE id = 3;
SELECT json_agg(email = 'x@example.com'), left(min(token(email)), 4) FROM customer WHERE id = 3;
SELECT spent();
-- A null that no output function sees stands for a row that a value decided on.
SELECT count(*) FROM (SELECT id, lead(email, 1000) OVER () AS e FROM customer WHERE email LIKE 'User1%') AS s \g /dev/null
SELECT spent();
SELECT id, lead(email, 1000) OVER () FROM customer WHERE email LIKE 'User1%' \g /dev/null
SELECT spent();

-- Equality is that of tokens, so that an index serves.
SET enable_seqscan = off;
SELECT plan($$SELECT id FROM customer WHERE email = 'user3@Example.com'::text$$);
SELECT plan($$SELECT id FROM customer WHERE 'user3@Example.com'::varchar = email$$);
PREPARE by_text(text) AS SELECT id FROM customer WHERE email = $1;
PREPARE by_varchar(varchar) AS SELECT id FROM customer WHERE email = $1;
PREPARE by_array(text[]) AS SELECT id FROM customer WHERE email = ANY ($1) ORDER BY id;
SET plan_cache_mode = force_generic_plan;
SELECT plan($$EXECUTE by_text('')$$);
SELECT plan($$EXECUTE by_varchar('')$$);
SELECT plan($$EXECUTE by_array('{}')$$);
EXECUTE by_text('user3@example.com');
EXECUTE by_varchar('user3@example.com');
EXECUTE by_array('{user3@example.com,user5@EXAMPLE.com,""}');
SELECT count(*) FROM customer WHERE email <> ALL (ARRAY['user3@example.com', 'user5@example.com']::text[]);
SELECT c.id FROM customer AS c JOIN customer AS d ON c.email = d.note WHERE d.id = 3;
RESET plan_cache_mode;
RESET enable_seqscan;

-- A value in the text of an error has been revealed.
\set VERBOSITY sqlstate
SELECT spent() IS NOT NULL AS reset;
SELECT id FROM customer WHERE id = 2 AND email::text::int = 1;
SELECT spent();
\set VERBOSITY terse

-- ------------------------------------------------------------ order by value
SELECT id FROM customer WHERE id < 12 ORDER BY name LIMIT 4;
SELECT id FROM customer WHERE id < 12 ORDER BY name DESC NULLS LAST, email LIMIT 3;
-- What is sorted has the value, and no token beside it that nobody asks for.
EXPLAIN (VERBOSE, COSTS off) SELECT id FROM customer ORDER BY name, email DESC LIMIT 4 \g | grep -A2 -e '->  Sort'
EXPLAIN (VERBOSE, COSTS off) SELECT id, name FROM customer ORDER BY name LIMIT 4 \g | grep -A2 -e '->  Sort'
SELECT id FROM customer WHERE name < 'Name 11' ORDER BY name;
SELECT id FROM customer WHERE name BETWEEN 'Name 28' AND 'Name 3' ORDER BY name;
SELECT id FROM customer WHERE (name, id) > ('Name 8', 0) ORDER BY name, id LIMIT 2;
SELECT DISTINCT name FROM customer WHERE id IN (3, 10, 20) ORDER BY name;
SELECT DISTINCT ON (name) name, id FROM customer WHERE id IN (3, 10, 20) ORDER BY name DESC, email;
SELECT DISTINCT ON (name) id FROM customer WHERE id IN (3, 10, 20) ORDER BY name DESC, email LIMIT 2;
SELECT name FROM customer WHERE id IN (3, 10) UNION SELECT name FROM customer WHERE id = 20 ORDER BY name;
SELECT name FROM customer WHERE id IN (3, 10) UNION ALL SELECT name FROM customer WHERE id = 20 ORDER BY 1 LIMIT 2;
SELECT id, row_number() OVER (ORDER BY name) FROM customer WHERE id IN (3, 10, 20) ORDER BY 2;
SELECT array_agg(id ORDER BY name DESC) FROM customer WHERE id IN (3, 10, 20);
SELECT * FROM (SELECT id FROM customer WHERE id IN (3, 10, 20) ORDER BY name LIMIT 1) AS s;
SELECT id FROM customer WHERE id IN (3, 10, 20) AND name::person < 'Name 3' AND upper(name::person) <> 'X' ORDER BY name::person;
SELECT name::person, upper(name::person) FROM customer WHERE id = 3;
PREPARE sorted AS SELECT id FROM customer WHERE id IN (3, 10, 20) ORDER BY name;
EXECUTE sorted;
-- The same plan in a session that is shown tokens is another one.
CREATE TEMP TABLE by_token AS SELECT array_agg(id ORDER BY redoubt.token(name) COLLATE "C") AS ids FROM customer WHERE id IN (3, 10, 20);
SET redoubt.token_order = on;
SELECT plan($$EXECUTE sorted$$);
SELECT greatest(name, name) = name AS greatest, percentile_disc(0) WITHIN GROUP (ORDER BY name) = min(name) AS by_token FROM customer WHERE id = 3 GROUP BY name;
RESET redoubt.token_order;
SELECT plan($$EXECUTE sorted$$);
SET redoubt.reveal = token;
SELECT plan($$EXECUTE sorted$$);
SET redoubt.reveal = auto;
-- What has no counterpart by value is refused, not done by token in silence.
SELECT greatest(name, name) FROM customer WHERE id = 3;
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY name) FROM customer;
SELECT array_agg(DISTINCT name ORDER BY name) FROM customer;
SELECT id FROM customer WHERE name < ANY ('{a,b}');
SELECT mode() WITHIN GROUP (ORDER BY name) FROM customer WHERE id = 3;
SELECT id FROM customer ORDER BY (name, email);
SELECT id FROM customer ORDER BY ARRAY[name];
SELECT rank() OVER (ORDER BY ROW(name)) FROM customer;
SELECT array_agg(id ORDER BY ROW(name)) FROM customer;
SELECT s.id FROM (SELECT name, id FROM customer) AS s ORDER BY s;
SELECT s.id FROM (SELECT ROW(id, name) AS r, id FROM customer) AS s ORDER BY s.r;
SELECT id FROM customer WHERE ARRAY[name] < '{Name 2}';
SELECT id FROM customer WHERE ARRAY[name] BETWEEN '{Name 2}' AND '{Name 3}';
SELECT a.id FROM customer AS a JOIN customer AS b ON a > b;
SELECT id FROM customer WHERE customer <= ANY (ARRAY(SELECT c FROM customer AS c));
SELECT id FROM customer WHERE (ARRAY[name], id) > ('{Name 2}', 1);
SELECT greatest(ARRAY[name], '{Name 2}') FROM customer;
SELECT max(ARRAY[name]) FROM customer;
SELECT id, min(ARRAY[name]) OVER (ORDER BY id) FROM customer;
-- Equality of them is that of tokens, and anybody's.
SELECT id FROM customer WHERE ARRAY[name] = '{Name 2}' OR customer = (SELECT c FROM customer AS c WHERE id = 3) OR ARRAY[name] IN ('{Name 4}', '{Name 5}') ORDER BY id;
SELECT count(DISTINCT ARRAY[name]), count(DISTINCT (name, id)), max(ARRAY[id]) FROM customer;

-- --------------------------------------------------- nothing opened is written
INSERT INTO sink SELECT 'lower', lower(email) FROM customer;
UPDATE customer SET note = upper(email) WHERE id = 2;
CREATE TEMP TABLE loot AS SELECT lower(email) FROM customer;
CREATE TEMP TABLE loot AS SELECT email::text::int FROM customer;
WITH c AS MATERIALIZED (SELECT email::text AS e FROM customer) INSERT INTO sink SELECT 'cte', e FROM c;
INSERT INTO sink SELECT 'aggregate', string_agg(email, ',') FROM customer;
INSERT INTO sink SELECT 'json', json_agg(lower(email))::text FROM customer;
INSERT INTO sink SELECT 'array', array_to_string(ARRAY(SELECT lower(email) FROM customer), ',');
INSERT INTO sink SELECT 'kept', set_config('regress.kept', lower(email), false) FROM customer WHERE id = 5;
UPDATE customer SET note = (SELECT string_agg(c.email, ',') FROM customer AS c) WHERE id = 2;
CREATE TEMP TABLE loot AS SELECT string_agg(email, ',') FROM customer;
CREATE TEMP TABLE loot AS SELECT array_to_string(array_agg(email::text), '+') FROM customer;
SELECT email::text AS e INTO TEMP loot FROM customer WHERE email LIKE 'User2%';
INSERT INTO sink SELECT 'cast', email FROM customer WHERE id = 2;
INSERT INTO sink VALUES ('subquery', (SELECT email FROM customer WHERE id = 2));
UPDATE customer SET note = email WHERE id = 2;
SELECT what, value LIKE 'tok\_%' AS token FROM sink UNION ALL SELECT 'update', note LIKE 'tok\_%' FROM customer WHERE id = 2
UNION ALL SELECT 'into', bool_and(e LIKE 'tok\_%') FROM loot;
-- A token beside other text is neither.
UPDATE customer SET note = 'to: ' || email WHERE id = 2;
INSERT INTO sink SELECT 'beside', 'to: ' || email FROM customer WHERE id = 2;
-- One type's token is none of another's.
UPDATE customer SET name = email WHERE id = 2;
INSERT INTO customer(id, name) SELECT 92, email FROM customer WHERE id = 2;
INSERT INTO customer(id, name) SELECT 92, email::text FROM customer WHERE id = 2;
INSERT INTO customer(id, name) SELECT 92, coalesce((SELECT email::varchar), '') FROM customer WHERE id = 2;
INSERT INTO customer(id, name) SELECT 92, CASE id WHEN 2 THEN email::text ELSE note END FROM customer;
-- Back into a column of its type it may go, as a value.
BEGIN;
UPDATE customer SET name = upper(name) WHERE id = 3 RETURNING name;
INSERT INTO customer(id, email) SELECT 90, 'copy.of.' || email FROM customer WHERE id = 4;
UPDATE customer SET name = CASE WHEN name LIKE 'Name%' THEN 'someone' ELSE name END WHERE id IN (5, 6);
UPDATE customer SET name = CASE WHEN name = 'someone' THEN 'no one'::text ELSE name END WHERE id = 6;
INSERT INTO customer(id, email, name) VALUES (91, 'User8@Example.com', 'again') ON CONFLICT (email) DO UPDATE SET name = customer.name || ' ' || excluded.name;
SELECT id, email, name FROM customer WHERE id IN (5, 6, 8, 90) ORDER BY id;
ROLLBACK;
-- What becomes a token again is put together from values by concat() and its like, too, and never from tokens.
BEGIN;
UPDATE customer SET name = concat('Dr ', name) WHERE id = 3 RETURNING name;
UPDATE customer SET name = upper(concat_ws(' ', 'Dr', name)), email = format('%s.%s', id, email) WHERE id = 4 RETURNING name, email;
INSERT INTO customer(id, name) SELECT 94, concat(name, '!') FROM customer WHERE id = 5 RETURNING name;
INSERT INTO customer(id, name) SELECT 95, said FROM (SELECT concat(name, '?') AS said FROM customer WHERE id = 5) AS s RETURNING name;
INSERT INTO customer(id, name) VALUES (5, 'new') ON CONFLICT (id) DO UPDATE SET name = concat(customer.name, '/', excluded.name) RETURNING name;
MERGE INTO customer AS c USING (SELECT 6 AS id) AS s ON s.id = c.id WHEN MATCHED THEN UPDATE SET name = format('<%s>', c.name);
SELECT name FROM customer WHERE name = '<Name 6>';
ROLLBACK;
UPDATE customer SET name = concat(name, ' ', email) WHERE id = 3;
UPDATE customer SET name = 'see ' || to_json(name)::text WHERE id = 3;
UPDATE customer SET name = ROW(name, 1)::text WHERE id = 3;
WITH s AS MATERIALIZED (SELECT concat('of ', name) AS said FROM customer WHERE id = 3) INSERT INTO customer(id, name) SELECT 96, said FROM s;
DO $$
DECLARE
  kept text;
BEGIN
  SELECT name INTO kept FROM customer WHERE id = 3;
  UPDATE customer SET name = 'of ' || kept WHERE id = 3;
END $$;
-- The bound of a hash partition is given the token: nothing is read for it, and what is written is a token again.
BEGIN;
CREATE TEMP TABLE parted (id int, name name_token, note text) PARTITION BY HASH (name);
CREATE TEMP TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TEMP TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parted SELECT id, name FROM customer WHERE id < 9;
SELECT spent() IS NOT NULL AS reset;
UPDATE parted SET note = 'seen';
SELECT spent();
UPDATE parted SET name = upper(name) WHERE id IN (2, 3, 4, 5);
SELECT spent();
SELECT id, name FROM parted WHERE name IN ('NAME 2', 'NAME 3', 'NAME 4', 'NAME 5', 'Name 6') ORDER BY id;
ROLLBACK;
-- concat() and its like, in a condition.
SELECT id FROM customer WHERE concat(name, ' <', email, '>') LIKE 'Name 8 <%8@%' OR concat_ws('/', name, id, email) = 'Name 9/9/user9@Example.com' OR format('%s %s', id, email) = '10 User10@Example.com' ORDER BY id;
DO $$
DECLARE
  r customer%ROWTYPE;
  kept text;
BEGIN
  SELECT * INTO r FROM customer WHERE id = 2;
  kept := r.email;
  RAISE NOTICE 'a token: %', kept LIKE 'tok\_%';
  IF lower(r.email) = 'user2@example.com' THEN RAISE NOTICE 'found'; END IF;
END $$;

-- A session that is shown tokens is shown nothing that is computed from values, and may search.
SET redoubt.reveal = token;
SELECT upper(email) FROM customer WHERE id = 2;
SELECT length(email) FROM customer WHERE id = 2;
SELECT 'to: ' || email LIKE 'to: tok%' AS refused FROM customer WHERE id = 2;
SELECT coalesce(email, '') = email AS equal, left('to: ' || note, 4) FROM customer WHERE id = 2;
SELECT id FROM customer WHERE lower(email) = 'user2@example.com';
SET redoubt.reveal = masked;
SELECT upper(email) FROM customer WHERE id = 2;
RESET redoubt.reveal;
RESET SESSION AUTHORIZATION;

-- -------------------------------------------- who may search and is shown masks
SET SESSION AUTHORIZATION regress_search_agent;
SET search_path = regress_search, redoubt, public;
SET redoubt.reveal = auto;
SELECT spent() IS NOT NULL AS reset;
SELECT id, email, upper(email) FROM customer WHERE lower(email) = 'user3@example.com';
SELECT spent();
SELECT id, name FROM customer WHERE email ILIKE '%user12@%';
SELECT spent();
-- A constant is one for as long as the statement runs: not what the statement itself may change.
SET regress.word = '';
SELECT g FROM generate_series(1, 30) AS g WHERE set_config('regress.word', 'name ' || g, false) IS NOT NULL
  AND (SELECT id FROM customer WHERE id = 7 + g * 0 AND lower(name) = current_setting('regress.word')) IS NOT NULL;
SELECT g FROM generate_series(1, 30) AS g WHERE set_config('timezone', '<NAME' || g || '>0', false) IS NOT NULL
  AND (SELECT id FROM customer WHERE id = 7 + g * 0 AND lower(name) LIKE replace(to_char(now(), 'tz'), 'e', 'e ')) IS NOT NULL;
SELECT g FROM generate_series(1, 30) AS g WHERE set_config('search_path', 'pg_catalog', true) IS NOT NULL
  AND EXISTS (SELECT FROM customer WHERE id = 7 + g * 0 AND lower(name) = current_schema);
SELECT id FROM customer WHERE lower(name) LIKE lower('%E 7' || '%');
PREPARE around(text) AS SELECT id FROM customer WHERE lower(name) LIKE concat('%', $1, '%');
EXECUTE around('e 7');
SELECT spent();
-- Each comparison costs a probe for each row.
SELECT id FROM customer WHERE email LIKE 'User1%' OR name LIKE 'Name 1_' OR lower(email) = 'x' ORDER BY id LIMIT 3;
SELECT spent();
SELECT count(*) FROM customer WHERE name >= 'Name 20' AND name < 'Name 21';
SELECT spent();
-- So does each further answer that a row has room for.
SELECT count(*) FILTER (WHERE id = 7) AS a, count(*) FILTER (WHERE id = 10) AS b, max(id) AS c FROM customer WHERE name LIKE 'Name 1%';
SELECT spent();
WITH found AS MATERIALIZED (SELECT id FROM customer WHERE name LIKE 'Name 1%')
SELECT EXISTS (SELECT FROM found WHERE id = 7) AS a, EXISTS (SELECT FROM found WHERE id = 10) AS b, (SELECT max(id) FROM found) AS c;
SELECT spent();
WITH found AS MATERIALIZED (SELECT id FROM customer WHERE name LIKE 'Name 1%')
SELECT a.id, b.id AS b FROM (SELECT 1) AS one LEFT JOIN found AS a ON a.id = 7 LEFT JOIN found AS b ON b.id = 10;
SELECT spent();
SELECT lag(id, 1) OVER w AS a, lag(id, 2) OVER w AS b FROM customer WHERE name LIKE 'Name 1%' WINDOW w AS (ORDER BY id) ORDER BY id DESC LIMIT 1;
SELECT spent();
WITH RECURSIVE found AS MATERIALIZED (SELECT id FROM customer WHERE name LIKE 'Name 1%'),
  told (n, answers) AS (SELECT 1, ''::text UNION ALL
    SELECT n + 1, answers || CASE WHEN EXISTS (SELECT FROM found WHERE id = n) THEN '1' ELSE '0' END FROM told WHERE n <= 30)
SELECT answers FROM told WHERE n = 31;
SELECT spent();
-- What an application asks costs what it did.
SELECT id, name, count(*) OVER () AS of FROM customer WHERE name LIKE 'Name 2%' ORDER BY id LIMIT 2;
SELECT spent();
WITH found AS MATERIALIZED (SELECT id, name FROM customer WHERE name LIKE 'Name 2%') SELECT id, name FROM found ORDER BY id LIMIT 2;
SELECT spent();
SELECT id FROM customer WHERE lower(email) = 'nobody@example.com';
SELECT spent();
SELECT id FROM customer WHERE id < 12 ORDER BY name LIMIT 2;
SELECT spent();
SELECT min(name) FROM customer;
SELECT spent();
SELECT array_agg(id) FROM customer WHERE name >= 'Name 2' AND name < 'Name 3' AND id < 22;
SELECT spent();
SELECT id FROM customer WHERE (name, id) > ('Name 8', 0) ORDER BY name, id LIMIT 1;
SELECT coalesce(email, 'none'), name || ' <' || email || '>' FROM customer WHERE id IN (2, 32) ORDER BY id;
SELECT min(email), max(lower(email)) FROM customer;
SELECT address FROM people WHERE id = 2;
EXECUTE by_text('x');
PREPARE by_pattern(text) AS SELECT id FROM customer WHERE email LIKE $1;
EXECUTE by_pattern('user3@%');
-- An error that a pattern raises where the value begins so is an answer as well.
SELECT spent() IS NOT NULL AS reset;
SELECT id FROM customer WHERE id = 7 AND email LIKE E'user\\';
SELECT spent();
-- A mask that is delivered does not pay for what a condition tells.
SELECT email, name FROM customer WHERE id = 7 AND email LIKE 'user%' AND name LIKE 'N%';
SELECT spent();
-- What tells more than such a comparison is refused.
CREATE FUNCTION pg_temp.refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
  RETURN 'ALLOWED';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || CASE WHEN SQLERRM ILIKE '%example.com%' OR SQLERRM ILIKE '%name 2%' THEN ' PLAINTEXT' ELSE '' END;
END $$;
SELECT refused, statement FROM unnest(ARRAY[
  $$ SELECT substr(email, 1, 1) FROM customer $$,
  $$ SELECT length(email) FROM customer $$,
  $$ SELECT ascii(email) FROM customer $$,
  $$ SELECT email LIKE 'a%' FROM customer $$,
  $$ SELECT CASE WHEN email LIKE 'a%' THEN 1 ELSE 0 END FROM customer $$,
  $$ SELECT CASE WHEN email LIKE 'a%' THEN 'a' ELSE 'b' END FROM customer $$,
  $$ SELECT nullif(email::text, 'x') FROM customer $$,
  $$ SELECT substring(email FROM 'a.*') FROM customer $$,
  $$ SELECT repeat('x', length(email)) FROM customer $$,
  $$ SELECT reverse(email) FROM customer $$,
  $$ SELECT replace(email, '@', '') FROM customer $$,
  $$ SELECT upper(left(email, 3)) FROM customer $$,
  $$ SELECT lower('x' || email) FROM customer WHERE lower('x' || email) = 'xa' $$,
  $$ SELECT coalesce(substr(email, 2), '') FROM customer $$,
  $$ SELECT ARRAY[lower(email)] FROM customer $$,
  $$ SELECT ROW(lower(email)) FROM customer $$,
  $$ SELECT to_json(lower(email)) FROM customer $$,
  $$ SELECT string_to_array(email, '@') FROM customer $$,
  $$ SELECT regexp_split_to_table(email, '@') FROM customer $$,
  $$ SELECT (email || '')::int FROM customer $$,
  $$ SELECT email::text::int FROM customer $$,
  $$ SELECT 1 / (ascii(email) - 97) FROM customer $$,
  $$ SELECT convert_to(email, 'UTF8') FROM customer $$,
  $$ SELECT id FROM customer WHERE substr(email, 1, 1) = 'u' $$,
  $$ SELECT id FROM customer WHERE ascii(email) > 100 $$,
  $$ SELECT id FROM customer WHERE email ~ '^u' $$,
  $$ SELECT id FROM customer WHERE length(email) > 3 $$,
  $$ SELECT id FROM customer WHERE (email LIKE 'a%') = (id = 2) $$,
  $$ SELECT id FROM customer WHERE CASE WHEN id = 2 THEN email LIKE 'u%' ELSE email LIKE 'v%' END $$,
  $$ SELECT id FROM customer WHERE 1 / (CASE WHEN email LIKE 'u%' THEN 0 ELSE 1 END) = 1 $$,
  $$ SELECT id FROM customer WHERE lower(email) = note $$,
  $$ SELECT id FROM customer WHERE email LIKE note || '%' $$,
  $$ SELECT id FROM customer WHERE email LIKE chr(96 + id) || '%' $$,
  $$ SELECT a.id FROM customer AS a JOIN customer AS b ON lower(a.email) = lower(b.email) $$,
  $$ SELECT id FROM customer, generate_series(97, 122) AS g WHERE email LIKE chr(g) || '%' $$,
  $$ SELECT g, (SELECT count(*) FROM customer WHERE email LIKE chr(g) || '%') FROM generate_series(97, 122) AS g $$,
  $$ SELECT id FROM customer, (VALUES ('a%'), ('u%')) AS v(p) WHERE email LIKE p $$,
  $$ SELECT id FROM customer WHERE email LIKE ANY (ARRAY['a%', 'b%', 'u%']) $$,
  $$ SELECT id FROM customer WHERE email::text = ANY (ARRAY['a', 'b']) AND lower(email) = ANY (ARRAY['a', 'b']) $$,
  $$ SELECT id FROM customer WHERE lower(email) IN (SELECT note FROM customer) $$,
  $$ SELECT id FROM customer WHERE email LIKE (SELECT 'u%'::text) $$,
  $$ SELECT id FROM customer WHERE email LIKE random()::text $$,
  $$ SELECT count(*) FILTER (WHERE email LIKE 'a%') FROM customer $$,
  $$ SELECT count(*), email LIKE 'a%' FROM customer GROUP BY 2 $$,
  $$ SELECT count(*) FROM customer GROUP BY lower(email) $$,
  $$ SELECT count(DISTINCT lower(email)) FROM customer $$,
  $$ SELECT DISTINCT lower(email) FROM customer $$,
  $$ SELECT lower(email) FROM customer UNION SELECT note FROM customer $$,
  $$ SELECT string_agg(email, '') FROM customer $$,
  $$ SELECT array_agg(email::text) FROM customer $$,
  $$ SELECT max(id) FROM customer GROUP BY name HAVING min(email) LIKE 'u%' $$,
  $$ SELECT rank() OVER (ORDER BY name) FROM customer $$,
  $$ SELECT lag(id) OVER (ORDER BY name) FROM customer $$,
  $$ SELECT first_value(email::text) OVER (PARTITION BY lower(name)) FROM customer $$,
  $$ SELECT array_agg(id ORDER BY name) FROM customer $$,
  $$ SELECT max(x COLLATE "C") FROM (SELECT email::text FROM customer WHERE id = 7 UNION ALL SELECT 'userA') AS q(x) $$,
  $$ SELECT id, max(x) FROM (SELECT id, email::text AS x FROM customer UNION ALL SELECT id, 'user5@d.zz' FROM customer) AS s GROUP BY id $$,
  $$ SELECT max(x) OVER (ORDER BY id) FROM (SELECT id, email::text AS x FROM customer WHERE id = 7 UNION ALL SELECT 8, 'userA') AS s $$,
  $$ SELECT id FROM (SELECT id, name::text AS n FROM customer WHERE id = 7 UNION ALL SELECT g, 'Name ' || g FROM generate_series(100, 130) AS g) AS s ORDER BY n $$,
  $$ SELECT * FROM (SELECT id, random() FROM (SELECT id FROM customer ORDER BY name OFFSET 0) AS t OFFSET 0) AS u WHERE id = 7 $$,
  $$ SELECT * FROM (SELECT id, nextval('regress_search.place') FROM (SELECT id FROM customer ORDER BY name OFFSET 0) AS t OFFSET 0) AS u WHERE id = 7 $$,
  $$ SELECT count(*) FROM (SELECT pg_temp.refused('SELECT ' || id) FROM (SELECT id FROM customer ORDER BY name OFFSET 0) AS t OFFSET 0) AS u $$,
  $$ SELECT id FROM customer ORDER BY substr(email, 2) $$,
  $$ SELECT id FROM customer ORDER BY length(email) $$,
  $$ SELECT id FROM customer ORDER BY email LIKE 'a%' $$,
  $$ SELECT id FROM customer WHERE EXISTS (SELECT FROM customer AS d WHERE substr(d.email, 1, 1) = 'u') $$,
  $$ UPDATE customer SET note = note WHERE substr(email, 1, 1) = 'u' $$,
  $$ DELETE FROM customer WHERE length(email) = 3 $$,
  $$ UPDATE customer SET id = length(email) $$,
  $$ INSERT INTO sink SELECT id FROM customer WHERE length(email) = 3 $$,
  $$ SELECT id FROM customer WHERE email LIKE 'a%' OR email LIKE 'b%' OR email LIKE 'c%' OR email LIKE 'd%' OR email LIKE 'e%' OR email LIKE 'f%' OR email LIKE 'g%' OR email LIKE 'h%' OR email LIKE 'i%' $$,
  $$ SELECT length('a@example.com'::email_token) $$,
  $$ SELECT 'a@example.com'::email_token < 'b'::text $$,
  $$ SELECT detokenize(email) FROM customer $$,
  $$ SELECT redoubt.search(email) LIKE 'u%' FROM customer $$,
  $$ SELECT redoubt.open_value(email) LIKE 'u%' FROM customer $$,
  $$ SET redoubt.search_terms = 100 $$]) AS s(statement), LATERAL pg_temp.refused(statement) AS r(refused);
-- Bound by a setting of the superuser's.
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_search_agent;
SET redoubt.reveal = auto;
SELECT regress_search.spent() IS NOT NULL AS reset;

-- The attack on one value: prefix by prefix, by halves of the alphabet, as far as comparisons go.
CREATE FUNCTION pg_temp.spell(wanted int, OUT value text, OUT statements int) LANGUAGE plpgsql AS $$
DECLARE
  low int;
  high int;
  middle int;
  hit int;
BEGIN
  value := '';
  statements := 0;
  LOOP
    low := 31;
    high := 127;
    WHILE high - low > 1 LOOP
      middle := (low + high) / 2;
      statements := statements + 1;
      SELECT count(*) INTO hit FROM regress_search.customer WHERE id = wanted AND note IS NOT NULL AND name::text COLLATE "C" >= value || chr(middle);
      IF hit = 1 THEN low := middle; ELSE high := middle; END IF;
    END LOOP;
    EXIT WHEN low = 31;
    value := value || chr(low);
  END LOOP;
END $$;
SELECT value, statements, ceil(statements / (length(value) + 1.0)) AS statements_a_character FROM pg_temp.spell(7);
SELECT regress_search.spent();

-- One comparison with a "constant" that is another text each time it is looked at would be many.
SELECT count(*) FROM (SELECT FROM customer WHERE id = 7 GROUP BY GROUPING SETS ((name, (1 + 1)), (name, (1 + 2))) HAVING name::text COLLATE "C" >= chr(65 + grouping((1 + 1), (1 + 2)))) AS s;
SET plan_cache_mode = force_generic_plan;
PREPARE by_float (float8) AS SELECT id FROM customer WHERE email LIKE $1::text;
EXECUTE by_float (1.5);
PREPARE by_floats (float8) AS SELECT id FROM customer WHERE email LIKE concat($1, 'x');
EXECUTE by_floats (1.5);
PREPARE by_name (text) AS SELECT id FROM customer WHERE email LIKE quote_ident($1);
EXECUTE by_name ('abc');
PREPARE by_bytes (bytea) AS SELECT id FROM customer WHERE email LIKE $1::text;
EXECUTE by_bytes ('abc');
PREPARE by_number (int) AS SELECT id FROM customer WHERE email LIKE concat('user', $1, '@example.com') OR email LIKE 'user' || ($1 + 1)::text || '@example.com';
EXECUTE by_number (3);
RESET plan_cache_mode;
DEALLOCATE ALL;
SELECT regress_search.spent();
RESET SESSION AUTHORIZATION;

-- ------------------------------------------------------------- who may neither
SET SESSION AUTHORIZATION regress_search_clerk;
SET search_path = regress_search, redoubt, public;
SET redoubt.reveal = auto;
SELECT id FROM customer WHERE lower(email) = 'user3@example.com';
SELECT id FROM customer ORDER BY name;
SELECT upper(email) FROM customer;
SELECT email IS NULL AS null, left(email::text, 4) FROM customer WHERE id = 3;
SELECT id, format('%s', email) LIKE 'tok\_%' AS token FROM customer WHERE id = 3 AND email = email;
RESET SESSION AUTHORIZATION;

-- A view of an owner who may not search opens nothing for a reader who may.
SET ROLE regress_search_owner;
CREATE FUNCTION regress_search.keep(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO regress_search.sink VALUES ('kept', $1); RETURN true; END $$;
CREATE VIEW regress_search.trojan AS SELECT id FROM regress_search.customer WHERE regress_search.keep(lower(email));
GRANT SELECT ON regress_search.trojan TO PUBLIC;
RESET ROLE;
SET SESSION AUTHORIZATION regress_search_lead;
SET redoubt.reveal = auto;
SELECT id FROM regress_search.trojan;
RESET SESSION AUTHORIZATION;
-- Nor for an owner who may search and not reveal.
GRANT EXECUTE ON FUNCTION redoubt.search(redoubt.email_token) TO regress_search_owner;
SET SESSION AUTHORIZATION regress_search_lead;
SELECT id FROM regress_search.trojan;
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM regress_search.sink WHERE what = 'kept';

SET client_min_messages = warning;
SELECT redoubt.drop_limit(role, NULL, operation) IS NULL AS failed
FROM (VALUES ('regress_search_lead'::regrole), ('regress_search_agent')) AS r(role), (VALUES ('reveal'), ('probe'), ('masked')) AS o(operation);
DROP SCHEMA regress_search CASCADE;
DROP OWNED BY regress_search_owner, regress_search_lead, regress_search_agent, regress_search_clerk;
DROP ROLE regress_search_owner, regress_search_lead, regress_search_agent, regress_search_clerk;
