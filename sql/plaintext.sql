-- What a normaliser and a format make of a value lies in buffers of the backend's until the transaction ends, however it
-- ends, and is wiped then.  The values below are written in capitals and normalised to small letters, so that small ones
-- are in no statement; the search is a regular expression that does not match itself.
SELECT redoubt.create_token_type('small', "normalize" => 'lower', pattern => '^[a-z]{10}$');
SELECT redoubt.create_token_type('small_fpe', method => 'fpe', format => '([a-z]{10})', "normalize" => 'lower');
GRANT EXECUTE ON FUNCTION redoubt.small(text), redoubt.small(text[]), redoubt.small_fpe(text), redoubt.small_fpe(text[]),
  redoubt.mask(redoubt.small_fpe), redoubt.mask(redoubt.small_fpe[]) TO CURRENT_USER;

-- remains: is the value in the memory that this backend has allocated?
CREATE FUNCTION remains() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  bounds text[];
  at bigint;
  stop bigint;
BEGIN
  FOR bounds IN
    SELECT regexp_matches(pg_read_file('/proc/self/maps'), '([0-9a-f]+)-([0-9a-f]+) rw[^\n]*\[heap\]', 'g')
  LOOP
    at := ('x' || lpad(bounds[1], 16, '0'))::bit(64)::bigint;
    stop := ('x' || lpad(bounds[2], 16, '0'))::bit(64)::bigint;
    WHILE at < stop LOOP
      IF encode(pg_read_binary_file('/proc/self/mem', at, least(stop - at, 1000100)), 'escape') ~ 'qx[j]zkvwpb[m]' THEN
        RETURN true;
      END IF;
      at := at + 1000000;
    END LOOP;
  END LOOP;
  RETURN false;
END
$$;
-- is_found: is it, where it must be, so that a look-up that finds nothing means something?  (Not under AddressSanitizer,
-- which keeps memory elsewhere; such a server is built with assertions.)
CREATE FUNCTION is_found() RETURNS boolean LANGUAGE sql AS $$ SELECT remains() OR current_setting('debug_assertions')::boolean $$;
SELECT remains();

-- A value, and what a later, shorter one leaves of it.
BEGIN;
SELECT count(redoubt.small('QXJZKVWPBM'));
SELECT is_found();
COMMIT;
SELECT remains();
BEGIN;
SELECT count(redoubt.small('QXJZKVWPBM'));
SELECT redoubt.small('A');
ROLLBACK;
SELECT remains();

-- Refused after it was normalised.
SELECT redoubt.small('QXJZKVWPBMQ');
SELECT remains();
SELECT redoubt.small(ARRAY['QXJZKVWPBM', 'QXJZKVWPBMQ']);
SELECT remains();
SELECT redoubt.small_fpe('QXJZKVWPBM1'::text);
SELECT remains();

-- What a format makes of a token, one or many.  (A value that is revealed lies in memory of PostgreSQL's, as any does.)
BEGIN;
SELECT redoubt.mask(redoubt.small_fpe('QXJZKVWPBM'::text));
SELECT is_found();
COMMIT;
SELECT remains();
BEGIN;
SELECT redoubt.mask(redoubt.small_fpe(ARRAY['QXJZKVWPBM']));
SELECT is_found();
ROLLBACK;
SELECT remains();
SELECT redoubt.small_fpe(ARRAY['QXJZKVWPBM', 'QXJZKVWPBM1']);
SELECT remains();

-- Longer ones than are kept.
SELECT count(redoubt.small_fpe(repeat('QXJZKVWPBM', 10000)));
SELECT remains();

DROP FUNCTION is_found();
DROP FUNCTION remains();
SELECT redoubt.drop_token_type('small');
SELECT redoubt.drop_token_type('small_fpe');
