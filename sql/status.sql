/*
 * redoubt.status(): whether the server is in working order.
 *
 * Proves: each item is there once with a value that says what is the case; it
 * names no path of a key and no key; only redoubt_admin and redoubt_auditor may
 * ask; what cannot be covered is named.  A server without the library preloaded or without a key: test/tap.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
CREATE ROLE regress_status_stranger;
CREATE ROLE regress_status_admin IN ROLE redoubt_admin;
CREATE ROLE regress_status_auditor IN ROLE redoubt_auditor;

SELECT item, CASE item WHEN 'key-encryption key' THEN regexp_replace(value, '^[0-9a-f]{16}$', '(16 hexadecimal digits)')
                       WHEN 'version' THEN CASE value WHEN (SELECT extversion FROM pg_extension WHERE extname = 'redoubt') THEN '(the extension''s)' ELSE value END
                       WHEN 'server' THEN regexp_replace(value, '^[0-9a-f-]{36}$', '(uuid)')
                       WHEN 'audit directory' THEN CASE value WHEN current_setting('redoubt.audit_directory') THEN '(as set)' ELSE value END
                       WHEN 'keys that can be opened' THEN regexp_replace(value, '^[0-9]+$', '(how many)')
                       WHEN 'audit trail' THEN regexp_replace(value, '^[0-9]+', '(how many)')
                       WHEN 'audit disk space' THEN regexp_replace(value, '^[0-9]+ .B', '(size)')
                       WHEN 'audit verified' THEN '(time and verdict)'
                       WHEN 'limit buckets' THEN regexp_replace(value, '^[0-9]+ of [0-9]+', '(how many)')
                       WHEN 'usage entries' THEN regexp_replace(value, '^[0-9]+ of [0-9]+', '(how many)')
                       WHEN 'vault' THEN regexp_replace(value, '^[0-9]+ (bytes|.B)$', '(size)')
                       ELSE value END AS value,
  CASE WHEN item IN ('audit disk space', 'audit verified', 'limit buckets', 'usage entries', 'limit counters') THEN '(one of them)' ELSE severity END AS severity
FROM redoubt.status() WITH ORDINALITY ORDER BY ordinality;
SELECT count(*) = count(DISTINCT item) AS each_once, count(*) = count(value) AS no_null FROM redoubt.status();
SELECT bool_or(value = current_setting('redoubt.kek_file')) AS shows_path_of_key FROM redoubt.status();
-- It says what is, not what is set: superuser_access is off here.
SELECT value = current_setting('redoubt.superuser_access') AS same FROM redoubt.status() WHERE item = 'superuser access';

SET ROLE regress_status_stranger;
SELECT * FROM redoubt.status();
SET ROLE regress_status_admin;
SELECT count(*) FROM redoubt.status() WHERE item = 'preloaded' AND value = 'yes';
SET ROLE regress_status_auditor;
SELECT count(*) FROM redoubt.status() WHERE item = 'preloaded' AND value = 'yes';
RESET ROLE;

DROP ROLE regress_status_stranger, regress_status_admin, regress_status_auditor;
