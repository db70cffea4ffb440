--
-- lift_block(): one login role gets its budget of one operation back, and nobody else anything.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE ROLE regress_lift_ann LOGIN;
CREATE ROLE regress_lift_ben LOGIN;
CREATE ROLE regress_lift_desk;
GRANT regress_lift_desk TO regress_lift_ann, regress_lift_ben;
CREATE ROLE regress_lift_admin LOGIN;
GRANT redoubt_admin TO regress_lift_admin;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.detokenize(redoubt.email_token), redoubt.mask(redoubt.email_token) TO regress_lift_desk;
CREATE TABLE regress_lift (id integer, email redoubt.email_token);
GRANT ALL ON regress_lift TO regress_lift_desk;
SELECT redoubt.set_limit('regress_lift_desk', 'redoubt.email_token', 'reveal', 3, '100 days') IS NOT NULL AS each_three,
  redoubt.set_limit('regress_lift_desk', NULL, 'masked', 2, '100 days', shared => true) IS NOT NULL AS all_two,
  redoubt.set_limit('regress_lift_desk', 'redoubt.email_token', 'reveal', 5, 'statement') IS NOT NULL AS a_statement,
  redoubt.set_limit('regress_lift_ben', 'redoubt.email_token', 'tokenize', 4, '100 days', on_excess => 'suspend') IS NOT NULL AS suspends;
SELECT coalesce(max(sequence), 0) AS before_test FROM redoubt.audit \gset

SET SESSION AUTHORIZATION regress_lift_ann;
INSERT INTO regress_lift VALUES (1, 'a@example.com'), (2, 'b@example.com');
\set VERBOSITY sqlstate
SELECT redoubt.detokenize(email) FROM regress_lift WHERE id = 1;
SELECT count(redoubt.detokenize(email)) FROM regress_lift;
SELECT redoubt.detokenize(email) FROM regress_lift WHERE id = 1;
SELECT count(redoubt.mask(email)) FROM regress_lift;
SELECT redoubt.lift_block('regress_lift_ann', NULL, NULL);
SET SESSION AUTHORIZATION regress_lift_ben;
SELECT count(redoubt.detokenize(email)) FROM regress_lift;
SELECT count(redoubt.mask(email)) FROM regress_lift WHERE id = 1;
RESET SESSION AUTHORIZATION;

-- Of one operation, of one type, of one role.
SET SESSION AUTHORIZATION regress_lift_admin;
SELECT redoubt.lift_block('regress_lift_ann', 'redoubt.phone_token', 'reveal') AS other_type, redoubt.lift_block('regress_lift_ann', NULL, 'read') AS other_operation,
  redoubt.lift_block('regress_lift_desk', NULL, 'reveal') AS no_login;
SELECT redoubt.lift_block('regress_lift_ann', 'redoubt.email_token', 'reveal') AS lifted, redoubt.lift_block('regress_lift_ann', 'redoubt.email_token', 'reveal') AS again;
SELECT role_name, operation, remaining, blocked FROM redoubt.usage WHERE role_name LIKE 'regress_lift%' AND operation IN ('reveal', 'masked') ORDER BY 1, 2;
-- A shared limit is everybody's.
SELECT redoubt.lift_block('regress_lift_ben', 'redoubt.phone_token', 'masked') AS shared;
SELECT redoubt.lift_block('regress_lift_ben', NULL, NULL) AS rest;
SELECT role_name, operation, remaining, blocked FROM redoubt.usage WHERE role_name LIKE 'regress_lift%' AND operation IN ('reveal', 'masked') ORDER BY 1, 2;
SELECT redoubt.lift_block(NULL, NULL, NULL);
SELECT redoubt.lift_block('regress_lift_ann', 'integer', 'reveal');
SELECT redoubt.lift_block('regress_lift_ann', NULL, 'nothing');
RESET SESSION AUTHORIZATION;

-- A suspension is lifted by lift_suspension().
SET SESSION AUTHORIZATION regress_lift_ben;
INSERT INTO regress_lift SELECT i, 'c' || i || '@example.com' FROM generate_series(1, 5) AS i;
RESET SESSION AUTHORIZATION;
SELECT redoubt.lift_block('regress_lift_ben', NULL, 'tokenize') >= 0 AS lifted;
SET SESSION AUTHORIZATION regress_lift_ben;
INSERT INTO regress_lift VALUES (9, 'd@example.com');
RESET SESSION AUTHORIZATION;
\set VERBOSITY default
SELECT operation, token_type, detail FROM redoubt.audit WHERE sequence > :before_test AND operation = 'lift_block' ORDER BY sequence;

DROP TABLE regress_lift;
DROP OWNED BY regress_lift_desk;
DROP ROLE regress_lift_ann, regress_lift_ben, regress_lift_desk, regress_lift_admin;
SELECT count(*) AS left_over FROM redoubt.limit_rule AS l WHERE l.role IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = l.role::oid);
