--
-- Rows of redoubt.limit_rule whose role or token type is missing: in what a restore loads, after DROP ROLE and DROP TYPE.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE ROLE regress_rows_clerk;
CREATE ROLE "regress Rows 7";
CREATE ROLE regress_rows_admin LOGIN CREATEROLE;
GRANT redoubt_admin TO regress_rows_admin;
SELECT redoubt.create_token_type('public.regress_rows_code') IS NOT NULL AS made;
SELECT coalesce(max(sequence), 0) AS before_test FROM redoubt.audit \gset

-- ------------------------------------------------------------ as a dump has them

-- One that is whole, for a quoted name, and for everybody; roles and types that are missing leave out their own limit.
COPY redoubt.limit_rule (id, role, token_type, operation, max_values, per, burst, on_excess, max_delay, shared, created_by, created_at) FROM stdin;
9001	regress_rows_clerk	redoubt.email_token	reveal	10	01:00:00	\N	block	00:00:10	f	regress_rows_gone	2026-01-01 00:00:00+00
9002	regress_rows_gone	redoubt.email_token	reveal	20	1 day	5	throttle	00:00:03	t	regress_rows_clerk	2026-01-01 00:00:00+00
9003	"regress Rows 7"	public.regress_rows_code	masked	30	\N	\N	degrade	00:00:10	f	-	2026-01-01 00:00:00+00
9004	regress_rows_clerk	public.regress_rows_none	probe	40	01:00:00	\N	block	00:00:10	f	regress_rows_clerk	2026-01-01 00:00:00+00
9005	40961	redoubt.email_token	read	50	01:00:00	\N	block	00:00:10	f	regress_rows_clerk	2026-01-01 00:00:00+00
9006	\N	redoubt.phone_token	read	60	\N	\N	block	00:00:10	f	10	2026-01-01 00:00:00+00
9007	"regress Rows 8"	\N	read	70	\N	\N	log	00:00:10	f	regress_rows_clerk	2026-01-01 00:00:00+00
\.
SELECT id, role, token_type, operation, max_values, per, created_by FROM redoubt.limits WHERE id > 9000 ORDER BY id;
SELECT * FROM redoubt.expected ORDER BY 2;
SELECT kind, object, problem FROM redoubt.check_restore() WHERE kind = 'limit' ORDER BY 2;
SELECT operation, count, detail FROM redoubt.audit WHERE sequence > :before_test AND event = 'limit' ORDER BY sequence;

-- The second time nothing is there twice, and a limit that is whole still meets its key.
COPY redoubt.limit_rule (id, role, token_type, operation, max_values, per, created_by) FROM stdin;
9012	regress_rows_gone	redoubt.email_token	reveal	20	1 day	regress_rows_clerk
\.
SELECT count(*) FROM redoubt.expected;
\set VERBOSITY terse
INSERT INTO redoubt.limit_rule (id, role, operation, max_values, created_by) VALUES (9013, 'regress_rows_clerk', NULL, 1, 'regress_rows_clerk');
INSERT INTO redoubt.limit_rule (id, role, operation, max_values, created_by) VALUES (9013, 'regress_rows_gone', NULL, 1, 'regress_rows_clerk');
\set VERBOSITY default

-- What is said to help, helps.
CREATE ROLE regress_rows_gone;
DO $$
BEGIN
  EXECUTE (SELECT statement FROM redoubt.check_restore() WHERE kind = 'limit' AND object LIKE '%regress_rows_gone%');
END $$;
SELECT object FROM redoubt.check_restore() WHERE kind = 'limit' ORDER BY 1;
SELECT role, token_type, operation, max_values, per, burst, on_excess, max_delay, shared FROM redoubt.limits WHERE role = 'regress_rows_gone'::regrole;

-- Who may load rows is who owns the table.
SET ROLE regress_rows_admin;
COPY redoubt.limit_rule (id, role, operation, max_values, created_by) FROM stdin;
\.
SELECT * FROM redoubt.expected;
RESET ROLE;
-- The types are no way to learn or break anything.
SELECT 'postgres_no_such'::redoubt.limit_role::oid > 0 AS number, '-'::redoubt.limit_role, 'int4'::redoubt.limit_type;

-- ------------------------------------------------------------------- DROP ROLE

SELECT redoubt.set_limit('regress_rows_clerk', NULL, 'tokenize', 5, '1 hour') IS NOT NULL AS set;
SELECT count(*) FROM redoubt.limits WHERE role = 'regress_rows_clerk'::regrole;
-- Undone with it.
BEGIN;
DROP ROLE regress_rows_clerk;
SELECT count(*) FROM redoubt.limit_rule WHERE id = 9001;
ROLLBACK;
SELECT count(*) FROM redoubt.limit_rule WHERE id = 9001;
-- By who may, and may not change limits.
REVOKE redoubt_admin FROM regress_rows_admin;
GRANT regress_rows_clerk, regress_rows_gone TO regress_rows_admin WITH ADMIN OPTION;
SET SESSION AUTHORIZATION regress_rows_admin;
DROP ROLE regress_rows_clerk, regress_rows_gone;
RESET SESSION AUTHORIZATION;
SELECT id, role FROM redoubt.limits WHERE id > 9000 ORDER BY id;
SELECT operation, count, detail FROM redoubt.audit WHERE sequence > :before_test AND event = 'limit' AND operation = 'drop_limit' ORDER BY sequence;

-- --------------------------------------------------------------- token types

SELECT redoubt.drop_token_type('public.regress_rows_code');
SELECT id, role FROM redoubt.limits WHERE id > 9000 ORDER BY id;

DELETE FROM redoubt.limit_rule WHERE id > 9000;
DELETE FROM redoubt.expected;
DROP ROLE "regress Rows 7", regress_rows_admin;
