/*
 * Malformed, damaged, foreign and forged input to every way in.
 *
 * Proves: what is no genuine token is an error with the right SQLSTATE (22P02 for
 * form, XX001 for a token that does not open), never garbage, never a crash; a
 * masked value cannot be written back; no message, detail or hint holds the value.
 * Every flipped bit of a token is found out, and so is every truncation.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
\set SHOW_CONTEXT never
CREATE ROLE regress_hostile_app;
GRANT EXECUTE ON FUNCTION
  redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token),
  redoubt.phone_token(text), redoubt.detokenize(redoubt.phone_token),
  redoubt.name_token(text), redoubt.detokenize(redoubt.name_token),
  redoubt.text_token(text), redoubt.detokenize(redoubt.text_token), redoubt.mask(redoubt.text_token),
  redoubt.bytes_token(bytea), redoubt.detokenize(redoubt.bytes_token) TO regress_hostile_app;
CREATE SCHEMA regress_hostile AUTHORIZATION regress_hostile_app;
SELECT redoubt.create_token_type('regress_hostile.random_token', deterministic => false);
-- What the shipped types keep as it was typed, these refuse.
SELECT redoubt.create_token_type('regress_hostile.strict_email', "normalize" => 'email', mask => 'email', invalid => 'refuse');
SELECT redoubt.create_token_type('regress_hostile.strict_phone', "normalize" => 'phone(US)', mask => 'phone', invalid => 'refuse');
SELECT redoubt.create_token_type('regress_hostile.strict_name', "normalize" => 'name', mask => 'name', invalid => 'refuse');
GRANT EXECUTE ON FUNCTION regress_hostile.strict_email(text), regress_hostile.strict_phone(text), regress_hostile.strict_name(text) TO regress_hostile_app;
GRANT EXECUTE ON FUNCTION regress_hostile.random_token(text), redoubt.detokenize(regress_hostile.random_token) TO regress_hostile_app;
SET ROLE regress_hostile_app;
SET search_path = regress_hostile, redoubt;

-- The bytes of a token's text form, and back.
CREATE FUNCTION bytes_of(token text) RETURNS bytea LANGUAGE sql AS $$
  SELECT decode(rpad(translate(substr(token, 5), '-_', '+/'), (length(token) - 4 + 3) / 4 * 4, '='), 'base64')
$$;
CREATE FUNCTION token_of(bytes bytea) RETURNS text LANGUAGE sql AS $$
  SELECT 'tok_' || rtrim(translate(replace(encode(bytes, 'base64'), E'\n', ''), '+/', '-_'), '=')
$$;
-- Runs a statement with `value` as its parameter.  What comes of it: a result, or the SQLSTATE;
-- loudly so if message, detail or hint holds the value or a part of it that says something.
CREATE FUNCTION attempt(statement text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; d text; h text; result text; part text;
BEGIN
  EXECUTE statement INTO result USING value;
  RETURN coalesce(result, 'null');
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
  FOREACH part IN ARRAY ARRAY[value, trim(value), substr(value, 5, 12), right(value, 8)] LOOP
    IF length(part) > 3 AND part <> 'tok_' AND position(lower(part) IN lower(m || d || h)) > 0 THEN
      RETURN SQLSTATE || ' SHOWS THE VALUE';
    END IF;
  END LOOP;
  RETURN SQLSTATE;
END
$$;
-- The same as a literal inside the statement, whose text may be quoted nowhere either.
CREATE FUNCTION attempt_literal(type text, value text) RETURNS text LANGUAGE sql AS $$
  SELECT attempt(format('SELECT %L::%s IS NOT NULL', value, type), value)
$$;
SELECT token_of(bytes_of(t)) = t AS codec FROM (SELECT redoubt.token('x@example.com'::email_token) AS t) AS v;
SELECT attempt($$SELECT 1 / (length($1) - length($1))$$, 'division') AS helper_catches,
       attempt($$SELECT $1::integer$$, 'hunter22') AS helper_sees, attempt($$SELECT length($1)$$, 'fine') AS helper_passes;

-- ------------------------------------------------------------ malformed text
-- By literal (input function), by cast from text and character, and by array: always 22P02.
CREATE TABLE malformed (id int, what text, value text);
INSERT INTO malformed VALUES
  (1, 'prefix alone', 'tok_'), (2, 'one character', 'tok_A'), (3, 'two', 'tok_AA'), (4, 'too short', 'tok_' || repeat('A', 24)),
  (5, 'one byte too short', token_of('\x100001'::bytea || decode(repeat('ab', 15), 'hex'))),
  (6, 'no base64url', 'tok_' || repeat('A', 30) || '!' || repeat('A', 30)), (7, 'base64, not base64url', 'tok_EAAB' || repeat('+/', 20)),
  (8, 'padding', token_of('\x100001'::bytea || decode(repeat('ab', 17), 'hex')) || '='), (9, 'inner padding', 'tok_EAAB' || repeat('A', 20) || '=' || repeat('A', 20)),
  (10, 'white space at the end', token_of('\x100001'::bytea || decode(repeat('ab', 20), 'hex')) || ' '),
  (11, 'line feed inside', 'tok_EAAB' || repeat('A', 20) || E'\n' || repeat('A', 20)),
  (12, 'length 1 mod 4', 'tok_EAAB' || repeat('A', 29)), (13, 'stray bits in the last character', 'tok_EAAB' || repeat('A', 25) || 'B'),
  (14, 'stray bits, two characters', 'tok_EAAB' || repeat('A', 24) || 'AB' || ''),
  (15, 'non-ASCII', 'tok_EAAB' || repeat('é', 20)), (16, 'full-width', 'tok_' || repeat('Ａ', 20)),
  (17, 'version 0', token_of('\x000001'::bytea || decode(repeat('ab', 20), 'hex'))), (18, 'version 2', token_of('\x200001'::bytea || decode(repeat('ab', 20), 'hex'))),
  (19, 'version 15', token_of('\xf00001'::bytea || decode(repeat('ab', 20), 'hex'))), (20, 'unknown flag', token_of('\x140001'::bytea || decode(repeat('ab', 20), 'hex'))),
  (21, 'all flags', token_of('\x1f0001'::bytea || decode(repeat('ab', 40), 'hex'))), (22, 'key version 0', token_of('\x100000'::bytea || decode(repeat('ab', 20), 'hex'))),
  (23, 'randomised, too short', token_of('\x110001'::bytea || decode(repeat('ab', 31), 'hex'))), (24, 'two prefixes', 'tok_tok_' || repeat('A', 40)),
  (25, 'long', 'tok_' || repeat('!', 100000)), (26, 'control character', E'tok_\x01' || repeat('A', 40)), (27, 'ellipsis', 'tok_EAAB…'), (28, 'mask', 'tok_••••');
SELECT id, what, attempt_literal('email_token', value) AS literal, attempt('SELECT $1::email_token IS NOT NULL', value) AS "cast",
       attempt('SELECT $1::varchar::text_token IS NOT NULL', value) AS text_token, attempt('SELECT $1::random_token IS NOT NULL', value) AS random,
       attempt('SELECT array_length(ARRAY[$1]::email_token[], 1)', value) AS "array", attempt_literal('bytes_token', value) AS bytes
FROM malformed ORDER BY id;
-- The prefix is exactly "tok_": near misses are plaintext, which a name may be and an address not.
SELECT v, attempt('SELECT detokenize($1::name_token)', v) AS name, attempt_literal('email_token', v) AS email
FROM (VALUES ('tok'), ('TOK_AAAA'), ('Tok_AAAA'), ('tok-AAAA'), (' tok_AAAA')) AS t(v);

-- ------------------------------------------- well-formed, but not genuine: XX001
-- Such a token is stored and compared without a key (a dump must load); it never opens.
CREATE TABLE forged (id int, what text, token text);
INSERT INTO forged VALUES
  (1, 'made up', token_of('\x100001'::bytea || decode(repeat('ab', 33), 'hex'))), (2, 'shortest', token_of('\x100001'::bytea || decode(repeat('00', 16), 'hex'))),
  (3, 'a key version never made', token_of('\x10ffff'::bytea || decode(repeat('ab', 33), 'hex'))),
  (4, 'randomised', token_of('\x110001'::bytea || decode(repeat('ab', 32), 'hex'))),
  (5, 'of phone_token', redoubt.token('212-555-0100'::phone_token)), (6, 'of text_token, same value', redoubt.token('x@example.com'::text_token)),
  (7, 'of bytes_token, same bytes', 'x@example.com'::bytea::bytes_token::text), (8, 'of a randomised type', redoubt.token('x@example.com'::random_token)),
  (9, 'flag of randomised set', token_of(set_byte(bytes_of(redoubt.token('a.long.enough.address@example.com'::email_token)), 0, 17))),
  (10, 'flag of randomised set, class ours', token_of(set_byte(bytes_of(redoubt.token('x@example.com'::email_token)) || decode(repeat('00', 16), 'hex'), 0, 17))),
  (11, 'one byte more', token_of(bytes_of(redoubt.token('x@example.com'::email_token)) || '\x00'::bytea)),
  (12, 'one byte less', token_of(substr(bytes_of(redoubt.token('x@example.com'::email_token)), 1, 19 + 12))),
  (13, 'nothing sealed', token_of(substr(bytes_of(redoubt.token('x@example.com'::email_token)), 1, 19))),
  (14, 'value of one, V of another', token_of(substr(bytes_of(redoubt.token('x@example.com'::email_token)), 1, 19) || substr(bytes_of(redoubt.token('y@example.com'::email_token)), 20)));
SELECT id, what, attempt('SELECT $1::email_token = $1::email_token', token) AS compares, attempt('SELECT detokenize($1::email_token)', token) AS detokenize,
       attempt('SELECT mask($1::email_token)', token) AS mask, attempt('SELECT (token_info($1::email_token)).form', token) AS token_info
FROM forged ORDER BY id;
-- The same through output: revealing is an error, the token stays readable.
CREATE TABLE holder (email email_token);
INSERT INTO holder SELECT token FROM forged WHERE id = 5;
SELECT redoubt.token(email) = (SELECT token FROM forged WHERE id = 5) AS as_token FROM holder;
SET redoubt.reveal = 'plain';
\set VERBOSITY sqlstate
SELECT email FROM holder;
SET redoubt.reveal = 'auto';
SELECT email FROM holder;
SELECT to_json(email) FROM holder;
\set VERBOSITY default
RESET redoubt.reveal;
-- The messages.
SELECT detokenize(email) FROM holder;
SELECT detokenize(token::email_token) FROM forged WHERE id = 3;
SELECT 'tok_'::email_token;

-- Every single bit of a token: flipped, it is another value's token, or refused; it never opens.
CREATE TABLE genuine (id int, email email_token, random random_token);
INSERT INTO genuine VALUES (1, 'carol@example.com', 'carol');
SELECT count(*) AS bits, count(*) FILTER (WHERE outcome IN ('22P02', 'XX001')) AS refused FROM (
  SELECT attempt('SELECT detokenize($1::email_token)', token_of(set_bit(b, bit, 1 - get_bit(b, bit)))) AS outcome
  FROM (SELECT bytes_of(redoubt.token(email)) AS b FROM genuine) AS g, LATERAL generate_series(0, length(b) * 8 - 1) AS bit) AS t;
SELECT count(*) AS bits, count(*) FILTER (WHERE outcome IN ('22P02', 'XX001')) AS refused FROM (
  SELECT attempt('SELECT detokenize($1::random_token)', token_of(set_bit(b, bit, 1 - get_bit(b, bit)))) AS outcome
  FROM (SELECT bytes_of(redoubt.token(random)) AS b FROM genuine) AS g, LATERAL generate_series(0, length(b) * 8 - 1) AS bit) AS t;
-- Every shorter and some longer forms of it.
SELECT count(*) AS lengths, count(*) FILTER (WHERE outcome IN ('22P02', 'XX001')) AS refused FROM (
  SELECT attempt('SELECT detokenize($1::email_token)', left(redoubt.token(email), n)) AS outcome
  FROM genuine, LATERAL generate_series(4, length(redoubt.token(email)) - 1) AS n) AS t;
SELECT count(*) AS lengths, count(*) FILTER (WHERE outcome IN ('22P02', 'XX001')) AS refused FROM (
  SELECT attempt('SELECT detokenize($1::email_token)', redoubt.token(email) || repeat('A', n)) AS outcome FROM genuine, LATERAL generate_series(1, 9) AS n) AS t;
-- Two genuine tokens crossed at every byte behind the header, which is equal in both; where they end or begin alike by
-- chance, what comes out is one of the two.
SELECT outcome, min(n) AS first, max(n) AS last FROM (
  SELECT n, CASE WHEN substr(a, 1, n) || substr(b, n + 1) IN (a, b) THEN 'XX001' ELSE attempt('SELECT detokenize($1::email_token)', token_of(substr(a, 1, n) || substr(b, n + 1))) END AS outcome
  FROM (SELECT bytes_of(redoubt.token('carol@example.com'::email_token)) AS a, bytes_of(redoubt.token('david@example.com'::email_token)) AS b) AS g, LATERAL generate_series(4, 35) AS n) AS t
GROUP BY 1 ORDER BY 1;
-- The genuine one still opens.
SELECT detokenize(email), detokenize(random) FROM genuine;

-- Nobody can call the functions on internal by hand, or lie to them about the type.
\set VERBOSITY sqlstate
SELECT email_token_recv('x'::bytea, 0, -1);
SELECT text_token_in('tok_', 'email_token'::regtype, -1);
SELECT email_token_out('x@example.com'::text_token);
\set VERBOSITY default
-- The type comes from the function, whatever OID the caller passes.
SELECT detokenize(email_token_in('x@example.com', 'text_token'::regtype, -1)) AS still_email;

-- --------------------------------------------------------- the mask character
\set VERBOSITY default
INSERT INTO holder SELECT mask('alice@example.com'::email_token);
INSERT INTO holder VALUES ('a•••@example.com');
SELECT type, attempt_literal(type, v) AS literal, attempt('SELECT $1::text::' || type || ' IS NOT NULL', v) AS "cast"
FROM (VALUES ('email_token'), ('phone_token'), ('name_token'), ('text_token'), ('random_token'), ('bytes_token')) AS t(type), (VALUES ('••••'), ('a•••@example.com'), ('+1•••••00'), ('•')) AS w(v)
ORDER BY type COLLATE "C", v COLLATE "C";
-- An ORM that reads masked and writes back loses nothing.
CREATE TABLE orm (id int, email email_token);
INSERT INTO orm VALUES (1, 'alice@example.com');
SET redoubt.reveal = 'masked';
SELECT email AS read FROM orm \gset
\set VERBOSITY sqlstate
UPDATE orm SET email = :'read' WHERE id = 1;
\set VERBOSITY default
RESET redoubt.reveal;
SELECT detokenize(email) FROM orm;

-- ------------------------------------------------------------ a token within
-- It would be sealed once more: a text that was put together with a token, not with its value.
SELECT type, attempt_literal(type, v) AS literal, attempt('SELECT $1::text::' || type || ' IS NOT NULL', v) AS "cast"
FROM (VALUES ('email_token'), ('name_token'), ('text_token'), ('random_token')) AS t(type),
  (VALUES ('to: tok_EAABAAECAwQFBgcICQoLDA0ODw'), ('{tok_FAABAAECAwQFBgcICQoLDA0ODwAA}'), ('paid by tok_1MzqLiJLkdIwHu7ixUEgbFdYZ0')) AS w(v)
ORDER BY type COLLATE "C", v COLLATE "C";
SELECT check_value('to: tok_EAABAAECAwQFBgcICQoLDA0ODw', 'text_token');
SELECT text_token(ARRAY['x', 'to: tok_EAABAAECAwQFBgcICQoLDA0ODw']);

-- ------------------------------------------------------------ bad plaintext
SELECT what, attempt_literal('strict_email', value) AS literal, attempt('SELECT $1::strict_email IS NOT NULL', value) AS "cast"
FROM (VALUES (1, 'empty', ''), (2, 'blank', '   '), (3, 'no @', 'alice.example.com'), (4, 'two @', 'alice@bob@example.com'), (5, 'no local part', '@example.com'),
  (6, 'no domain', 'alice@'), (7, 'empty label', 'alice@example..com'), (8, 'trailing dot', 'alice@example.com.'), (9, 'blank inside', 'alice smith@example.com'),
  (10, 'line feed', E'alice@example.com\nBcc: eve@example.com'), (11, 'tab', E'ali\tce@example.com'), (12, 'control character', E'ali\x01ce@example.com'),
  (13, 'delete', E'ali\x7fce@example.com'), (14, 'C1 control', U&'ali\0085ce@example.com'), (15, 'address literal', 'alice@[192.0.2.1]'), (16, 'display name', 'Alice <alice@example.com>'),
  (17, 'long local part', repeat('a', 65) || '@example.com'), (18, 'long domain', 'alice@' || repeat('abcdefgh.', 30) || 'com'), (19, 'long label', 'alice@' || repeat('a', 64) || '.com'),
  (20, 'huge', repeat('alice', 100000)), (21, 'SQL', 'alice@example.com''; DROP TABLE x; --'), (22, 'format', '%s%n%d@%')) AS t(id, what, value) ORDER BY id;
SELECT what, attempt_literal('strict_phone', value) AS literal, attempt('SELECT $1::strict_phone IS NOT NULL', value) AS "cast"
FROM (VALUES (1, 'empty', ''), (2, 'letters', 'CALL-ALICE-NOW'), (3, 'too short', '555-01'), (4, 'too long', '+1234567890123456'), (5, 'plus inside', '212+5550100'),
  (6, 'only plus', '+'), (7, 'calling code 0', '+0123456789'), (8, 'extension without digits', '212-555-0100 ext'), (9, 'control character', E'212-555\x010100'),
  (10, 'two numbers', '212-555-0100, 212-555-0101'), (11, 'e-mail', 'alice@example.com')) AS t(id, what, value) ORDER BY id;
SELECT what, attempt_literal('strict_name', value) AS literal, attempt('SELECT $1::strict_name IS NOT NULL', value) AS "cast"
FROM (VALUES (1, 'empty', ''), (2, 'blank', E' \t '), (3, 'control character', E'Alice\x02Liddell'), (4, 'delete', E'Alice\x7f'), (5, 'C1 control', U&'Alice\0090')) AS t(id, what, value) ORDER BY id;
SELECT what, attempt_literal('bytes_token', value) AS literal
FROM (VALUES (1, 'odd hex', '\xabc'), (2, 'no hex', '\xsecretsecret'), (3, 'one wrong', '\x00112z33'), (4, 'blank in a pair', '\x0 0'),
  (5, 'blanks between', '\x00 11'), (6, 'bad escape', 'secret\9secret')) AS t(id, what, value) ORDER BY id;
SELECT '\x00112z33'::bytes_token;
SELECT detokenize('\xe280a2'::bytes_token) AS bytes_of_the_mask_character, detokenize(E'\\x00 1A\nff'::bytes_token) AS blanks;
-- The messages, once each kind.
CREATE TABLE strict_holder (email strict_email);
INSERT INTO strict_holder VALUES ('alice.example.com');
INSERT INTO strict_holder VALUES (E'ali\x01ce@example.com');
SELECT 'CALL ME'::text::strict_phone;
SELECT ''::text::strict_name;
-- In COPY, the row is refused; nothing of it is stored.
\set VERBOSITY terse
COPY strict_holder FROM stdin;
good@example.com
not an address
\.
\set VERBOSITY default
SELECT count(*) FROM strict_holder;

-- ----------------------------------------------------------------- types that are none
-- regtype takes any number: what is no type is said to be none, what is no token type, that.
RESET ROLE;
CREATE FUNCTION refusal(sql text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE sql;
  RETURN 'done';
EXCEPTION WHEN OTHERS THEN
  RETURN sqlstate || ' ' || sqlerrm;
END $$;
SELECT call, refusal(format('SELECT redoubt.' || call, 0)) AS zero, refusal(format('SELECT redoubt.' || call, 4000000000)) AS unknown,
  left(refusal(format('SELECT redoubt.' || call, 25)), 5) AS "text"
FROM unnest(ARRAY[
  $$tokenize('a', %s::regtype)$$, $$detokenize('a', %s::regtype)$$, $$mask('a', %s::regtype)$$,
  $$tokenize(ARRAY['a'], %s::regtype)$$, $$detokenize(ARRAY['a'], %s::regtype)$$, $$mask(ARRAY['a'], %s::regtype)$$,
  $$vault_token('a', %s::regtype)$$, $$vault_token(ARRAY['a'], %s::regtype)$$, $$find_token('a', %s::regtype)$$,
  $$forget('a', %s::regtype)$$, $$forget_value(%s::regtype, 'a')$$, $$disable_tokens(%s::regtype)$$, $$enable_tokens(%s::regtype)$$,
  $$remove_type(%s::regtype)$$, $$drop_token_type(%s::regtype)$$]) AS call;
DROP FUNCTION refusal;

-- ----------------------------------------------------------------- ends
RESET ROLE;
RESET search_path;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP TABLE regress_hostile.genuine, regress_hostile.strict_holder;
SELECT redoubt.drop_token_type(t::regtype)
FROM unnest(ARRAY['regress_hostile.random_token', 'regress_hostile.strict_email', 'regress_hostile.strict_phone', 'regress_hostile.strict_name']) AS t;
DROP SCHEMA regress_hostile CASCADE;
DROP OWNED BY regress_hostile_app;
DROP ROLE regress_hostile_app;
