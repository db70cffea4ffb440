-- A column of a sealed type on base text has a collation, as a column of text has: its values are in that order, COLLATE
-- asks for another, and an index in the order of values goes by its own.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE ROLE regress_coll_lead LOGIN;
CREATE ROLE regress_coll_searcher LOGIN;
CREATE SCHEMA coll AUTHORIZATION regress_coll_lead;
GRANT USAGE ON SCHEMA coll TO regress_coll_searcher;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.name_token) TO regress_coll_lead;
GRANT EXECUTE ON FUNCTION redoubt.name_token(text), redoubt.search(redoubt.name_token) TO regress_coll_lead, regress_coll_searcher;
SET search_path = coll, redoubt, public;
SELECT typname, typcollation::regcollation FROM pg_type WHERE typname IN ('name_token', '_name_token', 'text_token') ORDER BY typname COLLATE "C";
SELECT redoubt.create_token_type('coll.bytes', base => 'bytea');
SELECT redoubt.create_token_type('coll.own');
SELECT typname, typcollation FROM pg_type WHERE typnamespace = 'coll'::regnamespace AND typname IN ('bytes', 'own') ORDER BY typname COLLATE "C";

\c - regress_coll_lead
SET search_path = coll, redoubt, public;
SET client_min_messages = warning;
CREATE TABLE usual (id int PRIMARY KEY, name name_token);
CREATE TABLE person (id int PRIMARY KEY, name name_token COLLATE "und-x-icu", other name_token COLLATE "C", list name_token[] COLLATE "C");
CREATE TABLE plain (id int PRIMARY KEY, name text COLLATE "und-x-icu", other text COLLATE "C");
INSERT INTO plain SELECT g, v, v FROM unnest(ARRAY['anna', 'Bert', 'carla', 'Dirk', 'Émile', 'emil', 'Zoe', '']) WITH ORDINALITY AS u (v, g);
INSERT INTO person SELECT id, name, other, ARRAY[other]::name_token[] FROM plain;
INSERT INTO usual SELECT id, name FROM plain;
GRANT SELECT ON ALL TABLES IN SCHEMA coll TO regress_coll_searcher;
\d person

SET redoubt.reveal = 'plain';
-- The same as of text, in the order of each column, and in one that is asked for.
SELECT string_agg(name, ' ' ORDER BY name) FROM plain;
SELECT string_agg(name, ' ' ORDER BY name) FROM person;
SELECT string_agg(other, ' ' ORDER BY other) FROM plain;
SELECT string_agg(other, ' ' ORDER BY other) FROM person;
SELECT array(SELECT name FROM plain ORDER BY name) = array(SELECT name::text FROM person ORDER BY name) AS same;
SELECT array(SELECT id FROM plain ORDER BY other) = array(SELECT id FROM person ORDER BY other) AS same;
SELECT array(SELECT id FROM plain ORDER BY name COLLATE "C") = array(SELECT id FROM person ORDER BY name COLLATE "C") AS same;
SELECT array(SELECT id FROM plain ORDER BY other COLLATE "und-x-icu" DESC) = array(SELECT id FROM person ORDER BY other COLLATE "und-x-icu" DESC) AS same;
SELECT id FROM person WHERE name < 'b' EXCEPT SELECT id FROM plain WHERE name < 'b';
SELECT id FROM plain WHERE name < 'b' ORDER BY id;
SELECT id FROM person WHERE name < 'b' ORDER BY id;
SELECT id FROM person WHERE other < 'b' ORDER BY id;
SELECT id FROM person WHERE other COLLATE "und-x-icu" < 'b' ORDER BY id;
SELECT id FROM person WHERE (name, id) < ('b', 3) ORDER BY id;
SELECT id FROM person WHERE name BETWEEN 'B' AND 'e' ORDER BY id;
SELECT id FROM person WHERE name < person.other ORDER BY id;
SELECT id FROM plain WHERE name < plain.other ORDER BY id;
SELECT min(name), max(name), min(other), max(other) FROM plain WHERE id < 8;
SELECT min(name), max(name), min(other), max(other) FROM person WHERE id < 8;
SELECT DISTINCT ON (name) id, name FROM person ORDER BY name, id;
SELECT id, row_number() OVER (ORDER BY name) FROM person ORDER BY 2;
SELECT upper(name), upper(other) FROM person WHERE id = 5;
SELECT upper(name), upper(other) FROM plain WHERE id = 5;
-- Equality goes by token, whatever the collation.
SELECT id FROM person WHERE name = 'Bert' AND other = 'Bert' AND name COLLATE "C" = 'Bert';
SELECT id FROM person WHERE name = ANY (ARRAY['Bert', 'Zoe']::text[]) AND list = ARRAY['Bert']::text[];
SELECT id FROM person JOIN plain USING (id) WHERE person.name = plain.name COLLATE "C" ORDER BY id;
SELECT p.id FROM person p JOIN usual u ON p.name = u.name AND p.other = u.name WHERE p.id = 3;
SELECT count(*) FROM (SELECT name FROM person UNION ALL SELECT other FROM person) u;
SELECT name FROM plain UNION SELECT other FROM plain;
SELECT name FROM person UNION SELECT other FROM person;
-- What is chosen among them is written as a token.
UPDATE person SET name = coalesce(name, 'x'), other = CASE WHEN id > 3 THEN name ELSE other END WHERE id = 4;
UPDATE person SET other = nullif(other, 'none') WHERE id = 4;
SELECT name, other FROM person WHERE id = 4;

-- By index.
INSERT INTO person SELECT g, 'name ' || g, 'Name ' || g FROM generate_series(100, 600) g;
CREATE INDEX by_name ON person (name);
CREATE INDEX by_order ON person ((name::text));
CREATE INDEX by_order_c ON person ((other::text));
CREATE INDEX by_order_other ON person ((other::text) COLLATE "und-x-icu");
CREATE INDEX by_lower ON person (lower(other));
SELECT indexrelid::regclass, indcollation[0]::regcollation FROM pg_index WHERE indrelid = 'person'::regclass AND indexrelid::regclass::text LIKE 'by%' ORDER BY 1;
ANALYZE person;
SET enable_seqscan = off;
SET redoubt.reveal = 'plain';
EXPLAIN (COSTS off) SELECT id FROM person WHERE name = 'Bert'::text \g |sed 's/tok_[A-Za-z0-9_-]*/tok_/g; /rows)/d; /PLAN/d; /^ *-*$/d'
EXPLAIN (COSTS off) SELECT id FROM person WHERE name = ANY (ARRAY['Bert']::text[]) \g |sed 's/tok_[A-Za-z0-9_-]*/tok_/g; /rows)/d; /PLAN/d; /^ *-*$/d'
EXPLAIN (COSTS off) SELECT id FROM person WHERE name < 'b' ORDER BY name LIMIT 2 \g |sed 's/tok_[A-Za-z0-9_-]*/tok_/g; /rows)/d; /PLAN/d; /^ *-*$/d'
EXPLAIN (COSTS off) SELECT id FROM person WHERE other > 'Z' ORDER BY other LIMIT 2 \g |sed 's/tok_[A-Za-z0-9_-]*/tok_/g; /rows)/d; /PLAN/d; /^ *-*$/d'
EXPLAIN (COSTS off) SELECT id FROM person WHERE other COLLATE "und-x-icu" > 'y' \g |sed 's/tok_[A-Za-z0-9_-]*/tok_/g; /rows)/d; /PLAN/d; /^ *-*$/d'
EXPLAIN (COSTS off) SELECT id FROM person ORDER BY other COLLATE "und-x-icu" LIMIT 2 \g |sed 's/tok_[A-Za-z0-9_-]*/tok_/g; /rows)/d; /PLAN/d; /^ *-*$/d'
EXPLAIN (COSTS off) SELECT id FROM person WHERE lower(other) = 'émile' \g |sed 's/tok_[A-Za-z0-9_-]*/tok_/g; /rows)/d; /PLAN/d; /^ *-*$/d'
SELECT id FROM person WHERE name < 'c' ORDER BY name;
SELECT id FROM person WHERE other > 'Z' ORDER BY other LIMIT 3;
SELECT id FROM person WHERE other COLLATE "und-x-icu" > 'y';
SELECT id FROM person WHERE lower(other) = 'bert';
SELECT id FROM person WHERE lower(other) = 'émile' UNION ALL SELECT id FROM plain WHERE lower(other) = 'émile';
SELECT id FROM person WHERE lower(other) = 'Émile' UNION ALL SELECT id FROM plain WHERE lower(other) = 'Émile';
RESET enable_seqscan;

-- Who may only search compares in any collation.
\c - regress_coll_searcher
SET search_path = coll, redoubt, public;
SET redoubt.reveal = 'auto';
SELECT id FROM person WHERE name COLLATE "C" < 'C' AND id < 100;
SELECT id FROM person WHERE name < 'b' AND id < 100 ORDER BY id;
SELECT id FROM person WHERE lower(other COLLATE "und-x-icu") = 'zoe';

-- Tables made alike, and partitions.
\c - regress_coll_lead
SET client_min_messages = warning;
SET search_path = coll, redoubt, public;
CREATE TABLE alike (LIKE person INCLUDING ALL);
SELECT attname, attcollation::regcollation FROM pg_attribute WHERE attrelid = 'alike'::regclass AND attnum > 0 ORDER BY attnum;
CREATE TABLE parted (id int, name name_token COLLATE "C") PARTITION BY LIST (name);
CREATE TABLE part_1 (LIKE parted);
ALTER TABLE parted ATTACH PARTITION part_1 DEFAULT;
CREATE TABLE part_2 PARTITION OF parted FOR VALUES IN ('Bert');
INSERT INTO parted SELECT id, name FROM person WHERE id < 4;
SELECT tableoid::regclass, count(*) FROM parted GROUP BY 1 ORDER BY 1;
CREATE DOMAIN who AS name_token COLLATE "C";
CREATE TABLE domained (w who);
INSERT INTO domained SELECT name FROM person WHERE id < 8;
SET redoubt.reveal = 'plain';
SELECT w FROM domained ORDER BY w;

-- A collation that takes different texts for equal is none for tokens; asked for in a query, it compares values.
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE refused (name name_token COLLATE loose);
CREATE TABLE refused (list name_token[] COLLATE loose);
CREATE TABLE refused (name text COLLATE loose);
ALTER TABLE refused ALTER name TYPE name_token COLLATE loose USING name::name_token;
ALTER TABLE refused ADD other name_token COLLATE loose;
SELECT id FROM person WHERE name::text COLLATE loose = 'BERT' AND id < 100;
SELECT id FROM person WHERE name COLLATE loose = 'BERT'::text AND id < 100;
SELECT id FROM person WHERE name COLLATE loose = 'BERT' AND id < 100;
SELECT id FROM person WHERE name COLLATE loose IN ('BERT', 'DIRK');
SELECT id FROM person WHERE name COLLATE loose IS DISTINCT FROM 'BERT';
SELECT count(*) FROM person GROUP BY name COLLATE loose;
SELECT DISTINCT name COLLATE loose FROM person;
SELECT id FROM person WHERE id < 6 ORDER BY name COLLATE loose, id;
RESET redoubt.reveal;

-- ALTER TABLE takes the collation that is written; protect_column() keeps the column's.
ALTER TABLE plain ALTER other TYPE name_token COLLATE "C" USING other::name_token;
SELECT what FROM redoubt.check_protect('plain', 'name', 'redoubt.name_token') WHERE what LIKE '%collation%' OR severity = 'error';
CALL redoubt.protect_column('plain', 'name', 'redoubt.name_token');
SELECT attname, format_type(atttypid, atttypmod), attcollation::regcollation FROM pg_attribute WHERE attrelid = 'plain'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname COLLATE "C";
\d plain

\c - postgres
SET client_min_messages = warning;
SELECT redoubt.drop_token_type('coll.bytes'), redoubt.drop_token_type('coll.own');
DROP SCHEMA coll CASCADE;
DROP OWNED BY regress_coll_lead, regress_coll_searcher;
DROP ROLE regress_coll_lead, regress_coll_searcher;
