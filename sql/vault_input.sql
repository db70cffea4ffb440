--
-- Vaulted types take literals and parameters without a type: their tokens are made, or looked for, when the statement
-- runs.  Where nobody plans what becomes of a literal, it is refused; nothing sealed under a backend's key is ever stored.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_vi_app;
CREATE ROLE regress_vi_other;
CREATE SCHEMA vi;
GRANT USAGE, CREATE ON SCHEMA vi TO regress_vi_app, regress_vi_other;
SET search_path = vi, redoubt, public;
SELECT redoubt.create_token_type('vi.mail', method => 'vault', "normalize" => 'email', mask => 'email');
SELECT redoubt.create_token_type('vi.pan', method => 'vault', format => 'card(check=preserve,bin=0,last=4)', mask => 'keep_last(4)');
SELECT redoubt.create_token_type('vi.once', method => 'vault', deterministic => false);
SELECT redoubt.create_token_type('vi.number', method => 'vault', format => 'integer(1000000,9999999999)');
SELECT redoubt.create_token_type('vi.blob', method => 'vault', base => 'bytea');
GRANT EXECUTE ON FUNCTION vi.mail(text), vi.mail(text[]), vi.pan(text), vi.once(text), vi.blob(bytea), redoubt.detokenize(vi.mail), redoubt.detokenize(vi.mail[]), redoubt.detokenize(vi.pan),
  redoubt.detokenize(vi.once), redoubt.detokenize(vi.blob) TO regress_vi_app;
SET ROLE regress_vi_app;
SET redoubt.reveal = 'auto';
CREATE TABLE person (id int PRIMARY KEY, email mail UNIQUE, card pan, emails mail[], note once, photo blob);

-- ---------------------------------------------------------------- written

INSERT INTO person VALUES (1, 'a@example.com', '4111 1111 1111 1111', ARRAY['x@example.com', NULL, 'y@example.com'], 'first', '\x0102');
INSERT INTO person (id, email) VALUES (2, 'b@example.com'), (3, 'c@EXAMPLE.com'), (4, NULL);
INSERT INTO person (id, email) VALUES (5, 'a@example.com') ON CONFLICT (email) DO UPDATE SET card = '5500 0000 0000 0004';
INSERT INTO person (id, email) VALUES (6, CASE WHEN 1 < 2 THEN 'f@example.com'::mail END);
INSERT INTO person (id, email) SELECT 7, 'g@example.com'::mail;
UPDATE person SET email = 'd@example.com', note = 'second' WHERE id = 2;
UPDATE person SET (email, card) = ('e@example.com', '4111 1111 1111 1111') WHERE id = 3;
WITH changed AS (UPDATE person SET emails = ARRAY['z@example.com'::mail, 'x@example.com'] WHERE id = 4 RETURNING id) SELECT * FROM changed;
MERGE INTO person AS p USING (VALUES (8)) AS v(id) ON p.id = v.id WHEN NOT MATCHED THEN INSERT (id, email) VALUES (v.id, 'h@example.com');
SELECT * FROM person ORDER BY id;
-- No value is in the table, and no sealed literal: all are tokens of the vault.
SET redoubt.reveal = 'token';
SELECT count(*) FILTER (WHERE (redoubt.token_info(email)).form = 'vaulted') = count(email) AS tokens, bool_and(card::text LIKE '____ ____ ____ ____') AS cards FROM person;
SET redoubt.reveal = 'auto';

-- ---------------------------------------------------------------- compared

SELECT id FROM person WHERE email = 'd@example.com';
SELECT id FROM person WHERE email IN ('d@example.com', 'e@example.com', 'nobody@example.com') ORDER BY id;
SELECT id FROM person WHERE email <> 'd@example.com' ORDER BY id;
SELECT id FROM person WHERE email IS DISTINCT FROM 'd@example.com' AND id <= 4 ORDER BY id;
SELECT id FROM person WHERE card = '4111 1111 1111 1111' ORDER BY id;
SELECT id FROM person WHERE (email, id) = ('d@example.com', 2);
SELECT id FROM person WHERE emails @> ARRAY['x@example.com'::mail] ORDER BY id;
SELECT id FROM person WHERE 'y@example.com' = ANY (emails);
SELECT id FROM person WHERE photo = '\x0102';
SELECT id, nullif(email, 'd@example.com') FROM person WHERE id <= 2 ORDER BY id;
SELECT id, CASE email WHEN 'd@example.com' THEN 'found' END FROM person WHERE id <= 2 ORDER BY id;
SELECT id FROM person WHERE email = (SELECT 'd@example.com'::mail FROM person LIMIT 1);
DELETE FROM person WHERE email = 'h@example.com';
-- A value that was never tokenized is looked for, not made.
SELECT vi.mail_find('nobody@example.com') IS NULL AS not_made;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM person WHERE email = 'd@example.com';
EXPLAIN (COSTS OFF, VERBOSE) INSERT INTO person (id, email) VALUES (9, 'new@example.com');
RESET enable_seqscan;
BEGIN READ ONLY;
SELECT id FROM person WHERE email = 'd@example.com';
ROLLBACK;

-- A parameter without a type is the same, by the protocol: test/tap/vault.pl.  A token stays what it is.
SET redoubt.reveal = 'token';
SELECT email AS token FROM person WHERE id = 2 \gset
SELECT id FROM person WHERE email = :'token';
UPDATE person SET email = :'token' WHERE id = 2;
SET redoubt.reveal = 'auto';
SELECT email FROM person WHERE id = 2;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM person WHERE email = 'd@example.com';
FETCH ALL FROM c;
ROLLBACK;

-- What has no token equals itself, and no token: neither another value without one, nor one that was planted.
SELECT 'u1@example.com'::mail = 'u1@example.com'::mail AS same, 'u1@example.com'::mail = 'u2@example.com'::mail AS other,
  '6011000990139424'::pan = '3530111333300000'::pan AS card, '\x03'::blob = '\x04'::blob AS bytes;
SELECT id FROM person WHERE email = 'u1@example.com' OR 'u1@example.com'::mail = 'u2@example.com';
SELECT id FROM person WHERE email IN ('u1@example.com', 'u2@example.com') OR email IS NOT DISTINCT FROM 'u3@example.com';
INSERT INTO person (id, email) VALUES (14, nullif('n@example.com'::mail, '')), (15, nullif('d2@example.com'::mail, 'd2@example.com'));
SELECT id, email FROM person WHERE id IN (14, 15) ORDER BY id;

-- ---------------------------------------------------------------- refused, and nothing is left of it

SELECT 'w@example.com'::mail;
SELECT '{w@example.com}'::mail[];
SELECT redoubt.token_info('w@example.com'::mail);
SELECT id FROM person WHERE email < 'w@example.com';
SELECT id FROM person ORDER BY 'w@example.com'::mail;
SELECT coalesce(NULL, 'w@example.com'::mail);
CREATE TABLE made AS SELECT 'w@example.com'::mail AS email;
CREATE MATERIALIZED VIEW made AS SELECT 'w@example.com'::mail AS email WITH NO DATA;
CREATE MATERIALIZED VIEW made AS SELECT id FROM person WHERE email = 'w@example.com';
CREATE MATERIALIZED VIEW made AS SELECT ARRAY['w@example.com'::mail] AS emails;
PREPARE written AS INSERT INTO person (id, email) VALUES ($1, $2);
EXECUTE written (20, 'w@example.com');
SELECT id FROM person WHERE emails @> '{w@example.com}';
SELECT id FROM person WHERE email = ANY ('{w@example.com}');
CREATE VIEW seen AS SELECT * FROM person WHERE email = 'w@example.com';
ALTER TABLE person ALTER email SET DEFAULT 'w@example.com';
ALTER TABLE person ADD CHECK (email <> 'w@example.com');
CREATE INDEX ON person (id) WHERE email = 'w@example.com';
CREATE FUNCTION defaulted(m mail DEFAULT 'w@example.com') RETURNS mail LANGUAGE sql RETURN m;
CREATE FUNCTION body() RETURNS mail LANGUAGE sql BEGIN ATOMIC SELECT 'w@example.com'::mail; END;
COPY person (id, email) FROM stdin;
20	w@example.com
\.
CREATE PROCEDURE kept(m mail) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO person (id, email) VALUES (20, m); END $$;
CALL kept('w@example.com');
DO $$ BEGIN INSERT INTO person (id, email) VALUES (20, 'w@example.com'); END $$;
CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql SET search_path = vi, pg_catalog AS $$ BEGIN NEW.email := 'w@example.com'; RETURN NEW; END $$;
RESET ROLE;
SECURITY LABEL FOR redoubt ON FUNCTION told() IS 'trusted';
SET ROLE regress_vi_app;
CREATE TRIGGER told BEFORE INSERT ON person FOR EACH ROW WHEN (NEW.id = 20) EXECUTE FUNCTION told();
INSERT INTO person (id) VALUES (20);
DROP TRIGGER told ON person;
-- So it is at COMMIT, where a function runs without a statement.
CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql SET search_path = vi, pg_catalog AS $$ DECLARE m mail; BEGIN m := 'v@example.com'; INSERT INTO person (id, email) VALUES (21, m); RETURN NULL; END $$;
RESET ROLE;
SECURITY LABEL FOR redoubt ON FUNCTION later() IS 'trusted';
SET ROLE regress_vi_app;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON person DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.id = 20) EXECUTE FUNCTION later();
BEGIN;
INSERT INTO person (id) VALUES (20);
COMMIT;
DROP TRIGGER later ON person;
SELECT id, email FROM person WHERE id >= 20 ORDER BY id;
-- Code that runs while a statement is parsed, or at COMMIT, and gets at the input function, is not the client.
CREATE FUNCTION through_io(n name) RETURNS mail LANGUAGE plpgsql AS $$ BEGIN RETURN n; END $$;
CREATE DOMAIN checked AS name CHECK (redoubt.token_info(through_io(VALUE)) IS NOT NULL);
CREATE TYPE holds_checked AS (name checked, id int);
SELECT '(hello,1)'::holds_checked;
SELECT 'hello'::checked;
CREATE DOMAIN checked_alone AS name CHECK (VALUE::text::mail IS NOT NULL);
CREATE DOMAIN checked_record AS name CHECK ((json_populate_record(NULL::holds_mail, '{"email": "w@example.com"}')).email IS NOT NULL);
CREATE TYPE holds_mail AS (email mail);
CREATE DOMAIN checked_record AS name CHECK ((json_populate_record(NULL::holds_mail, '{"email": "w@example.com"}')).email IS NOT NULL);
SELECT 'hello'::checked_record;
CREATE TABLE plain (id int);
CREATE FUNCTION later_io() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE m mail; BEGIN m := 'w@example.com'::name; INSERT INTO person (id, email) VALUES (23, m); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER later_io AFTER INSERT ON plain DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION later_io();
INSERT INTO plain VALUES (1);
-- A row may be written with literals in it; a text of a row may not.
CREATE TYPE pair AS (id int, email mail);
CREATE TABLE pairs (p pair);
INSERT INTO pairs VALUES (ROW(1, 'a@example.com'));
INSERT INTO pairs VALUES ('(2,w@example.com)');
SELECT p FROM pairs;
-- Tokens of a type on bigint have no room, and those that are not consistent are not looked for.
CREATE TABLE account (number number);
SET redoubt.input = 'plain';
INSERT INTO account VALUES ('4711');
SELECT id FROM person WHERE note = 'first';
RESET redoubt.input;
-- What is no value of the type is refused when it runs.
INSERT INTO person (id, card) VALUES (22, '4111 1111 1111 1112');
-- The functions are the planner's alone.
SELECT redoubt.pending_made('a'::text, NULL);
SELECT redoubt.pending_sought(NULL::mail, 'x'::text);
RESET ROLE;
CREATE FUNCTION vi.forged(mail, internal) RETURNS mail LANGUAGE internal AS 'redoubt_pending_made';
SET ROLE regress_vi_other;
SET search_path = vi, redoubt, public;
CREATE TABLE theirs (email mail);
INSERT INTO theirs VALUES ('w@example.com');
SELECT count(*) FROM theirs WHERE email = 'w@example.com';
SET ROLE regress_vi_app;
SELECT vi.mail_find('w@example.com') IS NULL AS nothing_was_made;
SELECT count(*) AS kept FROM person WHERE id >= 20;
RESET ROLE;

DROP SCHEMA vi CASCADE;
DROP ROLE regress_vi_app, regress_vi_other;
