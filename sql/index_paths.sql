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
-- Does a scan of the index bring the rows in its order?
CREATE FUNCTION in_order(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    IF line ~ 'Index (Only )?Scan (Backward )?using (by_tenant|parts_._tenant_lower_idx)' THEN
      RETURN true;
    END IF;
  END LOOP;
  RETURN false;
END $$;
SELECT query, in_order(query) FROM (VALUES
  -- nobody has asked for the order
  ('SELECT id FROM member WHERE tenant = 3'),
  ('SELECT tenant FROM member WHERE tenant < 3'),
  ('SELECT id FROM member WHERE tenant = 3 LIMIT 5'),
  ('SELECT m.id FROM tenant AS t LEFT JOIN member AS m ON m.tenant = t.id WHERE t.id < 3'),
  ('SELECT id FROM parts WHERE tenant IN (1, 2)'),
  ('SELECT id FROM member WHERE tenant = 3 AND email IS NOT NULL'),
  -- that of another column of the index
  ('SELECT id FROM member WHERE tenant < 3 ORDER BY tenant')) AS of (query);
SELECT query, in_order(query) FROM (VALUES
  -- a value is compared, which costs a probe
  ($$SELECT id FROM member WHERE tenant = 3 AND email = 'x@example.com'$$),
  ($$SELECT id FROM member WHERE tenant = 3 AND email > 'x'$$),
  -- or the order is asked for
  ('SELECT id FROM member WHERE tenant = 3 ORDER BY email LIMIT 5'),
  ('SELECT id FROM parts WHERE tenant = 1 ORDER BY lower(email) LIMIT 5'),
  ('SELECT max(email) FROM member WHERE tenant = 3')) AS of (query);
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
