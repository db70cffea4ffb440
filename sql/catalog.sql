/*
 * The extension's objects, and who may call what, as one reviewed list.
 *
 * Proves: no object came or went unseen; nobody at all, the owner included,
 * may reveal or tokenize after CREATE EXTENSION; PUBLIC may call only what shows
 * nothing; every SECURITY DEFINER function has a fixed search_path; every object
 * has a comment; the functions of a token type have the declared volatility.
 */
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS redoubt CASCADE;
DROP ROLE IF EXISTS regress_catalog_stranger;
CREATE EXTENSION redoubt;

-- DROP EXTENSION takes the types made with it along, and leaves room for them to be made again.
SELECT redoubt.create_token_type('public.regress_catalog_token');
DROP EXTENSION redoubt CASCADE;
SELECT oid::regprocedure FROM pg_proc WHERE probin LIKE '%redoubt%';
SELECT typname FROM pg_type WHERE typname LIKE 'regress\_catalog%';
CREATE EXTENSION redoubt;
SELECT redoubt.create_token_type('public.regress_catalog_token');
SELECT redoubt.drop_token_type('public.regress_catalog_token');
RESET client_min_messages;

CREATE TEMP VIEW member AS
  SELECT d.classid, d.objid, d.objsubid, i.type, i.identity
  FROM pg_depend AS d, LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) AS i
  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'redoubt')
    -- From 17 on arrays and row types are members of their own; they come with what they belong to.
    AND NOT (d.classid = 'pg_type'::regclass
             AND EXISTS (SELECT FROM pg_type AS t WHERE t.oid = d.objid AND (t.typcategory = 'A' OR t.typrelid <> 0)));

-- Every object.
SELECT type, identity FROM member ORDER BY type COLLATE "C", identity COLLATE "C";

-- Every object without a comment: none.
SELECT type, identity FROM member
WHERE obj_description(objid, (SELECT relname FROM pg_class WHERE oid = classid)) IS NULL
ORDER BY 1, 2;
SELECT obj_description(oid, 'pg_extension') IS NOT NULL AS extension_has_comment FROM pg_extension WHERE extname = 'redoubt';

-- Functions whose privileges are PostgreSQL's default, in which PUBLIC may execute.
-- Only what reads, writes, compares or describes tokens, and shows no more than the token.
SELECT identity FROM member JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND p.oid = objid
WHERE proacl IS NULL ORDER BY identity COLLATE "C";

-- Functions that PUBLIC may execute although they have privileges of their own: none.
SELECT identity FROM member JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND p.oid = objid, aclexplode(p.proacl) AS a
WHERE a.grantee = 0 ORDER BY identity COLLATE "C";

-- The gate: nobody may execute these, not even who installed the extension.
SELECT identity FROM member JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND p.oid = objid
WHERE cardinality(p.proacl) = 0 ORDER BY identity COLLATE "C";

-- The gate again, by what the functions are: a new way to reveal or tokenize would show here.
-- character(n), arrays, and what is given a type by name, check the type's privilege inside.
SELECT identity, p.prosrc, cardinality(p.proacl) = 0 AS nobody
FROM member JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND p.oid = objid
WHERE p.prosrc ~ '^redoubt_(detokenize|mask|tokenize|fpe|vault_token|vault_find|find_token)'
ORDER BY nobody, identity COLLATE "C";

-- Who else may execute what.
SELECT a.grantee::regrole AS role, identity
FROM member JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND p.oid = objid, aclexplode(p.proacl) AS a
WHERE a.grantee <> p.proowner AND NOT a.is_grantable
ORDER BY a.grantee::regrole::text COLLATE "C", identity COLLATE "C";

-- WITH GRANT OPTION was given to nobody.
SELECT identity FROM member JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND p.oid = objid, aclexplode(p.proacl) AS a
WHERE a.grantee <> p.proowner AND a.is_grantable;

-- Who may do what to tables, views and sequences, the owner aside.
SELECT c.relname, a.grantee::regrole AS role, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) AS may
FROM member JOIN pg_class AS c ON classid = 'pg_class'::regclass AND c.oid = objid, aclexplode(c.relacl) AS a
WHERE a.grantee <> c.relowner
GROUP BY 1, 2 ORDER BY 1, 2;
SELECT has_schema_privilege('public', 'redoubt', 'USAGE') AS usage, has_schema_privilege('public', 'redoubt', 'CREATE') AS create;

-- SECURITY DEFINER functions and their configuration.
SELECT identity, p.proconfig
FROM member JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND p.oid = objid
WHERE p.prosecdef ORDER BY identity COLLATE "C";

-- No view runs with rights that leak through it: what they read with their owner's rights.
SELECT c.relname, c.reloptions
FROM member JOIN pg_class AS c ON classid = 'pg_class'::regclass AND c.oid = objid
WHERE c.relkind = 'v' ORDER BY 1;

-- Comparison is immutable and leakproof, input stable, what reveals or charges is not immutable.
SELECT p.proname AS function, pg_get_function_identity_arguments(p.oid) AS arguments,
       p.provolatile AS volatility, p.proisstrict AS strict, p.proleakproof AS leakproof, p.proparallel AS parallel
FROM member JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND p.oid = objid
WHERE identity ~ 'email_token' ORDER BY p.proname COLLATE "C", 2;
-- The same for the other types: the families differ from email_token's in nothing but the base type.
WITH f AS (
  SELECT substring(identity FROM '(email|phone|name|text|bytes)_token') AS family,
         regexp_replace(replace(identity, 'bytea', 'text'), '(email|phone|name|text|bytes)_token', 'T', 'g') AS identity,
         p.prosrc, p.provolatile, p.proisstrict, p.proleakproof, p.proparallel
  FROM member JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND p.oid = objid
  WHERE identity ~ '(email|phone|name|text|bytes)_token')
SELECT family, identity, count(*) OVER () AS differences
FROM (SELECT o.family, f.identity, f.prosrc, f.provolatile, f.proisstrict, f.proleakproof, f.proparallel
      FROM f CROSS JOIN (VALUES ('phone'), ('name'), ('text'), ('bytes')) AS o(family) WHERE f.family = 'email'
      EXCEPT TABLE f) AS missing
UNION ALL
SELECT family, identity, count(*) OVER ()
FROM (TABLE f
      EXCEPT
      SELECT o.family, f.identity, f.prosrc, f.provolatile, f.proisstrict, f.proleakproof, f.proparallel
      FROM f CROSS JOIN (VALUES ('email'), ('phone'), ('name'), ('text'), ('bytes')) AS o(family) WHERE f.family = 'email') AS additional
ORDER BY 1, 2;

-- The types, their arrays, casts and policies.
SELECT t.typname, t.typlen, t.typbyval, t.typalign, t.typstorage, t.typcategory, t.typarray <> 0 AS has_array, t.typsubscript
FROM member JOIN pg_type AS t ON classid = 'pg_type'::regclass AND t.oid = objid AND t.typtype = 'b' ORDER BY 1;
SELECT identity, c.castcontext, c.castmethod, c.castfunc::regprocedure
FROM member JOIN pg_cast AS c ON classid = 'pg_cast'::regclass AND c.oid = objid ORDER BY identity COLLATE "C";
SELECT token_type, method, base, pattern, normalize, mask, deterministic, key, shipped FROM redoubt.token_types ORDER BY token_type::text COLLATE "C";
SELECT typ, class_id FROM redoubt.token_type WHERE shipped ORDER BY class_id;

-- Operators: commutators, negators, selectivity, and what they can do.
SELECT o.oid::regoperator AS operator, o.oprcom::regoperator AS commutator, o.oprnegate::regoperator AS negator,
       o.oprrest, o.oprjoin, o.oprcanhash, o.oprcanmerge
FROM member JOIN pg_operator AS o ON classid = 'pg_operator'::regclass AND o.oid = objid
WHERE o.oprleft = 'redoubt.email_token'::regtype ORDER BY o.oprname COLLATE "C";
SELECT o.opcname, m.amname, o.opcdefault, amvalidate(o.oid) AS valid,
       (SELECT count(*) FROM pg_amop WHERE amopfamily = o.opcfamily) AS operators,
       (SELECT count(*) FROM pg_amproc WHERE amprocfamily = o.opcfamily) AS functions
FROM member JOIN pg_opclass AS o ON classid = 'pg_opclass'::regclass AND o.oid = objid JOIN pg_am AS m ON m.oid = o.opcmethod
ORDER BY o.opcname COLLATE "C", m.amname COLLATE "C";

-- What a dump carries of the extension's tables.
SELECT c.oid::regclass AS relation, nullif(e.condition, '') AS condition
FROM pg_extension AS x, unnest(x.extconfig, x.extcondition) AS e(relation, condition) JOIN pg_class AS c ON c.oid = e.relation
WHERE x.extname = 'redoubt' ORDER BY 1;

-- The two roles: they cannot log in and have no attribute.
SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls
FROM pg_roles WHERE rolname IN ('redoubt_admin', 'redoubt_auditor') ORDER BY 1;

-- A stranger: PostgreSQL itself refuses what administers, before any code of ours runs.
CREATE ROLE regress_catalog_stranger;
SET ROLE regress_catalog_stranger;
\set VERBOSITY sqlstate
SELECT redoubt.create_key('x');
SELECT redoubt.rotate_key('default');
SELECT redoubt.rewrap_keys();
SELECT redoubt.verify_keys();
SELECT * FROM redoubt.key_use();
SELECT redoubt.retire_key('default', 1);
SELECT redoubt.destroy_key('default', 'default');
SELECT redoubt.reseal_batch('redoubt.email_token', NULL, 1);
CALL redoubt.reseal_vault();
SELECT redoubt.create_token_type('x');
SELECT redoubt.drop_token_type('redoubt.email_token');
SELECT redoubt.build_token_type('redoubt', 'x', 'redoubt', 'text', NULL, 'none', 'full', true, 'default', gen_random_uuid(), false);
SELECT redoubt.check_policy('none', 'full', NULL);
SELECT redoubt.add_type(t) FROM redoubt.token_type AS t;
SELECT redoubt.remove_type('redoubt.email_token');
SELECT redoubt.set_limit('regress_catalog_stranger', 'redoubt.email_token', 'reveal', 1, '1 h');
SELECT redoubt.drop_limit('regress_catalog_stranger', 'redoubt.email_token', 'reveal');
SELECT redoubt.reset_usage();
SELECT redoubt.status();
SELECT redoubt.audit_records();
SELECT redoubt.verify_audit();
SELECT count(*) FROM redoubt.audit;
SELECT count(*) FROM redoubt.key;
SELECT count(*) FROM redoubt.limit_rule;
INSERT INTO redoubt.token_type SELECT * FROM redoubt.token_type;
UPDATE redoubt.token_type SET mask = 'keep_last(64)';
DELETE FROM redoubt.token_type;
CREATE TABLE redoubt.mine ();
\set VERBOSITY default
RESET ROLE;
DROP ROLE regress_catalog_stranger;
