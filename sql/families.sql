/*
 * What is true of each family of token types: the table in README.md.
 *
 * Proves: each cell of that table, on a column of a sealed, a format-preserving and a vaulted type, by statements as an
 * application has them.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE regress_families;
CREATE SCHEMA regress_families AUTHORIZATION regress_families;
SELECT redoubt.create_token_type('regress_families.card', method => 'fpe', format => 'card'),
  redoubt.create_token_type('regress_families.patient', method => 'vault', "normalize" => 'name');
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), regress_families.card(text),
  redoubt.detokenize(regress_families.card), regress_families.patient(text), redoubt.detokenize(regress_families.patient) TO regress_families;
SET SESSION AUTHORIZATION regress_families;
SET search_path = regress_families, redoubt, public;
SET redoubt.reveal = auto;
CREATE TABLE sealed (id int PRIMARY KEY, c email_token UNIQUE);
CREATE TABLE formed (id int PRIMARY KEY, c card UNIQUE);
CREATE TABLE vaulted (id int PRIMARY KEY, c patient UNIQUE);
-- Two values of each, texts, and what begins like the first.
CREATE TABLE family (n int, name text, type text, one text, two text, part text);
INSERT INTO family VALUES (1, 'sealed', 'email_token', 'Ann@example.com', 'bob@example.com', 'Ann%'),
  (2, 'formed', 'card', '4111111111111111', '5500005555555559', '411111%1111'), (3, 'vaulted', 'patient', 'Mary', 'Anna', 'Ma%');
CREATE TABLE list (value text);
INSERT INTO list SELECT one FROM family;
-- The statement for each family: %1$s is the table, %2$L and %3$L the values, %4$L the pattern, %5$s the type.
CREATE FUNCTION each(statement text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
  SELECT format(statement, name, one, two, part, type) FROM family ORDER BY n $$;
-- Is the statement's plan one with an index of c?  Any text in it is of type text.
CREATE FUNCTION by_index(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN ' || statement LOOP
    IF line ~ 'Index (Only )?Scan' AND line !~ '_pkey' THEN RETURN true; END IF;
  END LOOP;
  RETURN false;
END $$;

-- What was written is read, and can be written back.
SELECT each($$INSERT INTO %1$s VALUES (1, %2$L)$$) \gexec
SELECT each($$INSERT INTO %1$s VALUES (1, %2$L), (2, %3$L) ON CONFLICT (id) DO UPDATE SET c = excluded.c$$) \gexec
PREPARE write_sealed(int, text) AS INSERT INTO sealed VALUES ($1, $2);
PREPARE write_formed(int, text) AS INSERT INTO formed VALUES ($1, $2);
PREPARE write_vaulted(int, text) AS INSERT INTO vaulted VALUES ($1, $2);
EXECUTE write_sealed(3, 'carl@example.com');
EXECUTE write_formed(3, '4012888888881881');
EXECUTE write_vaulted(3, 'Carl');
SELECT each($$SELECT id, c FROM %1$s ORDER BY id$$) \gexec
SELECT each($$UPDATE %1$s SET c = %2$L WHERE id = 1 RETURNING c$$) \gexec
SELECT each($$SELECT id, c FROM %1$s WHERE id = 1$$) \gexec
-- By a literal in a function or block.
DO $$ BEGIN INSERT INTO sealed VALUES (4, 'dora@example.com'); END $$;
DO $$ BEGIN INSERT INTO formed VALUES (4, '4222222222222000'); END $$;
DO $$ BEGIN INSERT INTO vaulted VALUES (4, 'Dora'); END $$;
DO $$ DECLARE value text := 'Dora'; BEGIN INSERT INTO vaulted VALUES (4, value); END $$;
SELECT each($$SELECT c FROM %1$s WHERE id = 4$$) \gexec
-- COPY takes values of sealed types alone.
COPY sealed FROM stdin;
5	eve@example.com
\.
COPY vaulted FROM stdin;
5	Eve
\.
COPY formed FROM stdin;
5	4222222222222999
\.
SELECT c FROM sealed WHERE id = 5;
SELECT c = '4222222222222999' AS is_the_value, c::text FROM formed WHERE id = 5;
DELETE FROM formed WHERE id = 5;

-- =, IN, = ANY, joins with text columns, by index.
SELECT each($$SELECT id FROM %1$s WHERE c = %2$L$$) \gexec
SELECT each($$SELECT id FROM %1$s WHERE c = %2$L::varchar OR c IN (%3$L, 'none'::text) ORDER BY id$$) \gexec
SELECT each($$SELECT id FROM %1$s WHERE c = ANY (ARRAY[%2$L, %3$L]) ORDER BY id$$) \gexec
SELECT each($$SELECT id FROM %1$s WHERE c IN (SELECT value FROM list)$$) \gexec
SELECT each($$SELECT id FROM list JOIN %1$s ON c = value$$) \gexec
SELECT each($$SELECT id FROM %1$s JOIN (SELECT value AS c FROM list) AS l USING (c)$$) \gexec
SET enable_seqscan = off;
SELECT each($$SELECT by_index($i$SELECT FROM %1$s WHERE c = %2$L::text$i$) AS one,
  by_index($i$SELECT FROM %1$s WHERE c = ANY (ARRAY[%2$L, %3$L])$i$) AS several, by_index($i$SELECT FROM list JOIN %1$s ON c = value$i$) AS joined$$) \gexec
RESET enable_seqscan;

-- Unique and foreign keys, DISTINCT, GROUP BY.
SELECT each($$INSERT INTO %1$s VALUES (6, %3$L)$$) \gexec
SELECT each($$CREATE TABLE child_of_%1$s (c %5$s REFERENCES %1$s (c))$$) \gexec
SELECT each($$INSERT INTO child_of_%1$s VALUES (%2$L), (%2$L)$$) \gexec
SELECT each($$SELECT count(DISTINCT c) FROM child_of_%1$s$$) \gexec
SELECT each($$SELECT c, count(*) FROM child_of_%1$s GROUP BY c$$) \gexec

-- Parts and order: of the value, or of the token.
SELECT each($$SELECT id FROM %1$s WHERE c LIKE %4$L$$) \gexec
SELECT each($$SELECT id FROM %1$s WHERE lower(c) = lower(%2$L)$$) \gexec
INSERT INTO sealed SELECT i, 'user' || i || '@example.com' FROM generate_series(100, 119) AS i;
INSERT INTO formed SELECT i, card('411111' || i || '0001111') FROM generate_series(100, 119) AS i;
INSERT INTO vaulted SELECT i, 'Name ' || i FROM generate_series(100, 119) AS i;
SELECT each($$SELECT array_agg(id ORDER BY c) = array_agg(id ORDER BY id) AS by_value FROM %1$s WHERE id >= 100$$) \gexec
DELETE FROM sealed WHERE id >= 100;
DELETE FROM formed WHERE id >= 100;
DELETE FROM vaulted WHERE id >= 100;
SELECT each($$SELECT min(c) = %2$L::text AS least FROM %1$s$$) \gexec
SELECT each($$SELECT id FROM %1$s WHERE c < %3$L ORDER BY id LIMIT 0$$) \gexec

-- Beside other text.
SELECT each($$SELECT 'to: ' || c = 'to: ' || %2$L AS value, 'to: ' || c = 'to: ' || token(c) AS token FROM %1$s WHERE id = 1$$) \gexec
SELECT each($$SELECT coalesce(c, 'none') FROM %1$s WHERE id = 1$$) \gexec
SELECT each($$SELECT count(*) FROM (SELECT c FROM %1$s WHERE id = 1 UNION SELECT %2$L::text) AS u$$) \gexec

-- Indexes for searching.
SELECT each($$CREATE INDEX ON %1$s (lower(c))$$) \gexec
SELECT each($$CREATE INDEX ON %1$s USING gin (c)$$) \gexec
SELECT each($$CREATE INDEX ON %1$s ((c::text))$$) \gexec
SET enable_seqscan = off;
SELECT by_index($$SELECT FROM sealed WHERE c LIKE 'Ann%'$$) AS pattern, by_index($$SELECT FROM sealed WHERE lower(c) = 'x'$$) AS folded,
  by_index('SELECT id FROM sealed ORDER BY c') AS ordered;
RESET enable_seqscan;

-- What a dump has.
COPY sealed TO stdout \g |grep -c example.com
COPY formed TO stdout \g |grep -c -e 4111111111111111 -e 5500005555555559
COPY vaulted TO stdout \g |grep -c -e Mary -e Anna

RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
SELECT redoubt.disable_tokens('regress_families.patient') > 20 AS disabled;
DROP TABLE regress_families.sealed, regress_families.formed, regress_families.vaulted, regress_families.child_of_sealed,
  regress_families.child_of_formed, regress_families.child_of_vaulted;
SELECT redoubt.drop_token_type(t) IS NULL AS failed FROM (VALUES ('regress_families.card'::regtype), ('regress_families.patient')) AS v(t);
DROP SCHEMA regress_families CASCADE;
DROP OWNED BY regress_families;
DROP ROLE regress_families;
