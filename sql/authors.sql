--
-- Code that the owner of a table or view put into a reader's query (row security policies, view definitions) turns
-- tokens into plaintext under the reader's redoubt.reveal only where that owner may reveal, too.  What the reader selects
-- is the reader's.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_authors_owner;
CREATE ROLE regress_authors_support LOGIN;
CREATE SCHEMA authors_s AUTHORIZATION regress_authors_owner;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text) TO regress_authors_owner;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token) TO regress_authors_support;
GRANT USAGE ON SCHEMA authors_s TO regress_authors_support;
RESET client_min_messages;

SET ROLE regress_authors_owner;
SET search_path = authors_s;
CREATE TABLE tok (id int, tenant text, email redoubt.email_token);
INSERT INTO tok VALUES (1, 'a', 'alice@example.com');
CREATE TABLE plain (id int, email redoubt.email_token);
INSERT INTO plain SELECT id, email FROM tok;
CREATE TABLE loot (how text, value text);
GRANT SELECT ON tok, plain TO regress_authors_support;
GRANT INSERT ON loot TO regress_authors_support;
CREATE FUNCTION grab(how text, value text) RETURNS boolean LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO authors_s.loot VALUES (how, value); RETURN true; END $$;
CREATE FUNCTION grab_token(how text, value redoubt.email_token) RETURNS boolean LANGUAGE plpgsql AS
  $$ BEGIN RETURN authors_s.grab(how, value::text); END $$;
CREATE FUNCTION grab_query() RETURNS boolean LANGUAGE plpgsql AS
  $$ BEGIN RETURN authors_s.grab('own query', (SELECT email::text FROM authors_s.plain)); END $$;
CREATE FUNCTION grab_sql(value redoubt.email_token) RETURNS boolean LANGUAGE sql AS $$ SELECT authors_s.grab('SQL function', value::text) $$;
CREATE TYPE held AS (value text);
CREATE FUNCTION held_text(held) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM authors_s.grab('own cast', $1.value); RETURN ''; END $$;
CREATE CAST (held AS text) WITH FUNCTION held_text(held);
CREATE FUNCTION held_json(held) RETURNS json LANGUAGE plpgsql AS $$ BEGIN PERFORM authors_s.grab('own cast to json', $1.value); RETURN 'null'; END $$;
CREATE CAST (held AS json) WITH FUNCTION held_json(held);
CREATE FUNCTION grab_raised(value text) RETURNS boolean LANGUAGE plpgsql AS
  $$ BEGIN IF value NOT LIKE 'tok\_%' THEN RAISE EXCEPTION 'seen'; END IF; RETURN true; END $$;
RESET ROLE;
-- Vouched for, or no policy could hand them a column.
SET client_min_messages = error;
SECURITY LABEL FOR redoubt ON FUNCTION grab(text, text) IS 'trusted';
SECURITY LABEL FOR redoubt ON FUNCTION grab_token(text, redoubt.email_token) IS 'trusted';
SECURITY LABEL FOR redoubt ON FUNCTION grab_query() IS 'trusted';
SECURITY LABEL FOR redoubt ON FUNCTION grab_sql(redoubt.email_token) IS 'trusted';
SECURITY LABEL FOR redoubt ON FUNCTION grab_raised(text) IS 'trusted';
SECURITY LABEL FOR redoubt ON FUNCTION held_text(held) IS 'trusted';
SECURITY LABEL FOR redoubt ON FUNCTION held_json(held) IS 'trusted';
RESET client_min_messages;

-- What the owner finds of what a reader's query was made to hand over, policy by policy.
CREATE FUNCTION authors_s.try(policy text, query text, reveal text DEFAULT 'auto') RETURNS text LANGUAGE plpgsql AS $body$
DECLARE
  shown text;
BEGIN
  SET ROLE regress_authors_owner;
  EXECUTE 'DROP POLICY IF EXISTS p ON tok';
  EXECUTE format('CREATE POLICY p ON tok USING (%s)', policy);
  ALTER TABLE tok ENABLE ROW LEVEL SECURITY;
  DELETE FROM loot;
  SET ROLE regress_authors_support;
  PERFORM set_config('redoubt.reveal', reveal, true);
  EXECUTE query INTO shown;
  PERFORM set_config('redoubt.reveal', 'token', true);
  SET ROLE regress_authors_owner;
  RETURN (SELECT coalesce(string_agg(how || ': ' || regexp_replace(value, 'tok_[A-Za-z0-9_-]{10,}', 'token'), ', '), 'nothing') FROM loot);
EXCEPTION WHEN insufficient_privilege THEN
  RETURN 'refused';
END
$body$;
SET search_path = authors_s;
SET redoubt.reveal = 'token';
SELECT p, authors_s.try(p, 'SELECT id FROM tok') FROM (VALUES
  ($$ grab('cast', email::text) $$), ($$ grab_token('in the function', email) $$), ($$ grab_query() $$), ($$ grab_sql(email) $$),
  ($$ grab('format', format('%s', email)) $$), ($$ grab('concat', concat(email)) $$), ($$ grab('json', to_json(email)::text) $$),
  ($$ grab('record', row(email)::text) $$), ($$ grab('whole row', tok::text) $$), ($$ grab('array', ARRAY[email]::text) $$),
  ($$ grab('subquery', (SELECT string_agg(x.email::text, '') FROM plain AS x)) $$), ($$ EXISTS (SELECT FROM plain AS x WHERE grab('exists', x.email::text)) $$),
  ($$ quote_literal(row(email::text)::authors_s.held) IS NOT NULL $$), ($$ to_jsonb(ARRAY[row(email::text)::authors_s.held]) IS NOT NULL $$),
  ($$ CASE WHEN grab('case', coalesce(email, email)::text) THEN true END $$),
  ($$ query_to_xml('SELECT authors_s.grab(''xml'', email::text) FROM authors_s.plain', true, true, '') IS NOT NULL $$)) AS v(p);
-- The built-in way to tell one bit without a function: a policy that decides by the text.
SELECT authors_s.try($$ email::text LIKE 'tok%' AND grab('decided', 'token') $$, 'SELECT id FROM tok');
-- Asked for outright, it is an error that says whose privilege is missing.
SELECT authors_s.try($$ grab('cast', email::text) $$, 'SELECT id FROM tok', 'plain');
SELECT authors_s.try($$ grab('cast', email::text) $$, 'SELECT id FROM tok', 'masked');

RESET ROLE;
-- A reader's own session: the column is revealed, whatever the policy; text made by expressions is not while there is such code.
SET SESSION AUTHORIZATION regress_authors_support;
SET search_path = authors_s;
SET redoubt.reveal = 'auto';
SELECT id, email FROM tok;
SELECT id, format('%s', email) LIKE 'tok\_%' AS token FROM tok;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*) FROM tok;
RESET SESSION AUTHORIZATION;

-- A policy without code is none of an author's: expressions reveal as before.
SET ROLE regress_authors_owner;
SET search_path = authors_s;
DROP POLICY p ON tok;
CREATE POLICY p ON tok USING (tenant = current_setting('authors.tenant', true) AND email IS NOT NULL AND email = email);
RESET ROLE;
SET SESSION AUTHORIZATION regress_authors_support;
SET search_path = authors_s;
SET redoubt.reveal = 'auto';
SET authors.tenant = 'a';
SELECT id, email, email::text FROM tok;
RESET SESSION AUTHORIZATION;

-- Views.
SET ROLE regress_authors_owner;
SET search_path = authors_s;
DELETE FROM loot;
CREATE VIEW innocent AS SELECT id, email FROM plain;
CREATE VIEW texts AS SELECT id, email::text AS email FROM plain;
CREATE VIEW trojan AS SELECT id FROM plain WHERE grab('view', email::text);
CREATE VIEW over_trojan AS SELECT id FROM trojan;
CREATE VIEW columns AS SELECT id, grab('column', email::text) AS seen FROM plain;
GRANT SELECT ON innocent, texts, trojan, over_trojan, columns TO regress_authors_support;
RESET ROLE;
SET SESSION AUTHORIZATION regress_authors_support;
SET search_path = authors_s;
SET redoubt.reveal = 'auto';
SELECT id, email, email::text FROM innocent;
SELECT id, email LIKE 'tok\_%' AS token FROM texts;
SELECT id FROM trojan;
SELECT id FROM over_trojan;
SELECT id FROM trojan UNION ALL SELECT id FROM over_trojan WHERE id = (SELECT count(seen) FROM columns);
PREPARE p AS SELECT id FROM trojan;
EXECUTE p;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM trojan;
FETCH c;
COMMIT;
COPY (SELECT id FROM trojan) TO STDOUT;
SET redoubt.reveal = 'plain';
SELECT id FROM trojan;
SELECT id, email FROM innocent;
RESET SESSION AUTHORIZATION;
SELECT how, value LIKE 'tok\_%' AS token, count(*) FROM authors_s.loot GROUP BY 1, 2 ORDER BY 1;

-- A rule whose SELECT goes to whoever ran the statement that it rewrote.
SET ROLE regress_authors_owner;
CREATE TABLE authors_s.ruled (id int, email redoubt.email_token);
INSERT INTO authors_s.ruled SELECT id, email FROM authors_s.plain;
CREATE RULE r AS ON UPDATE TO authors_s.ruled DO INSTEAD SELECT authors_s.grab('rule', email::text) FROM authors_s.ruled;
GRANT SELECT, UPDATE ON authors_s.ruled TO regress_authors_support;
RESET ROLE;
SET SESSION AUTHORIZATION regress_authors_support;
SET redoubt.reveal = 'auto';
UPDATE authors_s.ruled SET id = 2;
RESET SESSION AUTHORIZATION;
SELECT how, value LIKE 'tok\_%' AS token, count(*) FROM authors_s.loot WHERE how = 'rule' GROUP BY 1, 2;

-- An owner who may reveal is trusted with it, and the reader is who is charged and recorded.
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_authors_owner;
SET SESSION AUTHORIZATION regress_authors_support;
SET search_path = authors_s;
SET redoubt.reveal = 'auto';
SELECT id, email FROM texts;
RESET SESSION AUTHORIZATION;

SET client_min_messages = warning;
DROP SCHEMA authors_s CASCADE;
DROP OWNED BY regress_authors_owner, regress_authors_support;
DROP ROLE regress_authors_owner, regress_authors_support;
