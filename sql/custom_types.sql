/*
 * Token types of one's own: create_token_type() and drop_token_type().
 *
 * Proves: a type made with a pattern, a normaliser and a mask behaves as the
 * shipped ones do; it comes with nobody's privileges; bad parameters are refused
 * with their SQLSTATE and leave nothing behind; a member of redoubt_admin who is
 * no superuser can make and drop one, a stranger cannot; a used type stays.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
\set SHOW_CONTEXT never
CREATE ROLE regress_custom_admin IN ROLE redoubt_admin;
CREATE ROLE regress_custom_app;
CREATE ROLE regress_custom_stranger;
CREATE SCHEMA regress_custom;
GRANT USAGE, CREATE ON SCHEMA regress_custom TO regress_custom_app;
GRANT USAGE ON SCHEMA regress_custom TO regress_custom_admin;

-- ------------------------------------------------- the ticket number of issue and manual
SET ROLE regress_custom_admin;
SELECT redoubt.create_token_type('ticket_token', base => 'text', pattern => '^TM-[0-9]{7}$', "normalize" => 'upper', mask => 'keep_last(3)',
                                 deterministic => true, key => 'default');
RESET ROLE;
-- In schema redoubt, and found without naming it under the default search_path.
SELECT typnamespace::regnamespace AS schema, typname FROM pg_type WHERE oid = 'ticket_token'::regtype;
SELECT token_type, method, base, pattern, normalize, mask, deterministic, key, shipped FROM redoubt.token_types WHERE token_type = 'redoubt.ticket_token'::regtype;
SELECT obj_description('redoubt.ticket_token'::regtype, 'pg_type') IS NOT NULL AS comment,
       obj_description('redoubt.detokenize(redoubt.ticket_token)'::regprocedure, 'pg_proc') IS NOT NULL AS comment_of_function;
-- Nobody may tokenize or reveal yet, the maker and the owner included; a superuser neither.
SELECT p.oid::regprocedure AS function, cardinality(p.proacl) AS grants FROM pg_proc AS p
WHERE p.oid IN ('redoubt.ticket_token(text)'::regprocedure, 'redoubt.detokenize(redoubt.ticket_token)'::regprocedure, 'redoubt.mask(redoubt.ticket_token)'::regprocedure)
ORDER BY p.proname COLLATE "C";
\set VERBOSITY sqlstate
SELECT 'TM-0000001'::ticket_token;
SELECT 'TM-0000001'::text::ticket_token;
SET ROLE regress_custom_admin;
SELECT 'TM-0000001'::ticket_token;
SELECT redoubt.ticket_token('TM-0000001'::text);
RESET ROLE;
\set VERBOSITY default

GRANT EXECUTE ON FUNCTION redoubt.ticket_token(text), redoubt.detokenize(redoubt.ticket_token), redoubt.mask(redoubt.ticket_token) TO regress_custom_app;
SET ROLE regress_custom_app;
CREATE TABLE regress_custom.ticket (id int, number ticket_token UNIQUE);
INSERT INTO regress_custom.ticket VALUES (1, 'TM-0000001'), (2, ' tm-0000002 '), (3, 'Tm-0000003'::varchar);
SELECT id, redoubt.detokenize(number), redoubt.mask(number) FROM regress_custom.ticket ORDER BY id;
SET enable_seqscan = off;
SELECT id FROM regress_custom.ticket WHERE number = 'tm-0000003';
SELECT id FROM regress_custom.ticket WHERE number = 'tm-0000003'::text;
RESET enable_seqscan;
SELECT count(*) FROM regress_custom.ticket AS a JOIN regress_custom.ticket AS b USING (number);
SELECT (redoubt.token_info(number)).type, (redoubt.token_info(number)).key, (redoubt.token_info(number)).form FROM regress_custom.ticket WHERE id = 1;
SET redoubt.reveal = 'masked';
SELECT number FROM regress_custom.ticket ORDER BY id;
SET redoubt.reveal = 'auto';
SELECT number FROM regress_custom.ticket ORDER BY id;
RESET redoubt.reveal;
-- What the pattern does not allow; the message has the type, not the value.
INSERT INTO regress_custom.ticket VALUES (4, 'TM-00000011');
\set VERBOSITY terse
INSERT INTO regress_custom.ticket VALUES (4, 'TM-000001');
INSERT INTO regress_custom.ticket VALUES (4, 'xTM-0000001'::text);
INSERT INTO regress_custom.ticket VALUES (4, E'TM-0000001\nTM-0000002');
INSERT INTO regress_custom.ticket VALUES (4, '');
INSERT INTO regress_custom.ticket VALUES (4, 'TM-•001');
\set VERBOSITY sqlstate
INSERT INTO regress_custom.ticket VALUES (4, 'TM-000001');
INSERT INTO regress_custom.ticket VALUES (4, 'TM-0000001');
\set VERBOSITY default
RESET ROLE;

-- ------------------------------------------------------------- other schemas and forms
SET ROLE regress_custom_admin;
SELECT redoubt.create_token_type('public.regress_custom_public');
SELECT redoubt.create_token_type('regress_custom."Größe x"', mask => 'keep_first(1)', "normalize" => 'trim');
SELECT redoubt.create_token_type('regress_custom_random', deterministic => false);
SELECT redoubt.create_token_type('regress_custom_bytes', base => 'bytea');
SELECT redoubt.create_token_type('regress_custom_phone', "normalize" => 'phone(GB)', mask => 'phone');
SELECT redoubt.create_token_type('Regress_Custom_FOLDED');
RESET ROLE;
GRANT EXECUTE ON FUNCTION public.regress_custom_public(text), redoubt.detokenize(public.regress_custom_public),
  regress_custom."Größe x"(text), redoubt.detokenize(regress_custom."Größe x"), redoubt.mask(regress_custom."Größe x"),
  redoubt.regress_custom_random(text), redoubt.detokenize(redoubt.regress_custom_random), redoubt.mask(redoubt.regress_custom_random),
  redoubt.regress_custom_bytes(bytea), redoubt.detokenize(redoubt.regress_custom_bytes), redoubt.mask(redoubt.regress_custom_bytes),
  redoubt.regress_custom_phone(text), redoubt.detokenize(redoubt.regress_custom_phone), redoubt.mask(redoubt.regress_custom_phone)
TO regress_custom_app;
SELECT token_type, base, pattern, normalize, mask, deterministic FROM redoubt.token_types WHERE NOT shipped AND token_type::text ~ 'custom|ticket' ORDER BY token_type::text COLLATE "C";
SET ROLE regress_custom_app;
SELECT redoubt.detokenize('x y'::regress_custom_public) AS public, redoubt.detokenize(' abcd '::regress_custom."Größe x") AS quoted,
       redoubt.mask('abcd'::regress_custom."Größe x") AS mask, redoubt.detokenize('7'::regress_custom_random) AS random,
       redoubt.detokenize('\x0102'::regress_custom_bytes) AS bytes, redoubt.mask('\x0102'::regress_custom_bytes) AS masked_bytes,
       redoubt.detokenize('020 7946 0958'::regress_custom_phone) AS phone;
SELECT count(*) AS differ FROM (SELECT redoubt.token('v'::text::regress_custom_random) FROM generate_series(1, 3) UNION SELECT redoubt.token('v'::regress_custom_random)) AS t;
-- A plaintext under two types gives unlinkable tokens.
SELECT substr(redoubt.token('v'::regress_custom_public), 5, 27) <> substr(redoubt.token('v'::regress_custom."Größe x"), 5, 27) AS unlinkable;
-- A new type keeps the table of its normaliser; the spellings of one number are equal, whatever is dialled before it.
SELECT count(*) AS spellings, count(DISTINCT typed::regress_custom_phone) AS numbers, min(redoubt.mask(typed::regress_custom_phone)) AS mask
  FROM (VALUES ('020 7946 0958'), ('442079460958'), ('tel:+44-20-7946-0958'), ('+44 (0)20 7946 0958'), ('0044 20 7946 0958')) AS v(typed);
SELECT count(*) AS spellings, count(DISTINCT typed::regress_custom_phone) AS numbers
  FROM (VALUES ('020 7946 0958 #12'), ('442079460958, ext. 12'), ('+442079460958;ext=12'), ('(020) 7946-0958 x12')) AS v(typed);
SELECT typed, redoubt.check_value(typed, 'regress_custom_phone')
  FROM (VALUES ('442079460958'), ('020 7946 09581'), ('0800 FLOWERS'), ('+44 00 20 7946 0958'), ('+210 1234567')) AS v(typed);
RESET ROLE;

-- --------------------------------------------------------------- bad parameters
\set VERBOSITY sqlstate
SELECT count(*) AS types FROM redoubt.token_type \gset before_
SELECT count(*) AS objects FROM pg_depend \gset before_
SELECT redoubt.create_token_type('redoubt.email_token');
SELECT redoubt.create_token_type('ticket_token');
SELECT redoubt.create_token_type('');
SELECT redoubt.create_token_type('a.b.c');
SELECT redoubt.create_token_type('no such schema.x');
SELECT redoubt.create_token_type('regress_nowhere.x');
SELECT redoubt.create_token_type('pg_catalog.x');
SELECT redoubt.create_token_type('information_schema.x');
SELECT redoubt.create_token_type('pg_temp.x');
SELECT redoubt.create_token_type('"' || repeat('x', 49) || '"');
SELECT redoubt.create_token_type('x', base => 'integer');
SELECT redoubt.create_token_type('x', base => '');
SELECT redoubt.create_token_type('x', "normalize" => 'email,lower');
SELECT redoubt.create_token_type('x', "normalize" => '');
SELECT redoubt.create_token_type('x', "normalize" => 'phone');
SELECT redoubt.create_token_type('x', "normalize" => 'phone(XX)');
SELECT redoubt.create_token_type('x', "normalize" => 'phone(GB,table=2)');
SELECT redoubt.create_token_type('x', mask => 'keep_last(65)');
SELECT redoubt.create_token_type('x', mask => 'keep_last(-1)');
SELECT redoubt.create_token_type('x', mask => 'none');
SELECT redoubt.create_token_type('x', pattern => '[');
SELECT redoubt.create_token_type('x', pattern => '(a');
SELECT redoubt.create_token_type('x', base => 'bytea', pattern => '^a');
SELECT redoubt.create_token_type('x', base => 'bytea', mask => 'name');
SELECT redoubt.create_token_type('x', base => 'bytea', "normalize" => 'trim');
SELECT redoubt.create_token_type(NULL);
SELECT redoubt.create_token_type('x', base => NULL);
SELECT redoubt.create_token_type('x', mask => NULL);
SELECT redoubt.create_token_type('x', "normalize" => NULL);
SELECT redoubt.create_token_type('x', deterministic => NULL);
SELECT redoubt.create_token_type('x', key => NULL);
SELECT redoubt.create_token_type('x', key => '');
SELECT redoubt.create_token_type('x', key => 'regress_no_such_key');
-- The longest name there may be.
SELECT redoubt.create_token_type('"' || repeat('x', 48) || '"') IS NOT NULL AS longest;
SELECT redoubt.drop_token_type(('redoubt.' || repeat('x', 48))::regtype);
SELECT count(*) - :before_types AS types_left FROM redoubt.token_type;
SELECT count(*) - :before_objects AS objects_left FROM pg_depend;
\set VERBOSITY default
-- Hints.
SELECT redoubt.create_token_type('x', "normalize" => 'E-Mail');
SELECT redoubt.create_token_type('x', mask => 'keep');
SELECT redoubt.create_token_type('x', base => 'integer');
-- Names that would be SQL: quoted, or refused.
SELECT redoubt.create_token_type('"x(cstring); DROP TABLE redoubt.key; --"') IS NOT NULL AS quoted;
SELECT redoubt.drop_token_type('redoubt."x(cstring); DROP TABLE redoubt.key; --"'::regtype);
SELECT count(*) >= 0 AS key_is_there FROM redoubt.key;

-- ------------------------------------------------------------------- who may
SET ROLE regress_custom_stranger;
SELECT redoubt.create_token_type('x');
SELECT redoubt.drop_token_type('redoubt.ticket_token');
RESET ROLE;
-- A member of redoubt_admin makes types in schemas that the session may create in, and in no others.
SET SESSION AUTHORIZATION regress_custom_admin;
\set VERBOSITY sqlstate
SELECT redoubt.create_token_type('regress_custom.elsewhere_token');
\set VERBOSITY default
RESET SESSION AUTHORIZATION;
-- A member of redoubt_admin makes the type, the extension's owner owns it: so no maker can change its functions or grant itself.
SELECT p.oid::regprocedure AS function, p.proowner = (SELECT extowner FROM pg_extension WHERE extname = 'redoubt') AS owned
FROM pg_proc AS p WHERE p.oid IN ('redoubt.detokenize(redoubt.ticket_token)'::regprocedure, 'redoubt.ticket_token(text)'::regprocedure) ORDER BY p.proname COLLATE "C";
SET ROLE regress_custom_admin;
\set VERBOSITY sqlstate
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.ticket_token) TO regress_custom_admin;
ALTER FUNCTION redoubt.detokenize(redoubt.ticket_token) OWNER TO regress_custom_admin;
ALTER TYPE redoubt.ticket_token OWNER TO regress_custom_admin;
DROP TYPE redoubt.ticket_token CASCADE;
CREATE CAST (ticket_token AS text) WITH INOUT AS IMPLICIT;
UPDATE redoubt.token_type SET mask = 'keep_last(64)';
\set VERBOSITY default
RESET ROLE;

-- ------------------------------------------------------------------- dropping
\set VERBOSITY terse
SELECT redoubt.drop_token_type('redoubt.email_token');
SELECT redoubt.drop_token_type('integer');
\set VERBOSITY default
-- Used by a column, a column of an array, a domain, a function, a view, a composite: each keeps it.
SELECT redoubt.drop_token_type('redoubt.ticket_token');
CREATE DOMAIN regress_custom.d AS regress_custom."Größe x";
SELECT redoubt.drop_token_type('regress_custom."Größe x"');
DROP DOMAIN regress_custom.d;
CREATE FUNCTION regress_custom.f(regress_custom."Größe x") RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT redoubt.drop_token_type('regress_custom."Größe x"');
DROP FUNCTION regress_custom.f;
CREATE TYPE regress_custom.c AS (list regress_custom."Größe x"[]);
SELECT redoubt.drop_token_type('regress_custom."Größe x"');
DROP TYPE regress_custom.c;
CREATE VIEW regress_custom.v AS SELECT redoubt.detokenize(NULL::regress_custom."Größe x") AS plain;
SELECT redoubt.drop_token_type('regress_custom."Größe x"');
DROP VIEW regress_custom.v;
CREATE VIEW regress_custom.v AS SELECT regress_custom."Größe x"('a'::text) OPERATOR(regress_custom.=) regress_custom."Größe x"('b'::text) AS equal;
SELECT redoubt.drop_token_type('regress_custom."Größe x"');
DROP VIEW regress_custom.v;
-- What uses only a function or an operator of the type.
CREATE TABLE regress_custom.t (i text CHECK (redoubt.detokenize(regress_custom."Größe x"(i)) <> ''));
SELECT redoubt.drop_token_type('regress_custom."Größe x"');
DROP TABLE regress_custom.t;
CREATE OPERATOR CLASS regress_custom.own FOR TYPE regress_custom."Größe x" USING btree AS
  OPERATOR 3 regress_custom.=, FUNCTION 1 regress_custom."Größe x_cmp"(regress_custom."Größe x", regress_custom."Größe x");
SELECT redoubt.drop_token_type('regress_custom."Größe x"');
DROP OPERATOR CLASS regress_custom.own USING btree;
DROP OPERATOR FAMILY regress_custom.own USING btree;
-- A refused drop has left everything: the type still works.
SET ROLE regress_custom_app;
SELECT id FROM (SELECT 1 AS id, 'v'::regress_custom."Größe x" AS v) AS t WHERE v = 'v'::text;
RESET ROLE;
SELECT mask FROM redoubt.token_types WHERE token_type = 'regress_custom."Größe x"'::regtype;

CREATE TABLE regress_custom.kept AS SELECT number::text AS old FROM regress_custom.ticket;
SECURITY LABEL FOR redoubt ON COLUMN regress_custom.kept.old IS NULL;  -- the label that followed the values
DROP TABLE regress_custom.ticket;
SELECT count(*) AS types FROM redoubt.token_type \gset before_
SET ROLE regress_custom_admin;
SELECT redoubt.drop_token_type('redoubt.ticket_token');
SELECT redoubt.drop_token_type('regress_custom."Größe x"');
SELECT redoubt.drop_token_type('public.regress_custom_public');
SELECT redoubt.drop_token_type('redoubt.regress_custom_random');
SELECT redoubt.drop_token_type('redoubt.regress_custom_bytes');
SELECT redoubt.drop_token_type('redoubt.regress_custom_phone');
SELECT redoubt.drop_token_type('redoubt.regress_custom_folded');
RESET ROLE;
-- Nothing is left: no function, no operator class, no row.
SELECT count(*) - :before_types AS types FROM redoubt.token_type;
SELECT oid::regprocedure FROM pg_proc WHERE proname ~ 'regress_custom|ticket_token|Größe';
SELECT oprname FROM pg_operator WHERE oprleft <> 0 AND NOT EXISTS (SELECT FROM pg_type AS t WHERE t.oid = oprleft);
SELECT opcname FROM pg_opclass WHERE opcname ~ 'regress_custom|ticket_token|Größe' UNION ALL
SELECT opfname FROM pg_opfamily WHERE opfname ~ 'regress_custom|ticket_token|Größe';
-- The name is free again, and the new type of that name is another: an old token is foreign to it.
SELECT redoubt.create_token_type('ticket_token');
GRANT EXECUTE ON FUNCTION redoubt.ticket_token(text), redoubt.detokenize(redoubt.ticket_token) TO regress_custom_app;
GRANT SELECT ON regress_custom.kept TO regress_custom_app;
SET ROLE regress_custom_app;
\set VERBOSITY sqlstate
SELECT redoubt.detokenize(old::ticket_token) FROM regress_custom.kept LIMIT 1;
\set VERBOSITY default
RESET ROLE;
SELECT redoubt.drop_token_type('redoubt.ticket_token');
DROP TABLE regress_custom.kept;

-- ----------------------------------------------------------------- ends
DROP SCHEMA regress_custom;
DROP OWNED BY regress_custom_app, regress_custom_admin;
DROP ROLE regress_custom_app, regress_custom_admin, regress_custom_stranger;
