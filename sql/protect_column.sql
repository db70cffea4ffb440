--
-- A column becomes a token column while the table is in use: what check_protect() names, what protect_column() keeps, how it
-- is undone, and what an insider tries.  test/tap/protect_online.pl has what takes other sessions and restarts.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE ROLE regress_online_owner LOGIN;
CREATE ROLE regress_online_app LOGIN;
CREATE ROLE regress_online_insider LOGIN;
CREATE SCHEMA online_s AUTHORIZATION regress_online_owner;
GRANT USAGE ON SCHEMA online_s TO PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.email_token(text) TO regress_online_owner;
SET search_path = online_s, public;

SET ROLE regress_online_owner;
CREATE TABLE customer (id int PRIMARY KEY, email varchar(100) NOT NULL DEFAULT 'nobody@example.com' CONSTRAINT one_email UNIQUE,
  note text, touched int DEFAULT 0);
CREATE TABLE invoice (id int PRIMARY KEY, payer varchar(100) CONSTRAINT paid_by REFERENCES customer (email) ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE);
CREATE INDEX lower_email ON customer (lower(email));
CREATE INDEX email_and_id ON customer (email DESC, id) INCLUDE (note) WITH (fillfactor = 70) WHERE email IS NOT NULL;
CREATE INDEX hashed ON customer USING hash (email);
COMMENT ON INDEX hashed IS 'by hash';
COMMENT ON CONSTRAINT one_email ON customer IS 'one each';
COMMENT ON COLUMN customer.email IS 'where to write to';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS
  $$BEGIN NEW.touched := NEW.touched + 1; RETURN NEW; END$$;
CREATE TRIGGER touched BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER touched_email BEFORE UPDATE OF email ON customer FOR EACH ROW WHEN (OLD.email IS DISTINCT FROM NEW.email) EXECUTE FUNCTION touch();
ALTER TABLE customer DISABLE TRIGGER touched_email;
CREATE STATISTICS customer_both ON email, note FROM customer;
ALTER TABLE customer ALTER email SET STATISTICS 50, ALTER email SET (n_distinct = -0.9);
ALTER TABLE customer CLUSTER ON one_email;
CREATE VIEW customer_list WITH (security_barrier) AS SELECT id, email AS address FROM customer WHERE email <> 'hidden@example.com';
COMMENT ON VIEW customer_list IS 'all but one';
COMMENT ON COLUMN customer_list.address IS 'the address';
GRANT SELECT (id), UPDATE (id) ON customer_list TO regress_online_app;
GRANT SELECT ON customer_list TO PUBLIC;
CREATE VIEW customer_count AS SELECT address FROM customer_list WHERE address IS NOT NULL;
CREATE VIEW customer_odd AS SELECT count(address) FROM customer_list;
ALTER TABLE customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON customer USING (true);
CREATE POLICY not_that_one ON customer AS RESTRICTIVE FOR DELETE TO regress_online_app USING (email <> 'person1@example.com');
GRANT SELECT, INSERT, DELETE ON customer TO regress_online_app;
GRANT UPDATE (email, note) ON customer TO regress_online_app WITH GRANT OPTION;
INSERT INTO customer (id, email) SELECT i, 'Person' || i || '@example.com' FROM generate_series(1, 1000) AS i;
INSERT INTO customer (id, email) VALUES (2001, ''), (2002, 'no address'), (2003, '@'), (2004, 'tok_AAAA');
INSERT INTO invoice SELECT i, 'Person' || i || '@example.com' FROM generate_series(1, 50) AS i;
INSERT INTO invoice VALUES (51, NULL), (52, '');
RESET ROLE;

-- What stands in the way, what changes, which values the type cannot read; nobody else gets to know.
SET ROLE regress_online_insider;
SELECT * FROM redoubt.check_protect('customer', 'email', 'redoubt.email_token');
CALL redoubt.protect_column('customer', 'email', 'redoubt.email_token');
SET ROLE regress_online_owner;
SELECT * FROM redoubt.check_protect('customer', 'email', 'redoubt.email_token', "values" => 2);
RESET ROLE;
SECURITY LABEL FOR redoubt ON FUNCTION touch() IS 'trusted';
SET ROLE regress_online_owner;
DELETE FROM customer WHERE id = 2004;
DROP VIEW customer_odd;
SELECT count(*) FROM redoubt.check_protect('customer', 'email', 'redoubt.email_token') WHERE severity = 'error';

-- Two values that are one when normalised.
INSERT INTO customer (id, email) VALUES (3001, 'Person1@EXAMPLE.com');
CALL redoubt.protect_column('customer', 'email', 'redoubt.email_token', build_indexes => true);
DELETE FROM customer WHERE id = 3001;

-- Up to the swap; the application goes on, without a privilege more.
CALL redoubt.protect_column('customer', 'email', 'redoubt.email_token', batch => 100, build_indexes => true, swap => false);
SELECT "table", "column", token_type, step, percent, rows_done FROM redoubt.progress;
SELECT count(*) FROM redoubt.protect_indexes('customer', 'email');
SET ROLE regress_online_app;
SELECT count(*) FROM redoubt.progress;
INSERT INTO customer (id, email) VALUES (1001, 'new@example.com');
INSERT INTO customer (id) VALUES (1002);
UPDATE customer SET email = 'other@example.com' WHERE id = 2;
UPDATE customer SET note = 'x' WHERE id = 3;
DELETE FROM customer WHERE id = 4;
-- The token column is nobody's to write.
INSERT INTO customer (id, email, redoubt_protect_2) SELECT 1003, 'mine@example.com', redoubt_protect_2 FROM customer WHERE id = 5;
UPDATE customer SET redoubt_protect_2 = NULL WHERE id = 5;
RESET ROLE;
SELECT count(*) AS without_token FROM customer WHERE redoubt_protect_2 IS NULL;
SELECT max(touched) AS no_trigger_fired_for_batches FROM customer WHERE id > 5 AND id <= 1000;
SET ROLE regress_online_owner;
CALL redoubt.protect_column('customer', 'email', 'redoubt.phone_token');
CALL redoubt.protect_column('customer', 'email', 'redoubt.email_token');
RESET ROLE;
SELECT count(*) FROM redoubt.protection;

-- As it was.
SELECT pg_get_expr(adbin, adrelid) ~ '^''tok_' AS default_is_a_token FROM pg_attrdef WHERE adrelid = 'customer'::regclass AND adnum = 5;
ALTER TABLE customer ALTER email DROP DEFAULT;
\d customer
\d invoice
-- From 16 on a view's definition names no table where there is one.
SELECT c.oid::regclass, regexp_replace(pg_get_viewdef(c.oid), 'customer(_list)?\.', '', 'g') AS definition, reloptions, array_agg(format_type(atttypid, atttypmod) ORDER BY attnum) AS types
FROM pg_class AS c JOIN pg_attribute AS a ON attrelid = c.oid WHERE c.oid IN ('customer_list'::regclass, 'customer_count'::regclass) GROUP BY c.oid ORDER BY c.oid::regclass::text;
SELECT obj_description('hashed'::regclass) AS of_index, col_description('customer'::regclass, attnum) AS of_column, attacl FROM pg_attribute WHERE attrelid = 'customer'::regclass AND attname = 'email';
SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname = 'one_email';
SELECT obj_description('customer_list'::regclass), replace(relacl::text, 'xtm/', 'xt/') AS relacl FROM pg_class WHERE oid = 'customer_list'::regclass;
SELECT attacl FROM pg_attribute WHERE attrelid = 'customer_list'::regclass AND attname = 'id';
SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxname = 'customer_both';
SELECT attstattarget, o.option_value FROM pg_attribute, pg_options_to_table(attoptions) AS o WHERE attrelid = 'customer'::regclass AND attname = 'email' AND o.option_name = 'n_distinct';
SELECT n_distinct < 0 AS has_statistics FROM pg_stats WHERE tablename = 'customer' AND schemaname = 'online_s' AND attname = 'email';
SET ROLE regress_online_owner;
SELECT count(address) FROM customer_count;
SET redoubt.reveal = 'plain';
SELECT id, email FROM customer WHERE id IN (1, 2, 1001, 1002, 1003, 2001, 2002, 2003, 2004) ORDER BY id;
SELECT c.id FROM customer AS c JOIN invoice AS i ON i.payer = c.email WHERE i.id IN (3, 52) ORDER BY 1;
\set VERBOSITY sqlstate
INSERT INTO invoice VALUES (60, 'stranger@example.com');
\set VERBOSITY default
UPDATE customer SET email = 'changed@example.com' WHERE id = 3;
SELECT payer FROM invoice WHERE id = 3;
RESET redoubt.reveal;
CALL redoubt.protect_column('customer', 'email', 'redoubt.email_token');
RESET ROLE;
SELECT operation, token_type, detail FROM redoubt.audit WHERE event = 'protect' AND database = current_database() ORDER BY sequence DESC LIMIT 4;

-- Copies elsewhere: in a column that nobody thought of.
GRANT redoubt_admin TO regress_online_owner;
SET ROLE regress_online_owner;
CREATE TABLE mail_log (id int, recipient text, body text);
INSERT INTO mail_log SELECT i, 'Person' || i || '@EXAMPLE.com', 'nothing' FROM generate_series(5, 30) AS i;
INSERT INTO mail_log VALUES (1, '', ''), (2, NULL, NULL), (3, 'tok_AAAA', 'no address');
SELECT place, rows, what, remedy FROM redoubt.find_plaintext('customer', 'email') WHERE place ~ '^column' AND place ~ 'online_s';
SELECT place, what FROM redoubt.find_plaintext('customer', 'email') WHERE place = 'table online_s.customer' AND what ~ 'dropped';
SELECT * FROM redoubt.find_plaintext('customer', 'note');
RESET ROLE;
REVOKE redoubt_admin FROM regress_online_owner;
SET ROLE regress_online_insider;
SELECT * FROM redoubt.find_plaintext('customer', 'email');
RESET ROLE;

-- A primary key; undone, and done again.
SET ROLE regress_online_owner;
CREATE TABLE account (email text PRIMARY KEY, secret text);
INSERT INTO account SELECT 'a' || i || '@example.com', 's' FROM generate_series(1, 100) AS i;
CALL redoubt.protect_column('account', 'email', 'redoubt.email_token', swap => false);
SELECT count(*) FROM redoubt.protect_indexes('account', 'email');
CALL redoubt.protect_undo('account', 'email');
CALL redoubt.protect_undo('account', 'email');
\d account
SELECT count(*) FROM redoubt.progress;
CALL redoubt.protect_column('account', 'email', 'redoubt.email_token', swap => false, build_indexes => true);
-- Changed in between: what is there at the swap counts.
CREATE INDEX on_secret_and_email ON account (secret, email);
CALL redoubt.protect_column('account', 'email', 'redoubt.email_token');
CALL redoubt.protect_column('account', 'email', 'redoubt.email_token', build_indexes => true);
\d account

-- Things that stand in the way.
CREATE TABLE parted (id int, email text) PARTITION BY RANGE (id);
CREATE TABLE parent (email text);
CREATE TABLE child () INHERITS (parent);
CREATE DOMAIN address AS text CHECK (VALUE <> '');
CREATE TABLE obstacles (id int PRIMARY KEY, email text CHECK (email <> ''), lowered text GENERATED ALWAYS AS (lower(email)) STORED, number int, dom address,
  EXCLUDE USING hash (email WITH =));
CREATE INDEX initial ON obstacles (left(email, 1));
CREATE INDEX by_letter ON obstacles (id) WHERE email LIKE 'a%';
CREATE INDEX pattern ON obstacles (email text_pattern_ops);
CREATE MATERIALIZED VIEW held AS SELECT email FROM obstacles;
CREATE RULE no_delete AS ON DELETE TO obstacles DO INSTEAD NOTHING;
CREATE FUNCTION reads() RETURNS SETOF text LANGUAGE sql BEGIN ATOMIC SELECT email FROM obstacles; END;
CREATE STATISTICS in_clear ON (lower(email)), id FROM obstacles;
CREATE VIEW v_default AS SELECT id, email FROM obstacles;
ALTER VIEW v_default ALTER COLUMN email SET DEFAULT 'x';
RESET ROLE;
SET client_min_messages = error;
CREATE PUBLICATION online_p FOR TABLE obstacles (id, email);
RESET client_min_messages;
SET client_min_messages = warning;
SET ROLE regress_online_owner;
SELECT t.name, c.object, c.what FROM (VALUES ('parted', 'email'), ('parent', 'email'), ('child', 'email'), ('obstacles', 'email'), ('obstacles', 'number'), ('obstacles', 'dom')) AS t(name, col),
  LATERAL redoubt.check_protect(t.name::regclass, t.col, 'redoubt.email_token') AS c WHERE c.severity IN ('error', 'swap') ORDER BY 1, t.col, 2, 3;
CALL redoubt.protect_column('parted', 'email', 'redoubt.email_token');
SELECT * FROM redoubt.check_protect('obstacles', 'none', 'redoubt.email_token');
SELECT * FROM redoubt.check_protect('obstacles', 'email', 'integer');
CALL redoubt.protect_column('obstacles', 'email', 'integer');
CALL redoubt.protect_column('obstacles', NULL, NULL);
RESET ROLE;
DROP PUBLICATION online_p;

-- Other families change by ALTER TABLE; sealed types of bytes and randomised ones as the others.
SELECT redoubt.create_token_type('online_s.card', method => 'fpe', format => 'digits(8,20)') IS NOT NULL AS fpe,
  redoubt.create_token_type('online_s.number', method => 'fpe', format => 'integer(1000000,9999999)') IS NOT NULL AS of_integers,
  redoubt.create_token_type('online_s.code', method => 'vault') IS NOT NULL AS vaulted,
  redoubt.create_token_type('online_s.note', deterministic => false) IS NOT NULL AS randomised;
GRANT EXECUTE ON FUNCTION online_s.card(text), online_s.number(bigint), online_s.code(text), online_s.note(text), redoubt.bytes_token(bytea),
  redoubt.detokenize(online_s.note), redoubt.detokenize(redoubt.bytes_token) TO regress_online_owner;
SET ROLE regress_online_owner;
CREATE TABLE family (id int PRIMARY KEY, card char(20), number int UNIQUE, code text, note text, bytes bytea);
INSERT INTO family SELECT i, '4929182736' || i, 4711000 + i, 'c' || i, CASE WHEN i > 1 THEN 'n' || i END, decode('00ff0' || i, 'hex') FROM generate_series(1, 5) AS i;
SELECT c.object, c.what, c.remedy FROM (VALUES ('card'), ('number'), ('code')) AS t(col), LATERAL redoubt.check_protect('family', t.col, ('online_s.' || t.col)::regtype) AS c
WHERE c.severity = 'error' ORDER BY 1;
CALL redoubt.protect_column('family', 'code', 'online_s.code');
CALL redoubt.protect_column('family', 'note', 'online_s.note', build_indexes => true);
CALL redoubt.protect_column('family', 'bytes', 'redoubt.bytes_token', build_indexes => true);
\d family
SELECT id, redoubt.detokenize(note), redoubt.detokenize(bytes) FROM family ORDER BY id;
CREATE TABLE none_to_index (id int PRIMARY KEY, note text UNIQUE);
SELECT object, what FROM redoubt.check_protect('none_to_index', 'note', 'online_s.note') WHERE severity = 'error';
RESET ROLE;

-- Rows of all kinds of columns and indexes; a table that refers to itself; sessions that see one moment only.
SET ROLE regress_online_owner;
CREATE TABLE big (id int PRIMARY KEY, gone int, email text UNIQUE, boss text REFERENCES big (email), k int UNIQUE DEFERRABLE INITIALLY DEFERRED, fat text, doc tsvector, n int[]);
ALTER TABLE big DROP COLUMN gone;
CREATE INDEX ON big USING gin (doc);
CREATE INDEX ON big USING brin (id);
CREATE INDEX ON big USING gin (n);
CREATE INDEX ON big (upper(fat)) WHERE id > 5;
ALTER TABLE big ALTER fat SET STORAGE external;
INSERT INTO big SELECT i, 'P' || i || '@example.com', CASE WHEN i > 10 THEN 'P' || i - 10 || '@example.com' END, i, repeat(md5(i::text), 80), to_tsvector('simple', i || ' w'), ARRAY[i, i + 1]
FROM generate_series(1, 1000) AS i;
UPDATE big SET fat = NULL WHERE id % 3 = 0;
ALTER TABLE big ADD COLUMN later int DEFAULT 5, ADD COLUMN g int GENERATED ALWAYS AS (id * 2) STORED;
CREATE TABLE was AS SELECT * FROM big;
SET default_transaction_isolation = 'repeatable read';
CALL redoubt.protect_column('big', 'email', 'redoubt.email_token', build_indexes => true, swap => false);
SET default_transaction_isolation = 'serializable';
SELECT redoubt.protect_step('big', 'email', 'redoubt.email_token', 1, '1 s', true, true);
SELECT count(*) FROM redoubt.check_protect('big', 'email', 'redoubt.email_token');
RESET default_transaction_isolation;
CALL redoubt.protect_column('big', 'email', 'redoubt.email_token', build_indexes => true);
\d big
SELECT count(*) AS differ FROM big AS b JOIN was AS w USING (id)
WHERE (redoubt.detokenize(b.email), redoubt.detokenize(b.boss), b.k, b.fat, b.doc, b.n, b.later, b.g) IS DISTINCT FROM (w.email, w.boss, w.k, w.fat, w.doc, w.n, w.later, w.g);
SET enable_seqscan = off;
SELECT count(*) FROM big WHERE doc @@ 'w';
SELECT count(*) FROM big WHERE n @> ARRAY[500];
SELECT count(*) FROM big WHERE email = 'P500@example.com';
RESET enable_seqscan;
RESET ROLE;

-- An insider: the trigger function elsewhere does nothing.
SET ROLE regress_online_owner;
CREATE TABLE target (id int PRIMARY KEY, email text, other text);
INSERT INTO target VALUES (1, 'a@example.com', 'b@example.com');
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token', swap => false);
RESET ROLE;
GRANT CREATE ON SCHEMA online_s TO regress_online_insider;
SET ROLE regress_online_insider;
CREATE TABLE oracle (id int, email text, token redoubt.email_token);
CREATE TRIGGER make BEFORE INSERT ON oracle FOR EACH ROW EXECUTE FUNCTION redoubt.keep_token();
CREATE TRIGGER make_too BEFORE INSERT ON oracle FOR EACH ROW EXECUTE FUNCTION redoubt.keep_token('nonsense', 'x');
INSERT INTO oracle VALUES (1, 'guess@example.com');
SELECT token IS NULL AS nothing FROM oracle;
CREATE TRIGGER late AFTER INSERT ON oracle FOR EACH ROW EXECUTE FUNCTION redoubt.keep_token();
INSERT INTO oracle VALUES (1, 'guess@example.com');
SELECT redoubt.keep_token();
-- Others may make objects where the type is: his could be met by what is made anew.
SET ROLE regress_online_owner;
SELECT object, what, remedy FROM redoubt.check_protect('target', 'other', 'online_s.code') WHERE severity = 'error';
CREATE TABLE whole (id int, email text, CHECK (whole IS NOT NULL));
SELECT object, what, remedy FROM redoubt.check_protect('whole', 'email', 'redoubt.email_token') WHERE severity = 'error';
DROP TABLE whole;
SET ROLE regress_online_insider;
-- There is no function that does a part of a step.
SELECT p.proname FROM pg_proc AS p WHERE p.pronamespace = 'redoubt'::regnamespace AND p.proname ~ 'protect' AND p.provolatile = 'v' ORDER BY 1;
SELECT * FROM redoubt.protection;
SELECT count(*) FROM redoubt.protections;
CALL redoubt.protect_undo('target', 'email');
RESET ROLE;

-- His table, where a superuser protects a column of it.  What the table runs has his rights, may not become somebody
-- else, and no other trigger sleeps: of the index, of a policy, of operators of his that fit better.
GRANT EXECUTE ON FUNCTION redoubt.email_token(text) TO regress_online_insider;
SET ROLE regress_online_insider;
CREATE TABLE heard (who text, replica text, switched boolean);
CREATE FUNCTION hear() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION listen(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM online_s.hear(); RETURN v; END$$;
CREATE FUNCTION listen(v text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM online_s.hear(); RETURN true; END$$;
CREATE FUNCTION listen_too(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM online_s.hear(); RETURN true; END$$;
CREATE DOMAIN listening AS text CHECK (listen(VALUE));
CREATE TABLE mine (id int CHECK (listen(id) > 0), email text, other listening, twice int GENERATED ALWAYS AS (listen(id)) STORED);
CREATE INDEX ON mine (listen(id));
INSERT INTO mine SELECT i, 'a' || i || '@example.com', 'a' || i || '@example.com' FROM generate_series(1, 300) AS i;
CREATE OPERATOR online_s.= (LEFTARG = text, RIGHTARG = text, FUNCTION = listen_too);
CREATE OPERATOR online_s.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = listen_too);
CREATE FUNCTION online_s.starts_with(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT online_s.listen_too($1, $2)';
ALTER TABLE mine ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON mine USING (listen(id) > 0);
CREATE VIEW seen AS SELECT listen(id) AS x, email FROM mine;
CREATE OR REPLACE FUNCTION hear() RETURNS void LANGUAGE plpgsql AS
  $$BEGIN
    BEGIN
      RESET ROLE;
      PERFORM set_config('role', 'none', false);
      INSERT INTO online_s.heard VALUES (current_user, current_setting('session_replication_role'), true);
    EXCEPTION WHEN insufficient_privilege THEN
      INSERT INTO online_s.heard VALUES (current_user, current_setting('session_replication_role'), false);
    END;
    PERFORM set_config('redoubt.reveal', 'token', false);
  END$$;
RESET ROLE;
SET redoubt.reveal = 'masked';
SET search_path = online_s, pg_catalog, public;
SELECT severity, object, what FROM redoubt.check_protect('mine', 'email', 'redoubt.email_token') WHERE severity OPERATOR(pg_catalog.=) 'error' OR severity OPERATOR(pg_catalog.=) 'swap' ORDER BY 1, 2;
CALL redoubt.protect_column('mine', 'email', 'redoubt.email_token', batch => 10);
SELECT DISTINCT who, replica, switched FROM heard;
SHOW redoubt.reveal;
RESET redoubt.reveal;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text) TO CURRENT_USER;
TRUNCATE heard;
SELECT place, rows, what FROM redoubt.find_plaintext('mine', 'email') WHERE place ~ 'mine' AND place ~ 'column';
SELECT redoubt.count_copies('mine'::regclass, 5::smallint, ARRAY['seen'::regclass, 'pg_proc'::regclass, 'mine'::regclass, NULL, 4294967295, 'mine'::regclass], ARRAY[2, 2, 3, 1, 1, 100]::smallint[]);
SELECT redoubt.count_copies('mine'::regclass, 5::smallint, '{1}', '{}');
SELECT redoubt.count_copies('mine'::regclass, 1::smallint, '{}', '{}');
REVOKE EXECUTE ON FUNCTION redoubt.email_token(text) FROM CURRENT_USER;
SELECT count(*) AS nothing_ran FROM heard;
DROP FUNCTION online_s.starts_with(text, text);
DROP OPERATOR online_s.= (text, text);
DROP OPERATOR online_s.<> (text, text);
SET search_path = online_s, public;
-- What it leaves for later would run at the end of the transaction, as the superuser: it may not leave any.
SET ROLE regress_online_insider;
CREATE TABLE trap (id int);
CREATE FUNCTION sprung() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO online_s.heard VALUES (current_user); RETURN NULL; END$$;
CREATE CONSTRAINT TRIGGER sprung AFTER INSERT ON trap DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sprung();
CREATE FUNCTION set_trap(v int) RETURNS void LANGUAGE plpgsql AS $$BEGIN INSERT INTO online_s.trap VALUES (v); END$$;
CREATE TABLE baited (id int, email text);
CREATE FUNCTION bait(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN v; END$$;
CREATE INDEX ON baited (bait(id));
INSERT INTO baited SELECT i, 'a@example.com' FROM generate_series(1, 300) AS i;
CREATE OR REPLACE FUNCTION bait(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM online_s.set_trap(v); RETURN v; END$$;
RESET ROLE;
CALL redoubt.protect_column('baited', 'email', 'redoubt.email_token');
-- Nor may it take a step of its own within one.
SET ROLE regress_online_insider;
CREATE OR REPLACE FUNCTION bait(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM redoubt.protect_undo_step('online_s.baited', 'email', '1 s'); RETURN v; END$$;
RESET ROLE;
CALL redoubt.protect_column('baited', 'email', 'redoubt.email_token');
SET ROLE regress_online_insider;
CREATE OR REPLACE FUNCTION bait(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM redoubt.protect_undo_step(relation, 'email', '1 s') FROM redoubt.protections; RETURN v; END$$;
RESET ROLE;
CALL redoubt.protect_column('baited', 'email', 'redoubt.email_token');
SET ROLE regress_online_insider;
CREATE OR REPLACE FUNCTION bait(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN v; END$$;
RESET ROLE;
CALL redoubt.protect_column('baited', 'email', 'redoubt.email_token');
SELECT count(*) AS nothing_ran FROM heard;
-- Where a policy hides rows, a label charges for them, or a privilege is missing, he is told that nobody looked.
GRANT redoubt_admin TO regress_online_owner;
GRANT SELECT ON mine TO regress_online_owner;
CREATE TABLE metered (note text);
SECURITY LABEL FOR redoubt ON COLUMN metered.note IS 'text_token';
CREATE TABLE closed (note text);
GRANT SELECT ON metered TO regress_online_owner;
SET ROLE regress_online_owner;
SELECT place, rows, what, remedy FROM redoubt.find_plaintext('customer', 'email') WHERE place ~ 'online_s.(mine|metered|closed)' ORDER BY 1;
RESET ROLE;
DROP TABLE metered, closed;
REVOKE redoubt_admin FROM regress_online_owner;
-- Once the owner may not tokenize, nor does the trigger.
SET ROLE regress_online_insider;
CREATE TABLE later (id int PRIMARY KEY, email text);
CALL redoubt.protect_column('later', 'email', 'redoubt.email_token', swap => false);
RESET ROLE;
REVOKE EXECUTE ON FUNCTION redoubt.email_token(text) FROM regress_online_insider;
SET ROLE regress_online_insider;
INSERT INTO later VALUES (2, 'b@example.com');
CALL redoubt.protect_undo('later', 'email');
INSERT INTO later VALUES (2, 'b@example.com');
RESET ROLE;

-- The table is another kind of thing by now, under its name or by its number.
SET ROLE regress_online_owner;
ALTER TABLE target RENAME TO kept;
CREATE VIEW target AS SELECT id, email, other FROM kept;
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token');
DROP VIEW target;
CREATE TABLE target (id int PRIMARY KEY, email text, other text) PARTITION BY RANGE (id);
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token');
CALL redoubt.protect_undo('target', 'email');
DROP TABLE target;
ALTER TABLE kept RENAME TO target;
CREATE TABLE bystander (id int, note text);
INSERT INTO bystander VALUES (1, 'as it was');
CREATE RULE elsewhere AS ON UPDATE TO target DO INSTEAD UPDATE bystander SET note = 'changed';
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token');
SELECT note FROM bystander;
DROP RULE elsewhere ON target;
CREATE RULE nothing AS ON UPDATE TO target DO INSTEAD NOTHING;
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token');
DROP RULE nothing ON target;
CREATE TABLE child_of_target () INHERITS (target);
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token');
DROP TABLE child_of_target;
-- A trigger that would change the value after ours has seen it: named at the start, refused when it fires.
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$BEGIN NEW.email := 'z' || NEW.email; RETURN NEW; END$$;
RESET ROLE;
SECURITY LABEL FOR redoubt ON FUNCTION shout() IS 'trusted';
SET ROLE regress_online_owner;
CREATE TRIGGER "~~late" BEFORE INSERT OR UPDATE ON target FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO target VALUES (2, 'late@example.com');
SELECT object, what, remedy ~ '^ALTER TRIGGER "~~late" ON online_s.target RENAME TO a_' AS remedy FROM redoubt.check_protect('target', 'email', 'redoubt.email_token') WHERE severity = 'error';
\set VERBOSITY terse
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token');
\set VERBOSITY default
ALTER TRIGGER "~~late" ON target RENAME TO before;
INSERT INTO target VALUES (2, 'early@example.com');
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token');
SELECT redoubt.detokenize(email) FROM target ORDER BY id;
DROP TABLE target, bystander;

-- A trigger that was switched off is told from one that was not; nobody but a superuser can.
CREATE TABLE target (id int PRIMARY KEY, email text, other text);
INSERT INTO target VALUES (1, 'a@example.com', 'b@example.com');
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token', swap => false);
SELECT tgname AS keeper FROM pg_trigger WHERE tgrelid = 'target'::regclass AND tgisinternal \gset
\set VERBOSITY sqlstate
ALTER TABLE target DISABLE TRIGGER ALL;
ALTER TABLE target DISABLE TRIGGER :"keeper";
DROP TRIGGER :"keeper" ON target;
\set VERBOSITY default
ALTER TABLE target DISABLE TRIGGER USER;
UPDATE target SET email = 'c@example.com';
ALTER TABLE target ENABLE TRIGGER USER;
-- Who may make triggers may not replace it, nor make one of another function fire after it.
GRANT TRIGGER, INSERT, SELECT ON target TO regress_online_insider;
SET ROLE regress_online_insider;
CREATE FUNCTION online_s.forgets() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
\set VERBOSITY sqlstate
CREATE OR REPLACE TRIGGER :"keeper" BEFORE INSERT OR UPDATE ON target FOR EACH ROW EXECUTE FUNCTION online_s.forgets();
DROP TRIGGER :"keeper" ON target;
ALTER TABLE target DISABLE TRIGGER :"keeper";
\set VERBOSITY default
RESET ROLE;
SELECT count(*) FROM redoubt.protection AS p JOIN pg_trigger AS g ON g.oid = p.trigger WHERE relation = 'target'::regclass AND tgfoid = 'redoubt.keep_token()'::regprocedure AND tgenabled = 'A';
ALTER TABLE target DISABLE TRIGGER ALL;
UPDATE target SET email = 'c@example.com';
ALTER TABLE target ENABLE ALWAYS TRIGGER :"keeper";
SET ROLE regress_online_owner;
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token');
CALL redoubt.protect_undo('target', 'email');
-- One by that name does nothing, and stands in the way.
CREATE TRIGGER "~redoubt_protect_2" BEFORE INSERT OR UPDATE ON target FOR EACH ROW EXECUTE FUNCTION redoubt.keep_token();
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token');
CALL redoubt.protect_undo('target', 'email');
DROP TRIGGER "~redoubt_protect_2" ON target;
-- The token column is not the one of that name, but that of the trigger.
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token', swap => false);
ALTER TABLE target RENAME COLUMN redoubt_protect_2 TO precious;
ALTER TABLE target ADD COLUMN redoubt_protect_2 text;
CALL redoubt.protect_undo('target', 'email');
SELECT attname FROM pg_attribute WHERE attrelid = 'target'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
ALTER TABLE target DROP COLUMN redoubt_protect_2;
-- An index and a constraint by our names, but not what we would have made.
CREATE UNIQUE INDEX once ON target (email);
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token', swap => false);
\set ECHO none
SELECT format('CREATE UNIQUE INDEX redoubt_protect_%s ON target (other)', 'once'::regclass::oid) \gexec
\set ECHO all
\set VERBOSITY sqlstate
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token', build_indexes => true);
\set VERBOSITY default
\set ECHO none
SELECT format('DROP INDEX redoubt_protect_%s', 'once'::regclass::oid) \gexec
\set ECHO all
ALTER TABLE target ALTER email SET NOT NULL, ADD CONSTRAINT redoubt_protect_2 CHECK (id > 0) NOT VALID;
\set VERBOSITY sqlstate
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token', build_indexes => true);
\set VERBOSITY default
SELECT token_column FROM redoubt.progress;
ALTER TABLE target DROP CONSTRAINT redoubt_protect_2;
CALL redoubt.protect_undo('target', 'email');
ALTER TABLE target ALTER email DROP NOT NULL;
-- Changed while it is being protected: not the type of the column.
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token', swap => false, build_indexes => true);
\set VERBOSITY sqlstate
ALTER TABLE target ALTER COLUMN email TYPE bytea USING convert_to(email, 'UTF8');
ALTER TABLE target ALTER COLUMN redoubt_protect_2 TYPE text USING 'x';
\set VERBOSITY default
-- Rows that moved after they were verified are verified again.
VACUUM FULL target;
INSERT INTO target VALUES (3, 'e@example.com');
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token', swap => false, build_indexes => true);
SELECT step, percent FROM redoubt.progress;
-- A token that is not that of its value is found.
RESET ROLE;
ALTER TABLE target DISABLE TRIGGER ALL;
UPDATE target SET email = 'd' || id || '@example.com';
SELECT tgname AS keeper FROM pg_trigger WHERE tgrelid = 'target'::regclass AND tgisinternal \gset
ALTER TABLE target ENABLE ALWAYS TRIGGER :"keeper";
UPDATE redoubt.protection SET version = (SELECT xmin::text::bigint FROM pg_trigger WHERE oid = trigger), step = 'verify' WHERE relation = 'target'::regclass;
SET ROLE regress_online_owner;
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token');
CALL redoubt.protect_undo('target', 'email');
-- What is left when something of it goes: nothing.
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token', swap => false, build_indexes => true);
ALTER TABLE target DROP COLUMN email;
\d target
SELECT count(*) FROM redoubt.progress;
CALL redoubt.protect_column('target', 'other', 'redoubt.email_token', swap => false);
ALTER TABLE target DROP COLUMN redoubt_protect_3;
\d target
CALL redoubt.protect_column('target', 'other', 'redoubt.email_token', swap => false);
DROP TABLE target;
RESET ROLE;
SELECT count(*) AS nothing_is_left FROM redoubt.protection;
-- Its owner changes: what was begun goes on in the name of the new one.
SET ROLE regress_online_owner;
CREATE TABLE target (id int PRIMARY KEY, email text);
INSERT INTO target VALUES (1, 'a@example.com');
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token', swap => false);
RESET ROLE;
ALTER TABLE target OWNER TO regress_online_insider;
SET ROLE regress_online_owner;
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token');
SET ROLE regress_online_insider;
INSERT INTO target VALUES (2, 'b@example.com');
CALL redoubt.protect_column('target', 'email', 'redoubt.email_token');
RESET ROLE;
DROP TABLE target;

-- What a dump brings along without its row: the trigger does nothing, and is named.
SET ROLE regress_online_owner;
CREATE TABLE restored (id int, email text, redoubt_protect_2 redoubt.email_token);
CREATE TRIGGER "~redoubt_protect_2" BEFORE INSERT OR UPDATE ON restored FOR EACH ROW EXECUTE FUNCTION redoubt.keep_token();
INSERT INTO restored VALUES (1, 'a@example.com');
CALL redoubt.protect_column('restored', 'email', 'redoubt.email_token');
CALL redoubt.protect_undo('restored', 'email');
DROP TRIGGER "~redoubt_protect_2" ON restored;
CALL redoubt.protect_column('restored', 'email', 'redoubt.email_token');
ALTER TABLE restored DROP COLUMN redoubt_protect_2;
CALL redoubt.protect_column('restored', 'email', 'redoubt.email_token');
\d restored

-- What the owner drops or adds between the work and the swap: nothing is left behind, nothing is lost.
CREATE TABLE between_times (id int PRIMARY KEY, email text NOT NULL CONSTRAINT between_key UNIQUE, tenant int);
CREATE INDEX between_both ON between_times (tenant, email);
CREATE TABLE between_child (id int PRIMARY KEY, email text REFERENCES between_times (email) ON UPDATE CASCADE ON DELETE SET NULL (email));
INSERT INTO between_times VALUES (1, 'a@example.com', 1), (2, 'b@example.com', 1), (3, 'c@example.com', 1);
INSERT INTO between_child VALUES (1, 'a@example.com'), (2, 'b@example.com');
CALL redoubt.protect_column('between_times', 'email', 'redoubt.email_token', swap => false, build_indexes => true);
UPDATE between_times SET email = 'A2@example.com' WHERE id = 1;
DELETE FROM between_times WHERE id = 2;
DROP INDEX between_both;
ALTER TABLE between_times ALTER email DROP NOT NULL;
INSERT INTO between_times VALUES (4, NULL, 2);
CALL redoubt.protect_column('between_times', 'email', 'redoubt.email_token', swap => false);
SELECT count(*) FROM redoubt.protect_indexes('between_times', 'email');
CALL redoubt.protect_column('between_times', 'email', 'redoubt.email_token', swap => false, build_indexes => true);
INSERT INTO between_times VALUES (4, NULL, 2);
ALTER TABLE between_times ADD CHECK (email <> 'x');
CALL redoubt.protect_column('between_times', 'email', 'redoubt.email_token');
ALTER TABLE between_times DROP CONSTRAINT between_times_email_check;
REVOKE INSERT ON between_times FROM regress_online_owner;
GRANT SELECT (email) ON between_times TO regress_online_app;
CALL redoubt.protect_column('between_times', 'email', 'redoubt.email_token');
\d between_times
\d between_child
SELECT id, redoubt.detokenize(email) FROM between_child ORDER BY id;
SELECT attacl FROM pg_attribute WHERE attrelid = 'between_times'::regclass AND attname = 'email';
SELECT count(*) AS indexes_left FROM pg_class WHERE relname ~ '^redoubt_protect_' AND relnamespace = 'online_s'::regnamespace;
UPDATE between_times SET email = 'a3@example.com' WHERE id = 1;
DELETE FROM between_times WHERE id = 3;
SELECT id, redoubt.detokenize(email) FROM between_child ORDER BY id;
-- The last unique index of a parent goes, and the constraint that needs it; undone without a trace.
CREATE TABLE undone (id int PRIMARY KEY, email text NOT NULL UNIQUE);
CALL redoubt.protect_column('undone', 'email', 'redoubt.email_token', swap => false, build_indexes => true);
ALTER TABLE undone DROP CONSTRAINT undone_email_key;
CALL redoubt.protect_undo('undone', 'email');
\d undone
SELECT count(*) AS triggers_left FROM pg_trigger WHERE tgrelid = 'undone'::regclass;
SELECT count(*) AS indexes_left FROM pg_class WHERE relname ~ '^redoubt_protect_' AND relnamespace = 'online_s'::regnamespace;

-- ON CONFLICT meets the index of the tokens as it will after the swap; a deferrable constraint could not.
CREATE TABLE visitor (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text, n int DEFAULT 1, CONSTRAINT visitor_once UNIQUE (email));
INSERT INTO visitor (email) VALUES ('a@example.com');
PREPARE visit(text) AS INSERT INTO visitor (email) VALUES ($1) ON CONFLICT (email) DO UPDATE SET n = visitor.n + 1;
EXECUTE visit('a@example.com');
CALL redoubt.protect_column('visitor', 'email', 'redoubt.email_token', swap => false, build_indexes => true);
EXECUTE visit('a@example.com');
EXECUTE visit('a@EXAMPLE.com');
INSERT INTO visitor (email) VALUES ('a@EXAMPLE.com') ON CONFLICT ON CONSTRAINT visitor_once DO NOTHING;
INSERT INTO visitor (email) VALUES ('a@EXAMPLE.com') ON CONFLICT DO NOTHING;
WITH v AS (INSERT INTO visitor (email) VALUES ('a@EXAMPLE.com') ON CONFLICT (email) DO UPDATE SET n = visitor.n + 1 RETURNING n) SELECT * FROM v;
\set VERBOSITY sqlstate
INSERT INTO visitor (email) VALUES ('a@EXAMPLE.com');
INSERT INTO visitor (email) VALUES ('a@EXAMPLE.com') ON CONFLICT (id) DO NOTHING;
\set VERBOSITY default
CALL redoubt.protect_column('visitor', 'email', 'redoubt.email_token');
EXECUTE visit('a@example.com');
SELECT redoubt.detokenize(email), n FROM visitor;
DEALLOCATE visit;
CREATE TABLE deferred_key (id int PRIMARY KEY, email text UNIQUE DEFERRABLE, CONSTRAINT both_of UNIQUE (id, email) DEFERRABLE);
SELECT object, what, remedy FROM redoubt.check_protect('deferred_key', 'email', 'redoubt.email_token') WHERE severity = 'error' ORDER BY 1;
CREATE TABLE visitor_2 (email text PRIMARY KEY);
CREATE TABLE types_differ (id int PRIMARY KEY, email varchar(50) REFERENCES visitor_2);
SELECT object, what, remedy FROM redoubt.check_protect('types_differ', 'email', 'redoubt.email_token') WHERE severity = 'error' ORDER BY 1;

-- What else mentions the column: a policy, a view, a rule of another table, functions, columns of the row type.
CREATE TABLE mentioned (id int PRIMARY KEY, email text);
CREATE TABLE elsewhere (id int, email text);
ALTER TABLE elsewhere ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen_by ON elsewhere USING (email IN (SELECT m.email FROM mentioned AS m));
CREATE RULE noted AS ON INSERT TO elsewhere DO ALSO UPDATE mentioned SET email = NEW.email WHERE id = NEW.id;
CREATE FUNCTION of_text() RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN (SELECT max(email) FROM online_s.mentioned); END$$;
CREATE FUNCTION of_atoms() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT max(email) FROM mentioned; END;
CREATE FUNCTION of_rows(m mentioned) RETURNS text LANGUAGE sql AS 'SELECT m.id::text';
CREATE TABLE history (at timestamptz, was mentioned, before mentioned[]);
SELECT severity, object, what FROM redoubt.check_protect('mentioned', 'email', 'redoubt.email_token') WHERE severity IN ('error', 'swap', 'warning') AND object !~ '^(role|column email)' ORDER BY 1, 2;
CALL redoubt.protect_column('mentioned', 'email', 'redoubt.email_token');
DROP TABLE history;
DROP RULE noted ON elsewhere;
DROP FUNCTION of_atoms;
\set VERBOSITY terse
CALL redoubt.protect_column('mentioned', 'email', 'redoubt.email_token');
-- The way out: in the transaction of the swap.
BEGIN;
DROP POLICY seen_by ON elsewhere;
SELECT redoubt.protect_step('mentioned', 'email', 'redoubt.email_token', 100, '1 s', false, true);
CREATE POLICY seen_by ON elsewhere USING (email IN (SELECT m.email::text FROM mentioned AS m));
COMMIT;
\set VERBOSITY default
SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'mentioned'::regclass AND attname = 'email';

-- Text that would be taken for a token: a writer cannot bring it in, and one that is there is named by its row.
CREATE TABLE looks (id int, part text, email text NOT NULL UNIQUE, PRIMARY KEY (part, id));
INSERT INTO looks SELECT i, 'p', CASE WHEN i = 77 THEN 'tok_AAAA' ELSE 'p' || i || '@example.com' END FROM generate_series(1, 100) AS i;
CALL redoubt.protect_column('looks', 'email', 'redoubt.email_token', swap => false, build_indexes => true);
SELECT step FROM redoubt.progress;
\set SHOW_CONTEXT never
INSERT INTO looks VALUES (101, 'p', 'tok_AAAA');
INSERT INTO looks SELECT 102, 'p', redoubt.email_token('victim@example.com')::text;
UPDATE looks SET email = redoubt_protect_3::text WHERE id = 5;
UPDATE looks SET email = 'P77@example.com' WHERE id = 77;
CALL redoubt.protect_column('looks', 'email', 'redoubt.email_token', build_indexes => true);
SELECT count(*) FROM looks WHERE redoubt.detokenize(email) ~* '^p';

-- A label's limits: named, and refused where they would end with it.
RESET ROLE;
SELECT redoubt.create_token_type('public.online_other', "normalize" => 'email') IS NOT NULL AS made;
GRANT EXECUTE ON FUNCTION public.online_other(text) TO regress_online_owner;
SET ROLE regress_online_owner;
CREATE TABLE labelled (id int PRIMARY KEY, email text);
INSERT INTO labelled SELECT i, 'p' || i || '@example.com' FROM generate_series(1, 10) AS i;
GRANT SELECT ON labelled TO regress_online_app;
RESET ROLE;
SECURITY LABEL FOR redoubt ON COLUMN labelled.email IS 'redoubt.email_token';
SELECT redoubt.set_limit('regress_online_app', 'redoubt.email_token', 'read', 5, '1 day') IS NOT NULL AS limited;
SET ROLE regress_online_owner;
SELECT severity, what, remedy FROM redoubt.check_protect('labelled', 'email', 'redoubt.email_token') WHERE what ~ 'label' ORDER BY 1;
CALL redoubt.protect_column('labelled', 'email', 'redoubt.email_token');
RESET ROLE;
SELECT redoubt.set_limit('regress_online_app', 'redoubt.email_token', o, 5, '1 day') IS NOT NULL AS limited FROM unnest(ARRAY['reveal', 'masked']) AS o;
SET ROLE regress_online_owner;
SELECT severity, what FROM redoubt.check_protect('labelled', 'email', 'public.online_other') WHERE what ~ 'label' ORDER BY 1;
SELECT severity, what FROM redoubt.check_protect('labelled', 'email', 'redoubt.email_token') WHERE what ~ 'label' ORDER BY 1;
CALL redoubt.protect_column('labelled', 'email', 'redoubt.email_token', swap => false);
SET SESSION AUTHORIZATION regress_online_app;
SELECT count(*) FROM (SELECT email FROM online_s.labelled LIMIT 3) AS v, pg_sleep(0) WHERE v.email IS NOT NULL;
SELECT email IS NULL FROM online_s.labelled ORDER BY id LIMIT 1;
RESET SESSION AUTHORIZATION;
SET ROLE regress_online_owner;
CALL redoubt.protect_column('labelled', 'email', 'redoubt.email_token');
SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'labelled'::regclass AND attname = 'email';
SET SESSION AUTHORIZATION regress_online_app;
\set VERBOSITY sqlstate
SELECT email FROM online_s.labelled;
\set VERBOSITY default
RESET SESSION AUTHORIZATION;
SELECT redoubt.drop_limit('regress_online_app', 'redoubt.email_token', o) IS NOT NULL AS free FROM unnest(ARRAY['read', 'reveal', 'masked']) AS o;
DROP TABLE online_s.labelled;
SELECT redoubt.drop_token_type('public.online_other');
SET ROLE regress_online_owner;

-- And back: a reveal of each value, by who calls, in the name of the owner.
SELECT redoubt.unprotect_column('restored', 'id');
RESET ROLE;
SELECT redoubt.unprotect_column('restored', 'email');
SELECT redoubt.set_limit('regress_online_owner', 'redoubt.email_token', 'reveal', 2, '1 day') IS NOT NULL AS limited;
INSERT INTO online_s.restored SELECT i, (SELECT email FROM online_s.restored LIMIT 1) FROM generate_series(2, 5) AS i;
SET SESSION AUTHORIZATION regress_online_insider;
SELECT redoubt.unprotect_column('online_s.restored', 'email');
SET SESSION AUTHORIZATION regress_online_owner;
\set VERBOSITY sqlstate
SELECT redoubt.unprotect_column('online_s.restored', 'email');
\set VERBOSITY default
RESET SESSION AUTHORIZATION;
SELECT redoubt.drop_limit('regress_online_owner', 'redoubt.email_token', 'reveal') IS NOT NULL AS free;
SET SESSION AUTHORIZATION regress_online_owner;
SELECT redoubt.unprotect_column('online_s.restored', 'email');
SELECT * FROM online_s.restored ORDER BY id LIMIT 2;
RESET SESSION AUTHORIZATION;
SELECT event, operation, count FROM redoubt.audit WHERE event IN ('protect', 'reveal') AND database = current_database() AND outcome = 'success' ORDER BY sequence DESC LIMIT 2;

-- Names of which nobody thought; search_path of whoever calls is of no consequence.
SET ROLE regress_online_owner;
CREATE TABLE "Odd ""name" ("e mail""" text UNIQUE, "Other" int);
INSERT INTO "Odd ""name" VALUES ('a@example.com', 1), (NULL, 2), ('', 3);
CREATE INDEX "odd ""index" ON "Odd ""name" (lower("e mail"""), "Other");
CREATE FUNCTION online_s.num_nulls(text, name, text, int, text, text, int, boolean, boolean) RETURNS int LANGUAGE sql AS 'SELECT 1/0';
CREATE FUNCTION online_s.fooled(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'fooled'; END$$;
CREATE OPERATOR online_s.= (LEFTARG = text, RIGHTARG = text, FUNCTION = online_s.fooled);
SET search_path = online_s, pg_catalog, public;
CALL redoubt.protect_column('"Odd ""name"', 'e mail"', 'redoubt.email_token', build_indexes => true);
DROP OPERATOR online_s.= (text, text);
SET search_path = online_s, public;
\d "Odd ""name"
RESET ROLE;
CREATE SCHEMA "Odd ""schema" AUTHORIZATION regress_online_owner;
SET ROLE regress_online_owner;
CREATE TABLE "Odd ""schema"."T" (id int PRIMARY KEY, "Mail" text NOT NULL, note text);
CREATE INDEX "I 1" ON "Odd ""schema"."T" ("Mail");
COMMENT ON INDEX "Odd ""schema"."I 1" IS 'of the mail';
CREATE STATISTICS "Odd ""schema"."S 1" ON "Mail", note FROM "Odd ""schema"."T";
CREATE VIEW "Odd ""schema"."V 1" AS SELECT "Mail" AS "It" FROM "Odd ""schema"."T";
COMMENT ON VIEW "Odd ""schema"."V 1" IS 'a view';
INSERT INTO "Odd ""schema"."T" VALUES (1, 'a@example.com');
CALL redoubt.protect_column('"Odd ""schema"."T"', 'Mail', 'redoubt.email_token', build_indexes => true);
\d "Odd ""schema"."T"
SELECT obj_description('"Odd ""schema"."I 1"'::regclass), obj_description('"Odd ""schema"."V 1"'::regclass);
RESET ROLE;
DROP SCHEMA "Odd ""schema" CASCADE;

DROP SCHEMA online_s CASCADE;
DROP OWNED BY regress_online_owner, regress_online_app, regress_online_insider;
DROP ROLE regress_online_owner, regress_online_app, regress_online_insider;
