--
-- Actions of limits: degrade shows less where redoubt.reveal asked, and is an error
-- where a function was called; suspend stops every operation on the type in every
-- session until an administrator lifts it, and nobody else can.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE ROLE regress_actions_admin LOGIN IN ROLE redoubt_admin;
CREATE ROLE regress_actions_auditor LOGIN IN ROLE redoubt_auditor;
CREATE ROLE regress_actions_group;
CREATE ROLE regress_actions_both LOGIN;
CREATE ROLE regress_actions_plain LOGIN;
CREATE ROLE regress_actions_s LOGIN;
CREATE ROLE regress_actions_t LOGIN IN ROLE regress_actions_group;
CREATE ROLE regress_actions_u LOGIN IN ROLE regress_actions_group;
CREATE SCHEMA actions_test;
GRANT USAGE ON SCHEMA actions_test TO PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.name_token(text), redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token),
  redoubt.detokenize(redoubt.name_token) TO regress_actions_both, regress_actions_s, regress_actions_group, postgres;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_actions_plain;
SET search_path = actions_test, redoubt;
CREATE TABLE customer (id int PRIMARY KEY, email email_token, name name_token);
INSERT INTO customer SELECT n, format('u%s@example.com', n), 'Name ' || n FROM generate_series(1, 20) AS n;
GRANT SELECT ON customer TO PUBLIC;

-- ------------------------------------------------------------- what may be set

\c - regress_actions_admin
SET search_path = actions_test, redoubt;
SELECT set_limit('regress_actions_both', 'email_token', 'read', 10, '1 day', on_excess => 'degrade');
SELECT set_limit('regress_actions_both', 'email_token', 'tokenize', 10, '1 day', on_excess => 'degrade');
SELECT set_limit('regress_actions_both', 'email_token', 'probe', 10, '1 day', on_excess => 'degrade');
SELECT set_limit('regress_actions_both', 'email_token', 'reveal', 3, '1 day', on_excess => 'degrade') > 0 AS set,
       set_limit('regress_actions_both', 'email_token', 'masked', 2, '1 day', on_excess => 'degrade') > 0 AS set,
       set_limit('regress_actions_both', 'email_token', 'read', 4, '1 day') > 0 AS set,
       set_limit('regress_actions_plain', 'email_token', 'reveal', 3, '1 day', on_excess => 'degrade') > 0 AS set,
       set_limit('regress_actions_s', 'email_token', 'reveal', 4, '1 day', on_excess => 'suspend') > 0 AS set,
       set_limit('regress_actions_group', 'email_token', 'tokenize', 2, '1 day', on_excess => 'suspend', shared => true) > 0 AS set;

-- ------------------------------------------------------------------- degrade

-- Three plain, two masked, then tokens, which are reads: four of those, then 53400.
\c - regress_actions_both
SET search_path = actions_test, redoubt;
SET redoubt.reveal = 'plain';
\copy (SELECT email FROM customer WHERE id <= 9 ORDER BY id) TO PROGRAM 'sed -e s/^tok_.*/token/'
SELECT email FROM customer WHERE id = 1;
SELECT operation, charged, remaining, blocked FROM usage WHERE role = current_user::regrole AND operation <> 'tokenize' ORDER BY operation;
-- By name it is an error.
SELECT detokenize(email) FROM customer WHERE id = 1;
SELECT mask(email) FROM customer WHERE id = 1;
-- Who may not see masked values falls to tokens, and auto does the same.
\c - regress_actions_plain
SET search_path = actions_test, redoubt;
SET redoubt.reveal = 'auto';
\copy (SELECT email FROM customer WHERE id <= 5 ORDER BY id) TO PROGRAM 'sed -e s/^tok_.*/token/'
SELECT operation, charged FROM usage WHERE role = current_user::regrole ORDER BY operation;
-- A stricter limit beside it wins.
\c - regress_actions_admin
SELECT redoubt.drop_limit('regress_actions_plain', 'redoubt.email_token', 'reveal');
SELECT redoubt.set_limit('regress_actions_plain', 'redoubt.email_token', 'reveal', 3, '1 day', on_excess => 'degrade') > 0 AS degrade,
       redoubt.set_limit('regress_actions_plain', NULL, 'reveal', 3, '2 days') > 0 AS block;
\c - regress_actions_plain
SET search_path = actions_test, redoubt;
SET redoubt.reveal = 'auto';
\copy (SELECT email FROM customer WHERE id <= 5 ORDER BY id) TO PROGRAM 'sed -e s/^tok_.*/token/'

-- ------------------------------------------------------------------- suspend

\c - regress_actions_s
SET search_path = actions_test, redoubt;
SELECT count(detokenize(email)) FROM customer WHERE id <= 4;
SELECT detokenize(email) FROM customer WHERE id = 5;
-- Every operation on the type, in every session, by every way, and each statement whose plan has a column of it.
SELECT detokenize(email) FROM customer WHERE id = 1;
\c - regress_actions_s
SET search_path = actions_test, redoubt;
SELECT mask(email) FROM customer WHERE id = 1;
SELECT email FROM customer WHERE id = 1;
SELECT email_token('new@example.com') IS NULL;
SELECT id FROM customer WHERE email = (SELECT email FROM customer WHERE id = 1);
COPY (SELECT email FROM customer) TO STDOUT;
SET redoubt.reveal = 'auto';
SELECT email FROM customer WHERE id = 1;
RESET redoubt.reveal;
SELECT count(*) FROM customer;
-- Other types as before.
SELECT count(name_token(format('Name %s', n))) FROM generate_series(1, 3) AS n;
SELECT operation, remaining, blocked FROM usage WHERE token_type = 'email_token'::regtype AND operation IN ('reveal', 'masked') ORDER BY operation;
-- Nobody but an administrator lifts it.
SELECT lift_suspension('regress_actions_s');
\c - regress_actions_auditor
SELECT redoubt.lift_suspension('regress_actions_s');
\c - regress_actions_admin
SELECT redoubt.lift_suspension('regress_actions_u') AS another, redoubt.lift_suspension('regress_actions_s') AS lifted, redoubt.lift_suspension('regress_actions_s') AS again;
SELECT redoubt.lift_suspension('regress_actions_nobody');
\c - regress_actions_s
SET search_path = actions_test, redoubt;
SELECT mask(email) FROM customer WHERE id = 1;
SELECT count(detokenize(email)) FROM customer WHERE id <= 4;
-- And it comes back; changing the limit keeps it, dropping it ends it.
SELECT detokenize(email) FROM customer WHERE id = 5;
\c - regress_actions_admin
SELECT redoubt.set_limit('regress_actions_s', 'redoubt.email_token', 'reveal', 100, '1 day', on_excess => 'suspend') > 0 AS changed;
\c - regress_actions_s
SELECT redoubt.mask(email) FROM actions_test.customer WHERE id = 1;
\c - regress_actions_admin
SELECT redoubt.drop_limit('regress_actions_s', 'redoubt.email_token', 'reveal');
\c - regress_actions_s
SELECT redoubt.mask(email) FROM actions_test.customer WHERE id = 1;

-- A shared limit suspends its group, and the lift for one member ends it.
\c - regress_actions_t
SELECT redoubt.email_token('a@example.com') IS NULL AS a, redoubt.email_token('b@example.com') IS NULL AS b;
SELECT redoubt.email_token('c@example.com') IS NULL;
\c - regress_actions_u
SELECT redoubt.mask(email) FROM actions_test.customer WHERE id = 1;
\c - regress_actions_admin
SELECT redoubt.lift_suspension('regress_actions_u');
\c - regress_actions_t
SELECT redoubt.mask(email) FROM actions_test.customer WHERE id = 1;
SELECT redoubt.email_token('c@example.com') IS NULL AS c;

-- ----------------------------------------------------------------- the record

\c - regress_actions_auditor
SELECT DISTINCT event, outcome, session_user_name, operation FROM redoubt.audit
 WHERE session_user_name LIKE 'regress_actions%' AND event IN ('degrade', 'suspend') OR operation = 'lift_suspension' AND session_user_name LIKE 'regress_actions%'
 ORDER BY 1, 2, 3, 4;

\c - postgres
SET client_min_messages = warning;
DELETE FROM redoubt.limit_rule WHERE role::text LIKE 'regress_actions%';
DROP SCHEMA actions_test CASCADE;
REVOKE EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.name_token(text), redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token), redoubt.detokenize(redoubt.name_token) FROM postgres;
DROP OWNED BY regress_actions_admin, regress_actions_auditor, regress_actions_group, regress_actions_both, regress_actions_plain, regress_actions_s, regress_actions_t, regress_actions_u;
DROP ROLE regress_actions_admin, regress_actions_auditor, regress_actions_group, regress_actions_both, regress_actions_plain, regress_actions_s, regress_actions_t, regress_actions_u;
