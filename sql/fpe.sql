/*
 * Format-preserving token types.
 *
 * Proves: tokens have the format and keep the kept parts, are stored as text or
 * bigint and coercible to it; input is a token and nothing else; plaintext enters
 * through the tokenizing function, an explicit cast or redoubt.tokenize() only;
 * the gate, the budgets, the masks, redoubt.reveal and the record are those of
 * every token type; a domain below a million is refused with the arithmetic; a
 * rotation changes no existing type.  Tokens differ from run to run: they are
 * compared, never printed.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
DROP ROLE IF EXISTS regress_fpe_clerk, regress_fpe_masked, regress_fpe_stranger;
RESET client_min_messages;
SET redoubt.input = 'token';
CREATE SCHEMA regress_fpe;
CREATE ROLE regress_fpe_clerk;
CREATE ROLE regress_fpe_masked;
CREATE ROLE regress_fpe_stranger;
GRANT USAGE ON SCHEMA regress_fpe TO regress_fpe_clerk, regress_fpe_masked, regress_fpe_stranger;
SELECT redoubt.create_key('regress_fpe') AS version;

-- What exists, with an example each: every format makes a type, and takes its example.
SELECT name, format, base, kept, example FROM redoubt.formats;
SELECT name, redoubt.create_token_type('regress_fpe.example_' || name, method => 'fpe', format => format, key => 'regress_fpe') AS made
FROM redoubt.formats;
DO $$
DECLARE
  f record;
  name text;
BEGIN
  FOR f IN SELECT * FROM redoubt.formats LOOP
    name := 'regress_fpe.example_' || f.name;
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s(%s), redoubt.detokenize(%s) TO current_user', name, f.base, name);
    ASSERT redoubt.tokenize(f.example, name::regtype) <> f.example, f.name;
    ASSERT redoubt.detokenize(redoubt.tokenize(f.example, name::regtype), name::regtype) = f.example, f.name;
    PERFORM redoubt.drop_token_type(name::regtype);
  END LOOP;
END
$$;

-- Creation: what is refused, and why.
\set VERBOSITY terse
SELECT redoubt.create_token_type('regress_fpe.bad', method => 'safe');
SELECT redoubt.create_token_type('regress_fpe.bad', method => 'fpe');
SELECT redoubt.create_token_type('regress_fpe.bad', format => 'card');
SELECT redoubt.create_token_type('regress_fpe.bad', method => 'fpe', format => 'card', base => 'bytea');
SELECT redoubt.create_token_type('regress_fpe.bad', method => 'fpe', format => 'card', deterministic => false);
SELECT redoubt.create_token_type('regress_fpe.bad', method => 'fpe', format => 'card', key => 'regress_fpe_none');
SELECT redoubt.create_token_type('regress_fpe.bad', method => 'fpe', format => '(\d{5})');
SELECT redoubt.create_token_type('regress_fpe.bad', method => 'fpe', format => 'card(bin=6,last=4,length=16,check=fail)');
SELECT redoubt.create_token_type('regress_fpe.bad', method => 'fpe', format => 'date(1900-01-01,2099-12-31)');
SELECT redoubt.create_token_type('regress_fpe.bad', method => 'fpe', format => 'integer(1,1000)');
SELECT redoubt.create_token_type('regress_fpe.bad', method => 'fpe', format => '(\d+)');
SELECT redoubt.create_token_type('regress_fpe.bad', method => 'fpe', format => '(\d{6,7})(\d{6})');
SELECT redoubt.create_token_type('regress_fpe.bad', method => 'fpe', format => 'klingon');
SELECT redoubt.create_token_type('regress_fpe.bad', method => 'fpe', format => 'integer', "normalize" => 'trim');
SELECT to_regtype('regress_fpe.bad') IS NULL AS none_made;

-- The types of this test.
SELECT redoubt.create_token_type('regress_fpe.card', method => 'fpe', format => 'card', mask => 'keep_last(4)', key => 'regress_fpe');
SELECT redoubt.create_token_type('regress_fpe.safe_card', method => 'fpe', format => 'card(bin=0,length=13-19,check=fail)', key => 'regress_fpe');
SELECT redoubt.create_token_type('regress_fpe.ticket', method => 'fpe', format => 'TM-(\d{7})', key => 'regress_fpe');
SELECT redoubt.create_token_type('regress_fpe.word', method => 'fpe', format => '([a-zäöüßé]{6,12})', key => 'regress_fpe');
SELECT redoubt.create_token_type('regress_fpe.account', method => 'fpe', format => 'integer(100000000,999999999)', key => 'regress_fpe');
SELECT token_type, method, base, normalize, mask, deterministic, key, shipped, format, key_version
FROM redoubt.token_types WHERE key = 'regress_fpe' ORDER BY token_type::text COLLATE "C";
SELECT typname, typlen, typbyval, typalign, typstorage, typcategory FROM pg_type
WHERE oid IN ('regress_fpe.card'::regtype, 'regress_fpe.account'::regtype) ORDER BY 1;
SELECT castsource::regtype, casttarget::regtype, castcontext, castmethod FROM pg_cast
WHERE 'regress_fpe.card'::regtype IN (castsource, casttarget) OR 'regress_fpe.account'::regtype IN (castsource, casttarget)
ORDER BY castsource::regtype::text COLLATE "C", casttarget::regtype::text COLLATE "C";
SELECT o.opcname, m.amname, amvalidate(o.oid) AS valid FROM pg_opclass AS o JOIN pg_am AS m ON m.oid = o.opcmethod
WHERE opcintype IN ('regress_fpe.card'::regtype, 'regress_fpe.account'::regtype) ORDER BY 1, 2;

-- The gate: nobody may, the superuser included, until granted.
SELECT redoubt.tokenize('4111 1111 1111 1111', 'regress_fpe.card');
SELECT regress_fpe.card('4111 1111 1111 1111'::text);
SELECT redoubt.detokenize('4111 1111 1111 1111', 'regress_fpe.card');
SELECT redoubt.mask('4111 1111 1111 1111', 'regress_fpe.card');
SELECT redoubt.tokenize('x', 'text');
SELECT redoubt.tokenize('x', 'redoubt.bytes_token');
GRANT EXECUTE ON FUNCTION regress_fpe.card(text), redoubt.detokenize(regress_fpe.card), redoubt.mask(regress_fpe.card),
  regress_fpe.safe_card(text), redoubt.detokenize(regress_fpe.safe_card),
  regress_fpe.ticket(text), redoubt.detokenize(regress_fpe.ticket), regress_fpe.word(text), redoubt.detokenize(regress_fpe.word),
  regress_fpe.account(bigint), redoubt.detokenize(regress_fpe.account), redoubt.mask(regress_fpe.account) TO regress_fpe_clerk;
GRANT EXECUTE ON FUNCTION redoubt.mask(regress_fpe.card), redoubt.mask(regress_fpe.account) TO regress_fpe_masked;

-- A legacy table: constraints, LIKE on kept parts, keys and functions go on working.
CREATE TABLE regress_fpe.customer (
  id integer PRIMARY KEY,
  card regress_fpe.card UNIQUE CHECK (card ~ '^[0-9 ]{16,23}$'),
  account regress_fpe.account,
  ticket regress_fpe.ticket);
GRANT ALL ON regress_fpe.customer TO regress_fpe_clerk, regress_fpe_masked, regress_fpe_stranger;
SET ROLE regress_fpe_clerk;
INSERT INTO regress_fpe.customer VALUES
  (1, redoubt.tokenize('4111 1111 1111 1111', 'regress_fpe.card'), regress_fpe.account(123456789), regress_fpe.ticket('TM-0000001'::text)),
  (2, regress_fpe.card('5500 0000 0000 0004'::text), 234567890::regress_fpe.account, 'TM-0000002'::text::regress_fpe.ticket);
SELECT id, card::text LIKE '4111 11__ ____ 1111' AS kept, card::text <> '4111 1111 1111 1111' AS hidden,
       account BETWEEN 100000000 AND 999999999 AS in_range, ticket LIKE 'TM-_______' AS ticket, length(card) AS length, card < card AS less
FROM regress_fpe.customer ORDER BY id;
SELECT id, redoubt.detokenize(card), redoubt.mask(card), redoubt.detokenize(account), redoubt.mask(account), redoubt.detokenize(ticket)
FROM regress_fpe.customer ORDER BY id;
SELECT id FROM regress_fpe.customer WHERE card LIKE '4111 11%';
SELECT id FROM regress_fpe.customer WHERE card = redoubt.tokenize('4111 1111 1111 1111', 'regress_fpe.card');
SELECT id FROM regress_fpe.customer WHERE account = regress_fpe.account(234567890);
-- A token comes back in as it went out: as a text or a number.
INSERT INTO regress_fpe.customer (id, card) SELECT 3, card FROM regress_fpe.customer WHERE id = 1;
CREATE TEMP TABLE kept AS SELECT card::text AS token, account::bigint AS number FROM regress_fpe.customer WHERE id = 2;
DELETE FROM regress_fpe.customer WHERE id = 2;
INSERT INTO regress_fpe.customer (id, card, account) SELECT 2, token, number FROM kept;
SELECT redoubt.detokenize(card), redoubt.detokenize(account) FROM regress_fpe.customer WHERE id = 2;
SELECT redoubt.detokenize(token, 'regress_fpe.card') FROM kept;
SELECT redoubt.detokenize(number::text, 'regress_fpe.account') FROM kept;

-- Equal values have equal tokens, separators aside; types do not share them.
SELECT regress_fpe.card('4111 1111 1111 1111'::text) = regress_fpe.card('4111 1111 1111 1111'::text) AS equal,
       replace(redoubt.tokenize('4111 1111 1111 1111', 'regress_fpe.card'), ' ', '') = redoubt.tokenize('4111111111111111', 'regress_fpe.card') AS spaces,
       redoubt.tokenize('4111111111111111', 'regress_fpe.card') <> redoubt.tokenize('4111111111111111', 'regress_fpe.safe_card') AS other_type;

-- Index scans, by the types' own operators.
SET search_path = regress_fpe, public;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM customer WHERE card = '4111 1111 1111 1111';
SELECT count(*) FROM customer AS a JOIN customer AS b USING (card);
SELECT count(DISTINCT card), count(DISTINCT account) FROM customer;
RESET enable_seqscan;
RESET search_path;

-- What is no token, and what is no value: no message repeats any of it.
\set VERBOSITY default
INSERT INTO regress_fpe.customer (id, card) VALUES (9, '4111 1111 1111');
\set VERBOSITY terse
INSERT INTO regress_fpe.customer (id, card) VALUES (9, '4111 1111 1111 111x');
INSERT INTO regress_fpe.customer (id, card) VALUES (9, '');
INSERT INTO regress_fpe.customer (id, card) VALUES (9, '•••1111');
INSERT INTO regress_fpe.customer (id, account) VALUES (9, 'secret');
INSERT INTO regress_fpe.customer (id, account) VALUES (9, 99999999);
INSERT INTO regress_fpe.customer (id, account) VALUES (9, '9999999999999999999999');
SELECT redoubt.tokenize('4111 1111 1111', 'regress_fpe.card');
SELECT redoubt.tokenize('', 'regress_fpe.card');
SELECT redoubt.tokenize('•••1111', 'regress_fpe.card');
SELECT redoubt.tokenize('TM-12345678', 'regress_fpe.ticket');
SELECT redoubt.tokenize('99999999', 'regress_fpe.account');
SELECT redoubt.tokenize('secret', 'regress_fpe.account');
SELECT redoubt.detokenize('TM-1', 'regress_fpe.ticket');
SELECT redoubt.tokenize(NULL, 'regress_fpe.card') IS NULL AS null_in_null_out, redoubt.detokenize(NULL::regress_fpe.card) IS NULL AS null_back;

-- Check digits that fail on purpose tell plaintext from tokens: genuine numbers are refused as tokens.
SELECT redoubt.detokenize(redoubt.tokenize(v, 'regress_fpe.safe_card'), 'regress_fpe.safe_card') = v AS back
FROM (VALUES ('4111111111111111'), ('3782-822463-10005'), ('4222222222222')) AS n(v);
SELECT '4111111111111111'::regress_fpe.safe_card;
SELECT redoubt.tokenize('4111111111111112', 'regress_fpe.safe_card');

-- Letters beyond ASCII; both forms of é are one value.
SELECT redoubt.detokenize(redoubt.tokenize(v, 'regress_fpe.word'), 'regress_fpe.word') = v AS back,
       char_length(redoubt.tokenize(v, 'regress_fpe.word')) = char_length(v) AS length
FROM (VALUES ('straße'), ('löwenzähne')) AS n(v);
SELECT redoubt.tokenize(U&'caf\00e9eaux', 'regress_fpe.word') = redoubt.tokenize(U&'cafe\0301eaux', 'regress_fpe.word') AS composed;
SELECT redoubt.tokenize('Straße', 'regress_fpe.word');

-- The output function: what redoubt.reveal says, if the role may.
SET redoubt.reveal = 'auto';
SELECT id, card, account FROM regress_fpe.customer WHERE id = 2;
SELECT to_jsonb(c) -> 'card' AS json FROM regress_fpe.customer AS c WHERE id = 2;
SELECT card::text LIKE '5500 00%' AS token, card::text <> '5500 0000 0000 0004' AS hidden FROM regress_fpe.customer WHERE id = 2;
CREATE TEMP TABLE copied AS SELECT card FROM regress_fpe.customer WHERE id = 2;
SELECT count(*) FROM copied JOIN kept ON copied.card = kept.token;
SET redoubt.reveal = 'masked';
SELECT id, card, account FROM regress_fpe.customer WHERE id = 2;
SET ROLE regress_fpe_masked;
SET redoubt.reveal = 'auto';
SELECT id, card, account FROM regress_fpe.customer WHERE id = 2;
SELECT redoubt.mask(card::text, 'regress_fpe.card') FROM regress_fpe.customer WHERE id = 2;
SELECT redoubt.detokenize(card::text, 'regress_fpe.card') FROM regress_fpe.customer WHERE id = 2;
SET redoubt.reveal = 'plain';
SELECT id, card FROM regress_fpe.customer WHERE id = 2;
RESET redoubt.reveal;
-- A role without any of the privileges: tokens can be written and read, plaintext cannot be tokenized.
SET ROLE regress_fpe_stranger;
SET redoubt.reveal = 'auto';
SELECT card::text = card::text AS token FROM regress_fpe.customer WHERE id = 2;
INSERT INTO regress_fpe.customer (id, card) VALUES (4, '4111 1111 1111 1119');
SELECT '4111 1111 1111 1111'::text::regress_fpe.card;
SELECT 123456789::regress_fpe.account;
RESET redoubt.reveal;
RESET ROLE;
-- A role that cannot even name the type is refused as anyone is, not by an error about its schema.
REVOKE USAGE ON SCHEMA regress_fpe FROM regress_fpe_stranger;
SET ROLE regress_fpe_stranger;
SELECT redoubt.detokenize('x'::text::redoubt.text_token);
RESET ROLE;

-- ALTER COLUMN TYPE has to say what the column holds.
CREATE TABLE regress_fpe.legacy (card char(19), account integer);
INSERT INTO regress_fpe.legacy VALUES ('4111 1111 1111 1111', 123456789);
GRANT EXECUTE ON FUNCTION regress_fpe.card(text), redoubt.detokenize(regress_fpe.card), regress_fpe.account(bigint), redoubt.detokenize(regress_fpe.account) TO CURRENT_USER;
\set VERBOSITY default
ALTER TABLE regress_fpe.legacy ALTER card TYPE regress_fpe.card;
\set VERBOSITY terse
ALTER TABLE regress_fpe.legacy ALTER account TYPE regress_fpe.account;
UPDATE regress_fpe.legacy SET account = regress_fpe.account(account)::bigint;
ALTER TABLE regress_fpe.legacy ALTER card TYPE regress_fpe.card USING card::regress_fpe.card, ALTER account TYPE regress_fpe.account USING account;
SELECT redoubt.detokenize(card), redoubt.detokenize(account), card::text <> '4111 1111 1111 1111' AS hidden FROM regress_fpe.legacy;
-- A column keeps its indexes: those for patterns go on serving LIKE, and a query may ask for a collation.
CREATE TABLE regress_fpe.listed (card varchar(19) UNIQUE, ticket text);
CREATE INDEX ON regress_fpe.listed (card varchar_pattern_ops);
INSERT INTO regress_fpe.listed SELECT '4111 1111 1111 ' || i, 'TM-000' || i FROM generate_series(1001, 1100) AS i;
ALTER TABLE regress_fpe.listed ALTER card TYPE regress_fpe.card USING redoubt.tokenize(card, 'regress_fpe.card');
ANALYZE regress_fpe.listed;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT ticket FROM regress_fpe.listed WHERE card LIKE '4111 11%';
SELECT count(*) AS like, count(*) FILTER (WHERE card ~ '1001$') AS regexp FROM regress_fpe.listed WHERE card LIKE '4111 11%';
-- An index of the operators of text, or of bigint, serves comparisons with those.
CREATE INDEX listed_text ON regress_fpe.listed (card text_ops);
CREATE INDEX customer_number ON regress_fpe.customer (account int8_ops);
ANALYZE regress_fpe.customer;
EXPLAIN (COSTS OFF) SELECT ticket FROM regress_fpe.listed WHERE card = '4111 1111 1111 1111'::varchar;
EXPLAIN (COSTS OFF) SELECT ticket FROM regress_fpe.listed WHERE card = redoubt.tokenize('4111 1111 1111 1001', 'regress_fpe.card');
SELECT ticket FROM regress_fpe.listed WHERE card = redoubt.tokenize('4111 1111 1111 1001', 'regress_fpe.card');
EXPLAIN (COSTS OFF) SELECT ticket FROM regress_fpe.customer WHERE account = 4711;
DROP INDEX regress_fpe.customer_number;
RESET enable_seqscan;
SELECT count(*) FROM (SELECT card FROM regress_fpe.listed WHERE card COLLATE "C" LIKE '4%' ORDER BY card COLLATE "C" LIMIT 3) AS l;
DROP TABLE regress_fpe.listed;
-- And back, as it is.
ALTER TABLE regress_fpe.legacy ALTER card TYPE varchar(19);
ALTER TABLE regress_fpe.legacy ALTER account TYPE bigint;
ALTER TABLE regress_fpe.legacy ALTER card TYPE varchar(19) USING redoubt.token(card), ALTER account TYPE bigint USING account;
SELECT redoubt.detokenize(card, 'regress_fpe.card'), redoubt.detokenize(account::text, 'regress_fpe.account') FROM regress_fpe.legacy;

-- Sealed types, too, for columns that stay text.
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token) TO CURRENT_USER;
SELECT redoubt.tokenize('alice@EXAMPLE.com', 'redoubt.email_token') LIKE 'tok\_%' AS token,
       redoubt.detokenize(redoubt.tokenize('alice@EXAMPLE.com', 'redoubt.email_token'), 'redoubt.email_token'),
       redoubt.mask(redoubt.tokenize('alice@EXAMPLE.com', 'redoubt.email_token'), 'redoubt.email_token');
REVOKE EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token) FROM CURRENT_USER;

-- A rotation leaves existing types on their version: tokens stay what they are.
CREATE TEMP TABLE before AS SELECT redoubt.tokenize('4111 1111 1111 1111', 'regress_fpe.card') AS token;
SELECT redoubt.rotate_key('regress_fpe') AS version;
SELECT redoubt.tokenize('4111 1111 1111 1111', 'regress_fpe.card') = token AS same, redoubt.detokenize(token, 'regress_fpe.card') FROM before;
SELECT redoubt.create_token_type('regress_fpe.younger', method => 'fpe', format => 'digits', key => 'regress_fpe');
SELECT type, key, key_version, form, bytes FROM regress_fpe.customer AS c, redoubt.token_info(c.card) WHERE id = 2;
SELECT type, key, key_version, form, bytes FROM regress_fpe.customer AS c, redoubt.token_info(c.account) WHERE id = 2;
SELECT key_version FROM redoubt.token_types WHERE token_type = 'regress_fpe.younger'::regtype;

-- Budgets: a reveal, a masked reveal, a tokenizing and a read are each charged, also through a cast to text.
SELECT redoubt.set_limit('regress_fpe_clerk', 'regress_fpe.ticket', 'tokenize', 2, '1 day') > 0 AS set;
SELECT redoubt.set_limit('regress_fpe_clerk', 'regress_fpe.card', 'reveal', 2, '1 day') > 0 AS set;
SELECT redoubt.set_limit('regress_fpe_clerk', 'regress_fpe.card', 'read', 3, '1 day') > 0 AS set;
SELECT max(sequence) AS start FROM redoubt.audit \gset
SET SESSION AUTHORIZATION regress_fpe_clerk;
SELECT redoubt.tokenize('TM-000000' || i, 'regress_fpe.ticket') LIKE 'TM-%' AS tokenized FROM generate_series(1, 2) AS i;
SELECT redoubt.tokenize('TM-0000003', 'regress_fpe.ticket');
SELECT redoubt.detokenize(card) FROM regress_fpe.customer WHERE id IN (1, 2) ORDER BY id;
SELECT redoubt.detokenize(card) FROM regress_fpe.customer WHERE id = 1;
SELECT redoubt.detokenize(card::text, 'regress_fpe.card') FROM regress_fpe.customer WHERE id = 1;
\o /dev/null
SELECT card::text FROM regress_fpe.customer WHERE id IN (1, 2);
SELECT card FROM regress_fpe.customer WHERE id = 1;
\o
SELECT card::text FROM regress_fpe.customer WHERE id = 1;
-- What a cast to text hands out is a read whatever redoubt.reveal says: no output function sees it.
SET redoubt.reveal = 'auto';
SELECT card::text FROM regress_fpe.customer WHERE id = 1;
SELECT string_agg(card, ',') FROM regress_fpe.customer WHERE id = 1;
SELECT upper(card) FROM regress_fpe.customer WHERE id = 1;
RESET redoubt.reveal;
RESET SESSION AUTHORIZATION;
SELECT token_type, operation, count FROM redoubt.audit
WHERE event = 'reveal' AND outcome = 'success' AND session_user_name = 'regress_fpe_clerk' AND sequence > :start ORDER BY sequence;

-- Dropping: not while in use, and then without a trace.
SELECT redoubt.drop_token_type('regress_fpe.card');
DROP TABLE regress_fpe.customer, regress_fpe.legacy, copied, kept, before;  -- texts made of tokens are labelled with their type
SELECT redoubt.drop_limit('regress_fpe_clerk', 'regress_fpe.ticket', 'tokenize') + redoubt.drop_limit('regress_fpe_clerk', 'regress_fpe.card', 'reveal')
  + redoubt.drop_limit('regress_fpe_clerk', 'regress_fpe.card', 'read') AS dropped;
DO $$ BEGIN PERFORM redoubt.drop_token_type(token_type) FROM redoubt.token_types WHERE key = 'regress_fpe'; END $$;
SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'regress_fpe'::regnamespace;
SELECT typname FROM pg_type WHERE typnamespace = 'regress_fpe'::regnamespace;
DROP SCHEMA regress_fpe;
DELETE FROM redoubt.key WHERE name = 'regress_fpe';
DROP OWNED BY regress_fpe_clerk, regress_fpe_masked, regress_fpe_stranger;
DROP ROLE regress_fpe_clerk, regress_fpe_masked, regress_fpe_stranger;
