-- grants.sql - what the role of an application needs on columns of token types, and nothing else.
--
-- psql's variables: "role"; "types", the token types, with commas; "rights", the functions of each type that the role is granted
-- beside the one that tokenizes.  The migrating role is granted to tokenize.
SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I, CURRENT_USER', p.oid::regprocedure, :'role')
FROM pg_proc AS p, unnest(string_to_array(:'types', ',')) AS token_type
WHERE p.pronamespace = 'redoubt'::regnamespace AND p.pronargs = 1
  AND p.proname = token_type AND p.proargtypes[0] = 'text'::regtype
\gexec
SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', p.oid::regprocedure, :'role')
FROM pg_proc AS p, unnest(string_to_array(:'types', ',')) AS token_type
WHERE p.pronamespace = 'redoubt'::regnamespace AND p.pronargs = 1
  AND p.proname = ANY (string_to_array(:'rights', ',')) AND p.proargtypes[0] = ('redoubt.' || token_type)::regtype
\gexec
ALTER ROLE :"role" IN DATABASE :"DBNAME" SET redoubt.reveal = 'auto';
