--
-- What insiders tried that have some right already: whose values a record tells of, what it takes to loosen limits
-- unrecorded, limits passed by in others' maintenance, and tokens deep in rows.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_insider_support;
CREATE ROLE regress_insider_lead;
CREATE ROLE regress_insider LOGIN IN ROLE regress_insider_support, regress_insider_lead;
CREATE ROLE regress_insider_nobody LOGIN;
CREATE SCHEMA insider AUTHORIZATION regress_insider;
GRANT USAGE ON SCHEMA insider TO PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_insider_support, regress_insider_lead;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text) TO regress_insider_support;
GRANT CREATE ON SCHEMA insider TO regress_insider_support;
SET ROLE regress_insider_support;
CREATE TABLE insider.customer (id int PRIMARY KEY, email redoubt.email_token);
INSERT INTO insider.customer SELECT n, format('user%s@example.com', n) FROM generate_series(1, 20) AS n;
GRANT SELECT ON insider.customer TO PUBLIC;
RESET ROLE;
CREATE FUNCTION insider.reveal(most int) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS 'SELECT count(redoubt.detokenize(email)) FROM insider.customer WHERE id <= most';
ALTER FUNCTION insider.reveal(int) OWNER TO regress_insider_lead;
CREATE VIEW insider.event AS
  SELECT sequence, session_user_name AS "session", current_user_name AS "current", event, operation, outcome, count, detail FROM redoubt.audit;

-- A record names whose privilege applied, whoever the current user is when the statement ends.
SELECT max(sequence) AS mark FROM redoubt.audit \gset
\c - regress_insider
DO $$
BEGIN
  PERFORM redoubt.detokenize(email) FROM insider.customer WHERE id <= 2;
  SET ROLE regress_insider_support;
  PERFORM redoubt.detokenize(email) FROM insider.customer WHERE id <= 3;
  SET ROLE regress_insider_lead;
  PERFORM redoubt.detokenize(email) FROM insider.customer WHERE id <= 4;
  RESET ROLE;
  PERFORM redoubt.detokenize(email) FROM insider.customer WHERE id <= 5;
END $$;
\c - regress_insider_nobody
SELECT insider.reveal(6);
SELECT insider.reveal(7), 1 / (SELECT 0);
DO $$ BEGIN PERFORM insider.reveal(8); RAISE EXCEPTION 'an end'; END $$;
\c - postgres
DO $$
BEGIN
  SET SESSION AUTHORIZATION regress_insider;
  PERFORM redoubt.detokenize(email) FROM insider.customer WHERE id <= 9;
  RESET SESSION AUTHORIZATION;
END $$;
SELECT "session", "current", outcome, count FROM insider.event WHERE sequence > :mark AND event = 'reveal' ORDER BY count, sequence;

-- What makes somebody powerful, or lets a setting be changed, is on record, in every spelling.
SELECT max(sequence) AS mark FROM redoubt.audit \gset
GRANT redoubt_admin TO regress_insider_nobody;
REVOKE redoubt_admin FROM regress_insider_nobody;
CREATE ROLE regress_insider_auditor IN ROLE redoubt_auditor;
CREATE ROLE regress_insider_super SUPERUSER;
GRANT regress_insider_super TO regress_insider_nobody;
ALTER ROLE regress_insider_super NOSUPERUSER;
CREATE ROLE regress_insider_between IN ROLE regress_insider_lead ROLE regress_insider_nobody ADMIN regress_insider_auditor;
DROP ROLE regress_insider_between;
CREATE ROLE regress_insider_between SUPERUSER ROLE regress_insider_nobody;
DROP ROLE regress_insider_between;
CREATE ROLE regress_insider_between ROLE regress_insider_nobody;  -- nothing
DROP ROLE regress_insider_between;
ALTER ROLE regress_insider_super LOGIN;  -- not of interest
GRANT SET ON PARAMETER redoubt.mode, work_mem TO regress_insider_nobody, PUBLIC;
GRANT ALL ON PARAMETER redoubt.kek_file TO regress_insider_nobody WITH GRANT OPTION;
REVOKE GRANT OPTION FOR ALL ON PARAMETER redoubt.kek_file FROM regress_insider_nobody CASCADE;
REVOKE ALL ON PARAMETER redoubt.mode, redoubt.kek_file, work_mem FROM regress_insider_nobody, PUBLIC;
ALTER ROLE regress_insider_nobody SET redoubt.mode = 'learn';
ALTER ROLE regress_insider_nobody RESET ALL;
ALTER DATABASE contrib_regression RESET ALL;
ALTER ROLE regress_insider_nobody SET work_mem = '1MB';
SET ROLE regress_insider_nobody;
ALTER SYSTEM RESET ALL;
ALTER SYSTEM SET redoubt.mode = 'learn';
RESET ROLE;
BEGIN;
ALTER SYSTEM SET redoubt.mode = 'learn';  -- attempted
ROLLBACK;
SELECT event, operation, outcome, detail FROM insider.event WHERE sequence > :mark ORDER BY sequence;

-- So is what silences the triggers that record changes of own tables by hand.
SELECT max(sequence) AS mark FROM redoubt.audit \gset
BEGIN;
ALTER TABLE redoubt.limit_rule DISABLE TRIGGER ALL;
DELETE FROM redoubt.limit_rule WHERE false;
DROP TRIGGER policy_changed ON redoubt.key;
CREATE RULE quiet AS ON UPDATE TO redoubt.token_type DO INSTEAD NOTHING;
DROP RULE quiet ON redoubt.token_type;
SET LOCAL search_path = redoubt;
ALTER TABLE limit_rule RENAME TO limit_rules;
ALTER EXTENSION redoubt DROP TABLE redoubt.key;
DROP TRIGGER guard ON redoubt.vault;
ROLLBACK;
CREATE TABLE insider.limit_rule (id int);
ALTER TABLE insider.limit_rule ADD COLUMN x int;
SELECT event, operation, outcome, detail FROM insider.event WHERE sequence > :mark ORDER BY sequence;

-- What somebody may not do was not done: neither do records say so, nor do they fill the trail.
SELECT max(sequence) AS mark FROM redoubt.audit \gset
\c - regress_insider_nobody
SELECT count(*) FROM redoubt.vault;
COPY redoubt.vault TO STDOUT;
TRUNCATE redoubt.vault;
ALTER TABLE redoubt.vault DISABLE TRIGGER ALL;
DROP TRIGGER policy_changed ON redoubt.limit_rule;
CREATE RULE quiet AS ON UPDATE TO redoubt.key DO INSTEAD NOTHING;
CREATE STATISTICS insider.s ON token, fingerprint FROM redoubt.vault;
CREATE PUBLICATION regress_insider FOR ALL TABLES;
DROP TABLE redoubt.vault;
ALTER SCHEMA redoubt RENAME TO insider_redoubt;
CREATE ROLE regress_insider_other SUPERUSER;
ALTER ROLE regress_insider_nobody SUPERUSER;
GRANT redoubt_admin TO regress_insider_nobody;
GRANT SET ON PARAMETER redoubt.mode TO regress_insider_nobody;
\c - postgres
COPY redoubt.vault TO STDOUT;
COPY (SELECT token FROM redoubt.vault) TO STDOUT;
COPY redoubt.vault FROM STDIN;
\.
EXPLAIN (COSTS off) SELECT token FROM redoubt.vault;
SELECT "session", event, operation, outcome, detail FROM insider.event WHERE sequence > :mark ORDER BY sequence;

-- An owner's code that runs while others maintain the owner's tables reveals within the owner's limits.
SELECT redoubt.set_limit('regress_insider', 'redoubt.email_token', 'reveal', 3, '1 day') > 0 AS set;
SELECT redoubt.lift_block('regress_insider', 'redoubt.email_token', 'reveal') >= 0 AS lifted;
\c - regress_insider
SET client_min_messages = warning;
CREATE TABLE insider.loot (value text);
CREATE FUNCTION insider.take() RETURNS int VOLATILE LANGUAGE plpgsql AS
  $$ BEGIN EXECUTE current_setting('insider.take'); RETURN 1; END $$;
CREATE FUNCTION insider.key(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
  $$ BEGIN RETURN insider.take(); EXCEPTION WHEN configuration_limit_exceeded THEN RETURN n; END $$;
SET insider.take = 'INSERT INTO insider.loot SELECT redoubt.detokenize(email) FROM insider.customer WHERE id <= 4';
CREATE TABLE insider.trap (n int);
INSERT INTO insider.trap VALUES (1);
CREATE MATERIALIZED VIEW insider.copy AS SELECT redoubt.detokenize(email) AS email FROM insider.customer WITH NO DATA;
CREATE INDEX ON insider.trap (insider.key(n));
SELECT count(*) FROM insider.loot;
\c - postgres
SELECT redoubt.set_limit('regress_insider', 'redoubt.email_token', 'read', 3, '1 day') > 0 AS set;
SELECT redoubt.set_limit('regress_insider', 'redoubt.email_token', 'tokenize', 3, '1 day') > 0 AS set;
SET insider.take = 'INSERT INTO insider.loot SELECT redoubt.detokenize(email) FROM insider.customer WHERE id <= 4';
ANALYZE insider.trap;
REINDEX TABLE insider.trap;
VACUUM FULL insider.trap;
REFRESH MATERIALIZED VIEW insider.copy;
SET insider.take = 'INSERT INTO insider.loot SELECT redoubt.token(email) FROM insider.customer WHERE id <= 4';
REINDEX TABLE insider.trap;
SET insider.take = 'INSERT INTO insider.loot SELECT redoubt.email_token(format(''user%s@example.com'', n)) FROM generate_series(1, 4) AS n';
REINDEX TABLE insider.trap;
-- by way of another's function, which has no limit, directly and in a query
SET insider.take = 'INSERT INTO insider.loot SELECT insider.reveal(4)::text';
REINDEX TABLE insider.trap;
SET insider.take = 'DO $$ DECLARE n bigint; BEGIN n := insider.reveal(4); INSERT INTO insider.loot VALUES (n::text); END $$';
REINDEX TABLE insider.trap;
SELECT count(*) FROM insider.loot;
SELECT redoubt.drop_limit('regress_insider', 'redoubt.email_token', 'read'), redoubt.drop_limit('regress_insider', 'redoubt.email_token', 'tokenize');
SELECT role_name, charged, remaining FROM redoubt.usage WHERE role_name LIKE 'regress_insider%' AND operation = 'reveal' ORDER BY 1;
-- Without such a limit, maintenance goes on, and counts for both.
SELECT redoubt.drop_limit('regress_insider', 'redoubt.email_token', 'reveal');
SELECT redoubt.reset_usage('regress_insider'), redoubt.reset_usage('postgres');
REFRESH MATERIALIZED VIEW insider.copy;
SELECT role_name, charged, remaining FROM redoubt.usage
  WHERE role_name IN ('postgres', 'regress_insider') AND token_type = 'redoubt.email_token'::regtype AND operation = 'reveal' ORDER BY 1;

-- No depth of rows hides a token from who counts them.
DO $$
BEGIN
  CREATE TYPE insider.d0 AS (email redoubt.email_token);
  FOR i IN 1..20 LOOP
    EXECUTE format('CREATE TYPE insider.d%s AS (c insider.d%s)', i, i - 1);
  END LOOP;
END $$;
CREATE TABLE insider.deep (id int, value insider.d20);
DO $$
DECLARE
  value text := 'email';
BEGIN
  FOR i IN 0..20 LOOP
    value := format('ROW(%s)::insider.d%s', value, i);
  END LOOP;
  EXECUTE format('INSERT INTO insider.deep SELECT id, %s FROM insider.customer', value);
END $$;
GRANT SELECT ON insider.deep TO regress_insider_nobody;
\c - regress_insider_nobody
SELECT value FROM insider.deep \g /dev/null
SELECT operation, charged FROM redoubt.usage WHERE role_name = 'regress_insider_nobody' AND operation = 'read';

\c - postgres
SET client_min_messages = warning;
DROP SCHEMA insider CASCADE;
DROP OWNED BY regress_insider, regress_insider_support, regress_insider_lead, regress_insider_nobody;
DROP ROLE regress_insider, regress_insider_support, regress_insider_lead, regress_insider_nobody, regress_insider_auditor, regress_insider_super;
