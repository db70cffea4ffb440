/*
 * Input follows output: what a role reads of format-preserving columns is what it writes.
 *
 * Proves: where redoubt.reveal shows values, values are written and compared, by index; where it shows tokens, tokens; a
 * read-modify-write of whole rows changes nothing; COPY, dumps and subscriptions carry tokens; nothing is tokenized twice;
 * where nothing says what is meant, a warning does.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
\set SHOW_CONTEXT never
CREATE ROLE regress_input_owner;
CREATE ROLE regress_input_lead;
CREATE ROLE regress_input_agent;
CREATE ROLE regress_input_app;
CREATE ROLE regress_input_nobody;
CREATE SCHEMA fin AUTHORIZATION regress_input_owner;
GRANT USAGE ON SCHEMA fin TO PUBLIC;
SELECT redoubt.create_token_type('fin.card', method => 'fpe', format => 'card', mask => 'keep_last(4)') AS card,
       redoubt.create_token_type('fin.acct', method => 'fpe', format => 'integer(1000000,9999999)') AS acct,
       redoubt.create_token_type('fin.pers', method => 'fpe', format => 'name', mask => 'keep_first(1)') AS pers,
       redoubt.create_token_type('fin.vacct', method => 'vault', format => 'digits(8,12)') AS vacct,
       redoubt.create_token_type('fin.patient', method => 'vault', "normalize" => 'name') AS patient;
SET search_path = fin, redoubt, public;
GRANT EXECUTE ON FUNCTION card(text), acct(bigint), pers(text), vacct(text), patient(text)
  TO regress_input_owner, regress_input_lead, regress_input_agent, regress_input_app;
GRANT EXECUTE ON FUNCTION detokenize(card), detokenize(acct), detokenize(pers), detokenize(vacct), detokenize(patient) TO regress_input_lead;
GRANT EXECUTE ON FUNCTION mask(card), mask(acct), mask(pers) TO regress_input_agent;
SET ROLE regress_input_owner;
CREATE TABLE pay (id int PRIMARY KEY, card card UNIQUE, acct acct, pers pers, note text);
CREATE INDEX pay_acct ON pay (acct);
GRANT ALL ON pay TO PUBLIC;

-- ---------------------------------- nothing says what is written: it says so, once in a statement and type
INSERT INTO pay VALUES (1, '4111111111111111', 4711000, 'Mary Smith', '4111111111111111');
UPDATE pay SET card = '4111111111111112';
SELECT card, acct, pers FROM pay;
DELETE FROM pay;
-- A role that is to be shown values, may write them, and reads none: values or tokens?  Nothing is stored until it says.
SET redoubt.reveal = 'auto';
INSERT INTO pay(id, card) VALUES (1, '4111111111111111');
INSERT INTO pay(id, card) VALUES (1, '4111111111111111'::text);
PREPARE silent(int, card) AS INSERT INTO pay(id, card) VALUES ($1, $2);
EXECUTE silent(1, '4111111111111111');
DEALLOCATE silent;
DO $$
DECLARE
  given text := '4111111111111111';
  kept fin.card;
BEGIN
  BEGIN
    INSERT INTO pay(id, card) VALUES (1, given);
  EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE NOTICE 'parameter';
  END;
  BEGIN
    kept := given;
  EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE NOTICE 'assignment';
  END;
  BEGIN
    EXECUTE format('UPDATE pay SET card = %L', given);
  EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE NOTICE 'dynamic';
  END;
END $$;
SELECT json_populate_record(NULL::pay, '{"id":1,"card":"4111111111111111"}');
INSERT INTO pay(id, acct) VALUES (1, 4711000);
SELECT count(*) FROM pay;
SET redoubt.input = 'token';
INSERT INTO pay(id, card) VALUES (1, '4111111111111111');
SET redoubt.input = 'plain';
INSERT INTO pay(id, card) VALUES (2, '4111111111111111');
SELECT id, card::text = '4111111111111111' AS "in the clear" FROM pay ORDER BY id;
COPY pay(id, card) FROM stdin;
3	4012888888881881
4	4111111111111122
\.
SET redoubt.input = 'token';
COPY pay(id, card) FROM stdin;
5	4111111111111133
\.
RESET redoubt.input;
RESET redoubt.reveal;
DELETE FROM pay;

-- ---------------------------------- a role that writes and does not read
SET ROLE regress_input_app;
SET redoubt.input = 'plain';
INSERT INTO pay VALUES (1, '4111111111111111', 4711000, 'Mary Smith', '4111111111111111');
PREPARE new_row(int, card, acct, text) AS INSERT INTO pay VALUES ($1, $2, $3, $4);
EXECUTE new_row(2, '4012888888881881', 4711001, 'Zoë Ng');
INSERT INTO pay(id, card, acct) SELECT 3, '4000 0000 0000 0002'::text, 4711002::int;
SELECT count(*) AS "in the clear" FROM pay WHERE card::text IN ('4111111111111111', '4012888888881881', '4000 0000 0000 0002') OR acct::bigint BETWEEN 4711000 AND 4711002
  OR pers::text IN ('Mary Smith', 'Zoë Ng');
SELECT id FROM pay WHERE card = '4012888888881881';
INSERT INTO pay(id, card) VALUES (4, 'no card');
SET redoubt.input = 'nonsense';
RESET redoubt.input;

-- ---------------------------------- a role that reads values writes values
SET ROLE regress_input_lead;
SET redoubt.reveal = 'auto';
SELECT id, card, acct, pers FROM pay ORDER BY id;
SELECT card::text AS token, acct::bigint AS token_acct FROM pay WHERE id = 1 \gset
-- A read-modify-write of a whole row.
UPDATE pay SET id = 1, card = '4111111111111111', acct = 4711000, pers = 'Mary Smith', note = 'seen' WHERE id = 1;
SELECT card::text = :'token' AND acct::bigint = :token_acct AS same, note FROM pay WHERE id = 1;
INSERT INTO pay(id, card) VALUES (9, '4111111111111111') ON CONFLICT (card) DO UPDATE SET note = 'again' RETURNING id, card, note;
-- Arrays of texts are arrays of values, unless there are tokens in them.
CREATE TABLE pg_temp.many (what text, cards card[]);
INSERT INTO many VALUES ('array', ARRAY['4111111111111111'::text]), ('untyped', ARRAY['4111111111111111']), ('literal', '{4111111111111111}'),
  ('cast', ARRAY['4111111111111111']::text[]::card[]), ('varchar', ARRAY['4111111111111111']::varchar[]);
PREPARE many_more(text[]) AS INSERT INTO many VALUES ('parameter', $1);
EXECUTE many_more('{4111111111111111,NULL}');
INSERT INTO many SELECT 'select', array_agg(v) FROM (VALUES ('4111111111111111'::text)) AS s(v);
UPDATE many SET cards = ARRAY['4111111111111111'::text] WHERE what = 'literal';
SELECT what, cards, cards[1]::text = :'token' AS same FROM many ORDER BY what;
INSERT INTO many SELECT 'tokens', cards::text[] FROM many WHERE what = 'array';
INSERT INTO many SELECT 'elements', ARRAY(SELECT c::text FROM unnest(cards) AS c) FROM many WHERE what = 'array';
INSERT INTO many SELECT 'through', a FROM (SELECT array_agg(card::text) AS a FROM pay) AS s;
DEALLOCATE many_more;
DROP TABLE many;
-- Comparisons, by index.
CREATE TABLE pg_temp.list AS SELECT '4012888888881881'::text AS number, 4711001::int AS account, 'nonsense'::text AS other;
SELECT (SELECT id FROM pay WHERE card = '4111111111111111') AS literal, (SELECT id FROM pay WHERE card = '4111111111111111'::text) AS text,
  (SELECT id FROM pay WHERE '4111111111111111'::varchar = card) AS varchar, (SELECT id FROM pay WHERE card IN ('4111111111111111', '4000 0000 0000 0002') AND id = 1) AS "in",
  (SELECT id FROM pay WHERE card = ANY ('{4111111111111111}'::text[])) AS "any", (SELECT id FROM pay JOIN pg_temp.list ON card = number) AS "join",
  (SELECT id FROM pay WHERE acct = 4711001) AS int4, (SELECT id FROM pay WHERE 4711001::bigint = acct) AS int8, (SELECT id FROM pay WHERE acct = '4711001') AS literal8,
  (SELECT id FROM pay JOIN pg_temp.list ON acct = account) AS join8;
-- USING and NATURAL want a common type, too, which bigint is.
SELECT id, pg_typeof(acct) FROM pay JOIN (SELECT account::bigint AS acct FROM pg_temp.list) AS l USING (acct);
SELECT id, pg_typeof(acct) FROM (SELECT account::bigint AS acct FROM pg_temp.list) AS l NATURAL LEFT JOIN pay;
SELECT count(*) FILTER (WHERE card <> '4111111111111111'::text) AS ne, count(*) FILTER (WHERE acct <> 4711000) AS ne8,
  count(*) FILTER (WHERE card = other) AS nonsense, count(*) FILTER (WHERE card <> other) AS "no nonsense", count(*) FILTER (WHERE acct = 5) AS out_of_range
FROM pay, pg_temp.list;
SET enable_seqscan = off;
EXPLAIN (COSTS off) SELECT id FROM pay WHERE card = $q$4111111111111111$q$::varchar;
EXPLAIN (COSTS off) SELECT id FROM pay WHERE acct = 4711000;
RESET enable_seqscan;

-- ---------------------------------- nothing is tokenized twice
UPDATE pay SET card = card::text WHERE id = 1;
SELECT card::text = :'token' AS same FROM pay WHERE id = 1;
SELECT card(card::text) FROM pay;
SELECT card::text::card FROM pay;
INSERT INTO pay(id, card) SELECT 5, redoubt.tokenize('4000000000000010', 'card');
INSERT INTO pay(id, card) SELECT 5, unnest(redoubt.tokenize(ARRAY['4000000000000010'], 'card'));
INSERT INTO pay(id, card) SELECT 5, card('4000000000000010'::text);
SET redoubt.input = 'token';
SELECT redoubt.tokenize(card, 'card') FROM pay;
INSERT INTO pay(id, card) SELECT 6, redoubt.tokenize('4000000000000028', 'card');
SELECT id FROM pay WHERE card = redoubt.tokenize('4000000000000028', 'card');
SELECT id, card FROM pay WHERE card = :'token';
RESET redoubt.input;
SET ROLE regress_input_owner;
ALTER TABLE pay ALTER card TYPE card USING redoubt.tokenize(card, 'card');
ALTER TABLE pay ALTER card TYPE card USING card(card::text);
ALTER TABLE pay ALTER acct TYPE acct USING acct(acct::bigint);
SET ROLE regress_input_lead;
SELECT card::text = :'token' AS same FROM pay WHERE id = 1;
-- What has come through a subquery, a CTE, a set operation or a view is a token still.
CREATE TEMP VIEW seen AS SELECT id, card::text AS c FROM pay ORDER BY id LIMIT 2;
INSERT INTO pay(id, card) SELECT id + 1000, c FROM (SELECT id, replace(card, '4', '4')::text AS c FROM pay ORDER BY id LIMIT 2) AS s;
INSERT INTO pay(id, card) SELECT 30, max(card::text) FROM pay;
INSERT INTO pay(id, card) SELECT 31, unnest(array_agg(card::text)) FROM pay;
CREATE TEMP TABLE trip (way text, id int, card card, acct acct);
INSERT INTO trip(way, id, card) SELECT 'order', id, c FROM (SELECT id, card::text AS c FROM pay ORDER BY id LIMIT 2) AS s;
INSERT INTO trip(way, id, card) SELECT 'distinct', 1, c FROM (SELECT DISTINCT card::text AS c FROM pay WHERE id = 1) AS s;
INSERT INTO trip(way, id, card) SELECT 'union', 1, card::text FROM pay WHERE id = 1 UNION SELECT 'union', 2, card::text FROM pay WHERE id = 2;
INSERT INTO trip(way, id, card) SELECT 'group', 1, card::text FROM pay WHERE id = 1 GROUP BY card::text;
WITH c AS MATERIALIZED (SELECT id, card::text AS c FROM pay WHERE id < 3) INSERT INTO trip(way, id, card) SELECT 'cte', id, c FROM c;
INSERT INTO trip(way, id, card) SELECT 'view', id, c FROM seen;
INSERT INTO trip(way, id, card) SELECT 'join', b.id, b.c FROM pay AS a JOIN (SELECT id, card::text AS c FROM pay OFFSET 0) AS b USING (id) WHERE a.id < 3;
INSERT INTO trip(way, id, card) VALUES ('scalar', 1, (SELECT card::text FROM pay WHERE id = 1));
INSERT INTO trip(way, id, acct) SELECT 'number', id, a FROM (SELECT id, acct::bigint AS a FROM pay ORDER BY id LIMIT 2) AS s;
UPDATE trip SET card = s.c FROM (SELECT id, card::text AS c FROM pay ORDER BY id LIMIT 2) AS s WHERE s.id = trip.id AND way = 'order';
MERGE INTO trip USING (SELECT id, card::text AS c FROM pay ORDER BY id LIMIT 1) AS s ON trip.id = s.id AND way = 'merge' WHEN NOT MATCHED THEN INSERT (way, id, card) VALUES ('merge', s.id, s.c);
SELECT way, count(*), count(*) FILTER (WHERE t.card = p.card OR t.acct = p.acct) AS same FROM trip AS t JOIN pay AS p USING (id) GROUP BY way ORDER BY way;
SELECT (SELECT count(*) FROM pay AS a JOIN (SELECT card::text AS c FROM pay OFFSET 0) AS b ON a.card = b.c) AS "join", (SELECT count(*) FROM pay WHERE card IN (SELECT card::text FROM pay)) AS "in",
  (SELECT count(*) FROM pay WHERE card = ANY (SELECT card::text FROM pay OFFSET 0)) AS "any", (SELECT count(*) FROM pay AS a JOIN seen AS b ON b.c = a.card) AS view,
  (SELECT count(*) FROM pay WHERE card <> (SELECT card::text FROM pay WHERE id = 1)) AS differ, (SELECT count(*) FROM pay WHERE card IN ('4111111111111111', '4012888888881881')) AS "values";
SELECT count(*) FROM pay WHERE card = ANY (ARRAY(SELECT card::text FROM pay));
SELECT count(*) FROM pay WHERE card = ANY (SELECT max(card::text) FROM pay GROUP BY id);
DROP TABLE trip;
DROP VIEW seen;
-- What is made of a token's text is neither.
UPDATE pay SET card = replace(card, ' ', '') WHERE id = 1;
UPDATE pay SET acct = acct + 1 WHERE id = 1;
DO $$ DECLARE c fin.card; BEGIN SELECT card INTO c FROM fin.pay WHERE id = 1; c := trim(c); END $$;
DO $$ DECLARE c fin.card; BEGIN SELECT card INTO c FROM fin.pay WHERE id = 1; UPDATE fin.pay SET card = c, note = 'kept' WHERE id = 1; END $$;
SELECT card::text = :'token' AS same, note FROM pay WHERE id = 1;
DO $$ DECLARE c fin.card; BEGIN c := '4111111111111111'; RAISE NOTICE '%', c::text <> '4111111111111111'; END $$;

-- ---------------------------------- what shows tokens takes tokens
COPY pay(id, card) FROM STDIN;
21	4012881451401881
\.
SELECT card::text FROM pay WHERE id = 21;
SET row_security = off;
INSERT INTO pay(id, card) VALUES (22, '4012881451401882');
RESET row_security;
SELECT card::text FROM pay WHERE id = 22;
SET redoubt.input = 'plain';
COPY pay(id, card) FROM STDIN;
23	4012881451401883
\.
RESET redoubt.input;
SELECT card::text FROM pay WHERE id = 23;
DELETE FROM pay WHERE id > 20;

-- ---------------------------------- a role that is shown masks
SET ROLE regress_input_agent;
SELECT id, card, acct, pers FROM pay WHERE id < 3 ORDER BY id;
UPDATE pay SET card = '•••1881' WHERE id = 2;
UPDATE pay SET pers = 'Z•••' WHERE id = 2;
INSERT INTO pay(id, card, pers) VALUES (7, '4000000000000036', 'Ann Lee') RETURNING id, card, pers;
-- A role that is shown tokens, since it may see no more.
SET ROLE regress_input_nobody;
\set VERBOSITY terse
SELECT card = :'token' AS same FROM pay WHERE id = 1;
UPDATE pay SET card = :'token' WHERE id = 1;
SET redoubt.input = 'plain';
\set VERBOSITY terse
UPDATE pay SET card = :'token' WHERE id = 1;
\set VERBOSITY default
SELECT id FROM pay WHERE card = '4111111111111111'::text;
RESET redoubt.input;
-- Where a limit leaves a reader with less, it leaves no token that would be written back as a value.
RESET ROLE;
SELECT redoubt.set_limit('regress_input_lead', 'fin.card', 'reveal', 1, '1 hour', on_excess => 'degrade') IS NULL AS failed;
SET SESSION AUTHORIZATION regress_input_lead;
SET redoubt.reveal = 'auto';
SELECT id, card FROM pay WHERE id = 1;
\set VERBOSITY sqlstate
SELECT id, card FROM pay WHERE id = 2;
\set VERBOSITY default
RESET SESSION AUTHORIZATION;

-- ---------------------------------- vaulted types
SET ROLE regress_input_lead;
SET redoubt.reveal = 'auto';
CREATE TABLE pg_temp.vaulted (a vacct);
INSERT INTO pg_temp.vaulted VALUES ('4711000815');
INSERT INTO pg_temp.vaulted VALUES ('4711000815'::text);
SELECT a, a::text <> '4711000815' AS sealed FROM pg_temp.vaulted;
SELECT count(*) FILTER (WHERE a = '4711000815'::text) AS found, count(*) FILTER (WHERE a = '4711000816'::text) AS other,
  count(*) FILTER (WHERE a <> '4711000816'::text) AS differs FROM pg_temp.vaulted;
DROP TABLE pg_temp.vaulted;
-- One without a format is looked up by its value as well, without making a token.
CREATE TABLE pg_temp.visit (p patient UNIQUE, note text);
INSERT INTO pg_temp.visit VALUES ('Mary Smith'::text, 'Mary Smith');
SET enable_seqscan = off;
EXPLAIN (COSTS off) SELECT note FROM pg_temp.visit WHERE p = 'Mary Smith'::varchar;
RESET enable_seqscan;
SELECT count(*) FILTER (WHERE p = 'Mary Smith'::text) AS found, count(*) FILTER (WHERE 'Mary Smith'::varchar = p) AS commuted,
  count(*) FILTER (WHERE p = note) AS joined, count(*) FILTER (WHERE p = token(p)) AS by_token, count(*) FILTER (WHERE p = ANY ('{Mary Smith,Ann Lee}'::text[])) AS "any",
  count(*) FILTER (WHERE p = 'Ann Lee'::text) AS other, count(*) FILTER (WHERE p <> 'Ann Lee'::text) AS differs, count(*) FILTER (WHERE NOT p = 'Ann Lee'::text) AS "not" FROM pg_temp.visit;
DROP TABLE pg_temp.visit;
RESET ROLE;
GRANT EXECUTE ON FUNCTION vacct(text), patient(text) TO CURRENT_USER;
SELECT redoubt.forget_value('vacct', '4711000815'), redoubt.forget_value('patient', 'Mary Smith'), redoubt.forget_value('patient', 'Ann Lee');
RESET redoubt.reveal;

SET client_min_messages = warning;
SELECT redoubt.drop_limit('regress_input_lead', 'fin.card', 'reveal', '1 hour') IS NULL AS failed;
DROP TABLE pg_temp.list, pay;
RESET search_path;
SELECT redoubt.drop_token_type(t) IS NULL AS failed FROM (VALUES ('fin.card'::regtype), ('fin.acct'), ('fin.pers'), ('fin.vacct'), ('fin.patient')) AS v(t);
DROP SCHEMA fin CASCADE;
DROP OWNED BY regress_input_owner, regress_input_lead, regress_input_agent, regress_input_app, regress_input_nobody;
DROP ROLE regress_input_owner, regress_input_lead, regress_input_agent, regress_input_app, regress_input_nobody;
