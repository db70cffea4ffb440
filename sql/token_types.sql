/*
 * Values into tokens and back: input, output, casts, normalisation, transport.
 *
 * Proves: every way in gives the same token; what comes out is what went in,
 * normalised as the type says; a token's text form goes in as it is, under COPY
 * text and binary, arrays, domains and composites; randomised types never repeat.
 * No token is printed: its bytes depend on a random data key.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
CREATE ROLE regress_types_app;
CREATE ROLE regress_types_loader;
GRANT EXECUTE ON FUNCTION
  redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token),
  redoubt.phone_token(text), redoubt.detokenize(redoubt.phone_token), redoubt.mask(redoubt.phone_token),
  redoubt.name_token(text), redoubt.detokenize(redoubt.name_token), redoubt.mask(redoubt.name_token),
  redoubt.text_token(text), redoubt.detokenize(redoubt.text_token), redoubt.mask(redoubt.text_token),
  redoubt.bytes_token(bytea), redoubt.detokenize(redoubt.bytes_token), redoubt.mask(redoubt.bytes_token)
TO regress_types_app;
CREATE SCHEMA regress_types AUTHORIZATION regress_types_app;
SET ROLE regress_types_app;
SET search_path = regress_types, redoubt;

-- ---------------------------------------------------------------- ways in
-- The literal, the three casts, the function and the typed literal make one token.
SELECT 'alice@example.com'::email_token = 'alice@example.com'::text AS "text",
       'alice@example.com'::email_token = 'alice@example.com'::varchar AS "varchar",
       'alice@example.com'::email_token = 'alice@example.com'::varchar(40) AS "varchar(40)",
       'alice@example.com'::email_token = 'alice@example.com'::char(40) AS "char(40)",
       'alice@example.com'::email_token = email_token('alice@example.com') AS "function",
       'alice@example.com'::email_token = email_token 'alice@example.com' AS "typed literal",
       'alice@example.com'::email_token = CAST('alice@example.com' AS email_token) AS "cast";
-- The padding of character(n) is no part of the value, not even for a type that keeps blanks.
SELECT detokenize('ab'::char(9)::text_token) = 'ab' AS without_padding, 'ab '::text_token = 'ab'::text_token AS blank_is_equal;
-- The token's text form: its shape, and that it goes back in as it is, whatever the type.
SELECT redoubt.token('alice@example.com'::email_token) ~ '^tok_[A-Za-z0-9_-]+$' AS shape,
       length(redoubt.token('alice@example.com'::email_token)) = 4 + ceil((19 + length('alice@example.com')) * 4 / 3.0) AS length,
       redoubt.token('alice@example.com'::email_token)::email_token = 'alice@example.com' AS round_trip,
       redoubt.token(redoubt.token('alice@example.com'::email_token)::varchar::email_token) = redoubt.token('alice@example.com'::email_token) AS same_bytes,
       redoubt.token(redoubt.token('alice@example.com'::email_token)::char(200)::email_token) = redoubt.token('alice@example.com'::email_token) AS padded;
-- One plaintext under two types: different tokens.
SELECT substr(redoubt.token('x'::text_token), 8) <> substr(redoubt.token('x'::name_token), 8) AS unlinkable;
-- NULL in, NULL out, everywhere.
SELECT NULL::text::email_token IS NULL AS "cast", email_token(NULL::text) IS NULL AS "function", detokenize(NULL::email_token) IS NULL AS detokenize,
       mask(NULL::email_token) IS NULL AS mask, NULL::email_token = 'a@b.example' AS equal, NULL::bytea::bytes_token IS NULL AS bytea,
       token_info(NULL::email_token) IS NULL AS token_info;

-- Typed parameters, as drivers send them: text, varchar, bpchar, the token type, unknown.
CREATE TABLE customer (id int PRIMARY KEY, email email_token, phone phone_token, name name_token, note text_token, scan bytes_token);
PREPARE ins(int, text, varchar, bpchar, text, bytea) AS INSERT INTO customer VALUES ($1, $2, $3, $4, $5, $6);
EXECUTE ins(1, 'alice@example.com', '(212) 555-0100', 'Alice  Liddell', 'first note', '\x00ff00');
EXECUTE ins(2, 'bob@example.com', '+44 20 7946 0958', 'Bob', NULL, NULL);
PREPARE by_text(text) AS SELECT id FROM customer WHERE email = $1;
PREPARE by_varchar(varchar) AS SELECT id FROM customer WHERE email = $1;
PREPARE by_bpchar(bpchar) AS SELECT id FROM customer WHERE email = $1;
PREPARE by_token(email_token) AS SELECT id FROM customer WHERE email = $1;
PREPARE by_unknown AS SELECT id FROM customer WHERE email = $1;
PREPARE by_array(text[]) AS SELECT id FROM customer WHERE email = ANY ($1::email_token[]) ORDER BY id;
EXECUTE by_text('alice@EXAMPLE.com');
EXECUTE by_varchar('alice@EXAMPLE.com');
EXECUTE by_bpchar('alice@EXAMPLE.com   ');
EXECUTE by_token('alice@EXAMPLE.com');
EXECUTE by_unknown('alice@EXAMPLE.com');
EXECUTE by_array('{bob@example.com,alice@example.com,nobody@example.com}');
-- Six times, so that the sixth may be a generic plan.
EXECUTE by_text('bob@example.com');
EXECUTE by_text('bob@example.com');
EXECUTE by_text('bob@example.com');
EXECUTE by_text('bob@example.com');
EXECUTE by_text('bob@example.com');
EXECUTE by_text('nobody@example.com');
UPDATE customer SET email = 'robert@example.com'::varchar WHERE email = 'bob@example.com'::text RETURNING id;
SELECT id FROM customer WHERE email IN ('robert@example.com', 'nobody@example.com');
SELECT id, detokenize(email), detokenize(phone), detokenize(name), detokenize(note), detokenize(scan) FROM customer ORDER BY id;
SELECT id, mask(email), mask(phone), mask(name), mask(note), mask(scan) FROM customer ORDER BY id;

-- A session that is shown tokens is shown nothing that is computed from a value.
\set VERBOSITY terse
SELECT lower(email) FROM customer;
SELECT email LIKE 'a%' FROM customer;
SELECT email || '' FROM customer WHERE id = 1 AND false;
SELECT 1 FROM customer WHERE email = phone;
\set VERBOSITY default
-- Stored bytes are the token's: no plaintext in the row.
SELECT bool_or(position(p IN convert_to(t::text, 'UTF8')) > 0) AS plaintext_in_the_row
FROM customer AS t, (VALUES ('alice'::bytea), ('555'), ('Liddell'), ('first')) AS v(p);
SELECT pg_column_size(email) - 1 - 19 AS stored_bytes, length('alice@example.com') AS plaintext_bytes FROM customer WHERE id = 1;

-- ---------------------------------------------------------- normalisation
-- E-mail: blanks around it and the domain's case do not matter, the local part's does.
SELECT v AS given, detokenize(v::email_token) AS stored, v::email_token = 'Alice@example.com' AS equal
FROM (VALUES ('Alice@example.com'), ('  Alice@EXAMPLE.Com  '), ('alice@example.com'), ('Alice+tag@example.com'), ('"Alice"@example.com'),
             ('Alice@sub.example.com')) AS t(v);
-- An internationalised domain is kept as given; NFC makes its two spellings one.
SELECT detokenize('joe@BÜCHER.example'::email_token) AS kept,
       ('joe@b' || U&'u\0308' || 'cher.example')::email_token = ('joe@b' || U&'\00FC' || 'cher.example')::email_token AS nfc;
-- Telephone: E.164 from the formats of the support data.
SELECT v AS given, detokenize(v::phone_token) AS stored
FROM (VALUES ('697-555-0142'), ('(697) 555-0142'), ('697.555.0142'), ('+1 697 555 0142'), ('1 697 555 0142'),
             ('1 (11) 500 555-0132'), ('+44 20 7946 0958'), ('+44 (0)20 7946 0958'), ('011 44 20 7946 0958'),
             ('697-555-0142 x12')) AS t(v);
SELECT '697-555-0142'::phone_token = '+1 (697) 555 0142' AS equal, '697-555-0142'::phone_token = '697-555-0143' AS another;
-- Names: NFC, blanks folded, case kept.
SELECT detokenize(E'  Zoë \t van  der\nBerg '::name_token) AS folded,
       'Ann Lee'::name_token = ' Ann   Lee'::name_token AS equal, 'Ann Lee'::name_token = 'ann lee'::name_token AS case_matters;
-- NFC is PostgreSQL's own normalize(), over composed, decomposed, reordered, Hangul and compatibility forms.
WITH v(id, given) AS (VALUES
  (1, U&'Zoe\0308'), (2, U&'Zo\00EB'), (3, U&'\212Bngstr\00F6m'), (4, U&'A\030Angstro\0308m'), (5, U&'Vie\0302\0323t'), (6, U&'Vie\0323\0302t'),
  (7, U&'\1112\1161\11AB'), (8, U&'\D55C'), (9, U&'\FB01sh'), (10, U&'\0627\0653'), (11, U&'\+01D15E'), (12, U&'\4E2D\6587'), (13, 'O''Brien-Smith'))
SELECT bool_and(detokenize(given::name_token) = given) AS as_typed,
       bool_and(given::name_token = normalize(given, NFC)::name_token) AS composed_is_equal,
       bool_and(normalize(given, NFD)::name_token = normalize(given, NFC)::name_token) AS decomposed_is_equal,
       count(*) AS given, count(DISTINCT given::name_token) AS names, count(DISTINCT normalize(given, NFC)) AS names_by_normalize
FROM v;
-- text_token keeps every byte, and so tells apart what the others fold.
SELECT bool_and(detokenize(v::text_token) = v) AS kept, count(DISTINCT v::text_token) AS tokens, count(*) AS given
FROM (VALUES (''), (' '), ('a'), ('A'), ('a '), (E'a\n'), (E'\t'), (U&'e\0301'), (U&'\00E9'), (U&'\+01F512'), (repeat('x', 100000))) AS t(v);
SELECT mask(''::text_token) AS empty, mask('a'::text_token) AS one, mask(repeat('x', 1000)::text_token) AS long;

-- ------------------------------------------------------------------ bytea
SELECT detokenize('\x00ff0a'::bytea::bytes_token) AS bytes, detokenize('\x'::bytea::bytes_token) AS none,
       detokenize('\x00FF0A'::bytes_token) AS literal, detokenize('abc'::bytes_token) AS escape,
       '\x00ff0a'::bytea::bytes_token = '\x00FF0A' AS equal, mask('\x00ff0a'::bytes_token) AS mask;
-- The bytes of "tok_…" are a value like any other when they come as bytea.
SELECT detokenize('tok_'::bytea::bytes_token) = 'tok_'::bytea AS kept;
SELECT bool_and(detokenize(b::bytes_token) = b) AS every_size, count(DISTINCT b::bytes_token) AS tokens
FROM (SELECT decode(repeat('a5', n), 'hex') AS b FROM generate_series(0, 257) AS n) AS t;
-- A long one, out of line.
CREATE TABLE large (b bytes_token, t text_token);
INSERT INTO large SELECT decode(repeat('0102030405060708', 50000), 'hex'), repeat(md5('x'), 10000);
SELECT detokenize(b) = decode(repeat('0102030405060708', 50000), 'hex') AS b, detokenize(t) = repeat(md5('x'), 10000) AS t,
       b = decode(repeat('0102030405060708', 50000), 'hex') AS equal_b, redoubt.token(t)::text_token = t AS round_trip_t FROM large;

-- --------------------------------------------------------------- transport
-- COPY of the table is text with tokens; back in, it needs no privilege.
CREATE TABLE copied (line text);
CREATE TABLE again (LIKE customer);
GRANT USAGE ON SCHEMA regress_types TO regress_types_loader;
GRANT SELECT ON customer TO regress_types_loader;
GRANT SELECT, INSERT ON copied, again TO regress_types_loader;
RESET ROLE;
SET ROLE regress_types_loader;
\copy regress_types.customer TO 'results/token_types.data'
\copy regress_types.again FROM 'results/token_types.data'
\copy regress_types.copied FROM 'results/token_types.data' (DELIMITER E'\x01')
\copy regress_types.customer TO 'results/token_types.data' (FORMAT binary)
\copy regress_types.again FROM 'results/token_types.data' (FORMAT binary)
RESET ROLE;
SET ROLE regress_types_app;
SELECT count(*) AS lines, bool_and(line LIKE '%tok\_%') AS tokens, bool_or(line ~ 'alice|bob@|robert|555-?01|Liddell|first') AS plaintext FROM copied;
-- Each row came back twice, once by each format, byte for byte.
SELECT id, count(*), count(DISTINCT (redoubt.token(email), redoubt.token(phone), redoubt.token(name), redoubt.token(note), redoubt.token(scan))) AS different FROM again GROUP BY id ORDER BY id;
SELECT count(*) AS rows_equal FROM customer AS c JOIN again AS a ON (a.email, a.phone, a.name) = (c.email, c.phone, c.name);
SELECT DISTINCT detokenize(email), detokenize(name) FROM again ORDER BY 1;
-- COPY of plaintext tokenizes.
COPY customer (id, email, name) FROM stdin;
3	carol@EXAMPLE.com	Carol
4	\N	\N
\.
SELECT id, detokenize(email), detokenize(name) FROM customer WHERE id >= 3 ORDER BY id;

-- Arrays, domains, composites and json.
CREATE DOMAIN work_email AS email_token CHECK (VALUE <> 'nobody@example.com');
CREATE TYPE person AS (email email_token, other work_email, phones phone_token[]);
CREATE TABLE container (list email_token[], matrix email_token[], work work_email, who person, people person[]);
INSERT INTO container VALUES ('{a@example.com,"b@example.com",NULL}', '{{a@example.com,b@example.com},{c@example.com,d@example.com}}', 'w@example.com',
  ROW('p@example.com', 'q@example.com', '{+442079460958,212-555-0100}'), ARRAY[ROW('r@example.com', 's@example.com', NULL)::person]);
INSERT INTO container (list) VALUES (ARRAY['a@example.com', 'b@example.com']::email_token[]), (ARRAY['a@example.com'::text, 'b@example.com']);
SELECT detokenize(list[2]) AS list, list[3] IS NULL AS null_element, detokenize(matrix[2][1]) AS matrix, detokenize(work) AS domain,
       detokenize((who).other) AS composite, detokenize((who).phones[2]) AS nested, detokenize((people[1]).email) AS in_array
FROM container LIMIT 1;
SELECT list = ARRAY['a@example.com', 'b@example.com']::email_token[] AS equal, 'b@example.com' = ANY (list) AS any, list @> ARRAY['a@example.com']::email_token[] AS contains,
       array_position(list, 'b@example.com'::email_token) AS position
FROM container;
SELECT bool_and(list::text ~ '^\{tok_[^,]*,tok_[^,]*(,NULL)?\}$') AS list, bool_and(who::text ~ '^\(tok_.*,tok_.*,"\{tok_.*,tok_.*\}"\)$') AS composite,
       bool_and(to_json(work)::text ~ '^"tok_') AS json, bool_and(row_to_json(container)::text ~ '"list":\["tok_') AS row_to_json FROM container;
SELECT count(*) AS rows_back FROM (SELECT list::text::email_token[] = list AS ok FROM container) AS t WHERE ok;
SELECT who::text::person = who AS composite_round_trip FROM container WHERE (who).email IS NOT NULL;
SELECT (token_info(work)).type AS type_of_domain, (token_info((who).other)).form FROM container WHERE work IS NOT NULL;
\set VERBOSITY terse
INSERT INTO container (work) VALUES ('nobody@EXAMPLE.com');
INSERT INTO container (work) VALUES ('no address');
\set VERBOSITY default

-- ALTER TABLE turns a plaintext column into tokens and keeps constraints.
CREATE TABLE legacy (id int, email text NOT NULL UNIQUE);
INSERT INTO legacy SELECT n, 'user' || n || '@Example.COM' FROM generate_series(1, 100) AS n;
ALTER TABLE legacy ALTER email TYPE email_token;
SELECT count(*) AS rows, count(DISTINCT email) AS tokens, bool_and(detokenize(email) = 'user' || id || '@example.com') AS right FROM legacy;
SELECT id FROM legacy WHERE email = 'user42@example.com';

-- ------------------------------------------------------------- token_info
SELECT (token_info(email)).type, (token_info(email)).key, (token_info(email)).key_version > 0 AS key_version, (token_info(email)).form,
       (token_info(email)).bytes - length(detokenize(email)) AS overhead
FROM customer WHERE id = 1;
\set VERBOSITY terse
SELECT token_info('x'::text);
SELECT token_info(1);
\set VERBOSITY default

-- -------------------------------------------------------------- randomised
RESET ROLE;
SELECT redoubt.create_token_type('regress_types.secret_token', deterministic => false);
GRANT EXECUTE ON FUNCTION regress_types.secret_token(text), redoubt.detokenize(regress_types.secret_token) TO regress_types_app;
SET ROLE regress_types_app;
CREATE TABLE secret (s secret_token);
INSERT INTO secret SELECT 'same'::text FROM generate_series(1, 20);
INSERT INTO secret VALUES ('same'), ('same'::varchar), ('same'::bpchar), ('');
SELECT count(*) AS values, count(DISTINCT redoubt.token(s)) AS tokens, count(DISTINCT detokenize(s)) AS plaintexts FROM secret;
SELECT (token_info(s)).form, (token_info(s)).bytes - length(detokenize(s)) AS overhead, count(*) FROM secret GROUP BY 1, 2;
SELECT bool_and(detokenize(redoubt.token(s)::secret_token) = detokenize(s) AND redoubt.token(redoubt.token(s)::secret_token) = redoubt.token(s)) AS round_trip FROM secret;
-- A function called once per row gives a fresh token per row; so does a default.
CREATE TABLE secret_default (id int, s secret_token DEFAULT secret_token('d'::text));
INSERT INTO secret_default (id) SELECT generate_series(1, 5);
SELECT count(DISTINCT redoubt.token(s)) AS tokens FROM secret_default;
-- No equality to infer from: neither operator, nor index, nor DISTINCT.
\set VERBOSITY terse
SELECT 1 FROM secret WHERE s = 'same';
SELECT DISTINCT s FROM secret;
SELECT 1 FROM secret ORDER BY s;
CREATE INDEX ON secret (s);
CREATE INDEX ON secret USING hash (s);
\set VERBOSITY default

-- A column of another token type: tokens are none of it, so nobody makes them such by a cast.
CREATE TABLE moved AS SELECT id, 'Mary'::name_token AS name, 'a@example.com'::text AS plain, ARRAY['Mary']::name_token[] AS names FROM generate_series(1, 2) AS id;
ALTER TABLE moved ALTER name TYPE email_token;
ALTER TABLE moved ALTER name TYPE email_token USING name::email_token;
ALTER TABLE moved ALTER name TYPE email_token USING name::text::email_token;
ALTER TABLE moved ALTER names TYPE email_token[];
ALTER TABLE moved ALTER name TYPE email_token USING plain::email_token;
ALTER TABLE moved ALTER names TYPE text_token[] USING text_token(detokenize(names));
ALTER TABLE moved ALTER plain TYPE text_token USING plain::text_token;
SELECT detokenize(name) AS name, detokenize(names) AS names, detokenize(plain) AS plain FROM moved WHERE id = 1;

-- ----------------------------------------------------------------- ends
RESET ROLE;
RESET search_path;
DEALLOCATE ALL;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP TABLE regress_types.secret, regress_types.secret_default;
SELECT redoubt.drop_token_type('regress_types.secret_token');
DROP SCHEMA regress_types CASCADE;
DROP OWNED BY regress_types_app;
DROP ROLE regress_types_app, regress_types_loader;
