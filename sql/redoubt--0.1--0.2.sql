/* redoubt--0.1--0.2.sql - what version 0.2 adds to the SQL objects of 0.1.
 *
 * CREATE EXTENSION runs redoubt--0.1.sql and then this file, ALTER EXTENSION redoubt UPDATE this file alone: a database
 * that was updated and a new one hold the same objects, and redoubt--0.1.sql never changes again.
 */
\echo Use "ALTER EXTENSION redoubt UPDATE TO '0.2'" to load this file. \quit

-- ------------------------------------------------------------------- keys

CREATE FUNCTION redoubt.rewrap_tables(table_name regclass, column_name name) RETURNS regclass[]
  AS 'MODULE_PATHNAME', 'redoubt_rewrap_tables' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.rewrap_tables(regclass, name) IS 'internal: the tables that rewrap_column() works on; an error where the column is none for it';
CREATE FUNCTION redoubt.rewrap_batch(table_name regclass, column_name name, after tid, pages bigint, batch integer, stay boolean,
    OUT resealed bigint, OUT again boolean, OUT busy boolean, OUT unreadable bigint, OUT first_unreadable tid, OUT last tid)
  AS 'MODULE_PATHNAME', 'redoubt_rewrap_batch' LANGUAGE c VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.rewrap_batch(regclass, name, tid, bigint, integer, boolean)
  IS 'internal: one batch of rewrap_column(), after a row; last is null at the end; stay ends it before a row that somebody else holds';
-- No SET search_path, because it commits: every name and operator is qualified instead.
-- A table is read until nothing of an older version was met.  The first time, rows that others hold are passed by.
CREATE PROCEDURE redoubt.rewrap_column(table_name regclass, column_name name, batch integer DEFAULT 5000) LANGUAGE plpgsql
AS $body$
DECLARE
  tables regclass[];
  part regclass;
  step record;
  pages bigint;
  after tid;
  again boolean;
  stay boolean;
  resealed bigint;
  unreadable bigint;
  first_unreadable tid;
  told timestamptz := pg_catalog.clock_timestamp();
BEGIN
  SELECT redoubt.rewrap_tables(table_name, column_name) INTO tables;
  FOREACH part IN ARRAY tables LOOP
    resealed := 0;
    stay := false;
    LOOP
      SELECT pg_catalog.pg_relation_size(part) OPERATOR(pg_catalog./) pg_catalog.current_setting('block_size')::pg_catalog.int8 INTO pages;
      pages := COALESCE(pages, 0);
      after := NULL;
      again := false;
      unreadable := 0;
      first_unreadable := NULL;
      LOOP
        SELECT b.* INTO step FROM redoubt.rewrap_batch(part, column_name, after, pages, batch, stay) AS b;
        COMMIT;
        resealed := resealed OPERATOR(pg_catalog.+) step.resealed;
        unreadable := unreadable OPERATOR(pg_catalog.+) step.unreadable;
        first_unreadable := COALESCE(first_unreadable, step.first_unreadable);
        again := again OR step.again;
        IF pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) told OPERATOR(pg_catalog.>) '10 seconds'::pg_catalog.interval THEN
          told := pg_catalog.clock_timestamp();
          RAISE NOTICE 'column "%" of %: % tokens sealed anew, at row % of % pages%', column_name, part, resealed,
            COALESCE(step.last, after), pages, CASE WHEN stay AND step.busy THEN '; waits for a row that another session holds' ELSE '' END;
        END IF;
        IF stay AND step.busy THEN
          PERFORM pg_catalog.pg_sleep(0.1);
        END IF;
        EXIT WHEN step.last IS NULL;
        after := step.last;
      END LOOP;
      EXIT WHEN NOT again;
      stay := true;
    END LOOP;
    RAISE NOTICE 'column "%" of %: % tokens sealed anew', column_name, part, resealed;
    IF unreadable OPERATOR(pg_catalog.>) 0 THEN
      RAISE WARNING 'column "%" of %: % tokens of other versions do not open and were left as they are', column_name, part, unreadable
        USING DETAIL = pg_catalog.format('The first one is in the row with ctid %s.', first_unreadable),
              HINT = 'They are damaged, were made up, come from another database, or their version has ended.';
    END IF;
  END LOOP;
END
$body$;
COMMENT ON PROCEDURE redoubt.rewrap_column(regclass, name, integer)
  IS 'seals the tokens of a column with the newest version of their key, delivering none; commits after each batch of rows, and goes on where it ended';
REVOKE ALL ON FUNCTION redoubt.rewrap_tables(regclass, name), redoubt.rewrap_batch(regclass, name, tid, bigint, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.rewrap_tables(regclass, name), redoubt.rewrap_batch(regclass, name, tid, bigint, integer, boolean) TO redoubt_admin;
REVOKE ALL ON PROCEDURE redoubt.rewrap_column(regclass, name, integer) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE redoubt.rewrap_column(regclass, name, integer) TO redoubt_admin;

CREATE FUNCTION redoubt.export_keys(passphrase text, names name[] DEFAULT NULL) RETURNS text
  AS 'MODULE_PATHNAME', 'redoubt_export_keys' LANGUAGE c VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.export_keys(text, name[])
  IS 'the data keys of this database, or those of the names, under a passphrase of 12 characters or more; whoever has both opens tokens elsewhere';
CREATE FUNCTION redoubt.import_keys(export text, passphrase text, OUT name name, OUT version integer, OUT outcome text)
  RETURNS SETOF record AS 'MODULE_PATHNAME', 'redoubt_import_keys' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.import_keys(text, text)
  IS 'merges exported keys into this database, wrapped by its server''s key-encryption key: added, rewrapped or present; all or none';
REVOKE ALL ON FUNCTION redoubt.export_keys(text, name[]), redoubt.import_keys(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.export_keys(text, name[]), redoubt.import_keys(text, text) TO redoubt_admin;

CREATE FUNCTION redoubt.reload_kek(OUT kek_fingerprint text, OUT previous_kek_fingerprint text)
  AS 'MODULE_PATHNAME', 'redoubt_reload_kek' LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION redoubt.reload_kek() IS 'reads the key-encryption keys again, as configured now, for all sessions; refused where one in use would be lost';
REVOKE ALL ON FUNCTION redoubt.reload_kek() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.reload_kek() TO redoubt_admin;
