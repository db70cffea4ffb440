/* redoubt--0.1--0.2.sql - what version 0.2 adds to the SQL objects of 0.1.
 *
 * CREATE EXTENSION runs redoubt--0.1.sql and then this file, ALTER EXTENSION redoubt UPDATE this file alone: a database
 * that was updated and a new one hold the same objects, and redoubt--0.1.sql never changes again.
 */
\echo Use "ALTER EXTENSION redoubt UPDATE TO '0.2'" to load this file. \quit

-- ------------------------------------------------------------------ audit

-- It has three columns more, and goes on after a break.
DROP FUNCTION redoubt.verify_audit();
CREATE FUNCTION redoubt.verify_audit(OUT ok boolean, OUT segments integer, OUT records bigint,
                                     OUT broken_segment text, OUT broken_line integer, OUT problem text,
                                     OUT archived integer, OUT verified_from bigint, OUT breaks bigint)
  RETURNS record LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'redoubt_verify_audit';
COMMENT ON FUNCTION redoubt.verify_audit() IS
  'recomputes the chain of the audit trail, names the first broken record and says how much is verified; for redoubt_auditor';
REVOKE ALL ON FUNCTION redoubt.verify_audit() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.verify_audit() TO redoubt_auditor;

CREATE FUNCTION redoubt.verify_audit_segments(OUT segment bigint, OUT last_segment bigint, OUT state text,
                                              OUT first_sequence bigint, OUT last_sequence bigint, OUT records bigint,
                                              OUT broken_line bigint, OUT problem text)
  RETURNS SETOF record LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'redoubt_verify_audit_segments';
COMMENT ON FUNCTION redoubt.verify_audit_segments() IS
  'what verify_audit() finds, a row for each segment on file and for those archived or missing that follow one another; for redoubt_auditor';
REVOKE ALL ON FUNCTION redoubt.verify_audit_segments() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.verify_audit_segments() TO redoubt_auditor;

-- Not for redoubt_admin, who is one of those the trail is about; where to is the configuration file's.
CREATE FUNCTION redoubt.archive_audit(before timestamptz, OUT segment bigint, OUT first_sequence bigint,
                                      OUT last_sequence bigint, OUT bytes bigint, OUT sha256 text)
  RETURNS SETOF record LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'redoubt_archive_audit';
COMMENT ON FUNCTION redoubt.archive_audit(timestamptz) IS
  'moves closed segments of the audit trail whose events are older to redoubt.audit_archive_directory, and records it; for redoubt_auditor';
REVOKE ALL ON FUNCTION redoubt.archive_audit(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.archive_audit(timestamptz) TO redoubt_auditor;

-- The same with the server that wrote it.
CREATE OR REPLACE VIEW redoubt.audit AS
  SELECT a.segment,
         a.line,
         a.sequence,
         a."time",
         a.record #>> '{unmapped,event}' AS event,
         a.record #>> '{unmapped,outcome}' AS outcome,
         a.record #>> '{actor,user,name}' AS session_user_name,
         a.record #>> '{unmapped,current_user}' AS current_user_name,
         a.record #>> '{database,name}' AS database,
         a.record #>> '{src_endpoint,ip}' AS client_addr,
         a.record #>> '{unmapped,application_name}' AS application_name,
         a.record #>> '{unmapped,operation}' AS operation,
         a.record #>> '{unmapped,token_type}' AS token_type,
         CASE WHEN a.record #>> '{unmapped,count}' ~ '^[0-9]{1,18}$'
              THEN (a.record #>> '{unmapped,count}')::bigint END AS count,
         a.record #>> '{unmapped,query_id}' AS query_id,
         a.record #>> '{unmapped,detail}' AS detail,
         a.record,
         a.record #>> '{device,uid}' AS server,
         a.record #>> '{unmapped,cluster}' AS cluster
    FROM redoubt.audit_line AS a
   WHERE NOT a.header;

CREATE FUNCTION redoubt.audit_public_key() RETURNS text
  LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'redoubt_audit_public_key';
COMMENT ON FUNCTION redoubt.audit_public_key() IS
  'the public key, in hexadecimal, by which the signed heads of this server''s audit trail are verified; for redoubt_auditor';
REVOKE ALL ON FUNCTION redoubt.audit_public_key() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redoubt.audit_public_key() TO redoubt_auditor;
