--
-- What a column is protected with, and what is refused instead: labels and their limits, objects on the column that are made
-- anew or named, properties that are kept, and what an owner tries with code of his tables.
--
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE ROLE regress_refused_owner LOGIN;
CREATE ROLE regress_refused_app LOGIN;
CREATE SCHEMA refused_s AUTHORIZATION regress_refused_owner;
CREATE SCHEMA refused_t;
GRANT USAGE ON SCHEMA refused_s, refused_t TO PUBLIC;
SELECT redoubt.create_token_type('refused_t.other') IS NOT NULL AS made;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), refused_t.other(text), redoubt.detokenize(refused_t.other),
  redoubt.mask(refused_t.other), redoubt.search(refused_t.other) TO regress_refused_owner;
SET search_path = refused_s, public, redoubt;

-- The order of values, and which are equal, as the collation had it.
SET ROLE regress_refused_owner;
CREATE COLLATION any_case (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE TABLE collated (id int PRIMARY KEY, email text COLLATE any_case, name text COLLATE "C", code char(6));
INSERT INTO collated VALUES (1, 'not an address', 'tok_x'), (2, 'a•b', NULL), (3, 'see tok_EAABAAECAwQFBgcICQoLDA0ODw', NULL);
SELECT severity, object, what FROM redoubt.check_protect('collated', 'email', 'redoubt.email_token') WHERE what ~ 'collation|values' ORDER BY what;
SELECT severity, object, what FROM redoubt.check_protect('collated', 'name', 'redoubt.email_token') WHERE what ~ 'collation|values' ORDER BY what;
SELECT severity, object, what FROM redoubt.check_protect('collated', 'code', 'redoubt.email_token') WHERE what ~ 'blanks|allows' ORDER BY what;
CALL redoubt.protect_column('collated', 'email', 'redoubt.email_token');
ALTER TABLE collated ALTER email TYPE text COLLATE "default";
CALL redoubt.protect_column('collated', 'email', 'redoubt.email_token');
CALL redoubt.protect_undo('collated', 'email');
DROP TABLE collated;
DROP COLLATION any_case;
RESET ROLE;

-- Labels by any name stand for the type that metering takes them for; a limit of it is not lost to a type that has none.
SET ROLE regress_refused_owner;
CREATE TABLE by_token (id int PRIMARY KEY, email text);
INSERT INTO by_token SELECT i, i || '@example.com' FROM generate_series(1, 50) AS i;
CREATE TABLE by_name AS TABLE by_token;
CREATE TABLE later AS TABLE by_token;
CREATE TABLE limited AS TABLE by_token;
RESET ROLE;
SECURITY LABEL FOR redoubt ON COLUMN by_token.email IS 'token';
SECURITY LABEL FOR redoubt ON COLUMN by_name.email IS 'email_token';
SECURITY LABEL FOR redoubt ON COLUMN limited.email IS '"redoubt" . email_token';
SET ROLE regress_refused_owner;
CALL redoubt.protect_column('limited', 'email', 'refused_t.other', swap => false);
SET ROLE regress_refused_owner;
SELECT redoubt.protect_step('later', 'email', 'refused_t.other', 10, '1 s', false, false) FROM generate_series(1, 3);
RESET ROLE;
SELECT redoubt.set_limit('regress_refused_owner', t, 'read', 5, '1 day') IS NOT NULL AS limited FROM unnest(ARRAY['redoubt.text_token', 'redoubt.email_token']::regtype[]) AS t;
SET ROLE regress_refused_owner;
SELECT c.severity, c.object, c.what FROM unnest(ARRAY['by_token', 'by_name', 'limited']) AS t(name), LATERAL redoubt.check_protect(t.name::regclass, 'email', 'refused_t.other') AS c
WHERE c.what ~ 'label' ORDER BY t.name, 1;
CALL redoubt.protect_column('by_token', 'email', 'refused_t.other');
CALL redoubt.protect_column('by_name', 'email', 'refused_t.other');
-- A limit that comes while it is protected: it goes no further, and the tokens are limited as the values are.
CALL redoubt.protect_column('limited', 'email', 'refused_t.other', swap => false);
CALL redoubt.protect_column('limited', 'email', 'refused_t.other');
-- A label that comes then is the token column's, too, also for a plan that is there.
PREPARE held AS SELECT left(string_agg(redoubt.detokenize(redoubt_protect_2), ',' ORDER BY id), 15) FROM later;
EXECUTE held;
RESET ROLE;
SECURITY LABEL FOR redoubt ON COLUMN later.email IS 'redoubt.email_token';
SELECT l.objsubid, l.label FROM pg_seclabel AS l WHERE l.objoid = 'later'::regclass ORDER BY 1;
SET SESSION AUTHORIZATION regress_refused_owner;
CALL redoubt.protect_column('later', 'email', 'refused_t.other', swap => false);
SELECT redoubt.protect_step('later', 'email', 'refused_t.other', 10, '1 s', false, true);
INSERT INTO later VALUES (51, 'new@example.com') RETURNING redoubt_protect_2 IS NOT NULL AS kept;
CREATE TABLE loot (t refused_t.other, v text);
-- Each of these would give more than five values.
\set VERBOSITY sqlstate
EXECUTE held;
SELECT redoubt.detokenize(redoubt_protect_2) FROM later;
SELECT redoubt.mask(redoubt_protect_2) FROM later;
SELECT redoubt.detokenize(ARRAY[redoubt_protect_2]) FROM later;
SELECT array_agg(redoubt.detokenize(redoubt_protect_2)) FROM later;
SELECT redoubt.detokenize(refused_t.other(email)) FROM later;
SELECT refused_t.other(email)::text || '' FROM later;
SELECT redoubt_protect_2 FROM later;
SELECT lower(redoubt_protect_2) FROM later;
SELECT redoubt_protect_2::text || '' FROM later;
SELECT later FROM later;
INSERT INTO loot (t) SELECT redoubt_protect_2 FROM later;
INSERT INTO loot (v) SELECT redoubt.detokenize(redoubt_protect_2) FROM later;
CREATE TABLE copied AS SELECT redoubt_protect_2 FROM later;
COPY later TO STDOUT;
DO $$DECLARE v text; t refused_t.other; BEGIN FOR t IN SELECT redoubt_protect_2 FROM refused_s.later LOOP v := concat(v, redoubt.detokenize(t)); END LOOP; END$$;
UPDATE later SET id = id RETURNING redoubt.detokenize(redoubt_protect_2);
SET redoubt.reveal = 'plain';
SELECT redoubt_protect_2 FROM later;
SELECT upper(redoubt_protect_2) FROM later;
SELECT string_agg(redoubt_protect_2::text, ',') FROM later;
RESET redoubt.reveal;
\set VERBOSITY terse
SELECT count(*) AS looted FROM loot;
RESET SESSION AUTHORIZATION;
-- A weaker limit is no counterpart.
SELECT redoubt.set_limit('regress_refused_owner', 'refused_t.other', o, 5, '1 day') IS NOT NULL AS limited FROM unnest(ARRAY['read', 'masked']) AS o;
CREATE FUNCTION lost() RETURNS bigint LANGUAGE sql AS $$SELECT redoubt.protect_lost_limits('redoubt.email_token', 'refused_t.other')$$;
SELECT lost();
SELECT redoubt.set_limit('regress_refused_owner', 'refused_t.other', 'reveal', 5, '1 day', on_excess => 'log') IS NOT NULL AS logged, lost() AS lost_before;
SELECT lost(), redoubt.set_limit('regress_refused_owner', 'refused_t.other', 'reveal', 6, '1 day') IS NOT NULL AS more;
SELECT lost(), redoubt.set_limit('regress_refused_owner', 'refused_t.other', 'reveal', 5, '1 day', burst => 100) IS NOT NULL AS burst;
SELECT lost(), redoubt.drop_limit('regress_refused_owner', 'refused_t.other', 'reveal') IS NOT NULL AS dropped;
SELECT redoubt.set_limit('regress_refused_owner', 'refused_t.other', 'reveal', 5, '1 hour') IS NOT NULL AS shorter;
SELECT lost(), redoubt.set_limit('regress_refused_owner', 'refused_t.other', 'reveal', 5, 'statement') IS NOT NULL AS each_statement;
SELECT lost(), redoubt.set_limit(NULL, 'refused_t.other', 'reveal', 4, '2 days') IS NOT NULL AS of_all;
SELECT lost(), redoubt.drop_limit('regress_refused_owner', 'refused_t.other', 'masked') IS NOT NULL AS dropped;
SELECT lost(), redoubt.drop_limit(NULL, 'refused_t.other', 'reveal') IS NOT NULL AS dropped;
DROP FUNCTION lost();
SET SESSION AUTHORIZATION regress_refused_owner;
CALL redoubt.protect_column('later', 'email', 'refused_t.other');
RESET SESSION AUTHORIZATION;
SELECT redoubt.set_limit('regress_refused_owner', 'refused_t.other', o, 5, '1 day') IS NOT NULL AS limited FROM unnest(ARRAY['read', 'reveal', 'masked']) AS o;
SET ROLE regress_refused_owner;
CALL redoubt.protect_column('later', 'email', 'refused_t.other');
RESET ROLE;
SELECT count(*) AS labels_left FROM pg_seclabel AS l WHERE l.objoid = 'later'::regclass;
SELECT redoubt.drop_limit('regress_refused_owner', r.t, r.o) IS NOT NULL AS free
FROM (VALUES ('refused_t.other'::regtype, 'read'), ('refused_t.other', 'reveal'), ('refused_t.other', 'masked'), ('redoubt.text_token', 'read'), ('redoubt.email_token', 'read')) AS r(t, o);
SET ROLE regress_refused_owner;
SELECT count(redoubt.detokenize(email)) FROM later;
RESET ROLE;
DROP TABLE by_token, by_name, later, limited, loot;

-- Code of an owner's table that PostgreSQL calls when the table is looked at: nothing is there for it to call.
SET ROLE regress_refused_owner;
CREATE TABLE goal (id int PRIMARY KEY, email text, token refused_t.other);
INSERT INTO goal SELECT i, i || '@example.com' FROM generate_series(1, 20) AS i;
CALL redoubt.protect_column('goal', 'email', 'redoubt.email_token', swap => false);
CREATE TABLE reached (what text);
CREATE TABLE lever (id int PRIMARY KEY, email text, n int);
INSERT INTO lever SELECT i, i || '@example.com', 1 FROM generate_series(1, 20) AS i;
CREATE FUNCTION reach() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION pull(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM refused_s.reach(); RETURN $1; END';
CREATE INDEX lever_constant ON lever (n, pull(1));
CREATE INDEX lever_column ON lever (n) WHERE pull(n) > 0;
CREATE OR REPLACE FUNCTION reach() RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
  one text;
BEGIN
  FOREACH one IN ARRAY ARRAY[
    $$SELECT redoubt.protect_step('refused_s.goal', 'email', 'redoubt.email_token', 10, '1 s', true, true)$$,
    $$SELECT redoubt.protect_undo_step('refused_s.goal', 'email', '1 s')$$,
    $$SELECT redoubt.unprotect_column('refused_s.goal', 'token')$$,
    $$SELECT count(*) FROM redoubt.check_protect('refused_s.goal', 'email', 'redoubt.email_token')$$,
    $$UPDATE redoubt.protection SET step = 'swap'$$] LOOP
    BEGIN
      EXECUTE one;
      INSERT INTO refused_s.reached VALUES (one);
    EXCEPTION WHEN object_not_in_prerequisite_state OR insufficient_privilege THEN
      INSERT INTO refused_s.reached VALUES (SQLERRM);
    END;
  END LOOP;
END $body$;
\c -
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
SET search_path = refused_s, public, redoubt;
-- By a superuser, whose rights it would be after.
SELECT count(*) FROM redoubt.check_protect('lever', 'email', 'redoubt.email_token') WHERE severity = 'error';
CALL redoubt.protect_column('lever', 'email', 'redoubt.email_token', swap => false);
CALL redoubt.protect_column('lever', 'email', 'redoubt.email_token');
SELECT DISTINCT what FROM reached ORDER BY 1;
SELECT count(*) AS still_protected FROM redoubt.protection WHERE relation = 'goal'::regclass;
SELECT count(*) FROM redoubt.audit WHERE event = 'protect' AND operation NOT IN ('begin', 'swap', 'undo', 'unprotect');
SET ROLE regress_refused_owner;
CALL redoubt.protect_undo('goal', 'email');
DROP TABLE goal, lever, reached;

-- Policies: in a few forms they mean the same of tokens; in any other they are named, and the swap is refused.
CREATE TABLE guarded (id int PRIMARY KEY, email text, short varchar(30), fixed char(30), bytes bytea);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE TABLE blocked (e text);
CREATE FUNCTION answer(form text, kind text) RETURNS text LANGUAGE plpgsql AS $body$
DECLARE
  said text := '';
  col text;
  is_swap boolean;
BEGIN
  FOREACH col IN ARRAY ARRAY['email', 'short', 'fixed'] LOOP
    BEGIN
      EXECUTE CASE kind WHEN 'policy' THEN 'CREATE POLICY odd ON refused_s.guarded USING (' || replace(form, '@', col) || ')'
                        ELSE 'CREATE VIEW refused_s.odd AS SELECT id, ' || CASE WHEN kind = 'output' THEN replace(form, '@', col) || ' AS x FROM refused_s.guarded'
                                                                              ELSE 'id AS x FROM refused_s.guarded WHERE ' || replace(form, '@', col) END END;
      SELECT bool_or(c.severity IN ('swap', 'error')) INTO is_swap FROM redoubt.protect_parts('refused_s.guarded', redoubt.protect_column_number('refused_s.guarded', col), 'redoubt.email_token') AS c;
      said := said || CASE WHEN is_swap THEN 'refused ' ELSE 'made anew ' END;
      EXECUTE CASE kind WHEN 'policy' THEN 'DROP POLICY odd ON refused_s.guarded' ELSE 'DROP VIEW refused_s.odd' END;
    EXCEPTION WHEN undefined_function OR cannot_coerce OR datatype_mismatch THEN
      said := said || '- ';
    END;
  END LOOP;
  RETURN said;
END $body$;
SELECT f.form, answer(f.form, 'policy') AS policy, answer(f.form, 'condition') AS condition
FROM unnest(ARRAY[$$@ = 'a'$$, $$'a' <> @$$, $$@ <> 'a' AND id > 5 OR NOT @ = 'b'$$, $$@ IS NOT NULL$$, $$id = 1$$,
  $$@ = current_user$$, $$@ < 'b'$$, $$@ LIKE '%@evil.com'$$, $$@ ~ 'evil'$$, $$@ IN ('a', 'b')$$, $$@ IS DISTINCT FROM 'a'$$, $$concat(@) <> 'a'$$, $$format('%s', @) <> 'a'$$,
  $$to_json(@)::text <> 'a'$$, $$row_to_json(guarded)::text <> 'a'$$, $$(@::text)::bytea <> 'a'$$, $$ROW(@)::text <> '(a)'$$, $$(@, 1) <> ('a', 1)$$, $$@ || '' <> 'a'$$, $$length(@) > 5$$,
  $$lower(@) <> 'a'$$, $$coalesce(@, '') <> 'a'$$, $$CASE WHEN @ = 'a' THEN false ELSE true END$$, $$@ COLLATE "C" <> 'a'$$, $$nullif(@, 'a') IS NOT NULL$$,
  $$NOT EXISTS (SELECT FROM refused_s.blocked AS b WHERE b.e = @)$$, $$@ NOT IN (SELECT e FROM refused_s.blocked)$$, $$@ = ANY (ARRAY['a'])$$, $$md5(@) <> 'a'$$,
  $$id IN (SELECT g.id FROM refused_s.blocked AS b, refused_s.guarded AS g WHERE g.email = b.e)$$]) AS f(form);
SELECT f.form, answer(f.form, 'output') AS output FROM unnest(ARRAY['@', '@ IS NULL', $$@ = 'a'$$, 'upper(@)', 'count(*) OVER (PARTITION BY @)', 'guarded', '(SELECT @)', '@::text', 'CASE WHEN id > 1 THEN @ END']) AS f(form);
CREATE FUNCTION answer_view(definition text) RETURNS text LANGUAGE plpgsql AS $body$
DECLARE
  said text;
BEGIN
  EXECUTE 'CREATE VIEW refused_s.odd AS ' || definition;
  SELECT string_agg(c.severity || ': ' || c.object, ', ' ORDER BY c.object) INTO said FROM redoubt.protect_parts('refused_s.guarded', 2::smallint, 'redoubt.email_token') AS c WHERE c.object ~ 'odd' AND c.severity IN ('swap', 'warning');
  DROP VIEW refused_s.odd;
  RETURN said;
END $body$;
SELECT d.definition, answer_view(d.definition) FROM unnest(ARRAY['SELECT * FROM guarded', 'SELECT email FROM guarded ORDER BY email', 'SELECT DISTINCT email FROM guarded', 'SELECT email FROM guarded GROUP BY email',
  'SELECT email FROM guarded UNION ALL SELECT e FROM blocked', 'WITH g AS (SELECT email FROM guarded) SELECT email FROM g', 'SELECT email FROM (SELECT email FROM guarded) AS g',
  'SELECT g.email, b.e FROM guarded AS g JOIN blocked AS b ON g.id = length(b.e)', 'SELECT g.id FROM guarded AS g JOIN blocked AS b ON g.email = b.e', 'SELECT email FROM guarded JOIN (SELECT e AS email FROM blocked) AS b USING (email)',
  'SELECT a.email FROM guarded AS a LEFT JOIN guarded AS b ON a.id = b.id', 'SELECT count(*) FROM guarded HAVING min(email) > $$a$$', 'SELECT g.id, f.x FROM guarded AS g, LATERAL upper(g.email) AS f(x)',
  'SELECT id, email FROM guarded LIMIT 5', 'SELECT g FROM guarded AS g', 'SELECT id FROM guarded', 'SELECT id, row_to_json(guarded) FROM guarded']) AS d(definition);
-- Views on views: what they do with the column that is the column.
CREATE VIEW first AS SELECT id, email AS a FROM guarded WHERE email <> 'x';
CREATE VIEW second AS SELECT a AS b FROM first WHERE a IS NOT NULL;
CREATE VIEW third AS SELECT id FROM first;
CREATE VIEW fourth AS SELECT upper(b) FROM second;
SELECT severity, object FROM redoubt.check_protect('guarded', 'email', 'redoubt.email_token') WHERE object ~ 'view' ORDER BY 2;
DROP TABLE guarded CASCADE;
-- Conditions of triggers.
RESET ROLE;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$BEGIN RETURN NEW; END$$;
SECURITY LABEL FOR redoubt ON FUNCTION nothing() IS 'trusted';
SET ROLE regress_refused_owner;
CREATE TABLE noticed (id int PRIMARY KEY, email varchar(50), note text);
CREATE TRIGGER a BEFORE UPDATE ON noticed FOR EACH ROW WHEN (OLD.email IS DISTINCT FROM NEW.email OR NEW.email IS NULL) EXECUTE FUNCTION nothing();
CREATE TRIGGER b BEFORE UPDATE ON noticed FOR EACH ROW WHEN (OLD.email <> 'a') EXECUTE FUNCTION nothing();
CREATE TRIGGER c BEFORE UPDATE ON noticed FOR EACH ROW WHEN (OLD.email < NEW.email) EXECUTE FUNCTION nothing();
CREATE TRIGGER e BEFORE UPDATE ON noticed FOR EACH ROW WHEN (OLD.email IS DISTINCT FROM NEW.email AND NEW.note <> '(old.email)::text') EXECUTE FUNCTION nothing();
CREATE TRIGGER d BEFORE UPDATE ON noticed FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION nothing();
SELECT severity, object, what FROM redoubt.check_protect('noticed', 'email', 'redoubt.email_token') WHERE object ~ 'trigger' AND severity <> 'warning' ORDER BY 2;
DROP TRIGGER b ON noticed;
DROP TRIGGER c ON noticed;
DROP TRIGGER e ON noticed;
CALL redoubt.protect_column('noticed', 'email', 'redoubt.email_token');
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'noticed'::regclass ORDER BY tgname;
DROP TABLE noticed;

-- What else stands in the way, before and during the work, is named; the swap says the same.
CREATE TABLE keyed (id int, email text, n int, PRIMARY KEY (id) INCLUDE (email));
CREATE TABLE refers (id int REFERENCES keyed);
CREATE VIEW grouped AS SELECT id, n, count(*) FROM keyed GROUP BY id;
SELECT severity, object, what FROM redoubt.check_protect('keyed', 'email', 'redoubt.email_token') WHERE severity IN ('error', 'swap') ORDER BY 2;
DROP TABLE keyed, refers CASCADE;
CREATE TABLE meanwhile (id int PRIMARY KEY, email text, n int);
INSERT INTO meanwhile VALUES (1, 'a@example.com', 1);
CREATE FUNCTION unknown(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION unknown_too(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
CREATE INDEX untrusted ON meanwhile (email, unknown_too(id));
SELECT severity, object, what FROM redoubt.check_protect('meanwhile', 'email', 'redoubt.email_token') WHERE severity IN ('error', 'swap') ORDER BY 2;
DROP INDEX untrusted;
CALL redoubt.protect_column('meanwhile', 'email', 'redoubt.email_token', swap => false);
CREATE VIEW everything AS SELECT * FROM meanwhile;
CREATE TEMP VIEW passing AS SELECT email FROM meanwhile;
ALTER TABLE meanwhile ALTER redoubt_protect_2 SET NOT NULL;
SELECT severity, regexp_replace(object, 'pg_temp_[0-9]+', 'pg_temp') AS object, what FROM redoubt.check_protect('meanwhile', 'email', 'redoubt.email_token') WHERE severity IN ('error', 'swap') ORDER BY 2, 3;
DROP VIEW passing;
CALL redoubt.protect_column('meanwhile', 'email', 'redoubt.email_token');
ALTER TABLE meanwhile ALTER redoubt_protect_2 DROP NOT NULL;
DROP VIEW everything;
CREATE INDEX goes_with ON meanwhile (email, n);
CALL redoubt.protect_column('meanwhile', 'email', 'redoubt.email_token', swap => false, build_indexes => true);
ALTER INDEX goes_with DEPENDS ON EXTENSION plpgsql;
CALL redoubt.protect_column('meanwhile', 'email', 'redoubt.email_token');
ALTER INDEX goes_with NO DEPENDS ON EXTENSION plpgsql;
REVOKE SELECT ON meanwhile FROM regress_refused_owner;
CALL redoubt.protect_column('meanwhile', 'email', 'redoubt.email_token');
GRANT SELECT ON meanwhile TO regress_refused_owner;
GRANT SELECT (email) ON meanwhile TO regress_refused_app WITH GRANT OPTION;
SET ROLE regress_refused_app;
GRANT SELECT (email) ON meanwhile TO regress_refused_owner;
SET ROLE regress_refused_owner;
CALL redoubt.protect_column('meanwhile', 'email', 'redoubt.email_token');
REVOKE SELECT (email) ON meanwhile FROM regress_refused_app CASCADE;
CALL redoubt.protect_column('meanwhile', 'email', 'redoubt.email_token');
SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'meanwhile'::regclass AND attname = 'email';
DROP TABLE meanwhile;

-- What a column, its indexes, statistics and views were set to.
CREATE TABLE settled (id int PRIMARY KEY, email text, note text);
ALTER TABLE settled ALTER email SET (n_distinct = -0.5), ALTER email SET COMPRESSION pglz, ALTER email SET STATISTICS 77, ALTER email SET STORAGE EXTERNAL;
CREATE INDEX settled_lower ON settled (id, lower(email));
ALTER INDEX settled_lower ALTER COLUMN 2 SET STATISTICS 777;
CREATE STATISTICS settled_both ON email, note FROM settled;
ALTER STATISTICS settled_both SET STATISTICS 555;
COMMENT ON STATISTICS settled_both IS 'of both';
CREATE VIEW settled_view AS SELECT email FROM settled;
REVOKE ALL ON settled_view FROM regress_refused_owner;
GRANT SELECT ON settled_view TO regress_refused_app;
INSERT INTO settled SELECT i, i || '@example.com', 'n' FROM generate_series(1, 50) AS i;
SET quote_all_identifiers = on;
CALL redoubt.protect_column('settled', 'email', 'redoubt.email_token', build_indexes => true);
RESET quote_all_identifiers;
SELECT format_type(atttypid, NULL), attstattarget, attstorage, attcompression, o.option_value AS n_distinct
FROM pg_attribute, pg_options_to_table(attoptions) AS o WHERE o.option_name = 'n_distinct' AND attrelid = 'settled'::regclass AND attname = 'email';
SELECT attstattarget FROM pg_attribute WHERE attrelid = 'settled_lower'::regclass AND attnum = 2;
SELECT stxstattarget, obj_description(oid, 'pg_statistic_ext') FROM pg_statistic_ext WHERE stxname = 'settled_both';
SELECT relacl FROM pg_class WHERE oid = 'settled_view'::regclass;
DROP TABLE settled CASCADE;

-- ON CONFLICT after the index that decides got another number, or the other one another name.
CREATE TABLE decided (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE);
CREATE UNIQUE INDEX decided_lower ON decided (lower(email), id);
INSERT INTO decided (email) VALUES ('a@example.com');
CALL redoubt.protect_column('decided', 'email', 'redoubt.email_token', swap => false, build_indexes => true);
RESET ROLE;
REINDEX INDEX CONCURRENTLY decided_email_key;
REINDEX INDEX CONCURRENTLY decided_lower;
SET ROLE regress_refused_owner;
INSERT INTO decided (email) VALUES ('a@EXAMPLE.com') ON CONFLICT (email) DO NOTHING;
INSERT INTO decided (email) VALUES ('a@EXAMPLE.com') ON CONFLICT (email) DO UPDATE SET email = EXCLUDED.email;
DO $$DECLARE i oid; BEGIN FOR i IN SELECT c.oid FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid WHERE x.indrelid = 'refused_s.decided'::regclass AND c.relname ~ '^redoubt_protect' LOOP
  EXECUTE format('ALTER INDEX %s RENAME TO %s', i::regclass, 'renamed_' || i); END LOOP; END$$;
INSERT INTO decided (email) VALUES ('a@eXAMPLE.com') ON CONFLICT (email) DO NOTHING;
SELECT email FROM decided;
\set VERBOSITY sqlstate
INSERT INTO decided (email) VALUES ('a@eXAMPLE.com') ON CONFLICT (id) DO NOTHING;
\set VERBOSITY terse
CALL redoubt.protect_column('decided', 'email', 'redoubt.email_token');
CALL redoubt.protect_undo('decided', 'email');
\d decided
RESET ROLE;

-- Indexes that decide of something else do not decide with it.
SET ROLE regress_refused_owner;
CREATE TABLE separate (id int PRIMARY KEY, email text, note text, other text, active boolean, n int DEFAULT 0);
CREATE UNIQUE INDEX separate_note ON separate (lower(note));
CREATE UNIQUE INDEX separate_other ON separate (upper(other));
CREATE UNIQUE INDEX separate_lower ON separate (lower(email));
CREATE UNIQUE INDEX separate_active ON separate (email) WHERE active;
CREATE UNIQUE INDEX separate_idle ON separate (email) WHERE NOT active;
CREATE UNIQUE INDEX separate_there ON separate (id) WHERE email IS NOT NULL;
INSERT INTO separate VALUES (1, 'a@example.com', 'a', 'o', false);
CALL redoubt.protect_column('separate', 'email', 'redoubt.email_token', swap => false, build_indexes => true);
\set VERBOSITY sqlstate
INSERT INTO separate VALUES (2, 'b@example.com', 'b', 'O') ON CONFLICT (lower(note)) DO UPDATE SET n = 1;
INSERT INTO separate VALUES (2, 'a@EXAMPLE.com', 'b', 'p') ON CONFLICT (lower(note)) DO UPDATE SET n = 2;
INSERT INTO separate VALUES (2, 'A@example.com', 'b', 'p') ON CONFLICT (upper(other)) DO UPDATE SET n = 3;
INSERT INTO separate VALUES (2, 'a@example.com', 'b', 'p', false) ON CONFLICT (email) WHERE active DO UPDATE SET n = 4;
INSERT INTO separate VALUES (1, 'c@example.com', 'b', 'p') ON CONFLICT (lower(email)) DO UPDATE SET n = 5;
\set VERBOSITY terse
SELECT id, n AS untouched FROM separate;
-- Those that do, do.
INSERT INTO separate VALUES (2, 'a@EXAMPLE.com', 'b', 'p') ON CONFLICT (lower(email)) DO UPDATE SET n = separate.n + 10;
DROP INDEX separate_lower;
INSERT INTO separate VALUES (2, 'a@EXAMPLE.com', 'b', 'p', false) ON CONFLICT (email) WHERE NOT active DO UPDATE SET n = separate.n + 10;
SELECT id, n FROM separate;
DROP TABLE separate;
RESET ROLE;

-- Statements of indexes, which a superuser may run, bring no code of the owner's along.
SET SESSION AUTHORIZATION regress_refused_owner;
CREATE TABLE ran (role text);
CREATE FUNCTION runs(text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN INSERT INTO refused_s.ran VALUES (current_user); RETURN true; END$$;
CREATE DOMAIN bait AS text CHECK (runs(VALUE));
CREATE TYPE bait_row AS (bait bait);
CREATE TYPE bait_range AS RANGE (subtype = bait);
CREATE TYPE kind AS ENUM ('a', 'b');
CREATE TABLE baited (id int PRIMARY KEY, email text, kind kind DEFAULT 'a');
CREATE INDEX baited_array ON baited (email) WHERE ('{x}'::bait[]) IS NOT NULL;
CREATE INDEX baited_row ON baited (email, (('(x)'::bait_row).bait::text)) WHERE ('(x)'::bait_row) IS NOT NULL;
CREATE INDEX baited_range ON baited (email) WHERE NOT isempty('[x,x]'::bait_range);
CREATE INDEX baited_kind ON baited (email) WHERE kind = 'a';
SELECT object, what FROM redoubt.check_protect('baited', 'email', 'redoubt.email_token') WHERE severity IN ('error', 'swap') ORDER BY 1;
DROP INDEX baited_array, baited_row, baited_range;
CALL redoubt.protect_column('baited', 'email', 'redoubt.email_token', swap => false);
CREATE INDEX baited_array ON baited (email) WHERE ('{x}'::bait[]) IS NOT NULL;
SELECT regexp_replace(i, '[0-9]+ ON', 'N ON') AS of_the_owner FROM redoubt.protect_indexes('baited', 'email') AS i;
TRUNCATE ran;
RESET SESSION AUTHORIZATION;
SELECT redoubt.protect_indexes('baited', 'email');
SET ROLE regress_refused_owner;
SELECT redoubt.protect_indexes('baited', 'email');
RESET ROLE;
CALL redoubt.protect_column('baited', 'email', 'redoubt.email_token', build_indexes => true);
DROP INDEX baited_array;
CALL redoubt.protect_column('baited', 'email', 'redoubt.email_token');
SELECT DISTINCT role FROM ran;
SELECT pg_get_indexdef('baited_kind'::regclass);
DROP TABLE baited, ran;
DROP FUNCTION runs CASCADE;

-- A batch ends in time within a block, too, where indexes are slow, and goes on there.
SET ROLE regress_refused_owner;
CREATE FUNCTION takes_long(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM pg_sleep(0.03); RETURN $1; END$$;
CREATE TABLE heavy (id int PRIMARY KEY, email text, full_page text);
ALTER TABLE heavy ALTER full_page SET STORAGE PLAIN;
INSERT INTO heavy SELECT i, i || '@example.com', repeat('x', 1070) FROM generate_series(1, 14) AS i;
CREATE INDEX heavy_long ON heavy (takes_long(id));
SELECT redoubt.protect_step('heavy', 'email', 'redoubt.email_token', 5000, '1 s', false, false) FROM generate_series(1, 2);
SELECT rows_done < 6 AS in_the_middle FROM redoubt.progress WHERE "table" = 'heavy'::regclass;
CALL redoubt.protect_column('heavy', 'email', 'redoubt.email_token', share => 1.0);
SELECT count(*) FROM heavy WHERE redoubt.detokenize(email) = id || '@example.com';
DROP TABLE heavy;
RESET ROLE;

-- How long it may take is asked for.
SET ROLE regress_refused_owner;
CREATE TABLE slow (id int, email text);
CALL redoubt.protect_column('slow', 'email', 'redoubt.email_token', lock_timeout => '0');
CALL redoubt.protect_undo('slow', 'email', lock_timeout => '-1 s');
RESET ROLE;
DROP SCHEMA refused_s, refused_t CASCADE;
DROP OWNED BY regress_refused_owner, regress_refused_app;
DROP ROLE regress_refused_owner, regress_refused_app;
