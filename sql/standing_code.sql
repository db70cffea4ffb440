--
-- Code that stands on a table and would get protected columns is vouched for or refused: when it is made, and when the
-- columns become protected.  A trusted function is frozen.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE ROLE regress_code_owner LOGIN;
CREATE SCHEMA code_test AUTHORIZATION regress_code_owner;
\c - regress_code_owner
SET search_path = code_test;
SET client_min_messages = notice;
\set VERBOSITY terse
CREATE TABLE person (id int PRIMARY KEY, email text, note text);
INSERT INTO person SELECT n, 'v' || n, 'n' || n FROM generate_series(1, 5) AS n;
CREATE FUNCTION leak(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'LEAK'; RETURN $1; END $$;
CREATE FUNCTION holds(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT length(code_test.leak($1)) > 0 $$;
CREATE FUNCTION on_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'LEAK'; RETURN new; END $$;
CREATE FUNCTION on_statement() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TABLE copy_of_new (email text);

-- ------------------------------------------- what stands on a table, then a label

CREATE INDEX by_code ON person USING brin (leak(id::text || email));
CREATE TRIGGER watch BEFORE INSERT ON person FOR EACH ROW EXECUTE FUNCTION on_row();
CREATE TRIGGER harmless AFTER INSERT ON person FOR EACH STATEMENT EXECUTE FUNCTION on_statement();
CREATE RULE also AS ON INSERT TO person DO ALSO INSERT INTO copy_of_new VALUES (new.email);
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT * FROM redoubt.check_label('person') ORDER BY kind, object;
\c - postgres
\set VERBOSITY default
SECURITY LABEL FOR redoubt ON COLUMN code_test.person.email IS 'text_token';
SET redoubt.mode = observe;
BEGIN; SECURITY LABEL FOR redoubt ON COLUMN code_test.person.email IS 'text_token'; ROLLBACK;
RESET redoubt.mode;
SECURITY LABEL FOR redoubt ON FUNCTION code_test.leak(text) IS 'trusted';
SECURITY LABEL FOR redoubt ON FUNCTION code_test.on_row() IS 'trusted';
DROP RULE also ON code_test.person;
SELECT count(*) FROM redoubt.check_label('code_test.person');
SECURITY LABEL FOR redoubt ON COLUMN code_test.person.email IS 'text_token';
-- in use, the trust stays
\set VERBOSITY terse
SECURITY LABEL FOR redoubt ON FUNCTION code_test.leak(text) IS NULL;

-- ------------------------------------------------------ a trusted function is frozen

\c - regress_code_owner
SET search_path = code_test;
CREATE OR REPLACE FUNCTION leak(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 'x'; END $$;
ALTER FUNCTION leak(text) RENAME TO leak2;
ALTER FUNCTION leak(text) COST 5;
ALTER FUNCTION leak(text) SET search_path = pg_catalog;
ALTER FUNCTION leak(text) SET SCHEMA pg_temp;
ALTER FUNCTION leak(text) OWNER TO regress_code_owner;
DROP FUNCTION leak(text) CASCADE;
DROP OWNED BY regress_code_owner;
CREATE FUNCTION pg_temp.arm() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE $f$ CREATE OR REPLACE FUNCTION code_test.leak(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $g$ BEGIN RETURN 'x'; END $g$ $f$;
  RETURN 1; END $$;
SELECT pg_temp.arm();
\c - postgres
SET search_path = code_test;
SET client_min_messages = warning;
DROP INDEX by_code; DROP TRIGGER watch ON person;
SECURITY LABEL FOR redoubt ON FUNCTION leak(text) IS NULL;
SECURITY LABEL FOR redoubt ON FUNCTION on_row() IS NULL;

-- --------------------------------------------------- each of them on a labelled table

\c - regress_code_owner
SET search_path = code_test;
SET client_min_messages = notice;
\set VERBOSITY terse
CREATE INDEX ON person (leak(email));
CREATE INDEX CONCURRENTLY by_code ON person (leak(email));
DROP INDEX IF EXISTS by_code;
CREATE INDEX ON person USING brin (leak(email));
CREATE INDEX ON person (id) WHERE holds(email);
CREATE INDEX ON person ((leak(person.note)), (person IS NULL));
ALTER TABLE person ADD CHECK (holds(email));
ALTER TABLE person ADD CHECK (holds(email)) NOT VALID;
ALTER TABLE person ADD COLUMN more text GENERATED ALWAYS AS (leak(email)) STORED;
ALTER TABLE person ALTER note TYPE text USING leak(email);
ALTER TABLE person ALTER email TYPE text USING leak(email);
CREATE STATISTICS whole ON (leak(email)), note FROM person;
CREATE TRIGGER watch BEFORE INSERT ON person FOR EACH ROW EXECUTE FUNCTION on_row();
CREATE CONSTRAINT TRIGGER watch AFTER UPDATE ON person DEFERRABLE FOR EACH ROW EXECUTE FUNCTION on_row();
CREATE TRIGGER watch AFTER INSERT ON person REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION on_statement();
CREATE TRIGGER watch BEFORE INSERT ON person FOR EACH ROW WHEN (holds(new.email)) EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE POLICY seen ON person USING (holds(email));
CREATE POLICY seen ON person USING (true);
ALTER POLICY seen ON person USING (EXISTS (SELECT 1 FROM copy_of_new WHERE holds(person.email)));
DROP POLICY seen ON person;
CREATE RULE also AS ON INSERT TO person DO ALSO INSERT INTO copy_of_new VALUES (new.email);
CREATE DOMAIN leaky AS text CHECK (code_test.holds(VALUE));
ALTER TABLE person ALTER email TYPE leaky;
-- in other ways of saying it
DO $$ BEGIN EXECUTE 'CREATE INDEX ON code_test.person (code_test.leak(email))'; END $$;
CREATE OPERATOR === (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN true; END $$;
CREATE OPERATOR ==== (FUNCTION = same, LEFTARG = text, RIGHTARG = text);
ALTER TABLE person ADD CHECK (email === email);
ALTER TABLE person ADD CHECK (email ==== 'x');
-- a cast by which something built in prints
CREATE TYPE boxed AS (v text);
CREATE FUNCTION boxed_text(boxed) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'LEAK'; RETURN 'x'; END $$;
CREATE FUNCTION boxed_json(boxed) RETURNS json LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'LEAK'; RETURN 'null'; END $$;
CREATE CAST (boxed AS text) WITH FUNCTION boxed_text(boxed);
CREATE CAST (boxed AS json) WITH FUNCTION boxed_json(boxed);
ALTER TABLE person ADD CHECK (quote_literal(row(email)::boxed) IS NOT NULL);
ALTER TABLE person ADD CHECK (('x' || row(email)::boxed) IS NOT NULL);
CREATE STATISTICS printed ON (to_json(row(email)::boxed)::text), note FROM person;
CREATE POLICY seen ON person USING (jsonb_build_array(ARRAY[row(email)::boxed]) IS NOT NULL);
CREATE TRIGGER watch BEFORE INSERT ON person FOR EACH ROW WHEN (to_jsonb(row(new.email)::boxed) IS NOT NULL) EXECUTE FUNCTION suppress_redundant_updates_trigger();
-- what does not get the column is nobody's business
CREATE INDEX ON person (leak(note)) WHERE id < 0;
CREATE TRIGGER told AFTER INSERT ON person FOR EACH STATEMENT EXECUTE FUNCTION on_statement();
ALTER TABLE person ADD CHECK (length(email) > 0);

-- ------------------------------- tables that become protected, or hold protected rows

CREATE TABLE derived AS SELECT id, email FROM person WHERE id < 0;
ALTER TABLE derived ADD CHECK (holds(email));
CREATE TABLE derived_leaky AS SELECT id, email::leaky FROM person WHERE id < 0;
CREATE DOMAIN later AS text;
ALTER TABLE person ALTER email TYPE later;
ALTER DOMAIN later ADD CHECK (code_test.holds(VALUE));
CREATE DOMAIN over_it AS later;
ALTER TABLE person ALTER email TYPE over_it;
ALTER DOMAIN later ADD CHECK (code_test.holds(VALUE)) NOT VALID;
ALTER DOMAIN later ADD CHECK (length(VALUE) > 0);
ALTER TABLE person ALTER email TYPE text;
-- parents and children
CREATE TABLE parent (id int, email text, note text);
CREATE STATISTICS of_parent ON (leak(email)), note FROM parent;
ALTER TABLE person INHERIT parent;
DROP STATISTICS of_parent;
ALTER TABLE person INHERIT parent;
CREATE STATISTICS of_parent ON (leak(email)), note FROM parent;
ALTER TABLE parent ADD CHECK (holds(email));
ALTER TABLE person NO INHERIT parent;
CREATE TABLE child (id int NOT NULL, email text, note text, CHECK (holds(email)));
CREATE INDEX ON child (leak(email));
ALTER TABLE person DROP CONSTRAINT person_email_check, DROP CONSTRAINT person_email_check1;
ALTER TABLE child INHERIT person;
CREATE TABLE measured (id int NOT NULL, email text, note text) PARTITION BY RANGE (leak(email));
ALTER TABLE measured ATTACH PARTITION person FOR VALUES FROM ('v') TO ('w');
DROP TABLE measured;
-- a row of the table inside another one
CREATE TABLE holder (p person);
CREATE INDEX ON holder (leak((p).email));
DROP TABLE holder;
-- a materialised view that was made before
CREATE TABLE plain (email text);
INSERT INTO plain VALUES ('p1');
CREATE MATERIALIZED VIEW shown AS SELECT email FROM plain;
SET client_min_messages = warning;
CREATE INDEX ON shown (leak(email));
\c - postgres
SECURITY LABEL FOR redoubt ON COLUMN code_test.plain.email IS 'text_token';
\c - regress_code_owner
SET search_path = code_test;
REFRESH MATERIALIZED VIEW shown;
DROP MATERIALIZED VIEW shown;
-- maintenance has nothing to hand out
VACUUM ANALYZE person;
REINDEX TABLE person;
SELECT count(*) FROM person;

-- -------------------------------------------------------------------- learn, observe

\c - postgres
SET search_path = code_test;
\set VERBOSITY terse
SET redoubt.mode = observe;
CREATE STATISTICS whole ON (leak(email)), note FROM person;
SELECT object, kind, function FROM redoubt.check_label('person');
DROP STATISTICS whole;
RESET redoubt.mode;

-- ------------------------------------------------------------- dropping a token type

SECURITY LABEL FOR redoubt ON FUNCTION leak(text) IS 'trusted';
SET client_min_messages = error;
SELECT redoubt.create_token_type('code_test.short_lived');
SELECT redoubt.drop_token_type('code_test.short_lived');
-- Trust is that of the function, whatever the search_path by which its types are named.
SET search_path = code_test, redoubt;
CREATE TABLE by_path (t email_token);
CREATE FUNCTION spelt(email_token) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN 'x'; END $$;
SECURITY LABEL FOR redoubt ON FUNCTION spelt(email_token) IS 'trusted';
\c -
SET search_path = pg_catalog;
CREATE INDEX ON code_test.by_path (code_test.spelt(t));
-- A label of 0.1 named them as the session did: it counts where they are named so.
SELECT 'trusted ' || encode(sha256(convert_to(current_user || E'\n' || pg_get_functiondef('code_test.spelt'::regproc), 'UTF8')), 'hex') AS label \gset
SECURITY LABEL FOR redoubt ON FUNCTION code_test.spelt(redoubt.email_token) IS :'label';
CREATE INDEX ON code_test.by_path (code_test.spelt(t), code_test.spelt(t));
SET client_min_messages = error;
DROP SCHEMA code_test CASCADE;
DROP OWNED BY regress_code_owner;
DROP ROLE regress_code_owner;
