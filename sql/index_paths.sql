--
-- Rows that an index finds come in its order.  Where that is one by labelled values, and nobody has asked for it, the planner
-- finds the rows otherwise; where it is asked for, they cost what ORDER BY costs.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
\set VERBOSITY terse
CREATE SCHEMA index_paths;
SET search_path = index_paths;
CREATE TABLE member (id int PRIMARY KEY, tenant int, email text, name text);
INSERT INTO member SELECT i, i % 5, substr(md5(i::text), 1, 8) || '@example.com', 'name ' || i FROM generate_series(1, 2000) AS i;
SECURITY LABEL FOR redoubt ON COLUMN member.email IS 'email_token';
CREATE UNIQUE INDEX by_tenant ON member (tenant, email);
CREATE TABLE parts (LIKE member) PARTITION BY LIST (tenant);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
SECURITY LABEL FOR redoubt ON COLUMN parts.email IS 'email_token';
INSERT INTO parts SELECT * FROM member WHERE tenant IN (1, 2);
CREATE INDEX ON parts (tenant, lower(email));
CREATE TABLE tenant (id int PRIMARY KEY);
INSERT INTO tenant SELECT generate_series(1, 4);
VACUUM ANALYZE member, parts, tenant;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_sort = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
-- nobody has asked for the order
EXPLAIN (COSTS OFF) SELECT id FROM member WHERE tenant = 3;
EXPLAIN (COSTS OFF) SELECT tenant FROM member WHERE tenant < 3;
EXPLAIN (COSTS OFF) SELECT id FROM member WHERE tenant = 3 LIMIT 5;
EXPLAIN (COSTS OFF) SELECT m.id FROM tenant AS t LEFT JOIN member AS m ON m.tenant = t.id WHERE t.id < 3;
EXPLAIN (COSTS OFF) SELECT id FROM parts WHERE tenant IN (1, 2);
EXPLAIN (COSTS OFF) SELECT id FROM member WHERE tenant = 3 AND email IS NOT NULL;
-- that of another column of the index
EXPLAIN (COSTS OFF) SELECT id FROM member WHERE tenant < 3 ORDER BY tenant;
-- a value is compared, which costs a probe
EXPLAIN (COSTS OFF) SELECT id FROM member WHERE tenant = 3 AND email = 'x@example.com';
EXPLAIN (COSTS OFF) SELECT id FROM member WHERE tenant = 3 AND email > 'x';
-- or the order is asked for
EXPLAIN (COSTS OFF) SELECT id FROM member WHERE tenant = 3 ORDER BY email LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM parts WHERE tenant = 1 ORDER BY lower(email) LIMIT 5;
EXPLAIN (COSTS OFF) SELECT max(email) FROM member WHERE tenant = 3;
-- an index without a labelled column is one as ever
EXPLAIN (COSTS OFF) SELECT id FROM member WHERE id = 3;
RESET enable_seqscan;
RESET enable_bitmapscan;
RESET enable_sort;
-- the same rows
SELECT count(*), sum(id) FROM member WHERE tenant = 3;
SELECT count(*), sum(m.id) FROM tenant AS t JOIN member AS m ON m.tenant = t.id;
SELECT count(*), sum(id) FROM parts WHERE tenant IN (1, 2);
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SELECT count(*), sum(id) FROM member WHERE tenant >= 3;
DROP SCHEMA index_paths CASCADE;
