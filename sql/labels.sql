/*
 * SECURITY LABEL FOR redoubt: columns that are protected without a token type.
 *
 * Proves: a label names a token type and goes on a table's column, and nowhere
 * else; only redoubt_admin sets and removes labels, and only on what it owns; a
 * labelled column is charged as reads, also through children, views and renames;
 * removing the label ends that.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
CREATE ROLE regress_labels_owner IN ROLE redoubt_admin;
CREATE ROLE regress_labels_dba;
CREATE ROLE regress_labels_reader LOGIN;
CREATE SCHEMA regress_labels;
GRANT USAGE, CREATE ON SCHEMA regress_labels TO regress_labels_owner, regress_labels_dba, regress_labels_reader;
SET search_path = regress_labels, redoubt;

SET ROLE regress_labels_owner;
CREATE TABLE customer (id int, email text, name text, city text);
INSERT INTO customer SELECT n, 'user' || n || '@example.com', 'User ' || n, 'Rome' FROM generate_series(1, 10) AS n;
GRANT SELECT ON customer TO regress_labels_reader;

-- --------------------------------------------------------------- valid labels
SECURITY LABEL FOR redoubt ON COLUMN customer.email IS 'email_token';
SECURITY LABEL FOR redoubt ON COLUMN customer.name IS 'redoubt.name_token';
SELECT objname, provider, label FROM pg_seclabels WHERE objoid = 'customer'::regclass ORDER BY objname COLLATE "C";
-- Another label replaces, case folds as in SQL, quotes work.
SECURITY LABEL FOR redoubt ON COLUMN customer.name IS 'TEXT_TOKEN';
SECURITY LABEL FOR redoubt ON COLUMN customer.name IS '"redoubt"."name_token"';
SELECT objname, label FROM pg_seclabels WHERE objoid = 'customer'::regclass ORDER BY objname COLLATE "C";

-- ------------------------------------------------------------- invalid labels
SECURITY LABEL FOR redoubt ON COLUMN customer.city IS 'no_such_token';
SECURITY LABEL FOR redoubt ON TABLE customer IS 'email_token';
CREATE VIEW customer_view AS SELECT id, email FROM customer;
SECURITY LABEL FOR redoubt ON COLUMN customer_view.email IS 'email_token';
\set VERBOSITY sqlstate
SECURITY LABEL FOR redoubt ON COLUMN customer.city IS '';
SECURITY LABEL FOR redoubt ON COLUMN customer.city IS 'text';
SECURITY LABEL FOR redoubt ON COLUMN customer.city IS 'pg_catalog.text';
SECURITY LABEL FOR redoubt ON COLUMN customer.city IS 'redoubt.email_token.x';
SECURITY LABEL FOR redoubt ON COLUMN customer.city IS 'no schema.x';
SECURITY LABEL FOR redoubt ON COLUMN customer.city IS 'a.';
SECURITY LABEL FOR redoubt ON COLUMN customer.city IS '"email_token';
SECURITY LABEL FOR redoubt ON COLUMN customer.nowhere IS 'email_token';
CREATE TYPE pair AS (email text);
SECURITY LABEL FOR redoubt ON COLUMN pair.email IS 'email_token';
CREATE TEMP TABLE temporary (email text);
SECURITY LABEL FOR redoubt ON COLUMN temporary.email IS 'email_token';
SECURITY LABEL FOR redout ON COLUMN customer.city IS 'email_token';
RESET ROLE;
SECURITY LABEL FOR redoubt ON SCHEMA regress_labels IS 'email_token';
SECURITY LABEL FOR redoubt ON ROLE regress_labels_owner IS 'email_token';
SECURITY LABEL FOR redoubt ON FUNCTION redoubt.status() IS 'email_token';
SET ROLE regress_labels_owner;
\set VERBOSITY default
DROP TYPE pair;
SELECT count(*) AS labels FROM pg_seclabels WHERE objoid = 'customer'::regclass;
RESET ROLE;

-- -------------------------------------------------------------------- who may
-- An owner who is no redoubt_admin.
SET ROLE regress_labels_dba;
CREATE TABLE own (email text);
SECURITY LABEL FOR redoubt ON COLUMN own.email IS 'email_token';
RESET ROLE;
-- A redoubt_admin who is no owner.
SET ROLE regress_labels_owner;
SECURITY LABEL FOR redoubt ON COLUMN own.email IS 'email_token';
RESET ROLE;
-- The owner of a labelled table cannot take the label off.
SECURITY LABEL FOR redoubt ON COLUMN own.email IS 'email_token';
SET ROLE regress_labels_dba;
SECURITY LABEL FOR redoubt ON COLUMN own.email IS NULL;
RESET ROLE;
SET ROLE regress_labels_reader;
SECURITY LABEL FOR redoubt ON COLUMN customer.email IS NULL;
RESET ROLE;
SELECT count(*) AS labels FROM pg_seclabels WHERE provider = 'redoubt' AND objoid IN ('own'::regclass, 'customer'::regclass);

-- --------------------------------------------------------- what a label charges
CREATE FUNCTION reads() RETURNS TABLE (token_type text, charged bigint) LANGUAGE sql SECURITY DEFINER AS $$
  SELECT u.token_type::text, sum(u.charged)::bigint FROM redoubt.usage AS u
  WHERE u.role = 'regress_labels_reader'::regrole AND u.operation = 'read' GROUP BY 1 ORDER BY 1
$$;
CREATE PROCEDURE forget() LANGUAGE sql SECURITY DEFINER AS $$ SELECT redoubt.reset_usage('regress_labels_reader') $$;
SET SESSION AUTHORIZATION regress_labels_reader;
-- What leaves is counted: nothing of a count, ten rows of both columns, three of one.
SELECT count(*) FROM customer;
SELECT * FROM reads() WHERE charged > 0;
DO $$ DECLARE r record; BEGIN FOR r IN SELECT email, name FROM customer LOOP END LOOP; END $$;
SELECT * FROM reads();
SELECT email FROM customer WHERE id <= 3;
SELECT * FROM reads();
-- A column without a label is free.
CALL forget();
SELECT city FROM customer LIMIT 2;
SELECT * FROM reads() WHERE charged > 0;
-- Through a view, and after a rename.
RESET SESSION AUTHORIZATION;
ALTER TABLE customer RENAME email TO mail;
GRANT SELECT ON customer_view TO regress_labels_reader;
SET SESSION AUTHORIZATION regress_labels_reader;
SELECT email FROM customer_view WHERE id <= 2;
SELECT mail FROM customer WHERE id = 1;
SELECT * FROM reads() WHERE charged > 0;
RESET SESSION AUTHORIZATION;
-- A view over a view, with a sub-query; a column of the view that shows another thing is free; a view made anew.
CREATE VIEW outer_view AS SELECT t.id * 2 AS twice, t.contact, t.city FROM (SELECT v.id, v.email AS contact, c.city FROM customer_view AS v JOIN customer AS c USING (id)) AS t;
GRANT SELECT ON outer_view TO regress_labels_reader;
CALL forget();
SET SESSION AUTHORIZATION regress_labels_reader;
SELECT twice, city FROM outer_view ORDER BY twice LIMIT 3;
SELECT contact FROM outer_view ORDER BY twice LIMIT 4;
SELECT * FROM reads() WHERE charged > 0;
RESET SESSION AUTHORIZATION;
CREATE OR REPLACE VIEW customer_view AS SELECT id, city AS email FROM customer;
SET SESSION AUTHORIZATION regress_labels_reader;
SELECT contact FROM outer_view LIMIT 1;
SELECT * FROM reads() WHERE charged > 0;
RESET SESSION AUTHORIZATION;
DROP VIEW outer_view, customer_view;
-- Children and partitions inherit the label by the column's name, asked for directly too.
CREATE TABLE part (id int, email text) PARTITION BY RANGE (id);
CREATE TABLE part1 (email text, id int);
ALTER TABLE part ATTACH PARTITION part1 FOR VALUES FROM (1) TO (100);
INSERT INTO part SELECT n, 'p' || n FROM generate_series(1, 5) AS n;
SECURITY LABEL FOR redoubt ON COLUMN part.email IS 'email_token';
CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (100) TO (200);
INSERT INTO part VALUES (100, 'p100');
GRANT SELECT ON part, part1, part2 TO regress_labels_reader;
CALL forget();
SET SESSION AUTHORIZATION regress_labels_reader;
SELECT email FROM part WHERE id <= 3 ORDER BY id;
SELECT email FROM part1 WHERE id = 4;
SELECT email FROM part2;
SELECT * FROM reads() WHERE charged > 0;
RESET SESSION AUTHORIZATION;
-- COPY of a labelled table is charged like a query.
CALL forget();
SET SESSION AUTHORIZATION regress_labels_reader;
COPY customer (id, mail) TO stdout;
COPY (SELECT mail FROM customer WHERE id <= 2) TO stdout;
SELECT * FROM reads() WHERE charged > 0;
RESET SESSION AUTHORIZATION;

-- ------------------------------------------------------------ removal, dropping
-- The change is seen at once by a session that has read the table, with a cached plan as well.
CALL forget();
SET SESSION AUTHORIZATION regress_labels_reader;
PREPARE one AS SELECT mail FROM customer WHERE id = 1;
EXECUTE one;
SELECT * FROM reads() WHERE charged > 0;
RESET SESSION AUTHORIZATION;
SET ROLE regress_labels_owner;
SECURITY LABEL FOR redoubt ON COLUMN customer.mail IS NULL;
RESET ROLE;
CALL forget();
SET SESSION AUTHORIZATION regress_labels_reader;
EXECUTE one;
SELECT * FROM reads() WHERE charged > 0;
RESET SESSION AUTHORIZATION;
SECURITY LABEL FOR redoubt ON COLUMN customer.mail IS 'email_token';
SET SESSION AUTHORIZATION regress_labels_reader;
EXECUTE one;
SELECT * FROM reads() WHERE charged > 0;
RESET SESSION AUTHORIZATION;
DEALLOCATE one;
-- A rolled back change has no effect.
CALL forget();
BEGIN;
SECURITY LABEL FOR redoubt ON COLUMN customer.mail IS NULL;
ROLLBACK;
SET SESSION AUTHORIZATION regress_labels_reader;
SELECT mail FROM customer WHERE id = 1;
SELECT * FROM reads() WHERE charged > 0;
RESET SESSION AUTHORIZATION;
-- The label goes with its column; a type that labels name stays.
SELECT redoubt.create_token_type('regress_labels.code_token');
SECURITY LABEL FOR redoubt ON COLUMN customer.city IS 'regress_labels.code_token';
\set SHOW_CONTEXT never
SELECT redoubt.drop_token_type('regress_labels.code_token');
ALTER TABLE customer DROP city;
SELECT redoubt.drop_token_type('regress_labels.code_token');
SELECT objname, label FROM pg_seclabels WHERE objoid = 'customer'::regclass ORDER BY objname COLLATE "C";

-- Which columns are metered: by their types, labels, parents and domains.  Whoever may not read a table sees that, too.
CREATE DOMAIN code AS text;
SECURITY LABEL FOR redoubt ON DOMAIN code IS 'text_token';
CREATE TYPE two AS (mail redoubt.email_token, id int);
CREATE TABLE sorts (tokens redoubt.email_token, many redoubt.phone_token[], row two, code code, plain text);
CREATE VIEW sorts_view AS SELECT * FROM sorts;
SET SESSION AUTHORIZATION regress_labels_reader;
SELECT * FROM redoubt.protected_columns WHERE "table" IN (SELECT oid FROM pg_class WHERE relnamespace = 'regress_labels'::regnamespace) ORDER BY "table"::text COLLATE "C", "column";
RESET SESSION AUTHORIZATION;

-- ----------------------------------------------------------------- ends
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA regress_labels CASCADE;
DROP OWNED BY regress_labels_owner, regress_labels_dba, regress_labels_reader;
DROP ROLE regress_labels_owner, regress_labels_dba, regress_labels_reader;
