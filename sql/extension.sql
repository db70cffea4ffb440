--
-- Commands around the extension: DROP EXTENSION while columns hold tokens or are labelled, and functions of its library made by hand.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE ROLE regress_extension_owner;
CREATE SCHEMA extension_s AUTHORIZATION regress_extension_owner;
CREATE TABLE extension_s.person (id integer, email redoubt.email_token, "Other Mail" redoubt.email_token[]);
CREATE TYPE extension_s.pair AS (a redoubt.phone_token, b integer);
CREATE TABLE extension_s.pairs (p extension_s.pair);
CREATE VIEW extension_s.seen AS SELECT email FROM extension_s.person;

DROP EXTENSION redoubt;
DROP EXTENSION redoubt CASCADE;
DROP EXTENSION IF EXISTS plpgsql_none, redoubt CASCADE;
DROP SCHEMA redoubt CASCADE;
ALTER SCHEMA redoubt RENAME TO extension_s2;
SELECT count(*) FROM pg_extension WHERE extname = 'redoubt';
DROP EXTENSION IF EXISTS plpgsql_none;

-- Not for who may not drop it anyway, and no more than the dropping is refused.
SET ROLE regress_extension_owner;
DROP EXTENSION redoubt;
CREATE TYPE extension_s.made;
CREATE FUNCTION extension_s.made_in(cstring, oid, integer) RETURNS extension_s.made AS '$libdir/redoubt', 'redoubt_token_in' LANGUAGE c;
CREATE FUNCTION extension_s.plain() RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION extension_s.other() RETURNS integer AS '$libdir/other', 'f' LANGUAGE c;
RESET ROLE;

DROP TABLE extension_s.pairs;
ALTER TABLE extension_s.person DROP COLUMN "Other Mail", DROP COLUMN email CASCADE;

-- Nor while a label names a token type: its table could not be read any more, nor the label taken away.
CREATE TABLE extension_s.labelled (id integer, mail text);
CREATE DOMAIN extension_s.note AS text;
CREATE FUNCTION extension_s.trusted(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
SECURITY LABEL FOR redoubt ON COLUMN extension_s.labelled.mail IS 'email_token';
SECURITY LABEL FOR redoubt ON DOMAIN extension_s.note IS 'token';
SECURITY LABEL FOR redoubt ON FUNCTION extension_s.trusted(text) IS 'trusted';
DROP EXTENSION redoubt;
DROP EXTENSION redoubt CASCADE;

-- A label that names no token type closes its table, and can be taken away, also beside another one.
SECURITY LABEL FOR redoubt ON COLUMN extension_s.labelled.id IS 'phone_token';
UPDATE pg_seclabel SET label = 'none' WHERE provider = 'redoubt' AND objoid = 'extension_s.labelled'::regclass;
SELECT mail FROM extension_s.labelled;
SECURITY LABEL FOR redoubt ON COLUMN extension_s.labelled.id IS NULL;
SELECT id FROM extension_s.labelled;
SELECT format('SECURITY LABEL FOR redoubt ON %s %s IS NULL', objtype, objname) FROM pg_seclabels
WHERE provider = 'redoubt' AND objtype <> 'function' AND objname LIKE 'extension_s.%' ORDER BY 1 \gexec
SELECT id FROM extension_s.labelled;
BEGIN;
DROP EXTENSION redoubt CASCADE;
SELECT count(*) FROM pg_extension WHERE extname = 'redoubt';
ROLLBACK;
SELECT count(*) FROM pg_extension WHERE extname = 'redoubt';

DROP SCHEMA extension_s CASCADE;
DROP ROLE regress_extension_owner;
