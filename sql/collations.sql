--
-- PostgreSQL warns of a collation that was made with another version by its name, once a session, when it is first used.
-- In a statement that reads protected values it does so before any row is read: the warnings are the same, whatever the
-- values are.
--
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE ROLE regress_collations LOGIN;
CREATE SCHEMA collations AUTHORIZATION regress_collations;
ALTER ROLE regress_collations SET search_path = collations, pg_catalog;
CREATE TABLE collations.person (id int PRIMARY KEY, email text, name text);
SECURITY LABEL FOR redoubt ON COLUMN collations.person.email IS 'text_token';
INSERT INTO collations.person VALUES (1, 'a@example.com', 'n'), (2, 'b@example.com', 'n');
GRANT SELECT ON collations.person TO regress_collations;
\set VERBOSITY terse
\c - regress_collations
SET client_min_messages = error;
SELECT format('CREATE COLLATION %s (provider = icu, locale = ''en'', version = ''1'')', name)
FROM unnest('{ca,cb,cd,ce,cf,cg,ch,ci,cj,ck,cl,cm,cn}'::text[]) AS name \gexec
CREATE TYPE rf AS RANGE (subtype = text, collation = cf);
CREATE TYPE pair AS (x text COLLATE cg, y int);
CREATE TABLE held (f rf, g pair);
INSERT INTO held VALUES ('[a,b]', ROW('a', 1)), ('[b,c]', ROW('b', 1));
CREATE TABLE copied AS SELECT *, 0 AS kept FROM person;
CREATE TABLE checked (id int, email text, name text,
  CHECK (CASE WHEN email LIKE 'a%' THEN name <= lower(name) COLLATE ch ELSE name <= lower(name) COLLATE ci END));
CREATE INDEX ON checked (name COLLATE cj) WHERE email LIKE 'z%';
CREATE FUNCTION inlined(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE
  AS $$ SELECT CASE WHEN $1 LIKE 'z%' THEN $2 < lower($2) COLLATE collations.cn END $$;
\c - postgres
SECURITY LABEL FOR redoubt ON COLUMN collations.checked.email IS 'text_token';

-- arms of a CASE, a key behind another one, columns of a function, ranges and rows
\c - regress_collations
SELECT count(*) FROM person WHERE id = 1 AND email LIKE 'a%';
SELECT count(CASE WHEN email LIKE 'a%' THEN name < lower(name) COLLATE ca ELSE name < lower(name) COLLATE cb END) FROM person WHERE id = 1;
\c - regress_collations
SELECT count(CASE WHEN email LIKE 'a%' THEN name < lower(name) COLLATE ca ELSE name < lower(name) COLLATE cb END) FROM person WHERE id = 2;
SELECT id FROM person ORDER BY email, name COLLATE cd;
SELECT p.id FROM person AS p, json_to_record('{"x": "y"}') AS j(x text COLLATE ce) WHERE p.id = 3 ORDER BY p.email, j.x;
\c - regress_collations
SELECT count(CASE WHEN email LIKE 'z%' THEN ('[' || name || ',]')::rf < ('[' || name || 'x,]')::rf END) FROM person;
\c - regress_collations
SELECT count(CASE WHEN p.email LIKE 'z%' THEN a.f < b.f OR a.g < b.g END) FROM person AS p, held AS a, held AS b;

-- what a table runs on its rows
\c - regress_collations
INSERT INTO checked SELECT * FROM person WHERE id = 1;
\c - regress_collations
INSERT INTO checked SELECT * FROM person WHERE id = 2;
\c - regress_collations
DELETE FROM checked;

-- commands: of what is stored, all
CREATE STATISTICS st ON (CASE WHEN email LIKE 'z%' THEN name < lower(name) COLLATE ck END), id FROM copied;
\c - regress_collations
ANALYZE copied;
\c - regress_collations
ALTER TABLE copied ADD CHECK (CASE WHEN email LIKE 'z%' THEN name < lower(name) COLLATE cl ELSE true END);
\c - regress_collations
CREATE INDEX ON copied ((CASE WHEN email LIKE 'z%' THEN name < lower(name) COLLATE cm END));
-- in USING, a function may be inlined
\c - regress_collations
ALTER TABLE copied ALTER kept TYPE boolean USING inlined(email, name);

\c - postgres
SET client_min_messages = error;
DROP SCHEMA collations CASCADE;
DROP ROLE regress_collations;
