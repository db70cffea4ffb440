/*
 * Vaulted types: whole arrays, and what is not to pass in silence.
 *
 * Proves: tokenize(text[], type), vault_token(text[], type) and t(b[]) give what the forms for single values give, element by
 * element, for every kind of vaulted type; an array is charged at once, all or none, before anything is looked up or made; rows are made in the
 * order of fingerprints, whatever that of the array; a refusal, a timeout, a savepoint or a rollback leaves nothing in the
 * vault; neither planning nor EXPLAIN writes; tokens that are not in the vault are not disabled or enabled in silence;
 * one making or dropping of a type is one event; and what is no token of a vaulted type, or hides one (domains, rows, arrays), is refused or seen through.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE ROLE regress_va_desk LOGIN;
CREATE ROLE regress_va_stranger LOGIN;
CREATE SCHEMA regress_va;
GRANT USAGE, CREATE ON SCHEMA regress_va TO PUBLIC;
SET search_path = regress_va, public;
RESET client_min_messages;
SET redoubt.input = 'token';
\set VERBOSITY terse
SELECT redoubt.create_key('regress_va');
SELECT coalesce(max(sequence), 0) AS mark FROM redoubt.audit \gset
SELECT redoubt.create_token_type('regress_va.mail', method => 'vault', "normalize" => 'email', invalid => 'refuse', key => 'regress_va');
SELECT redoubt.create_token_type('regress_va.slip', method => 'vault', deterministic => false, key => 'regress_va');
SELECT redoubt.create_token_type('regress_va.blob', method => 'vault', base => 'bytea', key => 'regress_va');
SELECT redoubt.create_token_type('regress_va.pan', method => 'vault', format => 'digits(16)', key => 'regress_va');
SELECT redoubt.create_token_type('regress_va.word', method => 'vault', format => '([a-zäöüß]{6,12})', key => 'regress_va');
SELECT redoubt.create_token_type('regress_va.account', method => 'vault', format => 'integer(1000000,1999999)', key => 'regress_va');
SELECT redoubt.create_token_type('regress_va.sealed', key => 'regress_va');
SELECT event, operation, detail FROM redoubt.audit WHERE sequence > :mark AND event IN ('type', 'policy', 'vault') ORDER BY sequence;
GRANT EXECUTE ON FUNCTION mail(text), redoubt.detokenize(mail), slip(text), redoubt.detokenize(slip), blob(bytea), redoubt.detokenize(blob), pan(text), redoubt.detokenize(pan),
  word(text), redoubt.detokenize(word), account(bigint), redoubt.detokenize(account), sealed(text) TO regress_va_desk;

-- ------------------------------------------------------ as the forms for single values
SET SESSION AUTHORIZATION regress_va_desk;
CREATE TABLE given AS SELECT i, CASE WHEN i % 7 <> 0 THEN 'u' || i % 20 || '@Example.com' END AS mail, lpad(i::text, 16, '4') AS pan,
  rpad(translate(i::text, '0123456789', 'abcdäößüyz'), 6 + i % 7, 'ä') AS word, 1000000 + i::bigint AS account, sha256(i::text::bytea) AS blob
FROM generate_series(1, 50) AS i;
SELECT redoubt.tokenize(array_agg(mail ORDER BY i), 'mail') = array_agg(redoubt.vault_token(mail, 'mail') ORDER BY i) AS mail,
       mail(array_agg(mail ORDER BY i)) = array_agg(mail(mail) ORDER BY i) AS mail_type,
       redoubt.tokenize(array_agg(pan ORDER BY i), 'pan') = array_agg(pan(pan)::text ORDER BY i) AS pan,
       redoubt.tokenize(array_agg(word ORDER BY i), 'word') = array_agg(word(word)::text ORDER BY i) AS word,
       redoubt.tokenize(array_agg(account::text ORDER BY i), 'account') = array_agg(account(account)::text ORDER BY i) AS account,
       account(array_agg(account ORDER BY i)) = array_agg(account(account) ORDER BY i) AS account_type,
       blob(array_agg(blob ORDER BY i)) = array_agg(blob(blob) ORDER BY i) AS blob FROM given;
SELECT redoubt.detokenize(redoubt.tokenize(array_agg(word ORDER BY i), 'word'), 'word') = array_agg(word ORDER BY i) AS word,
       redoubt.detokenize(redoubt.tokenize(array_agg(account::text ORDER BY i), 'account'), 'account') = array_agg(account::text ORDER BY i) AS account,
       redoubt.detokenize(blob(array_agg(blob ORDER BY i))) = array_agg(blob ORDER BY i) AS blob FROM given;
-- One per call: one per element.
SELECT redoubt.detokenize(t, 'slip') AS slips, t[1] <> t[2] AS differ FROM (SELECT redoubt.tokenize(ARRAY['x', 'x', NULL], 'slip') AS t OFFSET 0) AS v;
-- Dimensions, bounds, nulls; tokens among the values; nothing at all.
SELECT redoubt.detokenize(redoubt.tokenize('[2:3][-1:1]={{a@example.com,b@example.com,NULL},{c@example.com,NULL,a@example.com}}'::text[], 'mail'), 'mail') AS bounds;
SELECT redoubt.detokenize(mail(ARRAY['a@example.com', t, NULL, 'b@example.com', t])) AS mixed FROM (SELECT redoubt.tokenize('token@example.com', 'mail') AS t OFFSET 0) AS v;
SELECT redoubt.tokenize('{}'::text[], 'mail') AS none, redoubt.tokenize('{NULL,NULL}'::text[], 'mail') AS nulls, redoubt.tokenize(NULL::text[], 'mail') IS NULL AS null_array,
       redoubt.tokenize('{}'::text[], 'account') AS none_of_numbers, mail('{}'::text[]) AS none_of_type, mail(NULL::text[]) IS NULL AS null_of_type;
SELECT redoubt.detokenize(redoubt.vault_token(ARRAY['a@example.com'], t), t) FROM (SELECT 'mail'::regtype AS t OFFSET 0) AS v;
SELECT redoubt.detokenize(redoubt.tokenize('{a@example.com}'::varchar[], 'mail'), 'mail') AS varchars;
-- Refused, with nothing made.
RESET SESSION AUTHORIZATION;
SELECT count(*) AS before FROM redoubt.vault \gset
SET SESSION AUTHORIZATION regress_va_desk;
SELECT redoubt.tokenize(ARRAY['new@example.com', 'no address'], 'mail');
SELECT redoubt.tokenize(ARRAY['4999999999999999', '12'], 'pan');
SELECT redoubt.tokenize(ARRAY['1999999', 'x'], 'account');
SELECT redoubt.tokenize(ARRAY['1999999', '9'], 'account');
SELECT redoubt.tokenize(ARRAY['new@example.com', 'a•••@example.com'], 'mail');
SELECT redoubt.tokenize(ARRAY['\x01'], 'blob');
SELECT redoubt.tokenize(ARRAY['new@example.com'], t) FROM (SELECT 'mail'::regtype AS t OFFSET 0) AS v;
SELECT redoubt.vault_token(ARRAY['x'], 'sealed');
SELECT redoubt.vault_token(ARRAY['x'], 'text');
SELECT mail(ARRAY['new@example.com', 'tok_x']);
BEGIN READ ONLY;
SELECT redoubt.detokenize(redoubt.tokenize(ARRAY['a@example.com', 'b@example.com'], 'mail'), 'mail') AS both_exist;
SELECT redoubt.tokenize(ARRAY['a@example.com', 'new@example.com'], 'mail');
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT cardinality(redoubt.tokenize(ARRAY['new@example.com', 'newer@example.com'], 'mail')) AS made;
ROLLBACK TO s;
SELECT mail_find('new@example.com') IS NULL AS undone;
COMMIT;
SET statement_timeout = '300ms';
SELECT redoubt.tokenize(array_agg('timeout' || i || '@example.com'), 'mail') FROM generate_series(1, 200000) AS i;
RESET statement_timeout;
-- Neither planning nor EXPLAIN writes; nor is there a worker that would.
EXPLAIN (COSTS OFF, VERBOSE) SELECT redoubt.tokenize(ARRAY['new@example.com'], 'mail');
EXPLAIN (COSTS OFF) SELECT i FROM given WHERE mail = ANY (redoubt.tokenize(ARRAY['new@example.com'], 'mail'));
PREPARE never AS SELECT redoubt.tokenize(ARRAY['new@example.com'], 'mail');
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT max((redoubt.tokenize(ARRAY[mail], 'mail'))[1]) FROM given;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;
SET SESSION AUTHORIZATION regress_va_stranger;
SELECT redoubt.tokenize(ARRAY['a@example.com'], 'mail');
SELECT redoubt.vault_token(ARRAY['a@example.com'], 'mail');
SELECT mail(ARRAY['a@example.com']);
SELECT redoubt.tokenize('{}'::text[], 'mail');
RESET SESSION AUTHORIZATION;
SELECT count(*) - :before AS made FROM redoubt.vault;
-- In the order of fingerprints: two arrays of the same values in opposite order never wait for each other.
SET SESSION AUTHORIZATION regress_va_desk;
SELECT cardinality(redoubt.tokenize(array_agg('order' || i || '@example.com' ORDER BY i), 'mail')) AS made FROM generate_series(1, 40) AS i;
RESET SESSION AUTHORIZATION;
SELECT array_agg(v.fingerprint ORDER BY v.xmin::text::bigint, v.cmin::text::bigint) = array_agg(v.fingerprint ORDER BY v.fingerprint) AS in_order, count(*)
FROM redoubt.vault AS v, (SELECT xmin::text AS x FROM redoubt.vault WHERE class_id = (SELECT class_id FROM redoubt.token_type WHERE typ = 'mail'::regtype) ORDER BY xmin::text::bigint DESC LIMIT 1) AS last
WHERE v.xmin::text = last.x;

-- ------------------------------------------------------------ charged together
SELECT redoubt.set_limit('regress_va_desk', 'mail', 'tokenize', 10, '1 day') > 0 AS set;
SET SESSION AUTHORIZATION regress_va_desk;
CREATE FUNCTION charged() RETURNS bigint LANGUAGE sql AS $$SELECT sum(charged)::bigint FROM redoubt.usage WHERE token_type = 'mail'::regtype AND operation = 'tokenize'$$;
SELECT charged() AS before \gset
SELECT redoubt.tokenize(array_agg('much' || i || '@example.com'), 'mail') FROM generate_series(1, 11) AS i;
SELECT charged() - :before AS none;
SELECT cardinality(redoubt.tokenize(array_agg('u1@example.com'::text), 'mail')) AS within FROM generate_series(1, 6);
SELECT charged() - :before AS six_though_they_are_one;
SELECT redoubt.tokenize(array_agg('u1@example.com'::text), 'mail') FROM generate_series(1, 5) AS i;
SELECT mail(array_agg(NULL::text)) AS nulls_cost_nothing, mail(array_agg(redoubt.tokenize('u1@example.com', 'mail'))) IS NOT NULL AS tokens_neither FROM generate_series(1, 2);
SELECT charged() - :before AS and_one;
-- A bad element is found before anything is charged.
SELECT redoubt.tokenize(ARRAY['u1@example.com', 'no address'], 'mail');
SELECT charged() - :before AS the_same;
SELECT sum(charged) AS others FROM redoubt.usage WHERE token_type IN ('pan'::regtype, 'account'::regtype) AND operation = 'tokenize' \gset
SELECT redoubt.tokenize(ARRAY['4999999999999999', '12'], 'pan');
SELECT redoubt.tokenize(ARRAY['1999999', '9'], 'account');
SELECT sum(charged) - :others AS nor_here FROM redoubt.usage WHERE token_type IN ('pan'::regtype, 'account'::regtype) AND operation = 'tokenize';
RESET SESSION AUTHORIZATION;
SELECT redoubt.drop_limit('regress_va_desk', 'mail', 'tokenize');

-- ----------------------------------------------------- disabling what is not there
SET SESSION AUTHORIZATION regress_va_desk;
CREATE DOMAIN mail_domain AS mail;
CREATE TYPE mail_row AS (id integer, mail mail);
CREATE TABLE person (id integer, mail mail, pan pan, again mail_domain, pair mail_row);
INSERT INTO person SELECT i, t, redoubt.tokenize(lpad(i::text, 16, '4'), 'pan'), t, ROW(i, t)::mail_row
FROM generate_series(1, 3) AS i, LATERAL (SELECT mail('person' || i || '@example.com') AS t OFFSET 0) AS v;
GRANT SELECT ON person TO PUBLIC;
RESET SESSION AUTHORIZATION;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(mail), redoubt.detokenize(pan) TO CURRENT_USER;
\set VERBOSITY default
SET redoubt.reveal = 'plain';
-- mail::text is then the plaintext.
SELECT redoubt.disable_tokens('mail', ARRAY[mail::text]) FROM person WHERE id = 1;
SELECT redoubt.forget(mail::text, 'mail') FROM person WHERE id = 1;
RESET redoubt.reveal;
SELECT redoubt.disable_tokens('pan', ARRAY['4444444444444441']);
SELECT redoubt.enable_tokens('pan', ARRAY['4444444444444441', NULL]);
SELECT redoubt.disable_tokens('pan', ARRAY['4444444444444441', pan::text]) AS that_one FROM person WHERE id = 1;
SELECT redoubt.disable_tokens('pan', ARRAY[pan::text]) AS already FROM person WHERE id = 1;
SELECT redoubt.enable_tokens('pan', ARRAY[pan::text, '4444444444444441']) AS that_one FROM person WHERE id = 1;
SELECT redoubt.disable_tokens('pan', '{NULL}') AS nothing_was_named, redoubt.disable_tokens('pan', '{}') AS nor_here;
SELECT redoubt.forget('4444444444444441', 'pan') AS there_is_none;
SELECT redoubt.forget(pan::text, 'pan') AS forgotten FROM person WHERE id = 3;
SELECT redoubt.disable_tokens('pan', ARRAY[pan::text]) FROM person WHERE id = 3;
\set VERBOSITY terse

-- ----------------------------------------------- domains, rows, arrays, other types
SELECT redoubt.disable_tokens('mail_domain');
SELECT redoubt.forget(pair) FROM person;
SELECT redoubt.forget(ARRAY[mail]) FROM person;
SELECT redoubt.forget('x');
SELECT redoubt.forget(1);
SELECT redoubt.sweep_vault(-1);
SELECT redoubt.forget_value('sealed', 'x');
SELECT redoubt.forget_value(NULL, 'x') IS NULL AS null_type, redoubt.forget_value('mail', NULL) IS NULL AS null_value;
SELECT redoubt.forget(NULL::text, 'mail') IS NULL AS null_token, redoubt.forget('x', NULL) IS NULL AS null_type;
SET SESSION AUTHORIZATION regress_va_desk;
SELECT redoubt.detokenize(again) AS through_a_domain, redoubt.detokenize((pair).mail) AS out_of_a_row, redoubt.detokenize(ARRAY[again]::mail[]) AS of_domains FROM person WHERE id = 2;
SELECT redoubt.tokenize(ARRAY['a@example.com'], 'mail_domain');
SELECT redoubt.tokenize(ARRAY['a@example.com'], 'mail[]');
SELECT redoubt.find_token('a@example.com', 'mail_domain');
-- Bytes that are no text, and the empty value.
SELECT redoubt.detokenize(blob(ARRAY['\xff00fe', '']::bytea[]));
SELECT redoubt.tokenize(ARRAY['', ' '], 'mail');
RESET SESSION AUTHORIZATION;
SELECT redoubt.forget(again) AS through_a_domain FROM person WHERE id = 2;
SELECT redoubt.detokenize(mail) FROM person WHERE id = 2;

-- ----------------------------------------------------------------------- ends
SELECT max(sequence) AS mark FROM redoubt.audit \gset
SET client_min_messages = warning;
DROP TABLE person, given;
REVOKE EXECUTE ON FUNCTION redoubt.detokenize(mail), redoubt.detokenize(pan) FROM CURRENT_USER;
DROP TYPE mail_row;
DROP DOMAIN mail_domain;
SELECT redoubt.drop_token_type('mail');
SELECT redoubt.disable_tokens(t) >= 0 AS disabled FROM unnest('{mail,slip,blob,pan,word,account}'::regtype[]) AS t;
SELECT redoubt.drop_token_type(t) FROM unnest('{mail,slip,blob,pan,word,account,sealed}'::regtype[]) AS t;
SELECT event, operation, count > 0 AS values, detail FROM redoubt.audit WHERE sequence > :mark AND event IN ('type', 'policy', 'vault') AND operation <> 'disable' ORDER BY sequence;
DROP FUNCTION charged;
RESET search_path;
DROP SCHEMA regress_va;
DELETE FROM redoubt.key WHERE name = 'regress_va';
DROP ROLE regress_va_desk, regress_va_stranger;
