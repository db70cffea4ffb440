--
-- What PostgreSQL's own extensions compute is as trusted as what is built in, where a superuser owns it: a search by it is
-- a probe, and no read of each row.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
CREATE ROLE regress_contrib_reader LOGIN;
CREATE ROLE regress_contrib_owner LOGIN;
CREATE SCHEMA contrib_test;
GRANT USAGE, CREATE ON SCHEMA contrib_test TO regress_contrib_reader, regress_contrib_owner;
SET search_path = contrib_test, pg_catalog;
CREATE EXTENSION pg_trgm SCHEMA contrib_test;
CREATE EXTENSION citext SCHEMA contrib_test;
CREATE EXTENSION isn SCHEMA contrib_test;
CREATE TABLE person (id int, email text, login citext);
INSERT INTO person SELECT n, 'person' || n || '@example.com', 'Login' || n FROM generate_series(1, 20) AS n;
SECURITY LABEL FOR redoubt ON COLUMN person.email IS 'text_token';
SECURITY LABEL FOR redoubt ON COLUMN person.login IS 'text_token';
GRANT SELECT ON person TO regress_contrib_reader;
-- charged(statement): what a reader pays for it.
CREATE FUNCTION charged(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  before bigint[];
  after bigint[];
  counts text := 'SELECT array[coalesce(sum(charged) FILTER (WHERE operation = ''read''), 0), coalesce(sum(charged) FILTER (WHERE operation = ''probe''), 0)]
                  FROM redoubt.usage WHERE role = session_user::regrole';
BEGIN
  EXECUTE counts INTO before;
  EXECUTE statement;
  EXECUTE counts INTO after;
  RETURN format('read %s, probe %s', after[1] - before[1], after[2] - before[2]);
END $$;

\c - regress_contrib_reader
SET search_path = contrib_test, pg_catalog;
-- A search that finds one row.
SELECT charged($$SELECT id FROM person WHERE email % 'person7@example.com' AND id = 7$$) AS trgm,
       charged($$SELECT id FROM person WHERE similarity(email, 'person7@example.com') > 0.95$$) AS similarity,
       charged($$SELECT id FROM person WHERE login = 'LOGIN7'$$) AS citext,
       charged($$SELECT id FROM person WHERE login IN ('LOGIN7', 'login99')$$) AS any_of,
       charged($$SELECT count(*) FROM person AS a JOIN person AS b USING (login) WHERE a.id = 7$$) AS "join";
-- isn_weak() is called immutable, and remembers what it was told.
SELECT charged($$SELECT count(*) FROM (SELECT isn_weak(email < 'person7') AS weak FROM person OFFSET 0) s WHERE weak IS NOT NULL$$) AS kept;
-- Each value is still a value.
SELECT charged($$SELECT max(similarity(email, 'x')) FROM person$$) AS one, charged($$SELECT upper(login::text) FROM person$$) AS "all";
-- What a reader makes of the same code is his, whatever it is called.
CREATE FUNCTION own(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT contrib_test.similarity_op($1, $2)';
CREATE FUNCTION own_plpgsql(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN contrib_test.similarity_op($1, $2); END';
SELECT charged($$SELECT id FROM person WHERE own(email, 'person7@example.com') AND id = 7$$) AS inlined,
       charged($$SELECT id FROM person WHERE own_plpgsql(email, 'person7@example.com')$$) AS not_inlined;

-- A function that no superuser owns is not trusted, whatever extension it is of.
\c - postgres
SET search_path = contrib_test, pg_catalog;
ALTER FUNCTION similarity_op(text, text) OWNER TO regress_contrib_owner;
\c - regress_contrib_reader
SET search_path = contrib_test, pg_catalog;
SELECT charged($$SELECT id FROM person WHERE email % 'person7@example.com'$$) AS trgm;

-- Nor those of an extension that PostgreSQL let somebody else create: he may move and drop what is in it.
\c - postgres
SET client_min_messages = warning;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_contrib_owner', current_database()); END $$;
\c - regress_contrib_owner
CREATE EXTENSION fuzzystrmatch SCHEMA contrib_test;
SELECT extowner::regrole, (SELECT proowner = 10 FROM pg_proc WHERE oid = 'contrib_test.levenshtein(text, text)'::regprocedure) AS functions_are_superusers
FROM pg_extension WHERE extname = 'fuzzystrmatch';
\c - regress_contrib_reader
SET search_path = contrib_test, pg_catalog;
SELECT charged($$SELECT id FROM person WHERE levenshtein(email, 'person7@example.com') < 1$$) AS of_another;
\c - postgres
SET client_min_messages = warning;
DROP SCHEMA contrib_test CASCADE;
DROP OWNED BY regress_contrib_owner;
DROP ROLE regress_contrib_owner, regress_contrib_reader;
