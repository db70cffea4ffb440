/*
 * rewrap_column(): the tokens of a column sealed with the newest version of their key.
 *
 * Proves: every form in which a column holds tokens is sealed anew and equals what it was; indexes, unique and foreign
 * keys, generated columns, partitions and children follow; no trigger, rule, policy or constraint runs; what does not
 * open is left, counted and named by place; what runs of the table's code runs as its owner, without more rights, and
 * sees tokens; nothing is revealed or charged; who is no redoubt_admin may not; a version that was left can be retired.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
\set SHOW_CONTEXT never
CREATE ROLE regress_rw_admin IN ROLE redoubt_admin;
CREATE ROLE regress_rw_app;
CREATE SCHEMA regress_rw;
GRANT USAGE, CREATE ON SCHEMA regress_rw TO regress_rw_app;
GRANT USAGE ON SCHEMA regress_rw TO regress_rw_admin;
SELECT max(sequence) AS mark FROM redoubt.audit \gset

SELECT redoubt.create_key('regress_rw'), redoubt.create_key('regress_rw_fixed');
SELECT redoubt.create_token_type('regress_rw.token', "normalize" => 'email', key => 'regress_rw') \gset made_
SELECT redoubt.create_token_type('regress_rw.random', deterministic => false, key => 'regress_rw') \gset made_
SELECT redoubt.create_token_type('regress_rw.octets', base => 'bytea', key => 'regress_rw') \gset made_
SELECT redoubt.create_token_type('regress_rw.kept', method => 'vault', key => 'regress_rw_fixed') \gset made_
SELECT redoubt.create_token_type('regress_rw.digits', method => 'fpe', format => 'digits(8)', key => 'regress_rw_fixed') \gset made_
GRANT EXECUTE ON FUNCTION regress_rw.token(text), redoubt.detokenize(regress_rw.token), regress_rw.random(text), redoubt.detokenize(regress_rw.random),
  regress_rw.octets(bytea), redoubt.detokenize(regress_rw.octets), regress_rw.kept(text), regress_rw.digits(text) TO regress_rw_app;
SET ROLE regress_rw_app;
SET search_path = regress_rw, redoubt;
CREATE DOMAIN part AS token;
CREATE TYPE pair AS (number int, one token, other random, third kept);
CREATE TYPE spread AS RANGE (subtype = token);
CREATE TABLE plain (id int PRIMARY KEY, t token UNIQUE, r random, o octets, n int DEFAULT 0);
CREATE TABLE form (id int, d part, a token[], p pair, ps pair[], s spread, k kept, f digits, x text);
INSERT INTO plain (id, t, r, o) SELECT i, 'User' || i || '@Example.Com', 'value ' || i, decode(to_hex(i + 4096), 'hex') FROM generate_series(1, 50) AS i;
INSERT INTO plain (id, t, r) VALUES (51, 'x@example.com', repeat('long ', 20000)), (52, NULL, NULL), (53, '', '');
ALTER TABLE plain ALTER r SET STORAGE EXTERNAL;
INSERT INTO plain (id, r) VALUES (54, repeat('long ', 20000));
INSERT INTO form SELECT 1, t, ARRAY[[t, NULL], [t, t]], ROW(1, t, r, NULL)::pair, ARRAY[ROW(1, t, r, NULL)::pair, NULL, ROW(2, t, NULL, NULL)::pair] FROM plain WHERE id = 1;
CREATE TABLE before AS SELECT * FROM plain;
CREATE TABLE form_before AS SELECT * FROM form;
RESET ROLE;
SELECT redoubt.rotate_key('regress_rw');
SET search_path = pg_catalog;

-- -------------------------------------------------------- tokens in a column
-- The admin holds nothing on the tables.
SET ROLE regress_rw_admin;
SELECT redoubt.rewrap_left('regress_rw.plain', 't');
CALL redoubt.rewrap_column('regress_rw.plain', 't', batch => 7);
SELECT redoubt.rewrap_left('regress_rw.plain', 't');
CALL redoubt.rewrap_column('regress_rw.plain', 't');
CALL redoubt.rewrap_column('regress_rw.plain', 'r');
CALL redoubt.rewrap_column('regress_rw.plain', 'o');
CALL redoubt.rewrap_column('regress_rw.form', 'd');
CALL redoubt.rewrap_column('regress_rw.form', 'a');
CALL redoubt.rewrap_column('regress_rw.form', 'p');
CALL redoubt.rewrap_column('regress_rw.form', 'ps');
SELECT table_name, column_name, version, tokens FROM redoubt.key_use() WHERE key = 'regress_rw' AND table_name::text NOT LIKE '%before' ORDER BY table_name::text COLLATE "C", column_name, version;
RESET ROLE;
SET ROLE regress_rw_app;
SET search_path = regress_rw, redoubt;
SELECT count(*) FILTER (WHERE p.t = b.t) AS equal, count(*) FILTER (WHERE token(p.t) = token(b.t)) AS same_bytes,
  count(*) FILTER (WHERE p.o = b.o) AS equal_octets FROM plain AS p JOIN before AS b USING (id);
SELECT count(*) FILTER (WHERE detokenize(p.t) IS NOT DISTINCT FROM detokenize(b.t)) AS same_values, count(*) FILTER (WHERE detokenize(p.r) IS NOT DISTINCT FROM detokenize(b.r)) AS same_random,
  count(*) FILTER (WHERE detokenize(p.o) IS NOT DISTINCT FROM detokenize(b.o)) AS same_octets FROM plain AS p JOIN before AS b USING (id);
SELECT detokenize(t) AS as_typed FROM plain WHERE id = 9;
SELECT array_dims(a), a[1][2] IS NULL AS still_null, a = (SELECT a FROM form_before) AS equal FROM form;
SELECT d = (SELECT d FROM form_before) AS d, (p).one = (SELECT (p).one FROM form_before) AS p, (p).number, detokenize((p).other) AS other, ps[2] IS NULL AS gap, detokenize((ps[3]).one) AS third FROM form;
-- The unique index finds each of them, and refuses another one.
SET enable_seqscan = off;
SELECT count(*) FROM before AS b WHERE EXISTS (SELECT FROM plain AS p WHERE p.t = b.t);
\set VERBOSITY terse
INSERT INTO plain (id, t) VALUES (60, 'User9@example.com');
\set VERBOSITY default
RESET enable_seqscan;

-- --------------------------------------------------- what is not sealed anew
CREATE VIEW a_view AS SELECT * FROM plain;
CREATE MATERIALIZED VIEW a_copy AS SELECT * FROM plain;
CREATE INDEX plain_index ON plain (n);
RESET ROLE;
SET ROLE regress_rw_admin;
CALL redoubt.rewrap_column('regress_rw.form', 's');
CALL redoubt.rewrap_column('regress_rw.form', 'k');
CALL redoubt.rewrap_column('regress_rw.form', 'f');
CALL redoubt.rewrap_column('regress_rw.form', 'x');
CALL redoubt.rewrap_column('regress_rw.form', 'missing');
CALL redoubt.rewrap_column('regress_rw.form', 'ctid');
CALL redoubt.rewrap_column('regress_rw.a_view', 't');
CALL redoubt.rewrap_column('regress_rw.a_copy', 't');
CALL redoubt.rewrap_column('regress_rw.plain_index', 'n');
CALL redoubt.rewrap_column('redoubt.key', 'wrapped');
CALL redoubt.rewrap_column('regress_rw.plain', 't', batch => 0);
CALL redoubt.rewrap_column('regress_rw.plain', 't', batch => NULL);
CALL redoubt.rewrap_column(NULL, 't');
SELECT redoubt.rewrap_batch('regress_rw.plain', 't', NULL, -1, 10, false);
BEGIN;
CALL redoubt.rewrap_column('regress_rw.plain', 't');
ROLLBACK;
BEGIN READ ONLY;
SELECT redoubt.rewrap_batch('regress_rw.plain', 't', NULL, 1, 10, false);
ROLLBACK;
RESET ROLE;
-- A stranger, who owns the table and may reveal.
SET ROLE regress_rw_app;
CALL redoubt.rewrap_column('regress_rw.plain', 't');
SELECT redoubt.rewrap_batch('regress_rw.plain', 't', NULL, 1, 10, false);
SELECT redoubt.rewrap_tables('regress_rw.plain', 't');

-- ------------------------- triggers, rules, policies, constraints, references
SET search_path = regress_rw, redoubt;
CREATE TABLE parent (t token PRIMARY KEY, note text);
CREATE TABLE cascades (t token REFERENCES parent ON UPDATE CASCADE);
CREATE TABLE nulls (t token REFERENCES parent ON UPDATE SET NULL ON DELETE SET NULL);
CREATE TABLE restricts (t token REFERENCES parent ON UPDATE RESTRICT);
CREATE TABLE deferred (t token REFERENCES parent DEFERRABLE INITIALLY DEFERRED, id int);
ALTER TABLE deferred ADD CONSTRAINT deferred_unique UNIQUE (t) DEFERRABLE INITIALLY DEFERRED;
INSERT INTO parent SELECT 'p' || i || '@example.com' FROM generate_series(1, 5) AS i;
INSERT INTO cascades SELECT t FROM parent;
INSERT INTO nulls SELECT t FROM parent;
INSERT INTO restricts SELECT t FROM parent;
INSERT INTO deferred SELECT t FROM parent;
CREATE TABLE happened (what text);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN INSERT INTO regress_rw.happened VALUES (TG_NAME); RETURN COALESCE(NEW, OLD); END $$;
RESET ROLE;
SECURITY LABEL FOR redoubt ON FUNCTION regress_rw.tell() IS 'trusted';
SET ROLE regress_rw_app;
CREATE TRIGGER before_row BEFORE UPDATE ON parent FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER after_row AFTER UPDATE ON parent FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER statement AFTER UPDATE ON parent FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER always BEFORE UPDATE ON parent FOR EACH ROW EXECUTE FUNCTION tell();
ALTER TABLE parent ENABLE ALWAYS TRIGGER always;
CREATE RULE instead AS ON UPDATE TO cascades DO INSTEAD NOTHING;
ALTER TABLE nulls ENABLE ROW LEVEL SECURITY;
ALTER TABLE nulls FORCE ROW LEVEL SECURITY;
CREATE POLICY none_of_them ON nulls USING (false);
ALTER TABLE restricts ADD CONSTRAINT never CHECK (t IS NULL) NOT VALID;
RESET ROLE;
SET search_path = pg_catalog;
SELECT redoubt.rotate_key('regress_rw');
SET ROLE regress_rw_admin;
CALL redoubt.rewrap_column('regress_rw.parent', 't');
CALL redoubt.rewrap_column('regress_rw.cascades', 't');
CALL redoubt.rewrap_column('regress_rw.nulls', 't');
CALL redoubt.rewrap_column('regress_rw.restricts', 't');
CALL redoubt.rewrap_column('regress_rw.deferred', 't');
RESET ROLE;
SELECT count(*) AS happened FROM regress_rw.happened;
SELECT (SELECT count(t) FROM regress_rw.nulls) AS nulls, (SELECT count(*) FROM regress_rw.parent AS p JOIN regress_rw.cascades AS c ON c.t OPERATOR(regress_rw.=) p.t) AS joined;
SELECT table_name, version, tokens FROM redoubt.key_use() WHERE key = 'regress_rw' AND table_name::text ~ 'parent|cascades|nulls|restricts|deferred' ORDER BY table_name::text COLLATE "C";
-- References hold, in both directions.
\set VERBOSITY terse
DELETE FROM regress_rw.parent;
INSERT INTO regress_rw.deferred (t) SELECT t FROM regress_rw.parent LIMIT 1;
\set VERBOSITY default

-- ------------------------------------------- partitions, children, generated
SET ROLE regress_rw_app;
SET search_path = regress_rw, redoubt;
CREATE TABLE parted (id int, t token, low token GENERATED ALWAYS AS (COALESCE(t, NULL)) STORED, other int GENERATED ALWAYS AS (id * 2) STORED) PARTITION BY HASH (t);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parted_1 (extra text, t token, id int, low token GENERATED ALWAYS AS (COALESCE(t, NULL)) STORED, other int GENERATED ALWAYS AS (id * 2) STORED) PARTITION BY RANGE (id);
ALTER TABLE parted_1 DROP COLUMN extra;
ALTER TABLE parted ATTACH PARTITION parted_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE parted_1_low PARTITION OF parted_1 FOR VALUES FROM (0) TO (20);
CREATE TABLE parted_1_high PARTITION OF parted_1 FOR VALUES FROM (20) TO (100);
CREATE INDEX ON parted (t);
CREATE INDEX ON parted (lower(t));
CREATE INDEX ON parted USING gin (t);
CREATE INDEX ON parted ((t::text));
CREATE TABLE child (own int) INHERITS (plain);
INSERT INTO parted (id, t) SELECT i, 'U' || i || '@example.com' FROM generate_series(1, 40) AS i;
INSERT INTO child (id, t, own) VALUES (70, 'child@example.com', 1);
RESET ROLE;
SET search_path = pg_catalog;
SELECT redoubt.rotate_key('regress_rw');
SET ROLE regress_rw_admin;
SET client_min_messages = warning;
CALL redoubt.rewrap_column('regress_rw.parted', 't', 3);
CALL redoubt.rewrap_column('regress_rw.plain', 't');
CALL redoubt.rewrap_column('regress_rw.plain', 'r');
RESET client_min_messages;
CALL redoubt.rewrap_column('regress_rw.parted', 'low');
SELECT redoubt.rewrap_batch('regress_rw.parted', 't', NULL, 1, 10, false);
RESET ROLE;
SELECT column_name, version, sum(tokens) FROM redoubt.key_use() WHERE key = 'regress_rw' AND table_name::text ~ 'parted|child|plain' GROUP BY 1, 2 ORDER BY 1, 2;
REINDEX TABLE regress_rw.parted;
SET ROLE regress_rw_app;
SET search_path = regress_rw, redoubt;
SELECT count(*), count(*) FILTER (WHERE token(t) = token(low)) AS generated, sum(other) FROM parted;
SET enable_seqscan = off;
SELECT id FROM parted WHERE t = 'U9@example.com';
SELECT id FROM parted WHERE lower(t) = 'u9@example.com';
SELECT id FROM parted WHERE t LIKE '%9@exam%' ORDER BY id;
SELECT id FROM parted ORDER BY t::text LIMIT 3;
RESET enable_seqscan;
RESET ROLE;

-- ------------------------------------------------------------ a hostile owner
SET ROLE regress_rw_app;
CREATE TABLE trap (id int, t token);
CREATE TABLE seen (who name, what text);
CREATE TABLE switch (what text);
INSERT INTO switch VALUES ('quiet');
CREATE FUNCTION deed(token) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  how text := (SELECT what FROM regress_rw.switch);
BEGIN
  IF how = 'fails' THEN
    IF (SELECT count(*) > 1 FROM regress_rw.seen) THEN RAISE 'not again'; END IF;
    INSERT INTO regress_rw.seen VALUES (current_user, 'called');
  ELSIF how = 'attacks' THEN
    INSERT INTO regress_rw.seen VALUES (current_user, left(redoubt.token($1), 4));
    BEGIN RESET ROLE; EXCEPTION WHEN OTHERS THEN INSERT INTO regress_rw.seen VALUES (current_user, SQLERRM); END;
    BEGIN SET ROLE regress_rw_admin; EXCEPTION WHEN OTHERS THEN INSERT INTO regress_rw.seen VALUES (current_user, SQLERRM); END;
    BEGIN PERFORM redoubt.retire_key('regress_rw', 1); EXCEPTION WHEN OTHERS THEN INSERT INTO regress_rw.seen VALUES (current_user, SQLERRM); END;
    BEGIN CREATE TEMP TABLE left_behind (x int); EXCEPTION WHEN OTHERS THEN INSERT INTO regress_rw.seen VALUES (current_user, SQLERRM); END;
    INSERT INTO regress_rw.watched VALUES (1);
    PERFORM set_config('redoubt.reveal', 'plain', false);
    INSERT INTO regress_rw.seen VALUES (current_user, left(redoubt.token($1), 4));
  END IF;
END $$;
CREATE FUNCTION spring(token) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM regress_rw.deed($1);
  RETURN left(redoubt.token($1), 3);
END $$;
-- What runs at COMMIT would run as the admin.
CREATE TABLE watched (x int);
CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO regress_rw.seen VALUES (current_user, 'late'); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON watched DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
INSERT INTO trap SELECT i, 'trap' || i || '@example.com' FROM generate_series(1, 3) AS i;
RESET ROLE;
SECURITY LABEL FOR redoubt ON FUNCTION regress_rw.spring(regress_rw.token) IS 'trusted';
SET ROLE regress_rw_app;
CREATE INDEX trap_index ON trap (spring(t));
UPDATE switch SET what = 'attacks';
RESET ROLE;
SELECT redoubt.rotate_key('regress_rw');
SET ROLE regress_rw_admin;
CALL redoubt.rewrap_column('regress_rw.trap', 't');
RESET ROLE;
SELECT * FROM regress_rw.seen;
DROP TRIGGER late ON regress_rw.watched;
SET ROLE regress_rw_admin;
CALL redoubt.rewrap_column('regress_rw.trap', 't');
SELECT current_user, current_setting('redoubt.reveal') AS reveal;
RESET ROLE;
SELECT who, what, count(*) FROM regress_rw.seen GROUP BY who, what ORDER BY what COLLATE "C";
-- One that fails stops its own table alone, and what was done before stays.
TRUNCATE regress_rw.seen;
UPDATE regress_rw.switch SET what = 'fails';
SELECT redoubt.rotate_key('regress_rw');
SET ROLE regress_rw_admin;
CALL redoubt.rewrap_column('regress_rw.trap', 't', batch => 1);
SELECT current_user;
RESET ROLE;
SELECT version, tokens FROM redoubt.key_use() WHERE table_name = 'regress_rw.trap'::regclass ORDER BY version;
DROP INDEX regress_rw.trap_index;
CALL redoubt.rewrap_column('regress_rw.trap', 't');
-- Operators in the way of the admin's search_path.
CREATE SCHEMA regress_rw_first;
CREATE FUNCTION regress_rw_first.less(bigint, bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'fooled'; END $$;
CREATE OPERATOR regress_rw_first.+ (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = regress_rw_first.less);
CREATE OPERATOR regress_rw_first./ (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = regress_rw_first.less);
SET search_path = regress_rw_first, pg_catalog;
CALL redoubt.rewrap_column('regress_rw.trap', 't');
SET search_path = pg_catalog;

-- ------------------------------------------------------------- what does not open
SET ROLE regress_rw_app;
SET search_path = regress_rw, redoubt;
CREATE TABLE damaged (id int, t token);
INSERT INTO damaged SELECT i, 'd' || i || '@example.com' FROM generate_series(1, 3) AS i;
-- Well-formed, and made up: of a version in use, and of none.
INSERT INTO damaged VALUES (4, 'tok_EAAB' || repeat('A', 30)), (5, 'tok_EP__' || repeat('A', 30));
RESET ROLE;
SELECT redoubt.rotate_key('regress_rw');
SET ROLE regress_rw_admin;
CALL redoubt.rewrap_column('regress_rw.damaged', 't');
RESET ROLE;
SELECT version, tokens FROM redoubt.key_use() WHERE table_name = 'regress_rw.damaged'::regclass ORDER BY version;
SELECT redoubt.retire_key('regress_rw', 1);
DELETE FROM regress_rw.damaged WHERE id > 3;

-- ------------------------------------------------------------------- retired
SET client_min_messages = warning;
DROP TABLE regress_rw.before, regress_rw.form_before, regress_rw.trap, regress_rw.seen, regress_rw.damaged;
DROP FUNCTION regress_rw.spring(regress_rw.token), regress_rw.deed(regress_rw.token);
REFRESH MATERIALIZED VIEW regress_rw.a_copy;
DO $$
DECLARE c record;
BEGIN
  FOR c IN SELECT DISTINCT table_name, column_name FROM redoubt.key_use() WHERE key = 'regress_rw' AND column_name <> 'low' AND table_name::text !~ 'parted_|child|copy' LOOP
    COMMIT;
    CALL redoubt.rewrap_column(c.table_name, c.column_name);
  END LOOP;
  CALL redoubt.rewrap_column('regress_rw.parted', 't');
END $$;
REFRESH MATERIALIZED VIEW regress_rw.a_copy;
SELECT DISTINCT version = (SELECT max(version) FROM redoubt.key WHERE name = 'regress_rw') AS newest FROM redoubt.key_use() WHERE key = 'regress_rw';
SELECT count(redoubt.retire_key('regress_rw', v)::text) AS retired FROM generate_series(1, (SELECT max(version) - 1 FROM redoubt.key WHERE name = 'regress_rw')) AS v;
SET ROLE regress_rw_app;
SELECT count(redoubt.detokenize(t)) FROM regress_rw.plain;
RESET ROLE;
-- Nothing was revealed on the way but what was asked for above, and it is on record.
SELECT current_user_name, token_type, regexp_replace(detail, 'parted_.*', 'parted_…') AS detail, sum(count) AS tokens FROM redoubt.audit WHERE sequence > :mark AND event = 'key' AND operation = 'rewrap_column' AND current_user_name LIKE 'regress%' GROUP BY 1, 2, 3 ORDER BY 3;
SELECT DISTINCT current_user_name FROM redoubt.audit WHERE sequence > :mark AND event IN ('reveal', 'denial') AND operation <> 'search';
SELECT ok FROM redoubt.verify_audit();

-- --------------------------------------------------------------------- ends
DROP SCHEMA regress_rw_first CASCADE;
DROP TABLE regress_rw.plain, regress_rw.form, regress_rw.parent, regress_rw.cascades, regress_rw.nulls, regress_rw.restricts, regress_rw.deferred, regress_rw.parted CASCADE;
DROP TYPE regress_rw.pair;
DROP TYPE regress_rw.spread;
DROP DOMAIN regress_rw.part;
SELECT count(redoubt.drop_token_type(t::regtype)::text) AS dropped FROM unnest(ARRAY['regress_rw.token', 'regress_rw.random', 'regress_rw.octets', 'regress_rw.kept', 'regress_rw.digits']) AS t;
DELETE FROM redoubt.key WHERE name LIKE 'regress%';
DROP SCHEMA regress_rw CASCADE;
DROP OWNED BY regress_rw_app, regress_rw_admin;
DROP ROLE regress_rw_app, regress_rw_admin;
