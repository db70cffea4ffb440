/*
 * Indexes over token columns: equality whatever the case of letters, LIKE and ILIKE.
 *
 * Proves: an index that a text column had is made anew of fingerprints; it finds what is found without it, for the same
 * charges; who writes a row needs no privilege for it, and who may not search learns nothing by it; what it is asked cannot
 * be asked by hand.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
RESET client_min_messages;
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET jit = off;
CREATE ROLE regress_index_owner;
CREATE ROLE regress_index_lead;
CREATE ROLE regress_index_search;
CREATE ROLE regress_index_writer;
CREATE SCHEMA si AUTHORIZATION regress_index_owner;
GRANT USAGE ON SCHEMA si TO PUBLIC;
SELECT redoubt.create_token_type('public.si_text', "normalize" => 'none') AS made,
       redoubt.create_token_type('public.si_random', deterministic => false) AS random,
       redoubt.create_token_type('public.si_vault', method => 'vault') AS vault;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), public.si_text(text), public.si_random(text), public.si_vault(text) TO regress_index_owner;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token), redoubt.detokenize(si_text) TO regress_index_lead;
GRANT EXECUTE ON FUNCTION redoubt.search(redoubt.email_token), redoubt.search(si_text) TO regress_index_lead, regress_index_search;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text) TO regress_index_lead, regress_index_search;
SET ROLE regress_index_owner;

-- An index that a text column had is made anew of fingerprints when the column becomes a token column; so is one that
-- an application makes later.
CREATE TABLE si.plain (id int PRIMARY KEY, email varchar(80), note text);
INSERT INTO si.plain SELECT i, 'User' || i || '@Example.com', 'note ' || i FROM generate_series(1, 60) i;
CREATE TABLE si.users (LIKE si.plain INCLUDING ALL);
INSERT INTO si.users SELECT * FROM si.plain;
CREATE UNIQUE INDEX users_lower ON si.users (lower(email));
CREATE INDEX users_upper ON si.users (upper(email) varchar_pattern_ops, id) WHERE id > 3;
CREATE INDEX users_trigrams ON si.users USING gin (email gin_trgm_ops, note gin_trgm_ops);
CREATE INDEX users_note ON si.users (lower(note));
ALTER TABLE si.users ALTER email TYPE redoubt.email_token USING redoubt.email_token(email);
CREATE INDEX ON si.users (lower(email::text));
CREATE INDEX ON si.users USING gin (email);
SELECT indexdef FROM pg_indexes WHERE tablename = 'users' ORDER BY indexname COLLATE "C";
CREATE TABLE si.parts (id int, email text) PARTITION BY LIST (id);
CREATE TABLE si.part1 PARTITION OF si.parts FOR VALUES IN (1);
CREATE TABLE si.part2 PARTITION OF si.parts FOR VALUES IN (2);
CREATE INDEX ON si.parts (lower(email));
CREATE INDEX part2_own ON si.part2 (upper(email));
INSERT INTO si.parts VALUES (1, 'A@b.cc'), (2, 'D@e.ff');
ALTER TABLE si.parts ALTER email TYPE redoubt.email_token USING redoubt.email_token(email);
SELECT indexdef FROM pg_indexes WHERE tablename ~ '^part' ORDER BY indexname COLLATE "C";
-- A command that fails leaves the indexes of the text.
ALTER TABLE si.plain ADD CHECK (id < 100);
CREATE INDEX plain_lower ON si.plain (lower(email));
ALTER TABLE si.plain ALTER email TYPE redoubt.email_token USING redoubt.email_token(email), ADD CHECK (id < 0);
SELECT indexdef FROM pg_indexes WHERE indexname = 'plain_lower';
DROP INDEX si.plain_lower;

-- What was set on an index besides its definition is set on the one in its place; it goes with a column that is dropped; and the way
-- back to text makes it anew, too.
CREATE FUNCTION si.described(tab text) RETURNS TABLE (name text, definition text, comment text, clustered boolean, target text, options text[])
  LANGUAGE sql BEGIN ATOMIC
  SELECT c.relname::text, regexp_replace(pg_get_indexdef(c.oid), '.* USING ', ''), obj_description(c.oid, 'pg_class'), i.indisclustered,
         (SELECT string_agg(a.attname || ' ' || a.attstattarget, ',') FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attstattarget > 0), c.reloptions
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = tab::regclass ORDER BY c.relname COLLATE "C";
END;
CREATE TABLE si.kept (id int, email text, note text, other text);
INSERT INTO si.kept SELECT i, 'User' || i || '@Example.com', 'note ' || i, 'other ' || i FROM generate_series(1, 30) i;
CREATE UNIQUE INDEX kept_lower ON si.kept (lower(email)) WITH (fillfactor = 70);
CREATE INDEX "kept Upper" ON si.kept (id, upper(email)) WHERE note <> '';
CREATE INDEX kept_trigrams ON si.kept USING gin (email gin_trgm_ops) WITH (fastupdate = off);
CREATE INDEX kept_both ON si.kept (lower(email), other);
CREATE INDEX kept_where ON si.kept (lower(email)) WHERE other <> '';
CREATE INDEX kept_unique ON si.kept (email);
ALTER INDEX si.kept_lower ALTER COLUMN 1 SET STATISTICS 77;
ALTER INDEX si."kept Upper" ALTER COLUMN 2 SET STATISTICS 88;
COMMENT ON INDEX si.kept_lower IS 'the user''s name';
COMMENT ON INDEX si.kept_trigrams IS 'for the search box';
ALTER TABLE si.kept CLUSTER ON kept_lower;
SELECT * FROM si.described('si.kept');
ALTER TABLE si.kept ALTER email TYPE redoubt.email_token USING redoubt.email_token(email), DROP COLUMN other;
SELECT * FROM si.described('si.kept');
RESET ROLE;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_index_owner;
SET ROLE regress_index_owner;
ALTER TABLE si.kept ALTER email TYPE text USING redoubt.detokenize(email);
SELECT * FROM si.described('si.kept');
SELECT id FROM si.kept WHERE lower(email) = 'user7@example.com';
ALTER TABLE si.parts ALTER email TYPE text USING redoubt.detokenize(email);
SELECT indexdef FROM pg_indexes WHERE tablename ~ '^part' ORDER BY indexname COLLATE "C";
ALTER TABLE si.parts ALTER email TYPE redoubt.email_token USING redoubt.email_token(email);
-- An index in the order of values, likewise; a mark of CLUSTER and a statistics target are not for it.
DROP TABLE si.kept;
CREATE TABLE si.kept (id int, email varchar(80));
CREATE INDEX kept_value ON si.kept ((email::text));
COMMENT ON INDEX si.kept_value IS 'by name';
ALTER INDEX si.kept_value ALTER COLUMN 1 SET STATISTICS 99;
ALTER TABLE si.kept CLUSTER ON kept_value;
ALTER TABLE si.kept ALTER email TYPE redoubt.email_token USING redoubt.email_token(email);
SELECT * FROM si.described('si.kept');
ALTER TABLE si.kept ALTER email TYPE text USING redoubt.detokenize(email);
SELECT * FROM si.described('si.kept');
DROP FUNCTION si.described(text);
DROP TABLE si.kept;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) FROM regress_index_owner;
SET ROLE regress_index_owner;

-- Neither types whose equal values have tokens of their own, nor text columns, nor anybody else's functions.
CREATE TABLE si.others (r si_random, v si_vault, note text);
CREATE INDEX ON si.others (lower(r));
CREATE INDEX ON si.others USING gin (r);
CREATE INDEX ON si.others (redoubt.lower_fingerprint(r));
INSERT INTO si.others (r) VALUES ('x');
TRUNCATE si.others;
CREATE INDEX others_r ON si.others (redoubt.lower_fingerprint(r));
INSERT INTO si.others (r) VALUES ('x');
CREATE INDEX others_v ON si.others (redoubt.lower_fingerprint(v));
SELECT redoubt.lower_fingerprint('a text'::text);
CREATE INDEX ON si.users (length(email));
CREATE INDEX ON si.users (lower(email || 'x'));

-- What only the planner places, and what only an index calls, cannot be called.
SELECT redoubt.sought_fingerprint('x', NULL);
SELECT redoubt.sought_trigrams('x', '\x');
SELECT redoubt.email_token_trigrams(email, NULL, NULL) FROM si.users;
SELECT count(*) FROM si.users WHERE email OPERATOR(redoubt.@~) '\x00';
SET enable_seqscan = off;
SELECT count(*) FROM si.users WHERE email OPERATOR(redoubt.@~) '\x00';
SELECT count(*) FROM si.users WHERE email OPERATOR(redoubt.@~) '\x0000000000000000';
RESET enable_seqscan;
RESET ROLE;

-- Who writes rows needs no more privilege than without indexes, and who has a token writes it.
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA si TO PUBLIC;
SELECT redoubt.token(email) AS token FROM si.users WHERE id = 7 \gset
SET ROLE regress_index_writer;
UPDATE si.users SET note = 'seen' WHERE id = 8;
UPDATE si.users SET email = NULL WHERE id = 7;
INSERT INTO si.users VALUES (100, :'token', NULL);
UPDATE si.users SET email = '' WHERE id = 60;
UPDATE si.users SET email = NULL WHERE id = 59;
RESET ROLE;
-- What is no token of the type is no value to index.
SET ROLE regress_index_owner;
CREATE TABLE si.texts (t si_text);
CREATE INDEX ON si.texts USING gin (t);
INSERT INTO si.texts VALUES (:'token');
DROP TABLE si.texts;

-- A conflict is found by the index that is there.
INSERT INTO si.users VALUES (101, 'USER9@example.com', 'a') ON CONFLICT (lower(email)) DO NOTHING;
INSERT INTO si.users VALUES (101, 'USER9@example.com', 'b') ON CONFLICT (lower(email::text)) DO UPDATE SET note = 'again ' || excluded.note;
INSERT INTO si.users VALUES (101, 'USER9@example.com', 'c') ON CONFLICT (upper(email)) DO NOTHING;
SELECT id, note FROM si.users WHERE id IN (9, 101);
ANALYZE si.users;
REINDEX TABLE si.users;

-- The same answers and the same charges as without an index.
CREATE TABLE si.bare (id int PRIMARY KEY, email redoubt.email_token, note text);
INSERT INTO si.bare SELECT * FROM si.users;
ANALYZE si.bare;
RESET ROLE;
GRANT SELECT ON ALL TABLES IN SCHEMA si TO PUBLIC;
SELECT redoubt.set_limit(role, NULL, operation, 100000, '1 hour') IS NULL AS failed
FROM (VALUES ('regress_index_lead'::regrole), ('regress_index_search')) AS r(role), (VALUES ('reveal'), ('probe'), ('read')) AS o(operation);
CREATE FUNCTION si.spent() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = redoubt, pg_catalog, pg_temp AS $$
DECLARE
  result text;
  who regrole := session_user::regrole;
BEGIN
  SELECT string_agg(format('%s %s', charged, operation), ', ' ORDER BY operation) INTO result
  FROM redoubt.usage WHERE role = who AND charged > 0;
  PERFORM redoubt.reset_usage(who);
  RETURN coalesce(result, 'nothing');
END $$;
CREATE FUNCTION si.compare(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  line text;
  used text;
  answer text[] := ARRAY['', ''];
BEGIN
  PERFORM set_config('enable_seqscan', 'off', true);
  FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || replace(query, '$', 'si.users') LOOP
    used := concat_ws(' ', used, substring(line FROM '(?:using|Index Scan on) (users_(?!pkey)[a-z_]+)'));
  END LOOP;
  FOR i IN 1..2 LOOP
    FOR line IN EXECUTE replace(query, '$', CASE i WHEN 1 THEN 'si.users' ELSE 'si.bare' END) LOOP
      answer[i] := answer[i] || ' ' || line;
    END LOOP;
  END LOOP;
  RETURN format('%s%s, by %s', CASE WHEN answer[1] <> answer[2] THEN 'not' || answer[2] || ', but' END, answer[1], coalesce(nullif(trim(used), ''), 'none'));
END $$;
CREATE TABLE si.query (n serial, q text);
INSERT INTO si.query(q) VALUES
  ($q$SELECT id FROM $ WHERE lower(email) = 'user11@example.com'$q$),
  ($q$SELECT id FROM $ WHERE lower(email) = lower('USER11@EXAMPLE.COM')$q$),
  ($q$SELECT id FROM $ WHERE lower(email::text) = lower('USER11@EXAMPLE.COM') AND note IS NOT NULL$q$),
  ($q$SELECT id FROM $ WHERE 'user11@example.com' = lower(email)$q$),
  ($q$SELECT id FROM $ WHERE lower(email) = 'user7@example.com'$q$),
  ($q$SELECT id FROM $ WHERE lower(email) = 'User11@Example.com'$q$),
  ($q$SELECT id FROM $ WHERE lower(email) = ''$q$),
  ($q$SELECT id FROM $ WHERE lower(email) IS NULL$q$),
  ($q$SELECT id FROM $ WHERE lower(email) = 'user11@example.com' OR lower(email) = 'user12@example.com' ORDER BY id$q$),
  ($q$SELECT id FROM $ WHERE NOT lower(email) = 'user11@example.com' AND id < 3 ORDER BY id$q$),
  ($q$SELECT id FROM $ WHERE id > 10 AND upper(email) = 'USER12@EXAMPLE.COM' AND id = 12$q$),
  ($q$SELECT id FROM $ WHERE email ILIKE '%SER5%' ORDER BY id$q$),
  ($q$SELECT id FROM $ WHERE email LIKE '%SER5%' ORDER BY id$q$),
  ($q$SELECT id FROM $ WHERE email LIKE '%ser5%' AND note LIKE 'note 5_' ORDER BY id$q$),
  ($q$SELECT id FROM $ WHERE email LIKE 'User5_@%.com' ORDER BY id$q$),
  ($q$SELECT id FROM $ WHERE email ILIKE 'user51@example.com'$q$),
  ($q$SELECT id FROM $ WHERE upper(email) LIKE upper('%er51@%')$q$),
  ($q$SELECT id FROM $ WHERE starts_with(email, 'User51')$q$),
  ($q$SELECT id FROM $ WHERE email ^@ 'User51'$q$),
  ($q$SELECT id FROM $ WHERE email ILIKE '%r51@%' OR note ILIKE '%note 52%' ORDER BY id$q$),
  ($q$SELECT count(*) FROM $ WHERE email ILIKE '%'$q$),
  ($q$SELECT count(*) FROM $ WHERE email ILIKE '%5%'$q$),
  ($q$SELECT count(*) FROM $ WHERE email LIKE ''$q$),
  ($q$SELECT id FROM $ WHERE email NOT ILIKE '%er%' ORDER BY id$q$),
  ($q$SELECT id FROM (SELECT * FROM $ WHERE id > 5) AS v WHERE lower(email) = 'user11@example.com'$q$),
  ($q$SELECT a.id, b.id FROM $ AS a LEFT JOIN $ AS b ON b.email ILIKE '%r52@%' WHERE a.id = 51$q$),
  ($q$SELECT id, email FROM $ WHERE lower(email) = 'user11@example.com'$q$),
  ($q$SELECT a.id, p.id FROM $ AS a JOIN si.plain AS p ON lower(a.email) = lower(p.email) WHERE p.id = 33$q$),
  ($q$SELECT a.id, p.id FROM $ AS a JOIN si.plain AS p ON a.email LIKE replace(p.email, 'User', '%') AND p.id = 33$q$),
  ($q$SELECT a.id, b.id FROM $ AS a JOIN $ AS b ON lower(a.email) = lower(b.email) WHERE b.id = 33$q$),
  ($q$SELECT string_agg(id::text, ' ') FROM $ WHERE lower(email) = 'user11@example.com' -- JOIN$q$),
  ($q$SELECT id FROM $ AS a WHERE EXISTS (SELECT FROM $ AS b WHERE lower(b.email) = 'user53@example.com' AND b.id = a.id)$q$);
CREATE TABLE si.spent (who regrole, n int, "table" text, spent text);
GRANT SELECT ON si.query TO PUBLIC;
GRANT SELECT, INSERT ON si.spent TO PUBLIC;
SET SESSION AUTHORIZATION regress_index_lead;
SET redoubt.reveal = 'auto';
SELECT n, si.compare(q) FROM si.query ORDER BY n;
SET enable_seqscan = off;
SELECT si.spent() <> '' AS reset;
\o /dev/null
\set ECHO none
SELECT replace(q, '$', t), format('INSERT INTO si.spent SELECT session_user::regrole, %s, %L, si.spent()', n, t)
FROM si.query, (VALUES ('si.users'), ('si.bare')) AS v(t) ORDER BY n, t \gexec
\set ECHO all
\o
RESET enable_seqscan;
-- A plan that was kept follows the indexes.
SET plan_cache_mode = force_generic_plan;
PREPARE by_mail(text) AS SELECT id FROM si.users WHERE lower(email) = lower($1);
SET enable_seqscan = off;
EXECUTE by_mail('USER21@example.com');
EXPLAIN (COSTS off) EXECUTE by_mail('x') \g |sed '/Disabled/d; /Redoubt:/d; /rows)/d; /PLAN/d; /^-*$/d'
-- What is not the same for every row, or might be seen by somebody's function, is not asked of an index.
CREATE FUNCTION pg_temp.same(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
EXPLAIN (COSTS off) SELECT id FROM si.users WHERE lower(email) = pg_temp.same(note) \g |sed '/Disabled/d; /Redoubt:/d; /rows)/d; /PLAN/d; /^-*$/d'
EXPLAIN (COSTS off) SELECT id FROM si.users WHERE lower(email) = random()::text \g |sed '/Disabled/d; /Redoubt:/d; /rows)/d; /PLAN/d; /^-*$/d'
EXPLAIN (COSTS off) SELECT id FROM si.users WHERE lower(email::text COLLATE "C") = 'user11@example.com' \g |sed '/Disabled/d; /Redoubt:/d; /rows)/d; /PLAN/d; /^-*$/d'
SET SESSION AUTHORIZATION regress_index_search;
SELECT n, si.compare(q) FROM si.query WHERE q !~ 'JOIN|EXISTS|IS NULL|count|starts' ORDER BY n;
SET enable_seqscan = off;
SELECT si.spent() <> '' AS reset;
\o /dev/null
\set ECHO none
SELECT replace(q, '$', t), format('INSERT INTO si.spent SELECT session_user::regrole, %s, %L, si.spent()', n, t)
FROM si.query, (VALUES ('si.users'), ('si.bare')) AS v(t) WHERE q !~ 'JOIN|EXISTS|IS NULL|count|starts' ORDER BY n, t \gexec
\set ECHO all
\o
RESET enable_seqscan;
SELECT a.who, a.n, a.spent, CASE WHEN a.spent <> b.spent THEN b.spent END AS "without index"
FROM si.spent AS a JOIN si.spent AS b USING (who, n) WHERE a."table" = 'si.users' AND b."table" = 'si.bare' ORDER BY who::text, n;
-- Who may not search learns nothing, not even that there is no such value.
SET SESSION AUTHORIZATION regress_index_writer;
SET enable_seqscan = off;
SELECT id FROM si.users WHERE lower(email) = 'user11@example.com';
SELECT id FROM si.users WHERE lower(email) = 'nobody@example.com';
SELECT id FROM si.users WHERE email ILIKE '%nobody%';
-- In a query a fingerprint is a value that was opened: it tells which are equal but for case.
SELECT count(DISTINCT redoubt.lower_fingerprint(email)) FROM si.users;
SELECT a.id FROM si.users AS a JOIN si.users AS b ON redoubt.lower_fingerprint(a.email) = redoubt.lower_fingerprint(b.email) WHERE b.id = 8;
SELECT count(*) FROM si.users;
SET SESSION AUTHORIZATION regress_index_search;
SELECT redoubt.lower_fingerprint(email) FROM si.users;
-- Also from an index that has the column beside it.
RESET SESSION AUTHORIZATION;
CREATE INDEX users_beside ON si.users (redoubt.lower_fingerprint(email), email);
VACUUM si.users;
SET SESSION AUTHORIZATION regress_index_search;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS off) SELECT redoubt.lower_fingerprint(email) FROM si.users WHERE redoubt.lower_fingerprint(email) > '\x' \g |sed '/Disabled/d; /Redoubt:/d; /rows)/d; /PLAN/d; /^-*$/d'
SELECT redoubt.lower_fingerprint(email) FROM si.users WHERE redoubt.lower_fingerprint(email) > '\x';
SELECT redoubt.lower_fingerprint(email) FROM si.users WHERE email = 'user8@example.com';
SELECT count(*) FROM si.users WHERE email IS NOT NULL;
RESET SESSION AUTHORIZATION;
DROP INDEX si.users_beside;
SET SESSION AUTHORIZATION regress_index_search;
RESET enable_bitmapscan;
SELECT count(DISTINCT redoubt.lower_fingerprint(email)) FROM si.users;
SELECT id FROM si.users WHERE redoubt.lower_fingerprint(email) = redoubt.lower_fingerprint('USER8@example.com'::redoubt.email_token);
SELECT id FROM si.users ORDER BY redoubt.upper_fingerprint(email) LIMIT 1;
CREATE TABLE pg_temp.held (email redoubt.email_token, f bytea GENERATED ALWAYS AS (redoubt.lower_fingerprint(email)) STORED);
CREATE TABLE pg_temp.held (email redoubt.email_token, CHECK (redoubt.lower_fingerprint(email) <> '\x'));
SET SESSION AUTHORIZATION regress_index_lead;
SELECT count(DISTINCT redoubt.lower_fingerprint(email)) FROM si.users WHERE id IN (7, 8, 100);
RESET SESSION AUTHORIZATION;
DROP INDEX si.users_lower, si.users_lower_idx;
SET SESSION AUTHORIZATION regress_index_lead;
SET enable_seqscan = off;
EXPLAIN (COSTS off) EXECUTE by_mail('x') \g |sed '/Disabled/d; /Redoubt:/d; /rows)/d; /PLAN/d; /^-*$/d'
RESET SESSION AUTHORIZATION;
RESET enable_seqscan;
RESET plan_cache_mode;

-- The index finds what LIKE and ILIKE find, whatever the letters.
SET ROLE regress_index_owner;
CREATE TABLE si.words (id int, w si_text, t text);
INSERT INTO si.words SELECT i, t, t
FROM (SELECT i, (SELECT string_agg((ARRAY['a','B','b','ß','ẞ','Σ','σ','ς','İ','i','ı','I','é','É','%','_',E'\\','日','1',' '])[1 + (i * 7919 + k * 104729 + i * k * 31) % 20], '' ORDER BY k)
                 FROM generate_series(1, 1 + i % 9) AS k) AS t
      FROM generate_series(1, 400) AS i) AS made;
CREATE INDEX ON si.words USING gin (w);
GRANT SELECT ON si.words TO regress_index_lead;
RESET ROLE;
SET ROLE regress_index_lead;
SET redoubt.reveal = 'auto';
SET enable_seqscan = off;
CREATE FUNCTION pg_temp.wrong() RETURNS TABLE (patterns bigint, hits bigint, wrong_answers bigint) LANGUAGE plpgsql AS $$
DECLARE
  p text;
  op text;
  by_index int[];
  by_text int[];
BEGIN
  patterns := 0; hits := 0; wrong_answers := 0;
  FOR p IN SELECT * FROM (
      SELECT '%' || replace(replace(replace(substr(t, 1 + id % 3, 3 + id % 4), E'\\', E'\\\\'), '%', E'\\%'), '_', E'\\_') || '%' FROM si.words WHERE id % 3 = 0
      UNION ALL SELECT replace(substr(t, 1, 3), E'\\', E'\\\\') || '%' FROM si.words WHERE id % 7 = 0
      UNION ALL SELECT '%' || replace(right(t, 2), E'\\', E'\\\\') FROM si.words WHERE id % 11 = 0
      UNION ALL SELECT upper(replace(t, E'\\', '_')) FROM si.words WHERE id % 13 = 0) AS q LOOP
    FOREACH op IN ARRAY ARRAY['LIKE', 'ILIKE'] LOOP
      EXECUTE format('SELECT array_agg(id ORDER BY id) FROM si.words WHERE w %s %L', op, p) INTO by_index;
      EXECUTE format('SELECT array_agg(id ORDER BY id) FROM si.words WHERE t %s %L', op, p) INTO by_text;
      patterns := patterns + 1;
      hits := hits + coalesce(cardinality(by_text), 0);
      IF by_index IS DISTINCT FROM by_text THEN
        wrong_answers := wrong_answers + 1;
        RAISE WARNING '% %: % by index, % by text', op, p, by_index, by_text;
      END IF;
    END LOOP;
  END LOOP;
  RETURN NEXT;
END $$;
EXPLAIN (COSTS off) SELECT id FROM si.words WHERE w ILIKE '%abc%' \g |sed '/Disabled/d; /Redoubt:/d; /rows)/d; /PLAN/d; /^-*$/d'
SELECT hits > 300 AS enough, patterns, wrong_answers FROM pg_temp.wrong();
RESET ROLE;
RESET redoubt.reveal;
RESET enable_seqscan;

-- The index goes with its type.
SELECT redoubt.drop_token_type('public.si_text');
SET client_min_messages = warning;
DROP SCHEMA si CASCADE;
SELECT redoubt.drop_token_type(t) FROM (VALUES ('public.si_text'::regtype), ('public.si_random'), ('public.si_vault')) AS v(t);
SELECT count(*) AS left_over FROM pg_opfamily WHERE opfname ~ 'si_text';
SELECT redoubt.drop_limit(role, NULL, operation, '1 hour') IS NULL AS failed
FROM (VALUES ('regress_index_lead'::regrole), ('regress_index_search')) AS r(role), (VALUES ('reveal'), ('probe'), ('read')) AS o(operation);
DROP OWNED BY regress_index_owner, regress_index_lead, regress_index_search, regress_index_writer;
DROP ROLE regress_index_owner, regress_index_lead, regress_index_search, regress_index_writer;
DROP EXTENSION pg_trgm;
