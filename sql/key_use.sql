/*
 * key_use(), retire_key(), destroy_key(): who uses a version of a key, and how it ends.
 *
 * Proves: every form in which a column holds tokens is counted, by version; deleted ones are not; a version that anything uses is not retired, and the error says what; a retired one opens nothing, and
 * says so; a key is destroyed when its name is given twice, and can be made anew; nobody needs a privilege on the
 * tables, but redoubt_admin; all is on record.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
\set SHOW_CONTEXT never
CREATE ROLE regress_use_admin IN ROLE redoubt_admin;
CREATE ROLE regress_use_app;
CREATE SCHEMA regress_use;
GRANT USAGE, CREATE ON SCHEMA regress_use TO regress_use_app;
GRANT USAGE ON SCHEMA regress_use TO regress_use_admin;
SELECT max(sequence) AS mark FROM redoubt.audit \gset

SELECT redoubt.create_key('regress_use');
SELECT redoubt.create_token_type('regress_use.token', key => 'regress_use') \gset made_
SELECT redoubt.create_token_type('regress_use.random', deterministic => false, key => 'regress_use') \gset made_
SELECT redoubt.create_token_type('regress_use.kept', method => 'vault', key => 'regress_use') \gset made_
SELECT redoubt.create_token_type('regress_use.digits', method => 'fpe', format => 'digits(8)', key => 'regress_use') \gset made_
GRANT EXECUTE ON FUNCTION regress_use.token(text), redoubt.detokenize(regress_use.token), regress_use.random(text), redoubt.detokenize(regress_use.random),
  regress_use.kept(text), redoubt.detokenize(regress_use.kept), regress_use.digits(text), redoubt.detokenize(regress_use.digits) TO regress_use_app;
SET ROLE regress_use_app;
SET search_path = regress_use, redoubt;
CREATE DOMAIN part AS token;
CREATE TYPE pair AS (number int, one token, other random);
CREATE TABLE plain (id int, t token, r random, nothing token);
CREATE TABLE form (id int, d part, a token[], p pair, ps pair[]);
CREATE TABLE vaulted (k kept);
CREATE TABLE fixed (n digits);
CREATE TABLE part_of (id int, t token) PARTITION BY RANGE (id);
CREATE TABLE part_of_1 PARTITION OF part_of FOR VALUES FROM (0) TO (10);
CREATE TABLE part_of_2 PARTITION OF part_of FOR VALUES FROM (10) TO (20);
INSERT INTO plain (id, t, r) SELECT i, 'value ' || i, 'value ' || i FROM generate_series(1, 3) AS i;
INSERT INTO plain (id, t) VALUES (4, repeat('long ', 20000));
INSERT INTO form SELECT 1, t, ARRAY[t, NULL, t], ROW(1, t, r)::pair, ARRAY[ROW(1, t, r)::pair, ROW(2, t, NULL)::pair] FROM plain WHERE id = 1;
INSERT INTO vaulted SELECT redoubt.tokenize('a value', 'regress_use.kept')::kept;
INSERT INTO fixed SELECT redoubt.tokenize('12345678', 'regress_use.digits')::digits;
INSERT INTO part_of SELECT i, 'value ' || i FROM generate_series(5, 14) AS i;
CREATE MATERIALIZED VIEW copy AS SELECT id, t FROM plain WHERE id < 3;
RESET ROLE;
SELECT redoubt.rotate_key('regress_use');
SET ROLE regress_use_app;
INSERT INTO plain (id, t, r) VALUES (11, 'value 1', 'value 1');
DELETE FROM plain WHERE id = 3;
RESET ROLE;
SET search_path = pg_catalog;

-- ------------------------------------------------------------------ key_use
-- The admin holds nothing on the tables.
SET ROLE regress_use_admin;
SELECT count(*) FROM regress_use.plain;
SELECT * FROM redoubt.key_use() WHERE key = 'regress_use' ORDER BY table_name::text COLLATE "C", column_name, version;
RESET ROLE;
-- What the transaction itself has done, and what it has not committed.
BEGIN;
DELETE FROM regress_use.part_of;
SELECT count(*) AS partitions FROM redoubt.key_use() WHERE table_name::text LIKE '%part_of%';
ROLLBACK;
-- Nothing is revealed, and no read is charged.
SELECT count(*) AS charged FROM redoubt.audit WHERE sequence > :mark AND event IN ('reveal', 'denial');

-- --------------------------------------------------------------- retire_key
SET ROLE regress_use_admin;
SELECT redoubt.retire_key('regress_use', 2);
SELECT redoubt.retire_key('regress_use', 3);
SELECT redoubt.retire_key('regress_use', 0);
SELECT redoubt.retire_key('regress_use_missing', 1);
SELECT redoubt.retire_key('regress_use', 1);
RESET ROLE;
-- Bit by bit the version falls out of use.
SELECT redoubt.token(t) AS old_token FROM regress_use.plain WHERE id = 1 \gset
SET ROLE regress_use_app;
SET search_path = regress_use, redoubt;
UPDATE plain SET t = detokenize(t), r = detokenize(r) WHERE id < 10;
REFRESH MATERIALIZED VIEW copy;
DROP TABLE form, fixed;
UPDATE part_of SET t = detokenize(t);
RESET ROLE;
SET search_path = pg_catalog;
SELECT redoubt.retire_key('regress_use', 1);
SELECT redoubt.drop_token_type('regress_use.digits');
CALL redoubt.reseal_vault('regress_use.kept');
SELECT * FROM redoubt.key_use() WHERE key = 'regress_use' ORDER BY table_name::text COLLATE "C", column_name, version;
SELECT redoubt.retire_key('regress_use', 1) IS NOT NULL AS retired;
SELECT redoubt.retire_key('regress_use', 1);
SELECT name, version, state FROM redoubt.key WHERE name = 'regress_use' ORDER BY version;
-- It opens nothing any more, and the tokens of the others do.
SET ROLE regress_use_app;
SET search_path = regress_use, redoubt;
SELECT detokenize(:'old_token'::token);
SELECT :'old_token'::token = t AS still_equal, detokenize(t) FROM plain WHERE id = 1;
SELECT detokenize(k) FROM vaulted;
RESET ROLE;
SET search_path = pg_catalog;
-- It is wrapped anew like the others, and opens to verify_keys().
SELECT version, opens FROM redoubt.verify_keys() WHERE name = 'regress_use';

-- -------------------------------------------------------------- destroy_key
SET ROLE regress_use_admin;
SELECT redoubt.destroy_key('regress_use');
SELECT redoubt.destroy_key('regress_use', 'yes');
SELECT redoubt.destroy_key(NULL);
SELECT redoubt.destroy_key('regress_use_missing', 'regress_use_missing');
RESET ROLE;
BEGIN;
SELECT redoubt.destroy_key('regress_use', confirm => 'regress_use');
SET LOCAL ROLE regress_use_app;
SELECT redoubt.detokenize(t) FROM regress_use.plain WHERE id = 1;
ROLLBACK;
SET ROLE regress_use_app;
SELECT redoubt.detokenize(t) FROM regress_use.plain WHERE id = 1;
RESET ROLE;
SET ROLE regress_use_admin;
SELECT redoubt.destroy_key('regress_use', confirm => 'regress_use');
SELECT redoubt.destroy_key('regress_use', confirm => 'regress_use');
SELECT redoubt.rotate_key('regress_use');
SELECT redoubt.retire_key('regress_use', 1);
SELECT name, version, wrapped, state FROM redoubt.key WHERE name = 'regress_use' ORDER BY version;
SELECT count(*) AS listed FROM redoubt.verify_keys() WHERE name = 'regress_use';
SELECT redoubt.rewrap_keys() AS nothing_to_do;
RESET ROLE;
SET ROLE regress_use_app;
SELECT redoubt.detokenize(t) FROM regress_use.plain WHERE id = 1;
SELECT redoubt.detokenize(k) FROM regress_use.vaulted;
INSERT INTO regress_use.plain (t) VALUES ('new');
SELECT count(t) AS tokens_stay FROM regress_use.plain;
RESET ROLE;
-- A new key of the name: the versions go on.
SELECT redoubt.create_key('regress_use');
SET ROLE regress_use_app;
INSERT INTO regress_use.plain (id, t) VALUES (20, 'value 1');
SELECT redoubt.detokenize(t), (redoubt.token_info(t)).key_version FROM regress_use.plain WHERE id = 20;
SELECT redoubt.detokenize(t) FROM regress_use.plain WHERE id = 1;
-- A stranger.
SELECT * FROM redoubt.key_use();
SELECT redoubt.retire_key('regress_use', 1);
SELECT redoubt.destroy_key('regress_use', 'regress_use');
RESET ROLE;
SELECT event, operation, count, regexp_replace(detail, '[0-9a-f]{16}$', '(its own)') AS detail FROM redoubt.audit WHERE sequence > :mark AND event IN ('key', 'policy') ORDER BY sequence;

-- --------------------------------------------------------------------- ends
SET client_min_messages = warning;
DROP TABLE regress_use.plain, regress_use.vaulted, regress_use.part_of CASCADE;
DROP TYPE regress_use.pair;
DROP DOMAIN regress_use.part;
DELETE FROM redoubt.vault WHERE class_id = (SELECT class_id FROM redoubt.token_type WHERE typ = 'regress_use.kept'::regtype);
SELECT redoubt.drop_token_type('regress_use.token'), redoubt.drop_token_type('regress_use.random'), redoubt.drop_token_type('regress_use.kept');
DELETE FROM redoubt.key WHERE name LIKE 'regress%';
DROP SCHEMA regress_use CASCADE;
DROP OWNED BY regress_use_app, regress_use_admin;
DROP ROLE regress_use_app, regress_use_admin;
