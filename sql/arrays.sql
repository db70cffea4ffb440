/*
 * The array forms of tokenizing, detokenize and mask.
 *
 * Proves: for every family they give what the forms for single values give,
 * element by element; dimensions, bounds and nulls are kept; the privilege is that
 * on the form for single values, whatever is granted on theirs; each element but
 * nulls is charged, all of an array or none; a revealed array column is not
 * charged as read besides; one record per statement counts the elements; one bad
 * element refuses the array, and no message quotes it.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
DROP ROLE IF EXISTS regress_arrays_clerk, regress_arrays_masked, regress_arrays_stranger;
RESET client_min_messages;
SET redoubt.input = 'token';
CREATE SCHEMA regress_arrays;
CREATE ROLE regress_arrays_clerk LOGIN IN ROLE redoubt_admin;
CREATE ROLE regress_arrays_masked LOGIN;
CREATE ROLE regress_arrays_stranger LOGIN;
GRANT USAGE ON SCHEMA regress_arrays TO PUBLIC;
SELECT redoubt.create_key('regress_arrays') AS version;
SELECT redoubt.create_token_type('regress_arrays.' || name, method => 'fpe', format => format, mask => mask, key => 'regress_arrays')
FROM (VALUES ('account', 'digits(6,20)', 'keep_last(4)'), ('card', 'card', 'keep_last(4)'), ('word', '([a-zäöüßé]{6,12})', 'full'),
             ('plate', '([A-Z]{3})-(\d{6})', 'full'), ('serial', 'integer(100000000,999999999)', 'full'),
             ('born', 'date(0001-01-01,9999-12-31)', 'full')) AS v(name, format, mask);
SELECT redoubt.create_token_type('regress_arrays.random', deterministic => false, key => 'regress_arrays');
DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['regress_arrays.account', 'regress_arrays.card', 'regress_arrays.word', 'regress_arrays.plate',
                           'regress_arrays.serial', 'regress_arrays.born', 'regress_arrays.random',
                           'redoubt.email_token', 'redoubt.bytes_token'] LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %1$s(%2$s), redoubt.detokenize(%1$s), redoubt.mask(%1$s) TO regress_arrays_clerk', t,
                   CASE t WHEN 'regress_arrays.serial' THEN 'bigint' WHEN 'redoubt.bytes_token' THEN 'bytea' ELSE 'text' END);
  END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION redoubt.mask(regress_arrays.account) TO regress_arrays_masked;
\c - regress_arrays_clerk
SET redoubt.input = 'token';
SET search_path = regress_arrays, redoubt, pg_catalog;

-- Element by element the same as single values: more than one batch, several lengths, nulls.
CREATE TEMP TABLE given AS
SELECT i, CASE WHEN i % 7 <> 0 THEN lpad((i * 7919::bigint % 1000000)::text, 6 + i % 13, '48') END AS account,
       CASE WHEN i % 5 <> 0 THEN overlay('4111 1111 1111 1111' PLACING lpad(i::text, 4, '0') FROM 8 + i % 2) END AS card,
       CASE WHEN i % 3 <> 0 THEN rpad(translate(i::text, '0123456789', 'abcdéößüyz'), 6 + i % 7, 'ä') END AS word,
       CASE WHEN i % 2 <> 0 THEN 'ABC-' || lpad(i::text, 6, '0') END AS plate,
       CASE WHEN i % 11 <> 0 THEN 100000000 + i * 4999::bigint END AS serial,
       CASE WHEN i % 4 <> 0 THEN to_char(date '1970-01-01' + i, 'YYYY-MM-DD') END AS born,
       CASE WHEN i % 6 <> 0 THEN 'u' || i || '@Example.com' END AS email,
       CASE WHEN i % 9 <> 0 THEN sha256(i::text::bytea) END AS bytes
FROM generate_series(1, 200) AS i;
WITH a AS (SELECT array_agg(account ORDER BY i) AS v, array_agg(account(account)::text ORDER BY i) AS t FROM given)
SELECT account(v)::text[] = t AS account, tokenize(v, 'account') = t AS named, detokenize(account(v)) = v AS back,
       detokenize(t, 'account') = v AS named_back FROM a;
WITH a AS (SELECT array_agg(card ORDER BY i) AS v, array_agg(card(card)::text ORDER BY i) AS t FROM given)
SELECT card(v)::text[] = t AS card, detokenize(card(v)) = v AS back FROM a;
WITH a AS (SELECT array_agg(word ORDER BY i) AS v, array_agg(word(word)::text ORDER BY i) AS t FROM given)
SELECT word(v)::text[] = t AS word, detokenize(word(v)) = v AS back FROM a;
WITH a AS (SELECT array_agg(plate ORDER BY i) AS v, array_agg(plate(plate)::text ORDER BY i) AS t FROM given)
SELECT plate(v)::text[] = t AS plate, detokenize(plate(v)) = v AS back FROM a;
WITH a AS (SELECT array_agg(serial ORDER BY i) AS v, array_agg(serial(serial)::bigint ORDER BY i) AS t FROM given)
SELECT serial(v)::bigint[] = t AS serial, tokenize(v::text[], 'serial') = t::text[] AS named, detokenize(serial(v)) = v AS back,
       detokenize(t::text[], 'serial') = v::text[] AS named_back FROM a;
WITH a AS (SELECT array_agg(born ORDER BY i) AS v, array_agg(born(born)::text ORDER BY i) AS t FROM given)
SELECT born(v)::text[] = t AS born, detokenize(born(v)) = v AS back FROM a;
WITH a AS (SELECT array_agg(email ORDER BY i) AS v, array_agg(email_token(email) ORDER BY i) AS t FROM given)
SELECT email_token(v) = t AS email, tokenize(v, 'email_token')::email_token[] = t AS named,
       detokenize(email_token(v)) = string_to_array(array_to_string(v, ',', '*'), ',', '*') AS back,
       detokenize(ARRAY(SELECT redoubt.token(e) FROM unnest(t) AS e), 'email_token') = detokenize(t) AS named_back,
       email_token(ARRAY(SELECT redoubt.token(e) FROM unnest(t) AS e)) = t AS tokens_pass FROM a;
WITH a AS (SELECT array_agg(bytes ORDER BY i) AS v, array_agg(bytes_token(bytes) ORDER BY i) AS t FROM given)
SELECT bytes_token(v) = t AS bytes, detokenize(bytes_token(v)) = v AS back FROM a;
SELECT detokenize(random(ARRAY['a', NULL, 'a'])) AS back, detokenize(tokenize(ARRAY['a', NULL, 'a'], 'random'), 'random') AS named;

-- Masks.
WITH a AS (SELECT array_agg(account ORDER BY i) AS v, array_agg(mask(account(account)) ORDER BY i) AS m FROM given)
SELECT mask(account(v)) = m AS account, mask(account(v)::text[], 'account') = m AS named FROM a;
SELECT mask(serial(ARRAY[123456789, NULL])) AS serial, mask(serial(ARRAY[123456789, NULL])::text[], 'serial') AS named,
       mask(email_token(ARRAY['ann@example.com', NULL])) AS email, mask(bytes_token('{"\\x01",NULL}'::bytea[])) AS bytes;

-- Dimensions and bounds; nothing in, nothing out.
SELECT detokenize(account('[2:3][-1:1]={{111111,222222,NULL},{444444,NULL,666666}}'::text[])) AS bounds;
SELECT mask(account('{{111111},{222222}}'::text[])) AS masked;
SELECT detokenize(serial('[0:1]={111111111,222222222}'::bigint[])) AS serial;
SELECT account('{}'::text[]) AS none, detokenize('{}'::account[]) AS of_none, mask('{}'::account[]) AS masked, tokenize('{}'::text[], 'account') AS named;
SELECT account(NULL::text[]) IS NULL AS null_array, detokenize(NULL::account[]) IS NULL AS of_null, account('{NULL}'::text[]) AS nulls;

-- One bad element refuses all, quoting nothing.
SELECT account(ARRAY['111111', '22', '333333']);
SELECT card(ARRAY['4111111111111111', 'not a card']);
SELECT serial(ARRAY[123456789, 5]);
SELECT tokenize(ARRAY['123456789', 'nine'], 'serial');
SELECT tokenize(ARRAY['a•••@example.com'], 'email_token');
SELECT detokenize(ARRAY['111111', 'x1'], 'account');
SELECT detokenize(ARRAY['tok_x'], 'email_token');
SELECT mask(ARRAY['•••111'], 'account');
SELECT tokenize(ARRAY['a'], 'bytes_token');
SELECT detokenize(ARRAY['a'], 'text');

-- Charged by the element; a read is no part of a reveal; an array evaluated twice in a statement is charged once.
CREATE TABLE pg_temp.held AS SELECT account(array_agg(account ORDER BY i)) AS accounts, email_token(array_agg(email ORDER BY i)) AS emails FROM given;
CREATE FUNCTION pg_temp.usage() RETURNS TABLE (operation text, charged bigint) LANGUAGE sql AS
  $$SELECT operation, charged FROM redoubt.usage WHERE role = 'regress_arrays_clerk'::regrole AND charged > 0 AND token_type = 'account'::regtype ORDER BY 1$$;
SELECT count(account) AS not_null FROM given;
SELECT reset_usage('regress_arrays_clerk');
SELECT cardinality(detokenize(accounts)) AS revealed FROM pg_temp.held;
SELECT * FROM pg_temp.usage();
SELECT reset_usage('regress_arrays_clerk');
SELECT cardinality(mask(accounts)) AS masked FROM pg_temp.held;
SELECT * FROM pg_temp.usage();
SELECT reset_usage('regress_arrays_clerk');
SELECT cardinality(detokenize(ARRAY(SELECT unnest(accounts) FROM pg_temp.held))) AS revealed;
SELECT * FROM pg_temp.usage();
SELECT reset_usage('regress_arrays_clerk');
SELECT cardinality(detokenize(array_agg(account))) AS revealed FROM (SELECT unnest(accounts) AS account FROM pg_temp.held) AS t;
SELECT cardinality(detokenize(accounts::text[], 'account')) AS revealed FROM pg_temp.held;
SELECT * FROM pg_temp.usage();
SELECT reset_usage('regress_arrays_clerk');
-- A type that is not known when the query is planned: read and revealed.
SELECT cardinality(detokenize(accounts::text[], CASE WHEN now() IS NOT NULL THEN 'account'::regtype END)) AS revealed FROM pg_temp.held;
SELECT * FROM pg_temp.usage();
SELECT reset_usage('regress_arrays_clerk');
SELECT cardinality(account(array_agg(account))) AS tokenized FROM given;
SELECT cardinality(tokenize(ARRAY['111111', NULL, '222222'], 'account')) AS tokenized;
SELECT count(*) AS found FROM given WHERE '111111'::account = ANY (account(ARRAY['111111', '222222', '333333']));
SELECT * FROM pg_temp.usage();

-- All or none.
SELECT set_limit('regress_arrays_clerk', 'account', operation, 5, '1 day', on_excess => action) IS NOT NULL AS limited
FROM (VALUES ('reveal', 'degrade'), ('masked', 'block'), ('tokenize', 'block')) AS v(operation, action);
SELECT reset_usage('regress_arrays_clerk');
SELECT detokenize('{111111,222222,333333}'::text[]::account[]) IS NOT NULL AS within;
\set VERBOSITY sqlstate
SELECT detokenize(accounts) FROM pg_temp.held;
SELECT mask(accounts) FROM pg_temp.held;
SELECT account(array_agg(account)) FROM given;
\set VERBOSITY default
SELECT * FROM pg_temp.usage();
SELECT account(ARRAY['111111', '222222', NULL]) IS NOT NULL AS within;
SELECT detokenize(account('{NULL,NULL}'::text[])) AS nothing_to_charge;
SELECT sum(drop_limit('regress_arrays_clerk', 'account', operation)) AS dropped FROM unnest(ARRAY['reveal', 'masked', 'tokenize']) AS operation;

-- The gate.  What is granted on the array forms gives nothing.
\c - postgres
SET redoubt.input = 'token';
SET search_path = regress_arrays, redoubt, pg_catalog;
CREATE TABLE regress_arrays.held AS SELECT '{111111,222222}'::account[] AS accounts, '{123456789}'::serial[] AS serials;
GRANT SELECT ON regress_arrays.held TO PUBLIC;
GRANT EXECUTE ON FUNCTION detokenize(account[]), detokenize(text[], regtype), mask(account[]), account(text[]) TO regress_arrays_stranger;
SELECT detokenize(accounts) FROM held;
\c - regress_arrays_stranger
SET redoubt.input = 'token';
SET search_path = regress_arrays, redoubt, pg_catalog;
SELECT detokenize(accounts) FROM held;
SELECT mask(accounts) FROM held;
SELECT detokenize(accounts::text[], 'account') FROM held;
SELECT mask(accounts::text[], 'account') FROM held;
SELECT detokenize(serials) FROM held;
SELECT account(ARRAY['111111']);
SELECT tokenize(ARRAY['111111'], 'account');
SELECT email_token(ARRAY['ann@example.com']);
SELECT detokenize('{}'::account[]);
\c - regress_arrays_masked
SET redoubt.input = 'token';
SET search_path = regress_arrays, redoubt, pg_catalog;
SELECT array_length(mask(accounts), 1) AS masked FROM held;
SELECT detokenize(accounts) FROM held;
\c - postgres
SET redoubt.input = 'token';
SET search_path = regress_arrays, redoubt, pg_catalog;

-- The record counts elements, and denials are there.
SELECT DISTINCT operation, outcome, count, session_user_name FROM redoubt.audit
WHERE event = 'reveal' AND token_type = 'regress_arrays.account' AND session_user_name = 'regress_arrays_masked' AND outcome = 'success';
SELECT DISTINCT operation FROM redoubt.audit
WHERE event = 'denial' AND token_type = 'regress_arrays.account' AND session_user_name = 'regress_arrays_stranger' ORDER BY 1;

-- A column in bulk.
GRANT EXECUTE ON FUNCTION account(text) TO CURRENT_USER;
CREATE TABLE customer (id int PRIMARY KEY, account text);
INSERT INTO customer SELECT i, lpad(i::text, 8, '7') FROM generate_series(1, 150) AS i;
CREATE TABLE before AS TABLE customer;
UPDATE customer AS c SET account = n.token
FROM (SELECT unnest(a.ids) AS id, unnest(redoubt.tokenize(a.accounts, 'regress_arrays.account')) AS token
      FROM (SELECT array_agg(id) AS ids, array_agg(account) AS accounts FROM customer GROUP BY id / 64) AS a) AS n
WHERE n.id = c.id;
SELECT count(*) AS rows, count(*) FILTER (WHERE c.account = redoubt.tokenize(b.account, 'regress_arrays.account')) AS right
FROM customer AS c JOIN before AS b USING (id);

-- A type takes its array forms with it.
DROP TABLE customer, before, held;
SELECT drop_token_type(token_type) FROM redoubt.token_types WHERE key = 'regress_arrays';
SELECT count(*) FROM pg_proc WHERE pronamespace = 'regress_arrays'::regnamespace;
SELECT count(*) FROM pg_proc WHERE proname IN ('detokenize', 'mask') AND proargtypes[0] NOT IN (SELECT oid FROM pg_type);
SET client_min_messages = warning;
REVOKE ALL ON FUNCTION redoubt.detokenize(text[], regtype) FROM regress_arrays_stranger;
DROP OWNED BY regress_arrays_clerk, regress_arrays_masked, regress_arrays_stranger;
DROP SCHEMA regress_arrays CASCADE;
DROP ROLE regress_arrays_clerk, regress_arrays_masked, regress_arrays_stranger;
