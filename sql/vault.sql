/*
 * Vaulted token types.
 *
 * Proves: a token is random, consistent where the type is and one per call where it is not; nothing but tokenize(), the
 * cast function and an assignment writes the vault, and no search does; values expire, are disabled and are forgotten,
 * also where the transaction cannot see them; masks, normalisers, formats, limits and the gate hold as for other
 * types; both versions of a rotated key are read; a row of the vault opens under its own token only; and whoever
 * touches the vault by hand is recorded.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE ROLE regress_vault_desk LOGIN;
CREATE ROLE regress_vault_eraser LOGIN IN ROLE redoubt_admin;
CREATE ROLE regress_vault_stranger LOGIN;
CREATE SCHEMA regress_vault;
GRANT USAGE, CREATE ON SCHEMA regress_vault TO PUBLIC;
SET search_path = regress_vault, public;
RESET client_min_messages;
SET redoubt.input = 'token';
\set VERBOSITY terse
-- Does a plan say this?
CREATE FUNCTION plan_has(query text, what text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF, VERBOSE) ' || query LOOP
    IF position(what IN line) > 0 THEN RETURN true; END IF;
  END LOOP;
  RETURN false;
END
$$;

-- ------------------------------------------------------------------- making
SELECT redoubt.create_key('regress_vault');
SELECT redoubt.create_token_type('regress_vault.mail', method => 'vault', "normalize" => 'email', mask => 'email', invalid => 'refuse', key => 'regress_vault');
SELECT redoubt.create_token_type('regress_vault.ticket', method => 'vault', deterministic => false, pattern => '^TM-[0-9]{4}$', "normalize" => 'upper', mask => 'keep_last(2)', key => 'regress_vault');
SELECT redoubt.create_token_type('regress_vault.passing', method => 'vault', ttl => '1 hour', key => 'regress_vault');
SELECT redoubt.create_token_type('regress_vault.blob', method => 'vault', base => 'bytea', key => 'regress_vault');
SELECT redoubt.create_token_type('regress_vault.pan', method => 'vault', format => 'card(check=preserve,bin=0,last=4)', mask => 'keep_last(4)', key => 'regress_vault');
SELECT redoubt.create_token_type('regress_vault.account', method => 'vault', format => 'integer(1000000,1999999)', key => 'regress_vault');
SELECT redoubt.create_token_type('regress_vault.slip', method => 'vault', deterministic => false, format => 'digits(6)', key => 'regress_vault');
SELECT redoubt.create_token_type('regress_vault.sealed_mail', "normalize" => 'email', key => 'regress_vault');
SELECT token_type, method, base, "normalize", mask, deterministic, format, key_version, ttl
FROM redoubt.token_types WHERE key = 'regress_vault' ORDER BY created_at, token_type::text;
SELECT proname, provolatile, proparallel, prosecdef FROM pg_proc
WHERE pronamespace = 'regress_vault'::regnamespace AND proname IN ('mail', 'mail_find', 'mail_in', 'pan', 'pan_cast', 'pan_find', 'ticket_find')
ORDER BY proname, provolatile, proargtypes::text;
-- What is none.
SELECT redoubt.create_token_type('regress_vault.no', method => 'safe');
SELECT redoubt.create_token_type('regress_vault.no', ttl => '1 hour');
SELECT redoubt.create_token_type('regress_vault.no', method => 'vault', ttl => '0');
SELECT redoubt.create_token_type('regress_vault.no', method => 'vault', ttl => '-1 day');
SELECT redoubt.create_token_type('regress_vault.no', method => 'vault', ttl => '170000000 years');
SELECT redoubt.create_token_type('regress_vault.no', method => 'vault', format => 'digits(6)', base => 'bytea');
SELECT redoubt.create_token_type('regress_vault.no', method => 'vault', format => 'digits(5)');
SELECT redoubt.create_token_type('regress_vault.no', format => 'digits(6)');
SELECT redoubt.create_token_type('regress_vault.no', method => 'vault', base => 'bytea', mask => 'email');

GRANT EXECUTE ON FUNCTION mail(text), redoubt.detokenize(mail), redoubt.mask(mail), ticket(text), redoubt.detokenize(ticket), redoubt.mask(ticket),
  passing(text), redoubt.detokenize(passing), blob(bytea), redoubt.detokenize(blob), pan(text), redoubt.detokenize(pan), redoubt.mask(pan),
  account(bigint), redoubt.detokenize(account), redoubt.mask(account), slip(text), redoubt.detokenize(slip), sealed_mail(text),
  redoubt.detokenize(sealed_mail) TO regress_vault_desk;
CREATE TABLE person (id integer PRIMARY KEY, email mail, ticket ticket, note passing, photo blob, card pan, account account, slip slip, legacy text);
CREATE INDEX ON person (email);
GRANT ALL ON person TO regress_vault_desk, regress_vault_stranger, regress_vault_eraser;

-- ---------------------------------------------------------------- tokenizing
SET SESSION AUTHORIZATION regress_vault_desk;
INSERT INTO person (id, email, ticket, photo, card, account, slip, legacy)
SELECT i, 'person' || i % 2 || '@Example.COM', ('tm-000' || i)::varchar, '\x00ff'::bytea, redoubt.tokenize('4111 1111 1111 1111', 'pan'),
       (1234567 + i % 2)::bigint::account, redoubt.tokenize('123456', 'slip'), redoubt.tokenize('person1@EXAMPLE.com', 'mail')
FROM generate_series(1, 4) AS i;
SELECT id, redoubt.detokenize(email) AS email, redoubt.mask(email) AS masked, redoubt.detokenize(ticket) AS ticket, redoubt.mask(ticket) AS ticket_masked,
       redoubt.detokenize(photo) AS photo, redoubt.detokenize(card) AS card, redoubt.mask(card) AS card_masked, redoubt.detokenize(account) AS account,
       redoubt.mask(account) AS account_masked, redoubt.detokenize(slip) AS slip, redoubt.detokenize(legacy, 'mail') AS legacy, redoubt.mask(legacy, 'mail') AS legacy_masked
FROM person ORDER BY id;
-- Consistent: a token per value.  One per call: as many as calls.
SELECT count(DISTINCT email) AS emails, count(DISTINCT ticket) AS tickets, count(DISTINCT photo) AS photos, count(DISTINCT card) AS cards,
       count(DISTINCT account) AS accounts, count(DISTINCT slip) AS slips, bool_and((email::text = legacy) = (id % 2 = 1)) AS same_as_text FROM person;
-- Tokens have the form they should, and say nothing of the value.
SELECT bool_and(email::text ~ '^tok_EgAA[A-Za-z0-9_-]{22}$' AND ticket::text ~ '^tok_EgAA' AND card ~ '^\d{4} \d{4} \d{4} 1111$' AND card <> '4111 1111 1111 1111'
                AND account BETWEEN 1000000 AND 1999999 AND slip ~ '^\d{6}$') AS forms FROM person;
SELECT (redoubt.token_info(email)).* FROM person WHERE id = 1;
SELECT (redoubt.token_info(card)).*, (redoubt.token_info(account)).* FROM person WHERE id = 1;
-- NULL, the empty string, a token itself.
SELECT mail(NULL::text) IS NULL AS cast_null, redoubt.tokenize(NULL, 'mail') IS NULL AS tokenize_null, mail_find(NULL) IS NULL AS find_null,
       redoubt.detokenize(NULL::mail) IS NULL AS detokenize_null;
SELECT redoubt.detokenize(passing(''::text)) = '' AS empty;
SELECT mail(''::text);
SELECT count(*) AS a_token_stays FROM person WHERE email = mail(email::text);
-- Whole arrays.
SELECT redoubt.detokenize(mail(ARRAY['person1@example.com', NULL, 'person0@example.com'])) AS mails,
       (mail(ARRAY['person1@example.com', 'person1@example.com']))[2] = email AS same_token,
       redoubt.detokenize(ticket(ARRAY['TM-0007', 'TM-0007'])) AS tickets, (ticket(ARRAY['TM-0007', 'TM-0007']))[1]::text LIKE 'tok_EgAA%' AS ticket_token,
       redoubt.detokenize(pan(ARRAY['4111 1111 1111 1111']))  AS cards, redoubt.mask(pan(ARRAY['4111 1111 1111 1111'])) AS cards_masked,
       redoubt.detokenize(account(ARRAY[1234567, NULL]::bigint[])) AS accounts, redoubt.mask(account(ARRAY[1234567]::bigint[])) AS accounts_masked,
       redoubt.detokenize(blob(ARRAY['\x01'::bytea])) AS blobs, redoubt.detokenize(ARRAY[legacy], 'mail') AS as_text, redoubt.mask(ARRAY[card::text], 'pan') AS masked_as_text
FROM person WHERE id = 1;
SELECT redoubt.tokenize(ARRAY['person1@example.com'], 'mail') = ARRAY[legacy] AS by_name FROM person WHERE id = 1;
-- What normalisers, patterns, formats and masks refuse.
SELECT mail('no address'::text);
SELECT ticket('TM-12'::text);
SELECT redoubt.tokenize('4111 1111 1111 1112', 'pan');
SELECT redoubt.tokenize('12345', 'slip');
SELECT account(5::bigint);
SELECT redoubt.tokenize('12x', 'account');
SELECT mail('a•••@example.com'::text);

-- ---------------------------------------- where values do not enter, and searches
BEGIN;
INSERT INTO person (id, email) VALUES (9, 'new@example.com');
SELECT id FROM person WHERE email = 'new@example.com';
ROLLBACK;
SELECT 'new@example.com'::mail;
SELECT id FROM person WHERE email = 'new@example.com'::text;
INSERT INTO person (id, card) VALUES (9, '4111 1111 1111 1112');
COPY person (id, email) FROM stdin;
9	new@example.com
\.
PREPARE untyped AS INSERT INTO person (id, email) VALUES (9, $1);
BEGIN;
EXECUTE untyped ('new@example.com');
ROLLBACK;
PREPARE typed (varchar) AS INSERT INTO person (id, email) VALUES (5, $1);
EXECUTE typed ('person5@example.com');
SELECT redoubt.detokenize(email) FROM person WHERE id = 5;
SELECT redoubt.tokenize('x@example.com', t) FROM (SELECT 'mail'::regtype AS t OFFSET 0) AS v;
SELECT redoubt.detokenize(redoubt.vault_token('person1@example.com', t), t) FROM (SELECT 'mail'::regtype AS t OFFSET 0) AS v;

RESET SESSION AUTHORIZATION;
SELECT count(*) AS before FROM redoubt.vault \gset
SET SESSION AUTHORIZATION regress_vault_desk;
SELECT id FROM person WHERE email = mail_find('person1@EXAMPLE.com') ORDER BY id;
SELECT id FROM person WHERE email = mail_find('nobody@example.com');
SELECT id FROM person WHERE card = pan_find('4111 1111 1111 1111') ORDER BY id;
SELECT id FROM person WHERE account = account_find(1234567) ORDER BY id;
SELECT count(*) FROM person WHERE photo = blob_find('\x00ff');
SELECT id FROM person WHERE legacy = redoubt.find_token('person1@example.com', 'mail') ORDER BY id;
SELECT redoubt.find_token('4111111111111111', 'pan') IS NULL AS other_spelling, redoubt.find_token('1234568', 'account')::bigint = account AS number FROM person WHERE id = 1;
SET enable_seqscan = off;
SELECT plan_has($$SELECT id FROM person WHERE email = mail_find('person1@example.com')$$, 'Index Cond: (person.email = mail_find(') AS by_index;
RESET enable_seqscan;
-- Nor does explaining a tokenize(), or giving a statement up before it ran.
SELECT plan_has($$SELECT redoubt.tokenize('never@example.com', 'mail')$$, 'redoubt.vault_token(') AS nor_here;
SELECT plan_has($$SELECT id FROM person WHERE legacy = redoubt.tokenize('never@example.com', 'mail')$$, 'redoubt.vault_token(') AS not_yet;
PREPARE never AS SELECT redoubt.tokenize('never@example.com', 'mail');
SELECT redoubt.find_token('TM-0001', 'ticket');
RESET SESSION AUTHORIZATION;
SELECT count(*) - :before AS made_by_searches FROM redoubt.vault;

-- Comparing, sorting, joining and grouping by token.
SELECT count(*) FROM person AS a JOIN person AS b USING (email);
SELECT count(*) FROM person AS a JOIN person AS b USING (ticket);
SELECT count(*) AS groups FROM (SELECT FROM person GROUP BY email) AS v;
SELECT bool_and(a.email < b.email OR a.email >= b.email) AS ordered FROM person AS a, person AS b WHERE a.id < 5 AND b.id < 5;

-- -------------------------------------------------------------------- the gate
SET SESSION AUTHORIZATION regress_vault_stranger;
SELECT mail('person1@example.com'::text);
SELECT redoubt.tokenize('person1@example.com', 'mail');
SELECT redoubt.vault_token('person1@example.com', 'mail');
SELECT mail_find('person1@example.com');
SELECT redoubt.find_token('person1@example.com', 'mail');
SELECT redoubt.detokenize(email) FROM person;
SELECT redoubt.detokenize(legacy, 'mail') FROM person;
SELECT redoubt.mask(card) FROM person;
SELECT redoubt.forget(email) FROM person;
SELECT redoubt.forget(legacy, 'mail') FROM person;
SELECT redoubt.forget_value('mail', 'person1@example.com');
SELECT redoubt.disable_tokens('mail');
SELECT redoubt.enable_tokens('mail');
SELECT redoubt.sweep_vault();
SELECT count(*) FROM redoubt.vault;
DELETE FROM redoubt.vault;
RESET SESSION AUTHORIZATION;
-- Not even a superuser, without a grant.
SELECT redoubt.detokenize(email) FROM person;

-- ------------------------------------------------------------------ wrong types
SET SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.detokenize(email::text, 'passing') FROM person WHERE id = 1;
SELECT redoubt.detokenize(email::text, 'sealed_mail') FROM person WHERE id = 1;
SELECT redoubt.detokenize(redoubt.token(sealed_mail('person1@example.com'::text)), 'mail');
SELECT redoubt.detokenize('tok_EgAAAAAAAAAAAAAAAAAAAAAAAA', 'mail');
SELECT redoubt.detokenize('tok_EgAAAAAAAAAAAAAAAAAAAAAAAAA', 'mail');
SELECT redoubt.detokenize('4111 1111 1111 1111', 'pan');
SELECT redoubt.find_token('x@example.com', 'sealed_mail');
SELECT redoubt.vault_token('x@example.com', 'text');
RESET SESSION AUTHORIZATION;
SELECT redoubt.forget('x'::text);
SELECT redoubt.disable_tokens('sealed_mail');
SELECT redoubt.disable_tokens(NULL);
SELECT redoubt.sweep_vault(0);

-- ------------------------------------------------- forgetting, disabling, expiry
SET SESSION AUTHORIZATION regress_vault_eraser;
SELECT redoubt.disable_tokens('mail', ARRAY[email::text, NULL]) FROM person WHERE id = 1;
SELECT redoubt.disable_tokens('mail', '{}');
SET SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.detokenize(email) FROM person WHERE id = 1;
SELECT redoubt.mask(email) FROM person WHERE id = 1;
SELECT redoubt.tokenize('person1@example.com', 'mail');
SELECT id FROM person WHERE email = mail_find('person1@example.com') ORDER BY id;
SELECT redoubt.detokenize(email) FROM person WHERE id = 2;
SET SESSION AUTHORIZATION regress_vault_eraser;
SELECT redoubt.disable_tokens('mail') AS the_others;
SELECT redoubt.enable_tokens('mail') AS all_again;
SELECT redoubt.enable_tokens('mail') AS none_left;
SELECT redoubt.disable_tokens('pan', ARRAY(SELECT DISTINCT card::text FROM person WHERE card IS NOT NULL)), redoubt.enable_tokens('pan');
SELECT redoubt.disable_tokens('account', ARRAY(SELECT DISTINCT account::text FROM person WHERE account IS NOT NULL)), redoubt.enable_tokens('account');

-- What a transaction that rolls back forgot is not forgotten.
BEGIN;
SELECT redoubt.forget(email) AS forgotten FROM person WHERE id IN (1, 3) ORDER BY id;
ROLLBACK;
SET SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.detokenize(email) FROM person WHERE id = 1;
SET SESSION AUTHORIZATION regress_vault_eraser;
SELECT redoubt.forget(email) AS forgotten FROM person WHERE id IN (1, 3) ORDER BY id;
SELECT redoubt.forget(legacy, 'mail') AS gone_already FROM person WHERE id = 1;
SELECT redoubt.forget(slip) AS slip, redoubt.forget(account) AS account, redoubt.forget(ticket) AS ticket, redoubt.forget(NULL::mail) AS nothing FROM person WHERE id = 1;
-- Taking a plaintext, it asks for the privilege to tokenize.
SELECT redoubt.forget_value('mail', 'person0@example.com');
RESET SESSION AUTHORIZATION;
GRANT EXECUTE ON FUNCTION mail(text), pan(text), ticket(text), account(bigint) TO regress_vault_eraser;
SET SESSION AUTHORIZATION regress_vault_eraser;
SELECT redoubt.forget_value('mail', 'person0@EXAMPLE.com') AS value, redoubt.forget_value('mail', 'nobody@example.com') AS nobody,
       redoubt.forget_value('pan', '4111 1111 1111 1111') AS card, redoubt.forget_value('account', '1234567') AS account;
SELECT redoubt.forget_value('ticket', 'TM-0001');
SET SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.detokenize(email) FROM person WHERE id = 1;
SELECT redoubt.detokenize(email) FROM person WHERE id = 2;
SELECT redoubt.detokenize(card) FROM person WHERE id = 2;
SELECT redoubt.detokenize(ARRAY[email]) FROM person WHERE id = 1;
SELECT redoubt.mask(array_agg(card)) FROM person;
SELECT redoubt.detokenize(account) FROM person WHERE id = 2;
-- The value gets another token from then on.
SELECT mail('person1@example.com'::text) <> email AS another FROM person WHERE id = 1;
-- Output shows the token where the value is gone, and does not break the query.
SET redoubt.reveal = 'auto';
SELECT id, email::text ~ '^tok_' AS gone, ticket::text ~ '^tok_' AS ticket_gone FROM person WHERE id IN (1, 2, 5) ORDER BY id;
SELECT id, ticket, photo FROM person WHERE id = 2;
-- Long values too, which lie in the vault's TOAST table, where no snapshot is active: rows of RETURNING, EXECUTE, FETCH.
INSERT INTO person (id, photo) VALUES (8, convert_to(repeat('photo ', 20000), 'UTF8')) RETURNING id, photo = blob_find(convert_to(repeat('photo ', 20000), 'UTF8')) AS found;
SELECT length(redoubt.detokenize(photo)), length(photo::text) FROM person WHERE id = 8;
\o /dev/null
INSERT INTO person (id, photo) VALUES (10, convert_to(repeat('other ', 20000), 'UTF8')) RETURNING photo;
PREPARE long_value AS SELECT photo FROM person WHERE id = 8;
EXECUTE long_value;
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT photo FROM person WHERE id IN (8, 10);
COMMIT;
FETCH ALL held;
\o
CLOSE held;
DELETE FROM person WHERE id IN (8, 10);
SET redoubt.reveal = 'masked';
SELECT id, email FROM person WHERE id = 5;
SELECT count(*) AS rows FROM (SELECT email::text, card::text FROM person) AS v;
RESET redoubt.reveal;

-- Expired values cannot be had, swept or not; and the value gets a new token.
INSERT INTO person (id, note) SELECT 7, 'soon gone'::text;
SELECT redoubt.detokenize(note) FROM person WHERE id = 7;
RESET SESSION AUTHORIZATION;
CREATE PROCEDURE let_an_hour_pass() LANGUAGE sql AS $$UPDATE redoubt.vault SET expires_at = expires_at - interval '1 hour' WHERE expires_at IS NOT NULL$$;
SELECT count(*) AS rows, bool_and(expires_at BETWEEN now() + '59 min' AND now() + '1 hour') AS in_an_hour FROM redoubt.vault WHERE expires_at IS NOT NULL;
CALL let_an_hour_pass();
SET SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.detokenize(note) FROM person WHERE id = 7;
SELECT passing_find('soon gone') IS NULL AS not_found;
BEGIN READ ONLY;
SELECT passing('soon gone'::text);
ROLLBACK;
SELECT passing('soon gone'::text) <> note AS another FROM person WHERE id = 7;
SELECT redoubt.detokenize(note) FROM person WHERE id = 7;
RESET SESSION AUTHORIZATION;
CALL let_an_hour_pass();
SELECT redoubt.sweep_vault(1) AS one, redoubt.sweep_vault() AS rest, redoubt.sweep_vault() AS nothing;
SET SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.detokenize(note) FROM person WHERE id = 7;
SELECT redoubt.detokenize(passing('lives'::text)) AS lives;

-- ----------------------------------------------------- transactions that only read
BEGIN READ ONLY;
SELECT redoubt.detokenize(email) FROM person WHERE id = 5;
SELECT mail('person5@example.com'::text) = email AS it_exists FROM person WHERE id = 5;
SAVEPOINT s;
\set VERBOSITY default
SELECT redoubt.tokenize('new@example.com', 'mail');
\set VERBOSITY terse
ROLLBACK TO s;
SELECT slip('123456'::text);
COMMIT;
SET SESSION AUTHORIZATION regress_vault_eraser;
BEGIN READ ONLY;
SELECT redoubt.forget(email) FROM person WHERE id = 5;
ROLLBACK;
SET SESSION AUTHORIZATION regress_vault_desk;
-- A savepoint that is rolled back takes its tokens along.
BEGIN;
SAVEPOINT s;
SELECT redoubt.detokenize(mail('undone@example.com'::text));
ROLLBACK TO s;
SELECT mail_find('undone@example.com') IS NULL AS undone;
COMMIT;
-- In workers, detokenizing.
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT count(redoubt.detokenize(photo)), count(mail_find('person5@example.com')) FROM person WHERE photo IS NOT NULL;
SELECT count(redoubt.tokenize('person5@example.com', 'mail')) FROM person;
SELECT plan_has($$SELECT max(redoubt.detokenize(photo)::text) FROM person$$, 'Parallel Seq Scan') AS detokenizes_in_workers,
       plan_has($$SELECT max(redoubt.tokenize(id || '@example.com', 'mail')) FROM person$$, 'Parallel Seq Scan') AS tokenizes_in_workers,
       plan_has($$SELECT max(redoubt.tokenize(id || '@example.com', 'sealed_mail')) FROM person$$, 'Parallel Seq Scan') AS seals_in_workers;
CREATE FUNCTION claims_to_be_safe(value text) RETURNS text LANGUAGE plpgsql PARALLEL SAFE AS $$ BEGIN RETURN redoubt.tokenize(value, 'mail'); END $$;
SELECT max(claims_to_be_safe('worker' || id || '@example.com')) FROM person;
DROP FUNCTION claims_to_be_safe;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;

-- -------------------------------------------------------------------- rotation
RESET SESSION AUTHORIZATION;
SELECT redoubt.rotate_key('regress_vault');
SET SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.detokenize(email) AS old_version, mail('person5@example.com'::text) = email AS still_found FROM person WHERE id = 5;
SELECT redoubt.detokenize(mail('person6@example.com'::text)) AS new_version;
RESET SESSION AUTHORIZATION;
SELECT get_byte(sealed, 2) AS key_version, count(*) > 0 AS rows FROM redoubt.vault
WHERE class_id = (SELECT class_id FROM redoubt.token_type WHERE typ = 'mail'::regtype) GROUP BY 1 ORDER BY 1;

-- Sealed anew, in batches, whatever the search_path finds first; what does not open stays, with a warning.
BEGIN;
UPDATE redoubt.vault AS v SET sealed = set_byte(sealed, 10, get_byte(sealed, 10) # 1)
WHERE class_id = (SELECT class_id FROM redoubt.token_type WHERE typ = 'mail'::regtype) AND get_byte(sealed, 2) = 1;
SELECT resealed, last IS NULL AS all_seen FROM redoubt.reseal_batch('mail', NULL, 1000);
ROLLBACK;
SELECT max(sequence) AS mark FROM redoubt.audit \gset
CREATE FUNCTION always(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR regress_vault.= (LEFTARG = text, RIGHTARG = text, FUNCTION = always);
-- A type that a superuser dropped with its schema is passed over.
CREATE SCHEMA regress_vault_gone;
SELECT redoubt.create_token_type('regress_vault_gone.gone', method => 'vault') AS gone;
SET client_min_messages = warning;
DROP SCHEMA regress_vault_gone CASCADE;
RESET client_min_messages;
SET SESSION AUTHORIZATION regress_vault_eraser;
SET search_path = regress_vault, pg_catalog;
CALL redoubt.reseal_vault('mail', 1);
CALL redoubt.reseal_vault();
RESET SESSION AUTHORIZATION;
DELETE FROM redoubt.token_type AS t WHERE NOT EXISTS (SELECT FROM pg_type AS p WHERE p.oid = t.typ);
SET SESSION AUTHORIZATION regress_vault_eraser;
SET search_path = regress_vault, public;
CALL redoubt.reseal_vault('sealed_mail');
CALL redoubt.reseal_vault('mail', 0);
CALL redoubt.reseal_vault('mail', NULL);
BEGIN READ ONLY;
SELECT redoubt.reseal_batch('mail', NULL, 10);
ROLLBACK;
RESET SESSION AUTHORIZATION;
DROP OPERATOR regress_vault.= (text, text);
DROP FUNCTION always;
SELECT get_byte(sealed, 2) AS key_version, count(*) > 0 AS rows FROM redoubt.vault
WHERE class_id IN (SELECT class_id FROM redoubt.token_type WHERE key = 'regress_vault') GROUP BY 1 ORDER BY 1;
SELECT operation, count > 0 AS some, token_type, count(*) > 1 AS batches FROM redoubt.audit WHERE sequence > :mark AND operation = 'reseal' GROUP BY 1, 2, 3 ORDER BY 3;
SET SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.detokenize(email) AS still_open, mail('person5@example.com'::text) = email AS still_found FROM person WHERE id = 5;
SELECT redoubt.detokenize(photo) FROM person WHERE id = 4;
RESET SESSION AUTHORIZATION;

-- ------------------------------------------------------------ by hand, for the record
-- A value moved under another token, another type or altered does not open.
BEGIN;
UPDATE redoubt.vault AS v SET sealed = (SELECT w.sealed FROM redoubt.vault AS w WHERE w.class_id = v.class_id AND w.token <> v.token LIMIT 1)
WHERE class_id = (SELECT class_id FROM redoubt.token_type WHERE typ = 'mail'::regtype);
SET LOCAL SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.detokenize(email) FROM person WHERE id = 5;
ROLLBACK;
BEGIN;
UPDATE redoubt.vault SET class_id = (SELECT class_id FROM redoubt.token_type WHERE typ = 'passing'::regtype)
WHERE class_id = (SELECT class_id FROM redoubt.token_type WHERE typ = 'mail'::regtype);
SET LOCAL SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.detokenize(email::text, 'passing') FROM person WHERE id = 5;
ROLLBACK;

SELECT coalesce(max(sequence), 0) AS mark FROM redoubt.audit \gset
SELECT count(*) > 0 AS read FROM redoubt.vault;
SELECT count(*) > 0 AS through_a_view FROM (SELECT sealed FROM redoubt.vault OFFSET 0) AS v;
COPY redoubt.vault TO '/dev/null';
COPY (SELECT * FROM redoubt.vault) TO '/dev/null';
EXPLAIN (COSTS OFF) SELECT sealed FROM redoubt.vault;
DO $$ BEGIN PERFORM FROM redoubt.vault; END $$;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM redoubt.vault;
CREATE TABLE copied AS SELECT * FROM redoubt.vault;
INSERT INTO redoubt.vault (class_id, token, sealed) VALUES (gen_random_uuid(), '\x01', '\x01');
UPDATE redoubt.vault SET disabled = true WHERE token = '\x01';
DELETE FROM redoubt.vault WHERE token = '\x01';
CLOSE c;
SELECT 'pg_toast.pg_toast_' || 'redoubt.vault'::regclass::oid AS toast \gset
SELECT count(*) >= 0 AS long_values FROM :toast;
ALTER TABLE redoubt.vault ALTER token SET STATISTICS 100;
CREATE INDEX ON redoubt.vault (length(sealed));
ALTER TABLE redoubt.vault RENAME TO strongbox;
ALTER TABLE redoubt.strongbox RENAME TO vault;
CREATE STATISTICS spied_statistics ON (length(sealed)) FROM redoubt.vault;
CREATE POLICY spied_policy ON redoubt.vault USING (length(sealed) > 0);
CREATE PUBLICATION regress_vault_one FOR TABLE redoubt.vault;
CREATE PUBLICATION regress_vault_schema FOR TABLES IN SCHEMA redoubt;
CREATE PUBLICATION regress_vault_other FOR TABLE person;
ALTER PUBLICATION regress_vault_other ADD TABLE redoubt.vault;
ALTER PUBLICATION regress_vault_other DROP TABLE redoubt.vault;
CREATE TABLE parts (LIKE redoubt.vault) PARTITION BY LIST (length(sealed));
ALTER TABLE parts ATTACH PARTITION redoubt.vault DEFAULT;
TRUNCATE redoubt.vault;
SAVEPOINT here;
SET LOCAL client_min_messages = warning;
-- Columns that hold tokens would keep it from being dropped, and so would labels.
DO $$
DECLARE
  held record;
BEGIN
  FOR held IN SELECT DISTINCT c.oid::regclass AS relation FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid, redoubt.token_type AS t
              JOIN pg_type AS y ON y.oid = t.typ WHERE c.relkind IN ('r', 'p', 'm') AND a.atttypid IN (y.oid, y.typarray) AND NOT a.attisdropped LOOP
    EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', held.relation);
  END LOOP;
  FOR held IN SELECT objtype, objname FROM pg_seclabels WHERE provider = 'redoubt' AND objtype IN ('column', 'domain') LOOP
    EXECUTE format('SECURITY LABEL FOR redoubt ON %s %s IS NULL', held.objtype, held.objname);
  END LOOP;
END $$;
DROP EXTENSION redoubt CASCADE;
DROP EXTENSION IF EXISTS redoubt;
ROLLBACK TO here;
ALTER EXTENSION redoubt DROP TABLE redoubt.vault;
DROP TABLE redoubt.vault;
ROLLBACK;
SET SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.detokenize(mail('recorded@example.com'::text)) FROM generate_series(1, 3);
SET SESSION AUTHORIZATION regress_vault_eraser;
SELECT redoubt.forget_value('mail', 'recorded@example.com');
RESET SESSION AUTHORIZATION;
SELECT event, outcome, operation, count, token_type, detail, session_user_name = current_user AS by_superuser FROM redoubt.audit
WHERE sequence > :mark AND (event IN ('vault', 'tokenize', 'reveal') OR detail = 'table redoubt.vault') ORDER BY sequence;
-- A rule puts nothing in the place of the extension's own statements unseen, nor does it make forgetting a pretence.
SELECT max(sequence) AS mark FROM redoubt.audit \gset
BEGIN;
CREATE TABLE copied AS SELECT * FROM redoubt.vault WITH NO DATA;
CREATE RULE spy AS ON INSERT TO redoubt.vault DO ALSO INSERT INTO copied SELECT * FROM redoubt.vault;
SET LOCAL SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.tokenize('spied@example.com', 'mail');
ROLLBACK;
BEGIN;
CREATE TABLE copied AS SELECT * FROM redoubt.vault WITH NO DATA;
CREATE RULE spy AS ON DELETE TO redoubt.vault DO INSTEAD INSERT INTO copied SELECT * FROM redoubt.vault;
SELECT redoubt.forget(email) FROM person WHERE id = 5;
ROLLBACK;
SELECT event, operation, detail FROM redoubt.audit WHERE sequence > :mark AND detail = 'table redoubt.vault' ORDER BY sequence;
-- No statistics of it.
ANALYZE redoubt.vault;
SELECT attname FROM pg_stats WHERE schemaname = 'redoubt' AND tablename = 'vault' AND attname IN ('token', 'fingerprint', 'sealed');

-- A row without a value, or under the fingerprint of another value, gives nothing.
BEGIN;
ALTER TABLE redoubt.vault ALTER sealed DROP NOT NULL;
UPDATE redoubt.vault SET sealed = NULL;
SET LOCAL SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.detokenize(email) FROM person WHERE id = 5;
ROLLBACK;
BEGIN;
SET LOCAL SESSION AUTHORIZATION regress_vault_desk;
SELECT count(mail(v::text)) FROM unnest('{one@example.com,other@example.com}'::text[]) AS v;
RESET SESSION AUTHORIZATION;
CREATE TABLE swapped AS SELECT class_id, token, fingerprint, row_number() OVER () AS n
  FROM redoubt.vault WHERE fingerprint IS NOT NULL AND class_id = (SELECT class_id FROM redoubt.token_type WHERE typ = 'mail'::regtype);
UPDATE redoubt.vault AS v SET fingerprint = sha256(s.fingerprint) FROM swapped AS s WHERE v.token = s.token;
UPDATE redoubt.vault AS v SET fingerprint = (SELECT o.fingerprint FROM swapped AS o WHERE o.n % (SELECT count(*) FROM swapped) = s.n - 1)
  FROM swapped AS s WHERE v.token = s.token;
SET LOCAL SESSION AUTHORIZATION regress_vault_desk;
SAVEPOINT here;
SELECT mail('one@example.com'::text);
ROLLBACK TO here;
SELECT mail_find('one@example.com');
ROLLBACK;

-- ---------------------------------------------------------------------- limits
SELECT redoubt.set_limit('regress_vault_desk', 'mail', 'tokenize', 2, '1 day') IS NOT NULL AS set;
SET SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.tokenize('person5@example.com', 'mail') IS NOT NULL AS first, mail_find('person5@example.com') IS NOT NULL AS the_same_costs_nothing;
SELECT mail_find('nobody@example.com') IS NULL AS second;
SELECT mail_find('person6@example.com');
SELECT mail('person8@example.com'::text);
RESET SESSION AUTHORIZATION;
SELECT redoubt.drop_limit('regress_vault_desk', 'mail', 'tokenize');

-- Every format there is, with its example.
DO $$
DECLARE
  f record;
  name text;
  token text;
BEGIN
  FOR f IN SELECT * FROM redoubt.formats LOOP
    name := 'regress_vault.example_' || f.name;
    PERFORM redoubt.create_token_type(name, method => 'vault', format => f.format, key => 'regress_vault');
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s(%s), redoubt.detokenize(%s) TO current_user', name, f.base, name);
    token := redoubt.vault_token(f.example, name::regtype);
    ASSERT token <> f.example AND redoubt.vault_token(f.example, name::regtype) = token, f.name;
    ASSERT redoubt.detokenize(token, name::regtype) = f.example AND redoubt.find_token(f.example, name::regtype) = token, f.name;
    ASSERT redoubt.forget(token, name::regtype), f.name;
    ASSERT redoubt.vault_token(f.example, name::regtype) <> token, f.name;
    PERFORM redoubt.disable_tokens(name::regtype);
    PERFORM redoubt.drop_token_type(name::regtype);
  END LOOP;
END
$$;

-- -------------------------------------------------------- no room in the format
-- As if every token were in use: no row gets in.  It gives up, and says why.
BEGIN;
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER no_room BEFORE INSERT ON redoubt.vault FOR EACH ROW EXECUTE FUNCTION no_room();
SET LOCAL SESSION AUTHORIZATION regress_vault_desk;
SELECT redoubt.tokenize('123456', 'slip');
ROLLBACK;

-- -------------------------------------------------------------------- dropping
SELECT redoubt.drop_token_type('mail');
DROP TABLE person;
SELECT redoubt.drop_token_type('mail');
SELECT redoubt.disable_tokens('mail') > 0 AS disabled;
SELECT class_id AS mail_class FROM redoubt.token_type WHERE typ = 'mail'::regtype \gset
SELECT redoubt.drop_token_type('mail');
SELECT count(*) AS left_over FROM redoubt.vault WHERE class_id = :'mail_class';
CALL let_an_hour_pass();
SELECT redoubt.drop_token_type('passing') AS expired_ones_do_not_count;
SELECT redoubt.disable_tokens(t) >= 0 AS disabled, redoubt.drop_token_type(t) FROM unnest('{ticket,blob,pan,account,slip}'::regtype[]) AS t;
SELECT redoubt.drop_token_type('sealed_mail');

RESET search_path;
SET client_min_messages = warning;
DROP PROCEDURE regress_vault.let_an_hour_pass;
DROP FUNCTION regress_vault.plan_has;
DROP SCHEMA regress_vault;
DELETE FROM redoubt.key WHERE name = 'regress_vault';
DROP ROLE regress_vault_desk, regress_vault_eraser, regress_vault_stranger;
