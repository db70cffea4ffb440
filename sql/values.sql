/*
 * Values come in and go back as they are.
 *
 * Proves: a token gives back what was typed, and equals every other spelling of the same value; what the normaliser
 * cannot read is kept as typed, equal to itself, unless the type refuses it; an empty text needs no privilege and costs
 * nothing; a mask shows a part of what the normaliser has read and nothing of what it has not.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
\set SHOW_CONTEXT never
\set VERBOSITY terse
CREATE ROLE regress_values_app;
CREATE ROLE regress_values_clerk;
CREATE SCHEMA regress_values AUTHORIZATION regress_values_app;
GRANT USAGE ON SCHEMA regress_values TO regress_values_clerk;
SELECT redoubt.create_token_type('regress_values.code', pattern => '^[A-Z]{2}[0-9]+$', "normalize" => 'upper');
SELECT redoubt.create_token_type('regress_values.loose_code', pattern => '^[A-Z]{2}[0-9]+$', "normalize" => 'upper', mask => 'keep_first(2)', invalid => 'keep');
SELECT redoubt.create_token_type('regress_values.strict', "normalize" => 'email', invalid => 'refuse');
SELECT redoubt.create_token_type('regress_values.random_mail', "normalize" => 'email', mask => 'email', deterministic => false);
SELECT redoubt.create_token_type('regress_values.vaulted_mail', "normalize" => 'email', mask => 'email', method => 'vault');
SELECT token_type, invalid FROM redoubt.token_types
WHERE token_type::text ~ '^(redoubt|regress_values)\.' ORDER BY token_type::text COLLATE "C";
GRANT EXECUTE ON FUNCTION
  redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token),
  redoubt.phone_token(text), redoubt.detokenize(redoubt.phone_token), redoubt.mask(redoubt.phone_token),
  redoubt.name_token(text), redoubt.detokenize(redoubt.name_token), redoubt.mask(redoubt.name_token),
  redoubt.text_token(text), redoubt.detokenize(redoubt.text_token),
  regress_values.code(text), redoubt.detokenize(regress_values.code),
  regress_values.loose_code(text), redoubt.detokenize(regress_values.loose_code), redoubt.mask(regress_values.loose_code),
  regress_values.strict(text),
  regress_values.random_mail(text), redoubt.detokenize(regress_values.random_mail), redoubt.mask(regress_values.random_mail),
  regress_values.vaulted_mail(text), redoubt.detokenize(regress_values.vaulted_mail), redoubt.mask(regress_values.vaulted_mail) TO regress_values_app;
SET ROLE regress_values_app;
SET search_path = regress_values, redoubt;

-- ------------------------------------------------------------- as it was typed
CREATE TABLE person (id int PRIMARY KEY, phone phone_token, name name_token, mail email_token);
INSERT INTO person VALUES
  (1, '+18195550175', 'Ann Lee', 'ann@example.com'),
  (2, '(819) 555-0175', '  Ann   Lee ', 'ann@EXAMPLE.com'),
  (3, '819.555.0175', E'Ann\tLee', ' ann@example.com'),
  (4, 'ask for Zed, x12', 'Bob', 'ann@@example.com'),
  (5, '', '', ''),
  (6, NULL, NULL, NULL);
SELECT id, '[' || detokenize(phone) || ']' AS phone, '[' || detokenize(name) || ']' AS name, '[' || detokenize(mail) || ']' AS mail FROM person ORDER BY id;
SELECT id, '[' || mask(phone) || ']' AS phone, '[' || mask(name) || ']' AS name, '[' || mask(mail) || ']' AS mail FROM person ORDER BY id;
SET redoubt.reveal = 'plain';
SELECT phone, mail FROM person ORDER BY id;
RESET redoubt.reveal;

-- Equal by the normal form: comparison, hash, order, index, unique.
SELECT count(*) FROM person WHERE phone = '819-555-0175';
SELECT count(*) FROM person AS a JOIN person AS b ON a.mail = b.mail;
SELECT count(DISTINCT phone) AS phones, count(DISTINCT name) AS names, count(DISTINCT mail) AS mails FROM person;
SELECT count(*) FROM (SELECT name FROM person GROUP BY name) AS g;
SELECT count(*) FROM (SELECT mail FROM person WHERE id < 3 EXCEPT SELECT mail FROM person WHERE id = 3) AS e;
CREATE UNIQUE INDEX person_once ON person (mail) WHERE id IN (1, 4, 5, 6);
SET enable_seqscan = off;
SELECT id FROM person WHERE mail = 'ANN@example.com'::email_token AND id IN (1, 4, 5, 6);
SELECT id FROM person WHERE mail = ' ann@Example.com' AND id IN (1, 4, 5, 6);
RESET enable_seqscan;
\set VERBOSITY sqlstate
INSERT INTO person VALUES (1, NULL, NULL, ' ann@EXAMPLE.com');
UPDATE person SET mail = ' ann@Example.com ' WHERE id = 4;
\set VERBOSITY terse
-- What cannot be read is equal to itself alone; letters and blanks count.
SELECT count(*) FILTER (WHERE phone = 'ask for Zed, x12') AS same, count(*) FILTER (WHERE phone = 'Ask for Zed, x12') AS other_case,
       count(*) FILTER (WHERE phone = 'ask for Zed, x12 ') AS a_blank FROM person;
-- A half-typed address in a search box: no row, no error; the empty text: that row.
SELECT count(*) FILTER (WHERE mail = 'ann@') AS half, count(*) FILTER (WHERE mail = '') AS empty, count(*) FILTER (WHERE mail <> '') AS filled FROM person;
SELECT id, mail = coalesce(mail, '') AS itself, coalesce(mail, '') = '' AS empty FROM person ORDER BY id;
-- What is read is written: a whole row again, as it came.
SET redoubt.reveal = 'plain';
SELECT phone, name, mail FROM person WHERE id = 2 \gset
RESET redoubt.reveal;
UPDATE person SET phone = :'phone', name = :'name', mail = :'mail' WHERE id = 2;
SELECT '[' || detokenize(phone) || ']' AS phone, '[' || detokenize(name) || ']' AS name, detokenize(mail) AS mail FROM person WHERE id = 2;
-- One spelling, one token; tokens of different spellings differ in size and equal each other.
SELECT redoubt.token(a) = redoubt.token(b) AS same_text, a = c AS equal, redoubt.token(a) = redoubt.token(c) AS differs, (token_info(c)).form
FROM (SELECT 'Ann@EXAMPLE.com'::email_token AS a, 'Ann@EXAMPLE.com'::email_token AS b, 'Ann@example.com'::email_token AS c) AS t;
-- A token that is kept as a text holds the normal form, so that equal values are equal texts.
SELECT tokenize('Ann@EXAMPLE.com', 'email_token') = tokenize(' Ann@example.com', 'email_token') AS equal_texts,
       detokenize(tokenize(' Ann@EXAMPLE.com', 'email_token'), 'email_token') AS value,
       (tokenize(ARRAY['Ann@EXAMPLE.com'], 'email_token'))[1] = tokenize('Ann@example.com', 'email_token') AS arrays;
SELECT detokenize(email_token(ARRAY['Ann@EXAMPLE.com', '', 'no address', NULL])) AS as_typed, mask(email_token(ARRAY['Ann@EXAMPLE.com', '', 'no address', NULL])) AS masked;
-- Tokens of the format of before, which held normal forms alone, are those of values typed so.
SELECT (token_info('ann@example.com'::email_token)).bytes AS normal, (token_info('Ann@EXAMPLE.com'::email_token)).bytes AS typed;

-- A randomised type holds the spelling; a vaulted one has one value for all spellings.
CREATE TABLE others (id int, random random_mail, vaulted vaulted_mail);
INSERT INTO others VALUES (1, 'Ann@EXAMPLE.com'::text, 'Ann@EXAMPLE.com'::text), (2, 'n/a'::text, 'n/a'::text);
SELECT id, detokenize(random) AS random, mask(random) AS masked, detokenize(vaulted) AS vaulted, mask(vaulted) AS vaulted_masked FROM others ORDER BY id;

-- ------------------------------------------------------------- types that refuse
INSERT INTO person VALUES (7, 'x', 'y', 'a•••@example.com');
SELECT 'de1'::code, 'no code'::code;
SELECT detokenize('de1'::code) AS as_typed, 'de1'::code = 'DE1'::code AS equal;
SELECT detokenize('no code'::loose_code) AS kept, mask('no code'::loose_code) AS masked, 'no code'::loose_code = 'NO CODE'::loose_code AS equal;
SELECT 'half'::strict;
SELECT ''::strict;
RESET ROLE;
SELECT redoubt.create_token_type('regress_values.wrong', invalid => 'drop');
SELECT redoubt.create_token_type('regress_values.wrong', format => 'digits(6,9)', method => 'fpe', invalid => 'keep');
SELECT redoubt.create_token_type('regress_values.wrong', base => 'bytea', invalid => 'keep');
SET ROLE regress_values_app;

-- ------------------------------------------------------------- asked beforehand
SELECT type, value, check_value(value, ('redoubt.' || type)::regtype)
FROM (VALUES ('email_token', 'ann@example.com'), ('email_token', 'ann@'), ('email_token', 'a nn@example.com'), ('email_token', ''),
             ('phone_token', '(819) 555-0175'), ('phone_token', 'ask for Zed'), ('name_token', E'A\x01'), ('text_token', ''),
             ('email_token', 'a•@example.com'), ('email_token', 'tok_x'), ('email_token', NULL)) AS t(type, value);
SELECT check_value('DE1', 'code') AS fits, check_value('de 1', 'code') AS misfits, check_value(redoubt.token('ann@example.com'::email_token), 'email_token') AS token;
SELECT check_value('x', 'bytes_token');
SELECT check_value('x', 'text');

-- ------------------------------------------------------------- '' needs no privilege
RESET ROLE;
GRANT SELECT, INSERT, UPDATE ON regress_values.person, regress_values.others TO regress_values_clerk;
SELECT redoubt.set_limit('regress_values_clerk', 'redoubt.email_token', 'tokenize', 1, '1 day') IS NOT NULL AS set;
SET ROLE regress_values_clerk;
INSERT INTO regress_values.person VALUES (8, '', '', '');
UPDATE regress_values.person SET phone = '' WHERE id = 4;
SELECT count(*) FROM regress_values.person WHERE mail = '';
SELECT cardinality(redoubt.email_token(ARRAY['', '', NULL])) AS empty_array;
\set VERBOSITY sqlstate
INSERT INTO regress_values.person VALUES (9, ' ', '', '');
SELECT redoubt.email_token(ARRAY['', 'x']);
SELECT redoubt.tokenize('', 'redoubt.email_token');
INSERT INTO regress_values.others VALUES (3, NULL, ''::text);
\set VERBOSITY terse
RESET ROLE;
SELECT operation, charged FROM redoubt.usage WHERE role = 'regress_values_clerk'::regrole AND operation = 'tokenize';

-- Addresses that are equal in either case, and in all spellings of a domain; what was typed comes back.
SELECT redoubt.create_token_type('regress_values.folded', "normalize" => 'email(case=folded)', mask => 'email');
GRANT EXECUTE ON FUNCTION regress_values.folded(text), redoubt.detokenize(regress_values.folded), redoubt.mask(regress_values.folded) TO CURRENT_USER;
SELECT count(DISTINCT f::regress_values.folded) AS one, string_agg(redoubt.detokenize(f::regress_values.folded), ' ' ORDER BY n) AS typed, min(redoubt.mask(f::regress_values.folded)) AS mask
FROM (VALUES (1, 'Jo@Müller.example'), (2, 'JO@xn--mller-kva.EXAMPLE'), (3, 'jo@MÜLLER。example')) AS v(n, f);
SELECT 'STRASSE@x.de'::regress_values.folded = 'straße@X.de'::regress_values.folded AS full_folding, 'ΣΊΣΥΦΟΣ@x.gr'::regress_values.folded = 'σίσυφος@x.gr'::regress_values.folded AS sigma,
  'a@x.de'::regress_values.folded = 'b@x.de'::regress_values.folded AS other;
SELECT redoubt.drop_token_type('regress_values.folded');

-- ----------------------------------------------------------------- ends
RESET search_path;
SET client_min_messages = warning;
SELECT redoubt.drop_limit('regress_values_clerk', 'redoubt.email_token', 'tokenize') AS dropped;
DROP TABLE regress_values.person, regress_values.others;
SELECT redoubt.disable_tokens('regress_values.vaulted_mail') > 0 AS disabled;
SELECT redoubt.drop_token_type(('regress_values.' || t)::regtype)
FROM unnest(ARRAY['code', 'loose_code', 'strict', 'random_mail', 'vaulted_mail']) AS t;
DROP SCHEMA regress_values CASCADE;
DROP OWNED BY regress_values_app, regress_values_clerk;
DROP ROLE regress_values_app, regress_values_clerk;
