--
-- The audit trail: every reveal (summed per statement), denial, block, throttle,
-- change of limits, grants, keys, labels, types and settings is an event; nobody
-- but auditors reads them; no event holds a value.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_audit_admin LOGIN IN ROLE redoubt_admin;
CREATE ROLE regress_audit_auditor LOGIN IN ROLE redoubt_auditor;
CREATE ROLE regress_audit_app LOGIN;
CREATE ROLE regress_audit_lead;
CREATE ROLE regress_audit_super LOGIN SUPERUSER;
CREATE SCHEMA audit_test AUTHORIZATION regress_audit_app;
GRANT USAGE, CREATE ON SCHEMA audit_test TO PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token),
  redoubt.name_token(text), redoubt.mask(redoubt.name_token) TO regress_audit_app;
\c - regress_audit_app
SET search_path = audit_test, redoubt;
CREATE TABLE customer (id int PRIMARY KEY, email email_token, name name_token);
INSERT INTO customer SELECT n, format('planted.value.%s@example.com', n), 'Planted Value' FROM generate_series(1, 50) AS n;
GRANT SELECT ON customer TO PUBLIC;

-- Only auditors read the trail, superusers' rights apart.
SELECT * FROM redoubt.audit;
SELECT * FROM redoubt.audit_records();
SELECT * FROM redoubt.verify_audit();
\c - regress_audit_admin
SELECT * FROM redoubt.audit;
SELECT * FROM redoubt.verify_audit();

-- The events after a mark, in order, without the numbers that differ by run.
-- A mark is the highest sequence number so far; it is kept in psql.
\c - postgres
CREATE VIEW audit_test.event AS
SELECT sequence, session_user_name AS "session", current_user_name AS "current", application_name AS application,
       event, outcome, operation, token_type, count
FROM redoubt.audit ORDER BY sequence;
REVOKE ALL ON audit_test.event FROM PUBLIC;
GRANT SELECT ON audit_test.event TO regress_audit_auditor;
ALTER VIEW audit_test.event OWNER TO regress_audit_auditor;

-- ------------------------------------------------------------------ reveals

\c - regress_audit_auditor
SELECT max(sequence) AS mark, max(sequence) AS start FROM redoubt.audit \gset
\c - regress_audit_app
SET search_path = audit_test, redoubt;
SET application_name = 'regress_audit';
SELECT count(detokenize(email)) FROM customer;
SELECT count(mask(email)), count(mask(name)) FROM customer WHERE id <= 10;
SET redoubt.reveal = 'auto';
SELECT email, name FROM customer WHERE id <= 3;
COPY (SELECT email FROM customer WHERE id <= 4) TO STDOUT;
BEGIN;
DECLARE c CURSOR FOR SELECT email FROM customer ORDER BY id;
FETCH 2 FROM c;
FETCH 3 FROM c;
COMMIT;
UPDATE customer SET id = id WHERE id <= 6 RETURNING email;
DO $$ BEGIN PERFORM redoubt.detokenize(email) FROM audit_test.customer WHERE id <= 7; END $$;
-- Rolled back, failed: revealed all the same.
BEGIN;
SELECT count(detokenize(email)) FROM customer WHERE id <= 8;
ROLLBACK;
SELECT count(detokenize(email) || 1 / (9 - id)) FROM (SELECT * FROM customer ORDER BY id OFFSET 0) AS s;
SELECT count(*) FROM customer WHERE email = 'planted.value.1@example.com';  -- tokenizing is no reveal
\c - regress_audit_auditor
SELECT "session", "current", application, event, outcome, operation, token_type, sum(count)
FROM audit_test.event WHERE sequence > :mark AND event = 'reveal' AND outcome <> 'intent'
GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 6, 7, 5;
SELECT outcome, operation, token_type, count FROM audit_test.event WHERE sequence > :mark AND event = 'reveal' AND outcome <> 'intent';
-- Intent comes before the first value, once per statement, type and operation.
SELECT bool_and(intents >= 1) AS intent_first FROM
  (SELECT (SELECT count(*) FROM audit_test.event AS i WHERE i.outcome = 'intent' AND i.sequence > :mark AND i.sequence < e.sequence AND i.operation = e.operation AND i.token_type = e.token_type) AS intents
   FROM audit_test.event AS e WHERE e.sequence > :mark AND e.event = 'reveal' AND e.outcome <> 'intent') AS s;

-- ------------------------------------------------------------------ denials

SELECT max(sequence) AS mark FROM redoubt.audit \gset
\c - regress_audit_app
SET search_path = audit_test, redoubt;
SELECT detokenize(name) FROM customer;
SET redoubt.reveal = 'plain';
SELECT name FROM customer;
SELECT 'x'::text_token;
SELECT text_token('x'::text);
DO $$ BEGIN PERFORM redoubt.detokenize(name) FROM audit_test.customer; EXCEPTION WHEN insufficient_privilege THEN NULL; END $$;
-- Where PostgreSQL does not say whose function it was, the record does not guess.
CREATE FUNCTION by_expression(t name_token) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN redoubt.detokenize(t); END';
SELECT by_expression(name) FROM customer;
-- A function of the same name that is no gate is not the gate's denial.
CREATE FUNCTION mask(int) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT $1::text';
REVOKE EXECUTE ON FUNCTION mask(int) FROM PUBLIC, regress_audit_app;
SELECT audit_test.mask(1);
\c - regress_audit_super
SELECT redoubt.detokenize(email) FROM audit_test.customer;
SET redoubt.reveal = 'masked';
SELECT email FROM audit_test.customer;
\c - regress_audit_auditor
SELECT "session", event, outcome, operation, token_type FROM audit_test.event WHERE sequence > :mark AND event <> 'key' ORDER BY sequence;

-- ------------------------------------------------- limits: blocks, throttles

SELECT max(sequence) AS mark FROM redoubt.audit \gset
\c - regress_audit_admin
SELECT redoubt.set_limit('regress_audit_app', 'redoubt.email_token', 'reveal', 10, '1 day') > 0 AS set,
       redoubt.set_limit('regress_audit_app', 'redoubt.email_token', 'masked', 20, '1 s', burst => 2, on_excess => 'throttle') > 0 AS set,
       redoubt.set_limit('regress_audit_app', 'redoubt.email_token', 'read', 5, '1 day', on_excess => 'log') > 0 AS set,
       redoubt.set_limit('regress_audit_app', 'redoubt.email_token', 'tokenize', 2, '1 day') > 0 AS set;
SELECT redoubt.set_limit('regress_audit_app', 'redoubt.email_token', 'reveal', 0, '1 day');
\c - regress_audit_app
SET search_path = audit_test, redoubt;
SELECT count(detokenize(email)) FROM customer;
SELECT detokenize(email) FROM customer LIMIT 1;
SELECT count(mask(email)) FROM customer WHERE id <= 4;
SELECT email FROM customer WHERE id <= 8 \g /dev/null
SELECT count(*) FROM customer WHERE email IN ('a@example.com', 'b@example.com', 'c@example.com');
\c - regress_audit_admin
SELECT redoubt.drop_limit('regress_audit_app', 'redoubt.email_token', 'reveal');
SELECT redoubt.reset_usage('regress_audit_app');
\c - regress_audit_auditor
SELECT "session", event, outcome, operation, token_type, count FROM audit_test.event WHERE sequence > :mark ORDER BY sequence;

-- ------------------------------------ grants, keys, types, labels, settings

SELECT max(sequence) AS mark FROM redoubt.audit \gset
\c - postgres
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.phone_token) TO regress_audit_lead;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.phone_token) TO regress_audit_lead;  -- changes nothing
REVOKE EXECUTE ON FUNCTION redoubt.detokenize(redoubt.phone_token) FROM regress_audit_lead;
GRANT ALL ON ALL FUNCTIONS IN SCHEMA redoubt TO regress_audit_lead;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA redoubt FROM regress_audit_lead;
GRANT EXECUTE ON FUNCTION redoubt.token_info(anyelement) TO regress_audit_lead;  -- no gate
BEGIN;
GRANT EXECUTE ON FUNCTION redoubt.mask(redoubt.phone_token) TO regress_audit_lead;
ROLLBACK;
GRANT EXECUTE ON FUNCTION redoubt.mask(redoubt.phone_token) TO postgres;
ALTER FUNCTION redoubt.mask(redoubt.phone_token) OWNER TO regress_audit_lead;
ALTER FUNCTION redoubt.mask(redoubt.phone_token) OWNER TO postgres;
REVOKE EXECUTE ON FUNCTION redoubt.mask(redoubt.phone_token) FROM postgres;
DO $$ BEGIN EXECUTE 'GRANT EXECUTE ON FUNCTION redoubt.mask(redoubt.phone_token) TO regress_audit_lead'; END $$;
-- Membership of a role that holds a privilege, in every spelling; others are not its business.
GRANT regress_audit_lead TO regress_audit_super, regress_audit_admin;
REVOKE regress_audit_lead FROM regress_audit_super;
ALTER GROUP regress_audit_lead DROP USER regress_audit_admin;
ALTER GROUP regress_audit_lead ADD USER regress_audit_admin;
CREATE ROLE regress_audit_new IN ROLE regress_audit_lead;
GRANT regress_audit_new TO regress_audit_app;
DROP ROLE regress_audit_new;
CREATE ROLE regress_audit_powerless;
GRANT regress_audit_powerless TO regress_audit_app;
DROP ROLE regress_audit_powerless;
DROP OWNED BY regress_audit_lead;
ALTER ROLE regress_audit_app SET redoubt.reveal = 'auto';
ALTER ROLE regress_audit_app RESET redoubt.reveal;
CREATE TABLE audit_test.legacy (email text);
SECURITY LABEL FOR redoubt ON COLUMN audit_test.legacy.email IS 'email_token';
SECURITY LABEL FOR redoubt ON COLUMN audit_test.legacy.email IS NULL;
\c - regress_audit_admin
SELECT redoubt.create_token_type('audit_test.plan_token');
SELECT redoubt.drop_token_type('audit_test.plan_token');
\c - regress_audit_auditor
SELECT "session", event, outcome, operation, token_type, count(*) FROM audit_test.event WHERE sequence > :mark
GROUP BY 1, 2, 3, 4, 5 ORDER BY min(sequence), 5;
SELECT operation, detail FROM redoubt.audit WHERE sequence > :mark AND operation LIKE '%ROLE' ORDER BY sequence;
-- The grants say what the privileges were and are.
SELECT detail LIKE '%regress\_audit\_lead=X%was {}%' AS given FROM redoubt.audit WHERE sequence > :mark AND event = 'grant' AND operation = 'GRANT' ORDER BY sequence LIMIT 1;

-- ------------------------------------------------ what the records hold

SELECT count(*) > 50 AS any,
       count(*) FILTER (WHERE record::text ~* 'planted|value\.1|tok_') AS with_values,
       count(*) FILTER (WHERE record::text ~* 'select |update ') AS with_statements,
       count(*) FILTER (WHERE record ->> 'class_uid' <> '6005') AS of_another_class,
       count(*) FILTER (WHERE time > now() + interval '1 min' OR time < now() - interval '1 day') AS out_of_time,
       count(*) FILTER (WHERE database IS NULL) AS nowhere
FROM redoubt.audit WHERE sequence > :start;
SELECT count(DISTINCT sequence) = count(*) AS once FROM redoubt.audit;
SELECT ok, records > 100 AS records, broken_segment, broken_line, problem FROM redoubt.verify_audit();
-- Nobody edits it through SQL.
INSERT INTO redoubt.audit (event) VALUES ('reveal');
DELETE FROM redoubt.audit;
UPDATE redoubt.audit SET event = 'nothing';

\c - postgres
SET client_min_messages = warning;
DROP SCHEMA audit_test CASCADE;
DELETE FROM redoubt.limit_rule WHERE role::text LIKE 'regress_audit%';
DROP OWNED BY regress_audit_admin, regress_audit_auditor, regress_audit_app, regress_audit_lead, regress_audit_super;
DROP ROLE regress_audit_admin, regress_audit_auditor, regress_audit_app, regress_audit_lead, regress_audit_super;
